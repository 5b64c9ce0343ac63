//! Fakes that get past vouching and past a quorum of attesters.

use std::{collections::BTreeSet, time::Instant};

use chorus_protocol::registry::flow::{Acceptance, RECOMMENDED_CAPACITIES};
use chorus_tests::sybil::{
    Attack, Outcome, Placement, Settings, Shape, attack,
    attesters::{Admission, Applicants, Office, admission},
    peace,
};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::{
    figure::Figure,
    table::{Printed, Table},
};

/// Numbers of corrupt members.
const CORRUPT: [usize; 4] = [1, 5, 10, 50];

/// Towns for each attack; the worst of them is printed.
const TOWNS: u64 = 4;

/// Who is corrupt, where everybody keeps to the operating conditions: at most one group of seeds is.
const PLACEMENTS: [Placement; 3] = [Placement::Random, Placement::Nearest, Placement::SeedGroup];

pub(super) fn figures(seed: u64) -> Vec<Printed> {
    let settings = Settings::default();
    let mut table = Table::new(
        "Vouching: fakes accepted, worst of random, nearest and seed-group placement in four towns of 1,000",
        &["shape", "1 corrupt", "5", "10", "50", "most per corrupt", "honest in the worst part"],
    );
    let mut outcomes = Vec::new();
    for shape in Shape::ALL {
        let row = CORRUPT.map(|corrupt| worst(&settings, shape, &PLACEMENTS, corrupt, seed));
        table.row(shape_row(shape.name(), &row));
        outcomes.extend(row);
    }
    let most = outcomes.iter().map(Outcome::fakes_each).fold(0.0, f64::max);
    let least = outcomes.iter().map(Outcome::honest_percent).fold(100.0, f64::min);
    vec![
        table.into(),
        Figure::new("fakes per corrupt member, at most", most, "ratio").at_most(3.0).into(),
        Figure::new("honest people accepted in the worst part of the worst town", least, "%").at_least(99.0).into(),
        time("flow, 1000 members, 9 vouches each, C(5, 1) runs", 1_000, 1).at_most(0.1).into(),
        time("flow, 1000 members, 9 vouches each, C(5, 2) runs", 1_000, 2).at_most(0.1).into(),
        time("flow, 16384 members, 9 vouches each, C(5, 1) runs", 16_384, 1).into(),
        time("flow, 16384 members, 9 vouches each, C(5, 2) runs", 16_384, 2).into(),
        outside(seed).into(),
        attesters().into(),
    ]
}

/// Returns the worst outcome over placements and towns.
fn worst(settings: &Settings, shape: Shape, placements: &[Placement], corrupt: usize, seed: u64) -> Outcome {
    let cases: Vec<(Placement, u64)> =
        placements.iter().flat_map(|&placement| (0..TOWNS).map(move |town| (placement, seed + town))).collect();
    let run = |(placement, seed)| attack(settings, Attack { shape, placement, corrupt }, seed);
    cases.into_par_iter().map(run).reduce_with(Outcome::or_worse).expect("there are cases")
}

fn shape_row(name: &str, outcomes: &[Outcome; 4]) -> Vec<String> {
    let most = outcomes.iter().map(Outcome::fakes_each).fold(0.0, f64::max);
    let least = outcomes.iter().map(Outcome::honest_percent).fold(100.0, f64::min);
    let fakes = outcomes.iter().map(|outcome| outcome.fakes.to_string());
    let ends = [format!("{most:.2}"), format!("{least:.1} %")];
    core::iter::once(name.to_owned()).chain(fakes).chain(ends).collect()
}

