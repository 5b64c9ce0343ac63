//! People who cheat, mislead operators, stop half-way or send everything again, before whole nodes: what comes out is what
//! the others voted, and everybody gets it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::LazyLock};

use chorus_crypto::{Scalar, group::Base, hash};
use chorus_protocol::{contribution::layout, ledger::RoundState, log::entry::Step, message::Message};
use chorus_tests::{malice::forge::Cheat, scenario::Scenario};

use super::*;
use crate::faults::{assert_sound, small};

/// People who vote honestly.
const HONEST: usize = 24;

/// Those, and two more members.
fn crowd() -> Play {
    let mut play = Scenario { people: HONEST + 2, ..small(5) }.start();
    assert!(play.open(), "{:?}", play.network.notices);
    play
}

/// The result if the honest people vote and nobody else does anything.
static UNDISTURBED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut play = crowd();
    vote(&mut play, 0..HONEST);
    let result = play.finish().expect("a result");
    play.body(&result.result)
});

/// Lets a member forge something from what their node knows.
fn forge<T>(play: &Play, person: usize, make: impl FnOnce(&Forger<'_>) -> T) -> T {
    let ledger = play.network.peer(play.host_of(person)).ledger();
    let leaf = &play.community.people[person].leaf;
    make(&Forger::new(ledger, &ledger.rounds()[&play.poll.round], leaf, Level::Anonymous))
}

/// Hands a contribution to some operators, as any node can.
fn hand_in(play: &mut Play, operators: impl IntoIterator<Item = usize>, submission: &Submission) {
    let bytes = Message::Submission(submission.clone()).seal(play.community.id());
    operators.into_iter().for_each(|host| play.network.deliver(host, 5, bytes.clone()));
}

fn accepted(play: &Play) -> usize {
    play.round().map_or(0, |round| round.contributions.len())
}

/// What a member makes who cheats, by name: out of span, out of bound, beyond a lane, copied, for another round, misleading.
fn cheats(play: &Play, alice: &Submission) -> Vec<(&'static str, Submission)> {
    let copied = content(&mut body(alice)).clone();
    let votes = &play.votes[HONEST];
    forge(play, HONEST, |forger| {
        let layout = layout(forger.round).expect("items");
        let (agree, disagree) = (layout.agree_row(0), layout.disagree_row(0));
        let cheats = [
            ("a blinding that is not the sum of its seeds", Cheat::Blinding),
            ("another bucket than proved", Cheat::Bucket),
            ("both sides of one item", Cheat::Rows(vec![(agree, Scalar::ONE), (disagree, Scalar::ONE)])),
            ("a vote of a thousand", Cheat::Rows(vec![(agree, Scalar::from(1_000u64))])),
            ("a vote that fills its lane", Cheat::Rows(vec![(agree, Scalar::from(1u64 << 31))])),
            ("a vote that wraps the field", Cheat::Rows(vec![(agree, -Scalar::from(u64::MAX))])),
            ("a component outside the span", Cheat::Component(vec![(1 + agree, Base::Column(1).point())])),
            ("two that cancel", Cheat::Cancelled(1 + agree, Base::LeafSecret.point())),
            ("somebody else's seeds", Cheat::SeedDigests(copied.seed_digests.clone())),
            ("somebody else's ballot", Cheat::Content(Box::new(copied.clone()))),
            ("somebody else's boxes", Cheat::Boxes(alice.boxes.clone())),
            ("other seeds for two operators", Cheat::Seeds(vec![2, 4])),
        ];
        let make = |(sequence, (what, cheat)): (u8, (&'static str, Cheat))| {
            let forger = Forger { sequence, ..forger.who(cheat) };
            (what, forger.cast(votes, &mut rng(sequence.into())))
        };
        let mut made: Vec<_> = (0..).zip(cheats).map(make).collect();
        let mut honest = Forger { sequence: 12, ..forger.clone() }.cast(votes, &mut rng(12));
        honest.masked[agree] += Scalar::ONE;
        made.push(("another masked vector", honest));
        let elsewhere = Forger { sequence: 13, scope: [9; 32], ..forger.clone() };
        made.push(("the tag of another round", elsewhere.cast(votes, &mut rng(13))));
        made
    })
}

#[test]
fn what_cheats_hand_in_is_in_no_sum_and_stops_nobody() {
    let mut play = crowd();
    vote(&mut play, 0..HONEST);
    assert!(play.network.run_until(2_000, |network| !network.tap.submissions.is_empty()));
    let alice = play.network.tap.submissions.values().next().cloned().expect("somebody's ballot, as relays see it");

    for (_, submission) in cheats(&play, &alice) {
        hand_in(&mut play, 0..5, &submission);
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.round()));

    assert_eq!(accepted(&play), HONEST);
    assert!(play.body(&result.result) == *UNDISTURBED);
    assert_sound(&play, &[], &"cheats");
}

#[test]
fn the_forgery_without_a_cheat_counts() {
    let mut play = crowd();
    vote(&mut play, 0..HONEST);
    let honest = forge(&play, HONEST, |forger| forger.cast(&play.votes[HONEST], &mut rng(1)));

    hand_in(&mut play, 0..5, &honest);
    let result = play.finish().expect("a result");

    assert_eq!(play.report(&result).totals().expect("totals").items, tallies(&play, 0..=HONEST));
}

#[test]
fn seeds_that_differ_between_operators_keep_no_sum_from_being_opened() {
    let mut play = crowd();
    vote(&mut play, 0..HONEST);
    // One misleads as many operators as may be missing, the other one more.
    let one = forge(&play, HONEST, |it| it.who(Cheat::Seeds(vec![3])).cast(&play.votes[HONEST], &mut rng(1)));
    let two =
        forge(&play, HONEST + 1, |it| it.who(Cheat::Seeds(vec![1, 4])).cast(&play.votes[HONEST + 1], &mut rng(2)));
    hand_in(&mut play, 0..5, &one);
    hand_in(&mut play, 0..5, &two);

    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.round()));

    assert_eq!(accepted(&play), HONEST + 1, "who misleads more than f is not acknowledged");
    assert_eq!(play.report(&result).totals().expect("totals").items, tallies(&play, 0..=HONEST));
    let id = play.poll.round;
    let opened = play
        .network
        .run_until(20_000, |network| network.peer(0).ledger().rounds()[&id].openings[&Step::Totals].contains_key(&3));
    assert!(opened, "the operator that was misled has the seeds from the others");
    assert_sound(&play, &[], &"inconsistent seeds");
}

