//! The secret pipeline with nobody to keep secrets from: the stages of a round on a vote matrix in the clear.
//!
//! Noise and dithers are drawn from a seed with the distributions that they have in a round; all else is the code
//! that a round runs. Experiments compare the outcome with [`analyze`](super::analyze::analyze), and measure what its
//! publication tells about a ballot.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rand_core::Rng;

use super::{
    StageError,
    bucket::BucketEdges,
    findings::{Findings, Moderation, Tallied},
    groups::{GroupFloor, Partition, Placed, partition},
    linear::IntMatrix,
    map::{Axis, Fraction, Map},
    matrix::VoteMatrix,
    pca::{PcaPlan, ballot_product, noise_amplitude, omega_first, omega_next},
    routing::map_extremity,
    tally::{Totals, mu},
};

/// The community whose round is simulated.
#[derive(Clone, Debug)]
pub struct SecretOptions {
    /// The least size of the blocks of the partition, and of groups.
    pub floor: GroupFloor,
    /// The least number of ballots for a map.
    pub group_floor: usize,
    /// Sets of operators, each of which adds its own noise: `C(n, f)`.
    pub noise_terms: u32,
    /// What moderation says.
    pub moderation: Moderation,
}

impl Default for SecretOptions {
    /// The defaults of a community with five operators, one of whom may be faulty.
    fn default() -> Self {
        Self { floor: GroupFloor::from(10), group_floor: 40, noise_terms: 5, moderation: Moderation::default() }
    }
}

/// Everything that a round would have published.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretOutcome {
    /// The exact totals.
    pub totals: Totals,
    /// The means.
    pub mu: Vec<i64>,
    /// The size of the PCA, if there was one.
    pub plan: Option<PcaPlan>,
    /// Each pass: Ω and the noisy product.
    pub passes: Vec<(IntMatrix, IntMatrix)>,
    /// The map, if there is one.
    pub map: Option<Map>,
    /// Bucket and dithered coordinates of each ballot.
    pub placed: Vec<Placed>,
    /// The explained variance of each axis.
    pub explained: Vec<Fraction>,
    /// The partition.
    pub partition: Partition,
    /// The tallies of the opinion groups.
    pub groups: Vec<Totals>,
    /// All that follows.
    pub findings: Findings,
}

/// Runs the secret pipeline.
///
/// # Errors
///
/// Returns [`StageError::OutOfRange`] if there are more items than any poll has.
pub fn secret_pipeline(
    matrix: &VoteMatrix,
    seed: [u8; 32],
    options: &SecretOptions,
) -> Result<SecretOutcome, StageError> {
    let items = u16::try_from(matrix.items()).map_err(|_| StageError::OutOfRange("number of items"))?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    let totals = matrix.totals();
    let mu = mu(&totals);
    let centred: Vec<Vec<i64>> = matrix.rows().iter().map(|row| VoteMatrix::centred(row, &mu)).collect();
    let plan = PcaPlan::new(matrix.items(), centred.len(), options.group_floor);
    let passes = match plan {
        Some(plan) => passes(&centred, matrix.items(), plan, seed, options, &mut rng)?,
        None => Vec::new(),
    };
    let map = match passes.last() {
        Some((omega, product)) => Map::from_last_pass(omega, product, centred.len())?,
        None => None,
    };
    let edges = BucketEdges::new(items);
    let (placed, partition) = match &map {
        Some(map) => {
            let placed = place(map, &edges, matrix, &centred, &mut rng);
            let partition = partition(map, &edges, &placed, options.floor);
            (placed, partition)
        }
        None => (vec![Placed::default(); centred.len()], Partition::whole(centred.len())),
    };
    let explained = map.iter().flat_map(|map| map.axes.iter().enumerate()).map(|(index, axis)| {
        axis.explained(placed.iter().filter_map(|ballot| ballot.point.get(index).copied()), totals.trace())
    });
    let explained = explained.collect();
    let groups = matrix.group_totals(&partition.groups(), partition.k);
    let findings = Findings::new(Tallied {
        totals: &totals,
        groups: &groups,
        sizes: &partition.blocks,
        extremity: &map_extremity(&mu, map.as_ref()),
        moderation: &options.moderation,
    });
    Ok(SecretOutcome { totals, mu, plan, passes, map, placed, explained, partition, groups, findings })
}

/// Runs the passes of the noisy power method.
fn passes(
    centred: &[Vec<i64>],
    items: usize,
    plan: PcaPlan,
    seed: [u8; 32],
    options: &SecretOptions,
    rng: &mut impl Rng,
) -> Result<Vec<(IntMatrix, IntMatrix)>, StageError> {
    let hidden = &options.moderation.hidden;
    let mut omega = omega_first(seed, items, plan.columns)?.hiding(hidden);
    let mut passes = Vec::with_capacity(plan.passes);
    for _ in 0..plan.passes {
        let product = noisy_product(centred, &omega, options.noise_terms, rng)?.hiding(hidden);
        let next = omega_next(&product);
        passes.push((omega, product));
        match next {
            Some(next) => omega = next,
            None => break,
        }
    }
    Ok(passes)
}

