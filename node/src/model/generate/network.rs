//! The forward pass of Llama and Qwen2 with a cache of keys and values.
//!
//! Queries of the heads that share a key head are stacked as rows of one matrix, so that keys and values are used where
//! they lie and never repeated in memory.

use std::collections::BTreeMap;

use candle_core::{Device, IndexOp as _, Tensor, quantized::QMatMul};
use candle_nn::{ops, rotary_emb};

use super::{
    GenerateError, Precision,
    linear::{Linear, Update, multiply, quantise},
};
use crate::model::{
    checkpoint::{Checkpoint, Config},
    ops::rope::frequency,
};

/// The linear layers of a layer, by the ends of their names, in the order in which they are kept.
const LINEARS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// One layer.
#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    mlp_norm: Tensor,
    /// As in [`LINEARS`].
    linears: [Linear; 7],
}

/// The keys and values of the tokens so far.
#[derive(Debug)]
pub(super) struct Cache {
    /// Of each layer: key heads × capacity × width of a head.
    layers: Vec<(Tensor, Tensor)>,
    length: usize,
    /// The rotations: capacity × half the width of a head.
    cos: Tensor,
    sin: Tensor,
}

impl Cache {
    /// Returns a cache for so many tokens.
    pub(super) fn new(config: &Config, capacity: usize) -> candle_core::Result<Self> {
        let zeros = || {
            let shape = (config.num_key_value_heads, capacity, config.head_dim);
            Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)
        };
        let layers =
            (0..config.num_hidden_layers).map(|_| Ok((zeros()?, zeros()?))).collect::<candle_core::Result<_>>()?;
        let frequencies: Vec<f64> = (0..config.head_dim / 2).map(|pair| frequency(config, pair)).collect();
        let table = |turn: fn(f64) -> f64| {
            let angles = (0..capacity).flat_map(|at| frequencies.iter().map(move |frequency| at as f64 * frequency));
            let values: Vec<f32> = angles.map(|angle| to_f32(turn(angle))).collect();
            Tensor::from_vec(values, (capacity, frequencies.len()), &Device::Cpu)
        };
        Ok(Self { layers, length: 0, cos: table(f64::cos)?, sin: table(f64::sin)? })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the model computes in single precision")]
const fn to_f32(value: f64) -> f32 {
    value as f32
}

/// A model.
#[derive(Debug)]
pub(super) struct Network {
    config: Config,
    embedding: QMatMul,
    layers: Vec<Layer>,
    norm: Tensor,
    /// `None` if it is the embedding.
    head: Option<QMatMul>,
}

impl Network {
    pub(super) fn new(checkpoint: &Checkpoint, precision: Precision) -> Result<Self, GenerateError> {
        let config = checkpoint.config.clone();
        let layer = |index: usize| layer(checkpoint, index, precision);
        let head = if config.tie_word_embeddings { None } else { Some(quantise(checkpoint.head()?, precision)?) };
        Ok(Self {
            embedding: quantise(checkpoint.tensor("model.embed_tokens.weight")?, precision)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            norm: checkpoint.tensor("model.norm.weight")?.clone(),
            head,
            config,
        })
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns a linear layer by its name, such as `model.layers.0.self_attn.q_proj`.
    pub(super) fn linear(&self, module: &str) -> Option<&Linear> {
        let (layer, place) = place(module)?;
        Some(&self.layers.get(layer)?.linears[place])
    }

    /// Replaces all updates: those of modules that are not named are removed.
    pub(super) fn set_updates(&mut self, updates: BTreeMap<String, Update>) {
        self.layers.iter_mut().flat_map(|layer| &mut layer.linears).for_each(|linear| linear.update = None);
        for (module, update) in updates {
            let place = place(&module).and_then(|(layer, place)| Some(&mut self.layers.get_mut(layer)?.linears[place]));
            place.expect("the caller has looked it up").update = Some(update);
        }
    }

    /// Computes the next tokens and returns their last hidden states.
    pub(super) fn forward(&self, tokens: &[u32], cache: &mut Cache) -> candle_core::Result<Tensor> {
        let mut hidden = self.embedding.embedding(&Tensor::new(tokens, &Device::Cpu)?)?;
        let mask = mask(tokens.len(), cache.length)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = self.normalise(&hidden, &layer.attention_norm)?;
            hidden = (hidden + self.attend(layer, &normed, index, cache, mask.as_ref())?)?;
            let normed = self.normalise(&hidden, &layer.mlp_norm)?;
            let [.., gate, up, down] = &layer.linears;
            let inner = (ops::silu(&gate.forward(&normed)?)? * up.forward(&normed)?)?;
            hidden = (hidden + down.forward(&inner)?)?;
        }
        cache.length += tokens.len();
        self.normalise(&hidden, &self.norm)
    }

