//! Everything before the entropy-coded data.

use crate::{Error, Result};

/// What a file says about itself, and where its tables are.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: Vec<Component>,
    /// Divisors, row by row.
    pub(crate) quantization: [Option<[u16; 64]>; 4],
    /// Counts and symbols of the Huffman tables, of means and of other coefficients.
    pub(crate) codes: [[Option<Codes<'a>>; 4]; 2],
    /// Minimum coded units between restart markers; 0 without.
    pub(crate) restart_interval: usize,
    /// From the first entropy-coded byte on.
    pub(crate) scan: &'a [u8],
    exif: Option<&'a [u8]>,
}

/// One component of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    id: u8,
    /// Blocks across and down in a minimum coded unit.
    pub(crate) h: usize,
    pub(crate) v: usize,
    pub(crate) quantization: usize,
    /// The tables of means and of other coefficients.
    pub(crate) codes: [usize; 2],
}

/// A Huffman table as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codes<'a> {
    /// How many codes have 1, 2, ..., 16 bits.
    pub(crate) counts: &'a [u8; 16],
    pub(crate) symbols: &'a [u8],
}

/// Row-by-row index of the k-th coefficient in zigzag order.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

const SHORT: Error = Error::Corrupt("a segment is shorter than its content");

/// Takes the next byte off.
fn byte(bytes: &mut &[u8]) -> Result<u8> {
    let (&first, rest) = bytes.split_first().ok_or(SHORT)?;
    *bytes = rest;
    Ok(first)
}

/// Takes the next two bytes off, the higher one first.
fn word(bytes: &mut &[u8]) -> Result<usize> {
    Ok(usize::from(byte(bytes)?) << 8 | usize::from(byte(bytes)?))
}

/// Takes the next bytes off.
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n).ok_or(SHORT)?;
    *bytes = rest;
    Ok(taken)
}

