//! The name of a node on the network.

use core::fmt;

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader};
use chorus_protocol::id::ParseIdError;
use libp2p::PeerId;

/// A node's transport key: the Ed25519 public key that its connections are authenticated with.
///
/// It says nothing about who signs; that is another key.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct NodeId([u8; Self::LEN]);

/// What precedes the key in the bytes of a libp2p peer id: an identity multihash of 36 bytes, of a protobuf message with
/// key type Ed25519 and 32 bytes of key.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

impl NodeId {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// Returns the name of the node with this transport seed.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self(*chorus_crypto::sign::SecretKey::from_seed(seed).public().as_bytes())
    }

    pub(super) fn to_peer_id(self) -> PeerId {
        let bytes = [PEER_ID_PREFIX.as_slice(), &self.0].concat();
        PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
    }

    /// Returns the name of a peer, which must have an Ed25519 key.
    pub(super) fn from_peer_id(peer: &PeerId) -> Option<Self> {
        let bytes = peer.to_bytes();
        let (prefix, key) = bytes.split_first_chunk()?;
        if *prefix == PEER_ID_PREFIX { Some(Self(key.try_into().ok()?)) } else { None }
    }
}

impl From<[u8; 32]> for NodeId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8; 32]> for NodeId {
    fn as_ref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "NodeId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

impl core::str::FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| Some(Self(bytes.try_into().ok()?))).ok_or_else(|| ParseIdError(text.to_owned()))
    }
}

impl serde::Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for NodeId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for NodeId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_the_key_in_a_peer_id() {
        let keys = libp2p::identity::Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes are a seed");
        let id = NodeId::of_seed(&[7; 32]);

        assert_eq!(id.to_peer_id(), keys.public().to_peer_id());
        assert_eq!(NodeId::from_peer_id(&keys.public().to_peer_id()), Some(id));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<NodeId>().is_err());
    }
}
