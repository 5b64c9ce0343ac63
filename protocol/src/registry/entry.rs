//! What can be said about membership on the log.

use chorus_crypto::{
    codec::Encode as _,
    credential::{Leaf, LeafOpening, LeafSecret, Rotation, SLOTS},
    sign::PublicKey,
    wire_struct,
};

use rand_core::CryptoRng;

use super::attestation::{Attestation, Claim};
use crate::{id::CommunityId, limits, time::Timestamp};

/// A person asks to be a member: a key, a leaf, and the words of attesters, if there are any yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registration {
    /// Key, leaf, the slots that may be other than zero, and the key that is recovered, if any.
    pub claim: Claim,
    /// Proof that the leaf's opening is known and that its other slots are zero.
    pub opening: LeafOpening,
    /// Attestations of the claim.
    pub attestations: Vec<Attestation>,
}
wire_struct!(Registration { claim, opening, attestations[limits::MAX_ATTESTERS] });

impl Registration {
    /// Registers a claim about the leaf of `secret`, with the attestations that there are.
    pub fn new(
        community: CommunityId,
        claim: Claim,
        secret: &LeafSecret,
        attestations: Vec<Attestation>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let zero: Vec<u8> = Self::zero_slots(claim.slots).into_iter().map(|(slot, _)| slot).collect();
        let opening = secret.prove_opening(&Self::opening_context(community, &claim), &zero, rng);
        Self { claim, opening, attestations }
    }

    /// Returns what the proof of the leaf's opening is bound to: community, key, slots, recovered key.
    pub fn opening_context(community: CommunityId, claim: &Claim) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        claim.encode(&mut bytes);
        bytes
    }

    /// Returns the slots that the proof of opening shows to be zero: all but those of `slots`.
    pub fn zero_slots(slots: u8) -> Vec<(u8, u64)> {
        (0u8..).take(SLOTS).filter(|slot| slots >> slot & 1 == 0).map(|slot| (slot, 0)).collect()
    }
}

/// An attester takes back its word on somebody, or a member leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Whose membership.
    pub key: PublicKey,
    /// An attestation that begins then or before is taken back; a later one is not, so that the same word said again by
    /// somebody takes no fresh one back. Zero of a member who leaves.
    pub until: Timestamp,
    /// Why, for everybody to read; may be empty.
    pub reason: String,
}
wire_struct!(Revocation { key, until, reason(limits::MAX_TEXT_BYTES) });

impl Revocation {
    /// Takes an attestation back, and all earlier ones of its attester.
    pub const fn of(attestation: &Attestation, reason: String) -> Self {
        Self { key: attestation.claim.key, until: attestation.valid_from, reason }
    }

    /// Leaves.
    pub const fn leaving(key: PublicKey, reason: String) -> Self {
        Self { key, until: Timestamp::from_millis(0), reason }
    }
}

/// A member states that somebody is a distinct person, or takes that back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vouch {
    /// For whom.
    pub key: PublicKey,
    /// Whether the vouch stands from now on, or no more.
    pub stands: bool,
    /// Which of the member's words on this person it is, from 1: nobody can say an older one again in their name.
    pub number: u32,
}
wire_struct!(Vouch { key, stands, number });

/// A member takes a fresh leaf with the same attributes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeafRotation {
    /// The new leaf.
    pub leaf: Leaf,
    /// Proof that both leaves are known and have equal slots.
    pub proof: Rotation,
}
wire_struct!(LeafRotation { leaf, proof });

impl LeafRotation {
    /// Returns what the proof is bound to: community, key.
    pub fn context(community: CommunityId, key: PublicKey) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        key.encode(&mut bytes);
        bytes
    }
}

/// The owner of a key denies that it was lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Veto {
    /// The key that was to take over.
    pub key: PublicKey,
}
wire_struct!(Veto { key });

/// An operator's word that an attester is not to be trusted any more; n − f operators decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttesterRemoval {
    /// Which attester.
    pub attester: PublicKey,
    /// Why, for everybody to read.
    pub reason: String,
}
wire_struct!(AttesterRemoval { attester, reason(limits::MAX_TEXT_BYTES) });

/// An operator's word that a member is no distinct person; n − f operators decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expulsion {
    /// Which member.
    pub key: PublicKey,
    /// Why, for everybody to read.
    pub reason: String,
}
wire_struct!(Expulsion { key, reason(limits::MAX_TEXT_BYTES) });

/// How many people an attester has checked for each value of an attribute; small numbers are given as zero.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Census {
    /// The slot.
    pub slot: u8,
    /// Which of the attester's words on this slot it is, from 1: nobody can say an older one again in its name.
    pub number: u32,
    /// People with value 1, 2, …: each zero or at least the policy's `class_members`.
    pub counts: Vec<u32>,
}
wire_struct!(Census { slot, number, counts[limits::MAX_ATTRIBUTE_VALUES] });
