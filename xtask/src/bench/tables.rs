//! Tables of a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::row::Row;

/// The name of a peer without its version, as a column's head.
pub(super) fn column(peer: &str) -> String {
    let mut words = peer.split_whitespace();
    let name = words.next().unwrap_or(peer);
    let rest: Vec<&str> = words.filter(|w| !w.starts_with(|c: char| c.is_ascii_digit())).collect();
    std::iter::once(name).chain(rest).collect::<Vec<_>>().join(" ")
}

pub(super) fn table(rows: &[&Row], speed: bool) -> String {
    let mut cases: Vec<&str> = Vec::new();
    let mut peers: Vec<String> = Vec::new();
    for row in rows.iter().filter(|r| r.failure.is_none()) {
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
        if let Some(peer) = row.peer.as_deref().map(column)
            && !peers.contains(&peer)
        {
            peers.push(peer);
        }
    }
    let mut text = String::from("| case | ours |");
    for peer in &peers {
        let _ = write!(text, " {peer} |");
    }
    if speed && !peers.is_empty() {
        text += " against the best | promised |";
    }
    let columns = 2 + peers.len() + if speed && !peers.is_empty() { 2 } else { 0 };
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns));
    for case in cases {
        let of_case: Vec<&&Row> = rows.iter().filter(|r| r.case == case && r.failure.is_none()).collect();
        let Some(first) = of_case.first() else { continue };
        let _ = write!(text, "| {case} | {}", number(first.ours));
        if speed {
            let _ = write!(text, " ({} - {})", number(first.spread[0]), number(first.spread[1]));
        }
        text += " |";
        for peer in &peers {
            let found = of_case.iter().find(|r| r.peer.as_deref().map(column).as_ref() == Some(peer));
            match found.and_then(|r| r.peer_value.zip(r.ratio)) {
                Some((value, ratio)) => {
                    let _ = write!(text, " {} ({ratio:.2}x) |", number(value));
                }
                None => text += " - |",
            }
        }
        if speed && !peers.is_empty() {
            let worst = of_case.iter().filter_map(|r| r.ratio).fold(f64::INFINITY, f64::min);
            let promised = first.floor.map_or_else(|| "-".into(), |f| format!("{f:.1}x"));
            let mark = if first.floor.is_some_and(|f| worst < f) { " (missed)" } else { "" };
            let _ = write!(text, " **{worst:.2}x**{mark} | {promised} |");
        }
        text.push('\n');
    }
    if speed {
        text += &not_run(rows);
    }
    text
}

/// The peers that are missing in cases, with the reason.
fn not_run(rows: &[&Row]) -> String {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for row in rows {
        let reason = row.failure.as_ref().and_then(|f| f.lines().rev().find(|l| !l.trim().is_empty()));
        if let Some(reason) = reason {
            let peer = row.peer.as_deref().unwrap_or("?");
            reasons.entry((peer, reason.trim())).or_default().push(&row.case);
        }
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nNot run:\n\n");
    for ((peer, reason), cases) in reasons {
        let _ = writeln!(text, "- {peer}: {reason} ({})", cases.join(", "));
    }
    text
}

pub(super) fn convolutions(rows: &[Row]) -> String {
    let mut text = String::new();
    let peak = rows.iter().find(|r| r.peer.is_none() && r.case.starts_with("FMA peak")).map(|r| r.ours);
    if let Some(peak) = peak {
        let _ = writeln!(
            text,
            "FMA peak of the machine: {peak:.0} GFLOP/s. Speeds are those of the direct convolution's operations (two \
             a product), so Winograd may exceed the peak.\n"
        );
    }
    text += "| convolution | ours, GFLOP/s | of the peak | PyTorch, better layout |\n|---|---|---|---|\n";
    for row in rows.iter().filter(|r| !r.case.starts_with("FMA peak")) {
        let share = peak.map_or_else(|| "-".into(), |p| format!("{:.0}%", 100.0 * row.ours / p));
        let peer = match row.peer_value.zip(row.ratio) {
            Some((value, ratio)) => format!("{value:.0} ({ratio:.2}x)"),
            None => "-".into(),
        };
        let _ = writeln!(text, "| {} | {:.0} | {share} | {peer} |", row.case, row.ours);
    }
    text
}

/// Three or more digits.
pub(super) fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str, value: f64, ratio: f64) -> Row {
        Row {
            bench: "train".into(),
            case: "net".into(),
            unit: "images/s".into(),
            ours: 200.0,
            spread: [190.0, 210.0],
            peer: Some(peer.into()),
            peer_value: Some(value),
            ratio: Some(ratio),
            floor: Some(2.5),
            failure: None,
        }
    }

    #[test]
    fn the_best_peer_decides() {
        let rows = [row("torch 2.15.0 nchw", 50.0, 4.0), row("torch 2.15.0 compile", 100.0, 2.0)];
        let text = table(&rows.iter().collect::<Vec<_>>(), true);
        assert!(text.contains("| torch nchw | torch compile | against the best |"), "{text}");
        assert!(
            text.contains(
                "| net | 200 (190 - 210) | 50.0 (4.00x) | 100 (2.00x) | **2.00x** (missed) | 2.5x |"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_failure_is_told_and_not_counted() {
        let failed = |peer: &str, case: &str, reason: &str| Row {
            case: case.into(),
            failure: Some(reason.into()),
            ratio: None,
            ..row(peer, 0.0, 0.0)
        };
        let rows = [
            row("onnxruntime 1.32", 80.0, 2.5),
            failed("tract", "net", "bad\nno such operator\n"),
            failed("ncnn", "net", "it does not quantise"),
            failed("ncnn", "other", "it does not quantise"),
        ];
        let text = table(&rows.iter().collect::<Vec<_>>(), true);
        let told =
            "\nNot run:\n\n- ncnn: it does not quantise (net, other)\n- tract: no such operator (net)\n";
        assert!(text.contains("**2.50x** |") && text.ends_with(told), "{text}");
    }
}
