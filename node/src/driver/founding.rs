//! The founding document, asked of whoever has it by somebody who knows only its digest.
//!
//! A short invitation names the community by its id. That is the digest of the founding document, so it does not matter
//! who hands it over.

use std::{io, sync::Arc, time::Duration};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    config::Genesis,
    id::{BlobId, CommunityId},
    limits::MAX_GENESIS_BYTES,
    message::MINOR,
};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::NodeError;
use crate::{
    network::{BlobSource, Caps, Limits, Network, NetworkConfig, NetworkError, NetworkHandle, NodeId, Reach, Role},
    store::blobs::{BlobError, Found, Pieces},
};

/// The question.
const QUESTION: &[u8] = b"founding document";

/// How long somebody is looked for who answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two rounds of asking.
const PAUSE: Duration = Duration::from_millis(200);

/// The document, to be handed to whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Document(Arc<[u8]>);

impl Document {
    pub(super) fn new(genesis: &Genesis) -> Self {
        Self(genesis.to_bytes().into())
    }

    /// Answers a question; one that is not understood, with nothing.
    pub(super) fn answer(&self, question: &[u8]) -> Vec<u8> {
        if question == QUESTION { self.0.to_vec() } else { Vec::new() }
    }
}

/// Nothing is given away by somebody who only asks.
struct Nothing;

impl BlobSource for Nothing {
    fn blob(&self, _: BlobId) -> Option<Vec<u8>> {
        None
    }

    fn find(&self, _: BlobId) -> Option<Found> {
        None
    }

    fn slice(&self, _: BlobId, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _: BlobId, _: &[u8]) -> Result<(), BlobError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    fn begin(&self, _: BlobId, _: u64, _: &[u8]) -> Result<Pieces, BlobError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    fn add(&self, _: BlobId, _: u32, _: &[u8]) -> Result<Pieces, BlobError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

/// Asks the nodes at the addresses for the founding document of a community.
///
/// # Errors
///
/// Returns [`NodeError::Unfounded`] if none of them had it for half a minute, and [`NodeError::Network`] if an address
/// makes no sense.
pub async fn ask(
    community: CommunityId,
    addresses: impl IntoIterator<Item = String> + Send,
) -> Result<Genesis, NodeError> {
    let config = NetworkConfig {
        identity: Zeroizing::new(rand::random()),
        listen: Vec::new(),
        role: Role::Participant,
        reach: Reach { relays: false, ..Reach::quiet() },
        community,
        blobs: Arc::new(Nothing),
        caps: Caps::default(),
        memory: None,
        minor: MINOR,
        limits: Limits::default(),
    };
    let addresses: Vec<_> = addresses.into_iter().collect();
    // The events must be taken, or the network would hold them for nobody.
    let (network, mut events, _) = Network::spawn(config).await?;
    let drained = tokio::spawn(async move { while events.recv().await.is_some() {} });
    let found = async {
        for address in &addresses {
            match network.dial(address).await {
                Err(NetworkError::NoWay(_)) => {}
                dialled => dialled?,
            }
        }
        timeout(PATIENCE, ask_all(&network, community)).await.map_err(|_| NodeError::Unfounded)?
    };
    let found = found.await;
    network.shutdown().await;
    drained.abort();
    found
}

/// Asks all who are connected, until one of them has it.
async fn ask_all(network: &NetworkHandle, community: CommunityId) -> Result<Genesis, NodeError> {
    loop {
        for peer in network.peers() {
            match ask_one(network, peer, community).await {
                Ok(Some(genesis)) => return Ok(genesis),
                Err(NetworkError::Stopped) => return Err(NodeError::Stopped),
                // Another may have it.
                Ok(None) | Err(_) => {}
            }
        }
        sleep(PAUSE).await;
    }
}

async fn ask_one(
    network: &NetworkHandle,
    peer: NodeId,
    community: CommunityId,
) -> Result<Option<Genesis>, NetworkError> {
    let answer = network.request(peer, QUESTION.to_vec()).await?;
    if answer.len() > MAX_GENESIS_BYTES {
        return Ok(None);
    }
    Ok(Genesis::from_bytes(&answer).ok().filter(|genesis| genesis.id() == community))
}
