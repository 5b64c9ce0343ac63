//! Chat templates: how a conversation is written out for a model, as the model's own files say it, in Jinja.
//!
//! The environment is that of transformers' `apply_chat_template`: blocks trimmed, Python's string methods,
//! `raise_exception`, and `break` and `continue` in loops. There is no clock: `strftime_now` is not defined, and
//! templates that ask for it fall back to a fixed date.

use std::io::{self, Write};

use minijinja::{Environment, Error, ErrorKind, context};
use serde::{Deserialize, Serialize};

/// The most bytes of a template; the longest in use have some 10 kB.
pub const MAX_TEMPLATE_BYTES: usize = 1 << 20;

/// The most instructions of one run: a message takes some 100.
const MAX_INSTRUCTIONS: u64 = 1_000_000;

/// The most bytes that a run may write.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Speaker")]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules of the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// Returns a message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Why a conversation cannot be written out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The template is longer than any template.
    #[error("a chat template of {0} bytes is longer than the {MAX_TEMPLATE_BYTES} that are read")]
    TooLong(usize),
    /// The template is no Jinja, refuses the conversation, or runs for too long.
    #[error("the chat template does not run")]
    Template(#[from] Error),
}

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: String,
    eos: String,
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.source).finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Returns the template with this source. `bos` and `eos` are the tokens that the template knows as `bos_token` and
    /// `eos_token`; empty if the model has none.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`] if the source is too long or no Jinja.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self, ChatError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(ChatError::TooLong(source.len()));
        }
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(MAX_INSTRUCTIONS));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.template_from_named_str("chat", &source)?;
        Ok(Self { environment, source, bos, eos })
    }

    /// Returns the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Writes out a conversation; with `add_generation_prompt`, up to where the model is to answer.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Template`] if the template refuses the conversation, or if its run takes too many steps or
    /// writes too much.
    ///
    /// # Security
    ///
    /// A template is as trusted as the model it comes with; the bounds stop mistakes. What the messages say is inserted
    /// as it is: see [`Tokenizer::neutralise`](super::tokenizer::Tokenizer::neutralise).
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, ChatError> {
        let template = self.environment.template_from_named_str("chat", &self.source)?;
        let mut output = Bounded(Vec::new());
        let values = context! { messages, add_generation_prompt, bos_token => self.bos, eos_token => self.eos };
        template.render_captured_to(values, &mut output)?;
        Ok(String::from_utf8(output.0).expect("a template writes whole strings"))
    }
}

/// A buffer that refuses to grow beyond the bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_OUTPUT_BYTES - self.0.len() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the conversation is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
