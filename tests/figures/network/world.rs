//! A community of real nodes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_node::{
    network::{
        Caps, Limits, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, Reach, Role, Topic, Verdict,
    },
    store::blobs::BlobStore,
};
use chorus_protocol::{id::CommunityId, message::MINOR};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::PATIENCE;

/// Nodes that each node calls: with those that call it, it has about twice as many neighbours.
const CALLS: usize = 4;
const QUOTA: u64 = 256 * 1024 * 1024;

/// What one node is like.
#[derive(Clone, Debug, Default)]
pub(super) struct Setting {
    pub(super) caps: Caps,
    /// Nobody can call it; it calls others.
    pub(super) unreachable: bool,
}

/// A node.
pub(super) struct Node {
    pub(super) handle: NetworkHandle,
    pub(super) store: Arc<BlobStore>,
    addresses: Vec<String>,
    _folder: tempfile::TempDir,
}

/// All of them.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    heard: mpsc::UnboundedReceiver<(u64, Instant)>,
}

impl World {
    /// Starts nodes, connects each with some before it that can be called, and waits until gossip may flow.
    pub(super) async fn start(count: usize, seed: u64, setting: impl Fn(usize) -> Setting) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (sender, heard) = mpsc::unbounded_channel();
        let mut world = Self { nodes: Vec::new(), heard };
        let mut reachable: Vec<String> = Vec::new();
        for index in 0..count {
            let setting = setting(index);
            let node = Node::start(index, setting.clone(), sender.clone()).await;
            let mut others = reachable.clone();
            for _ in 0..CALLS.min(others.len()) {
                let other = others.swap_remove(rng.next_u32() as usize % others.len());
                node.handle.dial(&other).await.expect("runs");
            }
            reachable.extend(node.addresses.first().filter(|_| !setting.unreachable).cloned());
            world.nodes.push(node);
        }
        let connected = async {
            while world.nodes.iter().any(|node| node.handle.peers().len() < CALLS.min(count - 1)) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, connected).await.expect("all connect in time");
        // Meshes form with the heartbeat.
        sleep(Duration::from_secs(3)).await;
        world
    }

    /// Publishes a message that begins with its number.
    pub(super) async fn publish(&self, from: usize, message: Vec<u8>) {
        while let Err(error) = self.nodes[from].handle.publish(Topic::Control, message.clone()).await {
            assert!(matches!(error, NetworkError::NoPeers | NetworkError::Congested), "{error}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many nodes have heard a message, and returns when each has.
    pub(super) async fn heard(&mut self, number: u64, count: usize) -> Vec<Instant> {
        let mut times = Vec::new();
        let all = async {
            while times.len() < count {
                let (heard, at) = self.heard.recv().await.expect("nodes run");
                times.extend((heard == number).then_some(at));
            }
        };
        timeout(PATIENCE, all).await.expect("all hear it in time");
        times
    }

    /// Stops all nodes.
    pub(super) async fn stop(self) {
        let stopping = self.nodes.iter().map(|node| {
            let handle = node.handle.clone();
            tokio::spawn(async move { handle.shutdown().await })
        });
        for stopped in stopping.collect::<Vec<_>>() {
            stopped.await.expect("no panic");
        }
    }
}

impl Node {
    async fn start(index: usize, setting: Setting, heard: mpsc::UnboundedSender<(u64, Instant)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(BlobStore::open(folder.path(), QUOTA).expect("opens"));
        let mut identity = [9; 32];
        identity[..8].copy_from_slice(&(index as u64).to_be_bytes());
        let listen = if setting.unreachable { Vec::new() } else { vec!["/ip4/127.0.0.1/tcp/0".into()] };
        let config = NetworkConfig {
            identity: identity.into(),
            listen,
            role: if setting.unreachable { Role::Participant } else { Role::Operator },
            reach: Reach { relays: false, ..Reach::quiet() },
            community: CommunityId::from([1; 32]),
            blobs: Arc::clone(&store) as _,
            caps: setting.caps,
            memory: None,
            minor: MINOR,
            limits: Limits { per_address: 1_024, pending_per_address: 1_024, ..Limits::default() },
        };
        let (handle, mut events, addresses) = Network::spawn(config).await.expect("a free port");
        let network = handle.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let NetworkEvent::Gossip { message_id, bytes, .. } = event {
                    let at = Instant::now();
                    // Errors say that the figures are done.
                    let _ = network.report(message_id, Verdict::Accept).await;
                    let number = bytes.first_chunk().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
                    let _ = heard.send((number, at));
                }
            }
        });
        Self { handle, store, addresses, _folder: folder }
    }
}
