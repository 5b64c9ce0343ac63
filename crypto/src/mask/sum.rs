//! Sums: what the holders of a set publish, what everybody computes from it, and the check that makes it true.
//!
//! ```text
//! S_T    = Σ_i PRG(σ_{T,i})                    published by the holders of T, over data rows
//! ΣX     = Σ_i E_i + Σ_T S_T                   opened by anybody
//! check:   ⟨ΣU_r, G⟩ + Σρ_r·B' = Σ_i C_{i,r}   for every data row r
//! ```
//!
//! The check binds: another ΣU that passes gives a relation between generators. So it does not matter who added up.

use curve25519_dalek::{
    ristretto::RistrettoPoint,
    scalar::Scalar,
    traits::{Identity as _, VartimeMultiscalarMul as _},
};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader, put_count, put_seq},
    domain,
    group::{Base, Generators, is_identity},
    hash::{Digest, Stream},
    mask::{
        Expansion, Shape,
        shape::{MAX_COLUMNS, MAX_DATA_ROWS, MAX_SCALARS},
    },
    wire_struct,
};

/// Why a sum was not opened, or is not the sum of what was committed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SumError {
    /// A part has the wrong length.
    #[error("{what}: {found} where the shape says {expected}")]
    Length {
        /// Which part.
        what: &'static str,
        /// The length the shape asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A coefficient names a row that does not exist.
    #[error("there is no data row {0}")]
    Row(u32),
    /// A sum does not fit its lane: a wrong mask sum, or a bound that the proofs should have kept.
    #[error("an entry of row {row} does not fit its lane")]
    OutOfRange {
        /// The first such data row.
        row: usize,
    },
    /// The opened sum is not what the commitments add up to.
    #[error("the sum does not open the sum of the commitments")]
    Commitment,
}

pub(super) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), SumError> {
    if expected == found { Ok(()) } else { Err(SumError::Length { what, expected, found }) }
}

/// `S_T` and its blindings: the sum over contributions of one T's masks, data rows only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MaskSum {
    values: Vec<Scalar>,
    blindings: Vec<Scalar>,
}
wire_struct!(MaskSum { values[MAX_SCALARS], blindings[MAX_DATA_ROWS as usize] });

impl MaskSum {
    /// Starts with nothing added.
    pub fn new(shape: &Shape) -> Self {
        Self { values: vec![Scalar::ZERO; shape.rows() * shape.packed()], blindings: vec![Scalar::ZERO; shape.rows()] }
    }

    /// Adds the mask of one contribution: as many data rows as the sum has, from the first on.
    ///
    /// # Panics
    ///
    /// Panics if it was expanded for fewer rows or for another width.
    pub fn add(&mut self, expansion: &Expansion) {
        let packed = self.values.len() / self.blindings.len();
        let values = expansion.all_values().get(packed..packed + self.values.len()).expect("at least as many rows");
        let blindings = expansion.all_blindings().get(1..=self.blindings.len()).expect("at least as many rows");
        assert_eq!(packed * expansion.all_blindings().len(), expansion.all_values().len(), "rows of one width");
        add_all(&mut self.values, values);
        add_all(&mut self.blindings, blindings);
    }

    /// Adds the sum over a disjoint set of contributions.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if it has another shape.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumError> {
        expect_length("mask values", self.values.len(), other.values.len())?;
        expect_length("mask blindings", self.blindings.len(), other.blindings.len())?;
        add_all(&mut self.values, &other.values);
        add_all(&mut self.blindings, &other.blindings);
        Ok(())
    }

    /// Returns the packed values, row-major.
    pub fn values(&self) -> &[Scalar] {
        &self.values
    }

    /// Returns the blindings, one per data row.
    pub fn blindings(&self) -> &[Scalar] {
        &self.blindings
    }
}

fn add_all(sums: &mut [Scalar], terms: &[Scalar]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// Adds up masked vectors: `Σ_i E_i` over data rows.
///
/// # Errors
///
/// Returns [`SumError::Length`] if a vector, row 0 included, has another length than the shape says.
pub fn sum_masked<'a>(shape: &Shape, masked: impl IntoIterator<Item = &'a [Scalar]>) -> Result<Vec<Scalar>, SumError> {
    let mut sums = vec![Scalar::ZERO; shape.rows() * shape.packed()];
    for vector in masked {
        expect_length("masked vector", shape.scalars(), vector.len())?;
        add_all(&mut sums, &vector[shape.packed()..]);
    }
    Ok(sums)
}

