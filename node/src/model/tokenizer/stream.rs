//! Decoding while tokens come.

use tokenizers::{
    DecodeStream, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

use super::TokenizerError;

/// Gives out the text of a sequence of tokens piece by piece, never half a character. Control tokens are left away.
pub struct TextStream<'a>(
    DecodeStream<'a, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>,
);

impl std::fmt::Debug for TextStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextStream").finish_non_exhaustive()
    }
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a tokenizers::Tokenizer) -> Self {
        Self(tokenizer.decode_stream(true))
    }

    /// Takes the next token and returns the text that is complete now, if any.
    ///
    /// # Errors
    ///
    /// Returns [`TokenizerError::Convert`] if the tokens do not decode.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TokenizerError> {
        self.0.step(id).map_err(TokenizerError::Convert)
    }
}
