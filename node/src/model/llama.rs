//! The Llama architecture, and Qwen2's variant of it: forward, and backward to the low-rank updates.
//!
//! Texts lie one after another in one matrix, without padding: linear layers work on all tokens at once, attention on each
//! text. The weights are shared with the checkpoint, never copied. Layers below the first adapted one never change, so that
//! what they make of a text can be computed once ([`Llama::prefix`]).

use std::{ops::Range, slice};

use super::{
    checkpoint::{Checkpoint, CheckpointError},
    lora::{Lora, Projection},
    ops::{Rows, Weight, linear::Linear, norm::Norm, rope::Rope},
};

mod block;

use block::Block;

/// The longest text that is taken, whatever a model promises: what is trained on is short.
pub const MAX_TEXT: usize = 8192;

/// Why a text cannot be given to a model.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It has no token.
    #[error("a text without a token")]
    Empty,
    /// It is longer than the model or this program can take.
    #[error("a text of {found} tokens; at most {bound} can be taken")]
    TooLong {
        /// Its length.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// A token is not in the vocabulary: it was made with another model's tokenizer.
    #[error("token {token} in a vocabulary of {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
}

/// A model that is ready to compute.
#[derive(Clone, Debug)]
pub struct Llama {
    checkpoint: Checkpoint,
    embedding: Weight,
    blocks: Vec<Block>,
    norm: Norm,
    head: Weight,
    rope: Rope,
}

/// What the backward of a whole pass needs.
#[derive(Debug)]
pub struct Tape {
    first: usize,
    blocks: Vec<block::Tape>,
    /// The hidden state before the last norm.
    last: Rows,
}

impl Llama {
    /// Returns the model of a checkpoint.
    ///
    /// # Errors
    ///
    /// Returns a [`CheckpointError`] if a tensor is missing, which a checkpoint rules out.
    pub fn new(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let config = &checkpoint.config;
        let vector = |name: &str| Ok(Weight::new(&checkpoint.tensor(name)?.unsqueeze(0).expect("one more dimension")));
        let values = |name: &str| Ok(vector(name)?.select([0]).into_values());
        let norm = |name: &str| Ok(Norm::new(values(name)?, config.rms_norm_eps as f32));
        let block = |layer: usize| {
            let name = |name: &str| format!("model.layers.{layer}.{name}");
            let linear = |projection: Projection| {
                let module = projection.module(layer);
                let biased = config.attention_bias && projection.may_have_bias();
                let bias = if biased { Some(values(&format!("{module}.bias"))?) } else { None };
                Ok(Linear::new(Weight::new(checkpoint.tensor(&format!("{module}.weight"))?), bias))
            };
            let norms = [norm(&name("input_layernorm.weight"))?, norm(&name("post_attention_layernorm.weight"))?];
            let linears = Projection::ALL.iter().map(|projection| linear(*projection)).collect::<Result<_, _>>()?;
            Ok(Block::new(layer, config, norms, linears))
        };
        Ok(Self {
            checkpoint: checkpoint.clone(),
            embedding: Weight::new(checkpoint.tensor("model.embed_tokens.weight")?),
            blocks: (0..config.num_hidden_layers).map(block).collect::<Result<_, CheckpointError>>()?,
            norm: norm("model.norm.weight")?,
            head: Weight::new(checkpoint.head()?),
            rope: Rope::new(config, config.max_position_embeddings.min(MAX_TEXT)),
        })
    }

    /// Returns the checkpoint that the model computes with.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the number of layers.
    pub const fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Returns the matrix that takes the last hidden state to the logits.
    pub const fn head(&self) -> &Weight {
        &self.head
    }

    /// Checks that a text can be given to the model.
    ///
    /// # Errors
    ///
    /// Returns a [`TextError`].
    pub fn check(&self, tokens: &[u32]) -> Result<(), TextError> {
        let (found, bound, vocabulary) = (tokens.len(), self.rope.positions(), self.embedding.outputs());
        if tokens.is_empty() {
            return Err(TextError::Empty);
        }
        if found > bound {
            return Err(TextError::TooLong { found, bound });
        }
        match tokens.iter().find(|token| **token as usize >= vocabulary) {
            Some(&token) => Err(TextError::Token { token, vocabulary }),
            None => Ok(()),
        }
    }

