//! Polls: opening, proposing, planning a round of voting.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chorus_protocol::{
    facilitation::{AnnotatedProposal, AnyProposal, PollRules},
    id::{BlobId, PollId},
    ledger::{Ledger, Poll, RoundState},
    limits,
    log::entry::{BallotPlan, ClassPlan, Entry, PollOpening, Proposal, RoundPlan, StatedRules, Subject},
    peer::Peer,
};

use super::{ApiError, Service, find_poll, latest_round, values::item_texts, view, wait};
use crate::api::Code;

/// How long operators may take to offer their keys for a round before it opens without the missing ones.
pub(super) const KEY_GRACE_MILLIS: u64 = 5_000;

/// The shortest and the longest time that votes are taken.
const DURATION_MILLIS: core::ops::RangeInclusive<u64> = 1_000..=366 * 24 * 3_600_000;

impl Service {
    /// Returns all polls, without their items.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`] if the node has stopped.
    pub async fn polls(&self) -> Result<Vec<view::Poll>, ApiError> {
        let ledger = self.ledger().await?;
        Ok(ledger.polls().iter().map(|(id, poll)| self.poll_view(&ledger, *id, poll)).collect())
    }

    /// Returns a poll with its items.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if there is no such poll.
    pub async fn poll(&self, reference: &str) -> Result<view::Poll, ApiError> {
        let ledger = self.ledger().await?;
        let id = find_poll(&ledger, reference)?;
        let poll = ledger.polls().get(&id).ok_or_else(|| ApiError::coded(Code::NoPoll, "there is no such poll"))?;
        let mut view = self.poll_view(&ledger, id, poll);
        let voted = latest_round(&ledger, id).map(|round| self.own_votes(round.id)).unwrap_or_default();
        let numbered = numbered(&ledger, id);
        view.items =
            (1..).zip(&numbered).map(|(number, item)| item_view(&ledger, id, (number, *item), &voted)).collect();
        Ok(view)
    }

    /// Opens a poll with its first items; if a duration is given, voting over them begins.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the rules do not admit it: only operators open polls.
    pub async fn open_poll(&self, asked: view::OpenPoll) -> Result<view::Poll, ApiError> {
        let wait = wait(asked.wait_seconds);
        bounded("the question", &asked.question, limits::MAX_TEXT_BYTES)?;
        if asked.context.len() > limits::MAX_STATEMENT_BYTES {
            return Err(ApiError::coded(
                Code::TooLong,
                format!("the context is over {} bytes", limits::MAX_STATEMENT_BYTES),
            )
            .with("bound", limits::MAX_STATEMENT_BYTES));
        }
        if let Some(duration) = asked.duration_millis {
            check_duration(duration)?;
        }
        let mut ledger = self.ledger().await?;
        let key = self.operator(&ledger, "open polls")?;
        let texts = item_texts(&ledger, asked.kind.into(), &asked.context, &asked.items)?;
        let items = new_items(&texts, &asked.annotated)?;
        let opening =
            PollOpening { kind: asked.kind.into(), question: asked.question.trim().to_owned(), context: asked.context };
        let poll = opening.id(ledger.community());
        let mut first = vec![Entry::Poll(opening)];
        if let Some(rules) = asked.rules.map(PollRules::from).filter(|rules| *rules != PollRules::default()) {
            // Before the first item: from then on, other operators have to state the same.
            first.push(Entry::PollRules(StatedRules { poll, number: 1, rules }));
            self.say(&mut ledger, first).await?;
            let stated = move |peer: &Peer| peer.ledger().facilitation(poll).stated_rules().contains_key(&key);
            self.until(stated, wait).await?;
            first = Vec::new();
        }
        let proposals = items.iter().map(|item| open_proposal(poll, item));
        self.say(&mut ledger, first.into_iter().chain(proposals).collect()).await?;
        let count = items.len();
        let there = move |poll: &Arc<Poll>| poll.items.len() >= count;
        self.until(move |peer| peer.ledger().polls().get(&poll).is_some_and(there), wait).await?;
        if let Some(duration) = asked.duration_millis {
            let ballot = items.iter().map(|item| BlobId::of(item.text.as_bytes())).collect();
            self.plan(poll, ballot, duration, None, wait).await?;
        }
        self.poll(&poll.to_string()).await
    }

