//! The open credential: shows the leaf, and proves that its secret made the tags.
//!
//! ```text
//! { (L, (scope_k, τ_k), (a_j)_{j shown}; s, (a_j)_{j hidden}, b) :
//!       L = s·G₀ + Σ_j a_j·A_j + b·H   ∧   τ_k = s·H2G(scope_k) for every k }
//! ```

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    batch::Batch,
    credential::{
        CredentialError, LeafSecret, MAX_SCOPES, SLOTS, Statement, Tag,
        leaf::{base, commit},
    },
    group::{Base, Point},
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
        transcript.absorb(Item::Statement, statement);
        let witness = secret.coefficients();
        let mut nonces = transcript.nonces(witness.as_ref(), rng);
        // A disclosed attribute is no witness: its nonce is zero and its response, e·a_j, is left out.
        let mut masks = Zeroizing::new([Scalar::ZERO; SLOTS + 2]);
        let hidden: Vec<_> = statement.hidden().map(|slot| 1 + usize::from(slot)).collect();
        for index in [0, SLOTS + 1].iter().chain(&hidden) {
            masks[*index] = nonces.next();
        }
        let leaf_announcement = Point::from(commit(&masks));
        let announce = |(scope, _): &(_, Tag)| Point::from(Tag::base(scope) * masks[0]);
        let tag_announcements: Vec<_> = statement.scopes.iter().map(announce).collect();
        absorb_announcements(transcript, &leaf_announcement, &tag_announcements);
        let challenge = transcript.challenge(Item::CredentialChallenge);
        let response = |index: usize| masks[index] + challenge * witness[index];
        Self {
            leaf_index: statement.leaf_index,
            leaf_announcement,
            tag_announcements,
            secret: response(0),
            attributes: hidden.into_iter().map(response).collect(),
            blinding: response(SLOTS + 1),
        }
    }

    pub(super) fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        batch: &mut Batch,
    ) -> Result<(), CredentialError> {
        statement.check()?;
        if self.leaf_index != statement.leaf_index {
            let (expected, found) = (statement.leaf_index, self.leaf_index);
            return Err(CredentialError::LeafIndex { expected, found });
        }
        expect_length("announcements", statement.scopes.len(), self.tag_announcements.len())?;
        expect_length("responses", statement.hidden().count(), self.attributes.len())?;
        let point =
            |point: &Point| point.decompress().map_err(|error| CredentialError::Point { what: "announcement", error });
        let leaf = statement.leaf.decompress()?;
        let leaf_announcement = point(&self.leaf_announcement)?;
        let mut tags = Vec::with_capacity(statement.scopes.len());
        for ((scope, tag), announcement) in statement.scopes.iter().zip(&self.tag_announcements) {
            tags.push((Tag::base(scope), tag.decompress()?, point(announcement)?));
        }

        transcript.absorb(Item::Statement, statement);
        absorb_announcements(transcript, &self.leaf_announcement, &self.tag_announcements);
        let challenge = transcript.challenge(Item::CredentialChallenge);

        // z_s·G₀ + Σ_hidden z_j·A_j + Σ_shown e·a_j·A_j + z_b·H − A − e·L = 0
        let weight = batch.equation();
        batch.add_fixed(weight, Base::LeafSecret, self.secret);
        for (slot, response) in statement.hidden().zip(&self.attributes) {
            batch.add_fixed(weight, base(1 + usize::from(slot)), *response);
        }
        for (slot, value) in &statement.disclosed {
            batch.add_fixed(weight, base(1 + usize::from(*slot)), challenge * Scalar::from(*value));
        }
        batch.add_fixed(weight, Base::LeafBlinding, self.blinding);
        batch.add_point(weight, leaf_announcement, -Scalar::ONE);
        batch.add_point(weight, leaf, -challenge);
        // z_s·H2G(scope) − A_k − e·τ_k = 0
        for (scope, tag, announcement) in tags {
            let weight = batch.equation();
            batch.add_point(weight, scope, self.secret);
            batch.add_point(weight, announcement, -Scalar::ONE);
            batch.add_point(weight, tag, -challenge);
        }
        Ok(())
    }
}

fn absorb_announcements(transcript: &mut Transcript, leaf: &Point, tags: &[Point]) {
    transcript.absorb(Item::Announcement, leaf);
    transcript.absorb_seq(Item::Announcement, tags);
}

fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), CredentialError> {
    if expected == found { Ok(()) } else { Err(CredentialError::Length { what, expected, found }) }
}
