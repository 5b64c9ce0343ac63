//! A sealed round from its totals to its result, as a pure function of the log and of the opened values it names.
//!
//! ```text
//! sealed ─▶ totals ─▶ passes of the secret PCA ─▶ buckets ─▶ points ─▶ partition ─▶ group tallies ─▶ report
//!              └────────── too few ballots, no map, passes given up ──────────────────────────────────▶┘
//! ```
//!
//! [`stage`] recomputes everything from the beginning each time it is asked: operators use it to learn what to open
//! next, followers to follow, verifiers to check. There is no state that could differ between them.

pub mod classes;
pub mod moral;
pub mod pca;
pub mod report;

use std::sync::Arc;

use chorus_crypto::{
    Scalar,
    ballot::Layout,
    codec::Decode as _,
    codec::Encode as _,
    domain,
    hash::{self, Digest},
    mask::OpenedSum,
};

use self::{
    classes::{ClassReport, assignment, blocks_of, to_blocks},
    report::{MapReport, Outcome, PlacedBallot, RoundReport},
};
use crate::{
    adapter::{
        blocks::partition as partition_deltas,
        manifest::AdapterManifest,
        report::{AdapterOutcome, AdapterReport, AdapterValues, Averaged, Averages, Variant},
    },
    contribution::layout,
    deliberation::{
        bucket::BucketEdges,
        groups::{Partition, Placed, partition},
        linear::IntMatrix,
        map::Map,
        pca::{PcaPlan, omega_first, omega_next},
        tally::{Tally, Totals, mu},
    },
    id::{BlobId, RoundId, SeriesId},
    ledger::{Collects, Divided, Ledger, RoundRecord, Sealed, partition_digest},
    log::entry::{BallotPlan, ClassPlan, DeltaPlan, PassId, PollKind, Step, Subject},
    opening::{Block, Functional, FunctionalPlan, OpenedStep, OpeningPlan, SumPlan},
};

/// Where the bodies that the log names are found.
pub trait Blobs {
    /// Returns the body with this id, if it is at hand.
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>>;
}

/// What a round needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The set is not sealed yet.
    Collecting,
    /// Masks are to be opened.
    Open {
        /// The step.
        step: Step,
        /// What is opened.
        plan: OpeningPlan,
    },
    /// The operators multiply.
    Pass {
        /// Which pass, which attempt.
        id: PassId,
        /// The public matrix.
        omega: IntMatrix,
        /// The column means.
        mu: Vec<i64>,
    },
    /// The operators state what splits the set into cohorts.
    Beacon,
    /// The operators state the partition.
    Partition {
        /// Its digest.
        digest: Digest,
    },
    /// A body that the log names is needed to go on.
    Missing(BlobId),
    /// More than f operators state what honest ones cannot.
    Contradiction(&'static str),
    /// Everything is known.
    Done(Box<Report>),
}

/// What came out of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Of a round of ballots.
    Ballots(RoundReport),
    /// Of an adapter round, with the adapters that it names, encoded.
    Deltas(AdapterReport, Vec<Vec<u8>>),
}

impl Report {
    /// Returns the result object's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ballots(report) => report.to_bytes(),
            Self::Deltas(report, _) => report.to_bytes(),
        }
    }

    /// Returns what follows from it, by content, and whatever else it names: the constitution of a statement poll, the
    /// adapters of an adapter round, the sums of a cohort's round.
    pub fn follows(&self, ledger: &Ledger) -> (Option<BlobId>, Vec<Vec<u8>>) {
        match self {
            Self::Ballots(report) if ledger.origin().is_some() => {
                let sums = report.sums(ledger).to_bytes();
                (Some(BlobId::of(&sums)), vec![sums])
            }
            Self::Ballots(report) => {
                let constitution = report.constitution(ledger).map(|constitution| constitution.to_bytes());
                (constitution.as_ref().map(|bytes| BlobId::of(bytes)), constitution.into_iter().collect())
            }
            Self::Deltas(report, adapters) => {
                let series = ledger.series().get(&report.series);
                (series.and_then(|series| report.follows(&series.manifest)), adapters.clone())
            }
        }
    }

    /// Returns the report of a round of ballots.
    pub const fn ballots(&self) -> Option<&RoundReport> {
        match self {
            Self::Ballots(report) => Some(report),
            Self::Deltas(..) => None,
        }
    }
}

