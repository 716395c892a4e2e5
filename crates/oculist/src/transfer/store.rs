//! Features that were computed before, on disk, by what they were computed from.
//!
//! A file holds the rows of one extractor (its network, its preprocessing, its precision), each under the digest of its image's
//! content. It is read and written whole; a file that is damaged or of another extractor is passed over.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use oculist_files::{Digest, Hasher};

/// First bytes of a file.
const MAGIC: &[u8; 8] = b"oculfea1";
/// Characters of a digest.
const KEY: usize = 64;
/// Larger files are not written.
const MOST_BYTES: usize = 4 << 30;

/// The rows of one extractor.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    dim: usize,
    rows: HashMap<String, Vec<f32>>,
    changed: bool,
}

impl Store {
    /// The rows that a folder has of an extractor; none if there is no sound file of it.
    pub(crate) fn open(folder: &Path, extractor: Digest, dim: usize) -> Self {
        let path = folder.join(format!("{extractor}.features"));
        // No file of ours is larger, and none is read before its length is known.
        let small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= MOST_BYTES as u64 + 128);
        let bytes = small.then(|| oculist_files::read(&path).ok()).flatten();
        let rows = bytes.and_then(|bytes| read(&bytes, dim)).unwrap_or_default();
        Self { path, dim, rows, changed: false }
    }

    /// The row of an image.
    pub(crate) fn get(&self, image: &str) -> Option<&[f32]> {
        self.rows.get(image).map(Vec::as_slice)
    }

    /// Notes the row of an image.
    pub(crate) fn put(&mut self, image: &str, row: &[f32]) {
        if image.len() == KEY && row.len() == self.dim {
            self.rows.insert(image.to_owned(), row.to_vec());
            self.changed = true;
        }
    }

    /// Writes what is new; returns whether there was room for it.
    ///
    /// # Errors
    /// [`io::Error`] if the file cannot be written.
    pub(crate) fn save(&mut self) -> io::Result<bool> {
        if !self.changed {
            return Ok(true);
        }
        let row = KEY + 4 * self.dim;
        let Some(bytes) = self.rows.len().checked_mul(row).filter(|&n| n <= MOST_BYTES) else {
            return Ok(false);
        };
        let mut out = Vec::with_capacity(bytes + 64);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.dim as u64).to_le_bytes());
        let mut sorted: Vec<_> = self.rows.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        for (image, row) in sorted {
            out.extend_from_slice(image.as_bytes());
            out.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        }
        out.extend_from_slice(Digest::of(&out).to_string().as_bytes());
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        oculist_files::write(&self.path, &out)?;
        self.changed = false;
        Ok(true)
    }
}

/// The rows of a file; `None` if it is damaged or its rows are of another length.
fn read(bytes: &[u8], dim: usize) -> Option<HashMap<String, Vec<f32>>> {
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(KEY)?)?;
    if Digest::of(body).to_string().as_bytes() != seal {
        return None;
    }
    let (magic, rest) = body.split_at_checked(MAGIC.len())?;
    let (stated, rows) = rest.split_at_checked(8)?;
    let row = dim.checked_mul(4)?.checked_add(KEY)?;
    if magic != MAGIC || stated != (dim as u64).to_le_bytes() || !rows.len().is_multiple_of(row) {
        return None;
    }
    let one = |row: &[u8]| {
        let (key, values) = row.split_at(KEY);
        let value = |b: &[u8]| b.try_into().map(f32::from_le_bytes).ok().filter(|v| v.is_finite());
        Some((
            String::from_utf8(key.to_vec()).ok()?,
            values.chunks_exact(4).map(value).collect::<Option<Vec<f32>>>()?,
        ))
    };
    rows.chunks_exact(row).map(one).collect()
}

/// The digest of an extractor: its network, its preprocessing, what it computes in.
pub(crate) fn extractor_digest(network: &[u8], preprocessing: &str, precision: &str) -> Digest {
    Hasher::new().part(network).part(preprocessing.as_bytes()).part(precision.as_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_a_damaged_file_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (extractor, image) = (Digest::of(b"network"), Digest::of(b"image").to_string());
        let mut store = Store::open(dir.path(), extractor, 2);
        store.put(&image, &[1.5, -2.0]);
        store.put("no digest", &[1.5, -2.0]);
        assert!(store.save().unwrap());
        let back = Store::open(dir.path(), extractor, 2);
        assert_eq!((back.get(&image), back.rows.len()), (Some(&[1.5, -2.0][..]), 1));
        assert_eq!(Store::open(dir.path(), extractor, 3).get(&image), None);
        assert_eq!(Store::open(dir.path(), Digest::of(b"another"), 2).get(&image), None);
        let path = back.path;
        let mut bytes = std::fs::read(&path).unwrap();
        for at in [3, 20, 90, bytes.len() - 1] {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Store::open(dir.path(), extractor, 2).get(&image), None, "{at}");
            bytes[at] ^= 1;
        }
        std::fs::write(&path, &bytes[..40]).unwrap();
        assert!(Store::open(dir.path(), extractor, 2).rows.is_empty());
    }
}
