//! Polis' statistics of a statement in a group: how clearly the group leans, and how clearly it differs from the rest.
//!
//! `p = (n + 1)/(S + 2)`; one-sample z = `2·√(S+1)·((n+1)/(S+1) − ½)`; two-sample z is the pooled test of proportions
//! with one added to all four counts. A z above 1.2816 is significant at 90 %, one-sided. Reproduces the lists that
//! Polis serves, statement by statement.

use core::cmp::Ordering;

use super::{
    linear::real,
    tally::{Tally, Totals, Vote, is_set},
};

/// The 90 % quantile of the normal distribution, to the digits that Polis uses.
const Z_90: f64 = 1.2816;

/// Statements in a list.
const LIST: usize = 5;

/// How a group leans on a statement, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lean {
    /// How many cast the vote.
    pub count: u64,
    /// How many saw the statement.
    pub seen: u64,
    /// `p = (count + 1)/(seen + 2)`.
    pub probability: f64,
    /// One-sample z: is it clearly more than half of the group?
    pub z: f64,
    /// p of the group ÷ p of all other groups together.
    pub ratio: f64,
    /// Two-sample z: is it clearly more than in the other groups?
    pub ratio_z: f64,
}

impl Lean {
    fn new(vote: Vote, group: Tally, others: Tally) -> Self {
        let (count, seen) = (group.count(vote), group.seen());
        let own = probability(count, seen);
        let ratio = own / probability(others.count(vote), others.seen());
        let ratio_z = two_sample_z((count, seen), (others.count(vote), others.seen()));
        Self { count, seen, probability: own, z: one_sample_z(count, seen), ratio, ratio_z }
    }

    fn is_significant(&self) -> bool {
        self.z > Z_90 && self.ratio_z > Z_90
    }

    fn metric(&self) -> f64 {
        self.ratio * self.ratio_z * self.probability * self.z
    }
}

/// How a group leans on a statement, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Leaning {
    /// Towards agreement.
    pub agree: Lean,
    /// Towards disagreement.
    pub disagree: Lean,
}

impl Leaning {
    /// Returns the direction in which the group differs more from the others, and the lean in that direction.
    pub fn chosen(&self) -> (Vote, Lean) {
        if self.agree.ratio_z > self.disagree.ratio_z {
            (Vote::Agree, self.agree)
        } else {
            (Vote::Disagree, self.disagree)
        }
    }

    /// Returns whether `self` is a better statement to show as one the group agrees with than `best` so far.
    fn beats(&self, best: Option<&Self>) -> bool {
        let agree = &self.agree;
        if agree.count == 0 && self.disagree.count == 0 {
            return false;
        }
        match best {
            Some(best) if best.agree.ratio > 1.0 => agree.metric() > best.agree.metric(),
            Some(best) => agree.probability * agree.z > best.agree.probability * best.agree.z,
            None => agree.z > Z_90 || (agree.ratio > 1.0 && agree.probability > 0.5),
        }
    }
}

/// One statement that tells a group apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Representative {
    /// The item.
    pub item: usize,
    /// Whether the group stands out by agreeing or by disagreeing.
    pub direction: Vote,
    /// The numbers, in that direction.
    pub lean: Lean,
    /// How many of the group agree, if this is shown as the statement the group agrees with most distinctly.
    pub best_agree: Option<u64>,
}

/// A statement on which most of all participants are of one mind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Majority {
    /// The item.
    pub item: usize,
    /// How many cast the vote.
    pub count: u64,
    /// How many saw the statement.
    pub seen: u64,
    /// `(count + 1)/(seen + 2)`.
    pub probability: f64,
    /// One-sample z.
    pub z: f64,
}

/// Returns how each group leans on each item, against all other groups together.
///
/// Hidden items must have been replaced by passes ([`Totals::hiding`]) if they are to be as Polis has them.
pub fn leanings(groups: &[Totals]) -> Vec<Vec<Leaning>> {
    let items = groups.iter().map(|group| group.items.len()).min().unwrap_or(0);
    let leaning = |group: usize, item: usize| {
        let others = groups.iter().enumerate().filter(|&(other, _)| other != group);
        let others = others.fold(Tally::default(), |sum, (_, totals)| sum.plus(totals.items[item]));
        let own = groups[group].items[item];
        Leaning { agree: Lean::new(Vote::Agree, own, others), disagree: Lean::new(Vote::Disagree, own, others) }
    };
    (0..groups.len()).map(|group| (0..items).map(|item| leaning(group, item)).collect()).collect()
}

