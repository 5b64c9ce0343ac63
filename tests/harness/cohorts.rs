//! Divided rounds: a community whose cohorts have networks of their own, on every level.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use chorus_crypto::{ballot::Vote, codec::Decode as _, sign::SecretKey};
use chorus_protocol::{
    audit,
    cohort::{CohortPlan, CohortResult, Convening, Convocation, Origin, Sums},
    config::Policy,
    contribution::Contributor,
    id::{BlobId, RoundId},
    ledger::{Division, Ledger, RoundRecord, RoundState},
    log::{
        consensus::Decision,
        entry::{Entry, RoundPlan, RoundResult, SignedEntry},
    },
    peer::Command,
};

use crate::{
    community::{Community, rng},
    network::{Links, Network},
    scenario::{Play, Scenario, all_up},
};

/// Operators of each cohort: as many as one fault takes.
pub const OPERATORS: usize = 4;

/// Returns rules under which small cohorts open their totals; with a map from `group_floor` ballots on.
pub fn policy(group_floor: u32) -> Policy {
    Policy { min_contributions: 3, floor: 2, group_floor, class_floor: 2, class_members: 4, ..Policy::default() }
}

/// Returns the keys of a cohort's operators, in the order of their numbers.
pub fn operators(seed: u64, path: &str, number: usize) -> Vec<SecretKey> {
    let key = |index| SecretKey::random(&mut rng(seed, &format!("cohort {path}{number}"), index));
    let mut keys: Vec<SecretKey> = (0..OPERATORS).map(key).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// Returns how a round is divided among cohorts with these operators.
pub fn convening(plan: RoundPlan, keys: &[Vec<SecretKey>], divides: bool) -> Convening {
    let cohort =
        |keys: &Vec<SecretKey>| CohortPlan { operators: keys.iter().map(SecretKey::public).collect(), divides };
    Convening { plan, cohorts: keys.iter().map(cohort).collect(), wait_millis: 60_000, most_missing: 0 }
}

/// A cohort and its network.
#[derive(Debug)]
pub struct Cohort {
    /// The network.
    pub network: Network,
    /// The state that its log began with.
    pub base: Ledger,
    /// Its round.
    pub round: RoundId,
    /// Its own cohorts, if it divides the round again.
    pub cohorts: Vec<Self>,
    path: String,
    seed: u64,
}

impl Cohort {
    /// Starts the network of a cohort.
    ///
    /// # Panics
    ///
    /// Panics if the parent has not dealt its members out.
    pub fn start(parent: &Ledger, round: RoundId, number: u16, (seed, path): (u64, &str)) -> Self {
        let base = parent.cohort(&round, number).expect("members have been dealt out");
        let keys = operators(seed, path, number.into());
        let network = Network::of_cohort(seed ^ u64::from(number), base.clone(), &keys, 1, Links::default());
        let round = *base.rounds().keys().next().expect("a cohort has its round");
        Self { network, base, round, cohorts: Vec::new(), path: format!("{path}{number}/"), seed }
    }

    /// Returns where it comes from.
    ///
    /// # Panics
    ///
    /// Never: it is a cohort.
    pub fn origin(&self) -> Origin {
        *self.base.origin().expect("a cohort")
    }

    /// Returns the round as the first operator sees it.
    pub fn record(&self) -> &RoundRecord {
        &self.network.peer(0).ledger().rounds()[&self.round]
    }

    /// Divides the round again, among so many cohorts, and starts these.
    ///
    /// # Panics
    ///
    /// Panics if that cannot be done.
    pub fn divide(&mut self, cohorts: usize) {
        let keys: Vec<Vec<SecretKey>> = (0..cohorts).map(|number| operators(self.seed, &self.path, number)).collect();
        let convening = convening(self.record().plan.clone(), &keys, false);
        convene(&mut self.network, &convening);
        let ledger = self.network.peer(0).ledger();
        self.cohorts = start_all(ledger, self.round, (self.seed, &self.path));
    }

    /// Lets those of the people vote who are in this cohort, or in one of its own, and brings all rounds to their ends.
    /// Returns how many there are.
    ///
    /// # Panics
    ///
    /// Panics if a round does not come to its end.
    pub fn vote(&mut self, people: &mut Community, votes: &[Vec<Vote>]) -> usize {
        if !self.cohorts.is_empty() {
            let found = self.cohorts.iter_mut().map(|cohort| cohort.vote(people, votes)).sum();
            let results: Vec<CohortResult> = self.cohorts.iter().map(Self::certificate).collect();
            results.into_iter().for_each(|result| show(&mut self.network, result));
            finish(&mut self.network, self.round).expect("the sum of the cohorts");
            return found;
        }
        let round = self.round;
        let is_open =
            |network: &Network| all_up(network, |peer| peer.ledger().rounds()[&round].state() == RoundState::Open);
        assert!(
            self.network.run_until(60_000, is_open),
            "a cohort opens its round by itself: {:?}",
            self.network.notices
        );
        let mut found = 0;
        for (person, votes) in people.people.iter_mut().zip(votes) {
            let ledger = self.network.peer(0).ledger();
            let record = &ledger.rounds()[&round];
            let cast = Contributor::anonymous(&person.leaf).cast(ledger, record, votes, &mut person.rng);
            let Ok(submission) = cast else { continue };
            self.network.command(OPERATORS, Command::Contribute(submission));
            found += 1;
        }
        finish(&mut self.network, round).expect("the result of a cohort");
        found
    }

    /// Returns the result that it agreed on.
    ///
    /// # Panics
    ///
    /// Panics if it has none.
    pub fn result(&self) -> RoundResult {
        self.record().agreed_result().cloned().expect("a cohort with a result")
    }

    /// Returns the sums that follow from the result.
    ///
    /// # Panics
    ///
    /// Panics if they are not at hand.
    pub fn sums(&self) -> Sums {
        let id = self.result().follows.expect("sums follow in a cohort");
        Sums::from_bytes(&self.network.blob(0, &id).expect("they are kept")).expect("they are sums")
    }

    /// Returns the certificate of its result, put together from its log.
    ///
    /// # Panics
    ///
    /// Panics if too few operators have stated the result.
    pub fn certificate(&self) -> CohortResult {
        let entries: Vec<SignedEntry> = entries(self.network.decisions(0)).collect();
        let ledger = self.network.peer(0).ledger();
        CohortResult::gather(ledger, self.sums(), &entries).expect("enough operators stated the result")
    }

    /// Returns the bundle of its log.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be shown.
    pub fn bundle(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let decisions: Vec<Arc<Decision>> = self.network.decisions(0).iter().cloned().map(Arc::new).collect();
        let blobs = |id: &BlobId| self.network.blob(0, id).map(|bytes| bytes.to_vec());
        audit::write_cohort(&mut bytes, self.base.clone(), &decisions, blobs).expect("the log can be shown");
        bytes
    }

    fn add_bundles(&self, bundles: &mut Bundles) {
        bundles.0.insert(self.origin(), self.bundle());
        self.cohorts.iter().for_each(|cohort| cohort.add_bundles(bundles));
    }
}

/// The bundles of cohorts.
#[derive(Clone, Debug, Default)]
pub struct Bundles(pub BTreeMap<Origin, Vec<u8>>);

impl Bundles {
    /// Returns those of some cohorts and of all below.
    pub fn of(cohorts: &[Cohort]) -> Self {
        let mut bundles = Self::default();
        cohorts.iter().for_each(|cohort| cohort.add_bundles(&mut bundles));
        bundles
    }

    /// Verifies them below a root's.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn verify(&self, root: &[u8]) -> Result<audit::Tree, audit::VerifyError> {
        self.verify_levels(root, audit::LEVELS)
    }

    /// Verifies those of so many levels below a root's.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn verify_levels(&self, root: &[u8], levels: usize) -> Result<audit::Tree, audit::VerifyError> {
        self.verify_with(root, levels, &audit::Options::default())
    }

    /// Verifies them as far as it is asked to.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn verify_with(
        &self,
        mut root: &[u8],
        levels: usize,
        options: &audit::Options,
    ) -> Result<audit::Tree, audit::VerifyError> {
        let mut open = |origin: &Origin| {
            let bytes = self.0.get(origin)?.clone();
            Some(Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read>)
        };
        audit::verify_tree(&mut root, levels, options, &mut open, &mut |_| {})
    }
}

