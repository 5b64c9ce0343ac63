//! `chorus adapter inspect`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    super::{Global, output::Lines},
    kind,
};
use crate::model::peft::{self, Adapter, Factors};

#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
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
    /// Whether single modules have a rank or a scale of their own.
    has_patterns: bool,
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
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let config = peft::read_config(&self.adapter)?;
        let adapter = Adapter::read(&self.adapter)?;
        let has_patterns = !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty();
        let inspected = Inspected { has_patterns, ..inspect(&adapter) };
        global.output().print(&inspected, |inspected| inspected.to_text())
    }
}

fn inspect(adapter: &Adapter) -> Inspected {
    let norm = |factors: &Factors| factors.norm() * adapter.config.scale(factors.rank());
    let mut kinds = BTreeMap::<&str, Vec<&Factors>>::new();
    for (module, factors) in &adapter.modules {
        kinds.entry(kind(module)).or_default().push(factors);
    }
    let length = |factors: &mut dyn Iterator<Item = &Factors>| factors.map(|it| norm(it).powi(2)).sum::<f64>().sqrt();
    let to_kind = |(name, factors): (&str, Vec<&Factors>)| Kind {
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
        has_patterns: false,
        parameters: adapter.parameters(),
        modules: adapter.modules.len(),
        norm: length(&mut adapter.modules.values()),
        kinds: kinds.into_iter().map(to_kind).collect(),
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
        if self.rank_stabilised || self.has_patterns {
            lines.line("").line(
                "Note: llama.cpp takes alpha / rank for the scale of every module, and would apply this adapter wrongly\n\
                 without a word. `chorus adapter export` writes it with the scales in the factors.",
            );
        }
        lines.finish()
    }
}
