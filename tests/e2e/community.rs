//! A small community of real nodes: four operators and two nodes that twelve people share, over sockets and disks.

use std::time::Duration;

use chorus_crypto::{ballot::Vote, codec::Decode as _};
use chorus_node::{
    driver::{Node, NodeError, NodeHandle, NodeOptions},
    network::{Caps, Limits, Reach, Role},
};
use chorus_protocol::{
    config::Policy,
    contribution::Contributor,
    ledger::{MIN_CHECKPOINT_HEIGHTS, RoundState},
    log::{
        consensus::Timeouts,
        entry::{Entry, PollKind, PollOpening},
    },
    message::MINOR,
    peer::{Checkpoints, Command, Landmark, Peer},
    round::report::{Outcome, RoundReport},
};
use chorus_tests::community::{Community, Poll, population};
use tempfile::TempDir;

const OPERATORS: usize = 4;
const FOLLOWERS: usize = 2;
const PEOPLE: usize = 12;
const ITEMS: usize = 4;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long votes are taken: several times what twelve ballots need.
const VOTING_MILLIS: u64 = 8_000;

struct Village {
    seed: u64,
    community: Community,
    poll: Poll,
    votes: Vec<Vec<Vote>>,
    folders: Vec<TempDir>,
    nodes: Vec<Option<NodeHandle>>,
    /// The minor version of the protocol that each node speaks, by number.
    minor: fn(usize) -> u8,
}

impl Village {
    /// Starts all nodes, registers everybody, and opens the round.
    async fn open(seed: u64) -> Self {
        Self::open_as(seed, |_| MINOR).await
    }

    /// As [`open`](Self::open), with nodes that speak these versions.
    async fn open_as(seed: u64, minor: fn(usize) -> u8) -> Self {
        let mut village = Self::settle(seed, minor).await;
        village.ask().await;
        village
    }

    /// Starts all nodes, and registers everybody.
    async fn settle(seed: u64, minor: fn(usize) -> u8) -> Self {
        let policy = Policy { min_contributions: 10, floor: 5, ..Policy::default() };
        let community = Community::new(seed, OPERATORS, PEOPLE, policy);
        let poll = community.poll(PollKind::Statement, ITEMS, VOTING_MILLIS);
        let count = OPERATORS + FOLLOWERS;
        let mut village = Self {
            seed,
            poll,
            votes: population(seed, PEOPLE, ITEMS, 2),
            community,
            folders: (0..count).map(|_| tempfile::tempdir().expect("a folder")).collect(),
            nodes: (0..count).map(|_| None).collect(),
            minor,
        };
        for index in 0..count {
            village.start(index, None).await;
        }
        for person in 0..PEOPLE {
            let entry = village.community.registration(person);
            village.of(person).command(Command::Relay(entry)).await.expect("runs");
        }
        village.wait(|peer| peer.ledger().members().len() == PEOPLE).await;
        village
    }

    /// Opens the poll, and its round.
    async fn ask(&mut self) {
        self.post(self.poll.opening.clone()).await;
        let id = self.poll.poll;
        self.wait(|peer| peer.ledger().polls().contains_key(&id)).await;
        for proposal in self.poll.proposals.clone() {
            self.post(proposal).await;
        }
        self.wait(|peer| peer.ledger().polls().get(&id).is_some_and(|poll| poll.items.len() == ITEMS)).await;
        self.post(self.poll.plan.clone()).await;
        self.wait_for(RoundState::Open).await;
    }

    /// Lets the log grow until a batch begins with a checkpoint, and returns that.
    async fn checkpoint(&self) -> Landmark {
        let first = self.nodes[0].as_ref().expect("is up");
        for number in 0.. {
            let newest = first.view(Peer::newest_checkpoint).await.expect("runs");
            if let Some((landmark, _)) = newest {
                return landmark;
            }
            let question = format!("Question {number}");
            let opening = PollOpening { kind: PollKind::Value, question, context: String::new() };
            let id = opening.id(self.community.id());
            self.post(Entry::Poll(opening)).await;
            let is_there = |peer: &Peer| peer.ledger().polls().contains_key(&id);
            assert!(first.wait_until(is_there, PATIENCE).await.expect("runs"));
        }
        unreachable!("questions do not run out")
    }

    /// Lets somebody in who has an invitation with a checkpoint, at a node of their own. Returns its number.
    async fn join(&mut self, begin_at: Landmark) -> usize {
        let index = self.nodes.len();
        self.folders.push(tempfile::tempdir().expect("a folder"));
        self.nodes.push(None);
        self.start(index, Some(begin_at)).await;
        index
    }

    /// Starts a node from its folder; it calls all that are up.
    async fn start(&mut self, index: usize, begin_at: Option<Landmark>) {
        let dial = self.up().flat_map(NodeHandle::addresses).collect();
        let mut transport_seed = [0; 32];
        transport_seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        transport_seed[8] = u8::try_from(index).expect("few nodes");
        let options = NodeOptions {
            data_dir: self.folders[index].path().to_owned(),
            genesis: self.community.genesis.clone(),
            operator: self.community.operators.get(index).cloned(),
            transport_seed,
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial,
            role: if index < OPERATORS { Role::Operator } else { Role::Participant },
            reach: Reach::quiet(),
            caps: Caps::default(),
            blob_quota: NodeOptions::BLOB_QUOTA,
            timeouts: Timeouts::default(),
            pass_millis: chorus_protocol::peer::Config::PASS_MILLIS,
            checkpoints: Checkpoints { every: MIN_CHECKPOINT_HEIGHTS, begin_at },
            rng_seed: None,
        };
        let limits = Limits::of(options.role);
        let started = Node::start_as(options, (self.minor)(index), limits).await;
        self.nodes[index] = Some(started.expect("starts"));
    }

