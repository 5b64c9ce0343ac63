//! A lying operator among real ones: four honest nodes and two that people share, over sockets and disks, and a fifth
//! operator that says the same as over the virtual network.

use std::time::Duration;

use chorus_crypto::{ballot::Vote, codec::Decode as _};
use chorus_node::{
    driver::{Node, NodeHandle, NodeOptions},
    network::{Caps, Reach, Role},
};
use chorus_protocol::{
    audit,
    config::Policy,
    contribution::Contributor,
    ledger::RoundState,
    log::{
        consensus::Timeouts,
        entry::{Entry, PollKind},
    },
    peer::{Checkpoints, Command, Config, Notice, Peer},
    round::report::RoundReport,
};
use chorus_tests::{
    community::{Community, Poll, population},
    malice::{
        Liar, Lie,
        wire::{WireLiar, WireOptions},
    },
};
use tempfile::TempDir;

/// The last of them lies.
const OPERATORS: usize = 5;
const FOLLOWERS: usize = 2;
const PEOPLE: usize = 10;
const ITEMS: usize = 3;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long votes are taken.
const VOTING_MILLIS: u64 = 8_000;

fn transport_seed(seed: u64, index: usize) -> [u8; 32] {
    let mut bytes = [0x11; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8] = u8::try_from(index).expect("few nodes");
    bytes
}

struct Honest {
    nodes: Vec<NodeHandle>,
    folders: Vec<TempDir>,
}

impl Honest {
    /// Starts the honest nodes, operators first.
    async fn start(seed: u64, community: &Community) -> Self {
        let mut honest = Self { nodes: Vec::new(), folders: Vec::new() };
        let keys = community.operators.iter().take(OPERATORS - 1).cloned().map(Some);
        for (index, operator) in keys.chain((0..FOLLOWERS).map(|_| None)).enumerate() {
            let folder = tempfile::tempdir().expect("a folder");
            let options = NodeOptions {
                data_dir: folder.path().to_owned(),
                genesis: community.genesis.clone(),
                role: if operator.is_some() { Role::Operator } else { Role::Participant },
                operator,
                transport_seed: transport_seed(seed, index),
                listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
                dial: honest.addresses(),
                reach: Reach::quiet(),
                caps: Caps::default(),
                blob_quota: NodeOptions::BLOB_QUOTA,
                timeouts: Timeouts::default(),
                pass_millis: Config::PASS_MILLIS,
                checkpoints: Checkpoints::default(),
                rng_seed: None,
            };
            honest.nodes.push(Node::start(options).await.expect("starts"));
            honest.folders.push(folder);
        }
        honest
    }

    fn addresses(&self) -> Vec<String> {
        self.nodes.iter().flat_map(NodeHandle::addresses).collect()
    }

    fn of(&self, person: usize) -> &NodeHandle {
        &self.nodes[OPERATORS - 1 + person % FOLLOWERS]
    }

    /// Waits until something holds at all of them.
    async fn wait(&self, what: &str, holds: impl Fn(&Peer) -> bool + Send + Sync) {
        for node in &self.nodes {
            assert!(node.wait_until(&holds, PATIENCE).await.expect("runs"), "{what}");
        }
    }

    async fn post(&self, entry: Entry) {
        self.nodes[0].command(Command::Post(entry)).await.expect("runs");
    }

    /// Registers everybody, and opens the round.
    async fn open(&self, community: &mut Community, poll: &Poll) {
        for person in 0..PEOPLE {
            let entry = community.registration(person);
            self.of(person).command(Command::Relay(entry)).await.expect("runs");
        }
        self.wait("members", |peer| peer.ledger().members().len() == PEOPLE).await;
        let (id, round) = (poll.poll, poll.round);
        self.post(poll.opening.clone()).await;
        self.wait("the poll", |peer| peer.ledger().polls().contains_key(&id)).await;
        for proposal in poll.proposals.clone() {
            self.post(proposal).await;
        }
        self.wait("items", |peer| peer.ledger().polls()[&id].items.len() == ITEMS).await;
        self.post(poll.plan.clone()).await;
        let is_open =
            |peer: &Peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.state() >= RoundState::Open);
        self.wait("the round", is_open).await;
    }

    async fn vote(&self, community: &mut Community, poll: &Poll, votes: &[Vec<Vote>]) {
        for (person, votes) in votes.iter().enumerate() {
            let node = self.of(person);
            let ledger = node.view(|peer| peer.ledger().clone()).await.expect("runs");
            let member = &mut community.people[person];
            let contributor = Contributor::anonymous(&member.leaf);
            let cast = contributor.cast(&ledger, &ledger.rounds()[&poll.round], votes, &mut member.rng);
            node.command(Command::Contribute(cast.expect("a member may vote"))).await.expect("runs");
        }
    }
}

