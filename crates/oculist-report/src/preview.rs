//! `preview.html`: a contact sheet of augmented images that says what was done to each.

use std::fmt::Write as _;

use crate::Png;
use crate::svg::escape;

/// Side of a picture on the page in pixels.
const SIDE: usize = 112;

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

/// The page: a row for each image, the image first. Resting the pointer on a picture shows its text.
pub fn render_preview_html(data: &str, rows: &[PreviewRow]) -> String {
    let data = escape(data);
    let mut page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Augmentation of {data}</title>\
         <style>body{{font-family:sans-serif;margin:2em}}td{{padding:2px;text-align:center}}\
         img{{width:{SIDE}px;height:{SIDE}px;object-fit:contain;image-rendering:pixelated}}</style>\
         <h1>Augmentation of {data}</h1><p>Each row: a training image as it is, then as training sees it. \
         Rest the pointer on an image to read what was done to it.</p><table>\n"
    );
    for row in rows {
        page.push_str("<tr>");
        picture(&mut page, &row.original, &row.title);
        for (png, done) in &row.copies {
            picture(&mut page, png, done);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    page
}

fn picture(page: &mut String, png: &Png, text: &str) {
    let (uri, text) = (png.data_uri(), escape(text));
    let _ = write!(page, "<td><img src=\"{uri}\" title=\"{text}\" alt=\"{text}\"></td>");
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
        let page = render_preview_html("a<b", &[row.clone(), row]);
        assert_eq!(page.matches("<img ").count(), 6);
        assert!(page.contains("&lt;b a=&quot;&amp;&quot;&gt;") && !page.contains("<b a="), "{page}");
        assert!(page.contains("Augmentation of a&lt;b"));
    }
}
