//! Other sizes of a map.

use oculist_graph::op::{AspectRatio, Coordinates, Interpolation};
use oculist_graph::{Node, NodeId, Op, Resize, Tensor};
use oculist_plain::evaluate;

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;

/// Up to this number, floats count every pixel.
const MOST_PIXELS: usize = 1 << 24;

impl Lowering<'_> {
    /// Nearest neighbours along height and width.
    pub(super) fn fast_resize(&self, node: &Node, resize: &Resize) -> Result<Option<Fast>, RuntimeError> {
        let (x, y) = (node.inputs[0], node.output());
        let (Some((channels, size)), Some((same, _))) = (self.map(x), self.map(y)) else { return Ok(None) };
        let nearest = matches!(resize.interpolation, Interpolation::Nearest(_))
            && resize.coordinates != Coordinates::CropAndResize
            && resize.aspect_ratio == AspectRatio::Stretch;
        let maps = self.graph.shape(x).rank() == 4 && channels == same;
        let known = size[0].saturating_mul(size[1]) <= MOST_PIXELS;
        Ok((nearest && maps && known && self.plane_scales(node, resize)?.is_some()).then_some(Fast::Resize))
    }

    /// The scales of height and width, if the node has some and leaves the other axes; an empty list if it has sizes.
    fn plane_scales(&self, node: &Node, resize: &Resize) -> Result<Option<Vec<f32>>, RuntimeError> {
        let given =
            |i: usize| node.inputs.get(i).filter(|&v| self.graph.shape(v).sizes().is_none_or(|s| s != [0]));
        let Some(scales) = given(2) else { return Ok(given(3).map(|_| Vec::new())) };
        let Some(scales) = self.constant(scales)?.map(Tensor::to_f32s) else { return Ok(None) };
        let Ok(axes) = resize.resized_axes(4) else { return Ok(None) };
        let mut all = [1.0; 4];
        for (&axis, &scale) in axes.iter().zip(&scales) {
            all[axis] = scale;
        }
        Ok((all[..2] == [1.0, 1.0]).then(|| all[2..].to_vec()))
    }

    /// Per pixel of the result, the pixel of the input: the operator itself says it, applied to the pixels' numbers.
    pub(in crate::lower) fn nearest_pixels(&self, id: NodeId) -> Result<Box<[u32]>, RuntimeError> {
        let node = self.node(id);
        let plain = |source| RuntimeError::Plain { node: node.name.clone(), source };
        let (Op::Resize(resize), Some((_, [h, w])), Some((_, out))) =
            (&node.op, self.map(node.inputs[0]), self.map(node.output()))
        else {
            return Ok(Box::default());
        };
        let scales = self.plane_scales(node, resize)?.unwrap_or_default();
        let numbers = Tensor::f32(&[1, 1, h, w], (0..h * w).map(|i| i as f32).collect());
        let op = Resize { axes: Some(vec![2, 3]), ..resize.clone() };
        let sizes = Tensor::ints(out.iter().map(|&n| n as i64).collect());
        let scales = (!scales.is_empty()).then(|| Tensor::f32(&[2], scales));
        let sizes = scales.is_none().then_some(&sizes);
        let inputs = [Some(&numbers), None, scales.as_ref(), sizes];
        let picked = evaluate(self.ctx(), &op.into(), &inputs[..if sizes.is_some() { 4 } else { 3 }], 1);
        let picked = picked.map_err(plain)?;
        Ok(picked.iter().flat_map(Tensor::to_f32s).map(|pixel| pixel as u32).collect())
    }
}
