//! Does everybody's adapter help everybody? Three rounds, against the base model and against training in one place.

use super::world::{Camp, STANDING, Split, Standing, World, add, mean, norm};
use crate::{
    figure::Figure,
    table::{Printed, Table},
};
use chorus_node::model::train::TrainConfig;

/// Rounds of a run.
pub(super) const ROUNDS: usize = 3;

/// The first half of the people is of the first camp.
pub(super) fn halves(people: usize) -> Vec<Camp> {
    (0..people).map(|person| if person < people / 2 { Camp::First } else { Camp::Second }).collect()
}

pub(super) fn figures(world: &World, people: usize) -> Vec<Printed> {
    let camps = halves(people);
    let mut table = Table::new(
        format!("{people} people in two camps, {ROUNDS} rounds, judged on principles that nobody trained on"),
        &[&["model", "norm"][..], &STANDING].concat(),
    );
    let mut judged = |name: String, b: &[f32]| -> Standing {
        let standing = world.standing(b, Split::HeldOut);
        table.row([name, format!("{:.2}", norm(b))].into_iter().chain(standing.cells()));
        standing
    };
    let mut b = world.zero();
    let base = judged("base model".to_owned(), &b);
    let mut standing = base;
    for round in 0..ROUNDS {
        let deltas = world.deltas(&b, &camps, round);
        add(&mut b, &mean(&deltas), 1.0);
        standing = judged(format!("after round {}", round + 1), &b);
    }
    // In one place: the same votes, as many steps as a person takes in all rounds, each with everybody's batch; and once
    // through all votes with a person's batch.
    let all: Vec<_> = camps.iter().enumerate().flat_map(|(person, camp)| world.votes(person, *camp)).collect();
    let config = |batch, epochs| TrainConfig {
        batch,
        epochs,
        shards: world.replicas.threads(),
        seed: world.seed,
        ..world.config.clone()
    };
    let alike = world.train_with(&world.zero(), all.clone(), config(6 * people, ROUNDS), world.replicas);
    let alike = judged("pooled, as many steps".to_owned(), &alike);
    let once = world.train_with(&world.zero(), all, config(6, 1), world.replicas);
    let once = judged("pooled, many small steps".to_owned(), &once);
    let gain = |of: &Standing| of.community - base.community;
    let halves = standing.halves.iter().zip(base.halves).map(|(now, before)| now - before);
    let mut printed = vec![
        Printed::from(table),
        Figure::new("community's principles preferred, points over the base model", gain(&standing), "points")
            .at_least(10.0)
            .into(),
        Figure::new("least gain of a camp on what it holds, points", standing.worst_held(&base), "points")
            .at_least(5.0)
            .into(),
        Figure::new("least gain of a camp on all its positions, points", standing.worst_gain(&base), "points").into(),
    ];
    let names = ["gain on what should be, points", "gain on what should not be, points"];
    printed.extend(names.into_iter().zip(halves).map(|(name, gain)| Figure::new(name, gain, "points").into()));
    let pooled = gain(&alike).max(gain(&once));
    let part = if pooled > 0.0 { gain(&standing) / pooled } else { f64::INFINITY };
    printed.push(Figure::new("part of the better pooled training's gain", part, "ratio").at_least(0.8).into());
    printed
}
