//! The little linear algebra that is needed, in a fixed order: +, −, ×, ÷ and √ only.

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader};

use super::StageError;
use crate::limits::MAX_ITEMS;

/// Columns of the widest matrix Ω.
pub const MAX_COLUMNS: usize = 4;

/// The largest entry accepted in a matrix that was opened. A sealed set of 2³² ballots stays below 2⁶⁶; what is
/// larger than this bound cannot be a sum of ballots, and everything below it is safe from overflow in `i128`.
pub const MAX_ENTRY: i128 = 1 << 80;

/// Below this fraction of its former length, a column that was made orthogonal to the others counts as none.
const RANK_TOLERANCE: f64 = 1.0 / 1_048_576.0;

/// Sweeps of the Jacobi iteration. It converges quadratically: for the sizes used here six are enough.
const SWEEPS: usize = 16;

/// A matrix of integers with one row per item and at most [`MAX_COLUMNS`] columns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntMatrix {
    columns: Vec<Vec<i128>>,
    rows: usize,
}

impl IntMatrix {
    /// Builds a matrix from its columns.
    ///
    /// # Errors
    ///
    /// Returns [`StageError`] if there are no columns or more than [`MAX_COLUMNS`], if their lengths differ, or if an
    /// entry is beyond [`MAX_ENTRY`].
    pub fn from_columns(rows: usize, columns: Vec<Vec<i128>>) -> Result<Self, StageError> {
        if columns.is_empty() || columns.len() > MAX_COLUMNS {
            return Err(StageError::OutOfRange("number of columns"));
        }
        for column in &columns {
            super::same_size("rows of a column", rows, column.len())?;
            if column.iter().any(|entry| !(-MAX_ENTRY..=MAX_ENTRY).contains(entry)) {
                return Err(StageError::OutOfRange("matrix entry"));
            }
        }
        Ok(Self { columns, rows })
    }

    /// Returns the number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the columns.
    pub fn columns(&self) -> &[Vec<i128>] {
        &self.columns
    }

    /// Sets the rows of hidden items to zero: they take no part in the PCA.
    #[must_use]
    pub fn hiding(mut self, hidden: &[bool]) -> Self {
        for column in &mut self.columns {
            for (entry, _) in column.iter_mut().zip(hidden).filter(|&(_, &hidden)| hidden) {
                *entry = 0;
            }
        }
        self
    }

    /// Returns the columns as reals, each scaled by its largest entry; a zero column stays zero.
    pub(crate) fn to_reals(&self) -> Vec<Vec<f64>> {
        let scale = |column: &Vec<i128>| {
            let largest = column.iter().map(|entry| entry.unsigned_abs()).max().unwrap_or(0).max(1);
            column.iter().map(|&entry| real(entry) / real(largest.cast_signed())).collect()
        };
        self.columns.iter().map(scale).collect()
    }
}

impl Encode for IntMatrix {
    fn encode(&self, out: &mut Vec<u8>) {
        chorus_crypto::codec::put_count(out, self.rows);
        chorus_crypto::codec::put_count(out, self.columns.len());
        for entry in self.columns.iter().flatten() {
            entry.encode(out);
        }
    }
}

impl Decode for IntMatrix {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (rows, count) = (input.count(MAX_ITEMS)?, input.count(MAX_COLUMNS)?);
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            columns.push((0..rows).map(|_| i128::decode(input)).collect::<Result<Vec<_>, _>>()?);
        }
        Self::from_columns(rows, columns).map_err(|_| DecodeError::OutOfRange("matrix"))
    }
}

/// Returns the nearest `f64`. Exact conversion rules of IEEE 754: the same everywhere.
#[expect(clippy::cast_precision_loss, reason = "rounding to nearest is what is wanted here")]
pub(crate) const fn real(value: i128) -> f64 {
    value as f64
}

/// Returns the nearest integer, ties away from zero, of a real that is known to be small.
#[expect(clippy::cast_possible_truncation, reason = "callers pass quotients of bounded values; `as` saturates")]
pub(crate) fn integer(value: f64) -> i64 {
    value.round() as i64
}

/// Returns the inner product, summed from the first entry to the last.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// Makes the columns orthonormal by modified Gram–Schmidt, twice over each column, in the order given. Columns that
/// depend on earlier ones are left out.
pub(crate) fn orthonormal(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut rest = column.clone();
        let before = dot(&rest, &rest).sqrt();
        for _ in 0..2 {
            for earlier in &basis {
                let along = dot(earlier, &rest);
                rest.iter_mut().zip(earlier).for_each(|(entry, q)| *entry -= along * q);
            }
        }
        let length = dot(&rest, &rest).sqrt();
        if before > 0.0 && length > before * RANK_TOLERANCE {
            rest.iter_mut().for_each(|entry| *entry /= length);
            basis.push(rest);
        }
    }
    basis
}

