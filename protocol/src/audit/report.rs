//! What a verifier can say after all checks have passed.

use std::collections::BTreeSet;

use chorus_crypto::sign::PublicKey;

use super::{Level, receipt::Standing};
use crate::{
    adapter::gate,
    cohort::Sums,
    deliberation::constitution::Constitution,
    id::{BatchId, CommunityId, PollId, RoundId, SeriesId},
    ledger::{Adopted, RoundState},
    log::{
        batch::Height,
        entry::{RoundResult, Step},
    },
    round,
};

/// What a bundle shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The community.
    pub community: CommunityId,
    /// Its name.
    pub name: String,
    /// The height of the last decision.
    pub height: Height,
    /// The id of the last batch: equal tips, equal logs.
    pub tip: BatchId,
    /// Entries of the log.
    pub entries: u64,
    /// Members.
    pub members: usize,
    /// How much was checked.
    pub level: Level,
    /// Counting contributions, withdrawals included: their bodies are those that the log names.
    pub contributions: u64,
    /// Those among them whose proofs were verified.
    pub proved: u64,
    /// What there is to say of the receipt that was given.
    pub standing: Option<Standing>,
    /// Operators that evidence on the log convicts of contradicting themselves.
    pub convicted: BTreeSet<PublicKey>,
    /// The amendments of the charter, in order; the vote on each was recomputed.
    pub amendments: Vec<Adopted>,
    /// The rounds, in order of their planning.
    pub rounds: Vec<RoundSummary>,
    /// Bytes of the bundle.
    pub bytes: u64,
}

/// What a bundle shows about one round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundSummary {
    /// The round.
    pub round: RoundId,
    /// What it is about.
    pub topic: Topic,
    /// Which round of its poll or series this is, from 1.
    pub number: u32,
    /// Where it stands: open or planned rounds are not verified further, sealed ones are finished.
    pub state: RoundState,
    /// Contributions in the sealed set.
    pub ballots: usize,
    /// Contributions that were taken back.
    pub withdrawals: usize,
    /// Contributions, withdrawals included, whose proofs were verified.
    pub proved: u64,
    /// The steps that were opened, in order; each value was checked against the commitments.
    pub opened: Vec<Step>,
    /// Operators whose share of a pass does not lie on the others' polynomial.
    pub liars: BTreeSet<u8>,
    /// Operators that stated another result.
    pub dissenting: BTreeSet<u8>,
    /// The result on the log, which is the one that follows.
    pub result: Option<RoundResult>,
    /// The result as it was recomputed.
    pub report: Option<Box<round::Report>>,
    /// What became of the adapter, in an adapter round.
    pub standing: Option<gate::Standing>,
    /// The constitution as it was recomputed, for statement polls.
    pub constitution: Option<Constitution>,
    /// Of a divided round, the sums that each cohort certified, by number; none for a cohort that is missing. Whether they are those of the
    /// cohort's ballots, only its own bundle shows.
    pub cohorts: Vec<Option<Sums>>,
}

/// What a round is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// A poll.
    Poll {
        /// The poll.
        poll: PollId,
        /// What it asks.
        question: String,
    },
    /// A series of adapter rounds.
    Series {
        /// The series.
        series: SeriesId,
        /// What it is called.
        name: String,
    },
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The log up to this height holds.
    Log(Height),
    /// So many of all contributions hold, as far as they are looked at.
    Contributions {
        /// Looked at.
        verified: u64,
        /// All of them.
        of: u64,
    },
    /// Openings and result of a round hold.
    Round(RoundId),
}

/// What was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The height of the last decision.
    pub height: Height,
    /// The id of the last batch.
    pub tip: BatchId,
    /// Blobs.
    pub blobs: usize,
    /// Bytes.
    pub bytes: u64,
}
