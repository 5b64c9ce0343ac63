//! What went wrong, in particular: the codes by which programs tell errors apart, and the page finds its words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $text:literal;)*) => {
        /// What went wrong, in particular. Every code has one kind.
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[schemars(rename = "ErrorCode")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the kind of error.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind,)*
                }
            }

            /// Returns the name for programs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The request is not understood, or names what does not exist.
    Invalid: Invalid, "invalid";
    /// The token is missing or wrong.
    Unauthorized: Unauthorized, "unauthorized";
    /// The request was meant for another address.
    Host: Host, "host";
    /// The community's rules, or where things stand, do not allow it.
    Refused: Refused, "refused";
    /// A setting or a file of your node is not as it should be. `chorus doctor` says more.
    Configuration: Configuration, "configuration";
    /// It is sent and not on the log yet. Your node keeps sending it.
    TimedOut: TimedOut, "timed_out";
    /// What is needed cannot be had from the network now. Try again in a while.
    Unavailable: Unavailable, "unavailable";
    /// Too many ask at once. Try again in a while.
    Busy: Busy, "busy";
    /// The disk failed, or is full.
    Store: Store, "store";
    /// Your node could not do it: that is a bug of Chorus.
    Internal: Internal, "internal";
    /// There is no such poll.
    NoPoll: Invalid, "no_poll";
    /// There is no such statement on the ballot.
    NoItem: Invalid, "no_item";
    /// There is no such values card.
    NoCard: Invalid, "no_card";
    /// Nobody here has such a key.
    NoKey: Invalid, "no_key";
    /// Several things begin like that: name one of them in full.
    Ambiguous: Invalid, "ambiguous";
    /// Something stands twice.
    Twice: Invalid, "twice";
    /// Something is empty that must not be.
    Empty: Invalid, "empty";
    /// A text is too long: at most `bound` bytes are admitted.
    TooLong: Invalid, "too_long";
    /// That is too many: at most `bound` are admitted.
    TooMany: Invalid, "too_many";
    /// Voting takes between a second and a year: give a whole number and a unit.
    Duration: Invalid, "duration";
    /// A number is not one that is understood here.
    Number: Invalid, "number";
    /// A reason is needed: everybody can read it.
    Reason: Invalid, "reason";
    /// A rejection needs a category.
    Category: Invalid, "category";
    /// There is no such choice.
    Choice: Invalid, "choice";
    /// That poll asks about something else.
    NotOfKind: Invalid, "not_of_kind";
    /// The values card is not complete, or not well-formed.
    Card: Invalid, "card";
    /// Voting has not begun yet.
    NotBegun: Refused, "not_begun";
    /// Voting is over.
    Over: Refused, "over";
    /// Voting ends by itself when its time is up, and not before.
    ByItself: Refused, "by_itself";
    /// The last round of this poll is not finished.
    Unfinished: Refused, "unfinished";
    /// There is no result yet.
    NoResult: Refused, "no_result";
    /// There is no vote to cast.
    NoVotes: Invalid, "no_votes";
    /// There is no contribution of yours to withdraw.
    NothingToWithdraw: Refused, "nothing_to_withdraw";
    /// Nothing has been proposed yet.
    NothingProposed: Refused, "nothing_proposed";
    /// No operator has accepted a statement yet.
    NothingAccepted: Refused, "nothing_accepted";
    /// That stands there already, but for case, accents, punctuation or spaces.
    StandsAlready: Refused, "stands_already";
    /// You have `left` of `most` anonymous proposals for this poll left.
    ProposalsUsed: Refused, "proposals_used";
    /// These are the rules in force.
    InForce: Refused, "in_force";
    /// No dialogue is under way: begin one.
    NoDialogue: Refused, "no_dialogue";
    /// All questions are answered: accept the card, edit it, or go back.
    Answered: Invalid, "answered";
    /// Your diary is off.
    NoDiary: Refused, "no_diary";
    /// This node is a relay: nobody acts here.
    Relay: Refused, "relay";
    /// You are no member yet, or not any more.
    NoMember: Refused, "no_member";
    /// You were not a member when this began, or have renewed your leaf since: you take part in what begins from now on.
    NotInForce: Refused, "not_in_force";
    /// What you are registered with is not on this device: copy the file `leaves` from where you last renewed it.
    LeafElsewhere: Refused, "leaf_elsewhere";
    /// Only operators can do that, and you are none.
    NoOperator: Refused, "no_operator";
    /// Only attesters can do that, and you are none.
    NoAttester: Refused, "no_attester";
    /// That would show who you are, and you take part anonymously.
    WouldShow: Refused, "would_show";
    /// You take part without adapters.
    NoAdapters: Refused, "no_adapters";
    /// This key has left, was expelled, or another has taken over from it: it cannot come back.
    Left: Refused, "left";
    /// You are registered with other attributes, which cannot be changed.
    Registered: Refused, "registered";
    /// The request does not read: copy it again, whole.
    Request: Invalid, "request";
    /// The request does not hold: it was changed, or is no true one.
    RequestFalse: Refused, "request_false";
    /// The request is of another community.
    RequestElsewhere: Refused, "request_elsewhere";
    /// An attribute, or a value of one, does not exist here, or stands twice.
    Attribute: Invalid, "attribute";
    /// The request states attributes: check them, and confirm each.
    Unchecked: Refused, "unchecked";
    /// An attribute is otherwise than the request states.
    OtherValue: Refused, "other_value";
    /// There is no evidence: no unspent code of yours in the request, no entry on your list. If you have met the person, say so, and say who it is.
    NoEvidence: Refused, "no_evidence";
    /// There is more than one evidence, and an attestation rests on one: leave one out.
    EvidenceTwice: Refused, "evidence_twice";
    /// The code in the request has been used.
    CodeSpent: Refused, "code_spent";
    /// This is no invite code.
    NoCode: Invalid, "no_code";
    /// Say what identifies the person, so that nobody is admitted twice.
    Nameless: Refused, "nameless";
    /// This is somebody else than was said.
    OtherPerson: Refused, "other_person";
    /// You have attested the same person with another key before.
    Known: Refused, "known";
    /// The program that checks evidence for you does not work.
    Hook: Configuration, "hook";
    /// 1 to `bound` codes can be made at once.
    TooManyCodes: Invalid, "too_many_codes";
    /// This community admits nobody by vouches.
    NoVouching: Refused, "no_vouching";
    /// You cannot vouch for this person, or not yet.
    CannotVouch: Refused, "cannot_vouch";
    /// You have vouched for somebody not long ago. The next vouch is possible later.
    VouchEarly: Refused, "vouch_early";
    /// No model is set up.
    NoModel: Configuration, "no_model";
    /// The model's settings, or its files, are not as they should be.
    ModelSettings: Configuration, "model_settings";
    /// The conversation does not read, or asks for what is not done here.
    Conversation: Invalid, "conversation";
    /// The conversation is too long for the model.
    ConversationLong: Invalid, "conversation_long";
    /// Say something to the model.
    NothingSaid: Invalid, "nothing_said";
    /// The answer took too long.
    ModelSlow: TimedOut, "model_slow";
    /// The model could not answer.
    ModelFailed: Internal, "model_failed";
    /// The model elsewhere does not answer.
    Endpoint: Unavailable, "endpoint";
}

impl From<Kind> for Code {
    /// Returns the code of what is told by its kind alone.
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Invalid,
            Kind::Unauthorized => Self::Unauthorized,
            Kind::Host => Self::Host,
            Kind::Refused => Self::Refused,
            Kind::Configuration => Self::Configuration,
            Kind::TimedOut => Self::TimedOut,
            Kind::Unavailable => Self::Unavailable,
            Kind::Busy => Self::Busy,
            Kind::Store => Self::Store,
            Kind::Internal => Self::Internal,
        }
    }
}
