//! `chorus poll` and `chorus propose`.
//!
//! A poll collects items until an operator begins a round of voting over those proposed so far: `poll open` with a
//! question begins the poll, `poll open POLL --vote --duration D` the round. A round closes by itself at its deadline, and
//! the protocol knows no other way, so `poll close` only tells.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, many, short},
    values,
};
use crate::api::view;

#[derive(Debug, Subcommand)]
pub(super) enum Poll {
    /// Open a poll, or begin a round of voting in one (operators only).
    Open(Box<Open>),
    /// Tell whether voting is over. A round closes by itself at its deadline, and not before.
    Close {
        /// The poll: its id or the beginning of it, or - for the only one.
        #[arg(value_parser = values::poll)]
        poll: String,
    },
    /// List all polls, or one poll with its items.
    List {
        /// The poll: its id or the beginning of it, or - for the only one.
        #[arg(value_parser = values::poll)]
        poll: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Open {
    /// The poll in which voting begins: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll, requires = "vote", conflicts_with = "question", required_unless_present = "question")]
    poll: Option<String>,
    /// The question of a new poll.
    #[arg(long)]
    question: Option<String>,
    /// What the new poll asks for.
    #[arg(long, default_value = "statement")]
    kind: view::Asks,
    /// The situation in which it is asked.
    #[arg(long, default_value = "")]
    context: String,
    /// An item of the new poll; may be repeated.
    #[arg(long = "item", value_name = "TEXT", requires = "question")]
    items: Vec<String>,
    /// A file with one item on each line.
    #[arg(long = "items", value_name = "FILE", requires = "question")]
    file: Option<PathBuf>,
    /// Begin voting, over the items proposed so far.
    #[arg(long, requires = "duration")]
    vote: bool,
    /// Add up the ballots of each value of an attribute (see `chorus status`) instead of drawing an opinion map.
    #[arg(long, value_name = "ATTRIBUTE", requires = "vote", conflicts_with = "by_groups_of")]
    by: Option<String>,
    /// Add up the ballots of each opinion group of an earlier round: its number in `chorus status`, or the beginning of its
    /// id. Who took part in it proves their group without showing which ballot was theirs.
    #[arg(long, value_name = "ROUND", requires = "vote")]
    by_groups_of: Option<String>,
    /// The public weight of a class, as in north=2; other=1 is for those who show none. May be repeated [default: 1].
    #[arg(long = "weight", value_name = "CLASS=NUMBER", value_parser = values::weight)]
    weights: Vec<(String, u32)>,
    /// How long votes are taken, as in 10m or 7d. With a new poll, voting begins at once.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    duration: Option<Duration>,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

impl Poll {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        match self {
            Self::Open(open) => open.carry_out(&client, global),
            Self::Close { poll } => {
                let poll: view::Poll = client.post(&format!("/polls/{poll}/close"), &(), Duration::ZERO)?;
                output.print(&poll, |poll| format!("Voting on {} is over: see `chorus result`.", short(&poll.id)))
            }
            Self::List { poll: None } => {
                let polls: Vec<view::Poll> = client.get("/polls")?;
                output.print(&polls, |polls| {
                    let mut lines = Lines::default();
                    if polls.is_empty() {
                        lines.line("No poll yet: an operator opens one with `chorus poll open --question QUESTION`.");
                    }
                    polls.iter().for_each(|poll| describe(&mut lines, poll));
                    lines.finish()
                })
            }
            Self::List { poll: Some(poll) } => {
                let poll: view::Poll = client.get(&format!("/polls/{poll}"))?;
                output.print(&poll, with_items)
            }
        }
    }
}

impl Open {
    fn carry_out(self, client: &Client, global: &Global) -> anyhow::Result<()> {
        let (output, wait) = (global.output(), self.wait);
        let (duration_millis, wait_seconds) = (self.duration.map(millis), Some(wait.as_secs()));
        let by = self.by.map(view::ClassBy::Attribute).or(self.by_groups_of.map(view::ClassBy::GroupsOf));
        if by.is_none() && !self.weights.is_empty() {
            return Err(Failure::Usage("--weight needs --by or --by-groups-of".into()).into());
        }
        let classes = by.map(|by| view::Classes { by, weights: self.weights });
        let waiting = output.waiting("waiting for the log");
        let poll: view::Poll = match (self.poll, self.question, duration_millis) {
            (Some(poll), _, Some(duration_millis)) => client.post(
                &format!("/polls/{poll}/rounds"),
                &view::PlanRound { duration_millis, classes, wait_seconds },
                wait,
            )?,
            (None, Some(question), _) => {
                let mut items = self.items;
                if let Some(file) = &self.file {
                    items.extend(values::read_lines(file)?);
                }
                let asked = view::OpenPoll {
                    kind: self.kind,
                    question,
                    context: self.context,
                    items,
                    duration_millis,
                    wait_seconds,
                };
                client.post("/polls", &asked, wait)?
            }
            (Some(_), _, None) | (None, None, _) => {
                return Err(Failure::Usage("give --question for a new poll, or POLL --vote --duration".into()).into());
            }
        };
        drop(waiting);
        output.print(&poll, opened)
    }
}

/// A poll that was opened, or in which voting has begun, and what to do next.
fn opened(poll: &view::Poll) -> String {
    let mut lines = Lines::default();
    lines.line(with_items(poll).trim_end());
    let id = short(&poll.id);
    let next = match poll.rounds.last() {
        None => format!(
            "Next: members propose with `chorus propose {id} TEXT`; `chorus poll open {id} --vote --duration 7d` begins voting."
        ),
        Some(_) => format!(
            "Next: members vote with `chorus vote {id} 1=agree 2=pass`; `chorus result {id} --wait 1h` waits for the result."
        ),
    };
    lines.line("").line(next);
    lines.finish()
}

#[derive(Debug, Args)]
pub(super) struct Propose {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// The items' texts.
    #[arg(required_unless_present = "file")]
    texts: Vec<String>,
    /// A file with one item on each line.
    #[arg(long = "items", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show that the items are yours. Refused while your level is anonymous.
    #[arg(long)]
    open: bool,
    /// Propose as the operator that you are, with your key and without the bound for members.
    #[arg(long)]
    as_operator: bool,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

impl Propose {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let mut items = self.texts;
        if let Some(file) = &self.file {
            items.extend(values::read_lines(file)?);
        }
        let (open, as_operator, wait_seconds) = (self.open, self.as_operator, Some(self.wait.as_secs()));
        let asked = view::Propose { items, open, as_operator, wait_seconds };
        let waiting = output.waiting("waiting for the log");
        let proposed: view::Proposed = client.post(&format!("/polls/{}/items", self.poll), &asked, self.wait)?;
        drop(waiting);
        output.print(&proposed, proposal)
    }
}

/// What was proposed, and what it shows.
pub(super) fn proposal(proposed: &view::Proposed) -> String {
    let mut lines = Lines::default();
    let left =
        proposed.anonymous_left.map_or_else(String::new, |left| format!(" You may propose {left} more in this poll."));
    let whose = if proposed.open { "everybody can see that it was you" } else { "nobody learns by whom" };
    lines.line(format!("Proposed {}; {whose}.{left}", many(proposed.proposed, "item")));
    lines.line("").line(with_items(&proposed.poll).trim_end());
    lines.finish()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn with_items(poll: &view::Poll) -> String {
    let mut lines = Lines::default();
    describe(&mut lines, poll);
    if !poll.context.is_empty() {
        lines.line(format!("  {}", poll.context));
    }
    for item in &poll.items {
        let later = if item.on_ballot || poll.rounds.is_empty() { "" } else { "  (next round)" };
        lines.line(format!("  {:>3}  {}{later}", item.number, item.text.replace('\n', "\n       ")));
    }
    lines.finish()
}

fn describe(lines: &mut Lines, poll: &view::Poll) {
    lines.line(format!("{}  {}", short(&poll.id), poll.question));
    match poll.rounds.last() {
        None => lines.line(format!("  collecting items, {} so far", poll.item_count)),
        Some(round) => lines.line(format!("  {}", super::status::round_line(round))),
    };
    if let Some(round) = poll.rounds.last().filter(|round| round.state == view::RoundState::Open)
        && let Some(by) = &round.classes_by
    {
        lines.line(format!(
            "  A ballot shows which of {by} its voter belongs to; with `chorus vote --hide-class`, not."
        ));
    }
}
