//! Operators that lie together, with one lie: as many as are tolerated change nothing. One more can hold a round up, or have
//! something false stated; and what is false no verifier believes.

use std::sync::Arc;

use chorus_protocol::{
    audit::{self, VerifyError},
    id::BlobId,
    ledger::RoundState,
    log::{
        consensus::Decision,
        entry::{Entry, RoundResult, Step},
    },
    message::Message,
    peer::{Command, Notice},
};
use chorus_tests::{
    malice::{Liar, Lie},
    scenario::{Play, Scenario},
};

use crate::faults::{FIVE, SHARE_LEN, assert_sound, small};

/// Makes operators lie, each with its own key and all alike: what two of them make up about the same is the same.
fn lie_together(play: &mut Play, hosts: &[usize], lie: Lie) {
    for host in hosts {
        let (key, community) = (play.community.operators[*host].clone(), play.community.id());
        let liar = Liar { key, community, round: play.poll.round, share_len: SHARE_LEN };
        play.network.tamper(*host, liar.tells(lie));
    }
}

/// Seven operators, of whom two are tolerated, and too few people for a map: that takes 4f + 1 operators.
fn seven() -> Scenario {
    Scenario { people: 12, ..small(7) }
}

#[test]
fn two_of_seven_with_one_lie_change_nothing() {
    let mut undisturbed = seven().start();
    assert!(undisturbed.open());
    let truth = undisturbed.vote_and_finish().expect("a result");
    let truth = undisturbed.body(&truth.result);
    let lies = [
        Lie::SpoilsAcknowledgements,
        Lie::WrongMaskSums,
        Lie::WrongValues,
        Lie::WithholdsContributions,
        Lie::WrongResult,
        Lie::VotesTwice,
        Lie::TwoFaced,
        Lie::NamesWithoutBodies,
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let liars = [index % 7, (index + 3) % 7];
        let mut play = seven().start();
        lie_together(&mut play, &liars, lie);
        assert!(play.open(), "{lie:?}: {:?}", play.network.notices);

        let result = play.vote_and_finish().unwrap_or_else(|| panic!("{lie:?}: a result; {:?}", play.round()));

        assert!(play.body(&result.result) == truth, "{lie:?}: another result");
        assert_sound(&play, &liars, &lie);
    }
}

/// What a verifier says of the log, with the bodies that anybody has.
fn verdict(play: &Play) -> Result<(), VerifyError> {
    let decisions: Vec<Arc<Decision>> = play.network.decisions(2).iter().cloned().map(Arc::new).collect();
    let anywhere = |id: &BlobId| (0..play.network.len()).find_map(|host| play.network.blob(host, id));
    let mut bundle = Vec::new();
    let blobs = |id: &BlobId| anywhere(id).map(|bytes| bytes.to_vec());
    audit::write(&mut bundle, &play.community.genesis, &decisions, blobs).expect("the log can be shown");
    audit::verify(&mut bundle.as_slice(), &mut |_| {}).map(drop)
}

/// Whether the operators agreed on something else than the truth.
fn is_false(play: &Play) -> bool {
    let agreed = play.round().and_then(|round| round.agreed_result());
    agreed.is_some_and(|agreed| play.body(&agreed.result) != FIVE.bytes)
}

/// Lets an operator's word on what was opened come late: what f + 1 say first stays.
fn opens_slowly(play: &mut Play, host: usize) {
    let author = play.community.operators[host].public();
    let is_late = move |message: &Message| matches!(message, Message::Entry(entry) if entry.author == author && matches!(entry.entry, Entry::Opened(_)));
    play.network.tamper(host, Box::new(move |_, message| vec![(if is_late(&message) { 5_000 } else { 0 }, message)]));
}

/// Plays rounds in which two of five lie together, on networks of other delays, until `fails` holds of one. What every round
/// states, unless it fails, is the truth; returns the one that failed.
fn until_two_of_five_succeed(lie: Lie, fails: impl Fn(&Play) -> bool) -> Play {
    for seed in 1..=40 {
        let mut play = Scenario { network_seed: Some(seed), ..small(5) }.start();
        lie_together(&mut play, &[0, 1], lie);
        (2..5).for_each(|host| opens_slowly(&mut play, host));
        assert!(play.open(), "{lie:?}: {:?}", play.network.notices);
        play.vote_all();
        play.wait(RoundState::Finished, 60_000);
        play.network.run_until(5_000, |_| false);
        if fails(&play) {
            return play;
        }
        let Some(agreed) = play.round().and_then(|round| round.agreed_result()) else { continue };
        assert!(play.body(&agreed.result) == FIVE.bytes, "{lie:?}, {seed}: neither failed nor the truth");
        verdict(&play).expect("the truth holds");
    }
    panic!("{lie:?}: f + 1 operators never succeed, so that the other tests show nothing")
}

#[test]
fn a_sum_that_two_of_five_make_up_is_never_opened() {
    let jammed = until_two_of_five_succeed(Lie::WrongMaskSums, |play| {
        play.round().is_some_and(|round| round.agreed_result().is_none())
    });

    let round = jammed.round().expect("the round");
    assert!(round.openings.contains_key(&Step::Totals), "sums of masks were stated");
    // What they add up to does not open the commitments: honest operators state nothing rather than something false.
    assert!(round.results.is_empty(), "{:?}", round.results);
}

#[test]
fn values_that_two_of_five_make_up_are_believed_by_no_verifier() {
    let deceived = until_two_of_five_succeed(Lie::WrongValues, is_false);

    let verdict = verdict(&deceived);

    assert!(matches!(verdict, Err(VerifyError::Opening { .. })), "{verdict:?}");
}

#[test]
fn a_result_that_two_of_five_make_up_is_believed_by_no_verifier() {
    let mut play = small(5).start();
    assert!(play.open());
    play.vote_all();
    assert!(play.wait(RoundState::Sealed, 60_000));
    // They do not wait for anything to be opened: nobody could be quicker.
    let bytes: Arc<[u8]> = b"what they would like".as_slice().into();
    let result = RoundResult { round: play.poll.round, result: BlobId::of(&bytes), follows: None };
    for host in [0, 1] {
        play.network.command(host, Command::Keep(bytes.clone()));
        play.post(host, Entry::Result(result.clone()));
    }
    assert!(play.wait(RoundState::Finished, 60_000));
    play.network.run_until(20_000, |_| false);
    assert_eq!(play.round().and_then(|round| round.agreed_result()), Some(&result), "f + 1 agree");

    let verdict = verdict(&play);

    assert!(matches!(verdict, Err(VerifyError::Result { .. })), "{verdict:?}");
    // The others open what they should all the same, and tell their people.
    for host in 2..play.network.len() {
        let told = |(at, notice): &(usize, Notice)| *at == host && matches!(notice, Notice::Contradiction { .. });
        assert!(play.network.notices.iter().any(told), "the node {host}");
    }
}
