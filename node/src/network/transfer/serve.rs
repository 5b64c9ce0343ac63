//! Giving blobs away: what is asked, how many at a time, and who wants to hear more.

use std::{
    collections::BTreeMap,
    ops::Bound,
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
/// How many hear what is new at each tick, ten times a second.
const NEWS_AT_A_TIME: usize = 2;
/// Blobs that one peer hears of.
const MAX_INTEREST_OF_PEER: usize = 256;
/// Blobs of which it is remembered which pieces were given away.
const MAX_GIVEN: usize = 64;

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

    fn has_room(&self, to: NodeId, is_piece: bool) -> bool {
        let (of_all, of_peer) = if is_piece { (self.slots, SLOTS_OF_PEER) } else { (MAX_FINDS, MAX_FINDS_OF_PEER) };
        let alike = || self.active.values().filter(|(_, piece)| *piece == is_piece);
        alike().count() < of_all && alike().filter(|(peer, _)| *peer == to).count() < of_peer
    }

    fn begin(&mut self, id: InboundRequestId, to: NodeId, is_piece: bool) {
        self.active.insert(id, (to, is_piece));
    }

    pub(super) fn end(&mut self, id: InboundRequestId) {
        self.active.remove(&id);
    }
}

/// A peer that wants to hear of a blob.
#[derive(Debug)]
struct Listening {
    until: Instant,
    /// How many pieces it has been told of.
    told: u32,
}

/// Who wants to hear of which blobs.
///
/// Peers are told in turn, a few at a time: what it costs to tell does not grow with their number, and in a crowd
/// most pieces come from whoever was told lately.
#[derive(Debug, Default)]
pub(super) struct Interest {
    listening: BTreeMap<NodeId, BTreeMap<BlobId, Listening>>,
    /// Blobs of which somebody has not been told everything.
    news: BTreeMap<BlobId, (u64, Pieces)>,
    /// Who was told last.
    last: Option<NodeId>,
}

impl Interest {
    fn add(&mut self, node: NodeId, id: BlobId, now: Instant) {
        let of_peer = self.listening.entry(node).or_default();
        if of_peer.len() >= MAX_INTEREST_OF_PEER {
            of_peer.retain(|_, listening| listening.until > now);
        }
        if of_peer.len() < MAX_INTEREST_OF_PEER || of_peer.contains_key(&id) {
            // The answer to its question tells it what is here.
            let told = self.news.get(&id).map_or(0, |(_, here)| here.len());
            of_peer.insert(id, Listening { until: now + INTEREST, told });
        }
    }

    fn remove(&mut self, node: NodeId, id: BlobId) {
        if let Some(of_peer) = self.listening.get_mut(&node) {
            of_peer.remove(&id);
        }
    }

    /// A peer was told of so many pieces by the way.
    pub(super) fn told(&mut self, node: NodeId, id: BlobId, pieces: u32) {
        if let Some(listening) = self.listening.get_mut(&node).and_then(|of_peer| of_peer.get_mut(&id)) {
            listening.told = listening.told.max(pieces);
        }
    }

    pub(super) fn gone(&mut self, node: NodeId) {
        self.listening.remove(&node);
    }

    /// There is more of a blob.
    pub(super) fn changed(&mut self, id: BlobId, size: u64, here: Pieces) {
        self.news.insert(id, (size, here));
    }

    /// Returns whom to tell what now.
    pub(super) fn news(&mut self, now: Instant) -> Vec<(NodeId, Request)> {
        let mut tell = Vec::new();
        if self.news.is_empty() {
            return tell;
        }
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self.last.map_or(Bound::Unbounded, Bound::Included);
        let mut turn: Vec<NodeId> = self.listening.range((after, Bound::Unbounded)).map(|(node, _)| *node).collect();
        if self.last.is_some() {
            turn.extend(self.listening.range((Bound::Unbounded, upto)).map(|(node, _)| *node));
        }
        for node in turn {
            let Some(of_peer) = self.listening.get_mut(&node) else { continue };
            for (id, (size, here)) in &self.news {
                let lags = |listening: &&mut Listening| listening.until > now && listening.told < here.len();
                if let Some(listening) = of_peer.get_mut(id).filter(lags) {
                    if tell.len() == NEWS_AT_A_TIME {
                        return tell;
                    }
                    listening.told = here.len();
                    tell.push((node, Request::Has(*id, *size, *here)));
                    self.last = Some(node);
                }
            }
        }
        self.news.clear();
        tell
    }
}

/// How often which piece was given away lately.
///
/// Of what an asker lacks, a piece that was given less often goes first: as long as nobody else has them, every piece goes
/// out once before any goes out twice, and the others give each other what the first uplink need not.
#[derive(Debug, Default)]
pub(super) struct Given {
    times: BTreeMap<BlobId, (Instant, Vec<u32>)>,
}

