//! GELU that exporters write in several nodes.

use oculist_graph::{Binary, Node, Op, Unary, ValueId};

use super::activation::{before, near, with_scalar};
use super::rewrite::Rewrite;
use crate::Result;

/// A product of `x`, 1/2 and `1 + erf(x / sqrt(2))`, in any order, becomes `Gelu`; the same with
/// `1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))` becomes its approximation by tanh.
///
/// # What it does
/// Changes the last multiplication of the product.
///
/// # Applies when
/// The values are f32 of one shape and the numbers are constants of one element.
///
/// # Preserves
/// The function, up to rounding.
///
/// # Source
/// Hendrycks and Gimpel 2016, "Gaussian Error Linear Units (GELUs)".
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        if let Some((x, tanh)) = gelu(rewrite, &node)
            && rewrite.same_shape(x, node.output())
        {
            rewrite.set(id, Unary::Gelu { tanh }, [x]);
            found += 1;
        }
    }
    Ok(found)
}

/// Collects the factors of a product of products; numbers are multiplied into `number`.
fn factors(rewrite: &Rewrite, value: ValueId, depth: usize, values: &mut Vec<ValueId>, number: &mut f32) {
    if let Some(n) = rewrite.scalar(value) {
        *number *= n;
        return;
    }
    let product = before(rewrite, value, |op| matches!(op, Op::Binary(Binary::Mul | Binary::Div)));
    let Some(product) = product.filter(|_| depth > 0) else {
        values.push(value);
        return;
    };
    let (Some(a), Some(b)) = (rewrite.input(product, 0), rewrite.input(product, 1)) else { return };
    if matches!(product.op, Op::Binary(Binary::Mul)) {
        factors(rewrite, a, depth - 1, values, number);
        factors(rewrite, b, depth - 1, values, number);
    } else if let Some(n) = rewrite.scalar(b).filter(|&n| n != 0.0) {
        *number /= n;
        factors(rewrite, a, depth - 1, values, number);
    } else {
        values.push(value);
    }
}

/// The `x` of a product that is its GELU, and whether it is the one by tanh.
fn gelu(rewrite: &Rewrite, node: &Node) -> Option<(ValueId, bool)> {
    if !matches!(node.op, Op::Binary(Binary::Mul)) {
        return None;
    }
    let (mut values, mut number) = (Vec::new(), 1.0);
    for i in 0..2 {
        factors(rewrite, rewrite.input(node, i)?, 2, &mut values, &mut number);
    }
    let &[a, b] = &values[..] else { return None };
    if !near(number, 0.5) {
        return None;
    }
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let add = before(rewrite, gate, |op| matches!(op, Op::Binary(Binary::Add)))?;
        let (inner, one) = with_scalar(rewrite, add)?;
        if !near(one, 1.0) {
            return None;
        }
        if let Some(erf) = before(rewrite, inner, |op| matches!(op, Op::Unary(Unary::Erf))) {
            let scaled = times(rewrite, rewrite.input(erf, 0)?)?;
            return (scaled.0 == x && near(scaled.1, std::f32::consts::FRAC_1_SQRT_2)).then_some((x, false));
        }
        let tanh = before(rewrite, inner, |op| matches!(op, Op::Unary(Unary::Tanh)))?;
        let (sum, scale) = times(rewrite, rewrite.input(tanh, 0)?)?;
        (near(scale, 0.797_884_6) && is_cubic(rewrite, sum, x)).then_some((x, true))
    })
}

/// A value as another one times a number.
fn times(rewrite: &Rewrite, value: ValueId) -> Option<(ValueId, f32)> {
    let node = before(rewrite, value, |op| matches!(op, Op::Binary(Binary::Mul | Binary::Div)))?;
    let (x, number) = with_scalar(rewrite, node)?;
    match node.op {
        Op::Binary(Binary::Mul) => Some((x, number)),
        _ => (rewrite.input(node, 0) == Some(x)).then_some((x, 1.0 / number)),
    }
}

/// Whether a value is `x + 0.044715 * x^3`.
fn is_cubic(rewrite: &Rewrite, sum: ValueId, x: ValueId) -> bool {
    let cube = || {
        let add = before(rewrite, sum, |op| matches!(op, Op::Binary(Binary::Add)))?;
        let (cubed, factor) = times(rewrite, rewrite.other(add, x)?)?;
        if !near(factor, 0.044_715) {
            return None;
        }
        if let Some(pow) = before(rewrite, cubed, |op| matches!(op, Op::Binary(Binary::Pow))) {
            let exponent = rewrite.tensor(rewrite.input(pow, 1)?)?.to_f32s();
            return Some(rewrite.input(pow, 0) == Some(x) && exponent == [3.0]);
        }
        let (mut values, mut number) = (Vec::new(), 1.0);
        factors(rewrite, cubed, 2, &mut values, &mut number);
        Some(number == 1.0 && values == [x, x, x])
    };
    cube() == Some(true)
}
