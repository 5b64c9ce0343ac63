//! A virtual network: peers, links with latency and loss, journals that lose what was not synced, one clock.
//!
//! Everything that happens is an event in one queue, ordered by (time, sequence number): the same seed gives the same
//! run. Liars are real peers whose outgoing envelopes pass through a [`Tamper`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use chorus_crypto::{codec::Encode, sign::SecretKey};
use chorus_protocol::{
    config::Genesis,
    contribution::{Submission, Verification},
    id::{BlobId, CommunityId, EntryId, NodeId, RoundId},
    journal::{Record, RestoredRecord, for_backup, needed},
    ledger::Ledger,
    log::{
        batch::Height,
        consensus::{Decision, Timeouts},
        entry::SignedEntry,
    },
    message::{Handover, LogPart, Message},
    peer::{Checkpoints, Command, Config, Effect, Event, KeptPrivate, Landmark, Notice, Peer, Saved, Start},
    time::Timestamp,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::tap::Tap;

/// What a liar has at hand when a message leaves its node.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The host that the message goes to.
    pub to: usize,
    /// The virtual time.
    pub now: Timestamp,
    /// The public bodies that the liar offers.
    pub blobs: &'a mut BTreeMap<BlobId, Arc<[u8]>>,
}

/// What a liar does to a message before it leaves: nothing, something else, several things, or silence. Each message
/// comes with how long it is held back, in milliseconds.
pub type Tamper = Box<dyn FnMut(&mut Outgoing<'_>, Message) -> Vec<(u64, Message)>>;

/// Decides whether a message that reaches a host is heard there.
pub type Hearing = Box<dyn Fn(&Message) -> bool>;

/// Decides, before each effect of a host, whether the host dies right there.
pub type CrashPoint = Box<dyn FnMut(&Effect) -> bool>;

/// How links behave.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// Least latency in milliseconds.
    pub latency: u64,
    /// Random addition to it: messages overtake one another.
    pub jitter: u64,
    /// Messages lost, in thousandths.
    pub loss: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { latency: 5, jitter: 10, loss: 0 }
    }
}

/// Who is connected with whom, and which minor version each host speaks.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// Whether followers are connected with one another, and not with operators only.
    pub mesh: bool,
    /// The minor version of each host, by number.
    pub minor: fn(usize) -> u8,
    /// Bytes of contributions that operators hold in memory.
    pub held_bytes: usize,
    /// How many heights the operators leave between two checkpoints.
    pub checkpoint_heights: u64,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            mesh: false,
            minor: |_| chorus_protocol::message::MINOR,
            held_bytes: chorus_protocol::limits::MAX_HELD_BYTES,
            checkpoint_heights: chorus_protocol::ledger::CHECKPOINT_HEIGHTS,
        }
    }
}

/// What survives a crash.
#[derive(Clone, Default)]
struct Disk {
    start: Option<Start>,
    decisions: Vec<Decision>,
    records: Vec<Record>,
    unsynced: Vec<Record>,
    private: BTreeMap<(RoundId, BlobId), Arc<Submission>>,
    blobs: BTreeMap<BlobId, Arc<[u8]>>,
    relayed: BTreeMap<EntryId, SignedEntry>,
}

/// A copy of what a host has on its disk.
#[derive(Clone)]
pub struct Copy(Disk);

impl core::fmt::Debug for Copy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Copy").field("height", &self.0.decisions.len()).finish_non_exhaustive()
    }
}

impl Copy {
    /// Takes the journal away: what a node refuses to start with, if its key has signed.
    #[must_use]
    pub fn without_journal(mut self) -> Self {
        self.0.records.clear();
        self
    }

    /// Makes of it what a backup holds: the journal without the keys of rounds, and the note that it was put back; with or
    /// without the log, and no private part.
    #[must_use]
    pub fn as_backup(mut self, with_log: bool, current: bool) -> Self {
        let height = Height(self.0.decisions.len() as u64);
        self.0.records = for_backup(&self.0.records);
        self.0.records.push(Record::Restored(RestoredRecord { height, current }));
        self.0.private.clear();
        self.0.blobs.clear();
        if !with_log {
            (self.0.start, self.0.decisions) = (None, Vec::new());
        }
        self
    }
}

