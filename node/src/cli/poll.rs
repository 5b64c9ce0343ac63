//! `chorus poll` and `chorus propose`.
//!
//! A poll collects items until an operator begins a round of voting over those proposed so far: `poll open` with a
//! question begins the poll, `poll open POLL --vote --duration D` the round. A round closes by itself at its deadline, and
//! the protocol knows no other way, so `poll close` only tells.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, Output, many, short},
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
    /// Show a poll: rules, items by topic and where they stand, your votes, and what has become of your statements.
    Show(Show),
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
    /// In the new poll, ask an item only once an operator has accepted it.
    #[arg(long, requires = "question")]
    strict: bool,
    /// Items that a member may propose in the new poll.
    #[arg(long, value_name = "NUMBER", requires = "question")]
    items_per_member: Option<u8>,
    /// Characters that an item of a member may have in the new poll.
    #[arg(long, value_name = "NUMBER", requires = "question")]
    characters: Option<u16>,
    /// What is moderated in the new poll and why, for everybody to read; - reads standard input.
    #[arg(long, value_name = "TEXT", requires = "question")]
    policy: Option<String>,
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
            Self::Show(show) => show.carry_out(&client, output),
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
                let usual = view::Rules::default();
                let rules = view::Rules {
                    strict: self.strict,
                    items_per_member: self.items_per_member.unwrap_or(usual.items_per_member),
                    characters: self.characters.unwrap_or(usual.characters),
                    policy: self.policy.map(|policy| values::text_or_stdin(&policy)).transpose()?.unwrap_or_default(),
                };
                let asked = view::OpenPoll {
                    kind: self.kind,
                    question,
                    context: self.context,
                    items,
                    rules: Some(rules),
                    duration_millis,
                    wait_seconds,
                    ..view::OpenPoll::default()
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
    /// What the items are about, in a word or two.
    #[arg(long, value_name = "TEXT", default_value = "")]
    topic: String,
    /// A prompt that a model fails today, in favour of the item; may be repeated.
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// What is wrong with the answer to the prompt at the same place.
    #[arg(long = "failure", value_name = "TEXT", requires = "prompts")]
    failures: Vec<String>,
    /// The items ask about the voter: they are counted, and shape neither map nor constitution. Operators only.
    #[arg(long, requires = "as_operator")]
    meta: bool,
    /// Propose even what says the same as another item but for case, accents, punctuation and spaces.
    #[arg(long)]
    anyway: bool,
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
        let failures = self.failures.into_iter().chain(core::iter::repeat(String::new()));
        let prompts: Vec<view::Prompt> =
            self.prompts.into_iter().zip(failures).map(|(prompt, failure)| view::Prompt { prompt, failure }).collect();
        let beside =
            |text| view::NewItem { text, topic: self.topic.clone(), meta: self.meta, prompts: prompts.clone() };
        let annotated = items.into_iter().map(beside).collect();
        let mut asked = view::Propose {
            annotated,
            open,
            as_operator,
            anyway: self.anyway,
            wait_seconds,
            ..view::Propose::default()
        };
        if !self.anyway && io::stdin().is_terminal() && !output.is_json() {
            asked.anyway = is_meant(&client, &self.poll, &asked.annotated)?;
            if !asked.anyway {
                return output.print(&(), |()| "Nothing was proposed.".to_owned());
            }
        }
        let waiting = output.waiting("waiting for the log");
        let proposed: view::Proposed = client.post(&format!("/polls/{}/items", self.poll), &asked, self.wait)?;
        drop(waiting);
        output.print(&proposed, proposal)
    }
}

