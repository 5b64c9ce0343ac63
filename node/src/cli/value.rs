//! `chorus value`: articulating what one values, proposing it, voting on values, and what operators say of them.

mod articulate;
mod ballot;

use std::time::Duration;

use clap::Subcommand;

use super::{
    Failure, Global,
    client::{Client, query},
    output::{Lines, short},
    values,
};
use crate::{api::view, diary::ValueCard};

#[derive(Debug, Subcommand)]
pub(super) enum Value {
    /// Find words for something that you value: questions lead to a card. Until you propose it, everything stays here.
    Articulate(articulate::Articulate),
    /// Propose one of your cards to a value poll. At the anonymous level nobody learns that it is yours.
    Propose {
        /// The value poll: its id or the beginning of it, or - for the only one.
        #[arg(value_parser = values::poll)]
        poll: String,
        /// The card's title, as `chorus adapter card list` shows it.
        title: String,
        /// Show that the card is yours. Refused while your level is anonymous.
        #[arg(long)]
        open: bool,
        /// How long to wait for the log.
        #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
        wait: Duration,
    },
    /// List the community's values cards, those of one poll or all.
    List {
        /// The value poll: its id or the beginning of it, or - for the only one.
        #[arg(value_parser = values::poll)]
        poll: Option<String>,
    },
    /// Say which values are wise ones to hold in a poll's case; without votes, show which to look at next.
    Vote(ballot::Ballot),
    /// Say whether somebody became wiser who moved from one value to another; without votes, show which to look at next.
    Wiser(ballot::Ballot),
    /// Show pairs of cards that may mean the same (for operators to read).
    Similar,
    /// State that a card means the same as another, which stands for both from now on (operators).
    Merge {
        /// The card: its title, its id, or the beginning of that.
        card: String,
        /// The card that stands for it.
        into: String,
        /// Why; everybody can read it.
        #[arg(long)]
        reason: String,
    },
    /// State that a card stands for itself, in place of a merge (operators).
    Canonical {
        /// The card: its title, its id, or the beginning of that.
        card: String,
        /// Why; everybody can read it.
        #[arg(long)]
        reason: String,
    },
}

impl Value {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        match self {
            Self::Articulate(command) => command.carry_out(&client, global),
            Self::Propose { poll, title, open, wait } => {
                let poll = poll_of(&client, &poll, view::Asks::Value)?;
                let text = own_card(&client, &title)?;
                let wait_seconds = Some(wait.as_secs());
                let asked = view::Propose { items: vec![text], open, as_operator: false, wait_seconds };
                let waiting = output.waiting("waiting for the log");
                let proposed: view::Proposed = client.post(&format!("/polls/{poll}/items"), &asked, wait)?;
                drop(waiting);
                output.print(&proposed, super::poll::proposal)
            }
            Self::List { poll } => {
                let poll = poll.map(|poll| poll_of(&client, &poll, view::Asks::Value)).transpose()?;
                let cards: Vec<view::CardView> = client.get(&format!("/values/cards{}", query(&[("poll", poll)])))?;
                output.print(&cards, |cards| listed(cards))
            }
            Self::Vote(ballot) => ballot.carry_out(&client, global, view::Asks::Value),
            Self::Wiser(ballot) => ballot.carry_out(&client, global, view::Asks::Transition),
            Self::Similar => {
                let pairs: Vec<view::SimilarCards> = client.get("/values/similar")?;
                output.print(&pairs, |pairs| similar(pairs))
            }
            Self::Merge { card, into, reason } => state(&client, global, "merge", (card, Some(into), reason)),
            Self::Canonical { card, reason } => state(&client, global, "canonical", (card, None, reason)),
        }
    }
}

fn state(
    client: &Client,
    global: &Global,
    what: &str,
    (card, into, reason): (String, Option<String>, String),
) -> anyhow::Result<()> {
    let asked = view::AboutCard { card, into, reason, wait_seconds: None };
    let waiting = global.output().waiting("waiting for the log");
    let card: view::CardView = client.post(&format!("/values/{what}"), &asked, Duration::from_secs(30))?;
    drop(waiting);
    global.output().print(&card, |card| match card.into {
        Some(into) => format!("On the log: {} stands for \"{}\" from now on.", short(&into), card.card.title),
        None => format!("On the log: \"{}\" stands for itself.", card.card.title),
    })
}

/// Finds a poll of a kind; `-` is the only one of it.
fn poll_of(client: &Client, reference: &str, kind: view::Asks) -> anyhow::Result<String> {
    if reference != "-" {
        return Ok(reference.to_owned());
    }
    let polls: Vec<view::Poll> = client.get("/polls")?;
    let mut matching = polls.iter().filter(|poll| poll.kind == kind);
    match (matching.next(), matching.next()) {
        (Some(poll), None) => Ok(poll.id.to_string()),
        (None, _) => Err(Failure::Usage("there is no such poll: see `chorus poll list`".into()).into()),
        (Some(_), Some(_)) => {
            Err(Failure::Usage("there are several such polls: name one, see `chorus poll list`".into()).into())
        }
    }
}

/// Returns the text of one's own card with a title, as a poll has it.
fn own_card(client: &Client, title: &str) -> anyhow::Result<String> {
    let diary: view::Diary = client.get("/diary")?;
    let card = diary.cards.iter().find(|card| card.title == title);
    let card =
        card.ok_or_else(|| Failure::Usage(format!("you have no card {title:?}: see `chorus adapter card list`")))?;
    Ok(card.card().map_err(|error| Failure::Usage(format!("the card cannot be proposed: {error}")))?.text())
}

/// Writes a card down.
fn card_lines(lines: &mut Lines, indent: &str, card: &ValueCard) {
    lines.line(format!("{indent}{}", card.instruction));
    for policy in &card.policies {
        lines.line(format!("{indent}- {policy}"));
    }
}

fn listed(cards: &[view::CardView]) -> String {
    let mut lines = Lines::default();
    if cards.is_empty() {
        lines.line("No values card yet: `chorus value articulate` leads to one.");
    }
    for card in cards {
        let number = card.number.map_or_else(String::new, |number| number.to_string());
        lines.line(format!("{number:>4}  {}  {}", short(&card.id), card.card.title));
        card_lines(&mut lines, "      ", &card.card);
        if let Some(votes) = card.votes {
            lines.line(format!("      {} wise, {} not, {} unsure", votes.agree, votes.disagree, votes.pass));
        }
        if let (Some(into), Some(word)) = (&card.into, &card.word) {
            lines.line(format!("      means the same as {}: {}", short(into), word.reason));
        }
    }
    lines.finish()
}

fn similar(pairs: &[view::SimilarCards]) -> String {
    let mut lines = Lines::default();
    if pairs.is_empty() {
        lines.line("No two cards are near one another in their words.");
    }
    for pair in pairs {
        lines.line(format!("{:.2}", pair.near));
        for card in [&pair.one, &pair.other] {
            lines.line(format!("  {}  {}", short(&card.id), card.card.title));
            card_lines(&mut lines, "                ", &card.card);
        }
    }
    if !pairs.is_empty() {
        lines.line("").line("If two mean the same: `chorus value merge CARD INTO --reason WHY`.");
    }
    lines.finish()
}
