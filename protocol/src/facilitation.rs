//! What makes a poll one that can be taken part in: rules for its items, moderation, and what may be said beside an item.
//!
//! Who decides what ([`Facilitation`](crate::ledger::Facilitation) applies it):
//!
//! | what | by |
//! |---|---|
//! | a poll's first rules, before it has an item | the operator who opens it |
//! | other rules later | f + 1 operators who state the same |
//! | a statement is rejected, or asks about the voter | f + 1 operators |
//! | a statement is accepted (needed in strict polls only) | one operator |
//!
//! So f corrupt operators can neither silence a statement nor push one into a strict poll for good: each set of f + 1 has
//! an honest member, and one honest operator is enough to accept.

use chorus_crypto::{wire_enum, wire_struct};

use crate::{
    deliberation::moral_graph::card::is_line,
    fault::{Fault, bound},
    id::{BlobId, PollId},
    limits,
    log::entry::{AnonymousProposal, Proposal},
};

/// Rules for the items of a poll.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PollRules {
    /// Whether an item is asked only once an operator has accepted it.
    pub strict: bool,
    /// Items that a member may propose with their key, and as many again anonymously where the charter admits that.
    pub items_per_member: u8,
    /// Characters of an item that a member proposes.
    pub characters: u16,
    /// What is moderated and why, for everybody to read; may be empty.
    pub policy: String,
}
wire_struct!(PollRules { strict, items_per_member, characters, policy(limits::MAX_STATEMENT_BYTES) });

/// The most items and characters that rules can admit: those of a poll without rules.
const MOST_ITEMS: u8 = 20;
const MOST_CHARACTERS: u16 = 4_096;
const _: () = assert!(
    MOST_ITEMS as usize == limits::MAX_PROPOSALS_PER_MEMBER && MOST_CHARACTERS as usize == limits::MAX_STATEMENT_BYTES
);

impl Default for PollRules {
    fn default() -> Self {
        Self { strict: false, items_per_member: MOST_ITEMS, characters: MOST_CHARACTERS, policy: String::new() }
    }
}

impl PollRules {
    /// Checks that the rules are no wider than those that every poll has.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Bound`] or, if no item could be proposed for its length, [`Fault::Mismatch`].
    pub fn validate(&self) -> Result<(), Fault> {
        bound("items of one member", MOST_ITEMS.into(), self.items_per_member.into())?;
        bound("characters of an item", MOST_CHARACTERS.into(), self.characters.into())?;
        if self.characters == 0 { Err(Fault::Mismatch("the characters of an item")) } else { Ok(()) }
    }
}

/// An operator's word on the rules of a poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatedRules {
    /// The poll.
    pub poll: PollId,
    /// Which of the operator's words on this it is, from 1: nobody can say an older one again in its name.
    pub number: u8,
    /// The rules.
    pub rules: PollRules,
}
wire_struct!(StatedRules { poll, number, rules });

/// What an operator says about an item.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// It is to be asked.
    Accept,
    /// It is not to be asked.
    Reject,
    /// It asks about the voter: it is asked and counted, and shapes neither map nor constitution.
    Meta,
    /// Nothing any more.
    TakeBack,
}
wire_enum!(Verdict { 1 => Accept, 2 => Reject, 3 => Meta, 4 => TakeBack });

/// Why an item is not to be asked.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
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
wire_enum!(Ground {
    1 => Spam,
    2 => Private,
    3 => Hostile,
    4 => OffTopic,
    5 => Duplicate,
    6 => Unclear,
    7 => Unlawful,
    8 => Other,
});

impl Ground {
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

/// An operator's word on an item, signed and public for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moderation {
    /// The poll.
    pub poll: PollId,
    /// The item.
    pub item: BlobId,
    /// Which of the operator's words on this item it is, from 1: nobody can say an older one again in its name.
    pub number: u8,
    /// What is said.
    pub verdict: Verdict,
    /// On what ground; of a rejection alone.
    pub ground: Option<Ground>,
    /// Why, in words; empty of an acceptance alone.
    pub reason: String,
}
wire_struct!(Moderation { poll, item, number, verdict, ground, reason(limits::MAX_REASON_BYTES) });

impl Moderation {
    /// Checks that the word has what its verdict needs.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Mismatch`] if not.
    pub fn validate(&self) -> Result<(), Fault> {
        if self.ground.is_some() != (self.verdict == Verdict::Reject) {
            return Err(Fault::Mismatch("the ground of a word on an item"));
        }
        if self.verdict != Verdict::Accept && self.reason.trim().is_empty() {
            return Err(Fault::Mismatch("the reason"));
        }
        Ok(())
    }
}

/// A prompt that a model fails today, cited in favour of a statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailingPrompt {
    /// The prompt.
    pub prompt: String,
    /// What is wrong with the answer; may be empty.
    pub failure: String,
}
wire_struct!(FailingPrompt { prompt(limits::MAX_PROMPT_BYTES), failure(limits::MAX_TEXT_BYTES) });

/// What is said beside an item by whoever proposes it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Annotation {
    /// What the item is about, in one line; may be empty.
    pub topic: String,
    /// Whether it asks about the voter; operators alone can say so.
    pub meta: bool,
    /// Prompts that a model fails today.
    pub prompts: Vec<FailingPrompt>,
}
wire_struct!(Annotation { topic(limits::MAX_NAME_BYTES), meta, prompts[limits::MAX_PROMPTS] });

