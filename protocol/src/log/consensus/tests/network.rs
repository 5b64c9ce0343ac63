//! A virtual network of hosts: virtual time, seeded delays and losses, disks that forget what was not synced.

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{
    codec::{Decode, Encode},
    sign::{PublicKey, SecretKey},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::super::{message::Message, *};
use crate::{id::CommunityId, log::batch::Batch};

/// How often hosts tell each other their heights, in milliseconds.
const TIP_INTERVAL: u64 = 2_000;

pub(super) fn community() -> CommunityId {
    CommunityId::from([9; 32])
}

pub(super) fn key(index: usize) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(index + 1).expect("few nodes"); 32])
}

pub(super) fn committee(members: impl IntoIterator<Item = usize>) -> Committee {
    Committee::new(members.into_iter().map(|index| key(index).public())).expect("a committee")
}

/// The rules of these tests: an entry that starts with 0xFF is invalid.
pub(super) fn valid(batch: &Batch) -> bool {
    batch.entries().iter().all(|entry| entry.first() != Some(&0xFF))
}

/// What a node does on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Malice {
    /// Sends a second, different vote with every vote, and a second batch with every proposal.
    Equivocates,
    /// Proposes batches that are invalid.
    ProposesInvalid,
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) log: Vec<Decision>,
    pub(super) synced: Vec<Vec<u8>>,
    /// Appended but not synced: a crash keeps any prefix of it.
    pub(super) cached: Vec<Vec<u8>>,
    pub(super) pledged: Option<Height>,
}

/// What a crash does to the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loss {
    /// Nothing: the process died, the machine did not.
    Nothing,
    /// The whole unsynced tail.
    Tail,
    /// Some of the unsynced tail.
    Torn,
    /// The write-ahead log, but not the pledge.
    Wal,
    /// The write-ahead log and the pledge: what no operator may let happen.
    WalAndPledge,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: SecretKey,
    pub(super) disk: Disk,
    pub(super) consensus: Option<Consensus>,
    pub(super) pending: Vec<Vec<u8>>,
    pub(super) malice: Option<Malice>,
    /// Crash instead of performing the output after this many.
    pub(super) crash_after: Option<u64>,
    pub(super) loss: Loss,
}

#[derive(Clone, Debug)]
enum Packet {
    Consensus(Vec<u8>),
    Entry(Vec<u8>),
    Tip(Height),
    Decision(Vec<u8>),
    Gossip,
    Restart,
}

pub(super) struct Network {
    pub(super) now: Timestamp,
    pub(super) nodes: Vec<Node>,
    /// Committees and the heights from which they hold.
    pub(super) committees: BTreeMap<Height, Committee>,
    pub(super) loss_percent: u64,
    pub(super) max_delay: u64,
    /// Milliseconds until a crashed node comes back; `None` for never.
    pub(super) downtime: Option<u64>,
    /// Crash a node at every so many outputs, on average.
    pub(super) crash_every: Option<u64>,
    pub(super) culprits: BTreeSet<PublicKey>,
    pub(super) decided: BTreeMap<Height, BatchId>,
    pub(super) disagreements: usize,
    pub(super) halts: Vec<Halt>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) crashes: usize,
    pub(super) replays: usize,
    pub(super) sent: usize,
    /// The highest round any node was in.
    pub(super) highest_round: u32,
    rng: ChaCha8Rng,
    sequence: u64,
    queue: BTreeMap<(Timestamp, u64), (usize, usize, Packet)>,
}

impl Network {
    pub(super) fn new(seed: u64, size: usize) -> Self {
        let mut network = Self::bare(seed, size);
        network.committees.insert(Height(1), committee(0..size));
        for index in 0..size {
            network.boot(index);
        }
        network
    }

    /// Nodes that are switched off, and no committee.
    pub(super) fn bare(seed: u64, size: usize) -> Self {
        let node = |index| Node {
            key: key(index),
            disk: Disk::default(),
            consensus: None,
            pending: Vec::new(),
            malice: None,
            crash_after: None,
            loss: Loss::Tail,
        };
        Self {
            now: Timestamp::from_millis(1_000_000),
            nodes: (0..size).map(node).collect(),
            committees: BTreeMap::new(),
            loss_percent: 0,
            max_delay: 15,
            downtime: None,
            crash_every: None,
            culprits: BTreeSet::new(),
            decided: BTreeMap::new(),
            disagreements: 0,
            halts: Vec::new(),
            refusals: Vec::new(),
            crashes: 0,
            replays: 0,
            sent: 0,
            highest_round: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            sequence: 0,
            queue: BTreeMap::new(),
        }
    }

