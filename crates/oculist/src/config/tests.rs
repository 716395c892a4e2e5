use oculist_augment::ColorMode;
use oculist_train::Loss;

use super::*;
use crate::settings::{Augmentation, LossName};

fn facts(train: usize, preprocessing: Preprocessing) -> DataFacts {
    DataFacts {
        name: "x".into(),
        train,
        classes: 2,
        class_counts: vec![train / 4, train - train / 4],
        task: Task::SingleLabel,
        flip: true,
        preprocessing,
    }
}

fn small() -> Preprocessing {
    Preprocessing::exact(ColorMode::Grey, 28, 28)
}

fn photos() -> Preprocessing {
    Preprocessing::photos(ColorMode::Rgb, 96)
}

#[test]
fn small_images_get_padded_crops_and_nine_epochs() {
    let r = Config::resolve(&Settings::default(), &facts(9000, small())).unwrap();
    assert_eq!((r.arch.as_str(), r.train.batch_size, r.train.epochs), ("airbench", 128, 9));
    assert_eq!((r.width, r.train.lr, r.train.weight_decay), (0.5, 0.2, 1.5e-3));
    assert_eq!((r.finetune.epochs, r.finetune.lr, r.finetune.weight_decay), (4, 0.05, 5e-4));
    assert_eq!(r.augmentation, Pipeline::small_images(28, true));
    // A given model is none of ours.
    let given = Settings { model: Some("x.onnx".into()), ..Settings::default() };
    let r = Config::resolve(&given, &facts(9000, small())).unwrap();
    assert_eq!((r.train.epochs, r.train.lr, r.train.tuning.is_plain()), (20, 0.1, true));
}

#[test]
fn photos_are_cropped_and_flips_can_be_off() {
    let facts = DataFacts { flip: false, ..facts(1800, photos()) };
    let r = Config::resolve(&Settings::default(), &facts).unwrap();
    assert!(r.augmentation.steps.iter().all(|s| s.op != oculist_augment::Op::HorizontalFlip));
    assert!(!r.augmentation.steps.is_empty());
}

#[test]
fn what_the_user_says_holds() {
    let settings = Settings {
        arch: Some("MobileNet-V2".into()),
        epochs: Some(3),
        batch_size: Some(16),
        lr: Some(0.01),
        ..Settings::default()
    };
    let r = Config::resolve(&settings, &facts(1800, photos())).unwrap();
    assert_eq!((r.arch.as_str(), r.train.epochs, r.train.batch_size), ("mobilenet_v2", 3, 16));
    assert!((r.train.lr - 0.01).abs() < 1e-9);
}

#[test]
fn policies_follow_crops_and_flips() {
    for (augment, name) in [
        (Augmentation::Trivial, "trivial_augment_wide"),
        (Augmentation::Rand, "rand_augment"),
        (Augmentation::Auto, "auto_augment"),
        (Augmentation::Augmix, "aug_mix"),
        (Augmentation::Three, "three_augment"),
        (Augmentation::Erasing, "random_erasing"),
    ] {
        let settings = Settings { augment: Some(augment), ..Settings::default() };
        for (facts, first) in
            [(facts(9000, small()), "random_crop"), (facts(1800, photos()), "random_resized_crop")]
        {
            let pipeline = Config::resolve(&settings, &facts).unwrap().augmentation;
            let names: Vec<&str> = pipeline.steps.iter().map(|s| s.op.name()).collect();
            assert_eq!(names, [first, "horizontal_flip", name]);
        }
    }
}

#[test]
fn unequal_classes_are_weighed_or_adjusted_for() {
    let resolve = |loss| {
        let settings = Settings { loss: Some(loss), ..Settings::default() };
        Config::resolve(&settings, &facts(400, small())).unwrap().train
    };
    // 100 and 300 images.
    assert_eq!(resolve(LossName::Weighted).class_weights, [2.0, 2.0 / 3.0]);
    assert_eq!(resolve(LossName::LogitAdjusted).class_priors, [0.25, 0.75]);
    assert!(resolve(LossName::Focal).class_weights.is_empty());
}

#[test]
fn much_more_of_one_class_balances_the_epochs_unless_loss_or_sampling_is_named() {
    let with = |counts: &[usize], settings: Settings| {
        let facts = DataFacts {
            classes: counts.len(),
            class_counts: counts.to_vec(),
            ..facts(counts.iter().sum(), small())
        };
        let config = Config::resolve(&settings, &facts).unwrap();
        // What was decided makes the same again, also where it is read back.
        let again: Settings = toml::from_str(&config.settings(&settings).to_toml()).unwrap();
        assert_eq!(Config::resolve(&again, &facts).unwrap(), config);
        assert_eq!(config.train.loss, Loss::CrossEntropy);
        config.balanced
    };
    let plain = Settings::default;
    assert!(with(&[1000, 100, 100], plain()));
    assert!(!with(&[999, 100, 100], plain()) && !with(&[100; 10], plain()));
    assert!(with(&[100; 3], Settings { sampling: Some(SamplingName::Balanced), ..plain() }));
    for named in [
        Settings { loss: Some(LossName::CrossEntropy), ..plain() },
        Settings { sampling: Some(SamplingName::Once), ..plain() },
        Settings { sampling: Some(SamplingName::Repeated), ..plain() },
        Settings { model: Some("model.onnx".into()), ..plain() },
        Settings { augment: Some(Augmentation::Augmix), consistency: Some(6.0), ..plain() },
    ] {
        assert!(!with(&[2000, 100], named));
    }
    let several = DataFacts { task: Task::MultiLabel, class_counts: vec![900, 10], ..facts(1000, small()) };
    assert!(!Config::resolve(&plain(), &several).unwrap().balanced);
}

