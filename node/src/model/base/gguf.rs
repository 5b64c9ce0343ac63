//! Base models in GGUF files, the format of llama.cpp.
//!
//! Tensors are dequantised to `f32`, renamed, and put into the layout of Hugging Face. For the Llama architecture that
//! means to undo a permutation: llama.cpp rotates neighbouring values (2i, 2i + 1) of a head where Hugging Face rotates
//! (i, i + d/2), and its converter reorders the rows of the query and key projections to make up for that. An adapter
//! trained on the reordered rows would fit no other tool. Qwen2 files are not reordered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, ggml_file::qtensor_from_ggml},
};

use super::{
    BaseError, BaseModel, Dialogue, WeightsError, chat_template,
    header::{Entry, Header, Value},
    weights,
};
use crate::model::{
    checkpoint::{Architecture, Checkpoint, Config, RopeScaling},
    ops::rope::frequency,
    tokenizer::{TokenKind, Tokenizer, TokenizerError, Vocabulary},
};

/// The tensor of the factors that Llama 3.1 and later divide their rotation frequencies by.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// An open file with its header.
pub(super) struct Gguf {
    path: PathBuf,
    file: File,
    header: Header,
}

impl Gguf {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self, BaseError> {
        let io = |source| BaseError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let header = Header::read(BufReader::new(&file), length);
        let header = header.map_err(|source| BaseError::Header { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, header })
    }

    /// Reads everything.
    pub(super) fn into_base(mut self) -> Result<BaseModel, BaseError> {
        let tokenizer = self.tokenizer().map_err(|source| BaseError::Tokenizer { path: self.path.clone(), source })?;
        let token = |key: &str| self.token_id(key).and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let (bos, eos) = (token("bos_token_id"), token("eos_token_id"));
        let source = self.string("tokenizer.chat_template").map(str::to_owned);
        let chat = chat_template(&self.path, source, bos, eos)?;
        let stops = ["eos_token_id", "eot_token_id"].iter().filter_map(|key| self.token_id(key)).collect();
        let stops: BTreeSet<u32> = stops;
        Ok(BaseModel { checkpoint: self.checkpoint()?, dialogue: Dialogue { tokenizer, chat, stops } })
    }

    /// Reads the configuration and the weights.
    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, BaseError> {
        let config = self.config()?;
        config.check().map_err(|source| BaseError::Checkpoint { path: self.path.clone(), source })?;
        let entries = std::mem::take(&mut self.header.tensors);
        let mut tensors = BTreeMap::new();
        for (name, entry) in entries.iter().filter(|(name, _)| name.as_str() != ROPE_FACTORS) {
            let unsupported = || self.unsupported(format!("tensor {name}"));
            let (name, heads) = translate(name, &config).ok_or_else(unsupported)?;
            let tensor = self.tensor(entry).and_then(|tensor| match heads {
                Some(heads) => unpermute(&tensor, heads),
                None => Ok(tensor),
            });
            let convert = |source| self.weights(WeightsError::Convert { name: name.clone(), source });
            tensors.insert(name.clone(), tensor.map_err(convert)?);
        }
        Checkpoint::new(config, tensors).map_err(|source| BaseError::Checkpoint { path: self.path.clone(), source })
    }

