//! LoRA adapters in the format of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A module's update is `ΔW = s·B·A` with A of r × in, B of out × r, and s = α/r, or α/√r with rank-stabilised LoRA
//! (Kalajdzievski 2023). Programs read these files with different care, mostly without a word when they misread one:
//! llama.cpp takes α/r whatever the configuration says and knows no `alpha_pattern`; vLLM knows no `rank_pattern`; PEFT
//! invents weights for modules that are named and not there. So what is *read* is checked against everything in the
//! configuration that changes the meaning of the weights, and refused where it is not understood; and what is *written*
//! has one rank, one scale α/r, all its factors in `f32` (also an A that a seed would give) and names exactly its modules.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use safetensors::{SafeTensorError, SafeTensors};
use serde_json::{Map, Value};

pub use self::{
    config::{Config, Unsupported},
    provenance::{Provenance, Source},
};
use super::matrix::{Matrix, to_f32};
use crate::store::files;

mod config;
mod pattern;
mod provenance;
mod tensors;

/// The name of the configuration in an adapter's folder.
pub const CONFIG: &str = "adapter_config.json";

/// The name of the weights in an adapter's folder.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// The name of the note on where an adapter comes from.
pub const PROVENANCE: &str = "chorus.json";

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
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The weights are not in the safetensors format.
    #[error("{path} is no safetensors file")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SafeTensorError,
    },
    /// There are no weights in it.
    #[error("an adapter without weights")]
    Empty,
    /// A tensor's name, type or shape does not belong into a LoRA adapter.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
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

    /// Returns the factors of `scale·B·A`, with the scale in B and the rank filled up with zeros.
    fn padded(&self, scale: f64, rank: usize) -> Self {
        let missing = rank - self.rank();
        let mut a = self.a.values().to_vec();
        a.resize(rank * self.a.columns(), 0.0);
        let row = |row| self.b.row(row).iter().map(|value| to_f32(scale * f64::from(*value)));
        let zeros = || std::iter::repeat_n(0.0, missing);
        let b = (0..self.b.rows()).flat_map(|index| row(index).chain(zeros())).collect();
        Self {
            a: Matrix::new(rank, self.a.columns(), a).expect("filled up to the rank"),
            b: Matrix::new(self.b.rows(), rank, b).expect("filled up to the rank"),
        }
    }
}

/// An adapter: for each module, by its name in the base model, its factors.
///
/// Each module's update is `config.scale(rank)·B·A`: what single modules have of their own is in their factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// The configuration.
    pub config: Config,
    /// The factors by module, such as `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, Factors>,
}

impl Adapter {
    /// Reads an adapter from its folder. The scales of an `alpha_pattern` are moved into the factors B.
    ///
    /// # Errors
    ///
    /// Returns a [`PeftError`] that names the file, the setting or the tensor.
    pub fn read(folder: &Path) -> Result<Self, PeftError> {
        Ok(Self::read_bytes(folder)?.0)
    }

    /// Reads an adapter, and says what it is for a [`Provenance`].
    ///
    /// # Errors
    ///
    /// Returns a [`PeftError`] that names the file, the setting or the tensor.
    pub fn read_with_source(folder: &Path) -> Result<(Self, Source), PeftError> {
        let (adapter, bytes) = Self::read_bytes(folder)?;
        // The whole way to the folder is the affair of its owner.
        let name =
            fs::canonicalize(folder).ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        Ok((adapter, Source { name: name.unwrap_or_default(), blake3, share: None }))
    }

