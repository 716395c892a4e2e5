//! What the user asked for: flags over a TOML file, everything optional.

mod bytes;
mod choices;
mod define;
mod table;

use std::path::Path;
use std::sync::Arc;

use oculist_data::Task;
use oculist_kernels::{Context, Isa};
use oculist_train::{Keep, NormTraining};

use crate::config::Config;
use crate::error::{OculistError, wrong};
use crate::files::toml_problem;
use crate::message::{set_to, setting};
use crate::sink::folder::SETTINGS_FILE;

pub use bytes::ByteSize;
pub use choices::{
    Augmentation, Calibration, HeadName, IsaName, LossName, OptimizerName, Precision, SamplingName, Target,
    TransferMode, Tune, Unfreeze,
};
pub use table::{
    CompressionSettings, DataSettings, MachineSettings, MeasuringSettings, NetworkSettings, ReadingSettings,
    SeedSettings, Settings, SourceSettings, StartSettings, TrainingSettings, TransferSettings,
    TuningSettings,
};

/// The settings that stand first in files, in the order that they had before the table was in groups, so that files stay
/// equal. Those that are not here follow in the order of the table.
const FIRST_IN_FILES: [&str; 18] = [
    "data",
    "data_dir",
    "layout",
    "exclude",
    "strict",
    "seed",
    "threads",
    "max_memory",
    "max_image_bytes",
    "cache",
    "arch",
    "width",
    "model",
    "classes",
    "preprocessing",
    "logits",
    "state_dict",
    "partial",
];

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`OculistError::Setting`] naming the file and the key that is unknown or of the wrong type.
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        let io = |source| OculistError::Io { path: path.to_path_buf(), source };
        let text = oculist_files::read_to_string(path).map_err(io)?;
        toml::from_str(&text).map_err(|e| OculistError::Setting {
            name: set_to("config", path.display()).into(),
            problem: if toml::from_str::<Config>(&text).is_ok() {
                format!("it is the resolved recipe of a run; give {SETTINGS_FILE}, which lies beside it")
            } else {
                toml_problem(&e, &text)
            }
            .into(),
        })
    }

    /// These settings as TOML, as [`Settings::read`] takes them; what is absent is left out.
    pub fn to_toml(&self) -> String {
        let rest = Self::NAMES.iter().filter(|name| !FIRST_IN_FILES.contains(name));
        let entry = |name: &&str| toml::to_string(&self.only(&[name])).unwrap_or_default();
        FIRST_IN_FILES.iter().chain(rest).map(entry).collect()
    }

    /// The settings in a table that may hold those of some groups alone, such as [`TrainingSettings::NAMES`].
    ///
    /// # Errors
    /// [`OculistError::Setting`] naming a key that is in none of the groups, or a value that does not fit its key.
    pub fn of_groups(table: toml::Table, groups: &[&[&str]]) -> Result<Self, OculistError> {
        let known = groups.concat();
        if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(key, format!("expected one of {}", known.join(", "))));
        }
        let mut settings = Self::default();
        for (key, value) in table {
            let entry = toml::Table::from_iter([(key.clone(), value)]);
            let set: Self = entry
                .try_into()
                .map_err(|e: toml::de::Error| wrong(&key, e.message().trim_end().replace('\n', "; ")))?;
            settings = set.over(settings);
        }
        Ok(settings)
    }

    /// Checks the ranges that need no data set, and the name of the architecture.
    ///
    /// # Errors
    /// [`OculistError::Setting`] naming the option, its range and the value; [`OculistError::Zoo`] for an unknown
    /// architecture.
    pub fn validate(&self) -> Result<(), OculistError> {
        self.check_ranges()?;
        if let (Some(mode @ (TransferMode::Finetune | TransferMode::Fc)), Some(Precision::Int8)) =
            (self.mode, self.precision)
        {
            let mode = set_to("mode", if mode == TransferMode::Fc { "fc" } else { "finetune" });
            let from = setting("from");
            let problem = format!(
                "expected f32 with {mode}, whose extractor is not frozen; optimize with {from} quantises what comes of it"
            );
            return Err(wrong("precision", problem));
        }
        if self.max_memory.is_some_and(|size| size.0 == 0) {
            return Err(wrong("max_memory", "expected at least 1, found 0"));
        }
        self.validate_consistency()?;
        let repeated = matches!(self.sampling, Some(SamplingName::Repeated | SamplingName::BatchAugment));
        if self.repeats.is_some() && !repeated {
            let sampling = set_to("sampling", "repeated or batch-augment");
            return Err(wrong("repeats", format!("expected {sampling} with it")));
        }
        if self.keep == Some(Keep::Last) && self.patience.is_some_and(|epochs| epochs > 0) {
            let keep = set_to("keep", "last");
            return Err(wrong("patience", format!("expected none with {keep}, which goes to the end")));
        }
        self.validate_levels()?;
        self.validate_tuning()?;
        if self.width.is_some() && self.model.is_some() {
            let model = setting("model");
            return Err(wrong(
                "width",
                format!("expected no {model} with it: a trained model has its width"),
            ));
        }
        if let Some(arch) = &self.arch {
            oculist_zoo::find(arch)?;
        }
        Ok(())
    }

    /// Checks that levels are shares that fall.
    fn validate_levels(&self) -> Result<(), OculistError> {
        let Some(levels) = &self.levels else { return Ok(()) };
        if let Some(level) = levels.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
            return Err(wrong(
                "levels",
                format!("expected shares of more than 0 and less than 1, found {level:?}"),
            ));
        }
        let rising = |pair: &[f64]| match *pair {
            [first, second] if first <= second => Some((first, second)),
            _ => None,
        };
        if let Some((first, second)) = levels.windows(2).find_map(rising) {
            let problem =
                format!("expected falling shares, from weak to strong, found {first:?} before {second:?}");
            return Err(wrong("levels", problem));
        }
        Ok(())
    }

    /// Checks that nothing is on that the views of an image cannot be compared under.
    fn validate_consistency(&self) -> Result<(), OculistError> {
        if self.consistency.unwrap_or(0.0) == 0.0 {
            return Ok(());
        }
        let fail = |problem: String| Err(wrong("consistency", problem));
        for (name, value) in [("mixup", self.mixup), ("cutmix", self.cutmix), ("mosaic", self.mosaic)] {
            if value.is_some_and(|value| value > 0.0) {
                return fail(format!(
                    "expected no {} with it: mixed images have no clean view",
                    setting(name)
                ));
            }
        }
        if self.sampling.is_some_and(|sampling| sampling != SamplingName::Once) {
            let once = set_to("sampling", "once");
            return fail(format!("expected {once} with it: each image has its three views already"));
        }
        Ok(())
    }

    /// Checks that what is trained and how it is trained do not contradict.
    fn validate_tuning(&self) -> Result<(), OculistError> {
        let tune = self.tune.unwrap_or_default();
        if self.adapter_rank.is_some() && tune != Tune::Adapters {
            let adapters = set_to("tune", "adapters");
            return Err(wrong("adapter_rank", format!("expected {adapters} with it")));
        }
        let fail = |name: &str, value: &str, why: &str| {
            let with = set_to("tune", value);
            Err(wrong(name, format!("expected none with {with}: {why}")))
        };
        let anchored = self.anchor.is_some_and(|strength| strength > 0.0);
        match tune {
            Tune::Head if self.layer_decay.is_some_and(|decay| decay < 1.0) => {
                fail("layer_decay", "head", "one layer has none in front of it that is trained")
            }
            Tune::Head if self.unfreeze == Some(Unfreeze::Gradual) => {
                fail("unfreeze", "head", "all other layers stay frozen")
            }
            Tune::Head if anchored => fail("anchor", "head", "the head has nothing to stay near to"),
            Tune::Bias if anchored => fail("anchor", "bias", "the weights that it pulls are frozen"),
            Tune::Adapters if anchored => fail("anchor", "adapters", "the weights that it pulls are frozen"),
            Tune::Bias if self.batch_norm == Some(NormTraining::Frozen) => {
                let with = set_to("tune", "bias");
                let problem = format!(
                    "expected statistics or train with {with}: frozen norms keep the gamma and beta that it trains"
                );
                Err(wrong("batch_norm", problem))
            }
            Tune::All | Tune::Head | Tune::Bias | Tune::Adapters => Ok(()),
        }
    }

    /// Refuses several labels an image for work that knows only one.
    pub(crate) fn one_label(&self) -> Result<(), OculistError> {
        match self.task {
            Some(Task::MultiLabel) => {
                Err(wrong("task", "expected single-label for this: it looks at the one class of each image"))
            }
            _ => Ok(()),
        }
    }

    /// Threads asked for, or all cores.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// What networks run on: the threads, and the memory that a plan may take.
    pub(crate) fn context(&self) -> Result<Arc<Context>, OculistError> {
        context(self.threads(), self.max_memory, self.isa.unwrap_or_default())
    }
}

