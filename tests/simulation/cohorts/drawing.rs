//! Convening and dealing: who has a say in which cohort somebody is in, and who has not.

use std::collections::BTreeSet;

use chorus_crypto::{codec::Encode as _, credential::Leaf, hash::Digest, sign::SecretKey};
use chorus_protocol::{
    cohort::{CohortPlan, Convening, Convocation, Dealing, Draw, DrawWord, commitment, lot},
    fault::Fault,
    id::RoundId,
    ledger::{Dealt, Divided, Division},
    log::entry::{BallotPlan, Entry, PollKind, RoundPlan, Subject},
};
use chorus_tests::{
    cohorts::{convening, operators, policy},
    community::{Community, Poll},
    offline::Town,
    restored::restored,
};

/// The seed of the cohorts' operators.
pub(super) const KEYS: u64 = 77;

fn keys(cohorts: usize) -> Vec<Vec<SecretKey>> {
    (0..cohorts).map(|number| operators(KEYS, "", number)).collect()
}

fn plan(poll: &Poll) -> RoundPlan {
    let Entry::Plan(plan) = &poll.plan else { unreachable!("a poll comes with its plan") };
    plan.clone()
}

/// A community of twelve with a poll of two items.
fn asked() -> (Town, Poll) {
    asked_by(12, 12)
}

/// A community of so many people, of whom the first `members` are members, with a poll of two items.
fn asked_by(people: usize, members: usize) -> (Town, Poll) {
    let mut town = Town::new(Community::new(7, 4, people, policy(100)), 7);
    (0..members).for_each(|person| town.register(person, 1).expect("an honest registration"));
    let poll = town.community.poll(PollKind::Statement, 2, 60_000);
    let first = town.community.operators[0].clone();
    for entry in [poll.opening.clone()].into_iter().chain(poll.proposals.clone()) {
        town.say(&first, entry).expect("an honest entry");
    }
    (town, poll)
}

/// An operator's first word.
fn convene(convening: &Convening) -> Entry {
    convene_again(1, convening)
}

fn convene_again(number: u8, convening: &Convening) -> Entry {
    Entry::Convene(Box::new(Convocation { number, convening: convening.clone() }))
}

/// A community whose round is divided, before anything was drawn.
pub(super) fn convened(cohorts: usize) -> (Town, Poll, Vec<Vec<SecretKey>>) {
    let (mut town, poll) = asked();
    let keys = keys(cohorts);
    let entry = convene(&convening(plan(&poll), &keys, false));
    let operators = town.community.operators.clone();
    operators[..3].iter().for_each(|operator| town.say(operator, entry.clone()).expect("an honest convening"));
    (town, poll, keys)
}

/// Divides another round about the same items, among the same operators.
pub(super) fn another(town: &mut Town, poll: &Poll, cohorts: usize) -> RoundId {
    let items = plan(poll).items().to_vec();
    let subject = Subject::Ballots(BallotPlan { poll: poll.poll, number: 2, items });
    let convening = convening(RoundPlan { subject, ..plan(poll) }, &keys(cohorts), false);
    let operators = town.community.operators.clone();
    operators[..3].iter().for_each(|operator| town.say(operator, convene(&convening)).expect("an honest convening"));
    convening.plan.id(town.ledger.community())
}

fn divided(town: &Town, round: RoundId) -> &Divided {
    town.round(round).divided().expect("a divided round")
}

fn draw(
    town: &mut Town,
    operator: usize,
    round: RoundId,
    word: impl FnOnce(&SecretKey, Digest) -> DrawWord,
) -> Result<(), Fault> {
    let key = town.community.operators[operator].clone();
    let word = word(&key, divided(town, round).digest);
    town.say(&key, Entry::Draw(Draw { round, word }))
}

fn commit(key: &SecretKey, convening: Digest) -> DrawWord {
    DrawWord::Committed(commitment(&convening, key.public(), &lot(key, &convening)))
}

fn show(key: &SecretKey, convening: Digest) -> DrawWord {
    DrawWord::Lot(lot(key, &convening))
}

fn deal_now(town: &mut Town, round: RoundId) -> Result<(), Fault> {
    let first = town.community.operators[0].clone();
    town.say(&first, Entry::Deal(Dealing { round }))
}

