//! The result of an adapter round: the same bytes on every node.

use std::sync::Arc;

use chorus_crypto::{
    codec::{Decode as _, DecodeError, Encode as _},
    wire_enum, wire_struct,
};

use super::{
    blocks::ClassCohorts,
    combine::{BlockSum, advance, centre, weigh},
    entry::WeighedAdapter,
    manifest::{AdapterManifest, Weights},
};
use crate::{
    id::{BlobId, CommunityId, RoundId, SeriesId, SetId},
    limits,
    log::entry::ClassPlan,
    round::classes::OTHER,
};

/// An adapter in fixed point: every B of a series' modules, in units of 2^-(fraction + 16).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdapterValues {
    /// The series, which says what the values mean.
    pub series: SeriesId,
    /// The entries, in the order of the manifest.
    pub values: Vec<i64>,
}
wire_struct!(AdapterValues { series, values[limits::MAX_ADAPTER_ENTRIES] });

/// The people whose deltas were summed together, before cohorts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClassShare {
    /// The class, or [`OTHER`].
    pub class: u16,
    /// How many people.
    pub contributions: u32,
    /// In how many cohorts.
    pub cohorts: u8,
}
wire_struct!(ClassShare { class, contributions, cohorts });

/// One of the adapters that a round's sums lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VariantKind {
    /// Every person weighs the same.
    PerPerson,
    /// Every class weighs the same.
    PerClass,
    /// Every person weighs as the round's plan says.
    Planned,
    /// The people of one class.
    Class(u16),
}
wire_enum!(VariantKind { 1 => PerPerson, 2 => PerClass, 3 => Planned, 4 => Class(class) });

/// An adapter and what it stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Variant {
    /// What it stands for.
    pub kind: VariantKind,
    /// The encoded [`AdapterValues`].
    pub adapter: BlobId,
}
wire_struct!(Variant { kind, adapter });

/// What came out of a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AdapterOutcome {
    /// Fewer contributions than the policy asks for: nothing was opened.
    TooFew,
    /// Adapters.
    Averaged(Averaged),
}
wire_enum!(AdapterOutcome { 0 => TooFew, 1 => Averaged(it) });

/// The adapters that a round led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Averaged {
    /// The classes, ascending.
    pub classes: Vec<ClassShare>,
    /// The adapters; with a single class, one.
    pub variants: Vec<Variant>,
}
wire_struct!(Averaged { classes[limits::MAX_CLASSES], variants[limits::MAX_CLASSES + 3] });

/// The result object of an adapter round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdapterReport {
    /// The community.
    pub community: CommunityId,
    /// The series.
    pub series: SeriesId,
    /// The round.
    pub round: RoundId,
    /// Which round of the series this is, from 1.
    pub number: u32,
    /// The sealed set.
    pub set: SetId,
    /// How many deltas it has.
    pub contributions: u32,
    /// The adapter that they change; none for zero.
    pub start: Option<BlobId>,
    /// The result of the round before this one in the series.
    pub previous: Option<BlobId>,
    /// What came out.
    pub outcome: AdapterOutcome,
}
wire_struct!(AdapterReport { community, series, round, number, set, contributions, start, previous, outcome });

impl AdapterReport {
    /// Returns the adapters, if there were enough contributions.
    pub const fn averaged(&self) -> Option<&Averaged> {
        match &self.outcome {
            AdapterOutcome::TooFew => None,
            AdapterOutcome::Averaged(averaged) => Some(averaged),
        }
    }

    /// Returns the adapter of a kind.
    pub fn variant(&self, kind: VariantKind) -> Option<BlobId> {
        let variants = &self.averaged()?.variants;
        variants.iter().find(|variant| variant.kind == kind).map(|variant| variant.adapter)
    }

    /// Returns the adapter that follows by the series' rule; none if weights are still to be stated.
    pub fn follows(&self, manifest: &AdapterManifest) -> Option<BlobId> {
        let wanted = match manifest.combination.weights {
            Weights::PerPerson => VariantKind::PerPerson,
            Weights::PerClass => VariantKind::PerClass,
            Weights::Planned => VariantKind::Planned,
            // With a single class there is nothing to weigh.
            Weights::Posted if self.averaged()?.classes.len() == 1 => VariantKind::PerPerson,
            Weights::Posted => return None,
        };
        self.variant(wanted).or_else(|| self.variant(VariantKind::PerPerson))
    }
}

/// What a round's sums lead to, with all values.
#[derive(Clone, Debug, PartialEq)]
pub struct Averages {
    manifest: Arc<AdapterManifest>,
    series: SeriesId,
    start: Option<Vec<i64>>,
    shares: Vec<ClassShare>,
    /// What stands for each class.
    centres: Vec<Vec<i64>>,
}

