//! Performs what the engine asks for: signs, verifies, keeps timers, and queues outputs in the order of their duties.

use std::collections::VecDeque;

use arc_malachitebft_core_consensus::{
    ConsensusMsg, Effect, LivenessMsg, MisbehaviorEvidence, Resumable, Resume, SignedConsensusMsg,
};
use arc_malachitebft_core_types::{
    CertificateError as EngineCertificateError, CommitCertificate, Round, RoundCertificate, RoundCertificateType,
    SignedMessage, Timeout, Timeouts as _,
};
use chorus_crypto::{
    codec::Encode,
    sign::{PublicKey, Signature},
};

use super::{
    Halt, Output, Timeouts,
    context::Chorus,
    evidence::{At, Evidence},
    message::{Bundle, BundleKind, Message, Proposal, Signed, SignedProposal, Statement, Vote},
    record::{Record, polka_bundle},
    signer::Signer,
};
use crate::{
    id::CommunityId,
    log::{
        batch::Height,
        certificate::{Certificate, Committee},
    },
    time::Timestamp,
};

/// Everything around the engine that its effects touch.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) community: CommunityId,
    pub(super) signer: Signer,
    pub(super) timeouts: Timeouts,
    pub(super) now: Timestamp,
    pub(super) height: Height,
    /// Whether this key signs at this height: it is an operator and does not abstain. Others log nothing.
    pub(super) active: bool,
    /// Whether inputs come from the write-ahead log, and so must not go there again.
    pub(super) replaying: bool,
    /// Whether records are appended that may not be durable.
    pub(super) unsynced: bool,
    /// The highest height at which the host knows durably that this key signs.
    pub(super) pledged: Height,
    /// The round for which the engine waits for a batch to propose.
    pub(super) wanted: Option<u32>,
    pub(super) timers: Vec<(Timestamp, Timeout)>,
    pub(super) decided: Option<CommitCertificate<Chorus>>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) halt: Option<Halt>,
    pub(super) outputs: VecDeque<Output>,
}

impl Shell {
    /// Performs one effect. Always resumes with what the effect asks for: whatever goes wrong is left in `halt`.
    pub(super) fn perform(&mut self, effect: Effect<Chorus>) -> Resume<Chorus> {
        match effect {
            Effect::CancelAllTimeouts(resume) => {
                self.timers.clear();
                resume.resume_with(())
            }
            Effect::CancelTimeout(timeout, resume) => {
                self.timers.retain(|(_, pending)| *pending != timeout);
                resume.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, resume) => {
                self.schedule(timeout);
                resume.resume_with(())
            }
            Effect::StartRound(_, _, _, _, resume) => {
                self.wanted = None;
                resume.resume_with(())
            }
            Effect::GetValue(_, round, _, resume) => {
                self.wanted = round.as_u32();
                if !self.replaying {
                    self.request();
                }
                resume.resume_with(())
            }
            // A signed proposal carries the whole batch, so there are no parts to send again.
            Effect::RestreamProposal(.., resume) => resume.resume_with(()),
            Effect::PublishConsensusMsg(message, resume) => {
                self.send(&match message {
                    SignedConsensusMsg::Vote(vote) => Message::Vote(vote.into()),
                    SignedConsensusMsg::Proposal(proposal) => Message::Proposal(proposal.into()),
                });
                resume.resume_with(())
            }
            Effect::PublishLivenessMsg(message, resume) => {
                match message {
                    LivenessMsg::Vote(vote) => self.send(&Message::Vote(vote.into())),
                    LivenessMsg::PolkaCertificate(polka) => self.send_bundle(polka_bundle(&polka)),
                    LivenessMsg::SkipRoundCertificate(round) => self.send_bundle(round_bundle(&round)),
                }
                resume.resume_with(())
            }
            Effect::RepublishVote(vote, resume) => {
                self.send(&Message::Vote(vote.into()));
                resume.resume_with(())
            }
            Effect::RepublishRoundCertificate(round, resume) => {
                self.send_bundle(round_bundle(&round));
                resume.resume_with(())
            }
            Effect::WalAppend(height, input, resume) => {
                if !self.replaying
                    && let Some(record) = Record::of(height, input)
                {
                    self.append(&record);
                }
                resume.resume_with(())
            }
            Effect::Decide(certificate, _, resume) => {
                self.sync();
                self.decided = Some(certificate);
                resume.resume_with(())
            }
            Effect::Finalize(_, _, evidence, resume) => {
                self.collect(&evidence);
                resume.resume_with(())
            }
            other => self.sign_or_verify(other),
        }
    }

