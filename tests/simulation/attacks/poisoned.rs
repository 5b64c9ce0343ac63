//! Poisoned deltas: what of them reaches the adapter, through whole rounds, in a world small enough for its truth to be known.
//!
//! A delta is what a person wants: something that everybody wants, something that one camp wants and the other does not, and
//! chance. One in five does harm. The evaluation of the gate asks each camp about statements that lie along what it wants, and
//! not about the direction of the backdoor, of which nobody knows. What comes out is the table in the README of the tests,
//! to the last digit; with a real model: `figures adapter`.

use chorus_protocol::{
    adapter::{
        entry::{Assessment, GroupScore},
        gate::Standing,
        manifest::{AdapterManifest, Centre, Combination, Encoding, Gate, Ratio, Schedule, Weights},
        report::VariantKind,
    },
    log::entry::Entry,
};
use chorus_tests::{
    adapters::{ENTRIES, manifest},
    scenario::Scenario,
};
use rand_chacha::rand_core::Rng as _;

use super::*;
use crate::adapters::{MINUTE, finish, scenario, standing};

const PEOPLE: usize = 20;

/// One in so many does harm.
const MALICIOUS: usize = 5;

/// Units of a delta in one unit of this world.
const UNIT: f64 = 20_000.0;

/// How much everybody wants what all want.
const COMMON: f64 = 3.0;

/// How much everybody wants what their camp wants.
const CAMP: f64 = 2.0;

/// Statements of each group.
const STATEMENTS: usize = 100;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Attack {
    None,
    Flip,
    Boost,
    Backdoor,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    /// The mean, with a bound so wide that it binds nobody here.
    Mean,
    /// The mean, with the median of honest norms as the bound.
    Bounded,
    /// The median of cohorts, with that bound.
    Median,
}

