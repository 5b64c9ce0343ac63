//! A k-d tree over points of a plane, to find the nearest of a few centres for all of them at once.
//!
//! A rectangle that is nearer to one centre as a whole is not looked into: what there is to know of its points, their
//! number and sum, is known beforehand (Kanungo, Mount, Netanyahu, Piatko, Silverman, Wu, *An efficient k-means clustering
//! algorithm: analysis and implementation*, 2002, §2).

use core::ops::Range;

use super::{compare, square_distance};

/// Points that are looked at one by one.
const LEAF: usize = 8;

/// What rounding could make of a difference of two squared distances, as a part of the largest squared distance.
const ROUNDING: f64 = 1e-12;

/// Points, rectangle within rectangle.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Each before its parts, of which the first follows at once.
    nodes: Vec<Node>,
    points: Vec<[f64; 2]>,
    rounding: f64,
}

#[derive(Clone, Debug)]
struct Node {
    points: Range<usize>,
    low: [f64; 2],
    high: [f64; 2],
    sum: [f64; 2],
    /// The second of its two parts, unless it is a leaf.
    second: Option<usize>,
}

/// The number and the sum of the points nearest to one centre.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    pub(super) count: usize,
    pub(super) sum: [f64; 2],
}

impl Share {
    fn add(&mut self, count: usize, sum: [f64; 2]) {
        self.count += count;
        self.sum = plus(self.sum, sum);
    }
}

impl Tree {
    /// Returns the tree of some points, and the index of each of its points among them.
    ///
    /// A tree of one leaf has them in the order of the input. In any other the order follows from the points' values; of
    /// equal points it does not matter which comes first.
    pub(super) fn new(points: &[[f64; 2]]) -> (Self, Vec<usize>) {
        let mut order: Vec<usize> = (0..points.len()).collect();
        let mut nodes = Vec::new();
        if !points.is_empty() {
            grow(&mut nodes, points, 0, &mut order);
        }
        let points = order.iter().map(|&index| points[index]).collect();
        let rounding = nodes.first().map_or(0.0, |root| ROUNDING * square_distance(&root.low, &root.high));
        (Self { nodes, points, rounding }, order)
    }

    /// Returns the points in the tree's order.
    pub(super) fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// Labels each point with the nearest centre, the first of several, and returns what each centre has.
    ///
    /// The centres lie among the points.
    pub(super) fn assign(&self, centres: &[[f64; 2]], labels: &mut [u8]) -> Vec<Share> {
        let candidates = (0..=u8::MAX).zip(centres).map(|(label, &at)| Candidate { at, label }).collect();
        let shares = vec![Share::default(); centres.len()];
        let mut search = Search { tree: self, labels, shares, candidates };
        if !self.nodes.is_empty() && !centres.is_empty() {
            search.visit(0, 0);
        }
        search.shares
    }

    /// Whether every point of a rectangle is farther from `candidate` than from `best`, whatever is rounded: the
    /// difference is linear, so that the corner towards the candidate decides.
    fn is_farther(&self, candidate: &[f64; 2], best: &[f64; 2], node: &Node) -> bool {
        let side = |axis: usize| if candidate[axis] > best[axis] { node.high[axis] } else { node.low[axis] };
        let corner = [side(0), side(1)];
        square_distance(candidate, &corner) - square_distance(best, &corner) > self.rounding
    }
}

impl Node {
    fn middle(&self) -> [f64; 2] {
        [(self.low[0] + self.high[0]) / 2.0, (self.low[1] + self.high[1]) / 2.0]
    }
}

