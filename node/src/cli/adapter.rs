//! `chorus adapter`: a community's adapters, one's own part in them, and adapters as files.

use std::{collections::BTreeMap, path::Path};

use chorus_protocol::adapter::manifest::AdapterManifest;
use clap::Subcommand;
use serde::Serialize;

use super::{Failure, Global, output::Lines};
use crate::model::project::Loss;

mod base;
mod card;
mod contribute;
mod convert;
mod evaluate;
mod inspect;
mod list;
mod merge;
mod open;
mod operate;
mod own;
mod published;
mod train;

#[derive(Debug, Subcommand)]
pub(super) enum Adapters {
    /// Begin a series of adapter rounds, or the next round of one (operators only).
    Open(Box<open::Open>),
    /// List the series, their rounds and what came of them.
    List(list::List),
    /// Add, list and remove your value cards: with your votes, they are what your adapter is trained on.
    #[command(subcommand)]
    Card(card::Card),
    /// Train your adapter for the round that is open, on this machine, from your own votes and value cards. Ctrl-C pauses; the
    /// same command goes on.
    Train(Box<train::Train>),
    /// Contribute the adapter that you have trained or imported: masked, so that only sums become known.
    Contribute(contribute::Contribute),
    /// Take your adapter back, while the round is open.
    Withdraw(contribute::Withdraw),
    /// Ask a model, with an adapter and without, which of statements and their negations it prefers, for each opinion group.
    Eval(evaluate::Eval),
    /// Weigh the classes of a finished round (the operator who began the series).
    Weigh(operate::Weigh),
    /// Evaluate a finished round's adapter on this machine, and state the outcome (operators).
    Assess(operate::Assess),
    /// Show what an adapter in PEFT's format changes, and by how much.
    Inspect(inspect::Inspect),
    /// Average adapters in PEFT's format, exactly and in the clear.
    Merge(merge::Merge),
    /// Write an adapter so that PEFT, vLLM and llama.cpp understand it alike.
    Export(convert::Export),
    /// Bring an adapter from elsewhere onto the A that a community shares.
    Import(convert::Import),
}

impl Adapters {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Open(command) => command.carry_out(global),
            Self::List(command) => command.carry_out(global),
            Self::Card(command) => command.carry_out(global),
            Self::Train(command) => command.carry_out(global),
            Self::Contribute(command) => command.carry_out(global),
            Self::Withdraw(command) => command.carry_out(global),
            Self::Eval(command) => command.carry_out(global),
            Self::Weigh(command) => command.carry_out(global),
            Self::Assess(command) => command.carry_out(global),
            Self::Inspect(command) => command.carry_out(global),
            Self::Merge(command) => command.carry_out(global),
            Self::Export(command) => command.carry_out(global),
            Self::Import(command) => command.carry_out(global),
        }
    }
}

/// What a change of factors cost, in the Frobenius norm.
#[derive(Serialize)]
struct Cost {
    /// The norm of the update before.
    norm: f64,
    /// The norm of what is lost, as a share of it.
    relative_error: f64,
    /// The same by module.
    modules: BTreeMap<String, f64>,
}

impl Cost {
    fn new(losses: &BTreeMap<String, Loss>) -> Self {
        let whole = Loss::sum(losses.values());
        let modules = losses.iter().map(|(module, loss)| (module.clone(), loss.relative())).collect();
        Self { norm: whole.norm, relative_error: whole.relative(), modules }
    }

    /// Returns the error in the form of a provenance.
    fn to_decimal(&self) -> String {
        format!("{:.6}", self.relative_error)
    }

    fn describe(&self, lines: &mut Lines) {
        lines.field("norm", format!("{:.4} before", self.norm));
        lines.field("error", format!("{} of it is lost", percent(self.relative_error)));
        let mut kinds = BTreeMap::<&str, (f64, f64)>::new();
        for (module, error) in &self.modules {
            let range = kinds.entry(kind(module)).or_insert((f64::INFINITY, 0.0));
            *range = (range.0.min(*error), range.1.max(*error));
        }
        for (name, (least, most)) in kinds {
            lines.line(format!("  {name:<12} {} to {} by module", percent(least), percent(most)));
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Returns the last part of a module's name, such as `q_proj`.
fn kind(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}

/// Returns the largest norm of a contribution.
fn bound(manifest: &AdapterManifest) -> f64 {
    f64::from(manifest.largest()) / f64::from(1u32 << manifest.encoding.fraction_bits.min(31))
}

/// Refuses to write into a folder that has something in it.
fn check_free(folder: &Path) -> Result<(), Failure> {
    if is_free(folder) {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} is not empty: name a new folder", folder.display())))
}

/// Whether a folder can be written into without writing over something.
fn is_free(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
