//! What the network has to say, waiting for the application to listen.
//!
//! The network never waits for the application: it would stop answering pings. What comes from peers is refused when too
//! much is waiting; that a peer came or went is never lost, and waits without a bound of its own: of a peer that came and
//! went unnoticed nothing is kept, so at most two such events wait for every connection there can be.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::{NetworkEvent, NodeId};

/// Events that wait.
const MAX_WAITING: usize = 4096;
/// Bytes of messages that wait: thirty-two of the largest.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Events {
    sender: mpsc::Sender<NetworkEvent>,
    waiting: VecDeque<NetworkEvent>,
    bytes: usize,
}

impl Events {
    pub(super) const fn new(sender: mpsc::Sender<NetworkEvent>) -> Self {
        Self { sender, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Returns whether messages of so many bytes, and so many of them, can wait.
    pub(super) fn has_room(&self, count: usize, bytes: usize) -> bool {
        self.waiting.len() + count <= MAX_WAITING && self.bytes + bytes <= MAX_WAITING_BYTES
    }

    /// Adds an event. Those of messages must have been given [room](Self::has_room).
    pub(super) fn push(&mut self, event: NetworkEvent) {
        self.bytes += size(&event);
        self.waiting.push_back(event);
    }

    /// Adds that a peer went, or forgets that it came.
    pub(super) fn push_disconnected(&mut self, peer: NodeId) {
        let came = self.waiting.iter().rposition(|event| matches!(event, NetworkEvent::Connected(it) if *it == peer));
        match came {
            Some(index) => {
                self.waiting.remove(index);
            }
            None => self.waiting.push_back(NetworkEvent::Disconnected(peer)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Hands over one event as soon as there is a place for it. May be dropped while it waits.
    pub(super) async fn deliver(&mut self) {
        match self.sender.reserve().await {
            Ok(place) => {
                if let Some(event) = self.waiting.pop_front() {
                    self.bytes -= size(&event);
                    place.send(event);
                }
            }
            // Nobody listens any more.
            Err(_) => {
                self.waiting.clear();
                self.bytes = 0;
            }
        }
    }
}

fn size(event: &NetworkEvent) -> usize {
    match event {
        NetworkEvent::Gossip { bytes, .. }
        | NetworkEvent::Message { bytes, .. }
        | NetworkEvent::Request { bytes, .. } => bytes.len(),
        NetworkEvent::SendFailed { messages, .. } => messages.iter().map(Vec::len).sum(),
        NetworkEvent::Connected(_) | NetworkEvent::Disconnected(_) | NetworkEvent::Listening(_) => 0,
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

    #[test]
    fn too_much_is_refused() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut events = Events::new(sender);

        assert!(events.has_room(1, MAX_WAITING_BYTES));
        let from = NodeId::from([1; 32]);
        events.push(NetworkEvent::Message { from, bytes: vec![0; MAX_WAITING_BYTES] });
        assert!(!events.has_room(1, 1));
    }
}
