//! Masks and boxes: what a transform does to the annotations of an image.

use super::Transform;
use crate::Image;
use crate::error::{Result, parameter};
use crate::geometry::{Border, Interpolation};

/// A box: left, top, right and bottom edge in pixels, where pixel i covers `[i, i + 1)`.
pub type BoundingBox = [f32; 4];

/// Takes a point of the image to where it is shown; edges of pixels are whole numbers.
type PointMap = Box<dyn Fn([f64; 2]) -> [f64; 2]>;

impl Transform {
    /// Applies the transform to a mask of classes.
    ///
    /// The mask moves as the image does, without interpolation, so no class appears that was not there; what the image
    /// makes up outside of itself is `background`. Colour, quality, erasing and mixes of chains leave masks as they are
    /// (the corruptions glass blur and elastic move pixels a little; their masks stay).
    ///
    /// # Errors
    /// As for [`Transform::apply`].
    pub fn apply_mask(&self, mask: Image, background: u8) -> Result<Image> {
        match self {
            Self::Sequence { transforms } => {
                transforms.iter().try_fold(mask, |mask, transform| transform.apply_mask(mask, background))
            }
            _ => match self.for_masks(background) {
                Some(transform) => transform.apply(mask),
                None => Ok(mask),
            },
        }
    }

    /// Applies the transform to boxes of an image of `width` x `height`.
    ///
    /// A box becomes the smallest upright box around what it covered, cut to the image; `None` if nothing of it is left
    /// inside. Boxes of elastic and grid distortions are those of the pixels that they cover, to a whole pixel. In a
    /// sequence each step makes its own upright box, so boxes turned twice are larger than turned at once.
    ///
    /// # Errors
    /// As for [`Transform::apply`]; edges that are not finite or in the wrong order.
    pub fn apply_boxes(
        &self,
        boxes: &[BoundingBox],
        width: usize,
        height: usize,
    ) -> Result<Vec<Option<BoundingBox>>> {
        for edges in boxes {
            let [left, top, right, bottom] = *edges;
            if !(edges.iter().all(|v| v.is_finite()) && left <= right && top <= bottom) {
                let expected = "finite left <= right and top <= bottom";
                return Err(parameter("boxes", "edges", expected, format!("{edges:?}")));
            }
        }
        boxes.iter().map(|&edges| self.apply_box(edges, width, height)).collect()
    }

