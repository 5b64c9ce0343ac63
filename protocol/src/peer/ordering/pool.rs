//! Entries on their way to the log: of others in the pool, and of the people at this node until they are on it.

use super::*;
use crate::peer::bucket::{Bucket, Rate};

/// How many entries peers may send that are checked: checking one costs a signature and a look at the whole ledger. An
/// operator's people propose and register in bursts; what is over the bound is sent again by its node.
const ENTRIES_OF_PEER: Rate = Rate { per_second: 64, burst: 2_048 };

/// Those of all peers who are no operators.
const ENTRIES_OF_ALL: Rate = Rate { per_second: 512, burst: 8_192 };

/// Parts of the log that a peer is sent, of 1 MiB at most: some 2 MiB a second, more than a home's line takes.
const PARTS_OF_PEER: Rate = Rate { per_second: 2, burst: 8 };

/// Those that all peers who are no operators are sent.
const PARTS_OF_ALL: Rate = Rate { per_second: 16, burst: 128 };

/// What peers have sent, and asked for.
pub(in crate::peer) struct Entries {
    of_peers: BTreeMap<NodeId, Bucket>,
    of_all: Bucket,
    parts_of_peers: BTreeMap<NodeId, Bucket>,
    parts_of_all: Bucket,
}

impl Entries {
    pub(in crate::peer) const fn new(now: Timestamp) -> Self {
        Self {
            of_peers: BTreeMap::new(),
            of_all: Bucket::new(now),
            parts_of_peers: BTreeMap::new(),
            parts_of_all: Bucket::new(now),
        }
    }

    pub(in crate::peer) fn forget_peer(&mut self, node: &NodeId) {
        self.of_peers.remove(node);
        self.parts_of_peers.remove(node);
    }

    /// Whether a peer is sent a part of the log now.
    pub(super) fn admit_log_request(&mut self, now: Timestamp, from: NodeId, is_operator: bool) -> bool {
        let of_peer = self.parts_of_peers.entry(from).or_insert_with(|| Bucket::new(now));
        of_peer.take(now, 1, PARTS_OF_PEER) && (is_operator || self.parts_of_all.take(now, 1, PARTS_OF_ALL))
    }

    fn admit(&mut self, now: Timestamp, from: NodeId, is_operator: bool) -> Result<(), Fault> {
        let of_peer = self.of_peers.entry(from).or_insert_with(|| Bucket::new(now));
        if of_peer.take(now, 1, ENTRIES_OF_PEER) && (is_operator || self.of_all.take(now, 1, ENTRIES_OF_ALL)) {
            return Ok(());
        }
        let bound = ENTRIES_OF_PEER.burst;
        Err(Fault::Bound { what: "entries within a short time", bound, found: bound + 1 })
    }
}

/// Entries that wait to be ordered.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) entries: BTreeMap<EntryId, SignedEntry>,
    by_author: BTreeMap<PublicKey, usize>,
}

impl Pool {
    pub(super) fn insert(&mut self, entry: SignedEntry) -> bool {
        let author = entry.author;
        let new = self.entries.insert(entry.id(), entry).is_none();
        if new {
            *self.by_author.entry(author).or_default() += 1;
        }
        new
    }

    pub(super) fn remove(&mut self, id: &EntryId) {
        let Some(entry) = self.entries.remove(id) else { return };
        if let Some(count) = self.by_author.get_mut(&entry.author) {
            *count -= 1;
            if *count == 0 {
                self.by_author.remove(&entry.author);
            }
        }
    }

    /// Whether there is room for one more entry of somebody else, of whom `most` may wait at a time.
    fn has_room(&self, author: &PublicKey, most: usize) -> Result<(), Fault> {
        let own = self.by_author.get(author).copied().unwrap_or_default();
        for (what, bound, found) in [
            ("entries of one author waiting", most, own + 1),
            ("entries waiting", limits::MAX_POOL, self.entries.len() + 1),
        ] {
            if found > bound {
                return Err(Fault::Bound { what, bound: bound as u64, found: found as u64 });
            }
        }
        Ok(())
    }
}

/// How long an entry of somebody at this node may take to reach the log before it is sent again, in milliseconds.
const RELAY_MILLIS: u64 = 3_000;

impl Peer {
    /// Takes an entry into the pool and tells the operators.
    pub(in crate::peer) fn post(&mut self, entry: SignedEntry) {
        self.send_to_operators(&Message::Entry(entry.clone()));
        let _ = self.pool(entry);
    }

