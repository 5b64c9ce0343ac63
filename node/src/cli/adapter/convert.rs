//! `chorus adapter export` and `chorus adapter import`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chorus_protocol::id::RoundId;
use clap::Args;
use serde::Serialize;

use super::{
    super::{Global, client::Client, output::Lines, values},
    Cost, bound, check_free,
    contribute::{self, open_round},
    own::Own,
    published::{self, Published},
};
use crate::model::{
    lora::delta::norm,
    merge,
    peft::{Adapter, Provenance},
    project::{Shared, project},
    series,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The adapter's folder, in PEFT's format. Without it, an adapter that the community's rounds led to is written.
    adapter: Option<PathBuf>,
    /// The series of the community: its name or the beginning of its id, or - for the only one.
    #[arg(long, value_parser = values::series, default_value = "-", conflicts_with = "adapter")]
    series: String,
    /// Which of a round's adapters: person (everybody weighs the same), class (every class does), planned, weighed, or the name
    /// of a class [default: the one in use].
    #[arg(long, value_name = "NAME", conflicts_with = "adapter")]
    variant: Option<String>,
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
        let (mut adapter, source) = match &self.adapter {
            Some(folder) => Adapter::read_with_source(folder)?,
            None => {
                let client = Client::new(global)?;
                Published::fetch(&client, &self.series, self.variant.as_deref())?.to_adapter()?
            }
        };
        let operation = if self.adapter.is_some() { "export" } else { "round" };
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
        adapter.write_with(&self.out, &Provenance { relative_error, ..Provenance::new(operation, vec![source]) })?;
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
    /// The folder of an adapter of the community: its A is the shared one. Without it, the adapter becomes your own for the
    /// round that is open, to be contributed.
    #[arg(long, value_name = "DIR", requires = "out")]
    onto: Option<PathBuf>,
    /// Where the projected adapter goes: a new folder, or an empty one.
    #[arg(long, value_name = "DIR", requires = "onto")]
    out: Option<PathBuf>,
    /// The series for which it becomes your own: its name or the beginning of its id, or - for the only one.
    #[arg(long, value_parser = values::series, default_value = "-", conflicts_with = "onto")]
    series: String,
}

#[derive(Serialize)]
struct Imported {
    rank: u32,
    modules: usize,
    projection: Cost,
    out: PathBuf,
}

/// What became of an adapter that is to be contributed.
#[derive(Serialize)]
struct Brought {
    round: RoundId,
    projection: Cost,
    /// The norm of the delta.
    norm: f64,
    /// What it will be multiplied by when it is contributed.
    clipped: f64,
}

impl Import {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match (&self.onto, &self.out) {
            (Some(onto), Some(out)) => self.to_folder(global, onto, out),
            (_, _) => self.to_own(global),
        }
    }

    /// Makes the adapter one's own delta for the round that is open.
    fn to_own(&self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let series = published::get(&client, &self.series)?;
        let round = open_round(&series)?;
        let foreign = Adapter::read(&self.adapter)?;
        let (mut delta, losses) = series::import(&series.manifest, &foreign)?;
        if let Some(start) = round.start {
            let start = published::values(&client, &series, start)?;
            delta.iter_mut().zip(start).for_each(|(value, start)| *value -= start);
        }
        Own::of(global, series.id, round.round.id)?.keep_delta(&delta)?;
        let (norm, bound) = (norm(&delta), bound(&series.manifest));
        let clipped = if norm > bound { bound / norm } else { 1.0 };
        let answer = Brought { round: round.round.id, projection: Cost::new(&losses), norm, clipped };
        global.output().print(&answer, |answer| {
            let mut lines = Lines::default();
            answer.projection.describe(&mut lines);
            lines.field("delta", format!("norm {:.4}", answer.norm));
            lines.line(contribute::clipped(answer.clipped));
            lines.line("").line("Next: `chorus adapter contribute` sends it, masked.");
            lines.finish()
        })
    }

    fn to_folder(&self, global: &Global, onto: &Path, out: &Path) -> anyhow::Result<()> {
        check_free(out)?;
        let (adapter, source) = Adapter::read_with_source(&self.adapter)?;
        let onto = Adapter::read(onto)?;
        let shared = |(module, factors): (String, crate::model::peft::Factors)| {
            (module, Shared { outputs: Some(factors.b.rows()), a: factors.a })
        };
        let shared: BTreeMap<String, Shared> = onto.modules.into_iter().map(shared).collect();
        let mut projection = project(&adapter, &shared)?;
        let cost = Cost::new(&projection.losses);
        projection.adapter.config.base_model_name_or_path = onto.config.base_model_name_or_path;
        let relative_error = Some(cost.to_decimal());
        let provenance = Provenance { relative_error, ..Provenance::new("import", vec![source]) };
        projection.adapter.write_with(out, &provenance)?;
        let adapter = projection.adapter;
        let (rank, modules) = (adapter.config.r, adapter.modules.len());
        let answer = Imported { rank, modules, projection: cost, out: out.to_owned() };
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