    fn apply_box(&self, edges: BoundingBox, width: usize, height: usize) -> Result<Option<BoundingBox>> {
        if let Self::Sequence { transforms } = self {
            let (mut edges, mut size) = (edges, (width, height));
            for transform in transforms {
                match transform.apply_box(edges, size.0, size.1)? {
                    Some(moved) => edges = moved,
                    None => return Ok(None),
                }
                size = transform.output_size(size.0, size.1);
            }
            return Ok(Some(edges));
        }
        let (out_width, out_height) = self.output_size(width, height);
        let moved = match self.point_map(width, height) {
            Some(map) => {
                let [left, top, right, bottom] = edges.map(f64::from);
                let corners = [[left, top], [right, top], [right, bottom], [left, bottom]].map(map);
                let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f64::INFINITY, f64::min);
                let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f64::NEG_INFINITY, f64::max);
                Some([least(0), least(1), most(0), most(1)])
            }
            None => covered(&self.apply_mask(painted(edges, width, height)?, 0)?),
        };
        let (w, h) = (out_width as f64, out_height as f64);
        let cut = |[left, top, right, bottom]: [f64; 4]| {
            [left.max(0.0), top.max(0.0), right.min(w), bottom.min(h)].map(|v| v as f32)
        };
        Ok(moved.map(cut).filter(|[left, top, right, bottom]| left < right && top < bottom))
    }

    /// The transform as masks need it; `None` if it leaves them as they are.
    fn for_masks(&self, background: u8) -> Option<Self> {
        let mut transform = self.clone();
        let outside = Border::Constant(background);
        match &mut transform {
            Self::HorizontalFlip | Self::VerticalFlip | Self::Transpose | Self::QuarterTurns { .. } => {}
            Self::Affine { interpolation, border, .. }
            | Self::Perspective { interpolation, border, .. }
            | Self::Elastic { interpolation, border, .. } => {
                (*interpolation, *border) = (Interpolation::Nearest, outside);
            }
            Self::GridDistortion { interpolation, .. }
            | Self::ResizedCrop { interpolation, .. }
            | Self::Resize { interpolation, .. } => *interpolation = Interpolation::Nearest,
            Self::Pad { border, .. } | Self::Crop { border, .. } => *border = outside,
            Self::Color { .. }
            | Self::Quality { .. }
            | Self::Erase { .. }
            | Self::GridDropout { .. }
            | Self::Mix { .. }
            | Self::Sequence { .. } => return None,
        }
        Some(transform)
    }

    /// Where points go; `None` for maps that are known from the output to the input only, or that are no map.
    fn point_map(&self, width: usize, height: usize) -> Option<PointMap> {
        let (w, h) = (width as f64, height as f64);
        let (fw, fh) = self.output_size(width, height);
        let (fw, fh) = (fw as f64, fh as f64);
        Some(match *self {
            Self::HorizontalFlip => Box::new(move |[x, y]| [w - x, y]),
            Self::VerticalFlip => Box::new(move |[x, y]| [x, h - y]),
            Self::Transpose => Box::new(|[x, y]| [y, x]),
            Self::QuarterTurns { turns } => match turns % 4 {
                0 => Box::new(|p| p),
                1 => Box::new(move |[x, y]| [y, w - x]),
                2 => Box::new(move |[x, y]| [w - x, h - y]),
                _ => Box::new(move |[x, y]| [h - y, x]),
            },
            Self::Affine { map, .. } => {
                let [[a, b, c], [d, e, f]] = map.forward(width, height)?;
                // Coordinates of warps are those of pixels' centres.
                Box::new(move |[x, y]| {
                    let (x, y) = (x - 0.5, y - 0.5);
                    [a * x + b * y + c + 0.5, d * x + e * y + f + 0.5]
                })
            }
            Self::Perspective { offsets, .. } => {
                let m = crate::geometry::perspective_forward(width, height, offsets)?;
                Box::new(move |[x, y]| {
                    let (x, y) = (x - 0.5, y - 0.5);
                    let [u, v, z] = m.map(|r| r[0] * x + r[1] * y + r[2]);
                    [u / z + 0.5, v / z + 0.5]
                })
            }
            Self::Pad { left, top, .. } => Box::new(move |[x, y]| [x + left as f64, y + top as f64]),
            Self::Crop { left, top, .. } => Box::new(move |[x, y]| [x - left as f64, y - top as f64]),
            Self::ResizedCrop { window: (left, top, ww, wh), .. } => Box::new(move |[x, y]| {
                [(x - left as f64) * fw / ww as f64, (y - top as f64) * fh / wh as f64]
            }),
            Self::Resize { .. } => Box::new(move |[x, y]| [x * fw / w, y * fh / h]),
            Self::Color { .. }
            | Self::Quality { .. }
            | Self::Erase { .. }
            | Self::GridDropout { .. }
            | Self::Mix { .. } => Box::new(|p| p),
            Self::Elastic { .. } | Self::GridDistortion { .. } | Self::Sequence { .. } => return None,
        })
    }
}

/// A mask that is 255 on every pixel whose centre a box covers.
fn painted(edges: BoundingBox, width: usize, height: usize) -> Result<Image> {
    let mut mask = Image::filled(width, height, 1, 0)?;
    let inside = |i: usize, from: f32, to: f32| (from..to).contains(&(i as f32 + 0.5));
    for (y, row) in mask.pixels_mut().chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            if inside(x, edges[0], edges[2]) && inside(y, edges[1], edges[3]) {
                *pixel = 255;
            }
        }
    }
    Ok(mask)
}

