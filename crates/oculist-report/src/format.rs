//! Numbers as text: significant digits, units, signs, ratios in words.
//!
//! The text uses typographic characters (true minus, multiplication sign, en dash); [`plain`] turns them into
//! ASCII for the terminal.

/// What stands for a number that is absent or not finite.
pub(crate) const NONE: &str = "–";

/// `value` with three significant digits, thousands grouped: `0.834`, `12.3`, `1,520`.
pub(crate) fn sig3(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_string();
    }
    if value == 0.0 {
        return "0".to_string();
    }
    let magnitude = value.abs();
    // The number of digits before the point is that of the rounded value: 9.996 is 10.0, not 10.00.
    let decimals = match magnitude {
        m if m < 0.001 => return minus(format!("{value:.1e}")),
        m if m < 0.9995 => 3,
        m if m < 9.995 => 2,
        m if m < 99.95 => 1,
        _ => {
            let sign = if value < 0.0 { "−" } else { "" };
            return format!("{sign}{}", grouped(magnitude.round() as u64));
        }
    };
    minus(format!("{value:.decimals$}"))
}

/// A limit as its owner wrote it: `0.5`, without the zeros of [`sig3`].
pub(crate) fn limit(value: f64) -> String {
    let text = sig3(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// An integer with its thousands grouped: `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A large count as papers write it: `0.270 M`, `40.8 M`, `1.82 G`; grouped digits below 100,000.
pub(crate) fn count(value: u64) -> String {
    match value {
        0..100_000 => grouped(value),
        100_000..999_500_000 => format!("{} M", sig3(value as f64 / 1e6)),
        _ => format!("{} G", sig3(value as f64 / 1e9)),
    }
}

/// A file size in decimal units, as every page and line writes it: `912 B`, `268 kB` (1 kB is 1000 bytes), `1.08 MB`.
pub fn bytes(value: u64) -> String {
    match value {
        0..1000 => format!("{value} B"),
        1000..999_500 => format!("{} kB", sig3(value as f64 / 1e3)),
        999_500..999_500_000 => format!("{} MB", sig3(value as f64 / 1e6)),
        _ => format!("{} GB", sig3(value as f64 / 1e9)),
    }
}

/// A latency: `0.834 ms`.
pub(crate) fn milliseconds(value: f64) -> String {
    with_unit(value, "ms")
}

fn with_unit(value: f64, unit: &str) -> String {
    if value.is_finite() { format!("{} {unit}", sig3(value)) } else { NONE.to_string() }
}

/// A percentage with two decimals: `88.95%`.
pub(crate) fn percent(value: f64) -> String {
    if value.is_finite() { minus(format!("{value:.2}%")) } else { NONE.to_string() }
}

/// A share `0..=1` as a whole percentage: `93%`.
pub(crate) fn share(value: f64) -> String {
    if value.is_finite() { format!("{:.0}%", value * 100.0) } else { NONE.to_string() }
}

/// A difference with its sign: `+0.15`, `−0.20`, `±0.00`.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_string();
    }
    let text = format!("{:.decimals$}", value.abs());
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    let sign = match (zero, value < 0.0) {
        (true, _) => "±",
        (false, true) => "−",
        (false, false) => "+",
    };
    format!("{sign}{text}")
}

/// A time span: `8.3 s`, `43 s`, `12 min 4 s`, `1 h 3 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_string();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let total = seconds.round() as u64;
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes, rest) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// By what factor a quantity shrank or grew, in words: `4.1× smaller`, `8% larger`, `same`.
///
/// `factor` is old / new; `down` names a fall of the quantity, `up` its rise.
pub(crate) fn factor(factor: f64, down: &str, up: &str) -> String {
    if !factor.is_finite() || factor <= 0.0 {
        return NONE.to_string();
    }
    let (ratio, word) = if factor >= 1.0 { (factor, down) } else { (1.0 / factor, up) };
    if ratio >= 9.95 {
        return format!("{ratio:.0}× {word}");
    }
    if ratio >= 1.195 {
        return format!("{ratio:.1}× {word}");
    }
    // Near 1 a factor says little: the change in percent of the old value does.
    let change = (1.0 / factor - 1.0).abs() * 100.0;
    if change < 0.5 { "same".to_string() } else { format!("{change:.0}% {word}") }
}

/// The text in ASCII, for terminals and logs.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace(['−', '–'], "-").replace('×', "x").replace('±', "+-");
    text.replace('→', "->").replace('…', "...").replace('∞', "inf")
}

fn minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_follow_the_rounded_value() {
        let cases = [
            (0.8341, "0.834"),
            (0.99961, "1.00"),
            (9.996, "10.0"),
            (99.96, "100"),
            (1519.6, "1,520"),
            (-4.2345, "−4.23"),
            (0.0, "0"),
            (0.00012, "1.2e-4"),
            (f64::NAN, NONE),
        ];
        for (value, text) in cases {
            assert_eq!(sig3(value), text, "{value}");
        }
    }

    #[test]
    fn units_change_where_the_digits_run_out() {
        assert_eq!(count(99_999), "99,999");
        assert_eq!(count(269_722), "0.270 M");
        assert_eq!(count(1_818_000_000), "1.82 G");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(268_400), "268 kB");
        assert_eq!(bytes(999_600), "1.00 MB");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(123), "123");
        assert_eq!(limit(0.5), "0.5");
        assert_eq!(limit(100.0), "100");
        assert_eq!(limit(2.0), "2");
    }

    #[test]
    fn a_difference_always_has_a_sign() {
        assert_eq!(signed(-0.2, 2), "−0.20");
        assert_eq!(signed(0.15, 2), "+0.15");
        assert_eq!(signed(-0.004, 2), "±0.00");
        assert_eq!(signed(f64::INFINITY, 2), NONE);
    }

    #[test]
    fn factors_turn_into_percent_near_one() {
        assert_eq!(factor(4.12, "smaller", "larger"), "4.1× smaller");
        assert_eq!(factor(0.25, "smaller", "larger"), "4.0× larger");
        assert_eq!(factor(12.6, "faster", "slower"), "13× faster");
        assert_eq!(factor(1.0 / 0.92, "smaller", "larger"), "8% smaller");
        assert_eq!(factor(1.001, "smaller", "larger"), "same");
        assert_eq!(factor(0.0, "smaller", "larger"), NONE);
    }

    #[test]
    fn durations_use_two_units_at_most() {
        assert_eq!(duration(8.34), "8.3 s");
        assert_eq!(duration(43.2), "43 s");
        assert_eq!(duration(724.0), "12 min 4 s");
        assert_eq!(duration(3_790.0), "1 h 3 min");
        assert_eq!(duration(-1.0), NONE);
    }

    #[test]
    fn plain_text_is_ascii() {
        assert!(plain("4.1× smaller, −0.2 → ±0.0 – … ∞").is_ascii());
    }
}
