//! The community of the demonstration: its keys, its people, and the nodes that they run.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chorus_crypto::{credential::LeafSecret, sign::SecretKey};
use chorus_protocol::{
    config::{Genesis, Policy},
    id::CommunityId,
    log::{
        consensus::Timeouts,
        entry::{Entry, Registration, SignedEntry},
    },
    peer::{Checkpoints, Config, Notice, Peer},
    registry::{
        attestation::{Attestation, Claim},
        policy::{Admission, Attester, Quorum},
    },
    time::Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::sync::{Mutex, broadcast::error::RecvError};

use super::{Shape, population::Population};
use crate::{
    driver::{Node, NodeHandle, NodeOptions},
    network::{Caps, Reach, Role},
};

/// How long nodes of one machine may take to find each other.
const MEETING: Duration = Duration::from_secs(60);

/// Who attests. One of them is corrupt.
const ORGANISATIONS: [&str; 5] = ["town hall", "library", "school", "health centre", "boat club"];

/// A member with all their secrets.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) key: SecretKey,
    pub(super) leaf: LeafSecret,
}

/// The founding document, and the secrets behind it.
#[derive(Debug)]
pub(super) struct Community {
    pub(super) genesis: Genesis,
    pub(super) id: CommunityId,
    operators: Vec<SecretKey>,
    pub(super) attesters: Vec<SecretKey>,
    pub(super) people: Vec<Arc<Person>>,
    seed: u64,
}

/// A running node and its folder.
#[derive(Debug)]
struct Host {
    node: NodeHandle,
    _folder: TempDir,
}

/// All nodes: the operators first.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    operators: usize,
    complaints: Arc<Mutex<Vec<String>>>,
}

/// Returns the randomness of one part of the demonstration: the same for the same seed, whatever the other parts do.
pub(super) fn generator(seed: u64, what: &str, index: usize) -> ChaCha20Rng {
    let mut bytes = seed.to_be_bytes().to_vec();
    bytes.extend_from_slice(what.as_bytes());
    bytes.extend_from_slice(&(index as u64).to_be_bytes());
    ChaCha20Rng::from_seed(chorus_crypto::hash::content(&bytes))
}

/// The policy: the default one, or a smaller one if there are not even enough people for that.
fn policy(people: usize) -> Policy {
    let usual = Policy::default();
    let floor = usual.floor.min(u32::try_from(people).unwrap_or(u32::MAX)).max(2);
    let admission = Admission::Quorum(Quorum::usual(ORGANISATIONS.len()));
    Policy { floor, min_contributions: floor, class_floor: usual.class_floor.max(floor), admission, ..usual }
}

impl Community {
    /// Founds it.
    pub(super) fn found(seed: u64, operators: usize, population: &Population) -> anyhow::Result<Self> {
        let mut operators: Vec<SecretKey> =
            (0..operators).map(|index| SecretKey::random(&mut generator(seed, "operator", index))).collect();
        operators.sort_by_key(SecretKey::public);
        let mut attesters: Vec<SecretKey> =
            (0..ORGANISATIONS.len()).map(|index| SecretKey::random(&mut generator(seed, "attester", index))).collect();
        attesters.sort_by_key(SecretKey::public);
        let organisations = ORGANISATIONS.iter().map(|name| (*name).to_owned());
        let organised = attesters.iter().zip(organisations);
        let person = |index| {
            let mut rng = generator(seed, "person", index);
            Arc::new(Person { key: SecretKey::random(&mut rng), leaf: LeafSecret::random([0; 4], &mut rng) })
        };
        let people = (0..population.ballots.len()).map(person).collect();
        let genesis = Genesis {
            name: population.name.clone(),
            purpose: population.purpose.clone(),
            operators: operators.iter().map(SecretKey::public).collect(),
            attesters: organised.map(|(key, organisation)| Attester { key: key.public(), organisation }).collect(),
            policy: policy(population.ballots.len()),
        };
        genesis.validate()?;
        Ok(Self { id: genesis.id(), genesis, operators, attesters, people, seed })
    }

    /// Returns the entry that makes a person a member, with the attester's word.
    pub(super) fn registration(&self, index: usize) -> SignedEntry {
        let person = &self.people[index];
        let claim = Claim::of(person.key.public(), &person.leaf);
        // One of the five is corrupt, and never asked.
        let attestations = self.attesters[1..].iter().map(|attester| self.attestation(attester, claim)).collect();
        let mut rng = self.generator("registration", index);
        let registration = Registration::new(self.id, claim, &person.leaf, attestations, &mut rng);
        SignedEntry::sign(&person.key, self.id, Entry::Register(registration))
    }

    /// Returns the randomness of what one person does.
    pub(super) fn generator(&self, what: &str, person: usize) -> ChaCha20Rng {
        generator(self.seed, what, person)
    }

    /// Returns an attester's word on a claim.
    pub(super) fn attestation(&self, attester: &SecretKey, claim: Claim) -> Attestation {
        let ever = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
        Attestation::sign(attester, self.id, claim, self.genesis.policy_digest(), ever)
    }

