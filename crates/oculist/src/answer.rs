//! What a model says of one image.

use oculist_data::Task;

use crate::judging::THRESHOLD;
use crate::model_file::Model;

/// What a model says of one image: [`Model::answer`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// Numbers and probabilities of the likeliest classes, the likeliest first; at least all of `labels`. A probability that is
    /// no number comes after all others.
    pub top: Vec<(usize, f32)>,
    /// The classes of probability [`THRESHOLD`] and more, the likeliest first, of a model that tells any number of them; `None`
    /// of others. They are the first of `top`.
    pub labels: Option<Vec<usize>>,
}

impl Model {
    /// What a row of its logits says of an image, as `oculist predict` tells it: the `top` likeliest classes and, of a model
    /// for several labels, all that are answered.
    pub fn answer(&self, logits: &[f32], top: usize) -> Answer {
        Answer::of(&self.probabilities().of(logits), self.task, top)
    }
}

impl Answer {
    fn of(probabilities: &[f32], task: Task, top: usize) -> Self {
        let mut order = ranked(probabilities);
        let answered = match task {
            Task::SingleLabel => None,
            Task::MultiLabel => {
                // They stand first: the order is that of the probabilities, with what is no number behind.
                Some(order.iter().take_while(|&&c| f64::from(probabilities[c]) >= THRESHOLD).count())
            }
        };
        order.truncate(top.max(answered.unwrap_or(0)));
        let labels = answered.map(|answered| order[..answered].to_vec());
        Self { top: order.into_iter().map(|c| (c, probabilities[c])).collect(), labels }
    }
}

/// The numbers of all classes, the likeliest first; equals in their order, those without a number at the end.
pub(crate) fn ranked(probabilities: &[f32]) -> Vec<usize> {
    let p = probabilities;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].is_nan().cmp(&p[b].is_nan()).then(p[b].total_cmp(&p[a])).then(a.cmp(&b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_classes_of_the_threshold_and_more() {
        let p = [0.2, 0.9, 0.5, 0.499, 0.7];
        let several = Answer::of(&p, Task::MultiLabel, 1);
        assert_eq!(several.labels, Some(vec![1, 4, 2]));
        assert_eq!(several.top, [(1, 0.9), (4, 0.7), (2, 0.5)], "all labels, whatever `top` is");
        assert_eq!(Answer::of(&p, Task::MultiLabel, 4).top.len(), 4);
        let one = Answer::of(&p, Task::SingleLabel, 2);
        assert_eq!((one.labels, one.top), (None, vec![(1, 0.9), (4, 0.7)]));
        assert_eq!(Answer::of(&[0.1, 0.2], Task::MultiLabel, 1).labels, Some(vec![]), "none is an answer");
        assert!(Answer::of(&[], Task::MultiLabel, 3).top.is_empty());
    }

    #[test]
    fn what_is_no_number_is_no_label_and_comes_last() {
        // With either sign: the total order has one before and one behind all numbers.
        for nan in [f32::NAN, -f32::NAN] {
            let found = Answer::of(&[nan, 0.9], Task::MultiLabel, 1);
            assert_eq!((found.labels, found.top), (Some(vec![1]), vec![(1, 0.9)]));
            assert_eq!(Answer::of(&[0.6, nan, 0.9], Task::MultiLabel, 3).labels, Some(vec![2, 0]));
            assert_eq!(ranked(&[nan, 0.1, nan, 0.2, 0.1]), [3, 1, 4, 0, 2]);
        }
        assert_eq!(ranked(&[0.1, 0.3, 0.3]), [1, 2, 0], "twin: numbers alone, equals in their order");
    }
}
