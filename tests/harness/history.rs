//! A community with a past: some hundred sealed rounds over the virtual network, and somebody who comes late.
//!
//! Everything on the log is real: operators order it with their own keys, members vote with proofs and credentials, every
//! round is opened, found by all and erased. What is small is the community: few members and few items, so that what a
//! newcomer has to fetch and check is what every round costs, however small it is.

use std::time::{Duration, Instant};

use chorus_crypto::ballot::Vote;
use chorus_protocol::{
    config::Policy,
    contribution::Contributor,
    ledger::{CHECKPOINT_HEIGHTS, RoundState},
    log::entry::{BallotPlan, Entry, PollKind, RoundPlan, Subject},
    peer::Command,
};

use crate::{
    network::{Links, Topology},
    scenario::{Play, Scenario},
};

/// What a community's past is made of.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Operators.
    pub operators: usize,
    /// Members, who all vote in every round.
    pub people: usize,
    /// Items of each round.
    pub items: usize,
    /// Rounds that were sealed, opened and finished.
    pub rounds: u32,
    /// Heights that the operators leave between two checkpoints.
    pub checkpoint_heights: u64,
}

impl Default for Past {
    fn default() -> Self {
        Self { operators: 4, people: 3, items: 4, rounds: 1_000, checkpoint_heights: CHECKPOINT_HEIGHTS }
    }
}

/// What it took somebody who came late to be where everybody is.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Batches on the log.
    pub heights: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Bytes of messages that all nodes sent meanwhile.
    pub message_bytes: u64,
    /// Bytes of bodies that the newcomer fetched.
    pub body_bytes: u64,
    /// Time of the machine.
    pub elapsed: Duration,
    /// Virtual time: the waits for links and answers.
    pub waited: Duration,
}

/// A community that has voted often, and one host that was not there.
#[derive(Debug)]
pub struct History {
    /// The community and its network.
    pub play: Play,
    /// The host that comes late.
    pub newcomer: usize,
}

impl Past {
    /// Lives through it.
    ///
    /// # Panics
    ///
    /// Panics if a round does not come to its end.
    pub fn play(self) -> History {
        let Self { operators, people, items, rounds, checkpoint_heights } = self;
        let policy = Policy { min_contributions: 3, floor: 3, group_floor: 40, ..Policy::default() };
        let links = Links { latency: 1, jitter: 1, loss: 0 };
        let scenario = Scenario {
            operators,
            people,
            items,
            followers: 2,
            duration_millis: 2_000,
            policy,
            links,
            topology: Topology { checkpoint_heights, ..Topology::default() },
            ..Scenario::default()
        };
        let mut play = Scenario { kind: PollKind::Value, ..scenario }.start();
        let (member, newcomer) = (operators, operators + 1);
        play.network.kill(newcomer);
        play.scenario.followers = 1;
        for person in 0..people {
            let entry = play.community.registration(person);
            play.network.command(member, Command::Relay(entry));
        }
        let registered =
            move |network: &crate::network::Network| network.peer(member).ledger().members().len() == people;
        assert!(play.network.run_until(60_000, registered), "everybody is a member");
        play.network.command(0, Command::Post(play.poll.opening.clone()));
        let poll = play.poll.poll;
        let opened = move |network: &crate::network::Network| network.peer(0).ledger().polls().contains_key(&poll);
        assert!(play.network.run_until(60_000, opened), "the poll is open");
        for proposal in play.poll.proposals.clone() {
            play.network.command(0, Command::Post(proposal));
        }
        let proposed =
            move |network: &crate::network::Network| network.peer(0).ledger().polls()[&poll].items.len() == items;
        assert!(play.network.run_until(60_000, proposed), "the items are there");
        let mut history = History { play, newcomer };
        (1..=rounds).for_each(|number| history.one_more(number));
        history
    }
}

impl History {
    /// Holds one more round of the poll.
    fn one_more(&mut self, number: u32) {
        self.one_more_at(number, self.newcomer - 1);
    }

    /// Holds one more round of the poll, of which this is the number; everybody votes at one host.
    ///
    /// # Panics
    ///
    /// Panics if it does not come to its end.
    pub fn one_more_at(&mut self, number: u32, member: usize) {
        let play = &mut self.play;
        let Entry::Plan(plan) = play.poll.plan.clone() else { unreachable!("a plan") };
        let Some(ballots) = plan.ballots().cloned() else { unreachable!("a round of ballots") };
        let plan = RoundPlan { subject: Subject::Ballots(BallotPlan { number, ..ballots }), ..plan };
        play.poll.round = plan.id(play.community.id());
        play.network.command(0, Command::Post(Entry::Plan(plan)));
        assert!(play.wait(RoundState::Open, 60_000), "round {number} opens");
        for person in 0..play.community.people.len() {
            let ledger = play.network.peer(member).ledger();
            let round = &ledger.rounds()[&play.poll.round];
            let votes: Vec<Vote> = play.votes[person].clone();
            let person = &mut play.community.people[person];
            let contributor = Contributor::anonymous(&person.leaf);
            let submission = contributor.cast(ledger, round, &votes, &mut person.rng).expect("a member may vote");
            play.network.command(member, Command::Contribute(submission));
        }
        assert!(play.wait(RoundState::Finished, 300_000), "round {number} comes to its end");
    }

    /// Lets the newcomer in, and waits until it has the log and has found every result itself.
    ///
    /// # Panics
    ///
    /// Panics if it does not get there.
    pub fn arrive(&mut self) -> Arrival {
        let (network, newcomer) = (&mut self.play.network, self.newcomer);
        // What is still under way settles first.
        network.run_until(5_000, |_| false);
        let (height, log_bytes) =
            (network.peer(0).height(), network.decisions(0).iter().map(|it| it.size() as u64).sum());
        let (sent, fetched, then) = (network.bytes_sent, network.bytes_fetched, network.now());
        let began = Instant::now();
        network.start(newcomer);
        let is_there = network.run_until(600_000, |network| {
            let peer = network.peer(newcomer);
            let found = |round: &std::sync::Arc<chorus_protocol::ledger::RoundRecord>| {
                round.agreed_result().is_none_or(|result| peer.has_found(&result.result))
            };
            peer.height() >= height && peer.ledger().rounds().values().all(found)
        });
        assert!(is_there, "the newcomer arrives: height {} of {height}", network.peer(newcomer).height());
        Arrival {
            heights: height.0,
            log_bytes,
            message_bytes: network.bytes_sent - sent,
            body_bytes: network.bytes_fetched - fetched,
            elapsed: began.elapsed(),
            waited: Duration::from_millis(network.now().as_millis() - then.as_millis()),
        }
    }
}
