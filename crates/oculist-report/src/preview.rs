//! `preview.html`: a contact sheet of augmented images that says what was done to each.

use serde::Serialize;

use crate::page::{Base, Picture, picture, render};
use crate::{Png, ReportError};

/// One row of the sheet.
#[derive(Debug, Clone)]
pub struct PreviewRow {
    /// Class and name of the image.
    pub title: String,
    /// The image as it is.
    pub original: Png,
    /// Its augmented forms, each with what was done.
    pub copies: Vec<(Png, String)>,
}

#[derive(Serialize)]
struct Page<'a> {
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    title: &'a str,
    original: Picture,
    copies: Vec<Copied<'a>>,
}

#[derive(Serialize)]
struct Copied<'a> {
    picture: Picture,
    done: &'a str,
}

/// The page, in the style of the report: a section for each image, the image first, then its augmented forms, and below
/// them what was done to each. It is one file that loads nothing; all strings are escaped.
///
/// # Errors
/// [`ReportError::Template`] if the template fails, which no content makes it do.
pub fn render_preview_html(data: &str, rows: &[PreviewRow]) -> Result<String, ReportError> {
    let rows = rows.iter().map(|row| Row {
        title: &row.title,
        original: picture(&row.original),
        copies: row.copies.iter().map(|(png, done)| Copied { picture: picture(png), done }).collect(),
    });
    let base = Base::new(format!("Augmentation of {data}"), env!("CARGO_PKG_VERSION"));
    render("preview.html", base, Page { rows: rows.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_there_and_names_cannot_break_the_page() {
        let row = PreviewRow {
            title: "<b a=\"&\">".into(),
            original: Png(vec![1]),
            copies: vec![(Png(vec![2]), "flip".into()), (Png(vec![3]), "turn".into())],
        };
        let page = render_preview_html("a<b", &[row.clone(), row]).unwrap();
        assert_eq!(page.matches("<img ").count(), 6);
        assert!(page.contains("&lt;b a=&quot;&amp;&quot;&gt;") && !page.contains("<b a="), "{page}");
        // By this title a folder is known for a preview, and is not read as a class of images.
        assert!(page.contains("<title>Augmentation of a&lt;b</title>"));
    }
}
