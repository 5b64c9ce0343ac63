//! Weights of classes with which the worst-off group is best off, by multiplicative weights.
//!
//! Whose voice weighs how much is decided after the sums are open, on public evaluations of groups: nobody's own adapter is
//! needed (agnostic federated learning, Mohri, Sivek and Suresh 2019). In each step the weight of a class grows by up to
//! `rate` in proportion to how far its group lags behind the best one. The mean of all weights tried converges to a minimax
//! point where a score is concave in the weights; a model's need not be, so what was tried is kept, and the best of all
//! counts. The weights begin with those that people's numbers give, and ties go to the earlier: nobody is weighed down for
//! nothing.

/// The sum of the weights that are tried: fine enough for every step, and no weight exceeds
/// [`MAX_WEIGHT`](crate::limits::MAX_WEIGHT).
const WHOLE: f64 = 1_000_000.0;

/// How long and how boldly to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// How many times the weights are changed; there are two evaluations more.
    pub steps: usize,
    /// By how much the weight of the group that lags most grows in a step, as a part of it.
    pub rate: f64,
}

/// Weights, and what came of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The weight of each class.
    pub weights: Vec<u32>,
    /// The score of each class's group; `None` for a class that is no group.
    pub scores: Vec<Option<f64>>,
}

impl Trial {
    /// Returns the score of the group that is worst off; `None` if there is no group.
    pub fn worst(&self) -> Option<f64> {
        self.scores.iter().flatten().copied().reduce(f64::min)
    }

    fn best(&self) -> Option<f64> {
        self.scores.iter().flatten().copied().reduce(f64::max)
    }
}

/// Searches for weights with which the worst score is largest, and returns the best that was tried.
///
/// `evaluate` returns the score of each class's group with such weights, larger is better, and `None` for a class that is no
/// group, whose share of the whole then stays. `None` is returned if there is nothing to weigh.
///
/// # Errors
///
/// Returns what `evaluate` returns.
pub fn minimax<E>(
    start: &[u32],
    search: Search,
    mut evaluate: impl FnMut(&[u32]) -> Result<Vec<Option<f64>>, E>,
) -> Result<Option<Trial>, E> {
    let all: f64 = start.iter().copied().map(f64::from).sum();
    if all <= 0.0 {
        return Ok(None);
    }
    let mut shares: Vec<f64> = start.iter().map(|weight| f64::from(*weight) / all).collect();
    let mut sums = vec![0.0; shares.len()];
    let mut best: Option<Trial> = None;
    let mut attempt = |shares: &[f64], best: &mut Option<Trial>| -> Result<Trial, E> {
        let weights = whole(shares);
        let scores = evaluate(&weights)?;
        let trial = Trial { weights, scores };
        if best.as_ref().is_none_or(|best| trial.worst() > best.worst()) {
            *best = Some(trial.clone());
        }
        Ok(trial)
    };
    for _ in 0..=search.steps {
        let trial = attempt(&shares, &mut best)?;
        sums.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share);
        if !shift(&mut shares, &trial, search.rate) {
            break;
        }
    }
    let all: f64 = sums.iter().sum();
    let mean: Vec<f64> = sums.iter().map(|sum| sum / all).collect();
    attempt(&mean, &mut best)?;
    Ok(best)
}

/// Raises the weights of groups that lag behind. Returns whether there was anything to change.
fn shift(shares: &mut [f64], trial: &Trial, rate: f64) -> bool {
    let (Some(worst), Some(best)) = (trial.worst(), trial.best()) else { return false };
    let spread = best - worst;
    if spread.is_nan() || spread <= 0.0 {
        return false;
    }
    let groups = |shares: &[f64]| -> f64 {
        shares.iter().zip(&trial.scores).filter(|(_, score)| score.is_some()).map(|(share, _)| share).sum()
    };
    let before = groups(shares);
    for (share, score) in shares.iter_mut().zip(&trial.scores) {
        if let Some(score) = score {
            *share *= 1.0 + rate * (best - score) / spread;
        }
    }
    let after = groups(shares);
    for (share, score) in shares.iter_mut().zip(&trial.scores) {
        if score.is_some() && after > 0.0 {
            *share *= before / after;
        }
    }
    true
}

/// Returns the weights in whole numbers; a share that is not zero is at least 1.
fn whole(shares: &[f64]) -> Vec<u32> {
    let weight = |share: &f64| if *share > 0.0 { (share * WHOLE).round().clamp(1.0, WHOLE) } else { 0.0 };
    shares.iter().map(weight).map(|weight| weight as u32).collect()
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use super::*;
    use crate::limits;

    const SEARCH: Search = Search { steps: 40, rate: 0.5 };

    /// Two groups that want opposite things, in the proportion 80 to 20; the first also has an easier time.
    fn tug_of_war(weights: &[u32]) -> Result<Vec<Option<f64>>, Infallible> {
        let all: f64 = weights.iter().copied().map(f64::from).sum();
        let share = |place: usize| f64::from(weights[place]) / all;
        Ok(vec![Some(2.0 * share(0) - 0.5), Some(share(1) - 0.3)])
    }

    #[test]
    fn the_minority_ends_where_no_group_can_gain_without_the_other_losing_more() {
        let trial = minimax(&[80, 20], SEARCH, tug_of_war).expect("scores").expect("weights");

        // 2a − ½ = (1 − a) − 0.3 at a = 0.4.
        let share = f64::from(trial.weights[0]) / f64::from(trial.weights.iter().sum::<u32>());
        assert!((share - 0.4).abs() < 0.03, "{share}");
        let plain = tug_of_war(&[80, 20]).expect("scores");
        assert!(plain[1] < Some(0.0) && trial.worst() > Some(0.2), "{trial:?}");
    }

    #[test]
    fn weights_that_nobody_lags_behind_with_stay_as_they_were() {
        let mut asked = 0;
        let alike = |_: &[u32]| {
            asked += 1;
            Ok::<_, Infallible>(vec![Some(1.0), Some(1.0)])
        };

        let trial = minimax(&[3, 1], SEARCH, alike).expect("scores").expect("weights");

        assert_eq!((trial.weights.as_slice(), asked), (&[750_000, 250_000][..], 2));
    }

    #[test]
    fn a_class_that_is_no_group_keeps_its_share() {
        let scores = |weights: &[u32]| {
            let two = tug_of_war(&weights[1..])?;
            Ok::<_, Infallible>(vec![None, two[0], two[1]])
        };

        let trial = minimax(&[10, 60, 30], SEARCH, scores).expect("scores").expect("weights");

        assert!(trial.weights[0].abs_diff(100_000) <= 1, "{trial:?}");
        assert!(trial.weights[2] > 400_000, "{trial:?}");
        assert!(trial.weights.iter().all(|weight| *weight <= limits::MAX_WEIGHT));
    }

    #[test]
    fn nothing_to_weigh_and_a_failing_evaluation_are_told() {
        assert_eq!(minimax(&[0, 0], SEARCH, tug_of_war), Ok(None));
        assert_eq!(minimax(&[1, 1], SEARCH, |_| Err("no model")), Err("no model"));
        let none = minimax(&[1, 1], SEARCH, |_| Ok::<_, Infallible>(vec![None, None])).expect("no scores");
        assert_eq!(none.and_then(|trial| trial.worst()), None);
    }

    #[test]
    fn a_score_that_is_no_number_ends_the_search() {
        let trial = minimax(&[1, 1], SEARCH, |_| Ok::<_, Infallible>(vec![Some(f64::NAN), Some(f64::NAN)]));

        assert!(trial.expect("scores").is_some());
    }
}
