//! The peers that this node has met, kept over restarts: whoever was there yesterday leads back into the community today,
//! though nobody of the invitation is up.
//!
//! The best are kept, those that answered last before those that answered longer ago. The file is a convenience: it is
//! written whole or not at all, and one that is damaged is put away with a warning.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use libp2p::Multiaddr;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::NodeId;
use crate::store::files;

/// Peers that are kept: more than a node has neighbours, and few enough to be tried in minutes.
const MAX_PEERS: usize = 200;
/// Addresses of one peer that are kept.
const MAX_OF_PEER: usize = 3;
/// Bytes of an address.
const MAX_ADDRESS_BYTES: usize = 256;
/// Bytes of the file: it is ours, but disks fail.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Failures in a row after which an address that once answered is forgotten.
const MAX_FAILURES: u32 = 20;
/// Below this number of peers, those that are remembered are called.
pub(super) const LOW_DEGREE: usize = 4;
/// The mean pause between calls of one address; it doubles with each failure.
const PAUSE: Duration = Duration::from_secs(15);
/// The longest mean pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Remembered peers that are called at a time.
const MAX_CALLS: usize = 3;

/// A way to a peer, and how it went.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct KnownPeer {
    /// The address, ending in the peer's name.
    pub address: String,
    /// When a connection was last made, in seconds since 1970; 0 if never.
    pub last_success: u64,
    /// Calls that failed since.
    pub failures: u32,
}

/// Where the peers are kept. Both may block.
pub trait PeerMemory: Send + Sync + 'static {
    /// Returns what was kept last, or nothing.
    fn recall(&self) -> Vec<KnownPeer>;
    /// Keeps these, and nothing else.
    fn keep(&self, peers: &[KnownPeer]);
}

/// Keeps peers in a file.
#[derive(Clone, Debug)]
pub struct PeerFile {
    path: PathBuf,
}

impl PeerFile {
    /// Keeps them at `path`, whether or not there is a file.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn read(&self) -> io::Result<Vec<KnownPeer>> {
        let file = match fs::File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl PeerMemory for PeerFile {
    fn recall(&self) -> Vec<KnownPeer> {
        self.read().unwrap_or_else(|error| {
            tracing::warn!(path = %self.path.display(), %error, "the peers of earlier runs cannot be read");
            Vec::new()
        })
    }

    fn keep(&self, peers: &[KnownPeer]) {
        let text = serde_json::to_string_pretty(peers).expect("texts and numbers are JSON");
        if let Err(error) = files::replace(&self.path, "peers", text.as_bytes()) {
            tracing::warn!(path = %self.path.display(), %error, "the peers cannot be kept");
        }
    }
}

/// What is known of an address.
#[derive(Clone, Debug)]
struct Record {
    last_success: u64,
    failures: u32,
    next: Instant,
}

impl Record {
    /// The less, the better.
    const fn rank(&self) -> (u32, u64) {
        (self.failures, u64::MAX - self.last_success)
    }
}

/// The peers that this node has met.
#[derive(Debug, Default)]
pub(super) struct Acquaintances {
    ways: BTreeMap<NodeId, BTreeMap<Multiaddr, Record>>,
}

impl Acquaintances {
    /// Takes up what was kept. What is no address of a named peer is left out.
    pub(super) fn recall(peers: Vec<KnownPeer>, now: Instant) -> Self {
        let mut known = Self::default();
        for peer in peers.into_iter().take(MAX_PEERS * MAX_OF_PEER) {
            let address = peer.address.parse().ok().and_then(|address| Some((named(&address)?, address)));
            if let Some((node, address)) = address {
                let record = Record { last_success: peer.last_success, failures: peer.failures, next: now };
                known.insert(node, address, record);
            }
        }
        known
    }

    fn insert(&mut self, node: NodeId, address: Multiaddr, record: Record) {
        if address.len() > MAX_ADDRESS_BYTES {
            return;
        }
        let ways = self.ways.entry(node).or_default();
        ways.insert(address, record);
        if ways.len() > MAX_OF_PEER {
            let worst = ways.iter().max_by_key(|(_, record)| record.rank()).map(|(address, _)| address.clone());
            worst.map(|address| ways.remove(&address));
        }
        if self.ways.len() > MAX_PEERS {
            let best = |ways: &BTreeMap<_, Record>| ways.values().map(Record::rank).min();
            let worst = self.ways.iter().max_by_key(|(_, ways)| best(ways)).map(|(node, _)| *node);
            worst.map(|node| self.ways.remove(&node));
        }
    }

    /// A peer says that it can be called there; nobody has tried.
    pub(super) fn on_heard(&mut self, node: NodeId, address: Multiaddr, now: Instant) {
        let known = self.ways.get(&node).is_some_and(|ways| ways.contains_key(&address));
        if !known {
            self.insert(node, address, Record { last_success: 0, failures: 0, next: now });
        }
    }

    /// A peer was called there, and answered.
    pub(super) fn on_answered(&mut self, node: NodeId, address: Multiaddr, now: Instant) {
        let last_success = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.insert(node, address, Record { last_success, failures: 0, next: now });
    }

