//! Blocks that overlap in an image: each element gets the gradient of the pixel that it was added to.

use oculist_graph::Col2Im;

use super::conv::{OUTSIDE, table};
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

impl Backward for Col2Im {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let block = reverse.input(2)?.to_i64s().ok_or("the sizes of a block must be integers")?;
        let block: Vec<usize> = block.into_iter().map(|n| usize::try_from(n).unwrap_or(0)).collect();
        let image = &dy.shape()[2..];
        let window = self.window(&block, image.len())?;
        let padding: Vec<usize> = (0..image.len()).map(|a| window.padding_of(a, image[a]).0).collect();
        let counts = (0..image.len()).map(|a| window.output_size(a, image[a], false));
        let counts = counts.collect::<Result<Vec<_>, _>>().map_err(Problem::Text)?;
        let (taps, blocks) = (window.taps(), x.shape()[2]);
        reverse.call().room(oculist_graph::DataType::U64, &[taps, blocks])?;
        let table = table(&window, &padding, image, &counts);
        let plane: usize = image.iter().product();
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let gradient = T::read(dy);
                let mut dx = vec![T::ZERO; x.len()];
                for (row, part) in dx.chunks_exact_mut(blocks.max(1)).enumerate() {
                    let map = &gradient[row / taps * plane..][..plane];
                    for (d, &at) in part.iter_mut().zip(&table[row % taps]) {
                        if at != OUTSIDE {
                            *d = map[at];
                        }
                    }
                }
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}
