//! Base models in folders in the layout of Hugging Face: `config.json`, `*.safetensors`, `tokenizer.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{BaseError, BaseModel, Dialogue, WeightsError, chat_template, weights};
use crate::model::{
    chat::MAX_TEMPLATE_BYTES,
    checkpoint::{Architecture, Checkpoint, Config, RopeScaling},
    tokenizer::Tokenizer,
};

/// The most bytes of `config.json` and the like.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The most bytes of `tokenizer.json`, `tokenizer_config.json` and the index of the weights: 11 MB for Llama 3.
const MAX_TOKENIZER_BYTES: u64 = 128 << 20;

/// The most files that the weights are in.
const MAX_FILES: usize = 1024;

/// What `config.json` says. What is not listed is not used by the architectures that are supported.
#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: Option<String>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    rope_parameters: Option<Rope>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    hidden_act: Option<String>,
    quantization_config: Option<Value>,
    max_position_embeddings: usize,
    eos_token_id: Option<Value>,
}

/// `rope_scaling`, and since transformers 5 `rope_parameters`, which has the base too.
#[derive(Deserialize)]
struct Rope {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// What `generation_config.json` adds.
#[derive(Default, Deserialize)]
struct Generation {
    eos_token_id: Option<Value>,
}

/// What `tokenizer_config.json` adds.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    bos_token: Option<Value>,
    eos_token: Option<Value>,
    chat_template: Option<Value>,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens a folder.
pub(super) fn open(folder: &Path) -> Result<BaseModel, BaseError> {
    let description = description(folder)?;
    let path = folder.join("tokenizer.json");
    let bytes = required(&path, MAX_TOKENIZER_BYTES)?;
    let tokenizer = Tokenizer::from_json(&bytes).map_err(|source| BaseError::Tokenizer { path, source })?;
    let settings: TokenizerConfig =
        json(&folder.join("tokenizer_config.json"), MAX_TOKENIZER_BYTES)?.unwrap_or_default();
    let generation: Generation = json(&folder.join("generation_config.json"), MAX_CONFIG_BYTES)?.unwrap_or_default();
    let (bos, eos) = (content(settings.bos_token.as_ref()), content(settings.eos_token.as_ref()));
    let mut stops: BTreeSet<u32> = tokenizer.id(&eos).into_iter().collect();
    for given in [&description.eos_token_id, &generation.eos_token_id] {
        stops.extend(ids(given.as_ref()).ok_or_else(|| wrong(&folder.join("config.json"), "eos_token_id"))?);
    }
    let template = match bounded(&folder.join("chat_template.jinja"), MAX_TEMPLATE_BYTES as u64)? {
        Some(bytes) => Some(String::from_utf8(bytes).map_err(|_| wrong(folder, "UTF-8 in chat_template.jinja"))?),
        None => default_template(settings.chat_template.as_ref()),
    };
    let chat = chat_template(folder, template, bos, eos)?;
    Ok(BaseModel { checkpoint: load(folder, &description)?, dialogue: Dialogue { tokenizer, chat, stops } })
}

/// Reads the configuration and the weights alone.
pub(super) fn checkpoint(folder: &Path) -> Result<Checkpoint, BaseError> {
    load(folder, &description(folder)?)
}

fn description(folder: &Path) -> Result<Description, BaseError> {
    let path = folder.join("config.json");
    json(&path, MAX_CONFIG_BYTES)?.ok_or_else(|| missing(&path))
}

fn load(folder: &Path, description: &Description) -> Result<Checkpoint, BaseError> {
    let path = folder.join("config.json");
    let config = description.config().map_err(|refusal| match refusal {
        Refusal::Unsupported(what) => BaseError::Unsupported { path: path.clone(), what },
        Refusal::Wrong(what) => wrong(&path, what),
    })?;
    let checkpoint = |source| BaseError::Checkpoint { path: folder.to_owned(), source };
    config.check().map_err(checkpoint)?;
    Checkpoint::new(config, tensors(folder)?).map_err(checkpoint)
}

/// Why a configuration is not used.
enum Refusal {
    Unsupported(String),
    Wrong(&'static str),
}

impl Description {
    fn config(&self) -> Result<Config, Refusal> {
        self.check()?;
        let architecture = self.architecture()?;
        let heads = self.num_attention_heads;
        let head_dim = match self.head_dim {
            Some(width) => width,
            None if heads > 0 && self.hidden_size.is_multiple_of(heads) => self.hidden_size / heads,
            None => return Err(Refusal::Wrong("num_attention_heads")),
        };
        let (rope_theta, rope_scaling) = self.rope()?;
        Ok(Config {
            architecture,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim,
            vocab_size: self.vocab_size,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta,
            rope_scaling,
            tie_word_embeddings: self.tie_word_embeddings,
            attention_bias: architecture == Architecture::Qwen2,
            max_position_embeddings: self.max_position_embeddings,
        })
    }

