//! Who is asked for what.
//!
//! Nothing here opens a socket, reads a clock or draws randomness of its own: events go in, [`poll`](Plan::poll) says what
//! to ask. In the order in which it is decided:
//!
//! * **Find.** As long as nobody has told a blob's length, one node is asked after the other, for a small blob comes with
//!   the answer. Once it is known, all are asked; each remembers who asked, and says when it has more.
//! * **Rarest first.** Of the pieces that are not here, the one that fewest have goes first, so that the only one who has
//!   a piece is not asked for it by everybody; ties are broken at random, so that not everybody asks for the same.
//! * **What is offered.** Who was asked for what it gave to others already says what it would give instead, and counts as
//!   having only that for a while: so the origin gives every piece once before it gives any twice.
//! * **From whom.** Those who have only a part of the blob are asked before those who have all of it: the origin's uplink
//!   is for what nobody else has. Then those who are asked for least, then the fastest.
//! * **Not too much.** So many pieces in flight in all, and of one provider; its share begins at one and grows with every
//!   piece that comes. Who is busy is left alone for as long as it says; who refuses thrice or fails, for longer.
//! * **Stalls.** A piece that does not come in three times its provider's usual time is asked of another as well; one of
//!   the very last already after twice that time. What is late then counts as the provider's usual time, so that a machine
//!   or a network that is slow all over is not asked for everything twice.
//! * **Lies.** Who sends what is no piece of the blob is asked for nothing of it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chorus_protocol::id::BlobId;
use rand_core::Rng;

use super::super::NodeId;
use crate::store::blobs::Pieces;

#[cfg(test)]
mod tests;

/// Pieces in flight: four mebibytes that a slow disk may be behind.
const MAX_FLIGHTS: u32 = 16;
/// Pieces in flight from one provider: enough to hide a round trip.
const MAX_OF_PROVIDER: u32 = 4;
/// Nodes that are asked what they have, at a time, and how often one node is, for different blobs.
const MAX_FINDS: u32 = 32;
const MAX_FINDS_OF_PROVIDER: u32 = 8;
/// After which time without an answer the next node is asked as well.
const HEDGE: Duration = Duration::from_millis(500);
/// The pause before a node that did not have the blob is asked again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// When a node is asked again that has a part of the blob, or will say when it has: what it said may have been lost.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// When a node is asked again that offered some of its pieces only.
const OFFER: Duration = Duration::from_secs(2);
/// Refusals in a row after which a provider is left alone for longer.
const REFUSALS: u32 = 3;
const LONG_REFUSAL: Duration = Duration::from_secs(1);
/// How long a provider that fails is left alone the first time; it doubles each time.
const FIRST_FAILURE: Duration = Duration::from_millis(250);
/// What a provider may say at most that it is busy for.
const LONGEST_BUSY: Duration = Duration::from_secs(10);
/// A piece's time before there is any experience; the least after which it counts as stalled; and as one of the last.
const FIRST_PACE: Duration = Duration::from_secs(1);
const STALLED: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(1);
/// Pieces that are the very last: these, or two in a hundred.
const LAST_PIECES: u32 = 2;
/// Pieces that are asked of a second provider at a time.
const MAX_TWICE: usize = 2;
/// How often a blob that is being fetched is looked at, whatever happens.
const STEP: Duration = Duration::from_millis(50);

/// What to ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// What a node has of a blob.
    Find { from: NodeId, id: BlobId },
    /// A piece.
    Piece { from: NodeId, id: BlobId, piece: u32 },
}

/// Why a node did not give what it was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// It does not have it.
    Absent,
    /// It gives away as much as it can, and says for how long.
    Busy(Duration),
    /// It did not answer, or what it sent was no answer.
    Failed,
}

#[derive(Debug)]
struct Provider {
    flights: u32,
    finds: u32,
    /// How many pieces it may be asked for at a time.
    window: u32,
    refusals: u32,
    failures: u32,
    paused_until: Instant,
    /// How long it takes for a piece, smoothed.
    pace: Duration,
}

impl Provider {
    const fn new(now: Instant) -> Self {
        Self { flights: 0, finds: 0, window: 1, refusals: 0, failures: 0, paused_until: now, pace: FIRST_PACE }
    }

    fn is_free(&self, now: Instant) -> bool {
        self.flights < self.window && self.paused_until <= now
    }

