//! Values that are no settings: ranges, and views by name or file.

use std::path::PathBuf;

use oculist::range::Range;

/// A part of a whole.
pub(crate) const PART: Range<f64> = Range::new("0 to 1", |x| (0.0..=1.0).contains(x));
/// A severity of a corruption.
pub(crate) const SEVERITY: Range<u8> = Range::new("1 to 5", |n| (1..=5).contains(n));
/// A number of views.
pub(crate) const VIEWS: Range<usize> = Range::new("2 to 1000 views", |n| (2..=1000).contains(n));

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_have_names_or_a_file() {
        assert_eq!((tta("flip"), tta("flip-crops")), (Ok(TtaArg::Flip), Ok(TtaArg::FlipCrops)));
        assert_eq!(tta("a/flip.TOML"), Ok(TtaArg::File("a/flip.TOML".into())));
        assert!(tta("flips").is_err_and(|e| e.contains("flip-crops")));
        let severity = SEVERITY.parser();
        assert!(VIEWS.parser()("1").is_err() && severity("0").is_err() && severity("6").is_err());
    }
}
