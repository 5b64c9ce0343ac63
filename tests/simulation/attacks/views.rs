//! One past for everybody: an operator that is in two places at once, and a network that is torn, show nobody another log.
//!
//! The liar runs our own node twice, with one key and one past, and sees to it that the two never hear of each other: each
//! honestly signs what the other does not know of.

use std::collections::BTreeSet;

use chorus_crypto::sign::PublicKey;
use chorus_protocol::{
    log::{
        consensus::Decision,
        entry::{Entry, PollOpening},
    },
    message::Message,
};
use chorus_tests::tap::Question;

use super::*;
use crate::faults::small;

/// Followers of [`small`], connected with all operators.
const FOLLOWERS: [usize; 2] = [4, 5];

/// Starts every one of `liars` a second time, unheard of by the first.
fn double(play: &mut Play, liars: &[usize]) -> Vec<usize> {
    let mut twins = Vec::new();
    for liar in liars {
        let copy = play.network.copy(*liar);
        twins.push(play.network.add_twin(*liar, copy));
    }
    for first in liars {
        twins.iter().for_each(|twin| play.network.cut(*first, *twin, true));
    }
    for host in liars.iter().chain(&twins) {
        // Who meets both passes on their greetings; liars do not listen.
        play.network.hear_only(*host, Box::new(|message| !matches!(message, Message::Sighting(_))));
    }
    twins
}

/// Tears the network into those on `side` and everybody else. Those of `never` never meet, wherever they are.
fn tear(play: &mut Play, side: &[usize], never: &[(usize, usize)]) {
    for a in 0..play.network.len() {
        for b in 0..a {
            let apart = side.contains(&a) != side.contains(&b);
            play.network.cut(a, b, apart || never.contains(&(a, b)) || never.contains(&(b, a)));
        }
    }
}

/// Lets time pass while operators on both sides have something to say.
fn talk(play: &mut Play, number: usize, hosts: &[usize]) {
    for host in hosts {
        let question = format!("Question {number} at {host}?");
        let opening = PollOpening { kind: PollKind::Value, question, context: String::new() };
        play.post(*host, Entry::Poll(opening));
    }
    play.network.run_until(4_000, |_| false);
}

/// The first two decisions of one height that differ, if any do.
fn split<'a>(play: &'a Play, hosts: &[usize]) -> Option<(&'a Decision, &'a Decision)> {
    let logs: Vec<&[Decision]> = hosts.iter().map(|host| play.network.decisions(*host)).collect();
    let mut pairs = logs.iter().enumerate().flat_map(|(index, a)| logs[..index].iter().map(move |b| (*a, *b)));
    pairs.find_map(|(a, b)| a.iter().zip(b).find(|(a, b)| a.batch != b.batch))
}

#[test]
fn an_operator_in_two_places_shows_nobody_another_past() {
    let mut play = small(4).start();
    assert!(play.open());
    play.vote_all();
    play.network.run_until(2_000, |_| false);
    let [twin] = double(&mut play, &[0])[..] else { panic!("one twin") };
    let (never, before) = ([(0, twin)], play.network.peer(1).height());
    // Each of the others is alone with a copy in turn, while the other copy is with the rest: a quorum, with the liar.
    for number in 0..6usize {
        let alone = 1 + number % 3;
        let (with_one, with_rest) = if number.is_multiple_of(2) { (0, twin) } else { (twin, 0) };
        tear(&mut play, &[alone, with_one, FOLLOWERS[number % 2]], &never);
        talk(&mut play, number, &[alone, with_one, with_rest, 1 + alone % 3]);
    }
    tear(&mut play, &[], &never);
    play.network.run_until(10_000, |_| false);

    assert_eq!(split(&play, &[0, 1, 2, 3, 4, 5, twin]), None);
    let height = play.network.peer(1).height();
    assert!(height.0 > before.0 + 2, "the log went on all the time: from {before} to {height}");
    let contradictions = play.network.tap.contradictions(&play.community.operator_keys());
    let liar = play.community.operators[0].public();
    assert!(contradictions.iter().any(|it| it.signer == liar && matches!(it.question, Question::Vote(..))));
    assert!(contradictions.iter().all(|it| it.signer == liar), "{contradictions:?}");
    [0, twin].into_iter().for_each(|host| play.network.kill(host));
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.round()));
    assert_eq!(play.report(&result).totals().expect("totals").items, tallies(&play, 0..24));
}

#[test]
fn two_operators_of_four_in_two_places_split_the_log_and_two_views_name_them() {
    let mut play = small(4).start();
    assert!(play.open());
    let twins = double(&mut play, &[0, 1]);
    let never = [(0, twins[0]), (0, twins[1]), (1, twins[0]), (1, twins[1])];
    tear(&mut play, &[0, 1, 2, FOLLOWERS[0]], &never);
    (0..2).for_each(|number| talk(&mut play, number, &[2, 3]));

    let (a, b) = split(&play, &[2, 3]).expect("two of four are more than tolerated");

    let signers = |decision: &Decision| -> BTreeSet<PublicKey> {
        decision.certificate.signatures.iter().map(|(signer, _)| *signer).collect()
    };
    let both: Vec<PublicKey> = signers(a).intersection(&signers(b)).copied().collect();
    let liars = [0, 1].map(|host: usize| play.community.operators[host].public());
    assert_eq!(both, liars, "whoever sees both certificates knows who signed both");
}
