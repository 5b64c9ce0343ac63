//! What came of a simulation, for people and for programs.

mod text;

use std::collections::BTreeMap;

use chorus_protocol::cohort::Sums;

use super::{
    Costs, Measured, Options,
    cohort::Outcome,
    following::{self, Following},
    network::Meter,
    table::{self, Row, Unit},
    tree::{Level, Tree},
};

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// What was simulated.
    pub options: Options,
    /// Whether every proof was real.
    pub real: bool,
    /// What one contribution costs, in microseconds and bytes.
    pub costs: Costs,
    /// What it costs in rings of the table that are others.
    pub table_costs: Vec<Costs>,
    /// Cohorts, each with a round, and those whose round came to no result.
    pub cohorts: usize,
    /// See `cohorts`.
    pub failed: usize,
    /// Whether every result is what those who are counted wanted to say.
    pub right: bool,
    /// What became of contributions.
    pub contributions: Contributions,
    /// Votes on all items, added up: agree, disagree, pass.
    pub totals: Vec<[u64; 3]>,
    /// When rounds were open, sealed, and had their result: the slowest cohort of those with a result, in seconds.
    pub seconds: Seconds,
    /// What one participant sends and receives on average, for itself and as a relay.
    pub participant: Traffic,
    /// What one operator does on average, but for what participants read to follow the log.
    pub operator: Operator,
    /// What that takes: counted, and not played.
    pub following: Following,
    /// Messages between operators and their bytes, of all cohorts, by kind.
    pub messages: BTreeMap<&'static str, Sent>,
    /// What operators refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// What should never happen.
    pub alarms: Vec<String>,
    /// The levels of the tree.
    pub tree: Vec<Level>,
    /// What more people would take; nothing if no round came to a result.
    pub extrapolation: Vec<Row>,
}

/// What became of contributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Contributions {
    /// In the result.
    pub counted: u64,
    /// On no log, since their owners left and what they sent once was lost.
    pub left: u64,
    /// On no log when rounds were sealed, though their owners were there.
    pub late: u64,
    /// In cohorts without a result.
    pub missing: u64,
    /// Sent again, and ways on which one was lost.
    pub again: u64,
    /// See `again`.
    pub lost: u64,
    /// Milliseconds from the making to the log: the mean, and the longest.
    pub mean_millis: u64,
    /// See `mean_millis`.
    pub longest_millis: u64,
    /// Those of people who send proofs that do not hold: how many people, how many on the log.
    pub bad_proofs: [u64; 2],
    /// Those of people who send two for one.
    pub doubles: [u64; 2],
    /// Those of people who send floods.
    pub floods: [u64; 2],
}

/// When, in seconds of the virtual clock: none where no round came to a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Seconds {
    /// For how long contributions were taken.
    pub taken: f64,
    /// Rounds were open.
    pub open: Option<f64>,
    /// Sets were sealed.
    pub sealed: Option<f64>,
    /// Cohorts had certified their sums.
    pub result: Option<f64>,
    /// All was added up.
    pub added: Option<f64>,
}

/// Bytes of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// What one operator does.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Operator {
    /// Bytes.
    pub traffic: Traffic,
    /// Contributions verified, and in how many batches.
    pub verified: u64,
    /// See `verified`.
    pub batches: u64,
    /// Seconds of one core for proofs.
    pub verifying_seconds: f64,
    /// Seconds of one core for all else that is charged.
    pub working_seconds: f64,
    /// Decisions on a cohort's log, and its bytes.
    pub decisions: u64,
    /// See `decisions`.
    pub log_bytes: u64,
}

/// Messages of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Sent {
    /// How many.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Report {
    pub(super) fn new(options: &Options, measured: Measured, outcomes: &[Outcome]) -> Self {
        let tree = Tree::of(options, &measured.costs, outcomes);
        let with_result: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.certified.is_some()).collect();
        let unit = Unit::of(&measured.costs, &with_result);
        let all: Vec<&Outcome> = outcomes.iter().collect();
        let (mut messages, mut refused, mut alarms) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for outcome in outcomes {
            for (kind, (count, bytes)) in &outcome.messages {
                let sent: &mut Sent = messages.entry(*kind).or_default();
                sent.messages += count;
                sent.bytes += bytes;
            }
            for (reason, count) in &outcome.refused {
                *refused.entry(reason.clone()).or_default() += count;
            }
            alarms.extend(outcome.alarms.iter().map(|alarm| format!("cohort {}: {alarm}", outcome.number)));
        }
        Self {
            options: options.clone(),
            real: options.is_real(),
            cohorts: outcomes.len(),
            failed: outcomes.len() - with_result.len(),
            right: with_result.iter().all(|outcome| outcome.right),
            contributions: Contributions::of(&all, &tree.sums),
            totals: tree.sums.totals.items.iter().map(|item| [item.agree, item.disagree, item.pass]).collect(),
            seconds: Seconds::of(&with_result, (outcomes, &tree)),
            participant: Traffic::of_participants(&all),
            operator: Operator::of(&all),
            following: following(options, &all),
            messages,
            refused,
            alarms,
            tree: tree.levels,
            extrapolation: unit.map(|unit| table::rows(options, &measured, &unit)).unwrap_or_default(),
            costs: measured.costs,
            table_costs: measured.table_costs,
        }
    }

    /// Whether every cohort has a result, and every result is right.
    pub fn is_well(&self) -> bool {
        self.failed == 0 && self.right && self.alarms.is_empty()
    }
}

