//! `cargo xtask golden`: makes the golden files again.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::{process, venv, workspace};

pub(crate) const ARGUMENTS: &str = "[NAME]";
pub(crate) const ABOUT: &str = "Makes golden/*.json again, or only NAME (architectures, training_step, kernels).\n\
                                Installs PyTorch, several gigabytes, into target/golden-venv.";

/// The scripts in `golden/`, each of which writes the JSON file of its name.
const SCRIPTS: [&str; 3] = ["architectures", "training_step", "kernels"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let scripts: Vec<&str> = match arguments {
        [] => SCRIPTS.to_vec(),
        [name] if SCRIPTS.contains(&name.as_str()) => vec![name.as_str()],
        [name] => bail!("there is no golden script `{name}`; there are {}", SCRIPTS.join(", ")),
        _ => bail!("expected at most one name, found {}", arguments.join(" ")),
    };
    println!("==> environment with PyTorch (several gigabytes)");
    let python = venv::ensure("golden-venv", "requirements-golden.txt")?;
    for script in scripts {
        println!("==> golden/{script}.py");
        let start = Instant::now();
        let path = workspace::root().join("golden").join(script).with_extension("py");
        process::run(Command::new(&python).arg("-B").arg(path))?;
        println!("    done in {}", process::human(start.elapsed()));
    }
    Ok(())
}
