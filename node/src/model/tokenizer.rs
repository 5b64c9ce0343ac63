//! Text to token ids and back: byte-level BPE from a `tokenizer.json` or from the vocabulary in a GGUF file.
//!
//! A GGUF file names its pre-tokenizer (`tokenizer.ggml.pre`) and does not describe it. A wrong one fails silently: the
//! text still splits into known tokens, only not into those that the model was trained on. So the ones that are known
//! here are built by hand, and all others are refused by name.

use serde::de::IgnoredAny;
use tokenizers::{
    AddedToken, SplitDelimiterBehavior,
    decoders::byte_level::ByteLevel as Decoder,
    models::bpe::{BPE, Vocab},
    normalizers::NFC,
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

mod stream;

pub use stream::TextStream;

/// The most tokens of a vocabulary: the largest in use have 262,144.
pub const MAX_VOCABULARY: usize = 1 << 20;

/// The most merges, of which a vocabulary needs one per token that is no single byte; some have more.
pub const MAX_MERGES: usize = 1 << 22;

/// The number of tokens of a [toy](Tokenizer::toy): the bytes and one that ends an answer.
pub const TOY_VOCABULARY: usize = 257;

/// The most bytes that are encoded at once.
pub const MAX_TEXT_BYTES: usize = 4 << 20;

/// Why there is no tokenizer, or why it refuses a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The description is not one that the tokenizers library understands.
    #[error("no tokenizer can be built")]
    Build(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The vocabulary names a pre-tokenizer that is not known here.
    #[error("the pre-tokenizer {0:?} is not supported")]
    PreTokenizer(String),
    /// The vocabulary is not well formed.
    #[error("the vocabulary is damaged: {0}")]
    Vocabulary(&'static str),
    /// The text is longer than a prompt may be.
    #[error("a text of {found} bytes is longer than the {bound} that are encoded")]
    TooLong {
        /// Its length.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// A text or a token cannot be converted.
    #[error("cannot convert between text and tokens")]
    Convert(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a token is for, as GGUF files tell it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    /// A piece of text.
    Text,
    /// A control token, such as the end of a message: never a piece of text.
    Control,
    /// A token outside the merges that is matched as a whole.
    Added,
}

/// The vocabulary of a byte-level BPE tokenizer.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The name of the pre-tokenizer.
    pub pre_tokenizer: String,
    /// The tokens in the order of their ids.
    pub tokens: Vec<String>,
    /// What each token is for; as many as tokens.
    pub kinds: Vec<TokenKind>,
    /// The merges, best first: two tokens with a space between.
    pub merges: Vec<String>,
}

/// A tokenizer.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The control tokens, longest first.
    controls: Vec<String>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocabulary", &self.size()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// Returns [`TokenizerError::Build`] if it is none.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
        // The library panics at some files that are no JSON, or not of the shape that it expects.
        let _: IgnoredAny = serde_json::from_slice(bytes).map_err(|error| TokenizerError::Build(error.into()))?;
        let read = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes));
        let read = read.map_err(|_| TokenizerError::Build("its parts do not fit together".into()))?;
        let mut inner = read.map_err(TokenizerError::Build)?;
        // A file may ask for a fixed length; prompts have their own.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(TokenizerError::Build)?;
        Ok(Self::new(inner))
    }

    /// Builds the tokenizer of a vocabulary.
    ///
    /// # Errors
    ///
    /// Returns a [`TokenizerError`] that says what is wrong with the vocabulary.
    pub fn from_vocabulary(vocabulary: Vocabulary) -> Result<Self, TokenizerError> {
        let Vocabulary { pre_tokenizer, tokens, kinds, merges } = vocabulary;
        if tokens.len() > MAX_VOCABULARY || merges.len() > MAX_MERGES {
            return Err(TokenizerError::Vocabulary("more tokens or merges than any model has"));
        }
        if kinds.len() != tokens.len() {
            return Err(TokenizerError::Vocabulary("not as many kinds as tokens"));
        }
        let added = added(&tokens, &kinds);
        let ids: Vocab = tokens.into_iter().zip(0..).collect();
        if ids.len() != kinds.len() {
            return Err(TokenizerError::Vocabulary("a token is there twice"));
        }
        let halves = |merge: String| merge.split_once(' ').map(|(first, second)| (first.to_owned(), second.to_owned()));
        let merges: Option<Vec<_>> = merges.into_iter().map(halves).collect();
        let merges = merges.ok_or(TokenizerError::Vocabulary("a merge is not of two tokens"))?;
        let splitting = Splitting::named(&pre_tokenizer)?;
        let model = BPE::builder().vocab_and_merges(ids, merges).ignore_merges(splitting == Splitting::Llama3);
        let mut inner = tokenizers::Tokenizer::new(model.build().map_err(TokenizerError::Build)?);
        inner
            .with_pre_tokenizer(Some(splitting.pre_tokenizer()?))
            .with_decoder(Some(Decoder::new(false, false, false)));
        if splitting == Splitting::Qwen2 {
            inner.with_normalizer(Some(NFC));
        }
        inner.add_tokens(&added);
        Ok(Self::new(inner))
    }

    /// Returns a tokenizer whose tokens are bytes, for models that are made up, and its token that ends an answer.
    pub fn toy() -> (Self, u32) {
        let mut tokens: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
        tokens.sort_unstable();
        let mut kinds = vec![TokenKind::Text; tokens.len()];
        let end = u32::try_from(tokens.len()).expect("256 bytes");
        tokens.push("<|end|>".into());
        kinds.push(TokenKind::Control);
        let vocabulary = Vocabulary { pre_tokenizer: "smollm".into(), tokens, kinds, merges: Vec::new() };
        (Self::from_vocabulary(vocabulary).expect("every byte is there once"), end)
    }

    fn new(inner: tokenizers::Tokenizer) -> Self {
        let added = inner.get_added_tokens_decoder();
        let mut controls: Vec<String> =
            added.into_values().filter(|token| token.special).map(|token| token.content).collect();
        controls.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        controls.retain(|token| !token.trim().is_empty());
        Self { inner, controls }
    }

    /// Returns the number of ids that the tokenizer can give: one more than the largest.
    pub fn size(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// Returns the id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Returns a token as it stands in the vocabulary: a space is `Ġ`, a line feed `Ċ`.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Encodes a text. Control tokens that are written out in it become control tokens; none are added.
    ///
    /// # Errors
    ///
    /// Returns [`TokenizerError::TooLong`], or [`TokenizerError::Convert`] for a text that the vocabulary cannot express.
    ///
    /// # Security
    ///
    /// Text of other people must pass [`neutralise`](Self::neutralise) first.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TokenizerError::TooLong { found: text.len(), bound: MAX_TEXT_BYTES });
        }
        let encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Convert)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Decodes tokens; `controls` says whether control tokens are written out or left away.
    ///
    /// # Errors
    ///
    /// Returns [`TokenizerError::Convert`] if the library does. Ids outside the vocabulary are left away.
    pub fn decode(&self, ids: &[u32], controls: bool) -> Result<String, TokenizerError> {
        self.inner.decode(ids, !controls).map_err(TokenizerError::Convert)
    }

    /// Starts to decode tokens one by one.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(&self.inner)
    }

    /// Returns a text in which no control token is written out: each gets a space after its first character, one of a
    /// single character is left away.
    ///
    /// # Security
    ///
    /// Without it a statement that somebody proposes could end the message it is quoted in and speak as the system.
    pub fn neutralise(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for control in &self.controls {
            if text.contains(control.as_str()) {
                let mut characters = control.chars();
                let first = characters.next();
                let rest = characters.as_str();
                let apart = first.filter(|_| !rest.is_empty()).map(|first| format!("{first} {rest}"));
                text = text.replace(control.as_str(), &apart.unwrap_or_default());
            }
        }
        text
    }
}

