//! The colours of the style sheet against WCAG 2 AA: 4.5 for text, 3 for marks, in both themes.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../../src/templates/style.css");

type Rgb = [f64; 3];

/// The colours of the light (0) or dark (1) theme by name.
fn palette(theme: usize) -> BTreeMap<String, Rgb> {
    let pairs = STYLE.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
        let value = rest.trim_end_matches(");").split(", ").nth(theme)?;
        Some((name.to_string(), linear(value)))
    });
    pairs.collect()
}

fn linear(hex: &str) -> Rgb {
    [1, 3, 5].map(|i| {
        let c = f64::from(u8::from_str_radix(&hex[i..i + 2], 16).expect("a colour like #rrggbb")) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

/// Contrast of two colours, 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let luminance = |c: Rgb| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
    let (a, b) = (luminance(a), luminance(b));
    a.max(b) / a.min(b)
}

/// `color-mix(in oklab, a share, b)`.
fn mix(a: Rgb, b: Rgb, share: f64) -> Rgb {
    let to = |c: Rgb| {
        let l = (0.412_221_470_8 * c[0] + 0.536_332_536_3 * c[1] + 0.051_445_992_9 * c[2]).cbrt();
        let m = (0.211_903_498_2 * c[0] + 0.680_699_545_1 * c[1] + 0.107_396_956_6 * c[2]).cbrt();
        let s = (0.088_302_461_9 * c[0] + 0.281_718_837_6 * c[1] + 0.629_978_700_5 * c[2]).cbrt();
        [l, m, s]
    };
    // OKLab is linear in these cube roots, so mixing them is mixing in OKLab.
    let (a, b) = (to(a), to(b));
    let [l, m, s] = [0, 1, 2].map(|i| (a[i] * share + b[i] * (1.0 - share)).powi(3));
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
    ]
    .map(|c| c.clamp(0.0, 1.0))
}

#[test]
fn texts_and_marks_can_be_read_in_both_themes() {
    for theme in [0, 1] {
        let palette = palette(theme);
        assert!(palette.len() >= 18, "the colours were found");
        let colour = |name: &str| *palette.get(name).unwrap_or_else(|| panic!("--{name}"));
        for text in ["ink", "muted", "accent", "better", "worse", "warm"] {
            for ground in ["bg", "panel"] {
                let found = contrast(colour(text), colour(ground));
                assert!(found >= 4.5, "{text} on {ground}, theme {theme}: {found:.2}");
            }
        }
        for (text, ground) in [
            ("ink", "accent-soft"),
            ("muted", "accent-soft"),
            ("better", "accent-soft"),
            ("worse", "accent-soft"),
            ("accent", "accent-soft"),
            ("worse", "worse-soft"),
            ("on-accent", "accent"),
        ] {
            let found = contrast(colour(text), colour(ground));
            assert!(found >= 4.5, "{text} on {ground}, theme {theme}: {found:.2}");
        }
        for mark in ["base", "accent", "warm", "blue", "plum", "olive"] {
            let found = contrast(colour(mark), colour("panel"));
            assert!(found >= 3.0, "{mark} on panel, theme {theme}: {found:.2}");
        }
    }
}

#[test]
fn numbers_in_the_confusion_matrix_can_be_read() {
    let level = |i: usize| -> f64 {
        let rule = format!(".d{i}, .e{i} {{ --level: ");
        let rest = STYLE.split(&rule).nth(1).unwrap_or_else(|| panic!("{rule}"));
        rest.split('%').next().and_then(|p| p.parse::<f64>().ok()).expect("a percentage") / 100.0
    };
    for theme in [0, 1] {
        let palette = palette(theme);
        for scale in ["accent", "warm"] {
            for i in 0..=8 {
                let text = if i >= 7 { "on-accent" } else { "ink" };
                let cell = mix(palette[scale], palette["sunk"], level(i));
                let found = contrast(palette[text], cell);
                assert!(found >= 4.5, "level {i} of {scale}, theme {theme}: {found:.2}");
            }
        }
    }
}

#[test]
fn the_measure_itself_is_right() {
    assert!((contrast(linear("#000000"), linear("#ffffff")) - 21.0).abs() < 1e-9);
    let found = contrast(linear("#777777"), linear("#ffffff"));
    assert!((found - 4.48).abs() < 0.01 && found < 4.5, "the well-known grey that just fails: {found}");
    let half = mix(linear("#ffffff"), linear("#000000"), 0.5);
    assert!((half[0] - 0.125).abs() < 1e-3, "{half:?}");
}
