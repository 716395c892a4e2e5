//! The tables of the augmentation bench.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::augment::{Agreement, FROM_PYTHON, LIBRARIES, Theirs};
use super::tables::number;

/// One case, measured.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// The table that it belongs to.
    pub(crate) group: String,
    /// Seconds per image, median.
    pub(crate) seconds: f64,
    /// Least and greatest of the rounds.
    pub(crate) spread: [f64; 2],
    pub(crate) floor: Option<f64>,
    pub(crate) theirs: BTreeMap<&'static str, Theirs>,
    /// Why a library has no time.
    pub(crate) missing: BTreeMap<&'static str, String>,
}

impl Line {
    /// How many times faster ours is than the fastest peer.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.peers().map(|t| t.ratio).reduce(f64::min)
    }

    fn peers(&self) -> impl Iterator<Item = &Theirs> {
        LIBRARIES.iter().filter_map(|library| self.theirs.get(library))
    }

    /// Ours from Python, with how many times faster it is than the fastest peer.
    fn python_text(&self) -> String {
        let Some(python) = self.theirs.get(FROM_PYTHON) else { return "-".into() };
        let mark = mark(&python.agreement);
        match self.peers().map(|t| t.seconds).reduce(f64::min) {
            Some(best) => format!("{}{mark} ({:.2}x)", micros(python.seconds), best / python.seconds),
            None => format!("{}{mark}", micros(python.seconds)),
        }
    }

    /// For the terminal.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!("{:<42} ours {:>9} us", self.name, micros(self.seconds));
        for (library, theirs) in &self.theirs {
            let agreement = match &theirs.agreement {
                Agreement::Same(difference) => format!("{difference:.2}"),
                Agreement::Random => "random".into(),
                Agreement::Other(what) => what.clone(),
            };
            let _ =
                write!(text, " | {library} {} us {:.2}x ({agreement})", micros(theirs.seconds), theirs.ratio);
        }
        for (library, reason) in &self.missing {
            let _ = write!(text, " | {library}: {reason}");
        }
        text
    }
}

/// All tables with what is to be said about them.
pub(crate) fn tables(lines: &[Line]) -> String {
    let mut text = String::from(
        "Microseconds per image on one core, median of the rounds; in brackets how many times faster ours is (median \
         of the ratios of neighbouring rounds), for ours from Python how many times faster that is than the best peer. `=`: both outputs were compared and are the same within the bound; \
         `~`: random, not compared; `*`: the peer computes something else, see below. A dash: the peer has no such \
         operation.\n",
    );
    for (group, heading) in [
        ("pipeline", "Pipelines, from image or file to normalised f32"),
        ("operation", "Operations, 224x224 RGB"),
        ("small", "Operations, 32x32 RGB"),
        ("policy", "Policies, 224x224 RGB"),
    ] {
        let of_group: Vec<&Line> = lines.iter().filter(|line| line.group == group).collect();
        if !of_group.is_empty() {
            let _ = write!(text, "\n### {heading}\n\n{}", table(&of_group));
        }
    }
    let others: BTreeSet<String> = lines
        .iter()
        .flat_map(|line| {
            line.theirs.iter().filter_map(|(library, theirs)| match &theirs.agreement {
                Agreement::Other(what) => Some(format!("- {}, {library}: {what}", line.name)),
                _ => None,
            })
        })
        .collect();
    if !others.is_empty() {
        text += "\nWhere a peer computes something else (`*`):\n\n";
        for other in others {
            let _ = writeln!(text, "{other}");
        }
    }
    text
}

fn table(lines: &[&Line]) -> String {
    let mut text = String::from("| case | ours | from Python |");
    for library in LIBRARIES {
        let _ = write!(text, " {library} |");
    }
    text += " against the best | promised |\n|---|---|---|---|---|---|---|\n";
    for line in lines {
        let _ = write!(text, "| {} | {} | {} |", line.name, micros(line.seconds), line.python_text());
        for library in LIBRARIES {
            match line.theirs.get(library) {
                Some(theirs) => {
                    let mark = mark(&theirs.agreement);
                    let _ = write!(text, " {}{mark} ({:.2}x) |", micros(theirs.seconds), theirs.ratio);
                }
                None => text += " - |",
            }
        }
        let promised = line.floor.map_or_else(|| "-".into(), |floor| format!("{floor:.0}x"));
        match line.ratio() {
            Some(ratio) => {
                let missed = if line.floor.is_some_and(|floor| ratio < floor) { " (missed)" } else { "" };
                let _ = writeln!(text, " **{ratio:.2}x**{missed} | {promised} |");
            }
            None => {
                let _ = writeln!(text, " - | {promised} |");
            }
        }
    }
    let ratios: Vec<f64> = lines.iter().filter_map(|line| line.ratio()).collect();
    if !ratios.is_empty() {
        let ahead = ratios.iter().filter(|ratio| **ratio >= 1.0).count();
        let _ = writeln!(text, "\nAt least as fast as the best peer: {ahead} of {}.", ratios.len());
    }
    text
}

/// How a table tells whether outputs were compared.
fn mark(agreement: &Agreement) -> &'static str {
    match agreement {
        Agreement::Same(_) => "=",
        Agreement::Random => "~",
        Agreement::Other(_) => "\\*",
    }
}

fn micros(seconds: f64) -> String {
    number(seconds * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_peer_decides_and_marks_are_told() {
        let theirs = |seconds, ratio, agreement| Theirs { version: "v 1".into(), seconds, ratio, agreement };
        let line = Line {
            name: "hue".into(),
            group: "operation".into(),
            seconds: 100e-6,
            spread: [90e-6, 110e-6],
            floor: Some(1.0),
            theirs: BTreeMap::from([
                ("albumentations", theirs(80e-6, 0.8, Agreement::Other("a poem".into()))),
                ("torchvision", theirs(5e-6, 2.0, Agreement::Same(0.3))),
                (FROM_PYTHON, theirs(2e-6, 0.1, Agreement::Same(0.0))),
            ]),
            missing: BTreeMap::new(),
        };
        let fast = Line { name: "fog".into(), theirs: BTreeMap::new(), ..line.clone() };
        let text = tables(&[line, fast]);
        assert!(
            text.contains(
                "| hue | 100 | 2.00= (2.50x) | 80.0\\* (0.80x) | 5.00= (2.00x) | **0.80x** (missed) | 1x |\n"
            ),
            "{text}"
        );
        assert!(text.contains("| fog | 100 | - | - | - | - | 1x |"), "{text}");
        assert!(
            text.contains("best peer: 0 of 1.") && text.contains("- hue, albumentations: a poem"),
            "{text}"
        );
    }
}
