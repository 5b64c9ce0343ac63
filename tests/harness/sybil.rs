//! Attacks on admission: a community whose members vouch for each other, and corrupt members who bring fakes in.
//!
//! A town has parts that know mostly themselves; seeds of several groups live in every part. Corrupt members were
//! admitted as everybody is. In an attack they take back what they said about honest people and spend their vouches on
//! fakes, who vouch for each other in the [`Shape`] of the attack. The flow under test is the real one; town and
//! attack are made from a seed.

mod region;
mod town;

pub mod attesters;

use std::collections::BTreeSet;

use chorus_protocol::registry::flow::{Acceptance, RECOMMENDED_CAPACITIES};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use region::Region;
use town::{Town, Vouches, shuffled};

/// How the town lives and by which rules it admits people.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Real people.
    pub people: u32,
    /// Parts of the town: person `i` lives in part `i % parts`.
    pub parts: u32,
    /// A part in which no seed lives.
    pub seedless: Option<u32>,
    /// Seeds in a thousand people, all groups together.
    pub seeds_per_mille: u32,
    /// Groups of seeds.
    pub groups: u32,
    /// From how many people, at least and at most, everybody seeks a vouch.
    pub asks: (u32, u32),
    /// How many in a hundred of these live in another part.
    pub across_percent: u32,
    /// Vouches that one person can give.
    pub stock: usize,
    /// See [`Acceptance::tolerated`].
    pub tolerated: u8,
    /// See [`Acceptance::capacities`].
    pub capacities: Vec<u16>,
    /// See [`Acceptance::min_vouches`].
    pub min_vouches: u8,
}

impl Default for Settings {
    /// The operating conditions: 1,000 people in five parts, eight percent of them seeds.
    fn default() -> Self {
        Self {
            people: 1_000,
            parts: 5,
            seedless: None,
            seeds_per_mille: 80,
            groups: 5,
            asks: (8, 10),
            across_percent: 4,
            stock: 12,
            tolerated: 1,
            capacities: RECOMMENDED_CAPACITIES.to_vec(),
            min_vouches: 5,
        }
    }
}

/// The graph that fakes and those who bring them in make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// Everybody vouches for twelve fakes at random.
    FreeForm,
    /// Fakes vouch for the twelve after them, around a ring that the corrupt enter at random.
    Ring,
    /// All corrupt vouch for five hubs, hubs and leaves for each other.
    Star,
    /// Fakes vouch for the next five; the corrupt vouch for the beginning.
    Chain,
    /// Cliques of thirteen, entered by teams of five at all places.
    Clique,
    /// Layers of twelve, each of which vouches for the whole next one.
    Layered,
    /// As many fakes as the flow can carry, three each, in cliques of twelve that four corrupt vouch for.
    Concentrated,
    /// Every corrupt vouch goes to another fake; fakes vouch for each other at random.
    ManyEntries,
    /// All corrupt vouch for one fake only.
    OneEntry,
    /// The fakes copy the degrees of the town, vouches for real people included.
    Mimicry,
    /// Corrupt people sell their whole stock to strangers, who know nobody else: teams of five for twelve.
    Strangers,
    /// Honest people are tricked into vouching for three fakes each, from the stock they have left.
    Tricked,
    /// Fakes and corrupt vouch for honest people, and are exposed: all that they and whoever vouched for them said falls.
    Hostile,
    /// Half of the vouches move to new fakes in every epoch; old fakes are kept by fakes.
    SlowDrip,
    /// In every epoch the corrupt leave their fakes for new ones, and the old ones vouch for these.
    Rotation,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 15] = [
        Self::FreeForm,
        Self::Ring,
        Self::Star,
        Self::Chain,
        Self::Clique,
        Self::Layered,
        Self::Concentrated,
        Self::ManyEntries,
        Self::OneEntry,
        Self::Mimicry,
        Self::Strangers,
        Self::Tricked,
        Self::Hostile,
        Self::SlowDrip,
        Self::Rotation,
    ];

    /// Returns the shape in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreeForm => "free-form region",
            Self::Ring => "ring",
            Self::Star => "star",
            Self::Chain => "chain",
            Self::Clique => "complete cliques",
            Self::Layered => "layers",
            Self::Concentrated => "concentrated (tight for the bound)",
            Self::ManyEntries => "many entry points",
            Self::OneEntry => "one entry point",
            Self::Mimicry => "mimicry of honest degrees",
            Self::Strangers => "stock sold to strangers",
            Self::Tricked => "tricked honest people",
            Self::Hostile => "hostile vouching, exposed",
            Self::SlowDrip => "slow drip over epochs",
            Self::Rotation => "rotation over epochs",
        }
    }
}

/// Who is corrupt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// Anybody but seeds.
    Random,
    /// Those for whom most seeds vouch, no seeds themselves.
    Nearest,
    /// All seeds of one group, then the nearest.
    SeedGroup,
    /// Seeds of two groups by turns, then the nearest.
    TwoSeedGroups,
    /// Seeds of different groups.
    SeedsApart,
}

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// The graph of the fakes.
    pub shape: Shape,
    /// Who is corrupt.
    pub placement: Placement,
    /// How many are corrupt (or tricked).
    pub corrupt: usize,
}

