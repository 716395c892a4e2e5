use super::*;
use crate::random::Random;

/// Rows around centres of three classes that are `apart` from each other.
fn rows(apart: f32, dim: usize) -> (Vec<f32>, Vec<u32>) {
    let mut random = Random::new(11, dim as u64);
    let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
    let values = labels.iter().flat_map(|&label| {
        let noise: Vec<f32> = (0..dim).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
        noise.into_iter().enumerate().map(move |(f, x)| x + if f == label as usize { apart } else { 0.0 })
    });
    (values.collect(), labels)
}

#[test]
fn separated_features_rank_above_noise() {
    let (stop, options) = (AtomicBool::new(false), HeadOptions::default());
    let mut all = Vec::new();
    let mut collapses = Vec::new();
    for apart in [0.0, 1.0, 10.0] {
        let (values, labels) = rows(apart, 6);
        let rows = Rows::new(&values, 6).unwrap();
        let theta: Vec<f32> = labels
            .iter()
            .flat_map(|&l| {
                let own = 1.0 / (1.0 + 2.0 * (-apart).exp());
                (0..3u32).map(move |z| if z == l { own } else { (1.0 - own) / 2.0 })
            })
            .collect();
        all.push([
            log_me(rows, &labels, 3, &options, &stop).unwrap(),
            h_score(rows, &labels, 3, &options, &stop).unwrap(),
            neighbour_accuracy(rows, &labels, 3, 5, &options, &stop).unwrap(),
            leep(Rows::new(&theta, 3).unwrap(), &labels, 3).unwrap(),
        ]);
        collapses.push(collapse(rows, &labels, 3, &options, &stop).unwrap());
    }
    for pair in all.windows(2) {
        for i in 0..4 {
            assert!(pair[0][i] < pair[1][i], "estimate {i}: {all:?}");
        }
    }
    let ncti = ncti(&collapses);
    // Posteriors of noise are alike, which one of the three measures takes for a collapse.
    assert!(ncti[0] < ncti[2] && ncti[1] < ncti[2], "{ncti:?}");
}

#[test]
fn nothing_panics_on_what_cannot_be_estimated() {
    let (stop, options) = (AtomicBool::new(false), HeadOptions::default());
    let same = [1.0f32; 12];
    let rows = Rows::new(&same, 3).unwrap();
    let labels = [0, 1, 0, 1];
    assert!(matches!(h_score(rows, &labels, 2, &options, &stop), Err(HeadError::Range { .. })));
    assert!(log_me(rows, &labels, 2, &options, &stop).unwrap().is_finite());
    assert!(matches!(collapse(rows, &labels, 2, &options, &stop), Err(HeadError::Range { .. })));
    assert!(matches!(log_me(rows, &[0; 4], 2, &options, &stop), Err(HeadError::Classes { found: 1 })));
    assert!(matches!(leep(rows, &labels, 2), Err(HeadError::Option { name: "theta", .. })));
    let none = Rows::new(&[], 3).unwrap();
    assert!(matches!(h_score(none, &[], 2, &options, &stop), Err(HeadError::Classes { found: 0 })));
    let small = HeadOptions { max_memory: 100, ..HeadOptions::default() };
    assert!(matches!(
        log_me(rows, &labels, 2, &small, &stop),
        Err(HeadError::Memory { needed: 1.., limit: 100, .. })
    ));
}
