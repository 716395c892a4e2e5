//! Which indices of axes belong together when channels are removed.

/// An axis of one of a node's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Input number, axis.
    Input(usize, usize),
    /// Output number, axis.
    Output(usize, usize),
}

/// One relation between the indices of two axes, or of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// Index `i` of both, for all of the first.
    Same(Port, Port),
    /// Index `i` of the first and `i + offset` of the second.
    Shifted(Port, Port, usize),
    /// Index `i` of the first and `i * inner .. (i + 1) * inner` of the second.
    Spread(Port, Port, usize),
    /// Index `i` of the first and `i % period` of the second.
    Modulo(Port, Port, usize),
    /// Index `i` of the first and `i / size * step` of the second: groups of `size` go as a whole, tied to the first of
    /// `step`.
    Blocks(Port, Port, usize, usize),
    /// No index may be removed.
    Fixed(Port),
}

/// What an operator says about pruning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ties {
    /// These relations, and no index of another axis may be removed.
    Known(Vec<Tie>),
    /// This node cannot be pruned through: all axes stay as they are.
    Unknown,
    /// No node of the operator can be pruned through, whatever its values.
    Never,
}
