//! The open credential: shows the leaf, and proves that its secret made the tags.
//!
//! ```text
//! { (L, (scope_k, τ_k), (a_j)_{j shown}; s, (a_j)_{j hidden}, b) :
//!       L = s·G₀ + Σ_j a_j·A_j + b·H   ∧   τ_k = s·H2G(scope_k) for every k }
//! ```

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;

use crate::{
    batch::Batch,
    credential::{
        CredentialError, Holder, LeafSecret, MAX_SCOPES, SLOTS, Statement, absorb_announcements,
        knowledge::{Knowledge, Masks},
    },
    group::Point,
    transcript::{Item, Transcript},
    wire_struct,
};

/// A Schnorr proof of the conjunction, with one response for s.
///
/// Transcript: the statement as [`Item::Statement`] (again, should the caller have forgotten it), the announcements,
/// then the challenge as [`Item::CredentialChallenge`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenCredential {
    /// The leaf shown, by its place in the snapshot.
    pub leaf_index: u32,
    /// The announcement for the leaf.
    pub leaf_announcement: Point,
    /// The announcement for each tag.
    pub tag_announcements: Vec<Point>,
    /// The response for s.
    pub secret: Scalar,
    /// The responses for the attributes of hidden slots, ascending.
    pub attributes: Vec<Scalar>,
    /// The response for b.
    pub blinding: Scalar,
}
wire_struct!(OpenCredential {
    leaf_index,
    leaf_announcement,
    tag_announcements[MAX_SCOPES],
    secret,
    attributes[SLOTS],
    blinding,
});

impl OpenCredential {
    pub(super) fn prove(
        transcript: &mut Transcript,
        statement: &Statement,
        secret: &LeafSecret,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        statement.check().expect("a prover makes well-formed statements");
        let Holder::Open(shown) = &statement.holder else { panic!("an open credential shows its leaf") };
        transcript.absorb(Item::Statement, statement);
        let witness = secret.coefficients();
        let masks = Masks::draw(&statement.disclosed, &mut transcript.nonces(witness.as_ref(), rng));
        let (leaf_announcement, tag_announcements) = (masks.leaf(), masks.tags(&statement.scopes));
        absorb_announcements(transcript, &leaf_announcement, &tag_announcements);
        let challenge = transcript.challenge(Item::CredentialChallenge);
        let responses = masks.respond(&challenge, &witness);
        Self {
            leaf_index: shown.index,
            leaf_announcement,
            tag_announcements,
            secret: responses.secret,
            attributes: responses.attributes,
            blinding: responses.blinding,
        }
    }

    pub(super) fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        batch: &mut Batch,
    ) -> Result<(), CredentialError> {
        statement.check()?;
        let Holder::Open(shown) = &statement.holder else { return Err(CredentialError::Holder) };
        if self.leaf_index != shown.index {
            let (expected, found) = (shown.index, self.leaf_index);
            return Err(CredentialError::LeafIndex { expected, found });
        }
        let knowledge = Knowledge {
            statement,
            leaf_announcement: &self.leaf_announcement,
            tag_announcements: &self.tag_announcements,
            secret: &self.secret,
            attributes: &self.attributes,
            blinding: &self.blinding,
        };
        let leaf = shown.leaf.decompress()?;
        let points = knowledge.decompress()?;

        transcript.absorb(Item::Statement, statement);
        absorb_announcements(transcript, &self.leaf_announcement, &self.tag_announcements);
        let challenge = transcript.challenge(Item::CredentialChallenge);
        let leaf = batch.insert([leaf]);
        knowledge.verify(points, leaf, &challenge, batch);
        Ok(())
    }
}
