//! Which of two values is better, how much is lost, and both in words.

use std::cmp::Ordering;

use crate::metric::{Direction, Metric, Unit};

/// Stands for a value that is none.
const NONE: &str = "–";

impl Metric {
    /// The order from worse to better; a NaN is worse than every number and equal to another NaN.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        let order = a.partial_cmp(&b).map(|order| match self.direction() {
            Direction::HigherIsBetter => order,
            Direction::LowerIsBetter => order.reverse(),
        });
        // One of them is no number: the number is better.
        order.unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
    }

    /// Whether `a` is strictly better than `b`; a number is better than a NaN.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        self.compare(a, b).is_gt()
    }

    /// How much `value` is worse than `reference`, in the metric's unit; negative if it is better.
    ///
    /// Never NaN: where `value` is NaN, everything is lost (infinity), and where only `reference` is, everything is
    /// gained. So `drop <= allowed` refuses what could not be measured.
    pub fn drop(self, reference: f64, value: f64) -> f64 {
        if value.is_nan() {
            return f64::INFINITY;
        }
        if reference.is_nan() {
            return f64::NEG_INFINITY;
        }
        // Equal infinities differ by nothing.
        if reference == value {
            return 0.0;
        }
        match self.direction() {
            Direction::HigherIsBetter => reference - value,
            Direction::LowerIsBetter => value - reference,
        }
    }

    /// What every number is better than, or as bad as: `-inf` or `inf`.
    ///
    /// The value to start a search for the best with.
    pub fn worst(self) -> f64 {
        match self.direction() {
            Direction::HigherIsBetter => f64::NEG_INFINITY,
            Direction::LowerIsBetter => f64::INFINITY,
        }
    }

    /// A value for people, with its unit: `90.35%`, `0.312`; `–` for NaN.
    pub fn format(self, value: f64) -> String {
        match self.unit() {
            Unit::Percent => number(value, 2, "%"),
            Unit::Nats => number(value, 3, ""),
        }
    }

    /// What [`drop`](Self::drop) gives for people: `1.25 points`, `−0.30 points` (a gain), `0.012`; `–` for NaN.
    pub fn format_drop(self, drop: f64) -> String {
        match self.unit() {
            Unit::Percent => number(drop, 2, " points"),
            Unit::Nats => number(drop, 3, ""),
        }
    }
}

/// `value` with so many decimals and the unit; no sign where it rounds to zero.
fn number(value: f64, decimals: usize, unit: &str) -> String {
    if value.is_nan() {
        return NONE.to_owned();
    }
    let digits = match value.abs() {
        f64::INFINITY => "∞".to_owned(),
        size => format!("{size:.decimals$}"),
    };
    let negative = value < 0.0 && digits.chars().any(|c| !matches!(c, '0' | '.'));
    format!("{}{digits}{unit}", if negative { "−" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_follows_the_direction() {
        assert!(Metric::Top1.is_better(91.0, 90.0) && !Metric::Top1.is_better(90.0, 91.0));
        assert!(Metric::LogLoss.is_better(0.2, 0.3) && !Metric::LogLoss.is_better(0.3, 0.2));
        for metric in Metric::ALL {
            assert!(!metric.is_better(1.0, 1.0));
            assert!(metric.is_better(1.0, f64::NAN) && !metric.is_better(f64::NAN, 1.0));
            assert!(metric.is_better(metric.worst(), f64::NAN), "even the worst is a number");
            assert!(metric.is_better(0.0, metric.worst()) && metric.is_better(100.0, metric.worst()));
            assert_eq!(metric.compare(f64::NAN, f64::NAN), Ordering::Equal);
        }
    }

    #[test]
    fn a_drop_is_positive_where_something_is_lost() {
        assert_eq!(Metric::Top1.drop(90.0, 88.5), 1.5);
        assert_eq!(Metric::LogLoss.drop(0.25, 0.5), 0.25);
        assert_eq!(Metric::Ece.drop(5.0, 2.0), -3.0);
        for metric in Metric::ALL {
            assert_eq!(metric.drop(50.0, f64::NAN), f64::INFINITY);
            assert_eq!(metric.drop(f64::NAN, f64::NAN), f64::INFINITY, "nothing measured is nothing kept");
            assert_eq!(metric.drop(f64::NAN, 50.0), f64::NEG_INFINITY);
            assert_eq!(metric.drop(f64::INFINITY, f64::INFINITY), 0.0);
        }
    }

    #[test]
    fn values_and_drops_in_words() {
        assert_eq!(Metric::Top1.format(90.351), "90.35%");
        assert_eq!(Metric::LogLoss.format(0.3124), "0.312");
        assert_eq!(Metric::LogLoss.format(f64::INFINITY), "∞");
        assert_eq!(Metric::Map.format(f64::NAN), "–");
        assert_eq!(Metric::MacroF1.format_drop(1.25), "1.25 points");
        assert_eq!(Metric::MacroF1.format_drop(-0.3), "−0.30 points");
        assert_eq!(Metric::MacroF1.format_drop(-0.001), "0.00 points");
        assert_eq!(Metric::LogLoss.format_drop(0.012), "0.012");
        assert_eq!(Metric::Top1.format_drop(f64::NEG_INFINITY), "−∞ points");
    }
}
