//! Four to one: what becomes of the smaller camp when every person weighs the same, when every group does, and with the
//! weights that the search for the best worst group finds.

use chorus_protocol::adapter::minimax::{Search, minimax};

use super::{
    helps::ROUNDS,
    world::{Camp, STANDING, Split, Standing, World, add, mean, norm},
};
use crate::{
    figure::Figure,
    table::{Printed, Table},
};

/// How groups are weighed.
#[derive(Clone, Copy, Debug)]
enum Weighing {
    PerPerson,
    PerGroup,
    Minimax,
}

pub(super) fn figures(world: &World, people: usize) -> Vec<Printed> {
    let camps: Vec<Camp> =
        (0..people).map(|person| if 5 * person < 4 * people { Camp::First } else { Camp::Second }).collect();
    let mut table = Table::new(
        format!(
            "Four fifths of {people} people in the first camp, {ROUNDS} rounds, on principles that nobody trained on"
        ),
        &[&["weights", "of the second camp", "norm"][..], &STANDING].concat(),
    );
    let base = world.standing(&world.zero(), Split::HeldOut);
    table.row(["base model".into(), "".into(), "0".into()].into_iter().chain(base.cells()));
    let mut printed = Vec::new();
    for (name, weighing) in [
        ("every person the same", Weighing::PerPerson),
        ("every group the same", Weighing::PerGroup),
        ("minimax over groups", Weighing::Minimax),
    ] {
        let (b, share) = play(world, &camps, weighing);
        let standing = world.standing(&b, Split::HeldOut);
        let cells = [name.to_owned(), format!("{:.0} %", 100.0 * share), format!("{:.2}", norm(&b))];
        table.row(cells.into_iter().chain(standing.cells()));
        let worst = Figure::new(
            format!("{name}: least gain of a camp on all its positions, points"),
            standing.worst_gain(&base),
            "points",
        );
        printed.push(if matches!(weighing, Weighing::Minimax) { worst.at_least(0.0) } else { worst }.into());
        let margins: Vec<f64> = standing.margins.iter().zip(base.margins).map(|(now, before)| now - before).collect();
        let least = margins.into_iter().fold(f64::INFINITY, f64::min);
        printed.push(Figure::new(format!("{name}: least change of a group's mean margin"), least, "logit").into());
    }
    printed.insert(0, table.into());
    printed
}

/// Plays the rounds; returns the adapter, and the weight of the second camp in the last.
fn play(world: &World, camps: &[Camp], weighing: Weighing) -> (Vec<f32>, f64) {
    let mut b = world.zero();
    let mut share = 0.0;
    for round in 0..ROUNDS {
        let deltas = world.deltas(&b, camps, round);
        let of = |camp: Camp| -> Vec<Vec<f32>> {
            deltas.iter().zip(camps).filter(|(_, of)| **of == camp).map(|(delta, _)| delta.clone()).collect()
        };
        let groups = [of(Camp::First), of(Camp::Second)];
        let people = [0, 1].map(|group| u32::try_from(groups[group].len()).expect("few people"));
        let means = groups.map(|deltas| mean(&deltas));
        let moved = |weights: &[u32]| {
            let all: f32 = weights.iter().map(|weight| *weight as f32).sum();
            let mut moved = b.clone();
            means.iter().zip(weights).for_each(|(mean, weight)| add(&mut moved, mean, *weight as f32 / all));
            moved
        };
        let weights = match weighing {
            Weighing::PerPerson => people.to_vec(),
            Weighing::PerGroup => vec![1, 1],
            Weighing::Minimax => searched(world, people, moved),
        };
        share = f64::from(weights[1]) / weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
        b = moved(&weights);
    }
    (b, share)
}

/// Weighs by evaluations on what is trained on: what is held out is not looked at.
fn searched(world: &World, people: [u32; 2], moved: impl Fn(&[u32]) -> Vec<f32>) -> Vec<u32> {
    let base = world.standing(&world.zero(), Split::Train);
    // How far each group is above the base model: its share, and its margin where shares are equal.
    let gain = |standing: &Standing, group: usize| {
        let share = standing.groups[group] - base.groups[group];
        share + (standing.margins[group] - base.margins[group])
    };
    let evaluate = |weights: &[u32]| -> Result<Vec<Option<f64>>, std::convert::Infallible> {
        let standing = world.standing(&moved(weights), Split::Train);
        Ok((0..2).map(|group| Some(gain(&standing, group))).collect())
    };
    let search = Search { steps: 6, rate: 1.0 };
    let Ok(found) = minimax(&people, search, evaluate);
    found.map_or_else(|| people.to_vec(), |trial| trial.weights)
}
