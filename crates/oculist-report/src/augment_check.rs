//! The check of an augmentation as JSON, page and table; the schema is in `docs/augmentation.md`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use oculist_text::visible;

use crate::page::{Base, Picture, picture, render};
use crate::{Align, Png, ReportError, Table, format};

/// Version of the schema of `augment-check.json`.
pub const AUGMENT_CHECK_VERSION: u32 = 1;

/// What is to be thought of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AugmentVerdict {
    /// No class loses accuracy by more than chance.
    #[default]
    Safe,
    /// A class loses accuracy, but to no other class in particular, or many classes to one.
    Harder,
    /// A class is taken for another one.
    ChangesClasses,
}

impl AugmentVerdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Harder => "harder",
            Self::ChangesClasses => "changes classes",
        }
    }
}

/// One class under an operation; accuracies in percent, differences in points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AugmentClass {
    /// Its name.
    pub class: String,
    /// Images looked at.
    pub images: usize,
    /// Accuracy on the images as they are.
    pub accuracy: f64,
    /// Accuracy after the operation.
    pub accuracy_after: f64,
    /// Their difference.
    pub drop: f64,
    /// The lower end of its margin.
    pub drop_low: f64,
}

/// A class that is taken for another one after an operation; all shares are of the class's images, in percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AugmentPair {
    /// The class.
    pub class: String,
    /// What it is taken for.
    pub called: String,
    /// Share of images taken for it as they are.
    pub before: f64,
    /// Share of images taken for it after the operation.
    pub after: f64,
    /// Their difference.
    pub share: f64,
    /// The lower end of its margin.
    pub share_low: f64,
    /// Whether many other classes are taken for the same one: what the classifier says of anything unknown.
    pub sink: bool,
    /// An image that this happens to.
    pub image: String,
    /// The picture; not in the JSON.
    #[serde(skip)]
    pub original: Option<Png>,
    /// The picture after the operation; not in the JSON.
    #[serde(skip)]
    pub changed: Option<Png>,
}

/// One operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AugmentOperation {
    /// Its name.
    pub operation: String,
    /// The operation as in a pipeline file.
    pub parameters: serde_json::Value,
    /// The verdict.
    pub verdict: AugmentVerdict,
    /// Top-1 after the operation, percent.
    pub top1_after: f64,
    /// Every class that has images.
    pub classes: Vec<AugmentClass>,
    /// The pairs confused because of the operation, most frequent first.
    pub pairs: Vec<AugmentPair>,
}

/// The whole check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AugmentCheck {
    /// Version of the schema.
    pub schema_version: u32,
    /// Version of oculist that wrote it.
    pub oculist_version: String,
    /// The data set.
    pub data: String,
    /// The seed.
    pub seed: u64,
    /// The classifier in words, or its file.
    pub classifier: String,
    /// Images looked at.
    pub images: usize,
    /// What so few images can tell; empty where there are enough.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caution: String,
    /// Top-1 on the images as they are, percent.
    pub top1: f64,
    /// Each operation, in the order of the pipeline.
    pub operations: Vec<AugmentOperation>,
}

impl AugmentCheck {
    /// The check as JSON.
    ///
    /// # Errors
    /// [`ReportError::Json`] if it cannot be written, which no content makes happen.
    pub fn to_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Operations that change classes first, then by accuracy lost.
    fn sorted(&self) -> Vec<&AugmentOperation> {
        let mut all: Vec<&AugmentOperation> = self.operations.iter().collect();
        let rank = |o: &AugmentOperation| match o.verdict {
            AugmentVerdict::ChangesClasses => 0,
            AugmentVerdict::Harder => 1,
            AugmentVerdict::Safe => 2,
        };
        all.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.top1_after.total_cmp(&b.top1_after)));
        all
    }

    fn sentence(&self) -> String {
        let space = if self.caution.is_empty() { "" } else { " " };
        format!(
            "{} validation images; the classifier ({}) is right about {} of them as they are.{space}{}",
            format::grouped(self.images as u64),
            self.classifier,
            format::percent(self.top1),
            self.caution
        )
    }

    /// The table for the terminal.
    pub fn table(&self) -> String {
        let mut table = Table::new(&[
            ("operation", Align::Left),
            ("top-1", Align::Right),
            ("verdict", Align::Left),
            ("what happens", Align::Left),
        ]);
        for o in self.sorted() {
            let what = worst(o);
            table.row([
                o.operation.clone(),
                format::percent(o.top1_after),
                o.verdict.text().to_owned(),
                what,
            ]);
        }
        format!("{}\n\n{table}", visible(&self.sentence()))
    }
}

