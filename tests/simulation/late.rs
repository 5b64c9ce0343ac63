//! Who comes late: everything is checked, and little is fetched.

use chorus_protocol::limits;
use chorus_tests::history::Past;

#[test]
fn a_newcomer_follows_every_round_and_peers_hold_only_the_newest_decisions() {
    let mut history = Past { rounds: 16, ..Past::default() }.play();

    let arrival = history.arrive();

    let network = &history.play.network;
    let (first, newcomer) = (network.peer(0), network.peer(history.newcomer));
    assert!(arrival.heights > limits::RECENT_DECISIONS as u64, "some of the log is on disks only");
    assert_eq!(format!("{:?}", first.ledger()), format!("{:?}", newcomer.ledger()));
    assert_eq!(newcomer.ledger().rounds().len(), 16);
    assert!(first.recent_decisions().len() <= limits::RECENT_DECISIONS);
    let bytes = arrival.message_bytes + arrival.body_bytes;
    assert!(bytes < 16 * 20_000, "{bytes} B: nothing is fetched twice");
}
