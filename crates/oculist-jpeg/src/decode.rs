//! From header and request to pixels.

use crate::block;
use crate::header::Header;
use crate::huffman::{Class, Table};
use crate::plane::{Plane, Window};
use crate::scan::{Reader, Scan};
use crate::{Error, Result};
use oculist_kernels::Isa;
use oculist_kernels::image::ycc_to_rgb;

/// Pixels in HWC order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// `height * width * channels` bytes.
    pub pixels: Vec<u8>,
}

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Left edge.
    pub x: usize,
    /// Upper edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

/// What of an image is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// How many times smaller: 1, 2, 4 or 8. Sides are rounded up.
    pub reduction: usize,
    /// The part that is wanted, in pixels of the reduced image; None is the whole.
    pub region: Option<Region>,
    /// The result has the size of the whole (reduced) image, black outside the region.
    pub in_place: bool,
    /// The instruction set; it changes nothing but the time.
    pub isa: Isa,
}

impl Request {
    /// The whole image in its size, by the fastest instruction set.
    pub fn whole() -> Self {
        Self { reduction: 1, region: None, in_place: false, isa: Isa::detect() }
    }

    /// The same for a region.
    #[must_use]
    pub fn of(self, region: Region) -> Self {
        Self { region: Some(region), ..self }
    }

    /// The same at 1/2, 1/4 or 1/8 of the size.
    #[must_use]
    pub fn reduced(self, reduction: usize) -> Self {
        Self { reduction, ..self }
    }

    /// The same with the region where it lies in the whole.
    #[must_use]
    pub fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }
}

impl Header<'_> {
    /// Decodes what is wanted.
    ///
    /// Memory is taken for the result, for a copy of the scan, and for two rows of units of samples; first it is checked that
    /// the scan has at least the two bits that every block needs.
    ///
    /// # Errors
    /// [`Error::Region`] and [`Error::Reduction`] for a request that the image does not fit; [`Error::Unsupported`],
    /// [`Error::Truncated`] and [`Error::Corrupt`] for what shows up only in the scan.
    ///
    /// # Panics
    /// If the processor lacks the instruction set.
    pub fn decode(&self, request: &Request) -> Result<Image> {
        let reduction = request.reduction;
        if !matches!(reduction, 1 | 2 | 4 | 8) {
            return Err(Error::Reduction(reduction));
        }
        let (width, height) = (self.width.div_ceil(reduction), self.height.div_ceil(reduction));
        let region = request.region.unwrap_or(Region { x: 0, y: 0, width, height });
        let inside = |start: usize, len: usize, side: usize| {
            len > 0 && start.checked_add(len).is_some_and(|end| end <= side)
        };
        if !inside(region.x, region.width, width) || !inside(region.y, region.height, height) {
            return Err(Error::Region);
        }
        let window = Window { x: region.x..region.x + region.width, y: region.y..region.y + region.height };
        let scan = Scan::copy(self.scan)?;
        let most = self.subsampling();
        let units = (self.width.div_ceil(8 * most.0), self.height.div_ceil(8 * most.1));
        let blocks: usize = self.components.iter().map(|c| c.h * c.v).sum();
        if units.0 * units.1 * blocks * 2 > scan.len() * 8 {
            return Err(Error::Truncated("its scan can be complete"));
        }
        let channels = self.components.len();
        let (mut image, origin) = if request.in_place {
            (Image { width, height, channels, pixels: Vec::new() }, region)
        } else {
            let Region { width, height, .. } = region;
            (Image { width, height, channels, pixels: Vec::new() }, Region { x: 0, y: 0, ..region })
        };
        image.pixels = vec![0; image.width * image.height * channels];
        let stride = image.width * channels;
        let first = origin.y * stride + origin.x * channels;
        let rows = image.pixels[first..].chunks_mut(stride);

        let mut planes = Vec::with_capacity(channels);
        for component in &self.components {
            let quantization =
                self.quantization[component.quantization].ok_or(Error::Unsupported("a missing table"))?;
            let size = (self.width, self.height);
            planes.push(Plane::new(component, quantization, most, 8 / reduction, size, &window));
        }
        let mut decoder = Decoder {
            isa: request.isa,
            tables: Tables::new(self)?,
            restart: Restart { interval: self.restart_interval, left: 0, part: 0 },
            planes,
            units,
        };
        decoder.run(&scan, &window, rows)?;
        Ok(image)
    }
}

/// The Huffman tables of each component.
struct Tables {
    tables: [[Option<Box<Table>>; 4]; 2],
    choice: Vec<[usize; 2]>,
}

