//! What goes to the terminal: progress as bars where there is one, one plain line per epoch elsewhere; errors and results.
//!
//! Nothing that a file says reaches a terminal but through [`say`], [`print()`], [`visible_usage`] or a bar of [`Terminal`],
//! which show control characters and marks of direction as escapes. Only [`print_as_is`] does not: it is for programs.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use clap::error::{ContextKind, ContextValue};
use indicatif::{ProgressBar, ProgressStyle};
use oculist::{Message, Progress};
use oculist_text::{visible, visible_lines};

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

/// A message of the library with settings as they are typed.
pub(crate) fn typed(message: &Message) -> String {
    message.shown(|mention| {
        let flag = match mention.name {
            "data" => "DATA".to_owned(),
            name => format!("--{}", name.replace('_', "-")),
        };
        if mention.has_value { flag + " " } else { flag }
    })
}

/// One line on standard error, with what would break it or steer the terminal as escapes: names from files are in it. A
/// reader that went away, as with `2>&1 | head`, is no reason to stop the work.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", visible(text));
}

/// Prints a result to standard output, each line made visible as in [`say`]; a closed pipe is an error that `main` forgives.
///
/// Line feeds are those of the layout: names in a text of several lines are made visible where it is laid out.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_as_is(&visible_lines(text))
}

/// Prints what other programs read, JSON or a script, to standard output.
pub(crate) fn print_as_is(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints paths, one a line.
pub(crate) fn print_paths(paths: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    let lines: Vec<String> =
        paths.iter().map(|path| format!("  {}", visible(&path.as_ref().to_string_lossy()))).collect();
    print(&lines.join("\n"))
}

/// Clap's error with the arguments that it repeats made visible, those in the words of a value's parser too.
pub(crate) fn visible_usage(mut error: clap::Error) -> clap::Error {
    if let Some(raw) = with_visible_reason(&error) {
        return raw;
    }
    let clean = |text: &String| visible(text).into_owned();
    let mut changed = Vec::new();
    for (kind, value) in error.context() {
        let new = match value {
            ContextValue::String(text) if visible(text) != *text => ContextValue::String(clean(text)),
            ContextValue::Strings(texts) if texts.iter().any(|text| visible(text) != *text) => {
                ContextValue::Strings(texts.iter().map(clean).collect())
            }
            _ => continue,
        };
        changed.push((kind, new));
    }
    // Hints are styled texts, in which an argument's own escape sequences could not be told from clap's.
    if !changed.is_empty() && error.get(ContextKind::Suggested).is_some() {
        changed.push((ContextKind::Suggested, ContextValue::None));
    }
    for (kind, value) in changed {
        error.insert(kind, value);
    }
    error
}

/// The error anew, if what a parser says of a value holds what must be escaped: clap takes that text as it is.
fn with_visible_reason(error: &clap::Error) -> Option<clap::Error> {
    let reason = std::error::Error::source(error)?.to_string();
    let Cow::Owned(reason) = visible(&reason) else { return None };
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => visible(text).into_owned(),
        _ => String::new(),
    };
    let (value, argument) = (told(ContextKind::InvalidValue), told(ContextKind::InvalidArg));
    let text = format!(
        "invalid value '{value}' for '{argument}': {reason}\n\nFor more information, try '--help'.\n"
    );
    Some(clap::Error::raw(error.kind(), text))
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
            Progress::Stage { number, title } => {
                self.line("");
                self.line(&format!("{number}. {title}"));
            }
            Progress::Note(text) => self.line(&format!("   {}", typed(text))),
            Progress::Warning(text) => self.line(&format!("   warning: {}", typed(text))),
            Progress::TrainStep { phase, epoch, epochs, step, steps, loss } => {
                self.enter(phase, *epoch);
                let what = format!("{phase} epoch {epoch}/{epochs}");
                self.advance(&what, *step, *steps, &format!("loss {loss:.3}"));
            }
            Progress::Epoch { phase, record, epochs, best, metric } => {
                let left = self.time_left(phase, record.epoch, *epochs);
                self.clear();
                self.line(&format!(
                    "   {phase} epoch {:>2}/{epochs}  loss {:.3}  val {} {:>6}{}  lr {:.4}  {:.0} images/s  data wait {:.1}%  {left}",
                    record.epoch,
                    record.train_loss,
                    metric.title(),
                    record.val.get(*metric).map_or_else(String::new, |value| metric.format(value)),
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
            // What is for reports and folders; each has a line of its own where it is worth one.
            _ => {}
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
            let bar =
                ProgressBar::new(total as u64).with_style(style).with_prefix(visible(what).into_owned());
            self.bar = Some((what.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(visible(message).into_owned());
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

#[cfg(test)]
mod tests {
    use oculist::Settings;

    use super::*;

    #[test]
    fn settings_are_shown_as_they_are_typed() {
        let wrong = |settings: Settings| settings.validate().expect_err("a wrong setting");
        let rate = wrong(Settings { lr: Some(-1.0), ..Settings::default() });
        assert_eq!(rate.to_string(), "lr: expected a positive number such as 0.1, found -1.0");
        assert_eq!(typed(&rate.message()), "--lr: expected a positive number such as 0.1, found -1.0");
        let repeats = wrong(Settings { repeats: Some(3), ..Settings::default() });
        assert_eq!(repeats.to_string(), "repeats: expected sampling = repeated or batch-augment with it");
        assert_eq!(
            typed(&repeats.message()),
            "--repeats: expected --sampling repeated or batch-augment with it"
        );
    }
}
