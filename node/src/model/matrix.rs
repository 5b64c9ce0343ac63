//! Dense matrices of `f32`, row by row: all that low-rank adapters need. Sums are taken in `f64`.

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

    /// Returns `M·Mᵀ` of the rows, in `f64`, row by row.
    pub fn gram_of_rows(&self) -> Vec<f64> {
        let mut gram = vec![0.0; self.rows * self.rows];
        for row in 0..self.rows {
            for other in 0..=row {
                let product = dot(self.row(row), self.row(other));
                gram[row * self.rows + other] = product;
                gram[other * self.rows + row] = product;
            }
        }
        gram
    }

    /// Returns `M·Nᵀ`, in `f64`, row by row.
    ///
    /// # Panics
    ///
    /// Panics if the matrices have different numbers of columns.
    pub fn products_of_rows(&self, other: &Self) -> Vec<f64> {
        assert_eq!(self.columns, other.columns, "rows of one length");
        let pairs = (0..self.rows).flat_map(|a| (0..other.rows).map(move |b| (a, b)));
        pairs.map(|(a, b)| dot(self.row(a), other.row(b))).collect()
    }

    /// Returns `Mᵀ·M` of the columns, in `f64`, row by row.
    pub fn gram_of_columns(&self) -> Vec<f64> {
        self.products_of_columns(self)
    }

    /// Returns `Mᵀ·N`, in `f64`, row by row.
    ///
    /// # Panics
    ///
    /// Panics if the matrices have different numbers of rows.
    pub fn products_of_columns(&self, other: &Self) -> Vec<f64> {
        assert_eq!(self.rows, other.rows, "columns of one length");
        let mut products = vec![0.0; self.columns * other.columns];
        if other.columns == 0 {
            return products;
        }
        for row in 0..self.rows {
            for (products, x) in products.chunks_exact_mut(other.columns).zip(self.row(row)) {
                add(products, f64::from(*x), other.row(row));
            }
        }
        products
    }

    /// Returns `L·M` for a matrix L of `f64`, given row by row.
    ///
    /// # Panics
    ///
    /// Panics if L has not as many columns as this matrix has rows.
    pub fn times_from_left(&self, left: &[f64]) -> Self {
        let rows = left.len().checked_div(self.rows).unwrap_or(0);
        assert_eq!(rows * self.rows, left.len(), "as many columns as rows");
        let mut values = Vec::with_capacity(rows * self.columns);
        for row in 0..rows {
            let mut sums = vec![0.0; self.columns];
            for (index, factor) in left[row * self.rows..(row + 1) * self.rows].iter().enumerate() {
                add(&mut sums, *factor, self.row(index));
            }
            values.extend(sums.into_iter().map(to_f32));
        }
        Self { rows, columns: self.columns, values }
    }

    /// Returns `M·R` for a matrix R of `f64`, given row by row.
    ///
    /// # Panics
    ///
    /// Panics if R has not as many rows as this matrix has columns.
    pub fn times_from_right(&self, right: &[f64]) -> Self {
        let columns = right.len().checked_div(self.columns).unwrap_or(0);
        assert_eq!(columns * self.columns, right.len(), "as many rows as columns");
        let mut values = Vec::with_capacity(self.rows * columns);
        for row in 0..self.rows {
            let mut sums = vec![0.0; columns];
            for (index, factor) in self.row(row).iter().enumerate() {
                let from = &right[index * columns..(index + 1) * columns];
                sums.iter_mut().zip(from).for_each(|(sum, value)| *sum += f64::from(*factor) * value);
            }
            values.extend(sums.into_iter().map(to_f32));
        }
        Self { rows: self.rows, columns, values }
    }
}

/// Four sums at a time: one would wait for itself at every step.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    let rest: f64 = last_a.iter().zip(last_b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sums.iter().sum::<f64>() + rest
}

fn add(to: &mut [f64], factor: f64, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * f64::from(*from);
    }
}

/// Rounds to the precision in which adapters are stored.
#[expect(clippy::cast_possible_truncation, reason = "adapters are stored in single precision")]
pub(super) const fn to_f32(value: f64) -> f32 {
    value as f32
}
