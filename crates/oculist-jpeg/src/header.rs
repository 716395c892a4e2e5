//! Everything before the entropy-coded data.

use crate::color::{Hints, Meaning};
use crate::frame::Frame;
use crate::segment::{self, END_OF_IMAGE, START_OF_SCAN, byte, take, word};
use crate::{Error, Result, standard};

/// What a file says about itself, and where its tables are.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    pub(crate) frame: Frame,
    pub(crate) meaning: Meaning,
    /// The tables at the first scan.
    pub(crate) tables: Tables<'a>,
    pub(crate) first: ScanHeader,
    /// From the first entropy-coded byte on.
    pub(crate) scan: &'a [u8],
    exif: Vec<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

/// Tables as the segments so far have set them.
#[derive(Debug, Clone)]
pub(crate) struct Tables<'a> {
    /// Divisors, row by row.
    pub(crate) quantization: [Option<[u16; 64]>; 4],
    /// Counts and symbols of the Huffman tables, of means and of other coefficients.
    pub(crate) codes: [[Option<Codes<'a>>; 4]; 2],
    /// Minimum coded units between restart markers; 0 without.
    pub(crate) restart_interval: usize,
}

/// A Huffman table as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codes<'a> {
    /// How many codes have 1, 2, ..., 16 bits.
    pub(crate) counts: &'a [u8; 16],
    pub(crate) symbols: &'a [u8],
}

/// What a scan holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanHeader {
    /// Index of each component in the frame, and its tables of means and of other coefficients.
    pub(crate) components: Vec<(usize, [usize; 2])>,
    /// The first and the last coefficient, in zigzag order.
    pub(crate) band: (u8, u8),
    /// The bit positions that were sent before and are sent now; (0, 0) for all at once.
    pub(crate) bits: (u8, u8),
}

/// Row-by-row index of the k-th coefficient in zigzag order.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Blocks that a unit of several components may have.
const MOST_BLOCKS: usize = 10;

impl<'a> Header<'a> {
    /// Reads the segments before the entropy-coded data.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for files that [`decode`](Self::decode) cannot decode, [`Error::Truncated`] and
    /// [`Error::Corrupt`] for those that nobody can.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).ok_or(Error::Corrupt("no start of image"))?;
        let mut tables = Tables::new();
        let (mut frame, mut hints, mut exif, mut xmp) = (None, Hints::default(), Vec::new(), None);
        loop {
            let (marker, segment) = segment::next(&mut rest, "the scan")?;
            hints.look(marker, segment);
            match marker {
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    if frame.replace(Frame::parse(marker, segment)?).is_some() {
                        return Err(Error::Corrupt("two frames"));
                    }
                }
                0xde | 0xdf => return Err(Error::Unsupported("hierarchical coding")),
                0xe1 => {
                    exif.extend(segment.strip_prefix(b"Exif\0\0"));
                    xmp = xmp.or(segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"));
                }
                END_OF_IMAGE => return Err(Error::Corrupt("no scan before the end of image")),
                START_OF_SCAN => {
                    let frame = frame.ok_or(Error::Corrupt("a scan before its frame"))?;
                    let first = ScanHeader::parse(segment, &frame)?;
                    tables.check(&first, &frame)?;
                    let meaning = hints.meaning(&frame.components);
                    return Ok(Self { frame, meaning, tables, first, scan: rest, exif, xmp });
                }
                _ => tables.read(marker, segment)?,
            }
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.frame.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.frame.height
    }

    /// 1 (grey) or 3 (colour).
    pub fn channels(&self) -> usize {
        if self.meaning == Meaning::Grey { 1 } else { 3 }
    }

    /// The EXIF blocks in their order, from their TIFF headers on.
    pub fn exif(&self) -> &[&'a [u8]] {
        &self.exif
    }

    /// The first XMP packet.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.xmp
    }
}

impl<'a> Tables<'a> {
    fn new() -> Self {
        let mut codes = [[None; 4]; 2];
        // Frames of films leave out the tables that everyone knows.
        codes[0][..2].copy_from_slice(&[Some(standard::LUMA_MEANS), Some(standard::CHROMA_MEANS)]);
        codes[1][..2].copy_from_slice(&[Some(standard::LUMA_OTHERS), Some(standard::CHROMA_OTHERS)]);
        Self { quantization: [None; 4], codes, restart_interval: 0 }
    }

