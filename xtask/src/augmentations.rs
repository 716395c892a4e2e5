//! `cargo xtask augmentations`: what each augmentation does to the test error, with one fixed training budget.

mod methods;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{elpv, process, workspace};
use methods::{METHODS, Method};

pub(crate) const ARGUMENTS: &str =
    "[fashion-mnist|elpv]... [--seeds N] [--epochs N] [--arch NAME] [--width FACTOR] [--jobs N]";
pub(crate) const ABOUT: &str = "Trains one network with no augmentation, flips and crops, TrivialAugment, RandAugment, random erasing,\n\
                                MixUp and CutMix, with several seeds, and writes docs/augmentation-results.md. Takes hours; runs that are\n\
                                finished are kept in target/augmentations, so an interrupted table goes on where it was.";

/// The network and how long it is trained.
#[derive(Debug, Clone, Copy)]
struct Budget {
    arch: &'static str,
    width: f64,
    epochs: usize,
}

/// A data set, and the budget that is the same for every method.
#[derive(Debug, Clone, PartialEq)]
struct Study {
    data: Data,
    arch: String,
    width: f64,
    epochs: usize,
    seeds: usize,
    jobs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    FashionMnist,
    Elpv,
}

impl Data {
    const ALL: [Self; 2] = [Self::FashionMnist, Self::Elpv];

    fn name(self) -> &'static str {
        match self {
            Self::FashionMnist => "fashion-mnist",
            Self::Elpv => "elpv",
        }
    }

    /// Side of the network's input.
    fn side(self) -> usize {
        match self {
            Self::FashionMnist => 28,
            Self::Elpv => 64,
        }
    }

    /// A short schedule of a small network.
    fn budget(self) -> Budget {
        match self {
            Self::FashionMnist => Budget { arch: "vgg13_bn", width: 0.25, epochs: 40 },
            Self::Elpv => Budget { arch: "vgg13_bn", width: 0.25, epochs: 70 },
        }
    }

    /// Batch size and rate: many small steps, since the schedule is short.
    fn rate(self) -> [&'static str; 4] {
        match self {
            Self::FashionMnist | Self::Elpv => ["--batch-size", "32", "--lr", "0.04"],
        }
    }
}

/// The answer of `oculist eval --tta flip --json`, in the folder of a run.
const MIRRORED: &str = "mirrored.json";

/// A training: a method and a seed.
#[derive(Debug, Clone, Copy)]
struct Job {
    method: &'static Method,
    seed: usize,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    for study in parse(arguments)? {
        measure(&study)?;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Vec<Study>> {
    let mut data = Vec::new();
    let (mut seeds, mut jobs, mut epochs, mut arch, mut width) = (3, 2, None, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word}: expected a value"));
        match word.as_str() {
            "--seeds" => seeds = number(word, value()?)?,
            "--jobs" => jobs = number(word, value()?)?,
            "--epochs" => epochs = Some(number(word, value()?)?),
            "--arch" => arch = Some(value()?.clone()),
            "--width" => width = Some(factor(word, value()?)?),
            name => match Data::ALL.into_iter().find(|d| d.name() == name) {
                Some(found) => data.push(found),
                None => bail!(
                    "there is no data set or option `{name}`; usage: cargo xtask augmentations {ARGUMENTS}"
                ),
            },
        }
    }
    if data.is_empty() {
        data = Data::ALL.to_vec();
    }
    let study = |data: Data| {
        let budget = data.budget();
        Study {
            data,
            // Another architecture comes in its published width.
            width: width.unwrap_or(if arch.is_some() { 1.0 } else { budget.width }),
            arch: arch.clone().unwrap_or_else(|| budget.arch.into()),
            epochs: epochs.unwrap_or(budget.epochs),
            seeds,
            jobs,
        }
    };
    Ok(data.into_iter().map(study).collect())
}

fn number(option: &str, text: &str) -> Result<usize> {
    let found = text.parse().ok().filter(|n| *n > 0);
    found.with_context(|| format!("{option}: expected a number above 0, found `{text}`"))
}

fn factor(option: &str, text: &str) -> Result<f64> {
    let found = text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite());
    found.with_context(|| format!("{option}: expected a number above 0, found `{text}`"))
}

fn measure(study: &Study) -> Result<()> {
    let target = workspace::target()?;
    build()?;
    let folder = target.join("augmentations").join(study.name());
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let source = match study.data {
        Data::FashionMnist => PathBuf::from("fashion-mnist"),
        Data::Elpv => split_cells(&target)?,
    };
    // Seeds outside, methods inside: a table that is cut short is still a fair one.
    let seeds = 0..study.seeds;
    let jobs: Vec<Job> =
        seeds.flat_map(|seed| METHODS.iter().map(move |method| Job { method, seed })).collect();
    let todo: Vec<Job> =
        jobs.iter().copied().filter(|job| !folder.join(job.name()).join(MIRRORED).exists()).collect();
    println!("==> {}: {} of {} runs to do", study.data.name(), todo.len(), jobs.len());
    let start = Instant::now();
    let queue = Mutex::new(todo.into_iter());
    let next = || queue.lock().ok().and_then(|mut jobs| jobs.next());
    let worker = || {
        while let Some(job) = next() {
            let output = folder.join(job.name());
            if !output.join("summary.json").exists() {
                train(study, &target, &source, &folder, job)?;
            }
            mirror(&target, &source, &output)?;
        }
        Ok::<(), anyhow::Error>(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..study.jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| bail!("a worker has panicked")))
    })?;
    println!("    done after {}", process::human(start.elapsed()));
    page::write(study, &folder)
}

