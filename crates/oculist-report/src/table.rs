//! Plain text tables with aligned columns.

use std::fmt::Write as _;

use oculist_text::visible;
use unicode_width::UnicodeWidthStr;

use crate::format;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// To the left, for names.
    Left,
    /// To the right, for numbers.
    Right,
}

/// A text table: a head, a rule, and rows; columns are two spaces apart.
///
/// Widths are those of a terminal, so that wide and combining characters line up. What would break a line or steer the
/// terminal is shown as escapes.
///
/// ```
/// use oculist_report::{Align, Table};
///
/// let mut table = Table::new(&[("name", Align::Left), ("params", Align::Right)]);
/// table.row(["resnet-20", "0.270 M"]);
/// table.row(["vgg-11", "9.76 M"]);
/// assert_eq!(table.to_string(), "name        params\n---------  -------\nresnet-20  0.270 M\nvgg-11      9.76 M\n");
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no rows.
    pub fn new<S: AsRef<str>>(columns: &[(S, Align)]) -> Self {
        Table {
            head: columns.iter().map(|c| visible(c.0.as_ref()).into_owned()).collect(),
            align: columns.iter().map(|c| c.1).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row; missing cells are empty, surplus ones are dropped.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut cells: Vec<String> = cells.into_iter().map(|c| visible(&c.into()).into_owned()).collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |i: usize| {
            let cells = self.rows.iter().map(|r| r[i].width());
            cells.chain([self.head[i].width()]).max().unwrap_or(0)
        };
        (0..self.head.len()).map(width).collect()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths = self.widths();
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (i, cell) in cells.iter().enumerate() {
                if i > 0 {
                    text.push_str("  ");
                }
                let pad = " ".repeat(widths[i] - cell.width());
                match self.align[i] {
                    Align::Left => {
                        let _ = write!(text, "{cell}{pad}");
                    }
                    Align::Right => {
                        let _ = write!(text, "{pad}{cell}");
                    }
                }
            }
            text.truncate(text.trim_end().len());
            text
        };
        writeln!(f, "{}", line(&self.head))?;
        let rules: Vec<_> = widths.iter().map(|&w| "-".repeat(w)).collect();
        writeln!(f, "{}", line(&rules))?;
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
        }
        Ok(())
    }
}

/// A formatted number as terminals show it.
pub(crate) fn ascii(text: &str) -> String {
    format::plain(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_keep_the_columns_aligned() {
        let mut table = Table::new(&[("class", Align::Left), ("n", Align::Right)]);
        table.row(["日本", "1"]);
        table.row(["Shirt", "20"]);
        table.row(["short"]);
        assert_eq!(table.to_string(), "class   n\n-----  --\n日本    1\nShirt  20\nshort\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&[("file", Align::Left)]);
        table.row(["a\x1b[31m\nb"]);
        assert!(table.to_string().contains("a\\u{1b}[31m\\nb"), "{table}");
        // The width is that of what is shown.
        let mut table = Table::new(&[("file", Align::Left), ("n", Align::Right)]);
        table.row(["\u{202e}gpj", "1"]);
        assert_eq!(table.to_string().lines().nth(2), Some("\\u{202e}gpj  1"));
    }
}
