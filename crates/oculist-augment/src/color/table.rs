//! Operations that map each value by itself: 256 entries per channel.

use super::Adjustment;
use super::pixel::blend;
use oculist_kernels::Isa;
use oculist_kernels::image::{self, ByteMap};
use std::f64::consts::LN_2;
use std::sync::LazyLock;

/// The new value of every old value, for red, green and blue; grey images use the first.
#[derive(Clone)]
pub(super) struct Tables {
    tables: [[u8; 256]; 3],
    /// The same as arithmetic, which is faster where it is known.
    arithmetic: Option<ByteMap>,
}

/// The table of an arithmetic map.
fn arithmetic(map: ByteMap, f: impl Fn(u8) -> u8) -> Tables {
    Tables { tables: [std::array::from_fn(|v| f(v as u8)); 3], arithmetic: Some(map) }
}

/// What a table adds and then subtracts, if that is what it does.
fn as_sum(table: &[u8; 256]) -> Option<(u8, u8)> {
    if *table == [table[0]; 256] {
        return Some((255, 255 - table[0]));
    }
    let does = |add: u8, subtract: u8| {
        let sums: [u8; 256] = std::array::from_fn(|v| (v as u8).saturating_add(add).saturating_sub(subtract));
        sums == *table
    };
    [(table[0], 0), (0, 255 - table[255])].into_iter().find(|&(add, subtract)| does(add, subtract))
}

impl Tables {
    pub(super) fn same(table: [u8; 256]) -> Self {
        Self { tables: [table; 3], arithmetic: None }
    }

    pub(super) fn new(tables: &[[u8; 256]; 3]) -> Self {
        Self { tables: *tables, arithmetic: None }
    }

    /// A table per channel, which may turn out to be a sum.
    fn channels(f: impl Fn(usize, u8) -> u8) -> Self {
        let tables = std::array::from_fn(|c| std::array::from_fn(|v| f(c, v as u8)));
        let arithmetic = (|| {
            let [r, g, b] = [as_sum(&tables[0])?, as_sum(&tables[1])?, as_sum(&tables[2])?];
            Some(ByteMap::AddSubtract([r.0, g.0, b.0, 0], [r.1, g.1, b.1, 0]))
        })();
        Self { tables, arithmetic }
    }

    /// Tables that add, then subtract, cut to 0..=255 each time.
    fn sums(add: [u8; 3], subtract: [u8; 3]) -> Self {
        let mut tables = [[0; 256]; 3];
        for (table, (&add, &subtract)) in tables.iter_mut().zip(add.iter().zip(&subtract)) {
            *table = std::array::from_fn(|v| (v as u8).saturating_add(add).saturating_sub(subtract));
        }
        let with_alpha = |[r, g, b]: [u8; 3]| [r, g, b, 0];
        Self { tables, arithmetic: Some(ByteMap::AddSubtract(with_alpha(add), with_alpha(subtract))) }
    }

    /// The entries of each channel.
    pub(super) fn entries(&self) -> &[[u8; 256]; 3] {
        &self.tables
    }

    #[inline(always)]
    pub(super) fn get(&self, channel: usize, value: u8) -> u8 {
        self.tables[channel][usize::from(value)]
    }

    /// This table, then another.
    pub(super) fn then(&mut self, next: &Self) {
        self.arithmetic = None;
        for (table, next) in self.tables.iter_mut().zip(&next.tables) {
            for v in table.iter_mut() {
                *v = next[usize::from(*v)];
            }
        }
    }

    /// Maps the pixels of a slice that holds whole pixels.
    pub(super) fn apply(&self, isa: Isa, pixels: &mut [u8], channels: usize) {
        let [r, g, b] = &self.tables;
        match self.arithmetic {
            Some(map @ ByteMap::AddSubtract(..)) => return image::map_bytes(isa, pixels, channels, map),
            // Alpha stays.
            Some(map) if channels != 4 => return image::map_bytes(isa, pixels, channels, map),
            _ => {}
        }
        if channels == 1 || (channels == 3 && r == g && g == b) {
            image::map_values(isa, pixels, r);
        } else {
            image::map_colors(isa, pixels, channels, &self.tables);
        }
    }
}

/// `from + factor * (x - from)` for all x.
pub(super) fn blend_table(from: u8, factor: f32) -> [u8; 256] {
    let factor = factor.max(0.0);
    std::array::from_fn(|value| blend(f32::from(from), value as f32, factor) as u8)
}

