//! Which cards and which transitions somebody is shown next: worked out on their own machine, from public totals and from
//! what they have said themselves. Nobody learns what was shown to whom.
//!
//! *Cards*, after Democratic Fine-Tuning: the ones seen least and the ones most endorsed by those who saw them, and of
//! these the nearest to one's own. *Transitions*, after its successor: at random three in ten of those most agreed with, three in
//! ten that lead from little-known pairs to where many lead, and four in ten of those answered least; first the ones that
//! begin at a value which one has endorsed. In a first round there are no totals, and chance decides.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use super::{MoralVotes, Transition, ValuesCard, nearness::Nearness};
use crate::{deliberation::tally::Tally, id::BlobId};

/// How many cards are shown at one time.
pub const CARDS_SHOWN: usize = 6;

/// How many transitions are shown at one time.
pub const TRANSITIONS_SHOWN: usize = 3;

/// Of how many cards seen least, and of how many most endorsed, those shown are chosen.
const POOL: usize = 12;

/// What somebody has said so far. It stays on their machine.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Said {
    /// The cards that they wrote.
    pub own: Vec<ValuesCard>,
    /// The items, of either kind, that they have voted on.
    pub seen: BTreeSet<BlobId>,
    /// The cards that they have endorsed.
    pub endorsed: BTreeSet<BlobId>,
}

/// Shows nothing of what somebody said.
impl core::fmt::Debug for Said {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Said").finish_non_exhaustive()
    }
}

/// Returns at most `count` of the cards that can be voted on, the ones to show first in front.
pub fn cards_to_show(
    cards: &[ValuesCard],
    votes: &MoralVotes,
    said: &Said,
    count: usize,
    rng: &mut impl CryptoRng,
) -> Vec<BlobId> {
    let is_fresh = |card: &&ValuesCard| !said.seen.contains(&card.id()) && !said.own.contains(card);
    let mut fresh: Vec<&ValuesCard> = cards.iter().filter(is_fresh).collect();
    shuffle(&mut fresh, rng);
    let tally = |card: &ValuesCard| votes.endorsements().get(&card.id()).copied().unwrap_or_default();
    let mut least_seen = fresh.clone();
    least_seen.sort_by_key(|card| tally(card).seen());
    let mut hottest = fresh;
    hottest.sort_by(|a, b| by_share(&tally(b), &tally(a)));
    let mut pool: Vec<&ValuesCard> = Vec::new();
    for card in least_seen.into_iter().take(POOL).zip(hottest.into_iter().take(POOL)).flat_map(|(a, b)| [a, b]) {
        if !pool.contains(&card) {
            pool.push(card);
        }
    }
    if !said.own.is_empty() {
        let texts: Vec<String> = pool.iter().copied().chain(&said.own).map(ValuesCard::text).collect();
        let (near, own) = (Nearness::of(&texts), pool.len()..texts.len());
        let to_own = |at: usize| own.clone().map(|own| near.between(at, own)).fold(0.0, |sum, near| sum + near);
        let mut ranked: Vec<(f64, &ValuesCard)> =
            pool.iter().enumerate().map(|(at, card)| (to_own(at), *card)).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        pool = ranked.into_iter().map(|(_, card)| card).collect();
    }
    pool.into_iter().take(count).map(ValuesCard::id).collect()
}

/// Why a transition is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    /// Many of those who answered said yes.
    Agreed,
    /// It leads to where many lead, and few have answered it.
    Convergent,
    /// Few have answered it.
    Sparse,
}

/// Returns at most `count` of the transitions that can be voted on, by their ids, in the order in which to show them.
pub fn transitions_to_show(
    transitions: &[Transition],
    votes: &MoralVotes,
    said: &Said,
    count: usize,
    rng: &mut impl CryptoRng,
) -> Vec<BlobId> {
    let mut fresh: Vec<(BlobId, &Transition)> = transitions.iter().map(|it| (it.id(), it)).collect();
    fresh.retain(|(id, _)| !said.seen.contains(id));
    shuffle(&mut fresh, rng);
    let mut arriving = BTreeMap::<BlobId, u64>::new();
    for (question, tally) in votes.transitions() {
        *arriving.entry(question.to).or_default() += tally.agree;
    }
    let tally = |it: &Transition| votes.transitions().get(&it.question()).copied().unwrap_or_default();
    let mut shown = Vec::new();
    while shown.len() < count && !fresh.is_empty() {
        let reason = match rng.next_u64() % 10 {
            0..=2 => Reason::Agreed,
            3..=5 => Reason::Convergent,
            _ => Reason::Sparse,
        };
        let rank = |it: &Transition| {
            let (tally, question) = (tally(it), it.question());
            let popular = arriving.get(&question.to).copied().unwrap_or_default();
            let (above, below) = match reason {
                Reason::Agreed => (tally.agree + 1, tally.seen() + 2),
                Reason::Convergent => (popular + 1, tally.seen() + 1),
                Reason::Sparse => (1, tally.seen() + 1),
            };
            (said.endorsed.contains(&question.from), above, below)
        };
        let is_before = |a: &(bool, u64, u64), b: &(bool, u64, u64)| {
            (a.0, u128::from(a.1) * u128::from(b.2)) > (b.0, u128::from(b.1) * u128::from(a.2))
        };
        let mut best = (0, None);
        for (at, (_, transition)) in fresh.iter().enumerate() {
            let rank = rank(transition);
            if best.1.is_none_or(|known| is_before(&rank, &known)) {
                best = (at, Some(rank));
            }
        }
        shown.push(fresh.remove(best.0).0);
    }
    shown
}