struct Host {
    operator: Option<SecretKey>,
    peer: Option<Peer>,
    disk: Disk,
    rng: ChaCha20Rng,
    tamper: Option<Tamper>,
    hearing: Option<Hearing>,
    crash: Option<CrashPoint>,
    wants: BTreeSet<BlobId>,
    begin_at: Option<Landmark>,
}

#[derive(Debug)]
enum Happening {
    Deliver { to: usize, from: usize, bytes: Vec<u8> },
    Timer { host: usize },
    Fetch { host: usize, id: BlobId },
    Archive { host: usize, id: BlobId },
    Read { host: usize, round: RoundId, body: BlobId },
    Verify { host: usize, verification: Box<Verification> },
}

/// The network.
pub struct Network {
    genesis: Genesis,
    community: CommunityId,
    /// What the log begins with, if the community is a cohort.
    cohort: Option<Ledger>,
    links: Links,
    topology: Topology,
    now: Timestamp,
    sequence: u64,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    hosts: Vec<Host>,
    cut: BTreeSet<(usize, usize)>,
    rng: ChaCha20Rng,
    /// Everything the peers told their people, by host.
    pub notices: Vec<(usize, Notice)>,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes of bodies that were fetched.
    pub bytes_fetched: u64,
    /// What was sent, for whoever listens.
    pub tap: Tap,
}

impl core::fmt::Debug for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Network").field("now", &self.now).field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

/// What a host knows of a private part when it starts.
fn kept(((round, body), submission): (&(RoundId, BlobId), &Arc<Submission>)) -> KeptPrivate {
    KeptPrivate { round: *round, body: *body, bytes: submission.size() as u64 }
}

fn node(host: usize) -> NodeId {
    NodeId::from(chorus_crypto::hash::content(&(host as u64).to_be_bytes()))
}

impl Network {
    /// Starts the operators and `followers` other nodes, all connected with the operators.
    pub fn new(seed: u64, genesis: Genesis, operators: &[SecretKey], followers: usize, links: Links) -> Self {
        Self::with_topology(seed, genesis, operators, followers, (links, Topology::default()))
    }

    /// As [`new`](Self::new), connected otherwise.
    pub fn with_topology(
        seed: u64,
        genesis: Genesis,
        operators: &[SecretKey],
        followers: usize,
        (links, topology): (Links, Topology),
    ) -> Self {
        let from = (genesis.id(), genesis, None);
        Self::of(seed, from, operators, followers, (links, topology))
    }

    /// Starts the operators of a cohort, whose log begins with a state, and `followers` other nodes.
    pub fn of_cohort(seed: u64, cohort: Ledger, operators: &[SecretKey], followers: usize, links: Links) -> Self {
        let from = (cohort.community(), cohort.genesis().clone(), Some(cohort));
        Self::of(seed, from, operators, followers, (links, Topology::default()))
    }

    fn of(
        seed: u64,
        (community, genesis, cohort): (CommunityId, Genesis, Option<Ledger>),
        operators: &[SecretKey],
        followers: usize,
        (links, topology): (Links, Topology),
    ) -> Self {
        let mut network = Self {
            genesis,
            community,
            cohort,
            links,
            topology,
            now: Timestamp::from_millis(1_700_000_000_000),
            sequence: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            hosts: Vec::new(),
            cut: BTreeSet::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            notices: Vec::new(),
            bytes_sent: 0,
            bytes_fetched: 0,
            tap: Tap::default(),
        };
        let keys = operators.iter().cloned().map(Some).chain((0..followers).map(|_| None));
        for (host, operator) in keys.enumerate() {
            let rng = ChaCha20Rng::seed_from_u64(seed ^ (0x5EED << 16) ^ host as u64);
            let host = Host {
                operator,
                peer: None,
                disk: Disk::default(),
                rng,
                tamper: None,
                hearing: None,
                crash: None,
                wants: BTreeSet::new(),
                begin_at: None,
            };
            network.hosts.push(host);
        }
        (0..network.hosts.len()).for_each(|host| network.start(host));
        network
    }

