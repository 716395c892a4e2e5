//! The loader decodes parts of JPEG files: the same inputs as from whole images.

use oculist_augment::{ColorMode, Image, Pipeline, Preprocessing, SampleKey};
use oculist_data::{
    Batch, DEFAULT_MAX_PIXELS, ImageStore, Loader, LoaderConfig, Result, Subset, decode_image, decode_part,
    fixture,
};
use std::sync::Arc;

/// JPEG files in memory; knows how to decode parts, or not.
struct Files {
    files: Arc<Vec<Vec<u8>>>,
    parts: bool,
}

impl ImageStore for Files {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        Ok(decode_image(&self.files[index], DEFAULT_MAX_PIXELS).expect("an image"))
    }

    fn part(
        &self,
        index: usize,
        plan: &dyn Fn(usize, usize) -> Option<oculist_augment::Reading>,
    ) -> Result<(Image, Option<oculist_augment::Reading>)> {
        if !self.parts {
            return self.image(index).map(|image| (image, None));
        }
        Ok(decode_part(&self.files[index], DEFAULT_MAX_PIXELS, plan).expect("an image"))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        let image = self.image(index).unwrap();
        (image.width(), image.height())
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }
}

/// A smooth picture with some grain.
fn picture(width: usize, height: usize, seed: usize) -> Image {
    let mut rng = oculist_augment::Rng::keyed(&[seed as u64]);
    let pixels = (0..width * height * 3).map(|i| {
        let (x, y, c) = ((i / 3 % width) as f32, (i / 3 / width) as f32, (i % 3 + seed) as f32);
        let wave = (x / (9.0 + c)).sin() * 60.0 + (y / (7.0 + c)).cos() * 50.0;
        (128.0 + wave + rng.range(-6.0, 6.0)) as u8
    });
    Image::new(width, height, 3, pixels.collect()).unwrap()
}

/// Photos of several sizes, a turned one and one in another format.
fn files(scale: usize) -> Arc<Vec<Vec<u8>>> {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [(150, 101), (97, 140), (64, 64), (200, 60), (131, 133), (90, 90)];
    let mut files: Vec<Vec<u8>> = Vec::new();
    for (i, (width, height)) in sizes.into_iter().enumerate() {
        let path = folder.path().join(if i == 5 { "photo.png" } else { "photo.jpg" });
        fixture::write_image(&path, &picture(width * scale, height * scale, i)).unwrap();
        files.push(std::fs::read(path).unwrap());
    }
    // The first one again, with an EXIF block that says that it lies on its side.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let exif = [&b"\xff\xe1\0\x22Exif\0\0"[..], tiff].concat();
    files.push([&files[0][..2], &exif, &files[0][2..]].concat());
    Arc::new(files)
}

fn load(files: &Arc<Vec<Vec<u8>>>, parts: bool, config: &LoaderConfig, epoch: u64) -> Batch {
    let labels = vec![0; files.len()];
    let items = (0..files.len() as u32).collect();
    let store = Arc::new(Files { files: Arc::clone(files), parts });
    let subset = Subset::new(store, items, labels, 1).unwrap();
    let loader = Loader::new(subset, LoaderConfig { batch_size: files.len(), ..config.clone() }).unwrap();
    loader.epoch(epoch).next().unwrap().unwrap()
}

fn pipeline(text: &str) -> Pipeline {
    let pipeline: Pipeline = serde_json::from_str(text).unwrap();
    pipeline.validate().unwrap();
    pipeline
}

const CROPS: &[&str] = &[
    r#"{"op": "random_resized_crop", "width": 40, "height": 40, "scale": [0.08, 1], "ratio": [0.75, 1.3333334]}"#,
    r#"{"op": "random_resized_crop", "width": 40, "height": 32, "scale": [0.05, 0.4], "ratio": [0.5, 2], "interpolation": "bicubic"}"#,
    r#"{"op": "random_resized_crop", "width": 56, "height": 56, "scale": [0.5, 1], "ratio": [1, 1], "interpolation": "nearest"}"#,
    r#"{"op": "random_crop", "width": 50, "height": 44}"#,
    r#"{"op": "random_crop", "width": 50, "height": 80, "padding": 7, "border": "reflect"}"#,
    r#"{"op": "center_crop", "width": 48, "height": 48}"#,
    r#"{"op": "resize", "width": 40, "height": 40}"#,
    r#"{"op": "horizontal_flip"}"#,
    r#"{"op": "random_resized_crop", "width": 30, "height": 24, "scale": [0.2, 1], "ratio": [0.5, 2], "antialias": false}"#,
];

