//! A contact sheet of augmented images.

use std::fmt::Write as _;
use std::path::PathBuf;

use oculist_augment::geometry::resize;
use oculist_augment::{Image, Interpolation};
use oculist_data::Split;
use oculist_report::Png;

use super::{Augmenter, encode, write};
use crate::error::OculistError;
use crate::progress::{Watch, go_on};
use crate::settings::Settings;

/// The sheet as one picture.
pub const PREVIEW_FILE: &str = "preview.png";
/// The sheet as a page that also says what was done to each image.
pub const PREVIEW_PAGE_FILE: &str = "preview.html";

/// Side of a cell of the sheet in pixels.
const CELL: usize = 112;
/// Pixels between cells.
const GAP: usize = 4;

/// What to show, and where.
#[derive(Debug, Clone)]
pub struct PreviewOptions {
    /// Folder for the two files; files of an earlier preview are replaced.
    pub output: PathBuf,
    /// Training images shown, spread over the training set.
    pub images: usize,
    /// Augmented forms of each.
    pub copies: usize,
}

/// One row of the sheet: an image and its augmented forms with what was done.
struct Row {
    title: String,
    original: Image,
    copies: Vec<(Image, String)>,
}

/// Writes a contact sheet: a row for each of some training images, the image first, then what training would make of it.
///
/// Returns the two files.
///
/// # Errors
/// [`OculistError::Data`] if an image cannot be read; [`OculistError::Output`] naming a file that cannot be written;
/// [`OculistError::Stopped`].
pub fn preview_augmentation(
    settings: &Settings,
    options: &PreviewOptions,
    watch: &mut Watch<'_>,
) -> Result<[PathBuf; 2], OculistError> {
    let augmenter = Augmenter::new(settings)?;
    for line in augmenter.source.describe_lines() {
        watch.note(&line);
    }
    let train = augmenter.source.split(Split::Train);
    let shown = options.images.min(train.len());
    let mut rows = Vec::new();
    for place in 0..shown {
        go_on(watch.stop)?;
        let i = place * train.len() / shown;
        let original = train.image(i)?;
        let mut copies = Vec::new();
        for copy in 0..options.copies {
            let (image, transforms) = augmenter.copy(original.clone(), i, copy)?;
            copies.push((image, serde_json::to_string(&transforms).unwrap_or_default()));
        }
        let class = &augmenter.source.class_names()[train.label(i) as usize];
        rows.push(Row { title: format!("{class}: {}", train.name(i)), original, copies });
    }
    let png = options.output.join(PREVIEW_FILE);
    let page = options.output.join(PREVIEW_PAGE_FILE);
    let sheet =
        encode(&sheet(&rows)?).map_err(|problem| OculistError::Output { path: png.clone(), problem })?;
    write(&png, &sheet)?;
    write(&page, html(&rows, settings)?.as_bytes())?;
    Ok([png, page])
}

/// The image as large as a cell allows, in colour: small ones are magnified pixel by pixel.
fn cell(image: &Image) -> Result<Image, OculistError> {
    let longest = image.width().max(image.height());
    let (scale, how) = if longest * 2 <= CELL {
        ((CELL / longest) as f64, Interpolation::Nearest)
    } else {
        (CELL as f64 / longest as f64, Interpolation::Bilinear)
    };
    let side = |n: usize| ((n as f64 * scale) as usize).clamp(1, CELL);
    Ok(resize(image, side(image.width()), side(image.height()), how)?)
}

/// All cells on white.
fn sheet(rows: &[Row]) -> Result<Image, OculistError> {
    let columns = 1 + rows.iter().map(|row| row.copies.len()).max().unwrap_or(0);
    let (width, height) = (columns * (CELL + GAP) + GAP, rows.len().max(1) * (CELL + GAP) + GAP);
    let mut pixels = vec![255u8; width * height * 3];
    for (r, row) in rows.iter().enumerate() {
        let images = std::iter::once(&row.original).chain(row.copies.iter().map(|(image, _)| image));
        for (c, image) in images.enumerate() {
            let image = cell(image)?;
            let left = c * (CELL + GAP) + GAP + (CELL - image.width()) / 2;
            let top = r * (CELL + GAP) + GAP + (CELL - image.height()) / 2;
            for y in 0..image.height() {
                for x in 0..image.width() {
                    let from = (y * image.width() + x) * image.channels();
                    let pixel = &image.pixels()[from..from + image.channels()];
                    let to = ((top + y) * width + left + x) * 3;
                    let colour = if pixel.len() < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
                    pixels[to..to + 3].copy_from_slice(&colour);
                }
            }
        }
    }
    Ok(Image::new(width, height, 3, pixels)?)
}

fn html(rows: &[Row], settings: &Settings) -> Result<String, OculistError> {
    let data = escape(settings.data.as_deref().unwrap_or_default());
    let mut page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Augmentation of {data}</title>\
         <style>body{{font-family:sans-serif;margin:2em}}td{{padding:2px;text-align:center}}\
         img{{width:{CELL}px;height:{CELL}px;object-fit:contain;image-rendering:pixelated}}</style>\
         <h1>Augmentation of {data}</h1><p>Each row: a training image as it is, then as training sees it. \
         Rest the pointer on an image to read what was done to it.</p><table>\n"
    );
    for row in rows {
        let _ = write!(page, "<tr>{}", picture(&row.original, &row.title)?);
        for (image, done) in &row.copies {
            page.push_str(&picture(image, done)?);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    Ok(page)
}

fn picture(image: &Image, title: &str) -> Result<String, OculistError> {
    let bytes =
        encode(image).map_err(|problem| OculistError::Output { path: PREVIEW_PAGE_FILE.into(), problem })?;
    let title = escape(title);
    Ok(format!("<td><img src=\"{}\" title=\"{title}\" alt=\"{title}\"></td>", Png(bytes).data_uri()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_the_shape_and_fit() {
        for (w, h) in [(1, 1), (28, 28), (300, 200), (5, 400), (112, 112)] {
            let image = Image::new(w, h, 1, vec![7; w * h]).unwrap();
            let cell = cell(&image).unwrap();
            assert!(cell.width() <= CELL && cell.height() <= CELL, "{w}x{h}");
            assert!(cell.width().max(cell.height()) > CELL / 2, "{w}x{h}");
        }
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }
}
