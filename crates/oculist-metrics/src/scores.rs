//! What was measured: metrics with their values.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metric::Metric;

/// Values of metrics, in the order in which they were set.
///
/// In files it is a map of [names](Metric::name) to numbers, in the same order. A value that is not finite is written as
/// null, which JSON has for it, and read as NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(Vec<(Metric, f64)>);

impl Scores {
    /// No values.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a metric in its unit; `None` if it was not measured or could not be computed.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.iter().find(|(m, _)| *m == metric).map(|(_, value)| *value)
    }

    /// Sets a value in the metric's unit, in place of an earlier one or at the end.
    pub fn set(&mut self, metric: Metric, value: f64) {
        match self.0.iter_mut().find(|(m, _)| *m == metric) {
            Some((_, earlier)) => *earlier = value,
            None => self.0.push((metric, value)),
        }
    }

    /// Metrics and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Metric, f64)> {
        self.0.iter().copied()
    }

    /// How many metrics have a value.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no metric has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Metric, f64)> for Scores {
    fn from_iter<I: IntoIterator<Item = (Metric, f64)>>(values: I) -> Self {
        let mut scores = Self::new();
        scores.extend(values);
        scores
    }
}

impl Extend<(Metric, f64)> for Scores {
    fn extend<I: IntoIterator<Item = (Metric, f64)>>(&mut self, values: I) {
        values.into_iter().for_each(|(metric, value)| self.set(metric, value));
    }
}

/// On one line, for people: `top-1 90.35%, log loss 0.312`.
impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (metric, value)) in self.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", metric.title(), metric.format(value))?;
        }
        Ok(())
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (metric, value) in self.iter() {
            map.serialize_entry(metric.name(), &value.is_finite().then_some(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Scores;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of metrics to numbers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Scores, M::Error> {
        let mut scores = Scores::new();
        while let Some((metric, value)) = map.next_entry::<Metric, Option<f64>>()? {
            if scores.get(metric).is_some() {
                return Err(Error::custom(format!("found two values of {}", metric.name())));
            }
            scores.set(metric, value.unwrap_or(f64::NAN));
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        [(Metric::Top1, 90.351), (Metric::LogLoss, 0.25), (Metric::MacroF1, 80.0)].into_iter().collect()
    }

    #[test]
    fn values_stay_in_order_and_are_replaced_in_place() {
        let mut scores = scores();
        scores.set(Metric::LogLoss, 0.5);
        assert_eq!(scores.get(Metric::LogLoss), Some(0.5));
        assert_eq!(scores.get(Metric::Ece), None);
        assert_eq!(scores.len(), 3);
        assert_eq!(scores.to_string(), "top-1 90.35%, log loss 0.500, macro F1 80.00%");
    }

    #[test]
    fn files_hold_a_map_in_the_same_order() {
        let text = serde_json::to_string(&scores()).unwrap();
        assert_eq!(text, r#"{"top1":90.351,"log_loss":0.25,"macro_f1":80.0}"#);
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores());
        assert!(serde_json::from_str::<Scores>("{}").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_finite_becomes_null_and_nan() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Scores::from_iter([(Metric::LogLoss, value)])).unwrap();
            assert_eq!(text, r#"{"log_loss":null}"#);
            assert!(serde_json::from_str::<Scores>(&text).unwrap().get(Metric::LogLoss).unwrap().is_nan());
        }
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        let problem = |text| serde_json::from_str::<Scores>(text).unwrap_err().to_string();
        assert!(problem(r#"{"top6":1}"#).contains("expected a metric (top1, "));
        assert!(problem(r#"{"top1":1,"top-1":2}"#).contains("two values of top1"));
        assert!(problem(r#"{"top1":"1"}"#).contains("invalid type"));
    }
}
