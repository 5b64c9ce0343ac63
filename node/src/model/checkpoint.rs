//! A base model: its configuration and its weights, whatever file they came from.
//!
//! Weights are `f32`, named and laid out as by Hugging Face's transformers (`model.layers.0.self_attn.q_proj.weight`,
//! outputs × inputs, rows of q and k in half-split order), so that an adapter trained here fits every tool that reads that
//! layout.

use std::{collections::BTreeMap, sync::OnceLock};

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use chorus_crypto::domain;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// Most layers of a model: the largest published ones have about a hundred.
const MAX_LAYERS: usize = 1024;

/// Most of any one dimension: a vocabulary of 2^18 is large, a width of 2^15 too.
const MAX_DIMENSION: usize = 1 << 20;

/// The families of models that are understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// Llama 1 to 3, SmolLM, TinyLlama.
    Llama,
    /// Qwen2 and Qwen2.5: Llama with biases on q, k and v.
    Qwen2,
}

/// How the frequencies of the rotary embedding are stretched for contexts longer than the first training's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// By wavelength, as Llama 3.1 does.
    Llama3 {
        /// What long wavelengths are stretched by.
        factor: f64,
        /// Wavelengths above the original length over this are stretched wholly.
        low_freq_factor: f64,
        /// Wavelengths below the original length over this are left alone.
        high_freq_factor: f64,
        /// The context of the first training.
        original_max_position_embeddings: usize,
    },
    /// All alike.
    Linear {
        /// What positions are divided by.
        factor: f64,
    },
}

/// What the weights mean. The names are those of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The family.
    pub architecture: Architecture,
    /// The width of the hidden state.
    pub hidden_size: usize,
    /// The width inside the feed-forward part.
    pub intermediate_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of query heads.
    pub num_attention_heads: usize,
    /// The number of heads of keys and values; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// The width of a head; even.
    pub head_dim: usize,
    /// The number of tokens.
    pub vocab_size: usize,
    /// What is added to the mean square in a norm.
    pub rms_norm_eps: f64,
    /// The base of the rotary embedding.
    pub rope_theta: f64,
    /// The stretching of the rotary embedding.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the output's matrix is the embedding's.
    pub tie_word_embeddings: bool,
    /// Whether q, k and v have biases.
    pub attention_bias: bool,
    /// The longest text.
    pub max_position_embeddings: usize,
}

/// Why weights are no model.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The configuration contradicts itself or is out of bounds.
    #[error("configuration: {0}")]
    Config(&'static str),
    /// A tensor is missing.
    #[error("tensor {0} is missing")]
    Missing(String),
    /// A tensor belongs to no model of this configuration.
    #[error("tensor {0} belongs to no model of this configuration")]
    Unexpected(String),
    /// A tensor has another shape than the configuration says.
    #[error("tensor {name} has the shape {found:?} instead of {expected:?}")]
    Shape {
        /// Which tensor.
        name: String,
        /// The shape by the configuration.
        expected: Vec<usize>,
        /// The shape that it has.
        found: Vec<usize>,
    },
    /// A tensor is not a contiguous array of `f32` in memory.
    #[error("tensor {0} is not a contiguous array of f32 in memory")]
    Kind(String),
    /// A tensor holds values that are no finite numbers.
    #[error("tensor {0} holds values that are no finite numbers")]
    NotFinite(String),
}

