//! `chorus adapter merge`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    super::{Failure, Global, output::Lines},
    Cost, check_free,
};
use crate::model::{
    merge::{self, Method},
    peft::Provenance,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Merge {
    /// The adapters' folders.
    #[arg(required = true, value_name = "ADAPTER")]
    adapters: Vec<PathBuf>,
    /// Where the mean goes: a new folder, or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The weight of each adapter, in order [default: all the same].
    #[arg(long = "weight", value_name = "NUMBER")]
    weights: Vec<f64>,
    /// The rank that the mean may have at most: the nearest adapter of that rank is written, and its error told.
    #[arg(long, value_name = "NUMBER")]
    rank: Option<usize>,
}

#[derive(Serialize)]
struct Merged {
    adapters: usize,
    method: &'static str,
    rank: u32,
    /// What a rank that was asked for cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation: Option<Cost>,
    out: PathBuf,
}

impl Merge {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        check_free(&self.out)?;
        if self.rank == Some(0) {
            return Err(Failure::Usage("an adapter of rank 0 changes nothing: --rank is at least 1".into()).into());
        }
        let progress = global.output().waiting("reading the adapters");
        let (adapters, mut sources) = merge::read(&self.adapters)?;
        let weights = if self.weights.is_empty() { vec![1.0; adapters.len()] } else { self.weights };
        progress.say("averaging");
        let (mut merged, method) = merge::mean(&adapters, &weights)?;
        let rank = self.rank.filter(|rank| *rank < merged.config.r as usize);
        let truncation = rank.map(|rank| {
            progress.say("looking for the nearest adapter of that rank");
            let (truncated, losses) = merge::truncate(&merged, rank);
            merged = truncated;
            Cost::new(&losses)
        });
        let sum: f64 = weights.iter().sum();
        for (source, weight) in sources.iter_mut().zip(&weights) {
            source.share = Some(format!("{:.9}", weight / sum));
        }
        let relative_error = truncation.as_ref().map(Cost::to_decimal);
        merged.write_with(&self.out, &Provenance { relative_error, ..Provenance::new("merge", sources) })?;
        drop(progress);
        let method_name = match method {
            Method::SharedA => "shared_a",
            Method::Stacked => "stacked",
        };
        let (adapters, rank) = (adapters.len(), merged.config.r);
        let answer = Merged { adapters, method: method_name, rank, truncation, out: self.out };
        global.output().print(&answer, |answer| answer.to_text(method))
    }
}

impl Merged {
    fn to_text(&self, method: Method) -> String {
        let mut lines = Lines::default();
        lines.field("merged", format!("{} adapters", self.adapters)).field("rank", self.rank);
        if let Some(cost) = &self.truncation {
            cost.describe(&mut lines);
        }
        lines.field("written to", self.out.display()).line("");
        lines.line(match (method, &self.truncation) {
            (_, Some(_)) => "The mean was truncated: no adapter of this rank is nearer to it.",
            (Method::SharedA, None) => "All adapters share A: the mean has their rank.",
            (Method::Stacked, None) => {
                "The adapters have A of their own: the mean, which is exact, has the sum of their ranks.\n\
                 `--rank` writes the nearest adapter of a smaller rank."
            }
        });
        lines.finish()
    }
}
