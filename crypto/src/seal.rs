//! Sealing bytes to one operator's per-round key: HPKE (RFC 9180) in base mode.
//!
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, `info` the label of [`domain::SEAL`]. A sealed box is
//! the 32-byte encapsulated key followed by the ciphertext. Base mode does not say who sealed: what must not be moved
//! elsewhere goes into the associated data. Not sealed against the loss of the *recipient's* key: whoever gets it later
//! opens what was recorded, so round keys are per round, and erased.

use core::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use hpke::{
    Deserializable as _, HpkeError, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    domain,
};

type Kem = X25519HkdfSha256;
type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
type PublicKey = <Kem as hpke::Kem>::PublicKey;
type EncappedKey = <Kem as hpke::Kem>::EncappedKey;

/// How much longer a sealed box is than what it holds: the encapsulated key and the authentication tag.
pub const OVERHEAD: usize = 32 + 16;

/// Why a box was not sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The recipient's key is a point of small order: nothing sealed to it would be secret.
    #[error("the recipient's key is not a usable X25519 key")]
    Recipient,
    /// Sealed to another key, under other associated data, or changed.
    #[error("the box does not open")]
    Open,
    /// The plaintext is too long for one message.
    #[error("the plaintext is too long")]
    TooLong,
}

/// The public half of a sealing key, as it travels.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct SealPublic([u8; 32]);

impl SealPublic {
    /// Returns the X25519 public key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns whether anything can be sealed to the key: a point of small order, in any encoding, takes nothing.
    pub fn is_usable(&self) -> bool {
        // A clamped scalar is a multiple of the cofactor, and this one of nothing else but a power of two.
        MontgomeryPoint(self.0).mul_clamped([0; 32]) != MontgomeryPoint([0; 32])
    }
}

impl From<[u8; 32]> for SealPublic {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Encode for SealPublic {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for SealPublic {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

impl fmt::Debug for SealPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "SealPublic({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// The secret half of a sealing key. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct SealSecret([u8; 32]);

impl SealSecret {
    /// Draws a new key.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Self([0; 32]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// Returns the key of 32 secret bytes; any are a key (X25519 clamps them).
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Returns the secret bytes, for the journal.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// Returns the public half.
    pub fn public(&self) -> SealPublic {
        let mut bytes = [0; 32];
        <Kem as hpke::Kem>::sk_to_pk(&self.key()).write_exact(&mut bytes);
        SealPublic(bytes)
    }

    /// Opens a box sealed to this key under `aad`.
    ///
    /// # Errors
    ///
    /// Returns [`SealError::Open`] if the box was sealed otherwise or changed; there is nothing more to learn.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (encapped, ciphertext) = sealed.split_at_checked(32).ok_or(SealError::Open)?;
        let encapped = EncappedKey::from_bytes(encapped).map_err(|_| SealError::Open)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.key(),
            &encapped,
            domain::SEAL.as_str().as_bytes(),
            ciphertext,
            aad,
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::Open)
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::from_bytes(&self.0).expect("every 32 bytes are an X25519 key")
    }
}

impl PartialEq for SealSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SealSecret {}

impl fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealSecret").finish_non_exhaustive()
    }
}

/// Seals `plaintext` to `to`, bound to `aad`.
///
/// # Errors
///
/// Returns [`SealError::Recipient`] for a key of small order and [`SealError::TooLong`] over HPKE's limit.
pub fn seal(
    to: &SealPublic,
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealError> {
    let recipient = PublicKey::from_bytes(&to.0).map_err(|_| SealError::Recipient)?;
    let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &recipient,
        domain::SEAL.as_str().as_bytes(),
        plaintext,
        aad,
        &mut { rng },
    )
    .map_err(|error| if error == HpkeError::EncapError { SealError::Recipient } else { SealError::TooLong })?;
    let mut sealed = Vec::with_capacity(32 + ciphertext.len());
    sealed.extend_from_slice(&encapped.to_bytes());
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

#[cfg(test)]
mod tests;
