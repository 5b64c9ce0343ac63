//! Blobs: fetched from several nodes at once, and given away, whole or in part.
//!
//! A blob of at most one piece comes whole from the first node that has it. Of a larger one, the first answer tells and
//! proves the length; then the [plan](plan) says whom to ask for which piece. Every piece is proved by the hashes that come
//! with it, checked before it is stored, and passed on from then on. Whoever was asked for a blob remembers who asked, and
//! tells them directly when it has more of it: nobody else hears of it.
//!
//! Blobs are moved over direct connections only, unless the node is told otherwise: a relay carries little. A node that
//! nobody can call has direct connections all the same: those that it made itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use chorus_crypto::codec::Encode as _;
use chorus_protocol::id::BlobId;
use libp2p::{
    request_response::{Event, Message, OutboundRequestId},
    swarm::ConnectionId,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::{mpsc, oneshot, watch};

use self::{
    message::{Answer, Request},
    plan::{Ask, Plan, Refusal},
    serve::{Given, Interest, Uploads},
};
use super::{
    BlobSource, NetworkError, NodeId, Traffic, Transfer,
    limit::{Ledger, Limiter, write_ledger},
    task::Task,
};
use crate::store::blobs::{BlobError, Pieces};

pub(super) mod message;
mod plan;
mod serve;

/// What threads that may block have done, and the network does not know of yet.
const MAX_DONE: usize = 256;

/// Who waits for a blob.
pub(super) type Waiting = oneshot::Sender<Result<Vec<u8>, NetworkError>>;

/// What was asked of a peer and is not answered yet.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Find {
        from: NodeId,
        id: BlobId,
    },
    Piece {
        from: NodeId,
        id: BlobId,
        piece: u32,
    },
    /// It was told what is here.
    Told,
}

/// What a thread that may block has done.
pub(super) enum Done {
    /// Found out how a peer's request is answered.
    Served(serve::Served),
    /// Made ready for a blob of which a peer has pieces.
    Begun { from: NodeId, id: BlobId, size: u64, pieces: Pieces, begun: Result<Pieces, BlobError> },
    /// Checked a small blob that a peer sent, and tried to keep it.
    Checked { from: NodeId, id: BlobId, bytes: Option<Vec<u8>> },
    /// Added a piece that a peer sent.
    Added { from: NodeId, id: BlobId, piece: u32, added: Result<Pieces, BlobError> },
    /// Read a blob of which the last piece has come.
    Read { id: BlobId, bytes: Option<Vec<u8>> },
}

/// Blobs under way, in both directions.
pub(super) struct Transfers {
    source: Arc<dyn BlobSource>,
    pub(super) limiter: Arc<Limiter>,
    ledger: Ledger,
    /// Whether relayed connections are used.
    relayed: bool,
    /// The connections with each peer over which blobs may be moved.
    usable: BTreeMap<NodeId, BTreeSet<ConnectionId>>,
    plan: Plan,
    rng: ChaCha20Rng,
    asked: BTreeMap<OutboundRequestId, Asked>,
    waiting: BTreeMap<BlobId, Vec<Waiting>>,
    uploads: Uploads,
    interest: Interest,
    given: Given,
    done: mpsc::Sender<Done>,
    progress: watch::Sender<Vec<Transfer>>,
    traffic: watch::Sender<Traffic>,
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers").field("uploads", &self.uploads).finish_non_exhaustive()
    }
}

/// What the network's handles look at.
pub(super) struct Watched {
    pub(super) progress: watch::Sender<Vec<Transfer>>,
    pub(super) traffic: watch::Sender<Traffic>,
}

impl Transfers {
    pub(super) fn new(
        source: Arc<dyn BlobSource>,
        limiter: Arc<Limiter>,
        ledger: Ledger,
        relayed: bool,
        watched: Watched,
    ) -> (Self, mpsc::Receiver<Done>) {
        let (done, queue) = mpsc::channel(MAX_DONE);
        let transfers = Self {
            source,
            uploads: Uploads::new(limiter.up.is_capped()),
            limiter,
            ledger,
            relayed,
            usable: BTreeMap::new(),
            plan: Plan::default(),
            rng: ChaCha20Rng::from_seed(rand::random()),
            asked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            interest: Interest::default(),
            given: Given::default(),
            done,
            progress: watched.progress,
            traffic: watched.traffic,
        };
        (transfers, queue)
    }

    /// Does something that may block on a thread of its own, and hears of it later.
    fn blocking(&self, work: impl FnOnce(&dyn BlobSource) -> Done + Send + 'static) {
        let (source, done) = (Arc::clone(&self.source), self.done.clone());
        tokio::task::spawn_blocking(move || {
            // An error says that the network was shut down meanwhile.
            let _ = done.blocking_send(work(&*source));
        });
    }

    /// Ends the fetching of a blob.
    fn finish(&mut self, id: BlobId, result: impl Fn() -> Result<Vec<u8>, NetworkError>) {
        self.plan.forget(id);
        for waiting in self.waiting.remove(&id).unwrap_or_default() {
            let _ = waiting.send(result());
        }
    }

