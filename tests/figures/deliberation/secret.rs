//! What the secret PCA costs an operator.

use std::time::Instant;

use chorus_crypto::{
    Scalar,
    ballot::{Layout, Vote, Witness},
    codec::Decode as _,
    mask::{Committee, Expansion, Masking, SetKey, Shape, reconstruct},
};
use chorus_protocol::{
    deliberation::pca::{PcaPlan, omega_first},
    id::SetId,
    log::entry::PassId,
    round::pca::{CentredShare, centred_share, pass_share},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::figure::Figure;

const BALLOTS: usize = 1_000;
const ITEMS: u16 = 300;
const OPERATORS: u8 = 5;
const FAULTY: usize = 1;
const CONTEXT: [u8; 32] = [5; 32];

/// One ballot as the operators have it.
struct Submitted {
    masked: Vec<Scalar>,
    masking: Masking,
}

/// What a round on this many items is about.
struct Round {
    committee: Committee,
    layout: Layout,
    shape: Shape,
    ballots: Vec<Submitted>,
    set: SetId,
}

impl Round {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let layout = Layout::new(ITEMS, true).expect("few items");
        let shape = Shape::ballot(u32::try_from(layout.data_rows()).expect("few rows"));
        let committee = Committee::new(OPERATORS).expect("a size that is allowed");
        let ballot = |number: usize| {
            let votes: Vec<Vote> = (0..usize::from(ITEMS)).map(|item| vote(number, item)).collect();
            let witness = Witness::new(&layout, &votes, &mut rng).expect("one vote an item");
            let masking = Masking::new(&committee, &shape, &CONTEXT, &mut rng);
            let rows: Vec<Vec<Scalar>> = witness.data().iter().map(|value| vec![*value]).collect();
            Submitted { masked: masking.mask(&rows), masking }
        };
        let ballots = (0..BALLOTS).map(ballot).collect();
        Self { committee, layout, shape, ballots, set: SetId::from_bytes(&[7; 32]).expect("32 bytes") }
    }

    /// An operator's shares of the centred votes: its masks are stretched again from their seeds.
    fn centred(&self, operator: u8) -> Vec<CentredShare> {
        let subsets = self.committee.subsets();
        let share = |ballot: &Submitted| {
            let held = self.committee.held_by(operator);
            let expand =
                |at: usize| (at, Expansion::new(&ballot.masking.seeds()[at], &CONTEXT, subsets[at], &self.shape));
            let expansions: Vec<_> = held.into_iter().map(expand).collect();
            let held: Vec<_> = expansions.iter().map(|(at, expansion)| (*at, expansion)).collect();
            let mu = vec![5; usize::from(ITEMS)];
            centred_share(&self.committee, operator, &self.layout, &self.shape, &ballot.masked, &held, &mu)
        };
        self.ballots.iter().map(|ballot| share(ballot).expect("its own masks")).collect()
    }

    fn keys(&self, operator: u8) -> Vec<(usize, SetKey)> {
        let key =
            |at: usize| (at, SetKey::new(&CONTEXT, self.ballots.iter().map(|ballot| &ballot.masking.seeds()[at])));
        self.committee.held_by(operator).into_iter().map(key).collect()
    }
}

fn vote(ballot: usize, item: usize) -> Vote {
    match (ballot * 7 + item * 3 + ballot * item) % 5 {
        0 => Vote::Pass,
        1 | 2 => Vote::Agree,
        _ => Vote::Disagree,
    }
}

/// Returns what an operator computes, on one core, until the last product of the PCA is there: shares of all ballots, a
/// share of every pass, and the product from the shares of all.
pub(super) fn operator_time() -> Vec<Figure> {
    let round = Round::new();
    let plan = PcaPlan::new(usize::from(ITEMS), BALLOTS, 40).expect("enough of both");
    let start = Instant::now();
    let own = round.centred(1);
    let centring = start.elapsed().as_secs_f64();
    let others: Vec<_> = (2..=OPERATORS).map(|operator| (operator, round.centred(operator))).collect();
    let mut passes = 0.0;
    for number in 0..plan.passes {
        let pass = PassId { pass: u8::try_from(number).expect("few passes"), attempt: 0 };
        // What Ω holds changes nothing about the work.
        let omega = omega_first([pass.pass; 32], usize::from(ITEMS), plan.columns).expect("few columns");
        let share = |operator: u8, ballots: &[CentredShare]| {
            let keys = round.keys(operator);
            let keys: Vec<_> = keys.iter().map(|(at, key)| (*at, key)).collect();
            pass_share(&round.committee, operator, ballots, &omega, &keys, &round.set, pass).expect("its own keys")
        };
        let start = Instant::now();
        let mut shares = vec![(1, share(1, &own))];
        passes += start.elapsed().as_secs_f64();
        shares.extend(others.iter().map(|(operator, ballots)| (*operator, share(*operator, ballots))));
        let points: Vec<_> = shares.iter().map(|(operator, values)| (*operator, values.as_slice())).collect();
        let start = Instant::now();
        let product = reconstruct(&points, 2 * FAULTY, 3 * FAULTY + 1).expect("nobody lies");
        passes += start.elapsed().as_secs_f64();
        assert!(product.liars.is_empty(), "all shares lie on one polynomial");
    }
    let of = format!("secret PCA, {BALLOTS} x {ITEMS}, {OPERATORS} operators");
    let named = |what: &str, seconds| Figure::new(format!("{of}: {what}"), seconds, "s");
    vec![
        named("an operator's shares of the ballots", centring),
        named(&format!("{} passes of {} columns", plan.passes, plan.columns), passes),
        named("an operator, all told", centring + passes).at_most(10.0),
    ]
}
