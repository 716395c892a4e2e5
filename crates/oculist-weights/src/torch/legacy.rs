//! Files of `torch.save` of before version 1.6: five pickles (magic number, protocol, what the machine was, the object, the
//! keys of the storages), then each storage as the number of its elements in 8 bytes and the elements.

use std::collections::HashMap;

use super::storage::{self, Elements};
use crate::error::WeightsError;
use crate::pickle::{self, Pickle, Value};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i64 = 1001;

/// The storages of a file.
#[derive(Debug)]
pub(super) struct Legacy<'a> {
    storages: HashMap<String, &'a [u8]>,
    /// Why there are no more of them.
    ended_by: Option<String>,
}

impl<'a> Legacy<'a> {
    /// Reads a file; the pickle is the object's.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(Pickle<'a>, Self), WeightsError> {
        let mut rest = bytes;
        let mut next = || -> Result<Pickle<'a>, WeightsError> {
            let parsed = pickle::parse(rest)?;
            rest = &rest[parsed.length..];
            Ok(parsed)
        };
        let magic = next()?;
        if !matches!(magic.values.get(magic.root), Value::Long(Some(number)) if **number == MAGIC) {
            return Err(WeightsError::format(format!(
                "expected a file of `torch.save`, found a pickle of something else ({}); save the weights by \
                 `torch.save(model.state_dict(), \"weights.pth\")`",
                magic.values.describe(magic.root)
            )));
        }
        let protocol = next()?;
        if protocol.values.int(protocol.root) != Some(PROTOCOL) {
            return Err(WeightsError::format(format!(
                "expected PyTorch's protocol {PROTOCOL}, found {}",
                protocol.values.int(protocol.root).map_or("another".into(), |p| p.to_string())
            )));
        }
        let machine = next()?;
        let little = machine.values.item(machine.root, "little_endian");
        if let Some(id) = little
            && matches!(machine.values.get(id), Value::Bool(false))
        {
            return Err(WeightsError::format(
                "expected numbers with the lowest byte first, found a file of a big-endian machine",
            ));
        }
        let object = next()?;
        let keys = next()?;
        let legacy = storages(rest, &object, &keys)?;
        Ok((object, legacy))
    }

    /// The bytes of a storage.
    pub(super) fn storage(&self, key: &str) -> Result<&[u8], String> {
        self.storages.get(key).copied().ok_or_else(|| {
            let why = self.ended_by.as_deref().unwrap_or("found none");
            format!("expected a storage `{}` in the file, {why}", oculist_text::name(key))
        })
    }
}

fn storages<'a>(
    mut rest: &'a [u8],
    object: &Pickle<'_>,
    keys: &Pickle<'_>,
) -> Result<Legacy<'a>, WeightsError> {
    let mut known: HashMap<&str, Elements> = HashMap::new();
    for id in object.values.ids() {
        if let Some(note) = storage::note(&object.values, id) {
            known.insert(note.key, note.elements);
        }
    }
    let damaged = |problem: String| WeightsError::format(format!("it is cut short or damaged: {problem}"));
    let keys_of =
        keys.values.sequence(keys.root).ok_or_else(|| damaged("expected a list of storages".into()))?;
    let mut storages = HashMap::new();
    for &key in keys_of {
        let key = keys.values.text(key).ok_or_else(|| damaged("expected storages named by texts".into()))?;
        let shown = oculist_text::name(key);
        let Some(elements) = known.get(key) else {
            // How long it is, and so where the next one begins, only its type could tell.
            let ended_by = Some(format!("but the storage `{shown}` is of no known type"));
            return Ok(Legacy { storages, ended_by });
        };
        let (count, behind) = rest
            .split_first_chunk()
            .ok_or_else(|| damaged(format!("expected the storage `{shown}`, found the end")))?;
        let count = i64::from_le_bytes(*count);
        let length = usize::try_from(count).ok().and_then(|n| n.checked_mul(elements.size));
        let Some((data, behind)) = length.and_then(|length| behind.split_at_checked(length)) else {
            return Err(damaged(format!(
                "its storage `{shown}` has {count} elements of {} bytes, the file only {} more bytes",
                elements.size,
                behind.len()
            )));
        };
        rest = behind;
        storages.insert(key.to_owned(), data);
    }
    Ok(Legacy { storages, ended_by: None })
}
