//! One cohort from its first message to its certified sums.

use std::collections::BTreeMap;

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    cohort::{CohortResult, Sums},
    contribution::Template,
    ledger::RoundState,
    log::entry::Step,
};

use super::{
    Costs, Options,
    adversary::Role,
    crowd::{Crowd, Done},
    network::{MILLI, Meter, Micros, Network, Turn},
    world::{Members, World, count, votes},
};

/// The shortest time that contributions are taken, in milliseconds.
pub(super) const SHORTEST_MILLIS: u64 = 40_000;

/// How many times as long as operators need for them contributions are taken, besides that.
pub(super) const ROOM: u64 = 4;

/// How long operators may take to open a round, and to bring it to its end after its deadline, in milliseconds.
const PATIENCE_MILLIS: u64 = 600_000;

/// How a cohort's round went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Its number.
    pub(super) number: usize,
    /// How many participants it has.
    pub(super) members: usize,
    /// What it certified, and in how many bytes; none if its round did not come to its end.
    pub(super) certified: Option<(Sums, usize)>,
    /// Whether that is what those whose contributions are on the log wanted to say.
    pub(super) right: bool,
    /// When the round was open, sealed, and had its result, in milliseconds, if it came to that.
    pub(super) times: [Option<u64>; 3],
    /// How long contributions were taken, in milliseconds.
    pub(super) taken: u64,
    /// Contributions on the log.
    pub(super) logged: u64,
    /// Honest contributions that are not, since their owners had left, or for another reason.
    pub(super) gone: u64,
    pub(super) late: u64,
    /// Those who lie, and whose contributions are on the log.
    pub(super) liars: [(u64, u64); 3],
    /// What participants did.
    pub(super) done: Done,
    /// What operators did.
    pub(super) meters: Vec<Meter>,
    /// Messages between operators, and their bytes.
    pub(super) messages: BTreeMap<&'static str, (u64, u64)>,
    /// What they refused.
    pub(super) refused: BTreeMap<String, u64>,
    /// What should never happen.
    pub(super) alarms: Vec<String>,
    /// Decisions on the log, and its bytes.
    pub(super) heights: u64,
    pub(super) log_bytes: u64,
    /// Bytes of what was opened, which everybody reads besides the log.
    pub(super) opened_bytes: u64,
    /// Operators that were up at the end.
    pub(super) up: u64,
}

impl Outcome {
    /// Returns how long it took from the seal to the result, in milliseconds; none without a result.
    pub(super) fn after_seal(&self) -> Option<u64> {
        let [_, sealed, result] = self.times;
        Some(result?.saturating_sub(sealed?))
    }
}

/// Returns how long contributions are taken: [`ROOM`] times what operators need for all of them, so that none is late who
/// meets no trouble.
fn duration_millis(members: usize, costs: &Costs) -> u64 {
    let each = costs.verify.max(costs.check + 12 * costs.signature);
    SHORTEST_MILLIS + ROOM * members as u64 * each / 1_000
}

/// Plays it.
pub(super) fn play(options: &Options, number: usize, costs: &Costs, template: &Template) -> anyhow::Result<Outcome> {
    let members = options.members(number);
    let kind = if options.is_real() { Members::Real } else { Members::Numbers };
    let duration = duration_millis(members, costs);
    let mut world = World::found(options, number, (members, kind), duration)?;
    let mut network = Network::start(options, costs, number, &world)?;
    let secrets = std::mem::take(&mut world.secrets);
    let mut crowd = Crowd::new(options, (costs, template), number, (members, secrets));
    let mut course = Course { opened: None, sealed: None, stop_at: None, end: PATIENCE_MILLIS * MILLI };
    let mut certificate = None;
    while network.now() < course.end && certificate.is_none() {
        match network.step() {
            Turn::Over => break,
            Turn::Person(person) => crowd.act(&mut network, person)?,
            Turn::Done => {}
        }
        let logged = std::mem::take(&mut network.logged);
        crowd.note(logged, network.now());
        course.follow(options, &mut network, &mut crowd);
        certificate = certified(&network);
    }
    let ended = certificate.is_some().then(|| network.now());
    let times = [course.opened, course.sealed, ended].map(|at| at.map(|at| at / MILLI));
    Ok(outcome(options, (number, members), (times, duration), (&network, &crowd), certificate))
}

/// Where a round is.
struct Course {
    opened: Option<Micros>,
    sealed: Option<Micros>,
    /// When operators fall silent.
    stop_at: Option<Micros>,
    /// When nobody waits any longer.
    end: Micros,
}

impl Course {
    /// Looks whether the round has come further, and lets happen what happens then.
    fn follow(&mut self, options: &Options, network: &mut Network, crowd: &mut Crowd<'_>) {
        let now = network.now();
        if self.opened.is_none() && network.all_in(RoundState::Open) {
            let open_for = network.open_for() * MILLI;
            self.opened = Some(now);
            self.end = now + open_for + PATIENCE_MILLIS * MILLI;
            self.stop_at = (options.down > 0).then_some(now + open_for / 3);
            // The second half is for those who have to send again.
            crowd.come(network, open_for / 2);
        }
        if self.stop_at.is_some_and(|at| at <= now) {
            self.stop_at = None;
            (0..options.down).for_each(|host| network.stop(host));
        }
        if self.sealed.is_none() && network.round().is_some_and(|round| round.sealed.is_some()) {
            self.sealed = Some(now);
        }
    }
}

/// Returns the certified result, once enough operators have stated it.
fn certified(network: &Network) -> Option<CohortResult> {
    if network.results.is_empty() {
        return None;
    }
    let ledger = network.ledger()?;
    let follows = network.round()?.agreed_result()?.follows?;
    let sums = Sums::from_bytes(network.blob(&follows)?).ok()?;
    let result = CohortResult::gather(ledger, sums, &network.results)?;
    // As a parent checks it.
    result.verify(ledger.community(), ledger.charter()).ok().map(|()| result)
}

fn outcome(
    options: &Options,
    (number, members): (usize, usize),
    (times, taken): ([Option<u64>; 3], u64),
    (network, crowd): (&Network, &Crowd<'_>),
    certificate: Option<CohortResult>,
) -> Outcome {
    let mut expected = Sums::none(options.items);
    for person in crowd.logged() {
        expected.contributions += 1;
        count(&mut expected.totals, &votes(options.seed, number, person, options.items));
    }
    let (gone, late) = crowd.uncounted();
    let log_bytes = network.log.iter().map(|decision| decision.to_bytes().len() as u64).sum();
    let certified = certificate.map(|result| {
        let bytes = result.to_bytes().len();
        (result.sums, bytes)
    });
    Outcome {
        number,
        members,
        right: certified.as_ref().is_some_and(|(sums, _)| *sums == expected),
        certified,
        times,
        taken,
        logged: expected.contributions,
        gone,
        late,
        liars: [Role::BadProofs, Role::Doubles, Role::Floods].map(|role| crowd.counts(role)),
        done: crowd.done,
        meters: network.meters().copied().collect(),
        messages: network.messages.clone(),
        refused: network.refused.clone(),
        alarms: network.alarms.clone(),
        heights: network.log.len() as u64,
        log_bytes,
        opened_bytes: opened_bytes(network),
        up: network.up(),
    }
}

/// Returns how many bytes the agreed values of the round have that were opened.
fn opened_bytes(network: &Network) -> u64 {
    let values = |step| network.round()?.agreed_values(step);
    let opened = Step::ALL.into_iter().filter_map(values);
    opened.filter_map(|(_, body)| network.blob(&body)).map(|bytes| bytes.len() as u64).sum()
}
