//! Acceptance of people by vouches: integer max-flow from seeds, robust also against corrupt seeds.
//!
//! Vouches are edges from voucher to vouchee. Some members are *seeds*, named in the policy, and stand in groups that
//! each span the whole community. A flow starts at the seeds; a person is accepted if a unit of it ends with them, and
//! passes on what their capacity leaves. This is Advogato's trust metric (Levien and Aiken, *Attack-resistant trust
//! metrics for public key certification*, USENIX Security 1998), with two changes: it is computed once for each choice
//! of [`tolerated`](Vouching::tolerated) groups of seeds, without their source, and who is accepted must be accepted
//! each time; and a flow, which is seldom unique, is made so by an order (below).
//!
//! ```text
//!              capacity c(0)             ∞                       ∞
//!   source ──────────────▶ [seed] ─────────────▶ [distance 1] ─────────────▶ [distance 2] …
//!                            │ 1                   │ 1                         │ 1
//!                            ▼                     ▼                           ▼
//!                           sink                  sink                        sink
//!
//!   [person of capacity c] = in ── c − 1 ──▶ out; vouches leave from `out`, the edge to the sink from `in`
//! ```
//!
//! # The bound
//!
//! Let F be the fakes, X the real members with a vouch for a fake (corrupt or tricked), and let all seeds in X ∪ F
//! stand in at most t = `tolerated` groups. **Then at most Σ_{x ∈ X} (c(x) − 1) ≤ 3·|X| fakes are accepted**, c(x)
//! being the capacity of x in a flow that leaves those groups out.
//!
//! *Proof.* Whoever is accepted is accepted in every flow, so in that one. Split it into unit paths. A path that ends
//! at the sink edge of a fake starts at an active seed, who is neither in X nor in F; so it enters F for the first time
//! over an edge out(x) → in(y) with x ∈ X and y ∈ F. Before, it crossed in(x) → out(x), whose capacity is c(x) − 1. The
//! edges in(x) → out(x) of X thus cut the source from all sink edges of F, and no cut of capacity Σ (c(x) − 1) lets
//! more through. No x ∈ X is an active seed, so c(x) ≤ 4. Vouches *by* fakes, however many, add nothing: they can move
//! others nearer to the seeds, but no capacity of a person who is no active seed is above 4. ∎
//!
//! The rule of [`min_vouches`](Vouching::min_vouches) only takes people away after that. A seed is accepted by being
//! named in the policy: a fake *named as a seed* is one more, for everybody to see. If corrupt seeds stand in more than
//! t groups, the same cut holds with c(0) − 1 for each corrupt seed of the groups that are not left out.
//!
//! # The order
//!
//! Which sink edges a maximum flow can fill together is a matroid (a gammoid), so its largest sets can be built
//! greedily: people are taken by distance, then by key, and each is accepted iff that is possible together with all
//! accepted before. The outcome depends on the graph alone, not on how paths are searched, and where the flow is
//! scarce those nearer to the seeds come first.
//!
//! # Operating conditions
//!
//! All flow leaves the seeds by their vouches, and at most four units enter a person who is no seed: `n` people need
//! more than `n/4` of them vouched for by active seeds. Seeds of all groups together should be eight percent of the
//! community, in every part of it; members should seek eight vouches or more. Below that the bound on fakes still
//! holds, but honest people are refused, and soon all at once, since whoever is refused vouches for nobody (*Sybil
//! resistance, measured* in the README of this crate).

mod network;
mod seeds;

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{sign::PublicKey, wire_struct};

