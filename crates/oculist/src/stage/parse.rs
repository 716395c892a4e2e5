//! Stages as data: what a recipe's file calls them, and which settings each takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Best, Distil, FineTune, Fold, Load, Measure, Prune, Quantize, Search, Stage, Train, Transfer};
use crate::settings::{NetworkSettings, SeedSettings, Settings, TrainingSettings, TuningSettings};

/// The kinds of stages that there are, in the order in which a recipe would use them.
pub const KINDS: [&str; 11] = [
    "load",
    "train",
    "transfer",
    "search",
    "best",
    "prune",
    "fine-tune",
    "distil",
    "quantize",
    "fold",
    "measure",
];

/// Settings of a stage that trains a network anew.
const ANEW: [&[&str]; 3] = [NetworkSettings::NAMES, TrainingSettings::NAMES, SeedSettings::NAMES];
/// Settings of a stage that trains on.
const TRAINING: [&[&str]; 3] = [TrainingSettings::NAMES, TuningSettings::NAMES, SeedSettings::NAMES];
/// Settings of the whole session among these.
const OF_SESSION: [&str; 2] = ["image_size", "metric"];

/// Reads a stage of one kind from its settings; the error is in words.
type Read = dyn Fn(Map<String, Value>, &Registry) -> Result<Arc<dyn Stage>, String> + Send + Sync;

/// The kinds of stages that recipes may name; one's own can be added.
#[derive(Clone)]
pub struct Registry(BTreeMap<String, Arc<Read>>);

