//! Ranges of numbers, for files as for what is typed: a value outside is named with its setting, or wrong usage.

use std::fmt::Debug;

use crate::error::OculistError;
use crate::settings::ByteSize;

/// Which numbers are allowed, and in what words others are refused.
#[derive(Debug, Clone, Copy)]
pub struct Range<T> {
    expected: &'static str,
    typed: &'static str,
    allows: fn(&T) -> bool,
}

/// A count of at least 1.
pub const COUNT: Range<usize> = Range::new("at least 1", |&n| n >= 1).typed("a whole number of at least 1");
/// A side of a network's input in pixels.
pub const PIXELS: Range<usize> = Range::new("8 to 1024 pixels", |n| (8..=1024).contains(n));
/// A factor on the number of channels.
pub const WIDTH: Range<f64> = Range::new("a factor of 0.0625 to 16", |x| (0.0625..=16.0).contains(x));
/// Points of accuracy.
pub const POINTS: Range<f64> = Range::new("0 to 100 points", |x| (0.0..=100.0).contains(x));
/// A share of the images that is held out.
pub const SHARE: Range<f64> =
    Range::new("a share of 0 to 0.5", |x| (0.0..=0.5).contains(x)).typed("0 to 0.5");
/// A probability.
pub const PROBABILITY: Range<f32> =
    Range::new("a probability of 0 to 1", |x| (0.0..=1.0).contains(x)).typed("0 to 1");
/// The parameter of a Beta distribution; 0 is off.
pub const ALPHA: Range<f32> = Range::new("an alpha of 0 to 1000", |x| (0.0..=1000.0).contains(x));
/// The weight of a part of the loss.
pub const CONSISTENCY: Range<f32> =
    Range::new("a weight of 0 to 1000", |x| (0.0..=1000.0).contains(x)).typed("0 to 1000");
/// A learning rate.
pub const LEARNING_RATE: Range<f32> =
    Range::new("a positive number such as 0.1", |&x| x > 0.0 && x.is_finite());
/// The factor on the learning rate from one layer to the next.
pub const LAYER_DECAY: Range<f32> =
    Range::new("a factor of more than 0 and at most 1", |&x| x > 0.0 && x <= 1.0);
/// The strength of a pull towards the start.
pub const ANCHOR: Range<f32> = Range::new("a strength of 0 to 1000", |x| (0.0..=1000.0).contains(x));
/// The rank of an adapter.
pub const RANK: Range<usize> = Range::new("a rank of 1 to 1024", |n| (1..=1024).contains(n));
/// Seconds of a measurement.
pub const SECONDS: Range<f64> =
    Range::new("more than 0 and at most 3600 seconds", |&x| x > 0.0 && x <= 3600.0);
/// Threads; far more than any machine has would only take memory.
pub const THREADS: Range<usize> =
    Range::new("1 to 1024 threads", |n| (1..=1024).contains(n)).typed("1 to 1024");
/// Seconds of a search.
pub const BUDGET: Range<f64> =
    Range::new("1 second to 30 days, in seconds", |x| (1.0..=2_592_000.0).contains(x));

impl<T> Range<T> {
    /// Refuses what `allows` does not allow with "expected ...".
    pub const fn new(expected: &'static str, allows: fn(&T) -> bool) -> Self {
        Self { expected, typed: expected, allows }
    }

    /// Says something else of a text, which may be no number at all.
    pub const fn typed(self, expected: &'static str) -> Self {
        Self { typed: expected, ..self }
    }

    /// Checks the value of a setting.
    ///
    /// # Errors
    /// [`OculistError::Setting`] naming the setting, its range and the value.
    pub(crate) fn check(&self, name: &str, value: &T) -> Result<(), OculistError>
    where
        T: Debug,
    {
        if (self.allows)(value) {
            return Ok(());
        }
        // Debug writes huge and tiny numbers with an exponent.
        Err(crate::error::wrong(name, format!("expected {}, found {value:?}", self.expected)))
    }

    /// The parser of a value on a command line, which says itself which option and which text it was.
    pub fn parser(self) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
    where
        T: std::str::FromStr + 'static,
    {
        move |text: &str| {
            text.parse().ok().filter(self.allows).ok_or_else(|| format!("expected {}", self.typed))
        }
    }
}

/// The parser of an amount of memory.
///
/// # Errors
/// What was expected, for a text that is no number of bytes, or none at all.
pub fn memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.0 == 0 { Err("expected at least one byte, found 0".to_owned()) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        let (count, pixels) = (COUNT.parser(), PIXELS.parser());
        assert_eq!((count("1"), count("0").is_err()), (Ok(1), true));
        assert_eq!((pixels("8"), pixels("1024"), pixels("1025").is_err()), (Ok(8), Ok(1024), true));
        let (points, seconds) = (POINTS.parser(), SECONDS.parser());
        assert_eq!((points("0"), points("100"), points("-0.1").is_err()), (Ok(0.0), Ok(100.0), true));
        assert_eq!((seconds("3600"), seconds("0").is_err()), (Ok(3600.0), true));
        assert_eq!(
            (memory("2G"), memory("0").is_err(), memory("-1").is_err()),
            (Ok(ByteSize(2 << 30)), true, true)
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let rate = LEARNING_RATE.parser();
        for text in ["nan", "inf", "-1", "0", "fast", ""] {
            assert_eq!(rate(text), Err("expected a positive number such as 0.1".to_owned()), "{text}");
        }
        assert!(POINTS.parser()("nan").is_err() && SECONDS.parser()("nan").is_err());
        assert_eq!(COUNT.parser()("1.5"), Err("expected a whole number of at least 1".to_owned()));
    }
}
