//! What a run tells, as JSON.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use oculist::Progress;
use serde::Serialize;
use serde_json::{Value, json};

use crate::message::shown;

/// Steps and images come thick; so much time lies between two of them that are told.
const BETWEEN: Duration = Duration::from_millis(50);

/// Sends events to the thread that has the interpreter.
pub(super) struct Teller {
    sender: Sender<String>,
    /// Whether anybody listens.
    heard: bool,
    last: Option<Instant>,
}

impl Teller {
    pub(super) fn new(sender: Sender<String>, heard: bool) -> Self {
        Self { sender, heard, last: None }
    }

    pub(super) fn tell(&mut self, progress: &Progress<'_>) {
        if !self.heard || self.is_too_soon(progress) {
            return;
        }
        if let Some(event) = event(progress) {
            // Who does not listen any more has asked to stop.
            let _ = self.sender.send(event.to_string());
        }
    }

    fn is_too_soon(&mut self, progress: &Progress<'_>) -> bool {
        let (done, total) = match *progress {
            Progress::TrainStep { step, steps, .. } => (step, steps),
            Progress::Work { done, total, .. } => (done, total),
            _ => return false,
        };
        let soon = done < total && self.last.is_some_and(|last| last.elapsed() < BETWEEN);
        if !soon {
            self.last = Some(Instant::now());
        }
        soon
    }
}

/// An event with its name; none for what has no meaning outside of the library.
fn event(progress: &Progress<'_>) -> Option<Value> {
    Some(match progress {
        Progress::Stage { number, title } => json!({"event": "stage", "number": number, "title": title}),
        Progress::Note(text) => json!({"event": "note", "text": shown(text)}),
        Progress::Warning(text) => json!({"event": "warning", "text": shown(text)}),
        Progress::TrainStep { phase, epoch, epochs, step, steps, loss } => json!({
            "event": "train_step", "phase": phase, "epoch": epoch, "epochs": epochs, "step": step,
            "steps": steps, "loss": loss,
        }),
        Progress::Epoch { phase, record, epochs, best, metric } => {
            let mut event = with(record, "epoch");
            event["phase"] = json!(phase);
            event["epochs"] = json!(epochs);
            event["best"] = json!(best);
            event["metric"] = json!(metric);
            event
        }
        Progress::Step(step) => with(step, "step"),
        Progress::Tried(candidate) => with(candidate, "tried"),
        Progress::Model { role, candidate } => {
            json!({"event": "model", "role": role.name(), "name": candidate.name})
        }
        Progress::Work { what, done, total } => {
            json!({"event": "work", "what": what, "done": done, "total": total})
        }
        _ => return None,
    })
}

fn with(facts: &impl Serialize, name: &str) -> Value {
    let mut event = serde_json::to_value(facts).unwrap_or_default();
    event["event"] = json!(name);
    event
}
