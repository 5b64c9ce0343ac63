//! Values cards and transitions, each with the one text that stands for it in a poll.
//!
//! An item of a poll is a text, known by its content. So that two people who mean the same card speak of one item, a card
//! has exactly one text, and that text is all there is to it: reading it back gives the card, or refuses. One line for
//! each part, so that somebody without any software can read what they vote on:
//!
//! ```text
//! Value: Informed autonomy                      Transition: 3f…0c -> 91…e4
//! Instruction: Help people see their options    Context: When making decisions
//! Attend to: MOMENTS where somebody hesitates   Story: At first … . Later … .
//! ```

use crate::{id::BlobId, limits::MAX_STATEMENT_BYTES};

/// Bytes of a title, a policy or a context.
pub const MAX_LINE_BYTES: usize = 400;

/// Bytes of an instruction.
pub const MAX_INSTRUCTION_BYTES: usize = 2_000;

/// Bytes of a story.
pub const MAX_STORY_BYTES: usize = 3_000;

/// Policies of one card.
pub const MAX_POLICIES: usize = 16;

/// Why something is no card, or no transition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// A part is empty or too long.
    #[error("{what} has {found} bytes, and may have 1 to {most}")]
    Length {
        /// Which part.
        what: &'static str,
        /// The most bytes it may have.
        most: usize,
        /// How many it has.
        found: usize,
    },
    /// There are too many policies.
    #[error("a card has at most {MAX_POLICIES} policies, and this one has {0}")]
    Policies(usize),
    /// A character that cannot be seen, or that changes how others are seen.
    #[error("{what} holds the invisible character U+{:04X}", u32::from(*.found))]
    Invisible {
        /// Which part.
        what: &'static str,
        /// The character.
        found: char,
    },
    /// Both ends of a transition are the same card.
    #[error("a transition leads to another card")]
    Loop,
    /// A text is not the canonical text of anything.
    #[error("this is not the text of {0}")]
    Form(&'static str),
}

/// Something that a person cares about: what it is called, what an AI does that holds it, what it pays attention to.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct ValuesCard {
    title: String,
    instruction: String,
    policies: Vec<String>,
}

impl ValuesCard {
    /// Makes a card. White space is reduced to single spaces, so that each part is one line.
    ///
    /// # Errors
    ///
    /// Returns [`CardError`] if a part is empty or too long, or holds an invisible character.
    pub fn new(title: &str, instruction: &str, policies: &[impl AsRef<str>]) -> Result<Self, CardError> {
        if policies.len() > MAX_POLICIES {
            return Err(CardError::Policies(policies.len()));
        }
        let policy = |policy: &_| line("a policy", AsRef::<str>::as_ref(policy), MAX_LINE_BYTES);
        let card = Self {
            title: line("the title", title, MAX_LINE_BYTES)?,
            instruction: line("the instruction", instruction, MAX_INSTRUCTION_BYTES)?,
            policies: policies.iter().map(policy).collect::<Result<_, _>>()?,
        };
        within("the card", &card.text(), MAX_STATEMENT_BYTES)?;
        Ok(card)
    }

    /// Reads a card from its text.
    ///
    /// # Errors
    ///
    /// Returns [`CardError`] unless it is, to the byte, the text of a card.
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        const FORM: CardError = CardError::Form("a values card");
        let mut lines = text.split('\n');
        let title = lines.next().and_then(|line| line.strip_prefix("Value: ")).ok_or(FORM)?;
        let instruction = lines.next().and_then(|line| line.strip_prefix("Instruction: ")).ok_or(FORM)?;
        let policies: Vec<&str> =
            lines.map(|line| line.strip_prefix("Attend to: ").ok_or(FORM)).collect::<Result<_, _>>()?;
        let card = Self::new(title, instruction, &policies)?;
        if card.text() == text { Ok(card) } else { Err(FORM) }
    }

    /// Returns the text that stands for the card in a poll, of at most [`MAX_STATEMENT_BYTES`].
    pub fn text(&self) -> String {
        let policies: String = self.policies.iter().map(|policy| format!("\nAttend to: {policy}")).collect();
        format!("Value: {}\nInstruction: {}{policies}", self.title, self.instruction)
    }

    /// Returns the card's id: that of its text, as of any item.
    pub fn id(&self) -> BlobId {
        BlobId::of(self.text().as_bytes())
    }

    /// Returns what it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns what an AI does that holds this value.
    pub fn instruction(&self) -> &str {
        &self.instruction
    }

    /// Returns what it pays attention to.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}

