//! Frames that no node of ours sends.

use std::time::Duration;

use chorus_tests::flood::{
    RawAttacker, RawFrame,
    target::{LIMITS, Target},
};

/// Bytes that come of a frame before it halts.
const BEGUN: usize = 128 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_and_malformed_frames_cut_their_sender_off() {
    let target = Target::start(2, LIMITS).await;
    let honest = target.meet(1).await;

    for (number, frame, most) in [(2, RawFrame::oversized(), 8), (3, RawFrame::malformed(), 16)] {
        let mut attacker = RawAttacker::connect(number, target.community(), &target.address).await;
        attacker.begin(&frame, 1);
        let (cut_off, outcome) = attacker.attack(Some(&frame), u64::MAX).await.expect("it ends");

        assert!(cut_off && outcome.sent <= most, "{outcome:?}");
        target.assert_answers(&honest).await;
    }
    target.stop(honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_which_a_byte_comes_every_second_cut_their_sender_off() {
    let target = Target::start(3, LIMITS).await;
    let honest = target.meet(1).await;

    let mut attacker = RawAttacker::connect(2, target.community(), &target.address).await;
    attacker.begin(&RawFrame::slow(0), 24);
    attacker.linger(Duration::from_secs(1)).await;
    target.assert_answers(&honest).await;
    let (cut_off, outcome) = attacker.attack(None, u64::MAX).await.expect("it ends");

    assert!(cut_off, "{outcome:?}");
    target.assert_answers(&honest).await;
    target.stop(honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_never_whole_hold_no_more_than_the_budget() {
    const FRAMES: usize = 32;
    let target = Target::start(4, LIMITS).await;
    let honest = target.meet(1).await;
    let mut attacker = RawAttacker::connect(2, target.community(), &target.address).await;

    // Four times the budget, so that three of four are refused: at once, or they would be cut off for halting.
    attacker.begin(&RawFrame::slow(BEGUN), FRAMES);
    let most_held = LIMITS.frame_bytes / BEGUN;
    let (cut_off, outcome) = attacker.attack(None, (FRAMES - most_held) as u64).await.expect("they are refused");

    assert!(!cut_off, "{outcome:?}");
    target.assert_answers(&honest).await;
    target.stop(honest).await;
}
