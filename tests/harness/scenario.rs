//! A whole round over the virtual network, from registration to result.

use chorus_crypto::{ballot::Vote, codec::Decode as _, credential::SLOTS};
use chorus_protocol::{
    config::Policy,
    contribution::{Body, Contributor, Level},
    id::BlobId,
    journal::Record,
    ledger::{RoundRecord, RoundState},
    log::entry::{Entry, PollKind, RoundResult},
    peer::Command,
    round::report::RoundReport,
};
use rayon::prelude::*;

use crate::{
    community::{Community, Poll, population},
    malice::loot::{self, Loot},
    network::{Links, Network, Topology},
};

/// What a scenario is made of. Everything follows from it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of all randomness.
    pub seed: u64,
    /// Operators.
    pub operators: usize,
    /// Nodes with the keys of people who may become operators.
    pub candidates: usize,
    /// Members, who all vote.
    pub people: usize,
    /// Nodes that members share.
    pub followers: usize,
    /// Items of the poll.
    pub items: usize,
    /// Camps of the population.
    pub camps: usize,
    /// What the poll is about.
    pub kind: PollKind,
    /// How links behave.
    pub links: Links,
    /// How long votes are taken, in milliseconds.
    pub duration_millis: u64,
    /// The seed of the network, if it is not that of everything else: other delays, other order.
    pub network_seed: Option<u64>,
    /// The community's rules.
    pub policy: Policy,
    /// How many attesters there are, of which each attests for everybody.
    pub attesters: usize,
    /// The attributes of each member.
    pub attributes: fn(usize) -> [u64; SLOTS],
    /// Who is connected with whom.
    pub topology: Topology,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            operators: 5,
            candidates: 0,
            people: 48,
            followers: 2,
            items: 24,
            camps: 2,
            kind: PollKind::Statement,
            links: Links::default(),
            duration_millis: 20_000,
            network_seed: None,
            policy: Policy { min_contributions: 10, floor: 5, group_floor: 40, ..Policy::default() },
            attesters: 1,
            attributes: |_| [0; SLOTS],
            topology: Topology::default(),
        }
    }
}

/// A scenario under way.
#[derive(Debug)]
pub struct Play {
    /// The network.
    pub network: Network,
    /// The community and its secrets.
    pub community: Community,
    /// The poll.
    pub poll: Poll,
    /// What everybody wants to say.
    pub votes: Vec<Vec<Vote>>,
    /// The scenario.
    pub scenario: Scenario,
}

impl Scenario {
    /// Founds the community and starts its nodes.
    pub fn start(self) -> Play {
        let people = (self.people, &self.attributes as &dyn Fn(usize) -> [u64; SLOTS]);
        let community = Community::of(self.seed, self.operators, people, self.attesters, self.policy.clone())
            .with_candidates(self.seed, self.candidates);
        let seed = self.network_seed.unwrap_or(self.seed);
        let keys = [community.operators.as_slice(), community.candidates.as_slice()].concat();
        let (genesis, links) = (community.genesis.clone(), (self.links, self.topology));
        let network = Network::with_topology(seed, genesis, &keys, self.followers, links);
        let poll = community.poll(self.kind, self.items, self.duration_millis);
        let votes = population(self.seed, self.people, self.items, self.camps);
        Play { network, community, poll, votes, scenario: self }
    }
}

impl Play {
    /// Returns the host that a member uses.
    pub fn host_of(&self, person: usize) -> usize {
        let with_keys = self.scenario.operators + self.scenario.candidates;
        with_keys + person % (self.network.len() - with_keys).max(1)
    }

    /// Returns the first host that is up.
    pub fn someone(&self) -> usize {
        (0..self.network.len()).find(|host| self.network.is_up(*host)).unwrap_or(0)
    }

    /// Registers everybody, opens the poll and plans the round; waits until votes are taken. Returns whether they are.
    pub fn open(&mut self) -> bool {
        self.plan() && self.wait(RoundState::Open, 60_000)
    }

    /// Registers everybody, opens the poll and posts the plan of the round. Returns whether that could be done.
    pub fn plan(&mut self) -> bool {
        let registered = self.register();
        self.ask();
        registered
    }

