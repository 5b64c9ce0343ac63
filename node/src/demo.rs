//! A whole community in one process: real nodes on the loopback interface, from the founding to a verified result.
//!
//! Nothing here is simulated but the people: every node has its own folder, keys, journal, store and network host, and
//! they talk over sockets. All secrets of operators and people follow from one seed, so that two runs end with the same
//! result, byte for byte, however many nodes share the work.

mod adapter;
mod attacks;
mod bundle;
mod community;
mod play;
mod population;
mod principles;
mod progress;
mod report;

use std::path::PathBuf;

use anyhow::ensure;

pub use self::report::Summary;
use self::{community::Community, population::Population, progress::Stages};

/// The size of the community.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shape {
    /// Nodes in all.
    pub(crate) nodes: usize,
    /// Nodes of operators among them.
    pub(crate) operators: usize,
}

/// What to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// Nodes in all: those of the operators, and those that the people share.
    pub nodes: usize,
    /// Operators.
    pub operators: usize,
    /// People; by default 60, or everybody in the conversation.
    pub participants: Option<usize>,
    /// Items; by default all.
    pub items: Option<usize>,
    /// A Polis conversation to replay in place of the synthetic population.
    pub polis: Option<PathBuf>,
    /// Where to leave the audit bundle.
    pub out: Option<PathBuf>,
    /// The seed of all secrets.
    pub seed: u64,
    /// The model whose adapter is trained, a folder or a GGUF file; by default a toy that nobody trained.
    pub base_model: Option<PathBuf>,
    /// How long votes are taken, in seconds; by default long enough for a slow machine.
    pub voting_seconds: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 12,
            operators: 5,
            participants: None,
            items: None,
            polis: None,
            out: None,
            seed: 1,
            base_model: None,
            voting_seconds: None,
        }
    }
}

/// People of the synthetic population.
const PARTICIPANTS: usize = 60;

/// Plays it all, and returns what happened.
///
/// # Errors
///
/// Returns an error if a phase does not end in time, if nodes end with different results, or if the bundle does not
/// verify.
pub async fn play(options: &Options) -> anyhow::Result<Summary> {
    ensure!(options.operators <= options.nodes, "every operator runs a node of its own: more nodes are needed");
    let population = match &options.polis {
        Some(folder) => Population::polis(folder, options.participants, options.items)?,
        None => {
            let people = options.participants.unwrap_or(PARTICIPANTS);
            Population::synthetic(options.seed, people, options.items.unwrap_or(principles::PRINCIPLES.len()))?
        }
    };
    ensure!(population.ballots.len() >= 2, "at least two people are needed");
    let community = Community::found(options.seed, options.operators, &population)?;
    let mut stages = Stages::new();
    let shape = Shape { nodes: options.nodes, operators: options.operators };
    stages.begin("nodes", None);
    let hosts = community.start(options.seed, shape).await?;
    let outcome = play::run(&community, &hosts, &population, options, &mut stages).await;
    stages.begin("closing", None);
    hosts.shutdown().await;
    stages.end();
    outcome.map(|outcome| Summary::new(&community.genesis, shape, &population, outcome, stages.times()))
}
