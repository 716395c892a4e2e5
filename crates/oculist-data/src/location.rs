//! Where the bytes of an image file lie: in a file of their own, in an archive, or in memory.

use crate::{DecodeError, decode_image, decode_part};
use oculist_augment::{Image, Reading};
use oculist_files::Stamp;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An archive that several threads read at once.
pub(crate) struct Shard {
    pub(crate) path: PathBuf,
    /// Kept open; without, the file is opened for every read, as a process may not have thousands open.
    pub(crate) file: Option<File>,
}

impl Shard {
    /// Reads a range without moving a common position.
    pub(crate) fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        match &self.file {
            Some(file) => read_exact_at(file, &mut bytes, offset)?,
            None => read_exact_at(&oculist_files::open(&self.path)?, &mut bytes, offset)?,
        }
        Ok(bytes)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[n..];
        offset += n as u64;
    }
    Ok(())
}

/// The bytes of one image file.
#[derive(Clone)]
pub(crate) enum Location {
    /// A file of its own.
    File(PathBuf),
    /// A range of an archive.
    Member {
        shard: Arc<Shard>,
        /// What the archive calls it.
        name: String,
        offset: u64,
        len: u64,
    },
    /// Encoded bytes in memory.
    Memory {
        /// The file that they were read from.
        source: Arc<Path>,
        row: u64,
        bytes: Arc<[u8]>,
    },
}

impl Location {
    /// Number of encoded bytes; 0 where the file cannot be asked.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File(path) => std::fs::metadata(path).map_or(0, |meta| meta.len()),
            Self::Member { len, .. } => *len,
            Self::Memory { bytes, .. } => bytes.len() as u64,
        }
    }

    /// The encoded bytes.
    pub(crate) fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        Ok(match self {
            Self::File(path) => Cow::Owned(oculist_files::read(path)?),
            Self::Member { shard, offset, len, .. } => Cow::Owned(shard.read(*offset, *len)?),
            Self::Memory { bytes, .. } => Cow::Borrowed(bytes),
        })
    }

    /// What tells without reading that the file, or the archive, is as it was; None for bytes in memory.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let path = match self {
            Self::File(path) => path,
            Self::Member { shard, .. } => &shard.path,
            Self::Memory { .. } => return None,
        };
        Stamp::of(&std::fs::metadata(path).ok()?)
    }

    /// The image.
    pub(crate) fn decode(&self, max_pixels: u64) -> Result<Image, DecodeError> {
        decode_image(&self.read()?, max_pixels)
    }

    /// The part of the image that `plan` asks for, or all of it; see [`decode_part`].
    pub(crate) fn decode_part(
        &self,
        max_pixels: u64,
        plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>), DecodeError> {
        decode_part(&self.read()?, max_pixels, plan)
    }

    /// The path, if it is a file of its own.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// A path for messages: within an archive, the archive's path and the member's name.
    pub(crate) fn display_path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Member { shard, name, .. } => shard.path.join(name),
            Self::Memory { source, row, .. } => source.join(format!("row {row}")),
        }
    }
}
