//! One file of the Hub becomes a blob of the cache.
//!
//! It is loaded into `blobs/ETAG.incomplete`, as `huggingface_hub` does, and renamed when its length and checksum are
//! right. A break of the connection leaves what is there, and the next request asks for the rest.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use ureq::Body;
use ureq::http::Response;

use crate::HubError;
use crate::cache::{Repository, make_folder, refuse_strange};
use crate::client::{Client, Facts, Trouble};
use crate::error::write_error;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;
/// Time between two lines on how far it is.
const BETWEEN: Duration = Duration::from_secs(1);
/// Time before a request is repeated, times the number of failures.
const PAUSE: Duration = Duration::from_millis(300);

/// A file that is loaded.
pub(crate) struct Download<'a, 'h> {
    pub(crate) client: &'a Client<'h>,
    pub(crate) repository: &'a Repository,
    pub(crate) address: &'a str,
    pub(crate) file: &'a str,
    pub(crate) facts: &'a Facts,
    pub(crate) attempts: u32,
}

/// Why an attempt ended.
enum End {
    /// Another one may get further.
    Broken(String),
    Failed(Trouble),
}

impl From<HubError> for End {
    fn from(error: HubError) -> Self {
        Self::Failed(Trouble::Other(error))
    }
}

impl Download<'_, '_> {
    /// Loads the blob if it is not there.
    ///
    /// # Errors
    /// As [`HubError`]; afterwards the unfinished file is as good as it was or better, or it is removed.
    pub(crate) fn run(&self, progress: &mut dyn FnMut(&str)) -> Result<(), Trouble> {
        let blob = self.repository.blob(&self.facts.etag);
        make_folder(blob.parent().unwrap_or(&blob)).map_err(Trouble::Other)?;
        let shown = oculist_text::name(self.file);
        let _lock = self
            .repository
            .lock(&self.facts.etag, &mut || progress(&format!("{shown}: another process loads it, waiting")))
            .map_err(Trouble::Other)?;
        if self.is_there(&blob).map_err(Trouble::Other)? {
            return Ok(());
        }
        let unfinished = blob.with_file_name(format!("{}.incomplete", self.facts.etag));
        let size = self.facts.size.map(|size| format!(" ({})", megabytes(size))).unwrap_or_default();
        progress(&format!("fetching {shown}{size}"));
        let mut failures = 0;
        loop {
            let before = length(&unfinished);
            match self.attempt(&unfinished, progress) {
                Ok(()) => break,
                Err(End::Failed(trouble)) => return Err(trouble),
                Err(End::Broken(cause)) => {
                    let loaded = length(&unfinished);
                    failures = if loaded > before { 1 } else { failures + 1 };
                    if failures >= self.attempts.max(1) {
                        let (file, total) = (self.file.to_owned(), self.facts.size);
                        return Err(Trouble::Other(HubError::Interrupted { file, loaded, total, cause }));
                    }
                    progress(&format!("{shown}: the connection ended, going on at {}", megabytes(loaded)));
                    std::thread::sleep(PAUSE * failures);
                }
            }
        }
        fs::rename(&unfinished, &blob)
            .map_err(|cause| Trouble::Other(write_error(blob.clone(), self.facts.size, cause)))?;
        oculist_files::sync_folder(blob.parent().unwrap_or(&blob));
        Ok(())
    }

    /// Whether the blob is there with the right length; one of another length is removed.
    fn is_there(&self, blob: &Path) -> Result<bool, HubError> {
        refuse_strange(blob)?;
        let Ok(meta) = fs::metadata(blob) else { return Ok(false) };
        if self.facts.size.is_none_or(|size| size == meta.len()) {
            return Ok(true);
        }
        remove(blob)?;
        Ok(false)
    }

