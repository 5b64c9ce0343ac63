//! What it would take with more people than can be played: DESIGN §11. Nothing of it is played: messages and times are those of
//! the run for each contribution, and what one costs was measured in a ring as large as the row's.

use super::{
    Options,
    costs::{Costs, Measured, ring_of},
    following::{self, Following},
    network::line_micros,
    tree,
};

/// Contributors of a cohort beyond the size of one round.
pub(super) const COHORT: u64 = 10_000;

/// Contributions of one's own cohort that each participant checks, by lot, where there are cohorts: with half of the checkers
/// honest, a proof that does not hold is missed by all of them once in e^10. No node does so by itself; `chorus verify --level
/// light --samples 20` checks as many proofs, with all sums, and reads the cohort's whole bundle for that.
pub(super) const LOTS: u64 = 20;

/// Contributors, and how they are arranged.
const SHAPES: [(u64, &str); 4] = [
    (1_000, "one mesh, one round"),
    (10_000, "one round"),
    (1_000_000, "cohorts, sums added in a tree"),
    (8_000_000_000, "cohorts, checked by lot"),
];

/// What the run itself says of one contribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// Bytes that participants send and receive, for themselves and as relays.
    pub(super) participant_sent: u64,
    pub(super) participant_received: u64,
    /// Bytes that one operator receives and sends.
    pub(super) operator_received: u64,
    pub(super) operator_sent: u64,
    /// Bytes of the log, and of what was opened besides.
    pub(super) log: u64,
    pub(super) opened: u64,
    /// Proofs that participants verify as relays, in thousandths.
    pub(super) relayed: u64,
    /// Milliseconds from the seal to the result that do not grow with the number of contributions.
    pub(super) fixed_millis: u64,
    /// Bytes of a cohort's certificate.
    pub(super) certificate: usize,
}

/// One size.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// Contributors.
    pub contributors: u64,
    /// How they are arranged.
    pub shape: &'static str,
    /// Cohorts, and levels of the tree above them.
    pub cohorts: u64,
    /// See `cohorts`.
    pub levels: usize,
    /// Members of the ring in which contributions were measured.
    pub ring: u64,
    /// What one participant sends, in bytes, with what it relays.
    pub participant_sent: u64,
    /// What one participant receives: with what it relays, the log that it follows, the certificates above its cohort, and what
    /// it checks by lot.
    pub participant_received: u64,
    /// For how long one participant's device works on one core, in seconds.
    pub participant_seconds: f64,
    /// What one operator of a cohort receives and sends, in bytes, with what it serves to participants.
    pub operator_bytes: u64,
    /// For how long it works, on one core, in seconds: no round can be shorter.
    pub operator_seconds: f64,
    /// For how long its line is busy with what it sends, in seconds: no round can be shorter.
    pub line_seconds: f64,
    /// From the seal to the result of all, in seconds.
    pub result_seconds: f64,
}

/// Returns how large the rings of the table are.
pub(super) fn rings() -> Vec<usize> {
    let mut rings: Vec<usize> = SHAPES.iter().map(|(contributors, _)| ring_of(members_of(*contributors).1)).collect();
    rings.dedup();
    rings
}

/// Returns the table.
pub(super) fn rows(options: &Options, measured: &Measured, unit: &Unit) -> Vec<Row> {
    SHAPES.into_iter().map(|shape| row(options, measured, unit, shape)).collect()
}

/// Returns how many cohorts so many are dealt to, and how many members each has.
fn members_of(contributors: u64) -> (u64, usize) {
    let cohorts = contributors.div_ceil(COHORT);
    (cohorts, usize::try_from(contributors / cohorts).unwrap_or(usize::MAX))
}

fn row(options: &Options, measured: &Measured, unit: &Unit, (contributors, shape): (u64, &'static str)) -> Row {
    let (cohorts, members) = members_of(contributors);
    let costs = measured.in_ring(ring_of(members));
    let levels = tree::levels(options, costs, usize::try_from(cohorts).unwrap_or(usize::MAX), unit.certificate);
    let of_tree: u64 = levels.iter().map(|level| level.operator_bytes).sum();
    let added: u64 = levels.iter().map(|level| level.millis).sum();
    let people = members as u64;
    // What a contribution has in bytes grows with the ring.
    let sized = |bytes: u64| bytes * costs.bytes / measured.costs.bytes.max(1);
    let lots = if cohorts > 1 { LOTS } else { 0 };
    let read = following::leaves(people) + people * unit.log + unit.opened + of_tree + lots * costs.body_bytes;
    let Following { served, .. } = Following::of(options, (people, options.operators as u64), read);
    let sent = people * sized(unit.operator_sent) + served;
    let made = costs.make + unit.relayed * costs.verify_alone / 1_000 + lots * costs.verify_alone;
    Row {
        contributors,
        shape,
        cohorts,
        levels: levels.len(),
        ring: costs.ring,
        participant_sent: sized(unit.participant_sent),
        participant_received: sized(unit.participant_received) + read,
        participant_seconds: seconds(made),
        operator_bytes: people * sized(unit.operator_received) + of_tree + sent,
        operator_seconds: seconds(people * operator_micros(options, costs)),
        line_seconds: seconds(line_micros(usize::try_from(sent).unwrap_or(usize::MAX), options.links.operator_rate)),
        result_seconds: seconds((unit.fixed_millis + added) * 1_000 + people * costs.open),
    }
}

/// What an operator works for one contribution: the proofs, its box and seeds, everybody's acknowledgement, the entry and the
/// acknowledgements in it, and its part of the sums.
fn operator_micros(options: &Options, costs: &Costs) -> u64 {
    let operators = options.operators as u64;
    let quorum = operators - operators.saturating_sub(1) / 3;
    costs.verify + costs.check + costs.open + (operators - 1 + 1 + quorum) * costs.signature
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
