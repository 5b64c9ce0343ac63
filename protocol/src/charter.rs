//! The rules in force, and how a community changes them.
//!
//! The founding document holds the first [`Charter`]: who the operators and attesters are, the policy, and the weights of
//! classes. It is changed by an *amendment*, in this order:
//!
//! ```text
//! draft ──▶ poll and round ──▶ statements ──────────▶ adopted ──▶ in force
//! (a blob)  of the members     of n − f operators     waits for   from the stated height on
//!                              of the charter in force its height
//! ```
//!
//! 1. Somebody writes a [`Draft`]: the whole new charter and its number (1, 2, …). It is a blob; its id stands in the
//!    text of the item that the members vote on ([`Draft::item_text`]), after the changes in words. The text is a
//!    function of the draft and of the charter in force, so that neither can be exchanged under the vote.
//! 2. The members vote on that item in secret, in a round of a poll of kind
//!    [`Amendment`](crate::log::entry::PollKind::Amendment): no map and no constitution follows from one.
//! 3. Each operator that consents states the [`Amendment`]: the draft, the round of the vote, and the height from which
//!    the new charter is to hold. Its node says so only if the result of the vote carries it ([`check_vote`]).
//! 4. n − f equal statements adopt it; a lost or convicted operator is not needed for its own replacement.
//!
//! # Why so
//!
//! *The vote names no height.* How many heights pass during a vote nobody knows. Operators state the height once they know
//! the outcome; if their statements come too late for it, they state another, and the vote still counts.
//!
//! *The ledger does not read the result.* It is a blob, and a batch must be valid by the log alone. So the ledger checks
//! that the round asked for this draft and came to a result; what the result says is checked by each operator before it
//! speaks, by every node that follows the round, and by every verifier.
//!
//! *A height, not a time.* The committee of a height must follow from the log before it. While an amendment waits,
//! operators read their clocks into the log, so that a log that is idle comes to the height as well.
//!
//! *Rounds keep the charter under which they were planned*, until their end and whatever is adopted meanwhile: masks are
//! shared among its operators by number, its floors were promised to those who have voted. An operator that leaves keeps
//! its duties in them; one that is lost is one of their f. Only *who is a member* follows from the rule in force when the
//! snapshot is taken.
//!
//! *Weights.* The weights of classes stand in the plan of each round, so another weighing is another plan. A charter may
//! fix those of an attribute ([`ClassWeights`]); then every plan must have these, and only an amendment changes them.
//!
//! *Attributes only grow.* Leaves bind numbers of slots and values, not their names: an amendment may add attributes and
//! values, and gives no old number another meaning.

use chorus_crypto::{codec::Encode as _, credential::SLOTS, hash, hash::Digest, mask, sign::PublicKey, wire_struct};

use crate::{
    config::{Attribute, GenesisError, Policy},
    deliberation::tally::Tally,
    id::{BlobId, RoundId},
    limits,
    log::{batch::Height, certificate::Committee},
    registry::policy::Attester,
    round::report::RoundReport,
};

/// An amendment needs this share of those who agree or disagree: two thirds, as numerator and denominator.
///
/// It is the same for every community and every amendment: a charter that could lower it would let one majority change
/// the rule for all others.
pub const CARRIED_BY: (u64, u64) = (2, 3);

/// The rules in force: who runs the community, and by which numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Charter {
    /// The operators' keys, ascending; operator i is the i-th, from 1.
    pub operators: Vec<PublicKey>,
    /// The attesters, in ascending order of their keys.
    pub attesters: Vec<Attester>,
    /// The rules in numbers.
    pub policy: Policy,
    /// The weights that rounds by these attributes must have, in ascending order of slots.
    pub weights: Vec<ClassWeights>,
}
wire_struct!(Charter {
    operators[limits::MAX_OPERATORS],
    attesters[limits::MAX_ATTESTERS],
    policy,
    weights[SLOTS],
});

/// The weights of the classes of an attribute.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassWeights {
    /// The attribute, by the slot of the leaf.
    pub slot: u8,
    /// The weight of "other", which is no larger than any, and of value 1, 2, ….
    pub weights: Vec<u32>,
}
wire_struct!(ClassWeights { slot, weights[limits::MAX_CLASSES] });