    async fn stop(&mut self, index: usize) {
        self.nodes[index].take().expect("is up").shutdown().await;
    }

    fn up(&self) -> impl Iterator<Item = &NodeHandle> {
        self.nodes.iter().flatten()
    }

    /// The node of a person.
    fn of(&self, person: usize) -> &NodeHandle {
        let followers = self.nodes.len() - OPERATORS;
        self.nodes[OPERATORS + person % followers].as_ref().expect("followers stay up")
    }

    async fn post(&self, entry: Entry) {
        self.up().next().expect("somebody is up").command(Command::Post(entry)).await.expect("runs");
    }

    /// Waits until something holds at all nodes that are up.
    async fn wait(&self, holds: impl Fn(&Peer) -> bool + Send + Sync) {
        for node in self.up() {
            assert!(node.wait_until(&holds, PATIENCE).await.expect("runs"), "{:?}", node.view(Peer::height).await);
        }
    }

    async fn wait_for(&self, state: RoundState) {
        let round = self.poll.round;
        self.wait(|peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.state() >= state)).await;
    }

    /// Lets some people vote, and waits until their ballots are on the log.
    async fn vote(&mut self, people: std::ops::Range<usize>) {
        let round = self.poll.round;
        let end = people.end;
        for person in people {
            let node = self.of(person).clone();
            let ledger = node.view(|peer| peer.ledger().clone()).await.expect("runs");
            let votes = self.votes[person].clone();
            let member = &mut self.community.people[person];
            let contributor = Contributor::anonymous(&member.leaf);
            let cast = contributor.cast(&ledger, &ledger.rounds()[&round], &votes, &mut member.rng);
            node.command(Command::Contribute(cast.expect("a member may vote"))).await.expect("runs");
        }
        self.wait(|peer| peer.ledger().rounds()[&round].contributions.len() == end).await;
    }

    /// Waits for the result, which all nodes that are up must have computed, and returns it.
    async fn result(&self) -> RoundReport {
        self.wait_for(RoundState::Finished).await;
        let round = self.poll.round;
        let agreed = |peer: &Peer| peer.ledger().rounds()[&round].agreed_result().cloned();
        let node = self.up().next().expect("somebody is up");
        let result = node.view(agreed).await.expect("runs").expect("it is finished");
        self.wait(|peer| peer.has_found(&result.result)).await;
        RoundReport::from_bytes(&node.fetch(result.result).await.expect("it is there")).expect("a report")
    }

    fn assert_counts_everybody(&self, report: &RoundReport) {
        let Outcome::Totals { totals } = &report.outcome else { panic!("totals: {report:?}") };
        assert_eq!(report.ballots as usize, PEOPLE);
        for (item, tally) in totals.items.iter().enumerate() {
            let count = |vote| self.votes.iter().filter(|votes| votes[item] == vote).count() as u64;
            let expected = (count(Vote::Agree), count(Vote::Disagree), count(Vote::Pass));
            assert_eq!((tally.agree, tally.disagree, tally.pass), expected, "item {item}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_totals_come_out_though_an_operator_leaves_in_the_middle() {
    let mut village = Village::open(11).await;
    village.vote(0..6).await;

    village.stop(2).await;
    village.vote(6..PEOPLE).await;

    let report = village.result().await;
    village.assert_counts_everybody(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_restarts_from_its_folder_takes_its_part_in_the_round() {
    let mut village = Village::open(12).await;
    village.vote(0..6).await;
    village.stop(1).await;
    village.vote(6..PEOPLE).await;

    village.start(1, None).await;

    let report = village.result().await;
    village.assert_counts_everybody(&report);
    let round = village.poll.round;
    village.wait(|peer| peer.ledger().rounds()[&round].results.contains_key(&2)).await;
    village.wait(|peer| peer.ledger().rounds()[&round].erased.len() == OPERATORS).await;
    let private = village.folders[1].path().join("private");
    assert_eq!(std::fs::read_dir(private).expect("a folder").count(), 0, "secrets are erased");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_minor_versions_end_a_round_together() {
    // Two operators and one of the nodes that people share are old.
    let mut village = Village::open_as(13, |index| if index % 2 == 0 { 0 } else { MINOR }).await;

    village.vote(0..PEOPLE).await;

    let report = village.result().await;
    village.assert_counts_everybody(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_joins_at_a_checkpoint_votes_in_the_next_round_and_finds_its_result_after_a_restart() {
    let mut village = Village::settle(13, |_| MINOR).await;
    let landmark = village.checkpoint().await;

    let newcomer = village.join(landmark).await;
    village.wait(|peer| peer.height() >= landmark.height).await;
    village.ask().await;
    village.vote(0..6).await;
    village.stop(newcomer).await;
    village.start(newcomer, None).await;
    village.vote(6..PEOPLE).await;

    let report = village.result().await;
    village.assert_counts_everybody(&report);
    let node = village.nodes[newcomer].as_ref().expect("is up");
    assert_eq!(node.view(Peer::log_start).await.expect("runs").next(), landmark.height);
    let refused = node.decisions().await;
    assert!(matches!(refused, Err(NodeError::NotWhole(after)) if after.next() == landmark.height), "{refused:?}");
}
