//! Voting: one contribution at a time, kept on disk before it is sent.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chorus_crypto::{
    ballot::Vote,
    credential::{Leaf, Tag},
};
use chorus_protocol::{
    contribution::{ContributeError, Contributor, Level, Submission},
    id::{BlobId, PollId, RoundId},
    ledger::{Ledger, RoundRecord},
    limits,
    peer::Command,
};

use zeroize::Zeroizing;

use super::{ApiError, Kind, Service, find_poll, latest_round, view, wait};
use crate::api::Code;
use crate::{
    diary::OwnBallot,
    participation::{Action, check, usually_on_map},
};

/// How somebody speaks in a round.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) level: Level,
    pub(super) on_map: bool,
    pub(super) show_class: bool,
}

/// What somebody wants to say in a round.
pub(super) enum Wish {
    /// These votes and nothing on the other items.
    Votes(BTreeMap<usize, view::Choice>),
    /// This delta, in units of the series.
    Delta(Zeroizing<Vec<i32>>),
    /// Nothing any more.
    Withdraw,
}

impl Wish {
    /// Returns what is written down of it: the votes.
    fn to_note(&self, record: &RoundRecord) -> Option<OwnBallot> {
        let (poll, items) = (record.plan.ballots()?.poll, record.plan.items());
        let votes = match self {
            Self::Votes(votes) => {
                votes.iter().filter_map(|(item, choice)| Some((*items.get(*item)?, *choice))).collect()
            }
            Self::Withdraw => BTreeMap::new(),
            Self::Delta(_) => return None,
        };
        Some(OwnBallot { poll, votes })
    }
}

impl Service {
    /// Casts a ballot in the latest round of a poll. It replaces the person's earlier one wholly.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the round does not take it, and [`Kind::TimedOut`] if it is not on the log in time;
    /// it is then sent until it is, over restarts of the node too.
    pub async fn vote(&self, reference: &str, asked: view::CastVote) -> Result<view::Cast, ApiError> {
        let wait = wait(asked.wait_seconds);
        let (ledger, round) = self.open_round(reference, wait).await?;
        let record = ledger.rounds().get(&round).ok_or_else(not_open)?;
        let mut votes = BTreeMap::new();
        for (item, choice) in &asked.votes {
            if votes.insert(find_item(record.plan.items(), item)?, *choice).is_some() {
                return Err(ApiError::coded(Code::Twice, format!("item {item} stands twice")));
            }
        }
        if votes.is_empty() {
            return Err(ApiError::coded(
                Code::NoVotes,
                "there is no vote: give ITEM=agree|disagree|pass, or a --ballot file",
            ));
        }
        let settings = self.settings()?;
        let level = if asked.open { Level::Open } else { settings.level };
        check(&settings, Action::Ballot(level))?;
        let on_map = asked.on_map.unwrap_or(usually_on_map(level));
        let manner = Manner { level, on_map, show_class: !asked.hide_class };
        let (count, items) = (votes.len(), record.plan.items().len());
        let (own, shows) = self.cast(round, Wish::Votes(votes), manner, wait).await?;
        Ok(view::Cast { round, own, votes: count, items, shows })
    }

    /// Takes the person's contribution to the latest round of a poll back.
    ///
    /// # Errors
    ///
    /// As [`vote`](Self::vote); and [`Kind::Refused`] if there is none.
    pub async fn withdraw(&self, reference: &str, asked: view::Withdraw) -> Result<view::Cast, ApiError> {
        let wait = wait(asked.wait_seconds);
        let (ledger, round) = self.open_round(reference, wait).await?;
        let own = ledger.rounds().get(&round).and_then(|round| self.own(round));
        if own.is_none_or(|own| own.withdrawal) {
            return Err(ApiError::coded(Code::NothingToWithdraw, "there is no contribution of yours to withdraw"));
        }
        let items = ledger.rounds().get(&round).map_or(0, |round| round.plan.items().len());
        let manner = Manner { level: self.settings()?.level, on_map: false, show_class: false };
        let (own, shows) = self.cast(round, Wish::Withdraw, manner, wait).await?;
        Ok(view::Cast { round, own, votes: 0, items, shows })
    }

