//! What becomes of the adapter of a round: cohorts, weighing of classes, gate.

use std::sync::Arc;

use chorus_crypto::{
    codec::{Encode as _, put_seq},
    domain,
    hash::{self, Digest},
};

use super::{Collects, RoundRecord, agreed, insert_once};
use crate::{
    adapter::{
        entry::{Assessment, Beacon, GroupScore, WeighedAdapter, Weighing},
        gate::{Standing, medians, passes},
        manifest::{AdapterManifest, Weights},
    },
    fault::{Fault, bound, in_turn},
    id::BlobId,
    limits,
};

/// What the assessments of an adapter came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Whether no group is worse off.
    pub adopted: bool,
    /// The medians for each group.
    pub groups: Vec<GroupScore>,
}

impl RoundRecord {
    /// Returns the manifest of the series, if deltas are collected.
    pub const fn adapter(&self) -> Option<&Arc<AdapterManifest>> {
        match &self.collects {
            Collects::Ballots(_) => None,
            Collects::Deltas(manifest) => Some(manifest),
        }
    }

    /// Returns the weighing of classes that f + 1 operators state.
    pub fn agreed_weighing(&self) -> Option<&WeighedAdapter> {
        agreed(self.weighed.values().map(|(weighed, _)| weighed), self.charter.faulty())
    }

    /// Returns the adapter of the weighing that f + 1 operators state.
    pub fn weighed_adapter(&self) -> Option<BlobId> {
        self.agreed_weighing().map(|weighed| weighed.adapter)
    }

    /// Returns what became of an adapter round.
    pub fn standing(&self) -> Standing {
        let (Some(manifest), Some(result)) = (self.adapter(), self.agreed_result()) else {
            return Standing::Unfinished;
        };
        let found = self.sealed.as_ref().map_or(0, |sealed| sealed.contributions.len());
        if found < self.least() {
            return Standing::Nothing;
        }
        let Some(adapter) = result.follows.or(self.weighed_adapter()) else { return Standing::Unweighed };
        match (manifest.gate, &self.verdict) {
            (None, _) => Standing::Adopted(adapter),
            (Some(_), None) => Standing::Candidate(adapter),
            (Some(_), Some(verdict)) if verdict.adopted => Standing::Adopted(adapter),
            (Some(_), Some(_)) => Standing::Refused(adapter),
        }
    }

    /// Takes an operator's values of what splits the set into cohorts.
    pub(in crate::ledger) fn on_beacon(&mut self, operator: u8, said: &Beacon) -> Result<(), Fault> {
        self.sealed_as(said.set)?;
        if self.adapter().is_none_or(|adapter| !adapter.has_cohorts()) {
            return Err(Fault::Phase("what splits a set that is not split"));
        }
        let subsets: Vec<_> = said.values.iter().map(|(subset, _)| usize::from(*subset)).collect();
        if subsets != self.charter.sharing().held_by(operator) {
            return Err(Fault::Mismatch("the subsets that the operator holds"));
        }
        insert_once(&mut self.beacons, operator, said.values.iter().copied().collect(), "a beacon")?;
        if self.beacon.is_none() {
            let of = |subset: usize| {
                let subset = u8::try_from(subset).ok()?;
                let said = self.beacons.values().filter_map(|values| values.get(&subset));
                agreed(said, self.charter.faulty()).copied()
            };
            let values: Option<Vec<Digest>> = (0..self.charter.sharing().subset_count()).map(of).collect();
            self.beacon = values.map(|values| {
                let mut bytes = said.set.to_bytes();
                put_seq(&mut bytes, &values);
                hash::digest_bytes(domain::SPLIT, &bytes)
            });
        }
        Ok(())
    }

    /// Takes an operator's word on the weighing of the classes of a finished round whose series asks for one.
    pub(in crate::ledger) fn on_weighed(&mut self, operator: u8, said: &Weighing) -> Result<(), Fault> {
        let standing = self.standing();
        let is_posted = self.adapter().is_some_and(|adapter| adapter.combination.weights == Weights::Posted);
        if !is_posted || standing != Standing::Unweighed {
            return Err(Fault::Phase("a weighing of classes"));
        }
        let Weighing { number, weighed } = said;
        if weighed.weights.iter().any(|weight| *weight > limits::MAX_WEIGHT) {
            return Err(Fault::Mismatch("the classes' weights"));
        }
        // An operator may change its word a few times: they have to find one another.
        let last = self.weighed.get(&operator);
        in_turn(last.map_or(0, |(_, times)| *times), *number, "word on the weighing of classes")?;
        if last.is_some_and(|(last, _)| last == weighed) {
            return Err(Fault::Duplicate("a weighing of classes"));
        }
        bound("changes of a weighing", limits::MAX_WEIGHINGS, usize::from(*number))?;
        self.weighed.insert(operator, (weighed.clone(), *number));
        Ok(())
    }

    /// Takes an operator's assessment of the round's adapter.
    pub(in crate::ledger) fn on_assessment(&mut self, operator: u8, said: &Assessment) -> Result<(), Fault> {
        let faulty = self.charter.faulty();
        let gate = self.adapter().and_then(|adapter| adapter.gate).ok_or(Fault::Phase("an assessment"))?;
        let (Standing::Candidate(adapter) | Standing::Adopted(adapter) | Standing::Refused(adapter)) = self.standing()
        else {
            return Err(Fault::Phase("an assessment"));
        };
        let is_share = |score: &GroupScore| score.candidate <= 10_000 && score.reference <= 10_000;
        if said.adapter != adapter || said.groups.len() != usize::from(gate.groups) || !said.groups.iter().all(is_share)
        {
            return Err(Fault::Mismatch("an assessment"));
        }
        insert_once(&mut self.assessments, operator, said.groups.clone(), "an assessment")?;
        let needed = usize::from(self.charter.sharing().operators() - faulty);
        if self.verdict.is_none() {
            self.verdict = medians(&gate, &self.assessments, needed)
                .map(|groups| Verdict { adopted: passes(&gate, &groups), groups });
        }
        Ok(())
    }
}
