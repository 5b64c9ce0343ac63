//! From sums to adapters, in integers: everybody computes the same bytes.
//!
//! A mean counts in units of 2^-16 of a delta's unit ([`EXTRA_BITS`]), so that what rounding takes is far below what
//! encoding took. All divisions round half to even.

use super::manifest::{Centre, Ratio};

/// The bits by which means and adapters are finer than deltas.
pub const EXTRA_BITS: u8 = 16;

/// The sum of some people's deltas.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockSum {
    /// How many people.
    pub contributions: u32,
    /// Their sum, in units of a delta.
    pub sum: Vec<i64>,
}

/// Returns what stands for a class whose cohorts have these sums, in units of an adapter.
pub fn centre(cohorts: &[BlockSum], centre: Centre) -> Vec<i64> {
    let length = cohorts.first().map_or(0, |cohort| cohort.sum.len());
    let mean = || {
        let people: i128 = cohorts.iter().map(|cohort| i128::from(cohort.contributions)).sum();
        let at = |index| cohorts.iter().filter_map(|cohort| cohort.sum.get(index)).map(|sum| i128::from(*sum)).sum();
        (0..length).map(|index| fine(at(index), people)).collect()
    };
    let trimmed = match centre {
        Centre::Mean => return mean(),
        Centre::Median => cohorts.len().saturating_sub(1) / 2,
        // A class with too few cohorts to leave any out loses as many as a median would.
        Centre::TrimmedMean(trimmed) => usize::from(trimmed).min(cohorts.len().saturating_sub(1) / 2),
    };
    let mut sorted = Vec::with_capacity(cohorts.len());
    let mut middle = |index: usize| {
        sorted.clear();
        let one = |cohort: &BlockSum| {
            let sum = cohort.sum.get(index).copied().unwrap_or_default();
            fine(sum.into(), cohort.contributions.into())
        };
        sorted.extend(cohorts.iter().map(one));
        sorted.sort_unstable();
        let kept = sorted.get(trimmed..sorted.len() - trimmed).unwrap_or_default();
        narrow(divide(kept.iter().map(|value| i128::from(*value)).sum(), kept.len() as i128))
    };
    (0..length).map(&mut middle).collect()
}

/// Returns `Σ_c w_c·mean_c ÷ Σ_c w_c`; zeros if all weights are.
pub fn weigh(classes: &[Vec<i64>], weights: &[u64]) -> Vec<i64> {
    let length = classes.first().map_or(0, Vec::len);
    let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let at = |index: usize| {
        let weighed = |(mean, weight): (&Vec<i64>, &u64)| {
            i128::from(mean.get(index).copied().unwrap_or_default()) * i128::from(*weight)
        };
        narrow(divide(classes.iter().zip(weights).map(weighed).sum(), all))
    };
    (0..length).map(at).collect()
}

/// Returns `start + step · mean`; without a start, from zero.
pub fn advance(start: Option<&[i64]>, mean: &[i64], step: Ratio) -> Vec<i64> {
    let (numerator, denominator) = (i128::from(step.numerator), i128::from(step.denominator));
    let from = |index: usize| start.and_then(|start| start.get(index)).copied().unwrap_or_default();
    let moved = |(index, mean): (usize, &i64)| {
        narrow(i128::from(from(index)) + divide(i128::from(*mean) * numerator, denominator))
    };
    mean.iter().enumerate().map(moved).collect()
}

/// `sum ÷ people` in units of an adapter.
fn fine(sum: i128, people: i128) -> i64 {
    narrow(divide(sum << EXTRA_BITS, people))
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Divides, rounding half to even; zero if there is nothing to divide by.
fn divide(numerator: i128, denominator: i128) -> i128 {
    if denominator <= 0 {
        return 0;
    }
    let (quotient, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (2 * rest).cmp(&denominator) {
        core::cmp::Ordering::Less => false,
        core::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
        core::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: i64 = 1 << EXTRA_BITS;

    fn cohort(contributions: u32, sum: &[i64]) -> BlockSum {
        BlockSum { contributions, sum: sum.to_vec() }
    }

    #[test]
    fn halves_round_to_even() {
        let halves: Vec<i128> = [-5, -3, -1, 1, 3, 5].into_iter().map(|odd| divide(odd, 2)).collect();

        assert_eq!(halves, [-2, -2, 0, 0, 2, 2]);
        assert_eq!((divide(-7, 4), divide(7, 4), divide(1, 0)), (-2, 2, 0));
    }

    #[test]
    fn a_mean_is_that_of_all_people_and_not_of_the_cohorts() {
        assert_eq!(centre(&[cohort(1, &[8]), cohort(3, &[0])], Centre::Mean), [2 * UNIT]);
    }

    #[test]
    fn a_median_ignores_a_cohort_that_shouts() {
        let cohorts = [cohort(10, &[10, -10]), cohort(10, &[20, -20]), cohort(10, &[1_000_000, 1_000_000])];

        assert_eq!(centre(&cohorts, Centre::Median), [2 * UNIT, -UNIT]);
        assert_eq!(centre(&cohorts, Centre::TrimmedMean(1)), [2 * UNIT, -UNIT]);
        assert_eq!(centre(&cohorts[..2], Centre::Median), [3 * UNIT / 2, -3 * UNIT / 2]);
    }

    #[test]
    fn a_step_goes_on_from_where_the_round_began() {
        let step = Ratio { numerator: 3, denominator: 2 };

        assert_eq!(advance(Some(&[10, 10]), &[2, -3], step), [13, 6]);
        assert_eq!(advance(None, &[2, -2], step), [3, -3]);
    }

    proptest! {
        #[test]
        fn equal_weights_of_equal_classes_are_the_plain_mean(
            a in proptest::collection::vec(-1_000_000i64..1_000_000, 8),
            b in proptest::collection::vec(-1_000_000i64..1_000_000, 8),
        ) {
            let classes: Vec<Vec<i64>> =
                [&a, &b].map(|sum| centre(&[cohort(7, sum)], Centre::Mean)).to_vec();
            let both = centre(&[cohort(7, &a), cohort(7, &b)], Centre::Mean);

            let weighed = weigh(&classes, &[5, 5]);

            prop_assert!(weighed.iter().zip(&both).all(|(x, y)| x.abs_diff(*y) <= 1));
        }

        #[test]
        fn a_mean_is_within_half_a_unit_of_the_exact_one(sum in -1i64 << 40..1 << 40, people in 1u32..10_000) {
            let mean = centre(&[cohort(people, &[sum])], Centre::Mean);

            let error = (i128::from(mean[0]) * i128::from(people) - (i128::from(sum) << EXTRA_BITS)).abs();
            prop_assert!(2 * error <= i128::from(people));
        }
    }
}
