//! The matrix of a delta: small signed integers, in as many columns as rows or nearly so.
//!
//! A commitment covers a row, so that C generators and R commitments serve R·C entries: the square root of their number
//! each.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    field::{Field, SmallProducts},
    mask::{MAX_COLUMNS, MAX_DATA_ROWS, Shape},
};

/// Most entries of a matrix. See [`Statement`](super::Statement) for what the proof could bear.
pub const MAX_ENTRIES: usize = 1 << 23;

/// The numbers of rows and columns of a matrix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Dimensions {
    rows: u32,
    columns: u32,
}

/// A matrix that no delta has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DimensionsError {
    /// No rows, no columns, or too many.
    #[error("{rows} rows and {columns} columns are not in 1..={MAX_DATA_ROWS} and 1..={MAX_COLUMNS}")]
    Side {
        /// The number of rows.
        rows: u32,
        /// The number of columns.
        columns: u32,
    },
    /// No entries, or more than [`MAX_ENTRIES`].
    #[error("{0} entries are not in 1..={MAX_ENTRIES}")]
    Entries(usize),
}

impl Dimensions {
    /// Returns the dimensions of a matrix.
    ///
    /// # Errors
    ///
    /// Returns a [`DimensionsError`] if a number is zero or too large.
    pub fn new(rows: u32, columns: u32) -> Result<Self, DimensionsError> {
        if !(1..=MAX_DATA_ROWS).contains(&rows) || !(1..=MAX_COLUMNS).contains(&columns) {
            return Err(DimensionsError::Side { rows, columns });
        }
        let dimensions = Self { rows, columns };
        if dimensions.entries() > MAX_ENTRIES {
            return Err(DimensionsError::Entries(dimensions.entries()));
        }
        Ok(dimensions)
    }

    /// Returns the dimensions for `entries` numbers: the least power of two of columns that is at least their square
    /// root, and as many rows as they fill.
    ///
    /// # Errors
    ///
    /// Returns [`DimensionsError::Entries`] unless there are 1 to [`MAX_ENTRIES`].
    pub fn near_square(entries: usize) -> Result<Self, DimensionsError> {
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(DimensionsError::Entries(entries));
        }
        let columns = (1..).map(|exponent| 1usize << exponent).find(|columns| columns * columns >= entries);
        let columns = if entries == 1 { 1 } else { columns.expect("some power of two is large enough") };
        let narrow = |side: usize| u32::try_from(side).expect("at most 2^12");
        Self::new(narrow(entries.div_ceil(columns)), narrow(columns))
    }

    /// Returns the number of rows R.
    pub const fn rows(&self) -> usize {
        self.rows as usize
    }

    /// Returns the number of columns C.
    pub const fn columns(&self) -> usize {
        self.columns as usize
    }

    /// Returns R·C.
    pub const fn entries(&self) -> usize {
        self.rows() * self.columns()
    }
}

impl Encode for Dimensions {
    fn encode(&self, out: &mut Vec<u8>) {
        self.rows.encode(out);
        self.columns.encode(out);
    }
}

impl Decode for Dimensions {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(u32::decode(input)?, u32::decode(input)?).map_err(|_| DecodeError::OutOfRange("dimensions"))
    }
}

/// A matrix of small signed integers. Secret; wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Matrix {
    #[zeroize(skip)]
    columns: usize,
    entries: Vec<i32>,
}

impl Matrix {
    /// Fills a matrix row by row; entries that are missing at its end are zero.
    ///
    /// # Errors
    ///
    /// Returns [`DimensionsError::Entries`] if there are more numbers than entries.
    pub fn new(dimensions: &Dimensions, numbers: &[i32]) -> Result<Self, DimensionsError> {
        if numbers.len() > dimensions.entries() {
            return Err(DimensionsError::Entries(numbers.len()));
        }
        // Room for the row or rows that a witness appends: growing would leave a copy behind.
        let mut entries = Vec::with_capacity(dimensions.entries() + dimensions.columns() + 4);
        entries.extend_from_slice(numbers);
        entries.resize(dimensions.entries(), 0);
        Ok(Self { columns: dimensions.columns(), entries })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.entries.len() / self.columns
    }

    /// Returns the number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the rows in order.
    pub fn row_slices(&self) -> impl Iterator<Item = &[i32]> {
        self.entries.chunks_exact(self.columns)
    }

    /// Returns the entries, row by row.
    pub fn entries(&self) -> &[i32] {
        &self.entries
    }

    /// Returns `Σ u²`.
    pub fn squared_norm(&self) -> u128 {
        self.entries.iter().map(|entry| u128::from(entry.unsigned_abs()).pow(2)).sum()
    }

    /// Appends numbers, and zeros up to a whole number of rows.
    pub(super) fn append(&mut self, numbers: &[i32]) {
        self.entries.extend_from_slice(numbers);
        self.entries.resize(self.entries.len().next_multiple_of(self.columns), 0);
    }

    /// Packs the first rows, as many as the shape has, into lanes.
    pub(super) fn pack(&self, shape: &Shape) -> Vec<Scalar> {
        let units: Vec<_> = Field::from(shape.lane_unit()).powers().take(shape.lanes()).collect();
        let lanes = |entries: &[i32]| {
            let mut sum = SmallProducts::default();
            entries.iter().zip(&units).for_each(|(entry, unit)| sum.add(*unit, *entry));
            Scalar::from(sum.reduce(SmallProducts::raise(units.iter().take(entries.len()).copied().sum())))
        };
        // Room for all at once: a vector that grows leaves what it held behind.
        let mut packed = Vec::with_capacity(shape.packed() * shape.rows());
        self.row_slices().take(shape.rows()).for_each(|row| packed.extend(row.chunks(shape.lanes()).map(lanes)));
        packed
    }

    /// Returns `Σ_r weights_r·row_r` over the first rows, as many as there are weights.
    pub(super) fn combine_rows(&self, weights: &[Field]) -> Vec<Field> {
        assert!(weights.len() <= self.rows(), "at most one weight per row");
        let mut sums = zeroize::Zeroizing::new(vec![SmallProducts::default(); self.columns]);
        for (row, weight) in self.row_slices().zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, entry)| sum.add(*weight, *entry));
        }
        let raised = SmallProducts::raise(weights.iter().copied().sum());
        sums.iter().map(|sum| sum.reduce(raised)).collect()
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matrix").field("rows", &self.rows()).field("columns", &self.columns).finish_non_exhaustive()
    }
}
