//! Values cards and transitions: what there is, what to show next, what they are as items, what operators say of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_protocol::{
    deliberation::moral_graph::{
        MoralVotes, Transition, ValuesCard,
        nearness::Nearness,
        showing::{CARDS_SHOWN, Said, TRANSITIONS_SHOWN, cards_to_show, transitions_to_show},
    },
    id::{BlobId, PollId},
    ledger::{Ledger, Poll},
    limits,
    log::entry::{CanonicalCard, Entry, MergeCards, PollKind},
    peer::Peer,
};

use super::{ApiError, Service, find_poll, latest_round, results::counts, text, view, wait};
use crate::api::Code;
use crate::diary::ValueCard;

/// How near two cards must be to be shown to operators as ones that may mean the same.
const SIMILAR: f64 = 0.35;

/// The most pairs of them.
const MOST_SIMILAR: usize = 50;

impl Service {
    /// Returns the values cards of one value poll, in ballot order, or of all.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is no such poll.
    pub async fn cards(&self, asked: view::OfPoll) -> Result<Vec<view::CardView>, ApiError> {
        let ledger = self.ledger().await?;
        let poll = asked.poll.map(|poll| poll_of(&ledger, &poll, PollKind::Value)).transpose()?;
        let votes = self.votes_on_values(&ledger, None).await?;
        let own = poll.map(|poll| self.own_in(&ledger, poll)).unwrap_or_default();
        let ballot = poll.map(|poll| ballot(&ledger, poll)).unwrap_or_default();
        let mut cards: Vec<view::CardView> = all_cards(&ledger)
            .into_iter()
            .filter(|(_, (_, polls))| poll.is_none_or(|poll| polls.contains(&poll)))
            .map(|(id, (card, polls))| card_view(&ledger, &votes, &own, (id, &card, polls)))
            .collect();
        cards.iter_mut().for_each(|card| card.number = number(&ballot, card.id));
        cards.sort_by_key(|card| card.number.unwrap_or(usize::MAX));
        Ok(cards)
    }

    /// Returns the transitions of one transition poll, in ballot order, or of all.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is no such poll.
    pub async fn transitions(&self, asked: view::OfPoll) -> Result<Vec<view::TransitionView>, ApiError> {
        let ledger = self.ledger().await?;
        let poll = asked.poll.map(|poll| poll_of(&ledger, &poll, PollKind::Transition)).transpose()?;
        let votes = self.votes_on_values(&ledger, None).await?;
        let polls = ledger.polls().iter().filter(|(_, poll)| poll.opening.kind == PollKind::Transition);
        let asked = polls.filter(|(id, _)| poll.is_none_or(|poll| poll == **id));
        Ok(asked.flat_map(|(id, _)| self.transition_views(&ledger, *id, &votes)).collect())
    }

