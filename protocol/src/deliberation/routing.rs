//! What to show next, and which statements divide. Computed from public numbers: nobody learns what somebody was shown.

use super::{
    linear::real,
    map::Map,
    tally::{Tally, Totals, VOTE_UNIT, is_set},
};

/// The priority that Polis gives questions about the participant.
const META_PRIORITY: f64 = 49.0;

/// An extremity above this divides.
const DIVISIVE: f64 = 1.0;

/// `2^(−r/5)` for r = 0..5, so that the decay with the number of views needs no power function.
const FIFTH_ROOTS: [f64; 5] =
    [1.0, 0.870_550_563_296_124_1, 0.757_858_283_255_199, 0.659_753_955_386_447_1, 0.574_349_177_498_517_4];

/// Returns how far from the middle of the map somebody would be who agreed with one statement and saw nothing else:
/// `√items·(1 − c_j)·‖w_j‖`, for the mean `center` of the votes and unit vectors `axes`.
pub fn extremity(center: &[f64], axes: &[Vec<f64>]) -> Vec<f64> {
    let stretch = real(center.len() as i128).sqrt();
    let length = |item: usize| {
        let square = axes.iter().map(|axis| axis.get(item).map_or(0.0, |w| w * w)).fold(0.0, |a, b| a + b);
        square.sqrt()
    };
    center.iter().enumerate().map(|(item, c)| stretch * (1.0 - c) * length(item)).collect()
}

/// Returns the extremity of each item on an opened map, or zeros where there is none.
pub fn map_extremity(mu: &[i64], map: Option<&Map>) -> Vec<f64> {
    let center: Vec<f64> = mu.iter().map(|&mu| real(mu.into()) / real(VOTE_UNIT.into())).collect();
    let unit = |axis: &super::map::Axis| {
        let length = real(axis.square().into()).sqrt();
        axis.loadings.iter().map(|&p| real(p.into()) / length).collect()
    };
    let axes: Vec<Vec<f64>> = map.map_or_else(Vec::new, |map| map.axes.iter().map(unit).collect());
    extremity(&center, &axes)
}

/// Returns the divisive items: those with an extremity above 1, the most extreme first.
pub fn divisive(extremity: &[f64], hidden: &[bool]) -> Vec<usize> {
    let mut items: Vec<usize> = (0..extremity.len()).collect();
    items.retain(|&item| extremity[item] > DIVISIVE && !is_set(hidden, item));
    items.sort_by(|&a, &b| extremity[b].total_cmp(&extremity[a]));
    items
}

/// Returns the weight with which a node draws each item as the next to show.
///
/// `importance = (1 − (P+1)/(S+2))·(1 + E)·(A+1)/(S+2)` and `priority = (importance·(1 + 8·2^(−S/5)))²`, with the
/// counts A, P, S of all groups together and extremity E: little passed over, dividing, agreed with, and new.
pub fn priorities(groups: &[Totals], extremity: &[f64], meta: &[bool]) -> Vec<f64> {
    let sum = |item: usize| {
        let tallies = groups.iter().filter_map(|group| group.items.get(item));
        tallies.fold(Tally::default(), |sum, tally| sum.plus(*tally))
    };
    let one = |(item, &extremity): (usize, &f64)| {
        if is_set(meta, item) { META_PRIORITY } else { priority(sum(item), extremity) }
    };
    extremity.iter().enumerate().map(one).collect()
}

/// Returns the weight of an item that nobody has been asked about yet.
pub fn fresh_priority(is_meta: bool) -> f64 {
    if is_meta { META_PRIORITY } else { priority(Tally::default(), 0.0) }
}

