//! A model's answers as a CSV file: of the test images of a run, and of the files given to `predict`.
//!
//! Fields are quoted as RFC 4180 says, so that commas, quotes and line breaks of names come back as they were.

use std::path::Path;

use oculist_data::{Subset, label_field, path_text};
use oculist_report::Model as ModelFacts;

use crate::judging::{Answers, OfTask};
use crate::predict::Predicted;
use crate::summary::Measured;

/// Before the name of a class, in the heading of the column of its probabilities: no class can be taken for another column.
const PROBABILITY: &str = "p:";

/// Up to this many classes the file of a run has a column for each; it grows with images times classes.
pub(crate) const CLASS_COLUMNS: usize = ModelFacts::MATRIX_CLASSES;

/// What a model answered on each test image, `test`, in their order.
///
/// Columns: `image`, `truth`, `predicted`, `probability` (of the predicted class; only where an image has one class),
/// `model` (its file), and up to [`CLASS_COLUMNS`] classes `p:CLASS` for each. Several labels of an image are one field, as
/// in the lists that are read: `;` between them, a backslash before a `;` of their own.
pub(crate) fn of_run(
    model: &Measured,
    test: &Answers,
    class_names: &[String],
    images: &Subset,
    root: Option<&Path>,
) -> Result<Vec<u8>, csv::Error> {
    let columns = if class_names.len() <= CLASS_COLUMNS { class_names } else { &[] };
    let mut head = vec!["image", "truth", "predicted"];
    let single = matches!(test.of_task, OfTask::One(_));
    head.extend(single.then_some("probability"));
    head.push("model");
    let mut out = begin(&head, columns)?;
    let count = match &test.of_task {
        OfTask::One(found) => found.predictions.len(),
        OfTask::Several(found) => found.targets.len(),
    };
    for i in 0..count {
        let mut row = vec![image_name(images, i, root)];
        let probabilities: &[f32] = match &test.of_task {
            OfTask::One(found) => {
                let name = |class: u32| class_names.get(class as usize).cloned().unwrap_or_default();
                row.extend([name(found.labels[i]), name(found.predictions[i])]);
                row.push(number(found.confidences[i]));
                let classes = model.probabilities.len() / count;
                &model.probabilities[i * classes..(i + 1) * classes]
            }
            OfTask::Several(found) => {
                row.extend([
                    joined(found.targets.row(i), class_names),
                    joined(&found.answer(i), class_names),
                ]);
                found.row(i)
            }
        };
        row.push(model.file.clone());
        row.extend(probabilities.iter().take(columns.len()).map(|&p| number(p)));
        out.write_record(&row)?;
    }
    end(out)
}

/// What `predict` found, one row for each file in its order.
///
/// Columns: `image`, `predicted`, `probability` (only where an image has one class), `none_of_these` (`true` or `false`) and
/// `score` (only where it was asked for), `error` (why a file has no answer), and `p:CLASS` for each class.
pub(crate) fn of_files(found: &Predicted) -> Result<Vec<u8>, csv::Error> {
    let mut head = vec!["image", "predicted"];
    head.extend((!found.several).then_some("probability"));
    head.extend(found.rejects.then_some(["none_of_these", "score"]).into_iter().flatten());
    head.push("error");
    let mut out = begin(&head, &found.class_names)?;
    for (i, prediction) in found.predictions.iter().enumerate() {
        let best = prediction.top.first();
        let mut row = vec![prediction.path.clone()];
        if found.several {
            let labels = prediction.labels.iter().flatten();
            row.push(labels.map(|label| label_field(label)).collect::<Vec<_>>().join(";"));
        } else {
            row.push(best.map_or(String::new(), |guess| guess.class.clone()));
            row.push(best.map_or(String::new(), |guess| number(guess.confidence as f32)));
        }
        if found.rejects {
            let of = prediction.reject.as_ref();
            row.push(of.map_or(String::new(), |reject| reject.none_of_these.to_string()));
            row.push(of.map_or(String::new(), |reject| number(reject.score as f32)));
        }
        row.push(prediction.error.clone().unwrap_or_default());
        let probabilities = found.probabilities.get(i).map_or(&[][..], Vec::as_slice);
        row.extend(probabilities.iter().map(|&p| number(p)));
        // A file that could not be read has no probabilities, but its row is as long as the others.
        row.resize(head.len() + found.class_names.len(), String::new());
        out.write_record(&row)?;
    }
    end(out)
}

