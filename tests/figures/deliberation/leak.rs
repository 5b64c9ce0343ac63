//! What the published map tells about a ballot, in two measures.
//!
//! *Bits*: how much the published (bucket, x, y) of a ballot says about the ballot. The dither is uniform and
//! independent, so given the ballot the coordinates have exactly k bits of entropy each; what they have beyond that is
//! information. Among the ballots of the conversation itself this is measured exactly; for ballots in general the
//! Gaussian with the covariance of the published points is an upper bound.
//!
//! *Pinned*: somebody knows all votes of a ballot but two, four or six, and which items these are. He goes through
//! every way to complete the ballot and keeps those that fit a published point of the same bucket. If one is left, he
//! knows all votes. Should he also know which point it is, he keeps those that fit that one.

use core::f64::consts::{E, PI};

use chorus_node::polis::Conversation;
use chorus_protocol::deliberation::{map::Map, matrix::VoteMatrix, simulate::SecretOutcome, tally::Vote};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{Run, edges, float, median};
use crate::figure::Figure;

/// What "about 10 bits" in the documents stands for.
const CLAIMED_BITS: f64 = 10.0;

/// How many votes the adversary does not know.
const UNKNOWN: [usize; 3] = [2, 4, 6];

/// Returns the figures of one conversation: medians over the runs.
pub(super) fn figures(name: &str, conversation: &Conversation, runs: &[Run]) -> Vec<Figure> {
    let views: Vec<View<'_>> = runs.iter().map(|run| View::new(conversation, &run.secret, run.map())).collect();
    let middle = |of: &dyn Fn(&View<'_>) -> f64| median(views.iter().map(of).collect());
    let title = |text: &str| format!("{name}: {text}");
    let mut figures = vec![
        Figure::new(
            title("bits of a ballot in its published point, at most (Gaussian)"),
            middle(&|view| view.channel_bits()),
            "bit",
        )
        .at_most(CLAIMED_BITS),
        Figure::new(
            title("bits that tell a ballot from the others, Chorus map"),
            middle(&|view| view.identifying_bits()),
            "bit",
        ),
        Figure::new(
            title("bits that tell a ballot from the others, Polis matrix"),
            matrix_identifying_bits(conversation),
            "bit",
        ),
        Figure::new(
            title("bits of a row of the Polis matrix, at most (independent items)"),
            row_bits(conversation),
            "bit",
        ),
    ];
    for unknown in UNKNOWN {
        let outcomes: Vec<Pinning> = views.iter().map(|view| view.pinning(unknown)).collect();
        let each = |of: fn(&Pinning) -> f64| median(outcomes.iter().map(of).collect());
        let about = |text: &str| title(&format!("all but {unknown} votes known: {text}"));
        figures.extend([
            Figure::new(about("ballots pinned down, Chorus map"), each(|outcome| outcome.map), "ratio"),
            Figure::new(about("ballots pinned down, Polis matrix"), each(|outcome| outcome.matrix), "ratio"),
            Figure::new(
                about("ballots pinned down, Chorus map, point known to be theirs"),
                each(|outcome| outcome.linked),
                "ratio",
            ),
            Figure::new(about("bits learnt of the unknown votes, Chorus map"), each(|outcome| outcome.bits), "bit"),
        ]);
    }
    figures
}

/// What is published about the ballots with a point, and the ballots themselves.
struct View<'a> {
    rows: Vec<&'a [Option<Vote>]>,
    buckets: Vec<usize>,
    points: Vec<&'a [i64]>,
    mu: &'a [i64],
    map: &'a Map,
}

/// How much an adversary learns who knows almost all votes; means over the ballots.
struct Pinning {
    map: f64,
    linked: f64,
    matrix: f64,
    bits: f64,
}

impl<'a> View<'a> {
    fn new(conversation: &'a Conversation, outcome: &'a SecretOutcome, map: &'a Map) -> Self {
        let mut view = Self { rows: Vec::new(), buckets: Vec::new(), points: Vec::new(), mu: &outcome.mu, map };
        for (row, placed) in conversation.matrix.rows().iter().zip(&outcome.placed) {
            if let Some(bucket) = placed.bucket {
                view.rows.push(row);
                view.buckets.push(bucket);
                view.points.push(&placed.point);
            }
        }
        debug_assert!(edges(conversation).ranges().len() > view.buckets.iter().copied().max().unwrap_or(0));
        view
    }

    /// Returns the point of a ballot before its dither.
    fn undithered(&self, row: &[Option<Vote>]) -> Vec<i64> {
        let centred = VoteMatrix::centred(row, self.mu);
        self.map.axes.iter().map(|axis| axis.project(&centred)).collect()
    }

    /// Returns whether a ballot that would lie at `undithered` can have been published as `point`.
    fn fits(&self, undithered: &[i64], point: &[i64]) -> bool {
        let within = |(axis, (at, point)): (&chorus_protocol::deliberation::map::Axis, (&i64, &i64))| {
            (-axis.dither_offset()..axis.dither_offset()).contains(&(point - at))
        };
        self.map.axes.iter().zip(undithered.iter().zip(point)).all(within)
    }

