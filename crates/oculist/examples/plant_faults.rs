//! Copies a data set of IDX files and plants faults: flipped labels, and test images copied into the training images.
//!
//! `cargo run --release -p oculist --example plant_faults -- SOURCE OUTPUT [SEED]`, where SOURCE is `fashion-mnist` or
//! a folder of IDX files of 28x28 grey images. Writes the four files and `planted.json`: `flipped`, positions in the
//! training file with the class before and after, and `copied`, pairs of positions in the training and the test file.

use std::path::Path;

use oculist_augment::Rng;
use oculist_data::fixture::{write_idx_images, write_idx_labels};
use oculist_data::{Dataset, OpenOptions, Split, Subset};
use serde_json::json;

/// Part of the training labels that are flipped.
const FLIPPED: f64 = 0.03;
/// Test images that are copied.
const COPIED: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, output, rest @ ..] = &arguments[..] else {
        return Err("expected SOURCE OUTPUT [SEED]".into());
    };
    let seed: u64 = rest.first().map_or(Ok(0), |text| text.parse())?;
    let output = Path::new(output);
    std::fs::create_dir_all(output)?;
    let dataset = Dataset::open(source, &OpenOptions::default())?;
    let classes = dataset.class_names().len();

    // Training and validation images are one file; their order in it does not matter here.
    let (mut pixels, mut labels, mut size) = (Vec::new(), Vec::new(), (0, 0));
    for split in [Split::Train, Split::Val] {
        size = append(dataset.split(split), &mut pixels, &mut labels)?;
    }
    let (mut test_pixels, mut test_labels) = (Vec::new(), Vec::new());
    append(dataset.test(), &mut test_pixels, &mut test_labels)?;

    let mut rng = Rng::keyed(&[0x504c_414e, seed]);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    rng.shuffle(&mut order);
    let mut flipped = Vec::new();
    for &i in &order[..(FLIPPED * labels.len() as f64).round() as usize] {
        let before = labels[i];
        // Uniform among the other classes.
        let other = rng.below(classes - 1) as u8;
        labels[i] = if other >= before { other + 1 } else { other };
        flipped.push(json!({ "train": i, "before": before, "after": labels[i] }));
    }
    let mut tests: Vec<usize> = (0..test_labels.len()).collect();
    rng.shuffle(&mut tests);
    let each = size.0 * size.1;
    let mut copied = Vec::new();
    for &i in &tests[..COPIED.min(tests.len())] {
        copied.push(json!({ "train": labels.len(), "test": i }));
        pixels.extend_from_slice(&test_pixels[i * each..(i + 1) * each]);
        labels.push(test_labels[i]);
    }

    write_idx_images(&output.join("train-images-idx3-ubyte"), size.0, size.1, &pixels)?;
    write_idx_labels(&output.join("train-labels-idx1-ubyte"), &labels)?;
    write_idx_images(&output.join("t10k-images-idx3-ubyte"), size.0, size.1, &test_pixels)?;
    write_idx_labels(&output.join("t10k-labels-idx1-ubyte"), &test_labels)?;
    std::fs::write(output.join("classes.txt"), dataset.class_names().join("\n"))?;
    let list = json!({ "seed": seed, "train_images": labels.len(), "flipped": flipped, "copied": copied });
    std::fs::write(output.join("planted.json"), serde_json::to_string_pretty(&list)?)?;
    println!(
        "{} labels flipped, {} test images copied, in {}",
        flipped.len(),
        copied.len(),
        output.display()
    );
    Ok(())
}

/// Appends all grey pixels and labels; returns width and height.
fn append(
    subset: &Subset,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u8>,
) -> Result<(usize, usize), Box<dyn std::error::Error>> {
    let mut size = (0, 0);
    for i in 0..subset.len() {
        let image = subset.image(i)?;
        if image.channels() != 1 || (i > 0 && size != (image.width(), image.height())) {
            return Err("expected grey images of one size".into());
        }
        size = (image.width(), image.height());
        pixels.extend_from_slice(image.pixels());
        labels.push(subset.label(i) as u8);
    }
    Ok(size)
}
