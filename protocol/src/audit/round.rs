//! One round: every opening against the commitments, every product against its matrix, the result against the log.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{credential::Tag, hash::Digest, mask::Shape};

use super::{RoundSummary, Topic, VerifyError, bodies::Commitments};
use crate::{
    cohort::Sums,
    contribution::Format,
    deliberation::linear::IntMatrix,
    id::BlobId,
    ledger::{Divided, Ledger, RoundRecord, Sealed},
    log::entry::{PassId, RoundResult, Step, Subject},
    opening::{OpenedStep, OpeningError, OpeningPlan, Rows},
    round::{Blobs, Observer, Report, Stage, averages, pca::omega_digest, stage_observed},
};

/// What the bundle holds about a round besides the log.
pub(super) struct Evidence<'a> {
    /// Opened values, results and constitutions.
    pub(super) kept: &'a BTreeMap<BlobId, Arc<[u8]>>,
    /// The commitments to the data rows of each ballot.
    pub(super) commitments: &'a BTreeMap<Tag, Commitments>,
}

impl Blobs for Evidence<'_> {
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        self.kept.get(id).cloned()
    }
}

/// Checks a round that has a result, and says what is known of any.
pub(super) fn summarise(
    ledger: &Ledger,
    round: &RoundRecord,
    evidence: &Evidence<'_>,
) -> Result<RoundSummary, VerifyError> {
    let result = round.agreed_result();
    let mut summary = RoundSummary {
        round: round.id,
        topic: topic(ledger, round),
        number: round.plan.number(),
        state: round.state(),
        ballots: round.counted(),
        withdrawals: round.counting().filter(|counting| counting.header.is_withdrawal()).count(),
        proved: 0,
        opened: Vec::new(),
        liars: round.passes.values().flat_map(|pass| pass.liars.iter().copied()).collect(),
        dissenting: BTreeSet::new(),
        result: result.cloned(),
        report: None,
        standing: None,
        constitution: None,
        cohorts: round.divided().map(certified).unwrap_or_default(),
    };
    // A sealed round without a result has been refused already, before the first blob was read.
    let Some(result) = result else { return Ok(summary) };
    let (report, opened) = recompute(ledger, round, evidence)?;
    compare(result, &report.to_bytes(), report.follows(ledger).0)?;
    check_weighing(ledger, round, evidence)?;
    let dissents = |(operator, stated): (&u8, &RoundResult)| (stated != result).then_some(*operator);
    summary.dissenting = round.results.iter().filter_map(dissents).collect();
    summary.opened = opened.into_iter().collect();
    summary.constitution = match report.as_ref() {
        Report::Ballots(report) => report.constitution(ledger),
        Report::Deltas(..) => None,
    };
    // The adapters have been compared by content: a bundle of many rounds need not hold them.
    let report = match *report {
        Report::Deltas(report, _) => Report::Deltas(report, Vec::new()),
        Report::Ballots(report) => Report::Ballots(report),
    };
    summary.report = Some(Box::new(report));
    summary.standing = round.adapter().map(|_| ledger.standing(round));
    Ok(summary)
}

/// Returns what each cohort certified.
fn certified(divided: &Divided) -> Vec<Option<Sums>> {
    divided.numbers().map(|number| Some(divided.results.get(&number)?.sums.clone())).collect()
}

fn topic(ledger: &Ledger, round: &RoundRecord) -> Topic {
    match &round.plan.subject {
        Subject::Ballots(plan) => {
            let question = ledger.polls().get(&plan.poll).map(|poll| poll.opening.question.clone());
            Topic::Poll { poll: plan.poll, question: question.unwrap_or_default() }
        }
        Subject::Deltas(plan) => {
            let name = ledger.series().get(&plan.series).map(|series| series.manifest.name.clone());
            Topic::Series { series: plan.series, name: name.unwrap_or_default() }
        }
    }
}

/// Checks that the adapter of a later weighing is the one that follows from the opened sums.
fn check_weighing(ledger: &Ledger, round: &RoundRecord, evidence: &Evidence<'_>) -> Result<(), VerifyError> {
    let Some(weighed) = round.agreed_weighing() else { return Ok(()) };
    let averages = averages(ledger, round, evidence);
    let recomputed = averages.and_then(|averages| averages.of_entry(weighed)).map(|values| values.to_blob().0);
    if recomputed == Some(weighed.adapter) {
        return Ok(());
    }
    Err(VerifyError::Follows { round: round.id, logged: Some(weighed.adapter), recomputed })
}

