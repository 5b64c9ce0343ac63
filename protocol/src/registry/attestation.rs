//! What an attester signs: that a key and a leaf belong to one distinct person, and which slots of the leaf were checked.
//!
//! An attestation binds slot *numbers*, not values: whoever later discloses a bucket shows one that was checked, and no
//! list of who is where exists. A slot that nobody checked is proved to be zero at registration.

use chorus_crypto::{
    codec::Encode,
    credential::{Leaf, LeafSecret},
    domain,
    hash::Digest,
    sign::{PublicKey, SecretKey, Signature},
    wire_struct,
};

use crate::{fault::Fault, id::CommunityId, time::Timestamp};

/// What is attested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The person's accountable key.
    pub key: PublicKey,
    /// The person's leaf.
    pub leaf: Leaf,
    /// The slots that were checked, as bits; the others are zero in the leaf.
    pub slots: u8,
    /// The key that the same person had before and lost, if this is a recovery.
    pub recovers: Option<PublicKey>,
}
wire_struct!(Claim { key, leaf, slots, recovers });

impl Claim {
    /// Claims that a key belongs to a distinct person with the leaf of `secret`, of which no slot was checked that is zero.
    pub fn of(key: PublicKey, secret: &LeafSecret) -> Self {
        let is_used = |(_, value): &(u8, &u64)| **value != 0;
        let slots = (0u8..).zip(secret.attributes()).filter(is_used).fold(0, |slots, (slot, _)| slots | 1 << slot);
        Self { key, leaf: secret.leaf(), slots, recovers: None }
    }
}

/// An attester's word on a [`Claim`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attestation {
    /// Who attests.
    pub attester: PublicKey,
    /// What.
    pub claim: Claim,
    /// The digest of the policy under which it was checked.
    pub policy: Digest,
    /// From which log time on it counts.
    pub valid_from: Timestamp,
    /// From which log time on it counts no more.
    pub expires: Timestamp,
    /// The attester's signature.
    pub signature: Signature,
}
wire_struct!(Attestation { attester, claim, policy, valid_from, expires, signature });

impl Attestation {
    /// Signs a claim.
    pub fn sign(
        attester: &SecretKey,
        community: CommunityId,
        claim: Claim,
        policy: Digest,
        (valid_from, expires): (Timestamp, Timestamp),
    ) -> Self {
        let unsigned = Self {
            attester: attester.public(),
            claim,
            policy,
            valid_from,
            expires,
            signature: Signature::from([0; 64]),
        };
        Self { signature: attester.sign(domain::ATTESTATION, &unsigned.signed_bytes(community)), ..unsigned }
    }

    /// Returns what is signed: community ‖ attester ‖ key ‖ leaf ‖ slots ‖ recovers ‖ policy ‖ valid_from ‖ expires.
    pub fn signed_bytes(&self, community: CommunityId) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        self.attester.encode(&mut bytes);
        self.claim.encode(&mut bytes);
        self.policy.encode(&mut bytes);
        self.valid_from.encode(&mut bytes);
        self.expires.encode(&mut bytes);
        bytes
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Signature`] if it does not verify strictly.
    pub fn verify(&self, community: CommunityId) -> Result<(), Fault> {
        let bytes = self.signed_bytes(community);
        Ok(self.attester.verify(domain::ATTESTATION, &bytes, &self.signature)?)
    }

    /// Returns whether it counts at log time `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.expires
    }
}
