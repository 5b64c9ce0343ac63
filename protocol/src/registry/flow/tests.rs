use chorus_crypto::codec::{Decode as _, DecodeError, Encode as _};
use proptest::prelude::*;

use super::*;

const CAPACITIES: [u16; 4] = RECOMMENDED_CAPACITIES;

fn accept(seeds: &[Vec<u32>], tolerated: u8, min_vouches: u8, vouches: &BTreeSet<(u32, u32)>) -> BTreeSet<u32> {
    Acceptance { seeds, tolerated, capacities: &CAPACITIES, min_vouches }.accepted(vouches)
}

/// Everybody of `from` vouches for everybody of `to`.
fn all(from: impl IntoIterator<Item = u32>, to: impl Iterator<Item = u32> + Clone) -> BTreeSet<(u32, u32)> {
    from.into_iter().flat_map(|from| to.clone().map(move |to| (from, to))).collect()
}

fn key(number: u8) -> PublicKey {
    PublicKey::from([number; 32])
}

fn vouching() -> Vouching {
    let group = |first: u8| (first..first + 3).map(key).collect();
    Vouching::recommended(vec![group(10), group(20), group(30)])
}

// --- rules ----------------------------------------------------------------------------------------------------------

#[test]
fn recommended_rules_are_valid_and_read_back() {
    let rules = vouching();

    assert_eq!(rules.validate(), Ok(()));
    assert_eq!(Vouching::from_bytes(&rules.to_bytes()), Ok(rules.clone()));
    let text = serde_json::to_string(&rules).expect("rules have no keys that are not text");
    assert_eq!(serde_json::from_str::<Vouching>(&text).expect("what was written"), rules);
}

#[test]
fn rules_without_the_bound_are_refused() {
    let refused = |change: fn(&mut Vouching)| {
        let mut rules = vouching();
        change(&mut rules);
        rules.validate().expect_err("the change breaks a rule")
    };

    assert_eq!(refused(|rules| rules.seeds.clear()), VouchingError::Groups(0));
    assert_eq!(refused(|rules| rules.tolerated = 3), VouchingError::Tolerated { tolerated: 3, groups: 3 });
    assert_eq!(refused(|rules| rules.seeds[1].keys.clear()), VouchingError::Seeds { group: 1, seeds: 0 });
    assert_eq!(refused(|rules| rules.seeds[2].keys.reverse()), VouchingError::Order(2));
    assert_eq!(refused(|rules| rules.seeds[0].keys[1] = key(10)), VouchingError::Order(0));
    assert_eq!(refused(|rules| rules.seeds[0].keys[2] = key(20)), VouchingError::Repeated(key(20)));
    assert_eq!(refused(|rules| rules.capacities.clear()), VouchingError::Capacities(0));
    let capacity = |distance, found, most| VouchingError::Capacity { distance, found, most };
    assert_eq!(refused(|rules| rules.capacities = vec![9, 5]), capacity(1, 5, 4));
    assert_eq!(refused(|rules| rules.capacities = vec![9, 2, 3]), capacity(2, 3, 2));
    assert_eq!(refused(|rules| rules.capacities = vec![3, 4]), capacity(1, 4, 3));
    assert_eq!(refused(|rules| rules.capacities = vec![9, 0]), capacity(1, 0, 4));
    assert_eq!(refused(|rules| rules.min_vouches = 0), VouchingError::MinVouches);
    assert_eq!(refused(|rules| rules.stock = 0), VouchingError::Stock(0));
    assert_eq!(refused(|rules| rules.stock = 65), VouchingError::Stock(65));
    assert_eq!(refused(|rules| rules.expiry_millis = 1), VouchingError::Expiry { expiry: 1, interval: 5 * DAY_MILLIS });
}

