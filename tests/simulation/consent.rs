//! Consent to a point on the opinion map: each ballot's own, given with each vote.

use chorus_crypto::{ballot::Vote, codec::Decode as _};
use chorus_protocol::{
    audit, deliberation::tally::Tally, log::entry::Step, opening::OpenedStep, round::report::RoundReport,
};
use chorus_tests::scenario::{Play, Scenario, level_of};

use crate::faults::small;

/// Everybody, whether they want to be on the map or not.
const PEOPLE: usize = 26;
/// The fewest points of a map.
const GROUP_FLOOR: usize = 20;

/// Opens a round and lets everybody vote, on the map or not.
fn vote(consents: impl Fn(usize) -> bool) -> Play {
    let mut play = Scenario { people: PEOPLE, ..small(5) }.start();
    assert_eq!(play.scenario.policy.group_floor as usize, GROUP_FLOOR);
    assert!(play.open(), "{:?}", play.network.notices);
    for person in 0..PEOPLE {
        let votes = play.votes[person].clone();
        play.vote_as(person, &votes, |contributor| contributor.on_map = consents(person));
    }
    play
}

/// Votes once more, as before but for consent.
fn think_again(play: &mut Play, person: usize, consents: bool) {
    let votes = play.votes[person].clone();
    play.vote_as(person, &votes, |contributor| (contributor.sequence, contributor.on_map) = (1, consents));
}

/// Waits for the result, which every verifier comes to as well.
fn finish(play: &mut Play) -> RoundReport {
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    let verified = audit::verify(&mut &play.bundle(0)[..], &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verified.contributions, PEOPLE as u64);
    play.report(&result)
}

/// What all ballots add up to, whether on the map or not.
fn all(play: &Play) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); play.scenario.items];
    for votes in &play.votes {
        for (tally, vote) in tallies.iter_mut().zip(votes) {
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

/// How many values were opened of single ballots in a step.
fn opened(play: &Play, step: Step) -> usize {
    let (_, values) = play.round().and_then(|round| round.agreed_values(step)).expect("the step was opened");
    match OpenedStep::from_bytes(&play.body(&values)).expect("opened values") {
        OpenedStep::Functionals(rows) => rows.len(),
        OpenedStep::Sums(_) => panic!("values of single ballots"),
    }
}

#[test]
fn a_ballot_without_consent_has_no_point_and_no_bucket_and_counts_like_any_other() {
    // Some who show who they are and some who do not; the last one had consented and thought again.
    let private = [2, 3, 7, 8, 14, 25];
    assert!(private.iter().any(|person| level_of(*person) != level_of(private[0])));
    let mut play = vote(|person| !private.contains(&person) || person == 25);
    play.network.run_until(5_000, |_| false);
    think_again(&mut play, 25, false);

    let report = finish(&mut play);

    let map = report.map().expect("as many consent as a map needs");
    let round = play.round().expect("the round");
    let scope = round.manifest.as_ref().expect("open").scope;
    let sealed = round.sealed.as_ref().expect("sealed");
    assert_eq!((sealed.contributions.len(), map.ballots.len()), (PEOPLE, PEOPLE));
    for (person, somebody) in play.community.people.iter().enumerate() {
        let tag = somebody.leaf.tag(&scope);
        let place = sealed.contributions.iter().position(|one| one.header.tag == tag).expect("everybody votes");
        let placed = &map.ballots[place];
        let is_off = private.contains(&person);
        assert_eq!((placed.bucket == 0, placed.point.is_empty()), (is_off, is_off), "person {person}: {placed:?}");
        // Five and more without a point are a block of their own, which is summed as a whole.
        assert_eq!(map.assignment[place] == map.k, is_off, "person {person}");
    }
    let (on_map, axes) = (PEOPLE - private.len(), map.map.axes.len());
    assert_eq!(on_map, GROUP_FLOOR);
    assert_eq!((opened(&play, Step::Buckets), opened(&play, Step::Points)), (on_map, on_map * axes));
    assert_eq!(report.ballots as usize, PEOPLE);
    assert_eq!(report.totals().map(|totals| &totals.items), Some(&all(&play)));
}

#[test]
fn where_fewer_consent_than_a_map_needs_nothing_is_opened_of_any_ballot() {
    // Seven do not consent, of whom one did with an earlier ballot: one point is missing for a map.
    let mut play = vote(|person| person >= 7 || person == 4);
    play.network.run_until(5_000, |_| false);
    think_again(&mut play, 4, false);

    let report = finish(&mut play);

    let round = play.round().expect("the round");
    let sealed = round.sealed.as_ref().expect("sealed");
    let consenting = sealed.contributions.iter().filter(|one| one.header.on_map).count();
    assert_eq!((sealed.contributions.len(), consenting), (PEOPLE, GROUP_FLOOR - 1));
    assert!(report.map().is_none());
    assert_eq!(round.openings.keys().collect::<Vec<_>>(), [&Step::Totals]);
    assert!(round.passes.is_empty() && round.partitions.is_empty(), "nothing of a map is computed");
    assert_eq!(report.ballots as usize, PEOPLE);
    assert_eq!(report.totals().map(|totals| &totals.items), Some(&all(&play)));
}
