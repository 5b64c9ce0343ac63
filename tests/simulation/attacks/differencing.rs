//! What can be learnt by comparing sums: small sets, cohorts chosen by the last one to speak, and two rounds that differ by one
//! person. The last is not promised to be safe, and this shows that it is not.

use chorus_protocol::{
    adapter::{
        entry::Beacon,
        manifest::{AdapterManifest, Centre, Combination},
        report::AdapterReport,
    },
    ledger::RoundState,
    log::entry::{Entry, RoundPlan, Subject},
    round::report::Outcome,
};
use chorus_tests::{
    adapters::{delta, manifest},
    scenario::Scenario,
};

use super::*;
use crate::{
    adapters::{MINUTE, begin, finish, scenario},
    faults::small,
};

#[test]
fn of_fewer_than_the_least_number_not_even_a_share_of_a_sum_is_said() {
    let mut play = small(5).start();
    assert!(play.open());
    let least = play.community.genesis.policy.min_contributions as usize;

    vote(&mut play, 0..least - 1);
    let result = play.finish().expect("a result");

    assert_eq!(play.report(&result).outcome, Outcome::TooFew);
    let round = play.round().expect("the round");
    assert_eq!(round.sealed.as_ref().map(|sealed| sealed.contributions.len()), Some(least - 1));
    assert!(round.openings.is_empty() && round.opened.is_empty() && round.passes.is_empty());
}

/// A round of deltas in cohorts, whose last contributor draws from `last`; the first operator may make a beacon up.
fn in_cohorts(lies: bool, last: u64) -> (Play, AdapterReport) {
    let combination = Combination { cohorts: 5, centre: Centre::Median, ..manifest().combination };
    let (mut play, series) = begin(scenario(20), &AdapterManifest { combination, ..manifest() });
    assert!(play.open_deltas(series, MINUTE, None));
    play.community.people[19].rng = rng(last);
    (0..20).for_each(|person| play.contribute(person, &delta(3, person), |_| {}));
    let id = play.round_id();
    assert!(play.network.run_until(2 * MINUTE, |network| network.peer(0).ledger().rounds()[&id].sealed.is_some()));
    if lies {
        // At once: the others have to gather their seeds first.
        let round = play.round().expect("the round");
        let set = round.sealed.as_ref().expect("sealed").set;
        let held = round.charter.sharing().held_by(1).into_iter();
        let values = held.map(|subset| (u8::try_from(subset).expect("few"), [7; 32])).collect();
        play.post(0, Entry::Beacon(Beacon { round: id, set, values }));
    }
    let report = finish(&mut play);
    (play, report)
}

#[test]
fn nobody_chooses_who_stands_in_a_cohort_with_whom() {
    let (play, report) = in_cohorts(false, 1);
    let (liars, lied) = in_cohorts(true, 1);
    let (other, _) = in_cohorts(false, 2);

    let (round, another) = (play.round().expect("the round"), other.round().expect("the round"));
    let said = &liars.round().expect("the round").beacons[&1];
    assert!(said.values().all(|value| *value == [7; 32]), "the lie was on the log");
    assert!(lied == report, "an operator that makes a beacon up moves nobody");
    assert_ne!(round.partition, another.partition, "the seeds of the last contributor move everybody");
    // To try until the partition suits, one has to know all of the beacon.
    let subsets = round.charter.sharing().subset_count();
    assert!(round.beacons.len() >= 4 && round.beacons.values().all(|known| known.len() < subsets));
    assert!(round.sealed.is_some(), "and nothing of it is said before the set is sealed");
}

#[test]
fn what_one_operator_says_of_the_beacon_is_never_part_of_it() {
    let combination = Combination { cohorts: 5, centre: Centre::Median, ..manifest().combination };
    let manifest = AdapterManifest { combination, ..manifest() };
    let beacon = |first: [u8; 32]| {
        let mut town = Town::new(Community::new(1, 5, 4, Policy::default()), 1);
        town.register_all();
        let (operators, community) = (town.community.operators.clone(), town.community.id());
        town.say(&operators[0], Entry::Series(manifest.clone())).expect("a series");
        let deltas = town.ledger.next_deltas(manifest.id(community)).expect("the first round");
        let subject = Subject::Deltas(deltas);
        let plan = RoundPlan { subject, duration_millis: MINUTE, key_grace_millis: 2_000, classes: None };
        let round = plan.id(community);
        town.open_round(round, [Entry::Plan(plan)]).expect("honest entries");
        town.seal(round);
        let set = town.round(round).sealed.as_ref().expect("sealed").set;
        let mut after = Vec::new();
        for (number, key) in (1u8..).zip(&operators) {
            let word = if number == 1 { first } else { [1; 32] };
            let held = town.round(round).charter.sharing().held_by(number).into_iter();
            let values = held.map(|subset| (u8::try_from(subset).expect("few"), word)).collect();
            town.say(key, Entry::Beacon(Beacon { round, set, values })).expect("an operator's values");
            after.push(town.round(round).beacon);
        }
        after
    };

    let (honest, lied) = (beacon([1; 32]), beacon([7; 32]));

    assert!(honest[..2].iter().all(Option::is_none), "two of five do not know it together");
    assert!(lied[..3].iter().all(Option::is_none), "and a lie is of no help");
    assert_eq!((honest[4].is_some(), lied[4]), (true, honest[4]));
}

#[test]
fn two_rounds_that_differ_by_one_person_tell_what_that_person_said() {
    let mut play = Scenario { people: 13, kind: PollKind::Value, ..small(5) }.start();
    assert!(play.open());
    vote(&mut play, 0..12);
    let before = play.finish().expect("a result");
    let (kind, items, duration) = (play.scenario.kind, play.scenario.items, play.scenario.duration_millis);
    play.poll = play.community.poll_by_class("And now?", (kind, items, duration), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000));
    vote(&mut play, 0..13);
    let after = play.finish().expect("a result");

    let [before, after] = [before, after].map(|result| play.report(&result).totals().expect("totals").items.clone());

    // The README says so: whoever fears it votes in neither, or takes part where many come and go.
    let difference = before.iter().zip(&after).map(|(before, after)| Tally {
        agree: after.agree - before.agree,
        disagree: after.disagree - before.disagree,
        pass: after.pass - before.pass,
    });
    assert_eq!(difference.collect::<Vec<_>>(), tallies(&play, [12]));
}
