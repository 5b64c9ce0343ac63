//! The bundles of a divided round: the root's, its cohorts', theirs.

use std::io::Read;

use super::{Options, Progress, Report, Standing, VerifyError, check::verify_from};
use crate::{cohort::Origin, ledger::Ledger, log::entry::RoundResult};

/// Levels below the root that are worth following: with a fan-in of thirty, four are enough for everybody.
pub const LEVELS: usize = 8;

/// What the bundles of a community and of its cohorts show.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// What the community's own bundle shows.
    pub report: Report,
    /// The cohorts whose certified results count in its rounds, in the order of rounds and numbers.
    pub cohorts: Vec<Branch>,
}

/// A cohort whose certified result counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Which.
    pub origin: Origin,
    /// What its bundle and those of its own cohorts show; none if its bundle was not at hand: its certificate is then taken
    /// on its operators' word.
    pub checked: Option<Tree>,
}

impl Tree {
    /// Returns the cohorts, on all levels, whose bundles were not at hand.
    pub fn unchecked(&self) -> Vec<Origin> {
        let of_branch = |branch: &Branch| match &branch.checked {
            Some(tree) => tree.unchecked(),
            None => vec![branch.origin],
        };
        self.cohorts.iter().flat_map(of_branch).collect()
    }

    /// Returns what the bundles of the cohorts show that were at hand, on all levels.
    pub fn checked(&self) -> Vec<(Origin, &Report)> {
        let branches = self.cohorts.iter().filter_map(|branch| Some((branch.origin, branch.checked.as_ref()?)));
        branches.flat_map(|(origin, tree)| [vec![(origin, &tree.report)], tree.checked()].concat()).collect()
    }

    /// Returns what there is to say of the receipt that was given: in the bundle that has its round, if any does.
    pub fn standing(&self) -> Option<Standing> {
        let of_cohorts = self.checked();
        let all = core::iter::once(&self.report).chain(of_cohorts.into_iter().map(|(_, report)| report));
        let mut said = all.filter_map(|report| report.standing);
        said.clone().find(|standing| *standing != Standing::UnknownRound).or_else(|| said.next())
    }
}

/// Finds the bundle of a cohort, by where it comes from, if it is at hand.
pub type Open<'a> = dyn FnMut(&Origin) -> Option<Box<dyn Read>> + 'a;

/// Verifies a community's bundle and those of the cohorts of its divided rounds, so many levels below the root; and that each
/// result which a cohort certified to its parent is the one that its own bundle leads to. A receipt is looked up in all of them.
///
/// # Errors
///
/// Returns the first thing that is wrong; nothing in the bundles is to be believed then.
pub fn verify_tree(
    root: &mut dyn Read,
    levels: usize,
    options: &Options,
    open: &mut Open<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tree, VerifyError> {
    verify_level(None, root, (open, levels), options, progress)
}

fn verify_level(
    cohort: Option<Ledger>,
    input: &mut dyn Read,
    (open, levels): (&mut Open<'_>, usize),
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tree, VerifyError> {
    let (report, ledger) = verify_from(cohort, input, options, progress)?;
    let mut cohorts = Vec::new();
    for (round, number, certified) in counted(&report, &ledger) {
        let Some(cohort) = ledger.cohort(&round, number) else { continue };
        let Some(origin) = cohort.origin().copied() else { continue };
        let bundle = if levels == 0 { None } else { open(&origin) };
        let Some(mut bundle) = bundle else {
            cohorts.push(Branch { origin, checked: None });
            continue;
        };
        let checked = verify_level(Some(cohort), bundle.as_mut(), (&mut *open, levels - 1), options, progress)
            .map_err(|error| VerifyError::Cohort { round, number, error: Box::new(error) })?;
        // Verified: what its log states is what follows, sums included.
        let found = checked.report.rounds.iter().find_map(|summary| summary.result.clone());
        if found.as_ref() != Some(&certified) {
            let (certified, found) = (Box::new(certified), found.map(Box::new));
            return Err(VerifyError::Certified { round, number, certified, found });
        }
        cohorts.push(Branch { origin, checked: Some(checked) });
    }
    Ok(Tree { report, cohorts })
}

/// Returns the certified results that count, in the order of rounds and numbers.
fn counted(report: &Report, ledger: &Ledger) -> Vec<(crate::id::RoundId, u16, RoundResult)> {
    let finished = report.rounds.iter().filter(|summary| summary.result.is_some());
    let divided = finished.filter_map(|summary| Some((summary.round, ledger.rounds().get(&summary.round)?.divided()?)));
    let of_round = divided.flat_map(|(round, divided)| {
        divided.results.iter().map(move |(number, certified)| (round, *number, certified.result.clone()))
    });
    of_round.collect()
}