/// Draws one of several items with chances in proportion to their weights. `ticket` is uniform in [0, 1); weights that are
/// no positive numbers are never drawn, unless there are no others: then the chances are equal.
pub fn draw(weights: &[f64], ticket: f64) -> Option<usize> {
    let usable = |weight: f64| if weight.is_finite() && weight > 0.0 { weight } else { 0.0 };
    let total = weights.iter().fold(0.0, |sum, weight| sum + usable(*weight));
    if total <= 0.0 || !total.is_finite() {
        let all = real(i128::try_from(weights.len()).ok()?);
        let place = (0..weights.len()).take_while(|place| real(*place as i128 + 1) <= ticket * all).count();
        return (!weights.is_empty()).then(|| place.min(weights.len() - 1));
    }
    let mut left = ticket * total;
    let mut last = None;
    for (place, weight) in weights.iter().map(|weight| usable(*weight)).enumerate().filter(|(_, weight)| *weight > 0.0)
    {
        last = Some(place);
        if left < weight {
            break;
        }
        left -= weight;
    }
    last
}

fn priority(tally: Tally, extremity: f64) -> f64 {
    let share = |count: u64| (real(count.into()) + 1.0) / (real(tally.seen().into()) + 2.0);
    let importance = (1.0 - share(tally.pass)) * (1.0 + extremity) * share(tally.agree);
    let weighted = importance * (1.0 + 8.0 * novelty(tally.seen()));
    weighted * weighted
}

/// Returns `2^(−seen/5)`, exactly halved every five views.
fn novelty(seen: u64) -> f64 {
    let [halvings, rest] = [seen / 5, seen % 5];
    let start = usize::try_from(rest).ok().and_then(|rest| FIFTH_ROOTS.get(rest)).copied().unwrap_or(1.0);
    // After 1,100 halvings every double has become zero.
    (0..halvings.min(1_100)).fold(start, |value, _| value / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decay_is_a_fifth_root_of_two_per_view() {
        for seen in 0..60_u32 {
            let expected = (f64::from(seen) / -5.0).exp2();
            assert!((novelty(seen.into()) - expected).abs() <= expected * 1e-14, "{seen}");
        }
        assert!(novelty(u64::MAX).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn fresh_and_agreeable_items_come_first_and_meta_ones_have_a_fixed_weight() {
        let tally = |agree, disagree, pass| Tally { agree, disagree, pass };
        let group = Totals { items: vec![tally(40, 5, 5), tally(0, 0, 0), tally(5, 40, 5), tally(9, 9, 9)] };

        let weights = priorities(&[group], &[0.5; 4], &[false, false, false, true]);

        assert!(weights[1] > weights[0] && weights[0] > weights[2]);
        assert!((weights[3] - 49.0).abs() < f64::EPSILON);
        // Nobody saw item 1: (1 − ½)·1.5·½·9, squared.
        assert!((weights[1] - (0.375 * 9.0_f64).powi(2)).abs() < 1e-12);
    }

    #[test]
    fn items_are_drawn_in_proportion_to_their_weights() {
        let weights = [1.0, 0.0, 3.0, f64::NAN, 4.0, f64::INFINITY];
        let mut drawn = [0u32; 6];

        (0..800).for_each(|ticket| drawn[draw(&weights, f64::from(ticket) / 800.0).expect("an item")] += 1);

        assert_eq!(drawn, [100, 0, 300, 0, 400, 0]);
        assert_eq!([0.0, 0.4, 0.99].map(|ticket| draw(&[0.0, f64::NAN, -1.0], ticket)), [Some(0), Some(1), Some(2)]);
        assert_eq!(draw(&[], 0.5), None);
        assert!(fresh_priority(true) > fresh_priority(false));
    }

    #[test]
    fn extremity_is_the_place_of_somebody_who_only_agreed_with_that() {
        let lengths = extremity(&[0.5, -1.0, 0.0, 1.0], &[vec![0.6, 0.0, 0.8, 1.0], vec![0.8, 0.0, 0.6, 1.0]]);

        assert!((lengths[0] - 1.0).abs() < 1e-15);
        assert!((lengths[2] - 2.0).abs() < 1e-15);
        assert!(lengths[1].abs() < 1e-15 && lengths[3].abs() < 1e-15);
        assert_eq!(divisive(&lengths, &[]), [2]);
        assert_eq!(divisive(&[3.0, 2.0, 4.0], &[false, false, true]), [0, 1]);
    }
}
