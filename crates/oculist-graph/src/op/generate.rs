//! Values made from nothing but numbers: Constant, ConstantOfShape, Range.

use super::attributes::{Attribute, AttributeList, Attributes};
use super::schema::{Fact, Given, Item, MAX_ITEMS, Operator, Read, Role, Written};
use super::types::expect_scalar;
use crate::shape::{Dim, Shape};
use crate::tensor::{DataType, Tensor, TensorData};

/// A tensor that stands in the operator itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// The tensor.
    pub value: Tensor,
}

/// The elements of a small tensor of integers or truth values.
fn items(tensor: &Tensor) -> Option<Vec<Item>> {
    (tensor.len() <= MAX_ITEMS).then(|| tensor.to_i64s())?.map(|v| v.into_iter().map(Item::Known).collect())
}

impl Operator for Constant {
    fn name(&self) -> &'static str {
        "Constant"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (0, 0)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        vec![("value", self.value.clone().into())]
    }

    fn infer(&self, _: &Given) -> Result<Vec<Fact>, String> {
        let fact = Fact::new(self.value.dtype(), Shape::fixed(self.value.shape()));
        Ok(vec![fact.with_items(items(&self.value))])
    }
}

impl Read for Constant {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Constant")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        const FORMS: [&str; 5] = ["value", "value_float", "value_floats", "value_int", "value_ints"];
        for name in ["value_string", "value_strings", "sparse_value"] {
            if attributes.has(name) {
                return Err(format!("the attribute `{name}` is given, supported are {}", FORMS.join(", ")));
            }
        }
        let mut given = FORMS.iter().filter_map(|name| attributes.take(name));
        let (Some(form), None) = (given.next(), given.next()) else {
            return Err(format!("expected one of the attributes {}", FORMS.join(", ")));
        };
        let (shape, data) = match form {
            Attribute::Tensor(value) => return Ok(Self { value }),
            Attribute::Float(v) => (vec![], TensorData::F32(vec![v])),
            Attribute::Floats(v) => (vec![v.len()], TensorData::F32(v)),
            Attribute::Int(v) => (vec![], TensorData::I64(vec![v])),
            Attribute::Ints(v) => (vec![v.len()], TensorData::I64(v)),
            Attribute::Text(text) => {
                return Err(format!("expected a number or a tensor, found the text `{text}`"));
            }
            Attribute::Texts(_) => return Err("expected a number or a tensor, found texts".to_owned()),
        };
        Ok(Self { value: Tensor::new(shape, data).map_err(|e| e.to_string())? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { value: Tensor::filled(&[3], 0.5) }]
    }
}

/// A tensor of one number whose shape is the input.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantOfShape {
    /// The number: a tensor of one element.
    pub value: Tensor,
}

impl Operator for ConstantOfShape {
    fn name(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn since(&self) -> i64 {
        9
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Argument
    }

    fn attributes(&self) -> AttributeList {
        vec![("value", self.value.clone().into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[DataType::I64])?;
        let shape = given.shape(0)?;
        let dims = match (given.items(0), shape.dims()) {
            (Some(items), [_]) => {
                if let Some(n) = items.iter().filter_map(|i| i.known()).find(|&n| n < 0) {
                    return Err(format!("a dimension must be at least 0, found {n}"));
                }
                items.into_iter().map(Item::dim).collect()
            }
            (None, &[Dim::Fixed(rank)]) if rank <= MAX_ITEMS => vec![Dim::Unknown; rank],
            (None, [Dim::Fixed(rank)]) => {
                return Err(format!("expected at most {MAX_ITEMS} dimensions, found {rank}"));
            }
            (None, [_]) => return Err("the length of the shape must be known".to_owned()),
            _ => return Err(format!("expected a vector, found the shape {shape}")),
        };
        let fact = Fact::new(self.value.dtype(), Shape::new(dims));
        let len = fact.shape.sizes().map(|s| s.iter().fold(1usize, |n, &d| n.saturating_mul(d)));
        let one = items(&self.value).and_then(|one| one.first().copied());
        let all =
            len.filter(|&n| n <= MAX_ITEMS && fact.shape.rank() <= 1).zip(one).map(|(n, one)| vec![one; n]);
        Ok(vec![fact.with_items(all)])
    }
}

impl Read for ConstantOfShape {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ConstantOfShape")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let value = attributes.tensor("value")?.unwrap_or_else(|| Tensor::zeros(DataType::F32, &[1]));
        if value.len() != 1 {
            return Err(format!("the attribute `value` must have 1 element, found {:?}", value.shape()));
        }
        Ok(Self { value })
    }

    fn examples() -> Vec<Self> {
        vec![Self { value: Tensor::zeros(DataType::F32, &[1]) }]
    }
}

/// `start, start + delta, ...` up to `limit`, which is left out; inputs `start, limit, delta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range;

/// The types of Range.
const RANGED: &[DataType] = &[
    DataType::F32,
    DataType::F64,
    DataType::F16,
    DataType::BF16,
    DataType::I16,
    DataType::I32,
    DataType::I64,
];

impl Range {
    /// Number of elements between integers.
    ///
    /// # Errors
    /// If `delta` is 0.
    pub fn len_of_ints(start: i64, limit: i64, delta: i64) -> Result<usize, String> {
        if delta == 0 {
            return Err("delta is 0".to_owned());
        }
        let (way, step) = (i128::from(limit) - i128::from(start), i128::from(delta));
        let steps = way / step + i128::from(way % step != 0 && (way < 0) == (step < 0));
        Ok(usize::try_from(steps.max(0)).unwrap_or(usize::MAX))
    }