    /// Returns what to show the person next in a value or a transition poll, chosen on this machine.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is no such poll.
    pub async fn next_values(&self, asked: view::AskNext) -> Result<view::NextValues, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, &asked.poll)?;
        let kind = ledger.polls().get(&poll).map(|poll| poll.opening.kind);
        let votes = self.votes_on_values(&ledger, None).await?;
        let said = self.said(&ledger, poll);
        let detail = [&poll.as_ref()[..], &(said.seen.len() as u64).to_be_bytes()].concat();
        let mut rng = self.randomness.generator("values to show", &detail);
        let mut next = view::NextValues { poll, kind: view::Asks::Value, cards: Vec::new(), transitions: Vec::new() };
        match kind {
            Some(PollKind::Value) => {
                let cards = self.cards(view::OfPoll { poll: Some(poll.to_string()) }).await?;
                let open = to_vote_on(&ledger, &cards);
                let count = asked.count.unwrap_or(CARDS_SHOWN);
                let chosen = cards_to_show(&open, &votes, &said, count, &mut rng);
                let view = |id: &BlobId| cards.iter().find(|card| card.id == *id).cloned();
                next.cards = chosen.iter().filter_map(view).collect();
            }
            Some(PollKind::Transition) => {
                next.kind = view::Asks::Transition;
                let views = self.transition_views(&ledger, poll, &votes);
                let transitions: Vec<Transition> = views.iter().filter_map(as_transition).collect();
                let count = asked.count.unwrap_or(TRANSITIONS_SHOWN);
                let chosen = transitions_to_show(&transitions, &votes, &said, count, &mut rng);
                let view = |id: &BlobId| views.iter().find(|view| view.id == *id).cloned();
                next.transitions = chosen.iter().filter_map(view).collect();
            }
            Some(PollKind::Statement | PollKind::Amendment) | None => {
                return Err(ApiError::coded(Code::NotOfKind, "that poll asks about no values: see `chorus poll list`"));
            }
        }
        Ok(next)
    }

    /// Returns pairs of cards that may mean the same, the nearest first, for operators to read.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`](super::Kind::Internal) if the node has stopped.
    pub async fn similar_cards(&self) -> Result<Vec<view::SimilarCards>, ApiError> {
        let ledger = self.ledger().await?;
        let merges = ledger.cards().merges().clone();
        let cards: Vec<ValuesCard> = all_cards(&ledger)
            .into_iter()
            .filter(|(id, _)| merges.canonical(*id) == *id)
            .map(|(_, (card, _))| card)
            .take(limits::MAX_ITEMS)
            .collect();
        let near = tokio::task::spawn_blocking(move || {
            let texts: Vec<String> = cards.iter().map(words).collect();
            let pairs = Nearness::of(&texts).pairs(SIMILAR);
            let view = |(one, other, near): (usize, usize, f64)| {
                Some(view::SimilarCards { one: cards.get(one)?.into(), other: cards.get(other)?.into(), near })
            };
            pairs.into_iter().take(MOST_SIMILAR).filter_map(view).collect()
        });
        Ok(near.await?)
    }

    /// Says, as an operator, that a card means the same as another, which stands for both; or, without another, that it
    /// stands for itself.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person is no operator, or the rules do not admit it.
    pub async fn state_card(&self, asked: view::AboutCard) -> Result<view::CardView, ApiError> {
        let mut ledger = self.ledger().await?;
        let own = self.operator(&ledger, "say which cards mean the same")?;
        let card = find_card(&ledger, &asked.card)?.id();
        let into = asked.into.map(|into| find_card(&ledger, &into)).transpose()?.map(|into| into.id());
        let reason = asked.reason.trim().to_owned();
        if reason.len() > limits::MAX_TEXT_BYTES {
            return Err(ApiError::coded(
                Code::TooLong,
                format!("a reason has at most {} bytes", limits::MAX_TEXT_BYTES),
            )
            .with("bound", limits::MAX_TEXT_BYTES));
        }
        let number = ledger.cards().said_by(&own, &card).saturating_add(1);
        let entry = match into {
            Some(into) => Entry::MergeCards(MergeCards { card, into, number, reason }),
            None => Entry::Canonical(CanonicalCard { card, number, reason }),
        };
        self.say(&mut ledger, vec![entry]).await?;
        let said = move |peer: &Peer| peer.ledger().cards().said_by(&own, &card) >= number;
        self.until(said, wait(asked.wait_seconds)).await?;
        let (ledger, own) = (self.ledger().await?, BTreeMap::new());
        let votes = self.votes_on_values(&ledger, None).await?;
        let found =
            all_cards(&ledger).remove(&card).ok_or_else(|| ApiError::coded(Code::NoCard, "there is no such card"))?;
        Ok(card_view(&ledger, &votes, &own, (card, &found.0, found.1)))
    }

    /// How the person voted in the latest round of a poll, if their diary says.
    fn own_in(&self, ledger: &Ledger, poll: PollId) -> BTreeMap<BlobId, view::Choice> {
        latest_round(ledger, poll).map(|round| self.own_votes(round.id)).unwrap_or_default()
    }

    /// What the person has said about values, as far as their diary says.
    fn said(&self, ledger: &Ledger, poll: PollId) -> Said {
        let kept = self.settings().is_ok_and(|settings| settings.diary.is_on());
        let entries = kept.then(|| self.diary.read().ok()).flatten().unwrap_or_default();
        let seen = self.own_in(ledger, poll).into_keys().collect();
        let own = entries.cards.iter().filter_map(|card| card.card().ok()).collect();
        let votes = entries.ballots.values().flat_map(|ballot| &ballot.votes);
        let endorsed = votes.filter(|(_, choice)| **choice == view::Choice::Agree);
        Said { own, seen, endorsed: endorsed.map(|(item, _)| *item).collect() }
    }

    fn transition_views(&self, ledger: &Ledger, poll: PollId, votes: &MoralVotes) -> Vec<view::TransitionView> {
        let (cards, ballot, own) = (all_cards(ledger), ballot(ledger, poll), self.own_in(ledger, poll));
        let items = ledger.polls().get(&poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
        let card = |id: &BlobId| cards.get(id).map(|(card, _)| view::NamedCard::from(card));
        let view = |(id, text, _): &(BlobId, String, _)| {
            let transition = Transition::from_text(text).ok()?;
            let question = transition.question();
            Some(view::TransitionView {
                id: *id,
                number: number(&ballot, *id),
                poll,
                from: card(&question.from)?,
                to: card(&question.to)?,
                votes: votes.transitions().get(&question).map(counts),
                context: question.context,
                story: transition.story().to_owned(),
                own: own.get(id).copied(),
            })
        };
        let mut views: Vec<view::TransitionView> = items.iter().filter_map(view).collect();
        views.sort_by_key(|view| view.number.unwrap_or(usize::MAX));
        views
    }
}

