//! Rotation: a leaf's successor holds the same attributes under a new secret.
//!
//! ```text
//! { (L, L̄; s, s̄, (a_j), b, b̄) : L = s·G₀ + Σ_j a_j·A_j + b·H   ∧   L̄ = s̄·G₀ + Σ_j a_j·A_j + b̄·H }
//! ```
//!
//! One mask and one response for each a_j in both equations: two openings with different attributes cannot answer two
//! challenges. Nothing is said about s and s̄, which are independent in [`LeafSecret::rotated`]. The registry decides
//! who may rotate, and that the old leaf ends where the new one begins; else one person has two tags.

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    credential::{
        CredentialError, Leaf, LeafSecret, SLOTS, expect_length,
        knowledge::{announced, coefficients},
        leaf::{commit, holds},
    },
    domain,
    group::Point,
    transcript::{Item, Transcript},
    wire_struct,
};

/// Proof that two leaves hold the same attributes, and that the prover opens both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotation {
    old_announcement: Point,
    new_announcement: Point,
    old_secret: Scalar,
    new_secret: Scalar,
    attributes: Vec<Scalar>,
    old_blinding: Scalar,
    new_blinding: Scalar,
}
wire_struct!(Rotation {
    old_announcement,
    new_announcement,
    old_secret,
    new_secret,
    attributes[SLOTS],
    old_blinding,
    new_blinding,
});

impl Rotation {
    /// Proves that `new` succeeds `old`, bound to `context`: the community's id, the member's verification key and the
    /// epoch, in an injective encoding.
    pub fn prove(old: &LeafSecret, new: &LeafSecret, context: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let (old_witness, new_witness) = (old.coefficients(), new.coefficients());
        let mut transcript = transcript(&old.leaf(), &new.leaf(), context);
        let witness = Zeroizing::new([old_witness.as_slice(), new_witness.as_slice()].concat());
        let mut nonces = transcript.nonces(&witness, rng);
        let old_masks = Zeroizing::new(core::array::from_fn(|_| nonces.next()));
        let mut new_masks = old_masks.clone();
        new_masks[0] = nonces.next();
        new_masks[SLOTS + 1] = nonces.next();
        let (old_announcement, new_announcement) = (commit(&old_masks).into(), commit(&new_masks).into());
        let challenge = announce(&mut transcript, &old_announcement, &new_announcement);
        let old_response = |index: usize| old_masks[index] + challenge * old_witness[index];
        let new_response = |index: usize| new_masks[index] + challenge * new_witness[index];
        Self {
            old_announcement,
            new_announcement,
            old_secret: old_response(0),
            new_secret: new_response(0),
            attributes: (1..=SLOTS).map(old_response).collect(),
            old_blinding: old_response(SLOTS + 1),
            new_blinding: new_response(SLOTS + 1),
        }
    }

    /// Verifies the proof for two leaves under `context`.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::Point`], [`CredentialError::Length`] or [`CredentialError::Proof`].
    pub fn verify(&self, old: &Leaf, new: &Leaf, context: &[u8]) -> Result<(), CredentialError> {
        expect_length("responses", SLOTS, self.attributes.len())?;
        let (old_leaf, new_leaf) = (old.decompress()?, new.decompress()?);
        let (old_announced, new_announced) = (announced(&self.old_announcement)?, announced(&self.new_announcement)?);
        let mut transcript = transcript(old, new, context);
        let challenge = announce(&mut transcript, &self.old_announcement, &self.new_announcement);
        let check = |secret, blinding, announced, leaf| {
            let coefficients = coefficients(&[], secret, &self.attributes, blinding, &challenge);
            holds(coefficients, [(announced, -Scalar::ONE), (leaf, -challenge)])
        };
        check(&self.old_secret, &self.old_blinding, old_announced, old_leaf)?;
        check(&self.new_secret, &self.new_blinding, new_announced, new_leaf)
    }
}

fn transcript(old: &Leaf, new: &Leaf, context: &[u8]) -> Transcript {
    let mut transcript = Transcript::new(domain::LEAF_ROTATION);
    transcript.absorb_seq(Item::Statement, context);
    transcript.absorb(Item::Statement, old);
    transcript.absorb(Item::Statement, new);
    transcript
}

fn announce(transcript: &mut Transcript, old: &Point, new: &Point) -> Scalar {
    transcript.absorb(Item::Announcement, old);
    transcript.absorb(Item::Announcement, new);
    transcript.challenge(Item::Challenge)
}

#[cfg(test)]
mod tests;