/// Recomputes the report, checking every opening on the way.
fn recompute(
    ledger: &Ledger,
    round: &RoundRecord,
    evidence: &Evidence<'_>,
) -> Result<(Box<Report>, BTreeSet<Step>), VerifyError> {
    let incomplete = |what| VerifyError::Incomplete { round: round.id, what };
    let sealed = round.sealed.as_ref().ok_or_else(|| incomplete("its closing"))?;
    let checks = Checks::new(round, sealed, evidence)?;
    let stage = stage_observed(ledger, round, evidence, &checks);
    let Checks { opened, partitioned, error, .. } = checks;
    if let Some(error) = error.into_inner() {
        return Err(error);
    }
    let opened = opened.into_inner();
    let report = match stage {
        Stage::Done(report) => report,
        Stage::Collecting => return Err(incomplete("its closing")),
        Stage::Open { .. } => return Err(incomplete("values of a step that it comes to")),
        Stage::Pass { .. } => return Err(incomplete("the product of a pass")),
        Stage::Beacon => return Err(incomplete("what splits its set into cohorts")),
        Stage::Partition { .. } => return Err(incomplete("the partition")),
        Stage::Missing(blob) => return Err(VerifyError::MissingBlob(blob)),
        Stage::Contradiction(what) => return Err(VerifyError::Contradiction { round: round.id, what }),
    };
    if round.partition.is_some() && !partitioned.get() {
        return Err(VerifyError::UnaskedPartition(round.id));
    }
    let unasked = |step: &Step| !opened.contains(step) && round.agreed_values(*step).is_some();
    match Step::ALL.into_iter().find(unasked) {
        Some(step) => Err(VerifyError::Unasked { round: round.id, step }),
        None => Ok((report, opened)),
    }
}

/// Compares what the log states with what follows.
fn compare(logged: &RoundResult, report: &[u8], follows: Option<BlobId>) -> Result<(), VerifyError> {
    let (round, recomputed) = (logged.round, BlobId::of(report));
    if logged.result != recomputed {
        return Err(VerifyError::Result { round, logged: logged.result, recomputed });
    }
    if logged.follows != follows {
        return Err(VerifyError::Follows { round, logged: logged.follows, recomputed: follows });
    }
    Ok(())
}

/// Checks what a recomputation relies on, and keeps the first thing that is wrong.
struct Checks<'a> {
    round: &'a RoundRecord,
    set: &'a Digest,
    shape: Shape,
    /// The commitments in the order of the sealed set.
    commitments: Vec<Rows<'a>>,
    opened: RefCell<BTreeSet<Step>>,
    partitioned: Cell<bool>,
    error: RefCell<Option<VerifyError>>,
}

impl<'a> Checks<'a> {
    fn new(round: &'a RoundRecord, sealed: &'a Sealed, evidence: &Evidence<'a>) -> Result<Self, VerifyError> {
        let impossible = |_| VerifyError::Contradiction { round: round.id, what: "its plan makes no contribution" };
        let shape = Format::of(round).map_err(impossible)?.shape();
        let missing = |body: BlobId| VerifyError::MissingBlob(body);
        let commitments = sealed.contributions.iter().map(|contribution| {
            let header = &contribution.header;
            evidence.commitments.get(&header.tag).map(Commitments::rows).ok_or_else(|| missing(header.body))
        });
        Ok(Self {
            round,
            set: sealed.set.as_ref(),
            shape,
            commitments: commitments.collect::<Result<_, _>>()?,
            opened: RefCell::default(),
            partitioned: Cell::default(),
            error: RefCell::default(),
        })
    }

    fn check(&self, plan: &OpeningPlan, values: &OpenedStep) -> Result<(), OpeningError> {
        plan.check_floor(self.round.floor())?;
        let commitments = &self.commitments;
        plan.check(&self.shape, values, |ballot| commitments.get(ballot as usize).copied(), self.set)
    }

    fn object(&self, what: &'static str, error: VerifyError) -> Result<(), &'static str> {
        self.error.borrow_mut().get_or_insert(error);
        Err(what)
    }
}

impl Observer for Checks<'_> {
    fn on_opened(&self, step: Step, plan: &OpeningPlan, values: &OpenedStep) -> Result<(), &'static str> {
        self.opened.borrow_mut().insert(step);
        match self.check(plan, values) {
            Ok(()) => Ok(()),
            Err(error) => self.object("an opening", VerifyError::Opening { round: self.round.id, step, error }),
        }
    }

    fn on_partition(&self) {
        self.partitioned.set(true);
    }

    fn on_product(&self, id: PassId, omega: &IntMatrix) -> Result<(), &'static str> {
        // Of 3f + 3 operators at most, no two matrices have so many shares each: the product is that of this one.
        let shares = self.round.passes.get(&id).map_or(0, |pass| pass.shares_for(omega_digest(omega)).count());
        if shares >= self.round.shares_of_product() {
            return Ok(());
        }
        self.object("a product", VerifyError::Product { round: self.round.id, pass: id })
    }
}
