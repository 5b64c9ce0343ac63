//! Whether caps are kept.

use std::time::{Duration, Instant};

use chorus_node::network::{Caps, Traffic};
use tokio::time::sleep;

use super::world::{Setting, World};
use crate::figure::Figure;

/// For how long it is measured.
const MEASURED: Duration = Duration::from_secs(12);

/// Measures uploads and downloads that would gladly be faster, at 1 Mbit/s and at 20 Mbit/s.
pub(super) async fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, rate) in [("1 Mbit/s", 125_000), ("20 Mbit/s", 2_500_000)] {
        for upload in [true, false] {
            let share = of_cap(rate, upload).await;
            let direction = if upload { "upload" } else { "download" };
            let name = format!("bytes over 12 s ÷ cap, {direction} of {name}");
            figures.push(Figure::new(format!("{name}: not more"), share, "ratio").at_most(1.05));
            figures.push(Figure::new(format!("{name}: not less"), share, "ratio").at_least(0.95));
        }
    }
    figures
}

async fn of_cap(rate: u64, upload: bool) -> f64 {
    let setting = |index: usize| {
        let cap = Some(rate);
        let caps = match (index, upload) {
            (0, true) => Caps { upload: cap, ..Caps::default() },
            (1, false) => Caps { download: cap, ..Caps::default() },
            _ => Caps::default(),
        };
        Setting { caps, unreachable: false }
    };
    let world = World::start(2, 1, setting).await;
    let length = usize::try_from(rate * 20).unwrap_or(usize::MAX);
    let blob: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    let id = world.nodes[0].store.put(&blob).expect("stored");
    let reader = world.nodes[1].handle.clone();
    let fetching = tokio::spawn(async move { reader.fetch_blob(id).await.map(drop) });
    sleep(Duration::from_secs(1)).await;
    let bytes = |traffic: Traffic| if upload { traffic.sent } else { traffic.received };
    let measured = &world.nodes[usize::from(!upload)].handle;
    let (before, began) = (bytes(measured.traffic()), Instant::now());
    sleep(MEASURED).await;
    let share = (bytes(measured.traffic()) - before) as f64 / (rate as f64 * began.elapsed().as_secs_f64());
    fetching.abort();
    world.stop().await;
    share
}
