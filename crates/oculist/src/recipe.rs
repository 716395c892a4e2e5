//! Recipes: lists of stages as data.

mod plain;

use std::path::Path;
use std::sync::Arc;

use oculist_train::NormTraining;
use serde_json::{Map, Value};

use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::files::toml_problem;
use crate::session::Session;
use crate::settings::{
    OptimizerName, Precision, Settings, TrainingSettings, TransferMode, Tune, TuningSettings,
};
use crate::stage::{
    Best, Draft, FineTune, Load, Measure, Planned, Prune, Quantize, Registry, Search, Stage, Teacher, Train,
    Transfer,
};
use crate::stage::{stage_table, time_text};
use plain::Plain;

/// Bytes of a recipe's file at the most.
const MAX_BYTES: u64 = 1 << 20;
/// Seconds that carrying over may take where the mode is chosen.
const TIME_BUDGET: f64 = 180.0;
/// How a network that was carried over is trained on.
const TUNING_EPOCHS: usize = 10;
const TUNING_RATE: f32 = 3e-4;
const TUNING_BATCH: usize = 32;
const TUNING_DECAY: f32 = 0.97;
/// Stages at the most, those inside others among them.
const MAX_STAGES: usize = 1000;

/// A list of stages, with settings of the session that it wants.
///
/// As a file it is TOML or JSON:
///
/// ```
/// let recipe = oculist::Recipe::from_toml(r#"
///     name = "half as large"
///
///     [[stage]]
///     kind = "train"
///     arch = "resnet8"
///
///     [[stage]]
///     kind = "prune"
///     keep = 0.5
///
///     [[stage]]
///     kind = "fine-tune"
///
///     [[stage]]
///     kind = "quantize"
///
///     [[stage]]
///     kind = "measure"
/// "#)?;
/// assert_eq!(recipe.stages().len(), 5);
/// # Ok::<(), oculist::OculistError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    name: String,
    /// The file that it was read from.
    file: Option<String>,
    settings: Settings,
    stages: Vec<Arc<dyn Stage>>,
}