    /// Finds the latest round of a poll, waiting while the operators prepare it.
    async fn open_round(&self, reference: &str, wait: Duration) -> Result<(Ledger, RoundId), ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let round = latest_round(&ledger, poll).ok_or_else(|| {
            ApiError::coded(Code::NotBegun, "voting has not begun: items are being collected (an operator begins it)")
        })?;
        let id = round.id;
        self.opened(ledger, id, wait).await
    }

    /// Waits while the operators prepare a round.
    pub(super) async fn opened(
        &self,
        ledger: Ledger,
        id: RoundId,
        wait: Duration,
    ) -> Result<(Ledger, RoundId), ApiError> {
        let round = ledger.rounds().get(&id).filter(|round| round.sealed.is_none()).ok_or_else(not_open)?;
        if round.manifest.is_some() {
            return Ok((ledger, id));
        }
        let ready = move |peer: &chorus_protocol::peer::Peer| {
            peer.ledger().rounds().get(&id).is_some_and(|round| round.manifest.is_some())
        };
        self.until(ready, wait).await?;
        Ok((self.ledger().await?, id))
    }

    /// Makes a contribution, keeps it, sends it, and waits until it is on the log.
    ///
    /// # Correctness
    ///
    /// No sequence number is taken twice: contributions are made one at a time, and what is kept is looked at before the
    /// ledger. A contribution that is no longer kept then is on the log that is looked at afterwards.
    pub(super) async fn cast(
        &self,
        id: RoundId,
        wish: Wish,
        manner: Manner,
        wait: Duration,
    ) -> Result<(view::Own, view::Shows), ApiError> {
        let person = self.person()?.clone();
        let turn = self.ballots.turn().await;
        let kept = self.ballots.latest(id).map(|(sequence, _)| sequence);
        let ledger = self.ledger().await?;
        let round = ledger.rounds().get(&id).filter(|round| round.sealed.is_none()).ok_or_else(not_open)?;
        let manifest = round.manifest.as_ref().ok_or_else(not_open)?;
        let leaf = person
            .vault
            .for_snapshot(&ledger, &person.key.public(), &manifest.snapshot)
            .map_err(|why| super::people::no_leaf(&ledger, &person.key.public(), why))?;
        let tag = leaf.tag(&manifest.scope);
        let logged = round.contributions.get(&tag).and_then(|attempts| attempts.keys().next_back().copied());
        let sequence = logged.max(kept).map_or(0, |last| last.saturating_add(1));
        if sequence > limits::MAX_SEQUENCE {
            return Err(ContributeError::Sequence.into());
        }
        let (withdrawal, note) = (matches!(wish, Wish::Withdraw), wish.to_note(round));
        let own_leaf = leaf.leaf();
        let mut rng = self.randomness.generator("contribution", &[&id.as_ref()[..], &[sequence]].concat());
        let make = move || -> Result<Submission, ContributeError> {
            let round = ledger.rounds().get(&id).ok_or(ContributeError::NotOpen)?;
            let Manner { level, on_map, show_class } = manner;
            let contributor = Contributor { leaf: &leaf, sequence, level, on_map, show_class };
            match wish {
                Wish::Votes(votes) => contributor.cast(&ledger, round, &ballot(round, &votes), &mut rng),
                Wish::Delta(entries) => contributor.contribute(&ledger, round, &entries, &mut rng),
                Wish::Withdraw => contributor.withdraw(&ledger, round, &mut rng),
            }
        };
        let submission = tokio::task::spawn_blocking(make)
            .await
            .map_err(|_| ApiError::new(Kind::Internal, "the contribution could not be made"))??;
        self.ballots.keep(id, sequence, withdrawal, &submission)?;
        if let Some(note) = note {
            self.note(id, note);
        }
        drop(turn);
        self.node.command(Command::Contribute(submission)).await?;
        let settled = move |peer: &chorus_protocol::peer::Peer| {
            let Some(round) = peer.ledger().rounds().get(&id) else { return false };
            round.sealed.is_some() || has(round, &tag, sequence)
        };
        self.until(settled, wait).await?;
        let on_log = self
            .node
            .view(move |peer| peer.ledger().rounds().get(&id).is_some_and(|round| has(round, &tag, sequence)))
            .await?;
        if !on_log {
            return Err(ApiError::coded(
                Code::Over,
                "the round ended before your contribution came onto the log: it does not count",
            ));
        }
        let shows = self.shows(id, tag, (sequence, manner.level), &own_leaf).await?;
        Ok((view::Own { sequence, on_log, withdrawal }, shows))
    }

    /// Returns what a contribution on the log shows of the person.
    async fn shows(
        &self,
        id: RoundId,
        tag: Tag,
        (sequence, level): (u8, Level),
        leaf: &Leaf,
    ) -> Result<view::Shows, ApiError> {
        let ledger = self.ledger().await?;
        let round = ledger.rounds().get(&id).ok_or_else(not_open)?;
        let manifest = round.manifest.as_ref().ok_or_else(not_open)?;
        let attempt = round.contributions.get(&tag).and_then(|attempts| attempts.get(&sequence));
        let header = attempt.map(|attempt| &attempt.header).ok_or_else(not_open)?;
        let cohort = manifest.snapshot.cohort_of(leaf).and_then(|cohort| usize::try_from(cohort).ok());
        let cohort = cohort.and_then(|cohort| manifest.snapshot.cohorts().get(cohort));
        let group = manifest.class(header.class).and_then(|class| class.group.as_ref());
        let class =
            round.plan.classes.as_ref().map(|plan| super::classes::name_of(&ledger, &plan.source, header.class));
        let among = match (level, group) {
            (Level::Open, _) => 1,
            (Level::Anonymous, Some((_, ring))) => ring.len(),
            (Level::Anonymous, None) => cohort.map_or(0, |cohort| cohort.len()),
        };
        Ok(view::Shows { level, among, on_map: header.on_map, class })
    }

    /// Waits until the latest round of a poll is finished.
    pub(super) async fn finished(&self, poll: PollId, wait: Duration) -> Result<(), ApiError> {
        let done = move |peer: &chorus_protocol::peer::Peer| {
            latest_round(peer.ledger(), poll).is_some_and(|round| round.agreed_result().is_some())
        };
        if self.node.wait_until(done, wait).await? {
            return Ok(());
        }
        Err(ApiError::new(
            Kind::TimedOut,
            format!(
                "there is no result yet after {} s: ask again with a longer --wait, nothing is lost",
                wait.as_secs()
            ),
        ))
    }
}

