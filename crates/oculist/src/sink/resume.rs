//! Whether a run may be continued: only with the settings that it was begun with, and with the same images and files.

use oculist_files::{Seal, unseal};
use serde_json::Value;

use super::folder::{CHECKPOINTS, CONFIG_FILE, INPUTS_FILE, RECIPE_FILE, RunFolder, SETTINGS_FILE};
use super::inputs::Inputs;
use crate::config::Config;
use crate::error::{OculistError, wrong};
use crate::files::toml_problem;
use crate::message::setting;
use crate::recipe::Recipe;
use crate::settings::Settings;

/// What a TOML file holds. Unlike `toml::Table` it has room for every seed.
type Table = serde_json::Map<String, Value>;

/// Settings that change no result, so that a run may be continued with others. The cache is none of them: what it keeps
/// are whole photos, and what it does not keep is decoded at a reduced size where that is enough.
const FREE: [&str; 4] = ["feature_cache", "max_image_bytes", "max_memory", "measure_seconds"];

/// Settings that decide which images are in which split: where they differ, the images differ for that reason.
const OF_DATA: [&str; 9] =
    ["data", "data_dir", "layout", "duplicates", "test_fraction", "exclude", "seed", "strict", "image_size"];

/// The inputs that the folder's run was begun with; None if it was interrupted before it had written them and has
/// computed nothing yet.
///
/// # Errors
/// [`OculistError::Output`] naming the file, if it is damaged or if the run is one of an older version.
pub(crate) fn inputs_of(folder: &RunFolder) -> Result<Option<Inputs>, OculistError> {
    let Some(text) = state_file(folder, INPUTS_FILE, Seal::Json)? else { return Ok(None) };
    match Inputs::from_lines(&text) {
        Ok(inputs) => Ok(Some(inputs)),
        Err(problem) => Err(OculistError::Output { path: folder.file(INPUTS_FILE), problem: problem.into() }),
    }
}

/// The text of a file that the run wrote when it began, as it was written.
fn state_file(folder: &RunFolder, name: &str, seal: Seal) -> Result<Option<String>, OculistError> {
    let path = folder.file(name);
    let anew =
        format!("begin anew with {}, or in another folder with {}", setting("force"), setting("output"));
    let bytes = match oculist_files::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // The first files of a run are written one after the other; before the last there is nothing to mix up.
            if !folder.file(CHECKPOINTS).exists() {
                return Ok(None);
            }
            let problem = format!(
                "is not there: it was removed, or the run is one of an older version, which did not keep what it had \
                 read; {anew}"
            );
            return Err(OculistError::Output { path, problem: problem.into() });
        }
        Err(source) => return Err(OculistError::Io { path, source }),
    };
    match unseal(&bytes, seal) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(broken) => Err(OculistError::Output { path, problem: format!("{broken}; {anew}").into() }),
    }
}

/// Checks that the folder's run was begun with this recipe and has read the same.
///
/// # Errors
/// [`OculistError::Setting`] with every setting that differs, its value in the run and its value now, or with the images
/// and files that do; [`OculistError::Output`] naming a file of the run that is damaged or missing.
pub(crate) fn check(
    folder: &RunFolder,
    config: &Config,
    given: &Settings,
    (before, now): (Option<&Inputs>, &Inputs),
) -> Result<(), OculistError> {
    let refuse = |what: &str, changes: &str| {
        Err(OculistError::Setting {
            name: setting("resume").into(),
            problem: format!("the run in {} was begun with other {what}: {changes}", folder.path().display())
                .into(),
        })
    };
    let begun = state_file(folder, CONFIG_FILE, Seal::Toml)?.unwrap_or_default();
    let flat = state_file(folder, SETTINGS_FILE, Seal::Toml)?.unwrap_or_default();
    let unreadable = |name: &str| {
        let path = folder.file(name);
        move |problem: String| OculistError::Output { path, problem: problem.into() }
    };
    let flat = table(&flat).map_err(unreadable(SETTINGS_FILE))?;
    // Where a file lies says nothing about what is in it: `Inputs` compares that.
    let by_content = before.map(|before| before.by_content(now)).unwrap_or_default();
    let settings = changed_settings(&flat, &config.settings(given), given, &by_content);
    let follows = |change: &String| OF_DATA.iter().any(|key| change.starts_with(&format!("{key}: ")));
    // Other images can decide other settings, so they are told first, unless a setting decided the images.
    if !settings.iter().any(follows)
        && let Some(changes) = before.and_then(|before| before.changes(now))
    {
        return refuse("data", &changes);
    }
    let mut changes = settings;
    let now = config.to_toml();
    if changes.is_empty() && begun.trim_end() != now.trim_end() {
        // Not a setting but something that follows from a file given or from the version. The same values in other
        // words, as another version may write them, are no change.
        let tables =
            (table(&begun).map_err(unreadable(CONFIG_FILE))?, table(&now).map_err(unreadable(CONFIG_FILE))?);
        changes = changed_keys("", &tables.0, &tables.1);
    }
    if changes.is_empty() { Ok(()) } else { refuse("settings", &changes.join("; ")) }
}

