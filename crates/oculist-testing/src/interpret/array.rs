//! A dense array of 64-bit floats.

/// Shape and elements, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Array {
    /// An array from shape and elements.
    ///
    /// # Panics
    /// If the product of `shape` is not the number of elements.
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        let expected: usize = shape.iter().product();
        assert_eq!(data.len(), expected, "elements of an array of shape {shape:?}");
        Self { shape: shape.to_vec(), data }
    }

    /// An array from 32-bit floats.
    ///
    /// # Panics
    /// If the product of `shape` is not the number of elements.
    pub fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self::new(shape, data.iter().map(|&x| f64::from(x)).collect())
    }

    /// An array whose element number `i` is `f(i)`.
    pub fn from_fn(shape: &[usize], f: impl FnMut(usize) -> f64) -> Self {
        Self::new(shape, (0..shape.iter().product()).map(f).collect())
    }

    /// Zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::from_fn(shape, |_| 0.0)
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// The elements for writing.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// The elements rounded to 32-bit floats.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    /// The same shape with `f` applied to every element.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// The element at an index of the same rank.
    ///
    /// # Panics
    /// If the index is out of range.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.data[self.offset(index)]
    }

    /// Writes the element at an index of the same rank.
    ///
    /// # Panics
    /// If the index is out of range.
    pub fn set(&mut self, index: &[usize], value: f64) {
        let offset = self.offset(index);
        self.data[offset] = value;
    }

    /// The size of an `[N, C, H, W]` array.
    ///
    /// # Panics
    /// If the rank is not 4.
    pub fn nchw(&self) -> [usize; 4] {
        self.shape[..].try_into().unwrap_or_else(|_| panic!("expected [N, C, H, W], found {:?}", self.shape))
    }

    fn offset(&self, index: &[usize]) -> usize {
        assert_eq!(index.len(), self.shape.len(), "rank of index {index:?} into {:?}", self.shape);
        index.iter().zip(&self.shape).fold(0, |offset, (&i, &size)| {
            assert!(i < size, "index {index:?} out of range of {:?}", self.shape);
            offset * size + i
        })
    }
}