fn has(round: &RoundRecord, tag: &Tag, sequence: u8) -> bool {
    round.contributions.get(tag).is_some_and(|attempts| attempts.contains_key(&sequence))
}

fn not_open() -> ApiError {
    ApiError::coded(Code::Over, "the round is over: see `chorus result`, and `chorus adapter list` for adapters")
}

/// Returns the votes in ballot order.
fn ballot(round: &RoundRecord, votes: &BTreeMap<usize, view::Choice>) -> Vec<Vote> {
    let vote = |item: usize| match votes.get(&item) {
        None => Vote::Unseen,
        Some(view::Choice::Agree) => Vote::Agree,
        Some(view::Choice::Disagree) => Vote::Disagree,
        Some(view::Choice::Pass) => Vote::Pass,
    };
    (0..round.plan.items().len()).map(vote).collect()
}

/// Finds an item by its number on the ballot or the beginning of its id (at least 6 digits).
pub(super) fn find_item(items: &[BlobId], reference: &str) -> Result<usize, ApiError> {
    if reference.len() < 6 {
        let number = reference.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        return number.filter(|number| *number < items.len()).ok_or_else(|| {
            ApiError::coded(Code::NoItem, format!("{reference:?} is no item: the ballot has 1 to {}", items.len()))
        });
    }
    let matching: Vec<usize> =
        items.iter().enumerate().filter(|(_, id)| id.to_string().starts_with(reference)).map(|(at, _)| at).collect();
    match matching.as_slice() {
        [item] => Ok(*item),
        [] => Err(ApiError::coded(Code::NoItem, format!("no item begins with {reference:?}"))),
        [_, _, ..] => Err(ApiError::coded(Code::Ambiguous, format!("several items begin with {reference:?}"))),
    }
}

/// Returns how far off a moment is, in words.
pub(super) fn until(millis: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    super::remaining(Duration::from_millis(millis).saturating_sub(now))
}