    /// Starts all nodes on the loopback interface, and waits until they have met.
    pub(super) async fn start(&self, seed: u64, shape: Shape) -> anyhow::Result<Hosts> {
        let complaints = Arc::default();
        let mut hosts: Vec<Host> = Vec::with_capacity(shape.nodes);
        let mut addresses = Vec::new();
        for index in 0..shape.nodes {
            let folder = tempfile::Builder::new().prefix("chorus-demo-").tempdir().context("a folder for a node")?;
            let node = Node::start(self.options(seed, index, &folder, addresses.clone())).await?;
            if index < shape.operators {
                addresses.extend(node.addresses());
            }
            tokio::spawn(listen(index, node.notices(), Arc::clone(&complaints)));
            hosts.push(Host { node, _folder: folder });
        }
        let hosts = Hosts { hosts, operators: shape.operators, complaints };
        let operators: BTreeSet<_> = self.genesis.operators.iter().copied().collect();
        let met = |peer: &Peer| {
            let known = peer.nodes().values().flatten().filter(|key| operators.contains(key)).count();
            known + usize::from(peer.operator().is_some()) >= operators.len()
        };
        ensure!(hosts.all(met, MEETING).await?, "the nodes did not find each other");
        Ok(hosts)
    }

    fn options(&self, seed: u64, index: usize, folder: &TempDir, dial: Vec<String>) -> NodeOptions {
        let mut rng = generator(seed, "node", index);
        let mut transport_seed = [0; 32];
        rng.fill_bytes(&mut transport_seed);
        NodeOptions {
            data_dir: folder.path().to_owned(),
            genesis: self.genesis.clone(),
            operator: self.operators.get(index).cloned(),
            transport_seed,
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            dial,
            role: if index < self.operators.len() { Role::Operator } else { Role::Participant },
            reach: Reach { relays: false, ..Reach::quiet() },
            caps: Caps::default(),
            blob_quota: NodeOptions::BLOB_QUOTA,
            // All nodes share one machine: they are slower than a network of machines, not faster.
            timeouts: Timeouts { propose: 4_000, prevote: 2_000, precommit: 2_000, ..Timeouts::default() },
            pass_millis: 4 * Config::PASS_MILLIS,
            checkpoints: Checkpoints::default(),
            rng_seed: Some(rng.next_u64()),
        }
    }
}

/// Keeps what a node complains about.
async fn listen(
    index: usize,
    mut notices: tokio::sync::broadcast::Receiver<Notice>,
    complaints: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let complaint = match notices.recv().await {
            Ok(Notice::Contradiction { what, .. }) => what.to_owned(),
            Ok(Notice::Halted(why)) => why,
            Ok(Notice::NotCarried { why, .. }) => why.to_string(),
            Ok(Notice::NotStated { why, .. }) => why,
            Ok(Notice::NotKept { why, .. }) => why,
            Ok(Notice::Arriving { why, .. }) => why.to_string(),
            Ok(Notice::NotPosted { why, .. }) => why.to_string(),
            Ok(Notice::Height(_) | Notice::Refused { .. } | Notice::Ahead { .. }) | Err(RecvError::Lagged(_)) => {
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        complaints.lock().await.push(format!("node {index}: {complaint}"));
    }
}

impl Hosts {
    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = &NodeHandle> {
        self.hosts.iter().map(|host| &host.node)
    }

    /// Returns the node of the first operator.
    pub(super) fn operator(&self) -> &NodeHandle {
        self.operator_at(0)
    }

    /// Returns the node of an operator.
    pub(super) fn operator_at(&self, operator: usize) -> &NodeHandle {
        &self.hosts[operator].node
    }

    /// Returns the node that a person uses: members share those that are no operators, if there are any.
    pub(super) fn of(&self, person: usize) -> &NodeHandle {
        let first = if self.hosts.len() > self.operators { self.operators } else { 0 };
        &self.hosts[first + person % (self.hosts.len() - first)].node
    }

    /// Waits until something holds at every node; returns `false` if it does not in time.
    pub(super) async fn all(
        &self,
        holds: impl Fn(&Peer) -> bool + Send + Sync,
        patience: Duration,
    ) -> anyhow::Result<bool> {
        let waiting = self.nodes().map(|node| node.wait_until(&holds, patience));
        let held = futures::future::try_join_all(waiting).await?;
        Ok(held.into_iter().all(|held| held))
    }

    /// Returns what nodes complained about.
    pub(super) async fn complaints(&self) -> Vec<String> {
        self.complaints.lock().await.clone()
    }

    /// Stops all nodes and removes their folders.
    pub(super) async fn shutdown(self) {
        let stopping = self.hosts.into_iter().map(|Host { node, _folder: folder }| async move {
            node.shutdown().await;
            // Thousands of small files: slow to remove, but not slower for all nodes at once.
            let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
        });
        futures::future::join_all(stopping).await;
    }
}
