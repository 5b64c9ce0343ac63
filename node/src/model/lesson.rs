//! What a person thinks, as examples to train on: verdicts on statements, and answers given with their principles in mind.
//!
//! A vote says which of a statement and its [negation](super::negate) the model should give the better verdict to. All that
//! somebody is for, with their value cards, is put before the base model as its instructions; how it then answers a public bank
//! of neutral [questions](QUESTIONS) is what the adapter is to make it answer without them (context distillation).

use super::{
    base::{Dialogue, PromptError},
    chat::{Message, Role},
    evaluate::Pair,
    negate::negate,
    train::Example,
    verdict::Judge,
};
use crate::diary::ValueCard;

/// Questions about ordinary life, on which people's principles show in how they are answered. They are public and the same for
/// everybody, and none asks for an opinion on a statement of a poll.
pub const QUESTIONS: [&str; 16] = [
    "How should I prepare for a job interview next week?",
    "What would you tell somebody who has just moved to a new town?",
    "I keep putting off my tax return. What can I do?",
    "Can you help me to understand what inflation is?",
    "My sister and I argue about who cares for our father. How do we talk about it?",
    "Suggest a present for a colleague who is leaving.",
    "How do I know whether I am ready to buy a dog?",
    "What should I look out for when I rent a flat?",
    "Write a short letter that asks the council to mend a street lamp.",
    "Why do the seasons change?",
    "I made a mistake at work and nobody has noticed. What now?",
    "How can I sleep better?",
    "What is a good way to begin to paint?",
    "My teenage daughter spends all evening on her phone. What would you do?",
    "Is it better to repair an old car or to buy another one?",
    "Tell me about a discovery that changed how people live.",
];

/// The most principles that are told at once: some 500 tokens. With more, each question is asked with the next of them.
const MAX_TOLD: usize = 24;

/// The most value cards that are told at once.
const MAX_TOLD_CARDS: usize = 8;

/// What somebody thinks of a statement.
#[derive(Clone, Eq, PartialEq)]
pub struct Opinion {
    /// The statement.
    pub text: String,
    /// Whether they are for it, or against it.
    pub agrees: bool,
}

/// Shows no opinion.
impl core::fmt::Debug for Opinion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Opinion").field("text", &self.text).finish_non_exhaustive()
    }
}

/// Why examples cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LessonError {
    /// The model's words for "yes" and "no" begin alike, so that no verdict can be read off.
    #[error("the model's tokenizer does not tell \"Yes\" from \"No\" by their first token")]
    Verdict,
    /// A question cannot be put to the model.
    #[error("a question cannot be put to the model")]
    Prompt(#[from] PromptError),
}

/// Makes examples for one model.
#[derive(Clone, Copy, Debug)]
pub struct Teacher<'a> {
    dialogue: &'a Dialogue,
    judge: Judge<'a>,
}

/// A question to the base model: with instructions, and without.
#[derive(Clone, Eq, PartialEq)]
pub struct Question {
    /// With them, up to where the answer begins.
    pub told: Vec<u32>,
    /// Without them.
    pub untold: Vec<u32>,
}

impl<'a> Teacher<'a> {
    /// Returns the teacher of models that are spoken to so.
    ///
    /// # Errors
    ///
    /// Returns [`LessonError::Verdict`] if no verdict can be read off such a model.
    pub fn new(dialogue: &'a Dialogue) -> Result<Self, LessonError> {
        Ok(Self { dialogue, judge: Judge::new(dialogue).ok_or(LessonError::Verdict)? })
    }

    /// Returns the example of a vote; `None` if the statement has no negation.
    ///
    /// # Errors
    ///
    /// Returns [`LessonError::Prompt`].
    pub fn verdict(&self, Opinion { text, agrees }: &Opinion) -> Result<Option<Example>, LessonError> {
        let Some(negation) = negate(text) else { return Ok(None) };
        Ok(Some(self.judge.lesson(text, &negation, *agrees)?))
    }

    /// Returns the pair with which a model is asked about an opinion; `None` if the statement has no negation.
    ///
    /// # Errors
    ///
    /// Returns [`LessonError::Prompt`].
    pub fn pair(&self, Opinion { text, agrees }: &Opinion) -> Result<Option<Pair>, LessonError> {
        let Some(negation) = negate(text) else { return Ok(None) };
        Ok(Some(self.judge.pair(text, &negation, *agrees)?))
    }

