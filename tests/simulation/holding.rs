//! What operators hold, for how long, and for whom.

use std::{cell::Cell, rc::Rc};

use chorus_protocol::{
    adapter::{
        entry::{WeighedAdapter, Weighing},
        manifest::{AdapterManifest, Weights},
    },
    audit,
    id::{BlobId, NodeId},
    ledger::RoundState,
    log::entry::{Entry, PollKind, PollOpening},
    message::{Bodies, LogPart, Message},
    peer::{Command, Config, Effect, Event, NotPosted, Notice, Peer, Saved},
    reconcile,
    round::averages,
};
use chorus_tests::{
    adapters::manifest,
    network::{Network, Topology},
    scenario::{Play, Scenario},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::{
    adapters::{begin, by_region, regions},
    faults::small,
    governance::{amend, open, start},
};

#[test]
fn an_audit_finds_every_body_after_all_four_operators_were_replaced_one_by_one() {
    let mut play = start(4, 4);
    open(&mut play, "Before?", PollKind::Value);
    play.vote_all();
    play.network.run_until(5_000, |_| false);
    withdraw(&mut play, 0);
    play.finish().expect("a result");

    for (leaving, host) in (0..4).zip(4..) {
        let (gone, joining) =
            (play.community.operators[leaving].public(), play.community.candidates[host - 4].public());
        let in_office: Vec<usize> = (leaving..host).collect();
        amend(&mut play, &in_office, |charter| {
            charter.operators.retain(|key| *key != gone);
            charter.operators.push(joining);
        });
        play.network.run_until(10_000, |_| false);
        play.network.kill(leaving);
    }

    for host in 4..8 {
        let bundle = play.bundle(host);
        let report = audit::verify(&mut bundle.as_slice(), &mut |_| {}).expect("the bundle holds");
        assert_eq!(report.rounds.len(), 5, "one round of the first operators, and a vote on each change");
        assert_eq!(report.rounds.iter().map(|round| round.withdrawals).sum::<usize>(), 1);
    }
}

fn withdraw(play: &mut Play, person: usize) {
    let host = play.host_of(person);
    let ledger = play.network.peer(host).ledger();
    let round = &ledger.rounds()[&play.poll.round];
    let level = chorus_tests::scenario::level_of(person);
    let person = &mut play.community.people[person];
    let contributor = chorus_protocol::contribution::Contributor {
        level,
        sequence: 1,
        ..chorus_protocol::contribution::Contributor::anonymous(&person.leaf)
    };
    let submission = contributor.withdraw(ledger, round, &mut person.rng).expect("a member may take theirs back");
    play.network.command(host, Command::Contribute(submission));
}

/// What a node does when an event happens.
fn handle(peer: &mut Peer, play: &Play, event: Event) -> Vec<Effect> {
    peer.handle(play.network.now(), event, &mut ChaCha20Rng::seed_from_u64(1));
    std::iter::from_fn(|| peer.poll_effect()).collect()
}

#[test]
fn the_adapter_that_an_unweighed_round_starts_from_stays_at_hand_when_the_round_before_is_over() {
    let mut posted: AdapterManifest = manifest();
    posted.combination.weights = Weights::Posted;
    let (mut play, series) = begin(regions(), &posted);
    let mut weighings = Vec::new();
    let mut known = 0;
    for round in 0..2 {
        let report = by_region(&mut play, series);
        known = play.network.decisions(0).len();
        let ledger = play.network.peer(0).ledger();
        let sums = averages(ledger, &ledger.rounds()[&report.round], &play.blobs(0)).expect("open sums");
        let adapter = sums.weighed(&[0, 1, 2]).expect("one weight for each class").to_blob().0;
        weighings.push((report.round, adapter));
        let said = WeighedAdapter { round: report.round, weights: vec![0, 1, 2], adapter };
        play.post(0, Entry::Weigh(Weighing { number: 1, weighed: said }));
        assert!(play.network.run_until(30_000, |network| {
            network.peer(0).ledger().rounds()[&report.round].weighed_adapter() == Some(adapter)
        }));
        assert_eq!(report.start.is_some(), round == 1);
    }
    let [(first, start), (_, second)] = weighings[..] else { panic!("two rounds") };
    let decisions = play.network.decisions(0);
    let (before, after) = decisions.split_at(known);

    // A node that starts again with this log, and comes by the bodies of the first round last.
    let config = Config {
        genesis: play.community.genesis.clone(),
        node: NodeId::from([9; 32]),
        operator: None,
        timeouts: chorus_protocol::log::consensus::Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        held_bytes: chorus_protocol::limits::MAX_HELD_BYTES,
        minor: chorus_protocol::message::MINOR,
        checkpoints: chorus_protocol::peer::Checkpoints::default(),
    };
    let saved = Saved { decisions: before.to_vec(), ..Saved::default() };
    let mut peer = Peer::new(config, play.network.now(), saved).expect("starts");
    let ledger = play.network.peer(0).ledger();
    let of_first: Vec<BlobId> =
        ledger.rounds()[&first].opened.values().flat_map(|of| of.values().map(|it| it.1)).collect();
    let mut effects = handle(&mut peer, &play, Event::Tick);
    let mut late = Vec::new();
    let mut stored = Vec::new();
    let mut shown = false;
    while let Some(effect) = (!effects.is_empty()).then(|| effects.remove(0)) {
        match effect {
            Effect::Want(id) if of_first.contains(&id) && !shown => late.push(id),
            Effect::Want(id) => {
                let bytes = play.network.blob(0, &id).expect("operators keep it");
                effects.extend(handle(&mut peer, &play, Event::Blob { id, bytes }));
            }
            Effect::StoreBlob { bytes, .. } => stored.push(BlobId::of(&bytes)),
            _ => {}
        }
        if effects.is_empty() && !shown {
            shown = true;
            for id in std::mem::take(&mut late) {
                let bytes = play.network.blob(0, &id).expect("operators keep it");
                effects.extend(handle(&mut peer, &play, Event::Blob { id, bytes }));
            }
            let part = Message::Log(LogPart { decisions: after.to_vec() }).seal(play.community.id());
            effects.extend(handle(&mut peer, &play, Event::Message { from: NodeId::from([1; 32]), bytes: part }));
        }
    }

    assert!(!stored.contains(&start), "it came with the second round, which is the first to be at hand");
    assert!(stored.contains(&second), "and the adapter that starts from it follows");
}

#[test]
fn an_operator_that_lists_what_is_nowhere_is_not_asked_again_and_again() {
    let mut play = small(5).start();
    assert!(play.open());
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    play.network.tamper(
        0,
        Box::new(move |outgoing, message| {
            if outgoing.to == 3 && matches!(&message, Message::Holdings(holdings) if holdings.buckets.is_empty()) {
                count.set(count.get() + 1);
            }
            vec![(0, message)]
        }),
    );
    let ids: Vec<BlobId> = (0..300u32).map(|number| BlobId::of(&number.to_be_bytes())).collect();
    let mut ids = ids;
    ids.sort_unstable();
    let buckets = (0..reconcile::BUCKETS).map(|bucket| u8::try_from(bucket).expect("few")).collect();
    let lie = Message::Bodies(Bodies { round: play.poll.round, buckets, ids }).seal(play.community.id());

    for _ in 0..10 {
        play.network.deliver(0, 3, lie.clone());
        play.network.run_until(1_500, |_| false);
    }

    assert!(asked.get() <= 2, "asked {} times within 15 s", asked.get());
}

/// A round of which operators may hold so many bytes in memory: its result, and the most that one held between two moments.
fn within(held_bytes: usize, restart: bool) -> (Vec<u8>, usize) {
    let mut play = Scenario { topology: Topology { held_bytes, ..Topology::default() }, ..small(4) }.start();
    assert!(play.open());
    play.vote_all();
    let mut most = 0;
    let mut look = |play: &Play| {
        let held = (0..4)
            .filter(|host| play.network.is_up(*host))
            .map(|host| play.network.peer(host).contributions_in_memory());
        most = held.max().unwrap_or_default().max(most);
    };
    let all = |network: &Network| (0..4).all(|host| network.disk(host).1.len() == 24);
    assert!(play.network.run_until(15_000, all), "everybody has every contribution");
    look(&play);
    if restart {
        for host in 0..4 {
            play.network.kill(host);
            play.network.start(host);
        }
    }
    let round = play.poll.round;
    for _ in 0..20_000 {
        play.network.run_until(5, |_| false);
        look(&play);
        if play.network.peer(0).ledger().rounds()[&round].agreed_result().is_some() {
            break;
        }
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    (play.body(&result.result), most)
}

#[test]
fn masked_vectors_that_do_not_fit_into_memory_are_read_from_the_disk_and_the_result_is_the_same() {
    let (reference, all) = within(usize::MAX, false);
    let one = all / 24;

    for (held_bytes, restart) in [(0, false), (5 * one, false), (0, true)] {
        let (bytes, most) = within(held_bytes, restart);

        assert_eq!(bytes, reference, "{held_bytes} {restart}");
        if !restart {
            // A few wait to be checked, and a few are read ahead.
            assert!(most <= held_bytes + 10 * one, "{most} bytes, one contribution has {one}");
        }
    }
}

#[test]
fn a_masked_vector_that_is_damaged_on_the_disk_comes_from_another_operator() {
    let mut play = Scenario { topology: Topology { held_bytes: 0, ..Topology::default() }, ..small(4) }.start();
    assert!(play.open());
    play.vote_all();
    let all = |network: &Network| (0..4).all(|host| network.disk(host).1.len() == 24);
    assert!(play.network.run_until(15_000, all));

    play.network.damage_private(2);
    let mut healed = false;
    for _ in 0..10_000 {
        play.network.run_until(5, |_| false);
        let (here, there) = (play.network.disk(2).1, play.network.disk(1).1);
        healed |= here == there && !here.is_empty();
        if play.round().is_some_and(|round| round.agreed_result().is_some()) {
            break;
        }
    }

    assert!(healed, "it asked the others for what it lacked");
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    assert!(play.round().is_some_and(|round| round.results.values().all(|stated| *stated == result)));
    assert!(
        play.network
            .run_until(20_000, |network| { network.peer(2).ledger().rounds()[&result.round].results.len() == 4 })
    );
}

#[test]
fn what_an_operator_posts_while_its_key_listens_is_said_once_it_may_speak() {
    let mut play = small(4).start();
    assert!(play.open());
    play.network.kill(1);
    let began = play.network.now();
    let early = Rc::new(Cell::new(0));
    let count = Rc::clone(&early);
    play.network.start(1);
    play.network.tamper(
        1,
        Box::new(move |outgoing, message| {
            if matches!(message, Message::Entry(_)) && outgoing.now < began.plus_millis(2_000) {
                count.set(count.get() + 1);
            }
            vec![(0, message)]
        }),
    );
    play.network.run_until(500, |_| false);
    let opening = PollOpening { kind: PollKind::Value, question: "Soon?".into(), context: String::new() };
    let poll = opening.id(play.community.id());

    play.network.command(1, Command::Post(Entry::Poll(opening)));

    assert!(play.network.run_until(20_000, |network| network.peer(0).ledger().polls().contains_key(&poll)));
    assert_eq!(early.get(), 0, "nothing is signed while it listens");
}

#[test]
fn what_an_operator_posts_while_its_key_is_silent_is_refused_and_its_person_told() {
    let mut play = small(4).start();
    assert!(play.open());
    let copy = play.network.copy(1).as_backup(true, false);
    play.network.kill(1);
    play.network.put_back(1, copy);
    play.network.start(1);
    let entry = Entry::Poll(PollOpening { kind: PollKind::Value, question: "Now?".into(), context: String::new() });

    play.network.command(1, Command::Post(entry.clone()));

    let told = Notice::NotPosted { entry: Box::new(entry), why: NotPosted::Recovering };
    assert!(play.network.notices.contains(&(1, told)), "{:?}", play.network.notices);
    assert!(play.wait(RoundState::Open, 1_000));
}
