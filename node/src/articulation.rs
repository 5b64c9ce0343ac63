//! The guided dialogue: from a case and a story to a values card that the person has worded and checked.
//!
//! ```text
//! Case ─▶ Story ─▶ Attention ─▶ Policies ─▶ Title ─▶ Instruction ─▶ Review ─▶ a card in the diary
//! └─ a model may ask further ─┘ └─ it may suggest a wording ──────┘ └ edit, accept
//! ```
//!
//! The questions are scripted, so that the dialogue needs no model. A configured one, an [`Interviewer`], may ask a
//! follow-up question, and suggest a wording that the person changes or throws away. After Democratic Fine-Tuning, whose
//! dialogue a model leads.
//!
//! # Security
//!
//! Everything that is said here stays in the diary until the person proposes the card, and then the card alone leaves. A
//! model on this machine is told all of it. One at an endpoint elsewhere is told nothing, unless the person says for this very
//! dialogue that the endpoint at this very host may know; another host that is configured later may not. What a model answers is a text like any other: bounded, checked as a card is, shown and never carried out.

mod interviewer;
mod script;
#[cfg(test)]
mod tests;

use chorus_protocol::{
    deliberation::moral_graph::{
        ValuesCard,
        card::{CardError, MAX_POLICIES},
    },
    id::PollId,
};
use serde::{Deserialize, Serialize};

pub use self::interviewer::{Interviewer, follow_up, suggestion};
use crate::diary::ValueCard;

/// Bytes of one answer.
pub const MAX_ANSWER_BYTES: usize = 4_000;

/// Questions that a model may ask at one step.
pub const MAX_FOLLOW_UPS: usize = 2;

/// Bytes of a question that a model asks.
pub const MAX_QUESTION_BYTES: usize = 600;

/// Where a dialogue stands: what is asked next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DialogueStep")]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// What should an AI do in the case?
    #[default]
    Case,
    /// When did somebody do it well?
    Story,
    /// What did they pay attention to?
    Attention,
    /// What of it matters, one line each.
    Policies,
    /// What is the value called?
    Title,
    /// What does an AI do that holds it?
    Instruction,
    /// Is this what you mean?
    Review,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 7] =
        [Self::Case, Self::Story, Self::Attention, Self::Policies, Self::Title, Self::Instruction, Self::Review];

    const fn next(self) -> Self {
        match self {
            Self::Case => Self::Story,
            Self::Story => Self::Attention,
            Self::Attention => Self::Policies,
            Self::Policies => Self::Title,
            Self::Title => Self::Instruction,
            Self::Instruction | Self::Review => Self::Review,
        }
    }

    const fn before(self) -> Self {
        match self {
            Self::Case | Self::Story => Self::Case,
            Self::Attention => Self::Story,
            Self::Policies => Self::Attention,
            Self::Title => Self::Policies,
            Self::Instruction => Self::Title,
            Self::Review => Self::Instruction,
        }
    }

    /// Returns whether the person tells something here, rather than words the card.
    pub const fn is_telling(self) -> bool {
        matches!(self, Self::Case | Self::Story | Self::Attention)
    }
}

/// Why an answer was not taken. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArticulationError {
    /// There is nothing in it, and nothing was suggested.
    #[error("the answer is empty")]
    Empty,
    /// It is too long.
    #[error("an answer has at most {MAX_ANSWER_BYTES} bytes, and this one has {0}")]
    Long(usize),
    /// What it says of the card cannot be.
    #[error(transparent)]
    Card(#[from] CardError),
    /// All questions are answered: what is left is to accept the card, to edit it, or to go back.
    #[error("all questions are answered: accept the card, edit it, or go back")]
    Review,
}

/// One question and its answer.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The step.
    pub step: Step,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A dialogue, as it is kept.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Articulation {
    /// The value poll that it is about: its question is the case.
    #[serde(default)]
    poll: Option<PollId>,
    /// The case, in words.
    case: String,
    step: Step,
    turns: Vec<Turn>,
    /// What a model asks before the script goes on.
    #[serde(default)]
    follow_up: Option<String>,
    card: ValueCard,
    /// The endpoint elsewhere that may be told of this dialogue, by its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<String>,
}

/// Shows nothing of what somebody said.
impl core::fmt::Debug for Articulation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Articulation").field("step", &self.step).finish_non_exhaustive()
    }
}