use crate::limits;
use network::{Graph, Network};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
pub use seeds::SeedGroup;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Why the rules of vouching are refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VouchingError {
    /// There is no group of seeds, or more than can be left out in turn.
    #[error("{0} groups of seeds: 1 to {max} are supported", max = limits::MAX_SEED_GROUPS)]
    Groups(usize),
    /// A group has no seed or too many.
    #[error("group {group} has {seeds} seeds: 1 to {max} are supported", max = limits::MAX_SEEDS_PER_GROUP)]
    Seeds {
        /// The index of the group.
        group: usize,
        /// Its number of seeds.
        seeds: usize,
    },
    /// The seeds of a group are not in ascending order, or one stands twice in it.
    #[error("seeds of group {0} must be distinct and ascending")]
    Order(usize),
    /// A seed stands in two groups: the corruption of one seed would touch both.
    #[error("seed {0:?} stands in two groups")]
    Repeated(PublicKey),
    /// No group is left when the tolerated ones are left out.
    #[error("{tolerated} of {groups} groups may be corrupt: at least one must not")]
    Tolerated {
        /// The groups that may be corrupt.
        tolerated: u8,
        /// The groups there are.
        groups: usize,
    },
    /// There are no capacities, or more than distances that matter.
    #[error("{0} capacities: 1 to {max} are supported", max = limits::MAX_CAPACITIES)]
    Capacities(usize),
    /// A capacity is 0, larger than the one before, or that of no seed and larger than four.
    #[error("capacity {found} at distance {distance}: at least 1, at most {most}")]
    Capacity {
        /// The distance from the seeds.
        distance: usize,
        /// The capacity found.
        found: u16,
        /// The largest that is allowed there.
        most: u16,
    },
    /// Nobody has to be vouched for.
    #[error("at least one vouch must be needed")]
    MinVouches,
    /// A member can vouch for nobody, or for too many.
    #[error("stock {0}: 1 to {max} are supported", max = limits::MAX_STOCK)]
    Stock(u16),
    /// Vouches expire at once, or before the next can be given.
    #[error("vouches expire after {expiry} ms and are given every {interval} ms: they must outlast the interval")]
    Expiry {
        /// The life of a vouch.
        expiry: u64,
        /// The time between two vouches of one member.
        interval: u64,
    },
}

/// The rules of vouching.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vouching {
    /// The groups of seeds. Each group should hold seeds from every part of the community, so that any of them can be
    /// left out; and seeds who are likely to be corrupted together should stand in one group.
    pub seeds: Vec<SeedGroup>,
    /// t: that many whole groups may be corrupt.
    pub tolerated: u8,
    /// How much flow a person takes in and passes on, their own unit included, by the distance from the nearest active
    /// seed: `[seed, 1, 2, …]`. Beyond the end it is 1.
    pub capacities: Vec<u16>,
    /// q: vouches by accepted people that a person needs.
    pub min_vouches: u8,
    /// How many live vouches a member can have given.
    pub stock: u16,
    /// The least time between two vouches of one member.
    pub interval_millis: u64,
    /// How long a vouch lives.
    pub expiry_millis: u64,
    /// For how long whoever vouched for a proven fake cannot vouch.
    pub penalty_millis: u64,
}
wire_struct!(Vouching {
    seeds[limits::MAX_SEED_GROUPS],
    tolerated,
    capacities[limits::MAX_CAPACITIES],
    min_vouches,
    stock,
    interval_millis,
    expiry_millis,
    penalty_millis,
});

impl Vouching {
    /// Returns the rules that the measurements in the README of this crate are about, for the seeds given.
    ///
    /// One group may be corrupt; twelve live vouches each, one in five days, that live a year; five needed; no vouches
    /// for a year after one for a fake.
    pub fn recommended(seeds: Vec<SeedGroup>) -> Self {
        Self {
            seeds,
            tolerated: 1,
            capacities: RECOMMENDED_CAPACITIES.to_vec(),
            min_vouches: 5,
            stock: 12,
            interval_millis: 5 * DAY_MILLIS,
            expiry_millis: 365 * DAY_MILLIS,
            penalty_millis: 365 * DAY_MILLIS,
        }
    }