    /// A peer was called at all its addresses, and did not answer.
    pub(super) fn on_failed(&mut self, node: NodeId) {
        let Some(ways) = self.ways.get_mut(&node) else { return };
        for record in ways.values_mut() {
            record.failures = record.failures.saturating_add(1);
        }
        ways.retain(|_, record| record.failures < MAX_FAILURES && (record.last_success > 0 || record.failures < 3));
        if ways.is_empty() {
            self.ways.remove(&node);
        }
    }

    /// Forgets a peer.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.ways.remove(node);
    }

    /// Returns some of the best peers to call now, with all their addresses.
    pub(super) fn calls(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        is_known: impl Fn(&NodeId) -> bool,
    ) -> Vec<(NodeId, Vec<Multiaddr>)> {
        let due = |ways: &BTreeMap<_, Record>| ways.values().all(|record| record.next <= now);
        let mut ready: Vec<_> = self.ways.iter_mut().filter(|(node, ways)| !is_known(node) && due(ways)).collect();
        ready.sort_by_cached_key(|(_, ways)| (ways.values().map(Record::rank).min(), rng.random::<u32>()));
        let mut calls = Vec::new();
        for (node, ways) in ready.into_iter().take(MAX_CALLS) {
            for record in ways.values_mut() {
                let mean = PAUSE.saturating_mul(2_u32.pow(record.failures.min(8))).min(LONGEST_PAUSE);
                record.next = now + mean.mul_f64(rng.random_range(0.5..1.5));
            }
            calls.push((*node, ways.keys().cloned().collect()));
        }
        calls
    }

    /// Returns everything that is worth keeping, the best first.
    pub(super) fn known(&self) -> Vec<KnownPeer> {
        let mut ways: Vec<_> = self.ways.values().flatten().collect();
        ways.sort_by_key(|(_, record)| record.rank());
        let known = |(address, record): (&Multiaddr, &Record)| KnownPeer {
            address: address.to_string(),
            last_success: record.last_success,
            failures: record.failures,
        };
        ways.into_iter().map(known).collect()
    }
}

/// Whom an address leads to: the last name in it, for one that leads through a relay names that first.
fn named(address: &Multiaddr) -> Option<NodeId> {
    match address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => NodeId::from_peer_id(&peer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn node(number: u16) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        NodeId::from(bytes)
    }

    fn way(number: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{number}/p2p/{}", node(number).to_peer_id()).parse().expect("an address")
    }

    fn kept(number: u16, last_success: u64, failures: u32) -> KnownPeer {
        KnownPeer { address: way(number).to_string(), last_success, failures }
    }

    #[test]
    fn the_best_two_hundred_are_kept() {
        let now = Instant::now();
        let peers = (1..=300).map(|number| kept(number, u64::from(number), u32::from(number % 3 == 0)));
        let known = Acquaintances::recall(peers.collect(), now).known();

        assert_eq!(known.len(), MAX_PEERS);
        assert_eq!(known[0], kept(299, 299, 0));
        assert!(known.iter().all(|peer| peer.failures == 0), "those that failed went first");
    }

    #[test]
    fn peers_are_called_best_first_and_not_at_once_again() {
        let (now, rng) = (Instant::now(), &mut ChaCha20Rng::seed_from_u64(1));
        let peers = (1..=9).map(|number| kept(number, u64::from(number), 0)).collect();
        let mut known = Acquaintances::recall(peers, now);

        let called = |calls: Vec<(NodeId, Vec<Multiaddr>)>| calls.into_iter().map(|(node, _)| node).collect::<Vec<_>>();
        assert_eq!(called(known.calls(now, rng, |peer| *peer == node(8))), [node(9), node(7), node(6)]);
        assert_eq!(called(known.calls(now, rng, |_| false)), [node(8), node(5), node(4)]);
        known.on_failed(node(9));
        assert_eq!(called(known.calls(now + PAUSE * 2, rng, |_| false))[0], node(8), "who failed comes later");
    }

    #[test]
    fn an_address_that_never_answers_is_forgotten_and_one_that_did_is_given_more_time() {
        let now = Instant::now();
        let mut known = Acquaintances::default();
        known.on_heard(node(1), way(1), now);
        known.on_answered(node(2), way(2), now);
        known.on_heard(node(2), way(2), now);

        (0..3).for_each(|_| [1, 2].into_iter().for_each(|number| known.on_failed(node(number))));

        assert_eq!(known.known().len(), 1);
        assert!(known.known()[0].last_success > 0, "hearing of it again takes nothing back");
        (0..MAX_FAILURES).for_each(|_| known.on_failed(node(2)));
        assert_eq!(known.known(), []);
    }

    #[test]
    fn a_file_reads_back_and_a_damaged_one_is_as_good_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = PeerFile::new(folder.path().join("peers.json"));
        assert_eq!(file.recall(), []);

        file.keep(&[kept(1, 2, 3)]);
        assert_eq!(file.recall(), [kept(1, 2, 3)]);
        let text = fs::read(&file.path).expect("written");
        fs::write(&file.path, &text[..text.len() / 2]).expect("damaged");

        assert_eq!(file.recall(), []);
        assert!(
            Acquaintances::recall(vec![KnownPeer { address: "nonsense".into(), ..kept(1, 0, 0) }], Instant::now())
                .known()
                .is_empty()
        );
    }
}
