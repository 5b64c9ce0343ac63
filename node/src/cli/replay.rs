//! `chorus replay`: a recording, told to a fresh protocol.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use super::{Failure, Global, output::Lines};
use crate::recording::{Outcome, Recording, Step};

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// What `chorus run --events` wrote. Whoever reads it sees all that the node received.
    file: PathBuf,
    /// Show the outcome alone, and not each event.
    #[arg(long)]
    summary: bool,
}

impl Replay {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let recording = Recording::open(&self.file)?;
        let (mut out, json) = (io::stdout().lock(), global.output().is_json());
        let mut failed = None;
        let outcome = recording.replay(|step| {
            if self.summary || failed.is_some() {
                return;
            }
            let line = if json { serde_json::to_string(step).map_err(io::Error::other) } else { Ok(line_of(step)) };
            failed = line.and_then(|line| writeln!(out, "{line}")).err();
        })?;
        // Whoever read has seen enough.
        if let Some(error) = failed.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            return Err(error.into());
        }
        drop(out);
        if json && !self.summary {
            println!("{}", serde_json::to_string(&outcome)?);
        } else {
            global.output().print(&outcome, text)?;
        }
        match outcome.diverged {
            None => Ok(()),
            Some(event) => Err(Failure::Diverged { event, version: outcome.version }.into()),
        }
    }
}

fn line_of(step: &Step) -> String {
    let from = step.from.as_ref().map_or_else(String::new, |from| format!(" {}", super::output::short(from)));
    let bytes = if step.bytes > 0 { format!(" {} B", step.bytes) } else { String::new() };
    let effects: Vec<String> = step
        .effects
        .iter()
        .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{name} ×{count}") })
        .collect();
    let effects = if effects.is_empty() { "-".to_owned() } else { effects.join(", ") };
    let same = if step.same { "" } else { "  DIFFERS" };
    format!("{:>7} {} @{} {}{from}{bytes} → {effects}{same}", step.number, step.at_millis, step.height, step.event)
}

fn text(outcome: &Outcome) -> String {
    let mut lines = Lines::default();
    lines.field("node", &outcome.node);
    lines.field("version", &outcome.version);
    lines.field("log", format!("height {} to {}", outcome.began_at_height, outcome.height));
    lines.field("events", format!("{}, which led to {} effects", outcome.events, outcome.effects));
    if outcome.torn {
        lines.line("").line("Note: the recording ends within an event: the node was interrupted.");
    }
    if outcome.diverged.is_none() {
        lines.line("").line("This build does what the recorded one did.");
    }
    lines.finish()
}
