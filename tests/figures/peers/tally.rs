//! What it takes to open the sum of some ballots.

use std::time::Instant;

use chorus_crypto::{
    Scalar,
    ballot::{Layout, Vote, Witness},
    group::{Generators, Point},
    mask::{self, CommitmentSum, Committee, Mask, MaskSum, MaskedSum, Masking, Shape, Unmasking},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// Repetitions of the measurement.
const RUNS: usize = 3;

/// Returns the seconds in which an operator sums the masks of `ballots`, and anybody then adds up the ballots, opens and checks
/// the totals: the least of several runs. That each ballot is one was verified before.
///
/// # Errors
///
/// Returns why they do not open: never, for they are honest.
pub(super) fn measured(items: usize, ballots: usize) -> anyhow::Result<f64> {
    const CONTEXT: [u8; 32] = [5; 32];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let layout = Layout::new(u16::try_from(items)?, true)?;
    let shape = Shape::ballot(u32::try_from(layout.data_rows())?);
    let (committee, generators) = (Committee::new(5)?, Generators::single());
    let mut cast = Vec::new();
    for ballot in 0..ballots {
        let votes: Vec<Vote> =
            (0..items).map(|item| [Vote::Agree, Vote::Disagree, Vote::Pass][(ballot + item) % 3]).collect();
        let witness = Witness::new(&layout, &votes, &mut rng)?;
        let masking = Masking::new(&committee, &shape, &CONTEXT, &mut rng);
        let rows: Vec<Vec<Scalar>> = witness.data().iter().map(|value| vec![*value]).collect();
        let (commitments, vector) = masking.commit_and_mask(generators, &rows);
        let points: Vec<_> = commitments.iter().skip(1).map(Point::decompress).collect::<Result<_, _>>()?;
        cast.push((points, vector, masking));
    }
    let held = committee.held_by(1);
    let runs = (0..RUNS).map(|_| -> anyhow::Result<f64> {
        let start = Instant::now();
        let (mut committed, mut masked) = (CommitmentSum::new(&shape), MaskedSum::new(&shape));
        for (points, vector, _) in &cast {
            committed.add(points)?;
            masked.add(vector)?;
        }
        let mut sums: Vec<MaskSum> = committee.subsets().iter().map(|_| MaskSum::new(&shape)).collect();
        let mut others = 0.0;
        for (index, sum) in sums.iter_mut().enumerate() {
            let began = Instant::now();
            for (_, _, masking) in &cast {
                sum.add_mask(&Mask::new(&masking.seeds()[index], &CONTEXT, committee.subsets()[index], &shape));
            }
            if !held.contains(&index) {
                others += began.elapsed().as_secs_f64();
            }
        }
        let mut unmasking = Unmasking::new(masked);
        sums.iter().try_for_each(|sum| unmasking.remove(sum))?;
        let opened = unmasking.finish()?;
        mask::check_sum(generators, &shape, &opened, committed.points(), &[0; 32])?;
        Ok(start.elapsed().as_secs_f64() - others)
    });
    runs.into_iter().try_fold(f64::INFINITY, |least, run| Ok(least.min(run?)))
}
