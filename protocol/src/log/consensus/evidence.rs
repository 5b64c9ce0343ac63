//! Proof that an operator signed two different things where one may be signed.

use arc_malachitebft_core_types::VoteType;
use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader},
    sign::PublicKey,
    wire_enum,
};

use super::{
    message::{ProposalHead, Signed, Statement, Vote},
    signer::Step,
};
use crate::{id::CommunityId, log::batch::Height};

/// Why a pair of statements proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The statements are of different signers.
    #[error("the statements are of different signers")]
    Signers,
    /// The statements are of different heights, rounds or steps.
    #[error("the statements are of different steps")]
    Steps,
    /// The statements agree.
    #[error("the statements do not contradict each other")]
    Equal,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature,
}

/// Two contradicting statements with their signatures, the one with the lesser encoding first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair<S> {
    first: Signed<S>,
    second: Signed<S>,
}

impl<S: Statement + At> Pair<S> {
    fn new(first: Signed<S>, second: Signed<S>) -> Self {
        if second.to_bytes() < first.to_bytes() {
            Self { first: second, second: first }
        } else {
            Self { first, second }
        }
    }

    fn verify(&self, community: CommunityId) -> Result<PublicKey, EvidenceError> {
        let (first, second) = (&self.first.statement, &self.second.statement);
        if first.signer() != second.signer() {
            return Err(EvidenceError::Signers);
        }
        if first.at() != second.at() {
            return Err(EvidenceError::Steps);
        }
        if first == second {
            return Err(EvidenceError::Equal);
        }
        let signed = self.first.verify(community).and_then(|()| self.second.verify(community));
        signed.map(|()| first.signer()).map_err(|_| EvidenceError::Signature)
    }
}

impl<S: Statement> Encode for Pair<S> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.first.encode(out);
        self.second.encode(out);
    }
}

impl<S: Statement> Decode for Pair<S> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (first, second) = Decode::decode(input)?;
        let pair = Self { first, second };
        if pair.first.to_bytes() > pair.second.to_bytes() {
            return Err(DecodeError::NonCanonical("evidence"));
        }
        Ok(pair)
    }
}

/// Where in the protocol a statement is made: at most one may be signed there.
pub trait At {
    /// Returns the height, round and step.
    fn at(&self) -> (Height, u32, Step);
}

impl At for Vote {
    fn at(&self) -> (Height, u32, Step) {
        let step = match self.kind {
            VoteType::Prevote => Step::Prevote,
            VoteType::Precommit => Step::Precommit,
        };
        (self.height, self.round, step)
    }
}

impl At for ProposalHead {
    fn at(&self) -> (Height, u32, Step) {
        (self.height, self.round, Step::Propose)
    }
}

/// Self-standing proof of equivocation: anybody who knows the community can check it, now or years later.
///
/// It can be entered into the log; what follows from it is the community's decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// Two votes of one step.
    Votes(Pair<Vote>),
    /// Two proposals of one round.
    Proposals(Pair<ProposalHead>),
}
wire_enum!(Evidence { 0 => Votes(pair), 1 => Proposals(pair) });

impl Evidence {
    pub(super) fn votes(first: Signed<Vote>, second: Signed<Vote>) -> Self {
        Self::Votes(Pair::new(first, second))
    }

    pub(super) fn proposals(first: Signed<ProposalHead>, second: Signed<ProposalHead>) -> Self {
        Self::Proposals(Pair::new(first, second))
    }

    /// Verifies the proof and returns the key that it convicts.
    ///
    /// # Errors
    ///
    /// Returns an [`EvidenceError`] if it proves nothing.
    pub fn verify(&self, community: CommunityId) -> Result<PublicKey, EvidenceError> {
        match self {
            Self::Votes(pair) => pair.verify(community),
            Self::Proposals(pair) => pair.verify(community),
        }
    }

    /// Returns the key accused, and where.
    pub fn accused(&self) -> (PublicKey, Height, u32, Step) {
        let ((height, round, step), key) = match self {
            Self::Votes(pair) => (pair.first.statement.at(), pair.first.statement.signer()),
            Self::Proposals(pair) => (pair.first.statement.at(), pair.first.statement.signer()),
        };
        (key, height, round, step)
    }
}
