//! Requests and answers about taking part in a poll and looking after one: rules, moderation, what to show next, own votes
//! and statements.

use chorus_protocol::{
    facilitation::{Annotation, FailingPrompt, Ground, PollRules, Verdict},
    id::{BlobId, PollId},
    ledger::ItemStanding,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choice, Item};

/// The rules for the items of a poll.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Whether an item is asked only once an operator has accepted it.
    pub strict: bool,
    /// Items that a member may propose with their key, and as many again anonymously where the charter admits that.
    pub items_per_member: u8,
    /// Characters of an item that a member proposes.
    pub characters: u16,
    /// What is moderated and why.
    pub policy: String,
}

impl Default for Rules {
    fn default() -> Self {
        PollRules::default().into()
    }
}

impl From<PollRules> for Rules {
    fn from(rules: PollRules) -> Self {
        let PollRules { strict, items_per_member, characters, policy } = rules;
        Self { strict, items_per_member, characters, policy }
    }
}

impl From<Rules> for PollRules {
    fn from(rules: Rules) -> Self {
        let Rules { strict, items_per_member, characters, policy } = rules;
        Self { strict, items_per_member, characters, policy }
    }
}

/// `POST polls/{id}/rules`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeRules {
    /// Whether an item is asked only once an operator has accepted it.
    pub strict: Option<bool>,
    /// Items of one member.
    pub items_per_member: Option<u8>,
    /// Characters of an item.
    pub characters: Option<u16>,
    /// What is moderated and why.
    pub policy: Option<String>,
    /// How long to wait for the log.
    pub wait_seconds: Option<u64>,
}

/// `GET polls/{id}/rules`, and the answer to a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RulesView {
    /// The poll.
    pub poll: PollId,
    /// The rules in force.
    pub rules: Rules,
    /// How many operators have to state the same before other rules come into force.
    pub needed: usize,
    /// What operators (by number, if in office) state in their place.
    pub stated: Vec<(Option<u8>, Rules)>,
}

/// A prompt that a model fails today.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The prompt.
    pub prompt: String,
    /// What is wrong with the answer; may be empty.
    #[serde(default)]
    pub failure: String,
}

/// An item, and what is said beside it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewItem {
    /// Its text.
    pub text: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// Whether it asks about the voter; operators alone can say so.
    pub meta: bool,
    /// Prompts that a model fails today.
    pub prompts: Vec<Prompt>,
}

impl NewItem {
    /// Returns what is said beside the item.
    pub fn annotation(&self) -> Annotation {
        let cited =
            |it: &Prompt| FailingPrompt { prompt: it.prompt.trim().to_owned(), failure: it.failure.trim().to_owned() };
        let topic = self.topic.split_whitespace().collect::<Vec<_>>().join(" ");
        Annotation { topic, meta: self.meta, prompts: self.prompts.iter().map(cited).collect() }
    }
}

impl From<&FailingPrompt> for Prompt {
    fn from(cited: &FailingPrompt) -> Self {
        Self { prompt: cited.prompt.clone(), failure: cited.failure.clone() }
    }
}

/// What the words of operators on an item come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModerationState {
    /// No operator has accepted it, and too few reject it.
    #[default]
    Undecided,
    /// An operator has accepted or proposed it.
    Accepted,
    /// f + 1 operators reject it.
    Rejected,
}

impl From<ItemStanding> for ModerationState {
    fn from(standing: ItemStanding) -> Self {
        match standing {
            ItemStanding::Undecided => Self::Undecided,
            ItemStanding::Accepted => Self::Accepted,
            ItemStanding::Rejected => Self::Rejected,
        }
    }
}

/// What an operator says about an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// It is to be asked.
    Accept,
    /// It is not to be asked.
    Reject,
    /// It asks about the voter.
    Meta,
    /// Nothing any more.
    TakeBack,
}

impl From<Verdict> for Say {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::Accept,
            Verdict::Reject => Self::Reject,
            Verdict::Meta => Self::Meta,
            Verdict::TakeBack => Self::TakeBack,
        }
    }
}

impl From<Say> for Verdict {
    fn from(say: Say) -> Self {
        match say {
            Say::Accept => Self::Accept,
            Say::Reject => Self::Reject,
            Say::Meta => Self::Meta,
            Say::TakeBack => Self::TakeBack,
        }
    }
}

/// Why an item is not to be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Advertising, or nonsense.
    Spam,
    /// It tells something private about somebody.
    Private,
    /// It insults, threatens or incites.
    Hostile,
    /// It does not answer the poll's question.
    OffTopic,
    /// Another item says the same.
    Duplicate,
    /// Nobody could tell what agreeing to it means, or it says two things at once.
    Unclear,
    /// It must not be published where an operator is.
    Unlawful,
    /// Something else, which the reason says.
    Other,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Spam,
        Self::Private,
        Self::Hostile,
        Self::OffTopic,
        Self::Duplicate,
        Self::Unclear,
        Self::Unlawful,
        Self::Other,
    ];

    /// Returns the name that programs use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Private => "private",
            Self::Hostile => "hostile",
            Self::OffTopic => "off_topic",
            Self::Duplicate => "duplicate",
            Self::Unclear => "unclear",
            Self::Unlawful => "unlawful",
            Self::Other => "other",
        }
    }
}

