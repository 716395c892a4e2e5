//! A writer of JPEG files in every layout that the standard knows, for 8 bits and Huffman codes.
//!
//! # Source
//! ITU-T T.81: A.2 (order of blocks), B (segments), F.1.2 (sequential codes), G.1.2 (progressive codes).

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Row-by-row index of the k-th coefficient in zigzag order, made by walking the diagonals.
fn zigzag() -> [usize; 64] {
    let mut order: Vec<(usize, usize)> = (0..64).map(|i| (i / 8, i % 8)).collect();
    order.sort_by_key(|&(v, u)| (v + u, if (v + u) % 2 == 0 { u } else { v }));
    std::array::from_fn(|k| order[k].0 * 8 + order[k].1)
}

/// A component of the frame to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    pub(crate) id: u8,
    pub(crate) h: usize,
    pub(crate) v: usize,
}

/// A scan to write: components, first and last coefficient, the bit sent before and the one sent now.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) components: Vec<usize>,
    pub(crate) band: (usize, usize),
    pub(crate) bits: (u8, u8),
}

/// A file to write.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: Vec<Component>,
    pub(crate) progressive: bool,
    pub(crate) scans: Vec<Scan>,
    /// Units between restart markers; 0 without.
    pub(crate) restart: usize,
    /// Segments behind the start of the image, markers included.
    pub(crate) segments: Vec<u8>,
    /// Fill bytes before markers and zeros between segments.
    pub(crate) padding: bool,
    /// Tables behind the frame rather than before, each scan with its own.
    pub(crate) tables_late: bool,
    /// The divisor of all coefficients but the mean.
    pub(crate) divisor: u8,
}

/// Means have a divisor of their own.
const MEAN_DIVISOR: u8 = 3;

/// Symbols in the order of their codes: 100 of 8 bits, the others of 12, so that short and long codes occur.
fn code(symbol: u8) -> (u32, u32) {
    // Frequent symbols first: small runs and sizes.
    let index = u32::from(symbol >> 4) + u32::from(symbol & 15) * 16;
    if index < 100 { (index, 8) } else { ((100 << 4) + index - 100, 12) }
}

/// The same for the sizes of means: four of 3 bits, eight of 6.
fn mean_code(size: u32) -> (u32, u32) {
    if size < 4 { (size, 3) } else { ((4 << 3) + size - 4, 6) }
}

fn huffman_segment(class: u8) -> Vec<u8> {
    let mut segment = vec![class << 4];
    let mut counts = [0u8; 16];
    if class == 0 {
        (counts[2], counts[5]) = (4, 8);
        segment.extend(counts);
        segment.extend(0..12u8);
        return segment;
    }
    (counts[7], counts[11]) = (100, 156);
    segment.extend(counts);
    segment.extend((0..=255u8).map(|i| (i & 15) << 4 | i >> 4));
    segment
}

/// Writes bits, the highest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    word: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for i in (0..count).rev() {
            self.word = self.word << 1 | value >> i & 1;
            self.count += 1;
            if self.count == 8 {
                let byte = self.word as u8;
                self.bytes.push(byte);
                if byte == 0xff {
                    self.bytes.push(0);
                }
                (self.word, self.count) = (0, 0);
            }
        }
    }

    fn symbol(&mut self, symbol: u8) {
        let (value, count) = code(symbol);
        self.put(value, count);
    }

    /// A value as its magnitude's bits, inverted for negative ones.
    fn value(&mut self, value: i32, size: u32) {
        let value = if value < 0 { value - 1 } else { value };
        self.put(value as u32 & ((1 << size) - 1), size);
    }

    fn align(&mut self) {
        while self.count != 0 {
            self.put(1, 1);
        }
    }
}