/// What networks run on; without a limit a plan may take what the machine has.
///
/// # Errors
/// [`OculistError::Setting`] for an instruction set that this processor has not; [`OculistError::Kernel`] for threads that cannot be
/// started.
pub(crate) fn context(
    threads: usize,
    max_memory: Option<ByteSize>,
    isa: IsaName,
) -> Result<Arc<Context>, OculistError> {
    let isa = match isa {
        IsaName::Auto => Isa::detect(),
        IsaName::Avx512 => Isa::Avx512,
        IsaName::Avx2 => Isa::Avx2,
        IsaName::Portable => Isa::Portable,
    };
    if !isa.is_available() {
        let has: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
        return Err(wrong(
            "isa",
            format!("expected what this processor has ({}), found {isa}", has.join(", ")),
        ));
    }
    let context = Context::with_isa(threads, isa)?;
    Ok(Arc::new(match max_memory {
        Some(ByteSize(bytes)) => context.with_max_memory(usize::try_from(bytes).unwrap_or(usize::MAX)),
        None => context,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_file() {
        let file: Settings = toml::from_str("epochs = 3\nseed = 7\ntarget = \"latency\"").unwrap();
        let flags = Settings { epochs: Some(9), ..Settings::default() };
        let merged = flags.over(file);
        assert_eq!((merged.epochs, merged.seed, merged.target), (Some(9), Some(7), Some(Target::Latency)));
    }

    #[test]
    fn settings_survive_toml() {
        let settings = Settings {
            data: Some("demo".into()),
            seed: Some(u64::MAX),
            lr: Some(0.1),
            augment: Some(Augmentation::None),
            max_drop: Some(0.5),
            ..Settings::default()
        };
        let text = settings.to_toml();
        assert_eq!(
            text,
            "data = \"demo\"\nseed = 18446744073709551615\nlr = 0.1\naugment = \"none\"\nmax_drop = 0.5\n"
        );
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn sizes_are_numbers_or_have_a_unit() {
        let settings: Settings = toml::from_str("cache = \"512M\"\nmax_image_bytes = 1000").unwrap();
        assert_eq!(
            (settings.cache, settings.max_image_bytes),
            (Some(ByteSize(512 << 20)), Some(ByteSize(1000)))
        );
        assert_eq!(settings.to_toml(), "max_image_bytes = 1000\ncache = 536870912\n");
        assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
        assert_eq!(["0", "3k", "2G"].map(|t| t.parse::<ByteSize>().unwrap().0), [0, 3 << 10, 2 << 30]);
        for wrong in ["", "M", "-1", "1.5G", "+3", "3T", "99999999999G", "1 M"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("o.toml");
        std::fs::write(&path, "epoch = 3").unwrap();
        let text = Settings::read(&path).unwrap_err().to_string();
        assert!(text.contains("o.toml") && text.contains("epoch"), "{text}");
    }

    #[test]
    fn a_group_takes_its_own_keys_alone() {
        let training: TrainingSettings = toml::from_str("epochs = 3\nkeep = \"last\"").unwrap();
        let expected = Settings { epochs: Some(3), keep: Some(Keep::Last), ..Settings::default() };
        assert_eq!(Settings::from(training), expected);
        let refused = toml::from_str::<TrainingSettings>("epochs = 3\narch = \"resnet8\"").unwrap_err();
        assert!(refused.message().contains("`arch`"), "{refused}");

        let groups = [TrainingSettings::NAMES, SeedSettings::NAMES];
        let of = |text: &str| Settings::of_groups(text.parse().unwrap(), &groups);
        assert_eq!(
            of("lr = 0.1\nseed = 7").unwrap(),
            Settings { lr: Some(0.1), seed: Some(7), ..Settings::default() }
        );
        for (text, words) in
            [("max_drop = 1.0", ["max_drop", "epochs"]), ("epochs = true", ["epochs", "true"])]
        {
            let refused = of(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        }
    }

    #[test]
    fn the_order_in_files_stays_and_misses_none() {
        assert!(FIRST_IN_FILES.iter().all(|name| Settings::NAMES.contains(name)));
        let settings = Settings {
            seed: Some(1),
            strict: Some(true),
            cache: Some(ByteSize(1)),
            model: Some("m.onnx".into()),
            arch: Some("resnet8".into()),
            threads: Some(2),
            epochs: Some(3),
            image_size: Some(32),
            measure_seconds: Some(0.5),
            ..Settings::default()
        };
        let text = settings.to_toml();
        let keys: Vec<&str> = text.lines().filter_map(|line| line.split_once(" = ")).map(|e| e.0).collect();
        let expected = [
            "strict",
            "seed",
            "threads",
            "cache",
            "arch",
            "model",
            "image_size",
            "epochs",
            "measure_seconds",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn ways_of_tuning_that_contradict_name_both() {
        let tune = |tune| Settings { tune: Some(tune), ..Settings::default() };
        let (head, bias, adapters) = (tune(Tune::Head), tune(Tune::Bias), tune(Tune::Adapters));
        for (settings, name) in [
            (Settings { adapter_rank: Some(4), ..Settings::default() }, "adapter_rank"),
            (Settings { adapter_rank: Some(4), ..head.clone() }, "adapter_rank"),
            (Settings { layer_decay: Some(0.9), ..head.clone() }, "layer_decay"),
            (Settings { unfreeze: Some(Unfreeze::Gradual), ..head.clone() }, "unfreeze"),
            (Settings { anchor: Some(0.1), ..head.clone() }, "anchor"),
            (Settings { anchor: Some(0.1), ..bias.clone() }, "anchor"),
            (Settings { anchor: Some(0.1), ..adapters.clone() }, "anchor"),
            (Settings { batch_norm: Some(NormTraining::Frozen), ..bias.clone() }, "batch_norm"),
        ] {
            let text = settings.validate().unwrap_err().to_string();
            assert!(text.contains(name) && text.contains("tune"), "{text}");
        }
        for settings in [
            Settings { layer_decay: Some(1.0), anchor: Some(0.0), ..head },
            Settings { layer_decay: Some(0.9), unfreeze: Some(Unfreeze::Gradual), ..bias },
            Settings { adapter_rank: Some(4), layer_decay: Some(0.9), ..adapters },
            Settings { anchor: Some(0.1), layer_decay: Some(0.5), ..Settings::default() },
        ] {
            settings.validate().unwrap();
        }
    }

    #[test]
    fn ranges_are_checked() {
        assert!(Settings::default().validate().is_ok());
        let bad = vec![
            Settings { max_drop: Some(-1.0), ..Settings::default() },
            Settings { image_size: Some(4), ..Settings::default() },
            Settings { keep: Some(Keep::Last), patience: Some(3), ..Settings::default() },
            Settings { width: Some(0.0), ..Settings::default() },
            Settings { width: Some(f64::NAN), ..Settings::default() },
            Settings { width: Some(0.5), model: Some("m.onnx".into()), ..Settings::default() },
            Settings { threads: Some(0), ..Settings::default() },
            Settings { epochs: Some(0), ..Settings::default() },
            Settings { lr: Some(f32::NAN), ..Settings::default() },
            Settings { mosaic: Some(1.5), ..Settings::default() },
            Settings { repeats: Some(3), ..Settings::default() },
            Settings { consistency: Some(-1.0), ..Settings::default() },
            Settings { consistency: Some(f32::NAN), ..Settings::default() },
            Settings { consistency: Some(12.0), mixup: Some(0.2), ..Settings::default() },
            Settings { consistency: Some(12.0), cutmix: Some(1.0), ..Settings::default() },
            Settings { consistency: Some(12.0), mosaic: Some(0.5), ..Settings::default() },
            Settings {
                consistency: Some(12.0),
                sampling: Some(SamplingName::Balanced),
                ..Settings::default()
            },
            Settings {
                consistency: Some(12.0),
                sampling: Some(SamplingName::Repeated),
                ..Settings::default()
            },
            Settings { repeats: Some(0), sampling: Some(SamplingName::Repeated), ..Settings::default() },
            Settings { measure_seconds: Some(0.0), ..Settings::default() },
            Settings { arch: Some("resnet19".into()), ..Settings::default() },
            Settings { layer_decay: Some(0.0), ..Settings::default() },
            Settings { layer_decay: Some(1.5), ..Settings::default() },
            Settings { layer_decay: Some(f32::NAN), ..Settings::default() },
            Settings { anchor: Some(-0.1), ..Settings::default() },
            Settings { adapter_rank: Some(0), tune: Some(Tune::Adapters), ..Settings::default() },
            Settings { levels: Some(vec![0.5, 0.5]), ..Settings::default() },
            Settings { levels: Some(vec![0.5, 0.0]), ..Settings::default() },
            Settings { levels: Some(vec![f64::NAN]), ..Settings::default() },
        ];
        for settings in bad {
            assert!(settings.validate().is_err(), "{settings:?}");
        }
    }
}
