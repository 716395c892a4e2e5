//! The project's own tasks, run as `cargo xtask NAME`. One module per task; what they share is in `process`,
//! `venv` and `workspace`.

mod augmentations;
mod bench;
mod conformance;
mod elpv;
mod golden;
mod machine;
mod operators;
mod process;
mod python;
mod sanitize;
mod test;
mod venv;
mod workspace;
mod zoo;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A task: what the command line calls it, what may follow, what it does, and its entry.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const TASKS: [Task; 10] = [
    Task { name: "test", arguments: test::ARGUMENTS, about: test::ABOUT, run: test::run },
    Task { name: "golden", arguments: golden::ARGUMENTS, about: golden::ABOUT, run: golden::run },
    Task { name: "sanitize", arguments: sanitize::ARGUMENTS, about: sanitize::ABOUT, run: sanitize::run },
    Task { name: "bench", arguments: bench::ARGUMENTS, about: bench::ABOUT, run: bench::run },
    Task {
        name: "augmentations",
        arguments: augmentations::ARGUMENTS,
        about: augmentations::ABOUT,
        run: augmentations::run,
    },
    Task {
        name: "conformance",
        arguments: conformance::ARGUMENTS,
        about: conformance::ABOUT,
        run: conformance::run,
    },
    Task { name: "operators", arguments: operators::ARGUMENTS, about: operators::ABOUT, run: operators::run },
    Task { name: "zoo", arguments: zoo::ARGUMENTS, about: zoo::ABOUT, run: zoo::run },
    Task { name: "wheel", arguments: python::ARGUMENTS, about: python::ABOUT, run: python::wheel },
    Task { name: "elpv", arguments: elpv::ARGUMENTS, about: elpv::ABOUT, run: elpv::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else { bail!("no task given\n\n{}", usage()) };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        println!("{}", usage());
        return Ok(());
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        bail!("there is no task `{name}`\n\n{}", usage())
    };
    if rest.iter().take_while(|a| *a != "--").any(|a| a == "-h" || a == "--help") {
        println!("{}", describe(task));
        return Ok(());
    }
    (task.run)(rest)
}

fn usage() -> String {
    let tasks: Vec<String> = TASKS.iter().map(describe).collect();
    format!("usage: cargo xtask TASK\n\n{}", tasks.join("\n\n"))
}

fn describe(task: &Task) -> String {
    let Task { name, arguments, about, .. } = task;
    format!("cargo xtask {name} {arguments}\n    {}", about.replace('\n', "\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        dispatch(&arguments).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_task_is_named_and_the_known_ones_listed() {
        let text = error(&["tset"]);
        assert!(text.contains("`tset`") && text.contains("cargo xtask test"), "{text}");
    }

    #[test]
    fn an_unknown_option_is_refused_before_anything_runs() {
        assert!(error(&["test", "--fast"]).contains("--fast"));
        assert!(error(&["test", "--only", "fmt,format"]).contains("format"));
        assert!(error(&["golden", "weights"]).contains("weights"));
    }
}
