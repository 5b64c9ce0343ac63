//! Ristretto255 points on the wire, and the generators of Pedersen commitments.
//!
//! Every generator is hashed to the group from a label of [`domain`], so nobody knows a relation
//! between two of them: commitments bind under the discrete-logarithm assumption, and no party had to be trusted to
//! forget a trapdoor.

use core::fmt;
use std::{
    collections::BTreeMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use curve25519_dalek::{
    ristretto::{CompressedRistretto, RistrettoBasepointTable, RistrettoPoint},
    scalar::Scalar,
    traits::{Identity as _, MultiscalarMul as _},
};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    domain,
    hash::{Digest, to_group},
    mask::MAX_COLUMNS,
};

/// Bytes do not encode a point of the group, or encode the identity where it is not allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PointError {
    /// Not the canonical encoding of a group element.
    #[error("not a canonical Ristretto encoding")]
    Invalid,
    /// The identity, where a proof would say nothing about it.
    #[error("the identity point is not allowed here")]
    Identity,
}

/// A group element in its 32-byte encoding, as it travels. Not yet known to be valid.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Point([u8; 32]);

impl Point {
    /// Returns the group element.
    ///
    /// # Errors
    ///
    /// Returns [`PointError::Invalid`] unless the bytes are the canonical encoding of one.
    pub fn decompress(&self) -> Result<RistrettoPoint, PointError> {
        CompressedRistretto(self.0).decompress().ok_or(PointError::Invalid)
    }

    /// Returns the group element, which must not be the identity.
    ///
    /// # Errors
    ///
    /// As [`decompress`](Self::decompress), and [`PointError::Identity`] for the identity.
    pub fn decompress_non_identity(&self) -> Result<RistrettoPoint, PointError> {
        if self.0 == [0; 32] { Err(PointError::Identity) } else { self.decompress() }
    }

    /// Returns the encoding.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Point {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<RistrettoPoint> for Point {
    fn from(point: RistrettoPoint) -> Self {
        Self(point.compress().to_bytes())
    }
}

