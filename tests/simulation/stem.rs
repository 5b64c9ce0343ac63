//! The way of a contribution to the operators: what each of them sees of it, and what those on the way can do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    contribution::Submission,
    fault::Fault,
    id::{BlobId, PollId},
    ledger::RoundState,
    log::{
        batch::{Batch, Height},
        certificate::Certificate,
        consensus::{Decision, Statement as _, Vote},
        entry::{Entry, Proposal, SignedEntry},
    },
    message::{LogPart, Message, Stem, SubmissionRequest},
    peer::{MAX_HOPS, Notice, PATHS, Peer},
    time::Timestamp,
};
use chorus_tests::{
    network::Topology,
    scenario::{Play, Scenario},
};

use crate::faults::small;

/// One thing that a node sent of a contribution.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Sent {
    at: Timestamp,
    from: usize,
    to: usize,
    is_stem: bool,
}

/// Everything that was sent of each contribution while its round was open, in order.
type Ways = Rc<RefCell<BTreeMap<BlobId, Vec<Sent>>>>;

/// Listens to all nodes; `swallow` are those that pass nothing on but what is their own.
fn listen(play: &mut Play, swallow: &[usize]) -> Ways {
    let ways = Ways::default();
    for host in 0..play.network.len() {
        let (ways, swallows) = (Rc::clone(&ways), swallow.contains(&host));
        let tamper = Box::new(move |out: &mut chorus_tests::network::Outgoing<'_>, message: Message| {
            let submission = match &message {
                Message::Stem(stem) => &stem.submission,
                Message::Submission(submission) => submission,
                _ => return vec![(0, message)],
            };
            let mut ways = ways.borrow_mut();
            let way = ways.entry(BlobId::of(&submission.body)).or_default();
            if swallows && way.first().is_some_and(|first| first.from != host) {
                return Vec::new();
            }
            let is_stem = matches!(message, Message::Stem(_));
            way.push(Sent { at: out.now, from: host, to: out.to, is_stem });
            vec![(0, message)]
        });
        play.network.tamper(host, tamper);
    }
    ways
}

fn village(followers: usize, mesh: bool) -> Scenario {
    let topology = Topology { mesh, ..Topology::default() };
    Scenario { followers, topology, duration_millis: 40_000, ..small(4) }
}

/// Lets everybody vote, and waits until all ballots are on the log.
fn vote(play: &mut Play) {
    assert!(play.open(), "{:?}", play.network.notices);
    play.vote_all();
    let (round, people) = (play.poll.round, play.scenario.people);
    let logged = play
        .network
        .run_until(35_000, |network| network.peer(0).ledger().rounds()[&round].contributions.len() == people);
    assert!(logged, "{} of {people}", play.network.peer(0).ledger().rounds()[&round].contributions.len());
}

#[test]
fn an_operator_hears_a_contribution_first_from_its_author_no_more_often_than_by_chance() {
    const FOLLOWERS: usize = 8;
    let mut play = village(FOLLOWERS, true).start();
    let ways = listen(&mut play, &[]);

    vote(&mut play);

    let ways = ways.borrow();
    assert_eq!(ways.len(), play.scenario.people);
    let (operators, mut by_author) = (play.scenario.operators, 0);
    for way in ways.values() {
        let author = way[0].from;
        let first_heard = way.iter().find(|sent| sent.to < operators).expect("operators hear of it");
        assert!(!first_heard.is_stem, "there are others to send stems to");
        by_author += usize::from(first_heard.from == author);
        let relays: BTreeSet<usize> = way.iter().filter(|sent| sent.is_stem).map(|sent| sent.to).collect();
        assert!(relays.len() >= 2, "{way:?}");
    }
    assert!(by_author <= play.scenario.people / FOLLOWERS, "{by_author}");
}

#[test]
fn where_only_operators_are_connected_one_of_them_at_most_hears_from_the_author() {
    let mut play = village(4, false).start();
    let ways = listen(&mut play, &[]);

    vote(&mut play);

    for way in ways.borrow().values() {
        let author = way[0].from;
        let from_author: BTreeSet<usize> =
            way.iter().take_while(|sent| sent.is_stem).filter(|sent| sent.from == author).map(|sent| sent.to).collect();
        assert_eq!(from_author.len(), 1, "{way:?}");
        let spread = way.iter().find(|sent| !sent.is_stem).expect("operators hear of it");
        assert!(way.iter().take_while(|sent| *sent != spread).count() >= 2, "{way:?}");
    }
}

#[test]
fn a_relay_that_swallows_everything_only_delays() {
    let mut play = village(6, true).start();
    let swallows = play.scenario.operators + 1;
    let ways = listen(&mut play, &[swallows]);

    vote(&mut play);

    let ways = ways.borrow();
    let again =
        ways.values().filter(|way| way.iter().filter(|sent| sent.from == way[0].from && sent.is_stem).count() > 1);
    assert!(again.count() > 0, "some had to go another way");
    assert!(play.finish().is_some());
}

