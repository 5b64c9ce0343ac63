//! Proposing items: with one's key, or as some member.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    contribution::{ContributeError, Level},
    facilitation::{AnnotatedProposal, AnyProposal},
    id::{BlobId, PollId},
    ledger::{Ledger, Poll, Proposer},
    log::entry::{AnonymousProposal, Entry, PollKind, SignedEntry},
};

use super::{
    ApiError, Kind, Service, find_poll,
    polls::{new_items, open_proposal},
    routing::similar_to,
    try_entries,
    values::item_texts,
    view, wait,
};
use crate::api::Code;
use crate::participation::{Action, check};

impl Service {
    /// Proposes items: at the anonymous level nobody learns by whom, at the open level with the person's key.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the person at this node is no member, or has proposed too much.
    pub async fn propose(&self, reference: &str, asked: view::Propose) -> Result<view::Proposed, ApiError> {
        if asked.items.is_empty() && asked.annotated.is_empty() {
            return Err(ApiError::coded(Code::Empty, "there is no text"));
        }
        let settings = self.settings()?;
        let level = if asked.open { Level::Open } else { settings.level };
        check(&settings, Action::Proposal(level))?;
        let mut ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let opening = ledger.polls().get(&poll).map(|poll| &poll.opening);
        let (kind, context) = opening.map_or((PollKind::Statement, ""), |it| (it.kind, it.context.as_str()));
        let items = new_items(&item_texts(&ledger, kind, context, &asked.items)?, &asked.annotated)?;
        let ids: Vec<BlobId> = items.iter().map(|item| BlobId::of(item.text.as_bytes())).collect();
        let similar = similar_to(&ledger, poll, &items);
        if let Some(same) = similar.iter().find(|similar| similar.same).filter(|_| !asked.anyway) {
            return Err(ApiError::coded(
                Code::StandsAlready,
                format!(
                    "that stands there already, but for case, accents, punctuation or spaces: {:?} (propose it anyway with \
                 `--anyway`)",
                    same.text
                ),
            ));
        }
        let is_operator = ledger.charter().operator(&self.person()?.key.public()).is_some();
        if asked.as_operator && !is_operator {
            return Err(ApiError::coded(Code::NoOperator, "you are no operator of this community"));
        }
        let (proposed, open) = (items.len(), level == Level::Open || asked.as_operator);
        if open && !is_operator && !ledger.is_member(&self.person()?.key.public()) {
            return Err(ApiError::coded(
                Code::NoMember,
                "only members propose, and you are none yet: see `chorus attest request`",
            ));
        }
        if open {
            let proposals = items.iter().map(|item| open_proposal(poll, item)).collect();
            self.say(&mut ledger, proposals).await?;
        } else {
            self.propose_anonymously(ledger, poll, items).await?;
        }
        let there = move |poll: &Arc<Poll>| ids.iter().all(|id| poll.items.iter().any(|(known, _, _)| known == id));
        self.until(move |peer| peer.ledger().polls().get(&poll).is_some_and(&there), wait(asked.wait_seconds)).await?;
        let anonymous_left = if open { None } else { Some(self.anonymous_left(poll).await?) };
        Ok(view::Proposed { poll: self.poll(&poll.to_string()).await?, proposed, open, anonymous_left, similar })
    }

    /// How many items the person may still propose anonymously.
    async fn anonymous_left(&self, poll: PollId) -> Result<usize, ApiError> {
        let (person, ledger) = (self.person()?, self.ledger().await?);
        let record = ledger.polls().get(&poll).ok_or(ContributeError::NotOpen)?;
        let leaf = person.vault.for_snapshot(&ledger, &person.key.public(), &record.snapshot)?;
        Ok(self.free_numbers(&ledger, poll, &leaf)?.len())
    }

    async fn propose_anonymously(
        &self,
        mut ledger: Ledger,
        poll: PollId,
        items: Vec<view::NewItem>,
    ) -> Result<(), ApiError> {
        let person = self.person()?;
        let record = ledger.polls().get(&poll).ok_or_else(|| ApiError::coded(Code::NoPoll, "there is no such poll"))?;
        let leaf = person.vault.for_snapshot(&ledger, &person.key.public(), &record.snapshot).map_err(|why| {
            let ApiError { code, message, .. } = super::people::no_leaf(&ledger, &person.key.public(), why);
            let rule = "anonymously, only those propose who were members when the poll was opened";
            ApiError::coded(code, format!("{message} ({rule})"))
        })?;
        let free = self.free_numbers(&ledger, poll, &leaf)?;
        if free.len() < items.len() {
            let most = ledger.anonymous_items(poll);
            return Err(ApiError::coded(
                Code::ProposalsUsed,
                format!("you have {} of {most} anonymous proposals for this poll left", free.len()),
            )
            .with("left", free.len())
            .with("most", most));
        }
        let numbered: Vec<(view::NewItem, u8)> = items.into_iter().zip(free).collect();
        let said: String = numbered.iter().map(|(item, _)| item.text.as_str()).collect();
        let detail = [&poll.as_ref()[..], said.as_bytes()].concat();
        let mut rng = self.randomness.generator("anonymous proposal", &detail);
        let taken: BTreeSet<(PollId, u8)> = numbered.iter().map(|(_, number)| (poll, *number)).collect();
        let make = move || -> Result<Vec<SignedEntry>, ApiError> {
            let mut entries = Vec::with_capacity(numbered.len());
            for (item, number) in numbered {
                // A key for this one entry: nobody has seen it, and it is forgotten.
                let author = SecretKey::random(&mut rng);
                let proposal =
                    AnonymousProposal::make(&ledger, poll, &item.text, (&leaf, number), author.public(), &mut rng)?;
                let annotation = item.annotation();
                let entry = if annotation.is_empty() {
                    Entry::ProposeAnonymously(proposal)
                } else {
                    // Signed with the key for which the item is proved: nobody can put something else beside it.
                    let proposal = AnyProposal::Anonymous(proposal);
                    Entry::ProposeWith(Box::new(AnnotatedProposal { proposal, annotation }))
                };
                entries.push(SignedEntry::sign(&author, ledger.community(), entry));
                try_entries(&mut ledger, entries.get(entries.len() - 1..).unwrap_or_default())?;
            }
            Ok(entries)
        };
        let entries = tokio::task::spawn_blocking(make)
            .await
            .map_err(|_| ApiError::new(Kind::Internal, "the proposal could not be made"))??;
        self.proposed.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
        self.send(entries).await
    }

    /// Returns the numbers of anonymous proposals that the person has not used for a poll.
    fn free_numbers(
        &self,
        ledger: &Ledger,
        poll: PollId,
        leaf: &chorus_crypto::credential::LeafSecret,
    ) -> Result<Vec<u8>, ApiError> {
        let record = ledger.polls().get(&poll).ok_or(ContributeError::NotOpen)?;
        let on_their_way = self.proposed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = |number: &u8| {
            let tag = ledger.proposal_scope(poll, *number).map(|scope| leaf.tag(&scope));
            let used = record.items.iter().any(|(_, _, by)| matches!(by, Proposer::Anonymous(by) if Some(*by) == tag));
            !used && !on_their_way.contains(&(poll, *number))
        };
        Ok((0..ledger.anonymous_items(poll)).filter(is_free).collect())
    }
}