/// Plays a round with a liar; its totals are everybody's, no honest node stops, and the log verifies.
async fn assert_comes_to_nothing(seed: u64, lie: Lie) {
    let policy = Policy { min_contributions: 10, floor: 5, ..Policy::default() };
    let mut community = Community::new(seed, OPERATORS, PEOPLE, policy);
    let poll = community.poll(PollKind::Value, ITEMS, VOTING_MILLIS);
    let votes = population(seed, PEOPLE, ITEMS, 2);
    let honest = Honest::start(seed, &community).await;
    let mut notices: Vec<_> = honest.nodes.iter().map(NodeHandle::notices).collect();
    let key = community.operators[OPERATORS - 1].clone();
    let liar_key = key.public();
    let options = WireOptions {
        genesis: community.genesis.clone(),
        operator: key.clone(),
        transport_seed: transport_seed(seed, OPERATORS + FOLLOWERS),
        dial: honest.addresses(),
    };
    let (id, round) = (community.id(), poll.round);
    let liar = WireLiar::start(options, move || Liar { key, community: id, round, share_len: 0 }.tells(lie)).await;
    honest.open(&mut community, &poll).await;
    let number = u8::try_from(OPERATORS).expect("few");
    let takes_part = |peer: &Peer| peer.ledger().rounds()[&round].offered.contains_key(&number);
    honest.wait("the liar is an operator like others", takes_part).await;

    honest.vote(&mut community, &poll, &votes).await;

    honest.wait("a result", |peer| peer.ledger().rounds()[&round].state() == RoundState::Finished).await;
    let agreed = |peer: &Peer| peer.ledger().rounds()[&round].agreed_result().cloned();
    let result = honest.nodes[0].view(agreed).await.expect("runs").expect("it is finished").result;
    honest.wait("followed", |peer| peer.has_found(&result)).await;
    let report = RoundReport::from_bytes(&honest.nodes[0].fetch(result).await.expect("is there")).expect("a report");
    for (item, tally) in report.totals().expect("totals").items.iter().enumerate() {
        let count = |vote| votes.iter().filter(|votes| votes[item] == vote).count() as u64;
        let expected = [Vote::Agree, Vote::Disagree, Vote::Pass].map(count);
        assert_eq!([tally.agree, tally.disagree, tally.pass], expected, "{lie:?}: item {item}");
    }
    for notices in &mut notices {
        while let Ok(notice) = notices.try_recv() {
            assert!(!matches!(notice, Notice::Halted(_) | Notice::Contradiction { .. }), "{lie:?}: {notice:?}");
        }
    }
    assert!(liar.is_running(), "it lied to the end");
    if lie == Lie::VotesTwice {
        honest.wait("its two votes are on the log", |peer| peer.ledger().convicted().contains(&liar_key)).await;
    }
    let decisions = honest.nodes[1].decisions().await.expect("the log");
    let mut blobs = std::collections::BTreeMap::new();
    let audited = |peer: &Peer| peer.ledger().rounds()[&round].audited().collect::<Vec<_>>();
    for blob in honest.nodes[1].view(audited).await.expect("runs") {
        blobs.insert(blob, honest.nodes[1].fetch(blob).await.expect("operators keep it").to_vec());
    }
    let mut bundle = Vec::new();
    audit::write(&mut bundle, &community.genesis, &decisions, |id| blobs.get(id).cloned()).expect("a bundle");
    audit::verify(&mut bundle.as_slice(), &mut |_| {}).expect("the bundle holds");
    liar.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_with_two_faces_changes_nothing_on_real_wires() {
    assert_comes_to_nothing(21, Lie::TwoFaced).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_votes_twice_changes_nothing_on_real_wires() {
    assert_comes_to_nothing(22, Lie::VotesTwice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_withholds_everything_of_the_contributors_changes_nothing_on_real_wires() {
    assert_comes_to_nothing(23, Lie::WithholdsContributions).await;
}
