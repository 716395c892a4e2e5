//! Which class of some data is which class of a model: by name, whatever the order.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization;

use crate::summary::counted;

/// So many names of a list are written out.
const NAMED: usize = 4;

/// The model's class of each class of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassMatch {
    /// By the data's class: the model's class; none if the model does not know it or no image has it.
    pub(crate) labels: Vec<Option<u32>>,
    /// Classes of the data that have images and that the model does not know.
    pub(crate) unknown: Vec<usize>,
    /// Classes of the model that no image has.
    pub(crate) absent: Vec<usize>,
    /// What was assumed, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Matches the classes of a model and of some data, of which class i has `counts[i]` images.
///
/// Names that are equal belong together. Then those that are equal up to case, surrounding space and the composition of
/// accents (Unicode NFC), where each has only one such partner. If none is found so and the data's names are numbers, they
/// are the numbers in the model's names (`7` and `class 7`), or else, if they are bare, places in the model's list from 0.
pub(crate) fn match_classes(model: &[String], data: &[String], counts: &[usize]) -> ClassMatch {
    let present: Vec<usize> = (0..data.len()).filter(|&c| counts.get(c).is_some_and(|&n| n > 0)).collect();
    let mut labels = vec![None; data.len()];
    let mut taken = vec![false; model.len()];
    let mut notes = Vec::new();
    let exact = unique(model, |name| Some(name.to_owned()));
    for &class in &present {
        if let Some(&at) = exact.get(&data[class]) {
            (labels[class], taken[at]) = (Some(at as u32), true);
        }
    }
    let folded = unique(model, |name| Some(folded(name)));
    let mut similar: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &class in present.iter().filter(|&&class| labels[class].is_none()) {
        if let Some(&at) = folded.get(&self::folded(&data[class])).filter(|&&at| !taken[at]) {
            similar.entry(at).or_default().push(class);
        }
    }
    for (at, classes) in similar {
        if let [class] = classes[..] {
            (labels[class], taken[at]) = (Some(at as u32), true);
            notes.push(format!(
                "class {} is taken for the model's {}",
                shown(&data[class]),
                shown(&model[at])
            ));
        }
    }
    if labels.iter().all(Option::is_none) {
        notes.extend(by_number(model, data, &present, &mut labels));
    }
    let unknown = present.into_iter().filter(|&class| labels[class].is_none()).collect();
    let found: Vec<u32> = labels.iter().copied().flatten().collect();
    let absent = (0..model.len()).filter(|&at| !found.contains(&(at as u32))).collect();
    ClassMatch { labels, unknown, absent, notes }
}

/// Matches by numbers and says how, if all classes that have images are numbers that name a class of the model.
fn by_number(
    model: &[String],
    data: &[String],
    present: &[usize],
    labels: &mut [Option<u32>],
) -> Option<String> {
    let numbers = unique(model, number);
    let named = numbers.len() == model.len();
    let find = |class: usize| {
        let name = data[class].trim();
        if named {
            return numbers.get(&number(name)?).copied();
        }
        // Only a bare number is a place: `class 7` is a name that somebody gave.
        let bare = name.bytes().all(|b| b.is_ascii_digit());
        name.parse().ok().filter(|&place: &usize| bare && place < model.len())
    };
    let found: Vec<usize> = present.iter().map(|&class| find(class)).collect::<Option<_>>()?;
    let distinct: std::collections::BTreeSet<&usize> = found.iter().collect();
    if found.is_empty() || distinct.len() != found.len() {
        return None;
    }
    for (&class, &at) in present.iter().zip(&found) {
        labels[class] = Some(at as u32);
    }
    let (first, at) = (shown(&data[present[0]]), shown(&model[found[0]]));
    Some(if named {
        format!("classes are matched by their numbers: {first} is the model's {at}")
    } else {
        format!("the data's classes are numbers, taken as places in the model's list from 0: {first} is {at}")
    })
}

/// Where each key is in the list; keys that come more than once are left out.
fn unique<K: Ord>(names: &[String], key: impl Fn(&str) -> Option<K>) -> BTreeMap<K, usize> {
    let mut all: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        if let Some(key) = key(name) {
            all.entry(key).or_default().push(at);
        }
    }
    all.into_iter()
        .filter_map(|(key, at)| if let [only] = at[..] { Some((key, only)) } else { None })
        .collect()
}

