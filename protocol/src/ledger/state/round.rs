//! A round as bytes. What follows from the rest is left out: id, what is collected, the sealed set, the seeds in use.

use std::sync::Arc;

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_count, put_seq},
    wire_struct,
};

use super::{MANY, Tables, Told};
use crate::{
    canonical::{map, put_map, put_set, set},
    ledger::{Collects, Manifest, OpenClass, Opening, Pass, RoundRecord, SealedContribution, Verdict},
    limits::{self, MAX_OPERATORS, MAX_SUBSETS},
    log::entry::{RoundPlan, Subject},
    registry::snapshot::LazyRing,
};

wire_struct!(SealedContribution { header, acknowledged_by{MAX_OPERATORS} });
wire_struct!(Verdict { adopted, groups[limits::MAX_CLASSES] });

/// Contributions of a round, with everything that was taken back or replaced.
const MAX_CONTRIBUTIONS: usize = limits::MAX_MEMBERS * (limits::MAX_SEQUENCE as usize + 1);

impl Encode for Opening {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self { inputs, sums } = self;
        inputs.encode(out);
        put_map(out, sums, Encode::encode);
    }
}

impl Decode for Opening {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { inputs: Decode::decode(input)?, sums: map(input, MAX_SUBSETS, Decode::decode)? })
    }
}

impl Encode for Pass {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self { hashes, shares, ended, product, liars } = self;
        put_map(out, hashes, Encode::encode);
        put_map(out, shares, |values, out| put_seq(out, values));
        put_set(out, ended);
        product.is_some().encode(out);
        if let Some(product) = product {
            put_seq(out, product);
        }
        put_set(out, liars);
    }
}

impl Decode for Pass {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            hashes: map(input, MAX_OPERATORS, Decode::decode)?,
            shares: map(input, MAX_OPERATORS, |input| input.seq(limits::MAX_SHARE_SCALARS))?,
            ended: set(input, MAX_OPERATORS)?,
            product: if bool::decode(input)? { Some(input.seq(limits::MAX_SHARE_SCALARS)?) } else { None },
            liars: set(input, MAX_OPERATORS)?,
        })
    }
}

impl Encode for OpenClass {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self { number, group } = self;
        number.encode(out);
        group.is_some().encode(out);
        if let Some((scope, ring)) = group {
            scope.encode(out);
            put_seq(out, ring.tags());
        }
    }
}

impl Decode for OpenClass {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = Decode::decode(input)?;
        let group = if bool::decode(input)? {
            Some((Decode::decode(input)?, Arc::new(LazyRing::of_tags(input.seq(limits::MAX_MEMBERS)?))))
        } else {
            None
        };
        Ok(Self { number, group })
    }
}

impl Tables<'_> {
    fn put_manifest(&self, out: &mut Vec<u8>, manifest: &Manifest) {
        let Manifest { keys, snapshot, root: _, classes, scope: _, digest: _, deadline } = manifest;
        put_seq(out, keys);
        self.put_snapshot(out, snapshot);
        put_seq(out, classes);
        deadline.encode(out);
    }

    /// Appends a round.
    pub(super) fn put_round(&self, out: &mut Vec<u8>, round: &RoundRecord) {
        // Id, what is collected and the seeds in use follow from the rest; so does the sealed set, once there is one.
        let RoundRecord {
            id: _,
            plan,
            charter,
            planned_by,
            collects: _,
            // After all that every state has.
            division: _,
            replaces,
            ordinal,
            planned_at,
            clocks_read,
            offered,
            manifest,
            contributions,
            sealed,
            openings,
            opened,
            passes,
            partitions,
            partition,
            results,
            agreed,
            erased,
            beacons,
            beacon,
            weighed,
            assessments,
            verdict,
            seed_digests: _,
        } = round;
        plan.encode(out);
        self.put_charter(out, charter);
        planned_by.encode(out);
        replaces.encode(out);
        ordinal.encode(out);
        planned_at.encode(out);
        put_set(out, clocks_read);
        put_map(out, offered, Encode::encode);
        manifest.is_some().encode(out);
        if let Some(manifest) = manifest {
            self.put_manifest(out, manifest);
        }
        put_count(out, contributions.values().map(|attempts| attempts.len()).sum());
        contributions.values().flat_map(|attempts| attempts.values()).for_each(|one| one.encode(out));
        sealed.is_some().encode(out);
        put_map(out, openings, |by, out| put_map(out, by, Encode::encode));
        put_map(out, opened, |by, out| put_map(out, by, Encode::encode));
        put_map(out, passes, Encode::encode);
        put_map(out, partitions, Encode::encode);
        partition.encode(out);
        put_map(out, results, Encode::encode);
        agreed.encode(out);
        put_set(out, erased);
        put_map(out, beacons, |values, out| put_map(out, values, Encode::encode));
        beacon.encode(out);
        put_map(out, weighed, Encode::encode);
        put_map(out, assessments, |groups, out| put_seq(out, groups));
        verdict.encode(out);
    }
}