impl Averages {
    /// Puts the opened sums of a partition together. `sums` are in the order of its blocks.
    ///
    /// Returns `None` if there are more or fewer sums, or other entries than the manifest says.
    pub fn new(
        (manifest, series): (Arc<AdapterManifest>, SeriesId),
        start: Option<Vec<i64>>,
        partition: &[ClassCohorts],
        sums: Vec<Vec<i64>>,
    ) -> Option<Self> {
        let entries = manifest.entries();
        let fits = |values: &Vec<i64>| values.len() == entries;
        if !sums.iter().all(fits) || !start.iter().all(fits) {
            return None;
        }
        let mut sums = sums.into_iter();
        let (mut shares, mut centres) = (Vec::new(), Vec::new());
        for class in partition {
            let block = |cohort: &Vec<u32>| {
                Some(BlockSum { contributions: u32::try_from(cohort.len()).ok()?, sum: sums.next()? })
            };
            let cohorts: Vec<BlockSum> = class.cohorts.iter().map(block).collect::<Option<_>>()?;
            centres.push(centre(&cohorts, manifest.combination.centre));
            let contributions = u32::try_from(class.contributions()).ok()?;
            shares.push(ClassShare { class: class.class, contributions, cohorts: u8::try_from(cohorts.len()).ok()? });
        }
        sums.next().is_none().then_some(Self { manifest, series, start, shares, centres })
    }

    /// Returns the classes.
    pub fn classes(&self) -> &[ClassShare] {
        &self.shares
    }

    /// Returns the adapter with these weights of the classes; `None` if there is not one for each, or all are zero.
    pub fn weighed(&self, weights: &[u64]) -> Option<AdapterValues> {
        if weights.len() != self.centres.len() || weights.iter().all(|weight| *weight == 0) {
            return None;
        }
        let mean = weigh(&self.centres, weights);
        let values = advance(self.start.as_deref(), &mean, self.manifest.schedule.step);
        Some(AdapterValues { series: self.series, values })
    }

    /// Returns the adapter of an entry that weighs the classes; `None` if the entry does not fit.
    pub fn of_entry(&self, weighed: &WeighedAdapter) -> Option<AdapterValues> {
        self.weighed(&weighed.weights.iter().copied().map(u64::from).collect::<Vec<_>>())
    }

    /// Returns all adapters that follow without anybody's word.
    pub fn variants(&self, classes: Option<&ClassPlan>) -> Vec<(VariantKind, AdapterValues)> {
        let people: Vec<u64> = self.shares.iter().map(|share| share.contributions.into()).collect();
        let mut weights = vec![(VariantKind::PerPerson, people.clone())];
        if self.shares.len() > 1 {
            weights.push((VariantKind::PerClass, per_class(&self.shares)));
            if let Some(plan) = classes {
                let of = |share: &ClassShare| {
                    let weight = plan.weights.get(usize::from(share.class)).copied().unwrap_or_default();
                    u64::from(weight) * u64::from(share.contributions)
                };
                weights.push((VariantKind::Planned, self.shares.iter().map(of).collect()));
            }
            for (place, share) in self.shares.iter().enumerate() {
                let alone = (0..self.shares.len()).map(|other| u64::from(other == place)).collect();
                weights.push((VariantKind::Class(share.class), alone));
            }
        }
        let adapter = |(kind, weights): (VariantKind, Vec<u64>)| Some((kind, self.weighed(&weights)?));
        weights.into_iter().filter_map(adapter).collect()
    }
}

/// The weights with which every class weighs the same. Somebody in "other" weighs as much as somebody in the largest class:
/// nobody gains by hiding theirs.
fn per_class(shares: &[ClassShare]) -> Vec<u64> {
    /// The weight of a class: large, so that rounding the weight of "other" takes nothing.
    const WHOLE: u64 = 1 << 32;
    let named = shares.iter().filter(|share| share.class != OTHER);
    let largest = named.map(|share| u64::from(share.contributions)).max().unwrap_or(1).max(1);
    let weight = |share: &ClassShare| match share.class {
        OTHER => (u64::from(share.contributions) * WHOLE / largest).min(WHOLE),
        _ => WHOLE,
    };
    shares.iter().map(weight).collect()
}

impl AdapterValues {
    /// Reads an adapter of a series.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] if the bytes are no adapter of this series with these entries.
    pub fn read(bytes: &[u8], series: SeriesId, entries: usize) -> Result<Self, DecodeError> {
        let adapter = Self::from_bytes(bytes)?;
        if adapter.series != series || adapter.values.len() != entries {
            return Err(DecodeError::OutOfRange("an adapter of another series"));
        }
        Ok(adapter)
    }

    /// Returns the content id of the encoded adapter, and the bytes.
    pub fn to_blob(&self) -> (BlobId, Vec<u8>) {
        let bytes = self.to_bytes();
        (BlobId::of(&bytes), bytes)
    }
}
