//! Settings that have no effect in a mode of transfer.

use crate::message::setting;
use crate::settings::{Settings, TrainingSettings, TransferMode, TuningSettings};
use crate::stage::written;

/// What a source is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A run that carries over.
    Run {
        /// Whether any stage trains a network.
        trains: bool,
        /// Whether what comes of it is compressed.
        compresses: bool,
    },
    /// Features as a file.
    Features,
    /// A ranking of sources.
    Estimate,
}

/// What is asked of a transfer.
struct Asked {
    mode: TransferMode,
    purpose: Purpose,
}

impl Asked {
    fn is_run(&self) -> bool {
        matches!(self.purpose, Purpose::Run { .. })
    }

    fn trains(&self) -> bool {
        matches!(self.purpose, Purpose::Run { trains: true, .. })
    }

    fn compresses(&self) -> bool {
        matches!(self.purpose, Purpose::Run { compresses: true, .. })
    }
}

/// Settings that do nothing where something holds, and why.
struct Idle {
    names: &'static [&'static [&'static str]],
    /// Those among them that do something all the same.
    but: &'static [&'static str],
    holds: fn(&Asked) -> bool,
    because: &'static str,
}

/// The table: a new case is a row.
const IDLE: [Idle; 8] = [
    Idle {
        names: &[&["mode", "head", "time_budget"]],
        but: &[],
        holds: |asked| asked.purpose == Purpose::Features,
        because: "features are written as the source gives them, and nothing is learned on them",
    },
    Idle {
        names: &[&["mode", "head", "time_budget"]],
        but: &[],
        holds: |asked| asked.purpose == Purpose::Estimate,
        because: "every source is measured in the same ways, and no model is made",
    },
    Idle {
        names: &[&["precision"]],
        but: &[],
        holds: |asked| asked.purpose == Purpose::Estimate,
        because: "sources are compared by their features in f32",
    },
    Idle {
        names: &[&["head", "layer", "precision"]],
        but: &[],
        holds: |asked| asked.is_run() && asked.mode == TransferMode::Fc,
        because: "the mode fc carries the classifier over as it is",
    },
    Idle {
        names: &[&["precision"]],
        but: &[],
        holds: |asked| asked.is_run() && asked.mode == TransferMode::Finetune && !asked.compresses(),
        because: "the mode finetune trains the network, which computes in f32",
    },
    Idle {
        names: &[&["precision"]],
        but: &[],
        holds: |asked| asked.compresses() && asked.mode != TransferMode::Fc,
        because: "what is carried over is pruned in f32 and quantised behind that",
    },
    Idle {
        names: &[TrainingSettings::NAMES, TuningSettings::NAMES],
        but: &["metric"],
        holds: |asked| asked.is_run() && !asked.trains(),
        because: "nothing is trained but the head; the mode finetune trains the network",
    },
    Idle {
        names: &[&["time_budget"]],
        but: &[],
        holds: |asked| asked.is_run() && asked.mode != TransferMode::Auto,
        because: "only the mode auto chooses by the time",
    },
];

/// Settings that were asked for and that do nothing where a source is carried over or looked at, a line for each reason.
pub(crate) fn notes(settings: &Settings, purpose: Purpose) -> Vec<String> {
    lines(settings, &Asked { mode: settings.mode.unwrap_or_default(), purpose })
}

fn lines(settings: &Settings, asked: &Asked) -> Vec<String> {
    let given = written(settings);
    let mut notes = Vec::new();
    for row in IDLE.iter().filter(|row| (row.holds)(asked)) {
        let mut names: Vec<&str> = row.names.iter().copied().flatten().copied().collect();
        names.retain(|name| given.contains_key(*name) && !row.but.contains(name));
        let mentioned: Vec<String> = names.iter().map(|name| setting(name)).collect();
        let (list, verb) = match &mentioned[..] {
            [] => continue,
            [one] => (one.clone(), "has"),
            [first @ .., last] => (format!("{} and {last}", first.join(", ")), "have"),
        };
        notes.push(format!("{list} {verb} no effect: {}", row.because));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::settings::HeadName;

    fn told(settings: &Settings, mode: TransferMode, trains: bool) -> Vec<String> {
        told_of(settings, mode, Purpose::Run { trains, compresses: false })
    }

    fn told_of(settings: &Settings, mode: TransferMode, purpose: Purpose) -> Vec<String> {
        lines(settings, &Asked { mode, purpose })
            .into_iter()
            .map(|text| Message::from(text).to_string())
            .collect()
    }

    #[test]
    fn what_does_nothing_is_told_with_the_reason() {
        let settings = Settings {
            head: Some(HeadName::Svm),
            layer: Some("x".into()),
            epochs: Some(3),
            lr: Some(0.1),
            layer_decay: Some(0.5),
            time_budget: Some(10.0),
            ..Settings::default()
        };
        let lines = told(&settings, TransferMode::Fc, false);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(
            lines[0].contains("head") && lines[0].contains("layer have no effect: the mode fc"),
            "{lines:?}"
        );
        for name in ["epochs", "lr", "layer_decay"] {
            assert!(lines[1].contains(name), "{lines:?}");
        }
        assert!(lines[2].contains("time_budget has no effect: only the mode auto"), "{lines:?}");
        assert_eq!(told(&settings, TransferMode::Auto, true), Vec::<String>::new());
        assert_eq!(told(&Settings::default(), TransferMode::Fc, false), Vec::<String>::new());
    }

    #[test]
    fn what_is_looked_at_without_a_run_has_settings_without_effect_too() {
        let settings = Settings {
            mode: Some(TransferMode::Gap),
            head: Some(HeadName::Svm),
            precision: Some(crate::settings::Precision::Int8),
            ..Settings::default()
        };
        let lines = told_of(&settings, TransferMode::Gap, Purpose::Features);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("mode") && lines[0].contains("head have no effect: features are"),
            "{lines:?}"
        );
        let lines = told_of(&settings, TransferMode::Gap, Purpose::Estimate);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains("precision has no effect: sources are"), "{lines:?}");
    }
}
