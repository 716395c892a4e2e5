//! Multinomial logistic regression and linear support vector machines: standardised features, a squared penalty whose
//! strength cross-validation chooses, L-BFGS to convergence.
//!
//! The strengths are tried from the strongest penalty to the weakest, each fold starting from its own weights of the one
//! before. Features are standardised over all rows, since that knows no labels. For two classes the penalty of logistic
//! regression is that of one weight vector, so that `C` means what it does in scikit-learn for any number of classes.
//! Where rows are few, what is learned on are their coordinates in the space that they span.
//!
//! # Source
//! Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, 4.4 and 12.2; scikit-learn's
//! `LogisticRegression` and `LinearSVC`, whose `C` this is. `LinearSVC` penalises the bias, which is not done here.

mod path;

pub(crate) use path::{fit, largest, spread};
