//! Bodies that the protocol, or somebody at this node, wants: here, or from connected nodes.

use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use chorus_protocol::{id::BlobId, peer::Event};
use futures::{StreamExt as _, stream};
use tokio::{
    runtime,
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{NodeError, inbox::Inbox};
use crate::{
    network::{NetworkError, NetworkHandle},
    store::blobs::BlobStore,
};

/// How often it is looked whether a body that is asked for has come to be here in another way.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The pause before a body is asked for again that could not be kept.
const PAUSE: Duration = Duration::from_secs(5);

/// How many bodies are fetched at once that are only kept: what somebody waits for goes first.
const ARCHIVED_AT_ONCE: usize = 4;
/// How long one of them is asked for. Their number is that of the log's contributions, and perhaps nobody has any.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(60);

/// Finds bodies.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    pub(super) network: NetworkHandle,
    pub(super) blobs: Weak<BlobStore>,
}

impl Wants {
    pub(super) fn new(network: NetworkHandle, blobs: &Arc<BlobStore>) -> Self {
        Self { network, blobs: Arc::downgrade(blobs) }
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

    /// Fetches bodies to keep them, a few at a time and one list after the other, until the node stops. What nobody has by
    /// then is asked for again when the node starts again.
    pub(super) async fn archive(self, mut lists: mpsc::UnboundedReceiver<Vec<BlobId>>) {
        while let Some(ids) = lists.recv().await {
            let wants = &self;
            let fetching = stream::iter(ids).for_each_concurrent(ARCHIVED_AT_ONCE, |id| async move {
                match timeout(ARCHIVE_PATIENCE, wants.fetch(id)).await {
                    Ok(_) => {}
                    Err(_) => tracing::debug!(%id, "nobody has a body that an audit asks for"),
                }
            });
            fetching.await;
        }
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
        loop {
            if let Some(bytes) = self.look(id).await? {
                return Ok(bytes);
            }
            let mut fetching = pin!(self.network.fetch_blob(id));
            loop {
                match timeout(LOOK_AGAIN, &mut fetching).await {
                    Ok(Ok(bytes)) => return Ok(bytes.into()),
                    Ok(Err(NetworkError::Stopped)) => return Err(NodeError::Stopped),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "a body is not fetched");
                        sleep(PAUSE).await;
                        break;
                    }
                    Err(_) if self.blobs.upgrade().is_none_or(|blobs| blobs.contains(id)) => break,
                    Err(_) => {}
                }
            }
        }
    }

    /// Reads a body that may be here. A damaged one is fetched again, and replaced.
    async fn look(&self, id: BlobId) -> Result<Option<Arc<[u8]>>, NodeError> {
        match self.read(id).await {
            Err(NodeError::Stopped) => Err(NodeError::Stopped),
            read => Ok(read.unwrap_or_default()),
        }
    }
}
