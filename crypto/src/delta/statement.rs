//! What is public about a delta: dimensions and bound, and the numbers that follow from them.

use super::fixed::Dimensions;
use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    field::Field,
    msm::MAX_BITS,
};

/// Random rows a delta is projected on: a matrix with an entry over `4·ACCEPTED` in absolute value survives the two
/// projections of one with probability at most 1/2 + 1/2·1/4 = 5/8, and (5/8)^189 < 2^-128.
pub const PROJECTED_ROWS: usize = 189;

/// Random columns for each of the rows.
pub const PROJECTED_COLUMNS: usize = 2;

/// The number of projections.
pub const PROJECTIONS: usize = PROJECTED_ROWS * PROJECTED_COLUMNS;

/// Masks of projections are uniform below `2^MASK_BITS`. A projection is at most `√(rows·columns)·B < 2^43`, so that
/// masked ones of different deltas are within 378·2^-65 < 2^-56 of each other in the worst case.
pub const MASK_BITS: u32 = 108;

/// A masked projection must be below this in absolute value. Entries are then at most 2^112, a sum of 2^24 of their squares
/// at most 2^248 < ℓ.
pub const ACCEPTED: i128 = 1 << 110;

/// Lagrange's number.
pub(super) const SQUARES: usize = 4;

/// Dimensions R × C and bound B: `‖U‖² ≤ B²`, B below 2^31.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Statement {
    dimensions: Dimensions,
    bound: u32,
}

/// A bound that no statement has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a bound of {0} is not in 1..2^{MAX_BITS}")]
pub struct BoundError(pub u32);

impl Statement {
    /// Returns the statement.
    ///
    /// # Errors
    ///
    /// Returns a [`BoundError`] if the bound is zero or 2^31 and more.
    pub fn new(dimensions: Dimensions, bound: u32) -> Result<Self, BoundError> {
        if bound == 0 || bound >> MAX_BITS != 0 { Err(BoundError(bound)) } else { Ok(Self { dimensions, bound }) }
    }

    /// Returns R and C.
    pub const fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// Returns B.
    pub const fn bound(&self) -> u32 {
        self.bound
    }

    /// Returns the least width of lanes in which sums of `contributors` deltas fit: `contributors·B < 2^(w−1)`.
    pub const fn lane_bits(&self, contributors: u32) -> u16 {
        let largest = self.bound as u64 * contributors as u64;
        // At most 1 + 63.
        1 + (u64::BITS - largest.leading_zeros()) as u16
    }

    /// Returns B².
    pub(super) fn squared_bound(&self) -> u64 {
        u64::from(self.bound).pow(2)
    }

    /// Returns the bits of an entry's absolute value, which is at most B.
    pub(super) const fn bits(&self) -> u32 {
        u32::BITS - self.bound.leading_zeros()
    }

    /// Returns the auxiliary rows that hold the four squares.
    pub(super) const fn square_rows(&self) -> usize {
        SQUARES.div_ceil(self.dimensions.columns())
    }

    /// Returns the rows whose squares add up to B²: those of the matrix and those of the four squares.
    pub(super) const fn norm_rows(&self) -> usize {
        self.dimensions.rows() + self.square_rows()
    }

    /// Returns the auxiliary rows that hold the masks of the projections.
    pub(super) const fn mask_rows(&self) -> usize {
        PROJECTIONS.div_ceil(self.dimensions.columns())
    }

    /// Returns the number of auxiliary rows: those of the four squares, then those of the masks.
    pub const fn auxiliary_rows(&self) -> usize {
        self.square_rows() + self.mask_rows()
    }

    /// Returns the variables of the columns, which the sumcheck begins with.
    pub(super) fn column_variables(&self) -> usize {
        variables(self.dimensions.columns())
    }

    /// Returns the variables of the rows: there are as many for the masks as for the matrix.
    pub(super) fn row_variables(&self) -> usize {
        variables(self.norm_rows().max(self.mask_rows()))
    }

    /// Returns all variables.
    pub(super) fn variables(&self) -> usize {
        self.column_variables() + self.row_variables()
    }

    /// Returns `B² + Σ_i λ^(i+1)·projection_i`: what the sumcheck's claim says.
    pub(super) fn claim(&self, projections: &[i128], lambda: &Field) -> Field {
        let weights = lambda.powers().skip(1);
        let linear: Field = projections.iter().zip(weights).map(|(value, weight)| weight * Field::from(*value)).sum();
        Field::from(i128::from(self.squared_bound())) + linear
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.dimensions.encode(out);
        self.bound.encode(out);
    }
}

impl Decode for Statement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (dimensions, bound) = (Dimensions::decode(input)?, u32::decode(input)?);
        Self::new(dimensions, bound).map_err(|_| DecodeError::OutOfRange("bound"))
    }
}

/// Returns ν with `2^(ν−1) < length ≤ 2^ν`.
pub(super) fn variables(length: usize) -> usize {
    length.next_power_of_two().ilog2() as usize
}
