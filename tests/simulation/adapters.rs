//! Rounds of deltas, from manifest to a verified bundle.

mod forged;
mod refused;

use chorus_crypto::noise::accounting::Release;
use chorus_protocol::{
    adapter::{
        entry::{Assessment, GroupScore, WeighedAdapter, Weighing},
        gate::Standing,
        manifest::{Adapted, AdapterManifest, Centre, Combination, DELTA, Gate, Noise, Weights},
        report::{AdapterOutcome, AdapterReport, VariantKind},
    },
    audit::{self, Bundle, Topic, VerifyError},
    config::{Attribute, Policy},
    fault::Fault,
    id::SeriesId,
    ledger::RoundState,
    log::entry::{Census, ClassPlan, ClassSource, Entry, SignedEntry, Step},
    peer::Command,
    round::{Report, averages, classes::OTHER},
};
use chorus_tests::{
    adapters::{ENTRIES, delta, manifest},
    bundle::Corrupt,
    malice::{Liar, Lie, loot::Loot},
    scenario::{Play, Scenario},
};

pub(crate) const MINUTE: u64 = 60_000;

pub(crate) fn scenario(people: usize) -> Scenario {
    let policy = Policy { min_contributions: 3, floor: 3, group_floor: 20, ..Policy::default() };
    Scenario { people, followers: 1, policy, ..Scenario::default() }
}

/// Starts a community and a series, with everybody registered.
pub(crate) fn begin(scenario: Scenario, manifest: &AdapterManifest) -> (Play, SeriesId) {
    let mut play = scenario.start();
    assert!(play.register(), "{:?}", play.network.notices);
    let series = play.begin(manifest);
    (play, series)
}

/// Plays a round in which the first `people` contribute, and returns what came out.
fn round(play: &mut Play, series: SeriesId, seed: u64, people: usize) -> AdapterReport {
    assert!(play.open_deltas(series, MINUTE, None), "{:?}", play.network.notices);
    (0..people).for_each(|person| play.contribute(person, &delta(seed, person), |_| {}));
    finish(play)
}

/// Waits for the result, and until nothing that opens a delta is on a disk any more.
pub(crate) fn finish(play: &mut Play) -> AdapterReport {
    assert!(play.wait(RoundState::Sealed, 5 * MINUTE), "a sealed set: {:?}", play.network.notices);
    let operators = play.operators_up();
    let loot = Loot::take(play, &operators);
    assert_eq!(loot.keys.len(), operators.len(), "the keys are there until the result");
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    play.assert_erased(&loot);
    play.adapter_report(&result)
}

/// The sum of the deltas of some people.
fn sum(seed: u64, people: impl IntoIterator<Item = usize>) -> Vec<i64> {
    let mut sum = vec![0; ENTRIES];
    for person in people {
        sum.iter_mut().zip(delta(seed, person)).for_each(|(sum, entry)| *sum += i64::from(entry));
    }
    sum
}

/// Asserts that `found` is `start + 3/2 · mean`, where `mean(index)` is a mean in units of a delta. Three roundings of half a
/// unit of an adapter are admitted (each class, their mean, the step): 2^-15 of a unit of a delta, and far less of the bound.
fn assert_step(found: &[i64], start: &[i64], mean: impl Fn(usize) -> f64) {
    assert_eq!(found.len(), ENTRIES);
    for (index, (found, start)) in found.iter().zip(start).enumerate() {
        let expected = *start as f64 + 1.5 * mean(index) * 65_536.0;
        assert!((*found as f64 - expected).abs() <= 2.1, "entry {index}: {found} where {expected} follows");
    }
}

