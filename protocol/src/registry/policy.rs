//! Who is admitted: a monotone formula over attesters' words and vouches.
//!
//! The formula is part of the community's policy, whose digest stands in every scope: a credential made under one policy
//! holds under no other.

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    sign::PublicKey,
    wire_struct,
};

use super::flow::{Vouching, VouchingError};
use crate::limits;

/// Why an admission rule is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// Two quorums could avoid a common honest attester: one person would get two leaves.
    #[error(
        "{k} of {n} attesters with {faulty} corrupt: 2·{k} − {n} must exceed {faulty}, or one person could be admitted twice"
    )]
    Quorum {
        /// Attestations needed.
        k: u8,
        /// Attesters.
        n: usize,
        /// Corrupt attesters tolerated.
        faulty: u8,
    },
    /// Nobody could be admitted.
    #[error("{needed} attestations are needed, but only {possible} can ever count")]
    Unreachable {
        /// Attestations needed.
        needed: u8,
        /// How many can count, given the bound for each organisation.
        possible: usize,
    },
    /// A conjunction or alternative without members, or nested too deeply.
    #[error("alternatives and conjunctions have 1 to {max} members, at most {depth} deep", max = limits::MAX_ADMISSION_RULES, depth = limits::MAX_ADMISSION_DEPTH)]
    Formula,
    /// Vouching stands in the formula more than once: its effect is computed once for all.
    #[error("vouching stands in the formula {0} times")]
    Vouchings(usize),
    /// The rules of vouching make no sense.
    #[error("vouching: {0}")]
    Vouching(#[from] VouchingError),
}

/// k of the community's n attesters.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// Attestations needed, k.
    pub needed: u8,
    /// Corrupt attesters tolerated, f.
    pub faulty: u8,
    /// Attestations of one organisation that count.
    pub per_organisation: u8,
}
wire_struct!(Quorum { needed, faulty, per_organisation });

impl Quorum {
    /// Returns the usual quorum of n attesters: f = ⌊(n−1)/3⌋ corrupt ones tolerated, and k the least for which
    /// 2k − n > f; all may be of one organisation.
    pub fn usual(attesters: usize) -> Self {
        let n = u8::try_from(attesters).unwrap_or(u8::MAX).max(1);
        let faulty = (n - 1) / 3;
        Self { needed: (n + faulty) / 2 + 1, faulty, per_organisation: u8::MAX }
    }

    /// Checks that no person can be admitted twice and that somebody can be admitted at all.
    ///
    /// Two sets of k attesters share at least 2k − n of them. If that exceeds f, one of the shared ones is honest and
    /// attests for one person only once; and as k ≤ n, k > f as well: corrupt attesters alone admit nobody.
    ///
    /// # Errors
    ///
    /// Returns [`AdmissionError::Quorum`] or [`AdmissionError::Unreachable`].
    pub fn validate(&self, attesters: &[Attester]) -> Result<(), AdmissionError> {
        let n = attesters.len();
        let possible = self.count(attesters.iter());
        if possible < usize::from(self.needed) {
            return Err(AdmissionError::Unreachable { needed: self.needed, possible });
        }
        if 2 * usize::from(self.needed) <= n + usize::from(self.faulty) {
            return Err(AdmissionError::Quorum { k: self.needed, n, faulty: self.faulty });
        }
        Ok(())
    }

    /// Returns how many of these attesters count, given the bound for each organisation.
    fn count<'a>(&self, attesters: impl Iterator<Item = &'a Attester>) -> usize {
        let mut by_organisation = std::collections::BTreeMap::<&str, usize>::new();
        attesters.for_each(|attester| *by_organisation.entry(&attester.organisation).or_default() += 1);
        by_organisation.values().map(|count| (*count).min(self.per_organisation.into())).sum()
    }

    /// Returns whether these attesters suffice.
    pub fn is_met<'a>(&self, attesters: impl Iterator<Item = &'a Attester>) -> bool {
        self.count(attesters) >= self.needed.into()
    }
}