/// Lets all operators draw, and deals members out.
pub(super) fn deal(town: &mut Town, round: RoundId) {
    town.pass(1);
    (0..4).for_each(|operator| draw(town, operator, round, commit).expect("a commitment"));
    (0..4).for_each(|operator| draw(town, operator, round, show).expect("a lot"));
    deal_now(town, round).expect("all lots are there");
}

#[test]
fn three_of_four_operators_convene_cohorts_and_two_do_not() {
    let (mut town, poll) = asked();
    let entry = convene(&convening(plan(&poll), &keys(3), false));
    let operators = town.community.operators.clone();
    for operator in &operators[..2] {
        town.say(operator, entry.clone()).expect("an honest convening");
        assert!(matches!(town.round(poll.round).division, Division::Due(_)));
        assert!(matches!(town.say(operator, entry.clone()), Err(Fault::Duplicate(_))), "once each");
        let _ = restored(&town.ledger);
    }
    let person = town.community.people[0].key.clone();
    assert!(matches!(town.say(&person, entry.clone()), Err(Fault::NotAllowed(_))), "members do not");

    town.say(&operators[2], entry).expect("an honest convening");

    assert_eq!(divided(&town, poll.round).snapshot.leaves().len(), 12);
    let _ = restored(&town.ledger);
}

#[test]
fn a_vote_on_the_rules_is_not_divided() {
    let (mut town, _) = asked();
    let poll = town.community.poll(PollKind::Amendment, 2, 60_000);
    let first = town.community.operators[0].clone();
    town.say(&first, poll.opening.clone()).expect("an honest entry");

    let refused = town.say(&first, convene(&convening(plan(&poll), &keys(3), false)));

    assert_eq!(refused, Err(Fault::NotAllowed("cohorts of a vote on the rules")));
}

#[test]
fn one_operator_with_other_cohorts_in_mind_holds_nobody_up() {
    let (mut town, poll) = asked();
    let operators = town.community.operators.clone();
    let other = convening(plan(&poll), &keys(2), false);
    let ours = convening(plan(&poll), &keys(3), false);
    town.say(&operators[0], convene(&other)).expect("its own idea");

    operators[1..].iter().for_each(|operator| town.say(operator, convene(&ours)).expect("an honest convening"));

    assert_eq!(*divided(&town, poll.round).convening, ours);
    assert!(matches!(town.say(&operators[0], convene(&other)), Err(Fault::Duplicate(_))));
}

#[test]
fn an_older_word_on_how_a_round_is_divided_is_not_said_again() {
    let (mut town, poll) = asked();
    let operator = town.community.operators[0].clone();
    let [two, three] = [2, 3].map(|cohorts| convening(plan(&poll), &keys(cohorts), false));
    town.say(&operator, convene(&two)).expect("its first idea");
    town.say(&operator, convene_again(2, &three)).expect("its second");
    let before = town.ledger.to_bytes();

    for (what, refused) in [
        ("the first again", town.say(&operator, convene(&two))),
        ("the second again", town.say(&operator, convene_again(2, &three))),
        ("the same under another number", town.say(&operator, convene_again(3, &three))),
        ("one that leaves a number out", town.say(&operator, convene_again(4, &two))),
    ] {
        assert!(refused.is_err(), "{what}");
    }
    assert!(town.ledger.to_bytes() == before, "nothing was taken");
    town.say(&operator, convene_again(3, &two)).expect("back to the first, in turn");
}

#[test]
fn cohorts_that_are_too_small_too_weak_or_too_few_are_refused() {
    let (mut town, poll) = asked();
    let operators = town.community.operators.clone();
    let sound = convening(plan(&poll), &keys(3), false);
    let with = |change: &dyn Fn(&mut Convening)| {
        let mut changed = sound.clone();
        change(&mut changed);
        convene(&changed)
    };
    let before = town.ledger.to_bytes();
    for (what, refused) in [
        ("one cohort", with(&|it| it.cohorts.truncate(1))),
        ("a set of three operators", with(&|it| it.cohorts[1].operators.truncate(3))),
        ("an operator alone, who tolerates no fault", with(&|it| it.cohorts[1].operators.truncate(1))),
        ("an operator twice", with(&|it| it.cohorts[1].operators[1] = it.cohorts[1].operators[0])),
        (
            "items that are not asked",
            with(&|it| {
                it.plan.subject =
                    Subject::Ballots(BallotPlan { items: Vec::new(), ..it.plan.ballots().expect("ballots").clone() })
            }),
        ),
        ("too many cohorts", with(&|it| it.cohorts = vec![it.cohorts[0].clone(); 129])),
    ] {
        assert!(town.say(&operators[0], refused).is_err(), "{what}");
        assert!(town.ledger.to_bytes() == before, "{what} changes nothing");
    }
    // Four cohorts of three people are smaller than what may be shown of anybody; only then is it known how many there are.
    let four = convene(&convening(plan(&poll), &keys(4), false));
    for operator in &operators[..2] {
        town.say(operator, four.clone()).expect("nobody has counted yet");
    }
    assert!(matches!(town.say(&operators[2], four), Err(Fault::NotAllowed(_))));
    assert!(town.round(poll.round).divided().is_none());
}