/// Shows what says nearly the same, and asks whether the items are to be proposed all the same.
fn is_meant(client: &Client, poll: &str, items: &[view::NewItem]) -> anyhow::Result<bool> {
    let mut near: Vec<view::Similar> = Vec::new();
    for item in items {
        let asked = view::AskSimilar { text: item.text.clone() };
        near.extend(client.post::<Vec<view::Similar>>(&format!("/polls/{poll}/similar"), &asked, Duration::ZERO)?);
    }
    if near.is_empty() {
        return Ok(true);
    }
    let mut out = io::stderr().lock();
    writeln!(out, "These say nearly the same:")?;
    for similar in &near {
        writeln!(out, "  {}{}", similar.text, state_note(similar.state))?;
    }
    write!(out, "Propose it all the same? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What was proposed, and what it shows.
pub(super) fn proposal(proposed: &view::Proposed) -> String {
    let mut lines = Lines::default();
    let left =
        proposed.anonymous_left.map_or_else(String::new, |left| format!(" You may propose {left} more in this poll."));
    let whose = if proposed.open { "everybody can see that it was you" } else { "nobody learns by whom" };
    lines.line(format!("Proposed {}; {whose}.{left}", many(proposed.proposed, "item")));
    if !proposed.similar.is_empty() {
        lines.line("Nearly the same stands there too:");
        proposed.similar.iter().for_each(|similar| {
            lines.line(format!("  {}{}", similar.text, state_note(similar.state)));
        });
    }
    lines.line("").line(with_items(&proposed.poll).trim_end());
    lines.finish()
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// Only items of this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only items that stand so.
    #[arg(long, value_name = "STATE")]
    state: Option<ShownState>,
}

/// Where items stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum ShownState {
    Undecided,
    Accepted,
    Rejected,
}

impl ShownState {
    const fn is(self, state: view::ModerationState) -> bool {
        matches!(
            (self, state),
            (Self::Undecided, view::ModerationState::Undecided)
                | (Self::Accepted, view::ModerationState::Accepted)
                | (Self::Rejected, view::ModerationState::Rejected)
        )
    }
}

/// A poll, and what is the person's own in it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    poll: view::Poll,
    mine: view::Mine,
}

impl Show {
    fn carry_out(self, client: &Client, output: Output) -> anyhow::Result<()> {
        let mut poll: view::Poll = client.get(&format!("/polls/{}", self.poll))?;
        let mine: view::Mine = client.get(&format!("/polls/{}/mine", self.poll))?;
        poll.items.retain(|item| {
            self.topic.as_ref().is_none_or(|topic| item.topic == *topic)
                && self.state.is_none_or(|state| state.is(item.state))
        });
        output.print(&Shown { poll, mine }, shown)
    }
}

fn shown(shown: &Shown) -> String {
    let mut lines = Lines::default();
    lines.line(with_items(&shown.poll).trim_end());
    for item in shown.poll.items.iter().filter(|item| !item.prompts.is_empty()) {
        lines.line("").line(format!("In favour of {}, a model fails today:", item.number));
        for cited in &item.prompts {
            lines.line(format!("  {:?} {}", cited.prompt, cited.failure));
        }
    }
    let rules = &shown.poll.rules;
    if !rules.policy.is_empty() {
        lines.line("").line(format!("Moderation: {}", rules.policy));
    }
    let mine = &shown.mine;
    if !mine.votes.is_empty() {
        let until = if mine.changeable { "you can change them until voting ends" } else { "voting is over" };
        lines.line("").line(format!("Your votes ({until}):"));
        for vote in &mine.votes {
            lines.line(format!("  {:>3}  {:<9} {}", vote.number, choice_name(vote.choice), vote.text));
        }
    }
    if !mine.statements.is_empty() {
        lines.line("").line("Your statements:");
    }
    for statement in &mine.statements {
        let fate = match (statement.fate, statement.constitution) {
            (view::Fate::Waiting, _) => "waits for an operator to accept it".to_owned(),
            (view::Fate::NextRound, _) => "is asked in the next round".to_owned(),
            (view::Fate::Rejected, _) => "is rejected".to_owned(),
            (view::Fate::Asked, _) => "is being asked".to_owned(),
            (view::Fate::Counted, _) => "was asked, and is no principle".to_owned(),
            (view::Fate::Principle, version) => format!("is in the constitution, version {}", version.unwrap_or(0)),
        };
        lines.line(format!("  {}: {fate}", statement.text));
        for word in statement.words.iter().filter(|word| !word.reason.is_empty()) {
            lines.line(format!("       an operator: {:?}", word.reason));
        }
    }
    lines.finish()
}

const fn choice_name(choice: view::Choice) -> &'static str {
    match choice {
        view::Choice::Agree => "agree",
        view::Choice::Disagree => "disagree",
        view::Choice::Pass => "pass",
    }
}

/// What is to be said beside a text about where it stands.
const fn state_note(state: view::ModerationState) -> &'static str {
    match state {
        view::ModerationState::Rejected => "  (rejected)",
        view::ModerationState::Undecided | view::ModerationState::Accepted => "",
    }
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
        let later = match (item.on_ballot, item.asked, item.state) {
            (_, _, view::ModerationState::Rejected) => "  (rejected)",
            (true, _, _) => "",
            (false, false, _) => "  (waits for an operator to accept it)",
            (false, true, _) if poll.rounds.is_empty() => "",
            (false, true, _) => "  (next round)",
        };
        let topic = if item.topic.is_empty() { String::new() } else { format!("  [{}]", item.topic) };
        let meta = if item.meta { "  (about you)" } else { "" };
        let text = item.text.replace('\n', "\n       ");
        lines.line(format!("  {:>3}  {text}{topic}{meta}{later}", item.number));
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
