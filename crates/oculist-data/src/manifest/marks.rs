//! Columns of 0 and 1, one for each class.

use super::{BadRow, Manifest, bad_row, ending};
use crate::error::{Error, Result, shortened};
use crate::natural_cmp;
use std::collections::{BTreeMap, HashMap};

/// Most cells that are kept, a byte each.
const MAX_CELLS: usize = 1_000_000_000;
/// Texts that are kept of each column for messages.
const MAX_TEXTS: usize = 100;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mark {
    Zero,
    One,
    MinusOne,
    /// An empty cell.
    Empty,
    /// Something else.
    Other,
    /// The row has not got the column.
    Absent,
}

/// The cells of the columns that are neither file nor split, row by row.
#[derive(Default)]
pub(super) struct Marks {
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// By column, how often each mark is there.
    counts: Vec<[usize; 6]>,
    rows: Vec<Box<[Mark]>>,
    cells: usize,
    /// By row and column, what else some cells hold.
    texts: BTreeMap<(usize, usize), String>,
    /// The row in the making.
    row: Vec<Mark>,
}

impl Marks {
    /// Adds a cell to the row in the making.
    pub(super) fn cell(&mut self, name: &str, text: &str) {
        let column = self.places.get(name).copied().unwrap_or_else(|| {
            self.places.insert(name.to_owned(), self.names.len());
            self.names.push(name.to_owned());
            self.counts.push([0; 6]);
            self.names.len() - 1
        });
        let mark = mark(text);
        self.counts[column][mark as usize] += 1;
        if mark == Mark::Other && self.counts[column][mark as usize] <= MAX_TEXTS {
            self.texts.insert((self.rows.len(), column), shortened(text));
        }
        if self.row.len() <= column {
            self.row.resize(column + 1, Mark::Absent);
        }
        self.row[column] = mark;
    }

    /// Ends the row.
    ///
    /// # Errors
    /// More cells than a manifest may have.
    pub(super) fn end_row(&mut self, manifest: &Manifest) -> Result<()> {
        let row = std::mem::take(&mut self.row);
        self.cells += row.len();
        self.rows.push(row.into());
        if self.cells > MAX_CELLS {
            return Err(Error::Layout {
                path: manifest.path.clone(),
                expected: format!("at most {MAX_CELLS} cells of 0 and 1"),
                found: "more".into(),
            });
        }
        Ok(())
    }

    /// The columns of which at least this part of the cells are marks.
    fn columns_with(&self, part: f64) -> Vec<usize> {
        let is = |column: &usize| {
            let counts = self.counts[*column];
            let marks = counts[..3].iter().sum::<usize>();
            marks > 0 && marks as f64 >= part * counts.iter().sum::<usize>() as f64
        };
        (0..self.names.len()).filter(is).collect()
    }

    /// Names of the columns that hold nothing but marks.
    pub(super) fn pure_columns(&self) -> Vec<&str> {
        self.columns_with(1.0).into_iter().map(|column| self.names[column].as_str()).collect()
    }

    /// Names of all columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Makes the columns of marks the classes of the manifest: a row has the labels whose columns have a 1. A row with
    /// something else in such a column is bad.
    ///
    /// Columns of which less than half of the cells are marks are no classes. Where -1 stands in place of 0 everywhere, it
    /// means 0.
    ///
    /// # Errors
    /// No column of marks.
    pub(super) fn into_labels(self, manifest: &mut Manifest) -> Result<()> {
        let columns = self.columns_with(0.5);
        if columns.is_empty() {
            return Err(Error::Layout {
                path: manifest.path.clone(),
                expected: "a column label, or a column of 0 and 1 for each class".into(),
                found: match &self.names[..] {
                    [] => "no column but those of files and splits".into(),
                    names => format!("the columns {}", shortened(&names.join(", "))),
                },
            });
        }
        let count =
            |mark: Mark| columns.iter().map(|&column| self.counts[column][mark as usize]).sum::<usize>();
        manifest.check_labels(count(Mark::One))?;
        let signed = count(Mark::MinusOne) > 0 && count(Mark::Zero) == 0;
        let is_class: Vec<bool> = (0..self.names.len()).map(|column| columns.contains(&column)).collect();
        let ignored = (0..self.names.len()).filter(|&column| !is_class[column]);
        manifest.ignored = ignored.map(|column| self.names[column].clone()).collect();
        let rows = std::mem::take(&mut manifest.rows);
        for (at, (mut row, marks)) in rows.into_iter().zip(&self.rows).enumerate() {
            match self.labels_of(at, marks, &columns, signed, row.line) {
                Ok(labels) => {
                    row.labels = labels;
                    manifest.rows.push(row);
                }
                Err(bad) => manifest.bad.push(bad),
            }
        }
        manifest.bad.sort_by_key(|row| row.line);
        let mut names: Vec<String> = columns.iter().map(|&column| self.names[column].clone()).collect();
        // The keys of an object have no order.
        if ending(&manifest.path) != "csv" {
            names.sort_by(|a, b| natural_cmp(a, b));
        }
        manifest.notes.push(format!(
            "{} columns of 0 and 1 are read as classes: {}",
            names.len(),
            shortened(&names.join(", "))
        ));
        if signed {
            manifest.notes.push("-1 is read as 0, as no column of classes has a 0".into());
        }
        manifest.classes = Some(names);
        Ok(())
    }

    fn labels_of(
        &self,
        at: usize,
        marks: &[Mark],
        columns: &[usize],
        signed: bool,
        line: u64,
    ) -> std::result::Result<Vec<String>, BadRow> {
        let mut labels = Vec::new();
        for &column in columns {
            let found = match marks.get(column).copied().unwrap_or(Mark::Absent) {
                Mark::One => {
                    labels.push(self.names[column].clone());
                    continue;
                }
                Mark::Zero => continue,
                Mark::MinusOne if signed => continue,
                Mark::MinusOne => "-1",
                Mark::Empty => "nothing",
                Mark::Absent => "no such key",
                Mark::Other => self.texts.get(&(at, column)).map_or("something else", String::as_str),
            };
            return Err(bad_row(line, &format!("0 or 1 for the class \"{}\"", self.names[column]), found));
        }
        Ok(labels)
    }
}

fn mark(text: &str) -> Mark {
    match text.trim() {
        "" => Mark::Empty,
        "0" | "0.0" => Mark::Zero,
        "1" | "1.0" => Mark::One,
        "-1" | "-1.0" => Mark::MinusOne,
        word if word.eq_ignore_ascii_case("false") => Mark::Zero,
        word if word.eq_ignore_ascii_case("true") => Mark::One,
        _ => Mark::Other,
    }
}
