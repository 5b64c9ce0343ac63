//! The engine's vocabulary in our types.

use core::{fmt, time::Duration};
use std::sync::Arc;

use arc_malachitebft_core_types as engine;
use chorus_crypto::sign::{PublicKey, Signature};
use engine::{NilOrVal, Round, SignedExtension, SignedMessage, Timeout, TimeoutKind, VoteType};

use super::{
    Timeouts,
    message::{Proposal, ProposalHead, Signed, SignedProposal, Vote},
};
use crate::{
    id::BatchId,
    log::{
        batch::{Batch, Height},
        certificate::Committee,
    },
};

/// Ties the engine's type parameters to ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chorus;

/// An operator as the engine sees it: address, validator and key in one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) struct Member(pub(crate) PublicKey);

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Address for Member {}

impl engine::Validator<Chorus> for Member {
    fn address(&self) -> &Member {
        self
    }

    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn voting_power(&self) -> u64 {
        1
    }
}

impl engine::ValidatorSet<Chorus> for Committee {
    fn count(&self) -> usize {
        self.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.len() as u64
    }

    fn get_by_address(&self, address: &Member) -> Option<&Member> {
        self.as_members().iter().find(|member| *member == address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.as_members().get(index)
    }
}

/// A batch and its id. Equality and order are those of the id: the batch is its preimage.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) batch: Arc<Batch>,
    pub(crate) id: BatchId,
}

impl Value {
    pub(crate) fn new(batch: Arc<Batch>) -> Self {
        Self { id: batch.id(), batch }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl engine::Value for Value {
    type Id = BatchId;

    fn id(&self) -> BatchId {
        self.id
    }
}

impl engine::Height for Height {
    const ZERO: Self = Self::GENESIS;
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl engine::Vote<Chorus> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        Round::new(self.round)
    }

    fn value(&self) -> &NilOrVal<BatchId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BatchId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Member {
        &self.signer
    }

    fn extension(&self) -> Option<&SignedExtension<Chorus>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Chorus>> {
        None
    }

    fn extend(self, _extension: SignedExtension<Chorus>) -> Self {
        self // extensions are disabled at every height
    }
}

impl engine::Proposal<Chorus> for Proposal {
    fn height(&self) -> Height {
        self.head.height
    }

    fn round(&self) -> Round {
        Round::new(self.head.round)
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.head.valid_round.into()
    }

    fn validator_address(&self) -> &Member {
        &self.head.signer
    }
}

/// Proposals are sent whole; this part is never made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NoPart {}

impl engine::ProposalPart<Chorus> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// Ed25519 by [`chorus_crypto::sign`]. Signing is an effect, so the engine holds no key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ed25519;

/// Bytes have the wrong length.
#[derive(Debug, thiserror::Error)]
#[error("wrong length")]
pub(crate) struct LengthError;

impl engine::SigningScheme for Ed25519 {
    type DecodingError = LengthError;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, LengthError> {
        <[u8; 64]>::try_from(bytes).map(Signature::from).map_err(|_| LengthError)
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, LengthError> {
        <[u8; 32]>::try_from(bytes).map(PublicKey::from).map_err(|_| LengthError)
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl engine::Timeouts<Chorus> for Timeouts {
    fn duration_for(&self, timeout: Timeout) -> Duration {
        let round = u64::from(timeout.round.as_u32().unwrap_or_default());
        let base = match timeout.kind {
            TimeoutKind::Propose => self.propose,
            TimeoutKind::Prevote => self.prevote,
            TimeoutKind::Precommit => self.precommit,
            TimeoutKind::Rebroadcast => self.rebroadcast,
            TimeoutKind::FinalizeHeight(duration) => return duration,
        };
        // At least one millisecond, so that a timer set now is never due now.
        let millis = base.saturating_add(self.per_round.saturating_mul(round)).min(self.longest).max(1);
        Duration::from_millis(millis)
    }
}

impl engine::Context for Chorus {
    type Address = Member;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Member;
    type ValidatorSet = Committee;
    type Timeouts = Timeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, committee: &'a Committee, height: Height, round: Round) -> &'a Member {
        committee.proposer_member(height, defined(round))
    }

    fn new_proposal(&self, height: Height, round: Round, value: Value, pol_round: Round, address: Member) -> Proposal {
        let valid_round = pol_round.as_u32();
        let head = ProposalHead { height, round: defined(round), value: value.id, valid_round, signer: address };
        Proposal { head, value }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<BatchId>, signer: Member) -> Vote {
        Vote { kind: VoteType::Prevote, height, round: defined(round), value, signer }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<BatchId>, signer: Member) -> Vote {
        Vote { kind: VoteType::Precommit, height, round: defined(round), value, signer }
    }
}

/// Returns the number of a round in which something is said.
pub(super) fn defined(round: Round) -> u32 {
    round.as_u32().expect("the engine proposes and votes in defined rounds only")
}

impl From<Signed<Vote>> for SignedMessage<Chorus, Vote> {
    fn from(vote: Signed<Vote>) -> Self {
        Self::new(vote.statement, vote.signature)
    }
}

impl From<SignedMessage<Chorus, Vote>> for Signed<Vote> {
    fn from(vote: SignedMessage<Chorus, Vote>) -> Self {
        Self { statement: vote.message, signature: vote.signature }
    }
}

impl From<SignedProposal> for SignedMessage<Chorus, Proposal> {
    fn from(proposal: SignedProposal) -> Self {
        Self::new(Proposal { head: proposal.head.statement, value: proposal.value }, proposal.head.signature)
    }
}

impl From<SignedMessage<Chorus, Proposal>> for SignedProposal {
    fn from(proposal: SignedMessage<Chorus, Proposal>) -> Self {
        let head = Signed { statement: proposal.message.head, signature: proposal.signature };
        Self { head, value: proposal.message.value }
    }
}
