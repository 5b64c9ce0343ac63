//! `chorus demo`: a whole community in one process, from the founding to a verified result.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::demo::{Options, play};

/// What `chorus demo` is asked for.
#[derive(Args, Clone, Debug)]
pub struct DemoArguments {
    /// Nodes in all, each with its own folder and network host.
    #[arg(long, default_value_t = Options::default().nodes)]
    pub nodes: usize,
    /// Operators among them: 1, 4, 5, 6 or 7.
    #[arg(long, default_value_t = Options::default().operators)]
    pub operators: usize,
    /// People, who share the nodes that are no operators; by default 60, or everybody in the conversation.
    #[arg(long)]
    pub participants: Option<usize>,
    /// Statements to vote on; by default all.
    #[arg(long)]
    pub items: Option<usize>,
    /// Replay a Polis conversation: the folder of its export.
    #[arg(long, value_name = "DIR")]
    pub polis: Option<PathBuf>,
    /// Leave the audit bundle here.
    #[arg(long, value_name = "BUNDLE")]
    pub out: Option<PathBuf>,
    /// Take votes for so long; by default long enough for a slow machine.
    #[arg(long, value_name = "SECONDS")]
    pub voting_seconds: Option<u64>,
    /// The seed of all secrets: the same seed ends with the same result. From the global option.
    #[arg(skip)]
    pub seed: Option<u64>,
    /// Whether to report in JSON. From the global option.
    #[arg(skip)]
    pub json: bool,
}

/// Plays the demonstration and reports.
///
/// # Errors
///
/// Returns an error if it does not come to an end, or not every node to one result, or if the bundle does not verify.
pub async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    let options = Options {
        nodes: arguments.nodes,
        operators: arguments.operators,
        participants: arguments.participants,
        items: arguments.items,
        polis: arguments.polis,
        out: arguments.out,
        seed: arguments.seed.unwrap_or(Options::default().seed),
        voting_seconds: arguments.voting_seconds,
    };
    let summary = play(&options).await?;
    if arguments.json {
        println!("{:#}", summary.to_json());
    } else {
        print!("{summary}");
    }
    if !summary.is_verified() {
        bail!("the result is not verified");
    }
    Ok(())
}
