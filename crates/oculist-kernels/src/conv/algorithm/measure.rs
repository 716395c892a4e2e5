//! Choosing algorithms by the clock, where the cost model is not trusted.

use std::time::{Duration, Instant};

use super::{Algorithm, Algorithms, Pass};
use crate::buffer::Buffer;
use crate::context::Context;
use crate::conv::{Conv2d, ConvPlan, Epilogue};
use crate::{Activation, KernelError};

/// How much faster than the model's choice another algorithm must be to replace it: differences below this are noise.
const MARGIN: f64 = 0.95;

impl Algorithm {
    /// The best time of every algorithm of a pass on this machine, fastest first.
    ///
    /// The algorithms take turns, so that a busy moment hits all of them, for about `budget` altogether; each runs
    /// once to warm up and at least three times for the clock, whatever the budget. [`Algorithm::General`] only competes
    /// where nothing else can compute the pass. Memory for the whole convolution is allocated meanwhile.
    ///
    /// The order depends on the machine and on what else it does: two calls may differ where algorithms are close.
    /// Results of a planner that must be repeatable, bit for bit, come from [`Algorithm::pick`].
    ///
    /// # Errors
    /// As [`ConvPlan::new`].
    pub fn measure(
        ctx: &Context,
        pass: Pass,
        conv: &Conv2d,
        budget: Duration,
    ) -> Result<Vec<(Self, Duration)>, KernelError> {
        measure(ctx, pass, conv, false, budget)
    }

    /// As [`Algorithm::measure`] for the forward pass of frozen weights, [`ConvPlan::forward_prepared`].
    ///
    /// # Errors
    /// As [`ConvPlan::new`].
    pub fn measure_prepared(
        ctx: &Context,
        conv: &Conv2d,
        budget: Duration,
    ) -> Result<Vec<(Self, Duration)>, KernelError> {
        measure(ctx, Pass::Forward, conv, true, budget)
    }
}

impl Algorithms {
    /// The fastest algorithm of each pass on this machine, by [`Algorithm::measure`] with a third of `budget` each.
    ///
    /// The choice of [`Algorithms::pick`] stays unless another is at least 5% faster; nothing is run where only one
    /// algorithm can compute a pass. Measure on an idle machine, with the threads that will be used.
    ///
    /// # Errors
    /// As [`ConvPlan::new`].
    pub fn measure(ctx: &Context, conv: &Conv2d, budget: Duration) -> Result<Self, KernelError> {
        let fastest = |pass| -> Result<Algorithm, KernelError> {
            let picked = Algorithm::pick(pass, conv);
            if candidates(pass, conv).len() < 2 {
                return Ok(picked);
            }
            Ok(choose(picked, &Algorithm::measure(ctx, pass, conv, budget / 3)?))
        };
        conv.check()?;
        Ok(Self {
            forward: fastest(Pass::Forward)?,
            backward_data: fastest(Pass::BackwardData)?,
            backward_weights: fastest(Pass::BackwardWeights)?,
        })
    }
}

/// The fastest, or `picked` where that is not clearly slower.
fn choose(picked: Algorithm, times: &[(Algorithm, Duration)]) -> Algorithm {
    let Some(&(fastest, best)) = times.first() else { return picked };
    let model = times.iter().find(|(algorithm, _)| *algorithm == picked);
    match model {
        Some((_, time)) if best.as_secs_f64() > MARGIN * time.as_secs_f64() => picked,
        _ => fastest,
    }
}

/// The algorithms that compete for a pass.
fn candidates(pass: Pass, conv: &Conv2d) -> Vec<Algorithm> {
    let mut all: Vec<_> = Algorithm::ALL.into_iter().filter(|a| a.supports(pass, conv)).collect();
    if all.len() > 1 {
        all.retain(|a| *a != Algorithm::General);
    }
    all
}

