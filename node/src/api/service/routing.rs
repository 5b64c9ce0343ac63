//! What to show next, what is similar, and what has become of what the person said.
//!
//! All of it is computed here, from what is public and from the diary: nobody learns what somebody was shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, MutexGuard, PoisonError},
};

use chorus_crypto::hash;
use chorus_protocol::{
    deliberation::{
        routing::{draw, fresh_priority},
        similar::similar,
    },
    id::{BlobId, PollId, RoundId},
    ledger::{ItemState, Ledger, Proposer, RoundRecord, RoundState},
};

use super::{
    ApiError, Kind, Service, find_poll,
    finished::Finished,
    latest_round,
    moderating::latest_words,
    polls::{item_view, numbered},
    view,
    votes::find_item,
};
use crate::api::Code;

/// The priorities that follow from finished rounds.
pub(super) type Ranked = BTreeMap<RoundId, Vec<(BlobId, f64)>>;

/// Rounds of which they are kept.
const MOST_RANKED: usize = 64;

/// What somebody has done with a poll's items so far, beside what the diary has.
#[derive(Clone, Debug, Default)]
pub struct SoFar {
    /// Items answered and not sent yet: their numbers or the beginnings of their ids.
    pub answered: Vec<String>,
    /// Items that are to come last.
    pub skipped: Vec<String>,
    /// The only topic that is wanted.
    pub topic: Option<String>,
}

