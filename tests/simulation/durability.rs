//! Journals that are put back, keys in use at two nodes, and entries on their way: what was said is neither contradicted nor
//! lost.

use chorus_protocol::{
    ledger::RoundState,
    log::{
        batch::Height,
        entry::{Entry, PollKind, PollOpening},
    },
    message::{HeightAnswer, Message},
    peer::{Command, Notice},
};
use chorus_tests::{network::Copy, scenario::Play, tap::Contradiction};

use crate::faults::{Moment, small};

/// The operator that things happen to.
const VICTIM: usize = 2;

/// How a disk is put back.
type PutBack = fn(Copy) -> Copy;

/// Plays a round. The victim's disk is copied at `copied`, and put back when the victim is killed at `struck`, some time
/// later. Returns what was signed twice.
fn play_with_copy(operators: usize, copied: Moment, struck: Moment, put_back: PutBack) -> (Play, Vec<Contradiction>) {
    let mut play = small(operators).start();
    assert!(play.plan());
    let mut copy = None;
    for (moment, is_copy) in [(copied, true), (struck, false)] {
        if moment > Moment::Open && play.round().is_none_or(|round| round.contributions.is_empty()) {
            assert!(play.wait(RoundState::Open, 60_000));
            play.vote_all();
        }
        let id = play.poll.round;
        let reached = play.network.run_until(300_000, |network| {
            let ledger = network.peer(0).ledger();
            ledger.rounds().get(&id).is_some_and(|round| moment.is_reached(round))
        });
        assert!(reached, "{moment:?}");
        if is_copy {
            copy = Some(play.network.copy(VICTIM));
        }
    }
    play.network.kill(VICTIM);
    play.network.run_until(100, |_| false);
    play.network.put_back(VICTIM, put_back(copy.expect("copied first")));
    play.network.start(VICTIM);
    if play.round().is_none_or(|round| round.contributions.is_empty()) {
        assert!(play.wait(RoundState::Open, 60_000));
        play.vote_all();
    }
    play.finish();
    let contradictions = play.network.tap.contradictions(&play.community.operator_keys());
    (play, contradictions)
}

/// Moments between which a copy is made and put back.
const SPANS: [(Moment, Moment); 6] = [
    (Moment::Planned, Moment::Open),
    (Moment::Planned, Moment::Sealed),
    (Moment::Open, Moment::Acknowledged),
    (Moment::Acknowledged, Moment::BetweenHashAndShare),
    (Moment::Sealed, Moment::Points),
    (Moment::Totals, Moment::Result),
];

/// Lets the log grow by some batches.
fn grow(play: &mut Play, batches: u64) {
    for number in 0..batches {
        let height = play.network.peer(0).height();
        let opening =
            PollOpening { kind: PollKind::Value, question: format!("{}: {number}", height.0), context: String::new() };
        play.network.command(0, Command::Post(Entry::Poll(opening)));
        assert!(play.network.run_until(60_000, |network| network.peer(0).height() > height), "{number} at {height}");
    }
}

#[test]
fn a_journal_that_was_put_back_from_a_backup_contradicts_nothing_and_speaks_again_later() {
    for (copied, struck) in SPANS {
        for with_log in [true, false] {
            let put_back: PutBack =
                if with_log { |copy| copy.as_backup(true, false) } else { |copy| copy.as_backup(false, false) };

            let (mut play, contradictions) = play_with_copy(5, copied, struck, put_back);

            assert_eq!(contradictions, [], "{copied:?} {struck:?}");
            assert!(play.round().is_some_and(|round| round.state() == RoundState::Finished), "{copied:?} {struck:?}");
            grow(&mut play, 4);
            let sound = play.network.run_until(60_000, |network| !network.peer(VICTIM).is_recovering());
            assert!(sound, "{copied:?} {struck:?}: it speaks again");
            // Five operators need four: without it the log would stand still.
            play.network.kill(4);
            grow(&mut play, 2);
            assert_eq!(play.network.tap.contradictions(&play.community.operator_keys()), []);
        }
    }
}

#[test]
fn an_old_copy_without_its_journal_does_contradict() {
    let contradicted: Vec<_> = SPANS
        .into_iter()
        .filter(|(copied, struck)| !play_with_copy(5, *copied, *struck, Copy::without_journal).1.is_empty())
        .collect();

    assert!(!contradicted.is_empty(), "the detector detects, and the guard is what keeps the other test clean");
}

#[test]
fn a_restored_operator_is_silent_until_enough_others_have_told_their_heights() {
    let mut play = small(5).start();
    play.register();
    grow(&mut play, 3);
    let copy = play.network.copy(VICTIM).as_backup(true, false);
    play.network.kill(VICTIM);
    play.network.put_back(VICTIM, copy);
    // One other is cut off: four of the others are needed, and three are there.
    play.network.cut(VICTIM, 4, true);
    play.network.start(VICTIM);
    grow(&mut play, 6);
    assert!(play.network.peer(VICTIM).is_recovering());

    play.network.cut(VICTIM, 4, false);
    play.network.kill(4);
    play.network.start(4);
    let before = play.network.peer(VICTIM).height();
    grow(&mut play, 5);

    assert!(play.network.run_until(60_000, |network| !network.peer(VICTIM).is_recovering()));
    assert!(play.network.peer(VICTIM).height() > before);
}

