//! The contributor's side: fresh seeds, the row commitments they blind and the masked vector.

use core::fmt;

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar, traits::Identity as _};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::{Encode as _, put_count},
    domain,
    field::Field,
    group::{Generators, Point},
    hash::{Digest, Hasher},
    mask::{Committee, Context, Fold, Mask, Seed, Shape, Subset, pack, seed_digest},
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

/// What can be masked: data rows, whatever their entries are stored as.
pub trait Data {
    /// Returns whether these are the rows and columns of the shape.
    fn fits(&self, shape: &Shape) -> bool;

    /// Returns the data rows packed, row-major.
    fn pack(&self, shape: &Shape) -> Vec<Scalar>;

    /// Returns `Σ_{r=1..D} γ^r·U_r`, one scalar per column.
    fn fold(&self, gamma: &Scalar) -> Vec<Scalar>;
}

impl Data for [Vec<Scalar>] {
    fn fits(&self, shape: &Shape) -> bool {
        self.len() == shape.rows() && self.iter().all(|row| row.len() == shape.width())
    }

    fn pack(&self, shape: &Shape) -> Vec<Scalar> {
        // Room for all at once: a vector that grows leaves what it held behind.
        let mut packed = Vec::with_capacity(shape.packed() * self.len());
        self.iter().for_each(|row| packed.extend_from_slice(&Zeroizing::new(pack(shape, row))));
        packed
    }

    fn fold(&self, gamma: &Scalar) -> Vec<Scalar> {
        let mut sums = vec![Scalar::ZERO; self.first().map_or(0, Vec::len)];
        for row in self.iter().rev() {
            sums.iter_mut().zip(row).for_each(|(sum, entry)| *sum = (*sum + entry) * gamma);
        }
        sums
    }
}

impl Data for Vec<Vec<Scalar>> {
    fn fits(&self, shape: &Shape) -> bool {
        self.as_slice().fits(shape)
    }

    fn pack(&self, shape: &Shape) -> Vec<Scalar> {
        self.as_slice().pack(shape)
    }

    fn fold(&self, gamma: &Scalar) -> Vec<Scalar> {
        self.as_slice().fold(gamma)
    }
}

