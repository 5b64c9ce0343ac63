//! The same analysis of a vote matrix in the clear, with a PCA in full precision.
//!
//! What the secret pipeline approximates, and what public Polis data can be checked against: from the same formulas,
//! given the same groups, come the same numbers.

mod lanczos;

use super::{
    StageError,
    bucket::MIN_VOTES,
    findings::{Findings, Moderation, Tallied},
    groups::{Partition, group},
    linear::{fix_sign, real},
    matrix::VoteMatrix,
    pca::omega_first,
    routing::extremity,
    same_size,
    tally::{Totals, Vote, is_set},
};

/// Participants that Polis takes into the conversation at least, by most votes, if there are so many.
const MIN_PARTICIPANTS: usize = 15;

/// Variances reported.
const VARIANCES: usize = 4;

/// Starts of the search for them.
const STARTS: u8 = 8;

/// How to analyse.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The least number of ballots in a group.
    pub floor: usize,
    /// The number of groups, if it is not for the silhouette to choose.
    pub groups: Option<usize>,
    /// The group of each row, if groups are given and not made; rows without one belong to none.
    pub labels: Option<Vec<Option<usize>>>,
    /// What moderation says.
    pub moderation: Moderation,
}

/// The principal components of the centred votes, missing ones being average.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// The mean vote on each item; 0 for hidden items.
    pub center: Vec<f64>,
    /// The first two components, orthonormal, the first largest loading positive.
    pub axes: Vec<Vec<f64>>,
    /// The largest (up to four) variances.
    pub variance: Vec<f64>,
    /// The sum of all variances.
    pub total_variance: f64,
}

/// The result.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The exact totals.
    pub totals: Totals,
    /// The rows with enough votes to have a point, as Polis decides it.
    pub in_conversation: Vec<usize>,
    /// The principal components.
    pub pca: Pca,
    /// The place of each row on the map, if it has one.
    pub points: Vec<Option<[f64; 2]>>,
    /// The partition that was made, unless groups were given.
    pub partition: Option<Partition>,
    /// The group of each row.
    pub labels: Vec<Option<usize>>,
    /// The size of each group.
    pub sizes: Vec<usize>,
    /// The tallies of each group.
    pub groups: Vec<Totals>,
    /// How extreme each item is.
    pub extremity: Vec<f64>,
    /// All that follows from the tallies.
    pub findings: Findings,
}

/// Analyses a vote matrix.
///
/// # Errors
///
/// Returns [`StageError::Shape`] if labels are given for another number of rows.
pub fn analyze(matrix: &VoteMatrix, options: &Options) -> Result<Analysis, StageError> {
    let totals = matrix.totals();
    let cast = matrix.votes_cast();
    let in_conversation = with_enough_votes(matrix.items(), &cast);
    let center = center(&totals, &options.moderation.hidden);
    let votes = CentredVotes::new(matrix, &center, &options.moderation.hidden);
    let pca = votes.components(center);
    let points = votes.project(&pca, &in_conversation, &cast);
    let partition = match &options.labels {
        Some(labels) => {
            same_size("labels", matrix.rows().len(), labels.len())?;
            None
        }
        None => Some(group(&points, options.floor, options.groups)),
    };
    let labels = match (&partition, &options.labels) {
        (None, Some(labels)) => labels.clone(),
        (Some(partition), _) => partition.groups(),
        (None, None) => Vec::new(),
    };
    let count = labels.iter().flatten().map(|label| label + 1).max().unwrap_or(0);
    let sizes: Vec<usize> =
        (0..count).map(|group| labels.iter().filter(|label| **label == Some(group)).count()).collect();
    let groups = matrix.group_totals(&labels, count);
    let extremity = extremity(&pca.center, &pca.axes);
    let findings = Findings::new(Tallied {
        totals: &totals,
        groups: &groups,
        sizes: &sizes,
        extremity: &extremity,
        moderation: &options.moderation,
    });
    Ok(Analysis { totals, in_conversation, pca, points, partition, labels, sizes, groups, extremity, findings })
}

/// Returns the rows with at least `min(7, items)` votes, and if they are fewer than fifteen those with the most votes.
pub fn in_conversation(matrix: &VoteMatrix) -> Vec<usize> {
    with_enough_votes(matrix.items(), &matrix.votes_cast())
}

fn with_enough_votes(items: usize, cast: &[usize]) -> Vec<usize> {
    let least = usize::from(MIN_VOTES).min(items);
    let mut rows: Vec<usize> = (0..cast.len()).collect();
    rows.sort_by(|&a, &b| cast[b].cmp(&cast[a]));
    let enough = rows.iter().filter(|&&row| cast[row] >= least).count();
    rows.truncate(enough.max(MIN_PARTICIPANTS));
    rows.sort_unstable();
    rows
}

/// Returns the principal components. Everybody's votes count, also those of people without a point.
pub fn pca(matrix: &VoteMatrix, totals: &Totals, hidden: &[bool]) -> Pca {
    let center = center(totals, hidden);
    CentredVotes::new(matrix, &center, hidden).components(center)
}

/// Returns the mean vote on each item; 0 for hidden ones.
fn center(totals: &Totals, hidden: &[bool]) -> Vec<f64> {
    let mean = |(item, tally): (usize, &super::tally::Tally)| {
        if is_set(hidden, item) || tally.seen() == 0 {
            return 0.0;
        }
        (real(tally.agree.into()) - real(tally.disagree.into())) / real(tally.seen().into())
    };
    totals.items.iter().enumerate().map(mean).collect()
}

/// Kinds of votes.
const KINDS: usize = 3;