#[test]
fn a_height_that_nobody_else_knows_of_keeps_no_restored_operator_silent() {
    let mut scenario = small(7);
    scenario.people = 2;
    let mut play = scenario.start();
    play.network.tamper(
        0,
        Box::new(|_, message| match message {
            Message::HeightAnswer(answer) => {
                vec![(0, Message::HeightAnswer(HeightAnswer { height: Height(1 << 40), ..answer }))]
            }
            message => vec![(0, message)],
        }),
    );
    grow(&mut play, 2);
    let copy = play.network.copy(VICTIM).as_backup(true, false);
    play.network.kill(VICTIM);
    play.network.put_back(VICTIM, copy);
    play.network.start(VICTIM);

    play.network.run_until(5_000, |_| false);
    grow(&mut play, 4);

    assert!(play.network.run_until(60_000, |network| !network.peer(VICTIM).is_recovering()));
}

#[test]
fn an_answer_to_another_question_is_not_counted() {
    let mut play = small(5).start();
    for host in [0, 1, 3, 4] {
        play.network.tamper(
            host,
            Box::new(|_, message| match message {
                Message::HeightAnswer(answer) => {
                    vec![(0, Message::HeightAnswer(HeightAnswer { nonce: [7; 32], ..answer }))]
                }
                message => vec![(0, message)],
            }),
        );
    }
    grow(&mut play, 2);
    let copy = play.network.copy(VICTIM).as_backup(true, false);
    play.network.kill(VICTIM);
    play.network.put_back(VICTIM, copy);
    play.network.start(VICTIM);

    grow(&mut play, 6);

    assert!(play.network.peer(VICTIM).is_recovering());
}

#[test]
fn with_the_persons_word_the_only_operator_speaks_at_once() {
    for (current, grows) in [(true, true), (false, false)] {
        let mut play = small(1).start();
        grow(&mut play, 3);
        play.network.kill(0);
        let copy = play.network.copy(0);
        let copy = if current { copy.as_backup(true, true) } else { copy.as_backup(true, false) };
        play.network.put_back(0, copy);
        play.network.start(0);
        let height = play.network.peer(0).height();

        let opening = PollOpening { kind: PollKind::Value, question: "more".into(), context: String::new() };
        play.network.command(0, Command::Post(Entry::Poll(opening)));

        assert_eq!(play.network.run_until(10_000, |network| network.peer(0).height() > height), grows);
    }
}

#[test]
fn two_nodes_with_one_key_put_it_down_before_they_contradict_each_other() {
    for moment in [Moment::Planned, Moment::Open, Moment::Acknowledged, Moment::Points] {
        let mut play = small(5).start();
        assert!(play.plan());
        if moment > Moment::Open {
            assert!(play.wait(RoundState::Open, 60_000));
            play.vote_all();
        }
        let id = play.poll.round;
        let reached = |network: &chorus_tests::network::Network| {
            network.peer(0).ledger().rounds().get(&id).is_some_and(|round| moment.is_reached(round))
        };
        assert!(play.network.run_until(300_000, reached));

        let copy = play.network.copy(VICTIM);
        let twin = play.network.add_twin(VICTIM, copy);
        if moment <= Moment::Open {
            assert!(play.wait(RoundState::Open, 60_000));
            play.vote_all();
        }
        play.finish();

        for host in [VICTIM, twin] {
            let halted = |(from, notice): &(usize, Notice)| *from == host && matches!(notice, Notice::Halted(_));
            assert!(play.network.notices.iter().any(halted), "{moment:?}: host {host}");
            assert_eq!(play.network.peer(host).operator(), None);
        }
        assert_eq!(play.network.tap.contradictions(&play.community.operator_keys()), [], "{moment:?}");
        assert!(play.round().is_some_and(|round| round.state() == RoundState::Finished), "{moment:?}");
    }
}

#[test]
fn an_operator_that_restarts_does_not_take_itself_for_another() {
    let mut play = small(5).start();
    for _ in 0..3 {
        grow(&mut play, 1);
        play.network.kill(VICTIM);
        play.network.run_until(5, |_| false);
        play.network.start(VICTIM);
        play.network.run_until(4_000, |_| false);
    }

    assert!(play.network.peer(VICTIM).operator().is_some());
    assert!(!play.network.notices.iter().any(|(_, notice)| matches!(notice, Notice::Halted(_))));
}

#[test]
fn an_entry_on_its_way_survives_the_node_that_took_it() {
    let mut play = small(5).start();
    let member = play.host_of(0);
    (0..5).for_each(|operator| play.network.cut(member, operator, true));
    let registration = play.community.registration(0);
    play.network.command(member, Command::Relay(registration));
    play.network.run_until(1_000, |_| false);
    play.network.kill(member);
    (0..5).for_each(|operator| play.network.cut(member, operator, false));

    play.network.start(member);

    let key = play.community.people[0].key.public();
    assert!(play.network.run_until(30_000, |network| network.peer(member).ledger().is_member(&key)));
    assert_eq!(play.network.relayed(member), 0, "what is on the log is let go");
}