fn sum(outcomes: &[&Outcome], of: impl Fn(&Outcome) -> u64) -> u64 {
    outcomes.iter().map(|outcome| of(outcome)).sum()
}

/// Returns the mean of all operators.
fn of_meters(outcomes: &[&Outcome], of: impl Fn(&Meter) -> u64) -> u64 {
    let operators = sum(outcomes, |outcome| outcome.meters.len() as u64);
    let total: u64 = outcomes.iter().flat_map(|outcome| &outcome.meters).map(of).sum();
    total / operators.max(1)
}

/// Returns what it takes that all participants follow the logs of their cohorts, on average.
fn following(options: &Options, outcomes: &[&Outcome]) -> Following {
    let people = sum(outcomes, |outcome| outcome.members as u64);
    let read = |outcome: &Outcome| {
        let members = outcome.members as u64;
        members * (following::leaves(members) + outcome.log_bytes + outcome.opened_bytes)
    };
    let read = sum(outcomes, read) / people.max(1);
    Following::of(options, (people, sum(outcomes, |outcome| outcome.up)), read)
}

impl Traffic {
    /// Returns the mean of all participants.
    fn of_participants(outcomes: &[&Outcome]) -> Self {
        let people = sum(outcomes, |outcome| outcome.members as u64).max(1);
        Self {
            sent: sum(outcomes, |outcome| outcome.done.sent) / people,
            received: sum(outcomes, |outcome| outcome.done.received) / people,
        }
    }
}

impl Unit {
    /// Returns what the cohorts with a result say of one contribution; none if there are none.
    fn of(costs: &Costs, outcomes: &[&Outcome]) -> Option<Self> {
        let after = outcomes.iter().filter_map(|outcome| outcome.after_seal()).max()?;
        let (people, logged) =
            (sum(outcomes, |outcome| outcome.members as u64), sum(outcomes, |outcome| outcome.logged));
        let cohorts = outcomes.len() as u64;
        let members = (logged / cohorts).max(1);
        let (participant, operator) = (Traffic::of_participants(outcomes), Operator::of(outcomes));
        Some(Self {
            participant_sent: participant.sent,
            participant_received: participant.received,
            operator_received: operator.traffic.received / members,
            operator_sent: operator.traffic.sent / members,
            log: operator.log_bytes / members,
            opened: sum(outcomes, |outcome| outcome.opened_bytes) / cohorts,
            relayed: sum(outcomes, |outcome| outcome.done.verified) * 1_000 / people.max(1),
            fixed_millis: after.saturating_sub(members * costs.open / 1_000),
            certificate: outcomes.iter().filter_map(|one| Some(one.certified.as_ref()?.1)).max().unwrap_or_default(),
        })
    }
}

impl Contributions {
    fn of(outcomes: &[&Outcome], sums: &Sums) -> Self {
        let logged = sum(outcomes, |outcome| outcome.logged);
        let liars = |which: usize| {
            let of = |outcome: &Outcome| outcome.liars.get(which).copied().unwrap_or_default();
            [sum(outcomes, |outcome| of(outcome).0), sum(outcomes, |outcome| of(outcome).1)]
        };
        Self {
            counted: sums.contributions,
            left: sum(outcomes, |outcome| outcome.gone),
            late: sum(outcomes, |outcome| outcome.late),
            missing: sums.missing,
            again: sum(outcomes, |outcome| outcome.done.again),
            lost: sum(outcomes, |outcome| outcome.done.lost),
            mean_millis: sum(outcomes, |outcome| outcome.done.waited) / logged.max(1),
            longest_millis: outcomes.iter().map(|outcome| outcome.done.longest).max().unwrap_or_default(),
            bad_proofs: liars(0),
            doubles: liars(1),
            floods: liars(2),
        }
    }
}

impl Seconds {
    fn of(with_result: &[&Outcome], (all, tree): (&[Outcome], &Tree)) -> Self {
        let added: u64 = tree.levels.iter().map(|level| level.millis).sum();
        let slowest = |which: usize| {
            let times = with_result.iter().filter_map(|outcome| outcome.times.get(which).copied().flatten());
            times.max()
        };
        let seconds = |millis: u64| millis as f64 / 1e3;
        Self {
            taken: seconds(all.iter().map(|outcome| outcome.taken).max().unwrap_or_default()),
            open: slowest(0).map(seconds),
            sealed: slowest(1).map(seconds),
            result: slowest(2).map(seconds),
            added: slowest(2).map(|result| seconds(result + added)),
        }
    }
}

impl Operator {
    fn of(outcomes: &[&Outcome]) -> Self {
        let cohorts = outcomes.len().max(1) as u64;
        Self {
            traffic: Traffic {
                sent: of_meters(outcomes, |meter| meter.sent),
                received: of_meters(outcomes, |meter| meter.received),
            },
            verified: of_meters(outcomes, |meter| meter.verified),
            batches: of_meters(outcomes, |meter| meter.batches),
            verifying_seconds: of_meters(outcomes, |meter| meter.verifying) as f64 / 1e6,
            working_seconds: of_meters(outcomes, |meter| meter.working) as f64 / 1e6,
            decisions: sum(outcomes, |outcome| outcome.heights) / cohorts,
            log_bytes: sum(outcomes, |outcome| outcome.log_bytes) / cohorts,
        }
    }
}
