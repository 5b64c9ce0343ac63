//! What came of a simulation, for people and for programs.

use core::fmt;
use std::collections::BTreeMap;

use chorus_protocol::cohort::Sums;

use super::{
    Costs, Options,
    cohort::Outcome,
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
    /// When rounds were open, sealed, and had their result: the slowest cohort, in seconds.
    pub seconds: Seconds,
    /// What one participant sends and receives on average, for itself and as a relay.
    pub participant: Traffic,
    /// What one operator does on average.
    pub operator: Operator,
    /// Messages between operators and their bytes, of all cohorts, by kind.
    pub messages: BTreeMap<&'static str, Sent>,
    /// What operators refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// What should never happen.
    pub alarms: Vec<String>,
    /// The levels of the tree.
    pub tree: Vec<Level>,
    /// What more people would take.
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

/// When, in seconds of the virtual clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Seconds {
    /// Rounds were open.
    pub open: f64,
    /// Sets were sealed.
    pub sealed: f64,
    /// Cohorts had certified their sums.
    pub result: f64,
    /// All was added up.
    pub added: f64,
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
    pub(super) fn new(options: &Options, costs: Costs, outcomes: Vec<Outcome>) -> Self {
        let tree = Tree::of(options, &costs, &outcomes);
        let failed = outcomes.iter().filter(|outcome| outcome.certified.is_none()).count();
        let seconds = Seconds::of(&outcomes, &tree);
        let operator = Operator::of(&outcomes);
        let participant = participant(options, &outcomes);
        let unit = unit(options, &costs, &outcomes, (participant, operator));
        let (mut messages, mut refused, mut alarms) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for outcome in &outcomes {
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
            costs,
            cohorts: outcomes.len(),
            failed,
            right: outcomes.iter().all(|outcome| outcome.certified.is_none() || outcome.right),
            contributions: Contributions::of(&outcomes, &tree.sums),
            totals: tree.sums.totals.items.iter().map(|item| [item.agree, item.disagree, item.pass]).collect(),
            seconds,
            participant,
            operator,
            messages,
            refused,
            alarms,
            tree: tree.levels,
            extrapolation: table::rows(options, &costs, &unit),
        }
    }

    /// Whether every cohort has a result, and every result is right.
    pub fn is_well(&self) -> bool {
        self.failed == 0 && self.right && self.alarms.is_empty()
    }
}

fn sum<'a>(outcomes: &'a [Outcome], of: impl Fn(&'a Outcome) -> u64) -> u64 {
    outcomes.iter().map(of).sum()
}

fn of_meters(outcomes: &[Outcome], of: impl Fn(&Meter) -> u64) -> u64 {
    let operators: u64 = outcomes.iter().map(|outcome| outcome.meters.len() as u64).sum();
    let total: u64 = outcomes.iter().flat_map(|outcome| &outcome.meters).map(of).sum();
    total / operators.max(1)
}

fn participant(options: &Options, outcomes: &[Outcome]) -> Traffic {
    let people = options.participants as u64;
    Traffic {
        sent: sum(outcomes, |outcome| outcome.done.sent) / people,
        received: sum(outcomes, |outcome| outcome.done.received) / people,
    }
}

fn unit(options: &Options, costs: &Costs, outcomes: &[Outcome], (of_one, operator): (Traffic, Operator)) -> Unit {
    let (people, logged) = (options.participants as u64, sum(outcomes, |outcome| outcome.logged));
    let members = (logged / outcomes.len().max(1) as u64).max(1);
    let after = outcomes.iter().map(|outcome| outcome.times[2].saturating_sub(outcome.times[1])).max();
    Unit {
        participant_bytes: of_one.sent,
        operator_received: operator.traffic.received / members,
        operator_sent: operator.traffic.sent / members,
        relayed: sum(outcomes, |outcome| outcome.done.verified) * 1_000 / people,
        fixed_millis: after.unwrap_or_default().saturating_sub(members * costs.open / 1_000),
        certificate: outcomes.iter().filter_map(|one| Some(one.certified.as_ref()?.1)).max().unwrap_or_default(),
    }
}