/// The centred votes that were cast; all others are 0, as are those on hidden items.
///
/// A vote is one of three on an item: sums over votes are sums over what such a vote counts.
struct CentredVotes {
    /// Of each vote, the item and the kind, `KINDS·item + kind`, row by row.
    votes: Vec<u32>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// The centred value of each kind of vote on each item.
    values: Vec<f64>,
    items: usize,
    /// What sums over the rows are divided by.
    degrees: f64,
}

impl CentredVotes {
    fn new(matrix: &VoteMatrix, center: &[f64], hidden: &[bool]) -> Self {
        let kinds: [(Vote, u32); KINDS] = [(Vote::Agree, 0), (Vote::Disagree, 1), (Vote::Pass, 2)];
        let values = center.iter().flat_map(|center| kinds.map(|(vote, _)| real(vote.value().into()) - center));
        let kind = |vote: Vote| kinds.iter().find_map(|(other, kind)| (*other == vote).then_some(*kind));
        let firsts: Vec<u32> = (0..).step_by(KINDS).take(matrix.items()).collect();
        let (mut votes, mut ends) = (Vec::new(), Vec::with_capacity(matrix.rows().len()));
        for row in matrix.rows() {
            let shown = |(item, (vote, first)): (usize, (&Option<Vote>, &u32))| {
                let vote = (*vote)?;
                if is_set(hidden, item) { None } else { Some(first + kind(vote)?) }
            };
            votes.extend(row.iter().zip(&firsts).enumerate().filter_map(shown));
            ends.push(votes.len());
        }
        let degrees = real(matrix.rows().len() as i128 - 1).max(1.0);
        Self { votes, ends, values: values.collect(), items: matrix.items(), degrees }
    }

    fn rows(&self) -> impl Iterator<Item = &[u32]> {
        let starts = core::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.votes[*start..*end])
    }

    fn row(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.votes[start..self.ends[row]]
    }

    fn components(&self, center: Vec<f64>) -> Pca {
        let starts = (0..STARTS).map(|number| self.start(number));
        let mut pairs = lanczos::largest(VARIANCES, starts, |vector| self.covariance_times(vector));
        let variance: Vec<f64> = pairs.iter().map(|(value, _)| value.max(0.0)).collect();
        pairs.truncate(2);
        let turned = |(_, mut axis): (f64, Vec<f64>)| {
            fix_sign(&mut axis);
            axis
        };
        let axes = pairs.into_iter().map(turned).collect();
        Pca { center, axes, variance, total_variance: self.total_variance() }
    }

    /// Returns the projections as Polis has them: the sum over cast votes, times `√(items / votes cast)`. No axis leads
    /// along hidden items.
    fn project(&self, pca: &Pca, rows: &[usize], cast: &[usize]) -> Vec<Option<[f64; 2]>> {
        let tables: Vec<Vec<f64>> = pca.axes.iter().map(|axis| self.along(axis)).collect();
        let mut points = vec![None; cast.len()];
        for &row in rows {
            let stretch = (real(self.items as i128) / real(cast[row].max(1) as i128)).sqrt();
            let along = |axis: usize| tables.get(axis).map_or(0.0, |table| sum(self.row(row), table) * stretch);
            points[row] = Some([along(0), along(1)]);
        }
        points
    }

    fn total_variance(&self) -> f64 {
        let squares: Vec<f64> = self.values.iter().map(|value| value * value).collect();
        self.rows().map(|row| sum(row, &squares)).sum::<f64>() / self.degrees
    }

    /// Returns what each kind of vote on each item adds to a product with `vector`.
    fn along(&self, vector: &[f64]) -> Vec<f64> {
        let of_item = |(values, entry): (&[f64; KINDS], &f64)| values.map(|value| value * entry);
        self.values.as_chunks().0.iter().zip(vector).flat_map(of_item).collect()
    }

    /// Returns the product of the items' covariance and a vector, in time that grows with the votes that were cast.
    fn covariance_times(&self, vector: &[f64]) -> Vec<f64> {
        let along = self.along(vector);
        let mut shares = vec![0.0; self.values.len()];
        for row in self.rows() {
            let along = sum(row, &along);
            row.iter().for_each(|vote| shares[*vote as usize] += along);
        }
        let (shares, values) = (shares.as_chunks::<KINDS>().0, self.values.as_chunks::<KINDS>().0);
        let product = |shares: &[f64; KINDS], values: &[f64; KINDS]| -> f64 {
            shares.iter().zip(values).map(|(share, value)| share * value).sum()
        };
        shares.iter().zip(values).map(|(shares, values)| product(shares, values) / self.degrees).collect()
    }

    /// Returns a fixed vector, of no secrecy, that is 0 where all votes are average.
    fn start(&self, number: u8) -> Vec<f64> {
        let mut is_there = vec![false; self.items];
        self.votes.iter().for_each(|vote| is_there[*vote as usize / KINDS] |= self.values[*vote as usize] != 0.0);
        let column = omega_first([number; 32], self.items, 1).ok().and_then(|omega| omega.to_reals().pop());
        let entries = column.unwrap_or_default().into_iter().zip(is_there);
        entries.map(|(entry, is_there)| if is_there { entry } else { 0.0 }).collect()
    }
}

/// Returns the sum of what the votes of a row count: four sums at a time, as each addition waits for the one before it.
fn sum(row: &[u32], table: &[f64]) -> f64 {
    let (fours, rest) = row.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for four in fours {
        sums.iter_mut().zip(four).for_each(|(sum, vote)| *sum += table[*vote as usize]);
    }
    rest.iter().fold(sums.iter().sum(), |sum, vote| sum + table[*vote as usize])
}

#[cfg(test)]
mod tests;