fn measure(
    ctx: &Context,
    pass: Pass,
    conv: &Conv2d,
    prepared: bool,
    budget: Duration,
) -> Result<Vec<(Algorithm, Duration)>, KernelError> {
    conv.check()?;
    let start = Instant::now();
    let mut plans = Vec::new();
    for algorithm in candidates(pass, conv) {
        let mut algorithms = Algorithms::all(Algorithm::General);
        match pass {
            Pass::Forward => algorithms.forward = algorithm,
            Pass::BackwardData => algorithms.backward_data = algorithm,
            Pass::BackwardWeights => algorithms.backward_weights = algorithm,
        }
        plans.push((ConvPlan::with_algorithms(ctx, *conv, algorithms)?, Duration::MAX));
    }
    let scratch = plans.iter().map(|(plan, _)| plan.scratch_len()).max().unwrap_or(0);
    let (mut x, mut y, mut w) = (noise(conv.x_len()), noise(conv.y_len()), noise(conv.weights_len()));
    let mut scratch = Buffer::zeroed(scratch);
    // Weights that do not change while `w` may be written.
    let frozen: Vec<_> = plans.iter().filter(|_| prepared).map(|(plan, _)| plan.prepare(ctx, &w)).collect();
    let epilogue = Epilogue { activation: Activation::Relu, ..Epilogue::default() };
    let mut round = 0;
    while round < 4 || start.elapsed() < budget {
        for (i, (plan, best)) in plans.iter_mut().enumerate() {
            let begin = Instant::now();
            match pass {
                Pass::Forward => match frozen.get(i) {
                    Some(w) => plan.forward_prepared(ctx, &x, w, &epilogue, &mut y, &mut scratch),
                    None => plan.forward(ctx, &x, &w, &epilogue, &mut y, &mut scratch),
                },
                Pass::BackwardData => plan.backward_data(ctx, &y, &w, &mut x, false, &mut scratch),
                Pass::BackwardWeights => plan.backward_weights(ctx, &x, &y, &mut w, &mut scratch),
            }
            // The first round warms up.
            if round > 0 {
                *best = (*best).min(begin.elapsed());
            }
        }
        round += 1;
    }
    let mut times: Vec<_> = plans.iter().map(|(plan, best)| (plan.algorithms().of(pass), *best)).collect();
    times.sort_by_key(|(_, best)| *best);
    Ok(times)
}

/// Small values, none of them denormal.
fn noise(n: usize) -> Buffer {
    let mut values = Buffer::zeroed(n);
    for (i, v) in values.iter_mut().enumerate() {
        *v = (i * 7919 % 1009) as f32 / 504.0 - 1.0;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_choice_stays_unless_clearly_slower() {
        let times = |a: u64, b: u64| {
            [(Algorithm::Direct, Duration::from_millis(a)), (Algorithm::Winograd, Duration::from_millis(b))]
        };
        assert_eq!(choose(Algorithm::Winograd, &times(98, 100)), Algorithm::Winograd);
        assert_eq!(choose(Algorithm::Winograd, &times(90, 100)), Algorithm::Direct);
        assert_eq!(choose(Algorithm::Winograd2, &times(98, 100)), Algorithm::Direct);
        assert_eq!(choose(Algorithm::Winograd2, &[]), Algorithm::Winograd2);
    }

    #[test]
    fn every_candidate_is_timed() {
        let ctx = Context::new(2).unwrap();
        let conv = Conv2d::square(1, [9, 7], [16, 32], 3, 1, 1);
        for pass in Pass::ALL {
            let times = Algorithm::measure(&ctx, pass, &conv, Duration::from_millis(2)).unwrap();
            assert_eq!(times.len(), 3, "direct and two of Winograd");
            assert!(times.is_sorted_by_key(|(_, time)| *time));
            assert!(times.iter().all(|(_, time)| !time.is_zero() && *time < Duration::MAX));
        }
        assert_eq!(Algorithm::measure_prepared(&ctx, &conv, Duration::ZERO).unwrap().len(), 3);
        let grouped = Conv2d { groups: 2, ..conv };
        assert_eq!(
            Algorithms::measure(&ctx, &grouped, Duration::ZERO).unwrap(),
            Algorithms::all(Algorithm::General)
        );
        let wrong = Conv2d { batch: 0, ..conv };
        assert!(Algorithms::measure(&ctx, &wrong, Duration::ZERO).is_err());
    }
}
