//! From header and request to pixels.

use crate::block;
use crate::color::{Meaning, inked};
use crate::header::Header;
use crate::huffman::{Class, Table};
use crate::plane::{Plane, Window};
use crate::scan::{Reader, Scan};
use crate::stored::Stored;
use crate::{Error, Result, several};
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
    /// Memory is taken for the result, for a copy of the scan, and for two rows of units of samples; for files of several
    /// scans also for all coefficients, two bytes each. First it is checked that the scan has at least the bits that every
    /// block needs. The caller has compared the size with what it allows.
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
        let (width, height) = (self.width().div_ceil(reduction), self.height().div_ceil(reduction));
        let region = request.region.unwrap_or(Region { x: 0, y: 0, width, height });
        let inside = |start: usize, len: usize, side: usize| {
            len > 0 && start.checked_add(len).is_some_and(|end| end <= side)
        };
        if !inside(region.x, region.width, width) || !inside(region.y, region.height, height) {
            return Err(Error::Region);
        }
        let window = Window { x: region.x..region.x + region.width, y: region.y..region.y + region.height };
        let most = self.frame.most();
        let source = self.source()?;
        let channels = self.channels();
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

        let mut planes = Vec::with_capacity(self.frame.components.len());
        for (i, component) in self.frame.components.iter().enumerate() {
            let quantization = match &source {
                Source::Scan { .. } => self.tables.quantization[component.quantization]
                    .ok_or(Error::Corrupt("a component without its quantisation table"))?,
                Source::Stored(all) => all[i].quantization,
            };
            let size = (self.frame.width, self.frame.height);
            planes.push(Plane::new(component, quantization, most, 8 / reduction, size, &window));
        }
        let mut decoder = Decoder {
            isa: request.isa,
            planes,
            units: self.frame.units(),
            pixels: Pixels { meaning: self.meaning, scratch: vec![0; 3 * region.width] },
        };
        decoder.run(source, &window, rows)?;
        Ok(image)
    }

    /// The coefficients as they are, or where to read them.
    fn source(&self) -> Result<Source> {
        if !self.is_one_scan() {
            return Ok(Source::Stored(several::read(self)?));
        }
        let (scan, mut behind) = Scan::copy(self.scan)?;
        let units = self.frame.units();
        scan.check_parts(units.0 * units.1, self.tables.restart_interval)?;
        let blocks: usize = self.frame.components.iter().map(|c| c.h * c.v).sum();
        if units.0 * units.1 * blocks * 2 > scan.len() * 8 {
            return Err(Error::Truncated("its scan can be complete"));
        }
        if self.tables.clone().next_scan(&mut behind, &self.frame)?.is_some() {
            return Err(Error::Corrupt("a scan behind one that is complete"));
        }
        let restart = Restart { interval: self.tables.restart_interval, left: 0, part: 0 };
        Ok(Source::Scan { scan, tables: Decoding::new(self)?, restart })
    }
}

/// Where coefficients come from.
enum Source {
    /// They are read as they are needed.
    Scan { scan: Scan, tables: Decoding, restart: Restart },
    /// Those of the whole image, component by component.
    Stored(Vec<Stored>),
}

/// The Huffman tables of each component.
struct Decoding {
    tables: [[Option<Box<Table>>; 4]; 2],
    choice: Vec<[usize; 2]>,
}

impl Decoding {
    fn new(header: &Header<'_>) -> Result<Self> {
        let mut tables: [[Option<Box<Table>>; 4]; 2] = Default::default();
        for (i, class) in [Class::Mean, Class::Other].into_iter().enumerate() {
            for (_, choice) in &header.first.components {
                let slot = choice[i];
                if let (None, Some(codes)) = (&tables[i][slot], &header.tables.codes[i][slot]) {
                    tables[i][slot] = Some(Table::new(codes, class)?);
                }
            }
        }
        Ok(Self { tables, choice: header.first.components.iter().map(|(_, choice)| *choice).collect() })
    }

