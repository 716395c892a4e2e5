//! The zip archive of `torch.save` since version 1.6: `NAME/data.pkl`, `NAME/data/KEY` for each storage,
//! `NAME/byteorder`.
//!
//! PyTorch stores its entries as they are; other tools pack them. Checksums are not looked at: PyTorch can leave them out
//! (`torch.serialization.set_crc32_options`) and does not look at them either.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;

use super::directory;
use crate::error::WeightsError;

/// Most bytes of all unpacked entries, as a multiple of the file's size: weights hardly get smaller by packing.
const UNPACKED: usize = 16;
/// Bytes that any file may unpack to.
const FREE: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    packed: usize,
    size: usize,
    deflated: bool,
}

/// An archive and its entries.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    /// What stands before all names: `NAME/`.
    root: String,
    entries: HashMap<String, Entry>,
    unpacked: HashMap<String, Vec<u8>>,
    unpacked_bytes: usize,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let damaged = |problem: String| {
            WeightsError::format(format!("it is cut short or damaged, or no zip archive: {problem}"))
        };
        let mut entries = HashMap::new();
        for listed in directory::entries(bytes).map_err(damaged)? {
            let shown = oculist_text::name(&listed.name).to_string();
            if listed.encrypted {
                return Err(WeightsError::format(format!(
                    "its entry `{shown}` is encrypted, which is not read"
                )));
            }
            let deflated = match listed.method {
                0 => false,
                8 => true,
                method => {
                    return Err(WeightsError::format(format!(
                        "its entry `{shown}` is packed by method {method}; supported are stored and deflated entries"
                    )));
                }
            };
            let directory::Listed { name, start, packed, size, .. } = listed;
            if !deflated && packed != size {
                return Err(damaged(format!(
                    "its entry `{shown}` is stored as {packed} bytes and has {size}"
                )));
            }
            entries.insert(name, Entry { start, packed, size, deflated });
        }
        let has = |ending: &str| entries.keys().any(|name| name == ending || is_in_root(name, ending));
        let is_script =
            has("constants.pkl") || entries.keys().any(|name| name.split('/').nth(1) == Some("code"));
        if is_script {
            return Err(WeightsError::TorchScript);
        }
        let mut roots: Vec<&str> = entries
            .keys()
            .filter(|name| *name == "data.pkl" || is_in_root(name, "data.pkl"))
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .collect();
        roots.sort_unstable();
        let root = match roots.as_slice() {
            [root] => (*root).to_owned(),
            [] => {
                return Err(WeightsError::format(
                    "it is a zip archive, but none of `torch.save`: expected an entry `NAME/data.pkl`, found none",
                ));
            }
            several => {
                return Err(WeightsError::format(format!(
                    "expected one entry `NAME/data.pkl`, found {}",
                    several.len()
                )));
            }
        };
        let mut archive = Self { bytes, root, entries, unpacked: HashMap::new(), unpacked_bytes: 0 };
        archive.check_byte_order()?;
        Ok(archive)
    }

    fn check_byte_order(&mut self) -> Result<(), WeightsError> {
        let name = format!("{}byteorder", self.root);
        if !self.entries.contains_key(&name) {
            return Ok(());
        }
        let found = self.get(&name).map_err(WeightsError::format)?;
        if found.trim_ascii() == b"little" {
            return Ok(());
        }
        Err(WeightsError::format(format!(
            "expected numbers with the lowest byte first (byteorder `little`), found `{}`",
            oculist_text::visible(&String::from_utf8_lossy(&found[..found.len().min(32)]))
        )))
    }

    /// The pickle that names everything else.
    pub(super) fn take_pickle(&mut self) -> Result<Cow<'a, [u8]>, WeightsError> {
        let name = format!("{}data.pkl", self.root);
        self.get(&name).map_err(WeightsError::format)?;
        Ok(match (self.unpacked.remove(&name), self.entries.get(&name)) {
            (Some(unpacked), _) => Cow::Owned(unpacked),
            (None, Some(entry)) => Cow::Borrowed(&self.bytes[entry.start..entry.start + entry.size]),
            (None, None) => Cow::Borrowed(&[]),
        })
    }

    /// The bytes of a storage.
    pub(super) fn storage(&mut self, key: &str) -> Result<&[u8], String> {
        let name = format!("{}data/{key}", self.root);
        self.get(&name)
    }

    /// Bytes that were unpacked beyond what the file has.
    pub(super) fn unpacked(&self) -> usize {
        self.unpacked_bytes
    }

    fn get(&mut self, name: &str) -> Result<&[u8], String> {
        let entry = *self.entries.get(name).ok_or_else(|| {
            format!("expected an entry `{}` in the archive, found none", oculist_text::name(name))
        })?;
        let packed = &self.bytes[entry.start..entry.start + entry.packed];
        if !entry.deflated {
            return Ok(packed);
        }
        if !self.unpacked.contains_key(name) {
            let shown = oculist_text::name(name);
            let most = self.bytes.len().saturating_mul(UNPACKED).saturating_add(FREE);
            let sum = self.unpacked_bytes.checked_add(entry.size).filter(|&sum| sum <= most);
            self.unpacked_bytes = sum.ok_or_else(|| {
                format!(
                    "with its entry `{shown}` of {} bytes it unpacks to more than {most} bytes, {UNPACKED} times its size",
                    entry.size
                )
            })?;
            let mut unpacked = Vec::new();
            // One byte more than it should have shows that it has more.
            flate2::read::DeflateDecoder::new(packed)
                .take((entry.size as u64).saturating_add(1))
                .read_to_end(&mut unpacked)
                .map_err(|e| format!("its entry `{shown}` is damaged: {e}"))?;
            if unpacked.len() != entry.size {
                return Err(format!("its entry `{shown}` is damaged: expected {} bytes", entry.size));
            }
            self.unpacked.insert(name.to_owned(), unpacked);
        }
        Ok(self.unpacked.get(name).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Whether a name is `NAME/ending`.
fn is_in_root(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending)
        .and_then(|root| root.strip_suffix('/'))
        .is_some_and(|root| !root.is_empty() && !root.contains('/'))
}