    pub(super) fn committee_at(&self, height: Height) -> Committee {
        self.committees.range(..=height).next_back().expect("a first committee").1.clone()
    }

    pub(super) fn height(&self, index: usize) -> usize {
        self.nodes[index].disk.log.len()
    }

    /// Gives a node an entry to order; it tells the others.
    pub(super) fn submit(&mut self, index: usize, entry: &[u8]) {
        for to in 0..self.nodes.len() {
            if to != index {
                self.post(index, to, Packet::Entry(entry.to_vec()));
            }
        }
        self.arrive(index, index, Packet::Entry(entry.to_vec()));
    }

    /// Runs until `done` or for so many virtual milliseconds; tells whether it is done.
    pub(super) fn run(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.plus_millis(millis);
        while !done(self) {
            let deadline = |(index, node): (usize, &Node)| Some((node.consensus.as_ref()?.next_deadline()?, index));
            let timer = self.nodes.iter().enumerate().filter_map(deadline).min();
            let packet = self.queue.first_key_value().map(|((at, _), _)| *at);
            match (timer, packet) {
                (Some((at, index)), packet) if packet.is_none_or(|packet| at < packet) && at <= end => {
                    self.now = self.now.max(at);
                    self.feed(index, None, Input::Tick);
                }
                (_, Some(at)) if at <= end => {
                    self.now = self.now.max(at);
                    let (_, (from, to, packet)) = self.queue.pop_first().expect("just seen");
                    self.arrive(from, to, packet);
                }
                _ => {
                    self.now = end;
                    return done(self);
                }
            }
        }
        true
    }

    /// Runs until every running node has decided so many heights.
    pub(super) fn run_until_all_at(&mut self, height: usize, millis: u64) -> bool {
        self.run(millis, |network| {
            let waiting = |node: &Node| node.consensus.is_none() || node.disk.log.len() < height;
            !network.nodes.iter().any(waiting)
        })
    }

    /// Runs until all entries that any node knows of are decided everywhere.
    pub(super) fn run_until_settled(&mut self, millis: u64) -> bool {
        self.run(millis, |network| {
            let highest = network.nodes.iter().map(|node| node.disk.log.len()).max();
            let settled = |node: &Node| {
                node.consensus.is_some() && node.pending.is_empty() && Some(node.disk.log.len()) == highest
            };
            network.nodes.iter().all(settled)
        })
    }

    /// Starts a node from its disk.
    pub(super) fn boot(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let height = Height(node.disk.log.len() as u64);
        let records = node.disk.synced.clone();
        let resume = Resume {
            height,
            batch: node.disk.log.last().map_or_else(BatchId::default, |decision| decision.certificate.value),
            records: &records,
            pledged: node.disk.pledged,
            committee: self.committees.range(..=height.next()).next_back().expect("a first committee").1.clone(),
        };
        let config = Config { community: community(), key: node.key.clone(), timeouts: Timeouts::default() };
        let consensus = Consensus::new(config, self.now, resume).expect("own records replay");
        self.replays += usize::from(!records.is_empty());
        node.consensus = Some(consensus);
        self.perform(index);
        if self.nodes[index].consensus.is_some() && !self.nodes[index].pending.is_empty() {
            self.feed(index, None, Input::Wake);
        }
        self.post_after(TIP_INTERVAL, (index, index), Packet::Gossip);
    }

    /// Switches a node off; its disk suffers as its `loss` says.
    pub(super) fn crash(&mut self, index: usize) {
        let torn = self.random(4);
        let node = &mut self.nodes[index];
        node.consensus = None;
        node.crash_after = None;
        let cached = core::mem::take(&mut node.disk.cached);
        match node.loss {
            Loss::Nothing => node.disk.synced.extend(cached),
            Loss::Tail => {}
            Loss::Torn => node.disk.synced.extend(cached.into_iter().take(usize::try_from(torn).expect("small"))),
            Loss::Wal => node.disk.synced.clear(),
            Loss::WalAndPledge => {
                node.disk.synced.clear();
                node.disk.pledged = None;
            }
        }
        self.crashes += 1;
        self.queue.retain(|_, (_, to, packet)| *to != index || !matches!(packet, Packet::Gossip));
        if let Some(downtime) = self.downtime {
            self.post_after(downtime, (index, index), Packet::Restart);
        }
    }

