//! The operators of one cohort, and the links between them and everybody else, on a clock of their own.
//!
//! Everything that happens is an event in one queue, ordered by (time, sequence number). An operator does one thing at a time:
//! what reaches it meanwhile waits. Proofs are verified beside that, one batch after the other, as in a node. Only what
//! verifying and checking takes is charged; disks are taken to be fast. A line carries one message after the other.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    sync::Arc,
};

use anyhow::Context as _;
use chorus_crypto::{codec::Decode as _, hash, sign::SecretKey};
use chorus_protocol::{
    contribution::{Submission, Verification},
    id::{BlobId, CommunityId, NodeId, RoundId},
    ledger::{CHECKPOINT_HEIGHTS, Ledger, RoundRecord, RoundState},
    limits,
    log::{
        consensus::{Decision, Timeouts},
        entry::{Entry, SignedEntry},
    },
    message::{Handover, LogPart, MINOR, Message},
    peer::{Checkpoints, Config, Effect, Event, Notice, Peer, Saved},
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

use super::{Costs, Links, Options, adversary, world::World, world::rng};

/// When it all begins, in milliseconds since 1970.
const EPOCH_MILLIS: u64 = 1_700_000_000_000;

/// A moment, in microseconds since the beginning.
pub(super) type Micros = u64;

/// How many of these there are in a millisecond.
pub(super) const MILLI: Micros = 1_000;

/// The first byte of a message after version and community: its kind.
const KIND: usize = 1 + CommunityId::LEN;

/// What an operator is to handle.
#[derive(Debug)]
enum Input {
    Message { from: NodeId, bytes: Arc<[u8]> },
    Verified(Box<Verification>),
    Private { round: RoundId, body: BlobId },
    Blob(BlobId),
    Connected(NodeId),
    Disconnected(NodeId),
    Tick,
}

#[derive(Debug)]
enum Happening {
    Arrive(usize, Input),
    Work(usize),
    Timer(usize),
    Fetch(usize, BlobId),
    Archive(usize, BlobId),
    Person(usize),
}

/// What happens next, and is not the network's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// Nothing that concerns anybody else.
    Done,
    /// A participant is to act.
    Person(usize),
    /// Nothing will ever happen again.
    Over,
}

struct Queued {
    at: Micros,
    number: u64,
    happening: Happening,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What one operator did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// Bytes sent.
    pub(super) sent: u64,
    /// Bytes received.
    pub(super) received: u64,
    /// Contributions verified, and in how many batches.
    pub(super) verified: u64,
    pub(super) batches: u64,
    /// What it was charged for verifying, and for all else, in microseconds.
    pub(super) verifying: Micros,
    pub(super) working: Micros,
}

struct Host {
    node: NodeId,
    key: SecretKey,
    peer: Option<Peer>,
    rng: ChaCha20Rng,
    lies: bool,
    inbox: VecDeque<Input>,
    /// Whether a turn at its inbox is due.
    scheduled: bool,
    ready_at: Micros,
    verifier_at: Micros,
    line_at: Micros,
    timer_at: Option<Micros>,
    wants: BTreeSet<BlobId>,
    sealed: bool,
    meter: Meter,
}

/// A body, and whose disks it is on, one bit for each operator.
struct Kept<T> {
    it: T,
    on: u8,
}

/// The operators, the links, the clock.
pub(super) struct Network {
    links: Links,
    costs: Costs,
    community: CommunityId,
    round: RoundId,
    real: bool,
    now: Micros,
    number: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    hosts: Vec<Host>,
    rng: ChaCha20Rng,
    blobs: BTreeMap<BlobId, Kept<Arc<[u8]>>>,
    private: BTreeMap<BlobId, Kept<Arc<Submission>>>,
    /// Contributions whose proofs do not hold, as whoever made them up knows.
    pub(super) bad: BTreeSet<BlobId>,
    /// Every decision, once.
    pub(super) log: Vec<Arc<Decision>>,
    /// Contributions that have just come to the log.
    pub(super) logged: Vec<BlobId>,
    /// The statements of the result, as they come to the log.
    pub(super) results: Vec<SignedEntry>,
    /// Messages between operators, by kind, and their bytes.
    pub(super) messages: BTreeMap<&'static str, (u64, u64)>,
    /// What operators refused, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// What should never happen.
    pub(super) alarms: Vec<String>,
}

