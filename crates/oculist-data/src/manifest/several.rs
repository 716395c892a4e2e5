//! Lists of which an image may have several labels: in which form they are written.
//!
//! One column may hold them (`cat;dog`, `cat|dog`, `cat,dog`, `["cat", "dog"]`), several rows may name the same file, or
//! each class has a column of 0 and 1. All rows together tell the form; where they fit two, it is an error that names both,
//! and the user says which ([`LabelForm`]).

use super::marks::Marks;
use super::{Manifest, line_error};
use crate::LabelForm;
use crate::error::{Error, Result, shortened};
use crate::label_field::labels_of;
use serde_json::Value;
use std::collections::HashSet;

/// What a row has where its labels are.
pub(super) enum Raw {
    Text(String),
    /// A list of JSON, which says itself where a label ends.
    List(Vec<String>),
}

/// The labels of all rows, before their form is known.
#[derive(Default)]
pub(super) struct Several {
    /// The form that the user says.
    pub(super) form: Option<LabelForm>,
    /// What each row of the manifest has in its column of labels; a row may have none.
    pub(super) raw: Vec<Option<Raw>>,
    /// The other columns.
    pub(super) marks: Marks,
}

impl Several {
    /// Finds the form, and gives every row its labels.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where two forms fit; a form that the user says and that is not there.
    pub(super) fn settle(self, manifest: &mut Manifest) -> Result<()> {
        // Where no row can be read, there is no form to find: what is wrong with the rows is the cause.
        if manifest.rows.is_empty() {
            return Ok(());
        }
        let has_labels = self.raw.iter().any(Option::is_some);
        match self.form {
            Some(LabelForm::Columns) => return self.marks.into_labels(manifest),
            Some(form) if !has_labels => {
                let found = shortened(&self.marks.names().join(", "));
                return Err(line_error(&manifest.path, 1, &format!("a column label, for {form}"), found));
            }
            None if !has_labels => return self.marks.into_labels(manifest),
            _ => {}
        }
        let pure = self.marks.pure_columns();
        if self.form.is_none() && pure.len() > 1 {
            let columns = format!(
                "0 and 1 for each class in the columns {} (--label-form columns)",
                shortened(&pure.join(", "))
            );
            let one = "the labels in the column label (--label-form semicolons, bars, commas, json or one)";
            let readings = vec![one.to_owned(), columns];
            return Err(Error::Ambiguous { path: manifest.path.clone(), readings });
        }
        let lists = self.raw.iter().flatten().any(|raw| matches!(raw, Raw::List(_)));
        let form = match self.form {
            Some(form) => form,
            None if lists => self.beside_lists(manifest)?,
            None => self.detect(manifest)?,
        };
        // What is read from texts in brackets is not what the other rows show.
        if !lists || form == LabelForm::Json {
            manifest.notes.push(words(form).to_owned());
        }
        // Among texts of another form, what has brackets and quotes is a list all the same, unless the user says the form.
        let listed = |text: &str| self.form.is_none() && form != LabelForm::Json && is_meant_as_list(text);
        let rows = std::mem::take(&mut manifest.rows);
        let mut count = 0;
        for (mut row, raw) in rows.into_iter().zip(self.raw) {
            let labels = match raw {
                None => Ok(Vec::new()),
                Some(Raw::List(labels)) => Ok(labels),
                Some(Raw::Text(text)) if text.trim().is_empty() => Ok(Vec::new()),
                Some(Raw::Text(text)) if listed(&text) => list(&text).ok_or_else(|| {
                    super::bad_row(row.line, &format!("a list of labels ({})", LabelForm::Json), &text)
                }),
                // In JSON Lines with lists, a text is one label.
                Some(Raw::Text(text)) if lists && form == LabelForm::One => Ok(vec![text]),
                Some(Raw::Text(text)) => separated(&text, form)
                    .ok_or_else(|| super::bad_row(row.line, &format!("a list of labels ({form})"), &text)),
            };
            match labels {
                Ok(mut labels) => {
                    labels.sort_unstable();
                    labels.dedup();
                    count += labels.len().max(1);
                    manifest.check_labels(count)?;
                    row.labels = labels;
                    manifest.rows.push(row);
                }
                Err(bad) => manifest.bad.push(bad),
            }
        }
        manifest.bad.sort_by_key(|row| row.line);
        Ok(())
    }

    /// All texts that say something.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.raw.iter().filter_map(|raw| match raw {
            Some(Raw::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.filter(|text| !text.trim().is_empty())
    }

    /// The form of texts where other rows have lists of JSON: each is one label, unless it could be several.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] with the lines of a list and of a text that has a separator and is in no list as it stands.
    fn beside_lists(&self, manifest: &Manifest) -> Result<LabelForm> {
        let form = self.detect(manifest)?;
        if matches!(form, LabelForm::One | LabelForm::Json) {
            return Ok(form);
        }
        let rows = || manifest.rows.iter().zip(&self.raw);
        let lists = rows().filter_map(|(row, raw)| match raw {
            Some(Raw::List(labels)) => Some((row.line, labels)),
            _ => None,
        });
        let known: HashSet<&str> = lists.clone().flat_map(|(_, labels)| labels).map(String::as_str).collect();
        let text = rows().find_map(|(row, raw)| match raw {
            Some(Raw::Text(text)) if !is_meant_as_list(text) && !known.contains(text.as_str()) => {
                let several = separated(text, form).is_some_and(|labels| labels.len() > 1);
                several.then_some((row.line, text))
            }
            _ => None,
        });
        let (Some((line, text)), Some((list, _))) = (text, lists.clone().next()) else {
            return Ok(LabelForm::One);
        };
        let text = shortened(text);
        let readings = vec![
            format!(
                "line {list} has a list, so that the text {text} of line {line} is one label (--label-form one)"
            ),
            format!("{} in the text {text} of line {line} (--label-form {form})", words(form)),
        ];
        Err(Error::Ambiguous { path: manifest.path.clone(), readings })
    }

