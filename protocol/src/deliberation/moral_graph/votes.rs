//! What people said about values and transitions, as totals; and how they are counted for ordered pairs.

use std::collections::{BTreeMap, BTreeSet};

use super::{CountingRule, Edge, Entropy, Merges, ValuesCard};
use crate::{deliberation::tally::Tally, id::BlobId};

/// What people were asked: "in this context, is whoever moves from one card to the other wiser?"
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Question {
    /// The card from which somebody moves.
    pub from: BlobId,
    /// The card to which they move.
    pub to: BlobId,
    /// The context.
    pub context: String,
}

/// Totals by card and by transition: all that a graph is made from.
///
/// Sums alone: in whatever order totals are added, the same comes out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MoralVotes {
    cards: BTreeMap<BlobId, ValuesCard>,
    endorsements: BTreeMap<BlobId, Tally>,
    transitions: BTreeMap<Question, Tally>,
}

impl MoralVotes {
    /// Adds a card.
    pub fn add_card(&mut self, card: ValuesCard) {
        self.cards.insert(card.id(), card);
    }

    /// Adds how people voted on a value itself. Returns whether the card is known; else nothing changes.
    pub fn add_endorsement(&mut self, card: BlobId, tally: Tally) -> bool {
        let is_known = self.cards.contains_key(&card);
        if is_known {
            add(&mut self.endorsements, card, tally);
        }
        is_known
    }

    /// Adds how people answered a question. Returns whether it is one: about two known cards; else nothing changes.
    pub fn add_answers(&mut self, question: Question, tally: Tally) -> bool {
        let is_known = |card: &BlobId| self.cards.contains_key(card);
        let is_question = question.from != question.to && is_known(&question.from) && is_known(&question.to);
        if is_question {
            add(&mut self.transitions, question, tally);
        }
        is_question
    }

    /// Returns the cards.
    pub const fn cards(&self) -> &BTreeMap<BlobId, ValuesCard> {
        &self.cards
    }

    /// Returns how people voted on the values themselves.
    pub const fn endorsements(&self) -> &BTreeMap<BlobId, Tally> {
        &self.endorsements
    }

    /// Returns how people answered the questions.
    pub const fn transitions(&self) -> &BTreeMap<Question, Tally> {
        &self.transitions
    }

    /// Returns the same with every card replaced by the one that stands for it. A question about two cards that were
    /// merged is none any more; a card that stands for an unknown one stays itself.
    ///
    /// Votes on merged cards are added. Whoever voted on both counts twice: a sum does not tell who was in it.
    #[must_use]
    pub fn merged(&self, merges: &Merges) -> Self {
        let canonical =
            |card: BlobId| Some(merges.canonical(card)).filter(|it| self.cards.contains_key(it)).unwrap_or(card);
        let mut merged = Self::default();
        merged
            .cards
            .extend(self.cards.iter().filter(|(id, _)| canonical(**id) == **id).map(|(id, it)| (*id, it.clone())));
        for (card, tally) in &self.endorsements {
            merged.add_endorsement(canonical(*card), *tally);
        }
        for (question, tally) in &self.transitions {
            let (from, to) = (canonical(question.from), canonical(question.to));
            merged.add_answers(Question { from, to, context: question.context.clone() }, *tally);
        }
        merged
    }

    /// Returns the part that is about these cards alone: what was said about them, and about moving between two of them.
    #[must_use]
    pub fn among(&self, cards: &BTreeSet<BlobId>) -> Self {
        let is_about = |question: &Question| cards.contains(&question.from) && cards.contains(&question.to);
        let mut part = self.clone();
        part.cards.retain(|id, _| cards.contains(id));
        part.endorsements.retain(|id, _| cards.contains(id));
        part.transitions.retain(|question, _| is_about(question));
        part
    }

    /// Returns the contexts in which somebody was asked.
    pub fn contexts(&self) -> BTreeSet<&str> {
        self.transitions.keys().map(|question| question.context.as_str()).collect()
    }

