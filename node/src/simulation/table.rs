//! What it would take with more people than can be played: DESIGN §11, from what was measured.

use super::{Costs, Options, tree};

/// Contributors of a cohort beyond the size of one round.
const COHORT: u64 = 10_000;

/// Proofs of others that each participant checks, by lot: with half of the checkers honest, a proof that does not hold is missed
/// by all of them once in e^10.
const LOTS: u64 = 20;

/// What the run itself says of one contribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// Bytes that participants send, for themselves and as relays.
    pub(super) participant_bytes: u64,
    /// Bytes that one operator receives and sends.
    pub(super) operator_received: u64,
    pub(super) operator_sent: u64,
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
    /// What one participant sends, in bytes, with what it relays and the bodies that it checks by lot.
    pub participant_bytes: u64,
    /// For how long one participant's device works on one core, in seconds.
    pub participant_seconds: f64,
    /// What one operator of a cohort receives and sends, in bytes.
    pub operator_bytes: u64,
    /// For how long it works, on one core, in seconds: no round can be shorter.
    pub operator_seconds: f64,
    /// From the seal to the result of all, in seconds.
    pub result_seconds: f64,
}

/// Returns the table.
pub(super) fn rows(options: &Options, costs: &Costs, unit: &Unit) -> Vec<Row> {
    let shapes = [
        (1_000, "one mesh, one round"),
        (10_000, "one round"),
        (1_000_000, "cohorts, sums added in a tree"),
        (8_000_000_000, "cohorts, checked by lot"),
    ];
    shapes.into_iter().map(|(contributors, shape)| row(options, costs, unit, (contributors, shape))).collect()
}

fn row(options: &Options, costs: &Costs, unit: &Unit, (contributors, shape): (u64, &'static str)) -> Row {
    let cohorts = contributors.div_ceil(COHORT);
    let members = contributors / cohorts;
    let levels = tree::levels(options, costs, usize::try_from(cohorts).unwrap_or(usize::MAX), unit.certificate);
    let lots = if cohorts > 1 { LOTS } else { 0 };
    let made = costs.make + unit.relayed * costs.verify_alone / 1_000 + lots * costs.verify_alone;
    let worked = members * operator_micros(options, costs);
    let of_tree: u64 = levels.iter().map(|level| level.operator_bytes).sum();
    let added: u64 = levels.iter().map(|level| level.millis).sum();
    Row {
        contributors,
        shape,
        cohorts,
        levels: levels.len(),
        participant_bytes: unit.participant_bytes + lots * costs.body_bytes,
        participant_seconds: seconds(made),
        operator_bytes: members * (unit.operator_received + unit.operator_sent) + of_tree,
        operator_seconds: seconds(worked),
        result_seconds: seconds((unit.fixed_millis + added) * 1_000 + members * costs.open),
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