impl Annotation {
    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let Self { topic, meta, prompts } = self;
        topic.is_empty() && !meta && prompts.is_empty()
    }

    /// Checks that something is said, and that all of it can be read.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Mismatch`] if not.
    pub fn validate(&self) -> Result<(), Fault> {
        if self.is_empty() {
            return Err(Fault::Mismatch("what is said beside an item"));
        }
        if !self.topic.is_empty() && !is_line(&self.topic, limits::MAX_NAME_BYTES) {
            return Err(Fault::Mismatch("the topic of an item"));
        }
        let mut prompts = self.prompts.iter().map(|cited| cited.prompt.trim());
        if prompts.any(str::is_empty) {
            return Err(Fault::Mismatch("a prompt"));
        }
        Ok(())
    }
}

/// A proposal as it could stand alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnyProposal {
    /// With a key.
    Open(Proposal),
    /// Of some member.
    Anonymous(AnonymousProposal),
}
wire_enum!(AnyProposal { 1 => Open(it), 2 => Anonymous(it) });

impl AnyProposal {
    /// Returns the poll.
    pub const fn poll(&self) -> PollId {
        match self {
            Self::Open(it) => it.poll,
            Self::Anonymous(it) => it.poll,
        }
    }

    /// Returns the item's text.
    pub fn text(&self) -> &str {
        match self {
            Self::Open(it) => &it.text,
            Self::Anonymous(it) => &it.text,
        }
    }
}

/// An item, with what its proposer says beside it.
///
/// An anonymous one is proved for the key that signs the entry, so that the signature binds what is beside it, too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnnotatedProposal {
    /// The item.
    pub proposal: AnyProposal,
    /// What is said beside it.
    pub annotation: Annotation,
}
wire_struct!(AnnotatedProposal { proposal, annotation });

#[cfg(test)]
mod tests {
    use chorus_crypto::codec::{Decode as _, DecodeError, Encode as _};

    use super::*;

    fn word(verdict: Verdict, ground: Option<Ground>, reason: &str) -> Moderation {
        Moderation { poll: PollId::ZERO, item: BlobId::ZERO, number: 1, verdict, ground, reason: reason.into() }
    }

    #[test]
    fn a_word_on_an_item_has_these_bytes() {
        let bytes = word(Verdict::Reject, Some(Ground::OffTopic), "é").to_bytes();

        let rest = [1, 2, 1, 4, 0, 0, 0, 2, 0xC3, 0xA9]; // number, verdict, a ground, which one, reason
        assert_eq!(bytes, [[0; 64].as_slice(), &rest].concat());
        assert_eq!(Moderation::from_bytes(&bytes), Ok(word(Verdict::Reject, Some(Ground::OffTopic), "é")));
    }

    #[test]
    fn a_rejection_has_a_ground_and_all_but_an_acceptance_a_reason() {
        let spam = Some(Ground::Spam);
        let good = [
            word(Verdict::Accept, None, ""),
            word(Verdict::Reject, spam, "An advertisement."),
            word(Verdict::Meta, None, "It asks for the voter's age."),
            word(Verdict::TakeBack, None, "I misread it."),
        ];
        assert!(good.iter().all(|word| word.validate() == Ok(())));
        let bad = [
            word(Verdict::Accept, spam, "Good."),
            word(Verdict::Reject, None, "Why not."),
            word(Verdict::Reject, spam, " \n"),
            word(Verdict::Meta, None, ""),
            word(Verdict::TakeBack, None, "\t"),
        ];
        assert!(bad.iter().all(|word| word.validate().is_err()));
    }

    #[test]
    fn what_stands_beside_an_item_can_be_read_and_says_something() {
        let prompt = |prompt: &str| FailingPrompt { prompt: prompt.into(), failure: String::new() };
        let topic = |topic: &str| Annotation { topic: topic.into(), ..Annotation::default() };
        let prompts = |prompts: Vec<FailingPrompt>| Annotation { prompts, ..Annotation::default() };
        assert_eq!(topic("Housing").validate(), Ok(()));
        assert_eq!(prompts(vec![prompt("Who should I vote for?")]).validate(), Ok(()));

        for bad in [topic(""), topic(" Housing"), topic("a  b"), topic("a\u{202e}b"), prompts(vec![prompt(" ")])] {
            assert!(matches!(bad.validate(), Err(Fault::Mismatch(_))), "{bad:?}");
        }
        let many = prompts(vec![prompt("?"); limits::MAX_PROMPTS + 1]).to_bytes();
        let bound = limits::MAX_PROMPTS;
        assert_eq!(Annotation::from_bytes(&many), Err(DecodeError::TooLong { bound, found: bound + 1 }));
    }

    #[test]
    fn rules_are_no_wider_than_those_of_a_poll_without_any() {
        let usual = PollRules::default();
        assert_eq!(usual.validate(), Ok(()));
        assert_eq!(PollRules { items_per_member: 0, ..usual.clone() }.validate(), Ok(()));
        assert!(PollRules { items_per_member: MOST_ITEMS + 1, ..usual.clone() }.validate().is_err());
        assert!(PollRules { characters: MOST_CHARACTERS + 1, ..usual.clone() }.validate().is_err());
        assert!(PollRules { characters: 0, ..usual }.validate().is_err());
    }
}