/// `floor(255.999 (v / 255)^gamma)` for all v.
///
/// Powers are `2^(gamma log2(v / 255))` by a polynomial, a few at a time, within 10^-7 of a level; where that is nearer
/// than 10^-6 to a whole number, `powf` decides, so that the table is that of `powf`.
fn gamma_table(gamma: f64) -> [u8; 256] {
    /// `log2(v / 255)`; of 0, whose power is no polynomial's, any number.
    static LOGS: LazyLock<[f64; 256]> =
        LazyLock::new(|| std::array::from_fn(|v| if v == 0 { 0.0 } else { (v as f64 / 255.0).log2() }));
    // Adding it rounds to whole numbers, which the lowest bits then hold.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let exact = |v: usize| (255.999 * (v as f64 / 255.0).powf(gamma)) as u8;
    if !(0.0..=1e6).contains(&gamma) {
        return std::array::from_fn(exact);
    }
    let (mut table, mut unsure) = ([0; 256], [false; 256]);
    for ((entry, unsure), &log) in table.iter_mut().zip(&mut unsure).zip(&*LOGS) {
        // 2^-60 of 256 is as good as 0.
        let power = if gamma * log > -60.0 { gamma * log } else { -60.0 };
        let shifted = power + SHIFT;
        let x = (power - (shifted - SHIFT)) * LN_2;
        let mut sum = 1.0;
        for n in (1..=8).rev() {
            sum = 1.0 + sum * x * (1.0 / f64::from(n));
        }
        let two = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
        let level = 255.999 * sum * two;
        let nearest = level + SHIFT;
        let above = level - (nearest - SHIFT);
        *entry = (nearest.to_bits() as u8).wrapping_sub(u8::from(above < 0.0));
        *unsure = above.abs() < 1e-6;
    }
    unsure[0] = true;
    for v in (0..256).filter(|&v| unsure[v]) {
        table[v] = exact(v);
    }
    table
}

/// The table of an operation that is one and needs nothing but its parameter.
pub(super) fn of(adjustment: Adjustment, grey_image: bool) -> Option<Tables> {
    match adjustment {
        Adjustment::Brightness(factor) => Some(Tables::same(blend_table(0, factor))),
        Adjustment::Gamma(gamma) => Some(Tables::same(gamma_table(f64::from(gamma)))),
        Adjustment::Invert => Some(arithmetic(ByteMap::Invert, |v| !v)),
        Adjustment::Posterize(bits) => {
            let mask = !(0xff_u16 >> bits.min(8)) as u8;
            Some(arithmetic(ByteMap::Mask(mask), |v| v & mask))
        }
        Adjustment::Solarize(threshold) if threshold <= 255.0 => {
            // Values are whole numbers: v < t is v < ceil(t).
            let from = threshold.ceil() as u8;
            Some(arithmetic(ByteMap::InvertFrom(from), |v| if v < from { v } else { !v }))
        }
        Adjustment::Solarize(_) => None,
        _ if grey_image => None,
        Adjustment::RgbShift(shift) => {
            let part = |v: i16| v.clamp(0, 255) as u8;
            Some(Tables::sums(shift.map(part), shift.map(|v| part(v.saturating_neg()))))
        }
        Adjustment::DropChannels { dropped, fill } => {
            let (add, subtract) = (dropped.map(|d| if d { 255 } else { 0 }), 255 - fill);
            Some(Tables::sums(add, dropped.map(|d| if d { subtract } else { 0 })))
        }
        Adjustment::Temperature(kelvin) => {
            let (lit, white) = (black_body(f64::from(kelvin)), black_body(6500.0));
            Some(Tables::channels(|c, v| {
                (encode(decode(f64::from(v) / 255.0) * lit[c] / white[c]) * 255.0 + 0.5) as u8
            }))
        }
        Adjustment::Lighting(factors) => {
            let shift = lighting(factors);
            Some(Tables::channels(|c, v| (f64::from(v) + shift[c] + 0.5).floor().clamp(0.0, 255.0) as u8))
        }
        _ => None,
    }
}

/// What PCA lighting adds to each channel: components * (eigenvalues * factors).
fn lighting(factors: [f32; 3]) -> [f64; 3] {
    const VALUES: [f64; 3] = [0.2175, 0.0188, 0.0045];
    const COMPONENTS: [[f64; 3]; 3] =
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]];
    COMPONENTS.map(|row| {
        let term = |k: usize| row[k] * VALUES[k] * f64::from(factors[k]);
        255.0 * (term(0) + term(1) + term(2))
    })
}

/// Linear sRGB of a black body's light at luminance 1.
fn black_body(t: f64) -> [f64; 3] {
    let polynomial = |c: [f64; 4], x: f64| ((c[0] * x + c[1]) * x + c[2]) * x + c[3];
    let x = if t <= 4000.0 {
        polynomial([-0.2661239e9, -0.2343589e6, 0.8776956e3, 0.179910], 1.0 / t)
    } else {
        polynomial([-3.0258469e9, 2.1070379e6, 0.2226347e3, 0.240390], 1.0 / t)
    };
    let y = if t <= 2222.0 {
        polynomial([-1.1063814, -1.34811020, 2.18555832, -0.20219683], x)
    } else if t <= 4000.0 {
        polynomial([-0.9549476, -1.37418593, 2.09137015, -0.16748867], x)
    } else {
        polynomial([3.0817580, -5.87338670, 3.75112997, -0.37001483], x)
    };
    let (big_x, big_z) = (x / y, (1.0 - x - y) / y);
    [
        3.2406 * big_x - 1.5372 - 0.4986 * big_z,
        -0.9689 * big_x + 1.8758 + 0.0415 * big_z,
        0.0557 * big_x - 0.2040 + 1.0570 * big_z,
    ]
    .map(|v| v.max(0.0))
}

/// sRGB to linear light, both 0..=1.
fn decode(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// Linear light to sRGB; light above 1 is cut by the conversion to a byte.
fn encode(v: f64) -> f64 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}
