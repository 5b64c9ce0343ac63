//! A model on this machine, computed by the node itself.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chorus_protocol::id::BlobId;

use super::{
    ChatError,
    answer::{Ended, Usage},
    provider::{Completion, Manner, Patience},
};
use crate::model::{
    base::{BaseModel, Dialogue},
    chat::Message,
    generate::{End, Generator, Precision, Settings, Step},
    peft::Adapter,
    tokenizer::TokenizerError,
};

/// A model in memory, with or without a community's adapter.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    dialogue: Dialogue,
    generator: Generator,
    digest: [u8; 32],
    /// The adapter that it has.
    adapter: Option<BlobId>,
    /// Its tokens for "Yes" and "No", if they differ.
    yes_no: Option<(u32, u32)>,
}

impl Local {
    /// Reads a model: a folder in Hugging Face's layout, or a GGUF file.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Base`] or [`ChatError::Generate`].
    pub fn open(path: &Path) -> Result<Self, ChatError> {
        Self::new(path.to_owned(), BaseModel::open(path)?)
    }

    /// Makes a model that was read ready to answer.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Generate`].
    pub fn new(path: PathBuf, model: BaseModel) -> Result<Self, ChatError> {
        let digest = model.checkpoint.digest();
        let generator = Generator::new(&model.checkpoint, Precision::Q8)?;
        let dialogue = model.dialogue;
        let first = |text| dialogue.tokenizer.encode(text).ok()?.first().copied();
        let yes_no = first("Yes").zip(first("No")).filter(|(yes, no)| yes != no);
        Ok(Self { path, dialogue, generator, digest, adapter: None, yes_no })
    }

    /// Returns where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the digest by which a series names its base model.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the adapter that it has.
    pub const fn adapter(&self) -> Option<BlobId> {
        self.adapter
    }

    /// Puts an adapter on, or takes off the one that it has; one that it has already stays.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Generate`] if it is for another model.
    pub fn wear(&mut self, adapter: Option<(BlobId, &Adapter)>) -> Result<(), ChatError> {
        let id = adapter.map(|(id, _)| id);
        if self.adapter != id {
            self.generator.set_adapter(adapter.map(|(_, adapter)| adapter))?;
            self.adapter = id;
        }
        Ok(())
    }

    /// Returns how many tokens prompt and answer may have together.
    pub const fn context(&self) -> usize {
        self.generator.config().max_position_embeddings
    }

    /// Answers a conversation.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`].
    pub(super) fn complete(
        &self,
        messages: &[Message],
        manner: &Manner,
        patience: &Patience<'_>,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Completion, ChatError> {
        let prompt = self.dialogue.prompt(messages)?;
        let settings = Settings { max_tokens: manner.max_tokens, sampling: manner.sampling, seed: manner.seed };
        let mut stream = self.dialogue.tokenizer.stream();
        let mut failure: Option<TokenizerError> = None;
        let mut on_step = |step| {
            if let Step::Token(token) = step {
                match stream.push(token) {
                    Ok(Some(text)) => on_text(&text),
                    Ok(None) => {}
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            patience.flow()
        };
        let (tokens, end) = self.generator.generate(&prompt, &self.dialogue.stops, &settings, &mut on_step)?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        if end == End::Cancelled {
            patience.check()?;
        }
        let usage = Usage { prompt_tokens: prompt.len() as u64, completion_tokens: tokens.len() as u64 };
        Ok(Completion {
            text: self.dialogue.tokenizer.decode(&tokens, false)?,
            ended: if end == End::Stop { Ended::Stop } else { Ended::Length },
            usage: Some(usage),
        })
    }

    /// Returns the probability of "Yes" against "No".
    pub(super) fn yes(&self, messages: &[Message], patience: &Patience<'_>) -> Result<Option<(f32, Usage)>, ChatError> {
        let Some((yes, no)) = self.yes_no else { return Ok(None) };
        let prompt = self.dialogue.prompt(messages)?;
        let Some(logits) = self.generator.next(&prompt, |_| patience.flow())? else {
            patience.check()?;
            return Ok(None);
        };
        let logit = |token: u32| logits.get(token as usize).copied().filter(|logit| logit.is_finite());
        let usage = Usage { prompt_tokens: prompt.len() as u64, completion_tokens: 0 };
        Ok(logit(yes).zip(logit(no)).map(|(yes, no)| (1.0 / (1.0 + (no - yes).exp()), usage)))
    }
}