    fn random(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn post(&mut self, from: usize, to: usize, packet: Packet) {
        if self.random(100) >= self.loss_percent {
            let delay = 1 + self.random(self.max_delay);
            self.post_after(delay, (from, to), packet);
        }
    }

    fn post_after(&mut self, delay: u64, (from, to): (usize, usize), packet: Packet) {
        self.sequence += 1;
        self.queue.insert((self.now.plus_millis(delay), self.sequence), (from, to, packet));
    }

    fn post_all(&mut self, from: usize, packet: &Packet) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.post(from, to, packet.clone());
        }
    }

    fn arrive(&mut self, from: usize, to: usize, packet: Packet) {
        let tip = Height(self.nodes[to].disk.log.len() as u64);
        match (packet, self.nodes[to].consensus.is_some()) {
            (Packet::Restart, false) => self.boot(to),
            (Packet::Entry(entry), _) => {
                let node = &mut self.nodes[to];
                let known = node.pending.contains(&entry)
                    || node.disk.log.iter().any(|decision| decision.batch.entries().contains(&entry));
                if !known {
                    node.pending.push(entry);
                    self.feed(to, None, Input::Wake);
                }
            }
            (_, false) | (Packet::Restart, true) => {}
            (Packet::Consensus(bytes), true) => self.feed(to, Some(from), Input::Message(bytes)),
            (Packet::Tip(height), true) if height < tip => self.post_decision(to, from, height.next()),
            (Packet::Tip(height), true) if height > tip => self.post(to, from, Packet::Tip(tip)),
            (Packet::Tip(_), true) => {}
            (Packet::Decision(bytes), true) => {
                let decision = Decision::from_bytes(&bytes).expect("hosts send whole decisions");
                self.feed(to, Some(from), Input::Sync(Box::new(decision)));
            }
            (Packet::Gossip, true) => {
                self.post_all(to, &Packet::Tip(tip));
                self.post_after(TIP_INTERVAL, (to, to), Packet::Gossip);
            }
        }
    }

    fn post_decision(&mut self, from: usize, to: usize, height: Height) {
        let index = usize::try_from(height.0).expect("small").checked_sub(1);
        if let Some(decision) = index.and_then(|index| self.nodes[from].disk.log.get(index)) {
            let bytes = decision.to_bytes();
            self.post(from, to, Packet::Decision(bytes));
        }
    }

    /// The host's loop: an input, then what it leads to.
    fn feed(&mut self, index: usize, from: Option<usize>, input: Input) {
        let Some(consensus) = &mut self.nodes[index].consensus else { return };
        match consensus.handle(self.now, input, &valid) {
            Ok(()) => {}
            Err(ConsensusError::Refused(refusal)) => {
                match (&refusal, from) {
                    (Refusal::Stale(height), Some(from)) => self.post_decision(index, from, *height),
                    (Refusal::Ahead(_), Some(from)) => {
                        let tip = Height(self.nodes[index].disk.log.len() as u64);
                        self.post(index, from, Packet::Tip(tip));
                    }
                    _ => {}
                }
                self.refusals.push(refusal);
            }
            Err(ConsensusError::Halted(halt)) => self.halts.push(halt),
            Err(error) => panic!("the host made a mistake: {error}"),
        }
        self.perform(index);
    }

    fn perform(&mut self, index: usize) {
        while let Some(consensus) = &mut self.nodes[index].consensus {
            self.highest_round = self.highest_round.max(consensus.round().unwrap_or_default());
            let Some(output) = consensus.poll_output() else { return };
            if self.crashes_now(index) {
                return self.crash(index);
            }
            let malicious = self.nodes[index].malice == Some(Malice::ProposesInvalid);
            let rules = move |batch: &Batch| malicious || valid(batch);
            for input in self.do_output(index, output) {
                let consensus = self.nodes[index].consensus.as_mut().expect("still running");
                match consensus.handle(self.now, input, &rules) {
                    Ok(()) => {}
                    Err(ConsensusError::Halted(halt)) => self.halts.push(halt),
                    Err(error) => panic!("the host made a mistake: {error}"),
                }
            }
        }
    }

    fn crashes_now(&mut self, index: usize) -> bool {
        if self.crash_every.is_some_and(|every| self.random(every) == 0) {
            return true;
        }
        match &mut self.nodes[index].crash_after {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn do_output(&mut self, index: usize, output: Output) -> Vec<Input> {
        let node = &mut self.nodes[index];
        match output {
            Output::WalAppend(record) => node.disk.cached.push(record),
            Output::WalSync => {
                let cached = core::mem::take(&mut node.disk.cached);
                node.disk.synced.extend(cached);
            }
            Output::WalReset(_) => {
                node.disk.synced.clear();
                node.disk.cached.clear();
            }
            Output::Pledge(height) => node.disk.pledged = Some(height),
            Output::Send(bytes) => {
                self.sent += 1;
                self.send(index, bytes);
            }
            Output::ProposalWanted { height, round } => {
                let mut entries: Vec<_> = node.pending.iter().take(3).cloned().collect();
                if node.malice == Some(Malice::ProposesInvalid) {
                    entries = vec![vec![0xFF]];
                }
                if !entries.is_empty() {
                    return vec![Input::Propose { height, round, entries }];
                }
            }
            Output::Decided(decision) => return self.store(index, *decision),
            Output::Evidence(evidence) => {
                self.culprits.insert(evidence.verify(community()).expect("evidence verifies"));
            }
        }
        Vec::new()
    }

    fn store(&mut self, index: usize, decision: Decision) -> Vec<Input> {
        let (height, id) = (decision.batch.height(), decision.batch.id());
        let committee = self.committee_at(height);
        decision.certificate.verify(&committee, community(), &decision.batch).expect("decisions verify");
        self.disagreements += usize::from(*self.decided.entry(height).or_insert(id) != id);
        let node = &mut self.nodes[index];
        assert_eq!(height.0, node.disk.log.len() as u64 + 1);
        node.pending.retain(|entry| !decision.batch.entries().contains(entry));
        node.disk.log.push(decision);
        let idle = node.pending.is_empty();
        self.post_all(index, &Packet::Tip(height));
        let advance = Input::Advance(self.committee_at(height.next()));
        if idle { vec![advance] } else { vec![advance, Input::Wake] }
    }

    fn send(&mut self, index: usize, bytes: Vec<u8>) {
        if self.nodes[index].malice == Some(Malice::Equivocates)
            && let Some(other) = contradiction(&bytes, &self.nodes[index].key)
        {
            self.post_all(index, &Packet::Consensus(other));
        }
        self.post_all(index, &Packet::Consensus(bytes));
    }
}

/// Returns a message that contradicts a vote or proposal, signed as well.
pub(super) fn contradiction(bytes: &[u8], key: &SecretKey) -> Option<Vec<u8>> {
    use arc_malachitebft_core_types::NilOrVal;
    Some(match Message::from_bytes(bytes).expect("own message") {
        Message::Vote(vote) => {
            let mut statement = vote.statement;
            statement.value =
                if statement.value.is_nil() { NilOrVal::Val(BatchId::from([1; 32])) } else { NilOrVal::Nil };
            Message::Vote(Signed::new(statement, community(), key)).to_bytes()
        }
        Message::Proposal(SignedProposal { head, value }) => {
            let batch = Batch::new(value.batch.height(), value.batch.previous(), vec![vec![0x0E]]).expect("small");
            let value = Value::new(Arc::new(batch));
            let mut statement = head.statement;
            statement.value = value.id;
            Message::Proposal(SignedProposal { head: Signed::new(statement, community(), key), value }).to_bytes()
        }
        Message::Bundle(_) => return None,
    })
}

/// Starts one node alone, without a disk.
pub(super) fn node(index: usize, size: usize) -> Consensus {
    let config = Config { community: community(), key: key(index), timeouts: Timeouts::default() };
    let (height, batch, committee) = (Height::GENESIS, BatchId::default(), committee(0..size));
    let resume = Resume { height, batch, committee, records: &[], pledged: None };
    Consensus::new(config, Timestamp::default(), resume).expect("nothing to replay")
}

/// Takes all outputs of a node.
pub(super) fn outputs(node: &mut Consensus) -> Vec<Output> {
    core::iter::from_fn(|| node.poll_output()).collect()
}

/// Returns the node whose turn it is at a height and round.
pub(super) fn proposer(size: usize, height: u64, round: u32) -> usize {
    let proposer = committee(0..size).proposer(Height(height), round);
    (0..size).find(|index| key(*index).public() == proposer).expect("a member")
}
