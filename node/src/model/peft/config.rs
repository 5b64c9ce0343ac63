//! `adapter_config.json`: what it says, and what of it means something else than `ΔW = s·B·A`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Factors, pattern};

/// Why a configuration cannot be followed: with it, the weights mean something else than `s·B·A` on the base model.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The adapter is of another kind than LoRA.
    #[error("an adapter of type {0} is not supported: only LORA is")]
    Kind(String),
    /// Weight-decomposed LoRA: the update depends on the base weights.
    #[error("DoRA is not supported: its update is no product of two factors")]
    Dora,
    /// Biases were trained.
    #[error("a trained bias is not supported")]
    Bias,
    /// Whole modules were trained.
    #[error("modules_to_save is not supported: whole modules were trained beside the factors")]
    ModulesToSave,
    /// The base weights are stored transposed.
    #[error("fan_in_fan_out is not supported: the base model stores its weights transposed")]
    Transposed,
    /// The training began by changing the base weights, so that the factors fit another base model than the one named.
    #[error("init_lora_weights = {0} is not supported: it changes the base model; convert the adapter first")]
    Initialisation(String),
    /// A setting that changes what the weights mean.
    #[error("{0} is not supported")]
    Setting(&'static str),
    /// A key of `rank_pattern` or `alpha_pattern` is a regular expression beyond names and dots.
    #[error("the pattern {0:?} is not supported: only names are")]
    Pattern(String),
    /// A module is named by two keys that say different things; PEFT takes the first one of the file.
    #[error("{0} is named by two patterns that disagree")]
    Ambiguous(String),
    /// A rank of zero, or a scale that is no number.
    #[error("a rank of zero or a scale that is no number is not supported")]
    Scale,
}

/// What `adapter_config.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `LORA`.
    pub peft_type: String,
    /// `CAUSAL_LM`.
    #[serde(default = "causal_lm")]
    pub task_type: Option<String>,
    /// The base model.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    /// The rank r.
    pub r: u32,
    /// The scale α.
    pub lora_alpha: f64,
    /// The modules that are adapted, by the end of their names.
    pub target_modules: Value,
    /// The layers that are adapted; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers_to_transform: Option<Value>,
    /// Whether s = α/√r.
    #[serde(default)]
    pub use_rslora: bool,
    /// Whether the update is split into direction and magnitude.
    #[serde(default)]
    pub use_dora: bool,
    /// Whether the base weights are stored transposed.
    #[serde(default)]
    pub fan_in_fan_out: bool,
    /// Which biases are trained.
    #[serde(default = "none")]
    pub bias: String,
    /// Modules that were trained wholly.
    #[serde(default)]
    pub modules_to_save: Option<Value>,
    /// Other ranks of single modules, by the end of their names.
    #[serde(default)]
    pub rank_pattern: BTreeMap<String, u32>,
    /// Other scales α of single modules, by the end of their names.
    #[serde(default)]
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Dropout in training; without effect on the weights.
    #[serde(default)]
    pub lora_dropout: f64,
    /// Whether the weights are not to be trained further.
    #[serde(default = "yes")]
    pub inference_mode: bool,
    /// How the training began.
    #[serde(default)]
    pub init_lora_weights: Value,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn causal_lm() -> Option<String> {
    Some("CAUSAL_LM".into())
}

fn none() -> String {
    "none".into()
}

const fn yes() -> bool {
    true
}

/// Fields that change what the weights mean unless they are empty. Files of older versions of PEFT lack them.
const FOREIGN: [&str; 10] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
];

/// Ways to begin a training that leave the base model as it is.
const INITIALISATIONS: [&str; 4] = ["gaussian", "orthogonal", "eva", "mica"];

impl Config {
    /// Returns the configuration of an adapter with s = α/r.
    pub fn new(base_model: Option<String>, rank: u32, alpha: f64, target_modules: Vec<String>) -> Self {
        Self {
            peft_type: "LORA".into(),
            task_type: causal_lm(),
            base_model_name_or_path: base_model,
            r: rank,
            lora_alpha: alpha,
            target_modules: Value::from(target_modules),
            layers_to_transform: None,
            use_rslora: false,
            use_dora: false,
            fan_in_fan_out: false,
            bias: none(),
            modules_to_save: None,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            lora_dropout: 0.0,
            inference_mode: true,
            init_lora_weights: Value::Bool(true),
        }
    }