#[test]
fn a_round_that_is_planned_as_one_is_not_divided() {
    let (mut town, poll) = asked();
    let first = town.community.operators[0].clone();
    town.say(&first, poll.plan.clone()).expect("a plan");

    let refused = town.say(&first, convene(&convening(plan(&poll), &keys(3), false)));

    assert!(matches!(refused, Err(Fault::NotAllowed(_))));
}

#[test]
fn a_lot_needs_its_commitment_and_none_is_made_after_the_first() {
    let (mut town, poll, _) = convened(3);
    let round = poll.round;
    assert!(matches!(draw(&mut town, 0, round, commit), Err(Fault::Phase(_))), "before the clocks were read");
    town.pass(1);
    draw(&mut town, 0, round, commit).expect("a commitment");
    assert!(matches!(draw(&mut town, 0, round, commit), Err(Fault::Duplicate(_))));
    assert!(matches!(draw(&mut town, 0, round, show), Err(Fault::Quorum { .. })), "others could choose theirs by it");
    draw(&mut town, 1, round, commit).expect("a commitment");
    draw(&mut town, 2, round, commit).expect("a commitment");
    assert!(matches!(draw(&mut town, 0, round, show), Err(Fault::Early { .. })), "the fourth has time");
    town.pass(5_000);
    assert!(matches!(draw(&mut town, 3, round, show), Err(Fault::NotAllowed(_))));
    assert!(matches!(draw(&mut town, 1, round, |_, _| DrawWord::Lot([9; 32])), Err(Fault::Mismatch(_))), "another lot");

    draw(&mut town, 0, round, show).expect("a lot");

    assert!(matches!(draw(&mut town, 3, round, commit), Err(Fault::Phase(_))));
    assert_eq!(divided(&town, round).lots.len(), 1);
}

#[test]
fn time_that_passes_before_operators_are_of_one_mind_shortens_no_grace() {
    let (mut town, poll) = asked();
    let entry = convene(&convening(plan(&poll), &keys(3), false));
    let operators = town.community.operators.clone();
    town.say(&operators[0], entry.clone()).expect("an honest convening");
    town.pass(1);
    town.pass(100_000);
    operators[1..3].iter().for_each(|operator| town.say(operator, entry.clone()).expect("an honest convening"));
    town.pass(1);

    (0..3).for_each(|operator| draw(&mut town, operator, poll.round, commit).expect("a commitment"));

    assert!(matches!(draw(&mut town, 0, poll.round, show), Err(Fault::Early { .. })), "the fourth has its time");
}

#[test]
fn whoever_repeats_anothers_commitment_cannot_show_its_lot() {
    let (mut town, poll, _) = convened(3);
    town.pass(1);
    let victim = town.community.operators[0].clone();
    (0..3).for_each(|operator| draw(&mut town, operator, poll.round, commit).expect("a commitment"));
    draw(&mut town, 3, poll.round, |_, convening| commit(&victim, convening)).expect("it looks like one");
    draw(&mut town, 0, poll.round, show).expect("a lot");

    let repeated = draw(&mut town, 3, poll.round, |_, convening| show(&victim, convening));

    assert_eq!(repeated, Err(Fault::Mismatch("the commitment to a lot")));
}