    /// `H(bucket) + h(x, y) − Σk`, with the entropy of the Gaussian of the same covariance.
    fn channel_bits(&self) -> f64 {
        let count = float(self.points.len() as i64);
        let axes = self.map.axes.len();
        let mean = |axis: usize| self.points.iter().map(|point| float(point[axis])).sum::<f64>() / count;
        let means: Vec<f64> = (0..axes).map(mean).collect();
        let covariance = |a: usize, b: usize| {
            let product = |point: &&[i64]| (float(point[a]) - means[a]) * (float(point[b]) - means[b]);
            self.points.iter().map(product).sum::<f64>() / count
        };
        let determinant = match axes {
            1 => covariance(0, 0),
            _ => covariance(0, 0) * covariance(1, 1) - covariance(0, 1) * covariance(0, 1),
        };
        let gaussian = 0.5 * ((2.0 * PI * E).powi(i32::try_from(axes).expect("two at most")) * determinant).log2();
        let dither: f64 = self.map.axes.iter().map(|axis| f64::from(axis.dither_bits)).sum();
        entropy(self.buckets.iter().copied()) + gaussian - dither
    }

    /// `log₂ n − E[log₂ m]`, m being the number of ballots that could have been published so: the dither is uniform,
    /// so all of them are equally likely.
    fn identifying_bits(&self) -> f64 {
        let at: Vec<Vec<i64>> = self.rows.iter().map(|row| self.undithered(row)).collect();
        let bits = |index: usize| {
            let same = |&other: &usize| {
                self.buckets[other] == self.buckets[index] && self.fits(&at[other], self.points[index])
            };
            float((0..at.len()).filter(same).count() as i64).log2()
        };
        float(at.len() as i64).log2() - mean((0..at.len()).map(bits))
    }

    fn pinning(&self, unknown: usize) -> Pinning {
        let mut rng = ChaCha20Rng::from_seed([unknown as u8; 32]);
        let [mut map, mut linked, mut matrix, mut bits] = [const { Vec::new() }; 4];
        for (index, row) in self.rows.iter().enumerate() {
            let hidden = choose(row, unknown, &mut rng);
            let same_bucket = |&other: &usize| self.buckets[other] == self.buckets[index];
            let everybody: Vec<&[i64]> = (0..self.points.len()).filter(same_bucket).map(|i| self.points[i]).collect();
            let left = self.completions(row, &everybody, &hidden);
            map.push(f64::from(u8::from(left == 1)));
            let own = self.completions(row, &[self.points[index]], &hidden);
            linked.push(f64::from(u8::from(own == 1)));
            bits.push(float(3_i64.pow(hidden.len() as u32)).log2() - float(left).log2());
            matrix.push(f64::from(u8::from(self.matrix_pins(row, &hidden))));
        }
        let [map, linked, matrix, bits] = [map, linked, matrix, bits].map(|values| mean(values.into_iter()));
        Pinning { map, linked, matrix, bits }
    }

    /// Returns how many ways to fill the hidden votes fit one of the candidate points.
    fn completions(&self, row: &[Option<Vote>], candidates: &[&[i64]], hidden: &[usize]) -> i64 {
        let mut guess = row.to_vec();
        let mut fitting = 0;
        for number in 0..3_usize.pow(hidden.len() as u32) {
            let mut digits = number;
            for &item in hidden {
                guess[item] = Some(Vote::ALL[digits % 3]);
                digits /= 3;
            }
            let at = self.undithered(&guess);
            fitting += i64::from(candidates.iter().any(|point| self.fits(&at, point)));
        }
        fitting
    }

    /// Returns whether all rows of the matrix that agree with what is known agree on the hidden votes too.
    fn matrix_pins(&self, row: &[Option<Vote>], hidden: &[usize]) -> bool {
        let known = |other: &&&[Option<Vote>]| {
            let same = |(item, (a, b)): (usize, (&Option<Vote>, &Option<Vote>))| {
                if hidden.contains(&item) { a.is_some() && b.is_some() } else { a == b }
            };
            row.iter().zip(other.iter()).enumerate().all(same)
        };
        self.rows.iter().filter(known).all(|other| *other == row)
    }
}

/// Draws `count` of the items that a ballot has votes on.
fn choose(row: &[Option<Vote>], count: usize, rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut items: Vec<usize> = (0..row.len()).filter(|&item| row[item].is_some()).collect();
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count && !items.is_empty() {
        chosen.push(items.swap_remove(rng.next_u64() as usize % items.len()));
    }
    chosen
}

fn matrix_identifying_bits(conversation: &Conversation) -> f64 {
    let rows = conversation.matrix.rows();
    let same = |row: &Vec<Option<Vote>>| float(rows.iter().filter(|other| *other == row).count() as i64).log2();
    float(rows.len() as i64).log2() - mean(rows.iter().map(same))
}

/// Returns the sum of the entropies of the columns: agree, disagree, pass or unseen.
fn row_bits(conversation: &Conversation) -> f64 {
    let rows = conversation.matrix.rows();
    let column = |item: usize| rows.iter().map(move |row| row[item].map_or(-2, Vote::value));
    (0..conversation.matrix.items()).map(|item| entropy(column(item))).sum()
}

/// Returns the entropy of the empirical distribution, in bits.
fn entropy<T: Ord>(values: impl Iterator<Item = T>) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_i64) += 1);
    let total = float(counts.values().sum());
    counts.values().map(|&count| -(float(count) / total) * (float(count) / total).log2()).sum()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = float(values.len() as i64);
    values.sum::<f64>() / count
}
