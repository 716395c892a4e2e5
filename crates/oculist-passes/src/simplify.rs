//! Simplification: an ordered list of passes that make the graph of a file what the other stages know best.
//!
//! Import is literal, one node for each node of the file; what exporters write in several nodes is put together here.
//! Every pass keeps the function and the names of the graph's inputs and outputs, is checked before and after, and looks
//! at each node once or twice. [`simplify_up_to`] stops after a pass, to find the one that breaks a graph.

mod activation;
mod affine;
mod batch;
mod constants;
mod gelu;
mod identities;
mod layer_norm;
mod layout;
mod linear;
mod pad;
mod pooling;
mod rewrite;
mod shapes;
mod shuffle;

use oculist_graph::Graph;

use crate::Result;
use crate::image_layout::channels_first;
use rewrite::Rewrite;

pub use batch::open_batch;

/// One simplifying pass.
#[derive(Debug, Clone, Copy)]
pub struct Simplification {
    /// Name, as reports and options have it.
    pub name: &'static str,
    /// What it does, in a line.
    pub what: &'static str,
    run: fn(&mut Rewrite) -> Result<usize>,
}

/// The passes in their order.
pub const SIMPLIFICATIONS: &[Simplification] = &[
    // Constants first: what is known decides which patterns apply.
    Simplification {
        name: "fold constants",
        what: "computes nodes whose inputs are constants, and values that inference knows",
        run: constants::fold,
    },
    // Targets of reshapes and sizes that are computed from the input's shape become constants; their arithmetic falls
    // away.
    Simplification {
        name: "fold shape arithmetic",
        what: "gives Reshape and Resize constant targets where the batch alone is open",
        run: shapes::fold,
    },
    Simplification {
        name: "remove identities",
        what: "removes Identity, casts to the same type, and moves that move nothing",
        run: identities::remove,
    },
    // Layouts before layers: patterns below are looked for in NCHW.
    Simplification {
        name: "move transposes",
        what: "cancels transposes, and moves those of NHWC graphs past what works on each element",
        run: layout::move_transposes,
    },
    Simplification {
        name: "remove moved transposes",
        what: "removes the pairs of transposes that met",
        run: identities::remove,
    },
    Simplification {
        name: "fold constants again",
        what: "computes what the passes before made constant",
        run: constants::fold,
    },
    // Before flattening: a shuffle is made of reshapes.
    Simplification {
        name: "recognise channel shuffles",
        what: "Reshape, Transpose and Reshape that mix the channels of groups to a Gather along the channels",
        run: shuffle::recognise,
    },
    Simplification {
        name: "recognise pooling and flattening",
        what: "means over height and width to GlobalAveragePool, reshapes and squeezes to Flatten",
        run: pooling::recognise,
    },
    Simplification {
        name: "recognise fully connected layers",
        what: "MatMul, Add and Gemm with constant weights to Gemm with rows for each output",
        run: linear::recognise,
    },
    Simplification {
        name: "put padding into convolutions",
        what: "Pad with zeros in front of Conv and AveragePool to their own padding",
        run: pad::into_windows,
    },
    // Decomposed activations before constants are folded into weights: their factors belong to them.
    Simplification {
        name: "recognise activations",
        what: "decomposed Clip, HardSigmoid, HardSwish and Mish",
        run: activation::recognise,
    },
    Simplification {
        name: "recognise GELU",
        what: "decomposed GELU, exact and by tanh",
        run: gelu::recognise,
    },
    Simplification {
        name: "recognise layer normalisation",
        what: "decomposed LayerNormalization over the last axis",
        run: layer_norm::recognise,
    },
    Simplification {
        name: "fold scales and shifts",
        what: "Mul, Div, Add and Sub of a constant for each channel into the layer before",
        run: affine::fold,
    },
];

/// What a simplification did.
#[derive(Debug, Clone)]
pub struct Simplified {
    /// The simpler graph.
    pub graph: Graph,
    /// Per pass that changed something: its name and how often.
    pub changes: Vec<(&'static str, usize)>,
}

/// Runs all of [`SIMPLIFICATIONS`].
///
/// # Preserves
/// The function, up to rounding where constants are folded into weights; names and order of the graph's inputs and outputs.
///
/// # Errors
/// [`crate::PassError::Graph`] if the graph is invalid, or a pass made it so.
pub fn simplify(graph: &Graph) -> Result<Simplified> {
    simplify_up_to(graph, SIMPLIFICATIONS.len())
}

/// The graph of a file as the other stages know it best: its batch left open ([`open_batch`]), then simplified.
///
/// # Errors
/// As [`simplify`].
pub fn prepare(graph: Graph) -> Result<Graph> {
    let open = open_batch(&graph)?.unwrap_or(graph);
    Ok(simplify(&open)?.graph)
}

/// [`prepare`] for a graph of images: one whose file has their channels last is given them first
/// ([`crate::channels_first`], which knows the images' channels, height and width if the caller does).
///
/// # Errors
/// As [`simplify`] and [`crate::channels_first`].
pub fn prepare_images(graph: Graph, image: Option<(usize, usize, usize)>) -> Result<Graph> {
    let first = channels_first(&graph, image)?.unwrap_or(graph);
    prepare(first)
}

/// Runs the first `n` of [`SIMPLIFICATIONS`].
///
/// # Errors
/// As [`simplify`].
pub fn simplify_up_to(graph: &Graph, n: usize) -> Result<Simplified> {
    graph.check()?;
    let mut simplified = Simplified { graph: graph.clone(), changes: Vec::new() };
    for pass in &SIMPLIFICATIONS[..n.min(SIMPLIFICATIONS.len())] {
        let mut rewrite = Rewrite::new(simplified.graph.clone());
        let changed = (pass.run)(&mut rewrite)?;
        if changed > 0 {
            simplified.graph = rewrite.finish()?;
            simplified.changes.push((pass.name, changed));
        }
    }
    Ok(simplified)
}

#[cfg(test)]
mod tests;
