//! The pseudorandom generators: from a seed to the mask of a whole matrix, and its random folds.
//!
//! ChaCha20 keyed by `H(label, σ_T ‖ context ‖ T)`. Values and blindings have a label, hence a key and a stream, each:
//!
//! - a *value* is 32 bytes of keystream, read as a little-endian integer without its top four bits. As
//!   `ℓ = 2^252 + 2^124.6…`, a uniform number below 2^252 is within `1 − 2^252/ℓ < 2^-127` of a uniform one mod ℓ, and no
//!   reduction is needed: values are the limbs of what they are, and half as many bytes are expanded;
//! - a *blinding* is 64 bytes, reduced mod ℓ: uniform up to 2^-256. There are few of them.
//!
//! ChaCha20 rather than BLAKE3's output stream: it is vectorised over blocks on every processor, and expansion is what
//! operators do most.

use core::fmt;

use chacha20::{ChaCha20, KeyIvInit as _, Nonce, cipher::StreamCipher as _};
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::{
    domain::{self, Domain},
    field::Field,
    mask::{
        Context, MaskSum, Seed, Shape, Subset,
        seed::seed_input,
        shape::MAX_COLUMNS,
        wide::{RowFold, fold},
    },
    wire_struct,
};

/// Values per refill: 4 KiB of keystream, 64 ChaCha blocks, so that the vectorised back-ends run at full width and what
/// was expanded is used before it leaves the first cache.
const BATCH: usize = 128;

/// A secret pseudorandom stream.
pub(super) struct Keystream(ChaCha20);

impl Keystream {
    /// Starts the stream of `H(domain, input)`.
    pub(super) fn new(domain: Domain, input: &[u8]) -> Self {
        let key = Zeroizing::new(blake3::derive_key(domain.as_str(), input));
        // Each key encrypts one stream, so the nonce says nothing.
        Self(ChaCha20::new((&*key).into(), &Nonce::default()))
    }

    pub(super) fn fill(&mut self, out: &mut [u8]) {
        self.0.write_keystream(out);
    }

    pub(super) fn next_scalar(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.fill(&mut wide);
        let scalar = Scalar::from_bytes_mod_order_wide(&wide);
        wide.zeroize();
        scalar
    }

    /// Hands out the next `count` values, unscaled, in pieces.
    fn for_each_piece(&mut self, mut count: usize, mut visit: impl FnMut(&[Field])) {
        let mut bytes = Zeroizing::new([[0; 32]; BATCH]);
        let mut values = Zeroizing::new([Field::ZERO; BATCH]);
        while count > 0 {
            let piece = BATCH.min(count);
            let bytes = &mut bytes[..piece];
            self.fill(bytes.as_flattened_mut());
            values.iter_mut().zip(bytes).for_each(|(value, bytes)| *value = Field::unscaled_bits(bytes));
            visit(&values[..piece]);
            count -= piece;
        }
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystream").finish_non_exhaustive()
    }
}

/// `PRG(σ_T)` and `PRG_ρ(σ_T)` of one seed, expanded each time they are used and never held whole: what masks of large
/// matrices are computed with. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct Mask {
    input: Zeroizing<[u8; 65]>,
    #[zeroize(skip)]
    shape: Shape,
}

impl Mask {
    /// Names the mask of a seed.
    pub fn new(seed: &Seed, context: &Context, subset: Subset, shape: &Shape) -> Self {
        Self { input: seed_input(context, subset, seed), shape: *shape }
    }

    /// Returns `Σ_r γ^r · row_r` over rows 0..=D, of values and of blindings. Constant time.
    pub fn fold(&self, gamma: &Scalar) -> Fold {
        let mut values = RowFold::new(gamma, self.shape.packed());
        self.for_each_piece(|piece| values.extend(piece));
        self.finish(gamma, values)
    }

    /// Returns [`fold`](Self::fold) and adds the mask to a sum over the same shape, in one expansion. Constant time.
    ///
    /// # Panics
    ///
    /// Panics if the sum is of another shape.
    pub fn fold_and_add(&self, gamma: &Scalar, sum: &mut MaskSum) -> Fold {
        let mut values = RowFold::new(gamma, self.shape.packed());
        let mut place = sum.adder(&self.shape);
        self.for_each_piece(|piece| {
            values.extend(piece);
            place.add(piece);
        });
        sum.add_blindings(&self.blindings());
        self.finish(gamma, values)
    }

