//! The ring credential: hides the leaf among those of a cohort, and proves that its secret made the tags.
//!
//! ```text
//! { (L_i)_i, L′, (scope_k, τ_k)_k, (a_j)_{j shown}; k, ρ, s, (a_j)_{j hidden}, b′ :
//!       L_k − L′ = −ρ·H   ∧   L′ = s·G₀ + Σ_j a_j·A_j + b′·H   ∧   τ_k = s·H2G(scope_k) for every k }
//! ```
//!
//! With a group claim also, for one and the same s,
//!
//! ```text
//! { (τ_i)_i, K′, scope; i, κ :   τ_i − K′ = −κ·H   ∧   K′ = s·H2G(scope) + κ·H }
//! ```
//!
//! `L′ = L + ρ·H` is a fresh commitment to what the leaf holds (as in Lelantus Spark; Jivanyan, Feickert 2021), so that
//! one vector of points is enough for the ring: attributes and tags are proved from L′.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    batch::{Batch, Equation},
    credential::{
        CredentialError, Holder, Leaf, LeafSecret, MAX_SCOPES, Rings, SLOTS, Statement, Tag, absorb_announcements,
        knowledge::{Knowledge, Masks, announced},
        one_of_many::{self, MembershipCommitments, OneOfMany, Prover},
        ring::{Kind, Ring},
    },
    group::{Base, Point},
    hash::Digest,
    transcript::{Item, Nonces, Transcript},
    wire_struct,
};

/// Some leaf of a cohort, re-randomised.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct HiddenLeaf {
    /// The cohort of the snapshot whose leaves are the ring.
    pub cohort: u32,
    /// `L′ = L + ρ·H`.
    pub leaf: Leaf,
}
wire_struct!(HiddenLeaf { cohort, leaf });

/// The claim that one of a ring's tags is the holder's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct GroupClaim {
    /// The scope of the ring's tags.
    pub scope: Digest,
    /// [`Ring::id`] of the ring of tags.
    pub ring: Digest,
    /// `K′ = s·H2G(scope) + κ·H`.
    pub commitment: Point,
}
wire_struct!(GroupClaim { scope, ring, commitment });

/// What hides a leaf in its cohort, and a tag in its group: ρ and κ. Wiped on drop.
///
/// # Security
///
/// Fresh for every credential: two with equal ρ show the same L′. Whoever knows ρ or κ recognises the leaf or the tag.
#[derive(ZeroizeOnDrop)]
pub struct Hiding {
    leaf: Scalar,
    group: Scalar,
}

impl Hiding {
    /// Draws ρ and κ.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { leaf: Scalar::random(rng), group: Scalar::random(rng) }
    }

    /// Returns `L′ = L + ρ·H`. Constant time.
    pub fn leaf(&self, secret: &LeafSecret) -> Leaf {
        secret.hidden(&self.leaf)
    }

    /// Returns `K′ = s·H2G(scope) + κ·H`. Constant time.
    pub fn group_commitment(&self, secret: &LeafSecret, scope: &Digest) -> Point {
        let [s, ..] = &*secret.coefficients();
        Point::from(Tag::base(scope) * s + Base::LeafBlinding.point() * self.group)
    }
}

impl fmt::Debug for Hiding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hiding").finish_non_exhaustive()
    }
}

/// A one-out-of-many proof over the cohort and a Schnorr proof about L′, under one challenge.
///
/// Transcript: [`Item::Statement`] (again, should the caller have forgotten it); [`Item::Ring`] for the leaves and, with
/// a group, for the tags; [`Item::Membership`] likewise; [`Item::Announcement`] for the leaf, the tags and, with a group,
/// its commitment; then the challenge as [`Item::CredentialChallenge`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RingCredential {
    /// L′ and its cohort.
    pub holder: HiddenLeaf,
    /// That L′ re-randomises a leaf of the cohort.
    pub membership: OneOfMany,
    /// The announcement for L′.
    pub leaf_announcement: Point,
    /// The announcement for each tag.
    pub tag_announcements: Vec<Point>,
    /// The response for s.
    pub secret: Scalar,
    /// The responses for the attributes of hidden slots, ascending.
    pub attributes: Vec<Scalar>,
    /// The response for `b′ = b + ρ`.
    pub blinding: Scalar,
    /// The proof of the group, if one is claimed.
    pub group: Option<GroupProof>,
}
wire_struct!(RingCredential {
    holder,
    membership,
    leaf_announcement,
    tag_announcements[MAX_SCOPES],
    secret,
    attributes[SLOTS],
    blinding,
    group,
});

