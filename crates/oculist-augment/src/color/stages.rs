//! Colour operations waiting to be done in one pass.

use super::pixel::PixelOp;
use super::table::{self, Tables, blend_table};
use super::{Adjustment, clahe, histogram, sharpness};
use crate::Image;
use oculist_kernels::Isa;

enum Stage {
    Table(Box<Tables>),
    Pixel(PixelOp),
}

/// Bytes done at once, a multiple of 3 and 4: they stay in the first cache over all stages.
const BLOCK: usize = 12 << 10;

pub(super) struct Stages {
    channels: usize,
    list: Vec<Stage>,
}

impl Stages {
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, list: Vec::new() }
    }

    /// Adds an operation; runs what was waiting only if the operation must see the result.
    pub(super) fn add(&mut self, adjustment: Adjustment, image: &mut Image) {
        if let Err(error) = adjustment.validate() {
            panic!("{error}");
        }
        let grey = self.channels == 1;
        match adjustment {
            Adjustment::Contrast(factor) => {
                let through = self.only_table(image);
                let mean = histogram::mean_luma(image, through);
                self.push_table(Tables::same(blend_table(mean, factor)));
            }
            Adjustment::Equalize => {
                let through = self.only_table(image);
                let tables = histogram::equalize(&histogram::histograms(image, through));
                self.push_table(tables);
            }
            Adjustment::AutoContrast => {
                let through = self.only_table(image);
                let tables = histogram::auto_contrast(histogram::bounds(image, through));
                self.push_table(tables);
            }
            Adjustment::Clahe { clip, columns, rows } => {
                self.run(image);
                clahe::clahe(image, clip, columns, rows);
            }
            Adjustment::Sharpness(factor) => {
                self.run(image);
                sharpness::sharpness(image, factor);
            }
            _ => {
                if let Some(tables) = table::of(adjustment, grey) {
                    self.push_table(tables);
                } else if !grey {
                    self.list.extend(pixel_op(adjustment).map(Stage::Pixel));
                }
            }
        }
    }

    /// The table to read statistics through; runs everything first if more than one table is waiting.
    fn only_table(&mut self, image: &mut Image) -> Option<&Tables> {
        if !matches!(self.list[..], [] | [Stage::Table(_)]) {
            self.run(image);
        }
        match &self.list[..] {
            [Stage::Table(tables)] => Some(tables),
            _ => None,
        }
    }

    fn push_table(&mut self, tables: Tables) {
        match self.list.last_mut() {
            Some(Stage::Table(last)) => last.then(&tables),
            _ => self.list.push(Stage::Table(Box::new(tables))),
        }
    }

    /// Does everything that waits.
    pub(super) fn run(&mut self, image: &mut Image) {
        let stages = std::mem::take(&mut self.list);
        if stages.is_empty() {
            return;
        }
        let isa = Isa::detect();
        for block in image.pixels_mut().chunks_mut(BLOCK) {
            for stage in &stages {
                match stage {
                    Stage::Table(tables) => tables.apply(isa, block, self.channels),
                    Stage::Pixel(op) => op.apply(isa, block, self.channels),
                }
            }
        }
    }
}

/// The operation on single pixels; None for those that change nothing.
fn pixel_op(adjustment: Adjustment) -> Option<PixelOp> {
    match adjustment {
        Adjustment::Saturation(factor) if factor != 1.0 => Some(PixelOp::Saturation(factor.max(0.0))),
        Adjustment::Hue(turn) => {
            let turn = turn - turn.floor();
            let shift = turn * 6.0;
            // A turn a hair below 1 may round to a full circle.
            (turn > 0.0 && shift < 6.0).then_some(PixelOp::Hue(shift))
        }
        Adjustment::Shuffle(order) => (order != [0, 1, 2]).then_some(PixelOp::Shuffle(order)),
        Adjustment::Grey => Some(PixelOp::Grey),
        _ => None,
    }
}
