//! What can be learnt by comparing sums: small sets, cohorts chosen by the last one to speak, and two rounds that differ by one
//! person. The last is not promised to be safe, and this shows that it is not.

use chorus_protocol::{
    adapter::{
        manifest::{AdapterManifest, Centre, Combination},
        report::AdapterReport,
    },
    ledger::RoundState,
    round::report::Outcome,
};
use chorus_tests::{
    adapters::{delta, manifest},
    malice::{Liar, Lie},
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

/// A round of deltas in cohorts, whose last contributor draws from `last`; one operator may lie.
fn in_cohorts(lie: Option<Lie>, last: u64) -> (Play, AdapterReport) {
    let combination = Combination { cohorts: 5, centre: Centre::Median, ..manifest().combination };
    let (mut play, series) = begin(scenario(20), &AdapterManifest { combination, ..manifest() });
    assert!(play.open_deltas(series, MINUTE, None));
    if let Some(lie) = lie {
        let (key, community) = (play.community.operators[4].clone(), play.community.id());
        let liar = Liar { key, community, round: play.round_id(), share_len: 0 };
        play.network.tamper(4, liar.tells(lie));
    }
    play.community.people[19].rng = rng(last);
    (0..20).for_each(|person| play.contribute(person, &delta(3, person), |_| {}));
    let report = finish(&mut play);
    (play, report)
}

#[test]
fn nobody_chooses_who_stands_in_a_cohort_with_whom() {
    let (play, report) = in_cohorts(None, 1);
    let (_, lied) = in_cohorts(Some(Lie::WrongBeacon), 1);
    let (other, _) = in_cohorts(None, 2);

    let (round, another) = (play.round().expect("the round"), other.round().expect("the round"));
    assert!(lied == report, "an operator that makes a beacon up moves nobody");
    assert_ne!(round.partition, another.partition, "the seeds of the last contributor move everybody");
    // To try until the partition suits, one has to know all of the beacon.
    let subsets = round.charter.sharing().subset_count();
    assert!(round.beacons.len() >= 4 && round.beacons.values().all(|known| known.len() < subsets));
    assert!(round.sealed.is_some(), "and nothing of it is said before the set is sealed");
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
