//! Where in a file's object the weights lie.
//!
//! A state dict is a dictionary from texts to values of which at least one is a tensor. Files hold it as it is or among
//! other things; a file of a training run may hold several (the weights and their moving average), and which one is meant
//! matters too much to be guessed.

use std::collections::{HashMap, HashSet};

use crate::error::{WeightsError, listed};
use crate::pickle::{Id, Value, Values};
use crate::torch::is_tensor;

/// Keys under which tools keep weights, in the order in which they are named.
const KEYS: [&str; 26] = [
    "state_dict",
    "model",
    "model_state",
    "model_state_dict",
    "model_dict",
    "net",
    "net_state_dict",
    "network",
    "weights",
    "params",
    "parameters",
    "module",
    "backbone",
    "encoder",
    "student",
    "teacher",
    "model_ema",
    "ema",
    "ema_model",
    "ema_state_dict",
    "model_ema_state_dict",
    "state_dict_ema",
    "params_ema",
    "averaged_model",
    "checkpoint",
    "state",
];

/// Keys of what goes along with weights and may look like them.
const NEVER: [&str; 12] = [
    "optimizer",
    "optimizer_state",
    "optimizer_state_dict",
    "optim",
    "optimizer_states",
    "scheduler",
    "lr_scheduler",
    "scaler",
    "criterion",
    "loss",
    "amp",
    "rng_state",
];

/// How many dictionaries deep weights are looked for.
const DEPTH: usize = 4;

/// How many entries that are no tensors a note names.
const EXAMPLES: usize = 8;

/// A state dict and where it lies.
#[derive(Debug)]
pub(crate) struct Place {
    /// The keys to it joined by dots; `None` if it is the whole object.
    pub(crate) key: Option<String>,
    pub(crate) dict: Id,
}

/// The content of a state dict.
#[derive(Debug)]
pub(crate) struct Entries {
    /// Its tensors in its order.
    pub(crate) tensors: Vec<(String, Id)>,
    /// Names of its other entries.
    pub(crate) skipped: Vec<String>,
    /// The first of these as a note shows them.
    pub(crate) examples: Vec<String>,
}

/// Finds the state dict, or the one that is chosen.
///
/// # Errors
/// [`WeightsError::Ambiguous`], [`WeightsError::NoSuchChoice`], [`WeightsError::WholeModule`] or
/// [`WeightsError::NoStateDict`].
pub(crate) fn find(values: &Values<'_>, root: Id, choose: Option<&str>) -> Result<Place, WeightsError> {
    let mut known = Vec::new();
    let mut seen = HashSet::new();
    collect(values, root, "", &|key| KEYS.contains(&key), &mut seen, &mut known);
    if let Some(asked) = choose {
        let mut all = Vec::new();
        collect(values, root, "", &|_| true, &mut HashSet::new(), &mut all);
        let fits = |place: &Place| {
            place.key.as_deref().is_some_and(|key| key == asked || key.rsplit('.').next() == Some(asked))
        };
        // The whole path first: a part of it may end several.
        let exact = all.iter().position(|place| place.key.as_deref() == Some(asked));
        let found: Vec<usize> = match exact {
            Some(at) => vec![at],
            None => (0..all.len()).filter(|&i| fits(&all[i])).collect(),
        };
        return match found.as_slice() {
            [at] => Ok(all.swap_remove(*at)),
            [] => Err(WeightsError::NoSuchChoice { asked: asked.to_owned(), choices: keys_of(&all) }),
            several => Err(WeightsError::Ambiguous {
                choices: several.iter().filter_map(|&i| all[i].key.clone()).collect(),
            }),
        };
    }
    if known.is_empty() && is_state_dict(values, root) {
        return Ok(Place { key: None, dict: root });
    }
    if known.is_empty() {
        if let Some(class) = module_at(values, root) {
            return Err(WeightsError::WholeModule { class });
        }
        let other = |key: &str| !NEVER.contains(&key);
        collect(values, root, "", &other, &mut HashSet::new(), &mut known);
    }
    match known.len() {
        0 => Err(WeightsError::NoStateDict { found: found_instead(values, root) }),
        1 => Ok(known.remove(0)),
        _ => Err(WeightsError::Ambiguous { choices: keys_of(&known) }),
    }
}