impl Config {
    /// Checks that the numbers fit together and are of a model that one machine can hold.
    ///
    /// # Errors
    ///
    /// Returns [`CheckpointError::Config`].
    pub fn check(&self) -> Result<(), CheckpointError> {
        let dimensions = [
            self.hidden_size,
            self.intermediate_size,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
            self.vocab_size,
            self.num_attention_heads.saturating_mul(self.head_dim),
        ];
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let scaling = match self.rope_scaling {
            None => true,
            Some(RopeScaling::Linear { factor }) => positive(factor),
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            }) => {
                positive(factor)
                    && positive(low_freq_factor)
                    && positive(high_freq_factor)
                    && low_freq_factor < high_freq_factor
                    && original_max_position_embeddings > 0
            }
        };
        let refused = if dimensions.iter().any(|&it| !(1..=MAX_DIMENSION).contains(&it)) {
            "a dimension is zero or too large"
        } else if !(1..=MAX_LAYERS).contains(&self.num_hidden_layers) {
            "no layers, or too many"
        } else if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            "the heads of keys and values do not divide the query heads"
        } else if !self.head_dim.is_multiple_of(2) {
            "the width of a head is odd"
        } else if self.max_position_embeddings == 0 {
            "no positions"
        } else if !(positive(self.rms_norm_eps) && positive(self.rope_theta) && scaling) {
            "a constant of the norms or of the rotary embedding is out of range"
        } else {
            return Ok(());
        };
        Err(CheckpointError::Config(refused))
    }

    /// Returns the names and shapes of all tensors of such a model.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let (queries, keys) = (self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim);
        let mut shapes = BTreeMap::from([
            ("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ]);
        if !self.tie_word_embeddings {
            shapes.insert(HEAD.to_owned(), vec![self.vocab_size, hidden]);
        }
        for layer in 0..self.num_hidden_layers {
            let mut add = |name: &str, shape: Vec<usize>| shapes.insert(format!("model.layers.{layer}.{name}"), shape);
            for (name, outputs) in [("q", queries), ("k", keys), ("v", keys)] {
                add(&format!("self_attn.{name}_proj.weight"), vec![outputs, hidden]);
                if self.attention_bias {
                    add(&format!("self_attn.{name}_proj.bias"), vec![outputs]);
                }
            }
            add("self_attn.o_proj.weight", vec![hidden, queries]);
            add("mlp.gate_proj.weight", vec![inner, hidden]);
            add("mlp.up_proj.weight", vec![inner, hidden]);
            add("mlp.down_proj.weight", vec![hidden, inner]);
            add("input_layernorm.weight", vec![hidden]);
            add("post_attention_layernorm.weight", vec![hidden]);
        }
        shapes
    }

    /// Writes what gives the weights their meaning. The longest text does not: it is a promise, not a number in the model.
    fn absorb(&self, hasher: &mut blake3::Hasher) {
        let mut number = |value: u64| {
            hasher.update(&value.to_le_bytes());
        };
        number(match self.architecture {
            Architecture::Llama => 0,
            Architecture::Qwen2 => 1,
        });
        for dimension in [
            self.hidden_size,
            self.intermediate_size,
            self.num_hidden_layers,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
            self.vocab_size,
        ] {
            number(dimension as u64);
        }
        number(self.rms_norm_eps.to_bits());
        number(self.rope_theta.to_bits());
        let scaling = match self.rope_scaling {
            None => [0; 5],
            Some(RopeScaling::Linear { factor }) => [1, factor.to_bits(), 0, 0, 0],
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            }) => {
                let factors = [factor, low_freq_factor, high_freq_factor].map(f64::to_bits);
                [2, factors[0], factors[1], factors[2], original_max_position_embeddings as u64]
            }
        };
        scaling.into_iter().for_each(&mut number);
        number(self.tie_word_embeddings.into());
        number(self.attention_bias.into());
    }
}

/// The name of the output's matrix, if it is not the embedding's.
const HEAD: &str = "lm_head.weight";

/// A base model.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// What the weights mean.
    pub config: Config,
    tensors: BTreeMap<String, Tensor>,
    digest: OnceLock<[u8; 32]>,
}