    /// Returns the logits after each of the hidden states.
    pub(super) fn logits(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        multiply(self.head.as_ref().unwrap_or(&self.embedding), hidden)
    }

    /// Returns the logits after the last of the hidden states.
    pub(super) fn last_logits(&self, hidden: &Tensor) -> candle_core::Result<Vec<f32>> {
        let last = hidden.narrow(0, hidden.dim(0)? - 1, 1)?;
        self.logits(&last.contiguous()?)?.i(0)?.to_vec1()
    }

    fn normalise(&self, rows: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
        ops::rms_norm(rows, weight, to_f32(self.config.rms_norm_eps))
    }

    fn attend(
        &self,
        layer: &Layer,
        rows: &Tensor,
        index: usize,
        cache: &Cache,
        mask: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let Config { num_attention_heads: heads, num_key_value_heads: key_heads, head_dim: width, .. } = self.config;
        let [query, key, value, output, ..] = &layer.linears;
        let (count, length) = (rows.dim(0)?, cache.length + rows.dim(0)?);
        let (cos, sin) = (cache.cos.narrow(0, cache.length, count)?, cache.sin.narrow(0, cache.length, count)?);
        // 1 × heads × tokens × width.
        let split = |rows: Tensor, heads: usize| rows.reshape((1, count, heads, width))?.transpose(1, 2)?.contiguous();
        let queries = rotary_emb::rope(&split(query.forward(rows)?, heads)?, &cos, &sin)?;
        let keys = rotary_emb::rope(&split(key.forward(rows)?, key_heads)?, &cos, &sin)?;
        let values = split(value.forward(rows)?, key_heads)?;
        let (all_keys, all_values) = &cache.layers[index];
        all_keys.slice_set(&keys.squeeze(0)?, 1, cache.length)?;
        all_values.slice_set(&values.squeeze(0)?, 1, cache.length)?;
        let (keys, values) = (all_keys.narrow(1, 0, length)?, all_values.narrow(1, 0, length)?);

        let group = heads / key_heads;
        let queries = queries.reshape((key_heads, group * count, width))?.affine((width as f64).powf(-0.5), 0.0)?;
        let mut scores = queries.matmul(&keys.t()?)?;
        if let Some(mask) = mask {
            let shape = (key_heads, group, count, length);
            scores = scores.reshape(shape)?.broadcast_add(mask)?.reshape((key_heads, group * count, length))?;
        }
        let mixed = ops::softmax_last_dim(&scores)?.matmul(&values)?;
        // Back to tokens × (heads · width).
        output.forward(&mixed.reshape((heads, count, width))?.transpose(0, 1)?.contiguous()?.reshape((count, ()))?)
    }
}

fn layer(checkpoint: &Checkpoint, index: usize, precision: Precision) -> Result<Layer, GenerateError> {
    let tensor = |name: &str| checkpoint.tensor(&format!("model.layers.{index}.{name}"));
    let linears = LINEARS.map(|name| -> Result<Linear, GenerateError> {
        let bias = tensor(&format!("{name}.bias")).ok();
        Ok(Linear::new(tensor(&format!("{name}.weight"))?, bias, precision)?)
    });
    let [query, key, value, output, gate, up, down] = linears;
    Ok(Layer {
        attention_norm: tensor("input_layernorm.weight")?.clone(),
        mlp_norm: tensor("post_attention_layernorm.weight")?.clone(),
        linears: [query?, key?, value?, output?, gate?, up?, down?],
    })
}

/// Splits a module's name into the layer and the place among its linear layers.
fn place(module: &str) -> Option<(usize, usize)> {
    let (layer, name) = module.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, LINEARS.iter().position(|known| *known == name)?))
}

/// Returns what keeps each of `count` tokens from seeing those after it, unless there is only one.
fn mask(count: usize, before: usize) -> candle_core::Result<Option<Tensor>> {
    if count == 1 {
        return Ok(None);
    }
    let row =
        |at: usize| (0..before + count).map(move |seen| if seen <= before + at { 0.0 } else { f32::NEG_INFINITY });
    let values: Vec<f32> = (0..count).flat_map(row).collect();
    Tensor::from_vec(values, (count, before + count), &Device::Cpu).map(Some)
}