/// Returns the texts that items of a poll have: of a value poll those of cards, of a transition poll those of transitions
/// about cards that there are. Cards and transitions may be given in JSON.
///
/// # Errors
///
/// Returns [`Kind::Invalid`](super::Kind::Invalid) if a text is none.
pub(super) fn item_texts(
    ledger: &Ledger,
    kind: PollKind,
    context: &str,
    texts: &[String],
) -> Result<Vec<String>, ApiError> {
    let one = |text: &String| match kind {
        PollKind::Value => card_text(text.trim()),
        PollKind::Transition => transition_text(ledger, context, text.trim()),
        PollKind::Statement | PollKind::Amendment => Ok(text.clone()),
    };
    texts.iter().map(one).collect()
}

fn card_text(text: &str) -> Result<String, ApiError> {
    let form = "a value poll asks about values cards: {\"title\": …, \"instruction\": …, \"policies\": [ … ]}";
    let wrong = |why: String| ApiError::coded(Code::Card, format!("{form}; {why}"));
    if !text.starts_with('{') {
        return ValuesCard::from_text(text).map(|card| card.text()).map_err(|error| wrong(error.to_string()));
    }
    let card: ValueCard = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    card.card().map(|card| card.text()).map_err(|error| wrong(error.to_string()))
}

fn transition_text(ledger: &Ledger, context: &str, text: &str) -> Result<String, ApiError> {
    let form = "a transition poll asks about moves between values: {\"from\": CARD, \"to\": CARD, \"context\": …, \"story\": …}";
    let wrong = |why: String| ApiError::coded(Code::Card, format!("{form}; {why}"));
    let (from, to, context, story) = if text.starts_with('{') {
        let seed: view::SeedTransition = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let context = if seed.context.trim().is_empty() { context.to_owned() } else { seed.context };
        (find_card(ledger, &seed.from)?.id(), find_card(ledger, &seed.to)?.id(), context, seed.story)
    } else {
        let transition = Transition::from_text(text).map_err(|error| wrong(error.to_string()))?;
        let question = transition.question();
        let ends = [question.from, question.to].map(|end| find_card(ledger, &end.to_string()));
        let [from, to] = ends;
        (from?.id(), to?.id(), question.context, transition.story().to_owned())
    };
    Transition::new(from, to, &context, &story).map(|it| it.text()).map_err(|error| wrong(error.to_string()))
}

/// Returns all values cards, each with the polls that ask about it.
pub(super) fn all_cards(ledger: &Ledger) -> BTreeMap<BlobId, (ValuesCard, Vec<PollId>)> {
    let mut cards = BTreeMap::<BlobId, (ValuesCard, Vec<PollId>)>::new();
    for (poll, record) in ledger.polls().iter().filter(|(_, poll)| poll.opening.kind == PollKind::Value) {
        for (id, text, _) in &record.items {
            if let Some((_, polls)) = cards.get_mut(id) {
                polls.push(*poll);
            } else if let Ok(card) = ValuesCard::from_text(text) {
                cards.insert(*id, (card, vec![*poll]));
            }
        }
    }
    cards
}