/// Returns the node of an operator or participant.
pub(super) fn node(cohort: usize, what: u8, number: usize) -> NodeId {
    let mut bytes = vec![what];
    bytes.extend_from_slice(&(cohort as u64).to_be_bytes());
    bytes.extend_from_slice(&(number as u64).to_be_bytes());
    NodeId::from(hash::content(&bytes))
}

impl Network {
    /// Starts the operators of a cohort, all connected with one another.
    pub(super) fn start(options: &Options, costs: &Costs, number: usize, world: &World) -> anyhow::Result<Self> {
        let mut network = Self {
            links: options.links,
            costs: *costs,
            community: world.base.community(),
            round: world.round,
            real: options.is_real(),
            now: 0,
            number: 0,
            queue: BinaryHeap::new(),
            hosts: Vec::new(),
            rng: rng(options.seed, "links", (number, 0)),
            blobs: BTreeMap::new(),
            private: BTreeMap::new(),
            bad: BTreeSet::new(),
            log: Vec::new(),
            logged: Vec::new(),
            results: Vec::new(),
            messages: BTreeMap::new(),
            refused: BTreeMap::new(),
            alarms: Vec::new(),
        };
        for (index, key) in world.keys.iter().enumerate() {
            let node = node(number, b'o', index);
            let config = Config {
                genesis: world.base.genesis().clone(),
                node,
                operator: Some(key.clone()),
                timeouts: Timeouts::default(),
                pass_millis: Config::PASS_MILLIS,
                held_bytes: limits::MAX_HELD_BYTES,
                minor: MINOR,
                checkpoints: Checkpoints { every: CHECKPOINT_HEIGHTS, begin_at: None },
                cohort: Some(Box::new(world.base.clone())),
            };
            let peer = Peer::new(config, network.time(), Saved::default()).context("an operator starts")?;
            network.hosts.push(Host {
                node,
                key: key.clone(),
                peer: Some(peer),
                rng: rng(options.seed, "peer", (number, index)),
                lies: (options.down..options.down + options.lying).contains(&index),
                inbox: VecDeque::new(),
                scheduled: false,
                ready_at: 0,
                verifier_at: 0,
                line_at: 0,
                timer_at: None,
                wants: BTreeSet::new(),
                sealed: false,
                meter: Meter::default(),
            });
        }
        for host in 0..network.hosts.len() {
            let others: Vec<NodeId> = network.hosts.iter().map(|other| other.node).collect();
            for (_, other) in others.into_iter().enumerate().filter(|(other, _)| *other != host) {
                network.schedule(0, Happening::Arrive(host, Input::Connected(other)));
            }
            network.schedule(0, Happening::Timer(host));
        }
        Ok(network)
    }

    /// Returns the time since the beginning.
    pub(super) const fn now(&self) -> Micros {
        self.now
    }

    const fn time(&self) -> Timestamp {
        Timestamp::from_millis(EPOCH_MILLIS + self.now / MILLI)
    }

    /// Returns how many operators there are.
    pub(super) fn operators(&self) -> usize {
        self.hosts.len()
    }

    /// Returns how many of them are up.
    pub(super) fn up(&self) -> u64 {
        self.hosts.iter().filter(|host| host.peer.is_some()).count() as u64
    }