#[test]
fn long_lists_are_refused_before_they_are_read() {
    let too_many = |change: fn(&mut Vouching)| {
        let mut rules = vouching();
        change(&mut rules);
        Vouching::from_bytes(&rules.to_bytes())
    };

    let refused = too_many(|rules| rules.seeds = vec![SeedGroup::default(); 8]);
    assert_eq!(refused, Err(DecodeError::TooLong { bound: 7, found: 8 }));
    let refused = too_many(|rules| rules.seeds[0].keys = vec![key(1); 257]);
    assert_eq!(refused, Err(DecodeError::TooLong { bound: 256, found: 257 }));
    let text = serde_json::to_string(&vec![key(1).to_string(); 257]).expect("texts");
    assert!(serde_json::from_str::<SeedGroup>(&text).is_err());
    assert!(serde_json::from_str::<SeedGroup>(r#"["AB"]"#).is_err());
}

// --- people ---------------------------------------------------------------------------------------------------------

#[test]
fn seeds_alone_are_a_community() {
    let rules = vouching();

    assert_eq!(accepted(&rules, &BTreeSet::new()).len(), 9);
}

#[test]
fn a_person_needs_vouches_that_reach_them_without_any_one_group() {
    // Three seeds in each of three groups; 100 has five vouches from two groups, 101 five of which three are from one,
    // 102 has vouches of one group and of people accepted.
    let seeds = [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]];
    let mut vouches = all([0, 1, 2, 3, 4], 100..101);
    vouches.extend(all([0, 1, 2], 101..102));
    vouches.extend(all([0, 1, 2, 100], 102..103));

    assert_eq!(accept(&seeds, 1, 4, &vouches).range(9..).copied().collect::<Vec<_>>(), [100, 102]);
    // 101 is reached by one group only: without that group there is no flow.
    assert_eq!(accept(&seeds, 1, 3, &vouches).range(9..).copied().collect::<Vec<_>>(), [100, 102]);
    assert_eq!(accept(&seeds, 0, 3, &vouches).range(9..).copied().collect::<Vec<_>>(), [100, 101, 102]);
}

#[test]
fn vouches_of_the_refused_do_not_count() {
    // 10, 11 and 12 vouch for each other and for 13; with one vouch from a seed each they have three, 13 has three.
    let seeds = [vec![0, 1], vec![2, 3]];
    let mut vouches = all(10..13, 10..14);
    vouches.extend(all([0, 2], 10..13));

    assert_eq!(accept(&seeds, 1, 3, &vouches).len(), 4 + 4);
    assert_eq!(accept(&seeds, 1, 4, &vouches).len(), 4 + 3);
    assert_eq!(accept(&seeds, 1, 5, &vouches).len(), 4);
}

#[test]
fn whoever_is_nearer_to_the_seeds_comes_first_where_the_flow_is_scarce() {
    // 10 takes four units: itself and three of the six that it alone vouches for; the lowest keys.
    let seeds = [vec![0]];
    let mut vouches = all([0], 10..11);
    vouches.extend(all([10], 20..26));
    // 19 is one step farther and would be before 20 by its key.
    vouches.extend(all([20, 21, 22], 19..20));

    assert_eq!(accept(&seeds, 0, 1, &vouches), BTreeSet::from([0, 10, 20, 21, 22]));
}

#[test]
fn a_path_is_rerouted_so_that_as_many_as_possible_are_accepted() {
    // 10 can pass three on, 11 as well. 20, 21, 22 come first and could all be served by 10; then 23 to 25, for whom
    // only 10 vouches, need them to be served by 11.
    let seeds = [vec![0]];
    let mut vouches = all([0], 10..12);
    vouches.extend(all([10], 20..26));
    vouches.extend(all([11], 20..23));

    assert_eq!(accept(&seeds, 0, 1, &vouches).len(), 9);
}

#[test]
fn rules_that_trust_no_group_admit_nobody() {
    let vouches = all([0, 1], 10..11);

    assert_eq!(accept(&[vec![0], vec![1]], 1, 1, &vouches).len(), 3);
    assert_eq!(accept(&[vec![0], vec![1]], 2, 1, &vouches).len(), 2);
    assert_eq!(accept(&[vec![0], vec![1]], 9, 1, &vouches).len(), 2);
    assert_eq!(accept(&[], 0, 1, &vouches).len(), 0);
}

#[test]
fn vouches_for_oneself_are_nothing() {
    assert_eq!(accept(&[vec![0]], 0, 1, &BTreeSet::from([(5, 5), (0, 0)])), BTreeSet::from([0]));
}

// --- attacks, as small as they can be -------------------------------------------------------------------------------

/// Six seeds in three groups, ten members vouched for by all of them; fakes are 100 and above.
fn village() -> ([Vec<u32>; 3], BTreeSet<(u32, u32)>) {
    ([vec![0, 1], vec![2, 3], vec![4, 5]], all(0..6, 10..20))
}

fn fakes(corrupt: impl IntoIterator<Item = u32>, among: BTreeSet<(u32, u32)>, entered: core::ops::Range<u32>) -> usize {
    let (seeds, mut vouches) = village();
    vouches.extend(all(corrupt, entered));
    vouches.extend(among);
    let accepted = accept(&seeds, 1, 5, &vouches);
    assert!((10..20).all(|person| accepted.contains(&person)), "honest people stay: {accepted:?}");
    accepted.range(100..).count()
}

#[test]
fn one_corrupt_member_brings_nobody_and_four_bring_three_each() {
    let clique = |size: u32| all(100..100 + size, 100..100 + size);

    assert_eq!(fakes([10], clique(3), 100..103), 0);
    assert_eq!(fakes([10, 11, 12, 13], clique(12), 100..112), 12);
    assert_eq!(fakes([10, 11, 12, 13], clique(30), 100..130), 12);
}

#[test]
fn a_star_a_ring_a_chain_and_layers_bring_no_more() {
    let five = [10, 11, 12, 13, 14];
    let hub = all(100..105, 105..140).into_iter().chain(all(105..140, 100..105)).collect();
    let ring = (100..140).flat_map(|fake| (1..6).map(move |by| (fake, 100 + (fake - 100 + by) % 40))).collect();
    let chain = (100..140).flat_map(|fake| (1..6).map(move |by| (fake, fake + by))).collect();
    let layers = (0..3).flat_map(|layer| all(100 + 10 * layer..110 + 10 * layer, 110 + 10 * layer..120 + 10 * layer));

    assert!(fakes(five, hub, 100..105) <= 15);
    assert!(fakes(five, ring, 100..140) <= 15);
    assert!(fakes(five, chain, 100..105) <= 15);
    assert!(fakes(five, layers.collect(), 100..110) <= 15);
    assert_eq!(fakes(five, BTreeSet::new(), 100..160), 15);
    assert_eq!(fakes([10], all(100..140, 100..140), 100..101), 0);
}

#[test]
fn a_whole_group_of_corrupt_seeds_brings_three_each_and_two_groups_break_the_bound() {
    let clique = || all(100..160, 100..160);

    assert_eq!(fakes([0, 1], clique(), 100..160), 0);
    let (seeds, mut vouches) = village();
    // The seeds of the other groups vouch for the corrupt group, so that these are people without their own group too.
    vouches.extend(all(2..6, 0..2));
    vouches.extend(clique());
    vouches.extend(all(0..2, 100..160));
    let one_group = accept(&seeds, 1, 5, &vouches).range(100..).count();
    vouches.extend(all(2..4, 100..160));
    let two_groups = accept(&seeds, 1, 5, &vouches).range(100..).count();

    assert_eq!((one_group, two_groups), (6, 60));
}

// --- properties -----------------------------------------------------------------------------------------------------

/// A graph of honest people, corrupt ones and fakes: nobody but the corrupt vouches for a fake.
#[derive(Clone, Debug)]
struct World {
    groups: Vec<Vec<u32>>,
    corrupt: BTreeSet<u32>,
    vouches: BTreeSet<(u32, u32)>,
}

const FIRST_FAKE: u32 = 40;

fn worlds() -> impl Strategy<Value = World> {
    let real = prop::collection::btree_set((0..FIRST_FAKE, 0..FIRST_FAKE), 0..300);
    let inside = prop::collection::btree_set((FIRST_FAKE..70, 0_u32..70), 0..300);
    let corrupt = prop::collection::btree_set(0..FIRST_FAKE, 0..6);
    let entries = prop::collection::btree_set((0..FIRST_FAKE, FIRST_FAKE..70), 0..400);
    (real, inside, corrupt, entries, 3..12_u32).prop_map(|(real, inside, corrupt, entries, seeds)| World {
        groups: (0..3).map(|group| (0..seeds).filter(|seed| seed % 3 == group).collect()).collect(),
        vouches: real.into_iter().chain(inside).chain(entries.into_iter().filter(|e| corrupt.contains(&e.0))).collect(),
        corrupt,
    })
}

impl World {
    fn accepted(&self, tolerated: u8, min_vouches: u8) -> BTreeSet<u32> {
        accept(&self.groups, tolerated, min_vouches, &self.vouches)
    }

    /// The distance of each person from the seeds of some groups, found the slow way.
    fn distances(&self, groups: &[usize]) -> BTreeMap<u32, usize> {
        let mut found: BTreeMap<u32, usize> = groups.iter().flat_map(|&g| &self.groups[g]).map(|&s| (s, 0)).collect();
        for distance in 1..=70 {
            let at = |person: &u32| found.get(person).copied();
            let next = self.vouches.iter().filter(|(from, to)| at(from) == Some(distance - 1) && at(to).is_none());
            let next: Vec<u32> = next.map(|edge| edge.1).collect();
            found.extend(next.into_iter().map(|person| (person, distance)));
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// In every flow, the corrupt bring what passes through them and no more: also when they are seeds.
    #[test]
    fn fakes_are_at_most_the_sum_of_what_the_corrupt_pass_on(world in worlds(), tolerated in 0..3_u8) {
        let fakes = world.accepted(tolerated, 1).range(FIRST_FAKE..).count();

        for groups in active_groups(3, tolerated) {
            let distances = world.distances(&groups);
            let capacity = |person| distances.get(person).map_or(1, |&d| CAPACITIES.get(d).copied().unwrap_or(1));
            let bound: u16 = world.corrupt.iter().map(|person| capacity(person) - 1).sum();
            prop_assert!(fakes <= usize::from(bound), "{fakes} > {bound} without all but {groups:?}");
        }
    }

    /// Whoever is accepted is a seed, or can be reached from the seeds however the tolerated groups are left out.
    #[test]
    fn nobody_is_accepted_without_a_path_from_every_choice_of_seeds(world in worlds(), tolerated in 0..3_u8) {
        let accepted = world.accepted(tolerated, 1);

        for groups in active_groups(3, tolerated) {
            let distances = world.distances(&groups);
            let is_seed = |person: &u32| world.groups.iter().flatten().any(|seed| seed == person);
            prop_assert!(accepted.iter().all(|person| is_seed(person) || distances.contains_key(person)));
        }
    }

    /// More vouches needed, or more groups distrusted: fewer people, and nobody new.
    #[test]
    fn stricter_rules_accept_nobody_new(world in worlds(), min_vouches in 1..5_u8) {
        prop_assert!(world.accepted(1, min_vouches + 1).is_subset(&world.accepted(1, min_vouches)));
    }

    /// Everybody accepted has enough vouches from accepted people.
    #[test]
    fn whoever_is_accepted_has_enough_vouches_from_the_accepted(world in worlds(), least in 1..5_u8) {
        let accepted = world.accepted(1, least);

        for person in accepted.iter().filter(|person| !world.groups.iter().flatten().any(|seed| seed == *person)) {
            let vouchers = world.vouches.iter().filter(|(from, to)| to == person && from != to && accepted.contains(from));
            prop_assert!(vouchers.count() >= usize::from(least));
        }
    }

    /// The order of groups, of seeds in a group, and of vouches does not matter.
    #[test]
    fn the_order_of_the_input_does_not_matter(mut world in worlds(), turn in 0..3_usize) {
        let before = world.accepted(1, 2);

        world.groups.rotate_left(turn);
        world.groups.iter_mut().for_each(|group| group.reverse());
        world.vouches = world.vouches.iter().rev().copied().collect();

        prop_assert_eq!(world.accepted(1, 2), before);
    }

    /// The flow is a largest one: as much as the smallest cut lets through, found by trying every cut of a small graph.
    #[test]
    fn as_many_are_accepted_as_the_smallest_cut_lets_through(
        edges in prop::collection::btree_set((0..7_usize, 0..7_usize), 0..24),
        capacities in prop::sample::select(vec![vec![2_u16], vec![2, 1], vec![3, 2, 1], vec![3, 3], vec![4, 2, 2]]),
    ) {
        let graph = Graph::new(7, edges.iter().copied());
        let accepted = Network::new(&graph, &capacities, [0].into_iter()).fill();
        let world = World { groups: vec![vec![0]], corrupt: BTreeSet::new(),
            vouches: edges.iter().map(|&(from, to)| (from as u32, to as u32)).collect() };
        let distances = world.distances(&[0]);
        let capacity = |p: usize| distances.get(&(p as u32)).map_or(1, |&d| capacities.get(d).copied().unwrap_or(1));

        // A cut is a set of places on the side of the source: bit 2p is `in` of p, bit 2p + 1 its `out`.
        let cut = |places: u32| -> Option<u16> {
            let has = |place: usize| places >> place & 1 == 1;
            let crossed = edges.iter().filter(|(from, to)| from != to).any(|(from, to)| has(2 * from + 1) && !has(2 * to));
            let inner = (0..7).filter(|&p| has(2 * p)).map(|p| 1 + if has(2 * p + 1) { 0 } else { capacity(p) - 1 });
            (!crossed).then(|| inner.sum::<u16>() + if has(0) { 0 } else { capacity(0) })
        };
        let smallest = (0..1_u32 << 14).filter_map(cut).min().expect("all places are a cut");
        prop_assert_eq!(accepted.into_iter().filter(|&accepted| accepted).count(), usize::from(smallest));
    }
}
