//! One person, one voice: a hidden leaf, a tag per scope, and the proof that both belong together.
//!
//! A member's **leaf** `L = s·G₀ + Σ_j a_j·A_j + b·H` is a hiding Pedersen commitment to a secret and to attributes that
//! attesters have checked. For every scope (a round, a purpose) the same secret gives one **tag** `τ = s·H2G(scope)`:
//! the same person shows the same tag twice, and tags of different scopes are unlinkable under DDH. A **credential**
//! proves that the tag's secret is the one in a leaf of the pinned snapshot.
//!
//! The *open* credential shows which leaf. It is a conjunction of Schnorr proofs with one response for s
//! (Chaum, Pedersen 1992; Camenisch, Stadler 1997), its challenge drawn from the contribution's transcript after
//! everything else, so that it signs the whole contribution. A ring credential, which hides the leaf among others, will
//! be the second variant; its tag byte 2 is reserved.

mod leaf;
mod open;
mod tag;

pub use leaf::{Leaf, LeafOpening, LeafSecret, SLOTS};
pub use open::OpenCredential;
pub use tag::Tag;

use rand_core::CryptoRng;

use crate::{
    batch::Batch,
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    group::PointError,
    hash::Digest,
    transcript::Transcript,
    wire_enum,
};

/// Most scopes of one credential: vote tags of two rounds at once are enough for every use there is.
pub const MAX_SCOPES: usize = 4;

/// Why a credential or leaf was refused. Describes its maker, never this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A point is not a point, or is the identity where it must not be.
    #[error("{what}: {error}")]
    Point {
        /// Which point.
        what: &'static str,
        /// What is wrong with it.
        error: PointError,
    },
    /// The credential shows another leaf than the statement.
    #[error("credential of leaf {found} for a statement about leaf {expected}")]
    LeafIndex {
        /// The statement's index.
        expected: u32,
        /// The credential's index.
        found: u32,
    },
    /// No scope, or more than [`MAX_SCOPES`].
    #[error("{0} scopes are not in 1..={MAX_SCOPES}")]
    Scopes(usize),
    /// Disclosed slots are not strictly ascending slots of a leaf.
    #[error("disclosed slots are not ascending or do not exist")]
    Disclosed,
    /// The proof has another number of announcements or responses than the statement asks for.
    #[error("{what}: {found} where the statement asks for {expected}")]
    Length {
        /// Which part.
        what: &'static str,
        /// The number expected.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// The proof does not verify.
    #[error("the proof does not verify")]
    Proof,
}

/// What a credential is about. Public, and absorbed by the caller before the challenge of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Each scope with the tag claimed for it. Ballots have one.
    pub scopes: Vec<(Digest, Tag)>,
    /// The leaf that the tags belong to.
    pub leaf: Leaf,
    /// Its place in the snapshot; that `leaf` stands there is for the caller to check.
    pub leaf_index: u32,
    /// Attribute slots shown, with their values, strictly ascending.
    pub disclosed: Vec<(u8, u64)>,
    /// The root of the registry snapshot that the round pins.
    pub snapshot_root: Digest,
}

impl Statement {
    /// Checks what does not need the proof.
    fn check(&self) -> Result<(), CredentialError> {
        if !(1..=MAX_SCOPES).contains(&self.scopes.len()) {
            return Err(CredentialError::Scopes(self.scopes.len()));
        }
        let slots = || self.disclosed.iter().map(|(slot, _)| *slot);
        if !slots().is_sorted_by(|a, b| a < b) || slots().any(|slot| usize::from(slot) >= SLOTS) {
            return Err(CredentialError::Disclosed);
        }
        Ok(())
    }

    /// The slots that stay hidden, ascending.
    fn hidden(&self) -> impl Iterator<Item = u8> {
        let shown = |slot: &u8| self.disclosed.iter().any(|(disclosed, _)| disclosed == slot);
        (0u8..).take(SLOTS).filter(move |slot| !shown(slot))
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        put_seq(out, &self.scopes);
        self.leaf.encode(out);
        self.leaf_index.encode(out);
        put_seq(out, &self.disclosed);
        self.snapshot_root.encode(out);
    }
}

impl Decode for Statement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = Self {
            scopes: input.seq(MAX_SCOPES)?,
            leaf: Decode::decode(input)?,
            leaf_index: Decode::decode(input)?,
            disclosed: input.seq(SLOTS)?,
            snapshot_root: Decode::decode(input)?,
        };
        statement.check().map_err(|_| DecodeError::OutOfRange("eligibility statement"))?;
        Ok(statement)
    }
}

/// Proof of a [`Statement`], versioned by its variant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// Shows the leaf.
    Open(OpenCredential),
}
wire_enum!(Credential { 1 => Open(credential) });

impl Credential {
    /// Proves `statement` with the secret of its leaf, showing the leaf.
    ///
    /// # Security
    ///
    /// The transcript must have absorbed the statement and everything the credential is to sign.
    ///
    /// # Panics
    ///
    /// Panics if the statement has no scope, too many, or disclosed slots that are not ascending slots of a leaf.
    pub fn prove_open(
        transcript: &mut Transcript,
        statement: &Statement,
        secret: &LeafSecret,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        Self::Open(OpenCredential::prove(transcript, statement, secret, rng))
    }

    /// Returns the index of the leaf that the credential shows, if it shows one.
    pub const fn leaf_index(&self) -> Option<u32> {
        match self {
            Self::Open(credential) => Some(credential.leaf_index),
        }
    }

    /// Checks everything but the equations, which it adds to `batch`.
    ///
    /// # Errors
    ///
    /// Returns a [`CredentialError`] if the statement or the proof is malformed, or a tag or the leaf is the identity.
    pub fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        batch: &mut Batch,
    ) -> Result<(), CredentialError> {
        match self {
            Self::Open(credential) => credential.verify(transcript, statement, batch),
        }
    }
}

#[cfg(test)]
mod tests;
