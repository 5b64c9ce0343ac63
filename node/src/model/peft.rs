//! LoRA adapters in the format of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A module's update is `ΔW = s·B·A` with A of r × in, B of out × r, and s = α/r, or α/√r with rank-stabilised LoRA
//! (Kalajdzievski 2023). llama.cpp takes α/r whatever the configuration says, so what is written here never has
//! `use_rslora`: the scale is folded into α.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matrix::Matrix;
use crate::store::files;

/// The name of the configuration in an adapter's folder.
pub const CONFIG: &str = "adapter_config.json";

/// The name of the weights in an adapter's folder.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// The most bytes of a configuration.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// The most bytes of the weights: rank 64 on every linear layer of a model of 8·10⁹ parameters is 0.7 GB in `f32`.
const MAX_WEIGHTS_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Why a folder is no adapter that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeftError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than any adapter.
    #[error("{path} has {found} bytes, more than the {bound} that are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The bound.
        bound: u64,
    },
    /// The configuration is not JSON, or lacks something.
    #[error("{path} is no PEFT configuration")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The adapter is of a kind that means something else than `s·B·A`.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The weights are not in the safetensors format.
    #[error("{path} is no safetensors file")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SafeTensorError,
    },
    /// A tensor's name, type or shape does not belong into a LoRA adapter.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
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
    /// Other ranks of single modules.
    #[serde(default)]
    pub rank_pattern: BTreeMap<String, Value>,
    /// Other scales of single modules.
    #[serde(default)]
    pub alpha_pattern: BTreeMap<String, Value>,
    /// Dropout in training; without effect on the weights.
    #[serde(default)]
    pub lora_dropout: f64,
    /// Whether the weights are not to be trained further.
    #[serde(default = "yes")]
    pub inference_mode: bool,
    /// How a training began; without effect on the weights.
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

    /// Returns s for a module of rank r.
    pub fn scale(&self, rank: usize) -> f64 {
        let rank = rank as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    fn check(&self) -> Result<(), PeftError> {
        let unsupported = |what: &str| Err(PeftError::Unsupported(what.to_owned()));
        if self.peft_type != "LORA" {
            return unsupported(&format!("an adapter of type {}", self.peft_type));
        }
        if self.use_dora {
            return unsupported("DoRA");
        }
        if self.fan_in_fan_out {
            return unsupported("fan_in_fan_out");
        }
        if self.bias != "none" {
            return unsupported("a trained bias");
        }
        if self.modules_to_save.as_ref().is_some_and(|modules| !modules.is_null() && *modules != Value::Array(vec![])) {
            return unsupported("modules_to_save");
        }
        if !self.alpha_pattern.is_empty() {
            return unsupported("alpha_pattern");
        }
        if self.r == 0 || !self.lora_alpha.is_finite() {
            return unsupported("a rank of zero or a scale that is no number");
        }
        Ok(())
    }
}

/// The two factors of one module's update.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// r × in.
    pub a: Matrix,
    /// out × r.
    pub b: Matrix,
}

impl Factors {
    /// Returns the rank.
    pub const fn rank(&self) -> usize {
        self.a.rows()
    }

    /// Returns the Frobenius norm of `B·A`, from the Gram matrices of the factors: `‖BA‖² = Σ (BᵀB)∘(AAᵀ)`.
    pub fn norm(&self) -> f64 {
        let squares = self.b.gram_of_columns().into_iter().zip(self.a.gram_of_rows()).map(|(b, a)| b * a);
        squares.sum::<f64>().max(0.0).sqrt()
    }
}

/// An adapter: for each module, by its name in the base model, its factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// The configuration.
    pub config: Config,
    /// The factors by module, such as `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, Factors>,
}

/// What stands before a module's name in PEFT's files.
const PREFIX: &str = "base_model.model.";

