//! Trains a network on a folder of photos and tells the classes of others.
//!
//! `cargo run --release -p oculist --example train_and_predict -- photos/ new.jpg`, or without arguments on the demo.

use std::path::PathBuf;

use oculist::{
    Candidate, Metric, OculistError, PredictOptions, Progress, Session, Settings, Train, predict_files,
};

fn main() -> Result<(), OculistError> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().unwrap_or_else(|| "demo".into());
    let images: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let settings = Settings { data: Some(data), epochs: Some(3), ..Settings::default() };

    let watch = |event: &Progress<'_>| {
        if let Progress::Epoch { record, epochs, .. } = event {
            println!("epoch {}/{epochs}: loss {:.3}", record.epoch, record.train_loss);
        }
    };
    let session = Session::builder(settings.clone()).sink(watch).open()?;
    let trained = session.step(&Train::default(), &Candidate::nothing())?;
    println!("validation {}: {}", Metric::Top1.title(), Metric::Top1.format(trained.value(Metric::Top1)));

    let Some(model) = trained.model() else { return Ok(()) };
    let file = std::env::temp_dir().join(format!("oculist-example-{}.onnx", std::process::id()));
    model.write(&file)?;
    println!("{}", file.display());
    if !images.is_empty() {
        let found = predict_files(&file, &images, &PredictOptions::of(&settings))?;
        for prediction in found.predictions {
            println!("{}: {:?}", prediction.path, prediction.top);
        }
    }
    Ok(())
}
