//! Progress on the terminal: bars where there is one, one plain line per epoch elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use oculist::Progress;

/// Prints what a recipe tells. Everything goes to standard error; results go to standard output.
#[derive(Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    /// Whether standard error is a terminal, so that bars make sense.
    live: bool,
    bar: Option<(String, ProgressBar)>,
    /// Which training is running, since when, and with which epoch it began, for the time left.
    phase: Option<(String, Instant, usize)>,
}

/// One line on standard error. A reader that went away, as with `2>&1 | head`, is no reason to stop the work.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Terminal {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, live: std::io::stderr().is_terminal(), bar: None, phase: None }
    }

    pub(crate) fn show(&mut self, progress: &Progress<'_>) {
        if self.quiet {
            return;
        }
        match progress {
            Progress::Stage { number, title } => self.line(&format!("\n{number}. {title}")),
            Progress::Note(text) => self.line(&format!("   {text}")),
            Progress::Warning(text) => self.line(&format!("   warning: {text}")),
            Progress::TrainStep { phase, epoch, epochs, step, steps, loss } => {
                self.enter(phase, *epoch);
                let what = format!("{phase} epoch {epoch}/{epochs}");
                self.advance(&what, *step, *steps, &format!("loss {loss:.3}"));
            }
            Progress::Epoch { phase, record, epochs, best } => {
                let left = self.time_left(phase, record.epoch, *epochs);
                self.clear();
                self.line(&format!(
                    "   {phase} epoch {:>2}/{epochs}  loss {:.3}  val top-1 {:5.2}%{}  lr {:.4}  {:.0} images/s  data wait {:.1}%  {left}",
                    record.epoch,
                    record.train_loss,
                    record.val_top1,
                    if *best { "*" } else { " " },
                    record.lr,
                    record.images_per_s,
                    record.data_wait(),
                ));
            }
            Progress::Work { what, done, total } => {
                self.advance(what, *done, *total, "");
                if done == total {
                    self.clear();
                }
            }
        }
    }

    /// Removes the bar, for example before a result is printed.
    pub(crate) fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        if let Some((_, bar)) = &self.bar {
            bar.suspend(|| say(text));
        } else {
            say(text);
        }
    }

    fn advance(&mut self, what: &str, done: usize, total: usize, message: &str) {
        if !self.live {
            return;
        }
        if self.bar.as_ref().is_none_or(|(name, _)| name != what) {
            self.clear();
            let style = ProgressStyle::with_template("   {prefix} [{bar:30}] {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            let bar = ProgressBar::new(total as u64).with_style(style).with_prefix(what.to_owned());
            self.bar = Some((what.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(message.to_owned());
        }
    }

    fn enter(&mut self, phase: &str, epoch: usize) {
        if self.phase.as_ref().is_none_or(|(name, ..)| name != phase) {
            self.phase = Some((phase.to_owned(), Instant::now(), epoch));
        }
    }

    fn time_left(&self, phase: &str, epoch: usize, epochs: usize) -> String {
        let Some((name, since, first)) = &self.phase else {
            return String::new();
        };
        if name != phase || epoch >= epochs {
            return String::new();
        }
        // A resumed training did not do the epochs before its first in this time.
        let done = epoch.saturating_sub(*first) + 1;
        let seconds = since.elapsed().as_secs_f64() / done as f64 * (epochs - epoch) as f64;
        if seconds < 90.0 {
            format!("{seconds:.0} s left")
        } else {
            format!("{:.0} min left", seconds / 60.0)
        }
    }
}