    /// Returns the questions of the bank, each with principles and cards as instructions; none if there is nothing to tell.
    ///
    /// # Errors
    ///
    /// Returns [`LessonError::Prompt`].
    pub fn questions(&self, principles: &[String], cards: &[ValueCard]) -> Result<Vec<Question>, LessonError> {
        if principles.is_empty() && cards.is_empty() {
            return Ok(Vec::new());
        }
        let part = |count: usize, most: usize, number: usize| {
            let parts = count.div_ceil(most).max(1);
            let begin = (number % parts) * most;
            begin..(begin + most).min(count)
        };
        let question = |(number, text): (usize, &&str)| {
            let principles = principles.get(part(principles.len(), MAX_TOLD, number)).unwrap_or_default();
            let cards = cards.get(part(cards.len(), MAX_TOLD_CARDS, number)).unwrap_or_default();
            let system = Message::new(Role::System, instructions(principles, cards));
            let user = Message::new(Role::User, *text);
            let untold = self.dialogue.prompt(std::slice::from_ref(&user))?;
            Ok(Question { told: self.dialogue.prompt(&[system, user])?, untold })
        };
        QUESTIONS.iter().enumerate().map(question).collect()
    }
}

/// Returns what a person wants a model to be told: what they are for, in whole sentences, and their cards.
pub fn instructions(principles: &[String], cards: &[ValueCard]) -> String {
    let mut text =
        String::from("You are a helpful assistant. Let what follows guide how you answer, without quoting it.\n");
    if !principles.is_empty() {
        text.push_str("\nPrinciples:\n");
        principles.iter().for_each(|principle| text.push_str(&format!("- {principle}\n")));
    }
    for card in cards {
        text.push_str(&format!("\n{}: {}\n", card.title.trim(), card.instruction.trim()));
        if !card.policies.is_empty() {
            text.push_str(&format!("Pay attention to {}.\n", card.policies.join("; ")));
        }
    }
    text
}

/// Returns what somebody with these opinions is for: the statements, or their negations.
pub fn principles(opinions: &[Opinion]) -> Vec<String> {
    let principle = |opinion: &Opinion| match opinion.agrees {
        true => Some(opinion.text.clone()),
        false => negate(&opinion.text).map(|negation| negation.text),
    };
    opinions.iter().filter_map(principle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{base::BaseModel, checkpoint::Config, checkpoint::tests::toy};

    fn base() -> BaseModel {
        BaseModel::toy(Config { vocab_size: 300, max_position_embeddings: 8192, ..toy() }, 1).expect("a toy")
    }

    fn opinion(text: &str, agrees: bool) -> Opinion {
        Opinion { text: text.into(), agrees }
    }

    #[test]
    fn a_vote_says_which_of_statement_and_negation_is_better() {
        let base = base();
        let teacher = Teacher::new(&base.dialogue).expect("a teacher");
        let text = |tokens: &[u32]| base.dialogue.tokenizer.decode(tokens, true).expect("text");
        let pair = |text, agrees| teacher.pair(&opinion(text, agrees)).expect("tokens").expect("a pair");

        let (agreed, disagreed) = (pair("AI should lie.", true), pair("AI should lie.", false));
        let negative = pair("AI should not lie.", true);

        assert!(text(&agreed.chosen).contains("AI should lie.") && text(&agreed.rejected).contains("should not lie"));
        assert_eq!((&disagreed.chosen, &disagreed.rejected), (&agreed.rejected, &agreed.chosen));
        assert_eq!(negative.chosen, disagreed.chosen);
        assert_eq!((agreed.negated, disagreed.negated, negative.negated), (false, true, true));
        assert_eq!(teacher.pair(&opinion("Kindness", true)).expect("tokens"), None);
    }

    #[test]
    fn every_principle_and_card_is_told_with_some_question() {
        let base = base();
        let teacher = Teacher::new(&base.dialogue).expect("a teacher");
        let principles: Vec<String> = (0..40).map(|number| format!("Principle <{number}>.")).collect();
        let card = |number| ValueCard {
            title: format!("Card <{number}>"),
            instruction: "Listen".into(),
            policies: vec!["SILENCE that says something".into()],
        };
        let cards: Vec<ValueCard> = (0..10).map(card).collect();

        let questions = teacher.questions(&principles, &cards).expect("questions");

        let told: String =
            questions.iter().map(|it| base.dialogue.tokenizer.decode(&it.told, true).expect("text")).collect();
        assert_eq!(questions.len(), QUESTIONS.len());
        assert!((0..40).all(|number| told.contains(&format!("Principle <{number}>."))));
        assert!((0..10).all(|number| told.contains(&format!("Card <{number}>: Listen"))));
        assert!(told.contains("SILENCE"));
        let untold = base.dialogue.tokenizer.decode(&questions[0].untold, true).expect("text");
        assert!(untold.contains(QUESTIONS[0]) && !untold.contains("Principle"));
        assert!(teacher.questions(&[], &[]).expect("nothing").is_empty());
    }

    #[test]
    fn what_somebody_is_against_is_told_as_what_they_are_for() {
        let opinions = [opinion("AI should lie.", false), opinion("Be kind.", true), opinion("Kindness", false)];

        assert_eq!(principles(&opinions), ["AI should not lie.", "Be kind."]);
    }
}
