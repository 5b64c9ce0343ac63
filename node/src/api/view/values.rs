//! Values: the dialogue, cards, transitions, and the moral graph.

use chorus_protocol::{
    deliberation::moral_graph::{CountingRule, ValuesCard},
    id::{BlobId, PollId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answering, Asks, Choice, Tally};
use crate::{
    articulation::{Step, Turn},
    diary::ValueCard,
};

/// `POST values/dialogue`: what somebody says in the dialogue.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum Speak {
    /// Begin anew, about the case of a value poll or about none.
    Begin {
        /// The value poll: its id or the beginning of it.
        #[serde(default)]
        poll: Option<String>,
        /// The host of the configured endpoint, if it may be told of the dialogue.
        #[serde(default)]
        tell: Option<String>,
    },
    /// From now on let the configured endpoint be told of this dialogue, or not.
    Tell {
        /// The endpoint's host; none to tell it nothing more.
        #[serde(default)]
        host: Option<String>,
    },
    /// The answer to the question.
    Answer {
        /// The answer; empty to take what is suggested.
        text: String,
    },
    /// Go one question back.
    Back,
    /// Put this card in the place of the draft.
    Edit {
        /// The card.
        card: ValueCard,
    },
    /// The card is right: keep it in the diary, and end the dialogue.
    Accept,
    /// End the dialogue, and forget it.
    Discard,
}

/// Shows nothing of what somebody said.
impl core::fmt::Debug for Speak {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Speak").finish_non_exhaustive()
    }
}

/// `GET values/dialogue`, and what `POST values/dialogue` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Articulated {
    /// The dialogue that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<DialogueView>,
    /// The card that was accepted just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<ValueCard>,
    /// The endpoint elsewhere that is configured. It is told of a dialogue only if the person says so for that dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Answering>,
}

/// A dialogue.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DialogueView {
    /// The value poll that it is about.
    pub poll: Option<PollId>,
    /// The case, in words; empty if there is none.
    pub case: String,
    /// Where it stands.
    pub step: Step,
    /// Which step that is, from 1.
    pub number: usize,
    /// How many steps there are.
    pub steps: usize,
    /// The next question.
    pub question: String,
    /// What helps to answer it.
    pub hint: String,
    /// Whether a model asks it.
    pub follow_up: bool,
    /// What counts as the answer if it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<String>,
    /// What was asked and answered.
    pub turns: Vec<Turn>,
    /// The card as far as it is worded.
    pub card: ValueCard,
    /// The model that takes part, and is told what is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Answering>,
}

/// Shows nothing of what somebody said.
impl core::fmt::Debug for DialogueView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DialogueView").field("step", &self.step).finish_non_exhaustive()
    }
}

/// A values card of the community.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CardView {
    /// Its id: that of its text.
    pub id: BlobId,
    /// Its number on the ballot of the poll that was asked about; none if it is on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// What it says.
    #[serde(flatten)]
    pub card: ValueCard,
    /// The polls that ask about it.
    pub polls: Vec<PollId>,
    /// The card that stands for it, if another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<BlobId>,
    /// The last word of an operator on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<CardWord>,
    /// How people voted on it, when they were asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<Tally>,
    /// How the person voted on it in the latest round, if their diary says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Choice>,
}

/// An operator's word on a card.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CardWord {
    /// The operator's key.
    pub operator: String,
    /// Why.
    pub reason: String,
}

/// A card, for those who read about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedCard {
    /// Its id.
    pub id: BlobId,
    /// What it says.
    #[serde(flatten)]
    pub card: ValueCard,
}

impl From<&ValuesCard> for NamedCard {
    fn from(card: &ValuesCard) -> Self {
        Self { id: card.id(), card: card.into() }
    }
}

/// A transition: "did they become wiser?"
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransitionView {
    /// Its id: that of its text.
    pub id: BlobId,
    /// Its number on the ballot; none if it is on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// The poll that asks about it.
    pub poll: PollId,
    /// From which card somebody moved.
    pub from: NamedCard,
    /// To which.
    pub to: NamedCard,
    /// Where.
    pub context: String,
    /// Their story; may be empty.
    pub story: String,
    /// What people answered, when they were asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<Tally>,
    /// What the person answered in the latest round, if their diary says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Choice>,
}

/// An item of a transition poll, as operators and members write it: cards by their titles or ids.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedTransition {
    /// From which card: its title, its id, or the beginning of that (at least 6 digits).
    pub from: String,
    /// To which.
    pub to: String,
    /// Where; the poll's context if it is empty.
    #[serde(default)]
    pub context: String,
    /// "At first somebody …, and now …".
    #[serde(default)]
    pub story: String,
}

/// `GET values/next`: what to show the person next.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextValues {
    /// The poll.
    pub poll: PollId,
    /// What it asks for.
    pub kind: Asks,
    /// Of a value poll: cards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<CardView>,
    /// Of a transition poll: transitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<TransitionView>,
}

/// The query of what can be asked about one poll.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfPoll {
    /// The poll: its id, the beginning of it, or `-` for the latest. Without it the latest, and of lists everything.
    #[serde(default)]
    pub poll: Option<String>,
}

impl OfPoll {
    /// Returns how the poll is referred to: the latest, if none was named.
    pub fn reference(&self) -> &str {
        self.poll.as_deref().unwrap_or("-")
    }
}

/// The query of `GET values/next`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskNext {
    /// The poll.
    pub poll: String,
    /// How many at most.
    #[serde(default)]
    pub count: Option<usize>,
}

/// Two cards that may mean the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarCards {
    /// One.
    pub one: NamedCard,
    /// The other.
    pub other: NamedCard,
    /// How near they are in their words: 1 if they are equal.
    pub near: f64,
}

/// `POST values/merge` and `POST values/canonical`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AboutCard {
    /// The card: its title, its id, or the beginning of that.
    pub card: String,
    /// The card that stands for it from now on; of `values/merge` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Why; everybody can read it.
    pub reason: String,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// By which rule answers are counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// What follows from the answers alone.
    #[default]
    Chorus,
    /// What the code of Democratic Fine-Tuning does, to the last count.
    DemocraticFineTuning,
}

impl From<Rule> for CountingRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Chorus => Self::Chorus,
            Rule::DemocraticFineTuning => Self::DemocraticFineTuning,
        }
    }
}

/// The query of `GET moral-graph` and `GET moral-graph.svg`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AskGraph {
    /// By which rule answers are counted, and what is asked of an edge.
    pub rule: Rule,
    /// Only answers in this context.
    pub context: Option<String>,
    /// Only cards of this case: a value poll.
    pub case: Option<String>,
    /// Only these rounds: their numbers, separated by commas.
    pub rounds: Option<String>,
    /// The fewest that must have said yes.
    pub min_wiser: Option<u64>,
    /// The least likelihood, in hundredths.
    pub min_likelihood: Option<u32>,
    /// The most entropy, in hundredths of a bit.
    pub max_entropy: Option<u32>,
    /// Let PageRank follow all edges alike.
    pub equal: bool,
    /// Tell of every pair that was asked about.
    pub all_edges: bool,
    /// Without the merges of operators.
    pub unmerged: bool,
}
