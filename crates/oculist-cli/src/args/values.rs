//! Parsers of values with a range, so that a value outside it is wrong usage, named with its option.

/// A count of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    within(text, "a whole number of at least 1", |&n| n >= 1)
}

/// A side of the network's input in pixels.
pub(crate) fn pixels(text: &str) -> Result<usize, String> {
    within(text, "8 to 1024 pixels", |n| (8..=1024).contains(n))
}

/// Points of accuracy.
pub(crate) fn points(text: &str) -> Result<f64, String> {
    within(text, "0 to 100 points", |x| (0.0..=100.0).contains(x))
}

/// A part of a whole.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    within(text, "0 to 1", |x| (0.0..=1.0).contains(x))
}

/// A learning rate.
pub(crate) fn learning_rate(text: &str) -> Result<f32, String> {
    within(text, "a positive number such as 0.1", |&x: &f32| x > 0.0 && x.is_finite())
}

/// Seconds of a measurement.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    within(text, "more than 0 and at most 3600 seconds", |&x| x > 0.0 && x <= 3600.0)
}

/// The value, if it is one and in the range; clap says which option and which text it was.
fn within<T: std::str::FromStr>(
    text: &str,
    expected: &str,
    allowed: impl Fn(&T) -> bool,
) -> Result<T, String> {
    text.parse().ok().filter(allowed).ok_or_else(|| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        assert_eq!((positive("1"), positive("0").is_err()), (Ok(1), true));
        assert_eq!((pixels("8"), pixels("1024"), pixels("1025").is_err()), (Ok(8), Ok(1024), true));
        assert_eq!((points("0"), points("100"), points("-0.1").is_err()), (Ok(0.0), Ok(100.0), true));
        assert_eq!((seconds("3600"), seconds("0").is_err()), (Ok(3600.0), true));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["nan", "inf", "-1", "0", "fast", ""] {
            assert_eq!(
                learning_rate(text),
                Err("expected a positive number such as 0.1".to_owned()),
                "{text}"
            );
        }
        assert!(points("nan").is_err() && seconds("nan").is_err() && positive("1.5").is_err());
    }
}