impl From<Ground> for Category {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::Spam => Self::Spam,
            Ground::Private => Self::Private,
            Ground::Hostile => Self::Hostile,
            Ground::OffTopic => Self::OffTopic,
            Ground::Duplicate => Self::Duplicate,
            Ground::Unclear => Self::Unclear,
            Ground::Unlawful => Self::Unlawful,
            Ground::Other => Self::Other,
        }
    }
}

impl From<Category> for Ground {
    fn from(category: Category) -> Self {
        match category {
            Category::Spam => Self::Spam,
            Category::Private => Self::Private,
            Category::Hostile => Self::Hostile,
            Category::OffTopic => Self::OffTopic,
            Category::Duplicate => Self::Duplicate,
            Category::Unclear => Self::Unclear,
            Category::Unlawful => Self::Unlawful,
            Category::Other => Self::Other,
        }
    }
}

/// `POST polls/{id}/moderate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moderate {
    /// The items: their numbers or the beginnings of their ids.
    pub items: Vec<String>,
    /// What is said.
    pub say: Say,
    /// On what ground; of a rejection alone.
    #[serde(default)]
    pub category: Option<Category>,
    /// Why, in words, for everybody to read.
    #[serde(default)]
    pub reason: String,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `GET moderation`: everything that operators have said about items, the latest last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModerationLog {
    /// How many operators have to reject an item before no round asks it any more.
    pub needed: usize,
    /// The words.
    pub words: Vec<ModerationWord>,
}

/// One operator's word on an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModerationWord {
    /// The poll.
    pub poll: PollId,
    /// The item.
    pub item: BlobId,
    /// Its text.
    pub text: String,
    /// Where the item stands now.
    pub state: ModerationState,
    /// The operator's number, if it is in office.
    pub operator: Option<u8>,
    /// The operator's key.
    pub key: String,
    /// What is said.
    pub say: Say,
    /// On what ground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Why, in words.
    pub reason: String,
    /// The log's time then, in milliseconds since 1970.
    pub time: u64,
    /// Whether it is the operator's last word on the item.
    pub is_last: bool,
}

/// `POST polls/{id}/similar`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskSimilar {
    /// The text that somebody is about to propose.
    pub text: String,
}

/// An item that says nearly the same as a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Similar {
    /// Its id.
    pub id: BlobId,
    /// Its text.
    pub text: String,
    /// Whether nothing differs but case, accents, punctuation and spaces.
    pub same: bool,
    /// How similar it is, up to 1.
    pub score: f64,
    /// What operators say about it.
    pub state: ModerationState,
}

/// `GET polls/{id}/next`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// The item to show; none once all have been answered.
    pub item: Option<Item>,
    /// Items that were answered.
    pub answered: usize,
    /// Items that are left, this one included.
    pub left: usize,
    /// When voting ends, in milliseconds since 1970.
    pub closes_at: Option<u64>,
}

/// `GET polls/{id}/mine`: what this node alone knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mine {
    /// The poll.
    pub poll: PollId,
    /// Whether votes can be changed now.
    pub changeable: bool,
    /// When voting ends, in milliseconds since 1970; none if it has not begun.
    pub closes_at: Option<u64>,
    /// The votes in the latest round, as far as the diary has them.
    pub votes: Vec<MyVote>,
    /// The statements that the person proposed, anonymously or with their key.
    pub statements: Vec<MyStatement>,
}

/// A vote of the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MyVote {
    /// The item's number on the ballot.
    pub number: usize,
    /// The item.
    pub item: BlobId,
    /// Its text.
    pub text: String,
    /// What the person said.
    pub choice: Choice,
}

/// A statement of the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MyStatement {
    /// The item.
    pub item: BlobId,
    /// Its text.
    pub text: String,
    /// Whether everybody can see whose it is.
    pub open: bool,
    /// What has become of it.
    pub fate: Fate,
    /// What operators say about it.
    pub words: Vec<ModerationWord>,
    /// The latest round that asked it: which of the community's rounds.
    pub round: Option<u32>,
    /// The version of the constitution that has it.
    pub constitution: Option<u32>,
}

/// What has become of a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The poll is strict, and no operator has accepted it yet.
    Waiting,
    /// The next round may ask it.
    NextRound,
    /// f + 1 operators reject it: the next round will not ask it.
    Rejected,
    /// A round asks it now.
    Asked,
    /// A round has asked it, and it is no principle.
    Counted,
    /// A round has asked it, and it is in the constitution that followed.
    Principle,
}
