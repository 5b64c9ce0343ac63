//! Answers from a base model, with or without an adapter: one token after another.
//!
//! Weights are quantised again to 8 bits when a [`Generator`] is made: decoding reads every weight once per token, so a
//! quarter of the bytes is nearly four times the speed, and candle has fast kernels for this type and not for every one
//! that files come in. An adapter stays in `f32` beside the quantised weights, `W·x + s·B·(A·x)`; it can be changed
//! without touching them. Nothing here can be differentiated: candle's fast kernels cut the graph. Training has its own
//! forward pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use candle_core::Tensor;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    base::{Dialogue, PromptError},
    chat::Message,
    checkpoint::{Checkpoint, CheckpointError, Config},
    peft::Adapter,
    tokenizer::TokenizerError,
};

mod linear;
mod network;
mod sample;

use network::{Cache, Network};
pub use sample::Sampling;

/// How many tokens of a prompt are computed at once: enough to fill the cores, few enough to stop soon when asked to.
const CHUNK: usize = 128;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The checkpoint lacks something.
    #[error("the base model cannot be used")]
    Checkpoint(#[from] CheckpointError),
    /// A computation failed: memory, or a shape that was not foreseen.
    #[error("the model cannot be computed")]
    Compute(#[from] candle_core::Error),
    /// The adapter changes a module that the base model does not have.
    #[error("the adapter changes {module}, which the base model does not have")]
    UnknownModule {
        /// The module's name.
        module: String,
    },
    /// The adapter is for a base model of other dimensions.
    #[error("{module} is {expected:?} (outputs × inputs), the adapter's update of it {found:?}")]
    Dimensions {
        /// The module's name.
        module: String,
        /// The base model's outputs and inputs.
        expected: (usize, usize),
        /// The adapter's.
        found: (usize, usize),
    },
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt leaves no room for an answer.
    #[error("a prompt of {found} tokens leaves no room for an answer within {bound}")]
    LongPrompt {
        /// Its tokens.
        found: usize,
        /// How many tokens prompt and answer may have together.
        bound: usize,
    },
    /// The prompt has a token that the model does not know.
    #[error("token {found} is none of the model's {bound}")]
    UnknownToken {
        /// The token.
        found: u32,
        /// How many the model knows.
        bound: usize,
    },
    /// The model gave values that are no numbers: the adapter's weights are too large.
    #[error("the model's output is not finite")]
    NotFinite,
}

/// Why a conversation was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The conversation cannot be put to the model.
    #[error("the conversation cannot be put to the model")]
    Prompt(#[from] PromptError),
    /// The model did not answer.
    #[error("the model did not answer")]
    Generate(#[from] GenerateError),
    /// The answer is no text.
    #[error("the answer cannot be decoded")]
    Decode(#[from] TokenizerError),
}

/// How the weights are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Precision {
    /// In 8 bits and a scale for every 32.
    #[default]
    Q8,
    /// As they are in the checkpoint, with which they share their memory.
    F32,
}

/// How an answer is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The most tokens of an answer; fewer if the model's context is used up.
    pub max_tokens: usize,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// The seed of the choice. The same seed gives the same answer on the same machine; machines round differently.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_tokens: 256, sampling: Sampling::Greedy, seed: 0 }
    }
}

/// What happens on the way to an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// A part of the prompt has been read.
    Prompt {
        /// The tokens read.
        done: usize,
        /// All tokens of the prompt.
        total: usize,
    },
    /// A token of the answer.
    Token(u32),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The model ended it.
    Stop,
    /// It was as long as it may be.
    Length,
    /// The caller asked for it.
    Cancelled,
}

/// A base model ready to answer.
#[derive(Debug)]
pub struct Generator {
    network: Network,
}

impl Generator {
    /// Makes a generator from a base model. With [`Precision::Q8`] the checkpoint can be dropped afterwards.
    ///
    /// # Errors
    ///
    /// Returns a [`GenerateError`] if the checkpoint lacks something.
    pub fn new(checkpoint: &Checkpoint, precision: Precision) -> Result<Self, GenerateError> {
        Ok(Self { network: Network::new(checkpoint, precision)? })
    }

    /// Returns the base model's configuration.
    pub const fn config(&self) -> &Config {
        self.network.config()
    }

    /// Replaces the adapter; `None` leaves the base model.
    ///
    /// # Errors
    ///
    /// Returns [`GenerateError::UnknownModule`] or [`GenerateError::Dimensions`] if the adapter is for another model; the
    /// generator then has the adapter that it had.
    pub fn set_adapter(&mut self, adapter: Option<&Adapter>) -> Result<(), GenerateError> {
        let mut updates = BTreeMap::new();
        for (module, factors) in adapter.into_iter().flat_map(|adapter| &adapter.modules) {
            let linear = self.network.linear(module);
            let linear = linear.ok_or_else(|| GenerateError::UnknownModule { module: module.clone() })?;
            let (expected, found) = (linear.dimensions()?, (factors.b.rows(), factors.a.columns()));
            if expected != found {
                return Err(GenerateError::Dimensions { module: module.clone(), expected, found });
            }
            let scale = adapter.map_or(1.0, |adapter| adapter.config.scale(factors.rank()));
            updates.insert(module.clone(), linear::Update::new(factors, scale)?);
        }
        self.network.set_updates(updates);
        Ok(())
    }

