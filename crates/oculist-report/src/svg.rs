//! A small writer for inline SVG.
//!
//! Colours and strokes come from the page's style sheet through class names, so that a drawing follows the
//! light and the dark theme.

use std::fmt::Write as _;

use oculist_text::visible_lines;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A drawing under construction.
pub(crate) struct Svg {
    out: String,
}

/// Where a text hangs on its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Starts a drawing of the given size in user units; `label` is what a screen reader says.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        let out = format!(
            r#"<svg viewBox="0 0 {} {}" role="img" aria-label="{}">"#,
            number(width),
            number(height),
            escape(label)
        );
        Svg { out }
    }

    pub(crate) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (number(x1), number(y1), number(x2), number(y2));
        let _ = write!(self.out, r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#);
    }

    pub(crate) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, title: &str) {
        let (x, y, width, height) = (number(x), number(y), number(width), number(height));
        let _ =
            write!(self.out, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" class="{class}""#);
        self.close("rect", title);
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, class: &str, title: &str) {
        let (x, y, radius) = (number(x), number(y), number(radius));
        let _ = write!(self.out, r#"<circle cx="{x}" cy="{y}" r="{radius}" class="{class}""#);
        self.close("circle", title);
    }

    pub(crate) fn path(&mut self, data: &str, class: &str, title: &str) {
        let _ = write!(self.out, r#"<path d="{data}" class="{class}""#);
        self.close("path", title);
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, content: &str) {
        self.turned_text((x, y), 0.0, anchor, class, content);
    }

    /// A text turned by `degrees` about its point, clockwise.
    pub(crate) fn turned_text(
        &mut self,
        (x, y): (f64, f64),
        degrees: f64,
        anchor: Anchor,
        class: &str,
        content: &str,
    ) {
        let (x, y) = (number(x), number(y));
        let _ = write!(self.out, r#"<text x="{x}" y="{y}" class="{class}""#);
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => self.out.push_str(r#" text-anchor="middle""#),
            Anchor::End => self.out.push_str(r#" text-anchor="end""#),
        }
        if degrees != 0.0 {
            let _ = write!(self.out, r#" transform="rotate({} {x} {y})""#, number(degrees));
        }
        let _ = write!(self.out, ">{}</text>", escape(content));
    }

    /// Ends the drawing.
    pub(crate) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }

    fn close(&mut self, tag: &str, title: &str) {
        if title.is_empty() {
            self.out.push_str("/>");
        } else {
            let _ = write!(self.out, "><title>{}</title></{tag}>", escape(title));
        }
    }
}

/// Path data through the points; a point that is not finite breaks the line.
pub(crate) fn polyline(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    let mut pen_down = false;
    for (x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            pen_down = false;
            continue;
        }
        data.push(if pen_down { 'L' } else { 'M' });
        let _ = write!(data, "{} {}", number(x), number(y));
        pen_down = true;
    }
    data
}

/// A coordinate with one decimal at most.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_string(),
        Some(whole) => whole.to_string(),
        None => text,
    }
}

/// The text with the characters replaced that mean something in HTML and XML, and those that cannot be seen or turn the
/// direction of writing around shown as escapes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible_lines(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The text cut to `columns` terminal columns, with an ellipsis where something was cut.
pub(crate) fn ellipsis(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_string();
    }
    let mut used = 1;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_texts_and_titles_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0, "a \"b\"");
        svg.text((1.0, 2.0), Anchor::Middle, "t", "<script>");
        svg.circle((1.0, 1.0), 2.0, "c", "x & y");
        let out = svg.finish();
        assert!(
            out.contains("&lt;script&gt;") && out.contains("x &amp; y") && out.contains("a &quot;b&quot;")
        );
        assert!(!out.contains("<script>"));
    }

    #[test]
    fn a_gap_in_the_data_is_a_gap_in_the_line() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 4.04)];
        assert_eq!(polyline(points.into_iter()), "M0 1L1 2M3 4");
    }

    #[test]
    fn long_names_are_cut_by_width_not_by_bytes() {
        assert_eq!(ellipsis("Ankle boot", 10), "Ankle boot");
        assert_eq!(ellipsis("Ankle boots", 10), "Ankle boo…");
        assert_eq!(ellipsis("日本語の名前", 6), "日本…");
    }
}
