//! What a host says to the state machine, and what it is told to do.

use chorus_crypto::sign::SecretKey;

use super::{evidence::Evidence, message::Decision};
use crate::{
    id::{BatchId, CommunityId},
    log::{
        batch::{Batch, Height},
        certificate::Committee,
    },
};

/// How long a step may take, in milliseconds, before a round is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Wait for the proposal.
    pub propose: u64,
    /// Wait for more prevotes after a quorum of different ones.
    pub prevote: u64,
    /// Wait for more precommits after a quorum of different ones.
    pub precommit: u64,
    /// Added to all with every round.
    pub per_round: u64,
    /// Own votes of the round are sent again at this interval.
    pub rebroadcast: u64,
    /// No wait is longer.
    pub longest: u64,
}

impl Default for Timeouts {
    /// Waits for small committees over the internet: a dead proposer costs a second.
    fn default() -> Self {
        Self { propose: 1_000, prevote: 500, precommit: 500, per_round: 500, rebroadcast: 2_000, longest: 60_000 }
    }
}

/// Who this node is.
#[derive(Debug)]
pub struct Config {
    /// The community whose log this is; signatures are good for no other.
    pub community: CommunityId,
    /// The operator's key. A key that is not in the committee follows and stays silent.
    pub key: SecretKey,
    /// The waits.
    pub timeouts: Timeouts,
}

/// Where the host's durable state stands.
#[derive(Debug)]
pub struct Resume<'a> {
    /// The last height durably decided.
    pub height: Height,
    /// The id of its batch; at [`Height::GENESIS`] whatever the community starts from.
    pub batch: BatchId,
    /// The committee of the height after it.
    pub committee: Committee,
    /// All records of the write-ahead log, in order.
    pub records: &'a [Vec<u8>],
    /// The last [`Output::Pledge`] made durable.
    pub pledged: Option<Height>,
}

/// The caller's rules: which batches may follow the log as it is.
///
/// # Correctness
///
/// A pure function of (the log up to the running height, the batch): no clock, no local holdings, no configuration.
/// An operator that calls a batch invalid which a quorum accepts has to stop.
pub trait Validity {
    /// Tells whether `batch` may be decided next. Height and predecessor are checked already.
    fn is_valid(&self, batch: &Batch) -> bool;
}

impl<F: Fn(&Batch) -> bool> Validity for F {
    fn is_valid(&self, batch: &Batch) -> bool {
        self(batch)
    }
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// There is something to order: start the height if it is not running.
    Wake,
    /// A peer's [`Output::Send`] arrived.
    Message(Vec<u8>),
    /// The answer to [`Output::ProposalWanted`]: entries to propose. Ignored if no longer wanted.
    Propose {
        /// The height asked for.
        height: Height,
        /// The round asked for.
        round: u32,
        /// What to order.
        entries: Vec<Vec<u8>>,
    },
    /// A peer's decision of the running height arrived.
    Sync(Box<Decision>),
    /// The decision is durable and applied; go on to the next height with this committee. The rules handed over with
    /// this input must know the decided batch already: messages of the next height may be waiting.
    Advance(Committee),
    /// [`Consensus::next_deadline`](super::Consensus::next_deadline) has passed.
    Tick,
}

/// What a host has to do, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Append these bytes to the write-ahead log.
    WalAppend(Vec<u8>),
    /// Make the write-ahead log durable before anything that follows. If that fails, stop the node.
    WalSync,
    /// Forget all records: they are of heights before this one.
    WalReset(Height),
    /// Durably note, apart from the write-ahead log, that this key signs at this height.
    Pledge(Height),
    /// Send these bytes to all other operators.
    Send(Vec<u8>),
    /// This node's turn: answer with [`Input::Propose`] soon, or not at all if there is nothing to order.
    ProposalWanted {
        /// The height.
        height: Height,
        /// The round.
        round: u32,
    },
    /// The height is decided. Store this durably, apply it, then answer with [`Input::Advance`].
    Decided(Box<Decision>),
    /// An operator signed two different things. May be repeated after a restart.
    Evidence(Box<Evidence>),
}
