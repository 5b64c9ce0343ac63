//! A delta with its slack: the secret integers.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{fixed::Matrix, squares::four_squares, statement::Statement};
use crate::{
    field::Field,
    group::{Generators, Point},
    mask::{Data, Shape},
    msm::{ShortMultiplier, Timing},
};

/// A delta does not satisfy its statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The matrix has other dimensions.
    #[error("{found_rows} × {found_columns} entries where the statement says {rows} × {columns}")]
    Dimensions {
        /// The rows that the statement asks for.
        rows: usize,
        /// The columns that the statement asks for.
        columns: usize,
        /// The rows found.
        found_rows: usize,
        /// The columns found.
        found_columns: usize,
    },
    /// The norm is over the bound. The caller scales the delta down and says so.
    #[error("the norm is over the bound {0}")]
    Norm(u32),
}

/// A matrix and four integers whose squares bring its squared norm to B². Secret; wiped on drop.
pub struct Witness {
    /// The matrix, then the rows of the four squares.
    rows: Matrix,
    statement: Statement,
}

impl Witness {
    /// Finds the four squares.
    ///
    /// # Errors
    ///
    /// Returns a [`WitnessError`] unless the matrix satisfies the statement.
    pub fn new(
        statement: &Statement,
        mut matrix: Matrix,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, WitnessError> {
        let dimensions = statement.dimensions();
        let (rows, columns) = (dimensions.rows(), dimensions.columns());
        if (matrix.rows(), matrix.columns()) != (rows, columns) {
            let (found_rows, found_columns) = (matrix.rows(), matrix.columns());
            return Err(WitnessError::Dimensions { rows, columns, found_rows, found_columns });
        }
        let slack = u128::from(statement.squared_bound()).checked_sub(matrix.squared_norm());
        let slack = slack.ok_or(WitnessError::Norm(statement.bound()))?;
        let slack = u64::try_from(slack).expect("at most the square of a bound of 31 bits");
        matrix.append(&four_squares(slack, rng).map(|root| i32::try_from(root).expect("at most the bound")));
        Ok(Self { rows: matrix, statement: *statement })
    }

    /// Returns the rows of the matrix and of the four squares.
    pub(super) const fn rows(&self) -> &Matrix {
        &self.rows
    }

    /// Commits to the rows of the matrix: `C_r = ⟨U_r, G⟩ + ρ_r·B'`. What its running time depends on: `timing`.
    ///
    /// # Panics
    ///
    /// Panics unless there is one blinding per row, and one generator per column.
    pub fn commit(&self, generators: &Generators, blindings: &[Scalar], timing: Timing) -> Vec<Point> {
        assert_eq!(blindings.len(), self.statement.dimensions().rows(), "one blinding per row");
        self.commit_from(0, generators, blindings, timing)
    }

    /// Commits to the rows of the four squares.
    pub(super) fn commit_squares(&self, generators: &Generators, blindings: &[Scalar], timing: Timing) -> Vec<Point> {
        self.commit_from(self.statement.dimensions().rows(), generators, blindings, timing)
    }

    fn commit_from(&self, first: usize, generators: &Generators, blindings: &[Scalar], timing: Timing) -> Vec<Point> {
        assert_eq!(generators.columns(), self.rows.columns(), "one generator per column");
        let mut multiplier = ShortMultiplier::new(generators.column_points(), timing);
        let bits = self.statement.bits();
        let commit = |(row, blinding)| Point::from(multiplier.multiply(row, bits) + generators.blind(blinding));
        self.rows.row_slices().skip(first).zip(blindings).map(commit).collect()
    }
}

impl Data for Witness {
    fn fits(&self, shape: &Shape) -> bool {
        let dimensions = self.statement.dimensions();
        (dimensions.rows(), dimensions.columns()) == (shape.rows(), shape.width())
    }

    fn pack(&self, shape: &Shape) -> Vec<Scalar> {
        self.rows.pack(shape)
    }

    fn fold(&self, gamma: &Scalar) -> Vec<Scalar> {
        let powers: Vec<_> = Field::from(gamma).powers().skip(1).take(self.statement.dimensions().rows()).collect();
        Zeroizing::new(self.rows.combine_rows(&powers)).iter().map(|sum| Scalar::from(*sum)).collect()
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("statement", &self.statement).finish_non_exhaustive()
    }
}
