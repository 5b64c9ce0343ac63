//! The log of a bundle, applied entry by entry; and what it says the bundle has to hold.

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{
    codec::{Decode as _, DecodeError},
    credential::Tag,
    sign::PublicKey,
};

use super::{Place, VerifyError};
use crate::{
    config::Genesis,
    facilitation::AnyProposal,
    fault::Fault,
    id::{BatchId, BlobId, RoundId},
    ledger::{Ledger, RoundState},
    log::{
        batch::Height,
        certificate::{CertificateError, Committee},
        consensus::{Decision, Evidence},
        entry::{Entry, SignedEntry},
    },
    peer::start_of_log,
};

/// The state after a prefix of the log.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) ledger: Ledger,
    pub(super) height: Height,
    /// The id of the last batch: it pins everything that the log says.
    pub(super) tip: BatchId,
    pub(super) entries: u64,
    /// Operators that evidence on the log convicts.
    pub(super) convicted: BTreeSet<PublicKey>,
    /// Blobs that could be needed, in the order in which they were first named.
    named: Vec<BlobId>,
    known: BTreeSet<BlobId>,
}

impl Replay {
    pub(super) fn new(genesis: Genesis) -> Result<Self, VerifyError> {
        genesis.validate()?;
        Ok(Self::after(Ledger::new(genesis)))
    }

    /// Begins with the state that a log begins with.
    pub(super) fn after(ledger: Ledger) -> Self {
        Self {
            height: Height::GENESIS,
            tip: start_of_log(ledger.community()),
            ledger,
            entries: 0,
            convicted: BTreeSet::new(),
            named: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    /// Checks that a decision is final and follows from the log, and applies it.
    pub(super) fn push(&mut self, decision: &Decision) -> Result<(), VerifyError> {
        self.apply(self.prepare(decision))
    }

    /// Checks of a decision what takes time and needs no state: signatures and encodings. Decisions that follow on one
    /// another may be prepared at once, before the first of them is applied.
    pub(super) fn prepare<'d>(&self, decision: &'d Decision) -> Prepared<'d> {
        let (community, committee) = (self.ledger.community(), self.ledger.charter().committee());
        let certificate = decision.certificate.verify(&committee, community, &decision.batch);
        let entry = |bytes: &Vec<u8>| {
            let entry = SignedEntry::from_bytes(bytes)?;
            let signature = entry.verify(community);
            Ok((entry, signature))
        };
        Prepared { decision, committee, certificate, entries: decision.batch.entries().iter().map(entry).collect() }
    }

    /// Checks the rest, and applies the decision.
    pub(super) fn apply(&mut self, prepared: Prepared<'_>) -> Result<(), VerifyError> {
        let Prepared { decision, committee, mut certificate, entries } = prepared;
        let batch = &decision.batch;
        let (expected, height) = (self.height.next(), batch.height());
        if height != expected {
            return Err(VerifyError::Height { expected, found: height });
        }
        if batch.previous() != self.tip {
            return Err(VerifyError::Chain(height));
        }
        // The committee may have changed since the decision was prepared.
        let in_office = self.ledger.charter().committee();
        if committee != in_office {
            certificate = decision.certificate.verify(&in_office, self.ledger.community(), batch);
        }
        certificate.map_err(|error| VerifyError::Certificate { height, error })?;
        if batch.entries().is_empty() {
            return Err(VerifyError::EmptyBatch(height));
        }
        for (index, entry) in entries.into_iter().enumerate() {
            let (entry, signature) = entry.map_err(|error| VerifyError::EntryEncoding { height, index, error })?;
            let applied = signature.and_then(|()| self.ledger.apply_verified(&entry));
            applied.map_err(|fault| refused(&entry.entry, height, index, fault))?;
            self.note(&entry.entry);
            self.entries += 1;
        }
        self.ledger.complete(height);
        self.height = height;
        self.tip = batch.id();
        Ok(())
    }

    /// Notes what an entry that was applied names.
    fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Contribution(accepted) => self.name(accepted.header.body),
            Entry::Opened(opened) => self.name(opened.values),
            Entry::Weigh(said) => self.name(said.weighed.adapter),
            Entry::Result(result) => {
                self.name(result.result);
                result.follows.into_iter().for_each(|follows| self.name(follows));
            }
            Entry::Evidence(evidence) => {
                if let Ok(evidence) = Evidence::from_bytes(&evidence.bytes) {
                    self.convicted.insert(evidence.accused().0);
                }
            }
            Entry::Register(_)
            | Entry::Poll(_)
            | Entry::Propose(_)
            | Entry::Plan(_)
            | Entry::RoundKey(_)
            | Entry::Open(_)
            | Entry::Clock(_)
            | Entry::Close(_)
            | Entry::Opening(_)
            | Entry::ShareHash(_)
            | Entry::Share(_)
            | Entry::EndPass(_)
            | Entry::Partition(_)
            | Entry::Erased(_)
            | Entry::Attest(_)
            | Entry::Revoke(_)
            | Entry::Vouch(_)
            | Entry::Rotate(_)
            | Entry::Veto(_)
            | Entry::RemoveAttester(_)
            | Entry::Expel(_)
            | Entry::Census(_)
            | Entry::ProposeAnonymously(_)
            | Entry::Series(_)
            | Entry::Assess(_)
            | Entry::Beacon(_)
            | Entry::Canonical(_)
            | Entry::MergeCards(_)
            | Entry::PollRules(_)
            | Entry::Moderate(_)
            | Entry::ProposeWith(_)
            | Entry::Convene(_)
            | Entry::Draw(_)
            | Entry::Deal(_)
            | Entry::CohortResult(_)
            | Entry::Checkpoint(_)
            | Entry::Amend(_) => {}
        }
    }

    fn name(&mut self, blob: BlobId) {
        if self.known.insert(blob) {
            self.named.push(blob);
        }
    }

    /// Returns what the bundle has to hold after this log.
    ///
    /// # Errors
    ///
    /// Returns [`VerifyError::Unfinished`] if a round is sealed and has no result, and [`VerifyError::Header`] if the log gives
    /// one body to two contributions: it says itself whose it is.
    pub(super) fn needed(&self) -> Result<Needed, VerifyError> {
        let mut uses: BTreeMap<BlobId, Vec<Use>> = BTreeMap::new();
        for (id, round) in self.ledger.rounds() {
            if round.agreed_result().is_none() {
                if round.state() == RoundState::Sealed {
                    return Err(VerifyError::Unfinished(*id));
                }
                continue;
            }
            for (index, counting) in round.counting().enumerate() {
                let (tag, body) = (counting.header.tag, counting.header.body);
                let uses = uses.entry(body).or_default();
                if uses.iter().any(|purpose| matches!(purpose, Use::Body(..))) {
                    return Err(VerifyError::Header(Box::new(Place { round: *id, index, tag })));
                }
                uses.push(Use::Body(*id, tag));
            }
            // An adapter round goes on from what an earlier one led to.
            for blob in round.stated().chain(round.plan.deltas().and_then(|plan| plan.start)) {
                uses.entry(blob).or_default().push(Use::Kept(*id));
            }
        }
        let order: Vec<BlobId> = self.named.iter().filter(|blob| uses.contains_key(blob)).copied().collect();
        Ok(Needed { order, uses })
    }
}

