//! Series of adapter rounds: their runs, who may go on with them, and the adapter that the community uses.

use std::sync::Arc;

use chorus_crypto::sign::PublicKey;

use super::{Collects, Ledger, RoundRecord};
use crate::{
    adapter::{gate::Standing, manifest::AdapterManifest},
    fault::{Fault, bound},
    id::{BlobId, RoundId, SeriesId},
    limits,
    log::entry::{DeltaPlan, RoundPlan},
    time::Timestamp,
};

/// A series of adapter rounds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Series {
    /// What everybody agreed on.
    pub manifest: Arc<AdapterManifest>,
    /// The operator who began it.
    pub opened_by: PublicKey,
    /// Its rounds, in order.
    pub rounds: Vec<RoundId>,
}

impl Ledger {
    /// Returns what became of an adapter round.
    pub fn standing(&self, round: &RoundRecord) -> Standing {
        round.standing()
    }

    /// Returns the plan of the next round of a series, once the one before it has come to its end.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Phase`] before that, and [`Fault::Unknown`] if there is no such series.
    pub fn next_deltas(&self, series: SeriesId) -> Result<DeltaPlan, Fault> {
        let found = self.series.get(&series).ok_or(Fault::Unknown("series"))?;
        let done = found.rounds.len();
        let number = u32::try_from(done + 1).unwrap_or(u32::MAX);
        let standings = found.rounds.iter().rev().filter_map(|round| self.rounds.get(round));
        let mut standings = standings.map(|round| self.standing(round)).peekable();
        if let Some(Standing::Unfinished | Standing::Unweighed | Standing::Candidate(_)) = standings.peek() {
            return Err(Fault::Phase("the next round of a series"));
        }
        // The last adapter that was adopted in this run.
        let of_run = standings.take(done % usize::from(found.manifest.schedule.rounds.max(1)));
        let start = of_run.filter_map(|standing| if let Standing::Adopted(it) = standing { Some(it) } else { None });
        Ok(DeltaPlan { series, number, start: { start }.next() })
    }

    /// Returns when the next run of a series may begin; `None` if it may now.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Phase`] within a run, and after the only one.
    pub fn next_run(&self, series: &Series) -> Result<Option<Timestamp>, Fault> {
        let Some(last) = series.rounds.len().checked_sub(1) else { return Ok(None) };
        let rounds = usize::from(series.manifest.schedule.rounds.max(1));
        if !(last + 1).is_multiple_of(rounds) {
            return Err(Fault::Phase("a round that does not go on with the run as it began"));
        }
        let every = series.manifest.schedule.every_millis.ok_or(Fault::Phase("another run of a series with one"))?;
        let first = series.rounds.get(last + 1 - rounds).and_then(|round| self.rounds.get(round));
        let opened = first.and_then(|first| Some((first.manifest.as_ref()?.deadline, first.plan.duration_millis)));
        let (deadline, duration) = opened.ok_or(Fault::Phase("the next run of a series"))?;
        let due = Timestamp::from_millis(deadline.as_millis().saturating_sub(duration)).plus_millis(every);
        Ok((self.time() < due).then_some(due))
    }

    /// Returns whether a plan goes on with a run of a series exactly as its last round: this any operator may say, so that a
    /// run does not depend on its founder.
    pub fn is_continuation(&self, series: &Series, plan: &RoundPlan) -> bool {
        let is_within_run = !series.rounds.len().is_multiple_of(usize::from(series.manifest.schedule.rounds.max(1)));
        let last = series.rounds.last().and_then(|round| self.rounds.get(round)).map(|round| &round.plan);
        is_within_run && last.is_some_and(|last| *plan == RoundPlan { subject: plan.subject.clone(), ..last.clone() })
    }

    /// Returns the adapter that the community uses: the last one of a series that was adopted, and its round.
    pub fn adopted(&self, series: SeriesId) -> Option<(RoundId, BlobId)> {
        let rounds = self.series.get(&series)?.rounds.iter().rev().filter_map(|round| self.rounds.get(round));
        rounds.map(|round| (round.id, self.standing(round))).find_map(|(round, standing)| match standing {
            Standing::Adopted(adapter) => Some((round, adapter)),
            Standing::Unfinished
            | Standing::Nothing
            | Standing::Unweighed
            | Standing::Candidate(_)
            | Standing::Refused(_) => None,
        })
    }

    /// Whether an operator may do what only the founder of a series may; once the founder has left, anybody in office.
    pub fn is_founder(&self, series: &Series, operator: &PublicKey) -> bool {
        series.opened_by == *operator || self.charter().operator(&series.opened_by).is_none()
    }

    pub(super) fn plan_deltas(
        &mut self,
        operator: PublicKey,
        (id, whole): (RoundId, &RoundPlan),
        plan: DeltaPlan,
    ) -> Result<Collects, Fault> {
        let due = self.next_deltas(plan.series)?;
        if plan.number != due.number {
            return Err(Fault::Mismatch("the round's number"));
        }
        if plan.start != due.start {
            return Err(Fault::Mismatch("the adapter that a round starts from"));
        }
        let series = self.series.get(&plan.series).ok_or(Fault::Unknown("series"))?;
        if !self.is_continuation(series, whole) {
            if !self.is_founder(series, &operator) {
                return Err(Fault::NotAllowed("a round of another operator's series but the next one of its run"));
            }
            if let Some(due) = self.next_run(series)? {
                return Err(Fault::Early { what: "the next run of a series", from: due, now: self.time() });
            }
        }
        let members = self.count_members();
        bound("members of an adapter round", series.manifest.encoding.capacity(), members)?;
        let series = Arc::make_mut(&mut self.series).get_mut(&plan.series).ok_or(Fault::Unknown("series"))?;
        let series = Arc::make_mut(series);
        series.rounds.push(id);
        Ok(Collects::Deltas(Arc::clone(&series.manifest)))
    }

    pub(super) fn begin_series(&mut self, operator: PublicKey, manifest: &AdapterManifest) -> Result<(), Fault> {
        manifest.validate()?;
        if let Some(gate) = manifest.gate {
            self.rounds.get(&gate.round).and_then(|round| round.plan.ballots()).ok_or(Fault::Unknown("round"))?;
        }
        let own = self.series.values().filter(|series| series.opened_by == operator).count();
        bound("series", limits::MAX_SERIES, self.series.len() + 1)?;
        bound("series of one operator", self.share_of(limits::MAX_SERIES), own + 1)?;
        let id = manifest.id(self.community);
        if self.series.contains_key(&id) {
            return Err(Fault::Duplicate("this series"));
        }
        let series = Series { manifest: Arc::new(manifest.clone()), opened_by: operator, rounds: Vec::new() };
        Arc::make_mut(&mut self.series).insert(id, Arc::new(series));
        Ok(())
    }
}