/// The smallest box around what is not 0.
fn covered(mask: &Image) -> Option<[f64; 4]> {
    let width = mask.width();
    let mut found: Option<[usize; 4]> = None;
    for (i, _) in mask.pixels().iter().enumerate().filter(|(_, pixel)| **pixel != 0) {
        let (x, y) = (i % width, i / width);
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        found = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
    }
    found.map(|[l, t, r, b]| [l as f64, t as f64, r as f64 + 1.0, b as f64 + 1.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (61, 47);
    const BOX: BoundingBox = [14.0, 11.0, 40.0, 29.0];

    fn parse(text: &str) -> Transform {
        serde_json::from_str(text).unwrap()
    }

    /// How far the edges of a box lie from those of the pixels that the painted box covers after the transform.
    fn distance(transform: &Transform, moved: BoundingBox) -> f64 {
        let mask = transform.apply_mask(painted(BOX, SIZE.0, SIZE.1).unwrap(), 0).unwrap();
        let seen = covered(&mask).expect("something is left");
        seen.iter().zip(moved).map(|(a, b)| (a - f64::from(b)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn boxes_surround_the_pixels_that_moved() {
        // The pixels come from the image code, which is compared with OpenCV; the box from forward maps of its own.
        let transforms = [
            r#"{"transform": "horizontal_flip"}"#,
            r#"{"transform": "vertical_flip"}"#,
            r#"{"transform": "transpose"}"#,
            r#"{"transform": "quarter_turns", "turns": 1}"#,
            r#"{"transform": "quarter_turns", "turns": 2}"#,
            r#"{"transform": "quarter_turns", "turns": 3}"#,
            r#"{"transform": "affine", "angle": 25, "scale": 0.8, "shift_x": 3, "shift_y": -2, "shear_x": 8, "border": "reflect"}"#,
            r#"{"transform": "affine", "angle": -70, "scale": 1.2, "shift_x": 0, "shift_y": 0, "shear_y": -5, "border": "edge"}"#,
            r#"{"transform": "perspective", "offsets": [[5, 4], [-3, 2], [-4, -5], [2, -1]], "interpolation": "bilinear", "border": "edge"}"#,
            r#"{"transform": "pad", "left": 4, "top": 7, "right": 1, "bottom": 2, "border": "reflect"}"#,
            r#"{"transform": "crop", "left": 20, "top": -5, "width": 30, "height": 30, "border": "edge"}"#,
            r#"{"transform": "resized_crop", "window": [10, 5, 40, 40], "width": 80, "height": 60, "interpolation": "bilinear"}"#,
            r#"{"transform": "resize", "width": 122, "height": 94, "interpolation": "bicubic"}"#,
            r#"{"transform": "color", "adjustments": ["invert"]}"#,
        ];
        for text in transforms {
            let transform = parse(text);
            let moved = transform.apply_boxes(&[BOX], SIZE.0, SIZE.1).unwrap()[0].expect("inside");
            // A turned corner may be thinner than a pixel; a pixel enlarged twice is two wide.
            let bound = if text.contains("affine") || text.contains("perspective") { 1.5 } else { 1.01 };
            let found = distance(&transform, moved);
            assert!(found <= bound, "{text}: {found}");
            // Twin: the box of a neighbouring place is refused.
            assert!(distance(&transform, moved.map(|v| v + 4.0)) > bound, "{text}");
        }
    }

    #[test]
    fn boxes_of_known_places() {
        let flip = Transform::HorizontalFlip;
        assert_eq!(flip.apply_boxes(&[[1.0, 2.0, 4.0, 6.0]], 10, 8).unwrap(), [Some([6.0, 2.0, 9.0, 6.0])]);
        let crop =
            parse(r#"{"transform": "crop", "left": 5, "top": 0, "width": 4, "height": 4, "border": "edge"}"#);
        let boxes = [[0.0, 0.0, 5.0, 4.0], [4.0, 1.0, 7.0, 2.0]];
        assert_eq!(crop.apply_boxes(&boxes, 10, 8).unwrap(), [None, Some([0.0, 1.0, 2.0, 2.0])]);
        let both = Transform::Sequence { transforms: vec![flip, crop] };
        assert_eq!(both.apply_boxes(&[[1.0, 1.0, 4.0, 3.0]], 10, 8).unwrap(), [Some([1.0, 1.0, 4.0, 3.0])]);
        for wrong in [[3.0, 0.0, 1.0, 1.0], [0.0, f32::NAN, 1.0, 1.0]] {
            assert!(both.apply_boxes(&[wrong], 10, 8).unwrap_err().to_string().contains("edges"));
        }
    }

    #[test]
    fn masks_get_no_new_classes_and_the_background_outside() {
        let mut mask = painted(BOX, SIZE.0, SIZE.1).unwrap();
        mask.pixels_mut().iter_mut().for_each(|p| *p = if *p == 0 { 3 } else { 9 });
        let turn = parse(
            r#"{"transform": "affine", "angle": 40, "scale": 1, "shift_x": 0, "shift_y": 0, "interpolation": "bicubic", "border": "reflect"}"#,
        );
        let count =
            |mask: &Image, class: u8| mask.pixels().iter().map(|p| usize::from(*p == class)).sum::<usize>();
        let turned = turn.apply_mask(mask.clone(), 7).unwrap();
        assert!([3, 7, 9].iter().all(|&c| count(&turned, c) > 100), "all three are seen");
        assert_eq!([3, 7, 9].iter().map(|&c| count(&turned, c)).sum::<usize>(), SIZE.0 * SIZE.1);
        // As an image it would have new values.
        assert!(turn.apply(mask.clone()).unwrap().pixels().iter().any(|p| ![3, 7, 9].contains(p)));
        let invert = parse(r#"{"transform": "color", "adjustments": ["invert"]}"#);
        assert_eq!(invert.apply_mask(mask.clone(), 0).unwrap(), mask);
    }
}
