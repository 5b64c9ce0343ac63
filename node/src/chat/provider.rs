//! Who computes: a model on this machine, or an endpoint elsewhere.

use core::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{
    ChatError, Local,
    answer::{Ended, Place, Usage},
    outside::Endpoint,
};
use crate::model::{chat::Message, generate::Sampling};

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// The most tokens.
    pub max_tokens: usize,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// The seed of the choice.
    pub seed: u64,
}

/// A text that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub ended: Ended,
    /// Tokens, if the provider tells.
    pub usage: Option<Usage>,
}

/// Whether to go on: who asked may have gone, and nobody may occupy the model for ever.
pub struct Patience<'a> {
    gone: &'a dyn Fn() -> bool,
    began: Instant,
    limit: Duration,
}

impl core::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Patience").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<'a> Patience<'a> {
    /// Begins to wait, until `gone` or for as long as `limit`.
    pub fn new(gone: &'a dyn Fn() -> bool, limit: Duration) -> Self {
        Self { gone, began: Instant::now(), limit }
    }

    /// Says whether to go on.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Cancelled`] or [`ChatError::TimedOut`].
    pub fn check(&self) -> Result<(), ChatError> {
        if (self.gone)() {
            return Err(ChatError::Cancelled);
        }
        if self.began.elapsed() > self.limit { Err(ChatError::TimedOut(self.limit)) } else { Ok(()) }
    }

    /// The same for a computation that may be broken off; what the reason is, [`check`](Self::check) says.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.check().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Who computes.
#[derive(Debug)]
pub enum Provider<'a> {
    /// A model on this machine.
    Local(&'a Local),
    /// An endpoint.
    Outside(&'a Endpoint),
}

impl Provider<'_> {
    /// Returns where it is.
    pub const fn place(&self) -> Place {
        match self {
            Self::Local(_) => Place::Local,
            Self::Outside(_) => Place::Outside,
        }
    }

    /// Returns how many tokens prompt and answer may have together.
    pub fn context(&self) -> usize {
        match self {
            Self::Local(local) => local.context(),
            Self::Outside(endpoint) => endpoint.context(),
        }
    }

    /// Answers a conversation, giving the text to `on_text` piece by piece.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`].
    pub fn complete(
        &self,
        messages: &[Message],
        manner: &Manner,
        patience: &Patience<'_>,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Completion, ChatError> {
        match self {
            Self::Local(local) => local.complete(messages, manner, patience, on_text),
            Self::Outside(endpoint) => endpoint.complete(messages, manner, patience, on_text),
        }
    }

    /// Returns the probability of "Yes" against "No" as the next word, and the tokens read; nothing where it cannot be read.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`].
    pub fn yes(&self, messages: &[Message], patience: &Patience<'_>) -> Result<Option<(f32, Usage)>, ChatError> {
        match self {
            Self::Local(local) => local.yes(messages, patience),
            Self::Outside(_) => Ok(None),
        }
    }
}
