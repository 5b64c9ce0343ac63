//! The manifest of a series of adapter rounds.

use std::collections::BTreeSet;

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    delta::{Dimensions, Statement},
    domain,
    hash::{self, Digest},
    mask::Shape,
    noise::{
        Sampler,
        accounting::{Release, people_to_be_heard},
        norm_bound_with_noise, share_variance,
    },
    wire_enum, wire_struct,
};

use crate::{
    config::{Name, Policy},
    fault::{Fault, bound},
    id::{CommunityId, RoundId, SeriesId},
    limits,
};

/// What everybody agrees on before the first delta.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterManifest {
    /// What the series is called.
    pub name: String,
    /// The model that is adapted.
    pub base: BaseModel,
    /// What of it is adapted.
    pub adapted: Adapted,
    /// Where the frozen A come from.
    pub seed: [u8; 32],
    /// How a delta becomes integers.
    pub encoding: Encoding,
    /// Runs and rounds.
    pub schedule: Schedule,
    /// How sums become one adapter.
    pub combination: Combination,
    /// What a new adapter has to stand before it is adopted.
    pub gate: Option<Gate>,
    /// Noise that every contributor adds.
    pub noise: Option<Noise>,
}
wire_struct!(AdapterManifest {
    name(limits::MAX_NAME_BYTES),
    base,
    adapted,
    seed,
    encoding,
    schedule,
    combination,
    gate,
    noise,
});

/// A base model.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseModel {
    /// What it is called; what an exported adapter names as its base.
    pub name: String,
    /// The digest of its configuration and weights.
    pub digest: [u8; 32],
}
wire_struct!(BaseModel { name(limits::MAX_TEXT_BYTES), digest });

/// The linear layers that are adapted: in each, `ΔW = alpha/rank · B·A` with A frozen.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adapted {
    /// r.
    pub rank: u16,
    /// PEFT's `lora_alpha`.
    pub alpha: u32,
    /// The first adapted layer of the model, from 0.
    pub first_layer: u16,
    /// How many layers are adapted.
    pub layers: u16,
    /// The linear layers in each, in the order in which their B stand in a delta.
    pub targets: Vec<Target>,
}
wire_struct!(Adapted { rank, alpha, first_layer, layers, targets[limits::MAX_TARGETS] });

/// One linear layer, such as `self_attn.q_proj`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name within a layer of the model.
    pub name: Name,
    /// Its inputs: the columns of A.
    pub inputs: u32,
    /// Its outputs: the rows of B.
    pub outputs: u32,
}
wire_struct!(Target { name, inputs, outputs });

/// The fixed point.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// An entry counts in units of 2^-`fraction_bits`.
    pub fraction_bits: u8,
    /// The largest Euclidean norm of a delta, in these units.
    pub bound: u32,
    /// The bits of an entry of a sum, sign included.
    pub lane_bits: u16,
}
wire_struct!(Encoding { fraction_bits, bound, lane_bits });

impl Encoding {
    /// Returns how many deltas a sum can hold for certain: `n·bound < 2^(lane_bits − 1)`.
    pub fn capacity(&self) -> usize {
        let most = (1u64 << u32::from(self.lane_bits.clamp(1, 63) - 1)) - 1;
        usize::try_from(most / u64::from(self.bound.max(1))).unwrap_or(usize::MAX)
    }
}

/// Runs and rounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The rounds of a run.
    pub rounds: u8,
    /// How long after its beginning a run is followed by the next one, in milliseconds of log time; none for a single run.
    pub every_millis: Option<u64>,
    /// How far a round moves along the mean.
    pub step: Ratio,
}
wire_struct!(Schedule { rounds, every_millis, step });

/// A positive fraction.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// Above the line.
    pub numerator: u16,
    /// Below it.
    pub denominator: u16,
}
wire_struct!(Ratio { numerator, denominator });

/// How sums become the one adapter that the next round starts from. All of them are published.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// The weights of the classes.
    pub weights: Weights,
    /// Into how many random cohorts a class is split; 1 for none. A class has fewer where the floor asks for it.
    pub cohorts: u8,
    /// What is taken of the means of a class's cohorts.
    pub centre: Centre,
    /// The smallest class and the smallest cohort, if the policy does not ask for more.
    pub floor: u32,
}
wire_struct!(Combination { weights, cohorts, centre, floor });

/// Whose voice weighs how much.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Every person weighs the same.
    PerPerson,
    /// Every class weighs the same. Who shows no class weighs as much as a person of the largest one.
    PerClass,
    /// Every person weighs as the round's plan says for their class.
    Planned,
    /// f + 1 operators weigh the classes after they have seen the sums: minimax over groups, or anything else that they
    /// sign.
    Posted,
}
wire_enum!(Weights { 1 => PerPerson, 2 => PerClass, 3 => Planned, 4 => Posted });

