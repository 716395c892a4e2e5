//! Every operation, with extreme parameters, on images of any size.

use oculist_augment::{Image, Op, Pipeline, Rng, SampleKey, Step, Transform};

/// Recipes as TOML: each operation at least once, at the ends of its ranges.
const RECIPES: &[&str] = &[
    "op = 'horizontal_flip'",
    "op = 'vertical_flip'",
    "op = 'transpose'",
    "op = 'quarter_turns'",
    "op = 'invert'",
    "op = 'equalize'",
    "op = 'auto_contrast'",
    "op = 'to_grey'",
    "op = 'rotate'\ndegrees = 180.0\ninterpolation = 'bicubic'\nborder = 'reflect_101'",
    "op = 'rotate'\ndegrees = 0.0",
    "op = 'scale'\nmin = 0.0001\nmax = 1000.0\nborder = 'symmetric'",
    "op = 'translate'\nx = 1.0\ny = 1.0\nborder = 'wrap'",
    "op = 'shear'\nx = 89.0\ny = 89.0\ninterpolation = 'nearest'",
    "op = 'shift_scale_rotate'\nshift = 1.0\nscale = [0.001, 100.0]\ndegrees = 180.0\nborder = 'edge'",
    "op = 'affine'\ndegrees = 180.0\ntranslate = [1.0, 1.0]\nscale = [0.01, 10.0]\nshear = [89.0, 89.0]",
    "op = 'perspective'\ndistortion = 0.9\nborder = 'reflect'",
    "op = 'elastic'\nalpha = 10000.0\nsigma = 0.0\nborder = 'wrap'",
    "op = 'elastic'\nalpha = 100.0\nsigma = 30.0\ninterpolation = 'bicubic'",
    "op = 'grid_distortion'\nsteps = 100\nlimit = 0.99",
    "op = 'pad'\npadding = 40\nborder = 'symmetric'",
    "op = 'random_crop'\nwidth = 50\nheight = 1\npadding = 3\nborder = 'wrap'",
    "op = 'center_crop'\nwidth = 1\nheight = 60",
    "op = 'random_resized_crop'\nwidth = 17\nheight = 31\nscale = [0.0001, 1.0]\nratio = [0.01, 100.0]",
    "op = 'resize'\nwidth = 90\nheight = 1\ninterpolation = 'bicubic'",
    "op = 'resize_shorter'\nside = 9",
    "op = 'brightness'\nfactor = [0.0, 100.0]",
    "op = 'contrast'\nfactor = [0.0, 100.0]",
    "op = 'saturation'\nfactor = [0.0, 100.0]",
    "op = 'hue'\nturn = [-0.5, 0.5]",
    "op = 'gamma'\ngamma = [0.01, 100.0]",
    "op = 'color_jitter'\nbrightness = 5.0\ncontrast = 5.0\nsaturation = 5.0\nhue = 0.5",
    "op = 'channel_shuffle'",
    "op = 'channel_drop'\nchannels = [1, 2]\nfill = 255",
    "op = 'rgb_shift'\nlimit = [255, 0, 255]",
    "op = 'posterize'\nbits = [1, 8]",
    "op = 'solarize'\nthreshold = [0.0, 256.0]",
    "op = 'clahe'\nclip = [0.0, 1000.0]\ntiles = [16, 3]",
    "op = 'clahe'\nclip = [1.0, 4.0]\ntiles = [1, 1]",
    "op = 'sharpness'\nfactor = [0.0, 100.0]",
    "op = 'color_temperature'\nkelvin = [1667.0, 25000.0]",
    "op = 'lighting'\nstd = 10.0",
    "op = 'gaussian_blur'\nsigma = [0.01, 100.0]",
    "op = 'motion_blur'\nradius = [0.01, 40.0]",
    "op = 'defocus_blur'\nradius = [0.0, 20.0]",
    "op = 'gaussian_noise'\nstd = [0.0, 10.0]",
    "op = 'speckle_noise'\nstd = [0.0, 10.0]",
    "op = 'shot_noise'\nphotons = [0.01, 1000000.0]",
    "op = 'impulse_noise'\namount = [0.0, 1.0]",
    "op = 'downscale'\nfactor = [0.001, 1.0]",
    "op = 'jpeg_compression'\nquality = [1, 100]",
    "op = 'fog'\ndensity = [0.0, 100.0]",
    "op = 'rain'\ndrops = [0.0, 1000.0]\nlength = 50.0\nopacity = 1.0",
    "op = 'corrupt'\nseverity = [1, 5]",
    "op = 'corrupt'\nseverity = [5, 5]\ncorruptions = ['snow', 'elastic_transform', 'zoom_blur', 'glass_blur']",
    "op = 'random_erasing'\nscale = [0.001, 1.0]\nratio = [0.01, 100.0]\nfill = 'noise'",
    "op = 'cutout'\nsize = 2.0\nfill = 'mean'",
    "op = 'coarse_dropout'\nholes = [1, 30]\nwidth = [0.01, 1.0]\nheight = [0.01, 1.0]\nfill = 'noise'",
    "op = 'grid_dropout'\nratio = 1.0\ncell = [0.01, 1.0]\nrandom_offset = true\nfill = { constant = 7 }",
    "op = 'sequence'\nsteps = [{ op = 'transpose' }, { op = 'invert', probability = 0.5 }]",
    "op = 'one_of'\nchoices = [{ op = 'transpose' }, { op = 'resize', width = 2, height = 3, weight = 2.0 }]",
    "op = 'some_of'\ncount = [0, 2]\nshuffle = true\nsteps = [{ op = 'transpose' }, { op = 'equalize' }]",
    "op = 'trivial_augment_wide'",
    "op = 'rand_augment'\ncount = 5\nmagnitude = 30",
    "op = 'auto_augment'\npolicy = 'imagenet'",
    "op = 'auto_augment'\npolicy = 'cifar10'",
    "op = 'auto_augment'\npolicy = 'svhn'\ninterpolation = 'bilinear'",
    "op = 'aug_mix'\nseverity = 10\nall_operations = true\nalpha = 0.01",
    "op = 'three_augment'\njitter = 1.0",
];

