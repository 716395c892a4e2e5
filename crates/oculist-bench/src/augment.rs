//! Augmentation: single operations and whole pipelines, all served by one process.
//!
//! The benchmark chooses a case with `case NAME`, may ask for its output on the first image with `check`, and times it
//! with `run SECONDS` (see [`crate::server`]); one job is one pass over the case's images. The peers read the same
//! images from the folder that [`images::write`] fills.

mod cases;
mod images;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oculist_augment::{ColorMode, Image, Op, Pipeline, Preprocessing, SampleKey, Transform};
use oculist_data::{DEFAULT_MAX_PIXELS, decode_image, decode_part};
use serde_json::{Value, json};

use crate::memory;
use crate::server::{Cases, serve_cases, time};
use cases::{Case, Group, Work};
use images::Pool;

/// Writes the images that all sides work on, and what the cases are for those who do the same in another language.
pub(crate) fn write_images(folder: &Path) -> Result<()> {
    images::write(folder)?;
    let mut all = serde_json::Map::new();
    for case in cases::ALL {
        let (text, normalize) = match case.work {
            Work::Op(text) => (text, false),
            Work::Pipeline { text, .. } => (text, true),
        };
        let pipeline: Value = serde_json::from_str(text).with_context(|| case.name.to_string())?;
        let source = case.source.name(case.channels);
        let fixed = case.check == Some("");
        let case_of = json!({"source": source, "pipeline": pipeline, "normalize": normalize, "fixed": fixed});
        all.insert(case.name.into(), case_of);
    }
    let path = folder.join("cases.json");
    fs::write(&path, serde_json::to_string_pretty(&all)?).with_context(|| path.display().to_string())
}

/// Answers the benchmark.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let list: Vec<Value> = cases::ALL
        .iter()
        .map(|case| {
            let group = match case.group {
                Group::Operation => "operation",
                Group::Small => "small",
                Group::Policy => "policy",
                Group::Pipeline => "pipeline",
            };
            json!({
                "name": case.name,
                "group": group,
                "images": images::COUNT,
                "bound": case.bound,
                "floor": case.floor,
            })
        })
        .collect();
    let about = json!({"version": concat!("oculist ", env!("CARGO_PKG_VERSION")), "cases": list});
    serve_cases(about, &mut Augment { folder: folder.into(), chosen: None })
}

/// The chosen case, ready to run.
struct Chosen {
    job: Job,
    pool: Pool,
    check: Option<&'static str>,
    /// Counts passes, so that every pass draws other parameters.
    epoch: u64,
    /// One network input.
    row: Vec<f32>,
}

/// What is done with an image.
enum Job {
    Op(Op),
    Pipeline(Pipeline, Preprocessing),
}

struct Augment {
    folder: PathBuf,
    chosen: Option<Chosen>,
}

impl Augment {
    fn chosen(&mut self) -> Result<&mut Chosen> {
        self.chosen.as_mut().context("no case was chosen")
    }
}

impl Cases for Augment {
    fn choose(&mut self, name: &str) -> Result<Value> {
        let case = cases::ALL.iter().find(|case| case.name == name);
        let case = case.with_context(|| format!("there is no case `{name}`"))?;
        let mut chosen = Chosen::new(case, &self.folder)?;
        chosen.pass()?;
        self.chosen = Some(chosen);
        Ok(json!({"case": name}))
    }

    fn check(&mut self) -> Result<Value> {
        let path = self.folder.join("ours.f32");
        let Some((shape, values)) = self.chosen()?.first_output()? else {
            return Ok(json!({"random": true}));
        };
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(json!({"shape": shape, "file": path}))
    }

    fn run(&mut self, seconds: f64) -> Result<Value> {
        let chosen = self.chosen()?;
        let times = time(seconds, || chosen.pass())?;
        Ok(json!({"times": times, "rss_kb": memory::peak_kb()}))
    }
}

impl Chosen {
    fn new(case: &Case, folder: &Path) -> Result<Self> {
        let (job, row) = match case.work {
            Work::Op(text) => {
                let op: Op = serde_json::from_str(text).with_context(|| format!("{}: {text}", case.name))?;
                op.validate()?;
                (Job::Op(op), Vec::new())
            }
            Work::Pipeline { text, side } => {
                let pipeline: Pipeline = serde_json::from_str(text).with_context(|| case.name.to_string())?;
                pipeline.validate()?;
                let preprocessing = Preprocessing::exact(ColorMode::Rgb, side, side)
                    .with_statistics(vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);
                let row = vec![0.0; preprocessing.len()];
                (Job::Pipeline(pipeline, preprocessing), row)
            }
        };
        Ok(Self {
            job,
            pool: images::read(folder, case.source, case.channels)?,
            check: case.check,
            epoch: 0,
            row,
        })
    }

