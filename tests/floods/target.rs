//! The node that is flooded: the only operator of a small community, under small limits.

use std::time::Duration;

use chorus_node::{
    driver::{Node, NodeHandle, NodeOptions},
    network::{Caps, Limits, NodeId, Reach, Role},
};
use chorus_protocol::{
    config::Policy,
    id::CommunityId,
    log::{consensus::Timeouts, entry::Entry},
    message::MINOR,
    peer::{Command, Peer},
};
use chorus_tests::{
    community::Community,
    flood::{Guest, PATIENCE},
};
use tempfile::TempDir;

/// What the node bears.
pub(crate) const LIMITS: Limits =
    Limits { memory: Some(2 << 30), connections: 64, per_address: 16, pending_per_address: 8, frame_bytes: 1 << 20 };

/// Members.
pub(crate) const PEOPLE: usize = 10;

/// The node, and what is known of it.
pub(crate) struct Target {
    pub(crate) node: NodeHandle,
    pub(crate) community: Community,
    pub(crate) address: String,
    pub(crate) id: NodeId,
    _folder: TempDir,
}

impl Target {
    /// Starts the node.
    pub(crate) async fn start(seed: u64) -> Self {
        let policy = Policy { min_contributions: 10, floor: 5, ..Policy::default() };
        let community = Community::new(seed, 1, PEOPLE, policy);
        let folder = tempfile::tempdir().expect("a folder");
        let mut transport_seed = [7; 32];
        transport_seed[..8].copy_from_slice(&seed.to_be_bytes());
        let options = NodeOptions {
            data_dir: folder.path().to_owned(),
            genesis: community.genesis.clone(),
            operator: community.operators.first().cloned(),
            transport_seed,
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial: Vec::new(),
            role: Role::Operator,
            reach: Reach::quiet(),
            caps: Caps::default(),
            timeouts: Timeouts::default(),
            pass_millis: chorus_protocol::peer::Config::PASS_MILLIS,
            rng_seed: None,
        };
        let node = Node::start_as(options, MINOR, LIMITS).await.expect("starts");
        let address = node.addresses().first().cloned().expect("it listens");
        let id = NodeId::from(*node.node_id().as_ref());
        Self { node, community, address, id, _folder: folder }
    }

    pub(crate) fn community(&self) -> CommunityId {
        self.community.id()
    }

    /// Somebody who uses the node as it is meant to be used, or begins so.
    pub(crate) async fn meet(&self, number: u64) -> Guest {
        Guest::meet(number, self.community(), &self.address).await
    }

    /// Whoever is honest is answered, and so is a newcomer.
    pub(crate) async fn assert_answers(&self, honest: &Guest) {
        assert!(honest.ask(self.id).await.is_some(), "who was there is answered");
        let newcomer = self.meet(9_999).await;
        assert!(newcomer.ask(self.id).await.is_some(), "a newcomer is answered");
        newcomer.handle.shutdown().await;
    }

    pub(crate) async fn post(&self, entry: Entry) {
        self.node.command(Command::Post(entry)).await.expect("runs");
    }

    pub(crate) async fn wait(&self, holds: impl Fn(&Peer) -> bool + Send + Sync) {
        assert!(self.node.wait_until(&holds, PATIENCE).await.expect("runs"), "in time");
    }

    pub(crate) async fn stop(self, honest: Guest) {
        honest.handle.shutdown().await;
        let stopped = tokio::time::timeout(Duration::from_secs(30), self.node.shutdown()).await;
        assert!(stopped.is_ok(), "it stops");
    }
}