/// Somebody who may attest that a key belongs to one distinct person.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Attester {
    /// The key.
    pub key: PublicKey,
    /// Whom the attester belongs to; attesters with the same text count as one organisation.
    pub organisation: String,
}
wire_struct!(Attester { key, organisation(limits::MAX_NAME_BYTES) });

/// A monotone formula: more attestations and more vouches never exclude anybody.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Enough attesters.
    Quorum(Quorum),
    /// Accepted by vouches.
    Vouch(Vouching),
    /// All of these.
    All(Vec<Admission>),
    /// One of these. Somebody may then be admitted once by each: use it only where that is excluded otherwise.
    Any(Vec<Admission>),
}

impl Admission {
    /// Checks every rule of the formula.
    ///
    /// # Errors
    ///
    /// Returns the first [`AdmissionError`] found.
    pub fn validate(&self, attesters: &[Attester]) -> Result<(), AdmissionError> {
        self.validate_at(attesters, 0)?;
        match self.count_vouchings() {
            0 | 1 => Ok(()),
            more => Err(AdmissionError::Vouchings(more)),
        }
    }

    fn count_vouchings(&self) -> usize {
        match self {
            Self::Quorum(_) => 0,
            Self::Vouch(_) => 1,
            Self::All(rules) | Self::Any(rules) => rules.iter().map(Self::count_vouchings).sum(),
        }
    }

    fn validate_at(&self, attesters: &[Attester], depth: usize) -> Result<(), AdmissionError> {
        match self {
            Self::Quorum(quorum) => quorum.validate(attesters),
            Self::Vouch(vouching) => Ok(vouching.validate()?),
            Self::All(rules) | Self::Any(rules) => {
                let is_bounded = (1..=limits::MAX_ADMISSION_RULES).contains(&rules.len());
                if depth == limits::MAX_ADMISSION_DEPTH || !is_bounded {
                    return Err(AdmissionError::Formula);
                }
                rules.iter().try_for_each(|rule| rule.validate_at(attesters, depth + 1))
            }
        }
    }

    /// Evaluates the formula: `attested` says whether a quorum is met, `vouched` whether vouches suffice.
    pub fn admits(&self, attested: &dyn Fn(&Quorum) -> bool, vouched: &dyn Fn(&Vouching) -> bool) -> bool {
        match self {
            Self::Quorum(quorum) => attested(quorum),
            Self::Vouch(vouching) => vouched(vouching),
            Self::All(rules) => rules.iter().all(|rule| rule.admits(attested, vouched)),
            Self::Any(rules) => rules.iter().any(|rule| rule.admits(attested, vouched)),
        }
    }

    /// Returns the rules of vouching in the formula, if there are any.
    pub fn vouching(&self) -> Option<&Vouching> {
        match self {
            Self::Quorum(_) => None,
            Self::Vouch(vouching) => Some(vouching),
            Self::All(rules) | Self::Any(rules) => rules.iter().find_map(Self::vouching),
        }
    }

    /// Returns how many corrupt attesters are tolerated: the most of all quorums. Vouching says nothing of attesters.
    pub fn faulty_attesters(&self) -> u8 {
        match self {
            Self::Quorum(quorum) => quorum.faulty,
            Self::Vouch(_) => 0,
            Self::All(rules) | Self::Any(rules) => rules.iter().map(Self::faulty_attesters).max().unwrap_or(0),
        }
    }

    fn decode_at(input: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let tag = u8::decode(input)?;
        match tag {
            1 => Ok(Self::Quorum(Decode::decode(input)?)),
            2 => Ok(Self::Vouch(Decode::decode(input)?)),
            3 | 4 if depth < limits::MAX_ADMISSION_DEPTH => {
                let count = input.count(limits::MAX_ADMISSION_RULES)?;
                let rules = (0..count).map(|_| Self::decode_at(input, depth + 1)).collect::<Result<_, _>>()?;
                Ok(if tag == 3 { Self::All(rules) } else { Self::Any(rules) })
            }
            3 | 4 => Err(DecodeError::OutOfRange("depth of an admission formula")),
            found => Err(DecodeError::UnknownTag { of: "Admission", found: found.into() }),
        }
    }
}