/// A name without what people do not mean: case, surrounding space, the composition of accents.
fn folded(name: &str) -> String {
    name.trim().nfc().collect::<String>().to_lowercase().nfc().collect()
}

/// The number that a name is: `7`, `07`, `class 7`, `class_7`.
fn number(name: &str) -> Option<u64> {
    let name = name.trim().to_lowercase();
    let digits =
        name.strip_prefix("class").map_or(&name[..], |rest| rest.trim_start_matches([' ', '_', '-']));
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A name in quotes, with what cannot be seen as escapes.
pub(crate) fn shown(name: &str) -> String {
    format!("\"{}\"", oculist_text::visible(name))
}

/// The first names of a list, quoted, and the number of the others.
pub(crate) fn short_list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    list_up_to(NAMED, names)
}

/// So many names, and how many more there are.
pub(crate) fn list_up_to<'a>(most: usize, names: impl IntoIterator<Item = &'a String>) -> String {
    let all: Vec<&String> = names.into_iter().collect();
    let some: Vec<String> = all.iter().take(most).map(|name| shown(name)).collect();
    let rest = all.len().saturating_sub(most);
    if rest > 0 { format!("{}, and {rest} more", some.join(", ")) } else { some.join(", ") }
}

impl ClassMatch {
    /// The problem of classes that the model does not know; none without such.
    pub(crate) fn problem(&self, model: &[String], data: &[String], counts: &[usize]) -> Option<String> {
        let first = *self.unknown.first()?;
        let images = |class: usize| counted(counts[class], "image", "images");
        let some: Vec<String> = self
            .unknown
            .iter()
            .take(NAMED)
            .map(|&c| format!("{} ({})", shown(&data[c]), images(c)))
            .collect();
        let rest = self.unknown.len().saturating_sub(NAMED);
        let mut text = format!(
            "{} of the data {} not among the model's {}: {}",
            counted(self.unknown.len(), "class", "classes"),
            if self.unknown.len() == 1 { "is" } else { "are" },
            model.len(),
            some.join(", ")
        );
        if rest > 0 {
            let _ = write!(text, ", and {rest} more");
        }
        let alike = |&at: &usize| Some((at, difference(&data[first], &model[at])?));
        match self.absent.iter().find_map(alike) {
            Some((at, difference)) => {
                let _ = write!(
                    text,
                    "; {} looks like the model's class {at}, {}, but {difference}",
                    shown(&data[first]),
                    shown(&model[at])
                );
            }
            None => {
                let _ = write!(text, "; the model knows {}", short_list(model));
            }
        }
        Some(text)
    }

    /// The problem of classes that the model knows and the data do not have; none without such.
    pub(crate) fn missing(&self, model: &[String]) -> Option<String> {
        let names = self.absent.iter().map(|&at| &model[at]);
        (!self.absent.is_empty()).then(|| {
            format!(
                "{} of its {} classes have no images in the data: {}",
                self.absent.len(),
                model.len(),
                short_list(names)
            )
        })
    }
}