    fn gave(&mut self, took: Duration) {
        self.refusals = 0;
        self.failures = 0;
        self.window = (self.window + 1).min(MAX_OF_PROVIDER);
        self.pace = (self.pace * 3 + took) / 4;
    }

    fn refused(&mut self, refusal: Refusal, now: Instant) {
        self.window = 1;
        self.refusals += 1;
        let pause = match refusal {
            Refusal::Absent => Duration::ZERO,
            Refusal::Busy(pause) => pause.min(LONGEST_BUSY),
            Refusal::Failed => {
                self.failures += 1;
                FIRST_FAILURE.saturating_mul(2_u32.saturating_pow(self.failures - 1)).min(LONGEST_BUSY)
            }
        };
        let pause = if self.refusals > REFUSALS { pause.max(LONG_REFUSAL) } else { pause };
        self.paused_until = self.paused_until.max(now + pause);
    }
}

/// What is known of what a node has of a blob.
#[derive(Debug)]
struct Holder {
    pieces: Option<Pieces>,
    asked: Option<Instant>,
    ask_at: Instant,
    pause: Duration,
}

impl Holder {
    const fn new(now: Instant) -> Self {
        Self { pieces: None, asked: None, ask_at: now, pause: FIRST_PAUSE }
    }

    fn has(&self, piece: u32) -> bool {
        self.pieces.is_some_and(|pieces| pieces.contains(piece))
    }
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    piece: u32,
    from: NodeId,
    since: Instant,
    /// It has come, and is being checked.
    arrived: bool,
}

#[derive(Debug)]
struct Download {
    /// Which node is asked next, as long as nobody has told the length.
    turn: usize,
    holders: BTreeMap<NodeId, Holder>,
    shunned: BTreeSet<NodeId>,
    /// The length, and the pieces that are here.
    begun: Option<(u64, Pieces)>,
    flights: Vec<Flight>,
    next: Instant,
}

impl Download {
    fn is_in_flight(&self, piece: u32) -> bool {
        self.flights.iter().any(|flight| flight.piece == piece)
    }

    fn holders_of(&self, piece: u32) -> usize {
        self.holders.values().filter(|holder| holder.has(piece)).count()
    }
}

/// The state of all fetching.
#[derive(Debug, Default)]
pub(super) struct Plan {
    providers: BTreeMap<NodeId, Provider>,
    downloads: BTreeMap<BlobId, Download>,
}

impl Plan {
    /// A node can be asked.
    pub(super) fn connected(&mut self, node: NodeId, now: Instant) {
        if self.providers.contains_key(&node) {
            return;
        }
        self.providers.insert(node, Provider::new(now));
        for download in self.downloads.values_mut() {
            download.holders.insert(node, Holder::new(now));
            download.next = now;
        }
    }

    /// A node can no longer be asked. What it was asked for is asked of others.
    pub(super) fn gone(&mut self, node: NodeId, now: Instant) {
        if self.providers.remove(&node).is_none() {
            return;
        }
        for download in self.downloads.values_mut() {
            download.holders.remove(&node);
            download.flights.retain(|flight| flight.from != node || flight.arrived);
            download.next = now;
        }
    }

    /// A blob is wanted.
    pub(super) fn want(&mut self, id: BlobId, now: Instant) {
        let turn = id.as_ref().first().copied().unwrap_or(0).into();
        let holders = || self.providers.keys().map(|node| (*node, Holder::new(now))).collect();
        self.downloads.entry(id).or_insert_with(|| Download {
            turn,
            holders: holders(),
            shunned: BTreeSet::new(),
            begun: None,
            flights: Vec::new(),
            next: now,
        });
    }

    /// A blob is wanted no longer.
    pub(super) fn forget(&mut self, id: BlobId) {
        let Some(download) = self.downloads.remove(&id) else { return };
        for flight in download.flights.iter().filter(|flight| !flight.arrived) {
            if let Some(provider) = self.providers.get_mut(&flight.from) {
                provider.flights = provider.flights.saturating_sub(1);
            }
        }
        for (node, _) in download.holders.iter().filter(|(_, holder)| holder.asked.is_some()) {
            if let Some(provider) = self.providers.get_mut(node) {
                provider.finds = provider.finds.saturating_sub(1);
            }
        }
    }

    /// Returns the length of a blob that is being fetched, and the pieces that are here, once the length is known.
    pub(super) fn progress(&self, id: BlobId) -> Option<(u64, Pieces)> {
        self.downloads.get(&id)?.begun
    }

