//! What one contribution costs on this machine, measured with real ones on one core.
//!
//! It depends on the ring in which its credential hides, so it is measured in rings as large as those of the simulated
//! rounds, and as large as those of the table of more people.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chorus_crypto::{
    RistrettoPoint, Scalar,
    credential::LeafSecret,
    domain,
    mask::{Expansion, Mask, MaskSum, Seed},
    seal::{SealSecret, seal},
    sign::SecretKey,
};
use chorus_protocol::{
    contribution::{CheckedForm, Contributor, Format, Submission, Template, verify_all},
    ledger::{Ledger, RoundRecord, RoundState},
    registry::snapshot::cohorts_of,
};

use rayon::prelude::*;

use super::{
    Links, Options,
    network::{MILLI, Network, Turn},
    table,
    world::{Members, World, rng, votes},
};

/// Contributions that are made for a measurement, and verified at once.
const SAMPLES: usize = 32;

/// How many of them are made on one core, to see how long that takes.
const TIMED: usize = 8;

/// How often small things are repeated.
const REPEATS: u32 = 200;

/// How long the rehearsal's operators may take to open its round, in milliseconds of the virtual clock.
const OPENING_MILLIS: u64 = 120_000;

/// What one contribution costs: microseconds on one core, and bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Members of the ring in which that was measured.
    pub ring: u64,
    /// Making one: masks, commitments, proof, credential, sealed seeds.
    pub make: u64,
    /// Verifying the proofs of one among many.
    pub verify: u64,
    /// Verifying the proofs of one alone.
    pub verify_alone: u64,
    /// What an operator does to one besides: its box, its seeds, the masked vector.
    pub check: u64,
    /// What an operator does to one when sums are opened: masks, commitments.
    pub open: u64,
    /// Verifying a signature.
    pub signature: u64,
    /// Bytes of the public body, which everybody can audit.
    pub body_bytes: u64,
    /// Bytes of all that is sent.
    pub bytes: u64,
}

impl Costs {
    /// Returns how long the proofs of so many contributions take together: what one takes more than its part of many is
    /// for all of them.
    pub(super) const fn together(&self, count: u64) -> u64 {
        let many = SAMPLES as u64;
        let more = (many * self.verify).saturating_sub(self.verify_alone) / (many - 1);
        self.verify_alone + count.saturating_sub(1) * more
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    /// In a ring of the rounds that are simulated.
    pub costs: Costs,
    /// In those rings of the table that are others.
    pub table_costs: Vec<Costs>,
}

impl Measured {
    /// Returns what was measured in a ring of so many, or in the one that comes nearest.
    pub(super) fn in_ring(&self, ring: usize) -> &Costs {
        let all = std::iter::once(&self.costs).chain(&self.table_costs);
        all.min_by_key(|costs| costs.ring.abs_diff(ring as u64)).unwrap_or(&self.costs)
    }
}

/// Returns how large the rings of so many members are: more than fit one are dealt to several.
pub(super) fn ring_of(members: usize) -> usize {
    members.div_ceil(cohorts_of(members))
}

/// A round with real proofs that came before: what it cost, and what stands in for proofs from then on.
#[derive(Debug)]
pub(super) struct Rehearsal {
    /// What it cost.
    pub(super) measured: Measured,
    /// A proof and a credential.
    pub(super) template: Template,
}

impl Rehearsal {
    /// Contributes to a round in a ring as large as a cohort has; measures, unless that was done before.
    pub(super) fn play(options: &Options, given: Option<Measured>) -> anyhow::Result<Self> {
        let ring = ring_of(options.members(0));
        let needed = if given.is_some() { 1 } else { SAMPLES };
        let (template, costs) = rehearse(options, ring, |secrets, ledger, round| {
            let (submissions, made) =
                contributions(options, secrets.get(..needed).unwrap_or(secrets), (ledger, round))?;
            let template = submissions.first().and_then(Template::of).context("a ballot was made")?;
            let costs = given.is_none().then(|| measured(ledger, round, (&submissions, made), ring)).transpose()?;
            Ok((template, costs))
        })?;
        let measured = match (given, costs) {
            (Some(given), _) => given,
            (None, costs) => {
                let others = table::rings().into_iter().filter(|other| *other != ring);
                let table_costs = others.map(|ring| costs_in(options, ring)).collect::<anyhow::Result<_>>()?;
                Measured { costs: costs.context("it was measured")?, table_costs }
            }
        };
        Ok(Self { measured, template })
    }
}

/// Measures what contributions cost in a ring of so many.
fn costs_in(options: &Options, ring: usize) -> anyhow::Result<Costs> {
    rehearse(options, ring, |secrets, ledger, round| {
        let (submissions, made) = contributions(options, secrets, (ledger, round))?;
        measured(ledger, round, (&submissions, made), ring)
    })
}

/// Opens a round among so many members, some of whom hold the secrets of their leaves.
fn rehearse<T>(
    options: &Options,
    members: usize,
    act: impl FnOnce(&[LeafSecret], &Ledger, &RoundRecord) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // Nothing goes wrong in it.
    let links = Links { loss: 0, ..Links::default() };
    let options = &Options { links, down: 0, lying: 0, ..options.clone() };
    // Who they are does not depend on what is measured: everybody's stand-in is made by one of them.
    let samples = SAMPLES.min(members);
    // A number that no cohort has: its secrets are nobody else's.
    let number = usize::from(u16::MAX);
    let world = World::found(options, number, (members, Members::Points(samples)), OPENING_MILLIS)?;
    let mut network = Network::start(options, &Costs::default(), number, &world)?;
    while !network.all_in(RoundState::Open) && network.now() < OPENING_MILLIS * MILLI {
        if network.step() == Turn::Over {
            break;
        }
    }
    let ledger = network.ledger().context("an operator is up")?;
    let round = network.round().filter(|round| round.state() == RoundState::Open);
    act(&world.secrets, ledger, round.context("the operators of the rehearsal open no round")?)
}

fn one_core() -> anyhow::Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build()?)
}