/// Reads a state dict: a key that repeats has its first place and its last value, as in Python.
pub(crate) fn entries(values: &Values<'_>, dict: Id) -> Entries {
    let mut entries = Entries { tensors: Vec::new(), skipped: Vec::new(), examples: Vec::new() };
    for (key, value) in unique(values, dict) {
        if is_tensor(values, value) {
            entries.tensors.push((key.to_owned(), value));
        } else {
            if entries.examples.len() < EXAMPLES {
                entries.examples.push(format!("`{}` ({})", oculist_text::name(key), values.describe(value)));
            }
            entries.skipped.push(key.to_owned());
        }
    }
    entries
}

fn unique<'v>(values: &'v Values<'_>, dict: Id) -> Vec<(&'v str, Id)> {
    let mut order: Vec<(&str, Id)> = Vec::new();
    let mut by_id: HashMap<Id, usize> = HashMap::new();
    let mut by_text: HashMap<&str, usize> = HashMap::new();
    for &(key, value) in values.dict(dict).unwrap_or_default() {
        // Keys that a file repeats by reference are told by their number: their texts may be long.
        let at = if let Some(&at) = by_id.get(&key) {
            at
        } else {
            let Some(text) = values.text(key) else { continue };
            let at = *by_text.entry(text).or_insert(order.len());
            if at == order.len() {
                order.push((text, value));
            }
            by_id.insert(key, at);
            at
        };
        order[at].1 = value;
    }
    order
}

fn is_state_dict(values: &Values<'_>, id: Id) -> bool {
    values
        .dict(id)
        .is_some_and(|items| items.iter().any(|&(k, v)| values.text(k).is_some() && is_tensor(values, v)))
}

/// State dicts below an object, by keys that are wanted; none is looked at twice.
fn collect(
    values: &Values<'_>,
    root: Id,
    path: &str,
    wanted: &dyn Fn(&str) -> bool,
    seen: &mut HashSet<Id>,
    found: &mut Vec<Place>,
) {
    let depth = if path.is_empty() { 0 } else { 1 + path.matches('.').count() };
    seen.insert(root);
    if depth >= DEPTH || values.dict(root).is_none() {
        return;
    }
    for (key, value) in unique(values, root) {
        // Dots would make paths that mean two things.
        if key.contains('.') || key.is_empty() || !wanted(key) || seen.contains(&value) {
            continue;
        }
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let before = found.len();
        collect(values, value, &path, wanted, seen, found);
        if found.len() == before && is_state_dict(values, value) {
            found.push(Place { key: Some(path), dict: value });
        }
    }
}

fn keys_of(places: &[Place]) -> Vec<String> {
    places.iter().filter_map(|place| place.key.clone()).collect()
}

/// The class of the module that an object is or holds under a key of weights.
fn module_at(values: &Values<'_>, root: Id) -> Option<String> {
    module_class(values, root).or_else(|| {
        let held =
            |&(key, value): &(&str, Id)| KEYS.contains(&key).then(|| module_class(values, value)).flatten();
        unique(values, root).iter().find_map(held)
    })
}

/// The class of an object that is a module of PyTorch.
fn module_class(values: &Values<'_>, id: Id) -> Option<String> {
    let Value::Call { callee, state: Some(state), .. } = values.get(id) else { return None };
    ["_modules", "_parameters"].iter().find_map(|key| values.item(*state, key))?;
    // Old files keep the source of a class outside of the pickle: `("module", class, file, source)`.
    let class = match values.get(*callee) {
        Value::Persistent(parts) => *values.sequence(*parts)?.get(1)?,
        _ => *callee,
    };
    Some(values.global(class).unwrap_or("unknown").to_owned())
}

fn found_instead(values: &Values<'_>, root: Id) -> String {
    if values.dict(root).is_none() {
        return values.describe(root);
    }
    let keys: Vec<String> = unique(values, root).into_iter().map(|(key, _)| key.to_owned()).collect();
    if keys.is_empty() {
        return "a dictionary without named entries".into();
    }
    format!("a dictionary whose entries hold no tensors: {}", listed(&keys))
}
