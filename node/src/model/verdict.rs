//! Asking a model for its verdict on a statement: should an assistant follow it, yes or no?

use super::{
    base::{Dialogue, PromptError},
    chat::{Message, Role},
    evaluate::Pair,
    negate::Negation,
    train::Example,
};

/// A model's tokens for "yes" and "no", and how it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    dialogue: &'a Dialogue,
    yes: u32,
    no: u32,
}

impl<'a> Judge<'a> {
    /// Returns the judge that a model makes; `None` if its tokenizer has no different first tokens for "Yes" and "No".
    pub fn new(dialogue: &'a Dialogue) -> Option<Self> {
        let first = |text| dialogue.tokenizer.encode(text).ok()?.first().copied();
        let (yes, no) = (first("Yes")?, first("No")?);
        (yes != no).then_some(Self { dialogue, yes, no })
    }

    /// Returns the question, up to where the verdict begins.
    ///
    /// # Errors
    ///
    /// Returns a [`PromptError`] if the model's template or tokenizer refuses the statement.
    pub fn question(&self, statement: &str) -> Result<Vec<u32>, PromptError> {
        let question = format!(
            "Here is a principle for AI assistants: \"{}\" Should AI assistants follow this principle? Answer with Yes or No.",
            statement.trim()
        );
        self.dialogue.prompt(&[Message::new(Role::User, question)])
    }

    /// Returns what is learnt from a vote: that the statement is better than its negation, or worse.
    ///
    /// # Errors
    ///
    /// As [`question`](Self::question).
    pub fn lesson(&self, statement: &str, negation: &Negation, agrees: bool) -> Result<Example, PromptError> {
        let Pair { chosen, rejected, yes, no, .. } = self.pair(statement, negation, agrees)?;
        Ok(Example::Verdict { chosen, rejected, yes, no })
    }

    /// Returns what a model is asked about that should prefer the statement to its negation, or the other way round.
    ///
    /// # Errors
    ///
    /// As [`question`](Self::question).
    pub fn pair(&self, statement: &str, negation: &Negation, agrees: bool) -> Result<Pair, PromptError> {
        let (statement, negated) = (self.question(statement)?, self.question(&negation.text)?);
        let (chosen, rejected) = if agrees { (statement, negated) } else { (negated, statement) };
        Ok(Pair { chosen, rejected, yes: self.yes, no: self.no, negated: negation.of_negative == agrees })
    }
}
