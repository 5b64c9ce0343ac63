//! Who votes, and how: a synthetic population drawn from a seed, or the people of a Polis conversation.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, ensure};
use chorus_crypto::ballot::Vote;
use chorus_protocol::{deliberation::tally, limits};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;

use super::{
    community::generator,
    principles::{NAME, PRINCIPLES, PURPOSE, Principle, QUESTION},
};
use crate::polis::Conversation;

/// What the community is, what it votes on, and what everybody wants to say.
#[derive(Clone, Debug)]
pub(super) struct Population {
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) question: String,
    /// The texts of the items.
    pub(super) items: Vec<String>,
    /// One ballot for each person.
    pub(super) ballots: Vec<Vec<Vote>>,
}

impl Population {
    /// Draws `people` people in two camps, of which the first has five in nine.
    pub(super) fn synthetic(seed: u64, people: usize, items: usize) -> anyhow::Result<Self> {
        ensure!(items > 0 && items <= PRINCIPLES.len(), "between 1 and {} items are there", PRINCIPLES.len());
        let principles = &PRINCIPLES[..items];
        let ballots = (0..people).map(|person| {
            let mut rng = generator(seed, "votes", person);
            let is_wary = person % 9 < 5;
            principles.iter().map(|principle| vote(principle, is_wary, &mut rng)).collect()
        });
        Ok(Self {
            name: NAME.to_owned(),
            purpose: PURPOSE.to_owned(),
            question: QUESTION.to_owned(),
            items: principles.iter().map(|principle| principle.text.to_owned()).collect(),
            ballots: ballots.collect(),
        })
    }

    /// Takes the statements that the moderators kept, and everybody who voted on one of them.
    pub(super) fn polis(folder: &Path, people: Option<usize>, items: Option<usize>) -> anyhow::Result<Self> {
        let conversation = Conversation::read(folder)?;
        let mut texts = BTreeSet::new();
        let usable = |index: &usize| {
            let statement = &conversation.statements[*index];
            let text = statement.text.trim();
            let fits = !text.is_empty() && statement.text.len() <= limits::MAX_STATEMENT_BYTES;
            !statement.is_hidden() && fits && texts.insert(statement.text.clone())
        };
        let kept: Vec<usize> = (0..conversation.statements.len())
            .filter(usable)
            .take(items.unwrap_or(limits::MAX_ITEMS).min(limits::MAX_ITEMS))
            .collect();
        ensure!(!kept.is_empty(), "the conversation has no statement that its moderators kept");
        let ballot = |row: &Vec<Option<tally::Vote>>| kept.iter().map(|index| cast(row[*index])).collect::<Vec<_>>();
        let ballots: Vec<Vec<Vote>> = conversation
            .matrix
            .rows()
            .iter()
            .map(ballot)
            .filter(|ballot| ballot.iter().any(|vote| *vote != Vote::Unseen))
            .take(people.unwrap_or(usize::MAX))
            .collect();
        let topic = conversation.summary.get("topic").filter(|topic| !topic.trim().is_empty());
        let topic = topic.context("the conversation has no topic")?.clone();
        Ok(Self {
            name: cut(&topic, limits::MAX_TEXT_BYTES),
            purpose: format!("A replay of a public conversation of {} people", ballots.len()),
            question: cut(&topic, limits::MAX_TEXT_BYTES),
            items: kept.iter().map(|index| conversation.statements[*index].text.clone()).collect(),
            ballots,
        })
    }
}

/// How one person of a camp votes: some have not seen a statement, some have no opinion.
fn vote(principle: &Principle, is_wary: bool, rng: &mut ChaCha20Rng) -> Vote {
    let agree = if is_wary { principle.wary } else { principle.keen };
    let mut percent = || rng.next_u32() % 100;
    match percent() {
        ..8 => Vote::Unseen,
        8..13 => Vote::Pass,
        _ if percent() < agree => Vote::Agree,
        _ => Vote::Disagree,
    }
}

const fn cast(vote: Option<tally::Vote>) -> Vote {
    match vote {
        None => Vote::Unseen,
        Some(tally::Vote::Agree) => Vote::Agree,
        Some(tally::Vote::Disagree) => Vote::Disagree,
        Some(tally::Vote::Pass) => Vote::Pass,
    }
}

/// Returns the longest beginning of a text that has at most so many bytes.
fn cut(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_people_and_more_people_change_nobody() {
        let some = Population::synthetic(7, 10, 24).expect("24 items");
        let more = Population::synthetic(7, 20, 24).expect("24 items");

        assert_eq!(some.ballots, more.ballots[..10]);
        assert_ne!(some.ballots, Population::synthetic(8, 10, 24).expect("24 items").ballots);
        assert!(Population::synthetic(7, 10, 25).is_err());
    }

    #[test]
    fn no_statement_is_written_twice() {
        let texts: BTreeSet<_> = PRINCIPLES.iter().map(|principle| principle.text).collect();

        assert_eq!(texts.len(), PRINCIPLES.len());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("Hörn", 2), "H");
        assert_eq!(cut("Hörn", 3), "Hö");
        assert_eq!(cut("Hörn", 30), "Hörn");
    }
}