impl Masking {
    /// Draws a seed for every T, and Y.
    pub fn new(committee: &Committee, shape: &Shape, context: &Context, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let subsets = committee.subsets();
        let seeds: Vec<_> = subsets.iter().map(|_| Seed::random(rng)).collect();
        let mut blindings = vec![Scalar::ZERO; 1 + shape.rows()];
        for (subset, seed) in subsets.iter().zip(&seeds) {
            let parts = Mask::new(seed, context, *subset, shape).blindings();
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
    /// Constant time in the data, but for whether a matrix of one column consists of bits alone, as a ballot does.
    ///
    /// # Panics
    ///
    /// Panics unless `data` has the rows and columns of the shape, and `generators` the columns.
    pub fn commit_and_mask(&self, generators: &Generators, data: &[Vec<Scalar>]) -> (Vec<Point>, Vec<Scalar>) {
        assert_eq!(generators.columns(), self.shape.width(), "one generator per column");
        let masked = self.mask(data);
        (self.commit(generators, data), masked)
    }

    /// Returns the masked vector E, row-major, of data that is committed to elsewhere with [`data_blindings`] and
    /// [`commit_mask_row`]. Constant time in the data.
    ///
    /// # Panics
    ///
    /// Panics unless `data` has the rows and columns of the shape.
    ///
    /// [`data_blindings`]: Self::data_blindings
    /// [`commit_mask_row`]: Self::commit_mask_row
    pub fn mask(&self, data: &(impl Data + ?Sized)) -> Vec<Scalar> {
        self.assert_shape(data);
        let first = Zeroizing::new(pack(&self.shape, &self.mask_row));
        let rest = Zeroizing::new(data.pack(&self.shape));
        let mut masked: Vec<_> = first.iter().chain(rest.iter()).map(Field::unscaled).collect();
        // One seed at a time, in pieces: all masks of a large matrix at once would be many times its size.
        for mask in self.masks() {
            let mut at = 0;
            mask.for_each_piece(|piece| {
                masked[at..].iter_mut().zip(piece).for_each(|(sum, value)| *sum -= *value);
                at += piece.len();
            });
        }
        masked.into_iter().map(Field::into_unscaled).collect()
    }

    /// Returns `C_0`, the commitment to Y. Constant time.
    ///
    /// # Panics
    ///
    /// Panics unless `generators` has the columns of the shape.
    pub fn commit_mask_row(&self, generators: &Generators) -> Point {
        assert_eq!(generators.columns(), self.shape.width(), "one generator per column");
        let blinding = self.blindings.first().expect("row 0 has a blinding");
        Point::from(generators.commit(&self.mask_row, blinding))
    }

    /// Commits to half of everything: twice a point is encoded without the square root that a point takes.
    fn commit(&self, generators: &Generators, data: &[Vec<Scalar>]) -> Vec<Point> {
        let half_row = |row: &[Scalar], blinding: &Scalar| {
            let half: Zeroizing<Vec<_>> = Zeroizing::new(row.iter().map(Scalar::div_by_2).collect());
            generators.commit(&half, &blinding.div_by_2())
        };
        let (first, blindings) = self.blindings.split_first().expect("row 0 has a blinding");
        let mut halves = vec![half_row(&self.mask_row, first)];
        match generators.column_points() {
            // Only whether *all* entries are bits decides, which the proof of a ballot says anyway.
            [column] if bool::from(all_bits(data)) => {
                let choices = [RistrettoPoint::identity(), column * Scalar::ONE.div_by_2()];
                halves.extend(data.iter().flatten().zip(blindings).map(|(bit, blinding)| {
                    let entry = RistrettoPoint::conditional_select(&choices[0], &choices[1], bit.ct_eq(&Scalar::ONE));
                    entry + generators.blind(&blinding.div_by_2())
                }));
            }
            _ => halves.extend(data.iter().zip(blindings).map(|(row, blinding)| half_row(row, blinding))),
        }
        let encodings = RistrettoPoint::double_and_compress_batch(&halves);
        encodings.into_iter().map(|encoding| Point::from(encoding.to_bytes())).collect()
    }

    /// Returns `Y + Σ_r γ^r · U_r`, one scalar per column.
    pub(crate) fn fold_data(&self, gamma: &Scalar, data: &(impl Data + ?Sized)) -> Vec<Scalar> {
        self.assert_shape(data);
        let sums = Zeroizing::new(data.fold(gamma));
        sums.iter().zip(&self.mask_row).map(|(sum, y)| sum + y).collect()
    }

    /// Returns the fold of every mask.
    pub(crate) fn folds(&self, gamma: &Scalar) -> Vec<Fold> {
        self.masks().map(|mask| mask.fold(gamma)).collect()
    }

    fn masks(&self) -> impl Iterator<Item = Mask> {
        let mask = |(subset, seed): (&Subset, &Seed)| Mask::new(seed, &self.context, *subset, &self.shape);
        self.subsets.iter().zip(&self.seeds).map(mask)
    }

    fn assert_shape(&self, data: &(impl Data + ?Sized)) {
        assert!(data.fits(&self.shape), "as many rows and columns as the shape says");
    }
}

impl fmt::Debug for Masking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masking").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// Returns, in constant time, whether all entries are 0 or 1.
fn all_bits(data: &[Vec<Scalar>]) -> Choice {
    let is_bit = |entry: &Scalar| entry.ct_eq(&Scalar::ZERO) | entry.ct_eq(&Scalar::ONE);
    data.iter().flatten().fold(Choice::from(1), |all, entry| all & is_bit(entry))
}

/// Returns `H(E)`, which the core of a contribution binds: the digest of the sequence of its scalars.
pub fn masked_digest(masked: &[Scalar]) -> Digest {
    const PIECE: usize = 512;
    let mut hasher = Hasher::new(domain::MASKED_DIGEST);
    let mut bytes = Vec::with_capacity(32 * PIECE);
    put_count(&mut bytes, masked.len());
    for piece in masked.chunks(PIECE) {
        piece.iter().for_each(|scalar| scalar.encode(&mut bytes));
        hasher.update(&bytes);
        bytes.clear();
    }
    hasher.update(&bytes);
    hasher.digest()
}
