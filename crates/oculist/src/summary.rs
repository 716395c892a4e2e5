//! Turns results into the report's plain facts.

use std::fmt::Write;

use oculist_report::{ClassAccuracy, Epoch, Model as ModelFacts, Spread};
use oculist_train::EpochRecord;

use crate::metrics::{Evaluation, agreement, calibration_bins};

/// A model with everything that the report shows of it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) file: String,
    pub(crate) precision: &'static str,
    pub(crate) val_top1: Option<f64>,
    pub(crate) test: Evaluation,
    pub(crate) params: u64,
    pub(crate) macs: u64,
    pub(crate) bytes: u64,
    pub(crate) latency: Spread,
    pub(crate) throughput: Spread,
}

impl Measured {
    /// The facts for the report; `baseline` are the baseline's predictions on the same images.
    pub(crate) fn facts(&self, class_names: &[String], baseline: Option<&[u32]>) -> ModelFacts {
        let per_class = class_names
            .iter()
            .zip(self.test.per_class.iter().zip(&self.test.confusion))
            .map(|(class, (accuracy, row))| ClassAccuracy {
                class: class.clone(),
                accuracy: accuracy.unwrap_or(0.0),
                count: row.iter().map(|&n| u64::from(n)).sum(),
            })
            .collect();
        let mut facts = ModelFacts {
            name: self.name.to_owned(),
            file: self.file.clone(),
            precision: self.precision.to_owned(),
            top1: Some(self.test.top1),
            top5: Some(self.test.top5),
            val_top1: self.val_top1,
            params: self.params,
            macs: self.macs,
            bytes: self.bytes,
            latency_ms: Some(self.latency),
            images_per_s: Some(self.throughput),
            ece: Some(self.test.ece / 100.0),
            calibration: calibration_bins(&self.test),
            per_class,
            agreement_with_baseline: baseline.map(|b| agreement(&self.test.predictions, b)),
            ..ModelFacts::default()
        };
        let rows = self.test.confusion.iter();
        facts.set_confusion(rows.map(|row| row.iter().map(|&n| u64::from(n)).collect()).collect());
        facts
    }
}

/// The learning curve of one phase.
pub(crate) fn curve(phase: &str, history: &[EpochRecord]) -> Vec<Epoch> {
    history
        .iter()
        .map(|r| Epoch {
            phase: phase.to_owned(),
            epoch: r.epoch,
            train_loss: r.train_loss,
            val_loss: Some(r.val_loss),
            val: Some(r.val_top1),
            val_top1: Some(r.val_top1),
            lr: r.lr,
            images_per_s: r.images_per_s,
            seconds: r.seconds,
            data_wait: r.data_wait(),
        })
        .collect()
}

/// One line per epoch: `phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait`.
pub(crate) fn metrics_csv(epochs: &[Epoch]) -> String {
    let mut out =
        String::from("phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait\n");
    for e in epochs {
        let opt = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.6}"));
        let _ = writeln!(
            out,
            "{},{},{:.6},{},{},{:.6},{:.1},{:.2},{:.2}",
            e.phase,
            e.epoch,
            e.train_loss,
            opt(e.val_loss),
            opt(e.val_top1),
            e.lr,
            e.images_per_s,
            e.seconds,
            e.data_wait
        );
    }
    out
}

/// `1 epoch`, `2 epochs`: a number with the word that suits it.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `1 point`, `0.5 points`: a difference of accuracies that was asked for.
pub(crate) fn points_text(points: f64) -> String {
    format!("{points} {}", if points.to_bits() == 1.0_f64.to_bits() { "point" } else { "points" })
}

/// `1.2 MB`, `345 KB`: bytes for a sentence.
pub(crate) fn bytes_text(bytes: u64) -> String {
    if bytes >= 1_000_000 {
        format!("{:.2} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} KB", bytes as f64 / 1e3)
    }
}

/// `1.2 M`, `345 k`: a count for a sentence.
pub(crate) fn count_text(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} G", n as f64 / 1e9),
        1_000_000.. => format!("{:.2} M", n as f64 / 1e6),
        1_000.. => format!("{:.1} k", n as f64 / 1e3),
        _ => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_suit_their_numbers() {
        let epochs = [0, 1, 2].map(|n| counted(n, "epoch", "epochs"));
        assert_eq!(epochs, ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!([0.5, 1.0, 2.0].map(points_text), ["0.5 points", "1 point", "2 points"]);
    }
}
