//! The mathematics of a conversation: `cargo bench -p chorus-protocol`. `RAYON_NUM_THREADS=1` for one core.

use chorus_protocol::deliberation::{
    analyze::{Options, analyze},
    groups::group,
    matrix::VoteMatrix,
    simulate::{SecretOptions, secret_pipeline},
    tally::Vote,
};
use divan::{Bencher, black_box};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

fn main() {
    divan::main();
}

/// People and statements; everybody votes on one in three.
const SIZES: [(usize, usize); 3] = [(200, 50), (1_000, 300), (2_000, 900)];

/// A conversation of three camps, which a tenth of the statements divide.
fn conversation((people, items): (usize, usize)) -> VoteMatrix {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut vote = |person: usize, item: usize| {
        let draw = rng.next_u32() % 300;
        let leaning = if item.is_multiple_of(10) && (item / 10 + person).is_multiple_of(3) { 15 } else { 75 };
        match draw {
            100.. => None,
            90.. => Some(Vote::Pass),
            draw if draw < leaning => Some(Vote::Agree),
            _ => Some(Vote::Disagree),
        }
    };
    let rows = (0..people).map(|person| (0..items).map(|item| vote(person, item)).collect()).collect();
    VoteMatrix::new(items, rows).expect("rows of one length")
}

/// Map, groups, consensus and what represents whom, of votes in the clear.
#[divan::bench(args = SIZES, sample_count = 10)]
fn analysis(bencher: Bencher<'_, '_>, size: (usize, usize)) {
    let matrix = conversation(size);
    let options = Options { floor: 10, ..Options::default() };
    bencher.bench_local(|| analyze(black_box(&matrix), &options).expect("no labels"));
}

/// The stages of a secret round, without the secrecy.
#[divan::bench(args = &SIZES[..2], sample_count = 5)]
fn secret_stages(bencher: Bencher<'_, '_>, size: &(usize, usize)) {
    let matrix = conversation(*size);
    bencher.bench_local(|| secret_pipeline(black_box(&matrix), [1; 32], &SecretOptions::default()).expect("few items"));
}

/// The groups of placed ballots: what every verifier makes again.
#[divan::bench(args = [1_000, 10_000], sample_count = 5)]
fn grouping(bencher: Bencher<'_, '_>, ballots: u32) {
    // Three overlapping clouds on a lattice that does not repeat.
    let point = |i: u32| {
        let spread = |step: u32| f64::from(i.wrapping_mul(step) % 8_191) / 4_096.0 - 1.0;
        Some([f64::from(i % 3) + spread(3_571) + spread(1_237), f64::from(i % 3 / 2) + spread(2_459) + spread(5_323)])
    };
    let points: Vec<_> = (0..ballots).map(point).collect();
    bencher.bench_local(|| group(black_box(&points), 10, None));
}
