//! Records of the write-ahead log: the inputs of the engine that it must see again after a restart.

use std::sync::Arc;

use arc_malachitebft_core_consensus::{Input as EngineInput, ProposedValue};
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, Timeout, TimeoutKind, Validity, ValueOrigin,
};
use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader},
    hash::Digest,
    sign::PublicKey,
    wire_enum, wire_struct,
};

use super::{
    context::{Chorus, Member, Value, defined},
    message::{Bundle, BundleKind, Signed, SignedProposal, Vote, decode_round},
    signer::Step,
};
use crate::log::batch::{Batch, Height};

/// This key signed, or is about to sign, the statement with this digest, and no other in this step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pledged {
    pub(super) height: Height,
    pub(super) round: u32,
    pub(super) step: Step,
    pub(super) digest: Digest,
}
wire_struct!(Pledged { height, round, step, digest });

/// A batch and this node's verdict on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Judged {
    pub(super) round: u32,
    pub(super) valid_round: Option<u32>,
    pub(super) proposer: PublicKey,
    pub(super) valid: bool,
    pub(super) batch: Arc<Batch>,
}

impl Encode for Judged {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        self.valid_round.encode(out);
        self.proposer.encode(out);
        self.valid.encode(out);
        self.batch.encode(out);
    }
}

impl Decode for Judged {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: decode_round(input)?,
            valid_round: Option::decode(input)?,
            proposer: Decode::decode(input)?,
            valid: Decode::decode(input)?,
            batch: Arc::new(Batch::decode(input)?),
        })
    }
}

/// A time-out that ran out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Elapsed {
    pub(super) height: Height,
    pub(super) round: u32,
    pub(super) step: Step,
}
wire_struct!(Elapsed { height, round, step });

/// One record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Record {
    Pledged(Pledged),
    Vote(Signed<Vote>),
    Proposal(SignedProposal),
    Judged(Judged),
    Polka(Bundle),
    Elapsed(Elapsed),
}
wire_enum!(Record {
    0 => Pledged(pledged),
    1 => Vote(vote),
    2 => Proposal(proposal),
    3 => Judged(judged),
    4 => Polka(bundle),
    5 => Elapsed(elapsed),
});

impl Record {
    pub(super) fn height(&self) -> Height {
        match self {
            Self::Pledged(pledged) => pledged.height,
            Self::Vote(vote) => vote.statement.height,
            Self::Proposal(proposal) => proposal.head.statement.height,
            Self::Judged(judged) => judged.batch.height(),
            Self::Polka(bundle) => bundle.height(),
            Self::Elapsed(elapsed) => elapsed.height,
        }
    }

    /// Returns the record of an input that the engine wants logged; `None` for inputs that it never logs.
    pub(super) fn of(height: Height, input: EngineInput<Chorus>) -> Option<Self> {
        match input {
            EngineInput::Vote(vote) => Some(Self::Vote(vote.into())),
            EngineInput::Proposal(proposal) => Some(Self::Proposal(proposal.into())),
            EngineInput::ProposedValue(value, _) => Some(Self::Judged(Judged {
                round: defined(value.round),
                valid_round: value.valid_round.as_u32(),
                proposer: value.proposer.0,
                valid: value.validity.is_valid(),
                batch: value.value.batch,
            })),
            EngineInput::PolkaCertificate(polka) => polka_bundle(&polka).map(Self::Polka),
            EngineInput::TimeoutElapsed(Timeout { kind, round }) => {
                let step = match kind {
                    TimeoutKind::Propose => Step::Propose,
                    TimeoutKind::Prevote => Step::Prevote,
                    TimeoutKind::Precommit => Step::Precommit,
                    TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return None,
                };
                Some(Self::Elapsed(Elapsed { height, round: defined(round), step }))
            }
            EngineInput::StartHeight(..)
            | EngineInput::RoundCertificate(_)
            | EngineInput::Propose(_)
            | EngineInput::SyncValueResponse(_) => None,
        }
    }

    /// Returns the input to feed again; `None` for records that are not for the engine.
    pub(super) fn into_input(self) -> Option<EngineInput<Chorus>> {
        match self {
            Self::Pledged(_) => None,
            Self::Vote(vote) => Some(EngineInput::Vote(vote.into())),
            Self::Proposal(proposal) => Some(EngineInput::Proposal(proposal.into())),
            Self::Judged(judged) => Some(EngineInput::ProposedValue(judged.into_value(), ValueOrigin::Consensus)),
            Self::Polka(bundle) => polka_certificate(&bundle).map(EngineInput::PolkaCertificate),
            Self::Elapsed(Elapsed { round, step, .. }) => {
                let kind = match step {
                    Step::Propose => TimeoutKind::Propose,
                    Step::Prevote => TimeoutKind::Prevote,
                    Step::Precommit => TimeoutKind::Precommit,
                };
                Some(EngineInput::TimeoutElapsed(Timeout { kind, round: Round::new(round) }))
            }
        }
    }
}

impl Judged {
    fn into_value(self) -> ProposedValue<Chorus> {
        ProposedValue {
            height: self.batch.height(),
            round: Round::new(self.round),
            valid_round: self.valid_round.into(),
            proposer: Member(self.proposer),
            value: Value::new(self.batch),
            validity: Validity::from_bool(self.valid),
        }
    }
}

/// Returns the prevotes of the engine's certificate.
pub(super) fn polka_bundle(polka: &PolkaCertificate<Chorus>) -> Option<Bundle> {
    Bundle::new(BundleKind::Polka, polka.votes(&Chorus).map(Signed::from).collect())
}

/// Returns the engine's certificate of a bundle of prevotes.
pub(super) fn polka_certificate(bundle: &Bundle) -> Option<PolkaCertificate<Chorus>> {
    let NilOrVal::Val(value_id) = bundle.votes().first()?.statement.value else { return None };
    let polka_signatures =
        bundle.votes().iter().map(|vote| PolkaSignature::new(vote.statement.signer, vote.signature)).collect();
    Some(PolkaCertificate { height: bundle.height(), round: bundle.round(), value_id, polka_signatures })
}
