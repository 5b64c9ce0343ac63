//! Figures of the network: fifty real nodes of this machine over loopback TCP, with the uplinks of homes.
//!
//! Every node has a swarm, a disk and an event loop of its own; they share two cores, so the times are upper bounds of
//! what as many machines take. An uplink is held back by the node's own cap.

mod blobs;
mod caps;
mod stem;
mod world;

use std::time::{Duration, Instant};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use self::world::{Setting, World};
use crate::{Part, figure::Figure, table::Printed};

/// Nodes of the community.
const NODES: usize = 50;
/// Control messages.
const MESSAGES: u64 = 24;
const MESSAGE_BYTES: usize = 60_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures the parts that are wanted.
pub(crate) fn figures(seed: u64, is_wanted: impl Fn(Part) -> bool, mut show: impl FnMut(Vec<Printed>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let mut show = |figures: Vec<Figure>| show(figures.into_iter().map(Printed::from).collect());
    show(vec![load()]);
    if is_wanted(Part::Gossip) {
        show(runtime.block_on(gossip(seed)));
    }
    if is_wanted(Part::Blobs) {
        show(blobs::timings());
        show(runtime.block_on(blobs::to_all(seed, 0)));
        show(runtime.block_on(blobs::to_all(seed, 3 * NODES / 10)));
    }
    if is_wanted(Part::Caps) {
        show(runtime.block_on(caps::figures()));
    }
    if is_wanted(Part::Stem) {
        show(stem::figures(seed));
    }
    show(vec![load()]);
}

/// The load of the machine, of which these figures depend.
fn load() -> Figure {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN);
    Figure::new("processes that want a core, mean of the last minute", load, "ratio")
}

/// How long a control message of 60 KB takes to everybody.
async fn gossip(seed: u64) -> Vec<Figure> {
    let mut world = World::start(NODES, seed, |_| Setting::default()).await;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (mut each, mut last) = (Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let mut message = vec![0; MESSAGE_BYTES];
        rng.fill_bytes(&mut message);
        message[..8].copy_from_slice(&number.to_be_bytes());
        let from = rng.next_u32() as usize % NODES;
        let said = Instant::now();
        world.publish(from, message).await;
        let heard = world.heard(number, NODES - 1).await;
        let took = heard.into_iter().map(|at| at.saturating_duration_since(said).as_secs_f64());
        let took: Vec<f64> = took.collect();
        last.push(took.iter().copied().fold(0.0, f64::max));
        each.extend(took);
    }
    world.stop().await;
    let name = |what: &str| format!("60 KB control message, {NODES} nodes: {what}");
    vec![
        Figure::new(name("median node"), quantile(&mut each, 0.5), "s"),
        Figure::new(name("99th percentile of nodes"), quantile(&mut each, 0.99), "s").at_most(0.25),
        Figure::new(name("last node, median message"), quantile(&mut last, 0.5), "s"),
        Figure::new(name("last node, worst message"), quantile(&mut last, 1.0), "s"),
    ]
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (at * (values.len().saturating_sub(1)) as f64).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}
