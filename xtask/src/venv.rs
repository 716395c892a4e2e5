//! Python environments below the target folder, made anew only when their requirements change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// The interpreter of the environment `TARGET/NAME` holding `golden/REQUIREMENTS`; made if it is missing or its
/// requirements have changed.
pub(crate) fn ensure(name: &str, requirements: &str) -> Result<PathBuf> {
    ensure_from(name, &workspace::root().join("golden").join(requirements))
}

/// As [`ensure`], with requirements that lie anywhere.
pub(crate) fn ensure_from(name: &str, requirements: &Path) -> Result<PathBuf> {
    let folder = workspace::target()?.join(name);
    let wanted = fs::read_to_string(requirements).with_context(|| requirements.display().to_string())?;
    let python = folder.join("bin").join("python");
    if is_current(&folder, &wanted) && process::output(Command::new(&python).args(["-c", ""])).is_some() {
        println!("    target/{name} is up to date");
        return Ok(python);
    }
    make(&folder, requirements)?;
    // Written last: an environment that was interrupted half-way has no stamp and is made again.
    fs::write(stamp(&folder), wanted)?;
    Ok(python)
}

/// The copy of the requirements that a finished environment holds.
fn stamp(folder: &Path) -> PathBuf {
    folder.join("requirements.installed.txt")
}

fn is_current(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp(folder)).is_ok_and(|installed| installed == wanted)
}

fn make(folder: &Path, requirements: &Path) -> Result<()> {
    let version = "import sys; print('.'.join(map(str, sys.version_info[:3])))";
    let Some(version) = process::output(Command::new("python3").args(["-c", version])) else {
        bail!(
            "python3 is not there; the tests compare with Python libraries. On Debian: \
             `apt-get install python3 python3-venv`"
        );
    };
    if process::output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_none() {
        bail!("python3 {version} has no `venv` module. On Debian: `apt-get install python3-venv`");
    }
    println!("    making {} with Python {version}", folder.display());
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut install = Command::new(folder.join("bin").join("python"));
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    // Building NumPy or OpenCV from source takes longer than all tests: rather say that there is no wheel.
    install.args(["--only-binary", ":all:", "--requirement"]).arg(requirements);
    process::run(&mut install).with_context(|| {
        format!(
            "installing {} for Python {version} failed (is the package index reachable, and are there wheels \
             for this Python?)",
            requirements.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_current_only_with_the_same_requirements() {
        let folder = std::env::temp_dir().join(format!("oculist-xtask-venv-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(!is_current(&folder, "numpy==1\n"), "no stamp");
        fs::write(stamp(&folder), "numpy==1\n").unwrap();
        assert!(is_current(&folder, "numpy==1\n"));
        assert!(!is_current(&folder, "numpy==2\n"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
