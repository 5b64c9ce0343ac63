//! Test vectors: what verifiers must accept and what they must refuse, made from fixed seeds.
//!
//! Each suite is one JSON file in `tests/vectors`. A *good* case is a set of named values: hexadecimal bytes (canonical
//! encodings, as they travel), numbers, truth values. A *bad* case is a good one with exactly one thing broken; it says
//! what, and stands in the file as the difference. Two verifiers judge them: [`accepts`], which is the code of the
//! crates, and `tests/checker`, which is plain Python and shares nothing with it but the specification.

mod amendment;
mod attestation;
mod ballot;
mod cards;
mod credential;
mod delta;
mod leaf;
mod link;
mod log;
mod message;
mod moderation;
mod private;
mod proof;
mod signature;
mod snapshot;

use std::collections::BTreeMap;

use chorus_crypto::codec::{Decode, DecodeError, Encode};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The named values of one case.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<String, Value>);

/// A case that must be accepted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Good {
    /// What it is.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// A case that must be refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bad {
    /// The one thing that is broken.
    pub breaks: String,
    /// The good case that it was made from, by name.
    pub of: String,
    /// The values that differ: the new one, or for bytes of the same length where they differ and the new bytes there.
    pub changes: BTreeMap<String, Change>,
}

/// How a value of a bad case differs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// Other bytes from a place on.
    Bytes {
        /// The first byte that differs.
        at: usize,
        /// The bytes there, hexadecimal.
        to: String,
    },
    /// Another value.
    Value(Value),
}

/// The vectors of one file.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Suite {
    /// Cases to accept.
    pub good: Vec<Good>,
    /// Cases to refuse.
    pub bad: Vec<Bad>,
}

/// One case as a verifier sees it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// The one thing that is broken; none for a good case.
    pub breaks: Option<String>,
    /// Its values.
    pub values: Values,
}

/// The name of a suite, how it is made, and how the crates judge a case of it.
type Entry = (&'static str, fn() -> Suite, fn(&Values) -> Result<(), Refused>);

const SUITES: [Entry; 21] = [
    ("signature", signature::suite, signature::check),
    ("leaf", leaf::suite, leaf::check),
    ("rotation", leaf::rotation_suite, leaf::check_rotation),
    ("attestation", attestation::suite, attestation::check),
    ("snapshot", snapshot::suite, snapshot::check),
    ("cohorts", snapshot::cohorts_suite, snapshot::check_cohorts),
    ("credential", credential::suite, credential::check),
    ("link", link::suite, link::check),
    ("proof", proof::suite, proof::check),
    ("delta", delta::suite, delta::check),
    ("ballot", ballot::suite, ballot::check),
    ("cards", cards::suite, cards::check),
    ("moderation", moderation::suite, moderation::check),
    ("amendment", amendment::suite, amendment::check),
    ("envelope", message::suite, message::check),
    ("decision", log::decision_suite, log::check_decision),
    ("evidence", log::evidence_suite, log::check_evidence),
    ("bundle", log::bundle_suite, log::check_bundle),
    ("masks", private::masks_suite, private::check_masks),
    ("seal", private::seal_suite, private::check_seal),
    ("sums", private::sums_suite, private::check_sums),
];

/// Makes all suites, by name.
pub fn suites() -> BTreeMap<&'static str, Suite> {
    SUITES.iter().map(|(name, make, _)| (*name, make())).collect()
}

/// Returns the names of all suites.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, ..)| *name)
}

/// Returns whether the crates accept a case of a suite.
///
/// # Panics
///
/// Panics if there is no such suite.
pub fn accepts(suite: &str, values: &Values) -> bool {
    let (.., check) = SUITES.iter().find(|(name, ..)| *name == suite).expect("a suite with this name");
    check(values).is_ok()
}

impl Suite {
    /// Returns the file's text, one case per line.
    ///
    /// # Panics
    ///
    /// Panics if a value is not JSON; all that are made here are.
    pub fn to_json(&self) -> String {
        fn lines<T: Serialize>(cases: &[T]) -> String {
            let line = |case| serde_json::to_string(case).expect("a case is JSON");
            cases.iter().map(line).collect::<Vec<_>>().join(",\n")
        }
        format!("{{\"good\":[\n{}\n],\"bad\":[\n{}\n]}}\n", lines(&self.good), lines(&self.bad))
    }

    /// Returns all cases, the bad ones in full.
    ///
    /// # Panics
    ///
    /// Panics if a bad case is of no good case or its changes do not fit: the file is damaged then.
    pub fn cases(&self) -> Vec<Case> {
        let good =
            self.good.iter().map(|good| Case { name: good.name.clone(), breaks: None, values: good.values.clone() });
        let bad = self.bad.iter().map(|bad| Case {
            name: bad.of.clone(),
            breaks: Some(bad.breaks.clone()),
            values: bad.apply(&self.of(&bad.of).values),
        });
        good.chain(bad).collect()
    }