/// Turns a vector so that the first of its largest entries is positive.
pub(crate) fn fix_sign(column: &mut [f64]) {
    let mut largest = 0.0;
    for &entry in column.iter() {
        if entry.abs() > f64::abs(largest) {
            largest = entry;
        }
    }
    if largest < 0.0 {
        column.iter_mut().for_each(|entry| *entry = -*entry);
    }
}

/// Returns the eigenvalues of a small symmetric matrix, largest first, each with its unit eigenvector, by cyclic
/// Jacobi rotations.
pub(crate) fn symmetric_eigen(matrix: &[Vec<f64>]) -> Vec<(f64, Vec<f64>)> {
    let size = matrix.len();
    let mut a = matrix.to_vec();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|row| (0..size).map(|column| if row == column { 1.0 } else { 0.0 }).collect()).collect();
    for _ in 0..SWEEPS {
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = vectors.into_iter().enumerate().map(|(i, v)| (a[i][i], v)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// One Jacobi rotation, which makes `a[p][q]` zero. Row `i` of `vectors` is the i-th eigenvector so far.
#[expect(clippy::needless_range_loop, reason = "the loop walks rows p and q and columns p and q at once")]
fn rotate(a: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let t = sign / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in 0..a.len() {
        let (x, y) = (a[row][p], a[row][q]);
        (a[row][p], a[row][q]) = (c * x - s * y, s * x + c * y);
    }
    for column in 0..a.len() {
        let (x, y) = (a[p][column], a[q][column]);
        (a[p][column], a[q][column]) = (c * x - s * y, s * x + c * y);
    }
    (a[p][q], a[q][p]) = (0.0, 0.0);
    for column in 0..vectors.len() {
        let (x, y) = (vectors[p][column], vectors[q][column]);
        (vectors[p][column], vectors[q][column]) = (c * x - s * y, s * x + c * y);
    }
}

/// Returns the lower Cholesky factor of a small positive definite matrix, or `None` if it is not (numerically) one.
pub(crate) fn cholesky(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let mut lower = vec![vec![0.0; size]; size];
    for i in 0..size {
        for j in 0..=i {
            let rest = matrix[i][j] - dot(&lower[i][..j], &lower[j][..j]);
            if i == j {
                if rest <= matrix[i][i] * RANK_TOLERANCE {
                    return None;
                }
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    Some(lower)
}

/// Solves `L·x = b` for lower triangular `L`.
pub(crate) fn solve_lower(lower: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; b.len()];
    for i in 0..b.len() {
        x[i] = (b[i] - dot(&lower[i][..i], &x[..i])) / lower[i][i];
    }
    x
}

/// Solves `Lᵀ·x = b` for lower triangular `L`.
pub(crate) fn solve_upper(lower: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; b.len()];
    for i in (0..b.len()).rev() {
        let known = (i + 1..b.len()).fold(0.0, |sum, j| sum + lower[j][i] * x[j]);
        x[i] = (b[i] - known) / lower[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_matrix_reads_back_from_its_bytes_and_refuses_wide_or_large_ones() {
        let matrix = IntMatrix::from_columns(2, vec![vec![1, -2], vec![3, MAX_ENTRY]]).expect("small");

        assert_eq!(IntMatrix::from_bytes(&matrix.to_bytes()), Ok(matrix));
        assert!(IntMatrix::from_columns(1, vec![vec![0]; 5]).is_err());
        assert!(IntMatrix::from_columns(2, vec![vec![0]]).is_err());
        assert!(IntMatrix::from_columns(1, vec![vec![i128::MIN]]).is_err());
    }

    #[test]
    fn dependent_columns_are_left_out() {
        let columns = [vec![1.0, 2.0, 2.0], vec![-2.0, -4.0, -4.0], vec![0.0; 3], vec![0.0, 1.0, 0.0]];

        let basis = orthonormal(&columns);

        assert_eq!(basis.len(), 2);
        assert!(dot(&basis[0], &basis[1]).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn eigenvectors_rebuild_the_matrix(entries in proptest::collection::vec(-100.0..100.0f64, 10)) {
            let size = 4;
            let at = |i: usize, j: usize| { let (i, j) = (i.max(j), i.min(j)); entries[i * (i + 1) / 2 + j] };
            let matrix: Vec<Vec<f64>> = (0..size).map(|i| (0..size).map(|j| at(i, j)).collect()).collect();

            let pairs = symmetric_eigen(&matrix);

            prop_assert!(pairs.is_sorted_by(|a, b| a.0 >= b.0));
            for (i, row) in matrix.iter().enumerate() {
                for (j, entry) in row.iter().enumerate() {
                    let rebuilt: f64 = pairs.iter().map(|(value, v)| value * v[i] * v[j]).sum();
                    prop_assert!((rebuilt - entry).abs() < 1e-10, "{rebuilt} {entry}");
                }
            }
        }
    }
}
