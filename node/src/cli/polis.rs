//! `chorus polis`: conversations exported from Polis.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::id::BlobId;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Failure, Global,
    client::Client,
    output::Lines,
    poll::{millis, with_items},
    values,
};
use crate::{
    api::view,
    polis::{Listing, analyze_dir},
};

#[derive(Debug, Subcommand)]
pub(super) enum Polis {
    /// Open a poll with the statements of a conversation. Its votes are not brought in: nobody can vote for others.
    Import(Import),
    /// Analyse a conversation with the code that Chorus' own polls use. Needs no node.
    Analyze(Analyze),
}

impl Polis {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Import(import) => import.carry_out(global),
            Self::Analyze(analyze) => analyze.carry_out(global),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The folder of the export.
    dir: PathBuf,
    /// The question [default: the conversation's topic].
    #[arg(long)]
    question: Option<String>,
    /// Bring in the statements that its moderators rejected, too, and reject them here as an operator. Other operators have to
    /// do so as well before they are kept out of rounds.
    #[arg(long)]
    rejected: bool,
    /// Ask an item that a member adds only once an operator has accepted it.
    #[arg(long)]
    strict: bool,
    /// Begin voting at once, for this long.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    duration: Option<Duration>,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

impl Import {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let output = global.output();
        let listing = Listing::read(&self.dir)?;
        let topic = || listing.summary.get("topic").filter(|topic| !topic.is_empty()).cloned();
        let question = self
            .question
            .or_else(topic)
            .ok_or_else(|| Failure::Usage("the conversation has no topic: give --question".into()))?;
        let (annotated, rejected) = new_items(&listing, self.rejected);
        let asked = view::OpenPoll {
            question,
            context: listing.summary.get("conversation-description").cloned().unwrap_or_default(),
            annotated,
            rules: self.strict.then(|| view::Rules { strict: true, ..view::Rules::default() }),
            duration_millis: self.duration.map(millis).filter(|_| rejected.is_empty()),
            wait_seconds: Some(self.wait.as_secs()),
            ..view::OpenPoll::default()
        };
        let waiting = output.waiting("waiting for the log");
        let client = Client::new(global)?;
        let mut poll: view::Poll = client.post("/polls", &asked, self.wait)?;
        if !rejected.is_empty() {
            let asked = view::Moderate {
                items: rejected,
                say: view::Say::Reject,
                category: Some(view::Category::Other),
                reason: REJECTED.into(),
                wait_seconds: Some(self.wait.as_secs()),
            };
            poll = client.post(&format!("/polls/{}/moderate", poll.id), &asked, self.wait)?;
            if let Some(duration) = self.duration {
                let asked = view::PlanRound {
                    duration_millis: millis(duration),
                    classes: None,
                    wait_seconds: Some(self.wait.as_secs()),
                };
                poll = client.post(&format!("/polls/{}/rounds", poll.id), &asked, self.wait)?;
            }
        }
        drop(waiting);
        output.print(&poll, with_items)
    }
}

/// The public reason for what the moderators of a conversation rejected.
const REJECTED: &str = "Rejected by the moderators of the Polis conversation that this poll was made of.";