    /// Loads the rest of the file and checks the whole.
    fn attempt(&self, unfinished: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), End> {
        refuse_strange(unfinished)?;
        let mut sum = Context::new(&SHA256);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(unfinished)
            .map_err(|cause| write_error(unfinished.to_owned(), self.facts.size, cause))?;
        let failed = |cause| End::from(HubError::Read { path: unfinished.to_owned(), cause });
        let mut loaded = add(&mut sum, &mut file).map_err(failed)?;
        if self.facts.size.is_some_and(|size| loaded > size) {
            loaded = restart(&mut file, &mut sum).map_err(failed)?;
        }
        if loaded == 0 || self.facts.size != Some(loaded) {
            let mut answer = match self.client.get(self.address, loaded) {
                Ok(answer) => answer,
                Err(Trouble::Down(cause)) => return Err(End::Broken(cause)),
                Err(trouble) => return Err(End::Failed(trouble)),
            };
            if loaded > 0 && !continues(&answer, loaded) {
                // The server sends all of it, or says that what is here cannot be its beginning.
                loaded = restart(&mut file, &mut sum).map_err(failed)?;
                if answer.status().as_u16() != 200 {
                    return Err(End::Broken("the rest was not given".into()));
                }
            }
            loaded = self.receive(&mut answer, &mut file, loaded, &mut sum, unfinished, progress)?;
        }
        if let Some(expected) = self.facts.size.filter(|size| *size != loaded) {
            remove(unfinished)?;
            return Err(HubError::Length { file: self.file.to_owned(), expected, found: loaded }.into());
        }
        let found = hex(sum.finish().as_ref());
        if let Some(expected) = self.facts.sha256.clone().filter(|expected| *expected != found) {
            remove(unfinished)?;
            return Err(HubError::Checksum { file: self.file.to_owned(), expected, found }.into());
        }
        file.sync_all().map_err(|cause| self.no_room(unfinished, cause))?;
        Ok(())
    }

    /// Writes the body; gives the length of the whole.
    fn receive(
        &self,
        answer: &mut Response<Body>,
        file: &mut File,
        mut loaded: u64,
        sum: &mut Context,
        unfinished: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<u64, End> {
        // Told before a byte is read where the server says so.
        let announced = answer.body().content_length().map(|rest| rest.saturating_add(loaded));
        if let (Some(expected), Some(found)) = (self.facts.size, announced)
            && expected != found
        {
            remove(unfinished)?;
            return Err(HubError::Length { file: self.file.to_owned(), expected, found }.into());
        }
        let total = self.facts.size.or(announced);
        let mut body = answer.body_mut().as_reader();
        let (mut chunk, mut told) = (vec![0; CHUNK], Instant::now());
        loop {
            let got = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(End::Broken(e.to_string())),
            };
            loaded += got as u64;
            if let Some(expected) = total.filter(|total| loaded > *total) {
                remove(unfinished)?;
                return Err(HubError::Length { file: self.file.to_owned(), expected, found: loaded }.into());
            }
            file.write_all(&chunk[..got]).map_err(|cause| self.no_room(unfinished, cause))?;
            sum.update(&chunk[..got]);
            if told.elapsed() >= BETWEEN {
                told = Instant::now();
                let of = total.map(|total| format!(" of {}", megabytes(total))).unwrap_or_default();
                progress(&format!("{}: {}{of}", oculist_text::name(self.file), megabytes(loaded)));
            }
        }
        Ok(loaded)
    }

    /// The error of writing. On a full disk, what is there would only be in the way.
    fn no_room(&self, unfinished: &Path, cause: io::Error) -> HubError {
        let error = write_error(unfinished.to_owned(), self.facts.size, cause);
        if matches!(error, HubError::DiskFull { .. }) {
            // The first error is the one to tell.
            let _ = fs::remove_file(unfinished);
        }
        error
    }
}

/// Whether an answer begins at this byte.
fn continues(answer: &Response<Body>, start: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    answer.status().as_u16() == 206
        && range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// Adds all of a file to the checksum; gives its length. The file stands at its end afterwards.
fn add(sum: &mut Context, file: &mut File) -> io::Result<u64> {
    let (mut chunk, mut all) = (vec![0; CHUNK], 0);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(all),
            got => {
                sum.update(&chunk[..got]);
                all += got as u64;
            }
        }
    }
}

fn remove(path: &Path) -> Result<(), HubError> {
    fs::remove_file(path).map_err(|cause| HubError::Write { path: PathBuf::from(path), cause })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn restart(file: &mut File, sum: &mut Context) -> io::Result<u64> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    *sum = Context::new(&SHA256);
    Ok(0)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 { format!("{bytes} bytes") } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}