    fn architecture(&self) -> Result<Architecture, Refusal> {
        let named = match &*self.architectures {
            [] => self.model_type.as_deref().unwrap_or("without a name"),
            [name, ..] => name,
        };
        match named {
            "LlamaForCausalLM" | "LlamaModel" | "llama" => Ok(Architecture::Llama),
            "Qwen2ForCausalLM" | "Qwen2Model" | "qwen2" => Ok(Architecture::Qwen2),
            other => Err(Refusal::Unsupported(format!("the architecture {other}"))),
        }
    }

    /// Refuses what would change the computation.
    fn check(&self) -> Result<(), Refusal> {
        let unsupported = |what: &str| Err(Refusal::Unsupported(what.to_owned()));
        if self.mlp_bias || self.attention_bias {
            return unsupported("a bias beside those of Qwen2");
        }
        if self.use_sliding_window {
            return unsupported("sliding window attention");
        }
        if self.quantization_config.as_ref().is_some_and(|given| !given.is_null()) {
            return unsupported("a quantised model in this layout");
        }
        match self.hidden_act.as_deref() {
            None | Some("silu" | "swish") => Ok(()),
            Some(other) => unsupported(&format!("the activation {other}")),
        }
    }

    /// Returns the base and the scaling, wherever the version of transformers that wrote the file puts them.
    fn rope(&self) -> Result<(f64, Option<RopeScaling>), Refusal> {
        let theta = match (self.rope_theta, self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta)) {
            (Some(old), Some(new)) if old != new => return Err(Refusal::Wrong("one rope_theta")),
            (old, new) => new.or(old).unwrap_or(10_000.0),
        };
        let given = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        Ok((theta, given.map(Rope::scaling).transpose()?.flatten()))
    }
}

impl Rope {
    fn scaling(&self) -> Result<Option<RopeScaling>, Refusal> {
        if self.partial_rotary_factor.is_some_and(|factor| factor != 1.0) {
            return Err(Refusal::Unsupported("heads of which a part is rotated".into()));
        }
        let need = |value: Option<f64>| value.ok_or(Refusal::Wrong("a number of the rope scaling"));
        match self.rope_type.as_deref().or(self.old_type.as_deref()) {
            None | Some("default") => Ok(None),
            Some("linear") => Ok(Some(RopeScaling::Linear { factor: need(self.factor)? })),
            Some("llama3") => Ok(Some(RopeScaling::Llama3 {
                factor: need(self.factor)?,
                low_freq_factor: need(self.low_freq_factor)?,
                high_freq_factor: need(self.high_freq_factor)?,
                original_max_position_embeddings: self
                    .original_max_position_embeddings
                    .ok_or(Refusal::Wrong("original_max_position_embeddings"))?,
            })),
            Some(other) => Err(Refusal::Unsupported(format!("rope scaling of type {other}"))),
        }
    }
}

/// Reads all weights: those that an index lists, or those of all safetensors files but an adapter's.
fn tensors(folder: &Path) -> Result<BTreeMap<String, candle_core::Tensor>, BaseError> {
    let path = folder.join("model.safetensors.index.json");
    let index: Option<Index> = json(&path, MAX_TOKENIZER_BYTES)?;
    let files = match &index {
        Some(index) => listed(&path, index)?,
        None => found(folder)?,
    };
    let mut tensors = BTreeMap::new();
    for file in files {
        let path = folder.join(file);
        let skip = |name: &str| name.ends_with("rotary_emb.inv_freq");
        weights::read(&path, &mut tensors, skip)
            .map_err(|source| BaseError::Weights { path, source: Box::new(source) })?;
    }
    let absent = index.and_then(|index| index.weight_map.into_keys().find(|name| !tensors.contains_key(name)));
    match absent.filter(|name| !name.ends_with("rotary_emb.inv_freq")) {
        Some(name) => Err(BaseError::Weights { path, source: Box::new(WeightsError::Place { name }) }),
        None => Ok(tensors),
    }
}

fn listed(path: &Path, index: &Index) -> Result<BTreeSet<String>, BaseError> {
    let files: BTreeSet<String> = index.weight_map.values().cloned().collect();
    // Names of files beside the index, and nothing that leads elsewhere.
    let plain = |name: &String| name.ends_with(".safetensors") && !name.contains(['/', '\\', ':', '\0']);
    if files.is_empty() || files.len() > MAX_FILES || !files.iter().all(plain) {
        return Err(wrong(path, "the list of files"));
    }
    Ok(files)
}

fn found(folder: &Path) -> Result<BTreeSet<String>, BaseError> {
    let io = |source| BaseError::Io { path: folder.to_owned(), source };
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let weights = |name: &&str| name.ends_with(".safetensors") && !name.starts_with("adapter_");
        files.extend(name.to_str().filter(weights).map(str::to_owned));
    }
    if files.is_empty() {
        return Err(missing(&folder.join("model.safetensors")));
    }
    if files.len() > MAX_FILES { Err(wrong(folder, "a sensible number of files")) } else { Ok(files) }
}