impl<'a> Header<'a> {
    /// Reads the segments before the entropy-coded data.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for files that [`decode`](Self::decode) cannot decode, [`Error::Truncated`] and
    /// [`Error::Corrupt`] for those that nobody can.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).ok_or(Error::Corrupt("no start of image"))?;
        let mut header = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            quantization: [None; 4],
            codes: [[None; 4]; 2],
            restart_interval: 0,
            scan: &[],
            exif: None,
        };
        let mut colors = Colors::default();
        loop {
            let (marker, mut segment) = next_segment(&mut rest)?;
            match marker {
                0xc0 | 0xc1 => header.frame(&mut segment)?,
                0xc4 => header.huffman_tables(&mut segment)?,
                0xdb => header.quantization_tables(&mut segment)?,
                0xdd => header.restart_interval = word(&mut segment)?,
                0xc2..=0xcf => return Err(Error::Unsupported("progressive, lossless or arithmetic coding")),
                0xdc => return Err(Error::Unsupported("a number of lines after the scan")),
                0xd9 => return Err(Error::Corrupt("no scan before the end of image")),
                0xe0 if segment.starts_with(b"JFIF\0") => colors.jfif = true,
                0xe1 if segment.starts_with(b"Exif\0\0") => header.exif = Some(&segment[6..]),
                0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => {
                    colors.adobe = Some(segment[11]);
                }
                0xda => {
                    header.scan_header(&mut segment)?;
                    colors.check(&header.components)?;
                    header.scan = rest;
                    return Ok(header);
                }
                _ => {}
            }
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 (grey) or 3 (colour).
    pub fn channels(&self) -> usize {
        self.components.len()
    }

    /// How many times lower the resolution of chroma is across and down: 1 or 2 each.
    pub fn subsampling(&self) -> (usize, usize) {
        (self.components[0].h, self.components[0].v)
    }

    /// The last EXIF block, from its TIFF header on.
    pub fn exif(&self) -> Option<&'a [u8]> {
        self.exif
    }

    fn frame(&mut self, segment: &mut &[u8]) -> Result<()> {
        if !self.components.is_empty() {
            return Err(Error::Corrupt("two frames"));
        }
        if byte(segment)? != 8 {
            return Err(Error::Unsupported("samples of other than 8 bits"));
        }
        self.height = word(segment)?;
        self.width = word(segment)?;
        if self.height == 0 {
            return Err(Error::Unsupported("a number of lines after the scan"));
        }
        if self.width == 0 {
            return Err(Error::Corrupt("a width of 0"));
        }
        let count = byte(segment)?;
        if !matches!(count, 1 | 3) {
            return Err(Error::Unsupported("components other than grey or luma and chroma"));
        }
        for _ in 0..count {
            let (id, factors, quantization) = (byte(segment)?, byte(segment)?, byte(segment)?);
            let (h, v) = (usize::from(factors >> 4), usize::from(factors & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quantization > 3 {
                return Err(Error::Corrupt("a component outside its ranges"));
            }
            let quantization = usize::from(quantization);
            self.components.push(Component { id, h, v, quantization, codes: [0; 2] });
        }
        if let [grey] = &mut self.components[..] {
            // A scan of one component is not interleaved: its factors mean nothing.
            (grey.h, grey.v) = (1, 1);
        }
        let factors = |c: &Component| (c.h, c.v);
        let (luma, chroma) = (factors(&self.components[0]), &self.components[1..]);
        if !matches!(luma, (1 | 2, 1 | 2)) || chroma.iter().any(|c| factors(c) != (1, 1)) {
            return Err(Error::Unsupported("unusual sampling factors"));
        }
        Ok(())
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
            let counts = take(segment, 16)?.as_array().ok_or(SHORT)?;
            let symbols = take(segment, counts.iter().map(|&n| usize::from(n)).sum())?;
            let class = self.codes.get_mut(usize::from(kind >> 4));
            let slot = class.and_then(|tables| tables.get_mut(usize::from(kind & 15)));
            *slot.ok_or(Error::Corrupt("a table outside its range"))? = Some(Codes { counts, symbols });
        }
        Ok(())
    }

    fn scan_header(&mut self, segment: &mut &[u8]) -> Result<()> {
        if self.components.is_empty() {
            return Err(Error::Corrupt("a scan before its frame"));
        }
        if usize::from(byte(segment)?) != self.components.len() {
            return Err(Error::Unsupported("several scans"));
        }
        for component in &mut self.components {
            let (id, tables) = (byte(segment)?, byte(segment)?);
            if id != component.id {
                return Err(Error::Unsupported("components in another order"));
            }
            let codes = [usize::from(tables >> 4), usize::from(tables & 15)];
            let exist = (0..2).all(|class| self.codes[class].get(codes[class]).is_some_and(Option::is_some));
            if !exist || self.quantization[component.quantization].is_none() {
                // Some cameras leave tables out that everyone knows.
                return Err(Error::Unsupported("a missing table"));
            }
            component.codes = codes;
        }
        if (byte(segment)?, byte(segment)?, byte(segment)?) != (0, 63, 0) {
            return Err(Error::Corrupt("a sequential scan of some coefficients"));
        }
        Ok(())
    }
}

/// The next marker and, without its length, its segment.
fn next_segment<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8])> {
    const EARLY: Error = Error::Truncated("the scan");
    let (&0xff, after) = rest.split_first().ok_or(EARLY)? else {
        return Err(Error::Corrupt("bytes between segments"));
    };
    let fill = after.iter().take_while(|&&b| b == 0xff).count();
    let (&marker, after) = after[fill..].split_first().ok_or(EARLY)?;
    if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8) {
        return Err(Error::Corrupt("a marker where it means nothing"));
    }
    if marker == 0xd9 {
        return Ok((marker, &[]));
    }
    let (length, _) = after.split_first_chunk::<2>().ok_or(EARLY)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length < 2 {
        return Err(Error::Corrupt("a segment shorter than its length"));
    }
    let (segment, after) = after.split_at_checked(length).ok_or(EARLY)?;
    *rest = after;
    Ok((marker, &segment[2..]))
}

/// What tells how three components are to be read.
#[derive(Default)]
struct Colors {
    jfif: bool,
    /// The transform: 0 none, 1 luma and chroma.
    adobe: Option<u8>,
}

impl Colors {
    /// Refuses three components that are not, or may not be, luma and chroma.
    fn check(&self, components: &[Component]) -> Result<()> {
        if components.len() == 1 {
            return Ok(());
        }
        let sure = match (self.jfif, self.adobe) {
            (_, Some(transform)) => transform == 1,
            (true, None) => true,
            (false, None) => components.iter().map(|c| c.id).eq([1, 2, 3]),
        };
        if sure { Ok(()) } else { Err(Error::Unsupported("colours other than luma and chroma")) }
    }
}
