//! Rounds with classes, from registration to a verified bundle: by an attribute, and by the groups of an earlier round.

use std::collections::BTreeMap;

use chorus_crypto::{
    ballot::Vote,
    codec::{Decode as _, Encode as _},
    credential::{Credential, GroupClaim},
};
use chorus_protocol::{
    audit,
    config::{Attribute, Policy},
    contribution::{Body, CheckedForm, Contributor, Level, verify_all},
    deliberation::tally::Tally,
    fault::Fault,
    ledger::RoundState,
    log::entry::{Census, ClassPlan, ClassSource, EarlierGroups, Entry, PollKind, RoundResult, SignedEntry, Step},
    peer::Command,
    round::{
        classes::{ClassTotals, OTHER},
        report::{Outcome, RoundReport},
    },
};
use chorus_tests::scenario::{Play, Scenario, level_of};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const NORTH: u16 = 1;
const SOUTH: u16 = 2;

fn regions() -> Attribute {
    Attribute::new("region", &["north", "south", "islands"])
}

/// Thirty people: fourteen in the north, ten in the south, six on the islands.
fn region_of(person: usize) -> [u64; 4] {
    match person {
        ..14 => [1, 0, 0, 0],
        14..24 => [2, 0, 0, 0],
        _ => [3, 0, 0, 0],
    }
}

fn scenario() -> Scenario {
    let policy = Policy {
        min_contributions: 10,
        floor: 5,
        group_floor: 20,
        class_floor: 6,
        class_members: 6,
        attributes: vec![regions()],
        ..Policy::default()
    };
    Scenario {
        people: 30,
        items: 3,
        followers: 1,
        kind: PollKind::Value,
        policy,
        attributes: region_of,
        ..Scenario::default()
    }
}

/// What the ballots of some people add up to on each item.
fn tally(play: &Play, people: &[usize]) -> Vec<Tally> {
    let items = play.votes[0].len();
    let mut tallies = vec![Tally::default(); items];
    for person in people {
        for (tally, vote) in tallies.iter_mut().zip(&play.votes[*person]) {
            match vote {
                Vote::Agree => tally.agree += 1,
                Vote::Disagree => tally.disagree += 1,
                Vote::Pass => tally.pass += 1,
                Vote::Unseen => {}
            }
        }
    }
    tallies
}

fn classes(report: &RoundReport) -> Vec<ClassTotals> {
    match &report.outcome {
        Outcome::Classes { classes, .. } => classes.classes.clone(),
        other => panic!("a round with classes ends with {other:?}"),
    }
}

