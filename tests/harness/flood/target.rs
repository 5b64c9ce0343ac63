//! The node that is flooded: the only operator of a small community, under small limits.

use std::time::Duration;

use chorus_crypto::ballot::Vote;
use chorus_node::{
    driver::{Node, NodeHandle, NodeOptions},
    network::{Caps, Limits, NodeId, Reach, Role},
};
use chorus_protocol::{
    config::Policy,
    contribution::{Contributor, Submission},
    id::{CommunityId, RoundId},
    ledger::RoundState,
    log::{consensus::Timeouts, entry::Entry, entry::PollKind},
    message::{MINOR, Message},
    peer::{Checkpoints, Command, Peer},
};
use tempfile::TempDir;

use super::{Guest, PATIENCE};
use crate::community::{Community, Poll, population};

/// What the node bears.
pub const LIMITS: Limits = Limits {
    memory: Some(2 << 30),
    connections: 64,
    per_address: 16,
    pending_per_address: 8,
    frame_bytes: 1 << 20,
    mesh: 6,
};

/// Members.
pub const PEOPLE: usize = 10;

/// Items of a poll.
const ITEMS: usize = 4;

/// The node, and what is known of it.
pub struct Target {
    /// The node.
    pub node: NodeHandle,
    /// Its community, with everybody's keys.
    pub community: Community,
    /// Where it listens.
    pub address: String,
    /// Its name.
    pub id: NodeId,
    _folder: TempDir,
}

impl Target {
    /// Starts the node.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub async fn start(seed: u64, limits: Limits) -> Self {
        let policy = Policy { min_contributions: 10, floor: 5, ..Policy::default() };
        let community = Community::new(seed, 1, PEOPLE, policy);
        let folder = tempfile::tempdir().expect("a folder");
        let mut transport_seed = [7; 32];
        transport_seed[..8].copy_from_slice(&seed.to_be_bytes());
        let options = NodeOptions {
            data_dir: folder.path().to_owned(),
            genesis: community.genesis.clone(),
            operator: community.operators.first().cloned(),
            transport_seed,
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial: Vec::new(),
            role: Role::Operator,
            reach: Reach::quiet(),
            caps: Caps::default(),
            blob_quota: NodeOptions::BLOB_QUOTA,
            timeouts: Timeouts::default(),
            pass_millis: chorus_protocol::peer::Config::PASS_MILLIS,
            checkpoints: Checkpoints::default(),
            rng_seed: None,
        };
        let node = Node::start_as(options, MINOR, limits).await.expect("starts");
        let address = node.addresses().first().cloned().expect("it listens");
        let id = NodeId::from(*node.node_id().as_ref());
        Self { node, community, address, id, _folder: folder }
    }

    /// Returns its community's id.
    pub fn community(&self) -> CommunityId {
        self.community.id()
    }

    /// Somebody who uses the node as it is meant to be used, or begins so.
    pub async fn meet(&self, number: u64) -> Guest {
        Guest::meet(number, self.community(), &self.address).await
    }

    /// Whoever is honest is answered, and so is a newcomer.
    ///
    /// # Panics
    ///
    /// Panics if one of them is not.
    pub async fn assert_answers(&self, honest: &Guest) {
        assert!(honest.ask(self.id).await.is_some(), "who was there is answered");
        let newcomer = self.meet(9_999).await;
        assert!(newcomer.ask(self.id).await.is_some(), "a newcomer is answered");
        newcomer.handle.shutdown().await;
    }

    async fn command(&self, command: Command) {
        self.node.command(command).await.expect("runs");
    }

    /// Waits until the node's protocol is in some state.
    ///
    /// # Panics
    ///
    /// Panics if that takes too long.
    pub async fn wait(&self, holds: impl Fn(&Peer) -> bool + Send + Sync) {
        assert!(self.node.wait_until(&holds, PATIENCE).await.expect("runs"), "in time");
    }

    /// Opens a round in which votes are taken for so long.
    ///
    /// # Panics
    ///
    /// Panics if it does not open.
    pub async fn open(&mut self, voting_millis: u64) -> Poll {
        for person in 0..PEOPLE {
            let entry = self.community.registration(person);
            self.command(Command::Relay(entry)).await;
        }
        self.wait(|peer| peer.ledger().members().len() == PEOPLE).await;
        let poll = self.community.poll(PollKind::Statement, ITEMS, voting_millis);
        let (id, round) = (poll.poll, poll.round);
        self.post(poll.opening.clone()).await;
        self.wait(|peer| peer.ledger().polls().contains_key(&id)).await;
        for proposal in poll.proposals.clone() {
            self.post(proposal).await;
        }
        self.wait(|peer| peer.ledger().polls().get(&id).is_some_and(|poll| poll.items.len() == ITEMS)).await;
        self.post(poll.plan.clone()).await;
        self.wait(|peer| state(peer, round) >= Some(RoundState::Open)).await;
        poll
    }

    async fn post(&self, entry: Entry) {
        self.command(Command::Post(entry)).await;
    }

    /// Makes everybody's contribution.
    ///
    /// # Panics
    ///
    /// Panics if the round is not open.
    pub async fn contributions(&mut self, poll: &Poll) -> Vec<Submission> {
        let ledger = self.node.view(|peer| peer.ledger().clone()).await.expect("runs");
        let votes: Vec<Vec<Vote>> = population(5, PEOPLE, ITEMS, 2);
        let cast = self.community.people.iter_mut().zip(&votes).map(|(person, votes)| {
            let contributor = Contributor::anonymous(&person.leaf);
            contributor.cast(&ledger, &ledger.rounds()[&poll.round], votes, &mut person.rng).expect("a member may vote")
        });
        cast.collect()
    }

    /// Hands contributions in as honest people do, and waits until the round is over.
    ///
    /// # Panics
    ///
    /// Panics if that takes too long.
    pub async fn finish(&self, poll: &Poll, submissions: &[Submission], honest: &Guest) {
        for submission in submissions {
            let message = Message::Submission(submission.clone()).seal(self.community());
            honest.handle.send(self.id, message).await.expect("runs");
        }
        let round = poll.round;
        self.wait(|peer| state(peer, round) >= Some(RoundState::Finished)).await;
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// Panics if it does not.
    pub async fn stop(self, honest: Guest) {
        honest.handle.shutdown().await;
        let stopped = tokio::time::timeout(Duration::from_secs(30), self.node.shutdown()).await;
        assert!(stopped.is_ok(), "it stops");
    }
}

fn state(peer: &Peer, round: RoundId) -> Option<RoundState> {
    peer.ledger().rounds().get(&round).map(|round| round.state())
}

/// A contribution with something wrong in its proof, and nothing in its form: each number another one.
pub fn with_a_bad_proof(submission: &Submission, number: u64) -> Submission {
    let mut bad = submission.clone();
    // Within the credential's proof, which is last.
    let last = bad.body.len().saturating_sub(41);
    let place = usize::try_from(number % 20).map_or(last, |back| last.saturating_sub(back));
    if let Some(byte) = bad.body.get_mut(place) {
        *byte ^= 1 + u8::try_from(number / 20 % 254).unwrap_or_default();
    }
    bad
}
