//! The diary: the person's own votes and value cards.

use std::collections::BTreeMap;

use chorus_protocol::id::{BlobId, RoundId};

use super::{ApiError, Service, view};
use crate::api::Code;
use crate::diary::{self, Entries, OwnBallot, ValueCard};

impl Service {
    /// Returns what is kept of the person's own votes, with the texts, the latest last, and their value cards.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Configuration`](super::Kind::Configuration) if the diary is damaged.
    pub async fn diary(&self) -> Result<view::Diary, ApiError> {
        let kept = self.settings()?.diary.is_on();
        let Entries { ballots, cards, .. } = if kept { self.diary.read()? } else { Entries::default() };
        let ledger = self.ledger().await?;
        let mut votes = Vec::new();
        let mut ballots: Vec<(RoundId, OwnBallot)> = ballots.into_iter().collect();
        ballots.sort_by_key(|(round, _)| ledger.rounds().get(round).map_or(0, |round| round.ordinal));
        for (round, ballot) in ballots {
            let Some(poll) = ledger.polls().get(&ballot.poll) else { continue };
            for (item, text, _) in &poll.items {
                if let Some(choice) = ballot.votes.get(item).copied() {
                    let (poll, item, text) = (ballot.poll, *item, text.clone());
                    votes.push(view::OwnVote { round, poll, item, text, choice });
                }
            }
        }
        Ok(view::Diary { kept, votes, cards })
    }

    /// Adds a value card, in the place of one with the same title.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if no diary is kept.
    pub async fn add_card(&self, card: ValueCard) -> Result<view::Diary, ApiError> {
        self.kept()?;
        self.diary.add_card(card)?;
        self.diary().await
    }

    /// Removes the value card of a title.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if there is none.
    pub async fn remove_card(&self, asked: view::RemoveCard) -> Result<view::Diary, ApiError> {
        self.kept()?;
        if !self.diary.remove_card(&asked.title)? {
            return Err(ApiError::coded(Code::NoCard, format!("there is no value card {:?}", asked.title)));
        }
        self.diary().await
    }

    /// Writes down what is being sent, if the person wants that. A ballot is not held back by a diary that cannot be written.
    pub(super) fn note(&self, round: RoundId, ballot: OwnBallot) {
        let noted = || -> Result<(), ApiError> {
            if self.settings()?.diary.is_on() {
                self.diary.note(round, ballot)?;
            }
            // Whoever has switched it off meanwhile wants nothing of it to be left.
            if !self.settings()?.diary.is_on() {
                diary::delete(&self.dir.diary())?;
            }
            Ok(())
        };
        if let Err(error) = noted() {
            tracing::warn!(%error, "the diary cannot be written");
        }
    }

    /// Returns the person's own ballots, as far as they are written down.
    pub(super) fn own_ballots(&self) -> BTreeMap<RoundId, OwnBallot> {
        let entries = self.settings().is_ok_and(|settings| settings.diary.is_on()).then(|| self.diary.read());
        entries.and_then(Result::ok).unwrap_or_default().ballots
    }

    /// Returns how the person voted in a round, as far as that is written down.
    pub(super) fn own_votes(&self, round: RoundId) -> BTreeMap<BlobId, view::Choice> {
        self.own_ballots().remove(&round).map(|ballot| ballot.votes).unwrap_or_default()
    }

    pub(super) fn kept(&self) -> Result<(), ApiError> {
        let kept = self.settings()?.diary.is_on();
        kept.then_some(())
            .ok_or_else(|| ApiError::coded(Code::NoDiary, "your diary is off: see `chorus config set diary on`"))
    }
}