impl Tables {
    fn new(header: &Header<'_>) -> Result<Self> {
        let mut tables: [[Option<Box<Table>>; 4]; 2] = Default::default();
        for (i, class) in [Class::Mean, Class::Other].into_iter().enumerate() {
            for component in &header.components {
                let slot = component.codes[i];
                if let (None, Some(codes)) = (&tables[i][slot], &header.codes[i][slot]) {
                    tables[i][slot] = Some(Table::new(codes, class)?);
                }
            }
        }
        Ok(Self { tables, choice: header.components.iter().map(|c| c.codes).collect() })
    }

    fn of(&self, component: usize) -> Result<[&Table; 2]> {
        let [means, others] = self.choice[component];
        match (&self.tables[0][means], &self.tables[1][others]) {
            (Some(means), Some(others)) => Ok([means, others]),
            _ => Err(Error::Unsupported("a missing table")),
        }
    }
}

/// Where the next restart is.
struct Restart {
    /// Units between restarts; 0 without.
    interval: usize,
    /// Units left before the next.
    left: usize,
    /// The part that is read, counted from 1.
    part: usize,
}

struct Decoder {
    isa: Isa,
    tables: Tables,
    restart: Restart,
    planes: Vec<Plane>,
    /// Minimum coded units across and down.
    units: (usize, usize),
}

const EARLY: Error = Error::Truncated("the last block");

impl Decoder {
    fn run<'a>(
        &mut self,
        scan: &Scan,
        window: &Window,
        mut rows: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        let (across, down) = self.units;
        let parts = match self.restart.interval {
            0 => 1,
            interval => (across * down).div_ceil(interval),
        };
        if scan.ends.len() != parts {
            return Err(Error::Corrupt("a wrong number of restart markers"));
        }
        let mut reader = scan.reader(0);
        let mut y = window.y.start;
        let last = self.planes.iter().map(Plane::last_unit_row).max().unwrap_or(0).min(down - 1);
        for unit_row in 0..=last {
            self.unit_row(scan, &mut reader, unit_row)?;
            for plane in &mut self.planes {
                plane.transform(self.isa, unit_row);
            }
            while y < window.y.end && self.planes.iter().all(|plane| plane.has(y, unit_row + 1)) {
                let Some(row) = rows.next() else { break };
                self.pixels(y, window, row);
                y += 1;
            }
        }
        Ok(())
    }

    /// Reads the coefficients of a row of units.
    fn unit_row<'a>(&mut self, scan: &'a Scan, reader: &mut Reader<'a>, unit_row: usize) -> Result<()> {
        for plane in &mut self.planes {
            plane.clear();
        }
        for unit in 0..self.units.0 {
            if self.restart.left == 0 {
                self.start_part(scan, reader)?;
            }
            self.restart.left -= 1;
            for (i, plane) in self.planes.iter_mut().enumerate() {
                let tables = self.tables.of(i)?;
                let blocks = plane.blocks();
                for row in 0..plane.v {
                    let wanted = plane.needs_row(unit_row * plane.v + row);
                    for column in unit * plane.h..(unit + 1) * plane.h {
                        let mut mean = plane.mean;
                        if wanted && blocks.contains(&column) {
                            let (group, last, at) = plane.slot(row, column);
                            *last = (*last).max(block::read(reader, tables, &mut mean, group, at)?);
                        } else {
                            block::pass(reader, tables, &mut mean)?;
                        }
                        plane.mean = mean;
                    }
                }
            }
        }
        // Past the end of its part the reader has taken bits of the next one, or zeros.
        let end = scan.ends[self.restart.part - 1];
        if reader.is_past(end) { Err(EARLY) } else { Ok(()) }
    }

    /// Goes on behind a restart marker, or begins.
    fn start_part<'a>(&mut self, scan: &'a Scan, reader: &mut Reader<'a>) -> Result<()> {
        let Restart { interval, left, part } = &mut self.restart;
        let start = match part.checked_sub(1) {
            Some(before) => scan.ends[before],
            None => 0,
        };
        if *part > 0 && reader.is_past(start) {
            return Err(EARLY);
        }
        *part += 1;
        *left = if *interval == 0 { usize::MAX } else { *interval };
        *reader = scan.reader(start);
        for plane in &mut self.planes {
            plane.mean = 0;
        }
        Ok(())
    }

    /// Makes row y of the window's pixels.
    fn pixels(&mut self, y: usize, window: &Window, row: &mut [u8]) {
        let (x, n) = (window.x.start, window.x.len());
        match &mut self.planes[..] {
            [luma, cb, cr] => {
                let luma = luma.row(self.isa, y, x);
                let (cb, cr) = (cb.row(self.isa, y, x), cr.row(self.isa, y, x));
                ycc_to_rgb(self.isa, &luma[..n], &cb[..n], &cr[..n], &mut row[..3 * n]);
            }
            planes => {
                for plane in planes {
                    row[..n].copy_from_slice(&plane.row(self.isa, y, x)[..n]);
                }
            }
        }
    }
}