/// Returns what happens where the operating conditions are not kept.
fn outside(seed: u64) -> Table {
    let base = Settings::default;
    let rows: [(&str, Settings, &[Placement]); 9] = [
        ("as above: 8 % seeds, 8 to 10 vouches, one group corrupt", base(), &PLACEMENTS),
        ("6 % seeds", Settings { seeds_per_mille: 60, ..base() }, &PLACEMENTS),
        ("6 % seeds, none of them corrupt", Settings { seeds_per_mille: 60, ..base() }, &PLACEMENTS[..2]),
        ("4 % seeds, none of them corrupt", Settings { seeds_per_mille: 40, ..base() }, &PLACEMENTS[..2]),
        ("2 % seeds, none of them corrupt", Settings { seeds_per_mille: 20, ..base() }, &PLACEMENTS[..2]),
        ("everybody seeks 6 to 8 vouches", Settings { asks: (6, 8), ..base() }, &PLACEMENTS),
        ("a part without seeds, 4 % of vouches across", Settings { seedless: Some(0), ..base() }, &PLACEMENTS),
        ("corrupt seeds in every group, one tolerated", base(), &[Placement::SeedsApart]),
        (
            "corrupt seeds in two groups, two tolerated, 10 % seeds",
            Settings { tolerated: 2, seeds_per_mille: 100, ..base() },
            &[Placement::Random, Placement::Nearest, Placement::TwoSeedGroups],
        ),
    ];
    let mut table = Table::new(
        "Vouching, outside of the operating conditions: worst of free-form, layered and concentrated in four towns",
        &["conditions", "1 corrupt", "5", "10", "50", "most per corrupt", "honest in the worst part", "… in peace"],
    );
    for (name, settings, placements) in rows {
        let attacked = |shape, corrupt| worst(&settings, shape, placements, corrupt, seed);
        let row = CORRUPT.map(|corrupt| {
            let shapes = [Shape::FreeForm, Shape::Layered, Shape::Concentrated];
            shapes.map(|shape| attacked(shape, corrupt)).into_iter().reduce(Outcome::or_worse).expect("three shapes")
        });
        let calm = (0..TOWNS).map(|town| peace(&settings, seed + town).honest_percent()).fold(100.0, f64::min);
        let mut cells = shape_row(name, &row);
        cells.push(format!("{calm:.1} %"));
        table.row(cells);
    }
    table
}

/// Returns what corrupt attesters achieve.
fn attesters() -> Table {
    let mut table = Table::new(
        "Attesters: 1,000 honest people, 50 who show each attester another key if they can, 200 keys of nobody",
        &["k of n, f", "corrupt", "keys of nobody accepted", "second keys accepted", "honest accepted"],
    );
    let applicants = Applicants { honest: 1_000, greedy: 50, invented: 200 };
    for (attesters, quorum, faulty) in [(5, 4, 1), (7, 5, 2)] {
        let office = Office { attesters, quorum, faulty };
        for corrupt in 0..=quorum {
            let Admission { invented, second, honest } = admission(office, corrupt, applicants);
            let kind = match corrupt {
                c if c <= faulty => "",
                c if c < 2 * quorum - attesters => " (beyond f)",
                _ => " (broken)",
            };
            let name = format!("{quorum} of {attesters}, {faulty}");
            table.row([name, format!("{corrupt}{kind}"), invented.to_string(), second.to_string(), honest.to_string()]);
        }
    }
    table
}

/// Returns how long one acceptance takes, on a graph that needs no luck: everybody is vouched for by nine others.
fn time(name: &str, people: u32, tolerated: u8) -> Figure {
    let seeds = people * 8 / 100 / 5;
    let groups: Vec<Vec<u32>> = (0..5).map(|group| (0..seeds).map(|i| 5 * i + group).collect()).collect();
    // Strides without a pattern: a power of a large number, reduced.
    let from = |person: u32, step: u32| {
        let mixed = (u64::from(person) * 9 + u64::from(step) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        u32::try_from(mixed % u64::from(people)).expect("below a u32")
    };
    let vouches: BTreeSet<(u32, u32)> =
        (0..people).flat_map(|person| (0..9).map(move |step| (from(person, step), person))).collect();
    let acceptance = Acceptance { seeds: &groups, tolerated, capacities: &RECOMMENDED_CAPACITIES, min_vouches: 5 };
    let started = Instant::now();
    let accepted = acceptance.accepted(&vouches).len();
    let seconds = started.elapsed().as_secs_f64();
    Figure::new(format!("{name} ({accepted} accepted)"), seconds, "s")
}
