//! Real nodes on real sockets of this machine.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::*;

mod blobs;
mod reach;

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of blobs that is gone when it is dropped.
struct Shelf {
    store: BlobStore,
    /// Changes what is given away.
    lie: Option<Lie>,
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    /// Something else than the small blob.
    Whole,
    /// A piece with a flipped bit.
    Slice,
    /// A length that is not the blob's.
    Size,
}

impl Default for Shelf {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = BlobStore::open(folder.path(), 64 * 1024 * 1024).expect("opens");
        Self { store, lie: None, _folder: folder }
    }
}

impl BlobSource for Shelf {
    fn blob(&self, id: BlobId) -> Option<Vec<u8>> {
        BlobSource::blob(&self.store, id)
    }

    fn find(&self, id: BlobId) -> Option<Found> {
        let found = BlobSource::find(&self.store, id);
        match (self.lie, found) {
            (Some(Lie::Whole), _) => Some(Found::Whole(b"something else".to_vec())),
            (Some(Lie::Size), Some(Found::Parts { size, pieces, proof })) => {
                Some(Found::Parts { size: size + 1, pieces, proof })
            }
            (_, found) => found,
        }
    }

    fn slice(&self, id: BlobId, piece: u32) -> Option<Vec<u8>> {
        let mut slice = BlobSource::slice(&self.store, id, piece)?;
        if self.lie == Some(Lie::Slice) {
            *slice.last_mut()? ^= 1;
        }
        Some(slice)
    }

    fn put(&self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        BlobSource::put(&self.store, id, bytes)
    }

    fn begin(&self, id: BlobId, size: u64, proof: &[u8]) -> Result<Pieces, BlobError> {
        self.store.begin(id, size, proof)
    }

    fn add(&self, id: BlobId, piece: u32, slice: &[u8]) -> Result<Pieces, BlobError> {
        self.store.add(id, piece, slice)
    }
}

struct Node {
    handle: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    addresses: Vec<String>,
}

struct Setup {
    seed: u8,
    listen: Vec<String>,
    community: u8,
    shelf: Shelf,
    role: Role,
    reach: Reach,
    memory: Option<Arc<dyn PeerMemory>>,
    caps: Caps,
    minor: u8,
    limits: Limits,
}

impl Setup {
    /// An operator: whoever starts it vouches for its address.
    fn new(seed: u8, listen: &str) -> Self {
        let (listen, shelf) = (vec![listen.to_owned()], Shelf::default());
        Self {
            seed,
            listen,
            community: 1,
            shelf,
            role: Role::Operator,
            reach: Reach::quiet(),
            memory: None,
            caps: Caps::default(),
            minor: 1,
            limits: Limits::default(),
        }
    }

    /// A participant whom nobody can call.
    fn hidden(seed: u8) -> Self {
        Self { listen: Vec::new(), role: Role::Participant, ..Self::new(seed, TCP) }
    }

    async fn start(self) -> Node {
        let config = NetworkConfig {
            identity: Zeroizing::new([self.seed; 32]),
            listen: self.listen,
            role: self.role,
            reach: self.reach,
            community: CommunityId::from([self.community; 32]),
            blobs: Arc::new(self.shelf),
            caps: self.caps,
            memory: self.memory,
            minor: self.minor,
            limits: self.limits,
        };
        let (handle, events, addresses) = Network::spawn(config).await.expect("a free port");
        Node { handle, events, addresses }
    }
}

impl Node {
    const fn id(&self) -> NodeId {
        self.handle.local()
    }

    async fn dial(&self, other: &Self) {
        self.handle.dial(&other.addresses[0]).await.expect("running");
    }

    /// Waits for an event; the ones before it are dropped.
    async fn until<T>(&mut self, mut pick: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("running");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        });
        found.await.expect("the event comes in time")
    }

    async fn connected(&mut self, other: NodeId) {
        self.until(|event| matches!(event, NetworkEvent::Connected(peer) if peer == other).then_some(())).await;
    }

    async fn disconnected(&mut self, other: NodeId) {
        self.until(|event| matches!(event, NetworkEvent::Disconnected(peer) if peer == other).then_some(())).await;
    }

    /// Publishes as soon as anybody takes part.
    async fn publish(&self, bytes: &[u8]) {
        let published = timeout(PATIENCE, async {
            while let Err(error) = self.handle.publish(Topic::Entries, bytes.to_vec()).await {
                assert!(matches!(error, NetworkError::NoPeers), "{error}");
                sleep(Duration::from_millis(10)).await;
            }
        });
        published.await.expect("somebody takes part in time");
    }

    /// Waits for a gossip message, and gives the verdict on all until then.
    async fn gossip(&mut self, expected: &[u8], verdict: Verdict) -> NodeId {
        loop {
            let (from, message_id, bytes) = self
                .until(|event| match event {
                    NetworkEvent::Gossip { topic: Topic::Entries, from, message_id, bytes } => {
                        Some((from, message_id, bytes))
                    }
                    _ => None,
                })
                .await;
            self.handle.report(message_id, verdict).await.expect("running");
            if bytes == expected {
                return from;
            }
        }
    }

    async fn message(&mut self) -> (NodeId, Vec<u8>) {
        self.until(|event| match event {
            NetworkEvent::Message { from, bytes } => Some((from, bytes)),
            _ => None,
        })
        .await
    }
}

