//! Homes behind relays, and peers that are remembered.

use super::*;

/// Far longer than a body takes that nobody withholds.
const WITHHELD: Duration = Duration::from_secs(2);

/// Waits until something holds of how a node stands.
async fn stands(node: &Node, holds: impl Fn(&Standing) -> bool + Send + Sync) {
    let mut standing = node.handle.standing();
    let stands = timeout(PATIENCE, standing.wait_for(|standing| holds(standing))).await;
    drop(stands.expect("in time").expect("running"));
}

/// Starts a relay and two homes that it knows; returns as well where the first home can be called.
async fn relayed(first: Setup, second: Setup) -> (Node, Node, Node, String) {
    let transport = first.listen.first().map_or(TCP, String::as_str);
    let relay = Setup { role: Role::Relay, ..Setup::new(1, transport) }.start().await;
    let (mut first, mut second) = (first.start().await, second.start().await);
    first.dial(&relay).await;
    let address = circuit(&mut first).await;
    second.dial(&relay).await;
    second.connected(relay.id()).await;
    (relay, first, second, address)
}

/// Waits until a relay passes calls on to the node, and returns where.
async fn circuit(node: &mut Node) -> String {
    node.until(|event| match event {
        NetworkEvent::Listening(address) if address.contains("p2p-circuit") => Some(address),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_homes_that_nobody_can_call_talk_through_a_relay_but_pass_no_bodies() {
    let body = vec![5; 100_000];
    let (first, mut second) = (Setup::hidden(2), Setup::hidden(3));
    let id = first.shelf.store.put(&body).expect("room");
    second.reach.blobs_through_relays = true;
    let (relay, mut first, mut second, address) = relayed(first, second).await;
    stands(&first, |standing| standing.relays == [relay.id()] && !standing.reachable).await;

    second.handle.dial(&address).await.expect("running");
    second.connected(first.id()).await;
    first.connected(second.id()).await;

    assert!(second.handle.is_relayed(first.id()) && first.handle.is_relayed(second.id()));
    assert!(!second.handle.is_relayed(relay.id()));
    first.handle.send(second.id(), b"hello".to_vec()).await.expect("running");
    assert_eq!(second.message().await, (first.id(), b"hello".to_vec()));
    let withheld = timeout(WITHHELD, second.handle.fetch_blob(id)).await;
    assert!(withheld.is_err(), "{withheld:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn homes_that_know_only_a_relay_find_one_another() {
    let (_relay, first, mut second, _) = relayed(Setup::hidden(2), Setup::hidden(3)).await;

    second.connected(first.id()).await;

    assert!(second.handle.is_relayed(first.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_through_a_relay_becomes_a_direct_one_and_gossip_goes_on() {
    for transport in [TCP, QUIC] {
        let open = |seed| Setup { role: Role::Participant, ..Setup::new(seed, transport) };
        let (_relay, mut first, mut second, address) = relayed(open(2), open(3)).await;

        second.handle.dial(&address).await.expect("running");
        second.connected(first.id()).await;
        first.connected(second.id()).await;
        let peer = first.id();
        stands(&second, |standing| !standing.relayed.contains(&peer)).await;
        let peer = second.id();
        stands(&first, |standing| !standing.relayed.contains(&peer)).await;
        talk_both_ways(&mut first, &mut second, "direct").await;

        // Longer than the way through the relay is kept beside it.
        sleep(Duration::from_secs(6)).await;
        assert!(!second.handle.is_relayed(first.id()));
        let gone = |node: &mut Node| {
            std::iter::from_fn(|| node.events.try_recv().ok())
                .any(|event| matches!(event, NetworkEvent::Disconnected(_)))
        };
        assert!(!gone(&mut first) && !gone(&mut second), "neither was lost meanwhile");
        talk_both_ways(&mut first, &mut second, "still").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_reserves_again_when_its_relay_restarts() {
    let relay = Setup { role: Role::Relay, ..Setup::new(1, TCP) }.start().await;
    let mut home = Setup::hidden(2).start().await;
    home.dial(&relay).await;
    let before = circuit(&mut home).await;
    let address = relay.addresses[0].split("/p2p/").next().expect("an address").to_owned();
    let id = relay.id();
    relay.handle.shutdown().await;
    home.disconnected(id).await;
    stands(&home, |standing| standing.relays.is_empty()).await;

    let relay = Setup { role: Role::Relay, ..Setup::new(1, &address) }.start().await;

    assert_eq!(circuit(&mut home).await, before);
    stands(&home, |standing| standing.relays == [relay.id()]).await;
    let mut caller = Setup::hidden(3).start().await;
    caller.handle.dial(&before).await.expect("running");
    caller.connected(home.id()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_can_be_called_learns_it_from_an_operator() {
    let operator = Setup::new(1, TCP).start().await;
    let mut home = Setup { role: Role::Participant, ..Setup::new(2, TCP) }.start().await;
    assert!(!home.handle.standing().borrow().reachable);

    home.dial(&operator).await;
    home.connected(operator.id()).await;

    stands(&home, |standing| standing.reachable).await;
    let known = home.handle.known_addresses().await.expect("running");
    assert!(known.contains(&home.addresses[0]) && known.contains(&operator.addresses[0]), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_a_home_can_be_called_is_asked_again() {
    let operator = Setup::new(1, TCP).start().await;
    let mut home = Setup { role: Role::Participant, ..Setup::new(2, TCP) }.start().await;
    home.dial(&operator).await;
    home.connected(operator.id()).await;
    stands(&home, |standing| standing.reachable).await;
    while home.events.try_recv().is_ok() {}

    home.handle.probe().await.expect("running");

    let own = home.addresses[0].clone();
    home.until(|event| match event {
        NetworkEvent::Listening(address) if address == own => Some(()),
        NetworkEvent::Disconnected(_) => panic!("nobody goes because of it"),
        _ => None,
    })
    .await;
    assert!(home.handle.standing().borrow().reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_calls_the_peers_that_it_remembers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file: Arc<dyn PeerMemory> = Arc::new(PeerFile::new(folder.path().join("peers.json")));
    let remembering = || Setup { memory: Some(file.clone()), ..Setup::hidden(2) };
    let operator = Setup::new(1, TCP).start().await;
    let mut home = remembering().start().await;
    home.dial(&operator).await;
    home.connected(operator.id()).await;
    home.handle.shutdown().await;
    assert_eq!(file.recall()[0].address, operator.addresses[0]);

    let mut home = remembering().start().await;

    home.connected(operator.id()).await;
}
