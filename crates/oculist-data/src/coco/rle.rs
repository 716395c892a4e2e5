//! Masks as runs.
//!
//! # Source
//! The run-length code of COCO's mask API: runs of 0 and 1 in turn, column by column, beginning with 0.

/// A binary mask as runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rle {
    width: usize,
    height: usize,
    counts: Vec<u32>,
}

impl Rle {
    /// Runs of 0 and 1 in turn, column by column, beginning with 0.
    ///
    /// # Errors
    /// A text that says what is wrong: runs that do not add up to `width * height`.
    pub fn from_counts(width: usize, height: usize, counts: Vec<u32>) -> Result<Self, String> {
        let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        let pixels = (width as u64).saturating_mul(height as u64);
        if sum == pixels {
            Ok(Self { width, height, counts })
        } else {
            Err(format!("runs of {sum} pixels for a mask of {width}x{height}"))
        }
    }

    /// The compressed code: numbers in groups of five bits, lowest first, one printable character a group (48
    /// plus 32 if more follow); from the fourth run on, the difference to the run before the last.
    ///
    /// # Errors
    /// As for [`from_counts`](Self::from_counts), and text that is no such code.
    pub fn from_compressed(width: usize, height: usize, text: &str) -> Result<Self, String> {
        let mut counts: Vec<u32> = Vec::new();
        let mut bytes = text.bytes();
        while let Some(mut byte) = bytes.next() {
            let (mut value, mut shift) = (0i64, 0);
            loop {
                let group = match byte {
                    48..=111 => i64::from(byte - 48),
                    _ => return Err(format!("the character code {byte} in a compressed mask")),
                };
                value |= (group & 31) << shift;
                shift += 5;
                if group & 32 == 0 {
                    if group & 16 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
                byte = bytes.next().ok_or("a compressed mask that ends within a number")?;
                if shift > 40 {
                    return Err("a number too large in a compressed mask".into());
                }
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| format!("a run of {value} pixels"))?);
        }
        Self::from_counts(width, height, counts)
    }

    /// Width and height of the mask in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The runs.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Pixels of the object.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// The mask row by row: 1 for the object, 0 for the rest.
    pub fn to_mask(&self) -> Vec<u8> {
        let mut mask = vec![0; self.width * self.height];
        let mut at = 0;
        for (i, &count) in self.counts.iter().enumerate() {
            let end = at + count as usize;
            if i % 2 == 1 {
                for place in at..end {
                    mask[place % self.height * self.width + place / self.height] = 1;
                }
            }
            at = end;
        }
        mask
    }
}
