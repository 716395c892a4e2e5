//! What an image's target is.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is to be told of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Which one of the classes it is.
    #[default]
    SingleLabel,
    /// Which of the classes it shows: any number of them, also none.
    MultiLabel,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SingleLabel, Self::MultiLabel];

    /// The name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleLabel => "single-label",
            Self::MultiLabel => "multi-label",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| Error::Option {
            name: "the task",
            expected: "single-label or multi-label",
            found: format!("\"{name}\""),
        })
    }
}

/// How a list says which labels an image has, for [`Task::MultiLabel`], where what it holds leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelForm {
    /// `cat;dog` in one column.
    Semicolons,
    /// `cat|dog` in one column.
    Bars,
    /// `cat,dog` in one column, in quotes where the table is separated by commas.
    Commas,
    /// `["cat", "dog"]` in one column, as JSON or Python write lists.
    Json,
    /// One label in one column, whatever it holds; several rows may name a file.
    One,
    /// A column for each class, with 1 where the image shows it and 0 where it does not.
    Columns,
}

impl LabelForm {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Semicolons, Self::Bars, Self::Commas, Self::Json, Self::One, Self::Columns];

    /// The name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Semicolons => "semicolons",
            Self::Bars => "bars",
            Self::Commas => "commas",
            Self::Json => "json",
            Self::One => "one",
            Self::Columns => "columns",
        }
    }
}

impl fmt::Display for LabelForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LabelForm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name).ok_or_else(|| Error::Option {
            name: "the form of labels",
            expected: "semicolons, bars, commas, json, one or columns",
            found: format!("\"{name}\""),
        })
    }
}
