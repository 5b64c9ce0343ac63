//! Rounds with classes: the sum of each class that is large enough, and public weights on them.

use chorus_crypto::wire_struct;

use crate::{
    deliberation::tally::{Tally, Totals},
    ledger::Sealed,
    limits,
    log::entry::ClassPlan,
    opening::Block,
};

/// "Other": those who show no class, and those whose class is too small.
pub const OTHER: u16 = 0;

/// The ballots whose sum is opened together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassBlock {
    /// The class, or [`OTHER`].
    pub class: u16,
    /// The ballots, ascending.
    pub ballots: Vec<u32>,
}

/// Returns the one partition of a sealed set by class, in ascending order of classes.
///
/// A class of fewer than `class_floor` ballots is merged into "other"; while that has some ballots but fewer than `floor`,
/// the smallest class is merged into it, the last of equal ones.
pub fn class_blocks(classes: &[u16], class_floor: usize, floor: usize) -> Vec<ClassBlock> {
    let mut by_class = std::collections::BTreeMap::<u16, Vec<u32>>::new();
    for (ballot, class) in (0u32..).zip(classes) {
        by_class.entry(*class).or_default().push(ballot);
    }
    let mut other = by_class.remove(&OTHER).unwrap_or_default();
    by_class.retain(|_, ballots| {
        let stays = ballots.len() >= class_floor;
        if !stays {
            other.append(ballots);
        }
        stays
    });
    while !other.is_empty() && other.len() < floor {
        let smallest = by_class.iter().min_by_key(|(class, ballots)| (ballots.len(), u16::MAX - **class));
        let Some(class) = smallest.map(|(class, _)| *class) else { break };
        other.extend(by_class.remove(&class).unwrap_or_default());
    }
    other.sort_unstable();
    let rest = by_class.into_iter().map(|(class, ballots)| ClassBlock { class, ballots });
    let other = (!other.is_empty()).then_some(ClassBlock { class: OTHER, ballots: other });
    other.into_iter().chain(rest).collect()
}

/// Returns the partition of a sealed set.
pub(super) fn blocks_of(sealed: &Sealed, class_floor: u32, floor: u32) -> Vec<ClassBlock> {
    let classes: Vec<u16> = sealed.contributions.iter().map(|contribution| contribution.header.class).collect();
    class_blocks(&classes, class_floor as usize, floor as usize)
}

/// Returns the block of each contribution.
pub(super) fn assignment(blocks: &[&[u32]], contributions: usize) -> Vec<u8> {
    let mut assignment = vec![0; contributions];
    for (number, block) in (0u8..).zip(blocks) {
        for ballot in *block {
            if let Some(of) = assignment.get_mut(*ballot as usize) {
                *of = number;
            }
        }
    }
    assignment
}

/// Returns what is summed together.
pub(super) fn to_blocks(blocks: &[ClassBlock]) -> Vec<Block> {
    blocks.iter().map(|block| Block { ballots: block.ballots.clone() }).collect()
}

/// What a class said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassTotals {
    /// The class, or [`OTHER`].
    pub class: u16,
    /// How many ballots it has.
    pub ballots: u32,
    /// Its public weight.
    pub weight: u32,
    /// Its totals.
    pub totals: Totals,
}
wire_struct!(ClassTotals { class, ballots, weight, totals });

/// The classes of a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassReport {
    /// The classes, ascending.
    pub classes: Vec<ClassTotals>,
}
wire_struct!(ClassReport { classes[limits::MAX_CLASSES] });

impl ClassReport {
    pub(super) fn new(plan: &ClassPlan, blocks: &[ClassBlock], totals: Vec<Totals>) -> Self {
        let class = |(block, totals): (&ClassBlock, Totals)| ClassTotals {
            class: block.class,
            ballots: u32::try_from(block.ballots.len()).unwrap_or(u32::MAX),
            weight: plan.weights.get(usize::from(block.class)).copied().unwrap_or_default(),
            totals,
        };
        Self { classes: blocks.iter().zip(totals).map(class).collect() }
    }

    /// Returns `Σ_c w_c·S_c`.
    pub fn weighted(&self) -> Totals {
        let items = self.classes.first().map_or(0, |class| class.totals.items.len());
        let mut weighted = Totals { items: vec![Tally::default(); items] };
        for class in &self.classes {
            let times = |count: u64| count.saturating_mul(class.weight.into());
            for (sum, tally) in weighted.items.iter_mut().zip(&class.totals.items) {
                let more =
                    Tally { agree: times(tally.agree), disagree: times(tally.disagree), pass: times(tally.pass) };
                *sum = sum.plus(more);
            }
        }
        weighted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(classes: &[u16], class_floor: usize, floor: usize) -> Vec<(u16, usize)> {
        class_blocks(classes, class_floor, floor).iter().map(|block| (block.class, block.ballots.len())).collect()
    }

    fn of(counts: &[(u16, usize)]) -> Vec<u16> {
        counts.iter().flat_map(|(class, count)| vec![*class; *count]).collect()
    }

    #[test]
    fn small_classes_are_other_and_a_small_other_takes_the_smallest_class() {
        assert_eq!(sizes(&of(&[(1, 30), (2, 25), (0, 12)]), 20, 10), [(0, 12), (1, 30), (2, 25)]);
        assert_eq!(sizes(&of(&[(1, 30), (2, 19)]), 20, 10), [(0, 19), (1, 30)]);
        // One person alone in a class would be singled out as "other": another class goes with them.
        assert_eq!(sizes(&of(&[(1, 30), (2, 25), (3, 1)]), 20, 10), [(0, 26), (1, 30)]);
        assert_eq!(sizes(&of(&[(1, 25), (2, 25), (3, 1)]), 20, 10), [(0, 26), (1, 25)]);
        assert_eq!(sizes(&of(&[(1, 30), (0, 3)]), 20, 10), [(0, 33)]);
        assert_eq!(sizes(&[], 20, 10), []);
    }

    #[test]
    fn weights_multiply_public_sums() {
        let totals = |agree| Totals { items: vec![Tally { agree, disagree: 1, pass: 0 }] };
        let class = |class, weight, agree| ClassTotals { class, ballots: 20, weight, totals: totals(agree) };
        let report = ClassReport { classes: vec![class(0, 1, 4), class(2, 3, 5)] };

        assert_eq!(report.weighted().items, [Tally { agree: 19, disagree: 4, pass: 0 }]);
    }

    proptest! {
        #[test]
        fn every_ballot_is_in_one_block_and_no_block_is_small(
            classes in proptest::collection::vec(0u16..6, 0..200), class_floor in 10usize..30
        ) {
            let blocks = class_blocks(&classes, class_floor, 10);
            let mut all: Vec<u32> = blocks.iter().flat_map(|block| block.ballots.clone()).collect();
            all.sort_unstable();
            prop_assert!(all.iter().copied().eq(0..u32::try_from(classes.len()).expect("few")));
            prop_assert!(blocks.len() < 2 || blocks.iter().all(|block| block.ballots.len() >= 10));
        }
    }
}