#[test]
fn a_contribution_whose_ways_are_all_dead_goes_to_the_operators_itself() {
    let mut play = village(3, true).start();
    let operators = play.scenario.operators;
    let all: Vec<usize> = (operators..operators + 3).collect();
    let ways = listen(&mut play, &all);

    vote(&mut play);

    for way in ways.borrow().values() {
        let author = way[0].from;
        let stems = way.iter().filter(|sent| sent.from == author && sent.is_stem).count();
        let direct = way.iter().filter(|sent| sent.from == author && !sent.is_stem).count();
        assert!(stems <= PATHS && direct > 0, "{way:?}");
    }
    assert!(play.finish().is_some());
}

#[test]
fn old_and_new_nodes_end_a_round_together_and_no_stem_reaches_an_old_one() {
    // Operators 0 and 2 and every second follower are old; people of old followers send to the operators themselves.
    let topology = Topology { mesh: true, minor: |host| u8::from(host % 2 == 1), ..Topology::default() };
    let mut play = Scenario { topology, ..village(6, true) }.start();
    let ways = listen(&mut play, &[]);

    vote(&mut play);

    for way in ways.borrow().values() {
        let author_is_new = way[0].from % 2 == 1;
        assert_eq!(way[0].is_stem, author_is_new, "{way:?}");
        assert!(way.iter().filter(|sent| sent.is_stem).all(|sent| sent.from % 2 == 1 && sent.to % 2 == 1), "{way:?}");
    }
    let result = play.finish().expect("a result");
    assert_eq!(play.report(&result).ballots as usize, play.scenario.people);
    let unknown = |(_, notice): &(usize, Notice)| {
        matches!(notice, Notice::Refused { fault: Fault::Unknown("kind of message"), .. })
    };
    assert!(!play.network.notices.iter().any(unknown));
}

/// The contribution of the first person, made at the first follower and sent to nobody.
fn a_submission(play: &mut Play) -> Submission {
    let ways = listen(play, &[]);
    let host = play.host_of(0);
    (0..play.network.len()).filter(|other| *other != host).for_each(|other| play.network.cut(host, other, true));
    let votes = play.votes[0].clone();
    let submissions = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&submissions);
    play.network.tamper(
        host,
        Box::new(move |_, message| {
            if let Message::Stem(Stem { submission, .. }) = message {
                kept.borrow_mut().push(submission);
            }
            Vec::new()
        }),
    );
    play.vote(0, 0, &votes);
    play.network.run_until(100, |_| false);
    assert!(ways.borrow().is_empty());
    submissions.take().pop().expect("a stem left")
}

/// Faults that a host found in what others sent.
fn faults(play: &Play, host: usize) -> Vec<Fault> {
    let at_host = play.network.notices.iter().filter(|(at, _)| *at == host);
    at_host
        .filter_map(|(_, notice)| if let Notice::Refused { fault, .. } = notice { Some(fault.clone()) } else { None })
        .collect()
}

#[test]
fn a_relay_drops_what_does_not_hold_and_is_never_blamed_for_what_it_passes_on() {
    let mut play = village(3, true).start();
    assert!(play.open());
    let honest = a_submission(&mut play);
    let (relay, sender, community) = (5, 6, play.community.id());
    let ways = listen(&mut play, &[]);
    let mut bad_proof = honest.clone();
    // Within the credential's proof, which is last: the form holds.
    let last = bad_proof.body.len() - 1;
    bad_proof.body[last - 40] ^= 1;
    let mut bad_form = honest.clone();
    bad_form.body.truncate(last);
    let mut bad_length = honest.clone();
    bad_length.masked.pop();

    for submission in [bad_proof, bad_form, bad_length] {
        for hops_left in [0, 1] {
            let stem = Message::Stem(Stem { hops_left, submission: submission.clone() });
            play.network.deliver(relay, sender, stem.seal(community));
        }
    }
    let too_far = Message::Stem(Stem { hops_left: MAX_HOPS + 1, submission: honest });
    play.network.deliver(relay, sender, too_far.seal(community));
    play.network.run_until(20_000, |_| false);

    assert!(faults(&play, relay).len() >= 5, "{:?}", faults(&play, relay));
    let author = play.host_of(0);
    let to_operators = ways.borrow().values().flatten().filter(|sent| sent.to < 4 && sent.from != author).count();
    assert_eq!(to_operators, 0);
    assert!((0..4).all(|operator| faults(&play, operator).is_empty()));
}

#[test]
fn a_flood_of_stems_is_held_to_its_bounds_and_honest_ones_pass() {
    let mut play = village(3, true).start();
    assert!(play.open());
    let honest = a_submission(&mut play);
    let (relay, flooder, other, community) = (5, 6, 0, play.community.id());
    let ways = listen(&mut play, &[]);
    let stem = Message::Stem(Stem { hops_left: 0, submission: honest }).seal(community);

    for _ in 0..500 {
        play.network.deliver(relay, flooder, stem.clone());
    }
    let refused = faults(&play, relay).len();
    play.network.deliver(relay, other, stem);
    play.network.run_until(3_000, |_| false);

    assert!(faults(&play, relay).iter().all(|fault| matches!(fault, Fault::Bound { .. })));
    assert!(refused >= 500 - 64, "{refused}");
    assert_eq!(faults(&play, relay).len(), refused, "another peer's stem is taken");
    assert!(ways.borrow().values().flatten().filter(|sent| sent.from == relay).count() > 0);
}

