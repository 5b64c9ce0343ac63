//! Opinion groups: deterministic k-means on the map, and the partition of the sealed set that follows from it.
//!
//! Polis' groups depend on the order of arrival and on earlier runs; these are a function of the sealed set. Starts are
//! found among the points sorted by value, and every sum is taken in the order of one tree over them. The order of the
//! input, that of the ballots' tags, matters where they are so few that the tree is one leaf. Many fixed starts and the
//! best inertia stand in for luck. A small group has a veto over what counts as common ground, which makes it worth
//! forging: solutions with a group below the least share are not admitted.

pub mod kmeans;

use kmeans::{Clustering, Points};

use super::{bucket::BucketEdges, map::Map};

/// Groups at most. More than five are hard to read and harder to keep above the least share.
pub const MAX_GROUPS: usize = 5;

/// Least share of a group among the ballots with a point, in percent.
const LEAST_PERCENT: usize = 5;

/// How small a group may be.
///
/// A number of ballots alone is a floor for secrecy. The share is one against forgery: without it a handful of fakes
/// that agree with nobody is a group, and vetoes every principle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupFloor {
    /// The least number of ballots in any block of the partition.
    pub ballots: usize,
    /// The least share of a group among the ballots with a point, in percent.
    pub percent: usize,
}

impl From<usize> for GroupFloor {
    /// The floor of a community whose blocks have at least so many ballots: groups have five percent besides.
    fn from(ballots: usize) -> Self {
        Self { ballots, percent: LEAST_PERCENT }
    }
}

impl GroupFloor {
    /// Returns the least size of a group when so many ballots have a point.
    fn least(self, points: usize) -> usize {
        self.ballots.max(1).max((points * self.percent).div_ceil(100))
    }
}

/// What is public about the place of one ballot: its bucket, and its dithered coordinates if it has one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Placed {
    /// The bucket of its vote count, `None` below the first.
    pub bucket: Option<usize>,
    /// One coordinate per axis.
    pub point: Vec<i64>,
}

/// A partition of the ballots of a sealed set into blocks; the first `k` are opinion groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// How many opinion groups there are, largest first.
    pub k: usize,
    /// The block of each ballot, in the order of the input.
    pub assignment: Vec<usize>,
    /// The number of ballots in each block: `k` groups, then those without a point if they are enough.
    pub blocks: Vec<usize>,
    /// The centre of each group on the map.
    pub centres: Vec<[f64; 2]>,
    /// The mean silhouette of the groups, 0 for a single group.
    pub silhouette: f64,
}

impl Partition {
    /// Returns the partition with one block of `ballots` ballots: all that totals alone allow.
    pub fn whole(ballots: usize) -> Self {
        Self { k: 1, assignment: vec![0; ballots], blocks: vec![ballots], centres: vec![[0.0; 2]], silhouette: 0.0 }
    }

    /// Returns the opinion group of each ballot, `None` for those in the block without points.
    pub fn groups(&self) -> Vec<Option<usize>> {
        self.assignment.iter().map(|&block| (block < self.k).then_some(block)).collect()
    }
}

/// Makes the groups of a sealed set from the opened points.
///
/// `floor`, if it is a number, is the least number of ballots in any block; `ballots` come in the order of their tags.
pub fn partition(map: &Map, edges: &BucketEdges, ballots: &[Placed], floor: impl Into<GroupFloor>) -> Partition {
    let place = |ballot: &Placed| {
        let stretch = edges.stretch(ballot.bucket?)?;
        (ballot.point.len() == map.axes.len()).then(|| map.place(&ballot.point, stretch))
    };
    let points: Vec<Option<[f64; 2]>> = ballots.iter().map(place).collect();
    group(&points, floor, None)
}

/// Makes groups of the points on a plane, `None` standing for a ballot without one; of exactly `wanted` groups if that
/// is given, else of as many as the silhouette prefers. If no number of groups is admitted there is one group.
pub fn group(points: &[Option<[f64; 2]>], floor: impl Into<GroupFloor>, wanted: Option<usize>) -> Partition {
    let present: Vec<[f64; 2]> = points.iter().flatten().copied().collect();
    let floor = floor.into();
    if present.len() < floor.ballots.max(1) {
        return Partition::whole(points.len());
    }
    let least = floor.least(present.len());
    let sorted = Points::new(&present);
    let range = wanted.map_or(2..=MAX_GROUPS, |k| k..=k);
    let candidates: Vec<Clustering> = range.filter_map(|k| sorted.cluster(k, least)).collect();
    let silhouettes = sorted.silhouettes(&candidates);
    // Strictly better only: of equal silhouettes the smaller number of groups stays.
    let mut best: Option<(f64, &Clustering)> = None;
    for (silhouette, clustering) in silhouettes.into_iter().zip(&candidates) {
        if best.is_none_or(|(highest, _)| silhouette > highest) {
            best = Some((silhouette, clustering));
        }
    }
    let (silhouette, clustering) = best.map_or_else(|| (0.0, sorted.single()), |(s, c)| (s, c.clone()));
    assemble(points, &sorted.labels(&clustering), clustering, silhouette, floor.ballots.max(1))
}

/// Puts the ballots without a point into a block of their own, or into the largest group if they are too few.
fn assemble(
    points: &[Option<[f64; 2]>],
    labels: &[usize],
    clustering: Clustering,
    silhouette: f64,
    floor: usize,
) -> Partition {
    let k = clustering.centres.len();
    let pointless = points.len() - labels.len();
    let home = if pointless >= floor { k } else { 0 };
    let mut labels = labels.iter().copied();
    let block = |point: &Option<[f64; 2]>| point.and_then(|_| labels.next()).unwrap_or(home);
    let assignment: Vec<usize> = points.iter().map(block).collect();
    let mut blocks = vec![0; k + usize::from(home == k)];
    assignment.iter().for_each(|&block| blocks[block] += 1);
    Partition { k, assignment, blocks, centres: clustering.centres, silhouette }
}

#[cfg(test)]
mod tests;
