//! How alike two results are: of partitions the adjusted Rand index, of rankings Spearman's correlation.

use std::collections::BTreeMap;

use super::linear::real;

/// Returns the adjusted Rand index of two labellings of the same things: 1 if they are the same partition, about 0 if
/// they have nothing to do with each other (Hubert and Arabie, *Comparing partitions*, 1985).
///
/// Things without a label in either are left out.
pub fn adjusted_rand_index(a: &[Option<usize>], b: &[Option<usize>]) -> f64 {
    let both: Vec<(usize, usize)> = a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let together = pairs_within(both.iter().copied());
    let left = pairs_within(both.iter().map(|(a, _)| *a));
    let right = pairs_within(both.iter().map(|(_, b)| *b));
    let n = real(both.len() as i128);
    let all = n * (n - 1.0) / 2.0;
    let expected = if all > 0.0 { left * right / all } else { 0.0 };
    let highest = (left + right) / 2.0;
    if highest > expected { (together - expected) / (highest - expected) } else { 1.0 }
}

/// Returns how many pairs of things have equal keys.
fn pairs_within<K: Ord>(keys: impl Iterator<Item = K>) -> f64 {
    let mut counts: BTreeMap<K, i128> = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_insert(0) += 1);
    real(counts.into_values().map(|n| n * (n - 1) / 2).sum())
}

/// Returns Spearman's rank correlation of two lists of numbers; equal numbers share their mean rank.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (real(a.len() as i128) - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    if spread > 0.0 { product(&a, &b) / spread } else { 1.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        real(below as i128) + (real(equal as i128) - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_knows_equal_partitions_and_a_textbook_value() {
        let labels = |text: &str| text.bytes().map(|b| (b != b'-').then_some(usize::from(b))).collect::<Vec<_>>();

        assert!((adjusted_rand_index(&labels("aabbc"), &labels("xxyyz")) - 1.0).abs() < 1e-15);
        assert!((adjusted_rand_index(&labels("aabb-"), &labels("xxyyz")) - 1.0).abs() < 1e-15);
        // Two pairs crossed: pairs together 0, expected 2·2/6.
        assert!((adjusted_rand_index(&labels("aabb"), &labels("abab")) - (-0.5)).abs() < 1e-15);
    }

    #[test]
    fn correlation_is_of_ranks_with_ties_shared() {
        assert!((rank_correlation(&[1.0, 5.0, 9.0], &[0.1, 0.2, 7.0]) - 1.0).abs() < 1e-15);
        assert!((rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-15);
        assert!(
            (rank_correlation(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]) - 0.948_683_298_050_513_8).abs() < 1e-12
        );
    }
}
