//! What members hand on as text: an invitation to a community, and the request of a newcomer to be attested.

use chorus_crypto::{
    credential::{CredentialError, Leaf, LeafOpening, LeafSecret},
    sign::PublicKey,
    wire_struct,
};
use chorus_protocol::{config::Genesis, id::CommunityId, limits, log::entry::Registration};
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
    const MAX_BYTES: usize = 16 * 1024;
}

impl Invite {
    /// Returns the addresses as texts.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| address.text.clone())
    }
}

/// A newcomer's request: the registration without the attestation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttestationRequest {
    /// The community.
    pub community: CommunityId,
    /// The newcomer's public key.
    pub key: PublicKey,
    /// The newcomer's hiding leaf.
    pub leaf: Leaf,
    /// Proof that the newcomer knows the leaf's opening.
    pub opening: LeafOpening,
}
wire_struct!(AttestationRequest { community, key, leaf, opening });

impl TextForm for AttestationRequest {
    const NAME: &'static str = "chorus-request";
    const WHAT: &'static str = "request for attestation";
    const MAX_BYTES: usize = 1024;
}

impl AttestationRequest {
    /// Writes the request of the person with these secrets.
    pub fn new(community: CommunityId, key: PublicKey, secret: &LeafSecret, rng: &mut impl CryptoRng) -> Self {
        let opening = secret.prove_opening(&Registration::opening_context(community, key), rng);
        Self { community, key, leaf: secret.leaf(), opening }
    }

    /// Checks that whoever wrote it knows the opening of the leaf, for this community and key.
    ///
    /// # Errors
    ///
    /// Returns why the proof does not hold.
    pub fn verify(&self) -> Result<(), CredentialError> {
        self.opening.verify(&self.leaf, &Registration::opening_context(self.community, self.key))
    }
}