    /// Returns s for a module of rank r that no `alpha_pattern` names.
    pub fn scale(&self, rank: usize) -> f64 {
        self.scale_of_alpha(self.lora_alpha, rank)
    }

    fn scale_of_alpha(&self, alpha: f64, rank: usize) -> f64 {
        let rank = rank as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Returns the rank that a module should have.
    pub(super) fn rank_of(&self, module: &str) -> Result<u32, Unsupported> {
        Ok(pattern::lookup(&self.rank_pattern, module)?.unwrap_or(self.r))
    }

    /// Returns by how much the scale of a module differs from that of modules that no pattern names.
    pub(super) fn factor_of(&self, module: &str) -> Result<f64, Unsupported> {
        let Some(alpha) = pattern::lookup(&self.alpha_pattern, module)? else { return Ok(1.0) };
        let factor = alpha / self.lora_alpha;
        if factor.is_finite() { Ok(factor) } else { Err(Unsupported::Scale) }
    }

    /// Refuses what means something else than `s·B·A`. `fields` is the whole file: also what [`Config`] does not know.
    pub(super) fn check(&self, fields: &Map<String, Value>) -> Result<(), Unsupported> {
        if self.peft_type != "LORA" {
            return Err(Unsupported::Kind(self.peft_type.clone()));
        }
        if self.use_dora {
            return Err(Unsupported::Dora);
        }
        if self.fan_in_fan_out {
            return Err(Unsupported::Transposed);
        }
        if self.bias != "none" {
            return Err(Unsupported::Bias);
        }
        if !self.modules_to_save.as_ref().is_none_or(is_empty) {
            return Err(Unsupported::ModulesToSave);
        }
        match &self.init_lora_weights {
            Value::Null | Value::Bool(_) => {}
            Value::String(name) if INITIALISATIONS.contains(&name.as_str()) => {}
            other => return Err(Unsupported::Initialisation(other.to_string())),
        }
        if let Some(name) = FOREIGN.iter().find(|name| fields.get(**name).is_some_and(|value| !is_empty(value))) {
            return Err(Unsupported::Setting(name));
        }
        let alphas = std::iter::once(&self.lora_alpha).chain(self.alpha_pattern.values());
        let ranks = std::iter::once(&self.r).chain(self.rank_pattern.values());
        if ranks.into_iter().any(|rank| *rank == 0) || !alphas.into_iter().all(|alpha| alpha.is_finite()) {
            return Err(Unsupported::Scale);
        }
        Ok(())
    }

    /// Names exactly these modules in `target_modules` and `layers_to_transform`.
    ///
    /// A file that names more modules than it has weights for makes PEFT invent the others, and warn. Where every
    /// layer that is adapted is adapted alike, kinds and layers are named, else each module by its whole name.
    pub(super) fn name_targets(&mut self, modules: &BTreeMap<String, Factors>) {
        let split = |module: &String| {
            let (layer, kind) = module.strip_prefix("model.layers.")?.split_once('.')?;
            Some((layer.parse::<u64>().ok()?, kind.to_owned()))
        };
        let cells: Option<BTreeSet<(u64, String)>> = modules.keys().map(split).collect();
        let grid = cells.and_then(|cells| {
            let layers: BTreeSet<u64> = cells.iter().map(|(layer, _)| *layer).collect();
            let kinds: BTreeSet<&str> = cells.iter().map(|(_, kind)| last(kind)).collect();
            let paths: BTreeSet<&String> = cells.iter().map(|(_, kind)| kind).collect();
            let is_grid = cells.len() == layers.len() * kinds.len() && paths.len() == kinds.len();
            is_grid.then(|| (Vec::from_iter(layers), kinds.into_iter().map(str::to_owned).collect::<Vec<_>>()))
        });
        (self.target_modules, self.layers_to_transform) = match grid {
            Some((layers, kinds)) => (kinds.into(), Some(layers.into())),
            None => (modules.keys().cloned().collect::<Vec<_>>().into(), None),
        };
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    }
}
