//! Looking at every image file before training starts.

use crate::alike::{Cost, Look, MOST_PIXELS};
use crate::dataset::{OpenOptions, Purpose, Verify};
use crate::decode::{check_complete, guess};
use crate::location::Location;
use crate::statistics::PixelFacts;
use crate::store::ImageFile;
use crate::{DecodeError, read_header};
use oculist_augment::Image;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a file was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipKind {
    /// A sample that the source declares and that does not become one: a damaged image, a file named like an image that
    /// is none, a row without a label, an image without a partner. Counts towards the limit.
    Unreadable,
    /// Something else that lies among the images, such as a text file. Does not count.
    NotAnImage,
    /// Something that the source declares and that is of no use here: a column, a class without images, a
    /// crowd box. Does not count, not even where everything must be readable.
    Unused,
    /// Images or what may be images that lie in the source and are not read: a folder beside the splits, files beside class
    /// folders, pictures that a list does not name. Does not count, but is told before all others.
    Unread,
    /// Classes of which a split that decides or measures has no image. Does not count.
    Lacking,
}

impl SkipKind {
    /// True for what is worth telling and does not count as a sample that is lost.
    pub fn is_note(self) -> bool {
        matches!(self, Self::Unused | Self::Unread | Self::Lacking)
    }
}

/// A file or row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file, or the file and the row in it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it counts as a damaged image.
    pub kind: SkipKind,
}

/// A file to look at.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) location: Location,
    pub(crate) bytes: u64,
    /// The source says that this is an image, so that one that is none counts as damaged whatever its name.
    pub(crate) claimed: bool,
}

impl Candidate {
    /// What a source names as an image.
    pub(crate) fn claimed(location: Location) -> Self {
        Self { bytes: location.len(), location, claimed: true }
    }
}

/// Looks at every file with several threads; the results are in the order of the files.
///
/// The first pass reads the header and checks that the file is complete. The second decodes everything, if
/// [`Verify`] asks for it or the whole is small enough for it; the choice depends on the data alone, so that
/// the same folder gives the same data set on every machine.
///
/// Where the images will be compared with each other (see [`crate::alike`]), what is decoded is looked at.
pub(crate) fn scan(files: &[Candidate], options: &OpenOptions) -> Vec<Result<ImageFile, Skipped>> {
    scan_and(options.purpose == Purpose::Train, files, options)
}

/// The same for pictures of which parts are the images: the pictures themselves are not compared.
pub(crate) fn scan_pictures(files: &[Candidate], options: &OpenOptions) -> Vec<Result<ImageFile, Skipped>> {
    scan_and(false, files, options)
}

fn scan_and(compared: bool, files: &[Candidate], options: &OpenOptions) -> Vec<Result<ImageFile, Skipped>> {
    let threads = options.effective_threads();
    let mut found = in_threads(files.len(), threads, |i| look(&files[i], options));
    let sizes = || found.iter().flatten().map(|file| (file.width as usize, file.height as usize));
    let pixels = sizes().fold(0u64, |sum, (width, height)| sum.saturating_add(width as u64 * height as u64));
    let decode = match options.verify {
        Verify::Headers => false,
        Verify::Decode => true,
        Verify::Auto => pixels <= MOST_PIXELS,
    };
    if decode {
        // What is decoded once is looked at once; of what is too much to be compared no looks are taken and kept.
        let look = compared && options.duplicates.allows(Cost::of(sizes()));
        let checked = in_threads(found.len(), threads, |i| match &found[i] {
            Ok(file) => {
                let facts = |image: &Image| Some(Box::new(PixelFacts::of(image)));
                let look_of = |image: &Image| look.then(|| Box::new(Look::of(image)));
                file.location.decode(options.max_pixels).map(|image| (look_of(&image), facts(&image)))
            }
            Err(_) => Ok((None, None)),
        });
        for ((entry, checked), candidate) in found.iter_mut().zip(checked).zip(files) {
            match (&mut *entry, checked) {
                (Ok(file), Ok((look, facts))) => (file.look, file.facts) = (look, facts),
                (Ok(_), Err(err)) => *entry = Err(skipped(candidate, &err)),
                (Err(_), _) => {}
            }
        }
    }
    found
}

fn look(file: &Candidate, options: &OpenOptions) -> Result<ImageFile, Skipped> {
    // Not even the largest allowed image, uncompressed in 16 bits, is larger than this.
    if file.bytes > options.max_pixels.saturating_mul(8).saturating_add(1 << 20) {
        let reason = format!("the file has {} bytes, more than the largest allowed image", file.bytes);
        return Err(Skipped { path: file.location.display_path(), reason, kind: kind_by_name(file) });
    }
    let inspect = || -> Result<ImageFile, DecodeError> {
        let bytes = file.location.read()?;
        let format = guess(&bytes)?;
        check_complete(format, &bytes)?;
        let header = read_header(&bytes, options.max_pixels)?;
        let crate::ImageHeader { width, height, orientation, .. } = header;
        Ok(ImageFile { location: file.location.clone(), width, height, orientation, look: None, facts: None })
    };
    inspect().map_err(|err| skipped(file, &err))
}

fn skipped(file: &Candidate, err: &DecodeError) -> Skipped {
    let nothing_known =
        matches!(err, DecodeError::NotAnImage | DecodeError::OtherFormat(_) | DecodeError::Empty);
    let kind = if nothing_known { kind_by_name(file) } else { SkipKind::Unreadable };
    Skipped { path: file.location.display_path(), reason: err.to_string(), kind }
}

/// True if the name ends like that of an image, of whatever format.
pub(crate) fn named_like_an_image(path: &Path) -> bool {
    const NAMES: [&str; 16] = [
        "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif", "avif", "heic",
        "heif", "jp2", "jxl",
    ];
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    NAMES.contains(&extension.as_str())
}

/// A file that claims to be an image, by its name or by its source, counts as a damaged one.
fn kind_by_name(file: &Candidate) -> SkipKind {
    if file.claimed || named_like_an_image(file.location.path().unwrap_or(Path::new(""))) {
        SkipKind::Unreadable
    } else {
        SkipKind::NotAnImage
    }
}

/// Calls `f` for 0..count on several threads and returns the results in order.
pub(crate) fn in_threads<T: Send>(count: usize, threads: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return done;
            }
            done.push((i, f(i)));
        }
    };
    let threads = threads.clamp(1, count.max(1));
    let mut all: Vec<(usize, T)> = if threads == 1 {
        work()
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |handle: std::thread::ScopedJoinHandle<_>| match handle.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            handles.into_iter().flat_map(join).collect()
        })
    };
    all.sort_unstable_by_key(|&(i, _)| i);
    all.into_iter().map(|(_, value)| value).collect()
}
