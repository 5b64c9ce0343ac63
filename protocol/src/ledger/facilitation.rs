//! The rules of each poll, and what operators say about its items: see [`facilitation`](crate::facilitation).
//!
//! What counts is counted by the charter in force: the words of operators in office, and their f. A round is planned by
//! what counts then, and keeps that: nothing said later changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use chorus_crypto::{
    codec::{Decode as _, DecodeError, Encode, Reader, put_count, put_seq},
    sign::PublicKey,
    wire_struct,
};

use super::{Ledger, Poll, Proposer};
use crate::{
    canonical::{map, put_map},
    facilitation::{AnnotatedProposal, Annotation, AnyProposal, Ground, Moderation, PollRules, StatedRules, Verdict},
    fault::{Fault, bound, in_turn},
    id::{BlobId, PollId, RoundId},
    limits,
    log::entry::PollKind,
    time::Timestamp,
};

/// One operator's word on an item, as it stands on the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// The operator.
    pub operator: PublicKey,
    /// The item.
    pub item: BlobId,
    /// Which of the operator's words on this item it is, from 1.
    pub number: u8,
    /// What is said.
    pub verdict: Verdict,
    /// On what ground; of a rejection alone.
    pub ground: Option<Ground>,
    /// Why, in words.
    pub reason: String,
    /// The log's time when it was said.
    pub time: Timestamp,
}
wire_struct!(Word { operator, item, number, verdict, ground, reason(limits::MAX_REASON_BYTES), time });

/// What one operator has said about the rules of a poll.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatedByOne {
    /// How often.
    pub times: u8,
    /// The rules that it would have; none once some have come into force since.
    pub rules: Option<PollRules>,
}
wire_struct!(StatedByOne { times, rules });

/// Where an item stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ItemState {
    /// What the words of operators come to.
    pub standing: Standing,
    /// Whether it asks about the voter.
    pub is_meta: bool,
    /// Whether a round that is planned now may ask it.
    pub is_asked: bool,
}

/// What the words of operators on an item come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// No operator has accepted it, and too few reject it.
    Undecided,
    /// An operator in office has accepted it, or has proposed it.
    Accepted,
    /// f + 1 operators in office reject it.
    Rejected,
}

/// The rules of a poll, and everything that operators have said about its items.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facilitation {
    rules: PollRules,
    stated: BTreeMap<PublicKey, StatedByOne>,
    words: Vec<Arc<Word>>,
    latest: BTreeMap<BlobId, BTreeMap<PublicKey, Arc<Word>>>,
    annotations: BTreeMap<BlobId, Arc<Annotation>>,
    meta: BTreeMap<RoundId, BTreeSet<BlobId>>,
}

/// That of polls of which nothing was said.
static NOTHING_SAID: LazyLock<Facilitation> = LazyLock::new(Facilitation::default);

impl Facilitation {
    /// Returns the rules in force.
    pub const fn rules(&self) -> &PollRules {
        &self.rules
    }

    /// Returns what operators have said about the rules.
    pub const fn stated_rules(&self) -> &BTreeMap<PublicKey, StatedByOne> {
        &self.stated
    }

    /// Returns all words on items, in the order of the log.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().map(Arc::as_ref)
    }

    /// Returns the last word of each operator on an item.
    pub fn latest(&self, item: &BlobId) -> impl Iterator<Item = &Word> {
        self.latest.get(item).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// Returns an operator's last word on an item.
    pub fn word_of(&self, operator: &PublicKey, item: &BlobId) -> Option<&Word> {
        self.latest.get(item)?.get(operator).map(Arc::as_ref)
    }

    /// Returns what the proposer of an item said beside it.
    pub fn annotation(&self, item: &BlobId) -> Option<&Annotation> {
        self.annotations.get(item).map(Arc::as_ref)
    }

    fn add(&mut self, word: Word) {
        let word = Arc::new(word);
        self.latest.entry(word.item).or_default().insert(word.operator, Arc::clone(&word));
        self.words.push(word);
    }
}

impl Ledger {
    /// Returns the rules of a poll and what was said about its items.
    pub fn facilitation(&self, poll: PollId) -> &Facilitation {
        self.facilitation.get(&poll).map_or(&NOTHING_SAID, Arc::as_ref)
    }

    /// Returns where an item of a poll stands; `None` if there is no such item.
    pub fn item_state(&self, poll: PollId, item: &BlobId) -> Option<ItemState> {
        let record = self.polls.get(&poll)?;
        let (_, _, proposer) = record.items.iter().find(|(known, _, _)| known == item)?;
        Some(self.state_of(poll, item, proposer))
    }