    /// Counts each ordered pair about which somebody answered, in one direction or the other; in one context, or in all.
    pub(super) fn pairs(&self, rule: CountingRule, context: Option<&str>) -> Vec<Edge> {
        let mut pairs = BTreeMap::<(BlobId, BlobId), (Counts, BTreeSet<String>)>::new();
        let is_asked_for = |question: &Question| context.is_none_or(|context| question.context == context);
        let answered = self.transitions.iter().filter(|(question, tally)| is_asked_for(question) && tally.seen() > 0);
        for (Question { from, to, context }, tally) in answered {
            for (pair, counts) in [((*from, *to), Counts::there(tally)), ((*to, *from), Counts::back(tally, rule))] {
                // By our rule nobody who denies A → B says anything about B → A, so that pair does not come to be.
                if counts.impressions > 0 {
                    let (sum, contexts) = pairs.entry(pair).or_default();
                    *sum = sum.plus(&counts);
                    contexts.insert(context.clone());
                }
            }
        }
        let edge = |((from, to), (counts, contexts)): (_, (Counts, _))| {
            let entropy = counts.entropy(rule);
            Edge { from, to, contexts, counts, entropy }
        };
        pairs.into_iter().map(edge).collect()
    }
}

/// What was said about an ordered pair A → B.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Yes, moving from A to B is wiser.
    pub wiser: u64,
    /// No, it is not.
    pub not_wiser: u64,
    /// Yes, moving from B to A is wiser.
    pub less_wise: u64,
    /// Unsure whether moving from A to B is wiser.
    pub unsure: u64,
    /// How often the pair was looked at, as the counting rule has it.
    pub impressions: u64,
}

impl Counts {
    /// What answers about A → B say about A → B.
    const fn there(tally: &Tally) -> Self {
        let Tally { agree, disagree, pass } = *tally;
        Self { wiser: agree, not_wiser: disagree, less_wise: 0, unsure: pass, impressions: tally.seen() }
    }

    /// What answers about A → B say about B → A.
    const fn back(tally: &Tally, rule: CountingRule) -> Self {
        let impressions = match rule {
            CountingRule::Chorus => tally.agree,
            CountingRule::DemocraticFineTuning => tally.seen(),
        };
        Self { wiser: 0, not_wiser: 0, less_wise: tally.agree, unsure: 0, impressions }
    }

    const fn plus(&self, other: &Self) -> Self {
        Self {
            wiser: self.wiser.saturating_add(other.wiser),
            not_wiser: self.not_wiser.saturating_add(other.not_wiser),
            less_wise: self.less_wise.saturating_add(other.less_wise),
            unsure: self.unsure.saturating_add(other.unsure),
            impressions: self.impressions.saturating_add(other.impressions),
        }
    }

    /// Returns how many votes there are: all but the impressions.
    pub const fn votes(&self) -> u64 {
        self.wiser.saturating_add(self.not_wiser).saturating_add(self.less_wise).saturating_add(self.unsure)
    }

    /// Returns wiser − less wise.
    pub(super) fn difference(&self) -> i128 {
        i128::from(self.wiser) - i128::from(self.less_wise)
    }

    /// Returns the entropy by a rule.
    pub fn entropy(&self, rule: CountingRule) -> Entropy {
        let votes = [self.wiser, self.not_wiser, self.less_wise, self.unsure];
        match rule {
            CountingRule::Chorus => Entropy::of(&votes),
            CountingRule::DemocraticFineTuning => {
                let [wiser, not_wiser, less_wise, unsure] = votes;
                Entropy::of(&[wiser, not_wiser, less_wise, unsure, self.impressions])
            }
        }
    }
}

fn add<K: Ord>(tallies: &mut BTreeMap<K, Tally>, key: K, tally: Tally) {
    let sum = tallies.entry(key).or_default();
    *sum = sum.plus(tally);
}
