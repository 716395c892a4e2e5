//! Labels that are measurements, names of single images or the like, rather than classes.

use crate::error::{Error, shortened};
use std::path::Path;

/// Fewer images a class than this, on average, are too few for classes.
const IMAGES: usize = 3;
/// From so many classes on, too few images for each are worth a line.
const CLASSES: usize = 10;
/// How many labels are looked at for being lists.
const LOOKED_AT: usize = 200;
/// What stands where a measurement is missing, in lower case.
const MISSING: [&str; 7] = ["", "na", "n/a", "none", "null", "nan", "-"];

/// The error for labels that are quantities rather than classes: all are numbers, and a value has fewer than three images
/// on average. Whole numbers may well be classes, so that they count only where `whole` says that nothing else fits.
pub(super) fn continuous(root: &Path, names: &[String], images: usize, whole: bool) -> Option<Error> {
    let values = quantities(names)?;
    let fractions = values.iter().any(|value| value.fract() != 0.0);
    if values.len() * IMAGES <= images || values.len() < 3 || !(fractions || whole) {
        return None;
    }
    let examples = names.iter().take(3).map(|name| shortened(name)).collect::<Vec<_>>().join(", ");
    Some(Error::Continuous { path: root.into(), values: values.len(), images, examples })
}

/// A line on classes that hardly any image has.
pub(super) fn unlikely(names: &[String], classes: usize, images: usize) -> Option<String> {
    if classes < CLASSES || images >= classes * IMAGES {
        return None;
    }
    let each = images as f64 / classes as f64;
    let doubt = if quantities(names).is_some() {
        "the labels are numbers: if they are measurements, this is regression, which oculist does not do"
    } else {
        "if these are names of single images or groups, another column has the classes"
    };
    Some(format!("{classes} classes for {images} images, {each:.1} images a class; {doubt}"))
}

/// A line on labels that look like lists of labels: in brackets, or put together of other labels by `|` or commas.
pub(super) fn lists(names: &[String]) -> Option<String> {
    let parts = |name: &str, separator: char| -> Vec<String> {
        name.split(separator).map(|part| part.trim().to_owned()).collect()
    };
    let known = |part: &String| names.contains(part);
    let is_list = |name: &&String| {
        let of = |separator| {
            let parts = parts(name, separator);
            parts.len() > 1 && parts.iter().all(known)
        };
        name.starts_with("['") || name.starts_with("[\"") || of('|') || of(',')
    };
    // Of very many classes, some are enough.
    let example = names.iter().take(LOOKED_AT).find(is_list)?;
    Some(format!(
        "the label {} looks like a list of several: such images are read with --task multi-label",
        shortened(example)
    ))
}

/// The values of labels that are numbers, all in one unit if in any, apart from some that are missing or no numbers (`nan`).
fn quantities(names: &[String]) -> Option<Vec<f64>> {
    let (mut values, mut missing, mut unit) = (Vec::new(), 0usize, None);
    for name in names {
        if MISSING.contains(&name.trim().to_lowercase().as_str()) {
            missing += 1;
            continue;
        }
        let (value, its_unit) = quantity(name)?;
        if *unit.get_or_insert(its_unit) != its_unit {
            return None;
        }
        if value.is_finite() {
            values.push(value);
        } else {
            missing += 1;
        }
    }
    (values.len() > missing).then_some(values)
}

/// A number and what stands before and behind it: `12.3 mm`, `45%`, `$ 1,200`.
fn quantity(text: &str) -> Option<(f64, (&str, &str))> {
    let text = text.trim();
    if let Ok(value) = text.replace(',', ".").parse::<f64>() {
        return Some((value, ("", "")));
    }
    let of_number = |c: char| c.is_ascii_digit() || "+-.,".contains(c);
    let start = text.find(of_number)?;
    let (before, rest) = text.split_at(start);
    // `id7` and `class 7` are names.
    if before.contains(char::is_alphanumeric) {
        return None;
    }
    let end = rest.find(|c| !of_number(c)).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    // `1,234.5` has commas between thousands.
    let plain = if digits.contains('.') { digits.replace(',', "") } else { digits.replace(',', ".") };
    let value = plain.parse().ok()?;
    // `3x4`, `12-B7` and `5 of 7` are names, too.
    if behind.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((value, (before.trim(), behind.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: impl Fn(usize) -> String) -> Vec<String> {
        (0..20).map(of).collect()
    }

    fn refused(names: &[String], images: usize) -> bool {
        continuous(Path::new("data"), names, images, false).is_some()
    }

    #[test]
    fn measurements_are_known_however_they_are_written() {
        let value = |i: usize| format!("{}.{}", i / 7, (i * 37) % 100);
        assert!(refused(&names(value), 20));
        assert!(refused(&names(|i| format!("{}%", value(i))), 20));
        assert!(refused(&names(|i| format!("{} mm", value(i))), 20));
        assert!(refused(&names(|i| format!("$1,2{i:02}.5")), 20));
        assert!(refused(&names(|i| if i % 4 == 0 { "NaN".into() } else { value(i) }), 20));
        assert!(refused(&names(|i| if i == 0 { "inf".into() } else { value(i) }), 20));
    }

    #[test]
    fn classes_are_no_measurements() {
        let value = |i: usize| format!("{i}.5");
        assert!(!refused(&names(value), 60), "three images for each value");
        assert!(!refused(&names(|i| format!("v{}", value(i))), 20));
        assert!(!refused(&names(|i| format!("{}x{i}", value(i))), 20));
        assert!(!refused(&names(|i| format!("{} {}", value(i), ["mm", "cm"][i % 2])), 20));
        assert!(!refused(&names(|i| i.to_string()), 20), "whole numbers may be classes");
        assert!(!refused(&names(|i| if i < 12 { "nan".into() } else { value(i) }), 20));
    }

    #[test]
    fn labels_of_several_labels_are_told() {
        let of = |names: &[&str]| lists(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for names in [&["a", "b", "a|b"][..], &["a, b", "b", "a"], &["['a', 'b']", "['b']"], &["[\"a\"]"]] {
            assert!(of(names).unwrap().contains("--task multi-label"), "{names:?}");
        }
        for names in [&["Shirt, blue", "Shirt, red", "Shirt"][..], &["a|b", "c|d"], &["[a]", "b"], &["a,"]] {
            assert_eq!(of(names), None, "{names:?}");
        }
    }

    #[test]
    fn hardly_any_image_a_class_is_worth_a_line() {
        let ages = names(|i| i.to_string());
        let text = unlikely(&ages, 20, 30).unwrap();
        assert!(
            text.starts_with("20 classes for 30 images, 1.5 images a class") && text.contains("regression")
        );
        let ids = names(|i| format!("id{i}"));
        assert!(unlikely(&ids, 20, 20).unwrap().contains("another column"));
        assert_eq!(unlikely(&ids, 20, 60), None);
        assert_eq!(unlikely(&ids[..3], 3, 3), None);
    }
}
