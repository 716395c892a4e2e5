//! The range that loses the least information.
//!
//! For a candidate range the histogram `P` is cut to it, what lies outside is added to the bins at the ends, and
//! `Q` is what is left when the bins inside are merged into 256 levels and each level's mass is spread evenly over
//! its non-empty bins. The candidate with the smallest Kullback-Leibler divergence of `P` from `Q` wins. TensorRT
//! does this with 128 levels for `|x|`; here the levels cover an asymmetric range with 0 in it, as u8 does, and the
//! two ends are searched in turn. Exact zeros are left out, because every candidate represents them exactly.
//!
//! # Source
//! Migacz 2017, "8-bit Inference with TensorRT" (GPU Technology Conference); smoothing of empty bins as in MXNet
//! and ONNX Runtime.

/// Ends tried between the smallest and the largest candidate.
const STEPS: usize = 256;
/// Mass given to an empty bin.
const EPSILON: f64 = 1e-4;
/// Rounds of searching one end after the other.
const ROUNDS: usize = 3;

/// The best range `lo..hi` of bins; `zero` is the bin that starts at 0 and always lies inside or at the end.
pub(super) fn best_range(counts: &[u64], zero: usize, levels: usize) -> (usize, usize) {
    let n = counts.len();
    if counts.iter().all(|&c| c == 0) {
        return (0, n);
    }
    let (mut lo, mut hi) = (0, n);
    for _ in 0..ROUNDS {
        let before = (lo, hi);
        if zero < n {
            hi = argmin(candidates((lo + levels).max(zero + 1), n), |h| divergence(counts, lo, h, levels));
        }
        if zero > 0 {
            // The same from the other side: distances from the upper end.
            let largest = hi.saturating_sub(levels).min(zero.saturating_sub(1));
            let distance = argmin(candidates(hi - largest, hi), |d| divergence(counts, hi - d, hi, levels));
            lo = hi - distance;
        }
        if (lo, hi) == before {
            break;
        }
    }
    (lo, hi)
}

/// At most [`STEPS`] + 1 sizes from `smallest` to `largest`, the largest among them.
fn candidates(smallest: usize, largest: usize) -> impl Iterator<Item = usize> {
    let smallest = smallest.min(largest);
    let step = (largest - smallest).div_ceil(STEPS).max(1);
    (0..=(largest - smallest) / step).map(move |i| largest - i * step)
}

/// The candidate with the lowest value; of equal ones the first, which is the widest.
fn argmin(candidates: impl Iterator<Item = usize>, value: impl Fn(usize) -> f64) -> usize {
    let mut best = (f64::INFINITY, None);
    for c in candidates {
        let v = value(c);
        if v < best.0 || best.1.is_none() {
            best = (v, Some(c));
        }
    }
    best.1.expect("there is at least one candidate")
}

/// Kullback-Leibler divergence in nats for the range `lo..hi`; infinite if the range holds nothing.
fn divergence(counts: &[u64], lo: usize, hi: usize, levels: usize) -> f64 {
    let n = hi - lo;
    let inside = &counts[lo..hi];
    let sum = |bins: &[u64]| bins.iter().sum::<u64>() as f64;
    let mut p: Vec<f64> = inside.iter().map(|&c| c as f64).collect();
    p[0] += sum(&counts[..lo]);
    p[n - 1] += sum(&counts[hi..]);
    let mut q = vec![0.0; n];
    for level in 0..levels.min(n) {
        let (start, end) = (level * n / levels.min(n), (level + 1) * n / levels.min(n));
        let filled = p[start..end].iter().filter(|&&x| x > 0.0).count();
        let mass = sum(&inside[start..end]);
        for i in start..end {
            if p[i] > 0.0 {
                q[i] = mass / filled as f64;
            }
        }
    }
    if !(smooth(&mut p) && smooth(&mut q)) {
        return f64::INFINITY;
    }
    p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum()
}

/// Scales to sum 1 after moving a little mass to empty bins; false if there is none to move.
fn smooth(p: &mut [f64]) -> bool {
    let filled = p.iter().filter(|&&x| x > 0.0).count();
    if filled == 0 {
        return false;
    }
    let taken = EPSILON * (p.len() - filled) as f64 / filled as f64;
    if taken >= 1.0 {
        return false;
    }
    for x in p.iter_mut() {
        *x = if *x > 0.0 { *x - taken } else { EPSILON };
    }
    let total: f64 = p.iter().sum();
    // Counts of less than one (spread levels) may be used up.
    if p.iter().any(|&x| x <= 0.0) || total <= 0.0 {
        return false;
    }
    for x in p.iter_mut() {
        *x /= total;
    }
    true
}
