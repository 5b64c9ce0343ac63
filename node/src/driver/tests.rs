//! One operator alone, over real files and sockets.

use std::{fs, path::Path};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::registry::policy::Attester;
use chorus_protocol::{
    config::Policy,
    ledger::MIN_CHECKPOINT_HEIGHTS,
    log::entry::{ClockReading, Entry, PollKind, PollOpening},
    peer::{ArrivalError, Landmark},
    time::Timestamp,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

pub(super) fn options(folder: &Path, operator: Option<SecretKey>) -> NodeOptions {
    let operator_role = operator.is_some();
    NodeOptions {
        data_dir: folder.to_owned(),
        genesis: Genesis {
            name: "Pier".into(),
            purpose: "A try-out".into(),
            operators: vec![key().public()],
            attesters: vec![Attester { key: key().public(), organisation: String::new() }],
            policy: Policy::default(),
        },
        operator,
        transport_seed: [2; 32],
        listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
        dial: Vec::new(),
        role: if operator_role { Role::Operator } else { Role::Participant },
        reach: Reach::quiet(),
        caps: Caps::default(),
        blob_quota: NodeOptions::BLOB_QUOTA,
        timeouts: Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        checkpoints: Checkpoints::default(),
        rng_seed: None,
    }
}

/// Puts a poll on the log, and returns the height that it led to.
pub(super) async fn post(node: &NodeHandle, question: &str) -> u64 {
    let opening = PollOpening { kind: PollKind::Value, question: question.into(), context: String::new() };
    let polls = node.view(|peer| peer.ledger().polls().len()).await.expect("runs");
    node.command(Command::Post(Entry::Poll(opening))).await.expect("runs");
    assert!(node.wait_until(|peer| peer.ledger().polls().len() > polls, PATIENCE).await.expect("runs"));
    node.view(|peer| peer.height().0).await.expect("runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_up_its_log_after_a_restart_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts");
    let height = post(&node, "first").await;
    node.shutdown().await;

    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts again");

    assert_eq!(node.view(|peer| peer.height().0).await.expect("runs"), height);
    assert_eq!(post(&node, "second").await, height + 1);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_of_a_stopped_node_says_so_and_the_last_one_stops_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts");
    let second = node.clone();
    node.shutdown().await;
    assert!(matches!(second.view(|peer| peer.height()).await, Err(NodeError::Stopped)));
    drop(second);

    drop(Node::start(options(folder.path(), Some(key()))).await.expect("starts again"));

    let third = Node::start(options(folder.path(), Some(key()))).await;
    assert!(third.is_ok(), "the folder is free soon after the last handle is gone: {third:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_its_journal_does_not_start_and_a_follower_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts");
    let height = post(&node, "first").await;
    node.shutdown().await;
    fs::remove_file(folder.path().join("journal")).expect("there is one");

    let refused = Node::start(options(folder.path(), Some(key()))).await;
    assert!(matches!(refused, Err(NodeError::JournalLost)), "{refused:?}");

    let node = Node::start(options(folder.path(), None)).await.expect("starts");
    assert_eq!(node.view(|peer| peer.height().0).await.expect("runs"), height);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_with_an_old_copy_of_its_journal_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts");
    post(&node, "first").await;
    node.shutdown().await;
    let old = fs::read(&journal).expect("there is one");
    let node = Node::start(options(folder.path(), Some(key()))).await.expect("starts");
    post(&node, "second").await;
    node.shutdown().await;
    fs::write(&journal, old).expect("puts the old one back");

    let refused = Node::start(options(folder.path(), Some(key()))).await;

    assert!(matches!(refused, Err(NodeError::JournalOld)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_knows_the_digest_of_the_founding_document_gets_it_from_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(folder.path(), Some(key()));
    let genesis = options.genesis.clone();
    let node = Node::start(options).await.expect("starts");

    let found = founding::ask(genesis.id(), node.addresses()).await;

    assert_eq!(found.expect("there is one"), genesis);
    assert!(matches!(founding::ask(genesis.id(), ["nowhere".into()]).await, Err(NodeError::Network(_))));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_catches_up_over_the_network_and_fetches_bodies() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let operator = Node::start(options(first.path(), Some(key()))).await.expect("starts");
    post(&operator, "first").await;
    let body: Arc<[u8]> = b"a body".as_slice().into();
    let id = operator.wants.blobs.upgrade().expect("runs").put(&body).expect("stores");

    let follower = NodeOptions { transport_seed: [3; 32], dial: operator.addresses(), ..options(second.path(), None) };
    let follower = Node::start(follower).await.expect("starts");

    assert!(follower.wait_until(|peer| !peer.ledger().polls().is_empty(), PATIENCE).await.expect("runs"));
    assert_eq!(follower.blob(id).await.expect("runs"), None);
    assert_eq!(follower.fetch(id).await.expect("somebody has it"), body);
    assert_eq!(follower.blob(id).await.expect("runs"), Some(body));
    // Later than the operator's own readings, which it posts by itself.
    let time = Timestamp::from_millis(u64::MAX / 2);
    let clock = Entry::Clock(ClockReading { time });
    operator.command(Command::Post(clock)).await.expect("runs");
    assert!(follower.wait_until(|peer| peer.ledger().clock(&key().public()) == time, PATIENCE).await.expect("runs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_fit_is_told_of_and_the_node_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = NodeOptions { blob_quota: 1_000, ..options(folder.path(), Some(key())) };
    let node = Node::start(small).await.expect("starts");
    let mut notices = node.notices();
    let body = vec![7; 2_000];
    let id = BlobId::of(&body);

    node.command(Command::Keep(body.into())).await.expect("runs");

    let told = timeout(PATIENCE, async {
        loop {
            if let Ok(Notice::NotKept { body, .. }) = notices.recv().await {
                return body;
            }
        }
    });
    assert_eq!(told.await.expect("told"), id);
    assert_eq!(node.meters().not_kept(), 1);
    post(&node, "still there?").await;
    node.shutdown().await;
}

/// Lets an operator's log grow until it has a checkpoint.
async fn checkpoint(node: &NodeHandle) -> Landmark {
    for number in 0.. {
        if let Some((landmark, _)) = node.view(Peer::newest_checkpoint).await.expect("runs") {
            return landmark;
        }
        post(node, &format!("question {number}")).await;
    }
    unreachable!("questions do not run out")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_begins_at_the_checkpoint_of_its_invitation_and_at_no_other() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let every = MIN_CHECKPOINT_HEIGHTS;
    let operator =
        NodeOptions { checkpoints: Checkpoints { every, begin_at: None }, ..options(folders[0].path(), Some(key())) };
    let operator = Node::start(operator).await.expect("starts");
    let landmark = checkpoint(&operator).await;
    let follower = |number: u8, begin_at| NodeOptions {
        transport_seed: [2 + number; 32],
        dial: operator.addresses(),
        checkpoints: Checkpoints { every, begin_at: Some(begin_at) },
        ..options(folders[usize::from(number)].path(), None)
    };

    let newcomer = Node::start(follower(1, landmark)).await.expect("starts");
    assert!(newcomer.wait_until(|peer| peer.height() >= landmark.height, PATIENCE).await.expect("runs"));
    newcomer.shutdown().await;
    let after = copy::begins_after(folders[1].path()).expect("reads");
    let newcomer = Node::start(follower(1, landmark)).await.expect("starts again");
    let height = post(&operator, "one more").await;
    assert!(newcomer.wait_until(|peer| peer.height().0 >= height, PATIENCE).await.expect("runs"));

    assert_eq!(newcomer.view(|peer| peer.log_start().next()).await.expect("runs"), landmark.height);
    assert_eq!(after.map(Height::next), Some(landmark.height));
    let refused = newcomer.decisions().await;
    assert!(matches!(refused, Err(NodeError::NotWhole(_))), "{refused:?}");
    let wrong = Landmark { batch: [9; 32].into(), ..landmark };
    let misled = Node::start(follower(2, wrong)).await.expect("starts");
    let mut notices = misled.notices();
    let told = timeout(PATIENCE, async move {
        loop {
            if let Ok(Notice::Arriving { why, .. }) = notices.recv().await {
                return why;
            }
        }
    });
    assert_eq!(told.await, Ok(ArrivalError::OtherBatch));
    assert!(misled.meters().is_halted());
    assert_eq!(misled.view(Peer::height).await.expect("runs"), Height::GENESIS);
}
