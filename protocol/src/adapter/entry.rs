//! Entries of an adapter's life after its sum.

use chorus_crypto::{hash::Digest, wire_struct};

use crate::{
    id::{BlobId, RoundId, SetId},
    limits,
};

/// Another weighing of the classes of a finished round. It counts once f + 1 operators state the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct WeighedAdapter {
    /// The round.
    pub round: RoundId,
    /// The weight of each class of the round's report.
    pub weights: Vec<u32>,
    /// The adapter that follows.
    pub adapter: BlobId,
}
wire_struct!(WeighedAdapter { round, weights[limits::MAX_CLASSES], adapter });

/// An operator's word that the classes of a finished round are to be weighed so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weighing {
    /// Which of the operator's words on this round it is, from 1: nobody can say an older one again in its name.
    pub number: u8,
    /// How they are to be weighed.
    pub weighed: WeighedAdapter,
}
wire_struct!(Weighing { number, weighed });

/// What splits a sealed set into cohorts: for each T that the operator holds, a pseudorandom value of the seeds that all
/// contributors drew for it. Whoever contributed could not know those of the others, nor do f operators know all T.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Beacon {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// The values by index of T, ascending.
    pub values: Vec<(u8, Digest)>,
}
wire_struct!(Beacon { round, set, values[limits::MAX_SUBSETS] });

/// How an adapter did in its series' evaluation, on one operator's machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assessment {
    /// The round that led to the adapter.
    pub round: RoundId,
    /// The adapter.
    pub adapter: BlobId,
    /// What came out for each opinion group.
    pub groups: Vec<GroupScore>,
}
wire_struct!(Assessment { round, adapter, groups[limits::MAX_CLASSES] });

/// The share of a group's held-out statements that the model prefers to their negations, in ten thousandths.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct GroupScore {
    /// With the adapter.
    pub candidate: u16,
    /// With the adapter in use when the round was planned, or without any.
    pub reference: u16,
}
wire_struct!(GroupScore { candidate, reference });
