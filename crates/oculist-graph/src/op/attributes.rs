//! Attributes of operators under their ONNX names: one list from which the dump, the export and fingerprints are made.

use std::fmt;

use crate::tensor::Tensor;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A float.
    Float(f32),
    /// A list of floats.
    Floats(Vec<f32>),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A tensor.
    Tensor(Tensor),
}

impl Attribute {
    /// The kind, for errors.
    fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "an integer",
            Self::Ints(_) => "a list of integers",
            Self::Float(_) => "a float",
            Self::Floats(_) => "a list of floats",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Tensor(_) => "a tensor",
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Ints(v) => write!(f, "{v:?}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Floats(v) => write!(f, "{v:?}"),
            Self::Text(v) => f.write_str(v),
            Self::Texts(v) => write!(f, "{v:?}"),
            Self::Tensor(v) => write!(f, "{}{:?}", v.dtype().name(), v.shape()),
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),*) => {
        $(impl From<$type> for Attribute {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from!(
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(String),
    Texts(Vec<String>),
    Tensor(Tensor)
);

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<usize> for Attribute {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&[usize]> for Attribute {
    fn from(value: &[usize]) -> Self {
        Self::Ints(value.iter().map(|&v| i64::try_from(v).unwrap_or(i64::MAX)).collect())
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

/// What an operator's `attributes` returns: names and values, those at their ONNX default left out.
///
/// An attribute whose default changed between opsets is always given.
pub type AttributeList = Vec<(&'static str, Attribute)>;

/// Attributes of a node of a file while an operator reads them.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    all: Vec<(String, Attribute, bool)>,
}

impl Attributes {
    /// From names and values.
    ///
    /// # Errors
    /// A name that appears twice.
    pub fn new(all: Vec<(String, Attribute)>) -> Result<Self, String> {
        let mut names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(format!("the attribute `{twice}` is given twice"));
        }
        Ok(Self { all: all.into_iter().map(|(name, value)| (name, value, false)).collect() })
    }

    /// Takes an attribute of any kind.
    pub fn take(&mut self, name: &str) -> Option<Attribute> {
        self.all.iter_mut().find(|(n, _, _)| n == name).map(|(_, value, read)| {
            *read = true;
            value.clone()
        })
    }

    /// Whether an attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(n, _, _)| n == name)
    }

    /// Ignores attributes that say nothing about the result.
    pub fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    /// The first attribute that nobody took.
    pub fn unread(&self) -> Option<&str> {
        self.all.iter().find(|(_, _, read)| !read).map(|(name, _, _)| name.as_str())
    }

    fn wrong<T>(name: &str, expected: &str, found: &Attribute) -> Result<T, String> {
        Err(format!("the attribute `{name}` must be {expected}, found {}", found.kind()))
    }

    /// An integer, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn int(&mut self, name: &str) -> Result<Option<i64>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Int(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "an integer", &other),
        }
    }

    /// An integer with a default.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn int_or(&mut self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// An integer that means true (not 0) or false.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn flag(&mut self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.int(name)?.map_or(default, |v| v != 0))
    }

    /// A size: an integer of at least 0.
    ///
    /// # Errors
    /// If the attribute is of another kind or negative.
    pub fn size(&mut self, name: &str) -> Result<Option<usize>, String> {
        self.int(name)?
            .map(|v| {
                usize::try_from(v).map_err(|_| format!("the attribute `{name}` is {v}, expected at least 0"))
            })
            .transpose()
    }

    /// A list of integers, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Ints(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a list of integers", &other),
        }
    }

    /// A list of sizes, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind or one is negative.
    pub fn sizes(&mut self, name: &str) -> Result<Option<Vec<usize>>, String> {
        let Some(ints) = self.ints(name)? else { return Ok(None) };
        let sizes = ints.iter().map(|&v| usize::try_from(v)).collect::<Result<Vec<_>, _>>();
        sizes
            .map(Some)
            .map_err(|_| format!("the attribute `{name}` is {ints:?}, expected no negative number"))
    }

    /// A float, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn float(&mut self, name: &str) -> Result<Option<f32>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Float(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a float", &other),
        }
    }

    /// A float with a default.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn float_or(&mut self, name: &str, default: f32) -> Result<f32, String> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    /// A list of floats, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Floats(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a list of floats", &other),
        }
    }

    /// A text, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Text(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a text", &other),
        }
    }

    /// A list of texts, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Texts(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a list of texts", &other),
        }
    }

    /// A tensor, if given.
    ///
    /// # Errors
    /// If the attribute is of another kind.
    pub fn tensor(&mut self, name: &str) -> Result<Option<Tensor>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Tensor(v)) => Ok(Some(v)),
            Some(other) => Self::wrong(name, "a tensor", &other),
        }
    }

    /// One of a list of texts; the index of the default is 0.
    ///
    /// # Errors
    /// If the attribute is of another kind or none of the texts.
    pub fn choice(&mut self, name: &str, texts: &[&str]) -> Result<usize, String> {
        let Some(text) = self.text(name)? else { return Ok(0) };
        texts
            .iter()
            .position(|t| *t == text)
            .ok_or_else(|| format!("the attribute `{name}` is `{text}`, supported are {}", texts.join(", ")))
    }
}
