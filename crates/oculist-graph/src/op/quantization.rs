//! What integer quantisation does with an operator.

/// How an operator behaves under `Q -> DQ` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// A layer: products of bytes, sums of 32 bits.
    Layer,
    /// A sum, product or mean of quantised values that is quantised again.
    Arithmetic,
    /// A function of one value: a table of 256 bytes.
    Table,
    /// Moves or selects bytes: the result has the scale of the input.
    Moves,
    /// Stays in floats.
    Float,
    /// Quantisation itself.
    Conversion,
}