struct World {
    common: Vec<f64>,
    camp: Vec<f64>,
    hidden: Vec<f64>,
    honest: Vec<Vec<f64>>,
    /// For each group: what a statement is about, and how far the base model is from it.
    statements: [Vec<(Vec<f64>, f64)>; 2],
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn scaled(a: &[f64], factor: f64) -> Vec<f64> {
    a.iter().map(|a| a * factor).collect()
}

fn sum(parts: &[Vec<f64>]) -> Vec<f64> {
    (0..ENTRIES).map(|entry| parts.iter().map(|part| part[entry]).sum()).collect()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

impl World {
    fn new() -> Self {
        let mut rng = rng(5);
        // Twelve uniform numbers: near enough to a bell.
        let mut chance = || (0..12).map(|_| f64::from(rng.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0;
        let mut noise = |size: f64| (0..ENTRIES).map(|_| size * chance()).collect::<Vec<f64>>();
        let mut axes: Vec<Vec<f64>> = Vec::new();
        for _ in 0..3 {
            let mut axis = noise(1.0);
            for other in &axes {
                let along = dot(&axis, other);
                axis = sum(&[axis, scaled(other, -along)]);
            }
            axes.push(scaled(&axis, 1.0 / norm(&axis)));
        }
        let [common, camp, hidden] = axes.try_into().expect("three axes");
        let side = |group: usize| if group == 0 { 1.0 } else { -1.0 };
        let wants = |group: usize| sum(&[scaled(&common, COMMON), scaled(&camp, side(group) * CAMP)]);
        let honest = (0..PEOPLE).map(|person| sum(&[wants(person % 2), noise(0.35)])).collect();
        let mut statements = |group: usize| {
            let about = |noise: Vec<f64>| {
                let about = sum(&[wants(group), noise]);
                scaled(&about, 1.0 / norm(&about))
            };
            let away = |place: usize| 3.0 * (place as f64 / STATEMENTS as f64 - 0.5);
            (0..STATEMENTS).map(|place| (about(noise(0.1)), away(place))).collect()
        };
        let statements = [statements(0), statements(1)];
        Self { common, camp, hidden, honest, statements }
    }

    /// The median of honest norms.
    fn bound(&self) -> f64 {
        let mut norms: Vec<f64> = self.honest.iter().map(|delta| norm(delta)).collect();
        norms.sort_by(f64::total_cmp);
        norms[PEOPLE / 2]
    }

    /// What a person hands in, within the bound.
    fn delta(&self, person: usize, attack: Attack, bound: f64) -> Vec<i32> {
        let own = &self.honest[person];
        let wanted = match attack {
            _ if !person.is_multiple_of(MALICIOUS) => own.clone(),
            Attack::None => own.clone(),
            Attack::Flip => scaled(own, -10.0),
            // All of one camp.
            Attack::Boost => scaled(&self.honest[person - person % 2], 10.0),
            Attack::Backdoor => scaled(&self.hidden, self.bound()),
        };
        let clip = (bound / norm(&wanted)).min(1.0);
        // Towards zero, so that rounding leaves nobody beyond the bound.
        wanted.iter().map(|entry| (entry * clip * UNIT) as i32).collect()
    }

    /// The share of each group's statements that hold with an adapter, in ten thousandths.
    fn shares(&self, adapter: &[f64]) -> [u16; 2] {
        self.statements.each_ref().map(|statements| {
            let holds = |(about, away): &&(Vec<f64>, f64)| away + dot(about, adapter) > 0.0;
            u16::try_from(statements.iter().filter(holds).count() * 10_000 / STATEMENTS).expect("a share")
        })
    }
}

fn series(number: usize, rule: Rule, bound: f64, gate: Gate) -> AdapterManifest {
    let (cohorts, centre) = if rule == Rule::Median { (6, Centre::Median) } else { (1, Centre::Mean) };
    AdapterManifest {
        name: format!("series {number}"),
        encoding: Encoding { fraction_bits: 16, bound: (bound * UNIT) as u32, lane_bits: 31 },
        schedule: Schedule { rounds: 1, every_millis: None, step: Ratio { numerator: 1, denominator: 1 } },
        combination: Combination { weights: Weights::PerPerson, cohorts, centre, floor: 0 },
        gate: Some(gate),
        ..manifest()
    }
}

/// Lets all operators measure, and one exaggerate.
fn assess(play: &mut Play, said: &Assessment) {
    for operator in 0..4 {
        let mut said = said.clone();
        if operator == 2 {
            said.groups = vec![GroupScore { candidate: 10_000, reference: 0 }; 2];
        }
        play.post(operator, Entry::Assess(said));
    }
    let round = said.round;
    let judged = |network: &chorus_tests::network::Network| {
        let peer = network.peer(0).ledger();
        peer.rounds()[&round].assessments.len() == 4
    };
    assert!(play.network.run_until(30_000, judged), "{:?}", play.network.notices);
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part).replace("-0 %", "0 %")
}

/// Plays a round under attack, and returns a row of the table.
fn row(play: &mut Play, world: &World, number: usize, (attack, rule): (Attack, Rule), gate: Gate) -> String {
    let bound = if rule == Rule::Mean { 12.0 * world.bound() } else { world.bound() };
    let series = play.begin(&series(number, rule, bound, gate));
    assert!(play.open_deltas(series, MINUTE, None), "{attack:?} {rule:?}: {:?}", play.network.notices);
    (0..PEOPLE).for_each(|person| play.contribute(person, &world.delta(person, attack, bound), |_| {}));
    let report = finish(play);
    let adapter = report.variant(VariantKind::PerPerson).expect("an adapter");
    let values: Vec<f64> = play.adapter(&adapter).iter().map(|value| *value as f64 / 65_536.0 / UNIT).collect();
    let (before, after) = (world.shares(&[0.0; ENTRIES]), world.shares(&values));
    let groups = before.iter().zip(after).map(|(before, after)| GroupScore { candidate: after, reference: *before });
    assess(play, &Assessment { round: report.round, adapter, groups: groups.collect() });
    let verdict = match standing(play) {
        Standing::Adopted(_) => "adopted",
        Standing::Refused(_) => "refused",
        other => panic!("{attack:?} {rule:?}: {other:?}"),
    };
    let attack = match attack {
        Attack::None => "none",
        Attack::Flip => "sign flip × 10",
        Attack::Boost => "boosting × 10, for one camp",
        Attack::Backdoor => "backdoor within the bound",
    };
    let rule = match rule {
        Rule::Mean => "mean",
        Rule::Bounded => "mean within the bound",
        Rule::Median => "median of 6 cohorts within the bound",
    };
    let share = |share: u16| percent(f64::from(share) / 10_000.0);
    let cells = [
        attack.to_owned(),
        rule.to_owned(),
        percent(dot(&values, &world.common) / COMMON),
        percent(dot(&values, &world.camp) / CAMP),
        percent(dot(&values, &world.hidden) / world.bound()),
        share(after[0]),
        share(after[1]),
        verdict.to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

#[test]
fn what_poison_does_to_an_adapter_is_what_the_table_says() {
    let world = World::new();
    let mut play = Scenario { operators: 4, ..scenario(PEOPLE) }.start();
    assert!(play.open(), "a round of ballots whose statements the evaluation asks about");
    let gate = Gate { round: play.round_id(), groups: 2, held_out: 5, tolerance: 100 };
    let attacks = [Attack::None, Attack::Flip, Attack::Boost, Attack::Backdoor];
    let rules = [Rule::Mean, Rule::Bounded, Rule::Median];
    let cases = attacks.into_iter().flat_map(|attack| rules.map(|rule| (attack, rule)));

    let rows: Vec<String> =
        cases.enumerate().map(|(number, case)| row(&mut play, &world, number, case, gate)).collect();

    let page = include_str!("../../README.md");
    let stale: Vec<&String> = rows.iter().filter(|row| !page.contains(row.as_str())).collect();
    assert!(stale.is_empty(), "the table is:\n{}", rows.join("\n"));
}