/// Sees what a recomputation relies on before it is used, and may object: [`stage`] itself believes f + 1 operators.
pub trait Observer {
    /// A step was opened with these values. `plan` is what follows from the log; the log names it as the step's inputs.
    ///
    /// # Errors
    ///
    /// Returns why the values must not be used; the recomputation ends in [`Stage::Contradiction`].
    fn on_opened(&self, step: Step, plan: &OpeningPlan, values: &OpenedStep) -> Result<(), &'static str>;

    /// The partition that was stated is the one that follows.
    fn on_partition(&self);

    /// A pass of the secret PCA multiplied by what should have been `omega`.
    ///
    /// # Errors
    ///
    /// As [`on_opened`](Self::on_opened).
    fn on_product(&self, id: PassId, omega: &IntMatrix) -> Result<(), &'static str>;
}

/// Believes f + 1 operators.
struct Trusting;

impl Observer for Trusting {
    fn on_opened(&self, _: Step, _: &OpeningPlan, _: &OpenedStep) -> Result<(), &'static str> {
        Ok(())
    }

    fn on_partition(&self) {}

    fn on_product(&self, _: PassId, _: &IntMatrix) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Where the computation stops early; `?` carries it out.
type Step_<T> = Result<T, Stage>;

/// Returns what `round` needs next.
pub fn stage(ledger: &Ledger, round: &RoundRecord, blobs: &dyn Blobs) -> Stage {
    stage_observed(ledger, round, blobs, &Trusting)
}

/// As [`stage`], asking `observer` about every opening and product on the way.
pub fn stage_observed(ledger: &Ledger, round: &RoundRecord, blobs: &dyn Blobs, observer: &dyn Observer) -> Stage {
    Course { ledger, round, blobs, observer }.run().unwrap_or_else(|stage| stage)
}

/// Returns what stands for the classes of an adapter round whose sums are open, to be weighed; `None` if they are not, or
/// something is not at hand.
pub fn averages(ledger: &Ledger, round: &RoundRecord, blobs: &dyn Blobs) -> Option<Averages> {
    let (manifest, plan, sealed) = (round.adapter()?, round.plan.deltas()?, round.sealed.as_ref()?);
    Course { ledger, round, blobs, observer: &Trusting }.averages(manifest, sealed, plan).ok()
}

struct Course<'a> {
    ledger: &'a Ledger,
    round: &'a RoundRecord,
    blobs: &'a dyn Blobs,
    observer: &'a dyn Observer,
}

