//! What members hand on as text: an invitation to a community, and the request of a newcomer to be attested.

use chorus_crypto::{
    credential::{CredentialError, LeafOpening, LeafSecret, SLOTS},
    wire_struct,
};
use chorus_protocol::{
    config::Genesis, id::CommunityId, limits, log::entry::Registration, peer::Landmark, registry::attestation::Claim,
};
use rand_core::CryptoRng;

use super::token::TextForm;

/// Addresses in an invitation: enough for every operator to have two.
pub const MAX_ADDRESSES: usize = 2 * limits::MAX_OPERATORS;

/// Bytes of an address: a multiaddress with a name, a port and the node's id is about 150.
pub const MAX_ADDRESS_BYTES: usize = 256;

/// A multiaddress at which a node of the community may be found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The text of it.
    pub text: String,
}
wire_struct!(Address { text(MAX_ADDRESS_BYTES) });

/// Everything a newcomer needs: the founding document, whose digest is the community's id, and where to call.
///
/// An invitation is public. It admits nobody: that takes an attester.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invite {
    /// The founding document.
    pub genesis: Genesis,
    /// Where nodes of the community may be found.
    pub addresses: Vec<Address>,
    /// A batch on the log of whoever invites that begins with a checkpoint: the log of whoever joins may begin there. To trust
    /// it is to trust the same person as with the founding document.
    pub checkpoint: Option<Landmark>,
}
wire_struct!(Invite { genesis, addresses[MAX_ADDRESSES], checkpoint });

impl TextForm for Invite {
    const NAME: &'static str = "chorus-invite";
    const WHAT: &'static str = "invitation";
    const VERSION: u32 = 2;
    const MAX_BYTES: usize = limits::MAX_GENESIS_BYTES + MAX_ADDRESSES * (MAX_ADDRESS_BYTES + 8) + 64;
}

impl Invite {
    /// Returns the addresses as texts.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| address.text.clone())
    }

    /// Returns the same without the founding document, and with a few of the addresses.
    pub fn short(&self) -> ShortInvite {
        ShortInvite {
            community: self.genesis.id(),
            addresses: self.addresses.iter().take(MAX_SHORT_ADDRESSES).cloned().collect(),
            checkpoint: self.checkpoint,
        }
    }
}

/// Addresses in a short invitation: one more than may be down at a time, with as many operators as most communities have.
pub const MAX_SHORT_ADDRESSES: usize = 3;

/// An invitation that a camera can read: the community's id instead of its founding document, which any of its nodes has,
/// and which has no other digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShortInvite {
    /// The digest of the founding document.
    pub community: CommunityId,
    /// Where nodes of the community may be found.
    pub addresses: Vec<Address>,
    /// As in [`Invite::checkpoint`].
    pub checkpoint: Option<Landmark>,
}
wire_struct!(ShortInvite { community, addresses[MAX_SHORT_ADDRESSES], checkpoint });

impl TextForm for ShortInvite {
    const NAME: &'static str = "chorus-short-invite";
    const WHAT: &'static str = "short invitation";
    const MAX_BYTES: usize = 64 + MAX_SHORT_ADDRESSES * (MAX_ADDRESS_BYTES + 8) + 64;
}

impl ShortInvite {
    /// Returns the addresses as texts.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| address.text.clone())
    }

    /// Completes the invitation with the founding document, if it is the one.
    pub fn with(self, genesis: Genesis) -> Option<Invite> {
        let Self { community, addresses, checkpoint } = self;
        (genesis.id() == community).then_some(Invite { genesis, addresses, checkpoint })
    }
}

/// A newcomer's request: the registration without attestations, and what is for the attester's eyes.
///
/// # Security
///
/// It goes to the attester alone, who learns the values that it states; and whoever reads the evidence could use it. It
/// holds no secret of the leaf.
#[derive(Clone, Eq, PartialEq)]
pub struct AttestationRequest {
    /// The community.
    pub community: CommunityId,
    /// What is to be attested.
    pub claim: Claim,
    /// Proof that the newcomer knows the leaf's opening, and that the slots that are not stated are zero. Public.
    pub opening: LeafOpening,
    /// The values of the stated slots, ascending.
    pub values: Vec<SlotValue>,
    /// Proof that the leaf holds these values.
    pub shown: LeafOpening,
    /// What the newcomer shows: an invite code, or what a hook understands.
    pub evidence: String,
}
wire_struct!(AttestationRequest {
    community,
    claim,
    opening,
    values[SLOTS],
    shown,
    evidence(MAX_EVIDENCE_BYTES),
});

/// Bytes of what a newcomer shows: a presentation of a credential takes a few kilobytes.
pub const MAX_EVIDENCE_BYTES: usize = 16 * 1024;

/// The value of a slot of a leaf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlotValue {
    /// The slot.
    pub slot: u8,
    /// Its value.
    pub value: u64,
}
wire_struct!(SlotValue { slot, value });

impl core::fmt::Debug for AttestationRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AttestationRequest").field("key", &self.claim.key).finish_non_exhaustive()
    }
}

impl TextForm for AttestationRequest {
    const NAME: &'static str = "chorus-request";
    const WHAT: &'static str = "request for attestation";
    const VERSION: u32 = 2;
    const MAX_BYTES: usize = 2048 + MAX_EVIDENCE_BYTES;
}

impl AttestationRequest {
    /// Writes the request of the person with this leaf.
    pub fn new(
        community: CommunityId,
        claim: Claim,
        secret: &LeafSecret,
        evidence: String,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let opening = Registration::new(community, claim, secret, Vec::new(), rng).opening;
        let stated = |slot: &u8| claim.slots >> slot & 1 == 1;
        let slots: Vec<u8> = (0u8..).take(SLOTS).filter(stated).collect();
        let shown = secret.prove_opening(&Registration::opening_context(community, &claim), &slots, rng);
        let value = |slot: &u8| secret.attributes().get(usize::from(*slot)).copied().unwrap_or_default();
        let values = slots.iter().map(|slot| SlotValue { slot: *slot, value: value(slot) }).collect();
        Self { community, claim, opening, values, shown, evidence }
    }

    /// Checks that whoever wrote it knows the opening of the leaf, for this community and claim, and that the leaf holds
    /// the values stated, for all slots that are to be attested.
    ///
    /// # Errors
    ///
    /// Returns why a proof does not hold.
    pub fn verify(&self) -> Result<(), CredentialError> {
        let context = Registration::opening_context(self.community, &self.claim);
        let stated: Vec<(u8, u64)> = self.values.iter().map(|value| (value.slot, value.value)).collect();
        let slots = stated.iter().fold(0u8, |slots, (slot, _)| slots | 1u8.checked_shl((*slot).into()).unwrap_or(0));
        if slots != self.claim.slots {
            return Err(CredentialError::Disclosed);
        }
        self.opening.verify(&self.claim.leaf, &context, &Registration::zero_slots(self.claim.slots))?;
        self.shown.verify(&self.claim.leaf, &context, &stated)
    }
}