impl Charter {
    /// Checks the rules.
    ///
    /// # Errors
    ///
    /// Returns the first [`GenesisError`] found.
    pub fn validate(&self) -> Result<(), GenesisError> {
        let operators =
            u8::try_from(self.operators.len()).map_err(|_| GenesisError::Operators(self.operators.len()))?;
        mask::Committee::new(operators).map_err(|_| GenesisError::Operators(self.operators.len()))?;
        ascending(&self.operators, "operators")?;
        ascending(&self.attesters.iter().map(|attester| attester.key).collect::<Vec<_>>(), "attesters")?;
        if self.attesters.is_empty() && self.policy.admission.vouching().is_none() {
            return Err(GenesisError::NoAttester);
        }
        if self.attesters.iter().any(|attester| attester.organisation.len() > limits::MAX_NAME_BYTES) {
            return Err(GenesisError::TooLong);
        }
        self.policy.validate(&self.attesters)?;
        let slots = self.weights.iter().map(|weights| weights.slot);
        if !slots.is_sorted_by(|a, b| a < b) || !self.weights.iter().all(|weights| self.is_weighing(weights)) {
            return Err(GenesisError::Policy(
                "weights: one for each class of an attribute, none below that of \"other\"",
            ));
        }
        Ok(())
    }

    fn is_weighing(&self, weights: &ClassWeights) -> bool {
        let attribute = self.policy.attributes.get(usize::from(weights.slot));
        let Some((other, rest)) = weights.weights.split_first() else { return false };
        attribute.is_some_and(|attribute| attribute.values.len() == rest.len())
            && rest.iter().all(|weight| weight >= other && *weight <= limits::MAX_WEIGHT)
    }

    /// Returns the sharing of masks among the operators.
    ///
    /// # Panics
    ///
    /// Panics if the charter has not been [validated](Self::validate).
    pub fn sharing(&self) -> mask::Committee {
        let operators = u8::try_from(self.operators.len()).expect("a validated charter has at most 7 operators");
        mask::Committee::new(operators).expect("a validated charter has a supported number of operators")
    }

    /// Returns the committee that decides the log.
    ///
    /// # Panics
    ///
    /// Panics if the charter has not been [validated](Self::validate).
    pub fn committee(&self) -> Committee {
        Committee::new(self.operators.iter().copied())
            .expect("a validated charter has a supported number of distinct operators")
    }

    /// Returns f: how many operators may be faulty.
    pub fn faulty(&self) -> u8 {
        self.sharing().faulty()
    }

    /// Returns n − f: how many operators can be waited for.
    pub fn quorum(&self) -> usize {
        self.operators.len() - usize::from(self.faulty())
    }

    /// Returns the number (1..=n) of an operator.
    pub fn operator(&self, key: &PublicKey) -> Option<u8> {
        let index = self.operators.binary_search(key).ok()?;
        u8::try_from(index + 1).ok()
    }

    /// Returns the key of an operator (1..=n).
    pub fn operator_key(&self, operator: u8) -> Option<&PublicKey> {
        self.operators.get(usize::from(operator).checked_sub(1)?)
    }

    /// Returns the attester with this key.
    pub fn attester(&self, key: &PublicKey) -> Option<&Attester> {
        let index = self.attesters.binary_search_by_key(key, |attester| attester.key).ok()?;
        self.attesters.get(index)
    }

    /// Returns the digest of the policy, which every scope includes.
    pub fn policy_digest(&self) -> Digest {
        hash::content(&self.policy.to_bytes())
    }

    /// Returns the weights that a round by this attribute must have, if they are fixed.
    pub fn weights_of(&self, slot: u8) -> Option<&[u32]> {
        self.weights.iter().find(|weights| weights.slot == slot).map(|weights| weights.weights.as_slice())
    }

    /// Returns whether every slot and value that a leaf may hold means the same under `next`.
    pub fn keeps_attributes_of(&self, next: &Self) -> bool {
        let is_kept =
            |(old, new): (&Attribute, &Attribute)| old.name == new.name && new.values.starts_with(&old.values);
        let (old, new) = (&self.policy.attributes, &next.policy.attributes);
        old.len() <= new.len() && old.iter().zip(new).all(is_kept)
    }
}

fn ascending(keys: &[PublicKey], whose: &'static str) -> Result<(), GenesisError> {
    if keys.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(GenesisError::Keys(whose)) }
}

/// What members vote on: a whole new charter, and which of the community's amendments it would be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Draft {
    /// 1 for the first amendment of the community, and so on.
    pub number: u32,
    /// The charter that is to hold.
    pub charter: Charter,
}
wire_struct!(Draft { number, charter });

impl Draft {
    /// Returns the id of the draft's bytes: where everybody finds the whole charter.
    pub fn id(&self) -> BlobId {
        BlobId::of(&self.to_bytes())
    }

    /// Returns the text of the item that members vote on: what changes, in words, and the draft's id.
    pub fn item_text(&self, current: &Charter) -> String {
        let changes = changes(current, &self.charter).join("; ");
        format!("Amendment {}: {changes}. [draft {}]", self.number, self.id())
    }

    /// Returns the item that members vote on.
    pub fn item(&self, current: &Charter) -> BlobId {
        BlobId::of(self.item_text(current).as_bytes())
    }

    /// Returns the draft that an item's text names.
    pub fn named_in(text: &str) -> Option<BlobId> {
        let (_, id) = text.rsplit_once("[draft ")?;
        id.strip_suffix(']')?.parse().ok()
    }
}