    /// Begins a round of voting over all items proposed so far that moderation admits.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the poll has no items or a round that is not finished, or if the person at this
    /// node is no operator.
    pub async fn plan_round(&self, reference: &str, asked: view::PlanRound) -> Result<view::Poll, ApiError> {
        check_duration(asked.duration_millis)?;
        let ledger = self.ledger().await?;
        self.operator(&ledger, "begin voting")?;
        let id = find_poll(&ledger, reference)?;
        let mut items = ledger.asked(id);
        items.truncate(limits::MAX_ITEMS);
        if items.is_empty() && ledger.polls().get(&id).is_some_and(|poll| !poll.items.is_empty()) {
            return Err(ApiError::coded(
                Code::NothingAccepted,
                "no operator has accepted an item yet: see `chorus moderate accept`",
            ));
        }
        if items.is_empty() {
            return Err(ApiError::coded(Code::NothingProposed, "nothing has been proposed yet: see `chorus propose`"));
        }
        if latest_round(&ledger, id).is_some_and(|round| round.state() != RoundState::Finished) {
            return Err(ApiError::coded(
                Code::Unfinished,
                "the poll's last round is not finished: see `chorus poll list`",
            ));
        }
        let classes = match asked.classes {
            Some(classes) => Some(self.class_plan(&ledger, classes).await?),
            None => None,
        };
        self.plan(id, items, asked.duration_millis, classes, wait(asked.wait_seconds)).await?;
        self.poll(&id.to_string()).await
    }

    async fn plan(
        &self,
        poll: PollId,
        items: Vec<BlobId>,
        duration_millis: u64,
        classes: Option<ClassPlan>,
        wait: Duration,
    ) -> Result<(), ApiError> {
        let mut ledger = self.ledger().await?;
        let rounds = ledger.polls().get(&poll).map_or(0, |poll| poll.rounds.len());
        let number = u32::try_from(rounds + 1).unwrap_or(u32::MAX);
        let subject = Subject::Ballots(BallotPlan { poll, number, items });
        let plan = RoundPlan { subject, duration_millis, key_grace_millis: KEY_GRACE_MILLIS, classes };
        let round = plan.id(ledger.community());
        self.say(&mut ledger, vec![Entry::Plan(plan)]).await?;
        let open = move |peer: &chorus_protocol::peer::Peer| {
            peer.ledger().rounds().get(&round).is_some_and(|round| round.manifest.is_some())
        };
        self.until(open, wait).await
    }

    /// Says that voting is over, or why it cannot be ended.
    ///
    /// A round closes by itself at its deadline, and not before: a closing before it is no valid entry of the log.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] while votes are taken, or before.
    pub async fn close_poll(&self, reference: &str) -> Result<view::Poll, ApiError> {
        let poll = self.poll(reference).await?;
        match poll.rounds.last().map(|round| (round.state, round.closes_at)) {
            None => Err(ApiError::coded(Code::NotBegun, "voting has not begun: items are being collected")),
            Some((view::RoundState::Planned, _)) => {
                Err(ApiError::coded(Code::NotBegun, "voting has not begun: the round is prepared"))
            }
            Some((view::RoundState::Open, closes_at)) => {
                let when = closes_at.map(super::votes::until).unwrap_or_default();
                let message =
                    format!("voting ends {when}, by itself: ending it before the deadline is against the protocol");
                Err(ApiError::coded(Code::ByItself, message))
            }
            Some((view::RoundState::Sealed | view::RoundState::Finished, _)) => Ok(poll),
        }
    }

    fn poll_view(&self, ledger: &Ledger, id: PollId, poll: &Poll) -> view::Poll {
        let rounds = poll.rounds.iter().filter_map(|round| ledger.rounds().get(round));
        view::Poll {
            id,
            kind: poll.opening.kind.into(),
            question: poll.opening.question.clone(),
            context: poll.opening.context.clone(),
            item_count: poll.items.len(),
            rules: ledger.facilitation(id).rules().clone().into(),
            topics: topics(ledger, id, poll),
            items: Vec::new(),
            rounds: rounds.map(|round| self.round(ledger, round)).collect(),
        }
    }
}