impl Given {
    /// Counts a piece as given, or says which to ask for instead. There is always one that is given.
    fn give(&mut self, id: BlobId, piece: u32, here: Pieces, there: Pieces, now: Instant) -> Result<(), Pieces> {
        if !self.times.contains_key(&id) && self.times.len() >= MAX_GIVEN {
            let oldest = self.times.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| *id);
            oldest.map(|id| self.times.remove(&id));
        }
        let (at, times) = self.times.entry(id).or_insert_with(|| (now, Vec::new()));
        *at = now;
        times.resize(here.count() as usize, 0);
        let of = |piece: u32| times.get(piece as usize).copied().unwrap_or(0);
        let lacking = || here.iter().filter(|piece| !there.contains(*piece));
        let least = lacking().map(of).min().unwrap_or(0);
        if here.contains(piece) && of(piece) > least {
            let mut instead = Pieces::none(here.count());
            lacking().filter(|piece| of(*piece) == least).for_each(|piece| {
                instead.insert(piece);
            });
            return Err(instead);
        }
        if let Some(times) = times.get_mut(piece as usize) {
            *times = times.saturating_add(1);
        }
        Ok(())
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
                if self.transfers.uploads.has_room(from, false) {
                    self.transfers.uploads.begin(id, from, false);
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
            Ok(Request::Piece(blob, size, pieces, piece)) => {
                self.on_has(from, blob, size, pieces);
                let here =
                    self.transfers.plan.progress(blob).map_or_else(|| Pieces::all(pieces.count()), |(_, here)| here);
                if here.count() != pieces.count() {
                    Answer::Absent
                } else if !self.transfers.uploads.has_room(from, true) {
                    Answer::Busy(self.transfers.uploads.retry)
                } else if let Err(instead) = self.transfers.given.give(blob, piece, here, pieces, Instant::now()) {
                    Answer::Instead(instead)
                } else {
                    self.transfers.uploads.begin(id, from, true);
                    self.transfers.blocking(move |source| {
                        let answer = source.slice(blob, piece).map_or(Answer::Absent, Answer::Slice);
                        Done::Served(Served { id, channel, answer })
                    });
                    return;
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from([number; 32])
    }

    #[test]
    fn every_piece_goes_out_once_before_any_goes_out_twice() {
        let (mut given, now, id) = (Given::default(), Instant::now(), BlobId::of(b"a blob"));
        let (all, mut there) = (Pieces::all(4), Pieces::none(4));
        let instead = |pieces: Pieces| pieces.iter().collect::<Vec<_>>();
        assert_eq!(given.give(id, 2, all, there, now), Ok(()));
        assert_eq!(given.give(id, 2, all, there, now).map_err(instead), Err(vec![0, 1, 3]));
        assert_eq!(given.give(id, 0, all, there, now), Ok(()));
        there.insert(1);
        there.insert(3);

        // Of what it lacks, no piece was given less often.
        assert_eq!(given.give(id, 2, all, there, now), Ok(()));
        assert_eq!(given.give(id, 2, all, there, now).map_err(instead), Err(vec![0]));
    }

    #[test]
    fn what_was_given_is_remembered_of_so_many_blobs_only() {
        let (mut given, now) = (Given::default(), Instant::now());
        for number in 0..2 * MAX_GIVEN {
            let id = BlobId::of(&number.to_be_bytes());
            assert_eq!(given.give(id, 0, Pieces::all(1), Pieces::none(1), now), Ok(()));
        }
        assert_eq!(given.times.len(), MAX_GIVEN);
    }

    #[test]
    fn everybody_who_listens_is_told_in_turn_and_once() {
        let (mut interest, now, id) = (Interest::default(), Instant::now(), BlobId::of(b"a blob"));
        (0..20).for_each(|number| interest.add(node(number), id, now));
        let mut here = Pieces::none(9);
        here.insert(3);
        interest.changed(id, 9, here);

        let told: Vec<NodeId> = (0..30).flat_map(|_| interest.news(now)).map(|(to, _)| to).collect();

        assert_eq!(told, (0..20).map(node).collect::<Vec<_>>());
        assert!(interest.news.is_empty());
    }

    #[test]
    fn who_was_told_longest_ago_is_told_first() {
        let (mut interest, now, id) = (Interest::default(), Instant::now(), BlobId::of(b"a blob"));
        (0..20).for_each(|number| interest.add(node(number), id, now));
        let mut here = Pieces::none(9);
        let mut told = Vec::new();
        for piece in 0..4 {
            here.insert(piece);
            interest.changed(id, 9, here);
            told.extend(interest.news(now).into_iter().map(|(to, _)| to));
        }

        let turn = (0..20).take(4 * NEWS_AT_A_TIME).map(node).collect::<Vec<_>>();
        assert_eq!(told, turn);
    }

    #[test]
    fn who_has_just_asked_or_no_longer_listens_is_not_told() {
        let (mut interest, now, id) = (Interest::default(), Instant::now(), BlobId::of(b"a blob"));
        interest.add(node(1), id, now - INTEREST);
        interest.add(node(3), id, now);
        let mut here = Pieces::none(9);
        here.insert(3);
        interest.changed(id, 9, here);
        interest.add(node(2), id, now);

        let told: Vec<NodeId> = interest.news(now).into_iter().map(|(to, _)| to).collect();

        assert_eq!(told, [node(3)]);
    }
}
