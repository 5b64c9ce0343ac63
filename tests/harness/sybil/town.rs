//! The honest part of the graph.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;

use super::Settings;

/// Live vouches, and how many of its stock everybody has given.
#[derive(Clone, Debug)]
pub(super) struct Vouches {
    pub(super) live: BTreeSet<(u32, u32)>,
    given: BTreeMap<u32, usize>,
    stock: usize,
}

impl Vouches {
    fn new(stock: usize) -> Self {
        Self { live: BTreeSet::new(), given: BTreeMap::new(), stock }
    }

    /// Returns how many vouches `person` can still give.
    pub(super) fn left(&self, person: u32) -> usize {
        self.stock - self.given.get(&person).copied().unwrap_or(0)
    }

    /// Vouches, and returns whether that was possible.
    pub(super) fn give(&mut self, from: u32, to: u32) -> bool {
        let possible = from != to && self.left(from) > 0 && self.live.insert((from, to));
        *self.given.entry(from).or_default() += usize::from(possible);
        possible
    }

    /// Takes all vouches of `from` back, or lets them expire.
    pub(super) fn take_back(&mut self, from: u32) {
        self.take_back_where(from, |_| true);
    }

    /// Takes the vouches of `from` for some people back.
    pub(super) fn take_back_where(&mut self, from: u32, whom: impl Fn(u32) -> bool) {
        let gone: Vec<(u32, u32)> =
            self.live.range((from, 0)..=(from, u32::MAX)).filter(|edge| whom(edge.1)).copied().collect();
        for edge in &gone {
            self.live.remove(edge);
        }
        if let Some(given) = self.given.get_mut(&from) {
            *given -= gone.len();
        }
    }

    /// Everybody from `first_fake` on is proven to be a fake: all vouches of theirs fall, and all of their vouchers.
    pub(super) fn expose(&mut self, first_fake: u32) {
        let guilty: BTreeSet<u32> =
            self.live.iter().filter(|(from, to)| from.max(to) >= &first_fake).map(|edge| edge.0).collect();
        guilty.into_iter().for_each(|person| self.take_back(person));
    }
}

/// A town at peace.
#[derive(Clone, Debug)]
pub(super) struct Town {
    pub(super) people: u32,
    pub(super) groups: Vec<Vec<u32>>,
    pub(super) vouches: Vouches,
}

impl Town {
    /// Everybody, in an arbitrary order, asks people of mostly their own part until enough have vouched for them.
    pub(super) fn new(settings: &Settings, rng: &mut ChaCha20Rng) -> Self {
        let mut vouches = Vouches::new(settings.stock);
        let (least, most) = settings.asks;
        for person in shuffled((0..settings.people).collect(), rng) {
            let wanted = least + below(most - least + 1, rng);
            let mut found = 0;
            // Towards the end most stocks are empty; then somebody may find fewer than wanted.
            for _ in 0..50 * wanted {
                if found == wanted {
                    break;
                }
                let across = below(100, rng) < settings.across_percent;
                let asked = neighbour(settings, person, across, rng);
                found += u32::from(vouches.give(asked, person));
            }
        }
        Self { people: settings.people, groups: seeds(settings, rng), vouches }
    }
}

/// Draws somebody of the person's part, or of another.
fn neighbour(settings: &Settings, person: u32, across: bool, rng: &mut ChaCha20Rng) -> u32 {
    let shift = if across { 1 + below(settings.parts - 1, rng) } else { 0 };
    let part = (person + shift) % settings.parts;
    below(settings.people / settings.parts, rng) * settings.parts + part
}

/// Draws seeds: from one part after the other into one group, then the next.
fn seeds(settings: &Settings, rng: &mut ChaCha20Rng) -> Vec<Vec<u32>> {
    let parts: Vec<u32> = (0..settings.parts).filter(|part| Some(*part) != settings.seedless).collect();
    let mut homes: Vec<Vec<u32>> = parts
        .iter()
        .map(|&part| shuffled((0..settings.people).filter(|person| person % settings.parts == part).collect(), rng))
        .collect();
    let each = settings.people * settings.seeds_per_mille / 1000 / settings.groups;
    let mut turns = (0..parts.len()).cycle();
    let mut next = || turns.next().and_then(|home| homes[home].pop()).expect("fewer seeds than people");
    (0..settings.groups).map(|_| (0..each).map(|_| next()).collect()).collect()
}

/// Draws a number below `bound`; the bias of a remainder does not matter here.
pub(super) fn below(bound: u32, rng: &mut ChaCha20Rng) -> u32 {
    rng.next_u32() % bound.max(1)
}

/// Returns the values in an arbitrary order.
pub(super) fn shuffled(mut values: Vec<u32>, rng: &mut ChaCha20Rng) -> Vec<u32> {
    for last in (1..values.len()).rev() {
        let bound = u32::try_from(last + 1).expect("towns are small");
        values.swap(last, usize::try_from(below(bound, rng)).expect("small"));
    }
    values
}