    /// Number of elements between floats: `max(ceil((limit - start) / delta), 0)`.
    ///
    /// # Errors
    /// If `delta` is 0 or an input is no finite number.
    pub fn len_of_floats(start: f64, limit: f64, delta: f64) -> Result<usize, String> {
        let steps = ((limit - start) / delta).ceil();
        if delta == 0.0 || !steps.is_finite() {
            return Err(format!("no number of steps of {delta} leads from {start} to {limit}"));
        }
        // A float beyond the range becomes the largest number.
        Ok(steps.max(0.0) as usize)
    }
}

impl Operator for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn since(&self) -> i64 {
        11
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, _: usize) -> Role {
        Role::Argument
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, RANGED)?;
        let dtype = given.same_type(0, [1, 2])?;
        for (i, what) in ["start", "limit", "delta"].into_iter().enumerate() {
            expect_scalar(given, i, what)?;
        }
        let unknown = |len: Dim| Ok(vec![Fact::new(dtype, Shape::new(vec![len]))]);
        if dtype.is_float() {
            let float = |i: usize| given.get(i)?.tensor?.to_f64s().first().copied();
            let known = float(0).zip(float(1)).zip(float(2));
            return match known {
                Some(((start, limit), delta)) => {
                    unknown(Dim::Fixed(Self::len_of_floats(start, limit, delta)?))
                }
                None => unknown(Dim::Unknown),
            };
        }
        let item =
            |i: usize| given.items(i).and_then(|items| items.first().copied()).unwrap_or(Item::UNKNOWN);
        match (item(0), item(1), item(2)) {
            (Item::Known(start), Item::Known(limit), Item::Known(delta)) => {
                let len = Self::len_of_ints(start, limit, delta)?;
                let at = |i: usize| Some(Item::Known(start.checked_add(delta.checked_mul(i as i64)?)?));
                let items = if len <= MAX_ITEMS { (0..len).map(at).collect() } else { None };
                Ok(vec![Fact::new(dtype, Shape::fixed(&[len])).with_items(items)])
            }
            // As many as a dimension has.
            (Item::Known(0), Item::Size(dim), Item::Known(1)) => unknown(dim),
            _ => unknown(Dim::Unknown),
        }
    }
}

impl Read for Range {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Range")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // Half-width floats are always computed in wider ones.
        attributes.skip(&["stash_type"]);
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_before_its_limit() {
        // The examples of ONNX's document, and the ends of the integers.
        assert_eq!(Range::len_of_ints(3, 9, 3), Ok(2));
        assert_eq!(Range::len_of_ints(10, 4, -2), Ok(3));
        assert_eq!(Range::len_of_ints(10, 5, -2), Ok(3));
        assert_eq!(Range::len_of_ints(1, 5, -2), Ok(0));
        assert_eq!(Range::len_of_ints(i64::MIN, i64::MAX, 1), Ok(usize::MAX));
        assert!(Range::len_of_ints(0, 1, 0).is_err());
        assert_eq!(Range::len_of_floats(0.0, 1.0, 0.3), Ok(4));
        assert!(Range::len_of_floats(0.0, f64::INFINITY, 1.0).is_err());
    }

    #[test]
    fn a_range_up_to_a_size_has_that_size() {
        let scalar = Shape::fixed(&[]);
        let of = |all: [Item; 3]| {
            let seen = |item| {
                let items = Some(std::slice::from_ref(item));
                Some(crate::op::Seen { name: "", dtype: DataType::I64, shape: &scalar, items, tensor: None })
            };
            let given = Given { inputs: all.iter().map(seen).collect(), outputs: 1 };
            Range.infer(&given).unwrap().remove(0)
        };
        let fact = of([Item::Known(0), Item::Size(Dim::Batch), Item::Known(1)]);
        assert_eq!(fact.shape, Shape::new(vec![Dim::Batch]));
        let fact = of([Item::Known(2), Item::Known(9), Item::Known(3)]);
        assert_eq!(fact.items, Some(vec![Item::Known(2), Item::Known(5), Item::Known(8)]));
    }

    #[test]
    fn a_shape_keeps_its_batch() {
        let (shape, items) = (Shape::fixed(&[2]), [Item::Size(Dim::Batch), Item::Known(3)]);
        let op = ConstantOfShape { value: Tensor::zeros(DataType::F32, &[1]) };
        let seen = crate::op::Seen {
            name: "",
            dtype: DataType::I64,
            shape: &shape,
            items: Some(&items),
            tensor: None,
        };
        let facts = op.infer(&Given { inputs: vec![Some(seen)], outputs: 1 }).unwrap();
        assert_eq!(facts[0].shape, Shape::nc(3));
    }
}
