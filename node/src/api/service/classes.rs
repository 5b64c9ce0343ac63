//! Rounds with classes: planning them, and naming what came out.

use std::{collections::BTreeSet, sync::Arc};

use chorus_crypto::{codec::Decode as _, credential::Leaf, sign::PublicKey};
use chorus_protocol::{
    charter::Charter,
    ledger::{Ledger, RoundRecord},
    log::entry::{ClassPlan, ClassSource, EarlierGroups},
    round::{
        classes::{ClassTotals, OTHER},
        report::{MapReport, RoundReport},
    },
};

use super::{ApiError, Kind, Service, view};

/// What those are called who show no class.
pub const OTHER_NAME: &str = "other";

impl Service {
    /// Returns the plan of classes that somebody asks for.
    pub(super) async fn class_plan(&self, ledger: &Ledger, asked: view::Classes) -> Result<ClassPlan, ApiError> {
        let source = match &asked.by {
            view::ClassBy::Attribute(name) => {
                let attributes = &ledger.charter().policy.attributes;
                let slot = attributes.iter().position(|attribute| attribute.name == *name);
                let slot = slot.and_then(|slot| u8::try_from(slot).ok()).ok_or_else(|| {
                    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
                    ApiError::invalid(match names.as_slice() {
                        [] => "this community has no attributes, so nothing tells classes apart".to_owned(),
                        [..] => format!("there is no attribute {name:?}; there are: {}", names.join(", ")),
                    })
                })?;
                ClassSource::Attribute(slot)
            }
            view::ClassBy::GroupsOf(reference) => ClassSource::Groups(self.groups_of(ledger, reference).await?),
        };
        let names = names(ledger.charter(), &source);
        let mut weights = vec![1; names.len()];
        let mut given = BTreeSet::new();
        for (name, weight) in &asked.weights {
            let index = names.iter().position(|known| known == name);
            let weight_of = index.and_then(|index| weights.get_mut(index)).ok_or_else(|| {
                ApiError::invalid(format!("there is no class {name:?}; there are: {}", names.join(", ")))
            })?;
            if !given.insert(name) {
                return Err(ApiError::invalid(format!("class {name:?} stands twice")));
            }
            *weight_of = *weight;
        }
        if weights.iter().any(|weight| weights.first().is_some_and(|other| weight < other)) {
            return Err(ApiError::refused(
                "\"other\" may weigh no more than any class, or people would gain by hiding theirs",
            ));
        }
        Ok(ClassPlan { source, weights })
    }

    /// Returns the opinion groups of an earlier round, named by its number or the beginning of its id.
    async fn groups_of(&self, ledger: &Ledger, reference: &str) -> Result<EarlierGroups, ApiError> {
        let round = find_round(ledger, reference)?;
        let result = round.agreed_result();
        let result =
            result.ok_or_else(|| ApiError::refused("that round is not finished: its groups are not known yet"))?.result;
        let report = RoundReport::from_bytes(&self.node.fetch(result).await?)
            .map_err(|error| ApiError::new(Kind::Internal, format!("the result does not read: {error}")))?;
        let MapReport { k, assignment, .. } = report.map().ok_or_else(|| {
            ApiError::refused("that round has no opinion groups: it had too few ballots for a map, or classes")
        })?;
        let snapshot = round.manifest.as_ref().map(|manifest| &manifest.snapshot);
        let then: BTreeSet<Leaf> = snapshot.iter().flat_map(|snapshot| snapshot.leaves()).copied().collect();
        let leaf = |key: &PublicKey| Some(ledger.registry().person(key)?.claim.leaf);
        let now: BTreeSet<Leaf> = ledger.members().iter().filter_map(leaf).collect();
        if then != now {
            return Err(ApiError::refused(
                "somebody has joined, left or rotated their leaf since that round: its groups can no longer be proved",
            ));
        }
        Ok(EarlierGroups { round: round.id, k: *k, assignment: assignment.clone() })
    }
}

fn find_round<'l>(ledger: &'l Ledger, reference: &str) -> Result<&'l RoundRecord, ApiError> {
    let ordinal: Option<u32> = reference.parse().ok().filter(|_| reference.len() < 6);
    let is_it = |round: &&RoundRecord| match ordinal {
        Some(ordinal) => round.ordinal == ordinal,
        None => round.id.to_string().starts_with(reference),
    };
    let matching: Vec<&RoundRecord> = ledger.rounds().values().map(Arc::as_ref).filter(is_it).collect();
    match matching.as_slice() {
        [round] => Ok(round),
        [] => Err(ApiError::invalid(format!("there is no round {reference:?}: see `chorus status`"))),
        [_, _, ..] => Err(ApiError::invalid(format!("several rounds begin with {reference:?}"))),
    }
}

/// Returns what tells classes apart, in words.
pub(super) fn told_apart(ledger: &Ledger, source: &ClassSource) -> String {
    match source {
        ClassSource::Attribute(slot) => {
            let attribute = ledger.charter().policy.attributes.get(usize::from(*slot));
            attribute.map(|attribute| attribute.name.clone()).unwrap_or_default()
        }
        ClassSource::Groups(groups) => match ledger.rounds().get(&groups.round) {
            Some(round) => format!("the opinion groups of round {}", round.ordinal),
            None => "the opinion groups of an earlier round".to_owned(),
        },
    }
}

/// Returns what a class is called.
pub(super) fn name_of(ledger: &Ledger, source: &ClassSource, class: u16) -> String {
    names(ledger.charter(), source).get(usize::from(class)).cloned().unwrap_or_else(|| class.to_string())
}

/// Returns what the classes are called by some rules, "other" first.
fn names(charter: &Charter, source: &ClassSource) -> Vec<String> {
    let named: Vec<String> = match source {
        ClassSource::Attribute(slot) => {
            let attribute = charter.policy.attributes.get(usize::from(*slot));
            attribute.into_iter().flat_map(|it| &it.values).map(|value| value.text.clone()).collect()
        }
        ClassSource::Groups(groups) => ('A'..='Z').take(groups.k.into()).map(String::from).collect(),
    };
    core::iter::once(OTHER_NAME.to_owned()).chain(named).collect()
}

/// Returns the classes of a result by name: by the rules under which the round was planned, for a result never changes.
pub(super) fn class_views(round: &RoundRecord, report: &RoundReport) -> Vec<view::ClassResult> {
    let (Some(plan), Some(classes)) = (&round.plan.classes, report.classes()) else { return Vec::new() };
    let names = names(&round.charter, &plan.source);
    let class = |class: &ClassTotals| view::ClassResult {
        name: names.get(usize::from(class.class)).cloned().unwrap_or_else(|| class.class.to_string()),
        ballots: class.ballots,
        weight: class.weight,
        items: class.totals.items.iter().map(super::results::counts).collect(),
    };
    let (other, shown): (Vec<_>, Vec<_>) = classes.classes.iter().partition(|class| class.class == OTHER);
    shown.into_iter().chain(other).map(class).collect()
}
