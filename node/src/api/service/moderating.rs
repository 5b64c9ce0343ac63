//! Moderation: the rules of polls, words on items, and the public log of them.

use std::time::Duration;

use chorus_protocol::{
    facilitation::{PollRules, Verdict},
    id::{BlobId, PollId},
    ledger::{Ledger, Word},
    log::entry::{Entry, Moderation, StatedRules},
    peer::Peer,
};

use super::{ApiError, Service, find_poll, polls::numbered, text, view, votes::find_item, wait};
use crate::api::Code;

impl Service {
    /// Returns the rules of a poll, and what operators would have in their place.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is no such poll.
    pub async fn poll_rules(&self, reference: &str) -> Result<view::RulesView, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let (said, charter) = (ledger.facilitation(poll), ledger.charter());
        let one = |(key, by): (_, &chorus_protocol::ledger::StatedByOne)| {
            Some((charter.operator(key), view::Rules::from(by.rules.clone()?)))
        };
        Ok(view::RulesView {
            poll,
            rules: said.rules().clone().into(),
            needed: enough(&ledger),
            stated: said.stated_rules().iter().filter_map(one).collect(),
        })
    }

    /// States other rules for a poll. Those of a poll that has items come into force once f + 1 operators state the same.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person at this node is no operator, or says nothing new.
    pub async fn change_rules(&self, reference: &str, asked: view::ChangeRules) -> Result<view::RulesView, ApiError> {
        let mut ledger = self.ledger().await?;
        let key = self.operator(&ledger, "change the rules of polls")?;
        let poll = find_poll(&ledger, reference)?;
        let said = ledger.facilitation(poll);
        let own = said.stated_rules().get(&key);
        let number = own.map_or(0, |own| own.times).saturating_add(1);
        let PollRules { strict, items_per_member, characters, policy } =
            own.and_then(|own| own.rules.as_ref()).unwrap_or(said.rules()).clone();
        let rules = PollRules {
            strict: asked.strict.unwrap_or(strict),
            items_per_member: asked.items_per_member.unwrap_or(items_per_member),
            characters: asked.characters.unwrap_or(characters),
            policy: asked.policy.map_or(policy, |policy| policy.trim().to_owned()),
        };
        if rules == *said.rules() && own.is_none_or(|own| own.rules.is_none()) {
            return Err(ApiError::coded(Code::InForce, "these are the rules in force"));
        }
        self.say(&mut ledger, vec![Entry::PollRules(StatedRules { poll, number, rules })]).await?;
        let is_said = move |peer: &Peer| {
            let stated = peer.ledger().facilitation(poll).stated_rules();
            stated.get(&key).is_some_and(|own| own.times >= number)
        };
        self.until(is_said, wait(asked.wait_seconds)).await?;
        self.poll_rules(&poll.to_string()).await
    }

    /// Says, as an operator, what is to become of items.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person at this node is no operator, has said that already, or
    /// gives no reason.
    pub async fn moderate(&self, reference: &str, asked: view::Moderate) -> Result<view::Poll, ApiError> {
        let mut ledger = self.ledger().await?;
        let key = self.operator(&ledger, "moderate")?;
        let poll = find_poll(&ledger, reference)?;
        let all = numbered(&ledger, poll);
        let verdict = Verdict::from(asked.say);
        let reason = asked.reason.trim();
        if verdict == Verdict::Reject && asked.category.is_none() {
            return Err(ApiError::coded(Code::Category, "a rejection needs a category"));
        }
        if verdict != Verdict::Accept && reason.is_empty() {
            return Err(ApiError::coded(
                Code::Reason,
                "everybody can read what was decided, and wants to know why: give a reason",
            ));
        }
        if reason.len() > chorus_protocol::limits::MAX_REASON_BYTES {
            let most = chorus_protocol::limits::MAX_REASON_BYTES;
            return Err(
                ApiError::coded(Code::TooLong, format!("a reason has at most {most} bytes")).with("bound", most)
            );
        }
        let (mut words, mut said) = (Vec::new(), Vec::new());
        for reference in &asked.items {
            let place = find_item(&all, reference)?;
            let item = *all.get(place).ok_or_else(|| ApiError::coded(Code::NoItem, "there is no such item"))?;
            let last = ledger.facilitation(poll).word_of(&key, &item);
            let number = last.map_or(0, |last| last.number).saturating_add(1);
            let (ground, reason) = (asked.category.map(Into::into), reason.to_owned());
            words.push(Entry::Moderate(Moderation { poll, item, number, verdict, ground, reason }));
            said.push((item, number));
        }
        if words.is_empty() {
            return Err(ApiError::coded(Code::NoItem, "name the items: see `chorus poll show POLL`"));
        }
        self.say(&mut ledger, words).await?;
        let is_said = move |peer: &Peer| {
            let facilitation = peer.ledger().facilitation(poll);
            said.iter()
                .all(|(item, number)| facilitation.word_of(&key, item).is_some_and(|word| word.number >= *number))
        };
        let wait: Duration = wait(asked.wait_seconds);
        self.until(is_said, wait).await?;
        self.poll(&poll.to_string()).await
    }

    /// Returns everything that operators have said about items, of one poll or of all.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is no such poll.
    pub async fn moderation_log(&self, reference: Option<&str>) -> Result<view::ModerationLog, ApiError> {
        let ledger = self.ledger().await?;
        let polls = match reference {
            Some(reference) => vec![find_poll(&ledger, reference)?],
            None => ledger.polls().keys().copied().collect(),
        };
        Ok(log_of(&ledger, &polls))
    }
}

/// How many operators it takes against an item.
fn enough(ledger: &Ledger) -> usize {
    usize::from(ledger.charter().faulty()) + 1
}

/// Returns the words on the items of some polls, the latest last.
pub(super) fn log_of(ledger: &Ledger, polls: &[PollId]) -> view::ModerationLog {
    let of_poll = |poll: &PollId| {
        let words = ledger.facilitation(*poll).words();
        words.map(|word| word_view(ledger, *poll, word)).collect::<Vec<_>>()
    };
    let mut words: Vec<view::ModerationWord> = polls.iter().flat_map(of_poll).collect();
    words.sort_by_key(|word| word.time);
    view::ModerationLog { needed: enough(ledger), words }
}

/// Returns the last words on an item.
pub(super) fn latest_words(ledger: &Ledger, poll: PollId, item: &BlobId) -> Vec<view::ModerationWord> {
    ledger.facilitation(poll).latest(item).map(|word| word_view(ledger, poll, word)).collect()
}

fn word_view(ledger: &Ledger, poll: PollId, word: &Word) -> view::ModerationWord {
    let items = ledger.polls().get(&poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
    let last = ledger.facilitation(poll).word_of(&word.operator, &word.item);
    view::ModerationWord {
        poll,
        item: word.item,
        text: items.iter().find(|(id, _, _)| *id == word.item).map(|(_, text, _)| text.clone()).unwrap_or_default(),
        state: ledger
            .item_state(poll, &word.item)
            .map_or(view::ModerationState::Undecided, |state| state.standing.into()),
        operator: ledger.charter().operator(&word.operator),
        key: text(word.operator),
        say: word.verdict.into(),
        category: word.ground.map(Into::into),
        reason: word.reason.clone(),
        time: word.time.as_millis(),
        is_last: last.is_some_and(|last| last.number == word.number),
    }
}