/// What stands for several cohorts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// The mean of all people.
    Mean,
    /// The median of the cohorts' means, for each coordinate.
    Median,
    /// For each coordinate, the mean of the cohorts' means without so many at either end.
    TrimmedMean(u8),
}
wire_enum!(Centre { 1 => Mean, 2 => Median, 3 => TrimmedMean(trimmed) });

/// A frozen, public evaluation: an adapter is adopted only if no group is worse off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The round of ballots whose statements are asked about.
    pub round: RoundId,
    /// How many opinion groups it led to; 1 if it led to none.
    pub groups: u8,
    /// One statement in so many is held out of training, by its content id, and asked about.
    pub held_out: u8,
    /// By how many of ten thousand a group's share of statements may fall.
    pub tolerance: u16,
}
wire_struct!(Gate { round, groups, held_out, tolerance });

/// Noise that every contributor adds to every entry, so that the published sums say little about any one of them. What they
/// promise: [`promise`](Noise::promise).
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The largest norm of a delta before noise, in units: what one person can change.
    pub clip: u32,
    /// The deviation of the noise in a sum, in thousandths of the clip.
    pub thousandths: u32,
    /// The honest contributors of a block that the promise counts on.
    pub honest: u32,
}
wire_struct!(Noise { clip, thousandths, honest });

/// What a series with noise promises, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// ε of differential privacy, at [`DELTA`], for a person who takes part in all rounds of a run.
    pub epsilon: f64,
    /// Below so many contributors noise drowns what they say.
    pub people: u32,
}

/// The δ at which ε is told.
pub const DELTA: f64 = 1e-5;

/// The norm of the mean of personal deltas, as a part of the clip, when many are averaged: they point in different directions.
const SIGNAL: f64 = 0.27;

impl Noise {
    /// Returns the sampler of one contributor's share.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Mismatch`] if the noise is out of range.
    pub fn sampler(&self) -> Result<Sampler, Fault> {
        let variance = share_variance(self.thousandths, self.clip, self.honest).map_err(|_| out_of_range())?;
        Sampler::new(variance).map_err(|_| out_of_range())
    }

    /// Returns what somebody who takes part in `rounds` rounds of deltas with so many entries is promised.
    ///
    /// # Errors
    ///
    /// As [`sampler`](Self::sampler).
    pub fn promise(&self, entries: usize, rounds: u8) -> Result<Promise, Fault> {
        let variance = self.sampler()?.variance();
        let release = Release { clip: self.clip, entries, variance, honest: self.honest, rounds: rounds.into() };
        let people = people_to_be_heard(self.thousandths, entries, SIGNAL);
        Ok(Promise { epsilon: release.epsilon(DELTA), people })
    }

    /// Returns the least bound that deltas of so many entries keep with their noise.
    ///
    /// # Errors
    ///
    /// As [`sampler`](Self::sampler).
    pub fn bound(&self, entries: usize) -> Result<u32, Fault> {
        norm_bound_with_noise(self.clip, entries, self.sampler()?.variance()).map_err(|_| out_of_range())
    }

    fn validate(&self, encoding: &Encoding, entries: usize) -> Result<(), Fault> {
        if self.honest < 2 || encoding.bound < self.bound(entries)? {
            return Err(Fault::Mismatch("the adapter's bound, which leaves no room for its noise"));
        }
        Ok(())
    }
}

const fn out_of_range() -> Fault {
    Fault::Mismatch("the adapter's noise")
}

impl AdapterManifest {
    /// Returns the series' id.
    pub fn id(&self, community: CommunityId) -> SeriesId {
        hash::digest(domain::SERIES, &(community, hash::content(&self.to_bytes()))).into()
    }

    /// Returns the number of entries of a delta: layer by layer, target by target, B row by row.
    pub fn entries(&self) -> usize {
        let outputs: usize = self.adapted.targets.iter().map(|target| target.outputs as usize).sum();
        usize::from(self.adapted.layers).saturating_mul(usize::from(self.adapted.rank)).saturating_mul(outputs)
    }

    /// Returns the adapted linear layers in the order of a delta: name in the model, and dimensions.
    pub fn modules(&self) -> impl Iterator<Item = (String, &Target)> {
        let layers = (0..self.adapted.layers).map(|layer| self.adapted.first_layer.saturating_add(layer));
        layers.flat_map(|layer| {
            let name = move |target: &Target| format!("model.layers.{layer}.{}", target.name.text);
            self.adapted.targets.iter().map(move |target| (name(target), target))
        })
    }

