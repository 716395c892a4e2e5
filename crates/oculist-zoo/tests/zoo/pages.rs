//! The pages of the documentation are those that the code makes.

use std::path::Path;

use oculist_zoo::{architectures, page};

#[test]
fn the_pages_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/zoo");
    for info in architectures() {
        let text = std::fs::read_to_string(folder.join(format!("{}.md", info.name))).unwrap_or_default();
        assert!(text == page(info).unwrap(), "docs/zoo/{}.md: `cargo xtask zoo --write`", info.name);
    }
    let pages = std::fs::read_dir(folder).unwrap().filter(|f| f.as_ref().unwrap().file_name() != "README.md");
    assert_eq!(pages.count(), architectures().len(), "a page without an architecture");
}
