//! What older opsets write as attributes and newer ones as inputs: one table for reading and for writing.

/// An attribute of older opsets that is an input in the form that the graph has.
#[derive(Debug)]
pub(crate) struct Moved {
    /// Operators of the default domain.
    pub(crate) ops: &'static [&'static str],
    /// The first opset in which it is an input.
    pub(crate) since: i64,
    /// Name of the attribute.
    pub(crate) attribute: &'static str,
    /// Position of the input.
    pub(crate) input: usize,
    /// How the two are written.
    pub(crate) kind: Kind,
    /// What the older opset means where the attribute is not given and the newer one would mean something else.
    pub(crate) default: Option<i64>,
}

/// How attribute and input are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list of integers; a vector of 64-bit integers.
    Ints,
    /// An integer; a vector of one 64-bit integer.
    IntVector,
    /// An integer; a scalar of 64-bit integers.
    IntScalar,
    /// A list of floats; a vector of floats.
    Floats,
    /// A float; a scalar of the element type of input 0. Zero is left out.
    Scalar,
}

const fn moved(
    ops: &'static [&'static str],
    since: i64,
    attribute: &'static str,
    input: usize,
    kind: Kind,
) -> Moved {
    Moved { ops, since, attribute, input, kind, default: None }
}

/// The reductions whose axes became an input with opset 18.
const REDUCTIONS: &[&str] = &[
    "ReduceMax",
    "ReduceMin",
    "ReduceMean",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
];

const TABLE: &[Moved] = &[
    moved(&["Squeeze", "Unsqueeze", "ReduceSum"], 13, "axes", 1, Kind::Ints),
    moved(REDUCTIONS, 18, "axes", 1, Kind::Ints),
    moved(&["Split"], 13, "split", 1, Kind::Ints),
    moved(&["Pad"], 11, "pads", 1, Kind::Ints),
    moved(&["Pad"], 11, "value", 2, Kind::Scalar),
    moved(&["Slice"], 10, "starts", 1, Kind::Ints),
    moved(&["Slice"], 10, "ends", 2, Kind::Ints),
    moved(&["Slice"], 10, "axes", 3, Kind::Ints),
    moved(&["TopK"], 10, "k", 1, Kind::IntVector),
    // Resize takes `x, roi, scales`.
    moved(&["Upsample"], 9, "scales", 2, Kind::Floats),
    Moved { default: Some(1), ..moved(&["DFT"], 20, "axis", 2, Kind::IntScalar) },
];

/// The attributes of an operator of the default domain that `opset` writes and newer ones have as inputs.
pub(crate) fn attributes(op: &str, opset: i64) -> impl Iterator<Item = &'static Moved> {
    TABLE.iter().filter(move |moved| opset < moved.since && moved.ops.contains(&op))
}

/// Whether the opset has scales as the second input of the operator where newer ones have a region of interest, `x,
/// roi, scales, sizes`.
pub(crate) fn scales_come_second(op: &str, opset: i64) -> bool {
    (op == "Resize" && opset < 11) || (op == "Upsample" && opset >= 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opset_decides_what_is_an_attribute() {
        let names = |op, opset| attributes(op, opset).map(|m| (m.attribute, m.input)).collect::<Vec<_>>();
        assert_eq!(names("Squeeze", 12), [("axes", 1)]);
        assert_eq!(names("Squeeze", 13), []);
        assert_eq!(names("ReduceMean", 17), [("axes", 1)]);
        assert_eq!(names("Slice", 9), [("starts", 1), ("ends", 2), ("axes", 3)]);
        assert_eq!(names("Pad", 10), [("pads", 1), ("value", 2)]);
    }
}