impl Service {
    /// Returns the item to show next in the latest round of a poll: drawn with the priorities that follow from the tallies
    /// of earlier rounds. As long as nothing is answered, and the node runs, the same one.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if no votes are taken.
    pub async fn next_item(&self, reference: &str, so_far: SoFar) -> Result<view::Next, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let round = latest_round(&ledger, poll).filter(|round| round.state() == RoundState::Open);
        let round =
            round.ok_or_else(|| ApiError::coded(Code::NotBegun, "no votes are taken now: see `chorus poll list`"))?;
        let ballot = round.plan.items();
        let voted = self.own_votes(round.id);
        let places = |references: &[String]| -> Result<BTreeSet<usize>, ApiError> {
            references.iter().map(|reference| find_item(ballot, reference)).collect()
        };
        let mut answered = places(&so_far.answered)?;
        answered.extend(ballot.iter().enumerate().filter(|(_, item)| voted.contains_key(item)).map(|(place, _)| place));
        let skipped = places(&so_far.skipped)?;
        let said = ledger.facilitation(poll);
        let is_wanted = |item: &BlobId| {
            so_far.topic.as_ref().is_none_or(|topic| said.annotation(item).is_some_and(|by| by.topic == *topic))
        };
        let wanted: Vec<usize> = (0..ballot.len())
            .filter(|place| !answered.contains(place) && ballot.get(*place).is_some_and(is_wanted))
            .collect();
        let fresh: Vec<usize> = wanted.iter().copied().filter(|place| !skipped.contains(place)).collect();
        let open = if fresh.is_empty() { &wanted } else { &fresh };
        let known = self.priorities(&ledger, poll).await?;
        let meta = ledger.meta_items(round.id);
        let weight = |place: &usize| {
            let earlier = ballot.get(*place).and_then(|item| known.get(item)).copied();
            earlier.unwrap_or_else(|| fresh_priority(meta.get(*place) == Some(&true)))
        };
        let weights: Vec<f64> = open.iter().map(weight).collect();
        let chosen = draw(&weights, self.ticket(round.id, answered.len() + skipped.len()));
        let chosen = chosen.and_then(|at| open.get(at)).and_then(|place| Some((place + 1, *ballot.get(*place)?)));
        Ok(view::Next {
            item: chosen.map(|chosen| item_view(&ledger, poll, chosen, &voted)),
            answered: answered.len(),
            left: wanted.len(),
            closes_at: round.manifest.as_ref().map(|manifest| manifest.deadline.as_millis()),
        })
    }

    /// A number in [0, 1) that nobody else can know, the same for the same step of the same round.
    fn ticket(&self, round: RoundId, step: usize) -> f64 {
        let step = u64::try_from(step).unwrap_or(u64::MAX).to_be_bytes();
        let digest = hash::content(&[&self.order[..], round.as_ref(), &step].concat());
        let high = digest.first_chunk::<4>().copied().unwrap_or_default();
        f64::from(u32::from_be_bytes(high)) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns the priority of each item that an earlier round of the poll asked: by its latest tally.
    async fn priorities(&self, ledger: &Ledger, poll: PollId) -> Result<BTreeMap<BlobId, f64>, ApiError> {
        let finished = finished_rounds(ledger, poll);
        let mut known = BTreeMap::new();
        for (round, result) in finished {
            // What is finished never changes.
            if let Some(found) = self.ranked().get(&round) {
                known.extend(found.iter().copied());
                continue;
            }
            let Some(finished) = self.result_of(round, result).await? else { continue };
            let report = finished.report();
            let findings = report.findings(&ledger.meta_items(round));
            let priorities = findings.map(|findings| findings.priorities).unwrap_or_default();
            let found: Vec<(BlobId, f64)> = report.items.iter().copied().zip(priorities).collect();
            known.extend(found.iter().copied());
            let mut ranked = self.ranked();
            if ranked.len() >= MOST_RANKED {
                ranked.clear();
            }
            ranked.insert(round, found);
        }
        Ok(known)
    }

    fn ranked(&self) -> MutexGuard<'_, Ranked> {
        // A panic cannot leave the map half changed.
        self.ranked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reports of a poll's finished rounds, the latest last. One that cannot be had is left out.
    pub(super) async fn reports(
        &self,
        ledger: &Ledger,
        poll: PollId,
    ) -> Result<Vec<(RoundId, Arc<Finished>)>, ApiError> {
        let mut reports = Vec::new();
        for (round, result) in finished_rounds(ledger, poll) {
            reports.extend(self.result_of(round, result).await?.map(|finished| (round, finished)));
        }
        Ok(reports)
    }

    /// Returns the report of a round; `None` if nobody has it at hand.
    async fn result_of(&self, round: RoundId, result: BlobId) -> Result<Option<Arc<Finished>>, ApiError> {
        match self.finished_result(result).await {
            Ok(finished) => Ok(Some(finished)),
            Err(error) if error.kind == Kind::Unavailable => {
                tracing::debug!(%round, "the result of an earlier round cannot be had");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the items of a poll that say nearly the same as a text, the nearest first.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if there is no such poll.
    pub async fn similar(&self, reference: &str, asked: view::AskSimilar) -> Result<Vec<view::Similar>, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        Ok(similar_to(&ledger, poll, &[view::NewItem { text: asked.text, ..view::NewItem::default() }]))
    }

    /// Returns the person's own votes in the latest round of a poll, and what has become of their statements.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if there is no such poll.
    pub async fn mine(&self, reference: &str) -> Result<view::Mine, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let record = ledger.polls().get(&poll).ok_or_else(|| ApiError::coded(Code::NoPoll, "there is no such poll"))?;
        let round = latest_round(&ledger, poll);
        let voted = round.map(|round| self.own_votes(round.id)).unwrap_or_default();
        let texts: BTreeMap<BlobId, &String> = record.items.iter().map(|(id, text, _)| (*id, text)).collect();
        let vote = |(number, item): (usize, BlobId)| {
            let text = texts.get(&item).map(|text| (*text).clone()).unwrap_or_default();
            Some(view::MyVote { number, item, text, choice: *voted.get(&item)? })
        };
        let votes = (1..).zip(numbered(&ledger, poll)).filter_map(vote).collect();
        let reports = self.reports(&ledger, poll).await?;
        // Each tag is a group element to compute.
        let has_anonymous = record.items.iter().any(|(_, _, by)| matches!(by, Proposer::Anonymous(_)));
        let tags = if has_anonymous { self.own_tags(&ledger, poll) } else { Vec::new() };
        let key = self.person().ok().map(|person| person.key.public());
        let statement = |(item, text, by): &(BlobId, String, Proposer)| {
            let open = match by {
                Proposer::Key(by) if Some(*by) == key => true,
                Proposer::Anonymous(tag) if tags.contains(tag) => false,
                Proposer::Key(_) | Proposer::Anonymous(_) => return None,
            };
            let state = ledger.item_state(poll, item)?;
            let (fate, asked, constitution) = fate(&ledger, &reports, (poll, item), state);
            let words = latest_words(&ledger, poll, item);
            Some(view::MyStatement { item: *item, text: text.clone(), open, fate, words, round: asked, constitution })
        };
        Ok(view::Mine {
            poll,
            changeable: round.is_some_and(|round| round.state() == RoundState::Open),
            closes_at: round.and_then(|round| round.manifest.as_ref()).map(|manifest| manifest.deadline.as_millis()),
            votes,
            statements: record.items.iter().filter_map(statement).collect(),
        })
    }

    /// The tags of the person's anonymous proposals for a poll; nobody else can tell them from others.
    fn own_tags(&self, ledger: &Ledger, poll: PollId) -> Vec<chorus_crypto::credential::Tag> {
        let snapshot = ledger.polls().get(&poll).map(|poll| &poll.snapshot);
        let leaf = self.person().ok().zip(snapshot).and_then(|(person, of)| person.vault.in_snapshot(of));
        let Some(leaf) = leaf else { return Vec::new() };
        // All that there ever can be: rules may have become narrower since.
        let scopes = (0..chorus_protocol::limits::MAX_ANONYMOUS_PROPOSALS)
            .filter_map(|number| ledger.proposal_scope(poll, number));
        scopes.map(|scope| leaf.tag(&scope)).collect()
    }
}

/// Returns the finished rounds of a poll with their results, the latest last.
fn finished_rounds(ledger: &Ledger, poll: PollId) -> Vec<(RoundId, BlobId)> {
    let rounds = ledger.polls().get(&poll).map(|poll| poll.rounds.as_slice()).unwrap_or_default();
    let result = |round: &RoundId| Some((*round, ledger.rounds().get(round)?.agreed_result()?.result));
    rounds.iter().filter_map(result).collect()
}

/// Returns what has become of an item, the latest round that asked it, and the constitution that has it.
fn fate(
    ledger: &Ledger,
    reports: &[(RoundId, Arc<Finished>)],
    (poll, item): (PollId, &BlobId),
    state: ItemState,
) -> (view::Fate, Option<u32>, Option<u32>) {
    let rounds = ledger.polls().get(&poll).map(|poll| poll.rounds.as_slice()).unwrap_or_default();
    let asking = rounds.iter().rev().filter_map(|round| ledger.rounds().get(round).map(AsRef::as_ref));
    let latest: Option<&RoundRecord> = { asking }.find(|round| round.plan.items().contains(item));
    let Some(round) = latest else {
        let fate = match (state.is_asked, state.standing) {
            (true, _) => view::Fate::NextRound,
            (false, chorus_protocol::ledger::ItemStanding::Rejected) => view::Fate::Rejected,
            (false, _) => view::Fate::Waiting,
        };
        return (fate, None, None);
    };
    let finished = reports.iter().find(|(id, _)| *id == round.id).map(|(_, finished)| finished);
    let Some(finished) = finished else { return (view::Fate::Asked, Some(round.ordinal), None) };
    let report = finished.report();
    let constitution = finished.constitution(ledger).filter(|constitution| {
        let named = constitution.principles.iter().filter_map(|by| report.items.get(usize::try_from(by.item).ok()?));
        { named }.any(|principle| principle == item)
    });
    let version = constitution.map(|constitution| constitution.preamble.version);
    let fate = if version.is_some() { view::Fate::Principle } else { view::Fate::Counted };
    (fate, Some(round.ordinal), version)
}

/// Returns the items of a poll that say nearly the same as one of some texts, the nearest first.
pub(super) fn similar_to(ledger: &Ledger, poll: PollId, texts: &[view::NewItem]) -> Vec<view::Similar> {
    let items = ledger.polls().get(&poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
    let text = |id: &BlobId| items.iter().find(|(known, _, _)| known == id).map(|(_, text, _)| text.clone());
    let of_text = |new: &view::NewItem| similar(&new.text, items.iter().map(|(id, text, _)| (*id, text.as_str())));
    let mut found: Vec<view::Similar> = Vec::new();
    for one in texts.iter().flat_map(of_text) {
        if found.iter().any(|known| known.id == one.item) {
            continue;
        }
        found.push(view::Similar {
            id: one.item,
            text: text(&one.item).unwrap_or_default(),
            same: one.score >= 1.0,
            score: one.score,
            state: ledger
                .item_state(poll, &one.item)
                .map_or(view::ModerationState::Undecided, |state| state.standing.into()),
        });
    }
    found
}