/// Proof of a [`GroupClaim`]. The response for s is the credential's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupProof {
    /// The claim.
    pub claim: GroupClaim,
    /// That K′ re-randomises a tag of the ring.
    pub membership: OneOfMany,
    /// The announcement for K′.
    pub announcement: Point,
    /// The response for κ.
    pub blinding: Scalar,
}
wire_struct!(GroupProof { claim, membership, announcement, blinding });

/// A secret that is to be proved, and where it stands in the rings.
pub(super) struct Witness<'a> {
    pub(super) secret: &'a LeafSecret,
    pub(super) hiding: &'a Hiding,
    /// The position of the leaf in its cohort.
    pub(super) leaf: usize,
    /// The position of the tag in its group; ignored without a claim.
    pub(super) group: usize,
}

impl RingCredential {
    pub(super) fn prove(
        transcript: &mut Transcript,
        statement: &Statement,
        secret: &LeafSecret,
        hiding: &Hiding,
        rings: Rings<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        statement.check().expect("a prover makes well-formed statements");
        let (leaves, group) = rings_of(statement, rings).expect("a prover has the rings of its statement");
        let leaf = leaves.position(&secret.leaf().into()).expect("a prover's leaf stands in its cohort");
        let group = group.map_or(0, |(claim, ring)| {
            assert_eq!(claim.commitment, hiding.group_commitment(secret, &claim.scope), "a claim of the own tag");
            ring.position(&secret.tag(&claim.scope).into()).expect("a prover's tag stands in its group")
        });
        let Holder::Ring(holder) = &statement.holder else { panic!("a ring credential hides its leaf") };
        assert_eq!(holder.leaf, hiding.leaf(secret), "a statement about the own leaf");
        Self::prove_at(transcript, statement, &Witness { secret, hiding, leaf, group }, rings, rng)
    }

    /// Proves without looking whether there is anything to prove.
    pub(super) fn prove_at(
        transcript: &mut Transcript,
        statement: &Statement,
        witness: &Witness<'_>,
        rings: Rings<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let (leaves, group) = rings_of(statement, rings).expect("a prover has the rings of its statement");
        let Holder::Ring(holder) = statement.holder else { panic!("a ring credential hides its leaf") };
        let Hiding { leaf: rho, group: kappa } = witness.hiding;
        let mut scalars = witness.secret.coefficients();
        scalars[SLOTS + 1] += rho;
        let hedge = Zeroizing::new([scalars.as_slice(), &[*rho, *kappa]].concat());

        absorb_statement(transcript, statement, leaves, group);
        let mut nonces = transcript.nonces(&hedge, rng);
        let masks = Masks::draw(&statement.disclosed, &mut nonces);
        let (leaf_announcement, tag_announcements) = (masks.leaf(), masks.tags(&statement.scopes));
        let (prover, commitments) = Prover::commit(leaves, witness.leaf, &mut nonces);
        let group = group.map(|(claim, ring)| GroupProver::commit(claim, ring, witness.group, &masks, &mut nonces));
        absorb_first_messages(
            transcript,
            (&commitments, &leaf_announcement, &tag_announcements),
            group.as_ref().map(|group| (&group.commitments, &group.announcement)),
        );
        let challenge = transcript.challenge(Item::CredentialChallenge);
        let responses = masks.respond(&challenge, &scalars);
        Self {
            holder,
            membership: prover.respond(commitments, &challenge, rho),
            leaf_announcement,
            tag_announcements,
            secret: responses.secret,
            attributes: responses.attributes,
            blinding: responses.blinding,
            group: group.map(|group| group.respond(&challenge, kappa)),
        }
    }

    pub(super) fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        rings: Rings<'_>,
        batch: &mut Batch,
    ) -> Result<(), CredentialError> {
        statement.check()?;
        if statement.holder != Holder::Ring(self.holder) {
            return Err(CredentialError::Holder);
        }
        if statement.group.as_ref() != self.group.as_ref().map(|group| &group.claim) {
            return Err(CredentialError::Group);
        }
        let (leaves, group) = rings_of(statement, rings)?;
        let knowledge = Knowledge {
            statement,
            leaf_announcement: &self.leaf_announcement,
            tag_announcements: &self.tag_announcements,
            secret: &self.secret,
            attributes: &self.attributes,
            blinding: &self.blinding,
        };
        let leaf = self.holder.leaf.decompress()?;
        let points = knowledge.decompress()?;
        let membership = self.membership.decompress(leaves)?;
        let group_check = match (&self.group, group) {
            (Some(proof), Some((_, ring))) => Some(GroupCheck::new(proof, ring)?),
            _ => None,
        };

        absorb_statement(transcript, statement, leaves, group);
        absorb_first_messages(
            transcript,
            (&self.membership.commitments, &self.leaf_announcement, &self.tag_announcements),
            self.group.as_ref().map(|group| (&group.membership.commitments, &group.announcement)),
        );
        let challenge = transcript.challenge(Item::CredentialChallenge);
        // At x = 0 the equations say nothing about the statement.
        if challenge == Scalar::ZERO {
            return Err(CredentialError::Proof);
        }
        let leaf = batch.insert([leaf]);
        self.membership.verify(membership, leaves, leaf, &challenge, batch);
        knowledge.verify(points, leaf, &challenge, batch);
        if let Some(check) = group_check {
            check.verify(&self.secret, &challenge, batch);
        }
        Ok(())
    }
}

