//! A community's founding document and its policy: what everybody agrees on before the first log entry.

use chorus_crypto::{codec::Encode, domain, hash, hash::Digest, mask::Committee, sign::PublicKey, wire_struct};

use crate::{id::CommunityId, limits};

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
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
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
}
wire_struct!(Policy { min_contributions, floor, group_floor, bar_numerator, bar_denominator, min_seen });

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
        }
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
    /// The attesters' keys, ascending.
    pub attesters: Vec<PublicKey>,
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
        let operators =
            u8::try_from(self.operators.len()).map_err(|_| GenesisError::Operators(self.operators.len()))?;
        Committee::new(operators).map_err(|_| GenesisError::Operators(self.operators.len()))?;
        ascending(&self.operators, "operators")?;
        ascending(&self.attesters, "attesters")?;
        if self.attesters.is_empty() {
            return Err(GenesisError::NoAttester);
        }
        let policy = &self.policy;
        if policy.floor < 2 || policy.min_contributions < policy.floor {
            return Err(GenesisError::Policy("2 ≤ floor ≤ min_contributions"));
        }
        if policy.group_floor < 2 * policy.floor {
            return Err(GenesisError::Policy("group_floor ≥ 2 × floor"));
        }
        if policy.bar_numerator == 0 || policy.bar_numerator >= policy.bar_denominator {
            return Err(GenesisError::Policy("0 < bar < 1"));
        }
        Ok(())
    }

    /// Returns the community's id.
    pub fn id(&self) -> CommunityId {
        hash::digest(domain::COMMUNITY, self).into()
    }

    /// Returns the sharing of masks among the operators.
    ///
    /// # Panics
    ///
    /// Panics if the document has not been [validated](Self::validate).
    pub fn sharing(&self) -> Committee {
        let operators = u8::try_from(self.operators.len()).expect("a validated genesis has at most 7 operators");
        Committee::new(operators).expect("a validated genesis has a supported number of operators")
    }

    /// Returns the number (1..=n) of an operator.
    pub fn operator(&self, key: &PublicKey) -> Option<u8> {
        let index = self.operators.binary_search(key).ok()?;
        u8::try_from(index + 1).ok()
    }

    /// Returns the digest of the policy, which every scope includes.
    pub fn policy_digest(&self) -> Digest {
        hash::content(&self.policy.to_bytes())
    }
}

fn ascending(keys: &[PublicKey], whose: &'static str) -> Result<(), GenesisError> {
    if keys.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(GenesisError::Keys(whose)) }
}
