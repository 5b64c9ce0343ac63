//! The state as bytes: who goes on from it comes to the same end as who followed everything.

use chorus_crypto::codec::{Decode as _, DecodeError, Encode as _};
use chorus_protocol::ledger::Ledger;
use chorus_tests::{
    restored::{assert_restores, restored},
    scenario::Scenario,
};

#[test]
fn a_log_with_a_map_is_taken_up_at_every_height() {
    let mut play = Scenario { people: 16, items: 8, ..Scenario::default() }.start();
    assert!(play.open());
    play.vote_and_finish().expect("a result");
    play.network.run_until(5_000, |_| false);

    let (ledger, bytes) = play.assert_restores();

    let log: usize = play.network.decisions(0).iter().map(|decision| decision.size()).sum();
    println!("a round of 16: {bytes} B of state, {log} B of log");
    assert_eq!(ledger.to_bytes(), play.network.peer(0).ledger().to_bytes(), "the peer's own is the same");
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let mut play = Scenario { operators: 4, people: 8, items: 4, ..Scenario::default() }.start();
    assert!(play.open());
    let bytes = play.network.peer(0).ledger().to_bytes();
    let _ = assert_restores(&play.community.genesis, play.network.decisions(0));
    let _ = restored(play.network.peer(0).ledger());

    for cut in (0..bytes.len()).step_by(97) {
        assert!(Ledger::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(Ledger::from_bytes(&[bytes.as_slice(), &[0]].concat()).err(), Some(DecodeError::Trailing(1)));
    // A changed byte is refused, or is another state with its own bytes: never the same state.
    for index in (0..bytes.len()).step_by(13) {
        let mut changed = bytes.clone();
        changed[index] ^= 1 << (index % 8);
        if let Ok(other) = Ledger::from_bytes(&changed) {
            assert_eq!(other.to_bytes(), changed);
        }
    }
}