/// Returns `Σ_i x̃_i (x̃_iᵀ Ω) + noise`.
fn noisy_product(
    centred: &[Vec<i64>],
    omega: &IntMatrix,
    noise_terms: u32,
    rng: &mut impl Rng,
) -> Result<IntMatrix, StageError> {
    let mut columns = vec![vec![0_i128; omega.rows()]; omega.columns().len()];
    for x in centred {
        for (sums, part) in columns.iter_mut().zip(ballot_product(x, omega)) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
    for (column, amplitude) in columns.iter_mut().zip(noise_amplitude(omega)) {
        for entry in column {
            *entry += (0..noise_terms).map(|_| symmetric(amplitude, rng)).sum::<i128>();
        }
    }
    IntMatrix::from_columns(omega.rows(), columns)
}

/// Returns the bucket and, for those who have one, the dithered point of each ballot.
fn place(map: &Map, edges: &BucketEdges, matrix: &VoteMatrix, centred: &[Vec<i64>], rng: &mut impl Rng) -> Vec<Placed> {
    let coordinate = |axis: &Axis, x: &[i64], rng: &mut dyn Rng| axis.project(x) + axis.dither(rng.next_u32());
    let mut one = |(x, votes): (&Vec<i64>, usize)| {
        let bucket = edges.bucket_of(votes);
        let mut point = Vec::new();
        if bucket.is_some() {
            point.extend(map.axes.iter().map(|axis| coordinate(axis, x, &mut *rng)));
        }
        Placed { bucket, point }
    };
    centred.iter().zip(matrix.votes_cast()).map(&mut one).collect()
}

/// Returns an integer in `−amplitude..=amplitude`, uniform up to 2⁻⁶⁴.
fn symmetric(amplitude: u64, rng: &mut impl Rng) -> i128 {
    let wide = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
    let value = wide % (2 * u128::from(amplitude) + 1);
    i128::try_from(value).expect("at most 2^65") - i128::from(amplitude)
}

#[cfg(test)]
mod tests {
    use chorus_crypto::codec::Encode as _;

    use super::*;
    use crate::{
        deliberation::{
            analyze::{Options, analyze},
            compare::adjusted_rand_index,
            tally::Vote,
        },
        id::BlobId,
    };

    /// Three camps of forty on forty items: each agrees with its own ten, and most with the last ten.
    fn camps() -> VoteMatrix {
        let vote = |row: usize, item: usize| match (row % 3, item / 10, (row * 31 + item * 17) % 11) {
            (_, _, 0) => None,
            (_, _, 1) => Some(Vote::Pass),
            (_, 3, _) => Some(Vote::Agree),
            (camp, block, _) if camp == block => Some(Vote::Agree),
            (_, _, _) => Some(Vote::Disagree),
        };
        let rows = (0..120).map(|row| (0..40).map(|item| vote(row, item)).collect()).collect();
        VoteMatrix::new(40, rows).expect("forty columns")
    }

    #[test]
    fn the_secret_pipeline_finds_the_camps_that_the_clear_one_finds() {
        let clear = analyze(&camps(), &Options { floor: 10, ..Options::default() }).expect("no labels");
        let secret = secret_pipeline(&camps(), [7; 32], &SecretOptions::default()).expect("forty items");

        assert_eq!((secret.partition.k, clear.sizes.len()), (3, 3));
        assert!(adjusted_rand_index(&secret.partition.groups(), &clear.labels) > 0.95);
        assert!(secret.findings.ranking[..10].iter().all(|&item| item >= 30));
        assert!(secret.map.is_some_and(|map| map.is_valid(40)));
    }

    #[test]
    fn the_outcome_is_a_function_of_votes_and_seed() {
        let run = |seed| secret_pipeline(&camps(), [seed; 32], &SecretOptions::default()).expect("forty items");

        assert_eq!(run(1), run(1));
        assert_ne!(run(1).placed, run(2).placed);
        assert_eq!(run(1).totals, run(2).totals);
    }

    #[test]
    fn the_outcome_has_these_bytes_on_every_machine() {
        let outcome = secret_pipeline(&camps(), [7; 32], &SecretOptions::default()).expect("forty items");

        let mut bytes = outcome.map.expect("clear axes").to_bytes();
        for (omega, product) in &outcome.passes {
            omega.encode(&mut bytes);
            product.encode(&mut bytes);
        }
        let reals = outcome.findings.priorities.iter().chain(outcome.partition.centres.iter().flatten());
        reals.for_each(|value| value.to_bits().encode(&mut bytes));
        bytes.extend(outcome.partition.assignment.iter().map(|&block| u8::try_from(block).expect("few blocks")));
        assert_eq!(BlobId::of(&bytes).to_string(), "a39473457414561ca9ec4207b89d5fc370f2da1667aea92c60af32402a29bf54");
    }

    #[test]
    fn hidden_items_have_no_part_in_the_map() {
        let hidden: Vec<bool> = (0..40).map(|item| item < 3).collect();
        let options = SecretOptions { moderation: Moderation { hidden, meta: Vec::new() }, ..SecretOptions::default() };

        let outcome = secret_pipeline(&camps(), [3; 32], &options).expect("forty items");

        let map = outcome.map.expect("clear axes");
        assert!(map.axes.iter().all(|axis| axis.loadings[..3] == [0, 0, 0]));
    }

    #[test]
    fn a_small_poll_has_totals_only() {
        let small = VoteMatrix::new(40, camps().rows()[..39].to_vec()).expect("forty columns");

        let outcome = secret_pipeline(&small, [3; 32], &SecretOptions::default()).expect("forty items");

        assert_eq!((outcome.map, outcome.passes.len()), (None, 0));
        assert_eq!(outcome.partition, Partition::whole(39));
        assert_eq!(outcome.groups, [small.totals()]);
    }
}