/// Two nodes that know each other.
async fn pair(first: Setup, second: Setup) -> (Node, Node) {
    let (mut first, mut second) = (first.start().await, second.start().await);
    second.dial(&first).await;
    first.connected(second.id()).await;
    second.connected(first.id()).await;
    (first, second)
}

/// Waits until gossip passes from every node to every other one.
async fn meshed(nodes: &[&Node]) {
    let connected = timeout(PATIENCE, async {
        loop {
            let mut edges = BTreeSet::new();
            for node in nodes {
                let mesh = node.handle.mesh(Topic::Entries).await.expect("running");
                edges.extend(mesh.into_iter().map(|peer| (node.id(), peer)));
            }
            let mut reached = BTreeSet::from([nodes[0].id()]);
            for _ in nodes {
                let mutual = edges.iter().filter(|(from, to)| reached.contains(from) && edges.contains(&(*to, *from)));
                let next: Vec<_> = mutual.map(|(_, to)| *to).collect();
                reached.extend(next);
            }
            if reached.len() == nodes.len() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    connected.await.expect("the mesh forms in time");
}

async fn gossip_reaches_all(transport: &str) {
    let mut nodes = Vec::new();
    for seed in 0..8 {
        let node = Setup::new(seed, transport).start().await;
        // A line: most messages have to be passed on.
        if let Some(last) = nodes.last() {
            node.dial(last).await;
        }
        nodes.push(node);
    }
    meshed(&nodes.iter().collect::<Vec<_>>()).await;
    for (number, size) in [(0, 100), (7, MAX_GOSSIP_BYTES), (3, 60_000)] {
        let bytes = vec![u8::try_from(number).expect("small"); size];
        nodes[number].publish(&bytes).await;

        let others = nodes.iter_mut().enumerate().filter(|(index, _)| *index != number);
        join_all(others.map(|(_, node)| node.gossip(&bytes, Verdict::Accept))).await;
    }
    assert!(nodes.iter().all(|node| !node.handle.peers().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_called_by_the_name_of_its_machine() {
    for transport in [TCP, QUIC] {
        let mut named = Setup::new(1, transport).start().await;
        let mut caller = Setup::new(2, transport).start().await;
        let address = named.addresses[0].replace("/ip4/127.0.0.1/", "/dns4/localhost/");

        caller.handle.dial(&address).await.expect("an address");

        caller.connected(named.id()).await;
        named.connected(caller.id()).await;
    }
    let caller = Setup::new(3, TCP).start().await;
    let refused = caller.handle.dial("/dnsaddr/example.org").await;
    assert!(matches!(refused, Err(NetworkError::NoWay(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_all_eight_nodes_over_tcp() {
    gossip_reaches_all(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_all_eight_nodes_over_quic() {
    gossip_reaches_all(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_accepted_is_not_passed_on() {
    let (mut middle, left) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;
    let mut right = Setup::new(3, TCP).start().await;
    // Else the two might find each other.
    right.handle.ban(left.id()).await.expect("running");
    right.dial(&middle).await;
    middle.connected(right.id()).await;
    meshed(&[&left, &middle, &right]).await;

    left.publish(b"ignored").await;
    middle.gossip(b"ignored", Verdict::Ignore).await;
    left.publish(b"accepted").await;
    middle.gossip(b"accepted", Verdict::Accept).await;

    let first = right
        .until(|event| match event {
            NetworkEvent::Gossip { bytes, .. } => Some(bytes),
            _ => None,
        })
        .await;
    assert_eq!(first, b"accepted");
}

async fn messages_arrive_in_order(transport: &str) {
    let (first, mut second) = pair(Setup::new(1, transport), Setup::new(2, transport)).await;
    let large = vec![7; 1024 * 1024];

    for number in 0..2000_u32 {
        first.handle.send(second.id(), number.to_be_bytes().to_vec()).await.expect("running");
        if number == 1000 {
            first.handle.send(second.id(), large.clone()).await.expect("running");
        }
    }

    for number in 0..2000_u32 {
        assert_eq!(second.message().await, (first.id(), number.to_be_bytes().to_vec()));
        if number == 1000 {
            assert!(second.message().await.1 == large);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_and_once_over_tcp() {
    messages_arrive_in_order(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_and_once_over_quic() {
    messages_arrive_in_order(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_of_a_mebibyte_passes_within_a_second() {
    for transport in [TCP, QUIC] {
        let (first, mut second) = pair(Setup::new(1, transport), Setup::new(2, transport)).await;
        let proposal = vec![1; 1024 * 1024];
        let started = Instant::now();

        first.handle.send(second.id(), proposal.clone()).await.expect("running");
        let (_, arrived) = second.message().await;

        let took = started.elapsed();
        println!("1 MiB over {transport}: {took:?}");
        assert!(arrived == proposal);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_does_not_listen_delays_messages_and_loses_none() {
    let (first, mut second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;

    // More than waits for an application that does not listen.
    for number in 0..8000_u32 {
        first.handle.send(second.id(), number.to_be_bytes().to_vec()).await.expect("running");
    }
    // Nothing is to be seen of a frame that is refused, so this is but long enough for several.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(second.events.len(), CHANNEL);

    for number in 0..8000_u32 {
        assert_eq!(second.message().await.1, number.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_or_fails() {
    for transport in [TCP, QUIC] {
        let (first, mut second) = pair(Setup::new(1, transport), Setup::new(2, transport)).await;
        let asked = second.id();
        let question = first.handle.clone();
        let answer = tokio::spawn(async move { question.request(asked, b"two and two".to_vec()).await });

        let (from, request_id, bytes) = second
            .until(|event| match event {
                NetworkEvent::Request { from, request_id, bytes } => Some((from, request_id, bytes)),
                _ => None,
            })
            .await;
        second.handle.respond(request_id, b"four".to_vec()).await.expect("running");
        second.handle.respond(request_id, b"five".to_vec()).await.expect("running");

        assert_eq!((from, bytes.as_slice()), (first.id(), b"two and two".as_slice()));
        assert_eq!(answer.await.expect("no panic").expect("answered"), b"four");
        let stranger = NodeId::from([9; 32]);
        let failed = first.handle.request(stranger, Vec::new()).await;
        assert!(matches!(failed, Err(NetworkError::NotConnected(peer)) if peer == stranger));
        let large = first.handle.request(asked, vec![0; MAX_MESSAGE_BYTES + 1]).await;
        assert!(matches!(large, Err(NetworkError::TooLong { .. })));
        let pending = first.handle.clone();
        let pending = tokio::spawn(async move { pending.request(asked, b"never mind".to_vec()).await });
        second.until(|event| matches!(event, NetworkEvent::Request { .. }).then_some(())).await;
        second.handle.shutdown().await;
        assert!(matches!(pending.await.expect("no panic"), Err(NetworkError::Failed { .. })));
        assert!(matches!(second.handle.request(asked, Vec::new()).await, Err(NetworkError::Stopped)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_comes_back() {
    let mut node = Setup::new(1, TCP).start().await;
    let stranger = NodeId::from([9; 32]);

    node.handle.send(stranger, b"hello".to_vec()).await.expect("running");

    let (to, messages) = node
        .until(|event| match event {
            NetworkEvent::SendFailed { to, messages } => Some((to, messages)),
            _ => None,
        })
        .await;
    assert_eq!((to, messages), (stranger, vec![b"hello".to_vec()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_messages_are_rejected_is_shut_out() {
    let (mut first, second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;

    for number in 0..8_u8 {
        second.publish(&[number]).await;
        first.gossip(&[number], Verdict::Reject).await;
    }

    first.disconnected(second.id()).await;
    assert!(first.handle.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_community_connects_and_gets_nowhere() {
    for transport in [TCP, QUIC] {
        let mut node = Setup::new(1, transport).start().await;
        let mut stranger = Setup { community: 2, ..Setup::new(2, transport) }.start().await;
        stranger.dial(&node).await;

        // The connection lasts for moments only, until each has heard who the other is: so call until one is caught.
        let refused = timeout(PATIENCE, async {
            let mut called = Instant::now();
            loop {
                match stranger.handle.request(node.id(), b"let me in".to_vec()).await {
                    Err(NetworkError::NotConnected(_)) => tokio::task::yield_now().await,
                    Err(NetworkError::Failed { .. }) => return,
                    other => panic!("unexpected {other:?}"),
                }
                if called.elapsed() > Duration::from_millis(100) {
                    stranger.dial(&node).await;
                    called = Instant::now();
                }
            }
        });
        refused.await.expect("they connect");

        let mut friend = Setup::new(3, transport).start().await;
        friend.dial(&node).await;
        friend.connected(node.id()).await;
        let first = node.until(|event| matches!(event, NetworkEvent::Connected(_)).then_some(event)).await;
        assert!(matches!(first, NetworkEvent::Connected(peer) if peer == friend.id()));
        assert!(stranger.handle.peers().is_empty());
        assert!(matches!(stranger.events.try_recv(), Ok(NetworkEvent::Listening(_))));
        assert!(stranger.events.try_recv().is_err());
        let unheard = stranger.handle.publish(Topic::Control, b"anybody?".to_vec()).await;
        assert!(matches!(unheard, Err(NetworkError::NoPeers)));
    }
}

/// Both hear what the other publishes and sends.
async fn talk_both_ways(first: &mut Node, second: &mut Node, word: &str) {
    let (there, back) = (format!("{word} there"), format!("{word} back"));
    meshed(&[first, second]).await;
    first.publish(there.as_bytes()).await;
    second.gossip(there.as_bytes(), Verdict::Accept).await;
    second.publish(back.as_bytes()).await;
    first.gossip(back.as_bytes(), Verdict::Accept).await;
    first.handle.send(second.id(), there.into_bytes()).await.expect("running");
    second.handle.send(first.id(), back.into_bytes()).await.expect("running");
    assert_eq!(second.message().await.0, first.id());
    assert_eq!(first.message().await.0, second.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_at_its_address_is_found_again() {
    let (mut first, mut second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;
    talk_both_ways(&mut first, &mut second, "before").await;
    let address = first.addresses[0].split("/p2p/").next().expect("an address").to_owned();
    first.handle.shutdown().await;
    second.disconnected(first.id()).await;

    let mut first = Setup::new(1, &address).start().await;

    second.connected(first.id()).await;
    first.connected(second.id()).await;
    talk_both_ways(&mut first, &mut second, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_before_it_was_missed_hears_and_is_heard() {
    let (mut old, mut second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;
    talk_both_ways(&mut old, &mut second, "before").await;

    let mut new = Setup::new(1, TCP).start().await;
    new.dial(&second).await;
    new.connected(second.id()).await;
    old.handle.shutdown().await;

    talk_both_ways(&mut new, &mut second, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_peer_stays_out_however_it_calls() {
    let (mut first, mut second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;

    first.handle.ban(second.id()).await.expect("running");
    first.disconnected(second.id()).await;
    second.disconnected(first.id()).await;
    second.dial(&first).await;
    first.dial(&second).await;
    let third = Setup::new(3, TCP).start().await;
    third.dial(&first).await;

    let next = first.until(|event| matches!(event, NetworkEvent::Connected(_)).then_some(event)).await;
    assert!(matches!(next, NetworkEvent::Connected(peer) if peer == third.id()));
    assert_eq!(first.handle.peers(), [third.id()]);
}

#[tokio::test]
async fn bad_addresses_are_refused() {
    let spawn = |listen: &str| {
        Network::spawn(NetworkConfig {
            identity: Zeroizing::new([1; 32]),
            listen: vec![listen.to_owned()],
            role: Role::Operator,
            reach: Reach::quiet(),
            community: CommunityId::from([1; 32]),
            blobs: Arc::new(Shelf::default()),
            caps: Caps::default(),
            memory: None,
            minor: 1,
            limits: Limits::default(),
        })
    };

    assert!(matches!(spawn("localhost:4001").await, Err(NetworkError::Address(_))));
    assert!(matches!(spawn("/ip4/127.0.0.1/tcp/0/ws").await, Err(NetworkError::Address(_))));
    let node = Setup::new(1, TCP).start().await;
    let taken = node.addresses[0].split("/p2p/").next().expect("an address").to_owned();
    assert!(matches!(spawn(&taken).await, Err(NetworkError::Listen { .. })));
    assert!(matches!(node.handle.dial("nowhere").await, Err(NetworkError::Address(_))));
}