    /// Returns when there is something to ask, if nothing happens before.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.limiter.may_fetch() { self.plan.next() } else { None }
    }

    /// Writes what was used of the month. Blocks for as long as a small file takes.
    pub(super) fn close(&mut self) {
        if let Some(due) = self.ledger.due(self.limiter.traffic().month, true)
            && let Err(error) = write_ledger(&due)
        {
            tracing::warn!(%error, "what was used of the month is not remembered");
        }
    }
}

impl Task {
    /// A connection is there: blobs may be moved over it, unless it is relayed.
    pub(super) fn add_link(&mut self, node: NodeId, connection: ConnectionId, is_relayed: bool) {
        if !is_relayed || self.transfers.relayed {
            self.transfers.usable.entry(node).or_default().insert(connection);
            self.offer(node);
        }
    }

    /// A connection is gone.
    pub(super) fn remove_link(&mut self, node: NodeId, connection: ConnectionId) {
        let Some(usable) = self.transfers.usable.get_mut(&node) else { return };
        usable.remove(&connection);
        if usable.is_empty() {
            self.transfers.usable.remove(&node);
            self.transfers.interest.gone(node);
            self.transfers.plan.gone(node, Instant::now());
        }
    }

    /// Counts a peer among those that can be asked, once it is known to be of this community.
    pub(super) fn offer(&mut self, node: NodeId) {
        if self.peers.get(&node).is_some_and(|peer| peer.confirmed) && self.transfers.usable.contains_key(&node) {
            self.transfers.plan.connected(node, Instant::now());
        }
    }

    pub(super) fn fetch(&mut self, id: BlobId, done: Waiting) {
        self.transfers.waiting.entry(id).or_default().push(done);
        self.transfers.plan.want(id, Instant::now());
        self.ask();
    }

    /// Asks whatever there is to ask now.
    pub(super) fn ask(&mut self) {
        if !self.transfers.limiter.may_fetch() {
            return;
        }
        let asks = self.transfers.plan.poll(Instant::now(), &mut self.transfers.rng);
        for ask in asks {
            let (from, request, asked) = match ask {
                Ask::Find { from, id } => (from, Request::Find(id), Asked::Find { from, id }),
                Ask::Piece { from, id, piece } => {
                    let Some((size, here)) = self.transfers.plan.progress(id) else { continue };
                    self.transfers.interest.told(from, id, here.len());
                    (from, Request::Piece(id, size, here, piece), Asked::Piece { from, id, piece })
                }
            };
            self.send_blob_request(from, &request, asked);
        }
    }

    fn send_blob_request(&mut self, to: NodeId, request: &Request, asked: Asked) {
        let id = self.swarm.behaviour_mut().blobs.send_request(&to.to_peer_id(), request.to_bytes());
        self.transfers.asked.insert(id, asked);
    }

    pub(super) fn on_transfer(&mut self, event: Event<Vec<u8>, Vec<u8>>) {
        match event {
            Event::Message { peer, connection_id, message: Message::Request { request_id, request, channel } } => {
                if let Some(from) = NodeId::from_peer_id(&peer) {
                    self.on_blob_request(from, connection_id, request_id, &request, channel);
                }
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                if let Some(asked) = self.transfers.asked.remove(&request_id) {
                    self.on_blob_answer(asked, response);
                }
            }
            Event::OutboundFailure { request_id, error, .. } => {
                if let Some(asked) = self.transfers.asked.remove(&request_id) {
                    tracing::trace!(?asked, %error, "no answer about a blob");
                    self.on_refused(asked, Refusal::Failed);
                }
            }
            Event::InboundFailure { request_id, .. } | Event::ResponseSent { request_id, .. } => {
                self.transfers.uploads.end(request_id);
            }
        }
        self.ask();
    }

    fn on_refused(&mut self, asked: Asked, refusal: Refusal) {
        let (plan, now) = (&mut self.transfers.plan, Instant::now());
        match asked {
            Asked::Find { from, id } => plan.not_found(from, id, refusal, now),
            Asked::Piece { from, id, piece } => plan.refused(from, id, piece, refusal, now),
            Asked::Told => {}
        }
    }

    fn on_blob_answer(&mut self, asked: Asked, response: Vec<u8>) {
        match (asked, Answer::from_bytes(response)) {
            (Asked::Told, _) => {}
            (_, Some(Answer::Absent)) => self.on_refused(asked, Refusal::Absent),
            (_, Some(Answer::Busy(pause))) => self.on_refused(asked, Refusal::Busy(pause)),
            (Asked::Find { from, id }, Some(Answer::Whole(bytes))) => self.on_whole(from, id, bytes),
            (Asked::Find { from, id }, Some(Answer::Parts { size, pieces, proof })) => {
                self.on_parts(from, id, size, pieces, proof);
            }
            (Asked::Piece { from, id, piece }, Some(Answer::Slice(slice))) => {
                self.transfers.plan.arrived(from, id, piece, Instant::now());
                self.transfers.blocking(move |source| {
                    let added = source.add(id, piece, &slice);
                    Done::Added { from, id, piece, added }
                });
            }
            (Asked::Piece { from, id, piece }, Some(Answer::Instead(pieces))) if !pieces.contains(piece) => {
                self.transfers.plan.offered(from, id, piece, pieces, Instant::now());
            }
            (Asked::Find { from, id } | Asked::Piece { from, id, .. }, _) => self.on_wrong(from, id),
        }
    }

