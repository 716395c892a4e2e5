use super::*;
use crate::Rng;

fn rgb(pixel: [u8; 3]) -> Image {
    Image::new(1, 1, 3, pixel.to_vec()).unwrap()
}

fn noise(width: usize, height: usize, channels: usize) -> Image {
    let mut rng = Rng::keyed(&[width as u64, channels as u64]);
    let pixels = (0..width * height * channels).map(|_| rng.next_u64() as u8).collect();
    Image::new(width, height, channels, pixels).unwrap()
}

fn all() -> Vec<Adjustment> {
    vec![
        Adjustment::Brightness(1.3),
        Adjustment::Contrast(0.6),
        Adjustment::Saturation(1.7),
        Adjustment::Hue(0.2),
        Adjustment::Gamma(0.8),
        Adjustment::Invert,
        Adjustment::Posterize(5),
        Adjustment::Solarize(180.0),
        Adjustment::Equalize,
        Adjustment::AutoContrast,
        Adjustment::Clahe { clip: 2.0, columns: 3, rows: 2 },
        Adjustment::Sharpness(1.8),
        Adjustment::Shuffle([2, 0, 1]),
        Adjustment::DropChannels { dropped: [false, true, false], fill: 9 },
        Adjustment::RgbShift([10, -20, 300]),
        Adjustment::Grey,
        Adjustment::Temperature(4000.0),
        Adjustment::Lighting([0.3, -0.1, 0.2]),
    ]
}

#[test]
fn operations_in_one_pass_equal_one_after_the_other() {
    for channels in [1, 3, 4] {
        let image = noise(75, 60, channels);
        for round in 0..60 {
            let mut several = all();
            Rng::keyed(&[round]).shuffle(&mut several);
            several.truncate(2 + round as usize % 7);
            let want = several.iter().copied().fold(image.clone(), adjust);
            let got = adjust_all(image.clone(), &several);
            assert!(got.pixels() == want.pixels(), "{several:?} on {image:?}");
        }
    }
}

#[test]
fn parameters_that_change_nothing_change_nothing() {
    let image = noise(9, 7, 3);
    for same in [
        Adjustment::Brightness(1.0),
        Adjustment::Contrast(1.0),
        Adjustment::Saturation(1.0),
        Adjustment::Hue(0.0),
        Adjustment::Hue(1.0),
        Adjustment::Gamma(1.0),
        Adjustment::Posterize(8),
        Adjustment::Solarize(256.0),
        Adjustment::Sharpness(1.0),
        Adjustment::Shuffle([0, 1, 2]),
        Adjustment::DropChannels { dropped: [false; 3], fill: 1 },
        Adjustment::RgbShift([0; 3]),
        Adjustment::Temperature(6500.0),
        Adjustment::Lighting([0.0; 3]),
    ] {
        assert_eq!(adjust(image.clone(), same).pixels(), image.pixels(), "{same:?}");
    }
    let twice = [Adjustment::Invert, Adjustment::Invert];
    assert_eq!(adjust_all(image.clone(), &twice), image);
}

#[test]
fn the_named_ends_are_reached() {
    let image = Image::new(2, 1, 3, vec![200, 100, 50, 10, 20, 30]).unwrap();
    let done = |adjustment| adjust(image.clone(), adjustment).into_pixels();
    assert_eq!(done(Adjustment::Brightness(0.0)), [0; 6]);
    assert_eq!(done(Adjustment::Brightness(2.0)), [255, 200, 100, 20, 40, 60]);
    assert_eq!(done(Adjustment::Posterize(1)), [128, 0, 0, 0, 0, 0]);
    assert_eq!(done(Adjustment::Posterize(0)), [0; 6]);
    assert_eq!(done(Adjustment::Solarize(100.0)), [55, 155, 50, 10, 20, 30]);
    assert_eq!(done(Adjustment::RgbShift([100, -30, 0])), [255, 70, 50, 110, 0, 30]);
    assert_eq!(done(Adjustment::Shuffle([2, 2, 0])), [50, 50, 200, 30, 30, 10]);
    assert_eq!(done(Adjustment::AutoContrast), [255, 255, 255, 0, 0, 0]);
    let flat = done(Adjustment::Contrast(0.0));
    assert!(flat.iter().all(|v| *v == flat[0]));
    let grey = to_rgb(to_grey(image.clone())).into_pixels();
    assert_eq!(done(Adjustment::Saturation(0.0)), grey);
    assert_eq!(done(Adjustment::Grey), grey);
    let (warm, cold) = (done(Adjustment::Temperature(3000.0)), done(Adjustment::Temperature(12000.0)));
    assert!(warm[0] > 200 && warm[2] < 50 && cold[0] < 200 && cold[2] > 50, "{warm:?} {cold:?}");
}

#[test]
fn a_third_of_a_turn_swaps_channels() {
    assert_eq!(adjust(rgb([200, 100, 50]), Adjustment::Hue(1.0 / 3.0)).pixels(), [50, 200, 100]);
    assert_eq!(adjust(rgb([200, 100, 50]), Adjustment::Hue(-1.0 / 3.0)).pixels(), [100, 50, 200]);
    assert_eq!(adjust(rgb([255, 0, 0]), Adjustment::Hue(0.5)).pixels(), [0, 255, 255]);
    assert_eq!(adjust(rgb([7, 7, 7]), Adjustment::Hue(0.3)).pixels(), [7, 7, 7]);
}

#[test]
fn alpha_is_left_alone_and_so_is_grey_by_operations_on_colour() {
    let narrow = |channels| {
        let mut image = noise(40, 30, channels);
        image.pixels_mut().iter_mut().for_each(|v| *v = *v / 2 + 90);
        image
    };
    let (rgba, grey) = (narrow(4), narrow(1));
    for op in all() {
        let out = adjust(rgba.clone(), op);
        for (old, new) in rgba.pixels().as_chunks::<4>().0.iter().zip(out.pixels().as_chunks::<4>().0) {
            assert_eq!(old[3], new[3], "{op:?}");
        }
        assert_eq!(to_rgb(out), adjust(to_rgb(rgba.clone()), op), "{op:?}");
        let of_colour = matches!(
            op,
            Adjustment::Saturation(_)
                | Adjustment::Hue(_)
                | Adjustment::Shuffle(_)
                | Adjustment::DropChannels { .. }
                | Adjustment::RgbShift(_)
                | Adjustment::Grey
                | Adjustment::Temperature(_)
                | Adjustment::Lighting(_)
        );
        assert_eq!(adjust(grey.clone(), op) == grey, of_colour, "{op:?}");
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    for bad in [
        Adjustment::Shuffle([0, 1, 3]),
        Adjustment::Clahe { clip: 1.0, columns: 0, rows: 1 },
        Adjustment::Temperature(f32::NAN),
        Adjustment::Posterize(9),
    ] {
        assert!(bad.validate().is_err(), "{bad:?}");
    }
    for good in all() {
        good.validate().unwrap();
    }
}

#[test]
fn gamma_tables_are_those_of_powf() {
    let gammas = (1..=400).map(|i| i as f32 * 0.0125).chain([1e-6, 1e-3, 7.5, 30.0, 1e3, 1e5]);
    for gamma in gammas {
        let every = Image::new(256, 1, 1, (0..=255).collect()).unwrap();
        let got = adjust(every, Adjustment::Gamma(gamma)).into_pixels();
        let exact = |v: u8| (255.999 * (f64::from(v) / 255.0).powf(f64::from(gamma))) as u8;
        assert_eq!(got, (0..=255).map(exact).collect::<Vec<u8>>(), "{gamma}");
    }
}
