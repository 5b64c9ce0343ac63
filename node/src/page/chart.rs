//! Charts: numbers of the result as places in a drawing. The templates draw them as SVG, with the same in words beside it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::view;

/// The drawing's width and height.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;

/// What is left free at the edges.
const MARGIN: f64 = 34.0;

/// Points from which near ones are drawn as one.
const MANY: usize = 600;

/// The side of the squares within which they are.
const SQUARE: f64 = 10.0;

/// How one set of people voted on one statement, as shares of 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Bar {
    /// Widths of the three parts; their sum is 100, or 0 if nobody voted.
    pub(super) agree: u64,
    pub(super) pass: u64,
    pub(super) disagree: u64,
    /// Where the last part begins.
    pub(super) last: u64,
    /// Votes.
    pub(super) votes: u64,
    /// The counts themselves.
    pub(super) tally: view::Tally,
}

/// Returns the bar of a tally. Rounding takes from pass, or else from the larger part, so that the parts fill the bar.
pub(super) fn bar(tally: &view::Tally) -> Bar {
    let votes = tally.agree + tally.disagree + tally.pass;
    let share = |count: u64| (count * 100 + votes / 2).checked_div(votes).unwrap_or(0);
    let agree = share(tally.agree);
    let disagree = share(tally.disagree).min(100 - agree);
    let whole = if votes == 0 { 0 } else { 100 };
    let pass = if votes == 0 { 0 } else { whole - agree - disagree };
    Bar { agree, pass, disagree, last: agree + pass, votes, tally: *tally }
}

/// A mark on the map: one ballot, or several that are near one another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Mark {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) group: usize,
    /// How large, 1 for one ballot.
    pub(super) size: f64,
}

/// A group's letter at its middle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Label {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) group: usize,
    pub(super) ballots: usize,
}

/// The map as a drawing.
#[derive(Clone, Serialize)]
pub(super) struct Scatter {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) marks: Vec<Mark>,
    pub(super) labels: Vec<Label>,
    /// The middle of the map: where somebody is who votes as the average does.
    pub(super) centre: [f64; 2],
    pub(super) own: Option<[f64; 2]>,
    /// The group whose middle is nearest to the person.
    pub(super) nearest: Option<usize>,
    pub(super) ballots: usize,
    pub(super) without: usize,
    pub(super) axes: usize,
}

/// Returns the drawing of a map.
pub(super) fn scatter(map: &view::OpinionMap) -> Scatter {
    let all = || map.points.iter().map(|point| point.at).chain(map.own);
    // Both directions have the same unit, so that distances mean the same in each.
    let reach = |axis: usize| all().filter_map(|at| at.get(axis).copied()).fold(0.1, |most: f64, x| most.max(x.abs()));
    let unit = ((WIDTH / 2.0 - MARGIN) / reach(0)).min((HEIGHT / 2.0 - MARGIN) / reach(1));
    let place = |[x, y]: [f64; 2]| [round(WIDTH / 2.0 + x * unit), round(HEIGHT / 2.0 - y * unit)];
    let marks: Vec<Mark> = map
        .points
        .iter()
        .map(|point| {
            let [x, y] = place(point.at);
            Mark { x, y, group: point.group, size: 1.0 }
        })
        .collect();
    let middles = middles(map);
    let label = |(group, (at, ballots)): (&usize, &([f64; 2], usize))| {
        let [x, y] = place(*at);
        Label { x, y, group: *group, ballots: *ballots }
    };
    let distance = |[x, y]: [f64; 2], [a, b]: [f64; 2]| (x - a).powi(2) + (y - b).powi(2);
    let nearest = map.own.and_then(|own| {
        let by_distance = |(_, (a, _)): &(&usize, &([f64; 2], usize)), (_, (b, _)): &(&usize, &([f64; 2], usize))| {
            distance(*a, own).total_cmp(&distance(*b, own))
        };
        middles.iter().min_by(by_distance).map(|(group, _)| *group)
    });
    Scatter {
        width: WIDTH,
        height: HEIGHT,
        labels: middles.iter().map(label).collect(),
        marks: if marks.len() > MANY { thinned(&marks) } else { marks },
        centre: place([0.0; 2]),
        own: map.own.map(place),
        nearest,
        ballots: map.points.len(),
        without: map.without,
        axes: map.axes,
    }
}