#[test]
fn people_who_go_before_while_or_after_they_send_leave_what_arrived() {
    let mut play = crowd();
    vote(&mut play, 0..HONEST);
    // One reached a single operator; the last never sends anything.
    let half = forge(&play, HONEST, |forger| forger.cast(&play.votes[HONEST], &mut rng(1)));
    hand_in(&mut play, [2], &half);
    let id = play.poll.round;
    let arrived = play
        .network
        .run_until(15_000, |network| network.peer(0).ledger().rounds()[&id].contributions.len() == HONEST + 1);
    assert!(arrived, "one honest operator is enough: {}", accepted(&play));

    (5..play.network.len()).for_each(|host| play.network.kill(host));
    let result = play.finish().expect("a result");

    assert_eq!(play.report(&result).totals().expect("totals").items, tallies(&play, 0..=HONEST));
    assert_sound(&play, &[], &"drop-outs");
}

/// Plays two rounds with the same people, and returns both results. With `again`, the last operator sends everybody, while the
/// second round is open, every message that anybody sent before.
fn two_rounds(again: bool) -> [Vec<u8>; 2] {
    let mut play = small(5).start();
    let heard: Rc<RefCell<BTreeMap<hash::Digest, Message>>> = Rc::default();
    for host in (0..play.network.len()).filter(|_| again) {
        let heard = Rc::clone(&heard);
        let listen = move |message: Message| {
            heard.borrow_mut().insert(hash::content(&message.to_bytes()), message.clone());
            vec![(0, message)]
        };
        play.network.tamper(host, Box::new(move |_, message| listen(message)));
    }
    assert!(play.open());
    let first = play.vote_and_finish().expect("a result");
    let (kind, items, duration) = (play.scenario.kind, play.scenario.items, play.scenario.duration_millis);
    play.poll = play.community.poll_by_class("And now?", (kind, items, duration), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000));

    let messages: Vec<Message> = heard.borrow().values().cloned().collect();
    assert!(!again || messages.len() > 500, "{} messages", messages.len());
    for message in messages {
        let bytes = message.seal(play.community.id());
        (0..4).for_each(|host| play.network.deliver(host, 4, bytes.clone()));
    }
    let second = play.vote_and_finish().unwrap_or_else(|| panic!("a result: {:?}", play.round()));
    let before = play.network.peer(0).ledger().rounds()[&first.round].agreed_result();
    assert_eq!(before, Some(&first), "what was over is over");
    [first, second].map(|result| play.body(&result.result))
}

#[test]
fn everything_that_was_ever_sent_sent_again_changes_nothing() {
    assert!(two_rounds(true) == two_rounds(false));
}
