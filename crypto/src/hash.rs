//! Domain-separated BLAKE3: digests of encodings, derived keys, and scalars from either.
//!
//! `H(domain, x)` is BLAKE3 in *derive-key* mode with the label as context: its first pass turns the label into a
//! chaining value, so that inputs under different labels never meet (BLAKE3 paper, §2.5).

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};

use crate::{codec::Encode, domain::Domain};

/// A 32-byte digest.
pub type Digest = [u8; 32];

/// Returns `H(domain, encoding of value)`.
pub fn digest(domain: Domain, value: &(impl Encode + ?Sized)) -> Digest {
    digest_bytes(domain, &value.to_bytes())
}

/// Returns `H(domain, bytes)`.
pub fn digest_bytes(domain: Domain, bytes: &[u8]) -> Digest {
    blake3::derive_key(domain.as_str(), bytes)
}

/// `H(domain, bytes)` of bytes that come in pieces: of what is too large to be encoded whole.
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts with no bytes.
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_derive_key(domain.as_str()))
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes.
    pub fn digest(&self) -> Digest {
        *self.0.finalize().as_bytes()
    }

    /// Returns the stream of all bytes.
    pub fn stream(&self) -> Stream {
        Stream(self.0.finalize_xof())
    }
}

impl core::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// An endless stream of bytes determined by a domain and its input.
pub struct Stream(blake3::OutputReader);

impl Stream {
    /// Starts the stream of `H(domain, bytes)`.
    pub fn new(domain: Domain, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(domain);
        hasher.update(bytes);
        hasher.stream()
    }

    /// Fills `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Returns a scalar, uniform up to 2^-256.
    pub fn next_scalar(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.fill(&mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }

    /// Returns a 128-bit scalar: the weight of one equation in a batch.
    pub fn next_weight(&mut self) -> Scalar {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    }
}

impl core::fmt::Debug for Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// Hashes to the group: nobody knows a discrete logarithm between two results.
pub fn to_group(domain: Domain, bytes: &[u8]) -> RistrettoPoint {
    let mut wide = [0; 64];
    Stream::new(domain, bytes).fill(&mut wide);
    RistrettoPoint::from_uniform_bytes(&wide)
}

/// Returns the plain BLAKE3 hash of `bytes`: a content id.
pub fn content(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}
