//! The contributor's side: fresh seeds, the row commitments they blind and the masked vector.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::put_seq,
    domain,
    group::{Generators, Point},
    hash::{self, Digest},
    mask::{Committee, Context, Expansion, Fold, Seed, Shape, Subset, pack, seed_digest},
};

/// The secrets of one contribution: σ_T for every T, the row Y and the blindings ρ_r. Wiped on drop.
///
/// # Security
///
/// For one contribution only: two matrices masked by one `Masking` differ by the difference of their published
/// vectors. A new attempt makes a new `Masking`; only identical bytes are ever sent twice. Seeds and Y come from `rng`
/// alone, which must be a cryptographic generator seeded by the operating system.
#[derive(ZeroizeOnDrop)]
pub struct Masking {
    #[zeroize(skip)]
    shape: Shape,
    #[zeroize(skip)]
    context: Context,
    #[zeroize(skip)]
    subsets: Vec<Subset>,
    seeds: Vec<Seed>,
    blindings: Vec<Scalar>,
    mask_row: Vec<Scalar>,
}

impl Masking {
    /// Draws a seed for every T, and Y.
    pub fn new(committee: &Committee, shape: &Shape, context: &Context, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let subsets = committee.subsets();
        let seeds: Vec<_> = subsets.iter().map(|_| Seed::random(rng)).collect();
        let mut blindings = vec![Scalar::ZERO; 1 + shape.rows()];
        for (subset, seed) in subsets.iter().zip(&seeds) {
            let parts = Zeroizing::new(Expansion::blindings_only(seed, context, *subset, shape));
            blindings.iter_mut().zip(parts.iter()).for_each(|(sum, part)| *sum += part);
        }
        let mask_row = (0..shape.columns).map(|_| Scalar::random(rng)).collect();
        Self { shape: *shape, context: *context, subsets, seeds, blindings, mask_row }
    }

    /// Returns the shape it was made for.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns `ρ_r = Σ_T PRG_ρ(σ_T)_r` for rows 0..=D.
    pub fn blindings(&self) -> &[Scalar] {
        &self.blindings
    }

    /// Returns the blindings of the data rows.
    pub fn data_blindings(&self) -> &[Scalar] {
        &self.blindings[1..]
    }

    /// Returns σ_T for every T, in the order of [`Committee::subsets`].
    pub fn seeds(&self) -> &[Seed] {
        &self.seeds
    }

    /// Returns `h_T` for every T.
    pub fn seed_digests(&self) -> Vec<Digest> {
        self.subsets.iter().zip(&self.seeds).map(|(subset, seed)| seed_digest(&self.context, *subset, seed)).collect()
    }

    /// Returns the commitments `C_0..=C_D` to Y and the data rows, and the masked vector E, row-major.
    ///
    /// Constant time in the data.
    ///
    /// # Panics
    ///
    /// Panics unless `data` has the rows and columns of the shape, and `generators` the columns.
    pub fn commit_and_mask(&self, generators: &Generators, data: &[Vec<Scalar>]) -> (Vec<Point>, Vec<Scalar>) {
        self.assert_shape(data);
        assert_eq!(generators.columns(), self.shape.width(), "one generator per column");
        let rows = || core::iter::once(&self.mask_row).chain(data);
        let commitments = rows().zip(&self.blindings).map(|(row, rho)| generators.commit(row, rho).into()).collect();
        let mut masked = Vec::with_capacity(self.shape.scalars());
        rows().for_each(|row| masked.extend(Zeroizing::new(pack(&self.shape, row)).iter()));
        for expansion in self.expansions() {
            masked.iter_mut().zip(expansion.all_values()).for_each(|(sum, mask)| *sum -= mask);
        }
        (commitments, masked)
    }

    /// Returns `Y + Σ_r γ^r · U_r`, one scalar per column.
    pub(crate) fn fold_data(&self, gamma: &Scalar, data: &[Vec<Scalar>]) -> Vec<Scalar> {
        self.assert_shape(data);
        let mut sums = Zeroizing::new(vec![Scalar::ZERO; self.shape.width()]);
        for row in data.iter().rev() {
            sums.iter_mut().zip(row).for_each(|(sum, entry)| *sum = (*sum + entry) * gamma);
        }
        sums.iter().zip(&self.mask_row).map(|(sum, y)| sum + y).collect()
    }

    /// Returns the fold of every mask.
    pub(crate) fn folds(&self, gamma: &Scalar) -> Vec<Fold> {
        self.expansions().map(|expansion| expansion.fold(gamma)).collect()
    }

    /// Expands one seed at a time: all masks of a large matrix at once would be many times its size.
    fn expansions(&self) -> impl Iterator<Item = Expansion> {
        let expand = |(subset, seed): (&Subset, &Seed)| Expansion::new(seed, &self.context, *subset, &self.shape);
        self.subsets.iter().zip(&self.seeds).map(expand)
    }

    fn assert_shape(&self, data: &[Vec<Scalar>]) {
        assert_eq!(data.len(), self.shape.rows(), "as many rows as the shape says");
        assert!(data.iter().all(|row| row.len() == self.shape.width()), "as many columns as the shape says");
    }
}

impl fmt::Debug for Masking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masking").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// Returns `H(E)`, which the core of a contribution binds.
pub fn masked_digest(masked: &[Scalar]) -> Digest {
    let mut bytes = Vec::with_capacity(4 + 32 * masked.len());
    put_seq(&mut bytes, masked);
    hash::digest_bytes(domain::MASKED_DIGEST, &bytes)
}
