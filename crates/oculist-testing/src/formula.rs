//! Weights and inputs that golden files need not hold, because both sides compute them.
//!
//! Element `i` of the tensor called `name` is the SplitMix64 output for the state
//! `fnv1a64(name) + (i + 1) * 0x9E3779B97F4A7C15`, its top 24 bits mapped to [-1, 1). Every value is a multiple
//! of 2^-23 and so exact in f32; the scaled parameters round once per operation, as numpy's f32 does, and are
//! equal bit for bit. `golden/formula.py` is the Python side, `golden/README.md` the specification.

/// What a state-dict entry is for; decides how the uniform values are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Convolution or linear weight `[c_out, c_in/groups, ...]`: `u * sqrt(6 / fan_in)`.
    Weight,
    /// Bias of a convolution or linear layer: `0.1 u`.
    Bias,
    /// Batch-norm weight about the given centre: `centre * (1 + 0.2 u)`.
    Gamma(f32),
    /// Batch-norm bias: `0.1 u`.
    Beta,
    /// Batch-norm running mean: `0.1 u`.
    RunningMean,
    /// Batch-norm running variance: `1 + 0.5 u`.
    RunningVar,
    /// Token or place of a transformer: `u`.
    Embedding,
    /// Network input: `u`.
    Input,
}

impl Kind {
    /// The kind of a PyTorch state-dict entry, from the last part of its name and its rank; `None` if it has
    /// no formula (such as `num_batches_tracked`). `gamma` is the centre of the batch-norm weights, which a
    /// golden file gives for each network. A `beta` counts as [`Kind::Bias`]; their values are the same.
    pub fn of(name: &str, rank: usize, gamma: f32) -> Option<Self> {
        let role = name.rsplit('.').next().unwrap_or(name);
        match (role, rank) {
            ("weight", 2..) => Some(Self::Weight),
            ("weight" | "layer_scale" | "gamma", _) => Some(Self::Gamma(gamma)),
            ("cls_token" | "pos_embed", _) => Some(Self::Embedding),
            ("bias", _) => Some(Self::Bias),
            ("running_mean", _) => Some(Self::RunningMean),
            ("running_var", _) => Some(Self::RunningVar),
            _ => None,
        }
    }
}

/// FNV-1a, 64 bits, of the name's UTF-8 bytes.
///
/// # Source
/// Fowler, Noll, Vo; offset basis and prime as in RFC 9923.
pub fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64's output function.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
fn splitmix64(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The first `len` values, in [-1, 1), of the tensor called `name`.
pub fn tensor(name: &str, len: usize) -> Vec<f32> {
    let seed = fnv1a64(name);
    (1..=len as u64)
        .map(|i| {
            let z = splitmix64(seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            ((z >> 40) as f32 - 8_388_608.0) / 8_388_608.0
        })
        .collect()
}

/// The values, in row-major (NCHW, OIHW) order, of a parameter or input called `name`.
///
/// # Panics
/// If a [`Kind::Weight`] has fewer than two dimensions.
pub fn parameter(name: &str, shape: &[usize], kind: Kind) -> Vec<f32> {
    let scale = match kind {
        Kind::Weight => {
            assert!(shape.len() >= 2, "{name}: a weight has [c_out, c_in/groups, ...], found {shape:?}");
            let fan_in: usize = shape[1..].iter().product();
            (6.0 / fan_in as f64).sqrt() as f32
        }
        Kind::Bias | Kind::Beta | Kind::RunningMean => 0.1,
        Kind::Gamma(_) => 0.2,
        Kind::RunningVar => 0.5,
        Kind::Embedding | Kind::Input => 1.0,
    };
    let mut values = tensor(name, shape.iter().product());
    for v in &mut values {
        *v = match kind {
            Kind::Gamma(centre) => centre * (1.0 + scale * *v),
            Kind::RunningVar => 1.0 + scale * *v,
            _ => scale * *v,
        };
    }
    values
}

/// [`parameter`] of a PyTorch state-dict entry, its kind taken from its name as [`Kind::of`] does.
///
/// # Panics
/// If the entry has no formula.
pub fn state(name: &str, shape: &[usize], gamma: f32) -> Vec<f32> {
    let kind = Kind::of(name, shape.len(), gamma)
        .unwrap_or_else(|| panic!("no formula for a state-dict entry called {name}"));
    parameter(name, shape, kind)
}

#[cfg(test)]
mod tests;
