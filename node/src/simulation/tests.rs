use super::{
    report::{Contributions, Seconds},
    *,
};

/// Costs of no machine: what is drawn from a seed is then all that a run depends on.
const COSTS: Costs = Costs {
    ring: 60,
    make: 20_000,
    verify: 1_000,
    verify_alone: 5_000,
    check: 100,
    open: 100,
    signature: 40,
    body_bytes: 3_600,
    bytes: 5_300,
};

fn small() -> Options {
    Options { participants: 60, items: 4, ..Options::default() }
}

fn costs() -> Measured {
    Measured { costs: COSTS, table_costs: Vec::new() }
}

fn play(options: &Options) -> Report {
    run(options, Some(costs()), || ()).expect("the options fit together")
}

#[test]
fn a_round_of_many_comes_to_the_result_that_they_want() {
    let options = Options { participants: 2_000, items: 4, ..Options::default() };

    let report = play(&options);

    assert!(report.is_well(), "{report}");
    let Contributions { counted, left, late, .. } = report.contributions;
    assert_eq!((counted + left, late), (2_000, 0), "{report}");
    assert!(left < 40, "few leave, and most of what they sent arrives: {report}");
    assert!(report.operator.verified >= counted);
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_another() {
    let options = Options { adversaries: 100, ..small() };

    let first = play(&options);

    assert_eq!(first, play(&options));
    assert_ne!(first.messages, play(&Options { seed: 2, ..options }).messages);
}

#[test]
fn the_costs_of_a_report_give_the_same_report() {
    let options = Options { participants: 300, adversaries: 50, lying: 1, real: Some(false), ..small() };

    let measured = run(&options, None, || ()).expect("the options fit together");
    let text = serde_json::to_string(&measured).expect("a report is JSON");
    let given: Measured = serde_json::from_str(&text).expect("a report holds what was measured");
    let repeated = run(&options, Some(given), || ()).expect("the options fit together");

    assert_eq!(measured, repeated);
    let rings: Vec<u64> = measured.extrapolation.iter().map(|row| row.ring).collect();
    assert_eq!((measured.costs.ring, rings), (300, vec![1_000, 3_334, 3_334, 3_334]), "each row's own");
    let [smaller, larger] = measured.table_costs[..] else { panic!("two rings: {:?}", measured.table_costs) };
    assert!(smaller.verify_alone < larger.verify_alone && smaller.bytes < larger.bytes, "{smaller:?} {larger:?}");
}

#[test]
fn stand_ins_take_the_way_that_real_proofs_take() {
    let options = Options { links: Links { loss: 0, ..Links::default() }, churn: 0, ..small() };

    let real = play(&Options { real: Some(true), ..options.clone() });
    let light = play(&Options { real: Some(false), ..options });

    assert!(real.is_well() && light.is_well(), "{real}\n{light}");
    assert_eq!(real.totals, light.totals);
    assert_eq!(real.contributions, light.contributions);
    assert_eq!(real.messages, light.messages);
    assert_eq!(real.seconds, light.seconds);
    assert_eq!(real.operator, light.operator);
}

#[test]
fn cohorts_add_up_to_what_everybody_wants() {
    let options = Options { participants: 100, cohort: 30, items: 3, churn: 0, ..Options::default() };

    let report = play(&Options { real: Some(false), ..options });

    assert!(report.is_well(), "{report}");
    assert_eq!((report.cohorts, report.contributions.counted), (4, 100));
    assert_eq!(report.tree.len(), 1);
    assert!(report.totals.iter().all(|votes| votes.iter().sum::<u64>() <= 100));
}

#[test]
fn liars_count_nothing_but_what_everybody_may() {
    let options = Options { adversaries: 300, lying: 1, real: Some(true), ..small() };

    let report = play(&options);

    assert!(report.is_well(), "{report}");
    let Contributions { bad_proofs, doubles, floods, late, .. } = report.contributions;
    assert!(bad_proofs[0] > 0 && doubles[0] > 0 && floods[0] > 0, "{report}");
    assert_eq!((bad_proofs[1], floods[1], late), (0, 0, 0), "{report}");
    assert!(report.refused.contains_key("proof") && report.refused.contains_key("signature"), "{:?}", report.refused);
}

#[test]
fn a_round_survives_as_many_silent_operators_as_it_may_and_not_more() {
    let report = play(&Options { down: 1, ..small() });
    let without = play(&Options { down: 2, ..small() });

    assert!(report.is_well(), "{report}");
    assert_eq!((without.failed, without.contributions.missing), (1, 60), "{without}");
}

#[test]
fn a_round_without_result_has_no_times_and_nothing_is_extrapolated_from_it() {
    let without = play(&Options { down: 2, ..small() });

    let text = without.to_string();
    assert_eq!(without.seconds, Seconds { taken: without.seconds.taken, ..Seconds::default() });
    assert!(text.contains("open after –, sealed after –, result after –, added up after –"), "{text}");
    assert!(text.contains("without the round that came to no result"), "{text}");
    assert!(without.extrapolation.is_empty() && text.contains("extrapolated  nothing"), "{text}");
}

#[test]
fn a_round_without_result_changes_no_times_of_the_others() {
    let options = Options { cohort: 60, ..small() };
    let template = Rehearsal::play(&options, Some(costs())).expect("rehearses").template;
    let played = |down| cohort::play(&Options { down, ..options.clone() }, 0, &COSTS, &template).expect("plays");
    let (well, without) = (played(0), played(2));
    assert!(well.certified.is_some() && without.certified.is_none());

    let alone = Report::new(&options, costs(), std::slice::from_ref(&well));
    let both = Report::new(&Options { participants: 120, ..options }, costs(), &[without, well]);

    let Seconds { open, sealed, result, .. } = both.seconds;
    assert_eq!(
        (both.failed, [open, sealed, result]),
        (1, [alone.seconds.open, alone.seconds.sealed, alone.seconds.result])
    );
    assert_eq!(both.extrapolation, alone.extrapolation);
    assert!(both.to_string().contains("without the round that came to no result"), "{both}");
}

#[test]
fn what_everybody_reads_to_follow_the_log_is_counted() {
    let report = play(&small());
    let without_one = play(&Options { down: 1, ..small() });

    let following = report.following;
    assert!(following.read > report.operator.log_bytes + 60 * 32, "the log, the members, what was opened: {report}");
    assert_eq!(following.served, 60 * following.read / 5);
    assert!((following.line_seconds * 1e6 - following.served as f64 * 8.0 / 100.0).abs() < 1.0, "{following:?}");
    assert_eq!(without_one.following.served, 60 * without_one.following.read / 4, "those who are up");
    let largest = report.extrapolation.last().expect("a row");
    assert!(largest.participant_received > 10_000 * (32 + report.operator.log_bytes / 60), "{report}");
    assert!(largest.operator_bytes > 10_000 * largest.participant_received / 5, "{report}");
    assert!(largest.line_seconds * 1e6 * 100.0 / 8.0 < largest.operator_bytes as f64, "what is sent: {report}");
}

#[test]
fn where_nothing_arrives_nothing_is_counted() {
    let deaf = Options { participants: 20, links: Links { loss: 1_000, ..Links::default() }, ..Options::default() };

    let report = play(&deaf);

    assert_eq!((report.failed, report.contributions.missing, report.contributions.counted), (1, 20, 0), "{report}");
}

#[test]
fn the_table_reaches_everybody() {
    let report = play(&small());

    let contributors: Vec<u64> = report.extrapolation.iter().map(|row| row.contributors).collect();

    assert_eq!(contributors, [1_000, 10_000, 1_000_000, 8_000_000_000]);
    let levels: Vec<usize> = report.extrapolation.iter().map(|row| row.levels).collect();
    assert_eq!(levels, [0, 0, 2, 4]);
    assert!(report.extrapolation.iter().all(|row| row.operator_seconds > 0.0 && row.participant_sent > 0));
}
