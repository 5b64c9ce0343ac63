//! Ed25519 signatures over domain-separated messages, verified strictly.
//!
//! [`ed25519_dalek::VerifyingKey::verify_strict`] decides: it refuses small-order keys and values of R,
//! and S that is not reduced; and a key has one encoding. So all peers agree on every signature (RFC 8032 leaves room that batch and cofactored
//! verification use).

mod remembered;

use core::fmt;

use ed25519_dalek::Signer as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    domain::Domain,
};

pub use self::remembered::remembering;

/// A signature did not verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("signature does not verify")]
pub struct SignatureError;

/// The public half of a signing key.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The length of a key in bytes.
    pub const LEN: usize = 32;

    /// Verifies `signature` over `message` under `domain`.
    ///
    /// # Errors
    ///
    /// Returns [`SignatureError`] if the key is not a valid point in canonical form or the signature does not verify strictly.
    pub fn verify(&self, domain: Domain, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signed = signed_bytes(domain, message);
        let digest = match remembered::is_known(self, &signed, signature) {
            Ok(()) => return Ok(()),
            Err(digest) => digest,
        };
        if !is_reduced(&self.0) {
            return Err(SignatureError);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&signed, &signature).map_err(|_| SignatureError)?;
        digest.into_iter().for_each(remembered::remember);
        Ok(())
    }

    /// Returns the key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whether y is below `p = 2^255 − 19` (RFC 8032, 5.1.3). Points with x = 0, of which the sign has two forms, are of small order.
fn is_reduced(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Encode for PublicKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for PublicKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Returns the signature's bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Signature {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Signature({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A signing key. Wiped on drop, never printed.
///
/// `Clone` because the consensus engine and the rest of a node sign with the same identity.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// Draws a new key.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// Returns the key of an RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Returns the RFC 8032 seed, for the keystore.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` under `domain`. Deterministic (RFC 8032).
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        let signed = signed_bytes(domain, message);
        let signature = Signature(self.0.sign(&signed).to_bytes());
        remembered::remember_own(self, &signed, &signature);
        signature
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// `length of label ‖ label ‖ message`: injective in (domain, message).
fn signed_bytes(domain: Domain, message: &[u8]) -> Vec<u8> {
    let label = domain.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(1 + label.len() + message.len());
    bytes.push(u8::try_from(label.len()).expect("labels are shorter than 256 bytes"));
    bytes.extend_from_slice(label);
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain;

    #[test]
    fn a_signature_holds_for_its_domain_and_message_only() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signature = key.sign(domain::ENTRY, b"message");

        assert_eq!(key.public().verify(domain::ENTRY, b"message", &signature), Ok(()));
        assert!(key.public().verify(domain::VOTE, b"message", &signature).is_err());
        assert!(key.public().verify(domain::ENTRY, b"massage", &signature).is_err());
    }

    #[test]
    fn keys_and_signatures_are_encoded_as_their_bytes() {
        let (key, signature) = (PublicKey::from([7; 32]), Signature::from([8; 64]));

        assert_eq!((key, signature).to_bytes(), [[7; 32].as_slice(), &[8; 64]].concat());
        assert_eq!(Decode::from_bytes(&(key, signature).to_bytes()), Ok((key, signature)));
    }

    #[test]
    fn a_key_has_one_encoding() {
        let y = |low, high| {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (low, high);
            key
        };
        // p + 3 is read as 3, which is a point of large order.
        let (other, large) =
            (y(0xf0, 0x7f), |key| ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok_and(|key| !key.is_weak()));

        assert!(large(other));
        assert!(![y(0xed, 0x7f), y(0xed, 0xff), other].iter().any(is_reduced), "p and more, whatever the sign");
        assert!([y(0xec, 0x7f), y(0xec, 0xff), y(0xff, 0x7e), [0; 32]].iter().all(is_reduced));
        let mut middle = y(0xed, 0x7f);
        middle[17] = 0xfe;
        assert!(is_reduced(&middle));
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        // The identity point as key and R verifies cofactored for every message; strictly it must not.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;

        assert!(PublicKey::from(identity).verify(domain::ENTRY, b"any", &Signature::from(signature)).is_err());
    }
}
