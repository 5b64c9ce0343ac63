//! Who comes late: everything is checked, and little is fetched.

use std::sync::Arc;

use chorus_crypto::codec::Encode as _;
use chorus_protocol::{
    fault::Fault,
    id::BlobId,
    journal::Record,
    ledger::RoundState,
    limits,
    log::entry::PollKind,
    message::{Bodies, Holdings, Message},
    peer::Notice,
};
use chorus_tests::{
    history::Past,
    network::Network,
    scenario::{Play, Scenario},
};

#[test]
fn a_newcomer_follows_every_round_and_peers_hold_only_the_newest_decisions() {
    let mut history = Past { rounds: 16, ..Past::default() }.play();

    let arrival = history.arrive();

    let network = &history.play.network;
    let (first, newcomer) = (network.peer(0), network.peer(history.newcomer));
    assert!(arrival.heights > limits::RECENT_DECISIONS as u64, "some of the log is on disks only");
    assert_eq!(format!("{:?}", first.ledger()), format!("{:?}", newcomer.ledger()));
    assert_eq!(newcomer.ledger().rounds().len(), 16);
    assert!(network.decisions(0).iter().all(|decision| decision.size() == decision.to_bytes().len()));
    assert!(first.recent_decisions().len() <= limits::RECENT_DECISIONS);
    let mut snapshots =
        newcomer.ledger().rounds().values().map(|round| &round.manifest.as_ref().expect("open").snapshot);
    let one = snapshots.next().expect("rounds");
    assert!(snapshots.all(|other| Arc::ptr_eq(one, other)), "rounds of the same members hold one list of them");
    let bytes = arrival.message_bytes + arrival.body_bytes;
    assert!(bytes < 16 * 20_000, "{bytes} B: nothing is fetched twice");
}

#[test]
fn an_operator_that_was_away_during_voting_holds_everything_before_the_seal() {
    let scenario =
        Scenario { people: 40, items: 4, kind: PollKind::Value, duration_millis: 120_000, ..Scenario::default() };
    let mut play = scenario.start();
    assert!(play.open());
    play.network.kill(3);
    play.vote_all();
    let round = play.poll.round;
    let logged = |network: &Network| network.peer(0).ledger().rounds()[&round].contributions.len() == 40;
    assert!(play.network.run_until(60_000, logged));

    play.network.start(3);

    let acknowledged = |network: &Network| {
        let is_acknowledgement = |record: &Record| matches!(record, Record::Acknowledged(_));
        network.disk(3).0.iter().filter(|record| is_acknowledgement(record)).count()
    };
    assert!(play.network.run_until(20_000, |network| acknowledged(network) == 40), "{}", acknowledged(&play.network));
    assert_eq!(play.network.peer(0).ledger().rounds()[&round].state(), RoundState::Open);
    assert!(play.finish().is_some());
}

#[test]
fn what_is_held_is_compared_among_operators_only_and_lists_are_bounded() {
    let scenario =
        Scenario { people: 12, items: 4, kind: PollKind::Value, duration_millis: 60_000, ..Scenario::default() };
    let mut play = scenario.start();
    assert!(play.open());
    let (community, round) = (play.community.id(), play.poll.round);
    let refused = |play: &Play| {
        let of_stranger = |(host, notice): &&(usize, Notice)| {
            *host == 0 && matches!(notice, Notice::Refused { fault: Fault::NotAllowed(_) | Fault::Mismatch(_), .. })
        };
        play.network.notices.iter().filter(of_stranger).count()
    };
    let before = refused(&play);
    let nothing = Holdings { round, digest: [0; 32], buckets: Vec::new() };

    // A follower is told nothing; an operator cannot send another number of buckets.
    play.network.deliver(0, 5, Message::Holdings(nothing.clone()).seal(community));
    play.network.deliver(0, 5, Message::Bodies(Bodies { round, buckets: vec![0], ids: Vec::new() }).seal(community));
    play.network.deliver(0, 1, Message::Holdings(Holdings { buckets: vec![[0; 32]; 3], ..nothing }).seal(community));
    // What is nowhere is asked for a few times, and then no more.
    let invented = (0..200u32).map(|number| BlobId::of(&number.to_be_bytes())).collect();
    let sent = play.network.bytes_sent;
    play.network.deliver(0, 1, Message::Bodies(Bodies { round, buckets: Vec::new(), ids: invented }).seal(community));
    play.network.run_until(10_000, |_| false);

    assert_eq!(refused(&play), before + 3);
    assert!(play.network.bytes_sent - sent < 400_000, "{}", play.network.bytes_sent - sent);
}