    /// Returns the logits of the next token after each token of a text: tokens × vocabulary.
    ///
    /// # Errors
    ///
    /// Returns a [`GenerateError`] if the text is empty, too long or has unknown tokens.
    pub fn logits(&self, text: &[u32]) -> Result<Tensor, GenerateError> {
        self.check(text)?;
        let mut cache = Cache::new(self.config(), text.len())?;
        let mut parts = Vec::new();
        for chunk in text.chunks(CHUNK) {
            let hidden = self.network.forward(chunk, &mut cache)?;
            parts.push(self.network.logits(&hidden)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Returns the logits of the token that follows a prompt; nothing if `on_step` breaks the reading off.
    ///
    /// # Errors
    ///
    /// Returns a [`GenerateError`] if the prompt is empty, too long or has unknown tokens.
    pub fn next(
        &self,
        prompt: &[u32],
        mut on_step: impl FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>, GenerateError> {
        self.check(prompt)?;
        let mut cache = Cache::new(self.config(), prompt.len())?;
        let last = self.read(prompt, &mut cache, &mut on_step)?;
        Ok(last.map(|last| self.network.last_logits(&last)).transpose()?)
    }

    /// Reads a prompt, and returns what its last part led to; nothing if it is broken off.
    fn read(
        &self,
        prompt: &[u32],
        cache: &mut Cache,
        on_step: &mut impl FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Option<Tensor>, GenerateError> {
        let (mut last, mut done) = (None, 0);
        for chunk in prompt.chunks(CHUNK) {
            last = Some(self.network.forward(chunk, cache)?);
            done += chunk.len();
            if on_step(Step::Prompt { done, total: prompt.len() }).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(last.ok_or(GenerateError::EmptyPrompt)?))
    }

    /// Answers a prompt, telling `on_step` of each step; it may [break](ControlFlow::Break) the answer off. Returns the
    /// answer's tokens without the one that ended it.
    ///
    /// # Errors
    ///
    /// Returns a [`GenerateError`] if the prompt is empty, too long or has unknown tokens, or if the output is not finite.
    pub fn generate(
        &self,
        prompt: &[u32],
        stops: &BTreeSet<u32>,
        settings: &Settings,
        mut on_step: impl FnMut(Step) -> ControlFlow<()>,
    ) -> Result<(Vec<u32>, End), GenerateError> {
        self.check(prompt)?;
        let context = self.config().max_position_embeddings;
        let room = context.saturating_sub(prompt.len()).min(settings.max_tokens);
        let mut cache = Cache::new(self.config(), prompt.len() + room)?;
        let mut answer = Vec::new();
        let Some(mut last) = self.read(prompt, &mut cache, &mut on_step)? else {
            return Ok((answer, End::Cancelled));
        };
        let mut rng = ChaCha20Rng::seed_from_u64(settings.seed);
        while answer.len() < room {
            let token = settings.sampling.choose(&self.network.last_logits(&last)?, &mut rng)?;
            if stops.contains(&token) {
                return Ok((answer, End::Stop));
            }
            answer.push(token);
            if on_step(Step::Token(token)).is_break() {
                return Ok((answer, End::Cancelled));
            }
            if answer.len() < room {
                last = self.network.forward(&[token], &mut cache)?;
            }
        }
        Ok((answer, End::Length))
    }

    /// Answers a conversation, giving the text to `on_text` piece by piece, an empty one while the prompt is read.
    ///
    /// # Errors
    ///
    /// Returns an [`AnswerError`] if the conversation cannot be put to the model or the model cannot answer.
    pub fn answer(
        &self,
        dialogue: &Dialogue,
        messages: &[Message],
        settings: &Settings,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(String, End), AnswerError> {
        let prompt = dialogue.prompt(messages)?;
        let mut stream = dialogue.tokenizer.stream();
        let mut failure = None;
        let (tokens, end) = self.generate(&prompt, &dialogue.stops, settings, |step| match step {
            Step::Prompt { .. } => on_text(""),
            Step::Token(token) => match stream.push(token) {
                Ok(Some(text)) => on_text(&text),
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        })?;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok((dialogue.tokenizer.decode(&tokens, false)?, end)),
        }
    }

    fn check(&self, text: &[u32]) -> Result<(), GenerateError> {
        let (vocabulary, context) = (self.config().vocab_size, self.config().max_position_embeddings);
        if text.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        if text.len() > context {
            return Err(GenerateError::LongPrompt { found: text.len(), bound: context });
        }
        match text.iter().find(|token| **token as usize >= vocabulary) {
            Some(found) => Err(GenerateError::UnknownToken { found: *found, bound: vocabulary }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
