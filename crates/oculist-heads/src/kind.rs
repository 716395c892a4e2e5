//! The kinds of heads.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What is learned on the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeadKind {
    /// Multinomial logistic regression.
    Logistic,
    /// Linear support vector machines, one for each class against the rest.
    Svm,
    /// Linear discriminant analysis with shrinkage.
    Lda,
    /// The nearest neighbours by cosine.
    Knn,
    /// A forest of decision trees.
    Forest,
}

impl HeadKind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Logistic, Self::Svm, Self::Lda, Self::Knn, Self::Forest];

    /// The name in settings and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Svm => "svm",
            Self::Lda => "lda",
            Self::Knn => "knn",
            Self::Forest => "forest",
        }
    }

    /// Whether its scores are `weights * features + bias` ([`crate::Fitted::linear`]).
    pub const fn is_linear(self) -> bool {
        match self {
            Self::Logistic | Self::Svm | Self::Lda => true,
            Self::Knn | Self::Forest => false,
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no head has.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("expected logistic, svm, lda, knn or forest, found `{0}`")]
pub struct UnknownKind(pub String);

impl FromStr for HeadKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|k| k.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for &kind in HeadKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("SVM".parse::<HeadKind>(), Err(UnknownKind("SVM".to_owned())));
    }
}