impl Checkpoint {
    /// Returns a model of these weights. Two kinds of tensor that some files carry without need are dropped: stored rotary
    /// frequencies, and an output matrix beside `tie_word_embeddings`.
    ///
    /// # Errors
    ///
    /// Returns a [`CheckpointError`] that names the first tensor that is missing, too many or not as it should be.
    pub fn new(config: Config, mut tensors: BTreeMap<String, Tensor>) -> Result<Self, CheckpointError> {
        config.check()?;
        tensors
            .retain(|name, _| !(name.ends_with("rotary_emb.inv_freq") || config.tie_word_embeddings && name == HEAD));
        let shapes = config.shapes();
        if let Some(name) = tensors.keys().find(|name| !shapes.contains_key(*name)) {
            return Err(CheckpointError::Unexpected(name.clone()));
        }
        for (name, expected) in shapes {
            let tensor = tensors.get(&name).ok_or_else(|| CheckpointError::Missing(name.clone()))?;
            if tensor.dims() != expected {
                return Err(CheckpointError::Shape { name, expected, found: tensor.dims().to_vec() });
            }
            if tensor.dtype() != DType::F32 || !tensor.is_contiguous() || !tensor.device().is_cpu() {
                return Err(CheckpointError::Kind(name));
            }
            if !with_values(tensor, |values| values.iter().all(|value| value.is_finite())) {
                return Err(CheckpointError::NotFinite(name));
            }
        }
        Ok(Self { config, tensors, digest: OnceLock::new() })
    }

    /// Returns a tensor.
    ///
    /// # Errors
    ///
    /// Returns [`CheckpointError::Missing`] if there is none of that name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        self.tensors.get(name).ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }

    /// Returns the output's matrix, which may be the embedding's.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn head(&self) -> Result<&Tensor, CheckpointError> {
        self.tensor(if self.config.tie_word_embeddings { "model.embed_tokens.weight" } else { HEAD })
    }

    /// Returns the digest over the configuration and all tensors in the order of their names: name, shape and
    /// little-endian values. It is computed once, at about the speed at which memory is read.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new_derive_key(domain::MODEL_CHECKPOINT.as_str());
            self.config.absorb(&mut hasher);
            for (name, tensor) in &self.tensors {
                hasher.update(&(name.len() as u64).to_le_bytes());
                hasher.update(name.as_bytes());
                hasher.update(&(tensor.dims().len() as u64).to_le_bytes());
                for dimension in tensor.dims() {
                    hasher.update(&(*dimension as u64).to_le_bytes());
                }
                with_values(tensor, |values| absorb_values(&mut hasher, values));
            }
            *hasher.finalize().as_bytes()
        })
    }

    /// Returns a model of random weights: a toy that says nothing sensible and is the same on every machine.
    ///
    /// A matrix's entries are uniform with variance 1/inputs, which keeps the hidden state at its size from layer to layer;
    /// norms are one, biases small.
    ///
    /// # Panics
    ///
    /// Panics if [`Config::check`] fails.
    pub fn random(config: Config, seed: u64) -> Self {
        config.check().expect("the caller's configuration is a model");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = |count: usize, bound: f32| -> Vec<f32> {
            // 24 bits, so that the conversion is exact, to [-1, 1).
            (0..count).map(|_| ((rng.next_u32() >> 8) as f32 * 2f32.powi(-23) - 1.0) * bound).collect()
        };
        let tensors = config.shapes().into_iter().map(|(name, shape)| {
            let count = shape.iter().product();
            let values = match *shape {
                [_, inputs] => draw(count, (3.0 / inputs as f32).sqrt()),
                _ if name.ends_with("bias") => draw(count, 0.1),
                _ => vec![1.0; count],
            };
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape says");
            (name, tensor)
        });
        let tensors = tensors.collect();
        Self { config, tensors, digest: OnceLock::new() }
    }
}

/// Reads a tensor's values in place.
fn with_values<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> T {
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        unreachable!("checked when the checkpoint was made: contiguous f32 in memory")
    };
    read(&values[start..end])
}

fn absorb_values(hasher: &mut blake3::Hasher, values: &[f32]) {
    let mut bytes = [0; 4 * 4096];
    for chunk in values.chunks(4096) {
        for (bytes, value) in bytes.chunks_exact_mut(4).zip(chunk) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        hasher.update(&bytes[..4 * chunk.len()]);
    }
}

#[cfg(test)]
pub(crate) mod tests;
