//! The result of a round: the same bytes on every node. It holds no certificate, no signer subset and no clock.

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader},
    wire_struct,
};

use super::classes::ClassReport;
use crate::{
    cohort::Sums,
    deliberation::{
        consensus::{Bar, Support, support},
        constitution::{Constitution, Criteria, Preamble},
        findings::{Findings, Moderation, Tallied},
        groups::{MAX_GROUPS, Partition, Placed},
        map::{Fraction, MAX_AXES, Map},
        routing::map_extremity,
        tally::{Totals, Vote, mu},
    },
    id::{BlobId, CommunityId, PollId, RoundId, SetId},
    ledger::{Collects, Ledger, RoundRecord, Sealed},
    limits,
    log::entry::{BallotPlan, PollKind},
};

/// What is public about one ballot: nothing but this, and nobody knows whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlacedBallot {
    /// 1 + the bucket of its vote count; 0 below the first.
    pub bucket: u8,
    /// Its dithered coordinates.
    pub point: Vec<i64>,
}
wire_struct!(PlacedBallot { bucket, point[MAX_AXES] });

impl From<&Placed> for PlacedBallot {
    fn from(placed: &Placed) -> Self {
        let bucket = placed.bucket.map_or(0, |bucket| u8::try_from(bucket + 1).unwrap_or(u8::MAX));
        Self { bucket, point: placed.point.clone() }
    }
}

/// The opinion map and the groups on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapReport {
    /// The axes.
    pub map: Map,
    /// The share of the variance along each axis.
    pub explained: Vec<Fraction>,
    /// The ballots, in order of their tags.
    pub ballots: Vec<PlacedBallot>,
    /// How many opinion groups there are.
    pub k: u8,
    /// The block of each ballot: groups 0..k, then those without a point.
    pub assignment: Vec<u8>,
    /// The tallies of the groups.
    pub groups: Vec<Totals>,
}
wire_struct!(MapReport {
    map,
    explained[MAX_AXES],
    ballots[limits::MAX_MEMBERS],
    k,
    assignment[limits::MAX_MEMBERS],
    groups[MAX_GROUPS],
});

impl MapReport {
    pub(super) fn new(
        map: Map,
        ballots: Vec<PlacedBallot>,
        partition: &Partition,
        groups: Vec<Totals>,
        totals: &Totals,
    ) -> Self {
        let trace = totals.trace();
        let explained = |(index, axis): (usize, &crate::deliberation::map::Axis)| {
            axis.explained(ballots.iter().filter_map(|ballot| ballot.point.get(index).copied()), trace)
        };
        let byte = |value: &usize| u8::try_from(*value).unwrap_or(u8::MAX);
        Self {
            explained: map.axes.iter().enumerate().map(explained).collect(),
            map,
            ballots,
            k: byte(&partition.k),
            assignment: partition.assignment.iter().map(byte).collect(),
            groups,
        }
    }

    /// Returns the number of ballots in each group.
    pub fn sizes(&self) -> Vec<usize> {
        (0..self.k).map(|group| self.assignment.iter().filter(|block| **block == group).count()).collect()
    }
}

/// How far a round came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Fewer contributions than the policy asks for: nothing was opened.
    TooFew,
    /// Totals, and no map.
    Totals {
        /// The totals of the sealed set.
        totals: Totals,
    },
    /// Totals, and those of each class.
    Classes {
        /// The totals of the sealed set.
        totals: Totals,
        /// The classes.
        classes: ClassReport,
    },
    /// Totals, map and groups.
    Map {
        /// The totals of the sealed set.
        totals: Totals,
        /// Map and groups.
        map: Box<MapReport>,
    },
}

impl Encode for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::TooFew => out.push(0),
            Self::Totals { totals } => {
                out.push(1);
                totals.encode(out);
            }
            Self::Map { totals, map } => {
                out.push(2);
                totals.encode(out);
                map.encode(out);
            }
            Self::Classes { totals, classes } => {
                out.push(3);
                totals.encode(out);
                classes.encode(out);
            }
        }
    }
}

impl Decode for Outcome {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(Self::TooFew),
            1 => Ok(Self::Totals { totals: Totals::decode(input)? }),
            2 => Ok(Self::Map { totals: Totals::decode(input)?, map: Box::new(MapReport::decode(input)?) }),
            3 => Ok(Self::Classes { totals: Totals::decode(input)?, classes: ClassReport::decode(input)? }),
            found => Err(DecodeError::UnknownTag { of: "outcome", found: found.into() }),
        }
    }
}

/// The result object of a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundReport {
    /// The community.
    pub community: CommunityId,
    /// The poll.
    pub poll: PollId,
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// How many ballots it has.
    pub ballots: u32,
    /// The items, in ballot order.
    pub items: Vec<BlobId>,
    /// What came out.
    pub outcome: Outcome,
}
wire_struct!(RoundReport { community, poll, round, set, ballots, items[limits::MAX_ITEMS], outcome });

