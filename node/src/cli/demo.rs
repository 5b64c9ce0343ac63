//! `chorus demo`: a whole community in one process, from the founding to a verified result.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use super::Global;
use crate::demo::{Options, play};

/// What `chorus demo` is asked for.
#[derive(Args, Clone, Debug)]
pub(super) struct DemoArguments {
    /// Nodes in all, each with its own folder and network host.
    #[arg(long, default_value_t = Options::default().nodes)]
    nodes: usize,
    /// Operators among them: 1, 4, 5, 6 or 7.
    #[arg(long, default_value_t = Options::default().operators)]
    operators: usize,
    /// People, who share the nodes that are no operators; by default 60, or everybody in the conversation.
    #[arg(long)]
    participants: Option<usize>,
    /// Statements to vote on; by default all.
    #[arg(long)]
    items: Option<usize>,
    /// Replay a Polis conversation: the folder of its export.
    #[arg(long, value_name = "DIR")]
    polis: Option<PathBuf>,
    /// Leave the audit bundle here.
    #[arg(long, value_name = "BUNDLE")]
    out: Option<PathBuf>,
    /// Train adapters of this model at the end, a folder as on Hugging Face or a GGUF file; by default of a toy.
    #[arg(long, value_name = "PATH")]
    base_model: Option<PathBuf>,
    /// Take votes for so long; by default long enough for a slow machine.
    #[arg(long, value_name = "SECONDS")]
    voting_seconds: Option<u64>,
}

impl DemoArguments {
    /// Plays the demonstration and reports.
    pub(super) async fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let options = Options {
            nodes: self.nodes,
            operators: self.operators,
            participants: self.participants,
            items: self.items,
            polis: self.polis,
            out: self.out,
            base_model: self.base_model,
            seed: global.seed.unwrap_or(Options::default().seed),
            voting_seconds: self.voting_seconds,
        };
        let summary = play(&options).await?;
        global.output().print(&summary.to_json(), |_| summary.to_string())?;
        ensure!(summary.is_verified(), "the result is not verified");
        Ok(())
    }
}