fn verify(play: &Play) -> audit::Report {
    let _ = play.assert_restores();
    play.assert_nothing_replays();
    let bundle = play.bundle(0);
    audit::verify(&mut bundle.as_slice(), &mut |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn standing(play: &Play) -> Standing {
    let ledger = play.network.peer(play.someone()).ledger();
    ledger.standing(&ledger.rounds()[&play.round_id()])
}

#[test]
fn a_series_goes_on_from_the_mean_and_begins_anew_with_each_run() {
    let (mut play, series) = begin(scenario(6), &manifest());

    let first = round(&mut play, series, 1, 6);
    let second = round(&mut play, series, 2, 5);
    let third = round(&mut play, series, 3, 3);

    let reports = [&first, &second, &third];
    assert_eq!(reports.map(|report| (report.number, report.contributions)), [(1, 6), (2, 5), (3, 3)]);
    let adapters = reports.map(|report| report.variant(VariantKind::PerPerson).expect("an adapter"));
    assert_eq!(reports.map(|report| report.start), [None, Some(adapters[0]), None]);
    let results = play.network.peer(0).ledger().rounds().values();
    let results: Vec<_> = results.filter_map(|round| Some((round.id, round.agreed_result()?.result))).collect();
    let of = |report: &AdapterReport| results.iter().find(|(round, _)| *round == report.round).map(|(_, it)| *it);
    assert_eq!(reports.map(|report| report.previous), [None, of(&first), of(&second)]);
    let values = adapters.map(|adapter| play.adapter(&adapter));
    let zero = vec![0; ENTRIES];
    let mean = |seed: u64, people: usize| {
        let sum = sum(seed, 0..people);
        move |index: usize| sum[index] as f64 / people as f64
    };
    assert_step(&values[0], &zero, mean(1, 6));
    assert_step(&values[1], &values[0], mean(2, 5));
    assert_step(&values[2], &zero, mean(3, 3));
    let verified = verify(&play);
    assert_eq!(verified.contributions, 14);
    let is_ours =
        |topic: &Topic| matches!(topic, Topic::Series { series: of, name } if *of == series && name == "harbour");
    assert!(verified.rounds.iter().all(|round| is_ours(&round.topic)));
    let Some(Report::Deltas(report, _)) = verified.rounds[1].report.as_deref() else { panic!("an adapter's report") };
    assert_eq!(*report, second);
}

#[test]
fn the_mean_comes_out_with_an_operator_down_another_time_lying_and_contributors_gone() {
    for lie in [None, Some(Lie::WrongMaskSums), Some(Lie::WrongResult), Some(Lie::WithholdsContributions)] {
        let (mut play, series) = begin(scenario(7), &manifest());
        assert!(play.open_deltas(series, MINUTE, None));
        match lie {
            None => play.network.kill(4),
            Some(lie) => {
                let (key, community) = (play.community.operators[4].clone(), play.community.id());
                let liar = Liar { key, community, round: play.round_id(), share_len: 0 };
                play.network.tamper(4, liar.tells(lie));
            }
        }

        (0..7).for_each(|person| play.contribute(person, &delta(9, person), |_| {}));
        let report = finish(&mut play);

        let values = play.adapter(&report.variant(VariantKind::PerPerson).expect("an adapter"));
        let sum = sum(9, 0..7);
        assert_step(&values, &[0; ENTRIES], |index| sum[index] as f64 / 7.0);
        verify(&play);
    }
}

#[test]
fn the_mean_of_two_hundred_comes_out_though_an_operator_lies() {
    let (mut play, series) = begin(scenario(200), &manifest());
    assert!(play.open_deltas(series, 3 * MINUTE, None), "{:?}", play.network.notices);
    let (key, community) = (play.community.operators[2].clone(), play.community.id());
    let liar = Liar { key, community, round: play.round_id(), share_len: 0 };
    play.network.tamper(2, liar.tells(Lie::WrongMaskSums));

    (0..200).for_each(|person| play.contribute(person, &delta(4, person), |_| {}));
    let report = finish(&mut play);

    assert_eq!(report.contributions, 200);
    let values = play.adapter(&report.variant(VariantKind::PerPerson).expect("an adapter"));
    let sum = sum(4, 0..200);
    assert_step(&values, &[0; ENTRIES], |index| sum[index] as f64 / 200.0);
}

#[test]
fn below_the_minimum_nothing_is_opened_and_the_series_goes_on() {
    let (mut play, series) = begin(scenario(4), &manifest());

    let first = round(&mut play, series, 1, 2);

    assert_eq!(first.outcome, AdapterOutcome::TooFew);
    assert_eq!(standing(&play), Standing::Nothing);
    assert!(play.round().is_some_and(|round| round.openings.is_empty() && round.partition.is_none()));
    let second = round(&mut play, series, 2, 4);
    assert_eq!((second.start, second.number), (None, 2));
    verify(&play);
}

#[test]
fn a_series_floor_is_one_for_the_whole_set_too() {
    let combination = Combination { floor: 6, ..manifest().combination };
    let (mut play, series) = begin(scenario(5), &AdapterManifest { combination, ..manifest() });

    let report = round(&mut play, series, 1, 5);

    assert_eq!(report.outcome, AdapterOutcome::TooFew);
    assert!(play.round().is_some_and(|round| round.openings.is_empty()));
    verify(&play);
}

#[test]
fn what_was_taken_back_or_replaced_is_in_no_sum() {
    let (mut play, series) = begin(scenario(5), &manifest());
    assert!(play.open_deltas(series, MINUTE, None));
    (0..5).for_each(|person| play.contribute(person, &delta(1, person), |_| {}));
    play.network.run_until(10_000, |_| false);

    play.contribute(0, &delta(2, 0), |contributor| contributor.sequence = 1);
    play.take_back(1, 1);
    let report = finish(&mut play);

    assert_eq!(report.contributions, 4);
    let values = play.adapter(&report.variant(VariantKind::PerPerson).expect("an adapter"));
    let (kept, changed) = (sum(1, 2..5), delta(2, 0));
    assert_step(&values, &[0; ENTRIES], |index| (kept[index] + i64::from(changed[index])) as f64 / 4.0);
    verify(&play);
}

/// Nine people in the north, four in the south, and three who do not say.
pub(crate) fn regions() -> Scenario {
    let policy = Policy {
        min_contributions: 3,
        floor: 3,
        class_floor: 3,
        class_members: 3,
        group_floor: 20,
        attributes: vec![Attribute::new("region", &["north", "south"])],
        ..Policy::default()
    };
    let attributes = |person| if person < 9 { [1, 0, 0, 0] } else { [2, 0, 0, 0] };
    Scenario { people: 16, followers: 1, policy, attributes, ..Scenario::default() }
}

pub(crate) fn by_region(play: &mut Play, series: SeriesId) -> AdapterReport {
    let census = Entry::Census(Census { slot: 0, number: 1, counts: vec![9, 7] });
    let census = SignedEntry::sign(&play.community.attesters[0], play.community.id(), census);
    play.network.command(0, Command::Relay(census));
    play.network.run_until(10_000, |_| false);
    let plan = ClassPlan { source: ClassSource::Attribute(0), weights: vec![1, 1, 3] };
    assert!(play.open_deltas(series, MINUTE, Some(plan)), "{:?}", play.network.notices);
    for person in 0..16 {
        play.contribute(person, &delta(5, person), |contributor| contributor.show_class = person < 13);
    }
    finish(play)
}

#[test]
fn every_region_has_an_adapter_and_weights_are_applied_in_public() {
    let (mut play, series) = begin(regions(), &manifest());

    let report = by_region(&mut play, series);

    let averaged = report.averaged().expect("adapters");
    let classes: Vec<_> = averaged.classes.iter().map(|share| (share.class, share.contributions)).collect();
    assert_eq!(classes, [(OTHER, 3), (1, 9), (2, 4)]);
    let sums = [sum(5, 13..16), sum(5, 0..9), sum(5, 9..13)];
    let weighed = |weights: [f64; 3], index: usize| {
        let all: f64 = weights.iter().zip([3.0, 9.0, 4.0]).map(|(weight, people)| weight * people).sum();
        sums.iter().zip(weights).map(|(sum, weight)| weight * sum[index] as f64).sum::<f64>() / all
    };
    let cases = [
        (VariantKind::PerPerson, [1.0, 1.0, 1.0]),
        // A person of the south weighs as much as 9/4 of the north; who does not say, as one of the north.
        (VariantKind::PerClass, [1.0 / 9.0, 1.0 / 9.0, 1.0 / 4.0]),
        (VariantKind::Planned, [1.0, 1.0, 3.0]),
        (VariantKind::Class(OTHER), [1.0, 0.0, 0.0]),
        (VariantKind::Class(1), [0.0, 1.0, 0.0]),
        (VariantKind::Class(2), [0.0, 0.0, 1.0]),
    ];
    assert_eq!(averaged.variants.len(), cases.len());
    for (kind, weights) in cases {
        let values = play.adapter(&report.variant(kind).expect("a variant"));
        assert_step(&values, &[0; ENTRIES], |index| weighed(weights, index));
    }
    let round = play.round().expect("the round");
    assert!(!round.openings.contains_key(&Step::Totals), "the whole is the sum of its parts, and not opened too");
    verify(&play);
}

#[test]
fn classes_are_weighed_once_f_plus_one_operators_say_how() {
    let mut posted = manifest();
    posted.combination.weights = Weights::Posted;
    let (mut play, series) = begin(regions(), &posted);
    let report = by_region(&mut play, series);
    assert_eq!(report.follows(&posted), None);
    assert_eq!(standing(&play), Standing::Unweighed);
    let ledger = play.network.peer(0).ledger();
    assert_eq!(ledger.next_deltas(series), Err(Fault::Phase("the next round of a series")));
    let round = &ledger.rounds()[&report.round];
    let blobs = play.blobs(0);
    let averages = averages(ledger, round, &blobs).expect("open sums");

    let weights = vec![0, 1, 2];
    let values = averages.weighed(&[0, 1, 2]).expect("one weight for each class");
    let said = WeighedAdapter { round: report.round, weights, adapter: values.to_blob().0 };
    play.post(0, Entry::Weigh(Weighing { number: 1, weighed: said.clone() }));
    let known = |play: &mut Play| {
        play.network.run_until(30_000, |network| {
            let ledger = network.peer(5).ledger();
            matches!(ledger.standing(&ledger.rounds()[&report.round]), Standing::Adopted(_))
        })
    };

    assert!(known(&mut play), "the others compute the same and say so: {:?}", standing(&play));
    assert_eq!(standing(&play), Standing::Adopted(said.adapter));
    let (north, south) = (sum(5, 0..9), sum(5, 9..13));
    let mean = |index: usize| (north[index] as f64 / 9.0 + 2.0 * south[index] as f64 / 4.0) / 3.0;
    assert_step(&values.values, &[0; ENTRIES], mean);
    assert_eq!(play.network.peer(0).ledger().adopted(series), Some((report.round, said.adapter)));
    verify(&play);

    // All operators together may write that another adapter follows; nobody who looks believes it.
    let bundle = Bundle::from_bytes(&play.bundle(0)).expect("a bundle");
    let mut log = Corrupt::new(&play.community, &bundle);
    let false_adapter = log.keep(b"another adapter".to_vec());
    for entry in log.entries() {
        if let Entry::Weigh(word) = &mut entry.entry {
            word.weighed.adapter = false_adapter;
        }
    }
    let refused = audit::verify(&mut &log.bundle()[..], &mut |_| {});
    let follows = |error: &VerifyError| {
        matches!(error, VerifyError::Follows { logged, recomputed, .. }
            if (*logged, *recomputed) == (Some(false_adapter), Some(said.adapter)))
    };
    assert!(refused.as_ref().is_err_and(follows), "{refused:?}");
}

#[test]
fn an_operator_that_weighs_wrongly_is_alone() {
    let mut posted = manifest();
    posted.combination.weights = Weights::Posted;
    let (mut play, series) = begin(regions(), &posted);
    let report = by_region(&mut play, series);
    let wrong = WeighedAdapter {
        round: report.round,
        weights: vec![0, 1, 2],
        adapter: report.variant(VariantKind::PerPerson).expect("an adapter"),
    };

    let first = Entry::Weigh(Weighing { number: 1, weighed: wrong.clone() });
    play.post(0, first.clone());
    play.network.run_until(30_000, |_| false);

    assert_eq!(play.round().map(|round| round.weighed.len()), Some(1));
    assert_eq!(standing(&play), Standing::Unweighed);
    // It thinks better of it, and nobody says the old word again in its name.
    let mut ledger = play.network.peer(0).ledger().clone();
    let mut say = |entry: &Entry| {
        let signed = SignedEntry::sign(&play.community.operators[0], play.community.id(), entry.clone());
        ledger.apply(&signed)
    };
    let other = WeighedAdapter { weights: vec![1, 1, 1], ..wrong };
    let word = |number| Entry::Weigh(Weighing { number, weighed: other.clone() });
    assert_eq!(say(&word(3)), Err(Fault::Phase("word on the weighing of classes")));
    assert_eq!(say(&word(2)), Ok(()));
    assert_eq!(say(&first), Err(Fault::Duplicate("word on the weighing of classes")));
    assert_eq!(say(&word(3)), Err(Fault::Duplicate("a weighing of classes")));
    assert_eq!(ledger.rounds()[&report.round].weighed.values().next(), Some(&(other, 2)));
}

#[test]
fn the_median_of_cohorts_keeps_what_the_mean_loses() {
    let combination = Combination { cohorts: 5, centre: Centre::Median, ..manifest().combination };
    let (mut play, series) = begin(scenario(25), &AdapterManifest { combination, ..manifest() });
    assert!(play.open_deltas(series, MINUTE, None));
    // Everybody says +100, but for one who shouts as loud as the bound admits.
    let honest = vec![100; ENTRIES];
    let shout = vec![-28_000; ENTRIES];
    (0..25).for_each(|person| play.contribute(person, if person == 7 { &shout } else { &honest }, |_| {}));

    let report = finish(&mut play);

    let averaged = report.averaged().expect("adapters");
    assert_eq!((averaged.classes[0].cohorts, averaged.variants.len()), (5, 1));
    let values = play.adapter(&averaged.variants[0].adapter);
    assert!(values.iter().all(|value| *value == 150 << 16), "the mean would be far below zero: {}", values[0] >> 16);
    verify(&play);
}

#[test]
fn noise_hides_people_and_not_their_mean() {
    let noise = Noise { clip: 1 << 12, thousandths: 2_000, honest: 10 };
    let combination = Combination { floor: 10, ..manifest().combination };
    // So many entries that a deviation is measured to a hundredth.
    let adapted = Adapted { layers: 120, ..manifest().adapted };
    let noisy = AdapterManifest { noise: Some(noise), adapted, combination, ..manifest() };
    let (entries, rounds, people) = (noisy.entries(), noisy.schedule.rounds, 20);
    // What is promised to people follows from the variance of each one's share.
    let share = noise.sampler().expect("in range").variance() as f64;
    let epsilon = |variance: f64| {
        let Noise { clip, honest, .. } = noise;
        Release { clip, entries, variance: variance as u64, honest, rounds: rounds.into() }.epsilon(DELTA)
    };
    let promised = noise.promise(entries, rounds).expect("in range").epsilon;
    assert!((epsilon(share) / promised - 1.0).abs() < 1e-9, "{promised}");
    let of_sum = f64::from(noise.thousandths) / 1_000.0 * f64::from(noise.clip);
    assert!(share * f64::from(noise.honest) >= of_sum.powi(2), "the honest make what the manifest asks for");
    let (mut play, series) = begin(scenario(people), &noisy);
    assert!(play.open_deltas(series, MINUTE, None));
    let said = vec![50; entries];
    (0..people).for_each(|person| play.contribute(person, &said, |_| {}));

    let report = finish(&mut play);

    let values = play.adapter(&report.variant(VariantKind::PerPerson).expect("an adapter"));
    let of_all = |value: &i64| (*value as f64 / 65_536.0 / 1.5 - 50.0) * people as f64;
    let noise: Vec<f64> = values.iter().map(of_all).collect();
    let mean = |power: i32| noise.iter().map(|value| value.powi(power)).sum::<f64>() / entries as f64;
    // The noise of all adds up: a share of each.
    let found = mean(2) / people as f64;
    let ratio = (found / share).sqrt();
    assert!((0.95..1.05).contains(&ratio), "a deviation {ratio} times that of the promise");
    assert!(epsilon(found) < 1.05 * promised, "{} where {promised} was promised", epsilon(found));
    assert!(mean(1).abs() < 5.0 * (people as f64 * share / entries as f64).sqrt(), "{} on average", mean(1));
    verify(&play);
}

#[test]
fn an_adapter_with_which_a_group_is_worse_off_is_refused_and_the_one_before_it_stays() {
    let ballots = Scenario { people: 5, ..scenario(5) };
    let mut play = ballots.start();
    assert!(play.open(), "a round of ballots whose statements the evaluation asks about");
    let gate = Gate { round: play.round_id(), groups: 2, held_out: 5, tolerance: 100 };
    let series = play.begin(&AdapterManifest { gate: Some(gate), ..manifest() });
    let first = round(&mut play, series, 1, 5);
    let adapter = first.variant(VariantKind::PerPerson).expect("an adapter");
    assert_eq!(standing(&play), Standing::Candidate(adapter));
    assert!(play.network.peer(0).ledger().next_deltas(series).is_err(), "nothing starts from a candidate");

    assess(&mut play, &first, [(7_000, 5_000), (5_000, 5_050)]);
    assert_eq!(standing(&play), Standing::Adopted(adapter));
    let second = round(&mut play, series, 2, 5);
    assess(&mut play, &second, [(9_000, 7_000), (4_000, 5_000)]);

    let worse = second.variant(VariantKind::PerPerson).expect("an adapter");
    assert_eq!((second.start, standing(&play)), (Some(adapter), Standing::Refused(worse)));
    assert_eq!(play.network.peer(0).ledger().adopted(series), Some((first.round, adapter)));
    assert!(!play.adapter(&worse).is_empty(), "it is published all the same");
    verify(&play);
}

/// Lets all operators but one, who exaggerates, say how an adapter did.
fn assess(play: &mut Play, report: &AdapterReport, groups: [(u16, u16); 2]) {
    let adapter = report.variant(VariantKind::PerPerson).expect("an adapter");
    let score = |(candidate, reference)| GroupScore { candidate, reference };
    for operator in 0..5 {
        let groups = if operator == 0 { [(10_000, 0), (0, 10_000)] } else { groups };
        let said = Assessment { round: report.round, adapter, groups: groups.map(score).to_vec() };
        play.post(operator, Entry::Assess(said));
    }
    let all_said = |round: &chorus_protocol::ledger::RoundRecord| round.assessments.len() == 5;
    assert!(play.network.run_until(30_000, |network| {
        (0..network.len()).all(|host| all_said(&network.peer(host).ledger().rounds()[&report.round]))
    }));
}
