//! Whether a finished adapter is adopted.
//!
//! Models run in floating point, and operators need not agree to the last digit: for each group the lower median of what
//! n − f operators measured counts. With at most f liars among them it lies between two honest measurements.
//!
//! What the model is asked about follows from the log: the [`positions`] that the groups of the gate's round take.
//! Of these, one in so many is held out of everybody's training.

use std::collections::BTreeMap;

use chorus_crypto::{domain, hash};

use super::{entry::GroupScore, manifest::Gate};
use crate::{deliberation::tally::Tally, id::BlobId, round::report::RoundReport};

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

/// What a group says about a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stance {
    /// It is for it.
    For,
    /// It is against it.
    Against,
}

impl Stance {
    /// Returns what a group says that voted so: what two thirds of those who have seen the statement say; `None` if there
    /// is no such majority.
    pub const fn of(tally: &Tally) -> Option<Self> {
        let needed = tally.seen().saturating_mul(2);
        match (tally.agree.saturating_mul(3) >= needed, tally.disagree.saturating_mul(3) >= needed) {
            (true, false) => Some(Self::For),
            (false, true) => Some(Self::Against),
            // Nobody has seen it, or there are two sides.
            (true, true) | (false, false) => None,
        }
    }
}

/// A statement on which a group takes a side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The statement.
    pub item: BlobId,
    /// The side.
    pub stance: Stance,
    /// Whether it is held out of training.
    pub held_out: bool,
}

impl Gate {
    /// Returns whether a statement of the gate's round is held out of training.
    ///
    /// Who proposes a statement cannot know: it depends on the round, which is planned later.
    pub fn holds_out(&self, item: &BlobId) -> bool {
        let digest = hash::digest(domain::HELD_OUT, &(self.round, *item));
        let (number, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        u64::from_le_bytes(*number).is_multiple_of(self.held_out.max(1).into())
    }
}

/// Returns the positions of each group of the gate's round, in the order of its ballot.
pub fn positions(gate: &Gate, report: &RoundReport) -> Vec<Vec<Position>> {
    let position = |(item, tally): (&BlobId, &Tally)| {
        let stance = Stance::of(tally)?;
        Some(Position { item: *item, stance, held_out: gate.holds_out(item) })
    };
    let groups = report.groups();
    groups.iter().map(|totals| report.items.iter().zip(&totals.items).filter_map(position).collect()).collect()
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

    const FIRST_HELD_OUT: [usize; 8] = [18, 19, 26, 28, 32, 33, 37, 38];

    fn said(scores: &[(u16, u16)]) -> Vec<GroupScore> {
        scores
            .iter()
            .map(|(candidate, reference)| GroupScore { candidate: *candidate, reference: *reference })
            .collect()
    }

    #[test]
    fn one_statement_in_so_many_is_held_out_and_which_depends_on_the_round() {
        let items: Vec<BlobId> = (0..5_000u32).map(|text| BlobId::of(&text.to_le_bytes())).collect();
        let other = Gate { round: RoundId::from([1; 32]), ..GATE };
        let all = Gate { held_out: 1, ..GATE };

        let held_out = items.iter().filter(|item| GATE.holds_out(item)).count();
        let both = items.iter().filter(|item| GATE.holds_out(item) && other.holds_out(item)).count();

        assert!((900..1_100).contains(&held_out), "about a fifth: {held_out}");
        assert!((140..260).contains(&both), "about a fifth of the fifth: {both}");
        assert!(items.iter().all(|item| all.holds_out(item)));
        // The rule is fixed: what one node trains on, another must not be asked about.
        let first: Vec<usize> = (0..40).filter(|index| GATE.holds_out(&items[*index])).collect();
        assert_eq!(first, FIRST_HELD_OUT);
    }

    #[test]
    fn a_group_takes_a_side_with_two_thirds_of_those_who_have_seen_the_statement() {
        let stance = |agree, disagree, pass| Stance::of(&Tally { agree, disagree, pass });

        assert_eq!(
            (stance(2, 1, 0), stance(2, 0, 1), stance(0, 4, 2)),
            (Some(Stance::For), Some(Stance::For), Some(Stance::Against))
        );
        assert_eq!((stance(0, 0, 0), stance(3, 3, 0), stance(5, 2, 1)), (None, None, None));
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