    /// Returns the virtual time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the number of hosts.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Returns whether there are no hosts.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Returns a running peer.
    ///
    /// # Panics
    ///
    /// Panics if the host is down.
    pub fn peer(&self, host: usize) -> &Peer {
        self.hosts[host].peer.as_ref().expect("the host is up")
    }

    /// Returns whether a host is up.
    pub fn is_up(&self, host: usize) -> bool {
        self.hosts[host].peer.is_some()
    }

    /// Returns a body that a host stored.
    pub fn blob(&self, host: usize, id: &BlobId) -> Option<Arc<[u8]>> {
        self.hosts[host].disk.blobs.get(id).cloned()
    }

    /// Returns everything on a host's disk that an attacker would find: journal and private parts.
    pub fn disk(&self, host: usize) -> (Vec<Record>, Vec<Arc<Submission>>) {
        let disk = &self.hosts[host].disk;
        (disk.records.clone(), disk.private.values().cloned().collect())
    }

    /// Returns the decisions on a host's disk.
    pub fn decisions(&self, host: usize) -> &[Decision] {
        &self.hosts[host].disk.decisions
    }

    /// Makes a host lie.
    pub fn tamper(&mut self, host: usize, tamper: Tamper) {
        self.hosts[host].tamper = Some(tamper);
    }

    /// Makes a host deaf to what `hearing` does not let through.
    pub fn hear_only(&mut self, host: usize, hearing: Hearing) {
        self.hosts[host].hearing = Some(hearing);
    }

    /// Lets a host die right before the first effect that `crash` picks: what is not synced by then is lost.
    pub fn crash_at(&mut self, host: usize, crash: CrashPoint) {
        self.hosts[host].crash = Some(crash);
    }

    /// Hands a host bytes as if another host had sent them.
    pub fn deliver(&mut self, to: usize, from: usize, bytes: Vec<u8>) {
        self.handle(to, Event::Message { from: node(from), bytes });
    }

    /// Changes a scalar of every masked vector on a host's disk.
    pub fn damage_private(&mut self, host: usize) {
        for submission in self.hosts[host].disk.private.values_mut() {
            let damaged = Arc::make_mut(submission);
            damaged.masked.rotate_left(1);
        }
    }

    /// Hands a host bytes as if a stranger had sent them, and returns what it sends to that stranger.
    pub fn ask(&mut self, host: usize, bytes: Vec<u8>) -> Vec<Message> {
        let (stranger, community) = (NodeId::from([0xEE; 32]), self.community);
        let (now, this) = (self.now, &mut self.hosts[host]);
        let Some(peer) = &mut this.peer else { return Vec::new() };
        peer.handle(now, Event::Message { from: stranger, bytes }, &mut this.rng);
        let (mut answers, mut others) = (Vec::new(), Vec::new());
        while let Some(effect) = peer.poll_effect() {
            match effect {
                Effect::Send { to, bytes } if to == stranger => answers.extend(Message::open(community, &bytes)),
                effect => others.push(effect),
            }
        }
        others.into_iter().for_each(|effect| self.perform(host, effect));
        answers
    }

    /// Writes a record into the journal of a host that is down.
    pub fn plant_record(&mut self, host: usize, record: Record) {
        self.hosts[host].disk.records.push(record);
    }

    /// Returns every byte string on a host's disk: journal, private parts, public bodies, log.
    pub fn disk_bytes(&self, host: usize) -> Vec<Vec<u8>> {
        let disk = &self.hosts[host].disk;
        let records = disk.records.iter().chain(&disk.unsynced).map(Encode::to_bytes);
        let private = disk.private.values().map(|submission| submission.to_bytes());
        let blobs = disk.blobs.values().map(|blob| blob.to_vec());
        records.chain(private).chain(blobs).chain(disk.decisions.iter().map(Encode::to_bytes)).collect()
    }

    /// Returns how many entries on their way a host keeps.
    pub fn relayed(&self, host: usize) -> usize {
        self.hosts[host].disk.relayed.len()
    }