#[test]
fn a_contribution_is_given_to_operators_only_and_not_again_at_once() {
    let mut play = village(2, false).start();
    vote(&mut play);
    let body = *play.network.tap.submissions.keys().next().expect("they were sent");
    let (round, community) = (play.poll.round, play.community.id());
    let ways = listen(&mut play, &[]);
    let ask = |operator| Message::SubmissionRequest(SubmissionRequest { round, body, operator, held: false });

    play.network.deliver(0, 4, ask(1).seal(community));
    play.network.deliver(0, 1, ask(3).seal(community));
    assert_eq!(faults(&play, 0), vec![Fault::NotAllowed("a request for a contribution"); 2]);
    assert!(ways.borrow().is_empty());

    for _ in 0..10 {
        play.network.deliver(0, 1, ask(2).seal(community));
    }
    let answers: Vec<usize> = ways.borrow().values().flatten().map(|sent| sent.to).collect();
    assert_eq!(answers, [1]);
}

#[test]
fn an_operator_that_missed_the_votes_asks_one_operator_at_a_time_for_each_body() {
    let mut play = village(2, false).start();
    assert!(play.open());
    play.network.kill(1);
    play.vote_all();
    assert!(play.wait(RoundState::Sealed, 80_000));
    type Asked = BTreeMap<BlobId, Vec<(bool, Timestamp, usize)>>;
    let asked: Rc<RefCell<Asked>> = Rc::default();
    let heard = Rc::clone(&asked);
    play.network.tamper(
        1,
        Box::new(move |out, message| {
            if let Message::SubmissionRequest(it) = &message {
                heard.borrow_mut().entry(it.body).or_default().push((it.held, out.now, out.to));
            }
            vec![(0, message)]
        }),
    );
    play.network.start(1);

    assert!(play.finish().is_some());

    let asked = asked.borrow();
    assert!(!asked.is_empty());
    for requests in asked.values() {
        let bodies: Vec<_> = requests.iter().filter(|(held, ..)| !held).map(|(_, at, _)| *at).collect();
        assert!(bodies.array_windows().all(|[a, b]| b.as_millis() >= a.as_millis() + 1_000), "{requests:?}");
        assert!(requests.len() <= 12, "{requests:?}");
    }
}

#[test]
fn entries_of_one_peer_are_checked_so_often_and_those_of_others_still_are() {
    let mut play = village(2, false).start();
    assert!(play.register());
    let community = play.community.id();
    let key = &play.community.people[0].key;
    let entry = |number: u32| {
        let entry = Entry::Propose(Proposal { poll: PollId::ZERO, text: format!("{number}") });
        Message::Entry(SignedEntry::sign(key, community, entry)).seal(community)
    };

    for number in 0..2_500 {
        play.network.deliver(0, 4, entry(number));
    }
    let over = |fault: &&Fault| matches!(fault, Fault::Bound { what: "entries within a short time", .. });
    let refused = faults(&play, 0).iter().filter(over).count();
    play.network.deliver(0, 5, entry(2_500));

    assert!((400..=452).contains(&refused), "{refused}");
    assert_eq!(faults(&play, 0).iter().filter(over).count(), refused);
}

#[test]
fn a_node_that_meets_a_kind_of_entry_that_it_does_not_know_stops_and_says_upgrade() {
    let mut play = Scenario { operators: 1, ..village(1, false) }.start();
    let (operator, community) = (&play.community.operators[0], play.community.id());
    let opening = SignedEntry::sign(operator, community, play.poll.opening.clone());
    let mut unknown = opening.to_bytes();
    // The tag of the entry, after the author.
    unknown[32] = 0xFE;
    let part = |entry: Vec<u8>| {
        let previous = (*community.as_ref()).into();
        let batch = Batch::new(Height(1), previous, vec![entry]).expect("within bounds");
        let vote = Vote::precommit(Height(1), 0, batch.id(), operator.public());
        let signature = operator.sign(Vote::DOMAIN, &vote.preimage(community));
        let signatures = vec![(operator.public(), signature)];
        let certificate = Certificate { height: Height(1), round: 0, value: batch.id(), signatures };
        Message::Log(LogPart { decisions: vec![Decision { batch, certificate }] }).seal(community)
    };
    assert!(SignedEntry::from_bytes(&unknown).is_err());
    let (unknown, known) = (part(unknown), part(opening.to_bytes()));
    play.network.cut(0, 1, true);

    play.network.deliver(1, 0, unknown);
    play.network.deliver(1, 0, known);
    play.network.run_until(10_000, |_| false);

    let halted: Vec<&String> = play
        .network
        .notices
        .iter()
        .filter_map(|(host, notice)| if let (1, Notice::Halted(why)) = (host, notice) { Some(why) } else { None })
        .collect();
    assert!(matches!(halted.as_slice(), [why] if why.starts_with("upgrade: at height 1")), "{halted:?}");
    assert_eq!(Peer::height(play.network.peer(1)), Height(0));
}
