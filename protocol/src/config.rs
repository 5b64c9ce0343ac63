//! A community's founding document and its policy: what everybody agrees on before the first log entry.

use chorus_crypto::{
    codec::Encode, credential::SLOTS, domain, hash, hash::Digest, mask::Committee, sign::PublicKey, wire_struct,
};

use crate::{
    charter::Charter,
    id::CommunityId,
    limits,
    registry::policy::{Admission, AdmissionError, Attester, Quorum},
};

/// Why a founding document is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// The number of operators is not supported.
    #[error("{0} operators: 1 to {max} are supported, and {0} tolerate no more faults than fewer would", max = limits::MAX_OPERATORS)]
    Operators(usize),
    /// A key stands twice, or keys are not in ascending order.
    #[error("keys of {0} must be distinct and ascending")]
    Keys(&'static str),
    /// Nobody could be admitted.
    #[error("at least one attester is needed")]
    NoAttester,
    /// The admission rule makes no sense.
    #[error("admission: {0}")]
    Admission(#[from] AdmissionError),
    /// A number of the policy makes no sense.
    #[error("policy: {0}")]
    Policy(&'static str),
    /// The name is empty.
    #[error("the community needs a name")]
    Name,
    /// Name or purpose is longer than a constitution can carry.
    #[error("name and purpose take at most {max} bytes each", max = limits::MAX_TEXT_BYTES)]
    TooLong,
}

/// The rules of a community, in integers.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Below this number of contributions nothing is opened.
    pub min_contributions: u32,
    /// The smallest block of contributions whose sum is opened (DESIGN §5.4.5).
    pub floor: u32,
    /// Below this number of ballots there is no opinion map: totals only.
    pub group_floor: u32,
    /// A statement joins the constitution when the k-th root of its group-aware consensus reaches
    /// `bar_numerator / bar_denominator`.
    pub bar_numerator: u32,
    /// See `bar_numerator`.
    pub bar_denominator: u32,
    /// … and at least this many members of every group have seen it.
    pub min_seen: u32,
    /// Who is admitted.
    pub admission: Admission,
    /// The attributes that attesters may check: attribute j stands in slot j of a leaf.
    pub attributes: Vec<Attribute>,
    /// An attribute's value may be disclosed from so many members on.
    pub class_members: u32,
    /// A class with fewer contributions is merged into "other".
    pub class_floor: u32,
    /// How long the attestations of a removed attester count on, in milliseconds of log time.
    pub grace_millis: u64,
    /// How long the owner of a key may deny its loss, in milliseconds of log time.
    pub veto_millis: u64,
    /// Items that one member may propose anonymously for one poll.
    pub anonymous_proposals: u8,
}
wire_struct!(Policy {
    min_contributions,
    floor,
    group_floor,
    bar_numerator,
    bar_denominator,
    min_seen,
    admission,
    attributes[SLOTS],
    class_members,
    class_floor,
    grace_millis,
    veto_millis,
    anonymous_proposals,
});

/// An attribute in coarse values: a region, an age band. Value 0 is "not stated"; value v ≥ 1 is the v-th of the list.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// What it is called.
    pub name: String,
    /// The names of its values.
    pub values: Vec<Name>,
}
wire_struct!(Attribute { name(limits::MAX_NAME_BYTES), values[limits::MAX_ATTRIBUTE_VALUES] });

/// A short text.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Name {
    /// The text.
    pub text: String,
}
wire_struct!(Name { text(limits::MAX_NAME_BYTES) });

impl Attribute {
    /// Returns the attribute with this name and these values.
    pub fn new(name: &str, values: &[&str]) -> Self {
        let named = |text: &&str| Name { text: (*text).to_owned() };
        Self { name: name.to_owned(), values: values.iter().map(named).collect() }
    }

    /// Returns the number (1, 2, …) of the value with this name.
    pub fn value(&self, name: &str) -> Option<u64> {
        let index = self.values.iter().position(|value| value.text == name)?;
        u64::try_from(index + 1).ok()
    }

