//! Feature rows.

use crate::error::HeadError;

/// Features, one row an image.
///
/// # Shapes
/// `[rows, dim]`, row-major; all of them are finite.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `dim` features.
    ///
    /// # Errors
    /// [`HeadError::Shape`] if `dim` is 0 or does not divide the number of values, [`HeadError::NotFinite`] with the first
    /// row that holds a NaN or an infinity.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Self, HeadError> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(HeadError::Shape { values: values.len(), dim });
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(HeadError::NotFinite { row: i / dim, feature: i % dim, value: values[i] });
        }
        Ok(Self { values, dim })
    }

    /// All values.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Features of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.dim..][..self.dim]
    }

    /// Refuses labels that do not fit the rows.
    ///
    /// # Errors
    /// [`HeadError::Labels`] if their number is another, [`HeadError::Label`] for the first that is no class.
    pub(crate) fn check_labels(&self, labels: &[u32], classes: usize) -> Result<(), HeadError> {
        if labels.len() != self.len() {
            return Err(HeadError::Labels { rows: self.len(), labels: labels.len() });
        }
        match labels.iter().position(|&l| l as usize >= classes) {
            Some(row) => Err(HeadError::Label { row, label: labels[row], classes }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_number_is_named_by_its_row() {
        let values = [1.0, 2.0, 3.0, f32::NAN, 5.0, f32::INFINITY];
        let error = Rows::new(&values, 2).unwrap_err();
        assert_eq!(error.to_string(), "row 1: feature 1 is NaN, expected a finite number");
        assert!(matches!(Rows::new(&values, 4), Err(HeadError::Shape { values: 6, dim: 4 })));
        assert!(matches!(Rows::new(&[], 0), Err(HeadError::Shape { .. })));
        assert!(Rows::new(&[], 3).unwrap().is_empty());
    }

    #[test]
    fn labels_must_fit() {
        let rows = Rows::new(&[1.0, 2.0], 1).unwrap();
        assert!(matches!(rows.check_labels(&[0], 2), Err(HeadError::Labels { rows: 2, labels: 1 })));
        assert!(matches!(rows.check_labels(&[0, 2], 2), Err(HeadError::Label { row: 1, label: 2, .. })));
    }
}