    fn sign_or_verify(&mut self, effect: Effect<Chorus>) -> Resume<Chorus> {
        let refused = || EngineCertificateError::VerificationError(None);
        match effect {
            Effect::SignVote(vote, resume) => {
                let signed = self.sign(vote);
                resume.resume_with(signed.into())
            }
            Effect::SignProposal(Proposal { head, value }, resume) => {
                let head = self.sign(head);
                resume.resume_with(SignedProposal { head, value }.into())
            }
            Effect::VerifySignature(message, key, resume) => resume.resume_with(self.verify(message, key)),
            Effect::VerifyCommitCertificate(certificate, committee, _, resume) => {
                let certificate = normalised(&committee, &certificate);
                let verdict = certificate.verify_signatures(&committee, self.community);
                resume.resume_with(verdict.map_err(|_| refused()))
            }
            Effect::VerifyPolkaCertificate(polka, committee, _, resume) => {
                let good = polka_bundle(&polka).is_some_and(|bundle| self.holds(&bundle, &committee));
                resume.resume_with(if good { Ok(()) } else { Err(refused()) })
            }
            Effect::VerifyRoundCertificate(round, committee, _, resume) => {
                let good = round_bundle(&round).is_some_and(|bundle| self.holds(&bundle, &committee));
                resume.resume_with(if good { Ok(()) } else { Err(refused()) })
            }
            // Decisions learnt from others are verified here and never enter the engine; extensions are disabled.
            Effect::VerifyExtendedCommitCertificate(.., resume) => resume.resume_with(Err(refused())),
            Effect::CertVerifiedSyncValue(.., resume) => resume.resume_with(()),
            Effect::CertRejectedSyncValue(.., resume) => resume.resume_with(()),
            Effect::ExtendVote(.., resume) => resume.resume_with(None),
            Effect::VerifyVoteExtension(.., resume) => resume.resume_with(Ok(())),
            Effect::CancelAllTimeouts(_)
            | Effect::CancelTimeout(..)
            | Effect::ScheduleTimeout(..)
            | Effect::StartRound(..)
            | Effect::GetValue(..)
            | Effect::RestreamProposal(..)
            | Effect::PublishConsensusMsg(..)
            | Effect::PublishLivenessMsg(..)
            | Effect::RepublishVote(..)
            | Effect::RepublishRoundCertificate(..)
            | Effect::WalAppend(..)
            | Effect::Decide(..)
            | Effect::Finalize(..) => Resume::Continue,
        }
    }

    /// Tells whether the votes of a bundle are many enough and good.
    pub(super) fn holds(&self, bundle: &Bundle, committee: &Committee) -> bool {
        let needed = match bundle.kind {
            BundleKind::Polka | BundleKind::Precommits => committee.quorum(),
            BundleKind::Skip => committee.len() / 3 + 1,
        };
        bundle.votes().len() >= needed
            && bundle
                .votes()
                .iter()
                .all(|vote| committee.contains(&vote.statement.signer()) && vote.verify(self.community).is_ok())
    }

    /// Asks the host for a batch.
    pub(super) fn request(&mut self) {
        if let Some(round) = self.wanted {
            self.outputs.push_back(Output::ProposalWanted { height: self.height, round });
        }
    }

    /// Makes everything appended durable, and then the pledge, in this order: a durable pledge without a record of a
    /// signature at its height shows that the write-ahead log was lost.
    pub(super) fn sync(&mut self) {
        if self.unsynced {
            self.unsynced = false;
            self.outputs.push_back(Output::WalSync);
        }
        if self.pledged < self.height && self.signer.has_signed_at(self.height) {
            self.pledged = self.height;
            self.outputs.push_back(Output::Pledge(self.height));
        }
    }

