//! One seed, one result: whatever the network does with order and time, and however many follow.

use crate::faults::{FIVE, small};

fn result(change: impl FnOnce(&mut chorus_tests::scenario::Scenario)) -> Vec<u8> {
    let mut scenario = small(5);
    change(&mut scenario);
    let mut play = scenario.start();
    assert!(play.open());
    let result = play.vote_and_finish().expect("a result");
    play.body(&result.result)
}

#[test]
fn two_runs_with_one_seed_give_the_same_bytes() {
    assert!(result(|_| {}) == FIVE.bytes);
}

#[test]
fn the_order_of_delivery_does_not_reach_the_result() {
    for seed in 100..103 {
        let other = result(|scenario| {
            scenario.network_seed = Some(seed);
            scenario.links.jitter = 150;
        });

        assert!(other == FIVE.bytes, "{seed}");
    }
}

#[test]
fn the_number_of_followers_does_not_reach_the_result() {
    for followers in [1, 5] {
        assert!(result(|scenario| scenario.followers = followers) == FIVE.bytes, "{followers}");
    }
}
