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
    field::{Field, limbs},
    group::{Base, Generators, is_identity},
    hash::{Digest, Hasher},
    mask::{
        Expansion, Mask, Shape,
        shape::{MAX_COLUMNS, MAX_DATA_ROWS, MAX_SCALARS},
    },
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
    /// Unscaled.
    values: Vec<Field>,
    blindings: Vec<Scalar>,
}

impl MaskSum {
    /// Starts with nothing added.
    pub fn new(shape: &Shape) -> Self {
        Self { values: vec![Field::ZERO; shape.rows() * shape.packed()], blindings: vec![Scalar::ZERO; shape.rows()] }
    }

    /// Adds the mask of one contribution: as many data rows as the sum has, from the first on.
    ///
    /// # Panics
    ///
    /// Panics if it was expanded for fewer rows or for another width.
    pub fn add(&mut self, expansion: &Expansion) {
        let packed = self.values.len() / self.blindings.len();
        let values = expansion.all_values().get(packed..packed + self.values.len()).expect("at least as many rows");
        assert_eq!(packed * expansion.all_blindings().len(), expansion.all_values().len(), "rows of one width");
        self.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += Field::unscaled(value));
        self.add_blindings(expansion.all_blindings());
    }

    /// As [`add`](Self::add), expanding the mask on the way.
    ///
    /// # Panics
    ///
    /// Panics if the mask has fewer rows or another width.
    pub fn add_mask(&mut self, mask: &Mask) {
        let mut place = self.adder(mask.shape());
        mask.for_each_piece(|piece| place.add(piece));
        self.add_blindings(&mask.blindings());
    }

    /// Takes back a mask that was added: of a contribution that was refused after all, or that a later one replaces.
    ///
    /// # Panics
    ///
    /// As [`add_mask`](Self::add_mask).
    pub fn subtract_mask(&mut self, mask: &Mask) {
        let mut place = self.adder(mask.shape());
        mask.for_each_piece(|piece| place.subtract(piece));
        let blindings = mask.blindings();
        self.blindings.iter_mut().zip(blindings.iter().skip(1)).for_each(|(sum, term)| *sum -= term);
    }

    /// Adds the sum over a disjoint set of contributions.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if it has another shape.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumError> {
        expect_length("mask values", self.values.len(), other.values.len())?;
        expect_length("mask blindings", self.blindings.len(), other.blindings.len())?;
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += *value);
        self.blindings.iter_mut().zip(&other.blindings).for_each(|(sum, term)| *sum += term);
        Ok(())
    }

    /// Starts adding the values of a mask of a shape.
    pub(super) fn adder(&mut self, shape: &Shape) -> Adder<'_> {
        assert!(self.blindings.len() <= shape.rows(), "at least as many rows");
        assert_eq!(self.values.len(), self.blindings.len() * shape.packed(), "rows of one width");
        Adder { skip: shape.packed(), rest: &mut self.values }
    }

    /// Adds the blindings of a mask, that of row 0 first.
    pub(super) fn add_blindings(&mut self, blindings: &[Scalar]) {
        let blindings = blindings.get(1..=self.blindings.len()).expect("at least as many rows");
        self.blindings.iter_mut().zip(blindings).for_each(|(sum, term)| *sum += term);
    }
}

impl Encode for MaskSum {
    fn encode(&self, out: &mut Vec<u8>) {
        put_count(out, self.values.len());
        self.values.iter().for_each(|value| out.extend_from_slice(&value.unscaled_bytes()));
        put_seq(out, &self.blindings);
    }
}

impl Decode for MaskSum {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let values: Vec<Scalar> = input.seq(MAX_SCALARS)?;
        let values = values.iter().map(Field::unscaled).collect();
        Ok(Self { values, blindings: input.seq(MAX_DATA_ROWS as usize)? })
    }
}

/// Where in a sum the next values of a mask belong.
pub(super) struct Adder<'a> {
    /// Values of row 0 that are still to come, which is in no sum.
    skip: usize,
    rest: &'a mut [Field],
}