    /// Returns what each operator did.
    pub(super) fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.hosts.iter().map(|host| &host.meter)
    }

    /// Returns the state as the first operator sees it that is up and does not lie.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        let honest = self.hosts.iter().filter(|host| !host.lies);
        honest.filter_map(|host| host.peer.as_ref()).map(Peer::ledger).next()
    }

    /// Returns the round as that operator sees it.
    pub(super) fn round(&self) -> Option<&RoundRecord> {
        self.ledger()?.rounds().get(&self.round).map(Arc::as_ref)
    }

    /// Returns whether every operator that is up sees the round in this state or beyond.
    pub(super) fn all_in(&self, state: RoundState) -> bool {
        let of = |peer: &Peer| peer.ledger().rounds().get(&self.round).map(|round| round.state());
        self.hosts.iter().filter_map(|host| host.peer.as_ref()).all(|peer| of(peer).is_some_and(|it| it >= state))
    }

    /// Returns how long the round is still open, in milliseconds; 0 if it is not.
    pub(super) fn open_for(&self) -> u64 {
        let deadline = self.round().and_then(|round| Some(round.manifest.as_ref()?.deadline));
        deadline.map_or(0, |deadline| deadline.as_millis().saturating_sub(self.time().as_millis()))
    }

    /// Returns a public body.
    pub(super) fn blob(&self, id: &BlobId) -> Option<&[u8]> {
        self.blobs.get(id).map(|kept| kept.it.as_ref())
    }

    /// Lets a participant act after a while.
    pub(super) fn wake(&mut self, person: usize, after: Micros) {
        self.schedule(after, Happening::Person(person));
    }

    /// Takes an operator down for good.
    pub(super) fn stop(&mut self, host: usize) {
        let Some(this) = self.hosts.get_mut(host) else { return };
        this.peer = None;
        this.inbox.clear();
        let node = this.node;
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.schedule(0, Happening::Arrive(other, Input::Disconnected(node)));
        }
    }

    /// Draws how long a message is on its way over the air, besides what its line takes; none if it is lost.
    pub(super) fn delay(&mut self) -> Option<Micros> {
        if self.rng.next_u32() % 1_000 < self.links.loss {
            return None;
        }
        let jitter = u64::from(self.rng.next_u32()) % (self.links.jitter * MILLI + 1);
        Some(self.links.latency * MILLI + jitter)
    }

    /// Has a message of somebody who is no operator reach one after a while.
    pub(super) fn reach(&mut self, operator: usize, from: NodeId, bytes: Arc<[u8]>, after: Micros) {
        self.schedule(after, Happening::Arrive(operator, Input::Message { from, bytes }));
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) -> Turn {
        let Some(Reverse(next)) = self.queue.pop() else { return Turn::Over };
        self.now = self.now.max(next.at);
        match next.happening {
            Happening::Person(person) => return Turn::Person(person),
            Happening::Arrive(host, input) => self.arrive(host, input),
            Happening::Work(host) => self.work(host),
            Happening::Timer(host) => {
                if let Some(this) = self.hosts.get_mut(host) {
                    this.timer_at = None;
                    self.arrive(host, Input::Tick);
                }
            }
            Happening::Fetch(host, id) => self.fetch(host, id),
            Happening::Archive(host, id) => self.archive(host, id),
        }
        Turn::Done
    }

    fn schedule(&mut self, after: Micros, happening: Happening) {
        self.number += 1;
        self.queue.push(Reverse(Queued { at: self.now + after, number: self.number, happening }));
    }

    fn arrive(&mut self, host: usize, input: Input) {
        let now = self.now;
        let Some(this) = self.hosts.get_mut(host).filter(|this| this.peer.is_some()) else { return };
        if let Input::Message { bytes, .. } = &input {
            this.meter.received += bytes.len() as u64;
        }
        this.inbox.push_back(input);
        if !this.scheduled {
            this.scheduled = true;
            let after = this.ready_at.saturating_sub(now);
            self.schedule(after, Happening::Work(host));
        }
    }

    fn work(&mut self, host: usize) {
        let Some(input) = self.hosts.get_mut(host).and_then(|this| this.inbox.pop_front()) else {
            if let Some(this) = self.hosts.get_mut(host) {
                this.scheduled = false;
            }
            return;
        };
        let charged = self.handle(host, input);
        let now = self.now;
        let Some(this) = self.hosts.get_mut(host) else { return };
        this.meter.working += charged;
        this.ready_at = now + charged;
        this.scheduled = !this.inbox.is_empty();
        if this.scheduled {
            self.schedule(charged, Happening::Work(host));
        }
    }

    /// Lets an operator handle something; returns what that takes.
    fn handle(&mut self, host: usize, input: Input) -> Micros {
        let (mut charged, event) = self.event(host, input);
        let (now, costs, round) = (self.time(), self.costs, self.round);
        let Some(this) = self.hosts.get_mut(host) else { return 0 };
        let Some(peer) = &mut this.peer else { return 0 };
        let Some(event) = event else {
            // It was woken before its time.
            let deadline = peer.next_deadline();
            self.arm(host, deadline);
            return 0;
        };
        peer.handle(now, event, &mut this.rng);
        let effects: Vec<Effect> = std::iter::from_fn(|| peer.poll_effect()).collect();
        let (deadline, record) = (peer.next_deadline(), peer.ledger().rounds().get(&round).cloned());
        if let Some(sealed) = record.as_ref().and_then(|record| record.sealed.as_ref()).filter(|_| !this.sealed) {
            this.sealed = true;
            charged += sealed.contributions.len() as u64 * costs.open;
        }
        let quorum = record.map_or(0, |record| record.charter.quorum() as u64);
        for effect in effects {
            if let Effect::Commit(decision) = &effect {
                charged += decision.batch.entries().len() as u64 * (1 + quorum) * costs.signature;
            }
            self.perform(host, charged, effect);
        }
        self.arm(host, deadline);
        charged
    }

    /// Makes the event of an input, and tells what it costs before the operator has done anything.
    fn event(&mut self, host: usize, input: Input) -> (Micros, Option<Event>) {
        let costs = self.costs;
        match input {
            Input::Message { from, bytes } => {
                let cost = if matches!(bytes.get(KIND), Some(2 | 3 | 5)) { costs.signature } else { 0 };
                (cost, Some(Event::Message { from, bytes: bytes.to_vec() }))
            }
            Input::Verified(verification) => {
                let found = verification.bodies().filter(|body| !self.bad.contains(body)).count() as u64;
                let verdicts = if self.real {
                    verification.run()
                } else {
                    verification.presume(|form| !self.bad.contains(&form.header.body))
                };
                (found * costs.check, Some(Event::Verified(Box::new(verdicts))))
            }
            Input::Private { round, body } => {
                let kept = self.private.get(&body).filter(|kept| kept.on >> host & 1 == 1);
                (0, Some(Event::Private { round, body, submission: kept.map(|kept| Arc::clone(&kept.it)) }))
            }
            Input::Blob(id) => {
                let bytes = self.blobs.get(&id).map(|kept| Arc::clone(&kept.it));
                (0, bytes.map(|bytes| Event::Blob { id, bytes }))
            }
            Input::Connected(node) => (0, Some(Event::Connected(node))),
            Input::Disconnected(node) => (0, Some(Event::Disconnected(node))),
            Input::Tick => {
                let peer = self.hosts.get(host).and_then(|this| this.peer.as_ref());
                let due = peer.and_then(Peer::next_deadline).is_some_and(|at| at <= self.time());
                (0, due.then_some(Event::Tick))
            }
        }
    }

    /// Sees to it that an operator is woken at its deadline, and not more often.
    fn arm(&mut self, host: usize, deadline: Option<Timestamp>) {
        let (now, millis) = (self.now, self.time().as_millis());
        let Some(deadline) = deadline else { return };
        let at = now + (deadline.as_millis().saturating_sub(millis) * MILLI).max(MILLI);
        let Some(this) = self.hosts.get_mut(host) else { return };
        if this.timer_at.is_none_or(|armed| armed > at) {
            this.timer_at = Some(at);
            self.schedule(at - now, Happening::Timer(host));
        }
    }

    fn perform(&mut self, host: usize, charged: Micros, effect: Effect) {
        let bit = 1u8 << host;
        match effect {
            // Nobody starts again here: nothing has to be read back.
            Effect::Persist(_) | Effect::Sync | Effect::Begin(_) | Effect::StoreEntry(_) | Effect::DropEntry(_) => {}
            Effect::Commit(decision) => self.commit(*decision),
            Effect::StoreBlob { bytes, .. } => {
                let kept = self.blobs.entry(BlobId::of(&bytes)).or_insert(Kept { it: bytes, on: 0 });
                kept.on |= bit;
            }
            Effect::Archive { bodies, .. } => {
                bodies.into_iter().for_each(|id| self.schedule(charged, Happening::Archive(host, id)));
            }
            Effect::StorePrivate { body, submission, .. } => {
                let kept = self.private.entry(body).or_insert(Kept { it: submission, on: 0 });
                kept.on |= bit;
            }
            Effect::Verify(verification) => self.verify(host, charged, verification),
            Effect::ReadPrivate { round, body } => {
                self.schedule(charged + 1, Happening::Arrive(host, Input::Private { round, body }));
            }
            Effect::SendPrivate { to, body, handover, .. } => {
                let kept = self.private.get(&body).filter(|kept| kept.on & bit != 0);
                if let Some(submission) = kept.map(|kept| kept.it.as_ref().clone()) {
                    let message = match handover {
                        None => Message::Submission(submission),
                        Some(handover) => Message::Handover(Handover { submission: Some(submission), ..*handover }),
                    };
                    let bytes = message.seal(self.community);
                    self.send(host, charged, to, bytes);
                }
            }
            Effect::ErasePrivate { body, .. } => {
                self.erase(&body, bit);
                self.blobs.remove(&body);
            }
            Effect::EraseRound(_) => {
                let bodies: Vec<BlobId> = self.private.keys().copied().collect();
                bodies.iter().for_each(|body| self.erase(body, bit));
            }
            Effect::Send { to, bytes } => self.send(host, charged, to, bytes),
            Effect::SendLog { to, from } => {
                let older = self.log.iter().filter(|decision| decision.batch.height() >= from);
                let part = Message::Log(LogPart::of(older.map(|decision| decision.as_ref().clone())));
                let bytes = part.seal(self.community);
                self.send(host, charged, to, bytes);
            }
            Effect::Publish(bytes) => {
                let others: Vec<NodeId> = self.hosts.iter().map(|other| other.node).collect();
                for (_, to) in others.into_iter().enumerate().filter(|(other, _)| *other != host) {
                    self.send(host, charged, to, bytes.clone());
                }
            }
            Effect::Want(id) => {
                if let Some(this) = self.hosts.get_mut(host) {
                    this.wants.insert(id);
                    self.schedule(charged, Happening::Fetch(host, id));
                }
            }
            Effect::Notice(notice) => self.note(host, notice),
        }
    }

    fn erase(&mut self, body: &BlobId, bit: u8) {
        if let Some(kept) = self.private.get_mut(body) {
            kept.on &= !bit;
            if kept.on == 0 {
                self.private.remove(body);
            }
        }
    }

    /// Verifies on a thread of its own, one batch after the other.
    fn verify(&mut self, host: usize, charged: Micros, verification: Box<Verification>) {
        let (count, costs, now) = (verification.bodies().len() as u64, self.costs, self.now);
        let Some(this) = self.hosts.get_mut(host) else { return };
        let takes = costs.together(count);
        let done = this.verifier_at.max(now + charged) + takes;
        this.verifier_at = done;
        this.meter.verified += count;
        this.meter.batches += 1;
        this.meter.verifying += takes;
        self.schedule(done - now, Happening::Arrive(host, Input::Verified(verification)));
    }

    fn commit(&mut self, decision: Decision) {
        let is_next = decision.batch.height().0 == self.log.len() as u64 + 1;
        if !is_next {
            return;
        }
        for bytes in decision.batch.entries() {
            let Ok(signed) = SignedEntry::from_bytes(bytes) else { continue };
            match &signed.entry {
                Entry::Contribution(accepted) => self.logged.push(accepted.header.body),
                Entry::Result(_) => self.results.push(signed),
                _ => {}
            }
        }
        self.log.push(Arc::new(decision));
    }

    fn note(&mut self, host: usize, notice: Notice) {
        let lies = self.hosts.get(host).is_some_and(|this| this.lies);
        match notice {
            Notice::Refused { fault, .. } => {
                let name = format!("{fault:?}");
                let name = name.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
                *self.refused.entry(name.to_lowercase()).or_default() += 1;
            }
            Notice::Contradiction { what, .. } if !lies => self.alarms.push(what.to_owned()),
            Notice::Halted(what) => self.alarms.push(what),
            Notice::Contradiction { .. }
            | Notice::Ahead { .. }
            | Notice::NotKept { .. }
            | Notice::NotPosted { .. }
            | Notice::Height(_)
            | Notice::NotStated { .. }
            | Notice::NotCarried { .. }
            | Notice::Arriving { .. } => {}
        }
    }

    fn send(&mut self, from: usize, charged: Micros, to: NodeId, bytes: Vec<u8>) {
        let (community, now) = (self.community, self.now);
        let Some(to) = self.hosts.iter().position(|other| other.node == to) else { return };
        let rate = self.links.operator_rate;
        let Some(this) = self.hosts.get_mut(from) else { return };
        let bytes = if this.lies { adversary::lie(&this.key, community, bytes) } else { bytes };
        let sender = this.node;
        let free = this.line_at.max(now + charged) + line_micros(bytes.len(), rate);
        this.line_at = free;
        this.meter.sent += bytes.len() as u64;
        let (count, sum) = self.messages.entry(kind(&bytes)).or_default();
        (*count, *sum) = (*count + 1, *sum + bytes.len() as u64);
        if let Some(delay) = self.delay() {
            let input = Input::Message { from: sender, bytes: bytes.into() };
            self.schedule(free - now + delay, Happening::Arrive(to, input));
        }
    }

    /// Finds a body that an operator wants.
    fn fetch(&mut self, host: usize, id: BlobId) {
        if !self.hosts.get(host).is_some_and(|this| this.wants.contains(&id)) {
            return;
        }
        match self.take(host, &id) {
            Some(after) => {
                if let Some(this) = self.hosts.get_mut(host) {
                    this.wants.remove(&id);
                }
                self.schedule(after, Happening::Arrive(host, Input::Blob(id)));
            }
            None => self.schedule(100 * MILLI, Happening::Fetch(host, id)),
        }
    }

    fn archive(&mut self, host: usize, id: BlobId) {
        self.take(host, &id);
    }

    /// Puts a body that somebody has on an operator's disk; tells how long it is on its way.
    fn take(&mut self, host: usize, id: &BlobId) -> Option<Micros> {
        let (bit, rate, latency) = (1u8 << host, self.links.operator_rate, self.links.latency);
        let kept = self.blobs.get_mut(id)?;
        if kept.on & bit != 0 {
            return Some(0);
        }
        let from = kept.on.trailing_zeros() as usize;
        kept.on |= bit;
        let size = kept.it.len() as u64;
        if let Some(from) = self.hosts.get_mut(from) {
            from.meter.sent += size;
        }
        if let Some(this) = self.hosts.get_mut(host) {
            this.meter.received += size;
        }
        let (count, sum) = self.messages.entry("body").or_default();
        (*count, *sum) = (*count + 1, *sum + size);
        Some(2 * latency * MILLI + line_micros(usize::try_from(size).unwrap_or(usize::MAX), rate))
    }
}

/// Returns how long bytes take on a line that carries so many kilobits a second.
pub(super) const fn line_micros(bytes: usize, kilobits: u64) -> Micros {
    bytes as u64 * 8 * MILLI / kilobits
}

/// Returns the kind of a message, as its first bytes tell.
fn kind(bytes: &[u8]) -> &'static str {
    match bytes.get(KIND) {
        Some(2) => "consensus",
        Some(3) => "entry",
        Some(4) => "contribution",
        Some(5) => "acknowledgement",
        Some(6) => "tip",
        Some(7 | 8) => "log",
        Some(9) => "request",
        Some(10) => "handover",
        Some(12 | 13) => "holdings",
        Some(_) | None => "other",
    }
}
