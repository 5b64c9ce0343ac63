//! Base models from files: a folder in the layout of Hugging Face, or one GGUF file.
//!
//! Both give the same: weights in `f32` under the names and in the layout of Hugging Face, so that an adapter trained on
//! either fits the original model; a tokenizer; a chat template; the tokens that end an answer. The architectures are
//! Llama and Qwen2; everything else is refused by name rather than read as if it were one of them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    chat::{ChatError, ChatTemplate, Message},
    checkpoint::{Checkpoint, CheckpointError, Config},
    tokenizer::{TOY_VOCABULARY, Tokenizer, TokenizerError},
};

mod folder;
mod gguf;
mod header;
mod weights;

pub use header::HeaderError;
pub use weights::WeightsError;

/// Why a base model cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{path} has {found} bytes, more than the {bound} that are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The bound.
        bound: u64,
    },
    /// A file is not the JSON that it should be.
    #[error("{path} is not what it should be")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The header of a GGUF file is damaged or of another version.
    #[error("cannot read {path}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: HeaderError,
    },
    /// A file of weights is damaged.
    #[error("cannot read the weights in {path}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<WeightsError>,
    },
    /// The model is of a kind that is not computed here.
    #[error("{path}: {what} is not supported")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        what: String,
    },
    /// Something that a model needs is missing or makes no sense.
    #[error("{path}: {what} is missing or wrong")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What.
        what: String,
    },
    /// The weights do not fit the configuration.
    #[error("the weights do not fit the configuration of {path}")]
    Checkpoint {
        /// The folder or file.
        path: PathBuf,
        /// What does not fit.
        source: CheckpointError,
    },
    /// There is no usable tokenizer.
    #[error("the tokenizer of {path} cannot be used")]
    Tokenizer {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: TokenizerError,
    },
    /// The chat template is no template.
    #[error("the chat template of {path} cannot be used")]
    Chat {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: ChatError,
    },
}

/// Why a conversation cannot be put to a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The template refuses it.
    #[error("the conversation cannot be written out")]
    Chat(#[from] ChatError),
    /// The tokenizer refuses it.
    #[error("the conversation cannot be encoded")]
    Tokenizer(#[from] TokenizerError),
}

/// How a conversation is written out for a model without a chat template.
const PLAIN_TEMPLATE: &str = "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n\
                              {% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

/// A base model with all that belongs to it.
#[derive(Debug)]
pub struct BaseModel {
    /// The configuration and the weights.
    pub checkpoint: Checkpoint,
    /// How it is spoken to.
    pub dialogue: Dialogue,
}

/// How a model is spoken to: what makes tokens of a conversation and text of an answer.
#[derive(Debug)]
pub struct Dialogue {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The chat template; a plain one if the model has none.
    pub chat: ChatTemplate,
    /// The tokens that end an answer.
    pub stops: BTreeSet<u32>,
}

impl BaseModel {
    /// Opens a folder or a GGUF file.
    ///
    /// # Errors
    ///
    /// Returns a [`BaseError`] that names the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, BaseError> {
        let base = if is_folder(path)? { folder::open(path)? } else { gguf::Gguf::open(path)?.into_base()? };
        let (size, bound) = (base.dialogue.tokenizer.size(), base.checkpoint.config.vocab_size);
        if size > bound || base.dialogue.stops.iter().any(|stop| *stop as usize >= bound) {
            let what = format!("a vocabulary of {size} tokens for {bound} embeddings");
            return Err(BaseError::Wrong { path: path.to_owned(), what });
        }
        Ok(base)
    }

    /// Returns a toy: weights drawn from a seed, and bytes for tokens.
    ///
    /// # Errors
    ///
    /// Returns a [`CheckpointError`] if the configuration is no model or has fewer than
    /// [`TOY_VOCABULARY`] tokens.
    pub fn toy(config: Config, seed: u64) -> Result<Self, CheckpointError> {
        config.check()?;
        if config.vocab_size < TOY_VOCABULARY {
            return Err(CheckpointError::Config("fewer embeddings than tokens"));
        }
        let (tokenizer, end) = Tokenizer::toy();
        let chat = ChatTemplate::new(PLAIN_TEMPLATE.into(), String::new(), String::new());
        let chat = chat.expect("the plain template is a template");
        let dialogue = Dialogue { tokenizer, chat, stops: BTreeSet::from([end]) };
        Ok(Self { checkpoint: Checkpoint::random(config, seed), dialogue })
    }
}

impl Dialogue {
    /// Returns the tokens of a conversation up to where the model is to answer.
    ///
    /// # Errors
    ///
    /// Returns a [`PromptError`] if the template or the tokenizer refuses it.
    ///
    /// # Security
    ///
    /// Whatever the messages say, none of it becomes a control token: who wrote a part of a message cannot end it and
    /// speak in another role.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, PromptError> {
        self.encode(messages, true)
    }

    /// Returns the tokens of a whole conversation, its last message ended as the template ends it.
    ///
    /// # Errors
    ///
    /// As for [`prompt`](Self::prompt).
    pub fn transcript(&self, messages: &[Message]) -> Result<Vec<u32>, PromptError> {
        self.encode(messages, false)
    }

    fn encode(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<u32>, PromptError> {
        let tame = |message: &Message| Message::new(message.role, self.tokenizer.neutralise(&message.content));
        let messages: Vec<Message> = messages.iter().map(tame).collect();
        let text = self.chat.render(&messages, add_generation_prompt)?;
        Ok(self.tokenizer.encode(&text)?)
    }
}

/// Reads the configuration and the weights alone, of a folder or a GGUF file that may lack a tokenizer.
///
/// # Errors
///
/// As for [`BaseModel::open`].
pub fn checkpoint(path: &Path) -> Result<Checkpoint, BaseError> {
    if is_folder(path)? { folder::checkpoint(path) } else { gguf::Gguf::open(path)?.checkpoint() }
}

fn is_folder(path: &Path) -> Result<bool, BaseError> {
    Ok(fs::metadata(path).map_err(|source| BaseError::Io { path: path.to_owned(), source })?.is_dir())
}

/// Compiles a model's chat template, or the plain one if there is none.
fn chat_template(path: &Path, source: Option<String>, bos: String, eos: String) -> Result<ChatTemplate, BaseError> {
    let source = source.unwrap_or_else(|| PLAIN_TEMPLATE.to_owned());
    ChatTemplate::new(source, bos, eos).map_err(|source| BaseError::Chat { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