    fn state_of(&self, poll: PollId, item: &BlobId, proposer: &Proposer) -> ItemState {
        let (said, charter) = (self.facilitation(poll), self.charter());
        let count = |verdict: Verdict| {
            let of = said.latest(item).filter(|word| word.verdict == verdict);
            of.filter(|word| charter.operator(&word.operator).is_some()).count()
        };
        let enough = usize::from(charter.faulty()) + 1;
        // Whoever proposes an item in office has accepted it, until they say something else.
        let is_own = matches!(proposer, Proposer::Key(key)
            if charter.operator(key).is_some() && said.word_of(key, item).is_none());
        let accepting = count(Verdict::Accept) + usize::from(is_own);
        let standing = if count(Verdict::Reject) >= enough {
            Standing::Rejected
        } else if accepting > 0 {
            Standing::Accepted
        } else {
            Standing::Undecided
        };
        // One operator could else propose what others are about to, only to keep it out of the constitution.
        let is_declared = said.annotation(item).is_some_and(|annotation| annotation.meta);
        let is_overruled = count(Verdict::Accept) >= enough;
        let is_meta = count(Verdict::Meta) >= enough || (is_declared && !is_overruled);
        let is_asked = match standing {
            Standing::Rejected => false,
            Standing::Accepted => true,
            Standing::Undecided => !said.rules.strict || is_meta,
        };
        ItemState { standing, is_meta, is_asked }
    }

