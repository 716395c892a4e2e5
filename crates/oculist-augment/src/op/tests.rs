use super::*;
use crate::{Border, Interpolation};

#[test]
fn bad_ranges_are_named() {
    let text = |toml: &str| toml::from_str::<Op>(toml).unwrap().validate().unwrap_err().to_string();
    assert_eq!(text("op = 'rotate'\ndegrees = 200.0"), "rotate: degrees must be within 0..=180, found 200.0");
    let bad = [
        ("op = 'rotate'\ndegrees = -1.0", "degrees"),
        ("op = 'scale'\nmin = 0.0\nmax = 1.0", "min, max"),
        ("op = 'scale'\nmin = 2.0\nmax = 1.0", "min, max"),
        ("op = 'translate'\nx = 0.0\ny = 1.5", "y"),
        ("op = 'shear'\nx = 90.0", "x"),
        ("op = 'shift_scale_rotate'\nshift = 1.5\nscale = [1.0, 1.0]\ndegrees = 0.0", "shift"),
        ("op = 'affine'\nshear = [0.0, -1.0]", "shear"),
        ("op = 'perspective'\ndistortion = 1.0", "distortion"),
        ("op = 'elastic'\nalpha = 1.0\nsigma = -1.0", "sigma"),
        ("op = 'grid_distortion'\nsteps = 0\nlimit = 0.1", "steps"),
        ("op = 'pad'\npadding = 1000000", "padding"),
        ("op = 'random_crop'\nwidth = 0\nheight = 1", "size"),
        ("op = 'center_crop'\nwidth = 1\nheight = 0", "size"),
        ("op = 'resize_shorter'\nside = 0", "side"),
        (
            "op = 'random_resized_crop'\nwidth = 1\nheight = 1\nscale = [0.5, 1.5]\nratio = [1.0, 1.0]",
            "scale",
        ),
        ("op = 'color_jitter'\nbrightness = -0.1", "brightness"),
        ("op = 'color_jitter'\nhue = 0.6", "hue"),
        ("op = 'brightness'\nfactor = [1.0, 0.5]", "factor"),
        ("op = 'hue'\nturn = [-0.6, 0.0]", "turn"),
        ("op = 'gamma'\ngamma = [0.0, 1.0]", "gamma"),
        ("op = 'posterize'\nbits = [0, 9]", "bits"),
        ("op = 'solarize'\nthreshold = [0.0, 257.0]", "threshold"),
        ("op = 'clahe'\nclip = [1.0, 2.0]\ntiles = [0, 1]", "tiles"),
        ("op = 'sharpness'\nfactor = [-1.0, 1.0]", "factor"),
        ("op = 'color_temperature'\nkelvin = [100.0, 5000.0]", "kelvin"),
        ("op = 'lighting'\nstd = -0.1", "std"),
        ("op = 'channel_drop'\nchannels = [1, 3]", "channels"),
        ("op = 'gaussian_blur'\nsigma = [0.0, 1.0]", "sigma"),
        ("op = 'jpeg_compression'\nquality = [0, 100]", "quality"),
        ("op = 'rain'\ndrops = [1.0, 2.0]\nlength = 0.0\nopacity = 0.5", "length"),
        ("op = 'corrupt'\nseverity = [0, 3]", "severity"),
        ("op = 'random_erasing'\nscale = [0.0, 0.3]", "scale"),
        ("op = 'cutout'\nsize = 0.0", "size"),
        ("op = 'coarse_dropout'\nholes = [0, 1]\nwidth = [0.1, 0.1]\nheight = [0.1, 0.1]", "holes"),
        ("op = 'grid_dropout'\nratio = 0.5\ncell = [0.5, 2.0]", "cell"),
        ("op = 'sequence'\nsteps = []", "steps"),
        ("op = 'sequence'\nsteps = [{ op = 'rotate', degrees = 1.0, probability = -1.0 }]", "probability"),
        ("op = 'one_of'\nchoices = [{ op = 'invert', weight = 0.0 }]", "weight"),
        ("op = 'some_of'\ncount = [2, 1]\nsteps = [{ op = 'invert' }]", "count"),
        ("op = 'one_of'\nchoices = [{ op = 'sequence', steps = [{ op = 'cutout', size = 3.0 }] }]", "size"),
        ("op = 'trivial_augment_wide'\nbins = 1", "bins"),
        ("op = 'rand_augment'\nmagnitude = 31", "magnitude"),
        ("op = 'aug_mix'\nseverity = 11", "severity"),
    ];
    for (toml, name) in bad {
        let text = text(toml);
        assert!(text.contains(&format!(": {name} must be ")), "{toml}: {text}");
    }
}

#[test]
fn what_is_no_number_is_refused() {
    let (interpolation, border) = (Interpolation::Nearest, Border::Edge);
    for bad in [f32::NAN, f32::INFINITY] {
        let ops: [Op; 4] = [
            Rotate { degrees: bad, interpolation, border }.into(),
            Scale { min: 1.0, max: bad, interpolation, border }.into(),
            Sharpness { factor: (1.0, bad) }.into(),
            Cutout { size: bad, fill: RandomFill::Mean }.into(),
        ];
        for op in ops {
            assert!(op.validate().is_err(), "{op:?}");
        }
    }
    // TOML can write it, but no file may.
    assert!(toml::from_str::<Op>("op = 'rotate'\ndegrees = nan").is_err());
}

