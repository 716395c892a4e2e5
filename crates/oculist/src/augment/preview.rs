//! A contact sheet of augmented images.

use std::path::PathBuf;

use oculist_augment::geometry::resize;
use oculist_augment::{Image, Interpolation};
use oculist_data::Split;
use oculist_report::{Png, PreviewRow, render_preview_html};

use super::Augmenter;
use crate::error::OculistError;
use crate::files::{check_free, check_no_images_of, take_folder, write};
use crate::pictures::encode;
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
#[non_exhaustive]
pub struct PreviewOptions {
    /// Folder for the two files; files of an earlier preview are replaced.
    pub output: PathBuf,
    /// Training images shown, spread over the training set.
    pub images: usize,
    /// Augmented forms of each.
    pub copies: usize,
}

impl PreviewOptions {
    /// Eight images, eight times each.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self { output: output.into(), images: 8, copies: 8 }
    }
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
    check_free(&options.output)?;
    let augmenter = Augmenter::new(settings, watch)?;
    check_no_images_of(&options.output, augmenter.source.dataset())?;
    // Only now: a folder that is made within the data set must not be taken for a class.
    let _taken = take_folder(&options.output, &[], "augment preview", watch)?;
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
    let unwritable = |path: &PathBuf| {
        let path = path.clone();
        move |problem: String| OculistError::Output { path, problem: problem.into() }
    };
    let sheet = encode(&sheet(&rows)?).map_err(unwritable(&png))?;
    let page_rows = rows.iter().map(page_row).collect::<Result<Vec<_>, _>>().map_err(unwritable(&page))?;
    write(&png, &sheet)?;
    write(&page, render_preview_html(settings.data.as_deref().unwrap_or_default(), &page_rows)?.as_bytes())?;
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

/// The page's row.
fn page_row(row: &Row) -> Result<PreviewRow, String> {
    let mut copies = Vec::new();
    for (image, done) in &row.copies {
        copies.push((Png(encode(image)?), done.clone()));
    }
    Ok(PreviewRow { title: row.title.clone(), original: Png(encode(&row.original)?), copies })
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
}