    /// Returns the hidden states that a text has before a layer.
    ///
    /// # Errors
    ///
    /// Returns a [`TextError`].
    ///
    /// # Panics
    ///
    /// Panics if there are fewer layers.
    pub fn prefix(&self, tokens: &[u32], layer: usize) -> Result<Rows, TextError> {
        self.check(tokens)?;
        let mut hidden = self.embedding.select(tokens.iter().map(|token| *token as usize));
        let text = 0..tokens.len();
        for block in &self.blocks[..layer] {
            hidden = block.forward(&self.rope, hidden, std::slice::from_ref(&text), None, None).0;
        }
        Ok(hidden)
    }

    /// Takes the hidden states of `texts` before layer `first` to the last ones, after the last norm, of the chosen rows.
    ///
    /// # Panics
    ///
    /// Panics if the texts are not the rows, or if there is no such layer or row.
    pub fn forward(
        &self,
        hidden: Rows,
        texts: &[Range<usize>],
        first: usize,
        lora: Option<&Lora>,
        chosen: &[usize],
    ) -> (Rows, Tape) {
        let mut blocks = Vec::new();
        let last = self.run(hidden, texts, first, lora, chosen, |tape| blocks.push(tape));
        (self.norm.forward(&last), Tape { first, blocks, last })
    }

    /// As [`forward`](Self::forward), without what a backward needs.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn outputs(
        &self,
        hidden: Rows,
        texts: &[Range<usize>],
        first: usize,
        lora: Option<&Lora>,
        chosen: &[usize],
    ) -> Rows {
        self.norm.forward(&self.run(hidden, texts, first, lora, chosen, drop))
    }

    fn run(
        &self,
        mut hidden: Rows,
        texts: &[Range<usize>],
        first: usize,
        lora: Option<&Lora>,
        chosen: &[usize],
        mut keep: impl FnMut(block::Tape),
    ) -> Rows {
        assert!(first < self.layers(), "the last layer is where rows are chosen");
        for block in &self.blocks[first..] {
            // Only the last layer may leave rows out: the others' are needed for attention.
            let chosen = (block.layer() + 1 == self.layers()).then_some(chosen);
            let (next, tape) = block.forward(&self.rope, hidden, texts, lora, chosen);
            hidden = next;
            keep(tape);
        }
        hidden
    }

    /// Takes the gradient of the results of a [`forward`](Self::forward) to that of all B, which is added to `gradient`, in
    /// the order of [`Lora::delta`].
    ///
    /// # Panics
    ///
    /// Panics if the tape is of another model or `gradient` of another adapter.
    pub fn backward(&self, tape: Tape, lora: &Lora, of_results: Rows, gradient: &mut [f32]) {
        let mut of_hidden = self.norm.backward(&tape.last, of_results);
        let first = tape.first.max(lora.first_layer());
        for (layer, tape) in (tape.first..self.layers()).zip(tape.blocks).rev() {
            if layer < first {
                break;
            }
            match self.blocks[layer].backward(&self.rope, tape, lora, of_hidden, layer > first, gradient) {
                Some(next) => of_hidden = next,
                None => break,
            }
        }
    }

    /// Returns the last hidden states of a text, after the last norm, one for each token.
    ///
    /// # Errors
    ///
    /// Returns a [`TextError`].
    pub fn hidden(&self, tokens: &[u32], lora: Option<&Lora>) -> Result<Rows, TextError> {
        let hidden = self.prefix(tokens, 0)?;
        let all: Vec<usize> = (0..tokens.len()).collect();
        Ok(self.outputs(hidden, slice::from_ref(&(0..tokens.len())), 0, lora, &all))
    }

    /// Returns the logits after each token of a text: tokens × vocabulary.
    ///
    /// # Errors
    ///
    /// Returns a [`TextError`].
    pub fn logits(&self, tokens: &[u32], lora: Option<&Lora>) -> Result<Rows, TextError> {
        Ok(self.head.forward(&self.hidden(tokens, lora)?))
    }
}

#[cfg(test)]
pub(crate) mod tests;
