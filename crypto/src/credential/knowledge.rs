//! The part that all proofs about a leaf have in common: a Schnorr proof of its opening, and of tags by the same secret.
//!
//! One mask and one response stand for s in every equation (Chaum, Pedersen 1992; Camenisch, Stadler 1997).

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use zeroize::Zeroizing;

use crate::{
    batch::{Batch, Equation},
    credential::{
        CredentialError, SLOTS, Statement, Tag, check_slots, expect_length, hidden_slots,
        leaf::{base, commit},
    },
    group::{Base, Point},
    hash::Digest,
    transcript::Nonces,
};

/// The prover's masks `(n_s; n_0..n_3; n_b)`: those of disclosed slots are zero.
pub(super) struct Masks {
    values: Zeroizing<[Scalar; SLOTS + 2]>,
    hidden: Vec<u8>,
}

/// The responses `z = n + e·witness`.
pub(super) struct Responses {
    pub(super) secret: Scalar,
    /// Those of hidden slots, ascending.
    pub(super) attributes: Vec<Scalar>,
    pub(super) blinding: Scalar,
}

impl Masks {
    /// Draws masks for s, the hidden slots and b. A disclosed attribute is no witness.
    pub(super) fn draw(disclosed: &[(u8, u64)], nonces: &mut Nonces) -> Self {
        let mut values = Zeroizing::new([Scalar::ZERO; SLOTS + 2]);
        let hidden: Vec<_> = hidden_slots(disclosed).collect();
        values[0] = nonces.next();
        values[SLOTS + 1] = nonces.next();
        for slot in &hidden {
            values[1 + usize::from(*slot)] = nonces.next();
        }
        Self { values, hidden }
    }

    /// The mask of s.
    pub(super) fn secret(&self) -> &Scalar {
        &self.values[0]
    }

    /// Announces the leaf: `n_s·G₀ + Σ n_j·A_j + n_b·H`.
    pub(super) fn leaf(&self) -> Point {
        commit(&self.values).into()
    }

    /// Announces the tags: `n_s·H2G(scope)` each.
    pub(super) fn tags(&self, scopes: &[(Digest, Tag)]) -> Vec<Point> {
        scopes.iter().map(|(scope, _)| Point::from(Tag::base(scope) * self.values[0])).collect()
    }

    /// Answers the challenge.
    pub(super) fn respond(&self, challenge: &Scalar, witness: &[Scalar; SLOTS + 2]) -> Responses {
        let response = |index: usize| self.values[index] + challenge * witness[index];
        Responses {
            secret: response(0),
            attributes: self.hidden.iter().map(|slot| response(1 + usize::from(*slot))).collect(),
            blinding: response(SLOTS + 1),
        }
    }
}

/// A verifier's view of a proof about a leaf and tags.
pub(super) struct Knowledge<'a> {
    pub(super) statement: &'a Statement,
    pub(super) leaf_announcement: &'a Point,
    pub(super) tag_announcements: &'a [Point],
    pub(super) secret: &'a Scalar,
    pub(super) attributes: &'a [Scalar],
    pub(super) blinding: &'a Scalar,
}

/// Its points.
pub(super) struct Decompressed {
    leaf_announcement: RistrettoPoint,
    /// Each scope with its tag and announcement.
    tags: Vec<(Digest, RistrettoPoint, RistrettoPoint)>,
}

impl Knowledge<'_> {
    /// Checks the form against the statement, and decompresses the points.
    pub(super) fn decompress(&self) -> Result<Decompressed, CredentialError> {
        let statement = self.statement;
        expect_length("announcements", statement.scopes.len(), self.tag_announcements.len())?;
        expect_length("responses", hidden_slots(&statement.disclosed).count(), self.attributes.len())?;
        let mut tags = Vec::with_capacity(statement.scopes.len());
        for ((scope, tag), announcement) in statement.scopes.iter().zip(self.tag_announcements) {
            tags.push((*scope, tag.decompress()?, announced(announcement)?));
        }
        Ok(Decompressed { leaf_announcement: announced(self.leaf_announcement)?, tags })
    }

    /// Adds the equations of leaf and tags to `batch`, where point `leaf` of it is the leaf.
    pub(super) fn verify(&self, points: Decompressed, leaf: usize, challenge: &Scalar, batch: &mut Batch) {
        // z_s·G₀ + Σ_hidden z_j·A_j + Σ_shown e·a_j·A_j + z_b·H − A − e·L = 0
        let weight = batch.equation(Equation::Leaf);
        for (base, coefficient) in
            coefficients(&self.statement.disclosed, self.secret, self.attributes, self.blinding, challenge)
        {
            batch.add_fixed(weight, base, coefficient);
        }
        batch.add_point(weight, points.leaf_announcement, -Scalar::ONE);
        batch.add(weight, leaf, -challenge);
        // z_s·H2G(scope) − A_k − e·τ_k = 0
        for (scope, tag, announcement) in points.tags {
            let weight = batch.equation(Equation::Tag);
            batch.add_fixed(weight, Base::Scope(scope), *self.secret);
            batch.add_point(weight, announcement, -Scalar::ONE);
            batch.add_point(weight, tag, -challenge);
        }
    }
}

/// Decompresses an announcement.
pub(super) fn announced(point: &Point) -> Result<RistrettoPoint, CredentialError> {
    point.decompress().map_err(|error| CredentialError::Point { what: "announcement", error })
}

/// The coefficients of a leaf's bases in its equation: responses where hidden, `e·a_j` where shown.
pub(super) fn coefficients<'a>(
    disclosed: &'a [(u8, u64)],
    secret: &Scalar,
    attributes: &'a [Scalar],
    blinding: &Scalar,
    challenge: &'a Scalar,
) -> impl Iterator<Item = (Base, Scalar)> + 'a {
    debug_assert!(check_slots(disclosed).is_ok(), "checked before the equations");
    let slot_base = |slot: u8| base(1 + usize::from(slot));
    let hidden = hidden_slots(disclosed).zip(attributes).map(move |(slot, response)| (slot_base(slot), *response));
    let shown = disclosed.iter().map(move |(slot, value)| (slot_base(*slot), challenge * Scalar::from(*value)));
    [(Base::LeafSecret, *secret), (Base::LeafBlinding, *blinding)].into_iter().chain(hidden).chain(shown)
}