fn verify(play: &Play) {
    let _ = play.assert_restores();
    play.assert_nothing_replays();
    let bundle = play.bundle(0);
    audit::verify(&mut bundle.as_slice(), &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_sum_of_each_class_opens_and_weights_multiply_it() {
    let mut play = scenario().start();
    let plan = ClassPlan { source: ClassSource::Attribute(0), weights: vec![1, 1, 3, 2] };
    play.poll = play.community.poll_by_class("By region?", (PollKind::Value, 3, 20_000), Some(plan));
    // The attester has seen fourteen, ten and six people: all three values may be shown.
    let census = Entry::Census(Census { slot: 0, number: 1, counts: vec![14, 10, 6] });
    let census = SignedEntry::sign(&play.community.attesters[0], play.community.id(), census);
    play.network.command(0, Command::Relay(census));
    assert!(play.open(), "{:?}", play.network.notices);
    for person in 0..30 {
        let votes = play.votes[person].clone();
        // Two of the islanders do not say where they live: four are too few for a class.
        play.vote_as(person, &votes, |contributor| contributor.show_class = person < 28);
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));

    let report = play.report(&result);
    let found = classes(&report);
    let summary: Vec<_> = found.iter().map(|class| (class.class, class.ballots, class.weight)).collect();
    assert_eq!(summary, [(OTHER, 6, 1), (NORTH, 14, 1), (SOUTH, 10, 3)]);
    let people: [Vec<usize>; 3] = [(24..30).collect(), (0..14).collect(), (14..24).collect()];
    for (class, people) in found.iter().zip(&people) {
        assert_eq!(class.totals.items, tally(&play, people), "class {}", class.class);
    }
    let all: Vec<usize> = (0..30).collect();
    assert_eq!(report.totals().map(|totals| totals.items.clone()), Some(tally(&play, &all)));
    let twice: Vec<usize> = people[2].iter().flat_map(|person| [*person; 2]).chain(all).collect();
    assert_eq!(report.groups()[0].items, tally(&play, &twice), "the south counts three times");
    verify(&play);
    blocks_are_no_groups(&play, &report);
}

/// Checks that the blocks of a round by class are not taken for opinion groups.
fn blocks_are_no_groups(play: &Play, report: &RoundReport) {
    let groups = EarlierGroups { round: report.round, k: 1, assignment: vec![0; 30] };
    let plan = ClassPlan { source: ClassSource::Groups(groups), weights: vec![1, 1] };
    let poll = play.community.poll_by_class("By block?", (PollKind::Value, 3, 20_000), Some(plan));
    let mut ledger = play.network.peer(0).ledger().clone();
    let mut say = |entry: &Entry| {
        ledger.apply(&SignedEntry::sign(&play.community.operators[0], play.community.id(), entry.clone()))
    };

    [&poll.opening].into_iter().chain(&poll.proposals).for_each(|entry| say(entry).expect("an honest entry"));
    let refused = say(&poll.plan);

    assert_eq!(refused, Err(Fault::NotAllowed("classes by the groups of a round that looks for none")));
}

/// Plays a round with a map, and returns its result.
fn first_round() -> (Play, RoundResult) {
    let kind = PollKind::Statement;
    let mut play = Scenario { items: 16, kind, people: 30, ..scenario() }.start();
    assert!(play.open());
    play.vote_all();
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    assert!(play.report(&result).map().is_some(), "thirty people on sixteen items have a map");
    (play, result)
}

/// Plans a second round by the groups of the first one, and waits until it is open.
fn open_second(play: &mut Play, report: &RoundReport) {
    let map = report.map().expect("groups");
    let groups = EarlierGroups { round: report.round, k: map.k, assignment: map.assignment.clone() };
    let weights = vec![1; 1 + usize::from(map.k)];
    let plan = ClassPlan { source: ClassSource::Groups(groups), weights };
    play.poll = play.community.poll_by_class("And by group?", (PollKind::Value, 3, 20_000), Some(plan));
    play.votes.iter_mut().for_each(|votes| votes.truncate(3));
    play.scenario.items = 3;
    for entry in
        [play.poll.opening.clone()].into_iter().chain(play.poll.proposals.clone()).chain([play.poll.plan.clone()])
    {
        play.post(0, entry);
        play.network.run_until(500, |_| false);
    }
    assert!(play.wait(RoundState::Open, 60_000), "the second round opens: {:?}", play.network.notices);
}

/// The people of each opinion group; who is in which, only they know, and this test.
fn groups(play: &Play, report: &RoundReport) -> BTreeMap<u16, Vec<usize>> {
    let round = &play.network.peer(0).ledger().rounds()[&report.round];
    let (manifest, sealed) = (round.manifest.as_ref().expect("open"), round.sealed.as_ref().expect("sealed"));
    let map = report.map().expect("groups");
    let mut groups = BTreeMap::<u16, Vec<usize>>::new();
    for (person, somebody) in play.community.people.iter().enumerate() {
        let tag = somebody.leaf.tag(&manifest.scope);
        let ballot = sealed.contributions.iter().position(|it| it.header.tag == tag).expect("everybody voted");
        let block = map.assignment[ballot];
        // Whoever shows their leaf cannot prove a group without showing which ballot was theirs.
        let shows = block < map.k && level_of(person) == Level::Anonymous;
        groups.entry(if shows { u16::from(block) + 1 } else { OTHER }).or_default().push(person);
    }
    groups
}

/// Asserts that no tag of an earlier round is in a body: whoever reads it finds nobody's earlier ballot by it.
fn assert_no_earlier_tag(play: &Play, report: &RoundReport, body: &[u8]) {
    let earlier = &play.network.peer(0).ledger().rounds()[&report.round].contributions;
    assert_eq!(earlier.len(), 30, "everybody voted in the earlier round");
    for tag in earlier.keys() {
        let tag = tag.to_bytes();
        assert!(!body.windows(tag.len()).any(|part| part == tag), "an earlier tag");
    }
}

/// What a ballot claims of its group is the scope and the ring of its class, and nothing else.
fn check_claims(play: &Play, report: &RoundReport) {
    let member = groups(play, report).into_iter().find(|(class, _)| *class != OTHER).expect("a group").1[0];
    let (ledger, round) = (play.network.peer(0).ledger(), play.round().expect("the round"));
    let mut contributor = Contributor::anonymous(&play.community.people[member].leaf);
    contributor.on_map = false;
    let votes = vec![Vote::Agree; play.scenario.items];
    let ballot = contributor.cast(ledger, round, &votes, &mut ChaCha20Rng::seed_from_u64(1)).expect("a ballot");
    assert_no_earlier_tag(play, report, &ballot.body);
    let verdict = |change: fn(&mut GroupClaim)| {
        let mut body = Body::from_bytes(&ballot.body).expect("a body");
        let Credential::Ring(credential) = &mut body.credential else { panic!("an anonymous ballot") };
        change(&mut credential.group.as_mut().expect("a group").claim);
        let form = CheckedForm::new(ledger, &body.to_bytes())?;
        verify_all(ledger, &[&form], &[1; 32]).remove(0).map(drop)
    };

    assert_eq!(verdict(|_| {}), Ok(()));
    assert_eq!(verdict(|claim| claim.scope[0] ^= 1), Err(Fault::Mismatch("the class")));
    assert_eq!(verdict(|claim| claim.ring[0] ^= 1), Err(Fault::Mismatch("the ring of a group")));
}

#[test]
fn an_opinion_group_is_proved_without_showing_whose_ballot_it_was() {
    let (mut play, result) = first_round();
    let report = play.report(&result);
    open_second(&mut play, &report);
    check_claims(&play, &report);
    for person in 0..30 {
        let votes = play.votes[person].clone();
        play.vote_as(person, &votes, |contributor: &mut Contributor<'_>| contributor.on_map = false);
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));

    let sent = play.network.tap.submissions.values();
    let of_the_round = |body: &&Vec<u8>| Body::from_bytes(body).is_ok_and(|body| body.round == play.poll.round);
    let bodies: Vec<&Vec<u8>> = sent.map(|submission| &submission.body).filter(of_the_round).collect();
    assert_eq!(bodies.len(), 30);
    bodies.into_iter().for_each(|body| assert_no_earlier_tag(&play, &report, body));
    let found = classes(&play.report(&result));
    let expected = groups(&play, &report);
    let large = |people: &Vec<usize>| people.len() >= 6;
    assert!(expected.values().all(large), "no merging in this case: {expected:?}");
    assert_eq!(found.len(), expected.len());
    for class in &found {
        assert_eq!(class.totals.items, tally(&play, &expected[&class.class]), "class {}", class.class);
    }
    verify(&play);
}

#[test]
fn after_a_change_of_members_earlier_groups_are_no_classes() {
    let (mut play, result) = first_round();
    let report = play.report(&result);
    let leaver = play.community.people[0].key.clone();
    let leave = chorus_protocol::log::entry::Revocation::leaving(leaver.public(), String::new());
    let leave = SignedEntry::sign(&leaver, play.community.id(), Entry::Revoke(leave));
    play.network.command(0, Command::Relay(leave));
    assert!(play.network.run_until(30_000, |network| network.peer(0).ledger().members().len() == 29));
    open_second(&mut play, &report);
    for person in 1..30 {
        let votes = play.votes[person].clone();
        play.vote(person, 0, &votes);
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));

    let found: Vec<_> = classes(&play.report(&result)).iter().map(|class| (class.class, class.ballots)).collect();
    assert_eq!(found, [(OTHER, 29)]);
    let round = play.round().expect("the round");
    assert!(!round.openings.contains_key(&Step::Groups), "the whole is not opened twice");
    verify(&play);
}