    /// Passes on an entry of somebody at this node until it is on the log, or can never be.
    pub(in crate::peer) fn relay(&mut self, entry: SignedEntry) {
        if self.ordering.relayed.len() < limits::MAX_POOL {
            let again = self.now.plus_millis(RELAY_MILLIS);
            if self.ordering.relayed.insert(entry.id(), (entry.clone(), again)).is_none() {
                self.effects.push_back(Effect::StoreEntry(Box::new(entry.clone())));
            }
        }
        self.post(entry);
    }

    /// Goes on with an entry that was not on the log when the node stopped.
    pub(in crate::peer) fn take_up_relayed(&mut self, entry: SignedEntry) {
        if is_settled(&mut self.ledger.clone(), &entry) {
            self.effects.push_back(Effect::DropEntry(entry.id()));
        } else {
            self.ordering.relayed.insert(entry.id(), (entry, self.now));
        }
    }

    pub(super) fn relay_again(&mut self) {
        let (now, mut due) = (self.now, Vec::new());
        for (entry, at) in self.ordering.relayed.values_mut().filter(|(_, at)| *at <= now) {
            *at = now.plus_millis(RELAY_MILLIS);
            due.push(entry.clone());
        }
        due.into_iter().for_each(|entry| self.post(entry));
    }

    /// Sends the entries of the people at this node to an operator that has just been met.
    pub(in crate::peer) fn send_relayed(&mut self, to: NodeId) {
        let entries: Vec<SignedEntry> = self.ordering.relayed.values().map(|(entry, _)| entry.clone()).collect();
        for entry in entries {
            self.send(to, &Message::Entry(entry));
        }
    }

    /// Takes an entry into the pool of this operator only: the others come to the same entry by themselves.
    pub(in crate::peer) fn pool(&mut self, entry: SignedEntry) -> Result<(), Fault> {
        // Who does not propose needs no pool.
        if self.ordering.consensus.is_none() || self.operator().is_none() {
            return Ok(());
        }
        // What this operator says itself always has room: nobody can keep it from speaking.
        if self.config.operator.as_ref().is_none_or(|key| key.public() != entry.author) {
            let trusted = self.ledger.serves(&entry.author) || self.ledger.charter().attester(&entry.author).is_some();
            let most = if trusted { limits::MAX_POOL_PER_OFFICE } else { limits::MAX_POOL_PER_MEMBER };
            self.ordering.pool.has_room(&entry.author, most)?;
        }
        if self.ordering.pool.insert(entry) {
            self.feed_consensus(Input::Wake);
        }
        Ok(())
    }

    pub(in crate::peer) fn on_entry(&mut self, from: NodeId, entry: SignedEntry) -> Result<(), Fault> {
        if self.operator().is_none() || self.ordering.pool.entries.contains_key(&entry.id()) {
            return Ok(());
        }
        let is_operator = self.nodes.get(&from).is_some_and(Option::is_some);
        self.entries.admit(self.now, from, is_operator)?;
        // Whoever proposes a batch makes its checkpoint; to check one costs an encoding of the whole state.
        if matches!(entry.entry, Entry::Checkpoint(_)) {
            return Err(Fault::NotAllowed("a checkpoint without its batch"));
        }
        // What does not follow from the log as it is may follow from it a batch later; only what can never be valid is
        // refused here, and what is on the log already is passed over.
        entry.verify(self.community)?;
        match self.ledger.clone().apply_verified(&entry) {
            Err(Fault::Duplicate(_)) => Ok(()),
            Ok(()) => self.pool(entry),
            Err(Fault::Early { .. } | Fault::Phase(_) | Fault::Unknown(_) | Fault::Quorum { .. }) => {
                // Anybody can make keys: what strangers say waits at their own nodes until it holds.
                if self.is_known(&entry.author) { self.pool(entry) } else { Ok(()) }
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether somebody holds an office or has registered.
    fn is_known(&self, author: &PublicKey) -> bool {
        self.ledger.serves(author)
            || self.ledger.charter().attester(author).is_some()
            || self.ledger.registry().person(author).is_some()
    }
}

/// Whether an entry is on the log or can never be. `ledger` is a copy that becomes the state after it.
pub(super) fn is_settled(ledger: &mut Ledger, entry: &SignedEntry) -> bool {
    match ledger.apply_verified(entry) {
        Ok(()) | Err(Fault::Early { .. } | Fault::Phase(_) | Fault::Unknown(_) | Fault::Quorum { .. }) => false,
        Err(_) => true,
    }
}