    /// Opens the poll and posts the plan of the round.
    pub fn ask(&mut self) {
        self.propose();
        let operator = self.someone();
        self.network.command(operator, Command::Post(self.poll.plan.clone()));
    }

    /// Opens the poll and proposes its items.
    pub fn propose(&mut self) {
        let operator = self.someone();
        self.network.command(operator, Command::Post(self.poll.opening.clone()));
        let poll = self.poll.poll;
        self.network.run_until(60_000, |network| all_up(network, |peer| peer.ledger().polls().contains_key(&poll)));
        for proposal in self.poll.proposals.clone() {
            self.network.command(operator, Command::Post(proposal));
        }
        let items = self.poll.proposals.len();
        self.network.run_until(60_000, |network| {
            all_up(network, |peer| peer.ledger().polls().get(&poll).is_some_and(|poll| poll.items.len() == items))
        });
    }

    /// Registers everybody. Returns whether they are members.
    pub fn register(&mut self) -> bool {
        for person in 0..self.community.people.len() {
            let entry = self.community.registration(person);
            self.network.command(self.host_of(person), Command::Relay(entry));
        }
        let people = self.community.people.len();
        self.network.run_until(60_000, |network| all_up(network, |peer| peer.ledger().members().len() == people))
    }

    /// Waits until every node that is up sees the round in `state` or beyond.
    pub fn wait(&mut self, state: RoundState, millis: u64) -> bool {
        let round = self.poll.round;
        self.network.run_until(millis, |network| {
            all_up(network, |peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.state() >= state))
        })
    }

    /// Lets a member vote.
    ///
    /// # Panics
    ///
    /// Panics if the round does not admit it.
    pub fn vote(&mut self, person: usize, sequence: u8, votes: &[Vote]) {
        self.vote_as(person, votes, |contributor| contributor.sequence = sequence);
    }

    /// Lets a member vote in a way of their own.
    ///
    /// # Panics
    ///
    /// Panics if the round does not admit it.
    pub fn vote_as(&mut self, person: usize, votes: &[Vote], change: impl FnOnce(&mut Contributor<'_>)) {
        let host = self.host_of(person);
        let level = level_of(person);
        let ledger = self.network.peer(host).ledger();
        let round = &ledger.rounds()[&self.poll.round];
        let person = &mut self.community.people[person];
        let mut contributor = Contributor { level, ..Contributor::anonymous(&person.leaf) };
        change(&mut contributor);
        let submission = contributor.cast(ledger, round, votes, &mut person.rng).expect("a member may vote");
        self.network.command(host, Command::Contribute(submission));
    }

    /// Lets everybody vote, and waits for the result. Returns it.
    pub fn vote_and_finish(&mut self) -> Option<RoundResult> {
        self.vote_all();
        self.finish()
    }

    /// Lets everybody vote.
    pub fn vote_all(&mut self) {
        for person in 0..self.community.people.len() {
            let votes = self.votes[person].clone();
            self.vote(person, 0, &votes);
        }
    }

    /// Returns the round as the log of the first host that is up tells it.
    pub fn round(&self) -> Option<&RoundRecord> {
        self.network.peer(self.someone()).ledger().rounds().get(&self.poll.round).map(|round| round.as_ref())
    }

    /// Returns the report of a result.
    ///
    /// # Panics
    ///
    /// Panics if its body is not a report.
    pub fn report(&self, result: &RoundResult) -> RoundReport {
        RoundReport::from_bytes(&self.body(&result.result)).expect("results are reports")
    }

    /// Waits until every node that is up has the result and has followed it to its body.
    pub fn finish(&mut self) -> Option<RoundResult> {
        self.wait(RoundState::Finished, 300_000).then_some(())?;
        let result = self.network.peer(self.someone()).ledger().rounds()[&self.poll.round].agreed_result().cloned()?;
        let followed = self.network.run_until(60_000, |network| {
            (0..network.len())
                .filter(|host| network.is_up(*host))
                .all(|host| network.blob(host, &result.result).is_some())
        });
        followed.then_some(result)
    }

    /// Returns the hosts of operators that are up.
    pub fn operators_up(&self) -> Vec<usize> {
        let is_operator = |host: &usize| self.network.is_up(*host) && self.network.peer(*host).operator().is_some();
        (0..self.network.len()).filter(is_operator).collect()
    }

    /// Waits until every operator that is up says that it erased what is secret about the round.
    ///
    /// # Panics
    ///
    /// Panics if one does not, or if a key or a private part of the round, or anything of what was taken from operators
    /// while the round was open, is on the disk of anybody who is up.
    pub fn assert_erased(&mut self, taken: &Loot) {
        let (round, hosts) = (self.poll.round, self.operators_up());
        let numbers: Vec<u8> = hosts.iter().filter_map(|host| self.network.peer(*host).operator()).collect();
        let erased = self.network.run_until(60_000, |network| {
            all_up(network, |peer| {
                let said = &peer.ledger().rounds()[&round].erased;
                numbers.iter().all(|operator| said.contains(operator))
            })
        });
        assert!(erased, "all operators that are up erase");
        for host in hosts {
            let (records, private) = self.network.disk(host);
            let is_key = |record: &Record| matches!(record, Record::RoundKey(key) if key.round == round);
            assert!(!records.iter().any(is_key), "operator {host} has a key of the round");
            let mut bodies = private.iter().filter_map(|submission| Body::from_bytes(&submission.body).ok());
            assert!(!bodies.any(|body| body.round == round), "operator {host} has a private part of the round");
        }
        let secrets = taken.secrets(self.network.peer(self.someone()).ledger());
        for host in (0..self.network.len()).filter(|host| self.network.is_up(*host)) {
            assert_eq!(loot::find(&secrets, &self.network.disk_bytes(host)), None, "on the disk of {host}");
        }
    }

    /// Returns the body of a result.
    pub fn body(&self, id: &BlobId) -> Vec<u8> {
        self.network.blob(self.someone(), id).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    /// Puts a poll and its items on the log of every node.
    ///
    /// # Panics
    ///
    /// Panics if they do not get there.
    pub fn publish(&mut self, poll: &Poll) {
        self.post(0, poll.opening.clone());
        poll.proposals.iter().for_each(|proposal| self.post(0, proposal.clone()));
        let (id, items) = (poll.poll, poll.proposals.len());
        let has_all = |peer: &chorus_protocol::peer::Peer| {
            peer.ledger().polls().get(&id).is_some_and(|poll| poll.items.len() == items)
        };
        let done = self.network.run_until(60_000, |network| all_up(network, has_all));
        assert!(done, "a poll of {items} items: {:?}", self.network.notices);
    }

    /// Lets everybody vote at the first host that is no operator's. The proofs are made side by side: they are most of the
    /// work.
    ///
    /// # Panics
    ///
    /// Panics if a member may not vote.
    pub fn vote_side_by_side(&mut self) {
        let host = self.scenario.operators;
        let ledger = self.network.peer(host).ledger();
        let round = &ledger.rounds()[&self.poll.round];
        let people = self.community.people.par_iter_mut().enumerate().zip(&self.votes);
        let submissions: Vec<_> = people
            .map(|((number, person), votes)| {
                let contributor = Contributor { level: level_of(number), ..Contributor::anonymous(&person.leaf) };
                contributor.cast(ledger, round, votes, &mut person.rng).expect("a member may vote")
            })
            .collect();
        for submission in submissions {
            self.network.command(host, Command::Contribute(submission));
        }
    }

    /// Posts an entry as an operator, as its owner could.
    pub fn post(&mut self, host: usize, entry: Entry) {
        self.network.command(host, Command::Post(entry));
    }
}

/// Returns the level at which a member votes: every fourth shows who they are.
pub const fn level_of(person: usize) -> Level {
    if person % 4 == 3 { Level::Open } else { Level::Anonymous }
}

/// Whether all hosts that are up see it so.
pub(crate) fn all_up(network: &Network, holds: impl Fn(&chorus_protocol::peer::Peer) -> bool) -> bool {
    (0..network.len()).filter(|host| network.is_up(*host)).all(|host| holds(network.peer(host)))
}
