//! Lock files that fit their manifests: one of a workspace that the tests do not build would grow stale unseen.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// Checks every lock file that git tracks below `root`, so that a new workspace is checked without being listed.
///
/// # Errors
/// The first lock file that cargo would have to change, with cargo's own words.
pub(super) fn check(root: &Path) -> Result<()> {
    let locks = tracked(root)?;
    if locks.is_empty() {
        bail!("git tracks no Cargo.lock below {}", root.display());
    }
    for lock in &locks {
        println!("    {}", lock.strip_prefix(root).unwrap_or(lock).display());
        check_one(lock)?;
    }
    Ok(())
}

/// The lock files that git tracks, in its order.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    // With `-z`, names stand as they are, without quotes.
    git.current_dir(root).args(["ls-files", "-z", "--", "Cargo.lock", "**/Cargo.lock"]);
    let shown = process::show(&git);
    let Some(list) = process::output(&mut git) else { bail!("`{shown}` failed in {}", root.display()) };
    Ok(list.split('\0').filter(|name| !name.is_empty()).map(|name| root.join(name)).collect())
}

/// Asks cargo whether the lock file would stay as it is.
fn check_one(lock: &Path) -> Result<()> {
    let mut command = Command::new(workspace::cargo());
    command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]);
    command.arg(lock.with_file_name("Cargo.toml")).stdin(Stdio::null());
    let shown = process::show(&command);
    let output = command.output().with_context(|| format!("`{shown}` does not start"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} is not current; `cargo metadata` in its folder brings it up to date: {}",
            lock.display(),
            words.trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of two packages that depend on each other, as the workspaces of the peers do.
    fn repository(folder: &Path) {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let package = |name: &str| {
            format!("[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        };
        write("Cargo.toml", &package("first"));
        write("src/lib.rs", "");
        let dependency = "[dependencies]\nfirst = { path = \"../..\" }\n";
        write("peers/other/Cargo.toml", &(package("other") + dependency));
        write("peers/other/src/lib.rs", "");
        for manifest in ["Cargo.toml", "peers/other/Cargo.toml"] {
            let mut cargo = Command::new(workspace::cargo());
            cargo.args(["generate-lockfile", "--offline", "--manifest-path"]).arg(folder.join(manifest));
            assert!(process::output(&mut cargo).is_some(), "{manifest}");
        }
        for arguments in [&["init", "--quiet"][..], &["add", "."]] {
            assert!(process::output(Command::new("git").current_dir(folder).args(arguments)).is_some());
        }
    }

    #[test]
    fn a_stale_lock_file_of_any_workspace_is_found() {
        let folder = std::env::temp_dir().join(format!("oculist-locks-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        repository(&folder);
        assert_eq!(tracked(&folder).unwrap().len(), 2);
        check(&folder).unwrap();
        // The first package becomes another version, which the other workspace's lock file does not know.
        let manifest = folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("0.1.0", "0.2.0")).unwrap();
        let mut cargo = Command::new(workspace::cargo());
        cargo.args(["metadata", "--offline", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        assert!(process::output(&mut cargo).is_some());
        let error = check(&folder).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("other/Cargo.lock is not current"), "{error}");
    }
}