    /// Returns whether somebody is a seed.
    pub fn is_seed(&self, key: &PublicKey) -> bool {
        self.seeds.iter().any(|group| group.keys.binary_search(key).is_ok())
    }

    /// Checks the rules.
    ///
    /// # Errors
    ///
    /// Returns the first [`VouchingError`] found.
    pub fn validate(&self) -> Result<(), VouchingError> {
        self.validate_seeds()?;
        self.validate_capacities()?;
        if self.min_vouches == 0 {
            return Err(VouchingError::MinVouches);
        }
        if !(1..=limits::MAX_STOCK).contains(&self.stock) {
            return Err(VouchingError::Stock(self.stock));
        }
        if self.expiry_millis == 0 || self.expiry_millis < self.interval_millis {
            return Err(VouchingError::Expiry { expiry: self.expiry_millis, interval: self.interval_millis });
        }
        Ok(())
    }

    fn validate_seeds(&self) -> Result<(), VouchingError> {
        let groups = self.seeds.len();
        if !(1..=limits::MAX_SEED_GROUPS).contains(&groups) {
            return Err(VouchingError::Groups(groups));
        }
        if usize::from(self.tolerated) >= groups {
            return Err(VouchingError::Tolerated { tolerated: self.tolerated, groups });
        }
        let mut known = BTreeSet::new();
        for (group, SeedGroup { keys }) in self.seeds.iter().enumerate() {
            if !(1..=limits::MAX_SEEDS_PER_GROUP).contains(&keys.len()) {
                return Err(VouchingError::Seeds { group, seeds: keys.len() });
            }
            if !keys.is_sorted_by(|a, b| a < b) {
                return Err(VouchingError::Order(group));
            }
            if let Some(repeated) = keys.iter().find(|key| !known.insert(**key)) {
                return Err(VouchingError::Repeated(*repeated));
            }
        }
        Ok(())
    }

    fn validate_capacities(&self) -> Result<(), VouchingError> {
        if !(1..=limits::MAX_CAPACITIES).contains(&self.capacities.len()) {
            return Err(VouchingError::Capacities(self.capacities.len()));
        }
        let mut most = u16::MAX;
        for (distance, &found) in self.capacities.iter().enumerate() {
            if !(1..=most).contains(&found) {
                return Err(VouchingError::Capacity { distance, found, most });
            }
            most = found.min(limits::MAX_MEMBER_CAPACITY);
        }
        Ok(())
    }
}

/// See [`Vouching::recommended`]. A seed's capacity is what twelve vouchees can take, and itself; those next to a seed
/// bring three at most, those two steps away one, and nobody farther brings anybody.
pub const RECOMMENDED_CAPACITIES: [u16; 4] = [49, 4, 2, 1];

/// What decides about acceptance, over any kind of key: the part of [`Vouching`] that is no rule of time.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance<'a, K> {
    /// See [`Vouching::seeds`].
    pub seeds: &'a [Vec<K>],
    /// See [`Vouching::tolerated`].
    pub tolerated: u8,
    /// See [`Vouching::capacities`].
    pub capacities: &'a [u16],
    /// See [`Vouching::min_vouches`].
    pub min_vouches: u8,
}

/// Returns who is accepted, given the live vouches `(voucher, vouchee)`: seeds included, without regard to what else a
/// policy asks of them.
///
/// The rules are taken to be [valid](Vouching::validate); others give an answer, but one without the bound.
pub fn accepted(vouching: &Vouching, vouches: &BTreeSet<(PublicKey, PublicKey)>) -> BTreeSet<PublicKey> {
    let seeds: Vec<Vec<PublicKey>> = vouching.seeds.iter().map(|group| group.keys.clone()).collect();
    let Vouching { tolerated, ref capacities, min_vouches, .. } = *vouching;
    Acceptance { seeds: &seeds, tolerated, capacities, min_vouches }.accepted(vouches)
}

