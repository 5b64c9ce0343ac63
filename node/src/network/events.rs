//! What the network has to say, waiting for the application to listen.
//!
//! The network never waits for the application: it would stop answering pings. What comes from peers is refused when too
//! much is waiting; that a peer came or went is never lost, and waits without a bound of its own: of a peer that came and
//! went unnoticed nothing is kept, so at most two such events wait for every connection there can be.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

use super::{NetworkEvent, NodeId};

/// Events that wait.
const MAX_WAITING: usize = 4096;
/// Bytes of messages that wait: several of the largest.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// The share of one peer: its messages wait in vain if it sends faster than they are taken, and nobody else's do.
const MAX_OF_PEER: usize = MAX_WAITING / 4;
const MAX_BYTES_OF_PEER: usize = MAX_WAITING_BYTES / 4;
const _: () = assert!(super::MAX_MESSAGE_BYTES <= MAX_BYTES_OF_PEER);

/// Events of one peer, or those of none, in order.
#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<NetworkEvent>,
    bytes: usize,
}

/// What waits. Peers take turns, so that one that sends much delays its own messages and not those of others.
#[derive(Debug)]
pub(super) struct Events {
    sender: mpsc::Sender<NetworkEvent>,
    queues: BTreeMap<Option<NodeId>, Queue>,
    /// Whose turn it is, of those that have anything waiting.
    turns: VecDeque<Option<NodeId>>,
    count: usize,
    bytes: usize,
}

impl Events {
    pub(super) const fn new(sender: mpsc::Sender<NetworkEvent>) -> Self {
        Self { sender, queues: BTreeMap::new(), turns: VecDeque::new(), count: 0, bytes: 0 }
    }

    /// Returns whether messages of so many bytes, and so many of them, of a peer can wait.
    pub(super) fn has_room(&self, peer: NodeId, count: usize, bytes: usize) -> bool {
        let (own, own_bytes) = self.queues.get(&Some(peer)).map_or((0, 0), |queue| (queue.events.len(), queue.bytes));
        own + count <= MAX_OF_PEER
            && own_bytes + bytes <= MAX_BYTES_OF_PEER
            && self.count + count <= MAX_WAITING
            && self.bytes + bytes <= MAX_WAITING_BYTES
    }

    /// Adds an event. Those of messages must have been given [room](Self::has_room).
    pub(super) fn push(&mut self, event: NetworkEvent) {
        let (peer, bytes) = (peer(&event), size(&event));
        let queue = self.queues.entry(peer).or_default();
        if queue.events.is_empty() {
            self.turns.push_back(peer);
        }
        queue.bytes += bytes;
        queue.events.push_back(event);
        self.bytes += bytes;
        self.count += 1;
    }

    /// Adds that a peer went, or forgets that it came.
    pub(super) fn push_disconnected(&mut self, peer: NodeId) {
        let queue = self.queues.entry(Some(peer)).or_default();
        let came = queue.events.iter().rposition(|event| matches!(event, NetworkEvent::Connected(_)));
        let Some(index) = came else { return self.push(NetworkEvent::Disconnected(peer)) };
        queue.events.remove(index);
        // What it speaks is of no interest any more.
        queue.events.retain(|event| !matches!(event, NetworkEvent::Speaks { .. }));
        let empty = queue.events.is_empty();
        self.count = self.queues.values().map(|queue| queue.events.len()).sum();
        if empty {
            self.queues.remove(&Some(peer));
            self.turns.retain(|turn| *turn != Some(peer));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Hands over one event as soon as there is a place for it. May be dropped while it waits.
    pub(super) async fn deliver(&mut self) {
        match self.sender.reserve().await {
            Ok(place) => {
                let Some(turn) = self.turns.pop_front() else { return };
                let Some(queue) = self.queues.get_mut(&turn) else { return };
                if let Some(event) = queue.events.pop_front() {
                    let bytes = size(&event);
                    queue.bytes -= bytes;
                    self.bytes -= bytes;
                    self.count -= 1;
                    place.send(event);
                }
                if queue.events.is_empty() {
                    self.queues.remove(&turn);
                } else {
                    self.turns.push_back(turn);
                }
            }
            // Nobody listens any more.
            Err(_) => {
                self.queues.clear();
                self.turns.clear();
                (self.count, self.bytes) = (0, 0);
            }
        }
    }
}

/// Whose turn an event waits for.
const fn peer(event: &NetworkEvent) -> Option<NodeId> {
    match event {
        NetworkEvent::Gossip { from: peer, .. }
        | NetworkEvent::Message { from: peer, .. }
        | NetworkEvent::Request { from: peer, .. }
        | NetworkEvent::SendFailed { to: peer, .. }
        | NetworkEvent::Speaks { node: peer, .. }
        | NetworkEvent::Connected(peer)
        | NetworkEvent::Disconnected(peer) => Some(*peer),
        NetworkEvent::Listening(_) => None,
    }
}

fn size(event: &NetworkEvent) -> usize {
    match event {
        NetworkEvent::Gossip { bytes, .. }
        | NetworkEvent::Message { bytes, .. }
        | NetworkEvent::Request { bytes, .. } => bytes.len(),
        NetworkEvent::SendFailed { messages, .. } => messages.iter().map(Vec::len).sum(),
        NetworkEvent::Connected(_)
        | NetworkEvent::Disconnected(_)
        | NetworkEvent::Speaks { .. }
        | NetworkEvent::Listening(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_came_and_went_unnoticed_leaves_nothing() {
        let (sender, mut receiver) = mpsc::channel(8);
        let mut events = Events::new(sender);
        let (guest, host) = (NodeId::from([1; 32]), NodeId::from([2; 32]));

        events.push(NetworkEvent::Connected(host));
        events.push(NetworkEvent::Connected(guest));
        events.push_disconnected(guest);
        events.deliver().await;
        events.push_disconnected(host);
        events.deliver().await;

        assert!(matches!(receiver.recv().await, Some(NetworkEvent::Connected(it)) if it == host));
        assert!(matches!(receiver.recv().await, Some(NetworkEvent::Disconnected(it)) if it == host));
        assert!(events.is_empty());
    }

    #[tokio::test]
    async fn a_peer_that_sends_much_delays_itself_and_nobody_else() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut events = Events::new(sender);
        let (loud, quiet) = (NodeId::from([1; 32]), NodeId::from([2; 32]));
        let message = |from, length| NetworkEvent::Message { from, bytes: vec![0; length] };

        for _ in 0..MAX_OF_PEER {
            assert!(events.has_room(loud, 1, 1));
            events.push(message(loud, 1));
        }
        assert!(!events.has_room(loud, 1, 1));
        assert!(events.has_room(quiet, 1, MAX_BYTES_OF_PEER));
        assert!(!events.has_room(quiet, 1, MAX_BYTES_OF_PEER + 1));
        events.push(message(quiet, 1));

        let mut senders = Vec::new();
        for _ in 0..3 {
            events.deliver().await;
            senders.push(match receiver.recv().await {
                Some(NetworkEvent::Message { from, .. }) => from,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(senders, [loud, quiet, loud]);
    }

    #[test]
    fn too_much_is_refused() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut events = Events::new(sender);

        for peer in 0..4 {
            let from = NodeId::from([peer; 32]);
            assert!(events.has_room(from, 1, MAX_BYTES_OF_PEER));
            events.push(NetworkEvent::Message { from, bytes: vec![0; MAX_BYTES_OF_PEER] });
        }
        assert!(!events.has_room(NodeId::from([9; 32]), 1, 1));
    }
}