    fn of(&self, name: &str) -> &Good {
        self.good.iter().find(|good| good.name == name).expect("a bad case is made from a good one of its suite")
    }

    /// Adds a case to accept.
    fn good(&mut self, name: &str, values: Values) {
        self.good.push(Good { name: name.to_owned(), values });
    }

    /// Adds a case to refuse: the one named `of`, with `change` made to it.
    fn bad(&mut self, of: &str, breaks: impl Into<String>, change: impl FnOnce(&mut Values)) {
        let before = &self.of(of).values;
        let (mut after, breaks) = (before.clone(), breaks.into());
        change(&mut after);
        let changes: BTreeMap<_, _> = after
            .0
            .into_iter()
            .filter_map(|(name, value)| Some((name.clone(), before.change(&name, value)?)))
            .collect();
        assert!(!changes.is_empty(), "{of}: {breaks}: nothing is changed");
        self.bad.push(Bad { breaks, of: of.to_owned(), changes });
    }
}

impl Bad {
    fn apply(&self, good: &Values) -> Values {
        let mut values = good.clone();
        for (name, change) in &self.changes {
            match change {
                Change::Value(value) => drop(values.0.insert(name.clone(), value.clone())),
                Change::Bytes { at, to } => values.edit(name, |bytes| {
                    let to = hex(to);
                    bytes[*at..at + to.len()].copy_from_slice(&to);
                }),
            }
        }
        values
    }
}

impl Values {
    /// Sets the bytes of an encoding.
    fn encoded(mut self, name: &str, value: &impl Encode) -> Self {
        self.put(name, &value.to_bytes());
        self
    }

    /// Sets a number or truth value.
    fn plain(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Sets bytes.
    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), data_encoding::HEXLOWER.encode(bytes).into());
    }

    /// Changes bytes.
    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(name);
        change(&mut bytes);
        self.put(name, &bytes);
    }

    /// Changes what an encoding stands for.
    fn edit_as<T: Encode + Decode>(&mut self, name: &str, change: impl FnOnce(&mut T)) {
        let mut value = self.decode(name).expect("a good case decodes");
        change(&mut value);
        self.put(name, &value.to_bytes());
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex(self.0[name].as_str().expect("bytes are text"))
    }

    fn decode<T: Decode>(&self, name: &str) -> Result<T, DecodeError> {
        T::from_bytes(&self.bytes(name))
    }

    fn number<T: TryFrom<u64>>(&self, name: &str) -> T {
        let number = self.0[name].as_u64().and_then(|number| number.try_into().ok());
        number.expect("a number of the right size")
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().expect("text")
    }

    fn truth(&self, name: &str) -> bool {
        self.0[name].as_bool().expect("a truth value")
    }

    /// How to get from these values to others in which `name` is `value`.
    fn change(&self, name: &str, value: Value) -> Option<Change> {
        let before = &self.0[name];
        if *before == value {
            return None;
        }
        let bytes = |value: &Value| data_encoding::HEXLOWER.decode(value.as_str()?.as_bytes()).ok();
        let (Some(old), Some(new)) = (bytes(before), bytes(&value)) else { return Some(Change::Value(value)) };
        if old.len() != new.len() {
            return Some(Change::Value(value));
        }
        let differs = |index: &usize| old[*index] != new[*index];
        let at = (0..old.len()).find(differs)?;
        let last = (0..old.len()).rfind(differs)?;
        Some(Change::Bytes { at, to: data_encoding::HEXLOWER.encode(&new[at..=last]) })
    }
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).expect("lower-case hexadecimal")
}

/// The randomness of a case.
fn rng(what: &str) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(chorus_crypto::hash::content(what.as_bytes()))
}

/// Drops the last value.
fn shorten<T>(values: &mut Vec<T>) {
    values.truncate(values.len() - 1);
}

/// A check that did not hold.
#[derive(Debug)]
struct Refused;

impl<E: std::error::Error> From<E> for Refused {
    fn from(_: E) -> Self {
        Self
    }
}

/// Refuses unless `holds`.
fn require(holds: bool) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused) }
}

/// A sequence of any length, which this harness makes itself.
#[derive(Clone, Debug)]
struct Seq<T>(Vec<T>);

impl<T: Encode> Encode for Seq<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        chorus_crypto::codec::put_seq(out, &self.0);
    }
}

impl<T: Decode> Decode for Seq<T> {
    fn decode(input: &mut chorus_crypto::codec::Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.seq(chorus_crypto::mask::MAX_SCALARS)?))
    }
}
