//! Parsers of values with a range, so that a value outside it is wrong usage, named with its option.

use std::path::PathBuf;

use oculist::ByteSize;

/// A count of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    within(text, "a whole number of at least 1", |&n| n >= 1)
}

/// An amount of memory.
pub(crate) fn memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.0 == 0 { Err("expected at least one byte, found 0".to_owned()) } else { Ok(size) }
}

/// A side of the network's input in pixels.
pub(crate) fn pixels(text: &str) -> Result<usize, String> {
    within(text, "8 to 1024 pixels", |n| (8..=1024).contains(n))
}

/// A factor on the number of channels.
pub(crate) fn width(text: &str) -> Result<f64, String> {
    within(text, "a factor of 0.0625 to 16", |x| (0.0625..=16.0).contains(x))
}

/// Points of accuracy.
pub(crate) fn points(text: &str) -> Result<f64, String> {
    within(text, "0 to 100 points", |x| (0.0..=100.0).contains(x))
}

/// A part of a whole.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    within(text, "0 to 1", |x| (0.0..=1.0).contains(x))
}

/// A probability.
pub(crate) fn probability(text: &str) -> Result<f32, String> {
    within(text, "0 to 1", |x| (0.0..=1.0).contains(x))
}

/// A weight of a part of the loss.
pub(crate) fn weight(text: &str) -> Result<f32, String> {
    within(text, "0 to 1000", |x| (0.0..=1000.0).contains(x))
}

/// A learning rate.
pub(crate) fn learning_rate(text: &str) -> Result<f32, String> {
    within(text, "a positive number such as 0.1", |&x: &f32| x > 0.0 && x.is_finite())
}

/// Seconds of a measurement.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    within(text, "more than 0 and at most 3600 seconds", |&x| x > 0.0 && x <= 3600.0)
}

/// A severity of a corruption.
pub(crate) fn severity(text: &str) -> Result<u8, String> {
    within(text, "1 to 5", |n| (1..=5).contains(n))
}

/// A number of views.
pub(crate) fn views(text: &str) -> Result<usize, String> {
    within(text, "2 to 1000 views", |n| (2..=1000).contains(n))
}

/// Which views of an image are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TtaArg {
    Flip,
    Crops,
    FlipCrops,
    File(PathBuf),
}

/// Views by name or a pipeline file.
pub(crate) fn tta(text: &str) -> Result<TtaArg, String> {
    let path = PathBuf::from(text);
    let is_file =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml") || e.eq_ignore_ascii_case("json"));
    match text {
        "flip" => Ok(TtaArg::Flip),
        "crops" => Ok(TtaArg::Crops),
        "flip-crops" => Ok(TtaArg::FlipCrops),
        _ if is_file => Ok(TtaArg::File(path)),
        _ => Err("expected flip, crops, flip-crops or a pipeline file (*.toml, *.json)".to_owned()),
    }
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
        assert_eq!(
            (memory("2G"), memory("0").is_err(), memory("-1").is_err()),
            (Ok(ByteSize(2 << 30)), true, true)
        );
        assert_eq!((pixels("8"), pixels("1024"), pixels("1025").is_err()), (Ok(8), Ok(1024), true));
        assert_eq!((points("0"), points("100"), points("-0.1").is_err()), (Ok(0.0), Ok(100.0), true));
        assert_eq!((seconds("3600"), seconds("0").is_err()), (Ok(3600.0), true));
    }

    #[test]
    fn views_have_names_or_a_file() {
        assert_eq!((tta("flip"), tta("flip-crops")), (Ok(TtaArg::Flip), Ok(TtaArg::FlipCrops)));
        assert_eq!(tta("a/flip.TOML"), Ok(TtaArg::File("a/flip.TOML".into())));
        assert!(tta("flips").is_err_and(|e| e.contains("flip-crops")));
        assert!(views("1").is_err() && severity("0").is_err() && severity("6").is_err());
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