    /// Returns the items of a poll that a round may ask if it is planned now, in the order of their proposal.
    pub fn asked(&self, poll: PollId) -> Vec<BlobId> {
        let items = self.polls.get(&poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
        let asked = items.iter().filter(|(item, _, by)| self.state_of(poll, item, by).is_asked);
        asked.map(|(item, _, _)| *item).collect()
    }

    /// Returns which items of a round ask about the voter, in ballot order, as it was when the round was planned.
    pub fn meta_items(&self, round: RoundId) -> Vec<bool> {
        let plan = self.rounds.get(&round).and_then(|round| round.plan.ballots());
        let Some(plan) = plan else { return Vec::new() };
        let Some(meta) = self.facilitation(plan.poll).meta.get(&round) else { return vec![false; plan.items.len()] };
        plan.items.iter().map(|item| meta.contains(item)).collect()
    }

    fn facilitation_mut(&mut self, poll: PollId) -> &mut Facilitation {
        Arc::make_mut(Arc::make_mut(&mut self.facilitation).entry(poll).or_default())
    }

    /// Returns a poll whose items are open to moderation. What members are asked about the rules, nobody keeps from them.
    fn moderated(&self, poll: PollId) -> Result<&Poll, Fault> {
        let found = self.polls.get(&poll).ok_or(Fault::Unknown("poll"))?;
        match found.opening.kind {
            PollKind::Amendment => Err(Fault::NotAllowed("words on a poll about the rules")),
            PollKind::Statement | PollKind::Value | PollKind::Transition => Ok(found),
        }
    }

    pub(super) fn state_rules(&mut self, operator: PublicKey, it: &StatedRules) -> Result<(), Fault> {
        let poll = self.moderated(it.poll)?;
        it.rules.validate()?;
        let is_fresh = poll.opened_by == operator && poll.items.is_empty() && poll.rounds.is_empty();
        let known = self.facilitation(it.poll).stated.get(&operator);
        in_turn(known.map_or(0, |known| known.times), it.number, "rules of a poll")?;
        bound("words of one operator on a poll's rules", limits::MAX_STATED_RULES, it.number.into())?;
        if known.and_then(|known| known.rules.as_ref()) == Some(&it.rules) {
            return Err(Fault::Duplicate("these rules of a poll"));
        }
        let charter = Arc::clone(self.charter());
        let said = self.facilitation_mut(it.poll);
        said.stated.insert(operator, StatedByOne { times: it.number, rules: Some(it.rules.clone()) });
        let alike = said
            .stated
            .iter()
            .filter(|(key, by)| charter.operator(key).is_some() && by.rules.as_ref() == Some(&it.rules));
        if is_fresh || alike.count() > usize::from(charter.faulty()) {
            said.rules = it.rules.clone();
            said.stated.values_mut().for_each(|by| by.rules = None);
        }
        Ok(())
    }

    pub(super) fn moderate(&mut self, operator: PublicKey, it: &Moderation) -> Result<(), Fault> {
        it.validate()?;
        let poll = self.moderated(it.poll)?;
        if !poll.items.iter().any(|(item, _, _)| *item == it.item) {
            return Err(Fault::Unknown("item"));
        }
        let last = self.facilitation(it.poll).word_of(&operator, &it.item);
        in_turn(last.map_or(0, |last| last.number), it.number, "word on an item")?;
        bound("words of one operator on an item", limits::MAX_WORDS_PER_ITEM, it.number.into())?;
        if last.map(|last| (last.verdict, last.ground)) == Some((it.verdict, it.ground)) {
            return Err(Fault::Duplicate("this word on an item"));
        }
        if last.is_none() && it.verdict == Verdict::TakeBack {
            return Err(Fault::Mismatch("a word that takes nothing back"));
        }
        let Moderation { poll, item, number, verdict, ground, ref reason } = *it;
        let (reason, time) = (reason.clone(), self.time());
        self.facilitation_mut(poll).add(Word { operator, item, number, verdict, ground, reason, time });
        Ok(())
    }

    pub(super) fn propose_with(&mut self, author: PublicKey, it: &AnnotatedProposal) -> Result<(), Fault> {
        let AnnotatedProposal { proposal, annotation } = it;
        annotation.validate()?;
        let is_operator = self.charter().operator(&author).is_some();
        if annotation.meta && !is_operator {
            return Err(Fault::NotAllowed("an item about the voter"));
        }
        match proposal {
            AnyProposal::Open(proposal) => self.propose(author, proposal)?,
            AnyProposal::Anonymous(proposal) => self.propose_anonymously(author, proposal)?,
        }
        let item = BlobId::of(proposal.text().as_bytes());
        self.facilitation_mut(proposal.poll()).annotations.insert(item, Arc::new(annotation.clone()));
        Ok(())
    }

    /// Checks that a poll has room for an item, and that a member may propose one of this length.
    pub(super) fn admits_item(&self, id: PollId, text: &str, by_operator: bool) -> Result<(), Fault> {
        let poll = self.polls.get(&id).ok_or(Fault::Unknown("poll"))?;
        bound("items with those rejected", limits::MAX_PROPOSED, poll.items.len() + 1)?;
        if poll.items.len() >= limits::MAX_ITEMS {
            let is_in = |(item, _, by): &&(BlobId, String, Proposer)| {
                self.state_of(id, item, by).standing != Standing::Rejected
            };
            bound("items", limits::MAX_ITEMS, poll.items.iter().filter(is_in).count() + 1)?;
        }
        if by_operator {
            return Ok(());
        }
        bound("characters of an item", self.facilitation(id).rules.characters.into(), text.chars().count())
    }

    /// Checks that moderation admits all items of a plan.
    pub(super) fn check_asked_items(&self, poll: PollId, items: &[BlobId]) -> Result<(), Fault> {
        let asked: BTreeSet<BlobId> = self.asked(poll).into_iter().collect();
        let is_asked = items.iter().all(|item| asked.contains(item));
        if is_asked { Ok(()) } else { Err(Fault::Mismatch("an item that is kept out of rounds")) }
    }

    /// Notes which items of a round ask about the voter, as it is planned.
    pub(super) fn pin_meta(&mut self, round: RoundId, poll: PollId, items: &[BlobId]) {
        let is_meta = |item: &&BlobId| self.item_state(poll, item).is_some_and(|state| state.is_meta);
        let meta: BTreeSet<BlobId> = items.iter().filter(is_meta).copied().collect();
        if !meta.is_empty() {
            self.facilitation_mut(poll).meta.insert(round, meta);
        }
    }
}

/// Appends what was said about the polls.
pub(super) fn put(out: &mut Vec<u8>, polls: &BTreeMap<PollId, Arc<Facilitation>>) {
    put_map(out, polls, |said, out| {
        let Facilitation { rules, stated, words, latest: _, annotations, meta } = said.as_ref();
        rules.encode(out);
        put_map(out, stated, Encode::encode);
        put_count(out, words.len());
        words.iter().for_each(|word| word.encode(out));
        put_map(out, annotations, |annotation, out| annotation.encode(out));
        put_map(out, meta, |items, out| put_seq(out, &items.iter().copied().collect::<Vec<_>>()));
    });
}

/// Reads what was said about the polls; `polls` are those that there are.
pub(super) fn read(
    input: &mut Reader<'_>,
    polls: &BTreeMap<PollId, Arc<Poll>>,
) -> Result<BTreeMap<PollId, Arc<Facilitation>>, DecodeError> {
    let said = map(input, limits::MAX_POLLS, |input| {
        let mut said = Facilitation { rules: PollRules::decode(input)?, ..Facilitation::default() };
        said.stated = map(input, super::state::MAX_STATE_BYTES, StatedByOne::decode)?;
        for _ in 0..input.count(super::state::MAX_STATE_BYTES)? {
            said.add(Word::decode(input)?);
        }
        said.annotations = map(input, limits::MAX_PROPOSED, |input| Annotation::decode(input).map(Arc::new))?;
        said.meta = map(input, super::state::MAX_STATE_BYTES, |input| {
            Ok(input.seq(limits::MAX_ITEMS)?.into_iter().collect::<BTreeSet<BlobId>>())
        })?;
        Ok(Arc::new(said))
    })?;
    if said.keys().all(|poll| polls.contains_key(poll)) {
        Ok(said)
    } else {
        Err(DecodeError::NonCanonical("what was said about a poll that there is not"))
    }
}

#[cfg(test)]
mod tests;