impl<K: Ord + Copy + Sync> Acceptance<'_, K> {
    /// Returns who is accepted, given the live vouches `(voucher, vouchee)`.
    ///
    /// A person is accepted who is a seed, or for whom there is room in the flow whichever `tolerated` groups of seeds
    /// are left out, and who has `min_vouches` vouches from people accepted in the end.
    pub fn accepted(&self, vouches: &BTreeSet<(K, K)>) -> BTreeSet<K> {
        let keys: Vec<K> = self.keys(vouches);
        let index: BTreeMap<K, usize> = keys.iter().enumerate().map(|(index, key)| (*key, index)).collect();
        let graph = Graph::new(keys.len(), vouches.iter().map(|(from, to)| (index[from], index[to])));
        let groups: Vec<Vec<usize>> = self.groups().map(|group| group.iter().map(|key| index[key]).collect()).collect();
        let run = |active: Vec<usize>| {
            let seeds = active.into_iter().flat_map(|group| groups[group].iter().copied());
            Network::new(&graph, self.capacities, seeds).fill()
        };
        let both = |one: Vec<bool>, other: Vec<bool>| one.into_iter().zip(other).map(|(a, b)| a && b).collect();
        let flows = active_groups(groups.len(), self.tolerated).into_par_iter().map(run);
        let mut is_accepted: Vec<bool> = flows.reduce(|| vec![true; keys.len()], both);
        let mut is_seed = vec![false; keys.len()];
        groups.iter().flatten().for_each(|&seed| is_seed[seed] = true);
        is_accepted.iter_mut().zip(&is_seed).for_each(|(accepted, seed)| *accepted |= seed);
        drop_unsupported(&graph, &mut is_accepted, &is_seed, self.min_vouches.into());
        keys.into_iter().zip(is_accepted).filter_map(|(key, accepted)| accepted.then_some(key)).collect()
    }

    /// Returns everybody who is a seed or has a vouch to do with them, ascending.
    fn keys(&self, vouches: &BTreeSet<(K, K)>) -> Vec<K> {
        let ends = vouches.iter().flat_map(|&(from, to)| [from, to]);
        let mut keys: Vec<K> = self.groups().flatten().copied().chain(ends).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Returns the groups of seeds, of which valid rules have no more than this.
    fn groups(&self) -> impl Iterator<Item = &Vec<K>> {
        self.seeds.iter().take(limits::MAX_SEED_GROUPS)
    }
}

/// Returns the groups that stay, for each way to leave `left_out` of `groups` groups out; none if that is too many.
fn active_groups(groups: usize, left_out: u8) -> Vec<Vec<usize>> {
    let left_out = usize::from(left_out).min(groups);
    let stays = |choice: u32, group: usize| choice >> group & 1 == 0;
    (0..1_u32 << groups)
        .filter(|choice| choice.count_ones() as usize == left_out)
        .map(|choice| (0..groups).filter(|&group| stays(choice, group)).collect())
        .collect()
}

/// Drops whoever has fewer than `least` vouches from those accepted, until nobody has; seeds stay.
fn drop_unsupported(graph: &Graph, accepted: &mut [bool], is_seed: &[bool], least: usize) {
    let mut support: Vec<usize> =
        (0..accepted.len()).map(|person| graph.vouchers(person).filter(|&from| accepted[from]).count()).collect();
    let falls = |person: usize, accepted: &[bool], support: &[usize]| {
        accepted[person] && !is_seed[person] && support[person] < least
    };
    let mut falling: Vec<usize> = (0..accepted.len()).filter(|&person| falls(person, accepted, &support)).collect();
    while let Some(person) = falling.pop() {
        if !falls(person, accepted, &support) {
            continue;
        }
        accepted[person] = false;
        for vouchee in graph.vouchees(person) {
            support[vouchee] -= 1;
            if falls(vouchee, accepted, &support) {
                falling.push(vouchee);
            }
        }
    }
}

#[cfg(test)]
mod tests;