impl Adder<'_> {
    /// Adds the next values; those after the last row of the sum are dropped.
    pub(super) fn add(&mut self, piece: &[Field]) {
        self.zip(piece).for_each(|(sum, value)| *sum += *value);
    }

    fn subtract(&mut self, piece: &[Field]) {
        self.zip(piece).for_each(|(sum, value)| *sum -= *value);
    }

    fn zip<'p>(&mut self, piece: &'p [Field]) -> impl Iterator<Item = (&mut Field, &'p Field)> {
        let (skipped, piece) = piece.split_at(self.skip.min(piece.len()));
        self.skip -= skipped.len();
        let rest = core::mem::take(&mut self.rest);
        let (now, later) = rest.split_at_mut(piece.len().min(rest.len()));
        self.rest = later;
        now.iter_mut().zip(piece)
    }
}

/// `Σ_i E_i` over data rows, one contribution after the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MaskedSum {
    shape: Shape,
    /// Unscaled.
    values: Vec<Field>,
}

impl MaskedSum {
    /// Starts with nothing added.
    pub fn new(shape: &Shape) -> Self {
        Self { shape: *shape, values: vec![Field::ZERO; shape.rows() * shape.packed()] }
    }

    /// Adds a masked vector.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if the vector, row 0 included, has another length than the shape says.
    pub fn add(&mut self, masked: &[Scalar]) -> Result<(), SumError> {
        expect_length("masked vector", self.shape.scalars(), masked.len())?;
        let data = masked.iter().skip(self.shape.packed());
        self.values.iter_mut().zip(data).for_each(|(sum, value)| *sum += Field::unscaled(value));
        Ok(())
    }
}

/// Adds up masked vectors: `Σ_i E_i` over data rows.
///
/// # Errors
///
/// Returns [`SumError::Length`] if a vector, row 0 included, has another length than the shape says.
pub fn sum_masked<'a>(shape: &Shape, masked: impl IntoIterator<Item = &'a [Scalar]>) -> Result<Vec<Scalar>, SumError> {
    let mut sum = MaskedSum::new(shape);
    masked.into_iter().try_for_each(|vector| sum.add(vector))?;
    Ok(sum.values.into_iter().map(Field::into_unscaled).collect())
}

/// `Σ_i C_{i,r}` over data rows, one contribution after the other.
#[derive(Clone, Debug)]
pub struct CommitmentSum(Vec<RistrettoPoint>);

impl CommitmentSum {
    /// Starts with nothing added.
    pub fn new(shape: &Shape) -> Self {
        Self(vec![RistrettoPoint::identity(); shape.rows()])
    }

    /// Adds the commitments of the data rows of a contribution.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if there is another number of them.
    pub fn add(&mut self, commitments: &[RistrettoPoint]) -> Result<(), SumError> {
        expect_length("commitments", self.0.len(), commitments.len())?;
        self.0.iter_mut().zip(commitments).for_each(|(sum, commitment)| *sum += commitment);
        Ok(())
    }

    /// Adds what another sum has added.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if it is of another number of rows.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumError> {
        self.add(&other.0)
    }

    /// Returns the sums, one per data row.
    pub fn points(&self) -> &[RistrettoPoint] {
        &self.0
    }
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
    let mut sum = CommitmentSum::new(shape);
    contributions.into_iter().try_for_each(|commitments| sum.add(commitments))?;
    Ok(sum.0)
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

impl OpenedSum {
    /// Returns the hash of `set` and of the encoding, which is never held whole.
    fn hash(&self, set: &Digest) -> Hasher {
        let mut hasher = Hasher::new(domain::SUM_CHECK);
        let mut piece = set.to_vec();
        put_count(&mut piece, self.totals.len());
        for row in &self.totals {
            put_seq(&mut piece, row);
            hasher.update(&piece);
            piece.clear();
        }
        put_seq(&mut piece, &self.blindings);
        hasher.update(&piece);
        hasher
    }
}

impl Decode for OpenedSum {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rows = input.count(MAX_DATA_ROWS as usize)?;
        let totals = (0..rows).map(|_| input.seq(MAX_COLUMNS as usize)).collect::<Result<_, _>>()?;
        Ok(Self { totals, blindings: input.seq(MAX_DATA_ROWS as usize)? })
    }
}

