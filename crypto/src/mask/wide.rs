//! Random folds at the price of one modular reduction per 32 products.
//!
//! `Scalar` multiplication reduces every product; a fold only needs its sum. Products of reduced scalars are below
//! 2^505, so 128 of them fit 512 bits, and dalek reduces that once. Constant time: no branch or index depends on a
//! value.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

/// The most products of two scalars below ℓ < 2^252.5 that fit 512 bits.
const MOST: usize = 1 << 7;

/// Products per reduction. More powers than this cost more than they save.
const BLOCK: usize = 32;
const _: () = assert!(BLOCK <= MOST);

/// The unreduced sum of at most [`MOST`] products of two reduced scalars.
#[derive(Clone, Copy)]
struct Products([u64; 8]);

impl Products {
    /// Adds `a·b`.
    #[inline]
    fn add(&mut self, a: &[u64; 4], b: &[u64; 4]) {
        for (i, x) in a.iter().enumerate() {
            let mut carry = 0;
            for (j, y) in b.iter().enumerate() {
                // (2^64 − 1)² + 2·(2^64 − 1) = 2^128 − 1
                let sum = u128::from(*x) * u128::from(*y) + u128::from(self.0[i + j]) + carry;
                self.0[i + j] = low(sum);
                carry = sum >> 64;
            }
            for limb in &mut self.0[i + 4..] {
                let sum = u128::from(*limb) + carry;
                *limb = low(sum);
                carry = sum >> 64;
            }
        }
    }

    fn reduce(&self) -> Scalar {
        let mut bytes = [0; 64];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(&self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        Scalar::from_bytes_mod_order_wide(&bytes)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
#[inline]
fn low(sum: u128) -> u64 {
    sum as u64
}

/// The integer below ℓ that a scalar stands for, least significant limb first.
#[inline]
pub(super) fn limbs(scalar: &Scalar) -> [u64; 4] {
    let bytes = scalar.as_bytes();
    core::array::from_fn(|index| {
        let mut limb = [0; 8];
        limb.copy_from_slice(&bytes[8 * index..8 * index + 8]);
        u64::from_le_bytes(limb)
    })
}

/// The powers of one challenge.
pub(crate) struct Powers {
    /// γ^0..γ^(BLOCK−1).
    low: [[u64; 4]; BLOCK],
    /// γ^BLOCK.
    step: Scalar,
}

impl Powers {
    /// Computes the powers of a public challenge.
    pub(crate) fn new(gamma: &Scalar) -> Self {
        let mut power = Scalar::ONE;
        let low = core::array::from_fn(|_| {
            let limbs = limbs(&power);
            power *= gamma;
            limbs
        });
        Self { low, step: power }
    }

    /// Returns `Σ_r γ^r · row_r` for rows of `packed` scalars each: Horner's rule by blocks from the last.
    pub(crate) fn fold(&self, rows: &[Scalar], packed: usize) -> Vec<Scalar> {
        let mut sums = vec![Scalar::ZERO; packed];
        let mut products = Zeroizing::new(vec![[0u64; 8]; packed]);
        for block in rows.chunks(BLOCK * packed).rev() {
            products.fill([0; 8]);
            for (row, power) in block.chunks_exact(packed).zip(&self.low) {
                for (product, value) in products.iter_mut().zip(row) {
                    let mut sum = Products(*product);
                    sum.add(&limbs(value), power);
                    *product = sum.0;
                }
            }
            for (sum, product) in sums.iter_mut().zip(products.iter()) {
                *sum = *sum * self.step + Products(*product).reduce();
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_of_the_largest_products_as_are_allowed_do_not_overflow() {
        let largest = limbs(&-Scalar::ONE);
        let mut products = Products([0; 8]);
        for count in 1..=MOST {
            products.add(&largest, &largest);
            assert_eq!(products.reduce(), Scalar::from(count as u64));
        }
    }
}
