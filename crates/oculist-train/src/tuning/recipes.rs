//! Ways to write the rules of a tuning. Each changes what it is about and leaves the rest, so that they can be combined.

use serde::{Deserialize, Serialize};

use super::{Layer, ParameterKind, Rule, Tuning};

/// What batch normalisations do while training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum NormTraining {
    /// Normalise by the batch, and let the running statistics follow.
    #[default]
    Train,
    /// Normalise by the running statistics, which stay; gamma and beta are trained.
    Statistics,
    /// Normalise by the running statistics; these, gamma and beta stay.
    Frozen,
}

impl Tuning {
    /// Changes the rules of some parameters.
    fn changed<'a>(self, names: impl Iterator<Item = &'a str>, change: impl Fn(&mut Rule)) -> Self {
        names.fold(self, |tuning, name| {
            let mut rule = tuning.rule(name);
            change(&mut rule);
            tuning.with(name, rule)
        })
    }

    /// Freezes some parameters.
    #[must_use]
    pub fn frozen<'a>(self, names: impl Iterator<Item = &'a str>) -> Self {
        self.changed(names, |rule| rule.factor = 0.0)
    }

    /// Layer-wise decay of the learning rate: `factor *= decay^d`, where the head has `d = 0`, the layer before it 1, and
    /// so on.
    ///
    /// # Source
    /// Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.2
    /// (discriminative fine-tuning); as a power of the depth in Clark et al. 2020 (ELECTRA) and Bao et al. 2022 (BEiT),
    /// whose depth counts transformer blocks and not single layers.
    #[must_use]
    pub fn decay(self, layers: &[Layer], decay: f32) -> Self {
        layers.iter().rev().zip(0..).fold(self, |tuning, (layer, distance)| {
            // In f64, so that long networks do not round to steps.
            let factor = f64::from(decay).powi(distance) as f32;
            tuning.changed(layer.names(&TRAINED), |rule| rule.factor *= factor)
        })
    }

    /// Gradual unfreezing: the head is trained from the first epoch on, the layers before it one after the other, all of
    /// them from epoch `h = epochs / 2` on. The layer `d` before the head of `n` layers begins in epoch
    /// `ceil(d * h / (n - 1))`, from 0.
    ///
    /// # Source
    /// Howard and Ruder 2018, section 3.3, who unfreeze one layer an epoch; here they are spread over the first half of
    /// the epochs, since networks have more layers than fine-tuning has epochs.
    #[must_use]
    pub fn unfreezing(self, layers: &[Layer], epochs: usize) -> Self {
        let (half, steps) = (epochs / 2, layers.len().saturating_sub(1).max(1));
        layers.iter().rev().enumerate().fold(self, |tuning, (distance, layer)| {
            let from = (distance * half).div_ceil(steps);
            tuning.changed(layer.names(&TRAINED), |rule| rule.from = rule.from.max(from))
        })
    }

    /// Trains the head alone.
    #[must_use]
    pub fn head(self, layers: &[Layer]) -> Self {
        let [body @ .., _] = layers else { return self };
        self.frozen(body.iter().flat_map(|layer| layer.names(&TRAINED)))
    }

    /// Trains biases, gamma and beta alone, and the whole head.
    ///
    /// # Source
    /// Ben Zaken, Goldberg and Ravfogel 2022, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    /// Language-models"; for convolutional networks Cai et al. 2020, "TinyTL", which trains biases and the head.
    #[must_use]
    pub fn biases(self, layers: &[Layer]) -> Self {
        let [body @ .., _] = layers else { return self };
        self.frozen(body.iter().flat_map(|layer| layer.names(&[ParameterKind::Weight])))
    }

    /// Pulls weights towards where they began instead of towards zero; the head keeps its weight decay, and what has no
    /// weight decay (biases, gamma, beta) is not pulled either.
    ///
    /// # Source
    /// Li, Grandvalet and Davoine 2018, equation 3; [`Rule::anchor`] has the formula.
    #[must_use]
    pub fn anchored(self, layers: &[Layer], strength: f32) -> Self {
        let [body @ .., _] = layers else { return self };
        self.changed(body.iter().flat_map(|layer| layer.names(&[ParameterKind::Weight])), |rule| {
            rule.anchor = strength;
        })
    }

    /// What batch normalisations do.
    #[must_use]
    pub fn batch_norm(self, layers: &[Layer], training: NormTraining) -> Self {
        let kinds: &[ParameterKind] = match training {
            NormTraining::Train => &[],
            NormTraining::Statistics => &[ParameterKind::Statistic],
            NormTraining::Frozen => &[ParameterKind::Statistic, ParameterKind::BatchNorm],
        };
        self.frozen(layers.iter().flat_map(|layer| layer.names(kinds)))
    }
}

/// What gradients change.
const TRAINED: [ParameterKind; 3] = [ParameterKind::Weight, ParameterKind::Vector, ParameterKind::BatchNorm];

#[cfg(test)]
mod tests {
    use super::super::Parameter;
    use super::*;

    fn layer(name: &str) -> Layer {
        let parameter = |end: &str, kind| Parameter { name: format!("{name}.{end}"), kind };
        Layer {
            parameters: vec![
                parameter("w", ParameterKind::Weight),
                parameter("b", ParameterKind::Vector),
                parameter("gamma", ParameterKind::BatchNorm),
                parameter("mean", ParameterKind::Statistic),
            ],
        }
    }

    fn trained(tuning: &Tuning) -> String {
        let names = ["a.w", "a.b", "a.gamma", "a.mean", "c.w", "c.b", "c.gamma", "c.mean"];
        names.into_iter().filter(|name| tuning.rule(name).trains()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_recipe_freezes_what_it_says() {
        let layers = [layer("a"), layer("c")];
        let of = |recipe: fn(Tuning, &[Layer]) -> Tuning| trained(&recipe(Tuning::default(), &layers));
        assert_eq!(of(Tuning::head), "a.mean c.w c.b c.gamma c.mean");
        assert_eq!(of(Tuning::biases), "a.b a.gamma a.mean c.w c.b c.gamma c.mean");
        assert_eq!(of(|t, l| t.batch_norm(l, NormTraining::Statistics)), "a.w a.b a.gamma c.w c.b c.gamma");
        assert_eq!(of(|t, l| t.batch_norm(l, NormTraining::Frozen)), "a.w a.b c.w c.b");
        assert!(Tuning::default().batch_norm(&layers, NormTraining::Train).is_plain());
        assert!(Tuning::default().head(&[]).is_plain());
    }

    #[test]
    fn decay_unfreezing_and_anchor_go_by_the_distance_from_the_head() {
        let layers: Vec<Layer> = ["a", "b", "c", "d", "e"].map(layer).into();
        let tuning = Tuning::default().decay(&layers, 0.5).unfreezing(&layers, 6).anchored(&layers, 0.1);
        let rule = |name| tuning.rule(name);
        assert_eq!(["a.w", "b.b", "e.gamma"].map(|name| rule(name).factor), [0.0625, 0.125, 1.0]);
        assert_eq!(["a.w", "b.w", "c.w", "d.w", "e.w"].map(|name| rule(name).from), [3, 3, 2, 1, 0]);
        assert_eq!(["a.w", "d.w", "d.b", "e.w"].map(|name| rule(name).anchor), [0.1, 0.1, 0.0, 0.0]);
        assert_eq!(rule("a.mean"), Rule::PLAIN, "no gradient changes it");
        // One epoch leaves no time to wait.
        assert!(Tuning::default().unfreezing(&layers, 1).is_plain());
    }
}
