//! Measures the loader: images per second, per epoch of the demo set or of a folder.
//!
//! `cargo run --release -p oculist-data --example loader_speed -- [SOURCE [WORKERS [SIZE]]]`

use oculist_augment::{Pipeline, Start};
use oculist_data::{Dataset, Loader, LoaderConfig, OpenOptions, suggest_preprocessing};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let source = arguments.first().map_or("demo", String::as_str);
    let workers = arguments.get(1).map_or(Ok(1), |text| text.parse())?;
    let size = arguments.get(2).map(|text| text.parse()).transpose()?;
    let begin = Instant::now();
    let dataset = Dataset::open(source, &OpenOptions::default())?;
    println!("opened in {:.3} s", begin.elapsed().as_secs_f64());
    print!("{}", dataset.summary());
    let preprocessing = suggest_preprocessing(&dataset, size, 2)?;
    println!("{preprocessing:?}");
    let side = preprocessing.width;
    let pipelines = [Pipeline::none(), Pipeline::small_images(side, true), Pipeline::photos(side)];
    for (name, pipeline) in ["none", "small images", "photos"].into_iter().zip(pipelines) {
        let start = pipeline.start;
        let config = LoaderConfig::training(64, workers, 1, pipeline, preprocessing.clone());
        let loader = Loader::new(dataset.train().clone(), config)?;
        let begin = Instant::now();
        let (mut images, mut epochs) = (0, 0);
        while epochs < 3 && begin.elapsed().as_secs_f64() < 5.0 {
            for batch in loader.epoch(epochs) {
                images += batch?.len();
            }
            epochs += 1;
        }
        let rate = images as f64 / begin.elapsed().as_secs_f64();
        let from = if start == Start::Original { "original" } else { "prepared" };
        println!("{name:>14} ({from}): {rate:.0} images/s with {workers} workers");
    }
    Ok(())
}