#[test]
fn names_are_those_in_files_and_unknown_fields_are_refused() {
    let op: Op = Rotate { degrees: 5.0, interpolation: Interpolation::Nearest, border: Border::Wrap }.into();
    assert_eq!(serde_json::to_value(&op).unwrap()["op"], op.name());
    assert!(toml::from_str::<Op>("op = 'rotate'\ndegrees = 1.0\nangle = 2.0").is_err());
    assert!(toml::from_str::<Op>("op = 'no_such_thing'").is_err());
    let error = toml::from_str::<Op>("op = 'rotate'").unwrap_err().to_string();
    assert!(error.contains("degrees"), "{error}");
}

#[test]
fn antialiasing_is_written_where_it_is_off() {
    for op in [
        "op = 'random_resized_crop'\nwidth = 8\nheight = 8\nscale = [0.5, 1.0]\nratio = [1.0, 1.0]",
        "op = 'resize'\nwidth = 8\nheight = 8",
        "op = 'resize_shorter'\nside = 8",
    ] {
        for antialias in [true, false] {
            let op: Op = toml::from_str(&format!("{op}\nantialias = {antialias}")).unwrap();
            let told = |value: serde_json::Value| value.get("antialias").and_then(serde_json::Value::as_bool);
            let want = (!antialias).then_some(false);
            assert_eq!(told(serde_json::to_value(&op).unwrap()), want);
            let transform = op.sample(40, 30, &mut Rng::keyed(&[1]));
            assert_eq!(told(serde_json::to_value(&transform).unwrap()), want, "{transform:?}");
        }
        assert_eq!(
            toml::from_str::<Op>(op).unwrap(),
            toml::from_str(&format!("{op}\nantialias = true")).unwrap()
        );
    }
}

#[test]
fn jitter_leaves_out_what_has_no_range() {
    let op = ColorJitter { brightness: 0.4, contrast: 0.0, saturation: 0.0, hue: 0.1 };
    for i in 0..50 {
        let Transform::Color { adjustments } = op.draw(1, 1, &mut Rng::keyed(&[i])) else { panic!() };
        assert_eq!(adjustments.len(), 2);
        for adjustment in adjustments {
            match adjustment {
                Adjustment::Brightness(f) => assert!((0.6..=1.4).contains(&f)),
                Adjustment::Hue(t) => assert!((-0.1..=0.1).contains(&t)),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn step(probability: f32, op: &str) -> Step {
    Step { probability, op: toml::from_str(op).unwrap() }
}

#[test]
fn one_of_chooses_by_weight() {
    let choices = [("invert", 1.0), ("equalize", 3.0), ("transpose", 0.0)]
        .map(|(op, weight)| Choice { weight, op: toml::from_str(&format!("op = '{op}'")).unwrap() });
    let op = OneOf { choices: choices.to_vec() };
    let mut counts = [0; 3];
    for i in 0..4000 {
        match op.draw(4, 4, &mut Rng::keyed(&[i])) {
            Transform::Color { adjustments } if adjustments == [Adjustment::Invert] => counts[0] += 1,
            Transform::Color { .. } => counts[1] += 1,
            _ => counts[2] += 1,
        }
    }
    assert!((900..1100).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
}

#[test]
fn some_of_chooses_without_repeats_and_in_the_order_told() {
    let steps: Vec<Step> = (0..5).map(|i| step(1.0, &format!("op = 'pad'\npadding = {i}"))).collect();
    for shuffle in [false, true] {
        let op = SomeOf { count: (2, 9), shuffle, steps: steps.clone() };
        let (mut lengths, mut unordered) = ([0; 6], 0);
        for i in 0..600 {
            let Transform::Sequence { transforms } = op.draw(4, 4, &mut Rng::keyed(&[i])) else { panic!() };
            let mut pads: Vec<usize> = transforms
                .iter()
                .map(|t| if let Transform::Pad { left, .. } = t { *left } else { panic!() })
                .collect();
            lengths[pads.len()] += 1;
            unordered += usize::from(!pads.is_sorted());
            pads.sort_unstable();
            pads.dedup();
            assert_eq!(pads.len(), transforms.len());
        }
        assert!(lengths[..2] == [0, 0] && lengths[2..].iter().all(|&n| n > 100), "{lengths:?}");
        assert_eq!(unordered > 0, shuffle);
    }
}

#[test]
fn nested_parts_draw_the_same_whatever_their_neighbours_do() {
    let turn = "op = 'rotate'\ndegrees = 30.0";
    let with = |neighbour: Step| {
        let inner = Sequence { steps: vec![neighbour, step(0.5, turn)] };
        let op: Op =
            Sequence { steps: vec![step(1.0, turn), Step { probability: 1.0, op: inner.into() }] }.into();
        let mut all = Vec::new();
        op.sample(9, 9, &mut Rng::keyed(&[3])).flatten_into(&mut all);
        (all[0].clone(), all[all.len() - 1].clone())
    };
    let want = with(step(0.0, "op = 'invert'"));
    assert_eq!(with(step(1.0, "op = 'color_jitter'\nbrightness = 0.2\nhue = 0.1")), want);
    assert_ne!(want.0, want.1);
}