/// Where two names of nearly the same characters differ, by code points; none for names that are plainly different.
fn difference(a: &str, b: &str) -> Option<String> {
    let visible = |name: &str| -> Vec<char> {
        name.nfkd().filter(|c| c.is_alphanumeric() && !oculist_text::is_hidden(*c)).collect()
    };
    let (x, y) = (visible(a), visible(b));
    let other = x.iter().zip(&y).filter(|(x, y)| x != y).count();
    // One character in four may be another one that looks the same, such as a Cyrillic letter.
    let alike = x.len() == y.len()
        && other <= x.len().div_ceil(4)
        && x.iter().zip(&y).all(|(x, y)| x == y || x.is_ascii() != y.is_ascii());
    if !alike || x.is_empty() {
        return None;
    }
    let at = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let point =
        |name: &str| name.chars().nth(at).map_or("its end".into(), |c| format!("U+{:04X}", u32::from(c)));
    Some(format!("character {} is {} here and {} there", at + 1, point(a), point(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn matched(model: &[&str], data: &[&str]) -> ClassMatch {
        match_classes(&names(model), &names(data), &vec![1; data.len()])
    }

    #[test]
    fn order_and_subsets_do_not_matter() {
        let found = matched(&["a", "b", "c"], &["c", "a"]);
        assert_eq!((found.labels, found.unknown, found.absent), (vec![Some(2), Some(0)], vec![], vec![1]));
        assert!(found.notes.is_empty());
        // A class without images is nobody's concern.
        let found = match_classes(&names(&["a"]), &names(&["a", "z"]), &[3, 0]);
        assert_eq!((found.labels, found.unknown), (vec![Some(0), None], vec![]));
    }

    #[test]
    fn case_space_and_composition_are_forgiven_and_said() {
        let found = matched(&["Caf\u{e9}", "dog", "owl"], &["cafe\u{301}", "Dog ", "owl"]);
        assert_eq!(found.labels, [Some(0), Some(1), Some(2)]);
        assert_eq!(found.notes.len(), 2);
        assert!(found.notes[1].contains("\"Dog \" is taken for the model's \"dog\""), "{:?}", found.notes);
        // Where it would be a guess, it is not made: two that mean one, and one that means two.
        assert_eq!(matched(&["dog"], &["Dog", "DOG"]).unknown, [0, 1]);
        assert_eq!(matched(&["dog"], &["dog", "Dog"]).unknown, [1]);
        assert_eq!(matched(&["dog", "Dog"], &["DOG"]).unknown, [0]);
        assert_eq!(matched(&["dog", "Dog"], &["Dog", "dog"]).labels, [Some(1), Some(0)]);
        assert_eq!(matched(&["dog", "dog"], &["dog"]).unknown, [0]);
    }

    #[test]
    fn numbers_name_numbers_or_places() {
        let found = matched(&["class 0", "class 1", "class 2"], &["2", "0"]);
        assert_eq!(found.labels, [Some(2), Some(0)]);
        let found = matched(&["Bag", "Coat", "Shirt"], &["0", "2"]);
        assert_eq!(found.labels, [Some(0), Some(2)]);
        assert!(found.notes[0].contains("\"0\" is \"Bag\""), "{:?}", found.notes);
        // Numbers past the end, equal numbers, and names among them match nothing.
        assert_eq!(matched(&["Bag", "Coat"], &["1", "2"]).unknown, [0, 1]);
        assert_eq!(matched(&["Bag", "Coat"], &["1", "01"]).unknown, [0, 1]);
        assert_eq!(matched(&["Bag", "Coat"], &["0", "one"]).unknown, [0, 1]);
        assert_eq!(matched(&["Bag", "Coat"], &["class0", "class1"]).unknown, [0, 1]);
        assert_eq!(matched(&["0", "Coat"], &["0", "1"]).unknown, [1], "what has a name is matched by name");
    }

    #[test]
    fn classes_that_look_equal_are_told_apart() {
        // The second letter is Cyrillic.
        let (model, data) = (names(&["cat", "dog"]), names(&["c\u{430}t", "dog"]));
        let found = match_classes(&model, &data, &[7, 1]);
        let text = found.problem(&model, &data, &[7, 1]).unwrap();
        assert!(text.contains("(7 images)") && text.contains("model's class 0"), "{text}");
        assert!(text.contains("character 2 is U+0430 here and U+0061 there"), "{text}");
        let (model, data) = (names(&["cat"]), names(&["ca\u{200b}t"]));
        let text = match_classes(&model, &data, &[1]).problem(&model, &data, &[1]).unwrap();
        assert!(text.contains("ca\\u{200b}t") && text.contains("character 3 is U+200B"), "{text}");
        let (model, data) = (names(&["a", "b", "c", "d", "e", "f"]), names(&["owl"]));
        let text = match_classes(&model, &data, &[1]).problem(&model, &data, &[1]).unwrap();
        assert!(
            text.starts_with("1 class of the data is not among the model's 6: \"owl\" (1 image)"),
            "{text}"
        );
        assert!(text.ends_with("the model knows \"a\", \"b\", \"c\", \"d\", and 2 more"), "{text}");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..6).map(|i| format!("c{i}")).collect();
        assert_eq!(short_list(&names), "\"c0\", \"c1\", \"c2\", \"c3\", and 2 more");
        assert_eq!(short_list(&names[..2]), "\"c0\", \"c1\"");
    }
}
