//! Blobs: to everybody over narrow uplinks, and what proving a piece costs.

use std::time::{Duration, Instant};

use chorus_node::{
    network::Caps,
    store::blobs::{BlobStore, Found, PIECE_BYTES, Pieces},
};
use chorus_protocol::id::BlobId;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::time::{sleep, timeout};

use super::{
    NODES, PATIENCE, quantile,
    world::{Setting, World},
};
use crate::figure::Figure;

const BLOB_BYTES: usize = 5_000_000;
/// 20 Mbit/s.
const UPLINK: u64 = 2_500_000;
/// The blob that timings are taken on: the largest adapters.
const LARGE: usize = 40 * 1024 * 1024;

fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// How long a blob takes from one node to all, of which so many cannot be called.
pub(super) async fn to_all(seed: u64, unreachable: usize) -> Vec<Figure> {
    let setting = |index: usize| Setting {
        caps: Caps { upload: Some(UPLINK), ..Caps::default() },
        unreachable: index >= NODES - unreachable,
    };
    let world = World::start(NODES, seed, setting).await;
    let blob = random(seed, BLOB_BYTES);
    let id = world.nodes[0].store.put(&blob).expect("stored");
    let before: Vec<u64> = world.nodes.iter().map(|node| node.handle.traffic().sent).collect();
    let began = Instant::now();
    let fetching = world.nodes.iter().skip(1).map(|node| {
        let handle = node.handle.clone();
        tokio::spawn(async move {
            timeout(PATIENCE, handle.fetch_blob(id)).await.expect("in time").expect("kept");
            began.elapsed().as_secs_f64()
        })
    });
    let mut took = Vec::new();
    for fetched in fetching.collect::<Vec<_>>() {
        took.push(fetched.await.expect("no panic"));
    }
    // The counters are looked at ten times a second.
    sleep(Duration::from_millis(300)).await;
    let sent: Vec<f64> = world
        .nodes
        .iter()
        .zip(before)
        .map(|(node, before)| (node.handle.traffic().sent - before) as f64 / BLOB_BYTES as f64)
        .collect();
    world.stop().await;
    let most = sent.iter().skip(1).copied().fold(0.0, f64::max);
    let total: f64 = sent.iter().sum();
    let who = if unreachable == 0 { String::new() } else { format!(", {unreachable} of them not reachable") };
    let name = |what: &str| format!("5 MB to {NODES} nodes of 20 Mbit/s{who}: {what}");
    vec![
        Figure::new(name("median node has it"), quantile(&mut took, 0.5), "s"),
        Figure::new(name("all have it"), quantile(&mut took, 1.0), "s").at_most(8.0),
        Figure::new(name("origin sent ÷ blob"), sent[0], "ratio").at_most(2.5),
        Figure::new(name("busiest other sent ÷ blob"), most, "ratio"),
        Figure::new(name("all sent ÷ what all needed"), total / (NODES - 1) as f64, "ratio").at_most(1.15),
    ]
}

/// What it costs to prove and check pieces.
pub(super) fn timings() -> Vec<Figure> {
    let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let provider = BlobStore::open(from.path(), 2 * LARGE as u64).expect("opens");
    let reader = BlobStore::open(to.path(), 2 * LARGE as u64).expect("opens");
    let id = BlobId::of(&random(1, LARGE));
    provider.put(&random(1, LARGE)).expect("stored");
    let start = Instant::now();
    let Ok(Some(Found::Parts { size, proof, .. })) = provider.find(id) else { panic!("it is here") };
    let tree = start.elapsed().as_secs_f64();
    reader.begin(id, size, &proof).expect("proved");
    let count = Pieces::of(size);
    let (mut prove, mut check, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for piece in 0..count {
        let start = Instant::now();
        let slice = provider.slice(id, piece).expect("sound").expect("here");
        prove += start.elapsed();
        bytes = bytes.max(slice.len());
        let start = Instant::now();
        reader.add(id, piece, &slice).expect("right");
        check += start.elapsed();
    }
    let each = |time: Duration| time.as_secs_f64() / f64::from(count);
    vec![
        Figure::new("tree of a blob of 40 MiB, read from disk", tree, "s").at_most(0.2),
        Figure::new("piece of 256 KiB: prove", each(prove), "s").at_most(0.002),
        Figure::new("piece of 256 KiB: check and write, syncs shared", each(check), "s").at_most(0.010),
        Figure::new("piece of 256 KiB: bytes of its proof", (bytes - PIECE_BYTES) as f64, "B").at_most(2048.0),
        Figure::new("proof of a length", proof.len() as f64, "B").at_most(2048.0),
    ]
}
