//! Whether a finished adapter is adopted.
//!
//! Models run in floating point, and operators need not agree to the last digit: for each group the lower median of what
//! n − f operators measured counts. With at most f liars among them it lies between two honest measurements.

use std::collections::BTreeMap;

use super::{entry::GroupScore, manifest::Gate};
use crate::id::BlobId;

/// What becomes of an adapter round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The round has no result yet.
    Unfinished,
    /// The round led to no adapter: too few contributions.
    Nothing,
    /// The sums wait for weights that f + 1 operators state.
    Unweighed,
    /// The adapter waits for n − f assessments.
    Candidate(BlobId),
    /// The adapter is the community's.
    Adopted(BlobId),
    /// Some group is worse off with the adapter: it is published with its report, and the one before it stays.
    Refused(BlobId),
}

/// Returns the median scores of each group, once `needed` operators have assessed the adapter.
pub fn medians(gate: &Gate, assessments: &BTreeMap<u8, Vec<GroupScore>>, needed: usize) -> Option<Vec<GroupScore>> {
    if assessments.len() < needed || assessments.is_empty() {
        return None;
    }
    let median = |group: usize, score: fn(&GroupScore) -> u16| {
        let mut scores: Vec<u16> = assessments.values().filter_map(|groups| groups.get(group)).map(score).collect();
        scores.sort_unstable();
        scores.get(scores.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    };
    let of_group = |group| GroupScore {
        candidate: median(group, |score| score.candidate),
        reference: median(group, |score| score.reference),
    };
    Some((0..usize::from(gate.groups)).map(of_group).collect())
}

/// Returns whether no group falls by more than the tolerance.
pub fn passes(gate: &Gate, medians: &[GroupScore]) -> bool {
    medians.iter().all(|score| score.candidate.saturating_add(gate.tolerance) >= score.reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RoundId;

    const GATE: Gate = Gate { round: RoundId::ZERO, groups: 2, held_out: 5, tolerance: 100 };

    fn said(scores: &[(u16, u16)]) -> Vec<GroupScore> {
        scores
            .iter()
            .map(|(candidate, reference)| GroupScore { candidate: *candidate, reference: *reference })
            .collect()
    }

    #[test]
    fn one_group_that_falls_is_enough_to_refuse() {
        assert!(passes(&GATE, &said(&[(9_000, 5_000), (4_900, 5_000)])));
        assert!(!passes(&GATE, &said(&[(9_000, 5_000), (4_899, 5_000)])));
    }

    #[test]
    fn one_liar_among_four_decides_nothing() {
        let honest = said(&[(8_000, 5_000), (7_000, 5_000)]);
        for lie in [said(&[(0, 10_000), (0, 10_000)]), said(&[(10_000, 0), (10_000, 0)])] {
            let assessments = BTreeMap::from([(1, honest.clone()), (2, lie), (3, honest.clone())]);

            assert_eq!(medians(&GATE, &assessments, 3), Some(honest.clone()));
            assert_eq!(medians(&GATE, &assessments, 4), None);
        }
    }
}
