//! Runs that several tests look at, each made once. Nobody writes into them; who wants to makes a copy.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::data::{class_folders, cut_short, idx_folder};
use super::{Call, Outcome, copy, oculist};

/// Epochs of [`trained`]: enough that an interruption after the first comes long before the last.
pub(crate) const EPOCHS: usize = 12;

/// A finished run.
pub(crate) struct Run {
    pub(crate) data: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) outcome: Outcome,
}

impl Run {
    /// A file of the run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where the shared runs lie.
///
/// They outlast the tests, since nothing tells when the last one ends; those of earlier days are removed.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-runs");
        std::fs::create_dir_all(&all).expect("a folder");
        for entry in std::fs::read_dir(&all).expect("a folder").flatten() {
            let changed = entry.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
            if changed.elapsed().is_ok_and(|age| age > Duration::from_hours(1)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        tempfile::Builder::new().prefix("run-").tempdir_in(all).expect("a folder").keep()
    })
}

/// `train` with the options of [`trained`] but for the seed.
pub(crate) fn train_call(data: &Path, output: &Path) -> Call {
    oculist("train")
        .arg(data)
        .args("--arch resnet8 --image-size 32 --batch-size 16 --threads 2")
        .option("--epochs", EPOCHS.to_string())
        .option("--output", output)
}

/// `optimize` with the options of [`optimized`].
pub(crate) fn optimize_call(data: &Path, output: &Path) -> Call {
    oculist("optimize")
        .arg(data)
        .args("--arch resnet8 --epochs 3 --finetune-epochs 2 --batch-size 16 --threads 2 --max-drop 5")
        .option("--output", output)
}

/// A network trained on class folders.
pub(crate) fn trained() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let (data, folder) = (root().join("photos"), root().join("trained"));
        class_folders(&data);
        let outcome = train_call(&data, &folder).run().ok();
        Run { data, folder, outcome }
    })
}

/// The data of [`optimized`]: class folders with one image cut short, and a text among the images.
pub(crate) fn damaged_photos() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| {
        let data = root().join("damaged-photos");
        class_folders(&data);
        cut_short(&data.join("class1/7.png"));
        std::fs::write(data.join("class2/8.png"), "no image").expect("a text");
        data
    })
}

/// The main job on class folders, two files of which cannot be read.
pub(crate) fn optimized() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let (data, folder) = (damaged_photos().to_path_buf(), root().join("optimized"));
        let outcome = optimize_call(&data, &folder).run().ok();
        Run { data, folder, outcome }
    })
}

/// The main job on plain and on gzipped IDX files of the same images, side by side.
pub(crate) fn optimized_idx() -> &'static [Run; 2] {
    static RUNS: OnceLock<[Run; 2]> = OnceLock::new();
    RUNS.get_or_init(|| {
        [("plain", ""), ("gzipped", ".gz")]
            .map(|(name, ending)| {
                let (data, folder) = (root().join(name), root().join(format!("optimized-{name}")));
                idx_folder(&data, ending);
                let child = optimize_call(&data, &folder).start();
                (data, folder, child)
            })
            .map(|(data, folder, child)| Run { data, folder, outcome: Outcome::of(child).ok() })
    })
}

/// A copy of the trained run that a test may change.
pub(crate) fn copy_of_trained(to: &Path) -> PathBuf {
    let folder = to.join("copy");
    copy(&trained().folder, &folder);
    folder
}
