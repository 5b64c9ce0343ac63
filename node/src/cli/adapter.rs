//! `chorus adapter`: adapters as files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Failure, Global, output::Lines};
use crate::model::{
    merge::{Method, mean},
    peft::{Adapter, Factors},
};

#[derive(Debug, Subcommand)]
pub(super) enum Adapters {
    /// Show what an adapter in PEFT's format changes, and by how much.
    Inspect(Inspect),
    /// Average adapters in PEFT's format, exactly and in the clear.
    Merge(Merge),
}

impl Adapters {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Inspect(command) => command.carry_out(global),
            Self::Merge(command) => command.carry_out(global),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The adapter's folder, with adapter_config.json and adapter_model.safetensors.
    adapter: PathBuf,
}

#[derive(Serialize)]
struct Inspected {
    base_model: Option<String>,
    rank: u32,
    alpha: f64,
    scale: f64,
    rank_stabilised: bool,
    parameters: usize,
    modules: usize,
    /// The Frobenius norm of the whole update.
    norm: f64,
    kinds: Vec<Kind>,
}

/// The modules of one kind, such as `q_proj`.
#[derive(Serialize)]
struct Kind {
    name: String,
    modules: usize,
    inputs: usize,
    outputs: usize,
    norm: f64,
}

impl Inspect {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let adapter = Adapter::read(&self.adapter)?;
        global.output().print(&inspect(&adapter), |inspected| inspected.to_text())
    }
}

fn inspect(adapter: &Adapter) -> Inspected {
    let norm = |factors: &Factors| factors.norm() * adapter.config.scale(factors.rank());
    let mut kinds = BTreeMap::<&str, Vec<&Factors>>::new();
    for (module, factors) in &adapter.modules {
        kinds.entry(module.rsplit('.').next().unwrap_or(module)).or_default().push(factors);
    }
    let length = |factors: &mut dyn Iterator<Item = &Factors>| factors.map(|it| norm(it).powi(2)).sum::<f64>().sqrt();
    let kind = |(name, factors): (&str, Vec<&Factors>)| Kind {
        name: name.to_owned(),
        modules: factors.len(),
        inputs: factors.first().map_or(0, |it| it.a.columns()),
        outputs: factors.first().map_or(0, |it| it.b.rows()),
        norm: length(&mut factors.into_iter()),
    };
    Inspected {
        base_model: adapter.config.base_model_name_or_path.clone(),
        rank: adapter.config.r,
        alpha: adapter.config.lora_alpha,
        scale: adapter.config.scale(adapter.config.r as usize),
        rank_stabilised: adapter.config.use_rslora,
        parameters: adapter.parameters(),
        modules: adapter.modules.len(),
        norm: length(&mut adapter.modules.values()),
        kinds: kinds.into_iter().map(kind).collect(),
    }
}

impl Inspected {
    fn to_text(&self) -> String {
        let mut lines = Lines::default();
        lines.field("base model", self.base_model.as_deref().unwrap_or("not named"));
        lines.field("rank", self.rank).field("scale", format!("{:.4} (alpha {})", self.scale, self.alpha));
        lines.field("modules", self.modules).field("parameters", self.parameters);
        lines.field("norm", format!("{:.4} in all", self.norm));
        for kind in &self.kinds {
            let Kind { name, modules, inputs, outputs, norm } = kind;
            lines.line(format!("  {name:<12} {modules:>4} × {inputs} → {outputs}, norm {norm:.4}"));
        }
        if self.rank_stabilised {
            lines.line("").line(
                "Note: a rank-stabilised adapter. llama.cpp takes alpha / rank for its scale and applies it too weakly;\n\
                 `chorus adapter merge` of this one adapter writes it with the scale in the factors.",
            );
        }
        lines.finish()
    }
}

#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The adapters' folders.
    #[arg(required = true, value_name = "ADAPTER")]
    adapters: Vec<PathBuf>,
    /// Where the mean goes: a new folder, or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The weight of each adapter, in order [default: all the same].
    #[arg(long = "weight", value_name = "NUMBER")]
    weights: Vec<f64>,
}

#[derive(Serialize)]
struct Merged {
    adapters: usize,
    method: &'static str,
    rank: u32,
    norm: f64,
    out: PathBuf,
}

impl Merge {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        if !is_free(&self.out) {
            return Err(Failure::Usage(format!("{} is not empty: name a new folder", self.out.display())).into());
        }
        let read = |path: &PathBuf| Ok((path.clone(), Adapter::read(path)?));
        let adapters: Vec<(PathBuf, Adapter)> = self.adapters.iter().map(read).collect::<anyhow::Result<_>>()?;
        let weights = if self.weights.is_empty() { vec![1.0; adapters.len()] } else { self.weights };
        let (merged, method) = mean(&adapters, &weights)?;
        merged.write(&self.out)?;
        let answer = Merged {
            adapters: adapters.len(),
            method: match method {
                Method::SharedA => "shared_a",
                Method::Stacked => "stacked",
            },
            rank: merged.config.r,
            norm: inspect(&merged).norm,
            out: self.out,
        };
        global.output().print(&answer, |answer| {
            let mut lines = Lines::default();
            lines.field("merged", format!("{} adapters", answer.adapters)).field("rank", answer.rank);
            lines.field("norm", format!("{:.4}", answer.norm)).field("written to", answer.out.display());
            lines.line("").line(match method {
                Method::SharedA => "All adapters share A: the mean has their rank.",
                Method::Stacked => {
                    "The adapters have A of their own: the mean, which is exact, has the sum of their ranks."
                }
            });
            lines.finish()
        })
    }
}

/// Whether a folder can be written into without writing over something.
fn is_free(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
