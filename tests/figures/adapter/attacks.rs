//! One in five contributes to harm: what a round's rules do about it.
//!
//! One round from the base model. *Sign flip*: what an honest person would send, times minus ten. *Boosting*: one camp's own
//! wish, times ten. *Backdoor*: the opposite of five principles that everybody holds, trained until it holds, within the bound.

use chorus_protocol::adapter::{
    combine::{BlockSum, EXTRA_BITS, centre},
    manifest::Centre,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::{
    helps::halves,
    world::{STANDING, Split, Standing, World, clip, mean, norm},
};
use crate::{
    figure::Figure,
    table::{Printed, Table},
};
use chorus_node::model::train::{Lesson, Replicas, TrainConfig};

/// One in so many is malicious.
const MALICIOUS: usize = 5;

/// People of a cohort: the smallest that a policy's floor could admit.
const COHORT: usize = 3;

/// Principles that the backdoor turns round.
const TARGETS: usize = 5;

/// Units of a delta, for the medians of the protocol.
const UNIT: f64 = 65_536.0;

pub(super) fn figures(world: &World, people: usize) -> Vec<Printed> {
    let zero = world.zero();
    let honest = world.deltas(&zero, &halves(people), 0);
    let mut norms: Vec<f64> = honest.iter().map(|delta| norm(delta)).collect();
    norms.sort_by(f64::total_cmp);
    // What half of all people would keep to without being asked.
    let bound = norms[norms.len() / 2];
    let targets: Vec<Lesson> =
        world.common_lessons().iter().step_by(7).take(TARGETS).filter_map(Lesson::opposite).collect();
    let backdoor = backdoor(world, &targets, bound);
    let base = world.standing(&zero, Split::HeldOut);
    let clean = world.standing(&mean(&honest), Split::HeldOut);
    let mut table = Table::new(
        format!("One in {MALICIOUS} of {people} people malicious, one round, on principles that nobody trained on"),
        &[&["attack", "rule", "norm", "turned round", "gate"][..], &STANDING].concat(),
    );
    let turned = |b: &[f32]| targets.iter().filter(|target| world.margin(b, target) > 0.0).count();
    let mut row = |attack: &str, rule: &str, b: &[f32], standing: &Standing, gate: &str| {
        let cells = [
            attack.to_owned(),
            rule.to_owned(),
            format!("{:.2}", norm(b)),
            format!("{} of {}", turned(b), targets.len()),
            gate.to_owned(),
        ];
        table.row(cells.into_iter().chain(standing.cells()));
    };
    row("none", "base model", &zero, &base, "");
    row("none", "mean", &mean(&honest), &clean, "");
    let mut kept = Vec::new();
    let before = world.standing(&zero, Split::Train);
    for attack in ["sign flip × 10", "boosting × 10", "backdoor"] {
        let sent = |person: usize, delta: &Vec<f32>| -> Vec<f32> {
            if !person.is_multiple_of(MALICIOUS) {
                return delta.clone();
            }
            match attack {
                "sign flip × 10" => delta.iter().map(|value| -10.0 * value).collect(),
                // People of one camp only: everybody malicious wishes the same.
                "boosting × 10" => honest[person % (people / 2)].iter().map(|value| 10.0 * value).collect(),
                _ => backdoor.clone(),
            }
        };
        let sent: Vec<Vec<f32>> = honest.iter().enumerate().map(|(person, delta)| sent(person, delta)).collect();
        let bounded: Vec<Vec<f32>> = sent
            .iter()
            .map(|delta| {
                let mut delta = delta.clone();
                clip(&mut delta, bound);
                delta
            })
            .collect();
        let rules = [
            ("mean", mean(&sent)),
            ("mean within the bound", mean(&bounded)),
            ("median of cohorts within the bound", median(world.seed, &bounded)),
        ];
        for (rule, b) in rules {
            let standing = world.standing(&b, Split::HeldOut);
            let asked = world.standing(&b, Split::Train);
            let falls = asked.groups.iter().zip(before.groups).any(|(now, was)| *now < was);
            row(attack, rule, &b, &standing, if falls { "refused" } else { "adopted" });
            if rule.starts_with("median") {
                let honest_gain = clean.community - base.community;
                let part = (standing.community - base.community) / honest_gain;
                kept.push(Figure::new(
                    format!("{attack}: part of the honest gain that the median keeps"),
                    part,
                    "ratio",
                ));
            }
        }
    }
    let mut printed =
        vec![Printed::from(table), Figure::new("bound, the median of honest norms", bound, "norm").into()];
    printed.extend(kept.into_iter().map(Printed::from));
    printed
}

/// Trains on the targets alone until they hold, and keeps to the bound.
fn backdoor(world: &World, targets: &[Lesson], bound: f64) -> Vec<f32> {
    let config = TrainConfig { epochs: 10, batch: targets.len(), ..world.config.clone() };
    let mut trained = world.train_with(&world.zero(), targets.to_vec(), config, Replicas::new(1));
    let scale = bound / norm(&trained).max(f64::MIN_POSITIVE);
    // Short deltas are stretched: whoever wants to harm uses all of the bound.
    trained.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    trained
}

/// The coordinate median of the means of random cohorts, by the protocol's own arithmetic.
fn median(seed: u64, deltas: &[Vec<f32>]) -> Vec<f32> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..deltas.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    let count = (deltas.len() / COHORT).max(1);
    let sum = |cohort: usize| {
        let members: Vec<&Vec<f32>> = order.iter().skip(cohort).step_by(count).map(|person| &deltas[*person]).collect();
        let entry = |at: usize| members.iter().map(|delta| (f64::from(delta[at]) * UNIT).round() as i64).sum();
        let contributions = u32::try_from(members.len()).expect("few people");
        BlockSum { contributions, sum: (0..deltas[0].len()).map(entry).collect() }
    };
    let cohorts: Vec<BlockSum> = (0..count).map(sum).collect();
    let unit = UNIT * f64::from(1u32 << EXTRA_BITS);
    centre(&cohorts, Centre::Median).into_iter().map(|value| (value as f64 / unit) as f32).collect()
}