/// Checks that the folder's run was begun with this recipe; one of an older version, which kept none, had the one that
/// follows from its settings.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_recipe(folder: &RunFolder, recipe: &Recipe) -> Result<(), OculistError> {
    if !folder.file(RECIPE_FILE).exists() {
        let ships = [Recipe::train(), Recipe::optimize(), Recipe::compress(), Recipe::measure()];
        if ships.iter().any(|shipped| shipped.to_toml() == recipe.to_toml()) {
            return Ok(());
        }
        let problem = format!(
            "is not there, so that nothing tells whether the run had this recipe; begin anew with {}",
            setting("force")
        );
        return Err(OculistError::Output { path: folder.file(RECIPE_FILE), problem: problem.into() });
    }
    let begun = state_file(folder, RECIPE_FILE, Seal::Toml)?.unwrap_or_default();
    let unreadable =
        |problem: String| OculistError::Output { path: folder.file(RECIPE_FILE), problem: problem.into() };
    let (old, new) = (table(&begun).map_err(unreadable)?, table(&recipe.to_toml()).map_err(unreadable)?);
    let changes = changed_keys("", &old, &new);
    if changes.is_empty() {
        return Ok(());
    }
    let changes = changes.join("; ");
    Err(wrong(
        "resume",
        format!("the run in {} was begun with another recipe: {changes}", folder.path().display()),
    ))
}

fn table(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|e| toml_problem(&e, text))
}

/// The flat settings that differ, those that were given first. Of those in `by_content` it only counts whether both runs
/// have one.
fn changed_settings(begun: &Table, now: &Settings, given: &Settings, by_content: &[String]) -> Vec<String> {
    if begun.is_empty() {
        return Vec::new();
    }
    let [now, given] = [now, given].map(|s| table(&s.to_toml()).unwrap_or_default());
    let (mut typed, mut decided) = (Vec::new(), Vec::new());
    for key in keys(begun, &now) {
        let (old, new) = (begun.get(key), now.get(key));
        let both = old.is_some() && new.is_some();
        if old == new || FREE.contains(&key.as_str()) || both && by_content.contains(key) {
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
            changed_settings(&begun, &now, &given, &[]),
            [
                "lr: 0.1 in the run, 0.2 given",
                "arch: resnet8 in the run, resnet20 if not given",
                "seed: 4 in the run, none if not given"
            ]
        );
        assert!(changed_settings(&Table::new(), &now, &given, &[]).is_empty(), "an older version kept none");
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
    fn a_file_that_is_compared_by_its_content_may_lie_elsewhere() {
        let begun = table("augmentation = \"a.toml\"").unwrap();
        let given = Settings { augmentation: Some("b.toml".into()), ..Settings::default() };
        let by_content = ["model".to_owned(), "augmentation".to_owned()];
        assert!(changed_settings(&begun, &given, &given, &by_content).is_empty());
        // Twins: without the content the path counts, and whether there is one at all always does.
        let other = "augmentation: a.toml in the run, b.toml given";
        assert_eq!(changed_settings(&begun, &given, &given, &by_content[..1]), [other]);
        let none = Settings::default();
        let gone = "augmentation: a.toml in the run, none if not given";
        assert_eq!(changed_settings(&begun, &none, &none, &by_content), [gone]);
        let begun = table("lr = 0.1").unwrap();
        let given = Settings { lr: Some(0.1), model: Some("m.onnx".into()), ..Settings::default() };
        let new = "model: none in the run, m.onnx given";
        assert_eq!(changed_settings(&begun, &given, &given, &by_content), [new]);
    }

    #[test]
    fn the_largest_seed_is_compared_like_any_other() {
        let begun = table(&format!("seed = {}", u64::MAX)).unwrap();
        let given = Settings { seed: Some(u64::MAX - 1), ..Settings::default() };
        let want = format!("seed: {} in the run, {} given", u64::MAX, u64::MAX - 1);
        assert_eq!(changed_settings(&begun, &given, &given, &[]), [want]);
        assert!(table("seed = ").is_err(), "what cannot be read is not taken for equal");
    }
}