impl Study {
    /// The folder of its runs.
    fn name(&self) -> String {
        let Self { data, arch, width, epochs, .. } = self;
        format!("{}-{arch}-{width}-{epochs}", data.name())
    }
}

impl Job {
    fn name(&self) -> String {
        format!("{}-{}", self.method.name.replace(' ', "-"), self.seed)
    }
}

fn build() -> Result<()> {
    process::run(Command::new(workspace::cargo()).current_dir(workspace::root()).args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "oculist-cli",
    ]))
}

/// Trains on one thread, so that jobs side by side do not wait for each other's threads.
fn train(study: &Study, target: &Path, source: &Path, folder: &Path, job: Job) -> Result<()> {
    let output = folder.join(job.name());
    let mut command = Command::new(target.join("release").join("oculist"));
    command.arg("train").arg(source);
    command.args(["--threads", "1", "--arch", &study.arch, "--width", &study.width.to_string(), "--quiet"]);
    command.args(["--epochs", &study.epochs.to_string(), "--seed", &job.seed.to_string()]);
    command.args(["--image-size", &study.data.side().to_string(), "--measure-seconds", "0.1"]);
    command.args(study.data.rate());
    if study.data == Data::Elpv {
        // So few validation images would choose among the epochs by chance.
        command.args(["--keep", "last"]);
        // The photos are decoded once, not in every epoch.
        command.args(["--cache", "1G"]);
    }
    match job.method.pipeline(study.data) {
        None => command.args(["--augment", "none"]),
        Some(pipeline) => {
            let file = folder.join(format!("{}.json", job.method.name.replace(' ', "-")));
            // Two jobs may write the same text at once; each renames its own whole file.
            let part = folder.join(format!("{}.part", job.name()));
            fs::write(&part, pipeline.to_string()).with_context(|| part.display().to_string())?;
            fs::rename(&part, &file).with_context(|| file.display().to_string())?;
            command.arg("--augmentation").arg(file)
        }
    };
    command.args(job.method.options);
    // A run that was interrupted goes on; one that never wrote a checkpoint begins anew.
    let begun = output.join("checkpoints").join("last.safetensors").exists();
    command.arg(if begun { "--resume" } else { "--force" }).arg("--output").arg(&output);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().context("oculist does not start")?;
    if !status.success() {
        bail!("`{}` failed ({status})", process::show(&command));
    }
    let error = page::test_error(&output.join("summary.json"))?;
    println!(
        "    {} seed {}: {error:.2}% test error, {}",
        job.method.name,
        job.seed,
        process::human(start.elapsed())
    );
    Ok(())
}

/// Tests a run's model on each image and its mirror image.
fn mirror(target: &Path, source: &Path, run: &Path) -> Result<()> {
    let mut command = Command::new(target.join("release").join("oculist"));
    command.arg("eval").arg(source).arg("--model").arg(run.join("model.onnx"));
    command.args(["--split", "test", "--tta", "flip", "--threads", "1", "--json", "--quiet"]);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("oculist does not start")?;
    if !output.status.success() {
        bail!("`{}` failed ({})", process::show(&command), output.status);
    }
    let (part, file) = (run.join("mirrored.part"), run.join(MIRRORED));
    fs::write(&part, &output.stdout).with_context(|| part.display().to_string())?;
    fs::rename(&part, &file).with_context(|| file.display().to_string())?;
    println!("    {}: {:.2}% with the mirror image", run.display(), page::mirrored_error(&file)?);
    Ok(())
}

/// The manifest of ELPV's photos with a stratified split of 75% (a tenth of it for validation) and 25%.
fn split_cells(target: &Path) -> Result<PathBuf> {
    let folder = target.join("elpv");
    let manifest = folder.join("cells.csv");
    if manifest.exists() {
        return Ok(manifest);
    }
    let photos = folder.join("cells");
    if !photos.join("functional").exists() {
        elpv::run(&[photos.display().to_string()])?;
    }
    process::run(
        Command::new(target.join("release").join("oculist"))
            .args(["data", "split", "--train", "0.675", "--val", "0.075", "--test", "0.25", "--output"])
            .args([&manifest, &photos]),
    )?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn data_sets_have_their_own_budget_unless_one_is_given() {
        let studies = parse(&[]).unwrap();
        assert_eq!(studies.iter().map(|s| s.data).collect::<Vec<_>>(), Data::ALL);
        assert_ne!(studies[0].epochs, studies[1].epochs);
        let [study] = &parse(&words("elpv --epochs 5 --seeds 1 --jobs 3 --width 0.5")).unwrap()[..] else {
            panic!("one study")
        };
        assert_eq!((study.data, study.epochs, study.seeds, study.jobs), (Data::Elpv, 5, 1, 3));
        assert_eq!(study.name(), "elpv-vgg13_bn-0.5-5");
        let [study] = &parse(&words("fashion-mnist --arch resnet20 --epochs 24")).unwrap()[..] else {
            panic!("one study")
        };
        assert_eq!(study.name(), "fashion-mnist-resnet20-1-24");
    }

    #[test]
    fn what_is_unknown_is_named() {
        for (text, named) in [
            ("cifar", "`cifar`"),
            ("--seeds 0", "--seeds"),
            ("--epochs", "--epochs"),
            ("--width x", "--width"),
        ] {
            let error = parse(&words(text)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