/// Adds up the commitments of data rows: `Σ_i C_{i,r}`.
///
/// # Errors
///
/// Returns [`SumError::Length`] if a contribution, given as its data rows, has another number of them.
pub fn sum_commitments<'a>(
    shape: &Shape,
    contributions: impl IntoIterator<Item = &'a [RistrettoPoint]>,
) -> Result<Vec<RistrettoPoint>, SumError> {
    let mut sums = vec![RistrettoPoint::identity(); shape.rows()];
    for commitments in contributions {
        expect_length("commitments", shape.rows(), commitments.len())?;
        sums.iter_mut().zip(commitments).for_each(|(sum, commitment)| *sum += commitment);
    }
    Ok(sums)
}

/// `ΣU` and `Σρ` of a set of contributions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenedSum {
    /// D rows of C totals.
    pub totals: Vec<Vec<i64>>,
    /// One blinding per row.
    pub blindings: Vec<Scalar>,
}

impl Encode for OpenedSum {
    fn encode(&self, out: &mut Vec<u8>) {
        put_count(out, self.totals.len());
        self.totals.iter().for_each(|row| put_seq(out, row));
        put_seq(out, &self.blindings);
    }
}

impl Decode for OpenedSum {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rows = input.count(MAX_DATA_ROWS as usize)?;
        let totals = (0..rows).map(|_| input.seq(MAX_COLUMNS as usize)).collect::<Result<_, _>>()?;
        Ok(Self { totals, blindings: input.seq(MAX_DATA_ROWS as usize)? })
    }
}

/// Removes the masks from a sum of masked vectors: `ΣX = ΣE + Σ_T S_T`, unpacked.
///
/// `masked_sum` is [`sum_masked`] over exactly the contributions that every one of `mask_sums`, one per T, is over.
/// Says nothing about truth; [`check_sum`] does.
///
/// # Errors
///
/// Returns [`SumError::Length`] for parts of another shape and [`SumError::OutOfRange`] if an entry does not fit its
/// lane, which is what a missing or wrong part looks like.
pub fn open(shape: &Shape, masked_sum: &[Scalar], mask_sums: &[MaskSum]) -> Result<OpenedSum, SumError> {
    expect_length("masked sum", shape.rows() * shape.packed(), masked_sum.len())?;
    let mut whole = MaskSum { values: masked_sum.to_vec(), blindings: vec![Scalar::ZERO; shape.rows()] };
    mask_sums.iter().try_for_each(|part| whole.merge(part))?;
    let unpack = |(row, packed)| shape.unpack(packed).ok_or(SumError::OutOfRange { row });
    let totals = whole.values.chunks_exact(shape.packed()).enumerate().map(unpack).collect::<Result<_, _>>()?;
    Ok(OpenedSum { totals, blindings: whole.blindings })
}

/// Checks that `opened` opens the sums of the commitments, all rows at once.
///
/// One random combination with 128-bit coefficients `c_r = H(set, ΣU, Σρ)`:
/// `⟨Σ_r c_r·ΣU_r, G⟩ + Σ_r c_r·Σρ_r·B' = Σ_r c_r·Σ_i C_{i,r}`.
///
/// # Security
///
/// `set` must determine the commitments (the digest of the sealed set and of the block that was opened does): they are
/// not hashed again.
///
/// # Errors
///
/// Returns [`SumError::Length`] for another shape and [`SumError::Commitment`] if the equation does not hold.
pub fn check_sum(
    generators: &Generators,
    shape: &Shape,
    opened: &OpenedSum,
    commitments: &[RistrettoPoint],
    set: &Digest,
) -> Result<(), SumError> {
    expect_length("rows", shape.rows(), opened.totals.len())?;
    expect_length("blindings", shape.rows(), opened.blindings.len())?;
    expect_length("commitments", shape.rows(), commitments.len())?;
    expect_length("generators", shape.width(), generators.columns())?;
    opened.totals.iter().try_for_each(|row| expect_length("columns", shape.width(), row.len()))?;

    let mut input = set.to_vec();
    opened.encode(&mut input);
    let mut stream = Stream::new(domain::SUM_CHECK, &input);
    let weights: Vec<_> = commitments.iter().map(|_| stream.next_weight()).collect();
    let mut columns = vec![Scalar::ZERO; shape.width()];
    for (row, weight) in opened.totals.iter().zip(&weights) {
        columns.iter_mut().zip(row).for_each(|(sum, total)| *sum += weight * signed(*total));
    }
    let blinding: Scalar = opened.blindings.iter().zip(&weights).map(|(blinding, weight)| blinding * weight).sum();
    let scalars = columns.into_iter().chain([blinding]).chain(weights.into_iter().map(|weight| -weight));
    let blinding_base = Base::Blinding.point();
    let points = generators.column_points().iter().chain([&blinding_base]).chain(commitments);
    if is_identity(&RistrettoPoint::vartime_multiscalar_mul(scalars, points)) {
        Ok(())
    } else {
        Err(SumError::Commitment)
    }
}

/// Returns the scalar of a signed integer.
pub(super) fn signed(value: i64) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