/// Returns the differences between two charters in words.
fn changes(old: &Charter, new: &Charter) -> Vec<String> {
    let mut said = Vec::new();
    let keys = |attesters: &[Attester]| attesters.iter().map(|attester| attester.key).collect::<Vec<_>>();
    movements(&mut said, "operator", &old.operators, &new.operators);
    movements(&mut said, "attester", &keys(&old.attesters), &keys(&new.attesters));
    let (of, to) = (&old.policy, &new.policy);
    let mut number = |what: &str, of: u64, to: u64| {
        if of != to {
            said.push(format!("{what} {of} → {to}"));
        }
    };
    number("ballots needed", of.min_contributions.into(), to.min_contributions.into());
    number("floor", of.floor.into(), to.floor.into());
    number("ballots for a map", of.group_floor.into(), to.group_floor.into());
    number("least seen", of.min_seen.into(), to.min_seen.into());
    number("members of a class", of.class_members.into(), to.class_members.into());
    number("floor of a class", of.class_floor.into(), to.class_floor.into());
    number("grace in ms", of.grace_millis, to.grace_millis);
    number("veto in ms", of.veto_millis, to.veto_millis);
    number("anonymous proposals", of.anonymous_proposals.into(), to.anonymous_proposals.into());
    if (of.bar_numerator, of.bar_denominator) != (to.bar_numerator, to.bar_denominator) {
        let bar = |policy: &Policy| format!("{}/{}", policy.bar_numerator, policy.bar_denominator);
        said.push(format!("bar {} → {}", bar(of), bar(to)));
    }
    for (differs, what) in [
        (of.admission != to.admission, "another rule of admission"),
        (of.attributes != to.attributes, "more attributes or values"),
        (old.weights != new.weights, "other fixed weights of classes"),
        (keys(&old.attesters) == keys(&new.attesters) && old.attesters != new.attesters, "other organisations"),
    ] {
        if differs {
            said.push(what.to_owned());
        }
    }
    said
}

fn movements(said: &mut Vec<String>, what: &str, old: &[PublicKey], new: &[PublicKey]) {
    let short = |key: &PublicKey| key.to_string().chars().take(16).collect::<String>();
    for (of, among, how) in [(new, old, "joins"), (old, new, "leaves")] {
        said.extend(of.iter().filter(|key| !among.contains(key)).map(|key| format!("{what} {} {how}", short(key))));
    }
}

/// That a draft is to become the charter; the equal words of n − f operators adopt it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Amendment {
    /// What the members voted on.
    pub draft: Draft,
    /// The round in which they did.
    pub round: RoundId,
    /// The first height that is decided under the new charter.
    pub effective: Height,
}
wire_struct!(Amendment { draft, round, effective });

/// An operator's word that an amendment is to be, as it stands on the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consent {
    /// The amendment.
    pub amendment: Amendment,
    /// Which of the operator's words on the strength of this vote it is, from 1: nobody can say an older one again in its name.
    pub number: u8,
}
wire_struct!(Consent { amendment, number });

/// Why the members' vote does not carry a draft.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCarried {
    /// The round did not ask for it, or opened no totals.
    #[error("the round has no totals of this draft")]
    NotAsked,
    /// Too few ballots said anything of it.
    #[error("{found} ballots voted on it, {needed} are needed")]
    TooFew {
        /// The policy's least number of contributions.
        needed: u64,
        /// How many ballots agree, disagree or pass.
        found: u64,
    },
    /// Too few agreed.
    #[error("{agree} agree and {disagree} disagree: two thirds are needed")]
    Lost {
        /// How many agree.
        agree: u64,
        /// How many disagree.
        disagree: u64,
    },
}

/// Checks that the ballots of a round carry the draft that `item` asks for, by the policy of that round.
///
/// # Errors
///
/// Returns why they do not.
pub fn check_vote(report: &RoundReport, item: BlobId, policy: &Policy) -> Result<Tally, NotCarried> {
    let index = report.items.iter().position(|known| *known == item).ok_or(NotCarried::NotAsked)?;
    let tally = report.totals().and_then(|totals| totals.items.get(index)).ok_or(NotCarried::NotAsked)?;
    let needed = u64::from(policy.min_contributions);
    if tally.seen() < needed {
        return Err(NotCarried::TooFew { needed, found: tally.seen() });
    }
    let (part, whole) = CARRIED_BY;
    let decided = tally.agree.saturating_add(tally.disagree);
    if tally.agree == 0 || tally.agree.saturating_mul(whole) < decided.saturating_mul(part) {
        return Err(NotCarried::Lost { agree: tally.agree, disagree: tally.disagree });
    }
    Ok(*tally)
}

#[cfg(test)]
mod tests;