    /// Returns the norm's statement, and the shape that a delta is committed to and masked in.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Mismatch`] if there are no entries, too many, or no such bound or lanes.
    pub fn format(&self) -> Result<(Statement, Shape), Fault> {
        let mismatch = Fault::Mismatch("the adapter's dimensions");
        let dimensions = Dimensions::near_square(self.entries()).map_err(|_| mismatch.clone())?;
        let statement = Statement::new(dimensions, self.encoding.bound).map_err(|_| mismatch.clone())?;
        let narrow = |side: usize| u32::try_from(side).map_err(|_| mismatch.clone());
        let (rows, columns) = (narrow(dimensions.rows())?, narrow(dimensions.columns())?);
        let shape = Shape::new(rows, columns, self.encoding.lane_bits).map_err(|_| mismatch.clone())?;
        Ok((statement, shape))
    }

    /// Returns the fewest people whose deltas are summed: fewer in all open nothing, fewer in a class or cohort are merged.
    pub fn floor(&self, policy: &Policy) -> u32 {
        policy.floor.max(self.combination.floor)
    }

    /// Returns whether sealed sets are split into cohorts.
    pub const fn has_cohorts(&self) -> bool {
        self.combination.cohorts > 1
    }

    /// Returns the largest norm of a delta that somebody may send, before noise, in units.
    pub fn largest(&self) -> u32 {
        self.noise.map_or(self.encoding.bound, |noise| noise.clip)
    }

    /// Returns how many blocks of a sealed set may be opened: all their sums fit one blob.
    pub fn most_blocks(&self) -> usize {
        let sum = 8 * self.entries() + 64 * limits::MAX_ROWS;
        (limits::MAX_BLOB_BYTES / sum.max(1)).min(limits::MAX_BLOCKS)
    }

    /// Checks the manifest.
    ///
    /// # Errors
    ///
    /// Returns the first [`Fault`] found.
    pub fn validate(&self) -> Result<(), Fault> {
        if self.name.trim().is_empty() || self.base.name.trim().is_empty() {
            return Err(Fault::Mismatch("an adapter series' name"));
        }
        // What is built in memory can hold more than what is read from the wire.
        Self::from_bytes(&self.to_bytes())?;
        let adapted = &self.adapted;
        let names: BTreeSet<_> = adapted.targets.iter().map(|target| &target.name).collect();
        // The rows of A are orthonormal: there are no more of them than inputs.
        let has_room = |target: &Target| target.inputs >= u32::from(adapted.rank).max(1);
        if names.len() != adapted.targets.len() || !adapted.targets.iter().all(has_room) {
            return Err(Fault::Mismatch("the adapted layers"));
        }
        if adapted.alpha == 0 || adapted.rank > limits::MAX_RANK {
            return Err(Fault::Mismatch("the adapter's rank or alpha"));
        }
        bound("entries of an adapter", limits::MAX_ADAPTER_ENTRIES, self.entries())?;
        let (_, shape) = self.format()?;
        bound("scalars of a masked adapter", limits::MAX_MASKED, shape.scalars())?;
        if self.encoding.lane_bits > 62
            || self.encoding.fraction_bits > limits::MAX_FRACTION_BITS
            || self.encoding.capacity() < 2
        {
            return Err(Fault::Mismatch("the adapter's fixed point"));
        }
        let Schedule { rounds, step, .. } = self.schedule;
        let is_step = step.numerator > 0 && step.denominator > 0 && step.numerator / 16 <= step.denominator;
        if rounds == 0 || !is_step {
            return Err(Fault::Mismatch("the adapter's schedule"));
        }
        let Combination { cohorts, centre, floor, .. } = self.combination;
        let trimmed = if let Centre::TrimmedMean(trimmed) = centre { trimmed } else { 0 };
        if cohorts == 0 || usize::from(cohorts) > self.most_blocks() || 2 * u16::from(trimmed) >= u16::from(cohorts) {
            return Err(Fault::Mismatch("the adapter's cohorts"));
        }
        bound("an adapter's floor", limits::MAX_MEMBERS, floor as usize)?;
        if let Some(noise) = self.noise {
            noise.validate(&self.encoding, self.entries())?;
            // Every block that is opened has to have the honest people that the promise counts on.
            if noise.honest > floor {
                return Err(Fault::Mismatch("the adapter's floor, which is below the people that its noise counts on"));
            }
        }
        match self.gate {
            Some(gate)
                if gate.groups == 0
                    || usize::from(gate.groups) > limits::MAX_CLASSES
                    || gate.held_out == 0
                    || gate.tolerance > 10_000 =>
            {
                Err(Fault::Mismatch("the adapter's gate"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the digest that everybody derives the A of a module from.
    pub const fn frozen_seed(&self) -> &Digest {
        &self.seed
    }
}