impl Recipe {
    /// An empty recipe.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With a stage at its end.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Arc::new(stage));
        self
    }

    /// With settings for the session that it is run in.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Trains a network and measures it.
    pub fn train() -> Self {
        Self::new("train").then(Train::default()).then(Measure::default())
    }

    /// Trains a network, then compresses it as far as the promise allows: int8 as it is, and ever stronger pruning with
    /// fine-tuning and int8.
    pub fn optimize() -> Self {
        Self::new("optimize").then(Train::default()).then(compression()).then(Measure::default())
    }

    /// [`Recipe::optimize`], or [`Recipe::compress`] where the settings name a model; where they name a model for another
    /// task, it is carried over first.
    pub fn optimize_for(settings: &Settings) -> Self {
        if settings.from.is_some() {
            let carried =
                Self { name: "optimize".into(), stages: carrying(settings, true), ..Self::default() };
            return carried.then(compression()).then(Measure::default());
        }
        if settings.model.is_some() { Self::compress() } else { Self::optimize() }
    }

    /// Carries over from the model for another task that the settings name, in the mode that they name, and measures what
    /// comes of it.
    pub fn transfer_for(settings: &Settings) -> Self {
        let carried = Self { name: "transfer".into(), stages: carrying(settings, false), ..Self::default() };
        carried.then(Measure::default())
    }

    /// The same for the model that the session is given.
    pub fn compress() -> Self {
        Self::new("compress").then(Load).then(compression()).then(Measure::default())
    }

    /// Measures the model that the session is given.
    pub fn measure() -> Self {
        Self::new("measure").then(Load).then(Measure::default())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its stages.
    pub fn stages(&self) -> &[Arc<dyn Stage>] {
        &self.stages
    }

    /// The settings of a session that it wants.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads a recipe of the stages that there are from TOML or, if the name ends so, JSON.
    ///
    /// # Errors
    /// [`OculistError::Recipe`] naming the file, the stage and the setting; [`OculistError::Io`].
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        Self::read_with(path, &Registry::default())
    }

    /// Reads a recipe whose stages a registry knows.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn read_with(path: &Path, registry: &Registry) -> Result<Self, OculistError> {
        let io = |source| OculistError::Io { path: path.to_path_buf(), source };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_BYTES {
            return Err(OculistError::Recipe {
                name: path.display().to_string(),
                problem: format!("expected at most {MAX_BYTES} bytes, found {bytes}"),
            });
        }
        let text = oculist_files::read_to_string(path).map_err(io)?;
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let name = path.display().to_string();
        match Self::parse(&text, json, registry) {
            Ok(recipe) => Ok(Self { file: Some(name), ..recipe }),
            Err(problem) => Err(OculistError::Recipe { name, problem }),
        }
    }

    /// A recipe from the text of a TOML file.
    ///
    /// # Errors
    /// [`OculistError::Recipe`] naming the stage and the setting.
    pub fn from_toml(text: &str) -> Result<Self, OculistError> {
        Self::from_toml_with(text, &Registry::default())
    }

    /// A recipe from the text of a TOML file, of stages that a registry knows.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`].
    pub fn from_toml_with(text: &str, registry: &Registry) -> Result<Self, OculistError> {
        Self::parse(text, false, registry)
            .map_err(|problem| OculistError::Recipe { name: "text".into(), problem })
    }

    fn parse(text: &str, json: bool, registry: &Registry) -> Result<Self, String> {
        let Plain(value) = if json {
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| e.to_string())?
        } else {
            toml::from_str(text).map_err(|e| toml_problem(&e, text))?
        };
        let Value::Object(mut map) = value else {
            return Err("expected a table with `stage`".into());
        };
        let name = match map.remove("name") {
            None => "recipe".to_owned(),
            Some(Value::String(name)) => name,
            Some(other) => return Err(format!("name: expected a text, found {other}")),
        };
        let settings = match map.remove("settings") {
            None => Settings::default(),
            Some(settings) => serde_json::from_value(settings).map_err(|e| format!("settings: {e}"))?,
        };
        let Some(Value::Array(stages)) = map.remove("stage") else {
            return Err("expected a list of stages ([[stage]] with `kind`), found none".into());
        };
        if let Some(key) = map.keys().next() {
            return Err(format!("unknown key `{key}`, expected name, settings or stage"));
        }
        let stages = stages.into_iter().enumerate();
        let stages = stages
            .map(|(i, stage)| registry.stage(stage).map_err(|problem| format!("stage {}: {problem}", i + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if stages.is_empty() {
            return Err("expected at least one stage, found none".into());
        }
        let count: usize = stages.iter().map(|stage: &Arc<dyn Stage>| stage.count()).sum();
        if count > MAX_STAGES {
            return Err(format!("expected at most {MAX_STAGES} stages, found {count}"));
        }
        Ok(Self { name, file: None, settings, stages })
    }

    /// An error that one of its stages finds in its own settings, with where it stands in the recipe's file.
    pub(crate) fn error_of(&self, number: usize, stage: &dyn Stage, error: OculistError) -> OculistError {
        let Some(name) = self.file.clone() else { return error };
        let problem = match error {
            OculistError::Stage { stage: inner, problem } if inner != stage.kind() => {
                format!("{inner}: {problem}")
            }
            OculistError::Stage { problem, .. } => problem,
            OculistError::Setting { .. } | OculistError::Zoo(_) => error.to_string(),
            other => return other,
        };
        OculistError::Recipe { name, problem: format!("stage {number}: {}: {problem}", stage.kind()) }
    }

    /// The recipe as TOML, as [`Recipe::read`] takes it.
    pub fn to_toml(&self) -> String {
        let mut map = Map::new();
        map.insert("name".into(), self.name.clone().into());
        let settings = crate::stage::written(&self.settings);
        if !settings.is_empty() {
            map.insert("settings".into(), Value::Object(settings));
        }
        map.insert("stage".into(), self.stages.iter().map(stage_table).collect());
        toml::to_string(&Value::Object(map)).unwrap_or_default()
    }

    /// The recipe with a measurement at its end, and whether one was added.
    #[must_use]
    pub fn measured(mut self) -> (Self, bool) {
        let missing = self.stages.last().is_none_or(|stage| stage.kind() != Measure::default().kind());
        if missing {
            self.stages.push(Arc::new(Measure::default()));
        }
        (self, missing)
    }

    /// What the recipe would do in a session, stage by stage, with an estimate of its time.
    ///
    /// # Errors
    /// [`OculistError`] naming what would stand in its way.
    pub fn plan(&self, session: &Session<'_>) -> Result<Vec<Planned>, OculistError> {
        session.check_recipe(self)?;
        let mut draft = Draft::default();
        let mut all = Vec::new();
        for stage in &self.stages {
            let mut planned = stage.plan(session, &draft)?;
            if planned.what.is_empty() {
                planned.what = stage.title(session, &Candidate::nothing());
            }
            draft = planned.after.clone();
            all.push(planned);
        }
        Ok(all)
    }
}

/// A plan as text.
pub fn plan_text(plan: &[Planned]) -> String {
    let numbered = plan.iter().enumerate();
    let mut lines: Vec<String> =
        numbered.flat_map(|(i, planned)| planned.lines(&format!("{}.", i + 1), 0)).collect();
    let all: f64 = plan.iter().map(|planned| planned.seconds).sum();
    lines.push(format!("about {} in all, by a few steps timed on this machine", time_text(all)));
    lines.join("\n")
}

/// The stages that carry over in a mode. What is to be compressed has a head whose layer can be trained on, and is compressed
/// behind them, not by them.
fn carrying(settings: &Settings, compresses: bool) -> Vec<Arc<dyn Stage>> {
    let mode = settings.mode.unwrap_or_default();
    let transfer = |mode: TransferMode| {
        let mut stage = Transfer::by(mode);
        if compresses {
            (stage.precision, stage.linear) = (Some(Precision::F32), true);
        }
        stage
    };
    // A frozen extractor in int8 is no network to train on.
    let trainable = |mode: TransferMode| Transfer { precision: Some(Precision::F32), ..transfer(mode) };
    let by_batch = settings.tune.is_none_or(|tune| tune == Tune::All)
        && settings.batch_norm.is_none_or(|norm| norm == NormTraining::Train);
    // Rows of a classifier are made for the source's own statistics.
    let adapts = |mode: TransferMode| mode != TransferMode::Fc && by_batch;
    let tuned = |mode: TransferMode| -> Vec<Arc<dyn Stage>> {
        let stage = Transfer { adapt: adapts(mode), ..trainable(mode) };
        vec![Arc::new(stage), Arc::new(FineTune::new(tuning(settings)).with_teacher(Teacher::None))]
    };
    let alone = |mode: TransferMode| -> Arc<dyn Stage> { Arc::new(transfer(mode)) };
    let trains = settings.finetune_epochs.is_some() || settings.epochs.is_some();
    match mode {
        TransferMode::Features => vec![alone(mode)],
        TransferMode::Gap | TransferMode::Fc if !trains => vec![alone(mode)],
        TransferMode::Gap | TransferMode::Fc | TransferMode::Finetune => {
            let mut best = Best::default();
            if adapts(mode) {
                // A head on the features as they are may be better than any on adapted ones.
                best = best.or(vec![Arc::new(trainable(mode))]);
            }
            vec![Arc::new(best.or(tuned(mode)))]
        }
        TransferMode::Auto => {
            let best =
                Best { time_budget: Some(settings.time_budget.unwrap_or(TIME_BUDGET)), ..Best::default() };
            let best = best
                .or(vec![alone(TransferMode::Features)])
                .or(vec![alone(TransferMode::Gap)])
                .or(vec![alone(TransferMode::Fc)])
                .or(tuned(TransferMode::Finetune));
            vec![Arc::new(best)]
        }
    }
}

/// How a network that was carried over is trained on, where the settings do not say otherwise.
fn tuning(settings: &Settings) -> Settings {
    let usual = Settings {
        epochs: Some(TUNING_EPOCHS),
        optimizer: Some(OptimizerName::Adamw),
        lr: Some(TUNING_RATE),
        batch_size: Some(TUNING_BATCH),
        layer_decay: settings.tune.is_none_or(|tune| tune == Tune::All).then_some(TUNING_DECAY),
        ..Settings::default()
    };
    let asked = settings.only(TrainingSettings::NAMES).over(settings.only(TuningSettings::NAMES));
    Settings { epochs: settings.finetune_epochs.or(settings.epochs).or(usual.epochs), ..asked.over(usual) }
}

/// The compression that ships.
fn compression() -> Search {
    Search {
        title: Some("Prune channels, fine-tune with distillation".into()),
        alternatives: vec![vec![Arc::new(Quantize::default())]],
        stages: vec![
            Arc::new(Prune::default()),
            Arc::new(FineTune::default()),
            Arc::new(Quantize::default()),
        ],
        ..Search::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_comes_back_from_its_text() {
        let from =
            |mode| Settings { from: Some(vec!["m.onnx".into()]), mode: Some(mode), ..Settings::default() };
        let carried = [TransferMode::Auto, TransferMode::Features, TransferMode::Finetune]
            .map(|mode| Recipe::transfer_for(&from(mode)));
        let shipped = [Recipe::train(), Recipe::optimize(), Recipe::compress()];
        for recipe in shipped.into_iter().chain(carried) {
            let text = recipe.to_toml();
            let back = Recipe::from_toml(&text).unwrap();
            assert_eq!(back.to_toml(), text);
            assert_eq!(format!("{:?}", back.stages), format!("{:?}", recipe.stages), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_stage() {
        for (text, words) in [
            ("name = 3", "name: expected a text"),
            ("stage = 3", "expected a list of stages"),
            ("stage = []", "at least one stage"),
            ("stages = []\n[[stage]]\nkind = \"train\"", "unknown key `stages`"),
            (
                "[[stage]]\nkind = \"train\"\n[[stage]]\nkind = \"prune\"\nkept = 1",
                "stage 2: prune: unknown field",
            ),
            ("[settings]\nepoch = 1\n[[stage]]\nkind = \"load\"", "settings: unknown field `epoch`"),
            ("[[stage]\n", "line 1, column"),
        ] {
            let problem = Recipe::from_toml(text).map(|r| r.to_toml()).unwrap_err().to_string();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn a_measurement_is_added_where_there_is_none() {
        let (recipe, added) = Recipe::new("r").then(Train::default()).measured();
        assert!(added && recipe.stages().len() == 2);
        assert!(!recipe.measured().1);
    }
}