fn size(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

/// The coefficients of a component, in zigzag order, with those of blocks that only fill units.
struct Plane {
    across: usize,
    blocks: Vec<[i32; 64]>,
}

/// Waves, an edge and grain, as samples of a component.
fn sample(x: f64, y: f64, component: usize, noise: &mut u32) -> f64 {
    *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let wave = (x / (4.0 + component as f64) + component as f64).sin() * 45.0 + (y / 6.0).cos() * 40.0;
    let edge = if x > y + 5.0 { 25.0 } else { -25.0 };
    (128.0 + wave + edge + f64::from(*noise >> 28)).round().clamp(0.0, 255.0)
}

impl Plane {
    fn new(layout: &Layout, index: usize) -> Self {
        let (most, units) = (layout.most(), layout.units());
        let Component { h, v, .. } = layout.components[index];
        let (across, down) = (units.0 * h, units.1 * v);
        let (step_x, step_y) = (most.0 as f64 / h as f64, most.1 as f64 / v as f64);
        let order = zigzag();
        let mut noise = 17 + index as u32;
        let scale = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let wave: [[f64; 8]; 8] = std::array::from_fn(|u| {
            std::array::from_fn(|x| scale(u) / 2.0 * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos())
        });
        let mut blocks = Vec::with_capacity(across * down);
        for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
            let samples: [[f64; 8]; 8] = std::array::from_fn(|y| {
                std::array::from_fn(|x| {
                    let (x, y) = ((column * 8 + x) as f64 * step_x, (row * 8 + y) as f64 * step_y);
                    sample(x, y, index, &mut noise) - 128.0
                })
            });
            let rows: [[f64; 8]; 8] = std::array::from_fn(|y| {
                std::array::from_fn(|u| (0..8).map(|x| samples[y][x] * wave[u][x]).sum())
            });
            blocks.push(std::array::from_fn(|k| {
                let (v, u) = (order[k] / 8, order[k] % 8);
                let sum: f64 = (0..8).map(|y| rows[y][u] * wave[v][y]).sum();
                (sum / f64::from(if k == 0 { MEAN_DIVISOR } else { layout.divisor })).round() as i32
            }));
        }
        Self { across, blocks }
    }
}

/// What goes on from block to block of a scan.
#[derive(Default)]
struct State {
    means: [i32; 4],
    /// Blocks at their end, and the bits that correct their coefficients.
    run: u32,
    corrections: Vec<u32>,
}

impl State {
    fn end_run(&mut self, bits: &mut Bits) {
        if self.run > 0 {
            let size = self.run.ilog2();
            bits.symbol((size << 4) as u8);
            bits.put(self.run & ((1 << size) - 1), size);
        }
        for bit in self.corrections.drain(..) {
            bits.put(bit, 1);
        }
        self.run = 0;
    }

    fn block(
        &mut self,
        bits: &mut Bits,
        scan: &Scan,
        component: usize,
        block: &[i32; 64],
        progressive: bool,
    ) {
        let (first, last) = scan.band;
        let (before, now) = scan.bits;
        if first == 0 && before > 0 {
            bits.put((block[0] >> now) as u32 & 1, 1);
            return;
        }
        if first == 0 {
            let mean = block[0] >> now;
            let difference = mean - std::mem::replace(&mut self.means[component], mean);
            let (code, length) = mean_code(size(difference));
            bits.put(code, length);
            bits.value(difference, size(difference));
        }
        if before > 0 {
            return self.refine(bits, (first, last), now, block);
        }
        let mut zeros = 0;
        for k in first.max(1)..=last {
            // Towards zero: the sign is sent apart.
            let value = block[k].signum() * (block[k].abs() >> now);
            if value == 0 {
                zeros += 1;
                continue;
            }
            self.end_run(bits);
            while zeros > 15 {
                bits.symbol(0xf0);
                zeros -= 16;
            }
            bits.symbol((zeros << 4) as u8 | size(value) as u8);
            bits.value(value, size(value));
            zeros = 0;
        }
        if zeros > 0 {
            self.run += 1;
            if !progressive || self.run == 0x7fff {
                self.end_run(bits);
            }
        }
    }

    fn refine(&mut self, bits: &mut Bits, (first, last): (usize, usize), now: u8, block: &[i32; 64]) {
        let magnitude = |k: usize| block[k].unsigned_abs() >> now;
        let last_new = (first..=last).rev().find(|&k| magnitude(k) == 1).unwrap_or(0);
        let (mut zeros, mut pending) = (0u8, Vec::new());
        for k in first..=last {
            if magnitude(k) == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 && k <= last_new {
                self.end_run(bits);
                bits.symbol(0xf0);
                pending.drain(..).for_each(|bit| bits.put(bit, 1));
                zeros -= 16;
            }
            if magnitude(k) > 1 {
                pending.push(magnitude(k) & 1);
                continue;
            }
            self.end_run(bits);
            bits.symbol(zeros << 4 | 1);
            bits.put(u32::from(block[k] > 0), 1);
            pending.drain(..).for_each(|bit| bits.put(bit, 1));
            zeros = 0;
        }
        if zeros > 0 || !pending.is_empty() {
            self.run += 1;
            self.corrections.append(&mut pending);
            if self.run == 0x7fff {
                self.end_run(bits);
            }
        }
    }
}