/// What an attack achieved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// How many were corrupt.
    pub corrupt: usize,
    /// Fakes accepted at one time, at most.
    pub fakes: usize,
    /// Of the honest people of the part where most are refused, how many are accepted …
    pub accepted: usize,
    /// … and how many there are.
    pub honest: usize,
}

impl Outcome {
    /// Returns the fakes for each corrupt member.
    pub fn fakes_each(&self) -> f64 {
        ratio(self.fakes, self.corrupt)
    }

    /// Returns the percentage of honest people accepted in the worst part.
    pub fn honest_percent(&self) -> f64 {
        100.0 * ratio(self.accepted, self.honest)
    }

    /// Returns the worst of both in each respect.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let fakes = self.fakes.max(other.fakes);
        let honest = if other.honest_percent() < self.honest_percent() { other } else { self };
        Self { corrupt: self.corrupt, fakes, accepted: honest.accepted, honest: honest.honest }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).expect("towns are small"));
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// Epochs of the attacks that take time.
const EPOCHS: u32 = 6;

/// Makes a town and attacks it.
pub fn attack(settings: &Settings, attack: Attack, seed: u64) -> Outcome {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let town = Town::new(settings, &mut rng);
    let corrupt = place(&town, attack, &mut rng);
    let mut vouches = town.vouches.clone();
    if attack.shape != Shape::Tricked {
        corrupt.iter().for_each(|&person| vouches.take_back(person));
    }
    let mut region = Region::new(settings, attack.shape, &corrupt);
    let epochs = if matches!(attack.shape, Shape::SlowDrip | Shape::Rotation) { EPOCHS } else { 1 };
    let mut worst = None;
    for _ in 0..epochs {
        region.grow(&mut vouches, &mut rng);
        let outcome = assess(settings, &town, &corrupt, &vouches);
        worst = Some(worst.map_or(outcome, |worst: Outcome| worst.or_worse(outcome)));
    }
    if attack.shape == Shape::Hostile {
        region.vouch_for_victims(&mut vouches, &mut rng);
        let before = assess(settings, &town, &corrupt, &vouches);
        vouches.expose(settings.people);
        let after = assess(settings, &town, &corrupt, &vouches);
        worst = worst.map(|worst| worst.or_worse(before).or_worse(after));
    }
    worst.expect("there is at least one epoch")
}

/// Returns a town without an attack: its honest people in the worst part.
pub fn peace(settings: &Settings, seed: u64) -> Outcome {
    let town = Town::new(settings, &mut ChaCha20Rng::seed_from_u64(seed));
    assess(settings, &town, &[], &town.vouches)
}

/// Returns who is corrupt, ascending within what the placement prefers.
fn place(town: &Town, attack: Attack, rng: &mut ChaCha20Rng) -> Vec<u32> {
    let seeds: BTreeSet<u32> = town.groups.iter().flatten().copied().collect();
    let others = shuffled((0..town.people).filter(|person| !seeds.contains(person)).collect(), rng);
    let nearest = |others: Vec<u32>| {
        let from_seeds =
            |person: u32| town.vouches.live.iter().filter(|(from, to)| *to == person && seeds.contains(from)).count();
        let mut order: Vec<(usize, u32)> = others.into_iter().map(|person| (from_seeds(person), person)).collect();
        order.sort_by_key(|(seeds, _)| core::cmp::Reverse(*seeds));
        order.into_iter().map(|(_, person)| person).collect::<Vec<u32>>()
    };
    let mut order = match attack.placement {
        Placement::Random => others,
        Placement::Nearest => nearest(others),
        Placement::SeedGroup => [town.groups[0].clone(), nearest(others)].concat(),
        Placement::TwoSeedGroups => [by_turns(&town.groups[..2]), nearest(others)].concat(),
        Placement::SeedsApart => by_turns(&town.groups),
    };
    order.truncate(attack.corrupt);
    order
}

/// Returns the first of each group, then the second of each, and so on.
fn by_turns(groups: &[Vec<u32>]) -> Vec<u32> {
    let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|i| groups.iter().filter_map(move |group| group.get(i))).copied().collect()
}

/// Runs the flow and counts.
fn assess(settings: &Settings, town: &Town, corrupt: &[u32], vouches: &Vouches) -> Outcome {
    let Settings { tolerated, ref capacities, min_vouches, .. } = *settings;
    let accepted = Acceptance { seeds: &town.groups, tolerated, capacities, min_vouches }.accepted(&vouches.live);
    let corrupt: BTreeSet<u32> = corrupt.iter().copied().collect();
    let part = |part: u32| {
        let honest = (0..settings.people).filter(|person| person % settings.parts == part && !corrupt.contains(person));
        let honest: Vec<u32> = honest.collect();
        Outcome {
            corrupt: corrupt.len(),
            fakes: accepted.range(settings.people..).count(),
            accepted: honest.iter().filter(|person| accepted.contains(person)).count(),
            honest: honest.len(),
        }
    };
    (0..settings.parts).map(part).reduce(Outcome::or_worse).expect("a town has parts")
}
