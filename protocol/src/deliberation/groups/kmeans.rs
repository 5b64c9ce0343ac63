//! Lloyd's k-means from many fixed starts, on points in an order that follows from their values.
//!
//! Everybody who verifies a round makes the groups again and must find the same ones: sums are taken in one order, whatever
//! is done at once.

mod tree;

use core::ops::Range;

use rayon::prelude::*;
use tree::{Share, Tree};

/// Rounds of Lloyd's iteration. It ends by itself far earlier on real polls; the bound makes it end always.
const MAX_ROUNDS: usize = 100;

/// Starts at scattered (but fixed) points, besides the ones that are chosen for a reason.
const SCATTERED_STARTS: usize = 48;

/// Rounds after which starts are compared, and how many of them go on: what is far behind by then hardly ever wins.
const HEAT: (usize, usize) = (6, 12);

/// Points whose sums of distances are made together: those of all clusters stay in the second cache.
const ROWS: usize = 1024;

/// Points in canonical order, with the way back to the order of the input.
#[derive(Clone, Debug)]
pub struct Points {
    sorted: Vec<[f64; 2]>,
    /// The same, in the order that labels have.
    tree: Tree,
    /// `order[t]` is the input index of the tree's point `t`.
    order: Vec<usize>,
}

/// One solution: clusters in canonical order, largest first, ties by centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// The centre of each cluster.
    pub centres: Vec<[f64; 2]>,
    /// The cluster of each point, in the tree's order.
    labels: Vec<u8>,
    /// The sum of squared distances to the centres.
    pub inertia: f64,
}

impl Points {
    /// Sorts the points by their coordinates.
    pub fn new(points: &[[f64; 2]]) -> Self {
        let mut sorted = points.to_vec();
        sorted.sort_by(compare);
        let (tree, order) = Tree::new(points);
        Self { sorted, tree, order }
    }

    /// Returns the best clustering into `k` clusters of at least `least` points each, or `None` if no start leads to
    /// one.
    pub fn cluster(&self, k: usize, least: usize) -> Option<Clustering> {
        if k == 0 || k.saturating_mul(least.max(1)) > self.sorted.len() {
            return None;
        }
        let (rounds, going_on) = HEAT;
        let begun = |start| {
            let mut run = Run::new(start, self.sorted.len());
            run.go(&self.tree, rounds).then_some(run)
        };
        let mut runs: Vec<Run> = self.starts(k).into_par_iter().filter_map(begun).collect();
        // Stable: of two that are as good, the earlier start comes first.
        runs.sort_by(|a, b| b.spread.total_cmp(&a.spread));
        let ended = |run: &Run| {
            let mut run = run.clone();
            run.go(&self.tree, MAX_ROUNDS - rounds).then(|| self.clustering(run))
        };
        runs.chunks(going_on).find_map(|runs| {
            let found: Vec<Option<Clustering>> = runs.par_iter().map(ended).collect();
            let admitted = found.into_iter().flatten().filter(|found| found.sizes().iter().all(|&size| size >= least));
            // Strictly better only: the earlier wins a tie.
            admitted.reduce(|best, found| if found.inertia < best.inertia { found } else { best })
        })
    }

    /// Returns all points as one cluster.
    pub fn single(&self) -> Clustering {
        let mut labels = vec![0; self.sorted.len()];
        let shares = self.tree.assign(&[[0.0; 2]], &mut labels);
        let centres = means(&shares).unwrap_or_else(|| vec![[0.0; 2]]);
        let inertia = self.inertia(&labels, &centres);
        Clustering { centres, labels, inertia }
    }

    /// Returns the labels in the order of the input.
    pub fn labels(&self, clustering: &Clustering) -> Vec<usize> {
        let mut labels = vec![0; self.order.len()];
        for (&index, &label) in self.order.iter().zip(&clustering.labels) {
            labels[index] = label.into();
        }
        labels
    }

    /// Returns the mean silhouette of each clustering; a lone member counts 0.
    pub fn silhouettes(&self, clusterings: &[Clustering]) -> Vec<f64> {
        let points = self.sorted.len();
        let tiles: Vec<Vec<f64>> = (0..points.div_ceil(ROWS))
            .into_par_iter()
            .map(|tile| self.silhouettes_of(tile * ROWS..points.min((tile + 1) * ROWS), clusterings))
            .collect();
        let of_points =
            |number: usize| tiles.iter().flat_map(move |tile| tile.iter().skip(number).step_by(clusterings.len()));
        let total = |number: usize| of_points(number).fold(0.0, |total, silhouette| total + silhouette);
        (0..clusterings.len()).map(|number| total(number) / float(points.max(1))).collect()
    }