impl Encode for Point {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Point {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Point({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A generator that everybody knows; batch verification adds up the coefficients of equal ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Base {
    /// `G_c`: the generator of column c of a committed matrix.
    Column(u32),
    /// `B'`: the blinding base of a committed matrix.
    Blinding,
    /// `J`: the base of the inner product while a vector is folded.
    InnerProduct,
    /// `G₀`: the base of a leaf's secret.
    LeafSecret,
    /// `A_j`: the base of attribute slot j of a leaf.
    LeafAttribute(u8),
    /// `H`: the blinding base of a leaf.
    LeafBlinding,
    /// `D_i`: the generator of entry i of the digit matrix of a one-out-of-many proof.
    RingDigit(u16),
    /// `H2G(scope)`: the base of the tags of a scope.
    Scope(Digest),
}

/// How many attribute bases and digit generators are kept: a leaf has four slots, the largest digit matrix 32 entries.
const KEPT: (u8, u16) = (4, 32);

/// The bases that are derived once per process, with their points.
static FIXED: LazyLock<BTreeMap<Base, RistrettoPoint>> = LazyLock::new(|| {
    let attributes = (0..KEPT.0).map(Base::LeafAttribute);
    let digits = (0..KEPT.1).map(Base::RingDigit);
    let single = [Base::Column(0), Base::Blinding, Base::InnerProduct, Base::LeafSecret, Base::LeafBlinding];
    single.into_iter().chain(attributes).chain(digits).map(|base| (base, base.derive())).collect()
});

/// Returns the generator of a column, which a batch asks for once per column and verification.
fn column_point(column: u32) -> RistrettoPoint {
    static COLUMNS: RwLock<Vec<RistrettoPoint>> = RwLock::new(Vec::new());
    let index = column as usize;
    let kept = |columns: &[RistrettoPoint]| columns.get(index).copied();
    // Points are appended one by one, so that a panic elsewhere leaves nothing half done behind.
    if let Some(point) = kept(&COLUMNS.read().unwrap_or_else(PoisonError::into_inner)) {
        return point;
    }
    let mut columns = COLUMNS.write().unwrap_or_else(PoisonError::into_inner);
    for missing in (0..=column).skip(columns.len()) {
        columns.push(Base::Column(missing).derive());
    }
    kept(&columns).expect("all columns up to this one were appended")
}

impl Base {
    /// Returns the generator. All but those of scopes, and of columns beyond [`MAX_COLUMNS`], are derived once per
    /// process.
    pub fn point(self) -> RistrettoPoint {
        match self {
            Self::Column(column @ 1..MAX_COLUMNS) => column_point(column),
            _ => FIXED.get(&self).copied().unwrap_or_else(|| self.derive()),
        }
    }

    /// Hashes to the generator.
    fn derive(self) -> RistrettoPoint {
        match self {
            Self::Column(column) => to_group(domain::GENERATOR_COLUMN, &column.to_be_bytes()),
            Self::InnerProduct => to_group(domain::GENERATOR_INNER_PRODUCT, &[]),
            Self::Blinding => to_group(domain::GENERATOR_BLINDING, &[]),
            Self::LeafSecret => to_group(domain::GENERATOR_LEAF_SECRET, &[]),
            Self::LeafAttribute(slot) => to_group(domain::GENERATOR_LEAF_ATTRIBUTE, &[slot]),
            Self::LeafBlinding => to_group(domain::GENERATOR_LEAF_BLINDING, &[]),
            Self::RingDigit(entry) => to_group(domain::GENERATOR_RING_DIGIT, &entry.to_be_bytes()),
            Self::Scope(scope) => to_group(domain::GENERATOR_SCOPE, &scope),
        }
    }
}

/// The generators of matrices with C columns: `Com(u; ρ) = Σ_c u_c·G_c + ρ·B'`.
pub struct Generators {
    columns: Vec<RistrettoPoint>,
    first: RistrettoBasepointTable,
    blinding: RistrettoBasepointTable,
}

impl Generators {
    /// Derives the generators of `columns` ≥ 1 columns.
    pub fn new(columns: u32) -> Self {
        Self {
            columns: (0..columns).map(|column| Base::Column(column).point()).collect(),
            first: RistrettoBasepointTable::create(&Base::Column(0).point()),
            blinding: RistrettoBasepointTable::create(&Base::Blinding.point()),
        }
    }

    /// Returns the generators of single-column matrices (ballots), derived once per process.
    pub fn single() -> &'static Self {
        static SINGLE: LazyLock<Generators> = LazyLock::new(|| Generators::new(1));
        &SINGLE
    }

    /// Returns the number of columns C.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Returns `G_c` for every column.
    pub fn column_points(&self) -> &[RistrettoPoint] {
        &self.columns
    }

    /// Commits to one row: `Σ_c values_c·G_c + blinding·B'`. Constant time in its arguments.
    ///
    /// # Panics
    ///
    /// Panics if there are more values than columns.
    pub fn commit(&self, values: &[Scalar], blinding: &Scalar) -> RistrettoPoint {
        assert!(values.len() <= self.columns.len(), "a row has at most one value per column");
        let hidden = &self.blinding * blinding;
        match values {
            [] => hidden,
            [value] => &self.first * value + hidden,
            _ => RistrettoPoint::multiscalar_mul(values, self.columns.iter().take(values.len())) + hidden,
        }
    }

    /// Returns `blinding·B'`. Constant time.
    pub fn blind(&self, blinding: &Scalar) -> RistrettoPoint {
        &self.blinding * blinding
    }
}

impl fmt::Debug for Generators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generators").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

/// Returns whether `point` is the identity.
pub fn is_identity(point: &RistrettoPoint) -> bool {
    *point == RistrettoPoint::identity()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_additive_in_values_and_blindings() {
        let generators = Generators::new(3);
        let row = |seed: u64| [Scalar::from(seed), Scalar::from(seed + 1), Scalar::from(seed + 2)];
        let sum: Vec<_> = row(5).iter().zip(row(9)).map(|(a, b)| a + b).collect();

        let left = generators.commit(&row(5), &Scalar::from(3u8)) + generators.commit(&row(9), &Scalar::from(4u8));

        assert_eq!(left, generators.commit(&sum, &Scalar::from(7u8)));
        assert_eq!(
            Generators::single().commit(&[Scalar::from(2u8)], &Scalar::ONE),
            Base::Column(0).point() * Scalar::from(2u8) + Base::Blinding.point()
        );
    }

    #[test]
    fn a_kept_base_is_the_one_its_label_gives() {
        assert!(FIXED.iter().all(|(base, point)| *point == base.derive()));
        let distinct: std::collections::BTreeSet<_> = FIXED.values().map(|point| Point::from(*point)).collect();
        assert_eq!(distinct.len(), FIXED.len());
        assert_eq!(Base::RingDigit(KEPT.1).point(), Base::RingDigit(KEPT.1).derive());
        assert!([0, 1, 7, 3].into_iter().all(|column| Base::Column(column).point() == Base::Column(column).derive()));
        assert_ne!(Base::Scope([1; 32]).point(), Base::Scope([2; 32]).point());
    }

    #[test]
    fn invalid_and_identity_encodings_are_told_apart() {
        assert_eq!(Point::from([0; 32]).decompress_non_identity(), Err(PointError::Identity));
        assert!(Point::from([0; 32]).decompress().is_ok());
        assert_eq!(Point::from([0xFF; 32]).decompress(), Err(PointError::Invalid));
    }
}
