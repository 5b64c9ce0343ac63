//! What a log refuses of cohorts' results, and what a cohort's log refuses: one honest case, and each attack beside it.

use chorus_crypto::{
    ballot::Vote,
    sign::{SecretKey, Signature},
};
use chorus_protocol::{
    cohort::{CohortResult, Sums},
    contribution::{ContributeError, Contributor},
    deliberation::tally::Tally,
    fault::Fault,
    id::{BlobId, RoundId},
    ledger::Ledger,
    log::entry::{Entry, PollKind, PollOpening, RoundClosing, RoundKey, RoundResult, SignedEntry},
};
use chorus_tests::{
    community::{Community, Poll},
    offline::Town,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::drawing;

/// Returns a certificate of sums, signed by some operators of a cohort, as they come.
pub(super) fn signed(
    cohort: &Ledger,
    operators: &[SecretKey],
    (number, round): (u16, RoundId),
    sums: Sums,
) -> CohortResult {
    let own = *cohort.rounds().keys().next().expect("a cohort has its round");
    let result = RoundResult { round: own, result: BlobId::of(b"a report"), follows: Some(sums.id()) };
    let charter = cohort.charter();
    let sign = |key: &SecretKey| {
        let entry = SignedEntry::sign(key, cohort.community(), Entry::Result(result.clone()));
        (charter.operator(&entry.author).unwrap_or(u8::MAX), entry.signature)
    };
    let signatures: Vec<(u8, Signature)> = operators.iter().map(sign).collect();
    CohortResult { round, number, result, signatures, sums }
}

/// A round dealt out to three cohorts of four people each.
struct Scene {
    town: Town,
    poll: Poll,
    keys: Vec<Vec<SecretKey>>,
}

impl Scene {
    fn new() -> Self {
        let (mut town, poll, keys) = drawing::convened(3);
        drawing::deal(&mut town, poll.round);
        Self { town, poll, keys }
    }

    fn cohort(&self, number: u16) -> Ledger {
        self.town.ledger.cohort(&self.poll.round, number).expect("members have been dealt out")
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums { contributions: 4, ..Sums::none(2) };
        sums.totals.items[0] = Tally { agree: 3, disagree: 1, pass: 0 };
        sums
    }

    /// The result of a cohort, by three of its four operators.
    fn honest(&self, number: u16) -> CohortResult {
        self.by(&self.keys[usize::from(number)][..3], number, self.sums())
    }

    fn by(&self, keys: &[SecretKey], number: u16, sums: Sums) -> CohortResult {
        signed(&self.cohort(number), keys, (number, self.poll.round), sums)
    }

    fn say(&mut self, result: CohortResult) -> Result<(), Fault> {
        let anybody = SecretKey::from_seed(&[0xAB; 32]);
        let before = format!("{:?}", self.town.ledger);
        let said = self.town.say(&anybody, Entry::CohortResult(Box::new(result)));
        assert!(said.is_ok() || format!("{:?}", self.town.ledger) == before, "what is refused changes nothing");
        said
    }

    fn counted(&self) -> u64 {
        self.town.round(self.poll.round).divided().expect("divided").sums().contributions
    }
}

#[test]
fn anybody_may_show_a_certified_result_and_it_counts_once() {
    let mut scene = Scene::new();

    assert_eq!(scene.say(scene.honest(0)), Ok(()));

    assert_eq!(scene.counted(), 4);
    let again = Sums { contributions: 3, ..Sums::none(2) };
    for twice in [scene.honest(0), scene.by(&scene.keys[0][1..], 0, again)] {
        assert_eq!(scene.say(twice), Err(Fault::Duplicate("this cohort's result")));
    }
    assert_eq!(scene.counted(), 4);
}

#[test]
fn fewer_than_a_quorum_certify_nothing() {
    let mut scene = Scene::new();
    for count in 0..3 {
        let few = scene.by(&scene.keys[0][..count], 0, scene.sums());
        assert!(matches!(scene.say(few), Err(Fault::NotAllowed(_))), "{count} of four");
    }
    // One of them twice, or in another order, makes no third.
    let (a, b) = (&scene.keys[0][0], &scene.keys[0][1]);
    let twice = scene.by(&[a.clone(), b.clone(), b.clone()], 0, scene.sums());
    assert_eq!(scene.say(twice), Err(Fault::Mismatch("the order of a cohort's signatures")));
}

#[test]
fn a_signature_of_somebody_else_certifies_nothing() {
    let mut scene = Scene::new();
    let mut forged = scene.honest(0);
    let other = scene.by(&scene.keys[1][..1], 0, scene.sums());
    forged.signatures[2].1 = other.signatures[0].1;
    assert!(matches!(scene.say(forged), Err(Fault::Signature(_))));
    let mut unknown = scene.honest(0);
    unknown.signatures[2].0 = 9;
    assert_eq!(scene.say(unknown), Err(Fault::NotAllowed("a signature of no operator")));
    // The parent's own operators speak for no cohort.
    let keys: Vec<SecretKey> = scene.town.community.operators[..3].to_vec();
    let parents = CohortResult {
        signatures: (1..).zip(scene.by(&keys, 0, scene.sums()).signatures.into_iter().map(|(_, it)| it)).collect(),
        ..scene.by(&keys, 0, scene.sums())
    };
    assert!(matches!(scene.say(parents), Err(Fault::Signature(_))));
}

#[test]
fn a_result_of_another_cohort_counts_for_nobody_else() {
    let mut scene = Scene::new();
    let of_other = CohortResult { number: 1, ..scene.honest(0) };
    assert_eq!(scene.say(of_other), Err(Fault::Mismatch("the round of a cohort's result")));
    // With the round of the cohort that it is to be of, the signatures are of another text.
    let of_one = scene.honest(1).result;
    let renamed = CohortResult { number: 1, result: of_one, ..scene.honest(0) };
    assert!(matches!(scene.say(renamed), Err(Fault::Signature(_))));
    let nobody = CohortResult { number: 3, ..scene.honest(0) };
    assert!(matches!(scene.say(nobody), Err(Fault::NotAllowed(_))));
}

#[test]
fn a_result_of_another_convening_does_not_count() {
    let mut scene = Scene::new();
    let earlier = scene.honest(0);
    // The same people, operators and items once more.
    let next = drawing::another(&mut scene.town, &scene.poll, 3);
    drawing::deal(&mut scene.town, next);

    let replayed = CohortResult { round: next, ..earlier };

    assert_eq!(scene.say(replayed), Err(Fault::Mismatch("the round of a cohort's result")));
}

#[test]
fn sums_that_are_not_those_stated_or_over_a_bound_are_refused() {
    let mut scene = Scene::new();
    let altered = CohortResult { sums: Sums { contributions: 3, ..Sums::none(2) }, ..scene.honest(0) };
    assert_eq!(scene.say(altered), Err(Fault::Mismatch("the sums that follow from a cohort's result")));
    let mut stuffed = scene.sums();
    stuffed.totals.items[1] = Tally { agree: 5, disagree: 0, pass: 0 };
    for impossible in [
        Sums { contributions: 5, ..scene.sums() },
        Sums { unopened: 1, ..scene.sums() },
        Sums { missing: 1, ..scene.sums() },
        Sums { contributions: u64::MAX, unopened: 1, ..scene.sums() },
        stuffed,
    ] {
        let said = scene.by(&scene.keys[0][..3], 0, impossible.clone());
        assert!(matches!(scene.say(said), Err(Fault::Bound { .. })), "{impossible:?}");
    }
    let other_items = scene.by(&scene.keys[0][..3], 0, Sums { contributions: 4, ..Sums::none(3) });
    assert_eq!(scene.say(other_items), Err(Fault::Mismatch("the items of a cohort's sums")));
}

#[test]
fn what_comes_before_the_deal_waits_and_what_comes_late_is_refused() {
    let mut scene = Scene::new();
    let (mut undealt, poll, _) = drawing::convened(3);
    let anybody = SecretKey::from_seed(&[0xAB; 32]);
    let early = CohortResult { round: poll.round, ..scene.honest(0) };
    assert!(matches!(undealt.say(&anybody, Entry::CohortResult(Box::new(early))), Err(Fault::Phase(_))));

    let first = scene.town.community.operators[0].clone();
    let close = Entry::Close(RoundClosing { round: scene.poll.round });
    assert_eq!(scene.say(scene.honest(0)), Ok(()));
    assert!(matches!(scene.town.say(&first, close.clone()), Err(Fault::Early { .. })), "one of three has a result");
    scene.town.pass(60_001);
    assert_eq!(scene.town.say(&first, close), Ok(()));

    assert!(matches!(scene.say(scene.honest(1)), Err(Fault::NotAllowed(_))));
    assert_eq!(scene.counted(), 4);
}

#[test]
fn a_round_that_is_complete_closes_before_its_deadline() {
    let mut scene = Scene::new();
    for number in 0..3 {
        assert_eq!(scene.say(scene.honest(number)), Ok(()));
    }
    let first = scene.town.community.operators[0].clone();

    assert_eq!(scene.town.say(&first, Entry::Close(RoundClosing { round: scene.poll.round })), Ok(()));

    assert_eq!(scene.town.round(scene.poll.round).counted(), 12);
}

#[test]
fn the_parent_collects_and_opens_nothing_itself() {
    let mut scene = Scene::new();
    let key = chorus_crypto::seal::SealSecret::random(&mut ChaCha20Rng::from_seed([1; 32])).public();
    let first = scene.town.community.operators[0].clone();

    let refused = scene.town.say(&first, Entry::RoundKey(RoundKey { round: scene.poll.round, key }));

    assert!(matches!(refused, Err(Fault::NotAllowed(_))));
}

/// The log of a cohort in the hands of its operators.
fn town_of(scene: &Scene, number: u16) -> (Town, RoundId) {
    let base = scene.cohort(number);
    let round = *base.rounds().keys().next().expect("a cohort has its round");
    let empty = Community::new(1, 4, 0, scene.town.community.genesis.policy.clone());
    let operators = scene.keys[usize::from(number)].clone();
    let mut town = Town::new(Community { operators, genesis: scene.town.community.genesis.clone(), ..empty }, 5);
    town.ledger = base;
    town.open_round(round, []).expect("a cohort's round opens like any other");
    (town, round)
}

#[test]
fn nobody_votes_in_two_cohorts() {
    let scene = Scene::new();
    let mut towns: Vec<(Town, RoundId)> = (0..3).map(|number| town_of(&scene, number)).collect();
    let votes = vec![Vote::Agree; 2];
    for person in &scene.town.community.people {
        let mut rng = person.rng.clone();
        let casts: Vec<_> = towns
            .iter()
            .map(|(town, round)| {
                Contributor::anonymous(&person.leaf).cast(&town.ledger, town.round(*round), &votes, &mut rng)
            })
            .collect();
        let admitted: Vec<usize> = (0..3).filter(|index| casts[*index].is_ok()).collect();
        let [own] = admitted[..] else { panic!("a person is in one cohort: {admitted:?}") };
        assert!(
            casts
                .iter()
                .filter_map(|cast| cast.as_ref().err())
                .all(|error| matches!(error, ContributeError::NotMember))
        );

        // Nor does a ballot of one cohort pass in another.
        let submission = casts[own].as_ref().expect("admitted");
        for (index, (town, _)) in towns.iter_mut().enumerate() {
            assert_eq!(town.submit(submission).is_ok(), index == own);
        }
    }
    for (town, round) in &towns {
        assert_eq!(town.round(*round).contributions.len(), 4);
    }
}

#[test]
fn nobody_joins_a_cohort_and_it_is_asked_nothing_else() {
    let mut scene = Scene::new();
    let (mut town, round) = town_of(&scene, 0);
    let operator = town.community.operators[0].clone();
    let poll = PollOpening { kind: PollKind::Value, question: "And this?".into(), context: String::new() };
    let plan = town.round(round).plan.clone();
    let registration = scene.town.community.registration(0).entry;
    let person = scene.town.community.people[0].key.clone();

    for (key, entry) in [
        (&operator, Entry::Poll(poll)),
        (&operator, Entry::Plan(chorus_protocol::log::entry::RoundPlan { key_grace_millis: 1, ..plan })),
        (&person, registration),
    ] {
        assert!(matches!(town.say(key, entry), Err(Fault::NotAllowed(_))));
    }
    assert_eq!(town.ledger.rounds().len(), 1);
}

#[test]
fn a_cohort_begins_where_it_began_whatever_becomes_of_its_members() {
    let mut scene = Scene::new();
    let before: Vec<Ledger> = (0..3).map(|number| scene.cohort(number)).collect();
    let operators = scene.town.community.operators.clone();
    let expelled = scene.town.community.people[0].key.public();

    for operator in &operators[..3] {
        let expulsion = chorus_protocol::log::entry::Expulsion { key: expelled, reason: "Nobody.".into() };
        scene.town.say(operator, Entry::Expel(expulsion)).expect("operators may");
    }
    scene.town.pass(5);

    assert!(!scene.town.ledger.is_member(&expelled));
    for (number, before) in (0..).zip(before) {
        assert_eq!(format!("{:?}", scene.cohort(number)), format!("{before:?}"));
    }
}