    /// Returns which blobs are being fetched in pieces.
    pub(super) fn under_way(&self) -> impl Iterator<Item = (BlobId, u64, Pieces)> + '_ {
        self.downloads.iter().filter_map(|(id, download)| download.begun.map(|(size, here)| (*id, size, here)))
    }

    /// Returns whether a blob is wanted.
    pub(super) fn wants(&self, id: BlobId) -> bool {
        self.downloads.contains_key(&id)
    }

    /// The length of a blob is proved, and some pieces are here.
    pub(super) fn begun(&mut self, id: BlobId, size: u64, here: Pieces, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id).filter(|download| download.begun.is_none()) else { return };
        download.begun = Some((size, here));
        download.next = now;
        // Now everybody is worth asking.
        for holder in download.holders.values_mut() {
            holder.ask_at = now;
        }
    }

    /// What was stored of a blob is gone: begin again.
    pub(super) fn lost(&mut self, id: BlobId, now: Instant) {
        if self.downloads.contains_key(&id) {
            self.forget(id);
            self.want(id, now);
        }
    }

    /// A node answered that it has pieces of a blob, or told so unasked.
    pub(super) fn holds(&mut self, node: NodeId, id: BlobId, pieces: Pieces, now: Instant) {
        self.answered(node, id);
        let Some(download) = self.downloads.get_mut(&id).filter(|it| !it.shunned.contains(&node)) else { return };
        let Some(holder) = download.holders.get_mut(&node) else { return };
        holder.pieces = Some(pieces);
        holder.pause = FIRST_PAUSE;
        holder.ask_at = now + if pieces.is_full() { ASK_AGAIN * 6 } else { ASK_AGAIN };
        download.next = now;
    }

    /// A node has something of a blob whose length is not known yet: it is worth asking at once.
    pub(super) fn is_worth_asking(&mut self, node: NodeId, id: BlobId, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let Some(index) = download.holders.keys().position(|it| *it == node) else { return };
        download.turn = index;
        download.next = now;
        if let Some(holder) = download.holders.get_mut(&node) {
            holder.ask_at = now;
        }
    }

    /// A node said that it has nothing, or did not say.
    pub(super) fn not_found(&mut self, node: NodeId, id: BlobId, refusal: Refusal, now: Instant) {
        self.answered(node, id);
        if refusal == Refusal::Failed
            && let Some(provider) = self.providers.get_mut(&node)
        {
            provider.refused(refusal, now);
        }
        let Some(download) = self.downloads.get_mut(&id) else { return };
        download.next = now;
        let is_begun = download.begun.is_some();
        let Some(holder) = download.holders.get_mut(&node) else { return };
        let pause = match refusal {
            Refusal::Busy(pause) => pause.clamp(FIRST_PAUSE, LONGEST_BUSY),
            // It tells when it has something.
            Refusal::Absent if is_begun => ASK_AGAIN,
            Refusal::Absent | Refusal::Failed => holder.pause,
        };
        holder.pause = (holder.pause * 2).min(LONGEST_PAUSE);
        holder.ask_at = now + pause;
    }

    fn answered(&mut self, node: NodeId, id: BlobId) {
        let holder = self.downloads.get_mut(&id).and_then(|download| download.holders.get_mut(&node));
        if holder.and_then(|holder| holder.asked.take()).is_some()
            && let Some(provider) = self.providers.get_mut(&node)
        {
            provider.finds = provider.finds.saturating_sub(1);
        }
    }

    /// A piece has come; whether it is right is being checked.
    pub(super) fn arrived(&mut self, node: NodeId, id: BlobId, piece: u32, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let flight = download.flights.iter_mut().find(|it| it.from == node && it.piece == piece && !it.arrived);
        let Some(flight) = flight else { return };
        flight.arrived = true;
        let took = now.saturating_duration_since(flight.since);
        if let Some(provider) = self.providers.get_mut(&node) {
            provider.flights = provider.flights.saturating_sub(1);
            provider.gave(took);
        }
        self.look_again(now);
    }

    /// A piece was right, and these are here now.
    pub(super) fn stored(&mut self, node: NodeId, id: BlobId, piece: u32, here: Pieces, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        download.flights.retain(|flight| flight.from != node || flight.piece != piece);
        if let Some((_, known)) = &mut download.begun {
            here.iter().for_each(|piece| {
                known.insert(piece);
            });
        }
        download.next = now;
    }

    /// What a node sent is no piece of the blob, or its length is another: it is asked for nothing of it any more.
    pub(super) fn wrong(&mut self, node: NodeId, id: BlobId, now: Instant) {
        self.answered(node, id);
        let Some(download) = self.downloads.get_mut(&id) else { return };
        download.holders.remove(&node);
        download.shunned.insert(node);
        let flights = download.flights.iter().filter(|flight| flight.from == node && !flight.arrived).count();
        download.flights.retain(|flight| flight.from != node);
        download.next = now;
        if let Some(provider) = self.providers.get_mut(&node) {
            provider.flights = provider.flights.saturating_sub(u32::try_from(flights).unwrap_or(u32::MAX));
            provider.refused(Refusal::Failed, now);
        }
    }

    /// A piece was not given.
    pub(super) fn refused(&mut self, node: NodeId, id: BlobId, piece: u32, refusal: Refusal, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let before = download.flights.len();
        download.flights.retain(|it| it.from != node || it.piece != piece || it.arrived);
        if download.flights.len() < before
            && let Some(provider) = self.providers.get_mut(&node)
        {
            provider.flights = provider.flights.saturating_sub(1);
            provider.refused(refusal, now);
        }
        if refusal == Refusal::Absent
            && let Some(holder) = download.holders.get_mut(&node)
        {
            // It had said that it has it: what it has must be asked anew.
            holder.pieces = None;
            holder.ask_at = now + holder.pause;
            holder.pause = (holder.pause * 2).min(LONGEST_PAUSE);
        }
        self.look_again(now);
    }

    /// Another piece was not given, but one of these would be: the node counts as one that has only these, for a while.
    pub(super) fn offered(&mut self, node: NodeId, id: BlobId, piece: u32, pieces: Pieces, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let before = download.flights.len();
        download.flights.retain(|it| it.from != node || it.piece != piece || it.arrived);
        if download.flights.len() < before
            && let Some(provider) = self.providers.get_mut(&node)
        {
            provider.flights = provider.flights.saturating_sub(1);
        }
        if download.begun.is_some_and(|(_, here)| here.count() == pieces.count())
            && let Some(holder) = download.holders.get_mut(&node)
        {
            holder.pieces = Some(pieces);
            holder.ask_at = now + OFFER;
        }
        self.look_again(now);
    }

    /// Something has changed that every blob may profit from.
    fn look_again(&mut self, now: Instant) {
        for download in self.downloads.values_mut().filter(|download| download.begun.is_some()) {
            download.next = now;
        }
    }

    /// Returns when to [`poll`](Self::poll) next, if nothing happens before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.downloads.values().map(|download| download.next).min()
    }

    /// Returns what to ask now.
    pub(super) fn poll(&mut self, now: Instant, rng: &mut impl Rng) -> Vec<Ask> {
        let due: Vec<BlobId> =
            self.downloads.iter().filter(|(_, download)| download.next <= now).map(|(id, _)| *id).collect();
        let mut asks = Vec::new();
        for id in due {
            self.poll_finds(id, now, &mut asks);
            self.poll_pieces(id, now, rng, &mut asks);
            self.poll_stalled(id, now, rng, &mut asks);
            self.set_next(id, now);
        }
        asks
    }

    fn set_next(&mut self, id: BlobId, now: Instant) {
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let waiting = download.holders.values().map(|holder| match holder.asked {
            Some(since) => since + HEDGE,
            None => holder.ask_at,
        });
        let next = if download.begun.is_some() { Some(now + STEP) } else { waiting.min() };
        // What is due and was not done now waits for a limit.
        download.next = next.unwrap_or(now + LONGEST_PAUSE).max(now + STEP / 2);
    }

    fn poll_finds(&mut self, id: BlobId, now: Instant, asks: &mut Vec<Ask>) {
        let mut finds: u32 = self.providers.values().map(|provider| provider.finds).sum();
        let Some(download) = self.downloads.get_mut(&id) else { return };
        let asked: Vec<Instant> = download.holders.values().filter_map(|holder| holder.asked).collect();
        let one_by_one = download.begun.is_none();
        if one_by_one && asked.iter().any(|since| now.saturating_duration_since(*since) < HEDGE) {
            return;
        }
        let count = download.holders.len();
        let order: Vec<NodeId> =
            download.holders.keys().cycle().skip(download.turn % count.max(1)).take(count).copied().collect();
        for (offset, node) in (1..).zip(order) {
            let Some(holder) = download.holders.get_mut(&node) else { continue };
            let Some(provider) = self.providers.get_mut(&node) else { continue };
            let is_due = holder.asked.is_none() && holder.ask_at <= now;
            if !is_due || finds >= MAX_FINDS || provider.finds >= MAX_FINDS_OF_PROVIDER {
                continue;
            }
            finds += 1;
            provider.finds += 1;
            holder.asked = Some(now);
            asks.push(Ask::Find { from: node, id });
            if one_by_one {
                download.turn = (download.turn % count + offset) % count;
                return;
            }
        }
    }

    fn poll_pieces(&mut self, id: BlobId, now: Instant, rng: &mut impl Rng, asks: &mut Vec<Ask>) {
        let Some(download) = self.downloads.get(&id) else { return };
        let Some((_, here)) = download.begun else { return };
        let mut missing: Vec<(usize, u32, u32)> = (0..here.count())
            .filter(|piece| !here.contains(*piece) && !download.is_in_flight(*piece))
            .map(|piece| (download.holders_of(piece), rng.next_u32(), piece))
            .filter(|(holders, _, _)| *holders > 0)
            .collect();
        missing.sort_unstable();
        for (_, _, piece) in missing {
            if self.flights() >= MAX_FLIGHTS {
                return;
            }
            self.ask_for(id, piece, now, rng, asks);
        }
    }

    /// Asks for pieces once more that take too long.
    fn poll_stalled(&mut self, id: BlobId, now: Instant, rng: &mut impl Rng, asks: &mut Vec<Ask>) {
        let Some(download) = self.downloads.get(&id) else { return };
        let Some((_, here)) = download.begun else { return };
        let is_last = here.count() - here.len() <= LAST_PIECES.max(here.count() / 50);
        let patience = |from: &NodeId| {
            let pace = self.providers.get(from).map_or(FIRST_PACE, |provider| provider.pace);
            if is_last { (pace * 2).max(LAST) } else { (pace * 3).max(STALLED) }
        };
        let mut slow = BTreeMap::new();
        let mut hopeful = BTreeSet::new();
        for flight in &download.flights {
            let age = now.saturating_duration_since(flight.since);
            if !flight.arrived && age > patience(&flight.from) {
                slow.insert(flight.piece, (flight.from, age));
            } else {
                hopeful.insert(flight.piece);
            }
        }
        slow.retain(|piece, _| !hopeful.contains(piece));
        for (piece, (from, age)) in slow.into_iter().take(MAX_TWICE) {
            if self.flights() >= MAX_FLIGHTS + MAX_OF_PROVIDER {
                return;
            }
            if self.ask_for(id, piece, now, rng, asks)
                && let Some(provider) = self.providers.get_mut(&from)
            {
                provider.pace = provider.pace.max(age);
            }
        }
    }

    fn flights(&self) -> u32 {
        self.providers.values().map(|provider| provider.flights).sum()
    }

    /// Asks the best provider that is free, and returns whether there is one.
    fn ask_for(&mut self, id: BlobId, piece: u32, now: Instant, rng: &mut impl Rng, asks: &mut Vec<Ask>) -> bool {
        let Some(download) = self.downloads.get_mut(&id) else { return false };
        let tried = |node: &NodeId| download.flights.iter().any(|it| it.piece == piece && it.from == *node);
        // Whoever has all of it is spared as long as others have the piece and something else is on its way.
        let has_all = |holder: &Holder| holder.pieces.is_some_and(|pieces| pieces.is_full());
        let spared = !download.flights.is_empty()
            && download.holders.values().any(|holder| holder.has(piece) && !has_all(holder));
        let best = download
            .holders
            .iter()
            .filter(|(node, holder)| holder.has(piece) && !tried(node) && !(spared && has_all(holder)))
            .filter_map(|(node, holder)| Some((node, holder, self.providers.get(node)?)))
            .filter(|(_, _, provider)| provider.is_free(now))
            .min_by_key(|(_, holder, provider)| {
                (has_all(holder), provider.flights, provider.pace.as_millis() / 100, rng.next_u32())
            });
        let Some((&from, _, _)) = best else { return false };
        download.flights.push(Flight { piece, from, since: now, arrived: false });
        if let Some(provider) = self.providers.get_mut(&from) {
            provider.flights += 1;
        }
        asks.push(Ask::Piece { from, id, piece });
        true
    }
}
