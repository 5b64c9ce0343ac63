//! The same analysis of a vote matrix in the clear, with a PCA in full precision.
//!
//! What the secret pipeline approximates, and what public Polis data can be checked against: from the same formulas,
//! given the same groups, come the same numbers.

use super::{
    StageError,
    bucket::MIN_VOTES,
    findings::{Findings, Moderation, Tallied},
    groups::{Partition, group},
    linear::{dot, fix_sign, orthonormal, real, symmetric_eigen},
    matrix::VoteMatrix,
    pca::omega_first,
    routing::extremity,
    same_size,
    tally::{Totals, is_set},
};

/// Participants that Polis takes into the conversation at least, by most votes, if there are so many.
const MIN_PARTICIPANTS: usize = 15;

/// Columns of the subspace iteration, and variances found by it.
const BLOCK: usize = 8;

/// Variances reported.
const VARIANCES: usize = 4;

/// Steps of the subspace iteration: the error of the axes shrinks by λ₉/λ₂ in each.
const STEPS: usize = 400;

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
    let in_conversation = in_conversation(matrix);
    let pca = pca(matrix, &totals, &options.moderation.hidden);
    let points = project(matrix, &pca, &in_conversation);
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
    let least = usize::from(MIN_VOTES).min(matrix.items());
    let cast = matrix.votes_cast();
    let mut rows: Vec<usize> = (0..cast.len()).collect();
    rows.sort_by(|&a, &b| cast[b].cmp(&cast[a]));
    let enough = rows.iter().filter(|&&row| cast[row] >= least).count();
    rows.truncate(enough.max(MIN_PARTICIPANTS));
    rows.sort_unstable();
    rows
}

/// Returns the principal components. Everybody's votes count, also those of people without a point.
pub fn pca(matrix: &VoteMatrix, totals: &Totals, hidden: &[bool]) -> Pca {
    let mean = |(item, tally): (usize, &super::tally::Tally)| {
        if is_set(hidden, item) || tally.seen() == 0 {
            return 0.0;
        }
        (real(tally.agree.into()) - real(tally.disagree.into())) / real(tally.seen().into())
    };
    let center: Vec<f64> = totals.items.iter().enumerate().map(mean).collect();
    let covariance = covariance(matrix, &center, hidden);
    let total_variance = covariance.iter().enumerate().fold(0.0, |sum, (item, row)| sum + row[item]);
    let mut pairs = dominant(&covariance);
    pairs.truncate(VARIANCES);
    let variance: Vec<f64> = pairs.iter().map(|(value, _)| value.max(0.0)).collect();
    pairs.truncate(2);
    let turned = |(_, mut axis): (f64, Vec<f64>)| {
        fix_sign(&mut axis);
        axis
    };
    Pca { center, axes: pairs.into_iter().map(turned).collect(), variance, total_variance }
}

/// Returns the centred votes of a row: 0 where there is none, or where the item is hidden.
fn centred(row: &[Option<super::tally::Vote>], center: &[f64], hidden: &[bool]) -> Vec<f64> {
    let one = |(item, (vote, center)): (usize, (&Option<super::tally::Vote>, &f64))| match vote {
        Some(vote) if !is_set(hidden, item) => real(vote.value().into()) - center,
        Some(_) | None => 0.0,
    };
    row.iter().zip(center).enumerate().map(one).collect()
}

fn covariance(matrix: &VoteMatrix, center: &[f64], hidden: &[bool]) -> Vec<Vec<f64>> {
    let items = matrix.items();
    let mut sums = vec![vec![0.0; items]; items];
    for row in matrix.rows() {
        let x = centred(row, center, hidden);
        for (sums, left) in sums.iter_mut().zip(&x).filter(|(_, left)| **left != 0.0) {
            sums.iter_mut().zip(&x).for_each(|(sum, right)| *sum += left * right);
        }
    }
    let degrees = real(matrix.rows().len() as i128 - 1).max(1.0);
    sums.iter_mut().flatten().for_each(|sum| *sum /= degrees);
    sums
}

/// Returns the largest eigenvalues of a symmetric matrix and their vectors, by subspace iteration.
fn dominant(matrix: &[Vec<f64>]) -> Vec<(f64, Vec<f64>)> {
    let size = matrix.len();
    let apply = |basis: &[Vec<f64>]| -> Vec<Vec<f64>> {
        basis.iter().map(|column| matrix.iter().map(|row| dot(row, column)).collect()).collect()
    };
    // A fixed start, of no secrecy: two blocks of four columns from the stream of Ω.
    let start =
        |seed: u8| omega_first([seed; 32], size, BLOCK / 2).map_or_else(|_| Vec::new(), |omega| omega.to_reals());
    let mut basis = orthonormal(&[start(0), start(1)].concat());
    for _ in 0..STEPS {
        basis = orthonormal(&apply(&basis));
    }
    let image = apply(&basis);
    let small: Vec<Vec<f64>> = basis.iter().map(|q| image.iter().map(|column| dot(q, column)).collect()).collect();
    let combine = |weights: Vec<f64>| -> Vec<f64> {
        (0..size).map(|row| basis.iter().zip(&weights).fold(0.0, |sum, (q, weight)| sum + q[row] * weight)).collect()
    };
    symmetric_eigen(&small).into_iter().map(|(value, weights)| (value, combine(weights))).collect()
}

/// Returns the projections as Polis has them: the sum over cast votes, times `√(items / votes cast)`.
fn project(matrix: &VoteMatrix, pca: &Pca, rows: &[usize]) -> Vec<Option<[f64; 2]>> {
    let mut points = vec![None; matrix.rows().len()];
    for &row in rows {
        let votes = &matrix.rows()[row];
        let x = centred(votes, &pca.center, &[]);
        let cast = votes.iter().flatten().count().max(1);
        let stretch = (real(matrix.items() as i128) / real(cast as i128)).sqrt();
        let along = |axis: usize| pca.axes.get(axis).map_or(0.0, |axis| dot(axis, &x) * stretch);
        points[row] = Some([along(0), along(1)]);
    }
    points
}

#[cfg(test)]
mod tests;