impl Default for Registry {
    fn default() -> Self {
        let mut registry = Self(BTreeMap::new());
        registry.add("load", |map, _| nothing(&map).map(|()| Arc::new(Load) as Arc<dyn Stage>));
        registry.add("fold", |map, _| nothing(&map).map(|()| Arc::new(Fold) as Arc<dyn Stage>));
        registry.add("train", |map, _| {
            let settings = settings(map, &ANEW)?;
            Ok(Arc::new(Train::new(settings)))
        });
        registry.add("distil", |map, _| {
            let settings = settings(map, &ANEW)?;
            Ok(Arc::new(Distil::new(settings)))
        });
        registry.add("fine-tune", |mut map, _| {
            let teacher = map.remove("teacher").map(serde_json::from_value).transpose();
            let mut stage = FineTune::new(settings(map, &TRAINING)?);
            stage.teacher = teacher.map_err(|e| format!("teacher: {e}"))?;
            Ok(Arc::new(stage))
        });
        registry.add("prune", |map, _| Ok(Arc::new(read::<Prune>(map)?)));
        registry.add("quantize", |map, _| Ok(Arc::new(read::<Quantize>(map)?)));
        registry.add("measure", |map, _| Ok(Arc::new(read::<Measure>(map)?)));
        registry.add("transfer", |map, _| Ok(Arc::new(read::<Transfer>(map)?)));
        registry.add("best", |map, registry| Ok(Arc::new(Best::read(map, registry)?)));
        registry.add("search", |map, registry| Ok(Arc::new(Search::read(map, registry)?)));
        registry
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Registry {
    /// Adds a kind, or replaces one: `read` makes a stage of the settings that a file gives, without `kind`; its error is
    /// in words.
    pub fn add(
        &mut self,
        kind: &str,
        read: impl Fn(Map<String, Value>, &Registry) -> Result<Arc<dyn Stage>, String> + Send + Sync + 'static,
    ) {
        self.0.insert(kind.to_owned(), Arc::new(read));
    }

    /// Reads a stage; the error is in words.
    pub(crate) fn stage(&self, value: Value) -> Result<Arc<dyn Stage>, String> {
        let Value::Object(mut map) = value else {
            return Err("expected a table with `kind`".into());
        };
        let kinds = || self.0.keys().cloned().collect::<Vec<_>>().join(", ");
        let kind = match map.remove("kind") {
            Some(Value::String(kind)) => kind,
            Some(other) => return Err(format!("kind: expected one of {}, found {other}", kinds())),
            None => return Err(format!("expected `kind`, one of {}", kinds())),
        };
        let kind = match kind.as_str() {
            "quantise" => "quantize".to_owned(),
            "distill" => "distil".to_owned(),
            "finetune" | "fine_tune" => "fine-tune".to_owned(),
            _ => kind,
        };
        let Some(read) = self.0.get(&kind) else {
            return Err(format!("kind: expected one of {}, found `{kind}`", kinds()));
        };
        read(map, self).map_err(|problem| format!("{kind}: {problem}"))
    }
}

/// Reads a list of stages.
pub(super) fn stages_of(value: Value, registry: &Registry) -> Result<Vec<Arc<dyn Stage>>, String> {
    let Value::Array(list) = value else {
        return Err("expected a list of stages".into());
    };
    list.into_iter().map(|stage| registry.stage(stage)).collect()
}

/// A stage as it is written.
pub(crate) fn stage_table(stage: &Arc<dyn Stage>) -> Value {
    let mut map = Map::new();
    map.insert("kind".into(), stage.kind().into());
    map.extend(stage.settings());
    Value::Object(map)
}

fn nothing(map: &Map<String, Value>) -> Result<(), String> {
    map.keys().next().map_or(Ok(()), |key| Err(format!("unknown setting `{key}`; it has none")))
}

fn read<T: serde::de::DeserializeOwned>(map: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(map)).map_err(|e| e.to_string())
}

/// Reads settings of which only some are a stage's.
fn settings(map: Map<String, Value>, groups: &[&[&str]]) -> Result<Settings, String> {
    let mut allowed = groups.concat();
    allowed.retain(|name| !OF_SESSION.contains(name));
    if let Some(key) = map.keys().find(|key| !allowed.contains(&key.as_str())) {
        return Err(format!("unknown setting `{key}`, expected one of {}", allowed.join(", ")));
    }
    read(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(text: &str) -> Result<Arc<dyn Stage>, String> {
        Registry::default().stage(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn every_kind_is_read_and_comes_back() {
        let registry = Registry::default();
        assert_eq!(registry.0.len(), KINDS.len());
        for text in [
            r#"{"kind":"load"}"#,
            r#"{"kind":"fold"}"#,
            r#"{"kind":"train","arch":"resnet8","epochs":3,"seed":18446744073709551615}"#,
            r#"{"kind":"distil","arch":"resnet8","width":0.5}"#,
            r#"{"kind":"fine-tune","teacher":"none","epochs":2}"#,
            r#"{"kind":"fine-tune"}"#,
            r#"{"kind":"prune","keep":0.5,"target":"latency"}"#,
            r#"{"kind":"quantize","calibration":"entropy"}"#,
            r#"{"kind":"measure","seconds":0.5}"#,
            r#"{"kind":"search","levels":[0.5,0.25],"max_drop":1.0,"alternatives":[[{"kind":"quantize"}]],
                "stages":[{"kind":"prune"},{"kind":"fine-tune"}]}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let kind = value["kind"].as_str().unwrap();
            assert!(KINDS.contains(&kind));
            assert_eq!(stage_table(&stage(text).unwrap()), value, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (r#"{"kind":"trian"}"#, "expected one of best, distil, fine-tune"),
            (r#"{"keep":0.5}"#, "expected `kind`"),
            (r#"{"kind":"train","max_drop":1}"#, "train: unknown setting `max_drop`, expected one of arch"),
            (r#"{"kind":"train","epochs":"many"}"#, "train: invalid type"),
            (r#"{"kind":"prune","kept":1}"#, "prune: unknown field `kept`"),
            (r#"{"kind":"fold","x":1}"#, "fold: unknown setting `x`"),
            (r#"{"kind":"search","stages":[{"kind":"cut"}]}"#, "search: kind: expected one of"),
            (r#"{"kind":"search","alternatives":3}"#, "alternatives: expected a list of lists"),
            ("3", "expected a table"),
        ] {
            let problem = stage(text).map(|s| format!("{s:?}")).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
