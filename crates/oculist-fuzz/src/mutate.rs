//! Changes of files by chance, the same for the same seed.

/// A generator of changed files: bits, numbers, pieces moved, doubled, left out and taken from other files.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

/// Bytes at which something ends: of integers, of JPEG's markers, of lengths.
const BYTES: [u8; 10] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xc4, 0xda, 0xfe, 0xff];

impl Mutator {
    /// A generator that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `n`, 0 for none.
    pub fn below(&mut self, n: usize) -> usize {
        // Knuth's 64-bit linear congruential generator; the high bits are good.
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % n.max(1)
    }

    /// One of `files`, changed in one to five places. The result is at most `longest` bytes long.
    pub fn changed(&mut self, files: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let mut bytes = files.get(self.below(files.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(5) {
            self.change(&mut bytes, files);
        }
        bytes.truncate(longest);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, files: &[Vec<u8>]) {
        if bytes.is_empty() {
            bytes.extend((0..=self.below(64)).map(|_| self.below(256) as u8));
            return;
        }
        let at = self.below(bytes.len());
        let piece = at..(at + 1 + self.below(16)).min(bytes.len());
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = BYTES[self.below(BYTES.len())],
            2 => bytes[at] = self.below(256) as u8,
            3 => bytes[at] = bytes[at].wrapping_add(self.below(9) as u8).wrapping_sub(4),
            4 => drop(bytes.drain(piece)),
            5 => {
                let copy = bytes[piece].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            6 => {
                let new: Vec<u8> = (0..=self.below(8)).map(|_| self.below(256) as u8).collect();
                bytes.splice(at..at, new);
            }
            7 => {
                // A number of ten bytes, as Protocol Buffers write them.
                let number = [0x80 | self.below(128) as u8; 9];
                bytes.splice(at..at, number.into_iter().chain([self.below(2) as u8]));
            }
            _ => {
                let Some(other) = files.get(self.below(files.len())).filter(|other| !other.is_empty()) else {
                    return;
                };
                let from = self.below(other.len());
                let len = 1 + self.below((other.len() - from).min(64));
                let end = if self.below(2) == 0 { at } else { (at + len).min(bytes.len()) };
                bytes.splice(at..end, other[from..from + len].iter().copied());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_the_same_for_a_seed_and_others_for_another() {
        let files = vec![b"one file".to_vec(), Vec::new(), (0..200).collect()];
        let made = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..500).map(|_| mutator.changed(&files, 210)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!(made(1).iter().all(|bytes| bytes.len() <= 210));
        let unchanged = made(1).iter().filter(|bytes| files.contains(bytes)).count();
        assert!(unchanged < 100, "{unchanged} of 500 are what they were");
    }
}
