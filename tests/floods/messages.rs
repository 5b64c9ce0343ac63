//! Messages that are well formed on the wire and bad for what they say, or for how often.

use chorus_protocol::{message::Message, peer::Peer};
use chorus_tests::flood::target::{LIMITS, PEOPLE, Target, with_a_bad_proof};

/// How long votes are taken.
const VOTING_MILLIS: u64 = 3_000;

/// Messages that are said again: more than anybody is forgiven.
const REPLAYED: u64 = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_is_no_message_cuts_its_sender_off() {
    let target = Target::start(5, LIMITS).await;
    let honest = target.meet(1).await;

    let mut attacker = target.meet(2).await;
    let cut_off = attacker.publish_until_cut_off(target.id, |number| number.to_be_bytes().repeat(8)).await;

    assert!(cut_off.is_some());
    target.assert_answers(&honest).await;
    attacker.handle.shutdown().await;
    target.stop(honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_that_do_not_hold_and_a_finished_rounds_messages_cut_their_senders_off_and_change_nothing() {
    let mut target = Target::start(6, LIMITS).await;
    let honest = target.meet(1).await;
    let poll = target.open(VOTING_MILLIS).await;
    let submissions = target.contributions(&poll).await;
    let community = target.community();

    let mut attacker = target.meet(2).await;
    let bad = |number| Message::Submission(with_a_bad_proof(&submissions[0], number)).seal(community);
    let cut_off = attacker.send_until_cut_off(target.id, |number| (number < 100).then(|| bad(number))).await;
    assert!(cut_off.is_some());
    target.assert_answers(&honest).await;

    // Honest contributions still count; those of the person whose was tampered with, too.
    target.finish(&poll, &submissions, &honest).await;
    let round = poll.round;
    let seen = |peer: &Peer| {
        let record = &peer.ledger().rounds()[&round];
        (record.contributions.len(), record.agreed_result().cloned())
    };
    let before = target.node.view(seen).await.expect("runs");
    assert_eq!(before.0, PEOPLE);

    let mut replayer = target.meet(3).await;
    let again = |number| {
        let submission = submissions[number as usize % PEOPLE].clone();
        Message::Submission(submission).seal(community)
    };
    let cut_off = replayer.send_until_cut_off(target.id, |number| (number < REPLAYED).then(|| again(number))).await;
    assert!(cut_off.is_some());

    target.assert_answers(&honest).await;
    assert_eq!(target.node.view(seen).await.expect("runs"), before);
    attacker.handle.shutdown().await;
    replayer.handle.shutdown().await;
    target.stop(honest).await;
}
