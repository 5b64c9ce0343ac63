//! Divided rounds: cohorts with logs of their own, whose certified sums add up to the result of one round.

mod attacks;
mod drawing;

use std::collections::BTreeSet;

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    audit::{self, Level, Options, Receipt, Standing, VerifyError},
    cohort::{CohortResult, Convening},
    ledger::{Ledger, RoundState},
    round::report::{Outcome, RoundReport},
};
use chorus_tests::{
    bundle::small,
    cohorts::{Bundles, Cohort, DividedPlay, operators, policy},
    restored::{assert_restores, restored},
    scenario::Scenario,
};

/// People of a community with `leaves` cohorts of four that count.
fn scenario(people: usize, group_floor: u32) -> Scenario {
    Scenario { operators: 4, people, followers: 1, items: 6, policy: policy(group_floor), ..Scenario::default() }
}

/// The result of one big round with the same people and votes.
fn undivided(scenario: Scenario) -> (RoundReport, Option<Vec<u8>>) {
    let mut play = scenario.start();
    assert!(play.open());
    let result = play.vote_and_finish().expect("a result");
    (play.report(&result), result.follows.map(|id| play.body(&id)))
}

fn report(divided: &DividedPlay) -> RoundReport {
    let result = divided.play.round().and_then(|round| round.agreed_result()).cloned().expect("a result");
    divided.play.report(&result)
}

#[test]
fn three_cohorts_of_three_on_two_levels_come_to_the_result_of_one_round() {
    let everything = || scenario(36, 100);
    let mut divided = DividedPlay::start(everything(), 3, Some(3));
    let leaves: Vec<usize> = divided.cohorts.iter().flat_map(|cohort| &cohort.cohorts).map(members).collect();
    assert_eq!(leaves, [4; 9], "nine cohorts, of equal size");
    assert_eq!(divided.vote(), 36, "everybody votes in exactly one");

    let result = divided.sum_up(divided.certificates()).expect("the sum of all");

    let (whole, constitution) = undivided(everything());
    let found = report(&divided);
    assert!(matches!(found.outcome, Outcome::Totals { .. }), "{found:?}");
    assert_eq!(RoundReport { set: whole.set, ..found }, whole, "but for the digest of what was summed");
    assert!(constitution.is_some());
    assert_eq!(result.follows.map(|id| divided.play.body(&id)), constitution, "the same constitution, to the byte");
    let bundle = divided.play.bundle(0);
    let bundles = Bundles::of(&divided.cohorts);
    let tree = bundles.verify(&bundle).expect("everything follows");
    assert!(tree.unchecked().is_empty());
    assert_eq!(
        tree.cohorts.iter().filter_map(|branch| branch.checked.as_ref()).map(|it| it.cohorts.len()).sum::<usize>(),
        9
    );
    let unchecked = [3, 9, 0].into_iter().enumerate();
    for (levels, left) in unchecked {
        let tree = bundles.verify_levels(&bundle, levels).expect("what is looked at follows");
        assert_eq!(tree.unchecked().len(), left, "{levels} levels below the root");
    }
    let leaf = divided.cohorts[1].cohorts[2].network.peer(0).ledger();
    let round = leaf.rounds().values().next().expect("a cohort has one round");
    let sealed = round.sealed.as_ref().expect("it is over");
    let header = &sealed.contributions[1].header;
    let receipt = Receipt {
        round: header.round,
        tag: header.tag,
        sequence: header.sequence,
        body: header.body,
        set: Some(sealed.set),
    };
    let sums = Options { level: Level::Sums, receipt: Some(receipt) };
    let looked_up = |levels| bundles.verify_with(&bundle, levels, &sums).expect("everything follows").standing();
    assert_eq!(looked_up(audit::LEVELS), Some(Standing::Counts { index: 1, of: 4 }));
    assert_eq!(looked_up(1), Some(Standing::UnknownRound), "its cohort's bundle was not looked at");
    divided.play.assert_restores();
}

fn members(cohort: &Cohort) -> usize {
    cohort.base.count_members()
}

#[test]
fn a_cohort_keeps_its_map_and_the_sum_has_totals() {
    let everything = || Scenario { items: 24, ..scenario(48, 12) };
    let mut divided = DividedPlay::start(everything(), 3, None);
    divided.vote();
    divided.sum_up(divided.certificates()).expect("the sum of all");

    let found = report(&divided);

    let of_cohort = |cohort: &Cohort| {
        let body = cohort.network.blob(0, &cohort.result().result).expect("the report of a cohort");
        RoundReport::from_bytes(&body).expect("a report")
    };
    let maps = divided.cohorts.iter().filter(|cohort| of_cohort(cohort).map().is_some()).count();
    assert!(maps > 0, "some cohort of sixteen has a map");
    assert!(found.map().is_none());
    let (whole, _) = undivided(everything());
    assert_eq!((found.ballots, found.totals()), (whole.ballots, whole.totals()), "exactly");
    for cohort in &divided.cohorts {
        assert!(
            of_cohort(cohort).constitution(cohort.network.peer(0).ledger()).is_none(),
            "one constitution, the root's"
        );
    }
}