impl Adapter {
    /// Reads an adapter from its folder.
    ///
    /// # Errors
    ///
    /// Returns a [`PeftError`] that names the file or the tensor.
    pub fn read(folder: &Path) -> Result<Self, PeftError> {
        let path = folder.join(CONFIG);
        let bytes = read_bounded(&path, MAX_CONFIG_BYTES)?;
        let config: Config = serde_json::from_slice(&bytes).map_err(|source| PeftError::Config { path, source })?;
        config.check()?;
        let path = folder.join(WEIGHTS);
        let bytes = read_bounded(&path, MAX_WEIGHTS_BYTES)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|source| PeftError::Weights { path, source })?;
        Ok(Self { config, modules: pair(&tensors)? })
    }

    /// Writes the adapter into a folder, which is made if there is none: `f32`, with s = α/r.
    ///
    /// # Errors
    ///
    /// Returns [`PeftError::Io`] or, for an adapter with factors of different ranks, [`PeftError::Unsupported`].
    pub fn write(&self, folder: &Path) -> Result<(), PeftError> {
        let rank = self.config.r as usize;
        if self.modules.values().any(|factors| factors.rank() != rank) {
            return Err(PeftError::Unsupported("an adapter with modules of different ranks".into()));
        }
        let config =
            Config { use_rslora: false, lora_alpha: self.config.scale(rank) * rank as f64, ..self.config.clone() };
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| PeftError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join(WEIGHTS);
        let bytes = self.to_safetensors().map_err(|source| PeftError::Weights { path: path.clone(), source })?;
        files::replace(&path, "adapter", &bytes).map_err(io(&path))?;
        let path = folder.join(CONFIG);
        let text =
            serde_json::to_vec_pretty(&config).map_err(|source| PeftError::Config { path: path.clone(), source })?;
        files::replace(&path, "adapter", &text).map_err(io(&path))
    }

    fn to_safetensors(&self) -> Result<Vec<u8>, SafeTensorError> {
        let bytes =
            |matrix: &Matrix| -> Vec<u8> { matrix.values().iter().flat_map(|value| value.to_le_bytes()).collect() };
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(2 * self.modules.len());
        for (module, factors) in &self.modules {
            for (letter, matrix) in [("A", &factors.a), ("B", &factors.b)] {
                let shape = vec![matrix.rows(), matrix.columns()];
                tensors.push((format!("{PREFIX}{module}.lora_{letter}.weight"), shape, bytes(matrix)));
            }
        }
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<_, SafeTensorError>>()?;
        let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize(views, Some(metadata))
    }

    /// Returns the number of trained values.
    pub fn parameters(&self) -> usize {
        self.modules.values().map(|factors| factors.a.values().len() + factors.b.values().len()).sum()
    }
}

fn read_bounded(path: &Path, bound: u64) -> Result<Vec<u8>, PeftError> {
    let io = |source| PeftError::Io { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(io)?.len();
    if found > bound {
        return Err(PeftError::TooLarge { path: path.to_owned(), found, bound });
    }
    fs::read(path).map_err(io)
}

/// Puts the factors of each module together.
fn pair(tensors: &SafeTensors<'_>) -> Result<BTreeMap<String, Factors>, PeftError> {
    let mut halves = BTreeMap::<String, [Option<Matrix>; 2]>::new();
    for (name, view) in tensors.tensors() {
        let wrong = |what| PeftError::Tensor { name: name.clone(), what };
        let (module, half) = parse(&name).ok_or(wrong("not a LoRA factor of a linear layer"))?;
        let matrix = to_matrix(&view).map_err(wrong)?;
        let slot = &mut halves.entry(module.to_owned()).or_default()[half];
        if slot.replace(matrix).is_some() {
            return Err(wrong("given twice"));
        }
    }
    let factors = |(module, [a, b]): (String, [Option<Matrix>; 2])| {
        let wrong = |what| PeftError::Tensor { name: module.clone(), what };
        let (a, b) = a.zip(b).ok_or(wrong("one of the factors A and B is missing"))?;
        if a.rows() == 0 || a.rows() != b.columns() {
            return Err(wrong("the factors A and B have different ranks"));
        }
        Ok((module, Factors { a, b }))
    };
    let modules: BTreeMap<String, Factors> = halves.into_iter().map(factors).collect::<Result<_, _>>()?;
    if modules.is_empty() {
        return Err(PeftError::Unsupported("an adapter without weights".into()));
    }
    Ok(modules)
}

/// Splits a tensor's name into the module's and 0 for A, 1 for B. Some files carry the adapter's name, `default`.
fn parse(name: &str) -> Option<(&str, usize)> {
    let name = name.strip_prefix(PREFIX)?.strip_suffix(".weight")?;
    let name = name.strip_suffix(".default").unwrap_or(name);
    let a = name.strip_suffix(".lora_A").map(|module| (module, 0));
    a.or_else(|| Some((name.strip_suffix(".lora_B")?, 1)))
}

fn to_matrix(view: &TensorView<'_>) -> Result<Matrix, &'static str> {
    let [rows, columns] = *view.shape() else { return Err("not a matrix") };
    let two = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect(),
        Dtype::BF16 => view.data().chunks_exact(2).map(|bytes| f32::from_bits(u32::from(two(bytes)) << 16)).collect(),
        Dtype::F16 => view.data().chunks_exact(2).map(|bytes| half_to_f32(two(bytes))).collect(),
        _ => return Err("neither f32 nor f16 nor bf16"),
    };
    let matrix = Matrix::new(rows, columns, values).ok_or("another size than its shape")?;
    if matrix.is_finite() { Ok(matrix) } else { Err("holds values that are no finite numbers") }
}

/// Widens an IEEE 754 binary16, exactly.
fn half_to_f32(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 0x1F, bits & 0x3FF);
    let magnitude = match exponent {
        0 => f32::from(fraction) * 2f32.powi(-24),
        0x1F => f32::from_bits(0x7F80_0000 | u32::from(fraction) << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