/// Shows nothing of what somebody said.
impl core::fmt::Debug for Turn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Turn").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Articulation {
    /// Begins a dialogue about a case: the question of a value poll and the situation in which it is asked, or none.
    pub fn about(poll: Option<PollId>, case: &str) -> Self {
        Self { poll, case: case.trim().to_owned(), ..Self::default() }
    }

    /// Lets an endpoint elsewhere be told of this dialogue, by its host; without one, none is.
    pub fn tell(&mut self, host: Option<String>) {
        self.told = host;
    }

    /// Returns whether the endpoint at a host may be told of this dialogue.
    pub fn may_tell(&self, host: &str) -> bool {
        self.told.as_deref() == Some(host)
    }

    /// Returns the poll that it is about.
    pub const fn poll(&self) -> Option<PollId> {
        self.poll
    }

    /// Returns the case, in words; empty if there is none.
    pub fn case(&self) -> &str {
        &self.case
    }

    /// Returns what is asked next.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Returns what was asked and answered.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Returns the card as far as it is worded.
    pub const fn card(&self) -> &ValueCard {
        &self.card
    }

    /// Returns whether the question is a model's.
    pub const fn is_follow_up(&self) -> bool {
        self.follow_up.is_some()
    }

    /// Returns the next question.
    pub fn question(&self) -> String {
        self.follow_up.clone().unwrap_or_else(|| script::question(self.step, &self.case))
    }

    /// Returns what helps to answer it: an explanation with an example.
    pub const fn hint(&self) -> &'static str {
        script::hint(self.step)
    }

    /// Returns what stands for the answer if the person says nothing: what has been worded or suggested already.
    pub fn suggested(&self) -> Option<String> {
        let suggested = match self.step {
            Step::Policies => self.card.policies.join("\n"),
            Step::Title => self.card.title.clone(),
            Step::Instruction => self.card.instruction.clone(),
            Step::Case | Step::Story | Step::Attention | Step::Review => String::new(),
        };
        Some(suggested).filter(|text| !text.is_empty())
    }

    /// Takes an answer, and goes on to the next question.
    ///
    /// # Errors
    ///
    /// Returns an [`ArticulationError`] if the answer cannot be taken.
    pub fn answer(&mut self, text: &str) -> Result<(), ArticulationError> {
        if text.len() > MAX_ANSWER_BYTES {
            return Err(ArticulationError::Long(text.len()));
        }
        let said = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let text = match said.or_else(|| self.suggested()) {
            Some(text) => text,
            // Whoever has no more to say to a model's question goes on.
            None if self.is_follow_up() => String::new(),
            None if self.step == Step::Review => return Err(ArticulationError::Review),
            None => return Err(ArticulationError::Empty),
        };
        match self.step {
            Step::Case | Step::Story | Step::Attention => {}
            Step::Policies => self.card.policies = policies(&text)?,
            Step::Title => self.card.title = checked(&ValuesCard::new(&text, "-", &[""; 0])?, ValuesCard::title),
            Step::Instruction => {
                let card = ValuesCard::new(&self.card.title, &text, &self.card.policies)?;
                self.card.instruction = checked(&card, ValuesCard::instruction);
            }
            Step::Review => return Err(ArticulationError::Review),
        }
        self.turns.push(Turn { step: self.step, question: self.question(), answer: text });
        self.follow_up = None;
        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        if self.step == Step::Attention && self.card.policies.is_empty() {
            self.card.policies = self.attended();
        }
        self.step = self.step.next();
    }

    /// Goes one question back, and forgets what was answered to it and to what a model asked besides.
    pub fn back(&mut self) {
        if self.follow_up.take().is_none() {
            self.step = self.step.before();
        }
        self.turns.retain(|turn| turn.step < self.step);
    }

    /// Returns whether a model may ask something about the latest answer.
    pub fn may_follow_up(&self) -> bool {
        let latest = self.turns.last().filter(|turn| turn.step.is_telling() && !turn.answer.is_empty());
        let Some(step) = latest.map(|turn| turn.step) else { return false };
        self.follow_up.is_none()
            && self.step == step.next()
            && self.turns.iter().filter(|turn| turn.step == step).count() <= MAX_FOLLOW_UPS
    }

    /// Lets a model ask something about the latest answer before the script goes on. A question that is too long or says
    /// nothing is not asked.
    pub fn follow_up(&mut self, question: &str) {
        let question = one_line(question);
        if self.may_follow_up() && (1..=MAX_QUESTION_BYTES).contains(&question.len()) {
            self.step = self.step.before();
            self.follow_up = Some(question);
        }
    }

    /// Takes a model's suggestion for what the person has not worded yet.
    pub fn suggest(&mut self, card: &ValuesCard) {
        if self.step <= Step::Policies {
            self.card.policies = card.policies().to_vec();
        }
        if self.step <= Step::Title && self.card.title.is_empty() {
            self.card.title = card.title().to_owned();
        }
        if self.step <= Step::Instruction && self.card.instruction.is_empty() {
            self.card.instruction = card.instruction().to_owned();
        }
    }

    /// Replaces the card by what the person wrote; all questions are answered then.
    ///
    /// # Errors
    ///
    /// Returns an [`ArticulationError`] if it is no card.
    pub fn edit(&mut self, card: &ValueCard) -> Result<(), ArticulationError> {
        self.card = ValueCard::from(&card.card()?);
        self.follow_up = None;
        self.step = Step::Review;
        Ok(())
    }

    /// Returns the finished card.
    ///
    /// # Errors
    ///
    /// Returns an [`ArticulationError`] if something is not worded yet.
    pub fn finished(&self) -> Result<ValuesCard, ArticulationError> {
        Ok(self.card.card()?)
    }

    /// What the person paid attention to, line by line, as a first wording of the policies.
    fn attended(&self) -> Vec<String> {
        let answers = self.turns.iter().filter(|turn| turn.step == Step::Attention);
        let lines = answers.flat_map(|turn| turn.answer.lines()).map(bare).filter(|line| !line.is_empty());
        let fits = |line: &&str| ValuesCard::new("-", "-", &[line]).is_ok();
        lines.filter(fits).take(MAX_POLICIES).map(str::to_owned).collect()
    }
}

/// Reads policies, one on each line; marks of a list in front of them do not belong to them.
fn policies(text: &str) -> Result<Vec<String>, CardError> {
    let lines: Vec<&str> = text.lines().map(bare).filter(|line| !line.is_empty()).collect();
    Ok(ValuesCard::new("-", "-", &lines)?.policies().to_vec())
}

fn bare(line: &str) -> &str {
    line.trim().trim_start_matches(['-', '*', '\u{2022}']).trim()
}

/// A part of the card as the card has it: one line, without what cannot be seen.
fn checked(card: &ValuesCard, part: fn(&ValuesCard) -> &str) -> String {
    part(card).to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