impl Encode for Admission {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Quorum(quorum) => {
                out.push(1);
                quorum.encode(out);
            }
            Self::Vouch(vouching) => {
                out.push(2);
                vouching.encode(out);
            }
            Self::All(rules) => {
                out.push(3);
                put_seq(out, rules);
            }
            Self::Any(rules) => {
                out.push(4);
                put_seq(out, rules);
            }
        }
    }
}

impl Decode for Admission {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_at(input, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attesters(organisations: &[&str]) -> Vec<Attester> {
        let attester = |(index, organisation): (u8, &&str)| Attester {
            key: [index; 32].into(),
            organisation: (*organisation).into(),
        };
        (1..).zip(organisations).map(attester).collect()
    }

    #[test]
    fn the_usual_quorum_is_the_least_that_admits_nobody_twice() {
        for n in 1..=64usize {
            let quorum = Quorum::usual(n);
            let all = attesters(&vec![""; n]);
            assert_eq!(quorum.validate(&all), Ok(()), "{n}");
            let smaller = Quorum { needed: quorum.needed - 1, ..quorum };
            assert!(matches!(smaller.validate(&all), Err(AdmissionError::Quorum { .. })), "{n}");
            assert!(quorum.needed > quorum.faulty);
        }
        assert_eq!((Quorum::usual(5).needed, Quorum::usual(5).faulty), (4, 1));
        assert_eq!((Quorum::usual(7).needed, Quorum::usual(7).faulty), (5, 2));
    }

    #[test]
    fn attesters_of_one_organisation_count_up_to_their_bound() {
        let all = attesters(&["a", "a", "a", "b", "c"]);
        let quorum = Quorum { needed: 4, faulty: 1, per_organisation: 2 };

        assert_eq!(quorum.validate(&all), Ok(()));
        assert!(!quorum.is_met(all[..4].iter()));
        assert!(quorum.is_met(all[1..].iter()));
        let strict = Quorum { per_organisation: 1, ..quorum };
        assert_eq!(strict.validate(&all), Err(AdmissionError::Unreachable { needed: 4, possible: 3 }));
    }

    #[test]
    fn vouching_beside_a_quorum_does_not_lower_the_number_of_corrupt_attesters() {
        let vouching = Admission::Vouch(Vouching::recommended(Vec::new()));
        let quorum = Admission::Quorum(Quorum::usual(7));

        for rules in [vec![quorum.clone(), vouching.clone()], vec![vouching, quorum]] {
            assert_eq!(Admission::All(rules.clone()).faulty_attesters(), 2);
            assert_eq!(Admission::Any(rules).faulty_attesters(), 2);
        }
    }

    #[test]
    fn a_formula_is_evaluated_decoded_and_bounded() {
        let quorum = || Admission::Quorum(Quorum::usual(3));
        let both = Admission::All(vec![quorum(), Admission::Any(vec![quorum()])]);
        assert_eq!(Admission::from_bytes(&both.to_bytes()), Ok(both.clone()));
        assert!(both.admits(&|_| true, &|_| false));
        assert!(!both.admits(&|_| false, &|_| true));
        assert_eq!(both.validate(&attesters(&["a", "b", "c"])), Ok(()));

        assert_eq!(Admission::All(Vec::new()).validate(&[]), Err(AdmissionError::Formula));
        let deep = (0..=limits::MAX_ADMISSION_DEPTH).fold(quorum(), |inner, _| Admission::Any(vec![inner]));
        assert_eq!(deep.validate(&attesters(&["a", "b", "c"])), Err(AdmissionError::Formula));
        assert!(Admission::from_bytes(&deep.to_bytes()).is_err());
    }
}
