//! Votes and their exact totals; the column means and the trace that follow from totals alone.

use chorus_crypto::wire_struct;

use crate::limits::MAX_ITEMS;

/// One vote of [`Vote::Agree`] in the units of the PCA: means are rounded to 1/32 of a vote.
pub const VOTE_UNIT: i64 = 32;

/// What somebody said about one item. An item that was not shown has no vote.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Vote {
    /// For it.
    Agree,
    /// Against it.
    Disagree,
    /// Seen, and neither.
    Pass,
}

impl Vote {
    /// All votes, in the order of the rows of a ballot.
    pub const ALL: [Self; 3] = [Self::Agree, Self::Disagree, Self::Pass];

    /// Returns 1, −1 or 0.
    pub const fn value(self) -> i64 {
        match self {
            Self::Agree => 1,
            Self::Disagree => -1,
            Self::Pass => 0,
        }
    }

    /// Returns `x̃ = 32·vote − μ`, the centred vote on an item with mean `mu`.
    pub const fn centred(self, mu: i64) -> i64 {
        VOTE_UNIT * self.value() - mu
    }
}

/// How a set of ballots voted on one item.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many agreed.
    pub agree: u64,
    /// How many disagreed.
    pub disagree: u64,
    /// How many passed.
    pub pass: u64,
}
wire_struct!(Tally { agree, disagree, pass });

impl Tally {
    /// Returns how many saw the item.
    pub const fn seen(self) -> u64 {
        self.agree.saturating_add(self.disagree).saturating_add(self.pass)
    }

    /// Returns how many cast `vote`.
    pub const fn count(self, vote: Vote) -> u64 {
        match vote {
            Vote::Agree => self.agree,
            Vote::Disagree => self.disagree,
            Vote::Pass => self.pass,
        }
    }

    /// Counts one more `vote`.
    pub const fn add(&mut self, vote: Vote) {
        match vote {
            Vote::Agree => self.agree += 1,
            Vote::Disagree => self.disagree += 1,
            Vote::Pass => self.pass += 1,
        }
    }

    /// Returns the votes of both sets together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            agree: self.agree.saturating_add(other.agree),
            disagree: self.disagree.saturating_add(other.disagree),
            pass: self.pass.saturating_add(other.pass),
        }
    }
}

/// How a set of ballots voted, item by item.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// One tally per item of the poll, in the poll's order.
    pub items: Vec<Tally>,
}
wire_struct!(Totals { items[MAX_ITEMS] });

impl Totals {
    /// Returns `Σ_i ‖x̃_i‖²` over all ballots: the trace of the matrix whose axes the secret PCA looks for.
    ///
    /// Exact, and it needs no ballot: an agree contributes (32 − μ)², a disagree (32 + μ)², a pass μ².
    pub fn trace(&self) -> u128 {
        let square = |vote: Vote, mu: i64| u128::from(vote.centred(mu).unsigned_abs().pow(2));
        let item = |(tally, mu): (&Tally, i64)| -> u128 {
            Vote::ALL.into_iter().map(|vote| u128::from(tally.count(vote)) * square(vote, mu)).sum()
        };
        self.items.iter().zip(mu(self)).map(item).sum()
    }

    /// Returns the totals with each hidden item counted as passed by all of `ballots`, as Polis does for statements
    /// that were moderated out: they stay in the list but can neither unite nor divide anybody.
    #[must_use]
    pub fn hiding(&self, hidden: &[bool], ballots: u64) -> Self {
        let passed = Tally { pass: ballots, ..Tally::default() };
        let one = |(item, tally): (usize, &Tally)| if is_set(hidden, item) { passed } else { *tally };
        Self { items: self.items.iter().enumerate().map(one).collect() }
    }
}

/// Returns the column means μ, in units of 1/32 vote: `round-half-even(32·(agree − disagree)/seen)`, 0 if unseen.
pub fn mu(totals: &Totals) -> Vec<i64> {
    let mean = |tally: &Tally| {
        let difference = i128::from(tally.agree) - i128::from(tally.disagree);
        round_half_even(i128::from(VOTE_UNIT) * difference, i128::from(tally.seen()))
    };
    totals.items.iter().map(mean).collect()
}

/// Returns whether flag `item` is set; flags left out are not.
pub(crate) fn is_set(flags: &[bool], item: usize) -> bool {
    flags.get(item).copied().unwrap_or(false)
}

/// Returns `numerator / denominator` to the nearest integer, ties to even, and 0 over 0.
fn round_half_even(numerator: i128, denominator: i128) -> i64 {
    if denominator == 0 {
        return 0;
    }
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (2 * rest).cmp(&denominator) {
        core::cmp::Ordering::Less => 0,
        core::cmp::Ordering::Equal => floor.rem_euclid(2),
        core::cmp::Ordering::Greater => 1,
    };
    // A mean of votes is at most one vote; a saturated `seen` cannot take it beyond the sum of its parts.
    i64::try_from(floor + up).unwrap_or(0).clamp(-VOTE_UNIT, VOTE_UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(items: &[(u64, u64, u64)]) -> Totals {
        let tally = |&(agree, disagree, pass)| Tally { agree, disagree, pass };
        Totals { items: items.iter().map(tally).collect() }
    }

    #[test]
    fn means_round_half_to_even_and_unseen_items_have_none() {
        // 32·1/64 = ½ → 0, 32·3/64 = 1½ → 2, the same below zero, and an item nobody saw.
        let totals = totals(&[(1, 0, 63), (3, 0, 61), (0, 1, 63), (0, 3, 61), (0, 0, 0), (5, 0, 0), (0, 9, 0)]);

        assert_eq!(mu(&totals), [0, 2, 0, -2, 0, 32, -32]);
    }

    #[test]
    fn the_trace_of_totals_is_the_sum_of_squares_of_the_centred_votes() {
        // One item: agree, agree, disagree, pass: μ = 32·1/4 = 8.
        let trace = totals(&[(2, 1, 1)]).trace();

        assert_eq!(trace, 24 * 24 * 2 + 40 * 40 + 8 * 8);
    }

    #[test]
    fn absurd_totals_do_not_overflow() {
        let absurd = totals(&[(u64::MAX, u64::MAX, u64::MAX), (0, u64::MAX, u64::MAX)]);

        assert!(mu(&absurd).iter().all(|mean| mean.abs() <= VOTE_UNIT));
        assert!(absurd.trace() > 0);
    }
}
