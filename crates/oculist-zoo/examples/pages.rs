//! Writes or checks the pages of all architectures: `pages --write|--check FOLDER`.

use std::error::Error;
use std::path::Path;

use oculist_zoo::{architectures, page};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, folder] = &arguments[..] else {
        return Err("expected --write or --check, and a folder".into());
    };
    let folder = Path::new(folder);
    let mut stale = Vec::new();
    for info in architectures() {
        let (path, text) = (folder.join(format!("{}.md", info.name)), page(info)?);
        if mode == "--write" {
            std::fs::create_dir_all(folder)?;
            std::fs::write(path, text)?;
        } else if std::fs::read_to_string(&path).ok() != Some(text) {
            stale.push(info.name);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("out of date: {}; `cargo xtask zoo --write` writes them", stale.join(", ")).into())
}
