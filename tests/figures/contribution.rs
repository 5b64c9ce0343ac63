//! Figures of a whole contribution: ballot, link, masks, sealed seeds, credential.
//!
//! One core: verification runs in a pool of one thread. Times are the least of several runs.

use std::time::Instant;

use chorus_crypto::{ballot::Vote, codec::Encode as _};
use chorus_protocol::contribution::{CheckedForm, Contributor, Submission, verify_all};
use chorus_tests::{community::population, offline::OpenRound};

use crate::figure::Figure;

/// Contributions verified together.
const BATCH: usize = 64;
/// Repetitions of each measurement.
const RUNS: usize = 5;

/// Measures contributions of polls of 50, 100 and 200 items among 5 operators, in a ring of 64, and of 100 in larger ones.
pub(crate) fn figures() -> Vec<Figure> {
    let sizes = [(50, BATCH), (100, BATCH), (200, BATCH), (100, 1_024), (100, 4_096)];
    sizes.into_iter().flat_map(|(items, members)| of_size(items, members)).collect()
}

/// What one contribution costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds to make it.
    pub(crate) make: f64,
    /// Seconds to verify it in a batch, as anyone.
    pub(crate) public: f64,
    /// Seconds to check its masks and own seeds, as an operator.
    pub(crate) private: f64,
    /// Its bytes.
    pub(crate) bytes: f64,
    /// Those of its public body.
    pub(crate) body: f64,
}

impl Cost {
    /// Measures contributions to a poll of so many items among 5 operators, of some in a community of so many members: each
    /// is hidden among all of them.
    pub(crate) fn measured(items: usize, members: usize) -> Self {
        let mut open = OpenRound::new(1, 5, members, items);
        let votes = population(1, BATCH, items, 2);
        let mut make = f64::INFINITY;
        let submissions: Vec<Submission> = (0..BATCH)
            .map(|person| {
                let start = Instant::now();
                let submission = cast(&mut open, person, &votes[person]);
                if person < RUNS {
                    make = make.min(start.elapsed().as_secs_f64());
                }
                submission
            })
            .collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
        let (mut public, mut private) = (f64::INFINITY, f64::INFINITY);
        for run in 0..RUNS {
            let start = Instant::now();
            let forms: Vec<CheckedForm> = submissions
                .iter()
                .map(|submission| CheckedForm::new(&open.ledger, &submission.body).expect("an honest body"))
                .collect();
            let refs: Vec<&CheckedForm> = forms.iter().collect();
            let verdicts = pool.install(|| verify_all(&open.ledger, &refs, &[run as u8; 32]));
            public = public.min(start.elapsed().as_secs_f64() / BATCH as f64);
            let start = Instant::now();
            for ((form, submission), verdict) in forms.iter().zip(&submissions).zip(verdicts) {
                let equations = verdict.expect("an honest contribution");
                form.check_private(&open.ledger, &equations, submission, 1, &open.keys[0]).expect("honest seeds");
            }
            private = private.min(start.elapsed().as_secs_f64() / BATCH as f64);
        }
        let bytes = submissions.iter().map(|submission| submission.to_bytes().len()).max().unwrap_or(0) as f64;
        let body = submissions.iter().map(|submission| submission.body.len()).max().unwrap_or(0) as f64;
        Self { make, public, private, bytes, body }
    }
}

fn of_size(items: usize, members: usize) -> Vec<Figure> {
    let Cost { make, public, private, bytes, body } = Cost::measured(items, members);
    let figure = |name: &str, value: f64, unit: &'static str| {
        Figure::new(format!("{items} items, 5 operators, ring of {members}: contribution, {name}"), value, unit)
    };
    let is_claimed = (items, members) == (100, BATCH);
    let bounded = |figure: Figure, bound: f64| if is_claimed { figure.at_most(bound) } else { figure };
    vec![
        bounded(figure("make, all told", make, "s"), 0.020),
        bounded(figure("verify in a batch of 64, all told, as an operator", public + private, "s"), 0.0035),
        bounded(figure("verify in a batch of 64, as anyone", public, "s"), 0.0025),
        figure("check masks and own seeds, as an operator", private, "s"),
        bounded(figure("bytes, all told", bytes, "B"), 40_000.0),
        figure("bytes of the public body", body, "B"),
    ]
}

fn cast(open: &mut OpenRound, person: usize, votes: &[Vote]) -> Submission {
    let round = open.round().clone();
    let person = &mut open.community.people[person];
    let contributor = Contributor::anonymous(&person.leaf);
    contributor.cast(&open.ledger, &round, votes, &mut person.rng).expect("a member may vote")
}
