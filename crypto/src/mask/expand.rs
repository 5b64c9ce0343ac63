//! The pseudorandom generators: from a seed to the mask of a whole matrix, and its random folds.
//!
//! ChaCha20 keyed by `H(label, σ_T ‖ context ‖ T)`, 64 bytes of keystream to a scalar, reduced mod ℓ: uniform up to
//! 2^-256. Values and blindings have a label, hence a key and a stream, each. ChaCha20 rather than BLAKE3's output
//! stream: it is vectorised over blocks on every processor, and expansion is what operators do most.

use core::fmt;

use chacha20::{ChaCha20, KeyIvInit as _, Nonce, cipher::StreamCipher as _};
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::{
    domain::{self, Domain},
    mask::{Context, Seed, Shape, Subset, seed::seed_input, shape::MAX_COLUMNS, wide::Powers},
    wire_struct,
};

/// Scalars per refill: 2 KiB of keystream, 32 ChaCha blocks, so that the vectorised back-ends run at full width.
const BATCH: usize = 32;

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
        out.fill(0);
        self.0.apply_keystream(out);
    }

    pub(super) fn next_scalar(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.fill(&mut wide);
        let scalar = Scalar::from_bytes_mod_order_wide(&wide);
        wide.zeroize();
        scalar
    }

    /// Returns the next `count` scalars.
    fn scalars(&mut self, count: usize) -> Vec<Scalar> {
        let mut scalars = Vec::with_capacity(count);
        let mut wide = [[0; 64]; BATCH];
        while scalars.len() < count {
            let batch = BATCH.min(count - scalars.len());
            let wide = &mut wide[..batch];
            self.fill(wide.as_flattened_mut());
            scalars.extend(wide.iter().map(Scalar::from_bytes_mod_order_wide));
        }
        wide.zeroize();
        scalars
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystream").finish_non_exhaustive()
    }
}

/// `PRG(σ_T)` and `PRG_ρ(σ_T)`: the values of one mask, row 0 first, and its blindings. Wiped on drop.
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
        let input = seed_input(context, subset, seed);
        Self {
            values: Keystream::new(domain::MASK_KEY, input.as_ref()).scalars(shape.scalars()),
            blindings: Keystream::new(domain::MASK_BLINDING_KEY, input.as_ref()).scalars(1 + shape.rows()),
            packed: shape.packed(),
        }
    }

    /// Expands the blindings only: 1 + D scalars.
    pub(super) fn blindings_only(seed: &Seed, context: &Context, subset: Subset, shape: &Shape) -> Vec<Scalar> {
        let input = seed_input(context, subset, seed);
        Keystream::new(domain::MASK_BLINDING_KEY, input.as_ref()).scalars(1 + shape.rows())
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
        let powers = Powers::new(gamma);
        let blinding = powers.fold(&self.blindings, 1).first().copied().unwrap_or_default();
        Fold { values: powers.fold(&self.values, self.packed), blinding }
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