impl RoundReport {
    pub(super) fn new(
        ledger: &Ledger,
        (round, plan): (&RoundRecord, &BallotPlan),
        sealed: &Sealed,
        outcome: Outcome,
    ) -> Self {
        Self {
            community: ledger.community(),
            poll: plan.poll,
            round: round.id,
            set: sealed.set,
            ballots: u32::try_from(round.counted()).unwrap_or(u32::MAX),
            items: plan.items.clone(),
            outcome,
        }
    }

    /// Returns the totals, if they were opened.
    pub const fn totals(&self) -> Option<&Totals> {
        match &self.outcome {
            Outcome::TooFew => None,
            Outcome::Totals { totals } | Outcome::Classes { totals, .. } | Outcome::Map { totals, .. } => Some(totals),
        }
    }

    /// Returns the map, if there is one.
    pub const fn map(&self) -> Option<&MapReport> {
        match &self.outcome {
            Outcome::TooFew | Outcome::Totals { .. } | Outcome::Classes { .. } => None,
            Outcome::Map { map, .. } => Some(map),
        }
    }

    /// Returns the classes, if the round had some.
    pub const fn classes(&self) -> Option<&ClassReport> {
        match &self.outcome {
            Outcome::TooFew | Outcome::Totals { .. } | Outcome::Map { .. } => None,
            Outcome::Classes { classes, .. } => Some(classes),
        }
    }

    /// Returns the tallies that consensus is computed from: those of the groups, or the whole as one group, in which
    /// classes have their weights.
    pub fn groups(&self) -> Vec<Totals> {
        match &self.outcome {
            Outcome::TooFew => Vec::new(),
            Outcome::Totals { totals } => vec![totals.clone()],
            Outcome::Classes { classes, .. } => vec![classes.weighted()],
            Outcome::Map { map, .. } => map.groups.clone(),
        }
    }

    /// Returns the group-aware consensus of each item.
    pub fn support(&self) -> Vec<Support> {
        support(&self.groups(), Vote::Agree)
    }

    /// Returns everything that follows from the tallies. `meta` are the items that ask about the voter
    /// ([`Ledger::meta_items`]).
    pub fn findings(&self, meta: &[bool]) -> Option<Findings> {
        let totals = self.totals()?;
        let groups = self.groups();
        let sizes = self.map().map_or_else(|| vec![self.ballots as usize], MapReport::sizes);
        let extremity = map_extremity(&mu(totals), self.map().map(|report| &report.map));
        let moderation = Moderation { hidden: meta.to_vec(), meta: meta.to_vec() };
        Some(Findings::new(Tallied {
            totals,
            groups: &groups,
            sizes: &sizes,
            extremity: &extremity,
            moderation: &moderation,
        }))
    }

    /// Which items so few people have seen that weights must not make up for it; nobody's are, without classes.
    fn seen_by_few(&self, min_seen: u32) -> Vec<bool> {
        match &self.outcome {
            Outcome::Classes { totals, .. } => {
                totals.items.iter().map(|tally| tally.seen() < u64::from(min_seen)).collect()
            }
            Outcome::TooFew | Outcome::Totals { .. } | Outcome::Map { .. } => Vec::new(),
        }
    }

    /// Returns what a cohort shows its parent: its totals, or those of its own cohorts whatever became of their sum.
    pub fn sums(&self, ledger: &Ledger) -> Sums {
        if let Some(divided) = ledger.rounds().get(&self.round).and_then(|round| round.divided()) {
            return divided.sums();
        }
        let ballots = u64::from(self.ballots);
        match self.totals() {
            Some(totals) => Sums { contributions: ballots, totals: totals.clone(), ..Sums::default() },
            None => Sums { unopened: ballots, ..Sums::none(self.items.len()) },
        }
    }

    /// Returns the constitution that follows: for a statement poll whose totals were opened. None follows in a cohort.
    pub fn constitution(&self, ledger: &Ledger) -> Option<Constitution> {
        self.totals().filter(|_| ledger.origin().is_none())?;
        let genesis = ledger.genesis();
        let poll = ledger.polls().get(&self.poll)?;
        let round = ledger.rounds().get(&self.round)?;
        if round.collects != Collects::Ballots(PollKind::Statement) {
            return None;
        }
        let policy = &round.charter.policy;
        let preamble = Preamble {
            community: self.community,
            name: genesis.name.clone(),
            purpose: genesis.purpose.clone(),
            version: round.ordinal,
            poll: self.poll,
        };
        let criteria =
            Criteria { bar: Bar::new(policy.bar_numerator, policy.bar_denominator)?, min_seen: policy.min_seen.into() };
        let text = |item: usize| {
            let id = self.items.get(item)?;
            poll.items.iter().find(|(known, _, _)| known == id).map(|(_, text, _)| text.clone())
        };
        let (few, meta) = (self.seen_by_few(policy.min_seen), ledger.meta_items(self.round));
        let is_out = |item: usize| [&few, &meta].iter().any(|out| out.get(item) == Some(&true));
        let out: Vec<bool> = (0..self.items.len()).map(is_out).collect();
        Some(Constitution::draft(preamble, criteria, &self.groups(), &out, text))
    }
}
