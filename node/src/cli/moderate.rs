//! `chorus moderate`: what an operator says about items, and what all of them have said.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{
    Global,
    client::Client,
    output::{Lines, many, short},
    poll::with_items,
    values,
};
use crate::api::view::{self, Category, Say};

#[derive(Debug, Subcommand)]
pub(super) enum Moderate {
    /// Show everything that operators have said about items, of one poll or of all.
    List {
        /// The poll: its id or the beginning of it, or - for the only one.
        #[arg(value_parser = values::poll)]
        poll: Option<String>,
    },
    /// Accept items (operators only). In a strict poll an item is asked from the next round on once one operator accepts it.
    Accept(Word),
    /// Reject items (operators only). Once f + 1 operators do, no later round asks them.
    Reject(Rejection),
    /// Say that items ask about the voter (operators only): they are counted, and shape neither map nor constitution.
    Meta(Word),
    /// Take your word on items back (operators only).
    Undo(Word),
    /// Show the rules for a poll's items, or state others (operators only).
    Rules(Rules),
}

#[derive(Debug, Args)]
pub(super) struct Word {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// The items: their numbers (see `chorus poll show POLL`) or the beginnings of their ids.
    #[arg(required = true)]
    items: Vec<String>,
    /// Why, for everybody to read; accepting needs no reason.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Rejection {
    #[command(flatten)]
    word: Word,
    /// On what ground: spam, private, hostile, off-topic, duplicate, unclear, unlawful or other.
    #[arg(long, value_name = "GROUND", value_parser = values::ground)]
    category: Category,
}

#[derive(Debug, Args)]
pub(super) struct Rules {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// Whether an item is asked only once an operator has accepted it.
    #[arg(long, value_name = "YES|NO", value_parser = clap::builder::BoolishValueParser::new())]
    strict: Option<bool>,
    /// Items that a member may propose.
    #[arg(long, value_name = "NUMBER")]
    items_per_member: Option<u8>,
    /// Characters of an item.
    #[arg(long, value_name = "NUMBER")]
    characters: Option<u16>,
    /// What is moderated and why, for everybody to read; - reads standard input.
    #[arg(long, value_name = "TEXT")]
    policy: Option<String>,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

impl Moderate {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::List { poll } => {
                let query = poll.map_or_else(String::new, |poll| format!("?poll={poll}"));
                let log: view::ModerationLog = Client::new(global)?.get(&format!("/moderation{query}"))?;
                global.output().print(&log, log_text)
            }
            Self::Accept(word) => word.say(global, Say::Accept, None),
            Self::Reject(Rejection { word, category }) => word.say(global, Say::Reject, Some(category)),
            Self::Meta(word) => word.say(global, Say::Meta, None),
            Self::Undo(word) => word.say(global, Say::TakeBack, None),
            Self::Rules(rules) => rules.carry_out(global),
        }
    }
}

impl Word {
    fn say(self, global: &Global, say: Say, category: Option<Category>) -> anyhow::Result<()> {
        let Self { poll, items, reason, wait } = self;
        let items = items.iter().map(|item| item.to_ascii_lowercase()).collect();
        let asked = view::Moderate { items, say, category, reason, wait_seconds: Some(wait.as_secs()) };
        let waiting = global.output().waiting("waiting for the log");
        let poll: view::Poll = Client::new(global)?.post(&format!("/polls/{poll}/moderate"), &asked, wait)?;
        drop(waiting);
        global.output().print(&poll, with_items)
    }
}

impl Rules {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let path = format!("/polls/{}/rules", self.poll);
        let policy = self.policy.map(|policy| values::text_or_stdin(&policy)).transpose()?;
        let asked = view::ChangeRules {
            strict: self.strict,
            items_per_member: self.items_per_member,
            characters: self.characters,
            policy,
            wait_seconds: None,
        };
        let rules: view::RulesView = if asked == view::ChangeRules::default() {
            client.get(&path)?
        } else {
            let waiting = global.output().waiting("waiting for the log");
            let asked = view::ChangeRules { wait_seconds: Some(self.wait.as_secs()), ..asked };
            let rules = client.post(&path, &asked, self.wait)?;
            drop(waiting);
            rules
        };
        global.output().print(&rules, rules_text)
    }
}

fn rules_text(view: &view::RulesView) -> String {
    let mut lines = Lines::default();
    lines.line(format!("Rules for the items of {}", short(&view.poll)));
    lines.line(format!("  {}", rules_line(&view.rules)));
    if !view.rules.policy.is_empty() {
        lines.line(format!("  Policy: {}", view.rules.policy));
    }
    for (operator, rules) in &view.stated {
        let who = operator.map_or_else(|| "a former operator".into(), |number| format!("operator {number}"));
        lines.line(format!("  {who} would have: {}", rules_line(rules)));
    }
    if !view.stated.is_empty() {
        lines.line(format!("  Other rules come into force once {} say the same.", many(view.needed, "operator")));
    }
    lines.finish()
}

fn rules_line(rules: &view::Rules) -> String {
    let strict = if rules.strict { "strict: an operator accepts each item" } else { "asked unless rejected" };
    format!(
        "{strict}; {} of one member, {} at the most",
        many(rules.items_per_member, "item"),
        many(rules.characters, "character")
    )
}

fn log_text(log: &view::ModerationLog) -> String {
    let mut lines = Lines::default();
    if log.words.is_empty() {
        lines.line("No operator has said anything about an item yet.");
        return lines.finish();
    }
    for word in &log.words {
        let who = word.operator.map_or_else(|| "a former operator".into(), |number| format!("operator {number}"));
        let category = word.category.map_or_else(String::new, |category| format!(" as {}", category_name(category)));
        let since = if word.is_last { "" } else { " (has said something else since)" };
        let said = match word.say {
            Say::Accept => "accepts",
            Say::Reject => "rejects",
            Say::Meta => "says that it is about the voter:",
            Say::TakeBack => "takes back what it said about",
        };
        lines.line(format!("{}  {who} {said} {:?}{category}{since}", short(&word.poll), word.text));
        if !word.reason.is_empty() {
            lines.line(format!("              because: {:?}", word.reason));
        }
        if word.is_last && word.state == view::ModerationState::Rejected {
            lines.line("              it is rejected: no later round asks it");
        }
    }
    lines.line("").line(format!("{} against an item keep it out of later rounds.", many(log.needed, "operator")));
    lines.finish()
}

fn category_name(category: Category) -> String {
    category.name().replace('_', "-")
}