    /// Copies what a host has on its disk.
    pub fn copy(&self, host: usize) -> Copy {
        let disk = &self.hosts[host].disk;
        Copy(Disk { unsynced: Vec::new(), ..disk.clone() })
    }

    /// Puts a copy in the place of what a host that is down has on its disk.
    pub fn put_back(&mut self, host: usize, copy: Copy) {
        self.hosts[host].disk = copy.0;
    }

    /// Starts another host with an operator's key and a copy of its disk, connected with everybody. Returns its number.
    pub fn add_twin(&mut self, of: usize, copy: Copy) -> usize {
        let host = self.hosts.len();
        let twin = Host {
            operator: self.hosts[of].operator.clone(),
            peer: None,
            disk: copy.0,
            rng: ChaCha20Rng::seed_from_u64(0x7717 ^ host as u64),
            tamper: None,
            hearing: None,
            crash: None,
            wants: BTreeSet::new(),
            begin_at: None,
        };
        self.hosts.push(twin);
        self.start(host);
        host
    }

    /// Starts a follower that is told of a checkpoint, connected with the operators. Returns its number.
    pub fn add_newcomer(&mut self, begin_at: Option<Landmark>) -> usize {
        let host = self.hosts.len();
        self.hosts.push(Host {
            operator: None,
            peer: None,
            disk: Disk::default(),
            rng: ChaCha20Rng::seed_from_u64(0x7718 ^ host as u64),
            tamper: None,
            hearing: None,
            crash: None,
            wants: BTreeSet::new(),
            begin_at,
        });
        self.start(host);
        host
    }

    /// Cuts or mends the link between two hosts.
    pub fn cut(&mut self, a: usize, b: usize, cut: bool) {
        for pair in [(a, b), (b, a)] {
            if cut {
                self.cut.insert(pair)
            } else {
                self.cut.remove(&pair)
            };
        }
    }

    /// Starts a host from its disk, and connects it.
    ///
    /// # Panics
    ///
    /// Panics if what it saved does not fit together: that is what a test wants to see.
    pub fn start(&mut self, host: usize) {
        let this = &mut self.hosts[host];
        this.disk.unsynced.clear();
        let saved = Saved {
            start: this.disk.start.clone(),
            decisions: this.disk.decisions.clone(),
            records: this.disk.records.clone(),
            private: this.disk.private.iter().map(kept).collect(),
            relayed: this.disk.relayed.values().cloned().collect(),
        };
        let config = Config {
            genesis: self.genesis.clone(),
            node: node(host),
            operator: this.operator.clone(),
            timeouts: Timeouts {
                propose: 400,
                prevote: 200,
                precommit: 200,
                per_round: 200,
                rebroadcast: 1_000,
                longest: 10_000,
            },
            pass_millis: 5_000,
            held_bytes: self.topology.held_bytes,
            minor: (self.topology.minor)(host),
            checkpoints: Checkpoints { every: self.topology.checkpoint_heights, begin_at: this.begin_at },
            cohort: self.cohort.clone().map(Box::new),
        };
        this.peer = Some(Peer::new(config, self.now, saved).expect("what was saved fits together"));
        this.wants.clear();
        for other in 0..self.hosts.len() {
            let linked =
                self.topology.mesh || self.hosts[host].operator.is_some() || self.hosts[other].operator.is_some();
            if other != host && self.is_up(other) && linked {
                for (at, of) in [(host, other), (other, host)] {
                    self.handle(at, Event::Connected(node(of)));
                    self.handle(at, Event::Speaks { node: node(of), minor: (self.topology.minor)(of) });
                }
            }
        }
        self.handle(host, Event::Tick);
    }

    /// Kills a host: what was not synced is lost.
    pub fn kill(&mut self, host: usize) {
        self.hosts[host].peer = None;
        for other in 0..self.hosts.len() {
            if self.is_up(other) {
                self.handle(other, Event::Disconnected(node(host)));
            }
        }
    }

    /// Hands a command to a host.
    pub fn command(&mut self, host: usize, command: Command) {
        self.handle(host, Event::Command(command));
    }