fn recipes() -> Vec<Op> {
    RECIPES.iter().map(|text| toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))).collect()
}

fn noise(width: usize, height: usize, channels: usize, seed: u64) -> Image {
    let mut rng = Rng::keyed(&[width as u64, height as u64, channels as u64, seed]);
    let pixels = (0..width * height * channels).map(|_| rng.next_u64() as u8).collect();
    Image::new(width, height, channels, pixels).unwrap()
}

#[test]
fn every_operation_is_listed_valid_and_survives_its_files() {
    let all = recipes();
    for name in Op::NAMES {
        assert!(all.iter().any(|op| op.name() == *name), "{name} has no recipe");
    }
    for op in all {
        op.validate().unwrap();
        let json = serde_json::to_string(&op).unwrap();
        assert!(json.contains(&format!("\"op\":\"{}\"", op.name())), "{json}");
        assert_eq!(serde_json::from_str::<Op>(&json).unwrap(), op);
        let pipeline = Pipeline { steps: vec![Step { probability: 0.5, op }], ..Pipeline::default() };
        let text = toml::to_string(&pipeline).unwrap();
        assert_eq!(toml::from_str::<Pipeline>(&text).unwrap(), pipeline, "{text}");
    }
}

#[test]
fn any_image_comes_out_in_the_documented_size() {
    for op in recipes() {
        for (width, height) in [(1, 1), (1, 2), (2, 1), (3, 3), (1, 40), (33, 2), (16, 16), (37, 23)] {
            for channels in [1, 3, 4] {
                for i in 0..6 {
                    let image = noise(width, height, channels, 0);
                    let mut rng = Rng::keyed(&[i, width as u64]);
                    let transform = op.sample(width, height, &mut rng);
                    let size = transform.output_size(width, height);
                    let stored: Transform =
                        serde_json::from_str(&serde_json::to_string(&transform).unwrap()).unwrap();
                    assert_eq!(stored, transform);
                    let out = transform.apply(image.clone()).unwrap_or_else(|e| panic!("{op:?}: {e}"));
                    assert_eq!((out.width(), out.height(), out.channels()), (size.0, size.1, channels));
                    assert_eq!(stored.apply(image).unwrap().pixels(), out.pixels(), "{transform:?}");
                }
            }
        }
    }
}

#[test]
fn an_image_depends_on_its_key_and_on_nothing_else() {
    // Every operation that keeps the channels' meaning, one after the other, all with chances.
    let steps = recipes().into_iter().map(|op| Step { probability: 0.3, op }).collect();
    let mut pipeline = Pipeline { steps, ..Pipeline::default() };
    // Sizes would grow without end.
    pipeline.steps.retain(|step| step.op.name() != "pad");
    let images: Vec<Image> = (0..24).map(|i| noise(20 + i, 24, 3, i as u64)).collect();
    let augmented = |epoch: u64, sample: usize| {
        let key = SampleKey { seed: 11, epoch, sample: sample as u64 };
        pipeline.apply(images[sample].clone(), key).unwrap()
    };
    let in_order: Vec<Image> = (0..24).map(|i| augmented(1, i)).collect();
    // In another order, twice, between images of another epoch, and in other threads.
    for i in (0..24).rev().chain(0..24) {
        let _ = augmented(0, (i * 7) % 24);
        assert_eq!(augmented(1, i).pixels(), in_order[i].pixels(), "sample {i}");
    }
    let from_threads: Vec<Image> = std::thread::scope(|scope| {
        let augmented = &augmented;
        let workers: Vec<_> = (0..24).map(|i| scope.spawn(move || augmented(1, i))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(from_threads, in_order);
    let other_epoch = (0..24).filter(|&i| augmented(2, i) != in_order[i]).count();
    assert!(other_epoch > 20, "only {other_epoch} of 24 images differ in the next epoch");
}

#[test]
fn a_parameter_that_no_operation_has_is_refused_by_all() {
    for name in Op::NAMES {
        let text = format!(r#"{{"op": "{name}", "p": 0.5}}"#);
        let problem = serde_json::from_str::<Step>(&text).expect_err(name).to_string();
        assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
        assert!(problem.contains("`p`") || problem.contains("missing field"), "{problem}");
    }
    // The twin: what stands beside the operation is no parameter of it.
    let step: Step = serde_json::from_str(r#"{"op": "invert", "probability": 0.25}"#).expect("a step");
    assert_eq!(step.probability, 0.25);
}