impl Course<'_> {
    fn run(&self) -> Step_<Stage> {
        let sealed = self.round.sealed.as_ref().ok_or(Stage::Collecting)?;
        if let (Some(divided), Some(plan)) = (self.round.divided(), self.round.plan.ballots()) {
            return Ok(self.run_divided(sealed, plan, divided));
        }
        match &self.round.plan.subject {
            Subject::Ballots(plan) => self.run_ballots(sealed, plan),
            Subject::Deltas(plan) => self.run_deltas(sealed, plan),
        }
    }

    /// Adds up what the cohorts of a divided round certified.
    fn run_divided(&self, sealed: &Sealed, plan: &BallotPlan, divided: &Divided) -> Stage {
        let (sums, least) = (divided.sums(), u64::try_from(self.round.least()).unwrap_or(u64::MAX));
        let is_enough = sums.contributions >= least && sums.missing <= divided.convening.most_missing;
        let outcome = if is_enough { Outcome::Totals { totals: sums.totals } } else { Outcome::TooFew };
        Stage::Done(Box::new(Report::Ballots(RoundReport::new(self.ledger, (self.round, plan), sealed, outcome))))
    }

    fn run_ballots(&self, sealed: &Sealed, plan: &BallotPlan) -> Step_<Stage> {
        let layout = layout(self.round).map_err(|_| Stage::Contradiction("a round without a valid list of items"))?;
        let policy = &self.round.charter.policy;
        let ballots = sealed.contributions.len();
        let report = |outcome| RoundReport::new(self.ledger, (self.round, plan), sealed, outcome);
        let done = |outcome| Stage::Done(Box::new(Report::Ballots(report(outcome))));
        if ballots < policy.min_contributions as usize {
            return Ok(done(Outcome::TooFew));
        }
        let [totals] = self.sums(Step::Totals, whole(&layout, ballots))?.try_into().map_err(|_| bad_values())?;
        if let Some(plan) = &self.round.plan.classes {
            let classes = self.classes(&layout, plan, sealed, &totals)?;
            return Ok(done(Outcome::Classes { totals, classes }));
        }
        let consenting = consenting(sealed);
        // A map of fewer points than the floor would single them out; then nothing of the kind is computed.
        let is_mapped = self.round.collects == Collects::Ballots(PollKind::Statement)
            && consenting.len() >= policy.group_floor as usize;
        let map = if is_mapped { self.map(sealed, &totals)? } else { None };
        let Some(map) = map else { return Ok(done(Outcome::Totals { totals })) };
        let edges = BucketEdges::new(layout.items());
        let placed = self.place(&layout, &map, &mu(&totals), &edges, (ballots, consenting))?;
        let partition = partition(&map, &edges, &placed, policy.floor as usize);
        let groups = self.groups(&layout, &partition, &totals)?;
        let points = placed.iter().map(PlacedBallot::from).collect();
        let report = MapReport::new(map, points, &partition, groups, &totals);
        Ok(done(Outcome::Map { totals, map: Box::new(report) }))
    }

    fn run_deltas(&self, sealed: &Sealed, plan: &DeltaPlan) -> Step_<Stage> {
        let series = self.ledger.series().get(&plan.series).ok_or(Stage::Contradiction("a round without a series"))?;
        let manifest = &series.manifest;
        let done = |outcome, adapters| {
            let report = AdapterReport {
                community: self.ledger.community(),
                series: plan.series,
                round: self.round.id,
                number: plan.number,
                set: sealed.set,
                contributions: u32::try_from(sealed.contributions.len()).unwrap_or(u32::MAX),
                start: plan.start,
                previous: self.predecessor(&series.rounds),
                outcome,
            };
            Stage::Done(Box::new(Report::Deltas(report, adapters)))
        };
        if sealed.contributions.len() < self.round.least() {
            return Ok(done(AdapterOutcome::TooFew, Vec::new()));
        }
        let averages = self.averages(manifest, sealed, plan)?;
        let (mut variants, mut adapters) = (Vec::new(), Vec::new());
        for (kind, values) in averages.variants(self.round.plan.classes.as_ref()) {
            let (adapter, bytes) = values.to_blob();
            variants.push(Variant { kind, adapter });
            adapters.push(bytes);
        }
        let averaged = Averaged { classes: averages.classes().to_vec(), variants };
        Ok(done(AdapterOutcome::Averaged(averaged), adapters))
    }

    /// Returns the result of the round before this one.
    fn predecessor(&self, rounds: &[RoundId]) -> Option<BlobId> {
        let place = rounds.iter().position(|round| *round == self.round.id)?;
        let before = self.ledger.rounds().get(rounds.get(place.checked_sub(1)?)?)?;
        before.agreed_result().map(|result| result.result)
    }

    /// Opens the sums of deltas and puts them together.
    fn averages(&self, manifest: &Arc<AdapterManifest>, sealed: &Sealed, plan: &DeltaPlan) -> Step_<Averages> {
        let impossible = |_| Stage::Contradiction("an adapter of no possible size");
        let (_, shape) = manifest.format().map_err(impossible)?;
        let beacon = match (manifest.has_cohorts(), self.round.beacon) {
            (true, beacon) => beacon.ok_or(Stage::Beacon)?,
            (false, _) => *sealed.set.as_ref(),
        };
        let classes = partition_deltas(manifest, &self.round.charter.policy, sealed, &beacon);
        let blocks: Vec<Block> =
            classes.iter().flat_map(|class| &class.cohorts).map(|ballots| Block { ballots: ballots.clone() }).collect();
        let of_blocks: Vec<&[u32]> = blocks.iter().map(|block| block.ballots.as_slice()).collect();
        let assignment = assignment(&of_blocks, sealed.contributions.len());
        self.partitioned(partition_digest(byte(blocks.len()), &assignment))?;
        let step = if blocks.len() == 1 { Step::Totals } else { Step::Groups };
        let plan_of = OpeningPlan::Sums(SumPlan { rows: shape.data_rows, blocks });
        let OpenedStep::Sums(sums) = self.opened(step, plan_of)? else { return Err(bad_values()) };
        let entries = manifest.entries();
        let flat = |sum: OpenedSum| sum.totals.into_iter().flatten().take(entries).collect();
        let start = plan.start.map(|start| self.adapter(&start, plan.series, entries)).transpose()?;
        let sums = sums.into_iter().map(flat).collect();
        Averages::new((Arc::clone(manifest), plan.series), start, &classes, sums).ok_or_else(bad_values)
    }

    /// Reads the adapter that a round starts from.
    fn adapter(&self, id: &BlobId, series: SeriesId, entries: usize) -> Step_<Vec<i64>> {
        let bytes = self.blobs.blob(id).ok_or(Stage::Missing(*id))?;
        let unreadable = |_| Stage::Contradiction("an adopted adapter that is none of its series");
        Ok(AdapterValues::read(&bytes, series, entries).map_err(unreadable)?.values)
    }

    /// The values that f + 1 operators stated for a step, or the step itself.
    fn opened(&self, step: Step, plan: OpeningPlan) -> Step_<OpenedStep> {
        let Some((inputs, values)) = self.round.agreed_values(step) else {
            return Err(Stage::Open { step, plan });
        };
        if inputs != plan.digest() {
            return Err(Stage::Contradiction("an opening of something else"));
        }
        let bytes = self.blobs.blob(&values).ok_or(Stage::Missing(values))?;
        let opened = OpenedStep::from_bytes(&bytes).map_err(|_| bad_values())?;
        self.observer.on_opened(step, &plan, &opened).map_err(Stage::Contradiction)?;
        Ok(opened)
    }

    fn sums(&self, step: Step, plan: OpeningPlan) -> Step_<Vec<Totals>> {
        let OpenedStep::Sums(sums) = self.opened(step, plan)? else { return Err(bad_values()) };
        let totals = |sum: &OpenedSum| {
            let cells: Option<Vec<u64>> = sum
                .totals
                .iter()
                .map(|row| match row.as_slice() {
                    [total] => u64::try_from(*total).ok(),
                    _ => None,
                })
                .collect();
            let tally = |votes: &[u64]| match votes {
                [agree, disagree, pass] => Some(Tally { agree: *agree, disagree: *disagree, pass: *pass }),
                _ => None,
            };
            Some(Totals { items: cells?.chunks(3).map(tally).collect::<Option<_>>()? })
        };
        sums.iter().map(totals).collect::<Option<_>>().ok_or_else(bad_values)
    }

    fn functionals(&self, step: Step, plan: OpeningPlan) -> Step_<Vec<i64>> {
        let OpenedStep::Functionals(values) = self.opened(step, plan)? else { return Err(bad_values()) };
        let value = |row: &chorus_crypto::mask::OpenedRow| match row.entries.as_slice() {
            [value] => Some(*value),
            _ => None,
        };
        values.iter().map(value).collect::<Option<_>>().ok_or_else(bad_values)
    }

    /// Runs the passes of the secret PCA; `None` if the round ends with totals only.
    fn map(&self, sealed: &Sealed, totals: &Totals) -> Step_<Option<Map>> {
        let (items, ballots) = (totals.items.len(), sealed.contributions.len());
        // What asks about the voter shapes no axis.
        let meta = self.ledger.meta_items(self.round.id);
        let shaping = items - meta.iter().filter(|is_meta| **is_meta).count();
        let Some(plan) = PcaPlan::new(shaping, ballots, self.round.charter.policy.group_floor as usize) else {
            return Ok(None);
        };
        let seed = hash::digest(domain::OMEGA, &sealed.set);
        let Ok(omega) = omega_first(seed, items, plan.columns) else { return Ok(None) };
        let mut omega = omega.hiding(&meta);
        for pass in 0..plan.passes {
            let Some(product) = self.pass(u8::try_from(pass).unwrap_or(u8::MAX), &omega, &mu(totals))? else {
                return Ok(None);
            };
            let product = product.hiding(&meta);
            if pass + 1 == plan.passes {
                return Ok(Map::from_last_pass(&omega, &product, ballots).unwrap_or(None));
            }
            let Some(next) = omega_next(&product) else { return Ok(None) };
            omega = next;
        }
        Ok(None)
    }

    /// Returns the product of one pass; `None` if all attempts at it were given up.
    fn pass(&self, pass: u8, omega: &IntMatrix, mu: &[i64]) -> Step_<Option<IntMatrix>> {
        let faulty = self.round.charter.faulty();
        for attempt in 0..=faulty {
            let id = PassId { pass, attempt };
            let record = self.round.passes.get(&id);
            if record.is_some_and(|record| record.is_ended(faulty)) {
                continue;
            }
            let Some(product) = record.and_then(|record| record.product.as_ref()) else {
                return Err(Stage::Pass { id, omega: omega.clone(), mu: mu.to_vec() });
            };
            self.observer.on_product(id, omega).map_err(Stage::Contradiction)?;
            return Ok(to_matrix(product, omega));
        }
        Ok(None)
    }

    /// Places the `consenting` among the ballots of the set on the map.
    fn place(
        &self,
        layout: &Layout,
        map: &Map,
        mu: &[i64],
        edges: &BucketEdges,
        (ballots, consenting): (usize, Vec<u32>),
    ) -> Step_<Vec<Placed>> {
        let plan = functional_plan(consenting.clone(), vec![bucket_functional(layout)]);
        let buckets = self.functionals(Step::Buckets, plan)?;
        let bucket = |value: &i64| match usize::try_from(*value) {
            Ok(0) => Ok(None),
            Ok(number) if number <= edges.ranges().len() => Ok(Some(number - 1)),
            Ok(_) | Err(_) => Err(bad_values()),
        };
        let buckets: Vec<Option<usize>> = buckets.iter().map(bucket).collect::<Step_<_>>()?;
        let mut placed = vec![Placed::default(); ballots];
        let mut pointed = Vec::new();
        for (ballot, bucket) in consenting.into_iter().zip(buckets) {
            if let Some(placed) = placed.get_mut(ballot as usize).filter(|_| bucket.is_some()) {
                placed.bucket = bucket;
                pointed.push(ballot);
            }
        }
        if pointed.is_empty() {
            return Ok(placed);
        }
        let functionals = (0..map.axes.len()).map(|axis| point_functional(layout, map, axis, mu)).collect();
        let points = self.functionals(Step::Points, functional_plan(pointed.clone(), functionals))?;
        for (ballot, point) in pointed.iter().zip(points.chunks(map.axes.len())) {
            // Where no proof was looked at, no point is known to be one of a ballot.
            let centred = map.axes.iter().zip(point).map(|(axis, value)| value.checked_sub(axis.dither_offset()));
            if let Some(placed) = placed.get_mut(*ballot as usize) {
                placed.point = centred.collect::<Option<_>>().ok_or_else(bad_values)?;
            }
        }
        Ok(placed)
    }

    /// Opens the sum of each class.
    fn classes(&self, layout: &Layout, plan: &ClassPlan, sealed: &Sealed, totals: &Totals) -> Step_<ClassReport> {
        let policy = &self.round.charter.policy;
        let blocks = blocks_of(sealed, policy.class_floor, policy.floor);
        let of_blocks: Vec<&[u32]> = blocks.iter().map(|block| block.ballots.as_slice()).collect();
        let assignment = assignment(&of_blocks, sealed.contributions.len());
        self.partitioned(partition_digest(byte(blocks.len()), &assignment))?;
        let sums = match blocks.as_slice() {
            [] | [_] => vec![totals.clone()],
            [_, _, ..] => {
                let plan = SumPlan { rows: vote_rows(layout), blocks: to_blocks(&blocks) };
                self.sums(Step::Groups, OpeningPlan::Sums(plan))?
            }
        };
        Ok(ClassReport::new(plan, &blocks, sums))
    }

    /// Waits until the partition with this digest is fixed.
    fn partitioned(&self, digest: Digest) -> Step_<()> {
        match self.round.partition {
            None => Err(Stage::Partition { digest }),
            Some(fixed) if fixed != digest => Err(Stage::Contradiction("a partition that does not follow")),
            Some(_) => {
                self.observer.on_partition();
                Ok(())
            }
        }
    }

    fn groups(&self, layout: &Layout, partition: &Partition, totals: &Totals) -> Step_<Vec<Totals>> {
        let assignment: Vec<u8> = partition.assignment.iter().map(|block| byte(*block)).collect();
        self.partitioned(partition_digest(byte(partition.k), &assignment))?;
        if partition.blocks.len() == 1 {
            return Ok(vec![totals.clone()]);
        }
        let mut blocks = vec![Block { ballots: Vec::new() }; partition.blocks.len()];
        for (ballot, block) in (0..).zip(&partition.assignment) {
            if let Some(block) = blocks.get_mut(*block) {
                block.ballots.push(ballot);
            }
        }
        let mut sums = self.sums(Step::Groups, OpeningPlan::Sums(SumPlan { rows: vote_rows(layout), blocks }))?;
        sums.truncate(partition.k);
        Ok(sums)
    }
}