    /// What a peer sent about a blob is provably wrong.
    fn on_wrong(&mut self, from: NodeId, id: BlobId) {
        tracing::debug!(peer = ?from, %id, "a peer sent something else than a blob");
        self.transfers.plan.wrong(from, id, Instant::now());
        self.strike(from);
    }

    fn on_whole(&mut self, from: NodeId, id: BlobId, bytes: Vec<u8>) {
        self.transfers.blocking(move |source| {
            let is_right = BlobId::of(&bytes) == id;
            if is_right && let Err(error) = source.put(id, &bytes) {
                tracing::warn!(%id, %error, "a blob cannot be kept");
            }
            Done::Checked { from, id, bytes: is_right.then_some(bytes) }
        });
    }

    fn on_parts(&mut self, from: NodeId, id: BlobId, size: u64, pieces: Pieces, proof: Vec<u8>) {
        match self.transfers.plan.progress(id) {
            Some((known, _)) if known == size => self.transfers.plan.holds(from, id, pieces, Instant::now()),
            // The known one is proved.
            Some(_) => self.on_wrong(from, id),
            None if self.transfers.plan.wants(id) => self.transfers.blocking(move |source| {
                let begun = source.begin(id, size, &proof);
                Done::Begun { from, id, size, pieces, begun }
            }),
            None => {}
        }
    }

    /// A thread that may block has done something.
    pub(super) fn on_done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Served(served) => self.on_served(served),
            Done::Begun { from, id, size, pieces, begun } => match begun {
                Ok(here) => {
                    self.transfers.plan.begun(id, size, here, now);
                    self.transfers.plan.holds(from, id, pieces, now);
                    if here.is_full() {
                        self.read(id);
                    }
                }
                Err(BlobError::Wrong(_)) => self.on_wrong(from, id),
                Err(error) => self.on_unkept(id, &error),
            },
            Done::Checked { from, id, bytes: None } => self.on_wrong(from, id),
            Done::Checked { id, bytes: Some(bytes), .. } => self.transfers.finish(id, || Ok(bytes.clone())),
            Done::Added { from, id, piece, added } => match added {
                Ok(here) => {
                    self.transfers.plan.stored(from, id, piece, here, now);
                    let size = self.transfers.plan.progress(id).map(|(size, _)| size);
                    if let Some(size) = size {
                        self.transfers.interest.changed(id, size, here);
                    }
                    if here.is_full() {
                        self.read(id);
                    }
                }
                Err(BlobError::Wrong(_)) => self.on_wrong(from, id),
                Err(BlobError::NotBegun(_) | BlobError::Damaged(_)) => self.transfers.plan.lost(id, now),
                Err(error) => self.on_unkept(id, &error),
            },
            Done::Read { id, bytes: Some(bytes) } => self.transfers.finish(id, || Ok(bytes.clone())),
            Done::Read { id, bytes: None } => self.transfers.plan.lost(id, now),
        }
        self.ask();
    }

    /// Reads a blob that is whole, for those who wait for it.
    fn read(&self, id: BlobId) {
        if self.transfers.plan.wants(id) {
            self.transfers.blocking(move |source| Done::Read { id, bytes: source.blob(id) });
        }
    }

    fn on_unkept(&mut self, id: BlobId, error: &BlobError) {
        tracing::warn!(%id, %error, "a blob cannot be kept");
        self.transfers.finish(id, || Err(NetworkError::BlobUnkept(id)));
    }

    /// Tells peers what is new here, ends what nobody waits for, and says how far everything is.
    pub(super) fn on_transfer_tick(&mut self) {
        for (to, request) in self.transfers.interest.news(Instant::now()) {
            self.send_blob_request(to, &request, Asked::Told);
        }
        let transfers = &mut self.transfers;
        transfers.waiting.retain(|id, waiting| {
            waiting.retain(|done| !done.is_closed());
            if waiting.is_empty() {
                transfers.plan.forget(*id);
            }
            !waiting.is_empty()
        });
        let under_way = transfers.plan.under_way().map(|(id, size, here)| Transfer::new(id, size, &here)).collect();
        transfers.progress.send_if_modified(|old| {
            let is_new = *old != under_way;
            *old = under_way;
            is_new
        });
        transfers.on_traffic();
        self.ask();
    }
}

impl Transfers {
    fn on_traffic(&mut self) {
        if self.ledger.is_over(SystemTime::now()) {
            self.limiter.begin_month();
        }
        let traffic = self.limiter.traffic();
        self.traffic.send_if_modified(|old| {
            let is_new = *old != traffic;
            *old = traffic;
            is_new
        });
        if let Some(due) = self.ledger.due(traffic.month, false) {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = write_ledger(&due) {
                    tracing::warn!(%error, "what was used of the month is not remembered");
                }
            });
        }
    }
}