/// Returns the entries of a log.
pub fn entries(decisions: &[Decision]) -> impl Iterator<Item = SignedEntry> {
    let bytes = decisions.iter().flat_map(|decision| decision.batch.entries());
    bytes.filter_map(|bytes| SignedEntry::from_bytes(bytes).ok())
}

/// Lets all operators convene cohorts, and waits until members have been dealt out.
///
/// # Panics
///
/// Panics if they are not.
pub fn convene(network: &mut Network, convening: &Convening) {
    for host in 0..OPERATORS {
        network.command(
            host,
            Command::Post(Entry::Convene(Box::new(Convocation { number: 1, convening: convening.clone() }))),
        );
    }
    let is_dealt = |round: &Arc<RoundRecord>| match &round.division {
        Division::Divided(divided) => divided.dealt.is_some(),
        Division::Whole | Division::Due(_) => false,
    };
    let dealt =
        network.run_until(60_000, |network| all_up(network, |peer| peer.ledger().rounds().values().any(is_dealt)));
    assert!(dealt, "members are dealt out: {:?}", network.notices);
}

/// Starts the networks of all cohorts of a round.
///
/// # Panics
///
/// Panics if the round is not divided.
pub fn start_all(ledger: &Ledger, round: RoundId, at: (u64, &str)) -> Vec<Cohort> {
    let divided = ledger.rounds()[&round].divided().expect("a divided round");
    divided.numbers().map(|number| Cohort::start(ledger, round, number, at)).collect()
}