/// The pairs, or the class that loses most, in words.
fn worst(o: &AugmentOperation) -> String {
    const SHOWN: usize = 2;
    let pair =
        |p: &AugmentPair| format!("{} -> {} in {:.0}% (>= {:.0}%)", p.class, p.called, p.share, p.share_low);
    let (sinks, clear): (Vec<&AugmentPair>, Vec<&AugmentPair>) = o.pairs.iter().partition(|p| p.sink);
    let mut parts: Vec<String> = clear.iter().take(SHOWN).map(|p| pair(p)).collect();
    if clear.len() > SHOWN {
        parts.push(format!("{} more", clear.len() - SHOWN));
    }
    let called: std::collections::BTreeSet<&str> = sinks.iter().map(|p| p.called.as_str()).collect();
    parts.extend(called.into_iter().map(|called| format!("many classes -> {called}")));
    let mut text = parts.join(", ");
    if text.is_empty()
        && o.verdict == AugmentVerdict::Harder
        && let Some(c) = o.classes.iter().max_by(|a, b| a.drop.total_cmp(&b.drop))
    {
        let _ = write!(text, "{}: {:.0}% -> {:.0}%", c.class, c.accuracy, c.accuracy_after);
    }
    text
}

#[derive(Serialize)]
struct Page {
    sentence: String,
    operations: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    operation: String,
    parameters: String,
    verdict: &'static str,
    /// Style class of the verdict.
    tone: &'static str,
    top1: String,
    /// In words, where there are no pairs to show.
    what: String,
    pairs: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    image: String,
    /// The pictures, each with what it is.
    pictures: Vec<(Picture, &'static str)>,
    caption: String,
}

/// The page, in the style of the report: a row for each operation, the worst first, with an image for each pair that it makes
/// confused. It is one file that loads nothing; all strings are escaped.
///
/// # Errors
/// [`ReportError::Template`] if the template fails, which no content makes it do.
pub fn render_augment_check_html(check: &AugmentCheck) -> Result<String, ReportError> {
    let page = Page { sentence: check.sentence(), operations: check.sorted().into_iter().map(row).collect() };
    let base = Base::new(format!("Augmentation check of {}", check.data), check.oculist_version.as_str());
    render("augment_check.html", base, page)
}

fn row(o: &AugmentOperation) -> Row {
    Row {
        operation: o.operation.clone(),
        parameters: o.parameters.to_string(),
        verdict: o.verdict.text(),
        tone: match o.verdict {
            AugmentVerdict::Safe => "better",
            AugmentVerdict::Harder => "harder",
            AugmentVerdict::ChangesClasses => "worse",
        },
        top1: format::percent(o.top1_after),
        what: if o.pairs.is_empty() { worst(o) } else { String::new() },
        pairs: o.pairs.iter().map(shown).collect(),
    }
}

fn shown(p: &AugmentPair) -> Shown {
    let pictures = [(&p.original, "as it is"), (&p.changed, "after the operation")];
    Shown {
        image: p.image.clone(),
        pictures: pictures
            .into_iter()
            .filter_map(|(png, what)| Some((picture(png.as_ref()?), what)))
            .collect(),
        caption: format!(
            "{} taken for {}{}: {:.1}% before, {:.1}% after (at least {:.1} points more)",
            p.class,
            p.called,
            if p.sink { ", as many other classes are" } else { "" },
            p.before,
            p.after,
            p.share_low
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> AugmentCheck {
        let pair = AugmentPair {
            class: "six <6>".into(),
            called: "nine".into(),
            before: 1.0,
            after: 91.0,
            share: 90.0,
            share_low: 81.0,
            original: Some(Png(vec![1])),
            changed: Some(Png(vec![2])),
            ..AugmentPair::default()
        };
        let class = AugmentClass {
            class: "one".into(),
            images: 50,
            accuracy: 98.0,
            accuracy_after: 60.0,
            ..AugmentClass::default()
        };
        let operation = |name: &str, verdict, top1_after| AugmentOperation {
            operation: name.into(),
            verdict,
            top1_after,
            ..AugmentOperation::default()
        };
        AugmentCheck {
            data: "digits".into(),
            images: 1000,
            top1: 97.0,
            operations: vec![
                operation("hue", AugmentVerdict::Safe, 97.0),
                AugmentOperation { classes: vec![class], ..operation("rain", AugmentVerdict::Harder, 90.0) },
                AugmentOperation {
                    pairs: vec![pair],
                    ..operation("vertical_flip", AugmentVerdict::ChangesClasses, 95.0)
                },
            ],
            ..AugmentCheck::default()
        }
    }

    #[test]
    fn the_worst_comes_first_and_pairs_are_named() {
        let table = check().table();
        let places = ["vertical_flip", "rain", "hue"].map(|name| table.find(name).unwrap());
        assert!(places.is_sorted(), "{table}");
        for part in ["six <6> -> nine in 90% (>= 81%)", "one: 98% -> 60%", "97.00% of them"] {
            assert!(table.contains(part), "{part} in {table}");
        }
    }

    #[test]
    fn the_page_shows_both_pictures_and_names_cannot_break_it() {
        let page = render_augment_check_html(&check()).unwrap();
        assert_eq!(page.matches("<img ").count(), 2);
        assert!(page.contains("six &lt;6&gt; taken for nine") && !page.contains("six <6>"), "{page}");
    }

    #[test]
    fn json_comes_back_without_pictures() {
        let mut want = check();
        let text = want.to_json().unwrap();
        assert!(text.contains("\"changes_classes\"") && !text.contains("original"));
        (want.operations[2].pairs[0].original, want.operations[2].pairs[0].changed) = (None, None);
        assert_eq!(serde_json::from_str::<AugmentCheck>(&text).unwrap(), want);
    }
}
