//! Deltas that are refused, each by name.

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    delta::{DeltaError, Proof},
};
use chorus_protocol::{
    adapter::manifest::{AdapterManifest, Encoding, Noise, Ratio, Schedule},
    contribution::{Body, Content, ContributeError, Contributor, DeltaContent, Submission},
    fault::Fault,
    id::{BlobId, RoundId},
    limits,
    log::entry::{DeltaPlan, Entry, RoundPlan, RoundResult, Subject},
};
use chorus_tests::{
    adapters::{ENTRIES, delta, manifest},
    community::Community,
    malice::forge::{self, delta::Forgery},
    offline::Town,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// A town with an open round of deltas.
fn open(manifest: &AdapterManifest) -> (Town, RoundId) {
    let mut town = Town::new(Community::new(1, 5, 4, chorus_protocol::config::Policy::default()), 1);
    town.register_all();
    let first = town.community.operators[0].clone();
    let community = town.community.id();
    town.say(&first, Entry::Series(manifest.clone())).expect("a series");
    let deltas = town.ledger.next_deltas(manifest.id(community)).expect("the first round");
    let plan = plan(deltas);
    let round = plan.id(community);
    town.open_round(round, [Entry::Plan(plan)]).expect("honest entries");
    (town, round)
}

fn plan(deltas: DeltaPlan) -> RoundPlan {
    RoundPlan { subject: Subject::Deltas(deltas), duration_millis: 60_000, key_grace_millis: 2_000, classes: None }
}

fn contribute(town: &Town, round: RoundId, person: usize, entries: &[i32]) -> Result<Submission, ContributeError> {
    let contributor = Contributor::anonymous(&town.community.people[person].leaf);
    let mut rng = ChaCha20Rng::seed_from_u64(person as u64);
    contributor.contribute(&town.ledger, town.round(round), entries, &mut rng)
}

fn body(submission: &Submission) -> Body {
    Body::from_bytes(&submission.body).expect("a body")
}

fn content(body: &mut Body) -> &mut DeltaContent {
    match &mut body.content {
        Content::Delta(content) => content,
        Content::Ballot(_) | Content::Withdrawal => panic!("a delta"),
    }
}

/// A manifest that is the same but for the bound: what somebody would use who denies theirs.
fn with_bound(bound: u32) -> AdapterManifest {
    AdapterManifest { encoding: Encoding { bound, ..manifest().encoding }, ..manifest() }
}

#[test]
fn an_honest_delta_is_taken_by_all_operators() {
    let (town, round) = open(&manifest());
    let submission = contribute(&town, round, 0, &delta(1, 0)).expect("a delta");

    let verdicts = town.check_private(&submission).expect("the public part holds");

    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
}

#[test]
fn a_delta_at_the_bound_is_taken_and_one_above_it_cannot_be_made() {
    let (town, round) = open(&manifest());
    let single = |value: i32| {
        let mut entries = vec![0; ENTRIES];
        entries[17] = value;
        entries
    };
    let bound = 1 << 18;

    assert!(town.check(&contribute(&town, round, 0, &single(bound)).expect("at the bound")).is_ok());
    assert_eq!(contribute(&town, round, 0, &single(bound + 1)).err(), Some(ContributeError::Norm { bound: 1 << 18 }));
    assert_eq!(contribute(&town, round, 0, &single(-bound - 1)).err(), Some(ContributeError::Norm { bound: 1 << 18 }));
    let short = contribute(&town, round, 0, &[0; ENTRIES - 1]).err();
    assert_eq!(short, Some(ContributeError::Entries { expected: ENTRIES, found: ENTRIES - 1 }));
}

/// Somebody proves another bound, and then says it was this round's: B + 1, and one huge entry.
#[test]
fn a_proof_of_another_bound_is_refused() {
    let huge = (1 << 28) - 1;
    let wide = Encoding { bound: (1 << 31) - 1, lane_bits: 40, ..manifest().encoding };
    let cases = [
        ("B + 1", with_bound((1 << 18) + 1).encoding, (1 << 18) + 1, Fault::Proof),
        ("a huge entry", with_bound(huge).encoding, i32::try_from(huge).expect("28 bits"), Fault::Proof),
        ("an entry wider than a lane", wide, i32::MIN + 1, Fault::Mismatch("the contribution's shape")),
    ];
    for (what, encoding, entry, fault) in cases {
        let (town, round) = open(&manifest());
        let (elsewhere, other) = open(&AdapterManifest { encoding, ..manifest() });
        let mut entries = vec![0; ENTRIES];
        entries[3] = entry;
        let mut submission = contribute(&elsewhere, other, 0, &entries).expect("within the other bound");
        let mut body = body(&submission);
        body.round = round;
        submission.body = body.to_bytes();

        let verdict = town.check(&submission).map(|_| ());

        assert_eq!(verdict, Err(fault), "{what}");
    }
}

#[test]
fn somebody_elses_proof_is_refused() {
    let (town, round) = open(&manifest());
    let theirs = contribute(&town, round, 0, &delta(1, 0)).expect("a delta");
    let mut own = contribute(&town, round, 1, &delta(1, 1)).expect("a delta");

    let mut stolen = body(&own);
    content(&mut stolen).proof = content(&mut body(&theirs)).proof.clone();
    own.body = stolen.to_bytes();
    let copied = Submission { body: Body { tag: stolen.tag, ..body(&theirs) }.to_bytes(), ..theirs };

    assert_eq!(town.check(&own).map(|_| ()), Err(Fault::Proof));
    assert!(town.check(&copied).is_err());
}

#[test]
fn boxes_or_a_masked_vector_that_are_not_those_committed_to_are_refused_by_all_operators() {
    let (town, round) = open(&manifest());
    let submission = contribute(&town, round, 0, &delta(1, 0)).expect("a delta");
    let mut swapped = submission.clone();
    swapped.boxes.swap(1, 2);
    let mut wrong = submission;
    wrong.masked[7] += chorus_crypto::Scalar::ONE;

    for (submission, what) in [(swapped, "the boxes"), (wrong, "the masked vector")] {
        let verdicts = town.check_private(&submission).expect("the public part holds");
        assert_eq!(verdicts, vec![Err(Fault::Mismatch(what)); 5]);
    }
}

/// A delta that its author made by the letter, but that the boxes of these operators hold other seeds than those that mask it.
fn misleading(town: &Town, round: RoundId, person: usize, astray: &[u8]) -> Submission {
    let forgery = Forgery { astray, ..Forgery::none(manifest().encoding.bound) };
    let (leaf, mut rng) = (&town.community.people[person].leaf, ChaCha20Rng::seed_from_u64(person as u64));
    forge::delta::contribute((&town.ledger, town.round(round)), leaf, &delta(1, person), forgery, &mut rng)
}

#[test]
fn a_wrong_seed_to_one_operator_is_seen_by_that_one() {
    let (town, round) = open(&manifest());
    let wrong = Err(Fault::Seeds("a seed is not the one committed to"));

    for astray in [vec![], vec![1], vec![3], vec![5], vec![2, 4]] {
        let submission = misleading(&town, round, 0, &astray);
        let verdicts = town.check_private(&submission).expect("the public part holds");
        let expected: Vec<_> =
            (1..=5).map(|operator| if astray.contains(&operator) { wrong.clone() } else { Ok(()) }).collect();
        assert_eq!(verdicts, expected, "{astray:?}");
    }
}

#[test]
fn a_projection_that_is_too_large_is_named() {
    let (town, round) = open(&manifest());
    let mut submission = contribute(&town, round, 0, &delta(1, 0)).expect("a delta");
    let mut body = body(&submission);
    let proof = &mut content(&mut body).proof;
    let mut bytes = proof.to_bytes();
    // The auxiliary commitments, and how many projections follow; each has sixteen bytes.
    let fifth = 4 + 32 * proof.auxiliary.len() + 4 + 5 * 16;
    bytes[fifth..fifth + 16].copy_from_slice(&(1i128 << 110).to_be_bytes());
    *proof = Proof::from_bytes(&bytes).expect("a proof");
    submission.body = body.to_bytes();

    let verdict = town.check(&submission).map(|_| ());

    assert!(matches!(verdict, Err(Fault::Delta(DeltaError::Projection(5)))), "{verdict:?}");
}

#[test]
fn a_ballot_is_no_delta_and_a_delta_no_ballot() {
    let (mut town, round) = open(&manifest());
    let submission = contribute(&town, round, 0, &delta(1, 0)).expect("a delta");
    let poll = town.community.poll(chorus_protocol::log::entry::PollKind::Value, 2, 60_000);
    town.open(&poll).expect("honest entries");
    let votes = [chorus_crypto::ballot::Vote::Agree; 2];
    let contributor = Contributor::anonymous(&town.community.people[0].leaf);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let ballot = contributor.cast(&town.ledger, town.round(poll.round), &votes, &mut rng).expect("a ballot");
    let moved = |submission: &Submission, round| {
        let body = Body { round, on_map: false, ..body(submission) };
        Submission { body: body.to_bytes(), ..submission.clone() }
    };

    assert_eq!(town.check(&moved(&submission, poll.round)).err(), Some(Fault::Mismatch("what is contributed")));
    assert_eq!(town.check(&moved(&ballot, round)).err(), Some(Fault::Mismatch("what is contributed")));
    let entries = contribute(&town, poll.round, 0, &delta(1, 0)).err();
    assert_eq!(entries, Some(ContributeError::Kind("ballots")));
}

/// What somebody does to a manifest.
type Change = fn(&mut AdapterManifest);

#[test]
fn a_series_that_could_not_be_summed_is_refused() {
    let changes: [(&str, Change); 16] = [
        ("no name", |it| it.name.clear()),
        ("a name that nobody reads", |it| it.name = "x".repeat(limits::MAX_NAME_BYTES + 1)),
        ("a masked vector that no message holds", |it| {
            it.adapted.layers = 48_000;
            it.encoding = Encoding { bound: 1 << 18, lane_bits: 62, ..it.encoding };
        }),
        ("no target", |it| it.adapted.targets.clear()),
        ("a target twice", |it| it.adapted.targets.push(it.adapted.targets[0].clone())),
        ("rank 0", |it| it.adapted.rank = 0),
        ("a target without inputs", |it| it.adapted.targets[0].inputs = 0),
        ("more rows of A than a target has inputs", |it| it.adapted.targets[1].inputs = u32::from(it.adapted.rank) - 1),
        ("units that the weights cannot tell apart", |it| it.encoding.fraction_bits = limits::MAX_FRACTION_BITS + 1),
        ("a bound that fills a lane", |it| it.encoding.bound = 1 << 30),
        ("lanes wider than a sum", |it| it.encoding.lane_bits = 63),
        ("no step", |it| it.schedule.step = Ratio { numerator: 0, denominator: 1 }),
        ("noise without room", |it| it.noise = Some(Noise { clip: 1 << 18, thousandths: 1_000, honest: 3 })),
        ("noise that counts on more people than a block has", |it| {
            it.noise = Some(Noise { clip: 1 << 8, thousandths: 1_000, honest: 3 });
        }),
        ("no rounds", |it| it.schedule = Schedule { rounds: 0, ..it.schedule }),
        ("millions of entries", |it| it.adapted.layers = 60_000),
    ];
    for (what, change) in changes {
        let (mut town, _) = open(&manifest());
        let mut other = manifest();
        change(&mut other);
        let operator = town.community.operators[1].clone();

        assert!(town.say(&operator, Entry::Series(other)).is_err(), "{what}");
    }
}

#[test]
fn another_operator_cannot_use_up_the_rounds_of_a_series() {
    let (mut town, _) = open(&manifest());
    let (founder, other) = (town.community.operators[0].clone(), town.community.operators[1].clone());
    let mut another = manifest();
    another.name = "other".into();
    town.say(&founder, Entry::Series(another.clone())).expect("another series");
    let first = town.ledger.next_deltas(another.id(town.community.id())).expect("the first round");

    let verdict = town.say(&other, Entry::Plan(RoundPlan { duration_millis: 1, ..plan(first) }));

    assert!(matches!(verdict, Err(Fault::NotAllowed(_))), "{verdict:?}");
    assert_eq!(town.say(&founder, Entry::Plan(plan(first))), Ok(()));
}

/// Seals a round that nobody contributed to, and lets operators state a result each.
fn finish(town: &mut Town, round: RoundId, results: &[(usize, &[u8])]) {
    town.seal(round);
    let operators = town.community.operators.clone();
    for (operator, result) in results {
        let result = RoundResult { round, result: BlobId::of(result), follows: None };
        town.say(&operators[*operator], Entry::Result(result)).expect("a result");
    }
}

#[test]
fn a_result_that_f_plus_one_operators_state_is_not_replaced_by_another() {
    let (mut town, round) = open(&manifest());

    finish(&mut town, round, &[(3, b"first"), (4, b"first"), (0, b"second"), (1, b"second"), (2, b"second")]);

    let agreed = town.round(round).agreed_result().map(|result| result.result);
    assert_eq!(agreed, Some(BlobId::of(b"first")));
}

#[test]
fn a_run_goes_on_as_it_began_and_the_next_one_waits_for_its_time() {
    let slow = Schedule { every_millis: Some(10_000_000), ..manifest().schedule };
    let (mut town, first) = open(&AdapterManifest { schedule: slow, ..manifest() });
    let series = town.round(first).plan.deltas().expect("deltas").series;
    let (founder, other) = (town.community.operators[0].clone(), town.community.operators[1].clone());
    finish(&mut town, first, &[(0, b"none"), (1, b"none")]);
    let second = plan(town.ledger.next_deltas(series).expect("the second round"));

    let shorter = Entry::Plan(RoundPlan { duration_millis: 1, ..second.clone() });
    assert!(matches!(town.say(&founder, shorter), Err(Fault::Phase(_))), "not even the founder changes a run");
    let round = second.id(town.community.id());
    town.say(&other, Entry::Plan(second)).expect("anybody goes on with it");
    town.open_round(round, []).expect("honest entries");
    finish(&mut town, round, &[(0, b"none"), (1, b"none")]);
    let third = plan(town.ledger.next_deltas(series).expect("the third round"));
    let early = town.say(&founder, Entry::Plan(third.clone()));
    assert!(matches!(early, Err(Fault::Early { .. })), "{early:?}");
    town.pass(10_000_000);
    assert_eq!(town.say(&founder, Entry::Plan(third)), Ok(()));
}

#[test]
fn a_round_is_planned_in_its_turn_and_from_what_was_adopted() {
    let (mut town, _) = open(&manifest());
    let (series, operator) = (manifest().id(town.community.id()), town.community.operators[1].clone());
    let early = DeltaPlan { series, number: 2, start: None };
    assert_eq!(town.say(&operator, Entry::Plan(plan(early))), Err(Fault::Phase("the next round of a series")));
    let mut other = manifest();
    other.name = "other".into();
    town.say(&operator, Entry::Series(other.clone())).expect("another series");
    let series = other.id(town.community.id());
    let wrong = DeltaPlan { series, number: 1, start: Some([1; 32].into()) };
    let later = DeltaPlan { series, number: 2, start: None };

    let verdicts = [wrong, later].map(|deltas| town.say(&operator, Entry::Plan(plan(deltas))));

    let expected = ["the adapter that a round starts from", "the round's number"];
    assert_eq!(verdicts, expected.map(|what| Err(Fault::Mismatch(what))));
    let member = town.community.people[0].key.clone();
    let by_member = town.say(&member, Entry::Series(manifest()));
    assert_eq!(by_member, Err(Fault::NotAllowed("a series of adapter rounds")));
}

#[test]
fn a_sum_that_could_leave_its_lane_is_not_begun() {
    // Three deltas of this bound fit; the town has four members.
    let bound = (1 << 30) / 3 - 1;
    let mut town = Town::new(Community::new(1, 5, 4, chorus_protocol::config::Policy::default()), 1);
    town.register_all();
    let operator = town.community.operators[0].clone();
    let manifest = with_bound(bound);
    town.say(&operator, Entry::Series(manifest.clone())).expect("a series");
    let deltas = town.ledger.next_deltas(manifest.id(town.community.id())).expect("the first round");

    let verdict = town.say(&operator, Entry::Plan(plan(deltas)));

    assert_eq!(verdict, Err(Fault::Bound { what: "members of an adapter round", bound: 3, found: 4 }));
}
