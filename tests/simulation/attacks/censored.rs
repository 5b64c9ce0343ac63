//! Operators that do not want somebody's vote to count.

use chorus_crypto::credential::Tag;
use chorus_protocol::{audit, ledger::RoundState};
use chorus_tests::malice::censor::censor;

use super::*;
use crate::faults::{FIVE, assert_same_result, assert_sound, small};

/// The tags of some people in the round that is open.
fn tags(play: &Play, people: impl IntoIterator<Item = usize>) -> Vec<Tag> {
    let scope = play.round().and_then(|round| round.manifest.as_ref()).expect("the round is open").scope;
    people.into_iter().map(|person| play.community.people[person].leaf.tag(&scope)).collect()
}

#[test]
fn an_operator_that_censors_keeps_nobody_out() {
    for censors in [[0], [3]] {
        let mut play = small(5).start();
        assert!(play.open());
        let victims = tags(&play, 0..6);
        censor(&mut play, &censors, &victims);

        let result = play.vote_and_finish();

        assert_same_result(&play, result, &FIVE, &censors);
        assert_sound(&play, &censors, &censors);
    }
}

#[test]
fn more_censors_than_tolerated_keep_votes_out_and_can_neither_change_nor_add_any() {
    let mut play = small(5).start();
    assert!(play.open());
    let victims = tags(&play, 0..2);
    censor(&mut play, &[0, 3], &victims);
    play.vote_all();
    assert!(play.wait(RoundState::Finished, 300_000), "the others' round ends: {:?}", play.round());
    let result = play.finish().expect("a result");

    let round = play.round().expect("the round");
    assert!(victims.iter().all(|tag| !round.contributions.contains_key(tag)), "four acknowledgements are needed");
    assert_eq!(play.report(&result).totals().expect("totals").items, tallies(&play, 2..24));
    let report = audit::verify(&mut play.bundle(1).as_slice(), &mut |_| {}).expect("the bundle holds");
    assert_eq!(report.contributions, 22);
}