/// Finds a card by its title, its id, or the beginning of that.
pub(super) fn find_card(ledger: &Ledger, reference: &str) -> Result<ValuesCard, ApiError> {
    let (cards, reference) = (all_cards(ledger), reference.trim());
    let is_id = reference.len() >= 6 && reference.bytes().all(|digit| digit.is_ascii_hexdigit());
    let prefix = reference.to_ascii_lowercase();
    let is_it = |id: &BlobId, card: &ValuesCard| {
        card.title().to_lowercase() == reference.to_lowercase() || is_id && id.to_string().starts_with(&prefix)
    };
    let mut matching = cards.into_iter().filter(|(id, (card, _))| is_it(id, card)).map(|(_, (card, _))| card);
    match (matching.next(), matching.next()) {
        (Some(card), None) => Ok(card),
        (None, _) => Err(ApiError::coded(
            Code::NoCard,
            format!("there is no values card {reference:?}: see `chorus value list`"),
        )),
        (Some(_), Some(_)) => Err(ApiError::coded(
            Code::Ambiguous,
            format!(
                "several values cards are called {reference:?}: give the beginning of an id, see `chorus value list`"
            ),
        )),
    }
}

/// Finds a poll that must be of a kind.
pub(super) fn poll_of(ledger: &Ledger, reference: &str, kind: PollKind) -> Result<PollId, ApiError> {
    let of_kind: BTreeSet<PollId> =
        ledger.polls().iter().filter(|(_, poll)| poll.opening.kind == kind).map(|(id, _)| *id).collect();
    // - is the only poll of the kind: communities that ask about values have statement polls as well.
    if let (Some(only), 1, "-") = (of_kind.first(), of_kind.len(), reference) {
        return Ok(*only);
    }
    let poll = find_poll(ledger, reference)?;
    let what = if kind == PollKind::Value { "value" } else { "transition" };
    let found = of_kind.contains(&poll).then_some(poll);
    found.ok_or_else(|| ApiError::coded(Code::NotOfKind, format!("that is no {what} poll: see `chorus poll list`")))
}

/// The items of a poll's latest round, in ballot order.
fn ballot(ledger: &Ledger, poll: PollId) -> Vec<BlobId> {
    latest_round(ledger, poll).map(|round| round.plan.items().to_vec()).unwrap_or_else(|| {
        let items = |poll: &Arc<Poll>| poll.items.iter().map(|(id, _, _)| *id).collect();
        ledger.polls().get(&poll).map(items).unwrap_or_default()
    })
}

fn number(ballot: &[BlobId], item: BlobId) -> Option<usize> {
    ballot.iter().position(|known| *known == item).map(|at| at + 1)
}

/// The cards of a ballot, without those that another card of it stands for.
fn to_vote_on(ledger: &Ledger, cards: &[view::CardView]) -> Vec<ValuesCard> {
    let on_ballot: BTreeSet<BlobId> = cards.iter().filter(|card| card.number.is_some()).map(|card| card.id).collect();
    let merges = ledger.cards().merges();
    let is_open = |card: &&view::CardView| {
        let standing = merges.canonical(card.id);
        on_ballot.contains(&card.id) && (standing == card.id || !on_ballot.contains(&standing))
    };
    cards.iter().filter(is_open).filter_map(|card| card.card.card().ok()).collect()
}

fn as_transition(view: &view::TransitionView) -> Option<Transition> {
    view.number?;
    Transition::new(view.from.id, view.to.id, &view.context, &view.story).ok()
}

fn card_view(
    ledger: &Ledger,
    votes: &MoralVotes,
    own: &BTreeMap<BlobId, view::Choice>,
    (id, card, polls): (BlobId, &ValuesCard, Vec<PollId>),
) -> view::CardView {
    let word = ledger.cards().latest(&id);
    view::CardView {
        id,
        number: None,
        card: card.into(),
        polls,
        into: Some(ledger.cards().merges().canonical(id)).filter(|standing| *standing != id),
        word: word.map(|word| view::CardWord { operator: text(word.operator), reason: word.reason.clone() }),
        votes: votes.endorsements().get(&id).map(counts),
        own: own.get(&id).copied(),
    }
}

/// What a card says, without the words that every card has.
fn words(card: &ValuesCard) -> String {
    [card.title(), card.instruction(), &card.policies().join("\n")].join("\n")
}