impl Contributions {
    fn of(outcomes: &[Outcome], sums: &Sums) -> Self {
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
    fn of(outcomes: &[Outcome], tree: &Tree) -> Self {
        let slowest = |which: usize| {
            let times = outcomes.iter().filter_map(|outcome| outcome.times.get(which).copied());
            times.max().unwrap_or_default()
        };
        let added: u64 = tree.levels.iter().map(|level| level.millis).sum();
        let seconds = |millis: u64| millis as f64 / 1e3;
        Self {
            open: seconds(slowest(0)),
            sealed: seconds(slowest(1)),
            result: seconds(slowest(2)),
            added: seconds(slowest(2) + added),
        }
    }
}

impl Operator {
    fn of(outcomes: &[Outcome]) -> Self {
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

/// Returns bytes as people write them.
fn size(bytes: u64) -> String {
    match bytes {
        ..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, costs, contributions, seconds, participant, operator, .. } = self;
        let how = if self.real { "all proofs real" } else { "proofs replaced by their measured cost" };
        writeln!(
            f,
            "simulated     participants: {}, operators of each cohort: {}, seed: {}; {how}",
            options.participants, options.operators, options.seed
        )?;
        writeln!(
            f,
            "rounds        {} of {} came to a result{}",
            self.cohorts - self.failed,
            self.cohorts,
            self.verdict()
        )?;
        writeln!(
            f,
            "one costs     {} µs made, {} verified ({} alone), {} checked, {} opened; {} sent, {} of them public",
            costs.make,
            costs.verify,
            costs.verify_alone,
            costs.check,
            costs.open,
            size(costs.bytes),
            size(costs.body_bytes)
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "contributions {} counted, {} left and lost, {} late, {} in rounds without result",
            contributions.counted, contributions.left, contributions.late, contributions.missing
        )?;
        writeln!(
            f,
            "              on the log after {:.1} s on average, {:.1} s at most; {} ways lost, {} sent again",
            contributions.mean_millis as f64 / 1e3,
            contributions.longest_millis as f64 / 1e3,
            contributions.lost,
            contributions.again
        )?;
        for (what, [people, logged]) in [
            ("bad proofs", contributions.bad_proofs),
            ("two for one", contributions.doubles),
            ("floods", contributions.floods),
        ] {
            if people > 0 {
                writeln!(f, "              {people} people with {what}: {logged} contributions counted")?;
            }
        }
        writeln!(
            f,
            "virtual time  open after {:.1} s, sealed after {:.1} s, result after {:.1} s, added up after {:.1} s",
            seconds.open, seconds.sealed, seconds.result, seconds.added
        )?;
        writeln!(f, "participant   sends {}, receives {}", size(participant.sent), size(participant.received))?;
        writeln!(
            f,
            "operator      sends {}, receives {}; {} verified in {} batches; {:.1} s for proofs, {:.1} s for the rest",
            size(operator.traffic.sent),
            size(operator.traffic.received),
            operator.verified,
            operator.batches,
            operator.verifying_seconds,
            operator.working_seconds
        )?;
        writeln!(f, "log           {} decisions, {} each cohort", operator.decisions, size(operator.log_bytes))?;
        self.write_counts(f)?;
        self.write_table(f)
    }
}

impl Report {
    fn verdict(&self) -> &'static str {
        match (self.right, self.failed == self.cohorts) {
            (_, true) => "",
            (true, false) => ", and what they say is right",
            (false, false) => "; WHAT THEY SAY IS WRONG",
        }
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Sent { messages, bytes }) in &self.messages {
            writeln!(f, "  {kind:<16} {messages:>10} messages {:>10}", size(*bytes))?;
        }
        for (reason, count) in &self.refused {
            writeln!(f, "refused       {count:>12} for {reason}")?;
        }
        for alarm in &self.alarms {
            writeln!(f, "ALARM         {alarm}")?;
        }
        for level in &self.tree {
            writeln!(
                f,
                "tree          {} parents of up to {}: {} for an operator, {} ms",
                level.parents,
                level.children,
                size(level.operator_bytes),
                level.millis
            )?;
        }
        Ok(())
    }

    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(
            f,
            "{:>13} {:>8} {:>6}  {:>11} {:>10}  {:>11} {:>10}  {:>11}  shape",
            "contributors", "cohorts", "levels", "each sends", "and works", "an operator", "works", "seal→result"
        )?;
        for row in &self.extrapolation {
            writeln!(
                f,
                "{:>13} {:>8} {:>6}  {:>11} {:>8.2} s  {:>11} {:>8.1} s  {:>9.1} s  {}",
                row.contributors,
                row.cohorts,
                row.levels,
                size(row.participant_bytes),
                row.participant_seconds,
                size(row.operator_bytes),
                row.operator_seconds,
                row.result_seconds,
                row.shape
            )?;
        }
        Ok(())
    }
}
