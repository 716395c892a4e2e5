//! Whether a run may be continued: only with the settings that it was begun with.

use serde_json::Value;

use crate::error::OculistError;
use crate::files::toml_problem;
use crate::recipe::Recipe;
use crate::run_folder::{CONFIG_FILE, RunFolder, SETTINGS_FILE};
use crate::settings::Settings;

/// What a TOML file holds. Unlike `toml::Table` it has room for every seed.
type Table = serde_json::Map<String, Value>;

/// Settings that change no result, so that a run may be continued with others.
const FREE: [&str; 4] = ["cache", "max_image_bytes", "max_memory", "measure_seconds"];

/// Checks that the folder's run was begun with this recipe.
///
/// # Errors
/// [`OculistError::Option`] with every setting that differs, its value in the run and its value now.
pub(crate) fn check(folder: &RunFolder, recipe: &Recipe, given: &Settings) -> Result<(), OculistError> {
    let path = folder.file(CONFIG_FILE);
    let begun = oculist_files::read_to_string(&path)
        .map_err(|source| OculistError::Io { path: path.clone(), source })?;
    let now = recipe.to_toml();
    if begun == now {
        return Ok(());
    }
    // Runs of older versions have no flat settings.
    let flat = oculist_files::read_to_string(folder.file(SETTINGS_FILE)).unwrap_or_default();
    let flat = table(&flat).unwrap_or_default();
    let mut changes = changed_settings(&flat, &recipe.settings(given), given);
    if changes.is_empty() {
        // Not a setting but something that follows from the data or from the version.
        let unreadable = |problem| OculistError::Output { path: path.clone(), problem };
        let (begun, now) = (table(&begun).map_err(unreadable)?, table(&now).map_err(unreadable)?);
        changes = changed_keys("", &begun, &now);
    }
    if changes.is_empty() {
        // The same values in other words, as another version may write them.
        return Ok(());
    }
    Err(OculistError::Option {
        option: "--resume".into(),
        problem: format!(
            "the run in {} was begun with other settings: {}",
            folder.path().display(),
            changes.join("; ")
        ),
    })
}

fn table(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|e| toml_problem(&e, text))
}

/// The flat settings that differ, those that were given first.
fn changed_settings(begun: &Table, now: &Settings, given: &Settings) -> Vec<String> {
    if begun.is_empty() {
        return Vec::new();
    }
    let [now, given] = [now, given].map(|s| table(&s.to_toml()).unwrap_or_default());
    let (mut typed, mut decided) = (Vec::new(), Vec::new());
    for key in keys(begun, &now) {
        let (old, new) = (begun.get(key), now.get(key));
        if old == new || FREE.contains(&key.as_str()) {
            continue;
        }
        if given.contains_key(key) {
            typed.push(format!("{key}: {} in the run, {} given", text(old), text(new)));
        } else {
            decided.push(format!("{key}: {} in the run, {} if not given", text(old), text(new)));
        }
    }
    typed.extend(decided);
    typed
}

/// The keys of the recipe that differ, with the tables they are in.
fn changed_keys(prefix: &str, begun: &Table, now: &Table) -> Vec<String> {
    let mut changes = Vec::new();
    for key in keys(begun, now) {
        let name = format!("{prefix}{key}");
        match (begun.get(key), now.get(key)) {
            (old, new) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                changes.extend(changed_keys(&format!("{name}."), old, new));
            }
            (old, new) => changes.push(format!("{name}: {} in the run, {} now", text(old), text(new))),
        }
    }
    changes
}

/// The keys of both tables, each once, in order.
fn keys<'a>(a: &'a Table, b: &'a Table) -> impl Iterator<Item = &'a String> {
    a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)))
}

/// A value as one would say it: no quotes, and 1e30 as it is typed.
fn text(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Number(x)) if x.is_f64() => format!("{:?}", x.as_f64().unwrap_or(f64::NAN)),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_named_with_both_values() {
        let read = |text: &str| table(text).unwrap();
        let begun = read("arch = \"resnet8\"\nlr = 0.1\nepochs = 3\nseed = 4\nmeasure_seconds = 2.0");
        let given = Settings { lr: Some(0.2), measure_seconds: Some(1.0), ..Settings::default() };
        let now = Settings { arch: Some("resnet20".into()), epochs: Some(3), ..given.clone() };
        assert_eq!(
            changed_settings(&begun, &now, &given),
            [
                "lr: 0.1 in the run, 0.2 given",
                "arch: resnet8 in the run, resnet20 if not given",
                "seed: 4 in the run, none if not given"
            ]
        );
        assert!(changed_settings(&Table::new(), &now, &given).is_empty(), "an older version kept none");
    }

    #[test]
    fn what_follows_from_the_data_is_named_by_its_place() {
        let (begun, now) =
            (table("[a]\nx = 1\ny = [1, 2]").unwrap(), table("[a]\nx = 1e30\ny = [1, 2]\nz = 3").unwrap());
        assert_eq!(
            changed_keys("", &begun, &now),
            ["a.x: 1 in the run, 1e30 now", "a.z: none in the run, 3 now"]
        );
        assert!(changed_keys("", &now, &now).is_empty());
    }

    #[test]
    fn the_largest_seed_is_compared_like_any_other() {
        let begun = table(&format!("seed = {}", u64::MAX)).unwrap();
        let given = Settings { seed: Some(u64::MAX - 1), ..Settings::default() };
        let want = format!("seed: {} in the run, {} given", u64::MAX, u64::MAX - 1);
        assert_eq!(changed_settings(&begun, &given, &given), [want]);
        assert!(table("seed = ").is_err(), "what cannot be read is not taken for equal");
    }
}
