//! Dense matrices of `f32`, row by row: all that low-rank adapters need.

/// A matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Returns the matrix with these values, row by row; `None` if there are more or fewer than fit.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns)? == values.len()).then_some(Self { rows, columns, values })
    }

    /// Returns the number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Returns whether every value is a finite number.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Returns `M·Mᵀ` of the rows, in `f64`.
    pub fn gram_of_rows(&self) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        let pairs = (0..self.rows).flat_map(|a| (0..self.rows).map(move |b| (a, b)));
        pairs.map(|(a, b)| dot(self.row(a), self.row(b))).collect()
    }

    /// Returns `Mᵀ·M` of the columns, in `f64`.
    pub fn gram_of_columns(&self) -> Vec<f64> {
        let mut gram = vec![0.0; self.columns * self.columns];
        for row in 0..self.rows {
            let row = self.row(row);
            for (a, x) in row.iter().enumerate() {
                for (sum, y) in gram[a * self.columns..(a + 1) * self.columns].iter_mut().zip(row) {
                    *sum += f64::from(*x) * f64::from(*y);
                }
            }
        }
        gram
    }
}