    /// Hands out the values of all rows, row 0 first, in pieces.
    pub(super) fn for_each_piece(&self, visit: impl FnMut(&[Field])) {
        Keystream::new(domain::MASK_KEY, self.input.as_ref()).for_each_piece(self.shape.scalars(), visit);
    }

    /// Returns the blindings of rows 0..=D.
    pub(super) fn blindings(&self) -> Zeroizing<Vec<Scalar>> {
        let mut stream = Keystream::new(domain::MASK_BLINDING_KEY, self.input.as_ref());
        Zeroizing::new((0..=self.shape.rows()).map(|_| stream.next_scalar()).collect())
    }

    /// Returns the shape.
    pub(super) const fn shape(&self) -> &Shape {
        &self.shape
    }

    fn finish(&self, gamma: &Scalar, values: RowFold) -> Fold {
        let blinding = fold(gamma, &self.blindings(), 1).first().copied().unwrap_or_default();
        Fold { values: values.finish(), blinding }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// `PRG(σ_T)` and `PRG_ρ(σ_T)`: the values of one mask, row 0 first, and its blindings, held whole. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct Expansion {
    values: Vec<Scalar>,
    blindings: Vec<Scalar>,
    #[zeroize(skip)]
    packed: usize,
}

impl Expansion {
    /// Expands a seed.
    pub fn new(seed: &Seed, context: &Context, subset: Subset, shape: &Shape) -> Self {
        let mask = Mask::new(seed, context, subset, shape);
        let mut values = Vec::with_capacity(shape.scalars());
        mask.for_each_piece(|piece| values.extend(piece.iter().map(|value| value.into_unscaled())));
        Self { values, blindings: mask.blindings().to_vec(), packed: shape.packed() }
    }

    /// Returns the packed values of row `row`; row 0 is the mask of Y, row r the mask of data row r−1.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn values(&self, row: usize) -> &[Scalar] {
        &self.values[row * self.packed..(row + 1) * self.packed]
    }

    /// Returns the part of row `row` in its blinding.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn blinding(&self, row: usize) -> Scalar {
        self.blindings[row]
    }

    /// Returns the values of all rows, row 0 first.
    pub(super) fn all_values(&self) -> &[Scalar] {
        &self.values
    }

    /// Returns the blindings of all rows, row 0 first.
    pub(super) fn all_blindings(&self) -> &[Scalar] {
        &self.blindings
    }

    /// Returns `Σ_r γ^r · row_r` over rows 0..=D, of values and of blindings.
    pub fn fold(&self, gamma: &Scalar) -> Fold {
        let blinding = fold(gamma, &self.blindings, 1).first().copied().unwrap_or_default();
        Fold { values: fold(gamma, &self.values, self.packed), blinding }
    }

    /// Returns `Σ c_r · row` over pairs of a *data* row (0-based, so data row r is row r+1) and its coefficient.
    ///
    /// # Panics
    ///
    /// Panics if there is no such data row: the functional is the operator's own, from the log.
    pub fn functional(&self, coefficients: &[(u32, Scalar)]) -> Fold {
        let mut fold = Fold { values: vec![Scalar::ZERO; self.packed], blinding: Scalar::ZERO };
        for (row, coefficient) in coefficients {
            let row = 1 + *row as usize;
            for (sum, value) in fold.values.iter_mut().zip(self.values(row)) {
                *sum += coefficient * value;
            }
            fold.blinding += coefficient * self.blinding(row);
        }
        fold
    }
}

impl fmt::Debug for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expansion").finish_non_exhaustive()
    }
}

/// A linear combination of the rows of one mask: packed values and the blinding that belongs to them.
///
/// Public once made: the fold of a link is hidden by row 0, a functional is what the log says to open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fold {
    /// One scalar per packed column.
    pub values: Vec<Scalar>,
    /// The same combination of the blindings.
    pub blinding: Scalar,
}
wire_struct!(Fold { values[MAX_COLUMNS as usize], blinding });
