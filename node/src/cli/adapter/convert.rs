//! `chorus adapter export` and `chorus adapter import`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    super::{Global, output::Lines},
    Cost, check_free,
};
use crate::model::{
    merge,
    peft::{Adapter, Provenance},
    project::{Shared, project},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The adapter's folder, in PEFT's format.
    adapter: PathBuf,
    /// Where it goes: a new folder, or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The rank that it may have at most: the nearest adapter of that rank is written, and its error told.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rank: Option<u32>,
    /// The name or path of the base model that the file names [default: the same].
    #[arg(long, value_name = "NAME")]
    base_model: Option<String>,
}

#[derive(Serialize)]
struct Exported {
    base_model: Option<String>,
    rank: u32,
    alpha: f64,
    parameters: usize,
    /// What a rank that was asked for cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation: Option<Cost>,
    out: PathBuf,
}

impl Export {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        check_free(&self.out)?;
        let (mut adapter, source) = Adapter::read_with_source(&self.adapter)?;
        if self.base_model.is_some() {
            adapter.config.base_model_name_or_path = self.base_model;
        }
        let rank = self.rank.map(|rank| rank as usize).filter(|rank| *rank < adapter.rank());
        let truncation = rank.map(|rank| {
            let (truncated, losses) = merge::truncate(&adapter, rank);
            adapter = truncated;
            Cost::new(&losses)
        });
        let relative_error = truncation.as_ref().map(Cost::to_decimal);
        adapter.write_with(&self.out, &Provenance { relative_error, ..Provenance::new("export", vec![source]) })?;
        // What was written, not what was meant to be.
        let written = Adapter::read(&self.out)?;
        let answer = Exported {
            parameters: written.parameters(),
            rank: written.config.r,
            alpha: written.config.lora_alpha,
            base_model: written.config.base_model_name_or_path,
            truncation,
            out: self.out,
        };
        global.output().print(&answer, |answer| {
            let mut lines = Lines::default();
            lines.field("base model", answer.base_model.as_deref().unwrap_or("not named"));
            lines.field("rank", answer.rank).field("alpha", answer.alpha).field("parameters", answer.parameters);
            if let Some(cost) = &answer.truncation {
                cost.describe(&mut lines);
            }
            lines.field("written to", answer.out.display());
            lines.finish()
        })
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The folder of the adapter from elsewhere, in PEFT's format.
    adapter: PathBuf,
    /// The folder of an adapter of the community: its A is the shared one.
    #[arg(long, value_name = "DIR")]
    onto: PathBuf,
    /// Where the projected adapter goes: a new folder, or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Imported {
    rank: u32,
    modules: usize,
    projection: Cost,
    out: PathBuf,
}

impl Import {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        check_free(&self.out)?;
        let (adapter, source) = Adapter::read_with_source(&self.adapter)?;
        let onto = Adapter::read(&self.onto)?;
        let shared = |(module, factors): (String, crate::model::peft::Factors)| {
            (module, Shared { outputs: Some(factors.b.rows()), a: factors.a })
        };
        let shared: BTreeMap<String, Shared> = onto.modules.into_iter().map(shared).collect();
        let mut projection = project(&adapter, &shared)?;
        let cost = Cost::new(&projection.losses);
        projection.adapter.config.base_model_name_or_path = onto.config.base_model_name_or_path;
        let relative_error = Some(cost.to_decimal());
        let provenance = Provenance { relative_error, ..Provenance::new("import", vec![source]) };
        projection.adapter.write_with(&self.out, &provenance)?;
        let adapter = projection.adapter;
        let (rank, modules) = (adapter.config.r, adapter.modules.len());
        let answer = Imported { rank, modules, projection: cost, out: self.out };
        global.output().print(&answer, |answer| {
            let mut lines = Lines::default();
            lines.field("rank", answer.rank).field("modules", answer.modules);
            answer.projection.describe(&mut lines);
            lines.field("written to", answer.out.display()).line("").line(
                "What lies across the shared A is lost. An adapter that was trained on another A keeps little of what it does:\n\
                 training anew on the shared one keeps more.",
            );
            lines.finish()
        })
    }
}