/// The removal of masks from a sum of masked vectors, one T after the other: `ΣX = ΣE + Σ_T S_T`.
#[derive(Clone, Debug)]
pub struct Unmasking {
    shape: Shape,
    whole: MaskSum,
}

impl Unmasking {
    /// Starts with the sum of the masked vectors.
    pub fn new(masked: MaskedSum) -> Self {
        let blindings = vec![Scalar::ZERO; masked.shape.rows()];
        Self { shape: masked.shape, whole: MaskSum { values: masked.values, blindings } }
    }

    /// Removes the masks of one T: `sum` is over exactly the contributions whose masked vectors were summed.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] if it has another shape.
    pub fn remove(&mut self, sum: &MaskSum) -> Result<(), SumError> {
        self.whole.merge(sum)
    }

    /// Unpacks the sum, after the masks of every T were removed. Says nothing about truth; [`check_sum`] does.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::OutOfRange`] if an entry does not fit its lane, which is what a missing or wrong part looks
    /// like.
    pub fn finish(self) -> Result<OpenedSum, SumError> {
        let unpack = |(row, packed): (usize, &[Field])| {
            let packed: Vec<_> = packed.iter().map(|value| value.into_unscaled()).collect();
            self.shape.unpack(&packed).ok_or(SumError::OutOfRange { row })
        };
        let rows = self.whole.values.chunks_exact(self.shape.packed());
        Ok(OpenedSum {
            totals: rows.enumerate().map(unpack).collect::<Result<_, _>>()?,
            blindings: self.whole.blindings,
        })
    }
}

/// Removes the masks from a sum of masked vectors: `ΣX = ΣE + Σ_T S_T`, unpacked. [`Unmasking`] in one call.
///
/// `masked_sum` is [`sum_masked`] over exactly the contributions that every one of `mask_sums`, one per T, is over.
///
/// # Errors
///
/// Returns [`SumError::Length`] for parts of another shape and [`SumError::OutOfRange`] if an entry does not fit its
/// lane, which is what a missing or wrong part looks like.
pub fn open(shape: &Shape, masked_sum: &[Scalar], mask_sums: &[MaskSum]) -> Result<OpenedSum, SumError> {
    expect_length("masked sum", shape.rows() * shape.packed(), masked_sum.len())?;
    let values = masked_sum.iter().map(Field::unscaled).collect();
    let mut unmasking = Unmasking::new(MaskedSum { shape: *shape, values });
    mask_sums.iter().try_for_each(|part| unmasking.remove(part))?;
    unmasking.finish()
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

    let mut stream = opened.hash(set).stream();
    let weights: Vec<_> = commitments.iter().map(|_| stream.next_weight()).collect();
    let columns = combine_totals(&opened.totals, &weights, shape.width());
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

/// Returns `Σ_r weights_r·totals_r` for weights below 2^128, as sums of integers: a weight has four digits of 32 bits, and
/// the products of a digit with at most 2^14 totals of 63 bits stay below 2^109.
fn combine_totals(totals: &[Vec<i64>], weights: &[Scalar], width: usize) -> Vec<Scalar> {
    let mut sums = vec![[0i128; 4]; width];
    for (row, weight) in totals.iter().zip(weights) {
        let [low, high, ..] = limbs(weight.as_bytes());
        let digits = [low & 0xFFFF_FFFF, low >> 32, high & 0xFFFF_FFFF, high >> 32].map(u64::cast_signed);
        for (sum, total) in sums.iter_mut().zip(row) {
            for (sum, digit) in sum.iter_mut().zip(digits) {
                *sum += i128::from(digit) * i128::from(*total);
            }
        }
    }
    let unit = Field::from(1i64 << 32);
    let whole = |sum: &[i128; 4]| sum.iter().rev().fold(Field::ZERO, |whole, digit| whole * unit + Field::from(*digit));
    sums.iter().map(|sum| whole(sum).into()).collect()
}

/// Returns the scalar of a signed integer.
pub(super) fn signed(value: i64) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value.is_negative() { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
