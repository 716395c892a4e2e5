//! Makes an ONNX classifier smaller and faster, within a point of what it gets right.
//!
//! `cargo run --release -p oculist --example compress_onnx -- photos/ model.onnx smaller.onnx [PREPROCESSING]`

use oculist::{OculistError, Progress, Recipe, Session, Settings};

fn main() -> Result<(), OculistError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(model), Some(output)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("expected DATA MODEL.onnx OUTPUT.onnx [PREPROCESSING]");
        std::process::exit(2);
    };
    let settings = Settings {
        data: Some(data),
        model: Some(model.into()),
        // What a file of another tool does not say, such as `imagenet`.
        preprocessing: arguments.next(),
        max_drop: Some(1.0),
        ..Settings::default()
    };
    let watch = |event: &Progress<'_>| match event {
        Progress::Note(text) => println!("{text}"),
        Progress::Warning(text) => println!("warning: {text}"),
        _ => {}
    };
    let session = Session::builder(settings).sink(watch).open()?;
    let best = session.run(&Recipe::compress())?;
    if let Some(pledge) = &best.pledge {
        println!("{}", pledge.promise.text);
    }
    if let Some(model) = best.model() {
        let bytes = model.write(output.as_ref())?;
        println!("{output}: {}, {bytes} bytes", best.name);
    }
    Ok(())
}
