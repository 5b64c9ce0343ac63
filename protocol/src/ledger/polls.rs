//! Polls: who opens them, what is proposed, and the items that a round asks about.

use std::{collections::BTreeSet, sync::Arc};

use chorus_crypto::{credential::Tag, hash::Digest, sign::PublicKey};

use super::{Collects, Ledger};
use crate::{
    fault::{Fault, bound},
    id::{BlobId, PollId, RoundId},
    limits,
    log::entry::{AnonymousProposal, BallotPlan, PollOpening, Proposal},
    registry::Snapshot,
};

/// Who proposed an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proposer {
    /// An operator or a member, by key.
    Key(PublicKey),
    /// Some member, known by a tag that is of this poll only.
    Anonymous(Tag),
}

/// A poll and the items proposed for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Poll {
    /// What it asks.
    pub opening: PollOpening,
    /// The operator who opened it.
    pub opened_by: PublicKey,
    /// The items in the order of their proposal: id, text, proposer.
    pub items: Vec<(BlobId, String, Proposer)>,
    /// Its rounds, in order.
    pub rounds: Vec<RoundId>,
    /// The members when it was opened: they can propose anonymously.
    pub snapshot: Arc<Snapshot>,
    /// The digest of the policy then: an amendment gives nobody a second set of anonymous proposals.
    pub policy: Digest,
}

impl Ledger {
    pub(super) fn open_poll(&mut self, operator: PublicKey, opening: &PollOpening) -> Result<(), Fault> {
        if opening.question.trim().is_empty() {
            return Err(Fault::Mismatch("a poll's question"));
        }
        let own = self.polls.values().filter(|poll| poll.opened_by == operator).count();
        bound("polls", limits::MAX_POLLS, self.polls.len() + 1)?;
        bound("polls of one operator", self.share_of(limits::MAX_POLLS), own + 1)?;
        let id = opening.id(self.community);
        if self.polls.contains_key(&id) {
            return Err(Fault::Duplicate("this poll"));
        }
        let (after, snapshot) = self.snapshot_after(id.as_ref(), &[]);
        self.registry = Arc::new(after);
        let (opening, snapshot) = (opening.clone(), self.shared(snapshot));
        let policy = self.governance.policy_digest();
        let poll = Poll { opening, opened_by: operator, items: Vec::new(), rounds: Vec::new(), snapshot, policy };
        Arc::make_mut(&mut self.polls).insert(id, Arc::new(poll));
        Ok(())
    }

    pub(super) fn propose(&mut self, author: PublicKey, proposal: &Proposal) -> Result<(), Fault> {
        let privileged = self.charter().operator(&author).is_some();
        if !privileged && !self.is_member(&author) {
            return Err(Fault::NotAllowed("an item"));
        }
        let poll = self.polls.get(&proposal.poll).ok_or(Fault::Unknown("poll"))?;
        let proposer = Proposer::Key(author);
        let own = poll.items.iter().filter(|(_, _, by)| *by == proposer).count();
        if !privileged {
            let most = self.facilitation(proposal.poll).rules().items_per_member;
            bound("items of one member", most.into(), own + 1)?;
        }
        self.admits_item(proposal.poll, &proposal.text, privileged)?;
        self.poll_mut(proposal.poll)?.add(&proposal.text, proposer)
    }

    /// Returns a poll that is about to change.
    pub(super) fn poll_mut(&mut self, id: PollId) -> Result<&mut Poll, Fault> {
        let poll = Arc::make_mut(&mut self.polls).get_mut(&id).ok_or(Fault::Unknown("poll"))?;
        Ok(Arc::make_mut(poll))
    }

    /// Returns how many items a member may propose anonymously for a poll.
    pub fn anonymous_items(&self, poll: PollId) -> u8 {
        self.charter().policy.anonymous_proposals.min(self.facilitation(poll).rules().items_per_member)
    }

    pub(super) fn propose_anonymously(&mut self, author: PublicKey, proposal: &AnonymousProposal) -> Result<(), Fault> {
        let most = self.anonymous_items(proposal.poll);
        bound("anonymous items of one member", most.into(), usize::from(proposal.number) + 1)?;
        self.admits_item(proposal.poll, &proposal.text, false)?;
        let poll = self.polls.get(&proposal.poll).ok_or(Fault::Unknown("poll"))?;
        let proposer = Proposer::Anonymous(proposal.tag);
        if poll.items.iter().any(|(_, _, by)| *by == proposer) {
            return Err(Fault::Duplicate("an anonymous item with this number"));
        }
        poll.check(&proposal.text)?;
        proposal.verify(self, poll, author)?;
        self.poll_mut(proposal.poll)?.add(&proposal.text, proposer)
    }

    pub(super) fn plan_ballots(&mut self, id: RoundId, plan: &BallotPlan) -> Result<Collects, Fault> {
        let poll = self.polls.get(&plan.poll).ok_or(Fault::Unknown("poll"))?;
        if usize::try_from(plan.number) != Ok(poll.rounds.len() + 1) {
            return Err(Fault::Mismatch("the round's number"));
        }
        let known: BTreeSet<_> = poll.items.iter().map(|(id, _, _)| *id).collect();
        let chosen: BTreeSet<_> = plan.items.iter().copied().collect();
        if plan.items.is_empty() || chosen.len() != plan.items.len() || !chosen.is_subset(&known) {
            return Err(Fault::Mismatch("the round's items"));
        }
        let kind = poll.opening.kind;
        self.check_asked_items(plan.poll, &plan.items)?;
        self.pin_meta(id, plan.poll, &plan.items);
        self.poll_mut(plan.poll)?.rounds.push(id);
        Ok(Collects::Ballots(kind))
    }
}

impl Poll {
    fn check(&self, text: &str) -> Result<BlobId, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::Mismatch("an item's text"));
        }
        let id = BlobId::of(text.as_bytes());
        if self.items.iter().any(|(known, _, _)| *known == id) { Err(Fault::Duplicate("this item")) } else { Ok(id) }
    }

    fn add(&mut self, text: &str, proposer: Proposer) -> Result<(), Fault> {
        let id = self.check(text)?;
        self.items.push((id, text.to_owned(), proposer));
        Ok(())
    }
}