    /// Reads a segment if it has tables.
    pub(crate) fn read(&mut self, marker: u8, mut segment: &'a [u8]) -> Result<()> {
        match marker {
            0xc4 => self.huffman_tables(&mut segment),
            0xdb => self.quantization_tables(&mut segment),
            0xdd => {
                self.restart_interval = word(&mut segment)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Refuses a scan whose tables are not there.
    pub(crate) fn check(&self, scan: &ScanHeader, frame: &Frame) -> Result<()> {
        for &(component, codes) in &scan.components {
            let exists = |class: usize| self.codes[class].get(codes[class]).is_some_and(Option::is_some);
            // The last bits of means have no codes, and a progressive scan has codes of one class.
            let wanted = match (frame.progressive, scan.band.0, scan.bits.0) {
                (false, ..) => [true, true],
                (true, 0, 0) => [true, false],
                (true, 0, _) => [false, false],
                (true, ..) => [false, true],
            };
            if (0..2).any(|class| wanted[class] && !exists(class)) {
                return Err(Error::Corrupt("a scan without its Huffman table"));
            }
            if self.quantization[frame.components[component].quantization].is_none() {
                return Err(Error::Corrupt("a component without its quantisation table"));
            }
        }
        Ok(())
    }

    /// Goes on to the next scan; None at the end of the image.
    pub(crate) fn next_scan(&mut self, rest: &mut &'a [u8], frame: &Frame) -> Result<Option<ScanHeader>> {
        loop {
            let (marker, segment) = segment::next(rest, "the end-of-image marker")?;
            match marker {
                END_OF_IMAGE => return Ok(None),
                START_OF_SCAN => {
                    let scan = ScanHeader::parse(segment, frame)?;
                    self.check(&scan, frame)?;
                    return Ok(Some(scan));
                }
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(Error::Corrupt("two frames"));
                }
                _ => self.read(marker, segment)?,
            }
        }
    }

    fn quantization_tables(&mut self, segment: &mut &[u8]) -> Result<()> {
        while !segment.is_empty() {
            let kind = byte(segment)?;
            let (wide, slot) = (kind >> 4 != 0, usize::from(kind & 15));
            let mut table = [0; 64];
            for &place in &ZIGZAG {
                let divisor = if wide { word(segment)? as u16 } else { u16::from(byte(segment)?) };
                table[usize::from(place)] = divisor;
            }
            let slot = self.quantization.get_mut(slot).ok_or(Error::Corrupt("a table outside its range"))?;
            *slot = Some(table);
        }
        Ok(())
    }

    fn huffman_tables(&mut self, segment: &mut &'a [u8]) -> Result<()> {
        while !segment.is_empty() {
            let kind = byte(segment)?;
            let counts = take(segment, 16)?.as_array().ok_or(Error::Corrupt("a table without its counts"))?;
            let symbols = take(segment, counts.iter().map(|&n| usize::from(n)).sum())?;
            let class = self.codes.get_mut(usize::from(kind >> 4));
            let slot = class.and_then(|tables| tables.get_mut(usize::from(kind & 15)));
            *slot.ok_or(Error::Corrupt("a table outside its range"))? = Some(Codes { counts, symbols });
        }
        Ok(())
    }
}

impl ScanHeader {
    /// Reads the segment behind a start-of-scan marker.
    fn parse(mut segment: &[u8], frame: &Frame) -> Result<Self> {
        let segment = &mut segment;
        let count = usize::from(byte(segment)?);
        if !(1..=frame.components.len()).contains(&count) {
            return Err(Error::Corrupt("a scan of no components, or of more than there are"));
        }
        let mut components = Vec::with_capacity(count);
        let mut next = 0;
        for _ in 0..count {
            let (id, tables) = (byte(segment)?, byte(segment)?);
            let found = frame.components[next..].iter().position(|component| component.id == id);
            let index = next + found.ok_or(Error::Corrupt("a scan of other components than the frame's"))?;
            components.push((index, [usize::from(tables >> 4), usize::from(tables & 15)]));
            next = index + 1;
        }
        let blocks = |&(i, _): &(usize, _)| frame.components[i].h * frame.components[i].v;
        if count > 1 && components.iter().map(blocks).sum::<usize>() > MOST_BLOCKS {
            return Err(Error::Corrupt("units of more than 10 blocks"));
        }
        let (first, last, bits) = (byte(segment)?, byte(segment)?, byte(segment)?);
        let bits = (bits >> 4, bits & 15);
        let scan = Self { components, band: (first, last), bits };
        if !frame.progressive {
            // Sequential scans have one meaning, whatever else some writers say.
            return Ok(Self { band: (0, 63), bits: (0, 0), ..scan });
        }
        let of_means = (first, last) == (0, 0);
        let of_others = 0 < first && first <= last && last < 64 && count == 1;
        if !of_means && !of_others || bits.1 > 13 || bits.0 > 0 && bits.0 != bits.1 + 1 {
            return Err(Error::Corrupt("a progressive scan of an impossible band"));
        }
        Ok(scan)
    }
}
