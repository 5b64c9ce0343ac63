//! Bodies that the protocol, or somebody at this node, wants: here, or from one connected node after the other.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use chorus_protocol::{id::BlobId, peer::Event};
use tokio::{runtime, sync::Semaphore};

use super::{NodeError, inbox::Inbox};
use crate::{
    network::{NetworkHandle, NodeId},
    store::blobs::BlobStore,
};

/// Bodies asked for at a time, so that a node that catches up holds few in memory.
const MAX_FETCHES: usize = 8;

/// The pause after every node has been asked once; it doubles with each turn. A body that is named on the log is on its
/// way to those who do not have it yet.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause: what somebody who was away has comes back with them.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Finds bodies.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    pub(super) network: NetworkHandle,
    pub(super) blobs: Weak<BlobStore>,
    room: Arc<Semaphore>,
}

impl Wants {
    pub(super) fn new(network: NetworkHandle, blobs: &Arc<BlobStore>) -> Self {
        Self { network, blobs: Arc::downgrade(blobs), room: Arc::new(Semaphore::new(MAX_FETCHES)) }
    }

    /// Looks for a body until it is there or the node stops, and hands it to the protocol.
    pub(super) fn find(&self, runtime: &runtime::Handle, id: BlobId, inbox: Inbox) {
        let wants = self.clone();
        runtime.spawn(async move {
            // An error says that the node is stopping.
            if let Ok(bytes) = wants.fetch(id).await {
                let _ = inbox.put(Event::Blob { id, bytes }).await;
            }
        });
    }

    /// Reads a body that is here.
    pub(super) async fn read(&self, id: BlobId) -> Result<Option<Arc<[u8]>>, NodeError> {
        let blobs = self.blobs.clone();
        let read = move || {
            let blobs = blobs.upgrade().ok_or(NodeError::Stopped)?;
            Ok(blobs.get(id)?.map(Arc::from))
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| NodeError::Stopped)?
    }

    /// Asks until the body is there.
    pub(super) async fn fetch(&self, id: BlobId) -> Result<Arc<[u8]>, NodeError> {
        let mut pause = FIRST_PAUSE;
        let mut first = usize::from(id.as_ref()[0]);
        loop {
            match self.read(id).await {
                Ok(Some(bytes)) => return Ok(bytes),
                Err(NodeError::Stopped) => return Err(NodeError::Stopped),
                // A damaged one is fetched again, and replaced.
                Ok(None) | Err(_) => {}
            }
            let peers = self.network.peers();
            for index in 0..peers.len() {
                let peer = peers.get((first + index) % peers.len()).copied();
                if let Some(bytes) = self.ask(peer, id).await? {
                    return Ok(bytes);
                }
            }
            first = first.wrapping_add(1);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&self, peer: Option<NodeId>, id: BlobId) -> Result<Option<Arc<[u8]>>, NodeError> {
        let Some(peer) = peer else { return Ok(None) };
        let _room = self.room.acquire().await.map_err(|_| NodeError::Stopped)?;
        let bytes = match self.network.fetch_blob(peer, id).await {
            Ok(bytes) => bytes,
            Err(crate::network::NetworkError::Stopped) => return Err(NodeError::Stopped),
            Err(error) => {
                tracing::trace!(%error, "a body was not given");
                return Ok(None);
            }
        };
        let blobs = self.blobs.clone();
        let keep = move || {
            let blobs = blobs.upgrade().ok_or(NodeError::Stopped)?;
            if let Err(error) = blobs.put(&bytes) {
                tracing::warn!(%error, "a body cannot be kept");
            }
            Ok(Some(bytes.into()))
        };
        tokio::task::spawn_blocking(keep).await.map_err(|_| NodeError::Stopped)?
    }
}