fn added(tokens: &[String], kinds: &[TokenKind]) -> Vec<AddedToken> {
    let pairs = tokens.iter().zip(kinds).filter(|(_, kind)| **kind != TokenKind::Text);
    pairs.map(|(token, kind)| AddedToken::from(token.clone(), *kind == TokenKind::Control).normalized(false)).collect()
}

/// How a text is split before the merges.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Splitting {
    SmolLm,
    Llama3,
    Qwen2,
}

/// Contractions; a word with one character before it; digits; punctuation with the line feeds after it; line feeds;
/// spaces but for the last one before a word. `{digits}` is how many digits stay together.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Splitting {
    fn named(name: &str) -> Result<Self, TokenizerError> {
        match name {
            "smollm" => Ok(Self::SmolLm),
            "llama-bpe" | "llama3" | "llama-v3" => Ok(Self::Llama3),
            "qwen2" => Ok(Self::Qwen2),
            other => Err(TokenizerError::PreTokenizer(other.to_owned())),
        }
    }

    fn pre_tokenizer(self) -> Result<PreTokenizerWrapper, TokenizerError> {
        let split = |digits: &str| -> Result<PreTokenizerWrapper, TokenizerError> {
            let pattern = SplitPattern::Regex(WORDS.replace("{digits}", digits));
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(TokenizerError::Build)?;
            Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
        };
        match self {
            Self::SmolLm => {
                Ok(Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into())
            }
            Self::Llama3 => split("{1,3}"),
            Self::Qwen2 => split(""),
        }
    }
}

#[cfg(test)]
mod tests;
