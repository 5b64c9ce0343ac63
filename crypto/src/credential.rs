//! One person, one voice: a hidden leaf, a tag per scope, and the proof that both belong together.
//!
//! A member's **leaf** `L = s·G₀ + Σ_j a_j·A_j + b·H` is a hiding Pedersen commitment to a secret and to attributes that
//! attesters have checked. For every scope (a round, a purpose) the same secret gives one **tag** `τ = s·H2G(scope)`:
//! the same person shows the same tag twice, and tags of different scopes are unlinkable under DDH. A **credential**
//! proves that the tag's secret is the one in a leaf of the pinned snapshot.
//!
//! The *open* credential shows which leaf. It is a conjunction of Schnorr proofs with one response for s. The *ring*
//! credential shows a re-randomised leaf `L′ = L + ρ·H` in its place, proves the same about L′, and proves that L′ comes
//! from some leaf of a cohort. It can also prove that the secret made one of a group's tags, without saying which. The
//! challenge is drawn from the contribution's transcript after everything else: a credential signs the contribution.
//!
//! ```
//! use std::sync::Arc;
//! use chorus_crypto::{batch::Batch, domain, transcript::{Item, Transcript}};
//! use chorus_crypto::credential::{Credential, HiddenLeaf, Hiding, Holder, LeafSecret, Ring, Rings, Statement};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let mut rng = ChaCha20Rng::from_seed([7; 32]); // the operating system's, outside of examples
//! let people: Vec<_> = (0..20).map(|_| LeafSecret::random([0; 4], &mut rng)).collect();
//! let leaves: Vec<_> = people.iter().map(LeafSecret::leaf).collect();
//! let cohort = Arc::new(Ring::of_leaves(&leaves)?);
//! let rings = Rings { leaves: Some(&cohort), group: None };
//!
//! let (me, scope, hiding) = (&people[4], [1; 32], Hiding::random(&mut rng));
//! let statement = Statement {
//!     scopes: vec![(scope, me.tag(&scope))],
//!     holder: Holder::Ring(HiddenLeaf { cohort: 0, leaf: hiding.leaf(me) }),
//!     disclosed: vec![],
//!     group: None,
//!     snapshot_root: [2; 32],
//! };
//! let transcript = || {
//!     let mut transcript = Transcript::new(domain::CONTRIBUTION);
//!     transcript.absorb(Item::Eligibility, &statement); // and the rest of the contribution
//!     transcript
//! };
//! let credential = Credential::prove_ring(&mut transcript(), &statement, me, &hiding, rings, &mut rng);
//!
//! let mut batch = Batch::new(&[3; 32]);
//! credential.verify(&mut transcript(), &statement, rings, &mut batch)?;
//! assert!(batch.verify());
//! # Ok::<(), chorus_crypto::credential::CredentialError>(())
//! ```

mod hidden;
mod knowledge;
mod leaf;
mod one_of_many;
mod open;
mod ring;
mod rotation;
mod tag;

pub use hidden::{GroupClaim, GroupProof, HiddenLeaf, Hiding, RingCredential};
pub use leaf::{Leaf, LeafOpening, LeafSecret, SLOTS};
pub use one_of_many::{MembershipCommitments, OneOfMany};
pub use open::OpenCredential;
pub use ring::{MAX_RING, Ring};
pub use rotation::Rotation;
pub use tag::Tag;

use std::sync::Arc;

use rand_core::CryptoRng;

use crate::{
    batch::Batch,
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    group::{Point, PointError},
    hash::Digest,
    transcript::{Item, Transcript},
    wire_enum, wire_struct,
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
    /// The credential is of another holder than the statement.
    #[error("credential of another holder than the statement's")]
    Holder,
    /// The credential claims another group than the statement, or shows its leaf and claims a group.
    #[error("credential of another group than the statement's")]
    Group,
    /// The ring that the statement is about was not given, or is another one.
    #[error("not the ring of {0} that the statement is about")]
    Ring(&'static str),
    /// A ring of no member, or of more than [`MAX_RING`].
    #[error("{0} members are not in 1..={MAX_RING}")]
    RingSize(usize),
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

/// The leaf at a place of the snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct ShownLeaf {
    /// Its place; that `leaf` stands there is for the caller to check.
    pub index: u32,
    /// The leaf.
    pub leaf: Leaf,
}
wire_struct!(ShownLeaf { index, leaf });

/// Whom the tags of a statement belong to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Holder {
    /// The holder of this leaf.
    Open(ShownLeaf),
    /// The holder of some leaf of a cohort.
    Ring(HiddenLeaf),
}
wire_enum!(Holder { 1 => Open(shown), 2 => Ring(hidden) });

/// What a credential is about. Public, and absorbed by the caller before the challenge of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Each scope with the tag claimed for it. Ballots have one.
    pub scopes: Vec<(Digest, Tag)>,
    /// The leaf that the tags belong to, shown or hidden.
    pub holder: Holder,
    /// Attribute slots shown, with their values, strictly ascending.
    pub disclosed: Vec<(u8, u64)>,
    /// The group that the holder claims to be in; only for a hidden leaf.
    pub group: Option<GroupClaim>,
    /// The root of the registry snapshot that the round pins.
    pub snapshot_root: Digest,
}

impl Statement {
    /// Checks what does not need the proof.
    fn check(&self) -> Result<(), CredentialError> {
        if !(1..=MAX_SCOPES).contains(&self.scopes.len()) {
            return Err(CredentialError::Scopes(self.scopes.len()));
        }
        match self.holder {
            Holder::Open(_) if self.group.is_some() => Err(CredentialError::Group),
            Holder::Open(_) | Holder::Ring(_) => check_slots(&self.disclosed),
        }
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        put_seq(out, &self.scopes);
        self.holder.encode(out);
        put_seq(out, &self.disclosed);
        self.group.encode(out);
        self.snapshot_root.encode(out);
    }
}

