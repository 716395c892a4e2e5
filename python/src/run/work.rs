//! Long work beside the interpreter: it runs in a thread of its own, while this one looks for signals and passes events on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use oculist::Watch;
use pyo3::prelude::*;

use super::events::Teller;
use crate::error::{Failure, Result};

/// So often signals are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// Room for the calls of a thread, that of a program's first one.
const STACK: usize = 8 << 20;

/// Does the work, with the interpreter free; `progress` is called with every event as JSON.
///
/// # Errors
/// That of the work; a signal's or the callback's exception, after which the work is asked to stop and is waited for.
pub(super) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&mut Watch<'_>) -> Result<T> + Send,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    let (sender, mut receiver) = channel();
    let mut teller = Teller::new(sender, progress.is_some());
    thread::scope(|scope| {
        let stop = &stop;
        let body = move || {
            let mut observer = |event: oculist::Progress<'_>| teller.tell(&event);
            work(&mut Watch { observer: &mut observer, stop })
        };
        let worker = thread::Builder::new().name("oculist".into()).stack_size(STACK);
        let worker = worker.spawn_scoped(scope, body).map_err(|e| Failure::Other(e.to_string()))?;
        let mut failed: Option<PyErr> = None;
        loop {
            let got;
            (got, receiver) = py.detach(move || (receiver.recv_timeout(LOOK), receiver));
            if matches!(got, Err(RecvTimeoutError::Disconnected)) {
                break;
            }
            if failed.is_some() {
                continue;
            }
            let heard = match (got, progress) {
                (Ok(event), Some(progress)) => progress.call1((event,)).map(|_| ()),
                _ => Ok(()),
            };
            if let Err(error) = heard.and_then(|()| py.check_signals()) {
                stop.store(true, Ordering::Relaxed);
                failed = Some(error);
            }
        }
        let done = py.detach(|| worker.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match failed {
            Some(error) => Err(error.into()),
            None => done,
        }
    })
}