    fn tensor(&self, entry: &Entry) -> candle_core::Result<Tensor> {
        let mut bytes = vec![0; entry.bytes];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(entry.start))?;
        file.read_exact(&mut bytes)?;
        let plain = |kind| weights::widen(&bytes, kind, &entry.shape);
        match entry.kind {
            GgmlDType::F32 => plain(DType::F32),
            GgmlDType::F16 => plain(DType::F16),
            GgmlDType::BF16 => plain(DType::BF16),
            kind => qtensor_from_ggml(kind, &bytes, entry.shape.clone(), &Device::Cpu)?.dequantize(&Device::Cpu),
        }
    }

    fn config(&self) -> Result<Config, BaseError> {
        let name = self.string("general.architecture").ok_or_else(|| self.wrong("general.architecture"))?;
        let architecture = match name {
            "llama" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            other => return Err(self.unsupported(format!("the architecture {other}"))),
        };
        let key = |suffix: &str| format!("{name}.{suffix}");
        if self.optional(&key("expert_count"))?.is_some_and(|experts| experts > 0) {
            return Err(self.unsupported("a mixture of experts".into()));
        }
        let (hidden_size, heads) = (self.size(&key("embedding_length"))?, self.size(&key("attention.head_count"))?);
        let head_dim = match self.optional(&key("attention.key_length"))? {
            Some(length) => length,
            None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => return Err(self.wrong("the number of heads")),
        };
        let whole = |suffix: &str| Ok(self.optional(&key(suffix))?.is_none_or(|length| length == head_dim));
        if !(whole("attention.value_length")? && whole("rope.dimension_count")?) {
            return Err(self.unsupported("heads of which a part is rotated, or of two sizes".into()));
        }
        let embeddings = self.header.tensors.get("token_embd.weight").and_then(|entry| entry.shape.first());
        let rope_theta = self.float(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        let mut config = Config {
            architecture,
            hidden_size,
            intermediate_size: self.size(&key("feed_forward_length"))?,
            num_hidden_layers: self.size(&key("block_count"))?,
            num_attention_heads: heads,
            num_key_value_heads: self.optional(&key("attention.head_count_kv"))?.unwrap_or(heads),
            head_dim,
            vocab_size: *embeddings.ok_or_else(|| self.wrong("token_embd.weight"))?,
            rms_norm_eps: self
                .float(&key("attention.layer_norm_rms_epsilon"))?
                .ok_or_else(|| self.wrong("attention.layer_norm_rms_epsilon"))?,
            rope_theta,
            rope_scaling: None,
            tie_word_embeddings: !self.header.tensors.contains_key("output.weight"),
            attention_bias: self.header.tensors.contains_key("blk.0.attn_q.bias"),
            max_position_embeddings: self.size(&key("context_length"))?,
        };
        config.rope_scaling = self.rope_scaling(name, &config)?;
        Ok(config)
    }

    fn rope_scaling(&self, name: &str, plain: &Config) -> Result<Option<RopeScaling>, BaseError> {
        let factor = self.float(&format!("{name}.rope.scaling.factor"))?;
        let scaling = match (self.string(&format!("{name}.rope.scaling.type")), factor) {
            (None | Some("none"), None) => None,
            (None | Some("none"), Some(1.0)) => None,
            (Some("linear"), Some(factor)) => Some(RopeScaling::Linear { factor }),
            (other, _) => return Err(self.unsupported(format!("rope scaling of type {}", other.unwrap_or("none")))),
        };
        let Some(entry) = self.header.tensors.get(ROPE_FACTORS) else { return Ok(scaling) };
        let factors = self.tensor(entry).and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>());
        let factors =
            factors.map_err(|source| self.weights(WeightsError::Convert { name: ROPE_FACTORS.into(), source }))?;
        let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
        // The file holds the factors and not what they were made of; all models of this family share the rest.
        let scaling = scaling.xor(Some(RopeScaling::Llama3 {
            factor,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        }));
        let scaled = Config { rope_scaling: scaling, ..plain.clone() };
        let expected = (0..plain.head_dim / 2).map(|pair| frequency(plain, pair) / frequency(&scaled, pair));
        let near = |(found, expected): (&f32, f64)| (f64::from(*found) - expected).abs() <= 1e-3 * expected.abs();
        if scaling.is_none() || factors.len() != plain.head_dim / 2 || !factors.iter().zip(expected).all(near) {
            return Err(self.unsupported("rope scaling by other factors than those of Llama 3".into()));
        }
        Ok(scaling.filter(|_| factor != 1.0))
    }

    fn tokenizer(&self) -> Result<Tokenizer, TokenizerError> {
        let strings = |key: &str| match self.header.metadata.get(key) {
            Some(Value::Strings(strings)) => Some(strings.clone()),
            _ => None,
        };
        match self.string("tokenizer.ggml.model") {
            Some("gpt2") => {}
            Some(other) => return Err(TokenizerError::PreTokenizer(format!("{other} (a model of another kind)"))),
            None => return Err(TokenizerError::Vocabulary("there is none")),
        }
        let tokens = strings("tokenizer.ggml.tokens").ok_or(TokenizerError::Vocabulary("no tokens"))?;
        let kinds = match self.header.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::Integers(kinds)) => kinds.iter().map(|kind| token_kind(*kind)).collect(),
            _ => return Err(TokenizerError::Vocabulary("no kinds of tokens")),
        };
        Tokenizer::from_vocabulary(Vocabulary {
            pre_tokenizer: self.string("tokenizer.ggml.pre").unwrap_or_default().to_owned(),
            tokens,
            kinds,
            merges: strings("tokenizer.ggml.merges").ok_or(TokenizerError::Vocabulary("no merges"))?,
        })
    }

    fn token_id(&self, key: &str) -> Option<u32> {
        match self.header.metadata.get(&format!("tokenizer.ggml.{key}")) {
            Some(Value::Integer(id)) => u32::try_from(*id).ok(),
            _ => None,
        }
    }

    fn string(&self, key: &str) -> Option<&str> {
        match self.header.metadata.get(key) {
            Some(Value::String(string)) => Some(string),
            _ => None,
        }
    }

    fn size(&self, key: &str) -> Result<usize, BaseError> {
        self.optional(key)?.ok_or_else(|| self.wrong(key))
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, BaseError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Integer(value)) => usize::try_from(*value).map(Some).map_err(|_| self.wrong(key)),
            Some(_) => Err(self.wrong(key)),
        }
    }

    fn float(&self, key: &str) -> Result<Option<f64>, BaseError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) if value.is_finite() => Ok(Some(*value)),
            Some(_) => Err(self.wrong(key)),
        }
    }

    fn wrong(&self, what: &str) -> BaseError {
        BaseError::Wrong { path: self.path.clone(), what: what.to_owned() }
    }

    fn unsupported(&self, what: String) -> BaseError {
        BaseError::Unsupported { path: self.path.clone(), what }
    }

    fn weights(&self, source: WeightsError) -> BaseError {
        BaseError::Weights { path: self.path.clone(), source: Box::new(source) }
    }
}

