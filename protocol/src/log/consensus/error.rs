//! Who was wrong: a peer ([`Refusal`]), this node ([`Halt`]), or the caller.

use chorus_crypto::{codec::DecodeError, sign::PublicKey};

use super::signer::Step;
use crate::log::{
    batch::{BatchError, Height},
    certificate::CertificateError,
};

/// Why something that a peer sent was refused. Describes the sender, never this node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no message.
    #[error("no message: {0}")]
    Malformed(#[from] DecodeError),
    /// The height is decided here. Answer the sender with the [`Decision`](super::Decision) of that height.
    #[error("height {0} is decided")]
    Stale(Height),
    /// The height is beyond the next. Ask the sender for the decision of the running height.
    #[error("height {0} is too far ahead")]
    Ahead(Height),
    /// The round is too far beyond the running round. Slow networks cause this too.
    #[error("round {0} is too far ahead")]
    FarRound(u32),
    /// The signer is not an operator at this height.
    #[error("{0} is not an operator at this height")]
    Stranger(PublicKey),
    /// A signature does not verify: the sender forged or spoilt it.
    #[error("a signature does not verify")]
    Signature,
    /// A bundle of votes lacks votes, or has a vote that is no good.
    #[error("a bundle of votes does not hold")]
    Bundle,
    /// An operator proposed out of turn, and signed it.
    #[error("{proposer} proposed out of turn in round {round} of height {height}")]
    OutOfTurn {
        /// The signer of the proposal.
        proposer: PublicKey,
        /// The height.
        height: Height,
        /// The round.
        round: u32,
    },
    /// The sender has used up its share of the buffer for the next height.
    #[error("too many early messages of {0}")]
    Crowding(PublicKey),
    /// A decision does not verify.
    #[error("no decision: {0}")]
    Certificate(#[from] CertificateError),
}

impl Refusal {
    /// Returns the operator that this refusal proves to have signed something that no honest operator signs.
    pub const fn culprit(&self) -> Option<PublicKey> {
        match self {
            Self::OutOfTurn { proposer, .. } => Some(*proposer),
            Self::Malformed(_)
            | Self::Stale(_)
            | Self::Ahead(_)
            | Self::FarRound(_)
            | Self::Stranger(_)
            | Self::Signature
            | Self::Bundle
            | Self::Crowding(_)
            | Self::Certificate(_) => None,
        }
    }
}

/// Why this node must stop taking part. Nothing can be signed after this; a person has to look.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// The engine asked for a second, different signature in one step. It was not given.
    #[error("about to contradict an earlier {step:?} of round {round} of height {height}")]
    Contradiction {
        /// The height.
        height: Height,
        /// The round.
        round: u32,
        /// The step.
        step: Step,
    },
    /// A quorum decided a batch that does not follow this node's log, or that its ledger calls invalid: its software
    /// or its store is not that of the others, or more than f operators are faulty.
    #[error("a quorum decided a batch at height {0} that is invalid here")]
    DecidedInvalid(Height),
    /// The engine gave up; the text is its own, for a person to read.
    #[error("the consensus engine gave up: {0}")]
    Engine(String),
}

/// Why an input was not handled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsensusError {
    /// The sender was wrong; this node goes on.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// This node must stop.
    #[error("halted: {0}")]
    Halted(#[from] Halt),
    /// The caller's entries do not make a batch; propose fewer.
    #[error("no batch: {0}")]
    Batch(#[from] BatchError),
    /// The caller's own batch is invalid by the caller's own rules; propose another.
    #[error("the batch to propose is invalid")]
    InvalidProposal,
    /// The caller advanced before the height was decided.
    #[error("height {0} is not decided")]
    Undecided(Height),
}

/// Why a node cannot resume.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// A record of the write-ahead log does not decode. Resume without records: the node then abstains.
    #[error("record {index} of the write-ahead log is corrupt: {error}")]
    Record {
        /// Its place.
        index: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// Replay failed.
    #[error("replay halted: {0}")]
    Halted(#[from] Halt),
}
