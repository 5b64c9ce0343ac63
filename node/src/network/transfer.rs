//! Blobs: asked for, and given away.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chorus_protocol::id::BlobId;
use libp2p::request_response::{Event, InboundRequestId, Message, OutboundRequestId, ResponseChannel};
use tokio::sync::mpsc;

use super::{Answer, BlobSource, NetworkError, NodeId, direct::failure, task::Task, wire::BlobAnswer};

/// Blobs that are given away at a time: each may be 16 MiB in memory.
const MAX_UPLOADS: usize = 16;
/// Of these, to one peer.
const MAX_UPLOADS_OF_PEER: usize = 4;

/// Blobs under way, in both directions.
pub(super) struct Transfers {
    source: Arc<dyn BlobSource>,
    fetches: BTreeMap<OutboundRequestId, (NodeId, Answer)>,
    uploads: BTreeMap<InboundRequestId, NodeId>,
    done: mpsc::Sender<Uploaded>,
}

/// A blob that was read, or not found, for a peer.
pub(super) struct Uploaded {
    id: InboundRequestId,
    channel: ResponseChannel<Vec<u8>>,
    answer: BlobAnswer,
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers").field("uploads", &self.uploads).finish_non_exhaustive()
    }
}

impl Transfers {
    pub(super) fn new(source: Arc<dyn BlobSource>) -> (Self, mpsc::Receiver<Uploaded>) {
        let (done, uploaded) = mpsc::channel(MAX_UPLOADS);
        (Self { source, fetches: BTreeMap::new(), uploads: BTreeMap::new(), done }, uploaded)
    }
}

impl Task {
    pub(super) fn fetch(&mut self, from: NodeId, id: BlobId, done: Answer) {
        if !self.peers.contains_key(&from) {
            let _ = done.send(Err(NetworkError::NotConnected(from)));
            return;
        }
        if self.withholds_blobs(&from) {
            let _ = done.send(Err(NetworkError::Relayed(from)));
            return;
        }
        let request = self.swarm.behaviour_mut().blobs.send_request(&from.to_peer_id(), id.as_ref().to_vec());
        self.transfers.fetches.insert(request, (from, done));
    }

    pub(super) fn on_transfer(&mut self, event: Event<Vec<u8>, Vec<u8>>) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                if let Some(from) = NodeId::from_peer_id(&peer) {
                    self.upload(from, request_id, &request, channel);
                }
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                if let Some((_, done)) = self.transfers.fetches.remove(&request_id) {
                    let _ = done.send(Ok(response));
                }
            }
            Event::OutboundFailure { request_id, error, .. } => {
                if let Some((peer, done)) = self.transfers.fetches.remove(&request_id) {
                    let _ = done.send(Err(NetworkError::Failed { peer, failure: failure(&error) }));
                }
            }
            Event::InboundFailure { request_id, .. } | Event::ResponseSent { request_id, .. } => {
                self.transfers.uploads.remove(&request_id);
            }
        }
    }

    /// Reads a blob for a peer, on a thread that may block.
    fn upload(&mut self, from: NodeId, id: InboundRequestId, request: &[u8], channel: ResponseChannel<Vec<u8>>) {
        self.confirm(from);
        let Ok(blob) = <[u8; BlobId::LEN]>::try_from(request) else {
            self.strike(from);
            return;
        };
        let withheld = self.withholds_blobs(&from);
        let uploads = &mut self.transfers.uploads;
        let of_peer = uploads.values().filter(|peer| **peer == from).count();
        if withheld || uploads.len() >= MAX_UPLOADS || of_peer >= MAX_UPLOADS_OF_PEER {
            let _ = self.swarm.behaviour_mut().blobs.send_response(channel, BlobAnswer::Busy.into_bytes());
            return;
        }
        uploads.insert(id, from);
        let (source, done) = (Arc::clone(&self.transfers.source), self.transfers.done.clone());
        tokio::task::spawn_blocking(move || {
            let answer = source.blob(BlobId::from(blob)).map_or(BlobAnswer::Absent, BlobAnswer::Found);
            // An error says that the network was shut down meanwhile.
            let _ = done.blocking_send(Uploaded { id, channel, answer });
        });
    }

    pub(super) fn on_uploaded(&mut self, uploaded: Uploaded) {
        let Uploaded { id, channel, answer } = uploaded;
        if self.swarm.behaviour_mut().blobs.send_response(channel, answer.into_bytes()).is_err() {
            self.transfers.uploads.remove(&id);
        }
    }
}
