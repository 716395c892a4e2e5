//! Which of the layouts a folder has, where the user must say it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A layout of a folder. What a folder holds tells it in nearly all cases; where two fit, the user chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `<class>/*`: every folder is a class, whatever it is called and whatever lies in it.
    Classes,
    /// `train/<class>/*`, with or without `val` and `test`.
    Splits,
    /// `<part>/<class>/*`: the folders in the folders are the classes, and the outer ones say nothing.
    Inner,
    /// `metadata.csv` or `metadata.jsonl` in the folder or its split folders.
    Metadata,
    /// IDX files.
    Idx,
    /// The binary files of CIFAR.
    Cifar,
    /// COCO's annotation files.
    Coco,
    /// WebDataset's `*.tar`.
    Tar,
    /// `*.parquet`.
    Parquet,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Classes,
        Self::Splits,
        Self::Inner,
        Self::Metadata,
        Self::Idx,
        Self::Cifar,
        Self::Coco,
        Self::Tar,
        Self::Parquet,
    ];

    /// The name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Splits => "splits",
            Self::Inner => "inner",
            Self::Metadata => "metadata",
            Self::Idx => "idx",
            Self::Cifar => "cifar",
            Self::Coco => "coco",
            Self::Tar => "tar",
            Self::Parquet => "parquet",
        }
    }

    /// What is meant, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Classes => "class folders",
            Self::Splits => "folders of splits with class folders",
            Self::Inner => "folders of parts with class folders",
            Self::Metadata => "a list metadata.csv or metadata.jsonl",
            Self::Idx => "IDX files",
            Self::Cifar => "CIFAR's binary files",
            Self::Coco => "COCO annotations",
            Self::Tar => "tar files (WebDataset)",
            Self::Parquet => "Parquet files",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name).ok_or_else(|| Error::Option {
            name: "the layout",
            expected: "classes, splits, inner, metadata, idx, cifar, coco, tar or parquet",
            found: format!("\"{name}\""),
        })
    }
}
