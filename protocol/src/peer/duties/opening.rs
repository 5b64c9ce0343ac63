//! Opening sums of masks, and stating what they uncover.

use chorus_crypto::{
    codec::Decode as _,
    domain, hash,
    mask::{SetKey, Shape},
};

use super::*;
use crate::{
    contribution::Format,
    log::entry::{MaskOpening, OpenedValues},
    opening::{MaskPart, OpeningPlan},
};

/// What the value of K_T that splits a set into cohorts is derived under.
const COHORTS: &[u8] = b"cohorts";

impl Peer {
    pub(super) fn open_step(&mut self, round: &RoundRecord, operator: u8, step: Step, plan: &OpeningPlan) {
        let Some(sealed) = &round.sealed else { return };
        let inputs = plan.digest();
        if plan.check_floor(round.floor()).is_err() {
            return;
        }
        let said = round.openings.get(&step).is_some_and(|openings| openings.contains_key(&operator));
        let due = !said && self.may_say(&round.id, "opening", step_number(step));
        if due && self.has_all_seeds(round.id, operator) && self.lock(round.id, sealed.set, Lock::Step(step), inputs) {
            let known = self.duties.parts.get(&(round.id, step)).filter(|(of, _)| *of == inputs);
            let known = known.map(|(_, sums)| sums.clone());
            let Some(sums) = known.or_else(|| self.mask_parts(round, operator, plan)) else { return };
            self.duties.parts.insert((round.id, step), (inputs, sums.clone()));
            let opening = MaskOpening { round: round.id, set: sealed.set, step, inputs, sums };
            self.say(round.id, "opening", step_number(step), Entry::Opening(opening));
        }
        let stated = round.opened.get(&step).is_some_and(|opened| opened.contains_key(&operator));
        let subsets = 0..round.charter.sharing().subset_count();
        let sums: Option<Vec<BlobId>> =
            subsets.map(|subset| round.agreed_sum(step, &inputs, u8::try_from(subset).ok()?)).collect();
        let due = !stated && self.may_say(&round.id, "opened", step_number(step));
        let Some(sums) = sums.filter(|_| due) else { return };
        sums.iter().for_each(|sum| self.want(*sum));
        let known =
            self.duties.values.get(&(round.id, step)).filter(|(of, _)| *of == inputs).map(|(_, values)| *values);
        let opened = match known {
            Some(known) => Some(known),
            None => {
                let values = self.open_values(round, (step, plan), &sums);
                values.map(|values| self.keep_blob(values.into(), Some(round.ordinal)))
            }
        };
        if let Some(values) = opened {
            self.duties.values.insert((round.id, step), (inputs, values));
            let opened = OpenedValues { round: round.id, set: sealed.set, step, inputs, values };
            self.say(round.id, "opened", step_number(step), Entry::Opened(opened));
        }
    }

    /// States what splits the set into cohorts.
    pub(super) fn state_beacon(&mut self, round: &RoundRecord, operator: u8) {
        let Some(set) = round.sealed.as_ref().map(|sealed| sealed.set) else { return };
        if round.beacons.contains_key(&operator) || !self.has_all_seeds(round.id, operator) {
            return;
        }
        let Some(keys) = self.set_keys(round, operator) else { return };
        let value = |(subset, key): (usize, SetKey)| {
            let value = key.scalars(COHORTS).next_scalar();
            Some((u8::try_from(subset).ok()?, hash::digest(domain::SPLIT, &value)))
        };
        let values = keys.into_iter().filter_map(value).collect();
        self.say(round.id, "beacon", 0, Entry::Beacon(Beacon { round: round.id, set, values }));
    }

    pub(super) fn shape(round: &RoundRecord) -> Option<Shape> {
        Format::of(round).ok().map(|format| format.shape())
    }

    pub(super) fn held_at(&self, round: &RoundRecord, ballot: u32) -> Option<&collecting::Held> {
        let contribution = round.sealed.as_ref()?.contributions.get(ballot as usize)?;
        self.collected.held.get(&contribution.header.body)
    }

    fn mask_parts(&mut self, round: &RoundRecord, operator: u8, plan: &OpeningPlan) -> Option<Vec<(u8, BlobId)>> {
        let shape = Self::shape(round)?;
        let mut sums = Vec::new();
        for subset in round.charter.sharing().held_by(operator) {
            let expand = |ballot: u32| {
                let held = self.held_at(round, ballot)?;
                held.form.expand(&self.ledger, subset, held.seeds.get(&subset)?)
            };
            let part = plan.mask_part(&shape, expand).ok()?;
            let blob = self.keep_blob(part.to_bytes().into(), Some(round.ordinal));
            sums.push((u8::try_from(subset).ok()?, blob));
        }
        Some(sums)
    }

    /// Opens a step, or goes on with it: masked vectors that are on the disk alone come one after the other.
    fn open_values(
        &mut self,
        round: &RoundRecord,
        (step, plan): (Step, &OpeningPlan),
        sums: &[BlobId],
    ) -> Option<Vec<u8>> {
        let (shape, inputs) = (Self::shape(round)?, plan.digest());
        // Sums are unmasked at the end, values of single ballots one by one.
        let needed = match plan {
            OpeningPlan::Sums(_) => Vec::new(),
            OpeningPlan::Functionals(_) => self.parts_of(sums)?,
        };
        let begun = self.duties.uncovering.remove(&(round.id, step)).filter(|(of, _)| *of == inputs);
        let mut uncovering = match begun {
            Some((_, begun)) => begun,
            None => Uncovering::new(plan.clone(), &shape).ok()?,
        };
        while !uncovering.is_whole() {
            let Some(submission) = self.recall(round, uncovering.upcoming()) else {
                self.duties.uncovering.insert((round.id, step), (inputs, uncovering));
                return None;
            };
            uncovering.take(&submission.masked, &needed).ok()?;
        }
        let Some(parts) = self.parts_of(sums) else {
            self.duties.uncovering.insert((round.id, step), (inputs, uncovering));
            return None;
        };
        let opened = uncovering.finish(&parts).ok()?;
        let commitments = |ballot: u32| self.held_at(round, ballot).map(|held| held.form.data_commitments());
        let set = round.sealed.as_ref()?.set;
        match plan.check(&shape, &opened, commitments, set.as_ref()) {
            Ok(()) => Some(opened.to_bytes()),
            Err(error) => {
                tracing::warn!(%error, "f + 1 operators opened sums that do not open the commitments");
                None
            }
        }
    }

    /// Reads the sums of masks of all T, if they are at hand.
    fn parts_of(&self, sums: &[BlobId]) -> Option<Vec<MaskPart>> {
        sums.iter().map(|sum| MaskPart::from_bytes(self.blobs.get(sum)?).ok()).collect()
    }
}

const fn step_number(step: Step) -> u16 {
    match step {
        Step::Totals => 1,
        Step::Buckets => 2,
        Step::Points => 3,
        Step::Groups => 4,
    }
}