    /// Runs until `done` or until `millis` have passed; returns whether it is done.
    pub fn run_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.plus_millis(millis);
        loop {
            if done(self) {
                return true;
            }
            match self.queue.peek() {
                Some(Reverse((at, _))) if *at <= end => self.step(),
                Some(_) | None => {
                    self.now = end;
                    return done(self);
                }
            }
        }
    }

    fn step(&mut self) {
        let Some(Reverse((at, sequence))) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        match self.happenings.remove(&sequence) {
            Some(Happening::Deliver { to, from, .. }) if self.cut.contains(&(from, to)) => {}
            Some(Happening::Deliver { to, bytes, .. }) if !self.hears(to, &bytes) => {}
            Some(Happening::Deliver { to, from, bytes }) => self.handle(to, Event::Message { from: node(from), bytes }),
            Some(Happening::Timer { host }) => {
                let due = self.hosts[host].peer.as_ref().and_then(Peer::next_deadline).is_some_and(|at| at <= self.now);
                if due {
                    self.handle(host, Event::Tick);
                }
            }
            Some(Happening::Fetch { host, id }) => self.fetch(host, id),
            Some(Happening::Archive { host, id }) => self.archive(host, id),
            Some(Happening::Read { host, round, body }) => {
                let submission = self.hosts[host].disk.private.get(&(round, body)).cloned();
                self.handle(host, Event::Private { round, body, submission });
            }
            Some(Happening::Verify { host, verification }) => {
                self.handle(host, Event::Verified(Box::new(verification.run())));
            }
            None => {}
        }
    }

    fn hears(&self, host: usize, bytes: &[u8]) -> bool {
        let hearing = self.hosts[host].hearing.as_ref();
        hearing.is_none_or(|hearing| Message::open(self.genesis.id(), bytes).is_ok_and(|message| hearing(&message)))
    }

    fn schedule(&mut self, after: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now.plus_millis(after), self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    /// Looks for a body at the hosts that this one reaches.
    fn find(&self, host: usize, id: &BlobId) -> Option<Arc<[u8]>> {
        let reachable = |other: &usize| *other != host && self.is_up(*other) && !self.cut.contains(&(host, *other));
        (0..self.hosts.len()).filter(reachable).find_map(|other| self.blob(other, id))
    }

    fn archive(&mut self, host: usize, id: BlobId) {
        if !self.is_up(host) || self.hosts[host].disk.blobs.contains_key(&id) {
            return;
        }
        match self.find(host, &id) {
            Some(bytes) => {
                self.bytes_fetched += bytes.len() as u64;
                self.hosts[host].disk.blobs.insert(id, bytes);
            }
            None => self.schedule(1_000, Happening::Archive { host, id }),
        }
    }

    fn fetch(&mut self, host: usize, id: BlobId) {
        if !self.hosts[host].wants.contains(&id) {
            return;
        }
        let found = self.find(host, &id);
        match self.hosts[host].disk.blobs.get(&id).cloned().or(found) {
            Some(bytes) => {
                self.hosts[host].wants.remove(&id);
                self.bytes_fetched += bytes.len() as u64;
                self.hosts[host].disk.blobs.insert(id, bytes.clone());
                self.handle(host, Event::Blob { id, bytes });
            }
            None => self.schedule(100, Happening::Fetch { host, id }),
        }
    }

    fn handle(&mut self, host: usize, event: Event) {
        let (now, this) = (self.now, &mut self.hosts[host]);
        let Some(peer) = &mut this.peer else { return };
        peer.handle(now, event, &mut this.rng);
        let mut effects = Vec::new();
        while let Some(effect) = peer.poll_effect() {
            effects.push(effect);
        }
        let deadline = peer.next_deadline();
        for effect in effects {
            if self.hosts[host].crash.as_mut().is_some_and(|crash| crash(&effect)) {
                self.hosts[host].crash = None;
                return self.kill(host);
            }
            self.perform(host, effect);
        }
        if let Some(deadline) = deadline {
            let after = deadline.as_millis().saturating_sub(self.now.as_millis()).max(1);
            self.schedule(after, Happening::Timer { host });
        }
    }

    fn perform(&mut self, host: usize, effect: Effect) {
        let disk = &mut self.hosts[host].disk;
        match effect {
            Effect::Persist(record) => disk.unsynced.push(record),
            Effect::Sync => disk.records.append(&mut disk.unsynced),
            Effect::Begin(start) => disk.start = Some(*start),
            Effect::Commit(decision) => {
                self.tap.decided(&decision.batch);
                disk.records.append(&mut disk.unsynced);
                disk.decisions.push(*decision);
            }
            Effect::StoreBlob { bytes, .. } => {
                disk.blobs.insert(BlobId::of(&bytes), bytes);
            }
            Effect::Archive { bodies, .. } => {
                for id in bodies.into_iter().filter(|id| !disk.blobs.contains_key(id)).collect::<Vec<_>>() {
                    self.schedule(1, Happening::Archive { host, id });
                }
            }
            Effect::StorePrivate { round, body, submission } => {
                disk.private.insert((round, body), submission);
            }
            Effect::Verify(verification) => self.schedule(1, Happening::Verify { host, verification }),
            Effect::ReadPrivate { round, body } => self.schedule(1, Happening::Read { host, round, body }),
            Effect::SendPrivate { to, round, body, handover } => {
                if let Some(submission) = disk.private.get(&(round, body)).map(|it| it.as_ref().clone()) {
                    let message = match handover {
                        None => Message::Submission(submission),
                        Some(handover) => Message::Handover(Handover { submission: Some(submission), ..*handover }),
                    };
                    let bytes = message.seal(self.community);
                    self.perform(host, Effect::Send { to, bytes });
                }
            }
            Effect::ErasePrivate { round, body } => {
                disk.private.remove(&(round, body));
                disk.blobs.remove(&body);
            }
            Effect::EraseRound(round) => {
                disk.private.retain(|(of, _), _| *of != round);
                let keep = needed(&disk.records);
                let mut keep = keep.into_iter();
                disk.records.retain(|_| keep.next().unwrap_or(true));
            }
            Effect::StoreEntry(entry) => {
                disk.relayed.insert(entry.id(), *entry);
            }
            Effect::DropEntry(id) => {
                disk.relayed.remove(&id);
            }
            Effect::Send { to, bytes } => {
                if let Some(to) = (0..self.hosts.len()).find(|other| node(*other) == to) {
                    self.send(host, to, bytes);
                }
            }
            Effect::SendLog { to, from } => {
                let older = disk.decisions.iter().filter(|decision| decision.batch.height() >= from);
                let part = Message::Log(LogPart::of(older.cloned())).seal(self.community);
                self.perform(host, Effect::Send { to, bytes: part });
            }
            Effect::Publish(bytes) => {
                for to in (0..self.hosts.len()).filter(|to| *to != host) {
                    self.send(host, to, bytes.clone());
                }
            }
            Effect::Want(id) => {
                self.hosts[host].wants.insert(id);
                self.schedule(1, Happening::Fetch { host, id });
            }
            Effect::Notice(notice) => self.notices.push((host, notice)),
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let community = self.community;
        let liar = &mut self.hosts[from];
        let messages = match (&mut liar.tamper, Message::open(community, &bytes)) {
            (Some(tamper), Ok(message)) => {
                let mut outgoing = Outgoing { to, now: self.now, blobs: &mut liar.disk.blobs };
                let lies = tamper(&mut outgoing, message);
                lies.into_iter().map(|(after, message)| (after, message.seal(community))).collect()
            }
            (None, Ok(message)) => {
                self.tap.sent(message);
                vec![(0, bytes)]
            }
            (_, Err(_)) => vec![(0, bytes)],
        };
        for (held_back, bytes) in messages {
            if self.rng.next_u32() % 1_000 < self.links.loss {
                continue;
            }
            self.bytes_sent += bytes.len() as u64;
            let after = held_back + self.links.latency + u64::from(self.rng.next_u32()) % (self.links.jitter + 1);
            self.schedule(after, Happening::Deliver { to, from, bytes });
        }
    }
}
