//! Bytes as an ONNX file.

use oculist_graph::{Dim, Graph, ValueId};
use oculist_onnx::{from_bytes, tensor_from_bytes, to_bytes};

use crate::stages;

/// Reads the bytes as a model and takes it through every stage.
///
/// What is read passes the checker, can be written, and what is written is read again as a graph of the same interface;
/// so does what simplification makes of it. Plans of it may refuse it.
///
/// # Panics
/// If the project is at fault.
pub fn onnx(bytes: &[u8]) {
    if let Ok(tensor) = tensor_from_bytes(bytes) {
        let elements = tensor.shape().iter().fold(1, |n: usize, &d| n.saturating_mul(d));
        let elements = if tensor.shape().contains(&0) { 0 } else { elements };
        assert_eq!(tensor.len(), elements, "elements of a tensor of {:?}", tensor.shape());
    }
    let Ok(graph) = from_bytes(bytes) else { return };
    graph.check().expect("what was read is valid");
    written(&graph);
    stages::planned(&graph);
    if let Some(prepared) = stages::prepared(&graph) {
        written(&prepared);
        stages::passed(&prepared);
        stages::planned(&prepared);
    }
}

/// Writes a graph and reads it again, twice: the interface stays what it is.
pub(crate) fn written(graph: &Graph) {
    let bytes = to_bytes(graph).unwrap_or_else(|e| panic!("a valid graph cannot be written: {e}"));
    let again = from_bytes(&bytes).unwrap_or_else(|e| panic!("what was written cannot be read: {e}"));
    same_interface(graph, &again, "what was written");
    let twice =
        to_bytes(&again).unwrap_or_else(|e| panic!("what was written and read cannot be written: {e}"));
    let last = from_bytes(&twice).unwrap_or_else(|e| panic!("what was written twice cannot be read: {e}"));
    same_interface(&again, &last, "what was written twice");
}

/// Compares names, types and shapes of what two graphs take and give.
///
/// An input that is given out as it is, and a value that is given out twice, need other names in a file: theirs are not
/// compared.
fn same_interface(a: &Graph, b: &Graph, what: &str) {
    for (name, of) in [("inputs", Graph::inputs as fn(&Graph) -> &[ValueId]), ("outputs", Graph::outputs)] {
        assert_eq!(of(a).len(), of(b).len(), "{name} of {what}");
        for (&v, &w) in of(a).iter().zip(of(b)) {
            let twice = a.outputs().iter().filter(|&&other| other == v).count() > 1;
            let free = name == "outputs" && (twice || a.inputs().contains(&v));
            assert!(
                free || a.value(v).name == b.value(w).name,
                "{name} of {what}: {} {}",
                a.dump(),
                b.dump()
            );
            assert!(same_type(a, v, b, w), "{name} of {what}: {} and {}", a.type_of(v), b.type_of(w));
        }
    }
}

/// Whether two values have one element type, rank and size. Behind a dropout that is not written, more may be known.
pub(crate) fn same_type(a: &Graph, v: ValueId, b: &Graph, w: ValueId) -> bool {
    let (x, y) = (a.shape(v), b.shape(w));
    let known = !x.dims().contains(&Dim::Unknown);
    a.value(v).dtype == b.value(w).dtype
        && x.rank() == y.rank()
        && x.dims().iter().zip(y.dims()).all(|(x, y)| x.may_equal(*y))
        && (!known || x.dims().iter().zip(y.dims()).all(|(x, y)| x.size() == y.size()))
}
