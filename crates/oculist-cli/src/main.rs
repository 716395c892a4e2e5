//! The command line of Oculist: arguments become a recipe, messages become lines and bars, errors become one line.

mod args;
mod settings;
mod terminal;
mod verbs;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist::OculistError;

/// Keeps freed memory: the system's allocator gives the buffer of every decoded or augmented image back, and the next
/// one pays page faults for it again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Done.
const DONE: u8 = 0;
/// The work failed.
const FAILED: u8 = 1;
/// Stopped by a second Ctrl-C, as shells report it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let typed: Vec<_> = std::env::args_os().collect();
    let cli = match args::Cli::typed(&typed) {
        Ok(cli) => cli,
        // Wrong usage ends here with code 2 and clap's message; help and version with code 0.
        Err(error) => terminal::visible_usage(error).exit(),
    };
    survive_size_limit();
    let stop = Arc::new(AtomicBool::new(false));
    if cli.verb.stops_between_steps() {
        stop_on_ctrl_c(&stop);
    }
    match verbs::run(&cli, &stop) {
        Ok(()) => ExitCode::from(DONE),
        // Whoever reads our output has had enough, as with `| head`.
        Err(e) if is_broken_pipe(&e) => ExitCode::from(DONE),
        Err(e) => {
            terminal::say(&format!("error: {}", one_line(&e)));
            ExitCode::from(FAILED)
        }
    }
}

/// Writing beyond the limit of a file's size (`ulimit -f`) becomes an error, which is told with the file's name; by default
/// the signal ends the process without a word.
#[cfg(unix)]
fn survive_size_limit() {
    let noted = Arc::new(AtomicBool::new(false));
    if let Err(e) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noted) {
        terminal::say(&format!("warning: a file that outgrows its limit will end the process: {e}"));
    }
}

#[cfg(not(unix))]
fn survive_size_limit() {}

/// The first Ctrl-C (or request to end) stops after the current step, so that the checkpoint is whole; the second stops at once.
fn stop_on_ctrl_c(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    let handler = move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        terminal::say("stopping after this step (press Ctrl-C again to stop at once)");
    };
    if let Err(e) = ctrlc::set_handler(handler) {
        terminal::say(&format!("warning: Ctrl-C will stop at once, without finishing the step: {e}"));
    }
}

/// The error with its causes, each said once: our errors already contain the message of what they wrap.
fn one_line(error: &anyhow::Error) -> String {
    let told = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<OculistError>() {
        Some(ours) => terminal::typed(&ours.message()),
        None => cause.to_string(),
    };
    let mut text = String::new();
    for cause in error.chain().map(told) {
        if text.is_empty() {
            text = cause;
            continue;
        }
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|c| c.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
