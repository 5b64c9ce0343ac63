//! The one partition of a sealed set of deltas: classes, each split into random cohorts.
//!
//! Every block has at least the floor's number of contributions, so that the two families (classes and cohorts) have a
//! common refinement that may be opened (DESIGN §5.4.5). Who is in which cohort follows from a [`Beacon`] that operators state
//! after the seal: a function of the seeds that all contributors drew. It cannot follow from the sealed set alone: whoever
//! contributes last knows that, and would try until a victim stands among accomplices, whose sum minus their own deltas is the
//! victim's.
//!
//! [`Beacon`]: super::entry::Beacon

use chorus_crypto::{
    domain,
    hash::{self, Digest},
};

use super::manifest::AdapterManifest;
use crate::{
    config::Policy,
    ledger::Sealed,
    round::classes::{ClassBlock, OTHER, class_blocks},
};

/// A class, and its cohorts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassCohorts {
    /// The class, or [`OTHER`].
    pub class: u16,
    /// The contributions of each cohort, ascending.
    pub cohorts: Vec<Vec<u32>>,
}

impl ClassCohorts {
    /// Returns how many people the class has.
    pub fn contributions(&self) -> usize {
        self.cohorts.iter().map(Vec::len).sum()
    }
}

/// Returns the partition of a sealed set; `beacon` is of no effect without cohorts.
pub fn partition(manifest: &AdapterManifest, policy: &Policy, sealed: &Sealed, beacon: &Digest) -> Vec<ClassCohorts> {
    let classes: Vec<u16> = sealed.contributions.iter().map(|contribution| contribution.header.class).collect();
    let floor = manifest.floor(policy) as usize;
    let class_floor = floor.max(policy.class_floor as usize);
    let most = manifest.most_blocks();
    let classes = few(class_blocks(&classes, class_floor, floor), most.max(1));
    // What is left of the blocks that fit is shared evenly.
    let cohorts = usize::from(manifest.combination.cohorts).min(most / classes.len().max(1)).max(1);
    let split = |block: ClassBlock| {
        let parts = (block.ballots.len() / floor.max(1)).clamp(1, cohorts);
        let order = |index: &u32| {
            let tag = sealed.contributions.get(*index as usize).map(|contribution| contribution.header.tag);
            let tag = tag.expect("a block lists contributions of the set");
            hash::digest(domain::SPLIT, &(*beacon, tag))
        };
        let mut shuffled = block.ballots;
        shuffled.sort_by_cached_key(order);
        let mut cohorts = vec![Vec::new(); parts];
        for (place, index) in shuffled.into_iter().enumerate() {
            if let Some(cohort) = cohorts.get_mut(place % parts) {
                cohort.push(index);
            }
        }
        cohorts.iter_mut().for_each(|cohort| cohort.sort_unstable());
        ClassCohorts { class: block.class, cohorts }
    };
    classes.into_iter().map(split).collect()
}

/// Merges the smallest classes into "other" until there are few enough blocks.
fn few(mut blocks: Vec<ClassBlock>, most: usize) -> Vec<ClassBlock> {
    while blocks.len() > most {
        let others = blocks.iter().filter(|block| block.class != OTHER);
        let Some(class) = others.min_by_key(|it| (it.ballots.len(), u16::MAX - it.class)).map(|it| it.class) else {
            break;
        };
        let Some(place) = blocks.iter().position(|block| block.class == class) else { break };
        let merged = blocks.remove(place);
        match blocks.iter_mut().find(|block| block.class == OTHER) {
            Some(other) => {
                other.ballots.extend(merged.ballots);
                other.ballots.sort_unstable();
            }
            None => blocks.insert(0, ClassBlock { class: OTHER, ballots: merged.ballots }),
        }
    }
    blocks
}