/// "Somebody moved from one value to another: have they become wiser?", in a context, told as a story.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Transition {
    from: BlobId,
    to: BlobId,
    context: String,
    story: String,
}

impl Transition {
    /// Makes a transition. White space is reduced to single spaces; the story may be empty.
    ///
    /// # Errors
    ///
    /// Returns [`CardError`] if both cards are the same, if a part is too long or holds an invisible character, or if
    /// there is no context.
    pub fn new(from: BlobId, to: BlobId, context: &str, story: &str) -> Result<Self, CardError> {
        if from == to {
            return Err(CardError::Loop);
        }
        let context = line("the context", context, MAX_LINE_BYTES)?;
        let is_silent = story.split_whitespace().next().is_none();
        let story = if is_silent { String::new() } else { line("the story", story, MAX_STORY_BYTES)? };
        Ok(Self { from, to, context, story })
    }

    /// Reads a transition from its text.
    ///
    /// # Errors
    ///
    /// Returns [`CardError`] unless it is, to the byte, the text of a transition.
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        const FORM: CardError = CardError::Form("a transition");
        let mut lines = text.split('\n');
        let cards = lines.next().and_then(|line| line.strip_prefix("Transition: ")).ok_or(FORM)?;
        let (from, to) = cards.split_once(" -> ").ok_or(FORM)?;
        let card = |id: &str| id.parse::<BlobId>().map_err(|_| FORM);
        let context = lines.next().and_then(|line| line.strip_prefix("Context: ")).ok_or(FORM)?;
        let story = lines.next().map(|line| line.strip_prefix("Story: ").ok_or(FORM)).transpose()?;
        let transition = Self::new(card(from)?, card(to)?, context, story.unwrap_or_default())?;
        if transition.text() == text { Ok(transition) } else { Err(FORM) }
    }

    /// Returns the text that stands for the transition in a poll, of at most [`MAX_STATEMENT_BYTES`].
    pub fn text(&self) -> String {
        let story = if self.story.is_empty() { String::new() } else { format!("\nStory: {}", self.story) };
        format!("Transition: {} -> {}\nContext: {}{story}", self.from, self.to, self.context)
    }

    /// Returns the transition's id: that of its text, as of any item.
    pub fn id(&self) -> BlobId {
        BlobId::of(self.text().as_bytes())
    }

    /// Returns what is asked: the cards and the context, without the story.
    pub fn question(&self) -> super::Question {
        super::Question { from: self.from, to: self.to, context: self.context.clone() }
    }

    /// Returns the story.
    pub fn story(&self) -> &str {
        &self.story
    }
}

/// Returns whether a text is one line that shows what it holds: single spaces, and nothing that nobody sees.
pub(crate) fn is_line(text: &str, most: usize) -> bool {
    line("the line", text, most).is_ok_and(|line| line == text)
}

/// Reduces a text to one line that shows what it holds.
fn line(what: &'static str, text: &str, most: usize) -> Result<String, CardError> {
    // Before anything is copied: a text may be as long as its sender likes.
    if text.len() > 2 * most {
        return Err(CardError::Length { what, most, found: text.len() });
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    within(what, &line, most)?;
    match line.chars().find(|character| is_invisible(*character)) {
        Some(found) => Err(CardError::Invisible { what, found }),
        None => Ok(line),
    }
}

const fn within(what: &'static str, text: &str, most: usize) -> Result<(), CardError> {
    let found = text.len();
    if found == 0 || found > most { Err(CardError::Length { what, most, found }) } else { Ok(()) }
}

/// Control characters, those that reorder text or take no room, and the tag characters, which a model reads and a person
/// does not. The joiners stay: Persian and many Indic words need them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
