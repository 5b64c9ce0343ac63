//! What operators sign and send: votes, proposals and bundles of votes, with their one encoding.
//!
//! The bytes under a signature are `community ‖ statement`, where the statement names its kind, height, round, value
//! and signer. So a signature is good for one community, one step and one signer, and a commit certificate needs no
//! more than the signatures of ordinary precommits.

use std::sync::Arc;

use arc_malachitebft_core_types::{NilOrVal, Round, VoteType};
use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    domain::{self, Domain},
    sign::{PublicKey, SecretKey, Signature, SignatureError},
    wire_enum, wire_struct,
};

use super::context::{Member, Value};
use crate::{
    id::{BatchId, CommunityId},
    limits::MAX_OPERATORS,
    log::batch::{Batch, Height},
};

/// Rounds beyond this are refused: they need four billion time-outs, and the engine counts on `round + 1`.
const MAX_ROUND: u32 = u32::MAX / 2;

/// Reads a round.
pub(in crate::log) fn decode_round(input: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let round = u32::decode(input)?;
    if round > MAX_ROUND { Err(DecodeError::OutOfRange("round")) } else { Ok(round) }
}

/// Something that an operator signs.
pub trait Statement: Encode + Decode + Clone + Eq {
    /// The label of its signatures.
    const DOMAIN: Domain;

    /// Returns the key that has to sign.
    fn signer(&self) -> PublicKey;

    /// Returns the bytes to sign: `community ‖ encoding`.
    fn preimage(&self, community: CommunityId) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        self.encode(&mut bytes);
        bytes
    }
}

/// A statement with its signer's signature, not necessarily a good one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed<S> {
    /// What was signed.
    pub statement: S,
    /// The signature over [`Statement::preimage`].
    pub signature: Signature,
}

impl<S: Statement> Signed<S> {
    /// Signs `statement`.
    pub(super) fn new(statement: S, community: CommunityId, key: &SecretKey) -> Self {
        let signature = key.sign(S::DOMAIN, &statement.preimage(community));
        Self { statement, signature }
    }

    /// Verifies the signature.
    ///
    /// # Errors
    ///
    /// Returns [`SignatureError`] unless the signer signed the statement in this community.
    pub fn verify(&self, community: CommunityId) -> Result<(), SignatureError> {
        self.statement.signer().verify(S::DOMAIN, &self.statement.preimage(community), &self.signature)
    }
}

impl<S: Statement> Encode for Signed<S> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.statement.encode(out);
        self.signature.encode(out);
    }
}

impl<S: Statement> Decode for Signed<S> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { statement: S::decode(input)?, signature: Signature::decode(input)? })
    }
}

/// A prevote or precommit, for a batch or for nil.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vote {
    pub(super) kind: VoteType,
    pub(super) height: Height,
    pub(super) round: u32,
    pub(super) value: NilOrVal<BatchId>,
    pub(super) signer: Member,
}

impl Vote {
    /// Returns the precommit of `signer` for `value`: the statement that certificates are made of.
    pub fn precommit(height: Height, round: u32, value: BatchId, signer: PublicKey) -> Self {
        Self { kind: VoteType::Precommit, height, round, value: NilOrVal::Val(value), signer: Member(signer) }
    }

    /// Returns the height voted on.
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Returns the round voted in.
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// Returns the batch voted for; `None` is nil.
    pub const fn value(&self) -> Option<BatchId> {
        match self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(value) => Some(value),
        }
    }
}

impl Statement for Vote {
    const DOMAIN: Domain = domain::VOTE;

    fn signer(&self) -> PublicKey {
        self.signer.0
    }
}

impl Encode for Vote {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.kind {
            VoteType::Prevote => 0,
            VoteType::Precommit => 1,
        });
        self.height.encode(out);
        self.round.encode(out);
        self.value().encode(out);
        self.signer.0.encode(out);
    }
}

impl Decode for Vote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: match u8::decode(input)? {
                0 => VoteType::Prevote,
                1 => VoteType::Precommit,
                found => return Err(DecodeError::UnknownTag { of: "vote", found: found.into() }),
            },
            height: Height::decode(input)?,
            round: decode_round(input)?,
            value: Option::decode(input)?.map_or(NilOrVal::Nil, NilOrVal::Val),
            signer: Member(PublicKey::decode(input)?),
        })
    }
}

/// The signed part of a proposal: it names the batch by its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProposalHead {
    pub(super) height: Height,
    pub(super) round: u32,
    pub(super) value: BatchId,
    /// The earlier round with a quorum of prevotes for this batch, if it is proposed again for that reason.
    pub(super) valid_round: Option<u32>,
    pub(super) signer: Member,
}

impl ProposalHead {
    /// Returns the height proposed for.
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Returns the round proposed in.
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// Returns the batch proposed.
    pub const fn value(&self) -> BatchId {
        self.value
    }
}

impl Statement for ProposalHead {
    const DOMAIN: Domain = domain::PROPOSAL;

    fn signer(&self) -> PublicKey {
        self.signer.0
    }
}

impl Encode for ProposalHead {
    fn encode(&self, out: &mut Vec<u8>) {
        self.height.encode(out);
        self.round.encode(out);
        self.value.encode(out);
        self.valid_round.encode(out);
        self.signer.0.encode(out);
    }
}