impl Told<'_> {
    fn collects(&self, plan: &RoundPlan) -> Result<Collects, DecodeError> {
        let unknown = DecodeError::OutOfRange("what a round collects");
        match &plan.subject {
            Subject::Ballots(ballots) => {
                self.polls.get(&ballots.poll).map(|poll| Collects::Ballots(poll.opening.kind)).ok_or(unknown)
            }
            Subject::Deltas(deltas) => {
                let series = self.series.get(&deltas.series).ok_or(unknown)?;
                Ok(Collects::Deltas(Arc::clone(&series.manifest)))
            }
        }
    }

    /// Reads a round.
    pub(super) fn round(&self, input: &mut Reader<'_>) -> Result<RoundRecord, DecodeError> {
        let plan = RoundPlan::decode(input)?;
        let charter = self.charter(input)?;
        let (id, collects, planned_by) = (plan.id(self.community), self.collects(&plan)?, Decode::decode(input)?);
        let replaces = Decode::decode(input)?;
        let mut round = RoundRecord::new(id, (planned_by, plan), charter, collects, Decode::decode(input)?);
        round.replaces = replaces;
        round.planned_at = Decode::decode(input)?;
        round.clocks_read = set(input, MANY)?;
        round.offered = map(input, MAX_OPERATORS, Decode::decode)?;
        if bool::decode(input)? {
            let (keys, snapshot) = (input.seq(MAX_OPERATORS)?, self.snapshot(input)?);
            let classes = input.seq(limits::MAX_CLASSES)?;
            round.manifest = Some(round.pinned(self.community, keys, (snapshot, classes), Decode::decode(input)?));
        }
        for one in input.seq::<SealedContribution>(MAX_CONTRIBUTIONS)? {
            round.take(one);
        }
        if bool::decode(input)? {
            round.sealed = Some(round.seal());
        }
        round.openings = map(input, MANY, |input| map(input, MAX_OPERATORS, Decode::decode))?;
        round.opened = map(input, MANY, |input| map(input, MAX_OPERATORS, Decode::decode))?;
        round.passes = map(input, MANY, Decode::decode)?;
        round.partitions = map(input, MAX_OPERATORS, Decode::decode)?;
        round.partition = Decode::decode(input)?;
        round.results = map(input, MAX_OPERATORS, Decode::decode)?;
        round.agreed = Decode::decode(input)?;
        round.erased = set(input, MAX_OPERATORS)?;
        round.beacons = map(input, MAX_OPERATORS, |input| map(input, MAX_SUBSETS, Decode::decode))?;
        round.beacon = Decode::decode(input)?;
        round.weighed = map(input, MAX_OPERATORS, Decode::decode)?;
        round.assessments = map(input, MAX_OPERATORS, |input| input.seq(limits::MAX_CLASSES))?;
        round.verdict = Decode::decode(input)?;
        Ok(round)
    }
}
