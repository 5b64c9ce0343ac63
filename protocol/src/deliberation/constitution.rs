//! The constitution: the statements that every group supports, as one canonical document.

use chorus_crypto::{
    domain,
    hash::{Digest, digest},
    wire_struct,
};

use super::{
    consensus::{Bar, Support, ranking, support},
    groups::MAX_GROUPS,
    tally::{Tally, Totals, Vote, is_set},
};
use crate::{
    id::{CommunityId, PollId},
    limits::{MAX_ITEMS, MAX_STATEMENT_BYTES, MAX_TEXT_BYTES},
};

/// What a community asks of a statement before it becomes a principle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Criteria {
    /// The support it needs, as the k-th root of its group-aware consensus.
    pub bar: Bar,
    /// How many of each group must have seen it.
    pub min_seen: u64,
}
wire_struct!(Criteria { bar, min_seen });

/// One principle, with the numbers that carried it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principle {
    /// The item's place in its poll.
    pub item: u32,
    /// Its text, as it was voted on.
    pub text: String,
    /// How each group voted, so that a reader can check it against the criteria.
    pub groups: Vec<Tally>,
}
wire_struct!(Principle { item, text(MAX_STATEMENT_BYTES), groups[MAX_GROUPS] });

/// What a constitution says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preamble {
    /// The community.
    pub community: CommunityId,
    /// Its name.
    pub name: String,
    /// What it wants the AI for.
    pub purpose: String,
    /// 1, 2, 3, … within the community.
    pub version: u32,
    /// The poll that was decided.
    pub poll: PollId,
}
wire_struct!(Preamble { community, name(MAX_TEXT_BYTES), purpose(MAX_TEXT_BYTES), version, poll });

/// A constitution: the same bytes on every node, to be signed and addressed by content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Constitution {
    /// Whose it is, and which.
    pub preamble: Preamble,
    /// What was asked of a statement.
    pub criteria: Criteria,
    /// The principles, the best supported first.
    pub principles: Vec<Principle>,
}
wire_struct!(Constitution { preamble, criteria, principles[MAX_ITEMS] });

impl Constitution {
    /// Writes the constitution that follows from the tallies of the groups.
    ///
    /// `text` gives the text of an item; an item without one, or hidden, is no principle.
    pub fn draft(
        preamble: Preamble,
        criteria: Criteria,
        groups: &[Totals],
        hidden: &[bool],
        text: impl Fn(usize) -> Option<String>,
    ) -> Self {
        let supports = support(groups, Vote::Agree);
        let tallies = |item: usize| groups.iter().map(|group| group.items[item]).collect::<Vec<_>>();
        let passes = |item: &usize| !is_set(hidden, *item) && criteria.are_met_by(&supports[*item], &tallies(*item));
        let principle =
            |item: usize| Some(Principle { item: u32::try_from(item).ok()?, text: text(item)?, groups: tallies(item) });
        let principles = ranking(&supports).into_iter().filter(passes).filter_map(principle).collect();
        Self { preamble, criteria, principles }
    }

    /// Returns the digest that is signed.
    pub fn digest(&self) -> Digest {
        digest(domain::CONSTITUTION, self)
    }
}

impl Criteria {
    fn are_met_by(&self, support: &Support, groups: &[Tally]) -> bool {
        !groups.is_empty() && groups.iter().all(|tally| tally.seen() >= self.min_seen) && self.bar.is_met_by(support)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_crypto::codec::{Decode as _, Encode as _};

    fn sample(bar: (u32, u32), min_seen: u64, hidden: &[bool]) -> Constitution {
        let tally = |(agree, disagree, pass)| Tally { agree, disagree, pass };
        let group = |items: [(u64, u64, u64); 4]| Totals { items: items.map(tally).to_vec() };
        let groups = [
            group([(18, 0, 0), (8, 10, 0), (18, 0, 0), (3, 0, 0)]),
            group([(8, 0, 0), (8, 0, 0), (7, 1, 0), (3, 0, 0)]),
        ];
        let preamble = Preamble {
            community: CommunityId::from([1; 32]),
            name: "Choir".into(),
            purpose: "To sing".into(),
            version: 1,
            poll: PollId::from([2; 32]),
        };
        let criteria = Criteria { bar: Bar::new(bar.0, bar.1).expect("a fraction"), min_seen };
        Constitution::draft(preamble, criteria, &groups, hidden, |item| Some(format!("statement {item}")))
    }

    fn items(constitution: &Constitution) -> Vec<u32> {
        constitution.principles.iter().map(|principle| principle.item).collect()
    }

    #[test]
    fn principles_are_the_statements_above_the_bar_best_first() {
        assert_eq!(items(&sample((7, 10), 0, &[])), [0, 2, 3]);
        // 19/20 · 8/10 = 0.76: the root is below 0.9, and item 3 has 4/5 · 4/5.
        assert_eq!(items(&sample((9, 10), 0, &[])), [0]);
        assert_eq!(items(&sample((4, 5), 0, &[])), [0, 2, 3]);
    }

    #[test]
    fn hidden_statements_and_those_few_saw_are_no_principles() {
        assert_eq!(items(&sample((7, 10), 4, &[])), [0, 2]);
        assert_eq!(items(&sample((7, 10), 4, &[true])), [2]);
    }

    #[test]
    fn the_document_reads_back_and_every_part_of_it_is_signed() {
        let constitution = sample((7, 10), 0, &[]);

        assert_eq!(Constitution::from_bytes(&constitution.to_bytes()), Ok(constitution.clone()));
        let mut changes = vec![constitution.clone(); 5];
        changes[0].preamble.version = 2;
        changes[1].criteria.min_seen = 1;
        changes[2].principles.swap(0, 1);
        changes[3].principles[0].text.push('.');
        changes[4].principles[0].groups[0].agree += 1;
        assert!(changes.iter().all(|changed| changed.digest() != constitution.digest()));
    }
}