#[test]
fn repeated_images_fill_batches_exactly() {
    let resolve = |sampling, repeats, batch_size| {
        let settings = Settings { sampling: Some(sampling), repeats, batch_size, ..Settings::default() };
        Config::resolve(&settings, &facts(9000, small()))
    };
    let r = resolve(SamplingName::Repeated, None, None).unwrap();
    assert_eq!((r.repeat, r.train.batch_size), (Some(Repeat { times: 3, longer: false }), 126));
    let r = resolve(SamplingName::BatchAugment, Some(4), Some(64)).unwrap();
    assert_eq!((r.repeat, r.train.batch_size), (Some(Repeat { times: 4, longer: true }), 64));
    let text = resolve(SamplingName::Repeated, Some(3), Some(64)).unwrap_err().to_string();
    assert!(text.contains("batch_size: ") && text.contains("3 repeats"), "{text}");
    assert_eq!(resolve(SamplingName::Once, None, None).unwrap().repeat, None);
    // Lowered to the number of images, it is lowered to a multiple as well.
    assert_eq!(resolve(SamplingName::Repeated, Some(7), Some(10_000)).unwrap().train.batch_size, 8995);
}

#[test]
fn mosaics_are_for_training_not_for_fine_tuning() {
    let settings = Settings { mosaic: Some(0.5), ..Settings::default() };
    let r = Config::resolve(&settings, &facts(9000, small())).unwrap();
    assert_eq!((r.train.mosaic_probability, r.finetune.mosaic_probability), (0.5, 0.0));
    assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
}

#[test]
fn views_are_compared_in_training_not_in_fine_tuning_and_only_with_augmix() {
    let with = |augment| Settings { consistency: Some(12.0), augment, ..Settings::default() };
    let r = Config::resolve(&with(Some(Augmentation::Augmix)), &facts(9000, small())).unwrap();
    assert_eq!((r.train.consistency, r.finetune.consistency), (12.0, 0.0));
    assert_eq!((r.train.batch_size, r.train.rows()), (128, 384));
    assert_eq!(shared_by_views(&r.augmentation), Some(2), "crop and flip are shared");
    assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
    for augment in [None, Some(Augmentation::None), Some(Augmentation::Rand)] {
        let text = Config::resolve(&with(augment), &facts(9000, small())).unwrap_err().to_string();
        assert!(text.contains("consistency: ") && text.contains("augment = augmix"), "{text}");
    }
    let off = Settings { consistency: Some(0.0), ..Settings::default() };
    assert!(Config::resolve(&off, &facts(9000, small())).is_ok());
}

#[test]
fn a_tiny_set_still_gives_batches() {
    let r = Config::resolve(&Settings::default(), &facts(20, photos())).unwrap();
    assert!(r.train.batch_size <= 20);
    assert!(r.train.validate().is_ok());
}

#[test]
fn the_decided_settings_make_the_same_recipe_again() {
    let given = [
        Settings::default(),
        Settings { batch_size: Some(5000), epochs: Some(3), ..Settings::default() },
        Settings { arch: Some("MobileNet-V2".into()), lr: Some(0.02), ..Settings::default() },
        Settings { sampling: Some(SamplingName::BatchAugment), mosaic: Some(0.25), ..Settings::default() },
        Settings {
            arch: Some("resnet18".into()),
            width: Some(0.25),
            keep: Some(oculist_train::Keep::Last),
            ..Settings::default()
        },
        Settings { augment: Some(Augmentation::Augmix), consistency: Some(6.0), ..Settings::default() },
    ];
    for (given, facts) in given.iter().flat_map(|g| [(g, facts(1800, small())), (g, facts(1800, photos()))]) {
        let recipe = Config::resolve(given, &facts).unwrap();
        let text = recipe.settings(given).to_toml();
        let again: Settings = toml::from_str(&text).unwrap();
        assert_eq!(Config::resolve(&again, &facts).unwrap(), recipe, "{text}");
        assert!(again.arch.is_some() && again.batch_size.is_some_and(|b| b <= 1800), "{text}");
    }
}

#[test]
fn the_recipe_survives_toml() {
    let r = Config::resolve(&Settings::default(), &facts(9000, small())).unwrap();
    assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
}