/// Returns the statements to bring in, with topic and whether they ask about the voter; and the ids of those that the
/// conversation's moderators rejected.
fn new_items(listing: &Listing, with_rejected: bool) -> (Vec<view::NewItem>, Vec<String>) {
    let (mut items, mut rejected, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for statement in &listing.statements {
        let text = statement.text.trim();
        let is_rejected = statement.moderated < 0 && !statement.is_meta;
        if text.is_empty() || (is_rejected && !with_rejected) || !seen.insert(text.to_owned()) {
            continue;
        }
        if is_rejected {
            rejected.push(BlobId::of(text.as_bytes()).to_string());
        }
        let topic = statement.topic.clone();
        items.push(view::NewItem { text: text.to_owned(), topic, meta: statement.is_meta, prompts: Vec::new() });
    }
    (items, rejected)
}

#[derive(Debug, Args)]
pub(super) struct Analyze {
    /// The folder of the export.
    dir: PathBuf,
    /// Groups to use instead of those on the map, in JSON: {"participant": group, …}, or an analysis with `labels`.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

impl Analyze {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let output = global.output();
        let labels = self.labels.as_deref().map(read_labels).transpose()?;
        let waiting = output.waiting("analysing");
        let analysis = analyze_dir(&self.dir, labels)?;
        drop(waiting);
        output.print(&analysis, text)
    }
}

fn read_labels(path: &Path) -> Result<BTreeMap<u64, usize>, Failure> {
    let refused = |error: serde_json::Error| Failure::Usage(format!("{} holds no labels: {error}", path.display()));
    let mut value: Value = serde_json::from_str(&values::read_file(path)?).map_err(refused)?;
    if let Some(labels) = value.get_mut("labels") {
        value = labels.take();
    }
    serde_json::from_value(value).map_err(refused)
}

fn text(analysis: &Value) -> String {
    let count = |name: &str| analysis.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let mut lines = Lines::default();
    lines.field("statements", count("statement_ids"));
    lines.field("people", analysis.pointer("/in_conv/n").and_then(Value::as_u64).unwrap_or_default());
    for (group, size) in analysis.get("sizes").and_then(Value::as_object).into_iter().flatten() {
        lines.field(&format!("group {group}"), format!("{size} people"));
    }
    let (ids, support) = (array(analysis, "statement_ids"), array(analysis, "gac_agree"));
    let mut ranked: Vec<(f64, &Value)> = support.iter().filter_map(Value::as_f64).zip(ids).collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    lines.line("").line("Group-aware consensus, the ten highest:");
    for (support, id) in ranked.into_iter().take(10) {
        lines.line(format!("  {support:.3}  statement {id}"));
    }
    lines.line("").line("The whole analysis: --format json.");
    lines.finish()
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exports, if they are at hand.
    fn listing(name: &str) -> Option<Listing> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
        if !dir.is_dir() {
            println!("SKIPPED: {name} is not at {}", dir.display());
            return None;
        }
        Some(Listing::read(&dir).expect("an export"))
    }

    #[test]
    fn a_real_conversation_comes_in_with_what_its_moderators_decided() {
        for (name, rejected) in [("polis-brexit", 0), ("polis-bg2050", 55), ("polis-london-policing", 3)] {
            let Some(listing) = listing(name) else { continue };
            let without = new_items(&listing, false);
            let with = new_items(&listing, true);

            assert!(without.1.is_empty());
            assert_eq!(with.0.len(), without.0.len() + with.1.len(), "{name}");
            assert_eq!(with.1.len(), rejected, "{name}");
        }
    }

    #[test]
    fn a_statement_that_asks_about_the_participant_stays_one_and_texts_come_once() {
        let statement = |id, text: &str, moderated, is_meta| crate::polis::Statement {
            id,
            text: text.into(),
            author: 0,
            moderated,
            is_meta,
            topic: if is_meta { "You".into() } else { String::new() },
        };
        let statements = vec![
            statement(0, "I am over 60", 1, true),
            statement(1, " Be kind ", 0, false),
            statement(2, "Be kind", 1, false),
            statement(3, "Buy now", -1, false),
            statement(4, " ", 0, false),
        ];
        let listing = Listing { summary: BTreeMap::new(), statements };

        let (items, rejected) = new_items(&listing, true);

        let texts: Vec<(&str, bool, &str)> =
            items.iter().map(|item| (item.text.as_str(), item.meta, item.topic.as_str())).collect();
        assert_eq!(texts, [("I am over 60", true, "You"), ("Be kind", false, ""), ("Buy now", false, "")]);
        assert_eq!(rejected, [BlobId::of(b"Buy now").to_string()]);
    }
}
