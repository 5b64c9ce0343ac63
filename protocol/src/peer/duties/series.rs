//! Series of adapter rounds: the next round, and the weighing of classes.

use super::*;
use crate::{
    id::SeriesId,
    ledger::Series,
    log::entry::{RoundPlan, Subject, Weighing},
    round::averages,
};

impl Peer {
    /// Plans the next round of each series: at once within a run, as all operators do, and the next run when it is due, as its
    /// founder does.
    pub(super) fn continue_series(&mut self, operator: PublicKey) {
        let due = self.ledger.series().iter().filter_map(|(id, series)| {
            let plan = self.due_round(*id, series)?;
            (self.ledger.is_continuation(series, &plan) || self.ledger.is_founder(series, &operator))
                .then_some((*id, plan))
        });
        for (series, plan) in due.collect::<Vec<_>>() {
            self.derive(series, "plan", Entry::Plan(plan));
        }
    }

    fn due_round(&self, id: SeriesId, series: &Series) -> Option<RoundPlan> {
        let deltas = self.ledger.next_deltas(id).ok()?;
        let last = self.ledger.rounds().get(series.rounds.last()?)?;
        let plan = RoundPlan { subject: Subject::Deltas(deltas), ..last.plan.clone() };
        let is_due = self.ledger.is_continuation(series, &plan) || self.ledger.next_run(series) == Ok(None);
        is_due.then_some(plan)
    }

    /// Keeps the adapters of weighings that f + 1 operators state.
    pub(super) fn keep_weighed(&mut self) {
        let lacking = |round: &&Arc<RoundRecord>| {
            self.duties.bodies.contains_key(&round.id)
                && round.weighed_adapter().is_some_and(|adapter| !self.blobs.contains_key(&adapter))
        };
        let due = self.ledger.rounds().values().filter(lacking).filter_map(|round| {
            let averages = averages(&self.ledger, round, &self.blobs)?;
            Some((round.ordinal, averages.of_entry(round.agreed_weighing()?)?))
        });
        for (ordinal, adapter) in due.collect::<Vec<_>>() {
            self.keep_blob(adapter.to_blob().1.into(), Some(ordinal));
        }
    }

    /// States the weighing of an adapter round's classes that the series' founder stated, if the adapter is the one that
    /// follows. Where the founder is none of the round's operators, or has left, the first of those who stated one leads.
    pub(super) fn weigh_alike(&mut self) {
        let unweighed = |round: &&Arc<RoundRecord>| self.ledger.standing(round) == Standing::Unweighed;
        let due = self.ledger.rounds().values().filter(unweighed).filter_map(|round| {
            let operator = self.operator_in(round)?;
            let founder = self.ledger.series().get(&round.plan.deltas()?.series)?.opened_by;
            let leads = self.ledger.charter().operator(&founder).and(round.charter.operator(&founder));
            let (stated, _) = match leads {
                Some(founder) => round.weighed.get(&founder)?,
                None => round.weighed.values().next()?,
            };
            let said = round.weighed.get(&operator).is_some_and(|(said, _)| said == stated);
            let refused = self.duties.misweighed.contains(&(round.id, stated.adapter));
            (!said && !refused).then(|| (round.id, stated.clone()))
        });
        for (id, stated) in due.collect::<Vec<_>>() {
            if !self.may_say(&id, "weigh", 0) {
                continue;
            }
            let Some(round) = self.ledger.rounds().get(&id) else { continue };
            let ordinal = round.ordinal;
            let adapter = averages(&self.ledger, round, &self.blobs).and_then(|averages| averages.of_entry(&stated));
            let Some((adapter, bytes)) = adapter.map(|values| values.to_blob()) else { continue };
            if adapter == stated.adapter {
                let last = self.operator_in(round).and_then(|operator| round.weighed.get(&operator));
                let number = last.map_or(0, |(_, times)| *times).saturating_add(1);
                self.keep_blob(bytes.into(), Some(ordinal));
                self.say(id, "weigh", 0, Entry::Weigh(Weighing { number, weighed: stated }));
            } else {
                self.duties.misweighed.insert((id, stated.adapter));
            }
        }
    }
}