impl Decode for ProposalHead {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, round) = (Height::decode(input)?, decode_round(input)?);
        let value = BatchId::decode(input)?;
        let valid_round: Option<u32> = Option::decode(input)?;
        // Of its own or a later round there cannot have been a quorum yet; the engine counts on this.
        if valid_round.is_some_and(|valid_round| valid_round >= round) {
            return Err(DecodeError::OutOfRange("valid round"));
        }
        Ok(Self { height, round, value, valid_round, signer: Member(PublicKey::decode(input)?) })
    }
}

/// A proposal with its batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    pub(super) head: ProposalHead,
    pub(super) value: Value,
}

/// A proposal with its batch and the signature over its head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SignedProposal {
    pub(super) head: Signed<ProposalHead>,
    pub(super) value: Value,
}

impl Encode for SignedProposal {
    fn encode(&self, out: &mut Vec<u8>) {
        self.head.encode(out);
        self.value.batch.encode(out);
    }
}

impl Decode for SignedProposal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let head = Signed::<ProposalHead>::decode(input)?;
        let value = Value::new(Arc::new(Batch::decode(input)?));
        if head.statement.value != value.id || head.statement.height != value.batch.height() {
            return Err(DecodeError::NonCanonical("proposal"));
        }
        Ok(Self { head, value })
    }
}

/// What a [`Bundle`] of votes shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BundleKind {
    /// A quorum prevoted one batch.
    Polka,
    /// A quorum precommitted something: the round may end.
    Precommits,
    /// At least one honest operator is in this round: it may be entered.
    Skip,
}
wire_enum!(BundleKind { 0 => Polka, 1 => Precommits, 2 => Skip });

/// Votes of distinct operators in one round that together let others move on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bundle {
    pub(super) kind: BundleKind,
    /// Not empty, of one height and round, in strictly ascending order of signers.
    votes: Vec<Signed<Vote>>,
}

impl Bundle {
    /// Makes a bundle in canonical order; `None` if there are no votes or they are not of one round.
    pub(super) fn new(kind: BundleKind, mut votes: Vec<Signed<Vote>>) -> Option<Self> {
        votes.sort_by_key(|vote| vote.statement.signer);
        votes.dedup_by_key(|vote| vote.statement.signer);
        let bundle = Self { kind, votes };
        bundle.is_canonical().then_some(bundle)
    }

    fn is_canonical(&self) -> bool {
        let Some(first) = self.votes.first() else { return false };
        let uniform = |vote: &Vote| match self.kind {
            BundleKind::Polka => {
                vote.kind == VoteType::Prevote && vote.value == first.statement.value && vote.value.is_val()
            }
            BundleKind::Precommits => vote.kind == VoteType::Precommit,
            BundleKind::Skip => true,
        };
        self.votes.iter().all(|vote| {
            let vote = &vote.statement;
            vote.height == self.height() && Some(vote.round) == self.round().as_u32() && uniform(vote)
        }) && self.votes.is_sorted_by(|a, b| a.statement.signer < b.statement.signer)
    }

    pub(super) fn height(&self) -> Height {
        self.votes.first().map_or(Height::GENESIS, |vote| vote.statement.height)
    }

    pub(super) fn round(&self) -> Round {
        self.votes.first().map_or(Round::Nil, |vote| Round::new(vote.statement.round))
    }

    pub(super) fn votes(&self) -> &[Signed<Vote>] {
        &self.votes
    }
}

impl Encode for Bundle {
    fn encode(&self, out: &mut Vec<u8>) {
        self.kind.encode(out);
        put_seq(out, &self.votes);
    }
}

impl Decode for Bundle {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bundle = Self { kind: Decode::decode(input)?, votes: input.seq(MAX_OPERATORS)? };
        if bundle.is_canonical() { Ok(bundle) } else { Err(DecodeError::NonCanonical("bundle of votes")) }
    }
}

/// One message between operators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Message {
    Vote(Signed<Vote>),
    Proposal(SignedProposal),
    Bundle(Bundle),
}
wire_enum!(Message { 0 => Vote(vote), 1 => Proposal(proposal), 2 => Bundle(bundle) });

impl Message {
    pub(super) fn height(&self) -> Height {
        match self {
            Self::Vote(vote) => vote.statement.height,
            Self::Proposal(proposal) => proposal.head.statement.height,
            Self::Bundle(bundle) => bundle.height(),
        }
    }
}

/// A decided batch with its certificate: what is stored, and what a laggard is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// The batch.
    pub batch: Batch,
    /// Why it is final.
    pub certificate: crate::log::certificate::Certificate,
}
wire_struct!(Decision { batch, certificate });

impl Decision {
    /// Returns how many bytes it is encoded in.
    pub fn size(&self) -> usize {
        const BATCH: usize = 8 + 32 + 4;
        const CERTIFICATE: usize = 8 + 4 + 32 + 4;
        let entries: usize = self.batch.entries().iter().map(|entry| 4 + entry.len()).sum();
        BATCH + entries + CERTIFICATE + self.certificate.signatures.len() * (PublicKey::LEN + 64)
    }
}