#[test]
fn a_lot_that_is_withheld_is_awaited_and_then_left_out() {
    let (mut town, poll, _) = convened(3);
    let round = poll.round;
    town.pass(1);
    (0..4).for_each(|operator| draw(&mut town, operator, round, commit).expect("a commitment"));
    draw(&mut town, 0, round, show).expect("a lot");
    assert!(matches!(deal_now(&mut town, round), Err(Fault::Quorum { .. })), "one lot may be a liar's");
    (1..3).for_each(|operator| draw(&mut town, operator, round, show).expect("a lot"));
    assert!(matches!(deal_now(&mut town, round), Err(Fault::Early { .. })));

    town.pass(10_000);
    deal_now(&mut town, round).expect("without the fourth");

    let without = divided(&town, round).dealt.clone().expect("dealt out");
    assert!(matches!(draw(&mut town, 3, round, show), Err(Fault::Phase(_))), "too late to change anything");
    assert!(matches!(deal_now(&mut town, round), Err(Fault::Duplicate(_))));
    // The withheld lot is all that its operator could decide: with it, everybody would be dealt out otherwise.
    let (mut other, poll, _) = convened(3);
    deal(&mut other, poll.round);
    let with = divided(&other, poll.round).dealt.clone().expect("dealt out");
    assert_ne!(with.beacon, without.beacon);
    let sizes: Vec<usize> = with.cohorts.iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 4, 4]);
    let _ = restored(&town.ledger);
}

#[test]
fn who_names_the_cohorts_changes_the_draw_with_every_change() {
    let (town, poll) = asked();
    let community = town.ledger.community();
    let sound = convening(plan(&poll), &keys(3), false);
    let later = Convening { wait_millis: 60_001, ..sound.clone() };
    let swapped =
        Convening { cohorts: sound.cohorts.iter().rev().cloned().collect::<Vec<CohortPlan>>(), ..sound.clone() };
    let dealt = |convening: &Convening| {
        let (mut town, poll) = asked();
        let operators = town.community.operators.clone();
        operators[..3].iter().for_each(|operator| town.say(operator, convene(convening)).expect("an honest convening"));
        deal(&mut town, poll.round);
        let divided = divided(&town, poll.round);
        let origin = divided.origin(community, 0);
        let ids = [0, 1, 2].map(|number| chorus_protocol::cohort::Origin { number, ..origin }.community());
        (divided.dealt.clone().expect("dealt out"), ids)
    };

    let all = [&sound, &later, &swapped].map(dealt);

    assert_eq!(all[0], dealt(&sound), "nothing else decides");
    let together = |(dealt, _): &(Dealt, _)| {
        let mut cohorts = dealt.cohorts.to_vec();
        cohorts.sort_unstable();
        cohorts
    };
    let distinct = |count: usize, found: BTreeSet<Vec<Vec<Leaf>>>| assert_eq!(found.len(), count);
    assert_eq!(all.iter().map(|(dealt, _)| dealt.beacon).collect::<BTreeSet<_>>().len(), 3);
    distinct(3, all.iter().map(|(dealt, _)| dealt.cohorts.to_vec()).collect());
    // Nor is it the same company under other names.
    distinct(3, all.iter().map(together).collect());
    let ids: BTreeSet<_> = all.iter().flat_map(|(_, ids)| *ids).chain([community]).collect();
    assert_eq!(ids.len(), 10, "every cohort of every convening is a community of its own");
}

#[test]
fn who_registers_once_the_cohorts_are_named_is_dealt_nowhere_and_moves_nobody() {
    let dealt = |registers: bool| {
        let (mut town, poll) = asked_by(13, 12);
        let operators = town.community.operators.clone();
        let convening = convening(plan(&poll), &keys(3), false);
        operators[..2].iter().for_each(|operator| town.say(operator, convene(&convening)).expect("a convening"));
        town.say(&operators[2], convene(&convening)).expect("it is agreed on");
        if registers {
            town.register(12, 1).expect("an honest registration");
            assert_eq!(town.ledger.members().len(), 13);
        }
        deal(&mut town, poll.round);
        let late = town.community.people[12].leaf.leaf();
        (divided(&town, poll.round).dealt.clone().expect("dealt out"), late)
    };

    let ((with, late), (without, _)) = (dealt(true), dealt(false));

    assert_eq!(with.cohorts.iter().flatten().count(), 12);
    assert!(with.cohorts.iter().flatten().all(|leaf| *leaf != late));
    assert_eq!(with, without);
}