impl Decode for Statement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = Self {
            scopes: input.seq(MAX_SCOPES)?,
            holder: Decode::decode(input)?,
            disclosed: input.seq(SLOTS)?,
            group: Decode::decode(input)?,
            snapshot_root: Decode::decode(input)?,
        };
        statement.check().map_err(|_| DecodeError::OutOfRange("eligibility statement"))?;
        Ok(statement)
    }
}

/// The rings that a statement speaks of. The caller finds them by snapshot and cohort, and by the claim's ring id.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rings<'a> {
    /// The leaves of the cohort of [`HiddenLeaf::cohort`]; not needed for a leaf that is shown.
    pub leaves: Option<&'a Arc<Ring>>,
    /// The tags of the group of [`Statement::group`]; not needed without a claim.
    pub group: Option<&'a Arc<Ring>>,
}

/// What a credential itself says of its holder: enough, with the snapshot, to make the statement's [`Holder`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CredentialHolder {
    /// The holder of the leaf at this place of the snapshot.
    Open {
        /// The place.
        leaf_index: u32,
    },
    /// The holder of some leaf of a cohort.
    Ring(HiddenLeaf),
}

/// Proof of a [`Statement`], versioned by its variant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// Shows the leaf.
    Open(OpenCredential),
    /// Hides the leaf among those of a cohort.
    Ring(Box<RingCredential>),
}
wire_enum!(Credential { 1 => Open(credential), 2 => Ring(credential) });

impl Credential {
    /// Proves `statement` with the secret of its leaf, showing the leaf.
    ///
    /// # Security
    ///
    /// The transcript must have absorbed the statement and everything the credential is to sign.
    ///
    /// # Panics
    ///
    /// Panics if the statement has no scope, too many, disclosed slots that are not ascending slots of a leaf, a hidden
    /// leaf or a group.
    pub fn prove_open(
        transcript: &mut Transcript,
        statement: &Statement,
        secret: &LeafSecret,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        Self::Open(OpenCredential::prove(transcript, statement, secret, rng))
    }

    /// Proves `statement` with the secret of its leaf, hiding which leaf of the cohort it is.
    ///
    /// The statement's leaf is [`Hiding::leaf`], the commitment of its claim [`Hiding::group_commitment`]. The time
    /// depends on the shapes of the rings and of the statement, not on positions or secrets.
    ///
    /// # Security
    ///
    /// As [`prove_open`](Self::prove_open); and `hiding` must not have been used before.
    ///
    /// # Panics
    ///
    /// Panics if the statement has no scope, too many, or disclosed slots that are not ascending slots of a leaf, if a
    /// ring it speaks of is missing, or if the leaf or the tag of `secret` and `hiding` is not in its ring
    /// ([`Ring::position`] tells) or not in the statement.
    pub fn prove_ring(
        transcript: &mut Transcript,
        statement: &Statement,
        secret: &LeafSecret,
        hiding: &Hiding,
        rings: Rings<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        Self::Ring(Box::new(RingCredential::prove(transcript, statement, secret, hiding, rings, rng)))
    }

    /// Returns what the credential says of its holder.
    pub fn holder(&self) -> CredentialHolder {
        match self {
            Self::Open(credential) => CredentialHolder::Open { leaf_index: credential.leaf_index },
            Self::Ring(credential) => CredentialHolder::Ring(credential.holder),
        }
    }

    /// Returns the group that the credential claims.
    pub fn group(&self) -> Option<&GroupClaim> {
        match self {
            Self::Open(_) => None,
            Self::Ring(credential) => credential.group.as_ref().map(|group| &group.claim),
        }
    }

    /// Checks everything but the equations, which it adds to `batch`.
    ///
    /// # Errors
    ///
    /// Returns a [`CredentialError`] if the statement or the proof is malformed, or a tag or the leaf is the identity,
    /// or a ring is missing or another one than the statement's.
    pub fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        rings: Rings<'_>,
        batch: &mut Batch,
    ) -> Result<(), CredentialError> {
        match self {
            Self::Open(credential) => credential.verify(transcript, statement, batch),
            Self::Ring(credential) => credential.verify(transcript, statement, rings, batch),
        }
    }
}

/// Checks that disclosed slots are strictly ascending slots of a leaf.
fn check_slots(disclosed: &[(u8, u64)]) -> Result<(), CredentialError> {
    let slots = || disclosed.iter().map(|(slot, _)| *slot);
    let exist = slots().all(|slot| usize::from(slot) < SLOTS);
    if exist && slots().is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(CredentialError::Disclosed) }
}

/// The slots that stay hidden, ascending.
fn hidden_slots(disclosed: &[(u8, u64)]) -> impl Iterator<Item = u8> {
    let shown = |slot: &u8| disclosed.iter().any(|(disclosed, _)| disclosed == slot);
    (0u8..).take(SLOTS).filter(move |slot| !shown(slot))
}

fn absorb_announcements(transcript: &mut Transcript, leaf: &Point, tags: &[Point]) {
    transcript.absorb(Item::Announcement, leaf);
    transcript.absorb_seq(Item::Announcement, tags);
}

fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), CredentialError> {
    if expected == found { Ok(()) } else { Err(CredentialError::Length { what, expected, found }) }
}

#[cfg(test)]
mod tests;