/// Lets somebody whom nobody knows show a cohort's result to its parent.
pub fn show(network: &mut Network, result: CohortResult) {
    let (round, number) = (result.round, result.number);
    let stranger = SecretKey::from_seed(&[0xA7; 32]);
    let community = network.peer(0).ledger().community();
    let entry = SignedEntry::sign(&stranger, community, Entry::CohortResult(Box::new(result)));
    network.command(OPERATORS, Command::Relay(entry));
    network.run_until(30_000, |network| {
        all_up(network, |peer| {
            let divided = peer.ledger().rounds()[&round].divided();
            divided.is_some_and(|divided| divided.results.contains_key(&number))
        })
    });
}

/// Waits for the result of a round, and until the first operator has its body and all have stated and erased.
pub fn finish(network: &mut Network, round: RoundId) -> Option<RoundResult> {
    let is_over = |network: &Network| {
        all_up(network, |peer| {
            let round = &peer.ledger().rounds()[&round];
            round.agreed_result().is_some() && round.results.len() == OPERATORS && round.erased.len() == OPERATORS
        })
    };
    network.run_until(600_000, is_over).then_some(())?;
    network.peer(0).ledger().rounds()[&round].agreed_result().cloned()
}

/// A community whose round is divided, and its cohorts.
#[derive(Debug)]
pub struct DividedPlay {
    /// The root.
    pub play: Play,
    /// Its cohorts.
    pub cohorts: Vec<Cohort>,
}

impl DividedPlay {
    /// Founds a community, registers everybody, and divides a round among so many cohorts: on one level, or each of them again
    /// among `again`.
    ///
    /// # Panics
    ///
    /// Panics if that cannot be done.
    pub fn start(scenario: Scenario, cohorts: usize, again: Option<usize>) -> Self {
        Self::start_with(scenario, cohorts, again, |convening| convening)
    }

    /// As [`start`](Self::start), with another convening.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        scenario: Scenario,
        cohorts: usize,
        again: Option<usize>,
        change: impl FnOnce(Convening) -> Convening,
    ) -> Self {
        let seed = scenario.seed;
        let mut play = scenario.start();
        assert!(play.register(), "everybody is a member: {:?}", play.network.notices);
        play.propose();
        let keys: Vec<Vec<SecretKey>> = (0..cohorts).map(|number| operators(seed, "", number)).collect();
        let convening = change(convening(play.plan_of_round(), &keys, again.is_some()));
        convene(&mut play.network, &convening);
        let mut cohorts = start_all(play.network.peer(0).ledger(), play.poll.round, (seed, ""));
        if let Some(again) = again {
            cohorts.iter_mut().for_each(|cohort| cohort.divide(again));
        }
        Self { play, cohorts }
    }

    /// Lets everybody vote, and brings the rounds of all cohorts to their ends. Returns how many voted.
    pub fn vote(&mut self) -> usize {
        let votes = self.play.votes.clone();
        self.cohorts.iter_mut().map(|cohort| cohort.vote(&mut self.play.community, &votes)).sum()
    }

    /// Shows the root the results of these cohorts, and waits for its own.
    pub fn sum_up(&mut self, results: Vec<CohortResult>) -> Option<RoundResult> {
        results.into_iter().for_each(|result| show(&mut self.play.network, result));
        finish(&mut self.play.network, self.play.poll.round)
    }

    /// Returns the certificates of all cohorts.
    pub fn certificates(&self) -> Vec<CohortResult> {
        self.cohorts.iter().map(Cohort::certificate).collect()
    }
}

impl Play {
    /// Returns the plan of the round.
    ///
    /// # Panics
    ///
    /// Never: a poll comes with its plan.
    pub fn plan_of_round(&self) -> RoundPlan {
        let Entry::Plan(plan) = &self.poll.plan else { unreachable!("a poll comes with its plan") };
        plan.clone()
    }
}