/// An entry, and what is to be said of its signature.
type Read = (SignedEntry, Result<(), Fault>);

/// A decision of which all was checked that needs no state but the committee.
#[derive(Debug)]
pub(super) struct Prepared<'d> {
    decision: &'d Decision,
    /// The committee of which a quorum should have certified it.
    committee: Committee,
    certificate: Result<(), CertificateError>,
    entries: Vec<Result<Read, DecodeError>>,
}

/// A check of a log, decision by decision: each follows from the one before, a quorum of the committee in office has
/// certified it, and its entries keep the rules.
///
/// It computes no result. That is for a node, which does so itself.
#[derive(Debug)]
pub struct LogCheck(Replay);

impl LogCheck {
    /// Begins with the founding document.
    ///
    /// # Errors
    ///
    /// Returns [`VerifyError::Genesis`] if that breaks a rule.
    pub fn new(genesis: Genesis) -> Result<Self, VerifyError> {
        Ok(Self(Replay::new(genesis)?))
    }

    /// Checks the next decision.
    ///
    /// # Errors
    ///
    /// Returns a [`VerifyError`] that names the height; the log up to the height before stands.
    pub fn push(&mut self, decision: &Decision) -> Result<(), VerifyError> {
        self.0.push(decision)
    }

    /// Returns the height that was reached.
    pub const fn height(&self) -> Height {
        self.0.height
    }

    /// Returns what the log leads to.
    pub const fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Whether the log names a blob that a bundle may hold.
    pub fn names(&self, blob: &BlobId) -> bool {
        self.0.known.contains(blob)
    }
}

/// What a blob is needed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// It is the body of a counting contribution.
    Body(RoundId, Tag),
    /// It is opened values, a result, what follows from one, or what the round starts from.
    Kept(RoundId),
}

impl Use {
    pub(super) const fn round(&self) -> &RoundId {
        match self {
            Self::Body(round, _) | Self::Kept(round) => round,
        }
    }
}

/// The blobs that the checks need.
#[derive(Debug)]
pub(super) struct Needed {
    /// Their order in the bundle.
    pub(super) order: Vec<BlobId>,
    /// What each is needed for.
    pub(super) uses: BTreeMap<BlobId, Vec<Use>>,
}

fn refused(entry: &Entry, height: Height, index: usize, fault: Fault) -> VerifyError {
    match entry {
        Entry::Register(_)
        | Entry::Attest(_)
        | Entry::Revoke(_)
        | Entry::Vouch(_)
        | Entry::Rotate(_)
        | Entry::Veto(_)
        | Entry::RemoveAttester(_)
        | Entry::Expel(_)
        | Entry::Census(_)
        | Entry::ProposeAnonymously(_) => VerifyError::Registration { height, index, fault },
        Entry::ProposeWith(it) if matches!(it.proposal, AnyProposal::Anonymous(_)) => {
            VerifyError::Registration { height, index, fault }
        }
        Entry::Poll(_)
        | Entry::Propose(_)
        | Entry::Plan(_)
        | Entry::RoundKey(_)
        | Entry::Open(_)
        | Entry::Contribution(_)
        | Entry::Clock(_)
        | Entry::Close(_)
        | Entry::Opening(_)
        | Entry::Opened(_)
        | Entry::ShareHash(_)
        | Entry::Share(_)
        | Entry::EndPass(_)
        | Entry::Partition(_)
        | Entry::Result(_)
        | Entry::Erased(_)
        | Entry::Evidence(_)
        | Entry::Series(_)
        | Entry::Weigh(_)
        | Entry::Assess(_)
        | Entry::Beacon(_)
        | Entry::Canonical(_)
        | Entry::MergeCards(_)
        | Entry::PollRules(_)
        | Entry::Moderate(_)
        | Entry::ProposeWith(_)
        | Entry::Convene(_)
        | Entry::Draw(_)
        | Entry::Deal(_)
        | Entry::CohortResult(_)
        | Entry::Checkpoint(_)
        | Entry::Amend(_) => VerifyError::Entry { height, index, fault },
    }
}