/// Returns up to five statements that represent a group, given how it leans: agreements before disagreements.
pub fn representative(leanings: &[Leaning], hidden: &[bool]) -> Vec<Representative> {
    let visible = || leanings.iter().enumerate().filter(|&(item, _)| !is_set(hidden, item));
    let mut best: Option<(usize, &Leaning)> = None;
    for (item, leaning) in visible() {
        if leaning.beats(best.map(|(_, best)| best)) {
            best = Some((item, leaning));
        }
    }
    let listed = |(item, leaning): (usize, &Leaning)| {
        let (direction, lean) = leaning.chosen();
        Representative { item, direction, lean, best_agree: None }
    };
    let head =
        best.map(|(item, leaning)| Representative { best_agree: Some(leaning.agree.count), ..listed((item, leaning)) });
    let significant = |leaning: &Leaning| leaning.agree.is_significant() || leaning.disagree.is_significant();
    let mut sufficient: Vec<Representative> =
        visible().filter(|(_, leaning)| significant(leaning)).map(listed).collect();
    if sufficient.is_empty() {
        let strongest = || visible().map(listed).reduce(|a, b| if b.lean.ratio_z > a.lean.ratio_z { b } else { a });
        return head.or_else(strongest).into_iter().collect();
    }
    sufficient.sort_by(|a, b| descending(a.lean.metric(), b.lean.metric()));
    let rest = sufficient.into_iter().filter(|entry| best.is_none_or(|(item, _)| entry.item != item));
    let mut list: Vec<Representative> = head.into_iter().chain(rest).take(LIST).collect();
    list.sort_by_key(|entry| entry.direction != Vote::Agree);
    list
}

/// Returns up to five statements on which all participants together cast `vote`: p above ½ and z significant, by p·z.
pub fn majority(totals: &Totals, vote: Vote, hidden: &[bool]) -> Vec<Majority> {
    let entry = |(item, tally): (usize, &Tally)| {
        let (count, seen) = (tally.count(vote), tally.seen());
        Majority { item, count, seen, probability: probability(count, seen), z: one_sample_z(count, seen) }
    };
    let mut list: Vec<Majority> = totals.items.iter().enumerate().map(entry).collect();
    list.retain(|entry| !is_set(hidden, entry.item) && entry.probability > 0.5 && entry.z > Z_90);
    list.sort_by(|a, b| descending(a.probability * a.z, b.probability * b.z));
    list.truncate(LIST);
    list
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

fn probability(count: u64, seen: u64) -> f64 {
    (real(count.into()) + 1.0) / (real(seen.into()) + 2.0)
}

fn one_sample_z(count: u64, seen: u64) -> f64 {
    let trials = real(seen.into()) + 1.0;
    2.0 * trials.sqrt() * ((real(count.into()) + 1.0) / trials - 0.5)
}

fn two_sample_z(group: (u64, u64), others: (u64, u64)) -> f64 {
    let plus_one = |(count, seen): (u64, u64)| (real(count.into()) + 1.0, real(seen.into()) + 1.0);
    let ((n1, s1), (n2, s2)) = (plus_one(group), plus_one(others));
    let pooled = (n1 + n2) / (s1 + s2);
    let spread = pooled * (1.0 - pooled) * (1.0 / s1 + 1.0 / s2);
    if spread > 0.0 { (n1 / s1 - n2 / s2) / spread.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(items: &[(u64, u64, u64)]) -> Totals {
        Totals { items: items.iter().map(|&(agree, disagree, pass)| Tally { agree, disagree, pass }).collect() }
    }

    #[test]
    fn the_statistics_are_those_written_down() {
        // By hand: 8 of 8 agree here, 1 of 8 there.
        let groups = [totals(&[(8, 0, 0)]), totals(&[(1, 7, 0)])];

        let lean = leanings(&groups)[0][0].agree;

        assert!((lean.probability - 0.9).abs() < 1e-15);
        assert!((lean.z - 3.0).abs() < 1e-15);
        assert!((lean.ratio - 4.5).abs() < 1e-15);
        // (9/9 − 2/9) ÷ √(11/18 · 7/18 · 2/9)
        assert!((lean.ratio_z - 7.0 / 9.0 / (77.0 / 324.0 * 2.0 / 9.0_f64).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn unanimous_groups_differ_in_nothing() {
        let groups = [totals(&[(5, 0, 0)]), totals(&[(9, 0, 0)])];

        assert!(leanings(&groups)[0][0].agree.ratio_z.abs() < f64::EPSILON);
    }

    #[test]
    fn a_statement_nobody_answered_and_a_hidden_one_represent_nobody() {
        let groups = [totals(&[(0, 0, 9), (9, 0, 0), (8, 1, 0)]), totals(&[(0, 0, 9), (0, 9, 0), (0, 9, 0)])];
        let leanings = leanings(&groups);

        let items = |hidden: &[bool]| representative(&leanings[0], hidden).iter().map(|r| r.item).collect::<Vec<_>>();

        assert_eq!(items(&[]), [1, 2]);
        assert_eq!(items(&[false, true, false]), [2]);
    }

    #[test]
    fn agreements_come_first_and_only_the_best_is_marked() {
        let groups = [totals(&[(0, 30, 0), (30, 0, 0), (29, 1, 0)]), totals(&[(30, 0, 0), (0, 30, 0), (0, 30, 0)])];

        let list = representative(&leanings(&groups)[0], &[]);

        assert_eq!(
            list.iter().map(|entry| entry.direction).collect::<Vec<_>>(),
            [Vote::Agree, Vote::Agree, Vote::Disagree]
        );
        assert_eq!(list.iter().filter_map(|entry| entry.best_agree).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn a_majority_needs_more_than_half_and_significance() {
        let totals = totals(&[(9, 1, 0), (5, 5, 0), (1, 0, 0), (0, 20, 0)]);

        let items = |vote| majority(&totals, vote, &[]).iter().map(|entry| entry.item).collect::<Vec<_>>();

        assert_eq!(items(Vote::Agree), [0, 2]);
        assert_eq!(items(Vote::Disagree), [3]);
    }
}
