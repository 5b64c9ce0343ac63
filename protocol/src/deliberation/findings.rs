//! Everything that follows from the tallies of the groups.

use super::{
    consensus::{Support, ranking, support},
    routing::{divisive, priorities},
    statistics::{Leaning, Majority, Representative, leanings, majority, representative},
    tally::{Totals, Vote},
};

/// What moderation says about the items; flags left out are not set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Moderation {
    /// Items that were moderated out: they are counted, but shape neither map nor lists.
    pub hidden: Vec<bool>,
    /// Items that ask about the participant. Polis hides these too.
    pub meta: Vec<bool>,
}

/// What is public once the group tallies are open.
#[derive(Clone, Copy, Debug)]
pub struct Tallied<'a> {
    /// The totals of the whole sealed set.
    pub totals: &'a Totals,
    /// The tallies of the opinion groups.
    pub groups: &'a [Totals],
    /// How many ballots each group has.
    pub sizes: &'a [usize],
    /// How extreme each item is on the map ([`map_extremity`](super::routing::map_extremity)).
    pub extremity: &'a [f64],
    /// What moderation says.
    pub moderation: &'a Moderation,
}

/// What a community thinks.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Group-aware consensus of each item: does every group agree?
    pub agree: Vec<Support>,
    /// Group-aware consensus to reject.
    pub disagree: Vec<Support>,
    /// The visible items by group-aware consensus, the highest first.
    pub ranking: Vec<usize>,
    /// The visible items by group-aware consensus to reject, the highest first.
    pub rejection: Vec<usize>,
    /// How each group leans on each item.
    pub leanings: Vec<Vec<Leaning>>,
    /// The statements that tell each group apart.
    pub representative: Vec<Vec<Representative>>,
    /// What most participants agree with, groups aside.
    pub majority_agree: Vec<Majority>,
    /// What most participants disagree with, groups aside.
    pub majority_disagree: Vec<Majority>,
    /// The items that divide, the most extreme first.
    pub divisive: Vec<usize>,
    /// The weight of each item in the choice of what to show next.
    pub priorities: Vec<f64>,
}

impl Findings {
    /// Computes all findings.
    pub fn new(input: Tallied<'_>) -> Self {
        let Moderation { hidden, meta } = input.moderation;
        let size = |group: usize| input.sizes.get(group).copied().unwrap_or(0) as u64;
        let without: Vec<Totals> =
            input.groups.iter().enumerate().map(|(group, totals)| totals.hiding(hidden, size(group))).collect();
        let leanings = leanings(&without);
        let (agree, disagree) = (support(input.groups, Vote::Agree), support(input.groups, Vote::Disagree));
        let visible = |mut order: Vec<usize>| {
            order.retain(|&item| !super::tally::is_set(hidden, item));
            order
        };
        Self {
            ranking: visible(ranking(&agree)),
            rejection: visible(ranking(&disagree)),
            agree,
            disagree,
            representative: leanings.iter().map(|group| representative(group, hidden)).collect(),
            leanings,
            majority_agree: majority(input.totals, Vote::Agree, hidden),
            majority_disagree: majority(input.totals, Vote::Disagree, hidden),
            divisive: divisive(input.extremity, hidden),
            priorities: priorities(input.groups, input.extremity, meta),
        }
    }
}
