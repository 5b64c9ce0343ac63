//! Honest nodes and nodes that lie, over real sockets.

use chorus_protocol::log::consensus::Decision;
use tokio::task::JoinHandle;

use super::*;
use crate::driver::{
    Node, NodeHandle,
    tests::{key, options, post},
};

/// How many decisions the true log has at least.
const POLLS: usize = 3;

/// Starts an honest operator with a log.
async fn honest(folder: &std::path::Path) -> (NodeHandle, Genesis) {
    let options = options(folder, Some(key()));
    let genesis = options.genesis.clone();
    let node = Node::start(options).await.expect("starts");
    for number in 0..POLLS {
        post(&node, &format!("question {number}")).await;
    }
    (node, genesis)
}

/// Returns a log as nobody certified it.
fn forged(mut decision: Decision) -> Decision {
    for (_, signature) in &mut decision.certificate.signatures {
        *signature = [7; 64].into();
    }
    decision
}

/// A node that claims a height, and hands out a log to everybody, asked and unasked, until it is dropped.
struct Liar {
    address: String,
    network: NetworkHandle,
    lying: JoinHandle<()>,
}

impl Liar {
    async fn start(community: CommunityId, log: Vec<Decision>, said: Height) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = NetworkConfig {
            identity: Zeroizing::new([9; 32]),
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            role: Role::Operator,
            reach: Reach::quiet(),
            community,
            blobs: Arc::new(BlobStore::open(folder.path(), Policy::keep_all(u64::MAX)).expect("opens")),
            caps: Caps::default(),
            memory: None,
            minor: MINOR,
            limits: Limits::default(),
        };
        let (network, mut events, mut addresses) = Network::spawn(config).await.expect("listens");
        let (tip, sender) = (Message::Tip(Tip { height: said }).seal(community), network.clone());
        let parts: Vec<_> = log.into_iter().map(|decision| LogPart { decisions: vec![decision] }).collect();
        let lying = tokio::spawn(async move {
            let _folder = folder;
            while let Some(event) = events.recv().await {
                if let NetworkEvent::Connected(to) | NetworkEvent::Message { from: to, .. } = event {
                    let _ = sender.send(to, tip.clone()).await;
                    for part in &parts {
                        let _ = sender.send(to, Message::Log(part.clone()).seal(community)).await;
                    }
                }
            }
        });
        Self { address: addresses.remove(0), network, lying }
    }

    async fn stop(self) {
        self.network.shutdown().await;
        self.lying.abort();
    }
}

async fn forgeries(node: &NodeHandle) -> Vec<Decision> {
    let log = node.decisions().await.expect("runs");
    log.iter().map(|decision| forged(decision.as_ref().clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hands_out_what_nobody_certified_keeps_nobody_from_the_true_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (node, genesis) = honest(folder.path()).await;
    let height = node.view(|peer| peer.height()).await.expect("runs");
    let liar = Liar::start(genesis.id(), forgeries(&node).await, height).await;
    let (told, heard) = std::sync::mpsc::channel();
    let progress = move |fetched| {
        let _ = told.send(fetched);
    };

    let addresses = [vec![liar.address.clone()], node.addresses()].concat();
    let fetched = fetch(&genesis, addresses, progress).await;

    assert!(fetched.is_ok(), "{:?}", fetched.err());
    let reached = heard.iter().filter_map(|it| if let Fetched::Log(given, _) = it { Some(given) } else { None }).max();
    assert!(reached >= Some(height), "{reached:?} of {height}");
    liar.stop().await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_only_its_giver_vouches_for_is_refused_as_that_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (node, genesis) = honest(folder.path()).await;
    let liar = Liar::start(genesis.id(), forgeries(&node).await, Height(1)).await;

    let fetched = fetch(&genesis, [liar.address.clone()], |_| ()).await;

    let error = fetched.expect_err("it is not certified");
    assert!(matches!(error, RemoteError::Uncertified { nodes: 1, .. }), "{error:?}");
    assert!(error.to_string().starts_with("the node that answered gives a log that"), "{error}");
    liar.stop().await;
    node.shutdown().await;
}