/// A group claim with the ring of its tags.
type Claimed<'a> = Option<(&'a GroupClaim, &'a Ring)>;

/// Returns the rings that a statement is about, if they are those.
fn rings_of<'a>(statement: &'a Statement, rings: Rings<'a>) -> Result<(&'a Ring, Claimed<'a>), CredentialError> {
    let leaves = rings.leaves.ok_or(CredentialError::Ring("leaves"))?;
    leaves.expect(Kind::Leaves, "leaves")?;
    let Some(claim) = &statement.group else { return Ok((leaves, None)) };
    let tags = rings.group.ok_or(CredentialError::Ring("tags"))?;
    tags.expect(Kind::Tags, "tags")?;
    if *tags.id() == claim.ring { Ok((leaves, Some((claim, tags)))) } else { Err(CredentialError::Ring("tags")) }
}

fn absorb_statement(transcript: &mut Transcript, statement: &Statement, leaves: &Ring, group: Claimed<'_>) {
    transcript.absorb(Item::Statement, statement);
    transcript.absorb(Item::Ring, leaves.id());
    if let Some((_, ring)) = group {
        transcript.absorb(Item::Ring, ring.id());
    }
}

fn absorb_first_messages(
    transcript: &mut Transcript,
    (membership, leaf, tags): (&MembershipCommitments, &Point, &[Point]),
    group: Option<(&MembershipCommitments, &Point)>,
) {
    transcript.absorb(Item::Membership, membership);
    if let Some((membership, _)) = group {
        transcript.absorb(Item::Membership, membership);
    }
    absorb_announcements(transcript, leaf, tags);
    if let Some((_, announcement)) = group {
        transcript.absorb(Item::Announcement, announcement);
    }
}

/// The prover of a group claim between its first message and the challenge.
struct GroupProver {
    claim: GroupClaim,
    prover: Prover,
    commitments: MembershipCommitments,
    mask: Zeroizing<Scalar>,
    announcement: Point,
}

impl GroupProver {
    fn commit(claim: &GroupClaim, ring: &Ring, position: usize, masks: &Masks, nonces: &mut Nonces) -> Self {
        let mask = Zeroizing::new(nonces.next());
        let announcement = Point::from(Tag::base(&claim.scope) * masks.secret() + Base::LeafBlinding.point() * *mask);
        let (prover, commitments) = Prover::commit(ring, position, nonces);
        Self { claim: *claim, prover, commitments, mask, announcement }
    }

    fn respond(self, challenge: &Scalar, kappa: &Scalar) -> GroupProof {
        GroupProof {
            claim: self.claim,
            membership: self.prover.respond(self.commitments, challenge, kappa),
            announcement: self.announcement,
            blinding: *self.mask + challenge * kappa,
        }
    }
}

/// A group proof whose form has been checked.
struct GroupCheck<'a> {
    proof: &'a GroupProof,
    ring: &'a Ring,
    membership: one_of_many::Decompressed,
    commitment: crate::RistrettoPoint,
    announcement: crate::RistrettoPoint,
}

impl<'a> GroupCheck<'a> {
    fn new(proof: &'a GroupProof, ring: &'a Ring) -> Result<Self, CredentialError> {
        let commitment = proof.claim.commitment.decompress_non_identity();
        Ok(Self {
            proof,
            ring,
            membership: proof.membership.decompress(ring)?,
            commitment: commitment.map_err(|error| CredentialError::Point { what: "group commitment", error })?,
            announcement: announced(&proof.announcement)?,
        })
    }

    fn verify(self, secret: &Scalar, challenge: &Scalar, batch: &mut Batch) {
        let commitment = batch.insert([self.commitment]);
        self.proof.membership.verify(self.membership, self.ring, commitment, challenge, batch);
        // z_s·H2G(scope) + z_κ·H − A_K − e·K′ = 0
        let weight = batch.equation(Equation::GroupTag);
        batch.add_fixed(weight, Base::Scope(self.proof.claim.scope), *secret);
        batch.add_fixed(weight, Base::LeafBlinding, self.proof.blinding);
        batch.add_point(weight, self.announcement, -Scalar::ONE);
        batch.add(weight, commitment, -challenge);
    }
}

#[cfg(test)]
mod tests;