impl Layout {
    fn most(&self) -> (usize, usize) {
        let most = |factor: fn(&Component) -> usize| self.components.iter().map(factor).max().unwrap();
        (most(|c| c.h), most(|c| c.v))
    }

    fn units(&self) -> (usize, usize) {
        let most = self.most();
        (self.width.div_ceil(8 * most.0), self.height.div_ceil(8 * most.1))
    }

    fn segment(&self, file: &mut Vec<u8>, marker: u8, content: &[u8]) {
        // Readers tell the format by the marker behind the start.
        if self.padding && file.len() > 2 {
            file.extend([0, 0, 0xff, 0xff]);
        }
        file.extend([0xff, marker]);
        file.extend((content.len() as u16 + 2).to_be_bytes());
        file.extend(content);
    }

    fn tables(&self, file: &mut Vec<u8>) {
        let order = zigzag();
        let mut divisors = vec![0];
        divisors.extend((0..64).map(|k| if order[k] == 0 { MEAN_DIVISOR } else { self.divisor }));
        self.segment(file, 0xdb, &divisors);
        for class in 0..2 {
            self.segment(file, 0xc4, &huffman_segment(class));
        }
    }

    /// The file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        file.extend(&self.segments);
        if !self.tables_late {
            self.tables(&mut file);
        }
        let mut frame = vec![8];
        frame.extend((self.height as u16).to_be_bytes());
        frame.extend((self.width as u16).to_be_bytes());
        frame.push(self.components.len() as u8);
        for component in &self.components {
            frame.extend([component.id, (component.h << 4 | component.v) as u8, 0]);
        }
        self.segment(&mut file, if self.progressive { 0xc2 } else { 0xc1 }, &frame);
        let planes: Vec<Plane> = (0..self.components.len()).map(|i| Plane::new(self, i)).collect();
        for scan in &self.scans {
            if self.tables_late {
                self.tables(&mut file);
            }
            if self.restart > 0 {
                self.segment(&mut file, 0xdd, &(self.restart as u16).to_be_bytes());
            }
            let mut head = vec![scan.components.len() as u8];
            for &i in &scan.components {
                head.extend([self.components[i].id, 0]);
            }
            head.extend([scan.band.0 as u8, scan.band.1 as u8, scan.bits.0 << 4 | scan.bits.1]);
            self.segment(&mut file, 0xda, &head);
            file.extend(self.scan(scan, &planes));
        }
        file.extend([0xff, 0xd9]);
        file
    }

    fn scan(&self, scan: &Scan, planes: &[Plane]) -> Vec<u8> {
        let most = self.most();
        let alone = scan.components.len() == 1;
        let (across, down) = if alone {
            let Component { h, v, .. } = self.components[scan.components[0]];
            ((self.width * h).div_ceil(8 * most.0), (self.height * v).div_ceil(8 * most.1))
        } else {
            self.units()
        };
        let (mut bits, mut state) = (Bits::default(), State::default());
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                state.end_run(&mut bits);
                bits.align();
                if self.padding {
                    bits.bytes.extend([0xff, 0xff]);
                }
                bits.bytes.extend([0xff, 0xd0 + ((unit / self.restart - 1) % 8) as u8]);
                state = State::default();
            }
            for &i in &scan.components {
                let Component { h, v, .. } =
                    if alone { Component { id: 0, h: 1, v: 1 } } else { self.components[i] };
                for (y, x) in (0..v).flat_map(|y| (0..h).map(move |x| (y, x))) {
                    let (row, column) = (unit / across * v + y, unit % across * h + x);
                    let block = &planes[i].blocks[row * planes[i].across + column];
                    state.block(&mut bits, scan, i, block, self.progressive);
                }
            }
        }
        state.end_run(&mut bits);
        bits.align();
        bits.bytes
    }
}
