use proptest::prelude::*;

use super::*;

/// `count` points around `centre`, on a little spiral.
fn cloud(centre: [f64; 2], count: u32) -> Vec<Option<[f64; 2]>> {
    let offset = |i: u32| f64::from(i % 7) / 10.0 - 0.3;
    (0..count).map(|i| Some([centre[0] + offset(i), centre[1] + offset(i * 3 + 1)])).collect()
}

#[test]
fn clear_groups_are_found_largest_first() {
    let points = [cloud([5.0, 0.0], 20), cloud([0.0, 5.0], 40), cloud([-5.0, -5.0], 30)].concat();

    let partition = group(&points, 10, None);

    assert_eq!((partition.k, &partition.blocks), (3, &vec![40, 30, 20]));
    assert_eq!([partition.assignment[0], partition.assignment[20], partition.assignment[60]], [2, 0, 1]);
    assert!(partition.silhouette > 0.9);
}

#[test]
fn a_group_below_the_least_share_is_not_admitted() {
    let lone = [cloud([0.0, 0.0], 60), cloud([100.0, 0.0], 1)].concat();
    let twin = [cloud([0.0, 0.0], 40), cloud([9.0, 0.0], 9)].concat();

    let admitted = group(&lone, 10, None);

    assert!(admitted.blocks.iter().all(|&size| size >= 10), "{:?}", admitted.blocks);
    assert!(group(&twin, 10, None).blocks.iter().all(|&size| size >= 10));
    assert_eq!(group(&twin, 9, None).blocks, [40, 9]);
    // Five percent of 400 is 20: a floor of ten is not enough there.
    let many = [cloud([0.0, 0.0], 385), cloud([50.0, 0.0], 15)].concat();
    assert!(group(&many, 10, None).blocks.iter().all(|&size| size >= 20));
}

#[test]
fn without_a_floor_a_lone_ballot_is_a_group() {
    let lone = [cloud([0.0, 0.0], 60), cloud([100.0, 0.0], 1)].concat();

    assert_eq!(group(&lone, GroupFloor { ballots: 1, percent: 0 }, Some(2)).blocks, [60, 1]);
    assert!(group(&lone, GroupFloor { ballots: 1, percent: 5 }, Some(2)).blocks.iter().all(|&size| size >= 4));
}

#[test]
fn ballots_without_a_point_are_a_block_or_join_the_largest_group() {
    let points = [cloud([5.0, 0.0], 20), cloud([-5.0, 0.0], 30)].concat();
    let few = [points.clone(), vec![None; 9]].concat();
    let enough = [points, vec![None; 10]].concat();

    assert_eq!(group(&few, 10, None).blocks, [39, 20]);
    let partition = group(&enough, 10, None);
    assert_eq!((partition.k, partition.blocks.clone()), (2, vec![30, 20, 10]));
    assert_eq!(partition.groups().iter().filter(|group| group.is_none()).count(), 10);
}

#[test]
fn too_few_points_to_be_a_block_make_no_block() {
    let points = [cloud([0.0, 0.0], 9), vec![None; 50]].concat();

    assert_eq!(group(&points, 10, None), Partition::whole(59));
    assert_eq!(group(&[], 10, None), Partition::whole(0));
}

#[test]
fn equal_points_are_one_group() {
    let points = vec![Some([1.0, 1.0]); 50];

    assert_eq!((group(&points, 10, None).k, group(&points, 10, None).blocks), (1, vec![50]));
}

proptest! {
    #[test]
    fn the_order_of_the_input_does_not_matter(
        coordinates in proptest::collection::vec((0..40i32, 0..40i32, any::<bool>()), 30..60),
        seed: u64,
    ) {
        let point = |&(x, y, present): &(i32, i32, bool)| {
            present.then(|| [f64::from(x) / 7.0, f64::from(y) / 3.0])
        };
        let points: Vec<_> = coordinates.iter().map(point).collect();
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by_key(|&index| (index as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let shuffled: Vec<_> = order.iter().map(|&index| points[index]).collect();

        let (straight, mixed) = (group(&points, 5, None), group(&shuffled, 5, None));

        let expected: Vec<usize> = order.iter().map(|&index| straight.assignment[index]).collect();
        prop_assert_eq!(&mixed.assignment, &expected);
        prop_assert_eq!(mixed.centres, straight.centres);
        prop_assert_eq!(mixed.blocks.iter().sum::<usize>(), points.len());
        prop_assert!(mixed.k == 1 || mixed.blocks.iter().all(|&size| size >= 5));
    }
}