    /// The form of texts.
    fn detect(&self, manifest: &Manifest) -> Result<LabelForm> {
        let is_list = |text: &str| list(text).is_some() || is_meant_as_list(text);
        let (lists, all) = (self.texts().filter(|text| is_list(text)).count(), self.texts().count());
        if all > 0 && lists * 2 >= all {
            return Ok(LabelForm::Json);
        }
        // The few that are lists all the same do not tell how the others are written. One that is broken is a fault of its
        // row, and no reason to take brackets and quotes for parts of names.
        let texts = || self.texts().filter(|text| !is_meant_as_list(text));
        let fits = [
            (LabelForm::Semicolons, texts().find(|text| labels_of(text).len() > 1)),
            (LabelForm::Bars, texts().find(|text| text.contains('|'))),
            (LabelForm::Commas, texts().find(|text| text.contains(','))),
        ];
        let found: Vec<(LabelForm, &str)> =
            fits.into_iter().filter_map(|(form, example)| Some((form, example?))).collect();
        match found[..] {
            [] => Ok(LabelForm::One),
            [(only, _)] => Ok(only),
            _ => {
                let reading = |(form, example): &(LabelForm, &str)| {
                    format!("{}, as in {} (--label-form {form})", words(*form), shortened(example))
                };
                let readings = found.iter().map(reading).collect();
                Err(Error::Ambiguous { path: manifest.path.clone(), readings })
            }
        }
    }
}

fn words(form: LabelForm) -> &'static str {
    match form {
        LabelForm::Semicolons => "labels are separated by semicolons",
        LabelForm::Bars => "labels are separated by |",
        LabelForm::Commas => "labels are separated by commas",
        LabelForm::Json => "labels are lists in brackets",
        LabelForm::One => "each row has one label at most",
        LabelForm::Columns => "each class has a column",
    }
}

/// The labels of a field; None if it is not of this form.
fn separated(text: &str, form: LabelForm) -> Option<Vec<String>> {
    let by = |separator: char| {
        let parts = text.split(separator).map(str::trim).filter(|label| !label.is_empty());
        Some(parts.map(str::to_owned).collect())
    };
    match form {
        LabelForm::Semicolons => Some(labels_of(text)),
        LabelForm::Bars => by('|'),
        LabelForm::Commas => by(','),
        LabelForm::Json if text.trim().is_empty() => Some(Vec::new()),
        LabelForm::Json => list(text),
        LabelForm::One | LabelForm::Columns => {
            // As `label_field` writes it, or as it stands.
            let mut labels = labels_of(text);
            if labels.len() > 1 {
                labels = vec![text.trim().to_owned()];
            }
            Some(labels)
        }
    }
}

/// True for text with a bracket and a quote at its beginning or its end, as lists of texts have, whole or broken.
fn is_meant_as_list(text: &str) -> bool {
    let is_quote = |c| matches!(c, '\'' | '"');
    let text = text.trim();
    text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(is_quote))
        || text.strip_suffix(']').is_some_and(|rest| rest.trim_end().ends_with(is_quote))
}

/// A list as JSON or Python write it: `["cat", 'dog', 3]`.
fn list(text: &str) -> Option<Vec<String>> {
    let one = |value: Value| match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let text = text.trim();
    if let Ok(values) = serde_json::from_str::<Vec<Value>>(text) {
        return values.into_iter().map(one).collect();
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut labels, mut rest) = (Vec::new(), inner.trim());
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let (label, behind) = match quote {
            Some(quote) => rest[1..].split_once(quote)?,
            None => rest.find(',').map_or((rest, ""), |comma| rest.split_at(comma)),
        };
        let behind = behind.trim_start();
        let next = if behind.is_empty() { behind } else { behind.strip_prefix(',')?.trim_start() };
        let label = label.trim();
        if label.is_empty() || label.contains(['[', ']']) {
            return None;
        }
        labels.push(label.to_owned());
        rest = next;
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_json_and_python() {
        let read = |text| list(text).map(|labels| labels.join("/"));
        assert_eq!(read("[\"cat\", \"a, b\"]").as_deref(), Some("cat/a, b"));
        assert_eq!(read(" ['cat', 'it, too', 3] ").as_deref(), Some("cat/it, too/3"));
        assert_eq!(read("[cat, dog]").as_deref(), Some("cat/dog"));
        assert_eq!(read("[]").as_deref(), Some(""));
        for broken in ["cat", "[cat", "['cat' 'dog']", "[[1]]", "['']", "[{}]", "['cat"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn fields_by_their_form() {
        let read = |text, form| separated(text, form).map(|labels| labels.join("/"));
        assert_eq!(read(r" a ;nuts\; bolts;", LabelForm::Semicolons).as_deref(), Some("a/nuts; bolts"));
        assert_eq!(read("a| b||", LabelForm::Bars).as_deref(), Some("a/b"));
        assert_eq!(read("a, b", LabelForm::Commas).as_deref(), Some("a/b"));
        assert_eq!(read("a, b", LabelForm::One).as_deref(), Some("a, b"));
        assert_eq!(read("a; b", LabelForm::One).as_deref(), Some("a; b"));
        assert_eq!(read("", LabelForm::Json).as_deref(), Some(""));
        assert_eq!(read("a", LabelForm::Json), None);
    }
}