    /// Returns the silhouettes of some points, one for each clustering, point by point.
    fn silhouettes_of(&self, points: Range<usize>, clusterings: &[Clustering]) -> Vec<f64> {
        let sizes: Vec<Vec<usize>> = clusterings.iter().map(Clustering::sizes).collect();
        let (xs, ys): (Vec<f64>, Vec<f64>) = self.tree.points()[points.clone()].iter().map(|[x, y]| (*x, *y)).unzip();
        // For each clustering and cluster, the sum of the distances from each point to its members: member by member, in
        // their order. One distance serves all clusterings.
        let mut sums: Vec<Vec<Vec<f64>>> =
            sizes.iter().map(|sizes| vec![vec![0.0; points.len()]; sizes.len()]).collect();
        let mut distances = vec![0.0; points.len()];
        for (member, &[x, y]) in self.tree.points().iter().enumerate() {
            for ((distance, &to_x), &to_y) in distances.iter_mut().zip(&xs).zip(&ys) {
                let (across, up) = (to_x - x, to_y - y);
                *distance = (across * across + up * up).sqrt();
            }
            for (sums, clustering) in sums.iter_mut().zip(clusterings) {
                let sums = &mut sums[usize::from(clustering.labels[member])];
                sums.iter_mut().zip(&distances).for_each(|(sum, distance)| *sum += distance);
            }
        }
        let mut silhouettes = Vec::with_capacity(points.len() * clusterings.len());
        for (place, point) in points.enumerate() {
            for (number, clustering) in clusterings.iter().enumerate() {
                let of_point: Vec<f64> = sums[number].iter().map(|sums| sums[place]).collect();
                silhouettes.push(silhouette(clustering.labels[point].into(), &of_point, &sizes[number]));
            }
        }
        silhouettes
    }

    fn clustering(&self, run: Run) -> Clustering {
        let inertia = self.inertia(&run.labels, &run.centres);
        Clustering { centres: run.centres, labels: run.labels, inertia }.canonical()
    }

    /// Returns the sum of squared distances to the centres.
    fn inertia(&self, labels: &[u8], centres: &[[f64; 2]]) -> f64 {
        let of_point = |(point, &label): (&[f64; 2], &u8)| square_distance(point, &centres[usize::from(label)]);
        self.tree.points().iter().zip(labels).map(of_point).sum()
    }

    /// Returns the starting centres: quantiles along each axis, farthest points from the mean on, and scattered ones.
    fn starts(&self, k: usize) -> Vec<Vec<[f64; 2]>> {
        let mut by_height = self.sorted.clone();
        by_height.sort_by(|a, b| compare(&[a[1], a[0]], &[b[1], b[0]]));
        let quantiles = |points: &[[f64; 2]]| (0..k).map(|i| points[(2 * i + 1) * points.len() / (2 * k)]).collect();
        let mut starts = vec![quantiles(&self.sorted), quantiles(&by_height), self.farthest(k)];
        let mut state = 0;
        starts.extend((0..SCATTERED_STARTS).map(|_| self.scattered(k, &mut state)));
        starts
    }

    /// Returns `k` points, each drawn in proportion to the squared distance from those before it, as k-means++ does
    /// (Arthur and Vassilvitskii, 2007): far points are likely, so that small distant clusters are found too.
    fn scattered(&self, k: usize, state: &mut u64) -> Vec<[f64; 2]> {
        let mut chosen: Vec<[f64; 2]> = Vec::with_capacity(k);
        let mut weights = vec![1.0; self.sorted.len()];
        for number in 0..k {
            if let Some(last) = chosen.last() {
                for (weight, point) in weights.iter_mut().zip(&self.sorted) {
                    let distance = square_distance(point, last);
                    *weight = if number == 1 || distance < *weight { distance } else { *weight };
                }
            }
            let mut left = unit(split_mix(state)) * weights.iter().fold(0.0, |sum, weight| sum + weight);
            let drawn = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            // Rounding can leave a crumb after the last point; points that are all equal have no weight at all.
            chosen.push(self.sorted[drawn.unwrap_or(self.sorted.len() - 1)]);
        }
        chosen
    }

