//! Attacks on a quorum of attesters.
//!
//! An honest attester attests one key for each real person it has met, and none for anybody else. A corrupt one attests
//! whatever it is asked to.

use std::collections::{BTreeMap, BTreeSet};

/// `k` of `n` attesters must attest a key.
#[derive(Clone, Copy, Debug)]
pub struct Office {
    /// n.
    pub attesters: usize,
    /// k.
    pub quorum: usize,
    /// f: how many corrupt ones the policy is made for.
    pub faulty: usize,
}

impl Office {
    /// Returns whether a person can have at most one key: `2k − n > f`.
    pub const fn is_sound(&self) -> bool {
        2 * self.quorum > self.attesters + self.faulty
    }
}

/// What applicants got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Admission {
    /// Keys accepted that belong to nobody.
    pub invented: usize,
    /// Keys accepted of people who have one already.
    pub second: usize,
    /// Honest people accepted.
    pub honest: usize,
}

/// Real people, and whoever else applies.
#[derive(Clone, Copy, Debug)]
pub struct Applicants {
    /// People who show every attester the same key.
    pub honest: u32,
    /// People who show half of the honest attesters one key, and the other half another.
    pub greedy: u32,
    /// Keys without a person.
    pub invented: u32,
}

/// A key: whose it is (nobody's if invented), and which of theirs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
struct Key {
    person: Option<u32>,
    number: u32,
}

/// Runs admission with the first `corrupt` attesters corrupt.
pub fn admission(office: Office, corrupt: usize, applicants: Applicants) -> Admission {
    let people = applicants.honest + applicants.greedy;
    let mut attested: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
    for attester in 0..office.attesters {
        let is_corrupt = attester < corrupt;
        let mut met = BTreeSet::new();
        let mut attest = |key: Key| {
            let is_new_person = key.person.is_some_and(|person| !met.contains(&person));
            if is_corrupt || is_new_person {
                met.extend(key.person);
                attested.entry(key).or_default().insert(attester);
            }
        };
        for person in 0..people {
            let is_greedy = person >= applicants.honest;
            // The key shown first; only a corrupt attester signs the other one as well.
            let first = u32::from(is_greedy && attester % 2 == 1);
            attest(Key { person: Some(person), number: first });
            if is_greedy {
                attest(Key { person: Some(person), number: 1 - first });
            }
        }
        (0..applicants.invented).for_each(|number| attest(Key { person: None, number }));
    }
    let accepted: Vec<Key> = attested.iter().filter(|(_, by)| by.len() >= office.quorum).map(|(key, _)| *key).collect();
    let keys_of = |person: u32| accepted.iter().filter(|key| key.person == Some(person)).count();
    Admission {
        invented: accepted.iter().filter(|key| key.person.is_none()).count(),
        second: (0..people).map(|person| keys_of(person).saturating_sub(1)).sum(),
        honest: (0..applicants.honest).filter(|person| keys_of(*person) > 0).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_broken_exactly_where_the_formula_says() {
        let applicants = Applicants { honest: 10, greedy: 10, invented: 10 };
        for attesters in 1..=9 {
            for quorum in 1..=attesters {
                for faulty in 0..=attesters {
                    let office = Office { attesters, quorum, faulty };
                    let admission = admission(office, faulty, applicants);

                    assert_eq!(admission.second == 0, office.is_sound(), "{office:?}");
                    assert_eq!(admission.invented == 0, faulty < quorum, "{office:?}");
                }
            }
        }
    }
}