fn begin(head: &[&str], class_names: &[String]) -> Result<csv::Writer<Vec<u8>>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let classes = class_names.iter().map(|class| format!("{PROBABILITY}{class}"));
    out.write_record(head.iter().map(|&name| name.to_owned()).chain(classes))?;
    Ok(out)
}

fn end(out: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    out.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}

/// The shortest text that is read as the same f32.
fn number(p: f32) -> String {
    format!("{p:?}")
}

/// Several labels in one field.
fn joined(classes: &[u32], class_names: &[String]) -> String {
    let names = classes.iter().filter_map(|&class| class_names.get(class as usize));
    names.map(|name| label_field(name)).collect::<Vec<_>>().join(";")
}

/// An image's path below the folder of the data, or what else it is called.
fn image_name(images: &Subset, i: usize, root: Option<&Path>) -> String {
    let below = |path: &Path| -> String {
        let short = root.and_then(|root| path.strip_prefix(root).ok()).filter(|p| !p.as_os_str().is_empty());
        path_text(short.unwrap_or(path)).0
    };
    match images.path(i) {
        Some(path) => below(path),
        None => below(Path::new(&images.name(i))),
    }
}

#[cfg(test)]
mod tests {
    use oculist_data::labels_of;
    use oculist_report::Guess;
    use oculist_report::terminal::{Prediction, Rejection};

    use super::*;

    const AWKWARD: [&str; 4] = ["a, b", "line\nbreak", "say \"no\"", "semi;colon"];

    fn read(bytes: &[u8]) -> (Vec<String>, Vec<Vec<String>>) {
        let mut reader = csv::Reader::from_reader(bytes);
        let head = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let row = |r: csv::Result<csv::StringRecord>| r.unwrap().iter().map(str::to_owned).collect();
        (head, reader.records().map(row).collect())
    }

    fn predicted(several: bool) -> Predicted {
        let guess = |i: usize| Guess { class: AWKWARD[i].into(), confidence: 0.75 };
        let answer = Prediction {
            path: "dir/x, \"1\"\n.png".into(),
            top: vec![guess(3), guess(0)],
            labels: several.then(|| vec![AWKWARD[3].into(), AWKWARD[0].into()]),
            ..Prediction::default()
        };
        let broken =
            Prediction { path: "b".into(), error: Some("cut, short".into()), ..Prediction::default() };
        Predicted {
            predictions: vec![answer, broken],
            class_names: AWKWARD.map(String::from).to_vec(),
            several,
            probabilities: vec![vec![0.25, 1e-12, 0.1, 0.75], Vec::new()],
            ..Predicted::default()
        }
    }

    #[test]
    fn names_of_any_letters_come_back() {
        let (head, rows) = read(&of_files(&predicted(false)).unwrap());
        assert_eq!(head[..4], ["image", "predicted", "probability", "error"]);
        assert_eq!(head[4..], AWKWARD.map(|class| format!("p:{class}")));
        assert_eq!(rows[0][..4], ["dir/x, \"1\"\n.png", "semi;colon", "0.75", ""]);
        assert_eq!(rows[0][5].parse::<f32>(), Ok(1e-12));
        assert_eq!(rows[1][..4], ["b", "", "", "cut, short"]);
        assert!(rows[1].len() == 8 && rows[1][4..].iter().all(String::is_empty));
    }

    #[test]
    fn what_is_none_of_the_classes_has_columns_where_that_was_asked() {
        let mut found = predicted(false);
        assert!(!read(&of_files(&found).unwrap()).0.contains(&"none_of_these".to_owned()));
        found.rejects = true;
        found.predictions[0].reject = Some(Rejection { score: 0.5, threshold: 1.25, none_of_these: true });
        let (head, rows) = read(&of_files(&found).unwrap());
        assert_eq!(head[2..6], ["probability", "none_of_these", "score", "error"]);
        assert_eq!(rows[0][2..6], ["0.75", "true", "0.5", ""]);
        assert_eq!(rows[1][2..6], ["", "", "", "cut, short"]);
        assert!(rows.iter().all(|row| row.len() == head.len()));
    }

    #[test]
    fn several_labels_are_one_field_that_lists_are_read_from() {
        let (head, rows) = read(&of_files(&predicted(true)).unwrap());
        assert_eq!(head[..3], ["image", "predicted", "error"]);
        assert_eq!(labels_of(&rows[0][1]), [AWKWARD[3], AWKWARD[0]]);
        assert_eq!(rows[0].len(), 7);
    }
}