/// Returns a special token, which is a string or an object with its content.
fn content(token: Option<&Value>) -> String {
    let text = token.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
    text.unwrap_or_default().to_owned()
}

/// Returns token ids given as a number, a list or not at all.
fn ids(given: Option<&Value>) -> Option<Vec<u32>> {
    let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match given {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(id).collect(),
        Some(value) => Some(vec![id(value)?]),
    }
}

/// Returns the template, which is a string or one of several with names.
fn default_template(given: Option<&Value>) -> Option<String> {
    let named = |value: &&Value| value.get("name").and_then(Value::as_str) == Some("default");
    let template = match given? {
        Value::Array(templates) => templates.iter().find(named)?.get("template")?,
        template => template,
    };
    template.as_str().map(str::to_owned)
}

fn json<T: DeserializeOwned>(path: &Path, bound: u64) -> Result<Option<T>, BaseError> {
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
    let parsed = bounded(path, bound)?.map(parse).transpose();
    parsed.map_err(|source| BaseError::Json { path: path.to_owned(), source })
}

fn required(path: &Path, bound: u64) -> Result<Vec<u8>, BaseError> {
    bounded(path, bound)?.ok_or_else(|| missing(path))
}

/// Reads a file, if it is there.
fn bounded(path: &Path, bound: u64) -> Result<Option<Vec<u8>>, BaseError> {
    let io = |source| BaseError::Io { path: path.to_owned(), source };
    let found = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if found > bound {
        return Err(BaseError::TooLarge { path: path.to_owned(), found, bound });
    }
    fs::read(path).map(Some).map_err(io)
}

fn wrong(path: &Path, what: &str) -> BaseError {
    BaseError::Wrong { path: path.to_owned(), what: what.to_owned() }
}

fn missing(path: &Path) -> BaseError {
    BaseError::Io { path: PathBuf::from(path), source: std::io::ErrorKind::NotFound.into() }
}
