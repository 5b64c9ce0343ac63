//! What members hand on as text: an invitation to a community, and the request of a newcomer to be attested.

use chorus_crypto::{
    credential::{CredentialError, LeafOpening, LeafSecret},
    sign::PublicKey,
    wire_struct,
};
use chorus_protocol::{
    config::Genesis, id::CommunityId, limits, log::entry::Registration, registry::attestation::Claim,
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
}
wire_struct!(Invite { genesis, addresses[MAX_ADDRESSES] });

impl TextForm for Invite {
    const NAME: &'static str = "chorus-invite";
    const WHAT: &'static str = "invitation";
    const MAX_BYTES: usize = limits::MAX_GENESIS_BYTES + 4096;
}

impl Invite {
    /// Returns the addresses as texts.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| address.text.clone())
    }
}

/// A newcomer's request: the registration without attestations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttestationRequest {
    /// The community.
    pub community: CommunityId,
    /// What is to be attested.
    pub claim: Claim,
    /// Proof that the newcomer knows the leaf's opening.
    pub opening: LeafOpening,
}
wire_struct!(AttestationRequest { community, claim, opening });

impl TextForm for AttestationRequest {
    const NAME: &'static str = "chorus-request";
    const WHAT: &'static str = "request for attestation";
    const MAX_BYTES: usize = 1024;
}

impl AttestationRequest {
    /// Writes the request of the person with these secrets.
    pub fn new(community: CommunityId, key: PublicKey, secret: &LeafSecret, rng: &mut impl CryptoRng) -> Self {
        let claim = Claim::of(key, secret);
        let opening = Registration::new(community, claim, secret, Vec::new(), rng).opening;
        Self { community, claim, opening }
    }

    /// Checks that whoever wrote it knows the opening of the leaf, for this community and key.
    ///
    /// # Errors
    ///
    /// Returns why the proof does not hold.
    pub fn verify(&self) -> Result<(), CredentialError> {
        let context = Registration::opening_context(self.community, &self.claim);
        self.opening.verify(&self.claim.leaf, &context, &Registration::zero_slots(self.claim.slots))
    }
}