    /// One pass over the images, each augmented as the loader does it; a kept image is copied, since transforms take
    /// images by value.
    fn pass(&mut self) -> Result<()> {
        self.epoch += 1;
        for i in 0..self.pool.len() {
            let key = SampleKey { seed: 1, epoch: self.epoch, sample: i as u64 };
            if let (Pool::Jpegs(files), Job::Pipeline(pipeline, preprocessing)) = (&self.pool, &self.job) {
                // As a worker of the loader does it.
                let plan = |width, height| preprocessing.reading(pipeline, key, (width, height), true);
                match decode_part(&files[i], DEFAULT_MAX_PIXELS, &plan)? {
                    (part, Some(reading)) => {
                        preprocessing.augment_read_into(part, &reading, &mut self.row)?;
                    }
                    (image, None) => preprocessing.augment_into(image, pipeline, key, &mut self.row)?,
                }
                black_box(&self.row);
                continue;
            }
            let image = match &self.pool {
                Pool::Images(images) => images[i].clone(),
                Pool::Jpegs(files) => decode_image(&files[i], DEFAULT_MAX_PIXELS)?,
            };
            match &self.job {
                Job::Op(op) => {
                    let transform = op.sample(image.width(), image.height(), &mut key.operation(0));
                    black_box(Transform::apply_all(&[transform], image)?);
                }
                Job::Pipeline(pipeline, preprocessing) => {
                    preprocessing.augment_into(image, pipeline, key, &mut self.row)?;
                    black_box(&self.row);
                }
            }
        }
        Ok(())
    }

    /// Height, width and channels, and HWC values, of the case's output on the first image, if the case is not random or has a fixed
    /// form for this purpose.
    fn first_output(&mut self) -> Result<Option<([usize; 3], Vec<f32>)>> {
        let Some(text) = self.check else { return Ok(None) };
        let Pool::Images(images) = &self.pool else { bail!("only decoded images can be checked") };
        let image = images[0].clone();
        let (width, height) = (image.width(), image.height());
        let float = |image: &Image| {
            let values = image.pixels().iter().map(|&v| f32::from(v)).collect();
            ([image.height(), image.width(), image.channels()], values)
        };
        if !text.is_empty() {
            let transform: Transform = serde_json::from_str(text).with_context(|| text.to_string())?;
            return Ok(Some(float(&transform.apply(image)?)));
        }
        let key = SampleKey { seed: 1, epoch: 0, sample: 0 };
        match &self.job {
            Job::Op(op) => {
                let transform = op.sample(width, height, &mut key.operation(0));
                Ok(Some(float(&transform.apply(image)?)))
            }
            Job::Pipeline(pipeline, preprocessing) => {
                preprocessing.augment_into(image, pipeline, key, &mut self.row)?;
                Ok(Some((
                    [preprocessing.height, preprocessing.width, preprocessing.channels()],
                    self.row.clone(),
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs_and_its_check_is_steady_and_tells_it_from_doing_nothing() {
        let folder = std::env::temp_dir().join(format!("oculist-bench-augment-{}", std::process::id()));
        write_images(&folder).unwrap();
        let mut augment = Augment { folder: folder.clone(), chosen: None };
        assert!(augment.run(0.0).is_err(), "nothing was chosen");
        assert!(augment.choose("no such case").is_err());
        let mut checked = 0;
        for case in cases::ALL {
            augment.choose(case.name).unwrap();
            let chosen = augment.chosen().unwrap();
            let first = chosen.first_output().unwrap();
            chosen.pass().unwrap();
            assert_eq!(first, chosen.first_output().unwrap(), "{}", case.name);
            let (Some((_, output)), Pool::Images(images)) = (first, &chosen.pool) else { continue };
            checked += 1;
            // A peer that did nothing must not pass for the same.
            let input = images[0].pixels();
            if input.len() == output.len() {
                let sum: f64 =
                    input.iter().zip(&output).map(|(a, b)| f64::from((f32::from(*a) - b).abs())).sum();
                let difference = sum / input.len() as f64;
                assert!(difference > 1.2 * case.bound, "{}: {difference:.2}", case.name);
            }
        }
        assert!(checked > 20, "{checked}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