fn contributions(
    options: &Options,
    secrets: &[LeafSecret],
    (ledger, round): (&Ledger, &RoundRecord),
) -> anyhow::Result<(Vec<Submission>, Duration)> {
    // What is computed once for all is computed before.
    let cast = |index: usize, secret| {
        let votes = votes(options.seed, usize::from(u16::MAX), index, options.items);
        Contributor::anonymous(secret).cast(ledger, round, &votes, &mut rng(options.seed, "rehearsal", (0, index)))
    };
    let first = secrets.first().context("somebody rehearses")?;
    cast(0, first)?;
    let (timed, others) = secrets.split_at(TIMED.min(secrets.len()));
    let begun = Instant::now();
    let mut all = one_core()?.install(|| {
        timed.iter().enumerate().map(|(index, secret)| cast(index, secret)).collect::<Result<Vec<_>, _>>()
    })?;
    let each = begun.elapsed() / u32::try_from(timed.len())?;
    let others: Result<Vec<_>, _> =
        others.par_iter().enumerate().map(|(index, secret)| cast(timed.len() + index, secret)).collect();
    all.extend(others?);
    Ok((all, each))
}

/// Measures, on one core.
fn measured(
    ledger: &Ledger,
    round: &RoundRecord,
    (submissions, made): (&[Submission], Duration),
    ring: usize,
) -> anyhow::Result<Costs> {
    one_core()?.install(|| measured_here(ledger, round, (submissions, made), ring))
}

fn measured_here(
    ledger: &Ledger,
    round: &RoundRecord,
    (submissions, made): (&[Submission], Duration),
    ring: usize,
) -> anyhow::Result<Costs> {
    let forms: Vec<CheckedForm> =
        submissions.iter().map(|one| CheckedForm::new(ledger, &one.body)).collect::<Result<_, _>>()?;
    let all: Vec<&CheckedForm> = forms.iter().collect();
    let count = u32::try_from(all.len())?;
    let (first, sample) = (forms.first().context("a form")?, submissions.first().context("a contribution")?);
    let begun = Instant::now();
    let verdicts = verify_all(ledger, &all, &[7; 32]);
    let verify = begun.elapsed();
    anyhow::ensure!(verdicts.iter().all(Result::is_ok), "the rehearsal's contributions hold");
    let begun = Instant::now();
    black_box(verify_all(ledger, &[first], &[8; 32]));
    let alone = begun.elapsed();
    let key = SecretKey::from_seed(&[9; 32]);
    let signature = key.sign(domain::ENVELOPE, &sample.body);
    let signature = each(|| key.public().verify(domain::ENVELOPE, &sample.body, &signature));
    let (check, open) = masks(round, first)?;
    Ok(Costs {
        ring: ring as u64,
        make: micros(made),
        verify: micros(verify / count),
        verify_alone: micros(alone),
        check: micros(check),
        open: micros(open),
        signature: micros(signature),
        body_bytes: sample.body.len() as u64,
        bytes: sample.size() as u64,
    })
}

/// Measures what an operator does to a contribution when it comes, and when sums are opened.
fn masks(round: &RoundRecord, form: &CheckedForm) -> anyhow::Result<(Duration, Duration)> {
    let shape = Format::of(round)?.shape();
    let sharing = round.charter.sharing();
    let (held, context) = (sharing.held_by(1).len(), [5; 32]);
    let subset = *sharing.subsets().first().context("a set of operators")?;
    let seed = Seed::from_bytes(&[3; 32]);
    let (mut random, gamma) = (rng(0, "measure", (0, 0)), Scalar::from(3u8));
    let key = SealSecret::random(&mut random);
    let sealed = seal(&key.public(), b"box", &vec![1; 32 * held], &mut random)?;
    let opened = each(|| key.open(b"box", &sealed));
    let folded = each(|| Mask::new(&seed, &context, subset, &shape).fold(&gamma));
    let mut sum = MaskSum::new(&shape);
    let summed = each(|| sum.add(&Expansion::new(&seed, &context, subset, &shape)));
    let points = form.data_commitments();
    let added = each(|| -> Option<RistrettoPoint> {
        let decoded: Option<Vec<RistrettoPoint>> = points.iter().map(|point| point.decompress().ok()).collect();
        decoded.map(|points| points.into_iter().sum())
    });
    let held = u32::try_from(held)?;
    Ok((opened + folded * held, summed * held + added))
}

/// Returns the mean time of many repetitions.
fn each<T>(mut work: impl FnMut() -> T) -> Duration {
    let begun = Instant::now();
    for _ in 0..REPEATS {
        black_box(work());
    }
    begun.elapsed() / REPEATS
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}