#[test]
fn a_cohort_that_does_not_answer_is_missing_for_everybody_to_see() {
    let everything = |people| {
        DividedPlay::start_with(scenario(people, 100), 3, None, |convening| Convening { most_missing: 4, ..convening })
    };
    let mut divided = everything(12);
    divided.vote();
    let certificates = divided.certificates();

    let shown = certificates.iter().filter(|certificate| certificate.number != 1).cloned().collect();
    divided.sum_up(shown).expect("at the deadline, the sum of those that came");

    let round = divided.play.round().expect("the round");
    let of_round = round.divided().expect("a divided one");
    assert_eq!(of_round.missing(), BTreeSet::from([1]));
    let sums = of_round.sums();
    assert_eq!((sums.contributions, sums.missing), (8, 4));
    let found = report(&divided);
    assert_eq!((found.ballots, found.totals()), (8, Some(&sums.totals)));
    let tree = Bundles::of(&divided.cohorts).verify(&divided.play.bundle(0)).expect("it follows");
    let shown: Vec<bool> = tree.report.rounds[0].cohorts.iter().map(Option::is_some).collect();
    assert_eq!(shown, [true, false, true]);

    // What comes too late changes nothing.
    let before = divided.play.network.peer(0).height();
    let late = certificates.into_iter().find(|certificate| certificate.number == 1).expect("it has one");
    chorus_tests::cohorts::show(&mut divided.play.network, late);
    assert_eq!(divided.play.network.peer(0).height(), before);
}

#[test]
fn nothing_follows_if_more_members_are_missing_than_allowed() {
    let mut divided = DividedPlay::start_with(scenario(12, 100), 3, None, |it| Convening { most_missing: 3, ..it });
    divided.vote();

    let shown = divided.certificates().into_iter().filter(|certificate| certificate.number != 1).collect();
    divided.sum_up(shown).expect("a result");

    assert_eq!(report(&divided).outcome, Outcome::TooFew);
}

#[test]
fn a_cohort_in_which_too_few_vote_opens_nothing_and_says_so() {
    let mut divided = DividedPlay::start(scenario(12, 100), 3, None);
    // Two of the members of the first cohort vote.
    let votes = divided.play.votes.clone();
    let base = divided.cohorts[0].base.clone();
    let is_in = |ledger: &Ledger, leaf| ledger.polls().values().any(|poll| poll.snapshot.index(&leaf).is_some());
    let mut left = 2;
    let mut some = divided.play.community;
    some.people.retain(|person| {
        !is_in(&base, person.leaf.leaf()) || {
            left -= 1;
            left >= 0
        }
    });
    divided.play.community = chorus_tests::community::Community {
        people: Vec::new(),
        ..chorus_tests::community::Community::new(1, 4, 0, policy(100))
    };
    divided.cohorts.iter_mut().for_each(|cohort| {
        cohort.vote(&mut some, &votes);
    });

    let sums = divided.cohorts[0].sums();

    assert_eq!((sums.contributions, sums.unopened), (0, 2));
    assert!(sums.totals.items.iter().all(|tally| tally.seen() == 0));
    divided.sum_up(divided.certificates()).expect("a result");
    let all = divided.play.round().and_then(|round| round.divided()).expect("divided").sums();
    assert_eq!((all.contributions, all.unopened, all.missing), (8, 2, 0));
}

#[test]
fn a_cohort_that_certifies_another_sum_than_its_log_is_found_by_its_bundle() {
    let mut divided = DividedPlay::start(scenario(12, 100), 3, None);
    divided.vote();
    let mut certificates = divided.certificates();
    let forged = forge(&divided.cohorts[2], &certificates[2]);
    assert_ne!(forged.sums.totals, certificates[2].sums.totals);
    certificates[2] = forged;

    divided.sum_up(certificates).expect("three of four operators of a cohort can do that to their own cohort");

    let bundle = divided.play.bundle(0);
    let mut bundles = Bundles::of(&divided.cohorts);
    let refused = bundles.verify(&bundle).expect_err("the cohort's log leads to another sum");
    assert!(matches!(refused, VerifyError::Certified { number: 2, .. }), "{refused}");
    assert_eq!(refused.exit_code(), 25);
    // Without the cohort's bundle its operators are believed, and the verifier says so.
    let gone = divided.cohorts[2].origin();
    bundles.0.remove(&gone);
    let tree = bundles.verify(&bundle).expect("what is there follows");
    assert_eq!(tree.unchecked(), [gone]);
    // A bundle of another cohort in its place is none of its own.
    let other = bundles.0[&divided.cohorts[0].origin()].clone();
    bundles.0.insert(gone, other);
    assert!(matches!(bundles.verify(&bundle), Err(VerifyError::Cohort { number: 2, .. })));
    // One of another community says so.
    bundles.0.insert(gone, small().1);
    let refused = bundles.verify(&bundle).expect_err("another community");
    let VerifyError::Cohort { number: 2, error, .. } = refused else { panic!("{refused}") };
    assert!(matches!(*error, VerifyError::OtherCommunity), "{error}");
}

/// What three of four operators of a cohort can certify: everybody agrees.
fn forge(cohort: &Cohort, honest: &CohortResult) -> CohortResult {
    let mut sums = honest.sums.clone();
    for tally in &mut sums.totals.items {
        (tally.agree, tally.disagree, tally.pass) = (tally.seen(), 0, 0);
    }
    attacks::signed(&cohort.base, &operators(1, "", 2)[..3], (honest.number, honest.round), sums)
}

#[test]
fn the_parent_shows_where_every_cohort_begins() {
    let divided = DividedPlay::start(scenario(12, 100), 3, None);
    let ledger = divided.play.network.peer(0).ledger();

    for cohort in &divided.cohorts {
        let by_follower =
            divided.play.network.peer(4).ledger().cohort(&divided.play.poll.round, cohort.origin().number);
        assert_eq!(by_follower.expect("dealt out").to_bytes(), cohort.base.to_bytes());
        assert_eq!(restored(&cohort.base).community(), cohort.origin().community());
        assert_ne!(cohort.base.community(), ledger.community());
    }
    let (_, bytes) = assert_restores(&divided.play.community.genesis, divided.play.network.decisions(0));
    assert!(bytes > 0);
    assert_eq!(divided.play.round().map(|round| round.state()), Some(RoundState::Planned), "nothing is collected here");
}