/// Adds the node of `order`, whose first point is the tree's point number `first`, and all below it.
fn grow(nodes: &mut Vec<Node>, points: &[[f64; 2]], first: usize, order: &mut [usize]) -> [f64; 2] {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for &index in &*order {
        for axis in 0..2 {
            low[axis] = low[axis].min(points[index][axis]);
            high[axis] = high[axis].max(points[index][axis]);
        }
    }
    let node = nodes.len();
    let range = first..first + order.len();
    nodes.push(Node { points: range, low, high, sum: [0.0; 2], second: None });
    let sum = if order.len() <= LEAF {
        order.iter().fold([0.0; 2], |sum, &index| plus(sum, points[index]))
    } else {
        let wide = usize::from(high[1] - low[1] > high[0] - low[0]);
        let turned = |index: usize| [points[index][wide], points[index][1 - wide]];
        order.sort_by(|&a, &b| compare(&turned(a), &turned(b)));
        let half = order.len() / 2;
        let (left, right) = order.split_at_mut(half);
        let left = grow(nodes, points, first, left);
        nodes[node].second = Some(nodes.len());
        plus(left, grow(nodes, points, first + half, right))
    };
    nodes[node].sum = sum;
    sum
}

fn plus(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// A centre that can be the nearest.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    at: [f64; 2],
    label: u8,
}

/// A descent that looks for the nearest centres.
struct Search<'a> {
    tree: &'a Tree,
    labels: &'a mut [u8],
    shares: Vec<Share>,
    /// Those that can be nearest to a point of each rectangle on the way down, in the order of their labels.
    candidates: Vec<Candidate>,
}

impl Search<'_> {
    /// Labels the points of a node, to which only the candidates from `first` on can be nearest.
    fn visit(&mut self, index: usize, first: usize) {
        let node = &self.tree.nodes[index];
        let own = self.candidates.len();
        let best = nearest(&node.middle(), &self.candidates[first..]);
        for place in first..own {
            let candidate = self.candidates[place];
            if candidate.label == best.label || !self.tree.is_farther(&candidate.at, &best.at, node) {
                self.candidates.push(candidate);
            }
        }
        let left = &self.candidates[own..];
        if left.len() == 1 {
            self.labels[node.points.clone()].fill(best.label);
            self.shares[usize::from(best.label)].add(node.points.len(), node.sum);
        } else if let Some(second) = node.second {
            self.visit(index + 1, own);
            self.visit(second, own);
        } else {
            let points = &self.tree.points[node.points.clone()];
            for (label, point) in self.labels[node.points.clone()].iter_mut().zip(points) {
                *label = nearest(point, left).label;
                self.shares[usize::from(*label)].add(1, *point);
            }
        }
        self.candidates.truncate(own);
    }
}

/// Returns the nearest of some candidates, of which there are any; the first of several.
fn nearest(point: &[f64; 2], candidates: &[Candidate]) -> Candidate {
    let mut best = (candidates[0], square_distance(point, &candidates[0].at));
    for candidate in &candidates[1..] {
        let distance = square_distance(point, &candidate.at);
        if distance < best.1 {
            best = (*candidate, distance);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_point_has_the_first_of_the_nearest_centres(
            // Whole numbers, so that there are equal points and ties.
            points in prop::collection::vec([-20_i8..20, -20_i8..20], 1..200),
            chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            divisor in 1_u8..9,
        ) {
            let points: Vec<[f64; 2]> =
                points.iter().map(|point| point.map(|entry| f64::from(entry) / f64::from(divisor))).collect();
            let centres: Vec<[f64; 2]> = chosen.iter().map(|index| *index.get(&points)).collect();
            let (tree, order) = Tree::new(&points);
            let mut labels = vec![0; points.len()];

            let shares = tree.assign(&centres, &mut labels);

            for (&index, &label) in order.iter().zip(&labels) {
                let distances: Vec<f64> = centres.iter().map(|centre| square_distance(&points[index], centre)).collect();
                let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
                prop_assert_eq!(usize::from(label), distances.iter().position(|&other| other == least).expect("one"));
            }
            for (number, share) in shares.iter().enumerate() {
                let own = || tree.points().iter().zip(&labels).filter(|(_, label)| usize::from(**label) == number);
                let sum = own().fold([0.0; 2], |sum, (point, _)| plus(sum, *point));
                prop_assert_eq!(share.count, own().count());
                prop_assert!(share.sum.iter().zip(sum).all(|(a, b)| (a - b).abs() < 1e-9));
            }
        }
    }

    #[test]
    fn no_points_are_no_trouble() {
        let (tree, order) = Tree::new(&[]);

        assert_eq!((tree.assign(&[], &mut []), order), (Vec::new(), Vec::new()));
    }
}