    fn of(&self, component: usize) -> Result<[&Table; 2]> {
        let [means, others] = self.choice[component];
        match (&self.tables[0][means], &self.tables[1][others]) {
            (Some(means), Some(others)) => Ok([means, others]),
            _ => Err(Error::Corrupt("a scan without its Huffman table")),
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
    planes: Vec<Plane>,
    /// Minimum coded units across and down.
    units: (usize, usize),
    pixels: Pixels,
}

const EARLY: Error = Error::Truncated("the last block");

impl Decoder {
    fn run<'a>(
        &mut self,
        source: Source,
        window: &Window,
        mut rows: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        let mut y = window.y.start;
        let last = self.planes.iter().map(Plane::last_unit_row).max().unwrap_or(0).min(self.units.1 - 1);
        let (across, planes) = (self.units.0, &mut self.planes);
        let mut row = |planes: &mut Vec<Plane>, unit_row: usize| {
            for plane in planes.iter_mut() {
                plane.transform(self.isa, unit_row);
            }
            while y < window.y.end && planes.iter().all(|plane| plane.has(y, unit_row + 1)) {
                let Some(row) = rows.next() else { break };
                self.pixels.row(self.isa, planes, y, window, row);
                y += 1;
            }
        };
        match source {
            Source::Scan { scan, tables, mut restart } => {
                let mut reader = scan.reader(0);
                for unit_row in 0..=last {
                    read_units(planes, across, &tables, &scan, &mut restart, &mut reader, unit_row)?;
                    row(planes, unit_row);
                }
            }
            Source::Stored(all) => {
                for unit_row in 0..=last {
                    for (plane, stored) in planes.iter_mut().zip(&all) {
                        plane.load(stored, unit_row);
                    }
                    row(planes, unit_row);
                }
            }
        }
        Ok(())
    }
}

/// Reads the coefficients of a row of units.
fn read_units<'a>(
    planes: &mut [Plane],
    across: usize,
    tables: &Decoding,
    scan: &'a Scan,
    restart: &mut Restart,
    reader: &mut Reader<'a>,
    unit_row: usize,
) -> Result<()> {
    for plane in &mut *planes {
        plane.clear();
    }
    for unit in 0..across {
        if restart.left == 0 {
            restart.start_part(planes, scan, reader)?;
        }
        restart.left -= 1;
        for (i, plane) in planes.iter_mut().enumerate() {
            let tables = tables.of(i)?;
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
    let end = scan.ends[restart.part - 1];
    if reader.is_past(end) { Err(EARLY) } else { Ok(()) }
}

impl Restart {
    /// Goes on behind a restart marker, or begins.
    fn start_part<'a>(
        &mut self,
        planes: &mut [Plane],
        scan: &'a Scan,
        reader: &mut Reader<'a>,
    ) -> Result<()> {
        let Restart { interval, left, part } = self;
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
        for plane in planes {
            plane.mean = 0;
        }
        Ok(())
    }
}

/// Samples to pixels.
struct Pixels {
    meaning: Meaning,
    /// A row of colours before black is applied.
    scratch: Vec<u8>,
}

impl Pixels {
    /// Makes row y of the window's pixels.
    fn row(&mut self, isa: Isa, planes: &mut [Plane], y: usize, window: &Window, out: &mut [u8]) {
        let (x, n) = (window.x.start, window.x.len());
        let mut samples = planes.iter_mut().map(|plane| &plane.row(isa, y, x)[..n]);
        let mut next = || samples.next().unwrap_or_default();
        match self.meaning {
            Meaning::Grey => out[..n].copy_from_slice(next()),
            Meaning::Ycc => ycc_to_rgb(isa, next(), next(), next(), &mut out[..3 * n]),
            Meaning::Rgb => interleave([next(), next(), next()], &mut out[..3 * n]),
            Meaning::Cmyk | Meaning::Ycck => {
                let colors = &mut self.scratch[..3 * n];
                if self.meaning == Meaning::Ycck {
                    // What luma and chroma give is red, green and blue: the complements of what the file means by ink.
                    ycc_to_rgb(isa, next(), next(), next(), colors);
                    for v in &mut *colors {
                        *v = 255 - *v;
                    }
                } else {
                    interleave([next(), next(), next()], colors);
                }
                let pixels = out.as_chunks_mut::<3>().0.iter_mut().zip(colors.as_chunks::<3>().0);
                for ((pixel, ink), &black) in pixels.zip(next()) {
                    *pixel = ink.map(|ink| inked(ink, black));
                }
            }
        }
    }
}

/// Three rows as one of pixels.
fn interleave([r, g, b]: [&[u8]; 3], out: &mut [u8]) {
    for (pixel, ((&r, &g), &b)) in out.as_chunks_mut::<3>().0.iter_mut().zip(r.iter().zip(g).zip(b)) {
        *pixel = [r, g, b];
    }
}
