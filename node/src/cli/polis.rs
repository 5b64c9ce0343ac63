//! `chorus polis`: conversations exported from Polis.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

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
    polis::{Conversation, analyze_dir},
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
        let conversation = Conversation::read(&self.dir)?;
        let topic = || conversation.summary.get("topic").filter(|topic| !topic.is_empty()).cloned();
        let question = self
            .question
            .or_else(topic)
            .ok_or_else(|| Failure::Usage("the conversation has no topic: give --question".into()))?;
        let mut items: Vec<String> = Vec::new();
        for statement in conversation.statements.iter().filter(|statement| !statement.is_hidden()) {
            let text = statement.text.trim().to_owned();
            if !text.is_empty() && !items.contains(&text) {
                items.push(text);
            }
        }
        let asked = view::OpenPoll {
            kind: view::Asks::Statement,
            question,
            context: conversation.summary.get("conversation-description").cloned().unwrap_or_default(),
            items,
            duration_millis: self.duration.map(millis),
            wait_seconds: Some(self.wait.as_secs()),
        };
        let waiting = output.waiting("waiting for the log");
        let poll: view::Poll = Client::new(global)?.post("/polls", &asked, self.wait)?;
        drop(waiting);
        output.print(&poll, with_items)
    }
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