    /// Returns `k` points, each the farthest from the mean and from those before it.
    fn farthest(&self, k: usize) -> Vec<[f64; 2]> {
        let mut chosen = self.single().centres;
        while chosen.len() <= k {
            let distance = |point: &[f64; 2]| {
                chosen.iter().map(|other| square_distance(point, other)).fold(f64::INFINITY, f64::min)
            };
            let mut far = (self.sorted[0], -1.0);
            for point in &self.sorted {
                let distance = distance(point);
                if distance > far.1 {
                    far = (*point, distance);
                }
            }
            chosen.push(far.0);
        }
        chosen.split_off(1)
    }
}

impl Clustering {
    /// Returns the number of points in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.centres.len()];
        self.labels.iter().for_each(|&label| sizes[usize::from(label)] += 1);
        sizes
    }

    /// Numbers the clusters by size, largest first, and clusters of one size by their centres.
    fn canonical(self) -> Self {
        let sizes = self.sizes();
        let mut order: Vec<usize> = (0..self.centres.len()).collect();
        order.sort_by(|&a, &b| sizes[b].cmp(&sizes[a]).then_with(|| compare(&self.centres[a], &self.centres[b])));
        let mut rank = vec![0_u8; order.len()];
        (0_u8..).zip(&order).for_each(|(new, &old)| rank[old] = new);
        Self {
            centres: order.iter().map(|&old| self.centres[old]).collect(),
            labels: self.labels.iter().map(|&old| rank[usize::from(old)]).collect(),
            inertia: self.inertia,
        }
    }
}

/// Returns the silhouette of a point of cluster `own` from its summed distances to each cluster.
fn silhouette(own: usize, sums: &[f64], sizes: &[usize]) -> f64 {
    if sizes[own] < 2 {
        return 0.0;
    }
    let inner = sums[own] / float(sizes[own] - 1);
    let others = (0..sizes.len()).filter(|&cluster| cluster != own);
    let outer = others.map(|cluster| sums[cluster] / float(sizes[cluster])).fold(f64::INFINITY, f64::min);
    let larger = inner.max(outer);
    if larger > 0.0 && larger.is_finite() { (outer - inner) / larger } else { 0.0 }
}

/// Lloyd's iteration from one start.
#[derive(Clone, Debug)]
struct Run {
    centres: Vec<[f64; 2]>,
    labels: Vec<u8>,
    /// What the sum of squared distances to the centres falls short of that to the origin: `Σ_j n_j·|c_j|²`.
    spread: f64,
    is_over: bool,
}

impl Run {
    fn new(centres: Vec<[f64; 2]>, points: usize) -> Self {
        // No label is so large: the first round is never the last.
        Self { centres, labels: vec![u8::MAX; points], spread: 0.0, is_over: false }
    }

    /// Goes on for at most so many rounds; returns whether no cluster ran empty.
    fn go(&mut self, tree: &Tree, rounds: usize) -> bool {
        let mut nearest = vec![0; self.labels.len()];
        for _ in 0..rounds {
            if self.is_over {
                break;
            }
            let shares = tree.assign(&self.centres, &mut nearest);
            self.is_over = nearest == self.labels;
            if !self.is_over {
                self.labels.clone_from(&nearest);
                let Some(centres) = means(&shares) else { return false };
                let square =
                    |(share, centre): (&Share, &[f64; 2])| float(share.count) * square_distance(centre, &[0.0; 2]);
                self.spread = shares.iter().zip(&centres).map(square).sum();
                self.centres = centres;
            }
        }
        true
    }
}

/// Returns the mean of each cluster; `None` if one is empty.
fn means(shares: &[Share]) -> Option<Vec<[f64; 2]>> {
    shares.iter().map(|share| (share.count > 0).then(|| share.sum.map(|sum| sum / float(share.count)))).collect()
}

fn square_distance(a: &[f64; 2], b: &[f64; 2]) -> f64 {
    let (x, y) = (a[0] - b[0], a[1] - b[1]);
    x * x + y * y
}

fn compare(a: &[f64; 2], b: &[f64; 2]) -> core::cmp::Ordering {
    a[0].total_cmp(&b[0]).then_with(|| a[1].total_cmp(&b[1]))
}

/// The SplitMix64 generator: fixed positions that follow no pattern in the points. Nothing secret hangs on it.
const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Returns the real in 0..1 that the upper 53 bits stand for.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
const fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of points are far below 2^53")]
const fn float(count: usize) -> f64 {
    count as f64
}
