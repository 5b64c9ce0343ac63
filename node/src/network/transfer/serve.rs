//! Giving blobs away: what is asked, how many at a time, and who wants to hear more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chorus_crypto::codec::Decode as _;
use chorus_protocol::id::BlobId;
use libp2p::{
    request_response::{InboundRequestId, ResponseChannel},
    swarm::ConnectionId,
};

use super::{
    super::{NodeId, task::Task},
    Done,
    message::{Answer, Request},
};
use crate::store::blobs::{Found, Pieces};

/// Pieces that are given away at a time: enough to fill an uplink, few enough that each is soon there.
const SLOTS: usize = 8;
/// The same where the uplink is known to be narrow.
const CAPPED_SLOTS: usize = 4;
/// Of these, to one peer.
const SLOTS_OF_PEER: usize = 4;
/// Other questions that are answered at a time, and of one peer.
const MAX_FINDS: usize = 64;
const MAX_FINDS_OF_PEER: usize = 16;
/// How long a peer that is refused should wait: about as long as a piece takes.
const RETRY: Duration = Duration::from_millis(60);
const CAPPED_RETRY: Duration = Duration::from_millis(150);

/// For how long a peer hears of a blob that it asked for: it asks again if it still wants it.
const INTEREST: Duration = Duration::from_secs(60);
/// Blobs that one peer hears of.
const MAX_INTEREST_OF_PEER: usize = 256;

/// A request, and how it is answered.
pub(in crate::network) struct Served {
    id: InboundRequestId,
    channel: ResponseChannel<Vec<u8>>,
    answer: Answer,
}

/// What is being given away.
#[derive(Debug)]
pub(super) struct Uploads {
    slots: usize,
    retry: Duration,
    /// To whom, and whether it is a piece.
    active: BTreeMap<InboundRequestId, (NodeId, bool)>,
}

impl Uploads {
    pub(super) const fn new(is_capped: bool) -> Self {
        let (slots, retry) = if is_capped { (CAPPED_SLOTS, CAPPED_RETRY) } else { (SLOTS, RETRY) };
        Self { slots, retry, active: BTreeMap::new() }
    }

    fn begin(&mut self, id: InboundRequestId, to: NodeId, is_piece: bool) -> bool {
        let (of_all, of_peer) = if is_piece { (self.slots, SLOTS_OF_PEER) } else { (MAX_FINDS, MAX_FINDS_OF_PEER) };
        let alike = || self.active.values().filter(|(_, piece)| *piece == is_piece);
        let is_free = alike().count() < of_all && alike().filter(|(peer, _)| *peer == to).count() < of_peer;
        if is_free {
            self.active.insert(id, (to, is_piece));
        }
        is_free
    }

    pub(super) fn end(&mut self, id: InboundRequestId) {
        self.active.remove(&id);
    }
}

/// Who wants to hear of which blobs.
#[derive(Debug, Default)]
pub(super) struct Interest {
    until: BTreeMap<NodeId, BTreeMap<BlobId, Instant>>,
    news: BTreeMap<BlobId, (u64, Pieces)>,
}

impl Interest {
    fn add(&mut self, node: NodeId, id: BlobId, now: Instant) {
        let of_peer = self.until.entry(node).or_default();
        if of_peer.len() >= MAX_INTEREST_OF_PEER {
            of_peer.retain(|_, until| *until > now);
        }
        if of_peer.len() < MAX_INTEREST_OF_PEER || of_peer.contains_key(&id) {
            of_peer.insert(id, now + INTEREST);
        }
    }

    fn remove(&mut self, node: NodeId, id: BlobId) {
        if let Some(of_peer) = self.until.get_mut(&node) {
            of_peer.remove(&id);
        }
    }

    pub(super) fn gone(&mut self, node: NodeId) {
        self.until.remove(&node);
    }

    /// There is more of a blob.
    pub(super) fn changed(&mut self, id: BlobId, size: u64, here: Pieces) {
        self.news.insert(id, (size, here));
    }

    /// Returns whom to tell what.
    pub(super) fn news(&mut self, now: Instant) -> Vec<(NodeId, Request)> {
        let news = std::mem::take(&mut self.news);
        let mut tell = Vec::new();
        for (node, of_peer) in &self.until {
            for (id, (size, here)) in &news {
                if of_peer.get(id).is_some_and(|until| *until > now) {
                    tell.push((*node, Request::Has(*id, *size, *here)));
                }
            }
        }
        tell
    }
}

impl Task {
    pub(super) fn on_blob_request(
        &mut self,
        from: NodeId,
        connection: ConnectionId,
        id: InboundRequestId,
        request: &[u8],
        channel: ResponseChannel<Vec<u8>>,
    ) {
        self.confirm(from);
        let is_usable = self.transfers.usable.get(&from).is_some_and(|usable| usable.contains(&connection));
        let answer = match Request::from_bytes(request) {
            Ok(Request::Has(blob, size, pieces)) => {
                self.on_has(from, blob, size, pieces);
                Answer::Noted
            }
            Ok(_) if !is_usable => Answer::Absent,
            Ok(_) if !self.transfers.limiter.may_serve() => Answer::Absent,
            Ok(Request::Find(blob)) => {
                self.transfers.interest.add(from, blob, Instant::now());
                if self.transfers.uploads.begin(id, from, false) {
                    self.transfers.blocking(move |source| {
                        let answer = match source.find(blob) {
                            Some(Found::Whole(bytes)) => Answer::Whole(bytes),
                            Some(Found::Parts { size, pieces, proof }) => Answer::Parts { size, pieces, proof },
                            None => Answer::Absent,
                        };
                        Done::Served(Served { id, channel, answer })
                    });
                    return;
                }
                Answer::Busy(self.transfers.uploads.retry)
            }
            Ok(Request::Piece(blob, piece)) => {
                if self.transfers.uploads.begin(id, from, true) {
                    self.transfers.blocking(move |source| {
                        let answer = source.slice(blob, piece).map_or(Answer::Absent, Answer::Slice);
                        Done::Served(Served { id, channel, answer })
                    });
                    return;
                }
                Answer::Busy(self.transfers.uploads.retry)
            }
            Err(error) => {
                tracing::debug!(peer = ?from, %error, "a peer sent what is no blob request");
                self.strike(from);
                return;
            }
        };
        let _ = self.swarm.behaviour_mut().blobs.send_response(channel, answer.into_bytes());
    }

    /// A peer tells unasked what it has.
    fn on_has(&mut self, from: NodeId, id: BlobId, size: u64, pieces: Pieces) {
        let (plan, now) = (&mut self.transfers.plan, Instant::now());
        match plan.progress(id) {
            Some((known, _)) if known == size => plan.holds(from, id, pieces, now),
            // Its answer proves what it says, or does not.
            Some(_) | None => plan.is_worth_asking(from, id, now),
        }
        if pieces.is_full() {
            self.transfers.interest.remove(from, id);
        }
    }

    pub(super) fn on_served(&mut self, served: Served) {
        let Served { id, channel, answer } = served;
        if self.swarm.behaviour_mut().blobs.send_response(channel, answer.into_bytes()).is_err() {
            self.transfers.uploads.end(id);
        }
    }
}