/// Compares the shares that endorsed; a card that nobody has seen comes last.
fn by_share(a: &Tally, b: &Tally) -> core::cmp::Ordering {
    let share = |above: &Tally, below: &Tally| u128::from(above.agree) * u128::from(below.seen().max(1));
    share(a, b).cmp(&share(b, a))
}

/// Puts things into a random order.
fn shuffle<T>(things: &mut [T], rng: &mut impl CryptoRng) {
    for last in (1..things.len()).rev() {
        // A bias of 2^-55 for what a poll can hold.
        let other = usize::try_from(rng.next_u64() % (last as u64 + 1)).unwrap_or(last);
        things.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    use super::{super::Question, *};

    fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn card(number: usize, about: &str) -> ValuesCard {
        ValuesCard::new(&format!("Value {number}"), about, &[""; 0]).expect("a card")
    }

    #[test]
    fn the_cards_shown_are_new_to_the_person_and_near_to_their_own() {
        let mut cards: Vec<ValuesCard> = (0..20).map(|number| card(number, "Something different")).collect();
        cards.push(card(90, "Listen to children when they are afraid"));
        cards.push(card(91, "Listen to children who are angry"));
        let own = card(99, "Children are afraid: listen");
        let seen: BTreeSet<BlobId> = cards[..4].iter().map(ValuesCard::id).collect();
        let said = Said { own: vec![own.clone()], seen: seen.clone(), ..Said::default() };
        cards.push(own.clone());

        let mut votes = MoralVotes::default();
        cards.iter().for_each(|card| votes.add_card(card.clone()));
        // Those in the pool: the near ones have been seen least.
        for card in &cards[..20] {
            votes.add_endorsement(card.id(), Tally { agree: 0, disagree: 0, pass: 2 });
        }
        let shown = cards_to_show(&cards, &votes, &said, CARDS_SHOWN, &mut rng(1));

        assert_eq!(shown.len(), CARDS_SHOWN);
        assert!(shown.iter().all(|id| !seen.contains(id)) && !shown.contains(&own.id()));
        assert_eq!(shown[..2], [cards[20].id(), cards[21].id()]);
        assert_eq!(shown, cards_to_show(&cards, &votes, &said, CARDS_SHOWN, &mut rng(1)), "seeded");
    }

    #[test]
    fn of_few_cards_the_seen_and_ones_own_are_left_out_and_none_comes_twice() {
        let cards: Vec<ValuesCard> = (0..5).map(|number| card(number, "Something")).collect();
        let said = Said { own: vec![cards[0].clone()], seen: BTreeSet::from([cards[1].id()]), ..Said::default() };

        let mut shown = cards_to_show(&cards, &MoralVotes::default(), &said, 99, &mut rng(3));

        shown.sort_unstable();
        let mut left: Vec<BlobId> = cards[2..].iter().map(ValuesCard::id).collect();
        left.sort_unstable();
        assert_eq!(shown, left);
    }

    #[test]
    fn the_least_seen_and_the_most_endorsed_cards_come_in_turn() {
        let cards: Vec<ValuesCard> = (0..40).map(|number| card(number, "Something")).collect();
        let mut votes = MoralVotes::default();
        for (number, card) in (0u64..).zip(&cards) {
            votes.add_card(card.clone());
            votes.add_endorsement(card.id(), Tally { agree: number, disagree: 0, pass: 100 });
        }

        let shown = cards_to_show(&cards, &votes, &Said::default(), 4, &mut rng(2));

        assert_eq!(shown, [0, 39, 1, 38].map(|number: usize| cards[number].id()));
    }

    #[test]
    fn transitions_mix_the_agreed_the_convergent_and_the_unanswered_and_begin_at_ones_own_values() {
        let cards: Vec<ValuesCard> = (0..6).map(|number| card(number, "Something")).collect();
        let id = |card: usize| cards[card].id();
        let transition = |from, to| Transition::new(id(from), id(to), "here", "").expect("a transition");
        let pairs = [(0, 1), (2, 1), (2, 3), (4, 5)];
        let transitions: Vec<Transition> = pairs.into_iter().map(|(from, to)| transition(from, to)).collect();
        let mut votes = MoralVotes::default();
        cards.iter().for_each(|card| votes.add_card(card.clone()));
        let mut answered = |from, to, agree, disagree| {
            let question = Question { from: id(from), to: id(to), context: "here".into() };
            votes.add_answers(question, Tally { agree, disagree, pass: 0 });
        };
        // Most agreed; arrives where many arrive, and few have answered; nobody has answered; many have, against it.
        answered(0, 1, 90, 1);
        answered(2, 1, 1, 1);
        answered(4, 5, 1, 90);
        let first = |seed, said: &Said| transitions_to_show(&transitions, &votes, said, 1, &mut rng(seed))[0];

        let mut counts = BTreeMap::<BlobId, u32>::new();
        (0..1_000).for_each(|seed| *counts.entry(first(seed, &Said::default())).or_default() += 1);
        let share = |at: usize| counts.get(&transitions[at].id()).copied().unwrap_or_default();
        assert!((250..350).contains(&share(0)) && (250..350).contains(&share(1)), "{counts:?}");
        assert!((350..450).contains(&share(2)) && share(3) == 0, "{counts:?}");

        let said = Said { endorsed: BTreeSet::from([id(4)]), ..Said::default() };
        assert!((0..20).all(|seed| first(seed, &said) == transitions[3].id()));
        let seen = Said { seen: BTreeSet::from([transitions[0].id()]), ..Said::default() };
        let all = transitions_to_show(&transitions, &votes, &seen, 9, &mut rng(3));
        assert_eq!((all.len(), all.contains(&transitions[0].id())), (3, false));
    }
}