/// Returns the middle of each group, and its ballots.
fn middles(map: &view::OpinionMap) -> BTreeMap<usize, ([f64; 2], usize)> {
    let mut sums = BTreeMap::<usize, ([f64; 2], usize)>::new();
    for point in &map.points {
        let ([x, y], count) = sums.entry(point.group).or_default();
        (*x, *y, *count) = (*x + point.at[0], *y + point.at[1], *count + 1);
    }
    let middle = |([x, y], count): ([f64; 2], usize)| ([x / count as f64, y / count as f64], count);
    sums.into_iter().map(|(group, sum)| (group, middle(sum))).collect()
}

/// Draws the marks of one group within a small square as one, whose area says how many they are.
fn thinned(marks: &[Mark]) -> Vec<Mark> {
    let mut squares = BTreeMap::<(i64, i64, usize), usize>::new();
    for mark in marks {
        *squares.entry(((mark.x / SQUARE) as i64, (mark.y / SQUARE) as i64, mark.group)).or_default() += 1;
    }
    let centre = |at: i64| at as f64 * SQUARE + SQUARE / 2.0;
    let most = squares.values().copied().max().unwrap_or(1) as f64;
    let mark = |((x, y, group), count): ((i64, i64, usize), usize)| Mark {
        x: centre(x),
        y: centre(y),
        group,
        size: round(0.4 + 1.2 * (count as f64 / most).sqrt()),
    };
    squares.into_iter().map(mark).collect()
}

/// Tenths are enough for a drawing.
fn round(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(points: Vec<view::MapPoint>, own: Option<[f64; 2]>) -> view::OpinionMap {
        view::OpinionMap { points, without: 0, groups: 2, axes: 2, own }
    }

    fn point(x: f64, y: f64, group: usize) -> view::MapPoint {
        view::MapPoint { at: [x, y], group }
    }

    #[test]
    fn a_bar_is_filled_by_its_parts() {
        for (agree, disagree, pass) in [(1, 1, 1), (0, 7, 0), (199, 200, 1), (1, 0, 0), (333, 333, 334)] {
            let bar = bar(&view::Tally { agree, disagree, pass });

            assert_eq!(bar.agree + bar.pass + bar.disagree, 100, "{bar:?}");
        }
        assert_eq!(bar(&view::Tally { agree: 0, disagree: 0, pass: 0 }).agree, 0);
    }

    #[test]
    fn everybody_is_within_the_drawing_and_one_sees_where_one_is() {
        let points = vec![point(-9.0, 1.0, 0), point(-8.0, 0.5, 0), point(4.0, -3.0, 1)];

        let drawn = scatter(&map(points, Some([5.0, -2.0])));

        let inside = |[x, y]: [f64; 2]| (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y);
        assert!(drawn.marks.iter().all(|mark| inside([mark.x, mark.y])));
        assert!(drawn.own.is_some_and(inside));
        assert_eq!(drawn.nearest, Some(1));
        assert_eq!(drawn.labels.iter().map(|label| label.ballots).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn ten_thousand_ballots_are_few_marks() {
        let points = (0..10_000).map(|i| point(f64::from(i % 100) / 10.0 - 5.0, f64::from(i / 100) / 10.0 - 5.0, 0));

        let drawn = scatter(&map(points.collect(), None));

        assert!(drawn.marks.len() < 2_000 && drawn.ballots == 10_000, "{}", drawn.marks.len());
    }
}