    /// Moves the evidence of the engine over.
    pub(super) fn collect(&mut self, evidence: &MisbehaviorEvidence<Chorus>) {
        let signed = |vote: &SignedMessage<Chorus, Vote>| Signed::<Vote>::from(vote.clone());
        for (first, second) in evidence.votes.iter().flat_map(|(_, pairs)| pairs) {
            self.evidence.push(Evidence::votes(signed(first), signed(second)));
        }
        let head = |proposal: &SignedMessage<Chorus, Proposal>| SignedProposal::from(proposal.clone()).head;
        for (first, second) in evidence.proposals.iter().flat_map(|(_, pairs)| pairs) {
            self.evidence.push(Evidence::proposals(head(first), head(second)));
        }
    }

    fn schedule(&mut self, timeout: Timeout) {
        self.timers.retain(|(_, pending)| *pending != timeout);
        let millis = u64::try_from(self.timeouts.duration_for(timeout).as_millis()).unwrap_or(u64::MAX);
        self.timers.push((self.now.plus_millis(millis), timeout));
    }

    fn append(&mut self, record: &Record) {
        if self.active {
            self.unsynced = true;
            self.outputs.push_back(Output::WalAppend(record.to_bytes()));
        }
    }

    /// Makes everything durable, then sends.
    pub(super) fn send(&mut self, message: &Message) {
        self.sync();
        self.outputs.push_back(Output::Send(message.to_bytes()));
    }

    fn send_bundle(&mut self, bundle: Option<Bundle>) {
        if let Some(bundle) = bundle {
            self.send(&Message::Bundle(bundle));
        }
    }

    /// Signs, or halts with a signature that nobody accepts.
    fn sign<S: Statement + At>(&mut self, statement: S) -> Signed<S> {
        match self.signer.sign(statement.clone()) {
            Ok((signed, pledged)) => {
                self.append(&Record::Pledged(pledged));
                signed
            }
            Err(halt) => {
                self.halt.get_or_insert(halt);
                Signed { statement, signature: Signature::from([0; 64]) }
            }
        }
    }

    fn verify(&self, message: SignedMessage<Chorus, ConsensusMsg<Chorus>>, key: PublicKey) -> bool {
        let SignedMessage { message, signature } = message;
        match message {
            ConsensusMsg::Vote(statement) => {
                statement.signer() == key && Signed { statement, signature }.verify(self.community).is_ok()
            }
            ConsensusMsg::Proposal(Proposal { head, .. }) => {
                head.signer() == key && Signed { statement: head, signature }.verify(self.community).is_ok()
            }
        }
    }
}

/// Returns our certificate of the engine's.
pub(super) fn normalised(committee: &Committee, certificate: &CommitCertificate<Chorus>) -> Certificate {
    let signatures = certificate.commit_signatures.iter().map(|commit| (commit.address.0, commit.signature)).collect();
    let round = certificate.round.as_u32().unwrap_or_default();
    Certificate::normalised(committee, (certificate.height, round, certificate.value_id), signatures)
}

/// Returns the votes of the engine's certificate.
fn round_bundle(certificate: &RoundCertificate<Chorus>) -> Option<Bundle> {
    let kind = match certificate.cert_type {
        RoundCertificateType::Skip => BundleKind::Skip,
        RoundCertificateType::Precommit => BundleKind::Precommits,
    };
    Bundle::new(kind, certificate.votes(&Chorus).map(Signed::from).collect())
}

/// Returns the engine's certificate of a bundle that justifies a round.
pub(super) fn round_certificate(bundle: &Bundle) -> RoundCertificate<Chorus> {
    let kind = match bundle.kind {
        BundleKind::Skip => RoundCertificateType::Skip,
        BundleKind::Polka | BundleKind::Precommits => RoundCertificateType::Precommit,
    };
    let round: Round = bundle.round();
    let votes = bundle.votes().iter().cloned().map(SignedMessage::from).collect();
    RoundCertificate::new_from_votes(bundle.height(), round, kind, votes)
}