fn bad_values() -> Stage {
    Stage::Contradiction("opened values that do not fit what was opened")
}

/// The ballots whose contributors consent to a public point.
fn consenting(sealed: &Sealed) -> Vec<u32> {
    let with_index = (0..).zip(&sealed.contributions);
    with_index.filter(|(_, contribution)| contribution.header.on_map).map(|(index, _)| index).collect()
}

fn vote_rows(layout: &Layout) -> u32 {
    3 * u32::from(layout.items())
}

fn whole(layout: &Layout, ballots: usize) -> OpeningPlan {
    let block = Block { ballots: (0..).take(ballots).collect() };
    OpeningPlan::Sums(SumPlan { rows: vote_rows(layout), blocks: vec![block] })
}

fn functional_plan(ballots: Vec<u32>, functionals: Vec<Functional>) -> OpeningPlan {
    OpeningPlan::Functionals(FunctionalPlan { ballots: Block { ballots }, functionals })
}

fn row(index: usize) -> u32 {
    u32::try_from(index).expect("a ballot has fewer than 2^32 rows")
}

/// `Σ_k (k+1)·b_k`: 0 for a ballot below the first bucket.
fn bucket_functional(layout: &Layout) -> Functional {
    let coefficients = (0..8).map(|bucket| (row(layout.bucket_row(bucket)), bucket as i64 + 1)).collect();
    Functional { coefficients }
}

