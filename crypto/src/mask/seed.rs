//! Seeds, the digests that commit to them, and the key that the holders of one set share.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::put_bytes,
    domain::{self, Domain},
    hash::{self, Digest},
    mask::{Subset, expand::Keystream},
};

/// What a contribution belongs to: the digest of (community, round, tag, sequence number), computed by the caller.
///
/// No two contributions share a context, so one seed under two contexts gives unrelated masks.
pub type Context = Digest;

/// A seed σ_T: with all seeds of a contribution, its contents.
///
/// Not `Clone`: an operator that stores or forwards a seed says so by [`expose`](Self::expose).
#[derive(ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The length of a seed in bytes.
    pub const LEN: usize = 32;

    /// Draws a fresh seed.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Self([0; 32]);
        rng.fill_bytes(&mut seed.0);
        seed
    }

    /// Returns the seed that a box held.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Returns the bytes, to be sealed to an operator or kept in its journal.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Seed {}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}

/// `seed ‖ context ‖ T`: what everything derived from a seed is derived from.
pub(super) fn seed_input(context: &Context, subset: Subset, seed: &Seed) -> Zeroizing<[u8; 65]> {
    use crate::codec::Encode as _;
    let mut input = Zeroizing::new([0; 65]);
    input[..32].copy_from_slice(&seed.0);
    input[32..64].copy_from_slice(context);
    input[64..].copy_from_slice(&subset.to_bytes());
    input
}

/// Returns `h_T = H(context, T, σ_T)`, the public commitment to a seed.
///
/// Hiding because a seed has 256 bits of entropy, binding because BLAKE3 resists collisions.
pub fn seed_digest(context: &Context, subset: Subset, seed: &Seed) -> Digest {
    hash::digest_bytes(domain::SEED_DIGEST, seed_input(context, subset, seed).as_ref())
}

/// `K_T`: a key that exactly the holders of T know, and that depends on every seed of a sealed set.
///
/// `K_T = H(length of context ‖ context ‖ σ_{T,i} for all i in set order)`. The context names community, round and
/// sealed set. An operator in T misses every one of these seeds, and one honest contribution is enough to keep the key
/// from it.
#[derive(ZeroizeOnDrop)]
pub struct SetKey([u8; 32]);

impl SetKey {
    /// Derives the key from the seeds of one T, in the order of the sealed set.
    pub fn new<'a>(context: &[u8], seeds: impl IntoIterator<Item = &'a Seed>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain::SET_KEY.as_str());
        let mut prefix = Vec::new();
        put_bytes(&mut prefix, context);
        hasher.update(&prefix);
        for seed in seeds {
            hasher.update(&seed.0);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Starts the pseudorandom stream under `label`; streams of different labels are unrelated.
    pub fn scalars(&self, label: &[u8]) -> SetStream {
        self.stream_of(domain::SET_PRF, label)
    }

    /// Starts the stream under `label` of one use of the key.
    pub(super) fn stream_of(&self, domain: Domain, label: &[u8]) -> SetStream {
        let mut input = Zeroizing::new(Vec::with_capacity(32 + label.len()));
        input.extend_from_slice(&self.0);
        input.extend_from_slice(label);
        SetStream(Keystream::new(domain, &input))
    }
}

impl fmt::Debug for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetKey").finish_non_exhaustive()
    }
}

/// A pseudorandom stream that the holders of one T share.
#[derive(Debug)]
pub struct SetStream(Keystream);

impl SetStream {
    /// Returns a scalar, uniform up to 2^-256.
    pub fn next_scalar(&mut self) -> Scalar {
        self.0.next_scalar()
    }

    /// Returns an integer uniform in −a..=a, by rejection.
    ///
    /// The running time depends on the candidates rejected, which are independent of the one returned.
    ///
    /// # Panics
    ///
    /// Panics if `bound` is over `i64::MAX`.
    pub fn next_within(&mut self, bound: u64) -> i64 {
        let offset = i64::try_from(bound).expect("the bound of a noise term fits 63 bits");
        let largest = 2 * bound;
        let mask = (largest + 1).checked_next_power_of_two().map_or(u64::MAX, |power| power - 1);
        loop {
            let mut bytes = [0; 8];
            self.0.fill(&mut bytes);
            let candidate = u64::from_le_bytes(bytes) & mask;
            bytes.zeroize();
            if candidate <= largest {
                return (i128::from(candidate) - i128::from(offset)).try_into().expect("|candidate − a| ≤ a");
            }
        }
    }
}