/// What llama.cpp's numbers say: 2 unknown, 3 control, 4 defined by the user, 5 unused; 1 and 6 are text and bytes.
const fn token_kind(number: i64) -> TokenKind {
    match number {
        2 | 3 | 5 => TokenKind::Control,
        4 => TokenKind::Added,
        _ => TokenKind::Text,
    }
}

/// Returns Hugging Face's name of a tensor, and the number of heads if its rows are reordered.
fn translate(name: &str, config: &Config) -> Option<(String, Option<usize>)> {
    match name {
        "token_embd.weight" => return Some(("model.embed_tokens.weight".into(), None)),
        "output_norm.weight" => return Some(("model.norm.weight".into(), None)),
        "output.weight" => return Some(("lm_head.weight".into(), None)),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (module, kind) = rest.rsplit_once('.')?;
    let name = match module {
        "attn_norm" => "input_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    let heads = match (config.architecture, module) {
        (Architecture::Llama, "attn_q") => Some(config.num_attention_heads),
        (Architecture::Llama, "attn_k") => Some(config.num_key_value_heads),
        _ => None,
    };
    Some((format!("model.layers.{layer}.{name}.{kind}"), heads))
}

/// Undoes llama.cpp's reordering of the rows of each head: (d/2, 2) becomes (2, d/2).
fn unpermute(tensor: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let shape = tensor.dims().to_vec();
    let rows = shape.first().copied().unwrap_or(0);
    if heads == 0 || !rows.is_multiple_of(2 * heads) {
        candle_core::bail!("{rows} rows for {heads} heads");
    }
    let columns: usize = shape[1..].iter().product();
    tensor.reshape((heads, rows / heads / 2, 2, columns))?.transpose(1, 2)?.contiguous()?.reshape(shape)
}
