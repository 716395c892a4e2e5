//! COCO annotations: boxes and masks of objects, and their categories.
//!
//! An entry that does not say what it must is no reason to refuse the others: it is listed in [`Coco::bad`].
//!
//! # Source
//! The COCO data format ("object detection").

mod json_text;
mod lenient;
mod read;
mod rle;

pub use read::read_coco;
pub(crate) use read::{read_boxes, read_presence};
pub use rle::Rle;

/// What an annotation file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Coco {
    /// The images.
    pub images: Vec<CocoImage>,
    /// The classes.
    pub categories: Vec<CocoCategory>,
    /// The objects.
    pub annotations: Vec<CocoAnnotation>,
    /// Objects that cannot be used, in their order.
    pub bad: Vec<CocoBad>,
    /// Entries of images and categories that say nothing usable; objects that refer to them are bad.
    pub unusable_entries: usize,
}

/// An annotation that is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoBad {
    /// Its number, or 0 without one.
    pub id: u64,
    /// What was expected and what was found.
    pub reason: String,
}

/// An image that the file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoImage {
    /// What annotations call it.
    pub id: u64,
    /// The file, as written.
    pub file_name: String,
    /// Width of the grid that boxes refer to, in pixels, if a whole number is given: sizes only help with turned photos.
    pub width: Option<u32>,
    /// Height of that grid.
    pub height: Option<u32>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoCategory {
    /// What annotations call it.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// An object in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoAnnotation {
    /// Its number.
    pub id: u64,
    /// The image.
    pub image_id: u64,
    /// The class.
    pub category_id: u64,
    /// Left, top, width and height in pixels; not negative in width and height, not necessarily whole, not
    /// necessarily within the image.
    pub bbox: [f64; 4],
    /// The box is around many objects that lie together.
    pub iscrowd: bool,
    /// The object's outline.
    pub mask: CocoMask,
}

/// The outline of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum CocoMask {
    /// None given.
    None,
    /// Polygons of x, y in pixels, at least three points each; the object is their union.
    Polygons(Vec<Vec<[f64; 2]>>),
    /// A mask of the whole image.
    Rle(Rle),
    /// One that is none, and why; the box may be right all the same.
    Broken(String),
}
