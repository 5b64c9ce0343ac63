//! Attacks on admission: at most three fakes for each corrupt member, and honest people stay.

use chorus_tests::sybil::{Attack, Placement, Settings, Shape, attack};

/// Attacks a town of 1,000 with few and with many corrupt members, wherever they are, one group of seeds included.
fn holds(shape: Shape) {
    for corrupt in [1, 5, 50] {
        for placement in [Placement::Random, Placement::Nearest, Placement::SeedGroup] {
            let outcome = attack(&Settings::default(), Attack { shape, placement, corrupt }, 7);

            assert!(outcome.fakes <= 3 * corrupt, "{shape:?} {placement:?} {outcome:?}");
            assert!(100 * outcome.accepted >= 99 * outcome.honest, "{shape:?} {placement:?} {outcome:?}");
        }
    }
}

macro_rules! shapes {
    ($($name:ident: $shape:ident,)*) => {
        $(#[test]
        fn $name() {
            holds(Shape::$shape);
        })*

        #[test]
        fn every_shape_is_tested() {
            assert_eq!([$(Shape::$shape),*], Shape::ALL);
        }
    };
}

shapes! {
    a_free_form_region_brings_three_fakes_each_at_most: FreeForm,
    a_ring_of_fakes_brings_three_each_at_most: Ring,
    a_star_of_fakes_brings_three_each_at_most: Star,
    a_chain_of_fakes_brings_three_each_at_most: Chain,
    cliques_of_fakes_bring_three_each_at_most: Clique,
    layers_of_fakes_bring_three_each_at_most: Layered,
    fakes_as_many_as_the_flow_carries_are_three_each_at_most: Concentrated,
    many_entry_points_bring_three_fakes_each_at_most: ManyEntries,
    one_entry_point_brings_three_fakes_each_at_most: OneEntry,
    fakes_like_honest_people_are_three_each_at_most: Mimicry,
    a_stock_sold_to_strangers_admits_three_each_at_most: Strangers,
    tricked_people_admit_three_fakes_each_at_most: Tricked,
    whom_exposed_fakes_vouched_for_stays: Hostile,
    a_slow_drip_of_fakes_is_three_each_at_most_at_any_time: SlowDrip,
    fakes_that_rotate_are_three_each_at_most_at_any_time: Rotation,
}

#[test]
fn the_bound_is_reached() {
    let concentrated = Attack { shape: Shape::Concentrated, placement: Placement::Nearest, corrupt: 10 };

    let outcome = attack(&Settings::default(), concentrated, 1);

    assert!(outcome.fakes >= 27, "the attack is weaker than it should be: {outcome:?}");
}

#[test]
fn corrupt_seeds_of_more_groups_than_tolerated_break_the_bound() {
    let apart = Attack { shape: Shape::FreeForm, placement: Placement::SeedsApart, corrupt: 10 };

    let outcome = attack(&Settings::default(), apart, 1);

    assert!(outcome.fakes > 3 * 10, "nothing is claimed for this attack, so it should show: {outcome:?}");
}

#[test]
fn an_attack_is_replayed_from_its_seed() {
    let run = |seed| {
        let attacks = [Shape::Ring, Shape::Mimicry, Shape::SlowDrip];
        attacks.map(|shape| {
            attack(&Settings::default(), Attack { shape, placement: Placement::Random, corrupt: 20 }, seed)
        })
    };

    assert_eq!(run(1), run(1));
}
