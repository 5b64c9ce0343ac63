//! `chorus value vote` and `chorus value wiser`.

use std::{collections::BTreeMap, time::Duration};

use chorus_protocol::deliberation::moral_graph::ValuesCard;
use clap::Args;

use super::super::{
    Failure, Global,
    client::{Client, query},
    output::Lines,
    values,
    vote::send,
};
use super::{card_lines, poll_of};
use crate::api::view::{self, Choice};

#[derive(Args)]
pub(in crate::cli) struct Ballot {
    /// The poll: its id or the beginning of it, or - for the only one of its kind.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// What you say: a number (see `chorus poll list POLL`), a card's title or the beginning of an id; and yes, no or unsure.
    /// What you said in this round before still counts where you say nothing now.
    #[arg(value_name = "ITEM=yes|no|unsure", value_parser = answer)]
    votes: Vec<(String, Choice)>,
    /// Forget what you said in this round before.
    #[arg(long)]
    only: bool,
    /// Show that this ballot is yours; how you vote stays secret. Refused while your level is anonymous.
    #[arg(long)]
    open: bool,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

/// Shows no vote.
impl core::fmt::Debug for Ballot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ballot").field("poll", &self.poll).finish_non_exhaustive()
    }
}

/// Reads `ITEM=yes`, from the end: a title may hold =.
pub(in crate::cli) fn answer(text: &str) -> Result<(String, Choice), String> {
    let form = "an answer is ITEM=yes, ITEM=no or ITEM=unsure, as in 1=yes";
    let (item, said) = text.rsplit_once('=').ok_or(form)?;
    let choice = match said.trim().to_ascii_lowercase().as_str() {
        "yes" => Choice::Agree,
        "no" => Choice::Disagree,
        "unsure" => Choice::Pass,
        _ => return Err(form.into()),
    };
    Ok((item.trim().to_owned(), choice))
}

impl Ballot {
    pub(super) fn carry_out(self, client: &Client, global: &Global, kind: view::Asks) -> anyhow::Result<()> {
        let poll = poll_of(client, &self.poll, kind)?;
        if self.votes.is_empty() {
            let next: view::NextValues = client.get(&format!("/values/next{}", query(&[("poll", Some(poll))])))?;
            return global.output().print(&next, shown);
        }
        let poll: view::Poll = client.get(&format!("/polls/{poll}"))?;
        if poll.kind != kind {
            let other = if kind == view::Asks::Value { "value" } else { "transition" };
            return Err(Failure::Usage(format!("that is no {other} poll: see `chorus poll list`")).into());
        }
        let mut votes: BTreeMap<usize, Choice> = BTreeMap::new();
        if !self.only {
            let before = poll.items.iter().filter(|item| item.on_ballot);
            votes.extend(before.filter_map(|item| Some((item.number, item.own?))));
        }
        for (reference, choice) in &self.votes {
            votes.insert(find(&poll.items, reference)?, *choice);
        }
        let votes = votes.into_iter().map(|(number, choice)| (number.to_string(), choice)).collect();
        let (open, wait_seconds) = (self.open, Some(self.wait.as_secs()));
        let asked = view::CastVote { votes, on_map: None, open, hide_class: false, wait_seconds };
        send(global, &format!("/polls/{}/vote", poll.id), &asked, self.wait)
    }
}

/// Finds an item by its number, the beginning of its id, or its card's title.
fn find(items: &[view::Item], reference: &str) -> Result<usize, Failure> {
    let title = |item: &view::Item| ValuesCard::from_text(&item.text).ok().map(|card| card.title().to_lowercase());
    let wanted = reference.to_lowercase();
    let is_it = |item: &&view::Item| {
        item.number.to_string() == reference
            || reference.len() >= 6 && item.id.to_string().starts_with(&wanted)
            || title(item).is_some_and(|title| title == wanted)
    };
    let mut matching = items.iter().filter(is_it);
    match (matching.next(), matching.next()) {
        (Some(item), None) if item.on_ballot => Ok(item.number),
        (Some(_), None) => Err(Failure::Usage(format!("{reference:?} is not on the ballot before the next round"))),
        (None, _) => Err(Failure::Usage(format!("there is no {reference:?} in the poll: see `chorus poll list`"))),
        (Some(_), Some(_)) => Err(Failure::Usage(format!("several items are called {reference:?}: give a number"))),
    }
}

/// What to look at next.
fn shown(next: &view::NextValues) -> String {
    let mut lines = Lines::default();
    for card in &next.cards {
        let number = card.number.unwrap_or_default();
        lines.line(format!("{number:>4}  {}", card.card.title));
        card_lines(&mut lines, "      ", &card.card);
    }
    for transition in &next.transitions {
        let number = transition.number.unwrap_or_default();
        lines.line(format!("{number:>4}  {}", transition.context));
        if !transition.story.is_empty() {
            lines.line(format!("      {}", transition.story));
        }
        for (what, card) in [("from", &transition.from.card), ("to", &transition.to.card)] {
            lines.line(format!("      {what}: {}", card.title));
            card_lines(&mut lines, "        ", card);
        }
        lines.line("      Has whoever moved become wiser?");
    }
    let what = if next.kind == view::Asks::Value { "vote" } else { "wiser" };
    if next.cards.is_empty() && next.transitions.is_empty() {
        lines.line("There is nothing that you have not voted on.");
    } else {
        lines.line("").line(format!("Say what you think: `chorus value {what} POLL NUMBER=yes|no|unsure …`."));
    }
    lines.finish()
}