    fn read_bytes(folder: &Path) -> Result<(Self, Vec<u8>), PeftError> {
        let mut config = read_config(folder)?;
        let path = folder.join(WEIGHTS);
        let bytes = read_bounded(&path, MAX_WEIGHTS_BYTES)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|source| PeftError::Weights { path, source })?;
        let mut modules = tensors::read(&tensors)?;
        for (module, factors) in &mut modules {
            if config.rank_of(module)? as usize != factors.rank() {
                let what = "another rank than the configuration says";
                return Err(PeftError::Tensor { name: module.clone(), what });
            }
            let factor = config.factor_of(module)?;
            if factor != 1.0 {
                *factors = factors.padded(factor, factors.rank());
            }
        }
        config.rank_pattern.clear();
        config.alpha_pattern.clear();
        Ok((Self { config, modules }, bytes))
    }

    /// Writes the adapter into a folder, which is made if there is none: `f32`, one rank, s = α/r.
    ///
    /// # Errors
    ///
    /// Returns [`PeftError::Io`], or [`PeftError::Empty`] for an adapter of no module.
    pub fn write(&self, folder: &Path) -> Result<(), PeftError> {
        let uniform = self.uniform()?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| PeftError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join(WEIGHTS);
        let bytes = tensors::write(&uniform.modules);
        let bytes = bytes.map_err(|source| PeftError::Weights { path: path.clone(), source })?;
        files::replace(&path, "adapter", &bytes).map_err(io(&path))?;
        let path = folder.join(CONFIG);
        let text = serde_json::to_vec_pretty(&uniform.config);
        let text = text.map_err(|source| PeftError::Config { path: path.clone(), source })?;
        files::replace(&path, "adapter", &text).map_err(io(&path))
    }

    /// Writes the adapter, and beside it where it comes from.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with(&self, folder: &Path, provenance: &Provenance) -> Result<(), PeftError> {
        self.write(folder)?;
        let path = folder.join(PROVENANCE);
        let text = serde_json::to_vec_pretty(provenance);
        let text = text.map_err(|source| PeftError::Config { path: path.clone(), source })?;
        files::replace(&path, "adapter", &text).map_err(|source| PeftError::Io { path, source })
    }

    /// Returns the adapter of these factors with s = 1 and one rank, up to which the factors are filled with zeros.
    pub fn of_factors(base_model: Option<String>, modules: BTreeMap<String, Factors>) -> Self {
        let rank = modules.values().map(Factors::rank).fold(1, usize::max);
        let pad = |factors: Factors| if factors.rank() == rank { factors } else { factors.padded(1.0, rank) };
        let modules = modules.into_iter().map(|(module, factors)| (module, pad(factors))).collect();
        let rank = u32::try_from(rank).expect("a matrix of so many rows does not fit into memory");
        let mut config = Config::new(base_model, rank, rank.into(), Vec::new());
        config.name_targets(&modules);
        Self { config, modules }
    }

    /// Returns the same update with one rank, s = α/r and a configuration that names exactly the modules.
    fn uniform(&self) -> Result<Self, PeftError> {
        let rank = self.rank();
        if rank == 0 {
            return Err(PeftError::Empty);
        }
        let base_model = self.config.base_model_name_or_path.clone();
        let is_uniform = self.modules.values().all(|factors| factors.rank() == rank);
        if is_uniform {
            let mut uniform = Self::of_factors(base_model, self.modules.clone());
            uniform.config.lora_alpha = self.config.scale(rank) * rank as f64;
            return Ok(uniform);
        }
        let scaled = |factors: &Factors| factors.padded(self.config.scale(factors.rank()), factors.rank());
        let modules = self.modules.iter().map(|(module, factors)| (module.clone(), scaled(factors))).collect();
        Ok(Self::of_factors(base_model, modules))
    }

    /// Returns the largest rank of a module.
    pub fn rank(&self) -> usize {
        self.modules.values().map(Factors::rank).max().unwrap_or(0)
    }

    /// Returns the number of trained values.
    pub fn parameters(&self) -> usize {
        self.modules.values().map(|factors| factors.a.values().len() + factors.b.values().len()).sum()
    }
}

/// Reads the configuration of an adapter as it stands in its folder, and checks that it can be followed.
///
/// # Errors
///
/// Returns a [`PeftError`] that names the file or the setting.
pub fn read_config(folder: &Path) -> Result<Config, PeftError> {
    let path = folder.join(CONFIG);
    let bytes = read_bounded(&path, MAX_CONFIG_BYTES)?;
    let wrong = |source| PeftError::Config { path: path.clone(), source };
    let fields: Map<String, Value> = serde_json::from_slice(&bytes).map_err(wrong)?;
    let config: Config = serde_json::from_value(Value::Object(fields.clone())).map_err(wrong)?;
    config.check(&fields)?;
    Ok(config)
}

fn read_bounded(path: &Path, bound: u64) -> Result<Vec<u8>, PeftError> {
    let io = |source| PeftError::Io { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(io)?.len();
    if found > bound {
        return Err(PeftError::TooLarge { path: path.to_owned(), found, bound });
    }
    fs::read(path).map_err(io)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
