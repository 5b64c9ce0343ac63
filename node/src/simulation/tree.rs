//! The sums of cohorts, added in a tree.
//!
//! A parent checks each certificate (that was done where it was made), puts it on its log, and adds. Its own consensus is not
//! played: its time is counted in trips of a message.

use chorus_protocol::cohort::Sums;

use super::{
    Costs, Options,
    cohort::Outcome,
    network::{MILLI, line_micros},
};

/// Cohorts that one parent adds up.
pub(super) const FAN_IN: usize = 32;

/// Trips of a message until something is decided, seen, and stated in turn: twice a proposal and two votes, and the way there.
const TRIPS: u64 = 7;

/// What one level of the tree does.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Level {
    /// Parents.
    pub parents: usize,
    /// Children of the largest.
    pub children: usize,
    /// Bytes of certificates that an operator of the largest receives.
    pub operator_bytes: u64,
    /// Milliseconds until the largest has added them up.
    pub millis: u64,
}

/// The root's sums, and the levels that led there.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) sums: Sums,
    pub(super) levels: Vec<Level>,
}

/// Returns the levels above so many cohorts whose certificates have so many bytes.
pub(super) fn levels(options: &Options, costs: &Costs, cohorts: usize, certificate: usize) -> Vec<Level> {
    let quorum = options.operators - options.operators.saturating_sub(1) / 3;
    let mut levels = Vec::new();
    let mut below = cohorts;
    while below > 1 {
        let (parents, children) = (below.div_ceil(FAN_IN), below.min(FAN_IN));
        let bytes = children * certificate;
        let signatures = (children * quorum) as u64 * costs.signature;
        let trip = options.links.latency + options.links.jitter / 2;
        let millis = TRIPS * trip + (signatures + line_micros(bytes, options.links.operator_rate)) / MILLI;
        levels.push(Level { parents, children, operator_bytes: bytes as u64, millis });
        below = parents;
    }
    levels
}

impl Tree {
    /// Adds up what the cohorts certified; of those that certified nothing, everybody is missing.
    pub(super) fn of(options: &Options, costs: &Costs, outcomes: &[Outcome]) -> Self {
        let of_cohort = |outcome: &Outcome| match &outcome.certified {
            Some((sums, _)) => sums.clone(),
            None => Sums { missing: outcome.members as u64, ..Sums::none(options.items) },
        };
        let mut sums: Vec<Sums> = outcomes.iter().map(of_cohort).collect();
        while sums.len() > 1 {
            let add = |children: &[Sums]| {
                let mut parent = Sums::none(options.items);
                children.iter().for_each(|child| parent.add(child));
                parent
            };
            sums = sums.chunks(FAN_IN).map(add).collect();
        }
        let certificate = outcomes.iter().filter_map(|outcome| Some(outcome.certified.as_ref()?.1)).max();
        let levels = levels(options, costs, outcomes.len(), certificate.unwrap_or_default());
        Self { sums: sums.pop().unwrap_or_default(), levels }
    }
}