fn pipelines() -> Vec<Pipeline> {
    let mut all: Vec<Pipeline> = CROPS
        .iter()
        .map(|crop| {
            pipeline(&format!(
                r#"{{"start": "original", "steps": [{crop}, {{"op": "horizontal_flip", "probability": 0.5}},
                {{"op": "random_crop", "width": 30, "height": 30}},
                {{"op": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}}]}}"#
            ))
        })
        .collect();
    // A crop that is only sometimes there, and images that preprocessing cuts.
    all.push(pipeline(&format!(
        r#"{{"start": "original", "steps": [{{"probability": 0.5, {}}}]}}"#,
        &CROPS[0][1..CROPS[0].len() - 1]
    )));
    all.push(Pipeline::none());
    all.push(Pipeline::small_images(40, true));
    all
}

fn preprocessings() -> [Preprocessing; 3] {
    [
        Preprocessing::exact(ColorMode::Rgb, 40, 40),
        Preprocessing::photos(ColorMode::Rgb, 32),
        Preprocessing::photos(ColorMode::Grey, 56),
    ]
}

#[test]
fn inputs_from_parts_are_those_from_whole_images() {
    let files = files(1);
    for pipeline in pipelines() {
        for preprocessing in preprocessings() {
            let config = LoaderConfig {
                reduce: false,
                ..LoaderConfig::training(1, 2, 3, pipeline.clone(), preprocessing)
            };
            for epoch in 0..20 {
                let (parts, whole) =
                    (load(&files, true, &config, epoch), load(&files, false, &config, epoch));
                assert!(parts == whole, "{pipeline:?}, epoch {epoch}");
            }
            // The twin: another epoch's crops are told apart.
            if pipeline.steps.len() > 2 {
                assert!(load(&files, true, &config, 0).images != load(&files, true, &config, 1).images);
            }
        }
    }
}

#[test]
fn parts_are_what_is_decoded() {
    // Without this, the test above would compare whole images with whole images.
    let files = files(1);
    let key = SampleKey { seed: 3, epoch: 1, sample: 0 };
    let mut partial = Vec::new();
    for pipeline in pipelines() {
        let plan = |w, h| preprocessings()[0].reading(&pipeline, key, (w, h), false);
        partial.push(decode_part(&files[0], DEFAULT_MAX_PIXELS, &plan).unwrap().1.is_some());
        // The turned one and the PNG are decoded as a whole.
        for whole in [5, 6] {
            assert_eq!(decode_part(&files[whole], DEFAULT_MAX_PIXELS, &plan).unwrap().1, None);
        }
    }
    assert_eq!(partial[..9], [true, true, true, true, partial[4], true, false, false, true]);
}

#[test]
fn reduced_sizes_differ_little_and_only_where_they_may() {
    let (large, small) = (files(6), files(1));
    let mut means = Vec::new();
    for pipeline in [&pipelines()[0], &pipelines()[6], &Pipeline::none()] {
        let preprocessing = Preprocessing::exact(ColorMode::Rgb, 40, 40);
        let reduced = LoaderConfig::training(1, 1, 3, pipeline.clone(), preprocessing);
        let exact = LoaderConfig { reduce: false, ..reduced.clone() };
        let (got, want) = (load(&large, true, &reduced, 1), load(&large, true, &exact, 1));
        let differences = got.images.iter().zip(&want.images).map(|(a, b)| f64::from((a - b).abs() * 127.5));
        let (mean, most) =
            (differences.clone().sum::<f64>() / got.images.len() as f64, differences.fold(0.0, f64::max));
        println!("mean difference {mean:.3} levels, largest {most:.1}");
        assert!(mean > 0.0 && mean < 1.5, "{mean} levels");
        means.push(mean);
        // With a cache whole images are decoded, and evaluation never reduces.
        let cached = LoaderConfig { cache_bytes: 1, ..reduced.clone() };
        assert!(load(&large, true, &cached, 1) == want);
        // The twin: the images of another epoch's order and crops are farther away.
        let other = load(&large, true, &exact, 2);
        let far =
            other.images.iter().zip(&want.images).map(|(a, b)| f64::from((a - b).abs() * 127.5)).sum::<f64>();
        assert!(far / want.images.len() as f64 > 5.0 * mean);
    }
    // Images that are not twice the size are not reduced.
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 80, 80);
    let reduced = LoaderConfig::training(1, 1, 3, Pipeline::none(), preprocessing);
    let exact = LoaderConfig { reduce: false, ..reduced.clone() };
    assert!(load(&small, true, &reduced, 1) == load(&small, true, &exact, 1));
    // Nor are those that are not to be antialiased: a reduced image is.
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 30, 24);
    let reduced = LoaderConfig::training(1, 1, 3, pipelines()[8].clone(), preprocessing);
    let exact = LoaderConfig { reduce: false, ..reduced.clone() };
    assert!(load(&large, true, &reduced, 1) == load(&large, true, &exact, 1));
    assert!(!LoaderConfig::evaluation(1, 1, Preprocessing::exact(ColorMode::Rgb, 8, 8)).reduce);
}