/// `Σ_j P_j·x̃_j + Σ_{b<k} 2^b·D_b` along one axis.
fn point_functional(layout: &Layout, map: &Map, axis: usize, mu: &[i64]) -> Functional {
    let Some(along) = map.axes.get(axis) else { return Functional { coefficients: Vec::new() } };
    let mut coefficients = Vec::new();
    for (item, votes) in (0u16..).zip(along.coefficients(mu)) {
        let rows = [layout.agree_row(item), layout.disagree_row(item), layout.pass_row(item)];
        coefficients.extend(rows.into_iter().map(row).zip(votes).filter(|(_, coefficient)| *coefficient != 0));
    }
    let dither = (0..along.dither_bits).map(|bit| (row(layout.dither_row(axis, bit as usize)), 1i64 << bit));
    coefficients.extend(dither);
    Functional { coefficients }
}

fn byte(value: usize) -> u8 {
    u8::try_from(value).expect("a partition has at most MAX_BLOCKS blocks")
}

/// Reads an opened product, column by column; `None` if it is no sum of ballots.
fn to_matrix(product: &[Scalar], omega: &IntMatrix) -> Option<IntMatrix> {
    let rows = omega.rows();
    if product.len() != rows * omega.columns().len() {
        return None;
    }
    let columns = product.chunks(rows).map(|column| column.iter().map(centred).collect::<Option<_>>());
    IntMatrix::from_columns(rows, columns.collect::<Option<_>>()?).ok()
}

/// Returns the integer of least absolute value that a scalar stands for, if it fits 127 bits.
fn centred(scalar: &Scalar) -> Option<i128> {
    let small = |scalar: &Scalar| {
        let (low, high) = scalar.as_bytes().split_at(16);
        let magnitude = i128::from_le_bytes(low.try_into().ok()?);
        (high.iter().all(|byte| *byte == 0) && magnitude >= 0).then_some(magnitude)
    };
    small(scalar).or_else(|| small(&-scalar).map(|magnitude| -magnitude))
}