/// Returns the items of a poll by number: in ballot order, then those that the latest round does not ask.
pub(super) fn numbered(ledger: &Ledger, poll: PollId) -> Vec<BlobId> {
    let ballot = latest_round(ledger, poll).map(|round| round.plan.items().to_vec()).unwrap_or_default();
    let items = ledger.polls().get(&poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
    let on_ballot: BTreeSet<BlobId> = ballot.iter().copied().collect();
    let later = items.iter().map(|(id, _, _)| *id).filter(|id| !on_ballot.contains(id));
    ballot.into_iter().chain(later).collect()
}

/// Shows an item.
pub(super) fn item_view(
    ledger: &Ledger,
    poll: PollId,
    (number, id): (usize, BlobId),
    voted: &BTreeMap<BlobId, view::Choice>,
) -> view::Item {
    let record = ledger.polls().get(&poll);
    let text = record.and_then(|poll| poll.items.iter().find(|(known, _, _)| *known == id));
    let round = latest_round(ledger, poll);
    let (said, state) = (ledger.facilitation(poll), ledger.item_state(poll, &id));
    let annotation = said.annotation(&id);
    // Of what a round asks, it is the round that says what is about the voter.
    let place = round.and_then(|round| round.plan.items().iter().position(|asked| *asked == id));
    let pinned = round.zip(place).map(|(round, place)| ledger.meta_items(round.id).get(place) == Some(&true));
    view::Item {
        number,
        id,
        text: text.map(|(_, text, _)| text.clone()).unwrap_or_default(),
        on_ballot: place.is_some(),
        own: voted.get(&id).copied(),
        state: state.map_or(view::ModerationState::Undecided, |state| state.standing.into()),
        asked: state.is_some_and(|state| state.is_asked),
        meta: pinned.unwrap_or(state.is_some_and(|state| state.is_meta)),
        topic: annotation.map(|beside| beside.topic.clone()).unwrap_or_default(),
        prompts: annotation.map(|beside| beside.prompts.iter().map(view::Prompt::from).collect()).unwrap_or_default(),
    }
}

fn topics(ledger: &Ledger, id: PollId, poll: &Poll) -> Vec<String> {
    let said = ledger.facilitation(id);
    let topics = poll.items.iter().filter_map(|(item, _, _)| Some(said.annotation(item)?.topic.clone()));
    topics.filter(|topic| !topic.is_empty()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the entry that proposes an item with one's key.
pub(super) fn open_proposal(poll: PollId, item: &view::NewItem) -> Entry {
    let (proposal, annotation) = (Proposal { poll, text: item.text.clone() }, item.annotation());
    if annotation.is_empty() {
        return Entry::Propose(proposal);
    }
    Entry::ProposeWith(Box::new(AnnotatedProposal { proposal: AnyProposal::Open(proposal), annotation }))
}

/// Returns items without and with something beside them, trimmed and checked.
pub(super) fn new_items(texts: &[String], annotated: &[view::NewItem]) -> Result<Vec<view::NewItem>, ApiError> {
    let all: Vec<String> = texts.iter().chain(annotated.iter().map(|item| &item.text)).cloned().collect();
    let texts = items(&all)?;
    let beside = (0..texts.len() - annotated.len()).map(|_| view::NewItem::default()).chain(annotated.iter().cloned());
    let items: Vec<view::NewItem> =
        texts.into_iter().zip(beside).map(|(text, item)| view::NewItem { text, ..item }).collect();
    for item in &items {
        if item.prompts.len() > limits::MAX_PROMPTS {
            return Err(ApiError::coded(
                Code::TooMany,
                format!("at most {} prompts can be cited", limits::MAX_PROMPTS),
            )
            .with("bound", limits::MAX_PROMPTS));
        }
        for cited in &item.prompts {
            bounded("a prompt", &cited.prompt, limits::MAX_PROMPT_BYTES)?;
            if cited.failure.trim().len() > limits::MAX_TEXT_BYTES {
                let most = limits::MAX_TEXT_BYTES;
                return Err(ApiError::coded(
                    Code::TooLong,
                    format!("what is wrong with an answer has at most {most} bytes"),
                )
                .with("bound", most));
            }
        }
        if item.topic.len() > limits::MAX_NAME_BYTES {
            return Err(ApiError::coded(
                Code::TooLong,
                format!("a topic has at most {} bytes", limits::MAX_NAME_BYTES),
            )
            .with("bound", limits::MAX_NAME_BYTES));
        }
        let annotation = item.annotation();
        if !annotation.is_empty() {
            annotation.validate().map_err(|fault| ApiError::invalid(fault.to_string()))?;
        }
    }
    Ok(items)
}

pub(super) fn check_duration(millis: u64) -> Result<(), ApiError> {
    if DURATION_MILLIS.contains(&millis) {
        Ok(())
    } else {
        Err(ApiError::coded(Code::Duration, "a round of voting takes between a second and a year"))
    }
}

/// Checks a text that must not be empty.
fn bounded(what: &str, text: &str, bound: usize) -> Result<(), ApiError> {
    match text.trim().len() {
        0 => Err(ApiError::coded(Code::Empty, format!("{what} is empty"))),
        found if found > bound => {
            Err(ApiError::coded(Code::TooLong, format!("{what} has {found} bytes; {bound} are admitted"))
                .with("bound", bound))
        }
        _ => Ok(()),
    }
}

/// Returns the texts of items, trimmed and checked.
pub(super) fn items(texts: &[String]) -> Result<Vec<String>, ApiError> {
    if texts.len() > limits::MAX_ITEMS {
        return Err(ApiError::coded(Code::TooMany, format!("a poll has at most {} items", limits::MAX_ITEMS))
            .with("bound", limits::MAX_ITEMS));
    }
    let mut seen = BTreeSet::new();
    for text in texts {
        bounded("an item", text, limits::MAX_STATEMENT_BYTES)?;
        if !seen.insert(text.trim()) {
            return Err(ApiError::coded(Code::Twice, format!("an item stands twice: {:?}", text.trim())));
        }
    }
    Ok(texts.iter().map(|text| text.trim().to_owned()).collect())
}