    fn is_valid(&self) -> bool {
        let is_name = |text: &str| !text.trim().is_empty() && text.len() <= limits::MAX_NAME_BYTES;
        let distinct: std::collections::BTreeSet<_> = self.values.iter().collect();
        is_name(&self.name)
            && (1..=limits::MAX_ATTRIBUTE_VALUES).contains(&self.values.len())
            && distinct.len() == self.values.len()
            && self.values.iter().all(|value| is_name(&value.text))
    }
}

/// Milliseconds of a day.
const DAY_MILLIS: u64 = 24 * 3_600_000;

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_contributions: 10,
            floor: 10,
            group_floor: 40,
            // Polis's report bar for two groups is 0.70 on the product, whose square root is 0.84; we rank by the root.
            bar_numerator: 7,
            bar_denominator: 10,
            min_seen: 5,
            admission: Admission::Quorum(Quorum::usual(1)),
            attributes: Vec::new(),
            class_members: 50,
            class_floor: 20,
            grace_millis: 30 * DAY_MILLIS,
            veto_millis: 3 * DAY_MILLIS,
            anonymous_proposals: 3,
        }
    }
}

impl Policy {
    /// Checks the numbers, and the admission rule for these attesters.
    ///
    /// # Errors
    ///
    /// Returns the first [`GenesisError`] found.
    pub fn validate(&self, attesters: &[Attester]) -> Result<(), GenesisError> {
        if self.floor < 2 || self.min_contributions < self.floor {
            return Err(GenesisError::Policy("2 ≤ floor ≤ min_contributions"));
        }
        if self.group_floor < self.floor.saturating_mul(2) {
            return Err(GenesisError::Policy("group_floor ≥ 2 × floor"));
        }
        if self.bar_numerator == 0 || self.bar_numerator >= self.bar_denominator {
            return Err(GenesisError::Policy("0 < bar < 1"));
        }
        self.admission.validate(attesters)?;
        if self.attributes.len() > SLOTS || !self.attributes.iter().all(Attribute::is_valid) {
            return Err(GenesisError::Policy("at most four attributes, with distinct, short names of values"));
        }
        if self.class_floor < self.floor || self.class_members < self.class_floor {
            return Err(GenesisError::Policy("floor ≤ class_floor ≤ class_members"));
        }
        if self.anonymous_proposals > limits::MAX_ANONYMOUS_PROPOSALS {
            return Err(GenesisError::Policy("too many anonymous proposals for each member"));
        }
        Ok(())
    }
}

/// The founding document: its digest is the community's id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Genesis {
    /// The community's name.
    pub name: String,
    /// What its model is for.
    pub purpose: String,
    /// The operators' keys, ascending; operator i is the i-th, from 1.
    pub operators: Vec<PublicKey>,
    /// The attesters, in ascending order of their keys.
    pub attesters: Vec<Attester>,
    /// The rules.
    pub policy: Policy,
}
wire_struct!(Genesis {
    name(limits::MAX_TEXT_BYTES),
    purpose(limits::MAX_TEXT_BYTES),
    operators[limits::MAX_OPERATORS],
    attesters[limits::MAX_ATTESTERS],
    policy,
});

impl Genesis {
    /// Checks the document.
    ///
    /// # Errors
    ///
    /// Returns the first [`GenesisError`] found.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.name.trim().is_empty() {
            return Err(GenesisError::Name);
        }
        if self.name.len().max(self.purpose.len()) > limits::MAX_TEXT_BYTES {
            return Err(GenesisError::TooLong);
        }
        self.charter().validate()
    }

    /// Returns the community's first rules.
    pub fn charter(&self) -> Charter {
        let (operators, attesters) = (self.operators.clone(), self.attesters.clone());
        Charter { operators, attesters, policy: self.policy.clone(), weights: Vec::new() }
    }

    /// Returns the community's id.
    pub fn id(&self) -> CommunityId {
        hash::digest(domain::COMMUNITY, self).into()
    }

    /// Returns the first sharing of masks among the operators.
    ///
    /// # Panics
    ///
    /// Panics if the document has not been [validated](Self::validate).
    pub fn sharing(&self) -> Committee {
        self.charter().sharing()
    }

    /// Returns the number (1..=n) of an operator.
    pub fn operator(&self, key: &PublicKey) -> Option<u8> {
        let index = self.operators.binary_search(key).ok()?;
        u8::try_from(index + 1).ok()
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
}
