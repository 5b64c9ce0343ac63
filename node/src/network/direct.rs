//! Direct messages: ordered ones that want no answer, and questions.

use libp2p::request_response::{Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel};
use tokio::time::Instant;

use chorus_crypto::codec::{Decode as _, Encode as _};

use super::{
    Answer, Failure, NetworkError, NetworkEvent, NodeId, Offence, REQUEST_TIMEOUT, RequestId, frames::Frame,
    task::Task, wire::Control,
};

/// Questions of one peer, or to one, that wait for an answer: a few greedy ones leave room for others.
pub(super) const MAX_QUESTIONS: usize = 16;
/// Questions of all peers that wait for the application's answer.
const MAX_ALL_QUESTIONS: usize = 256;

/// What was sent over the control protocol and not answered yet.
pub(super) enum Outgoing {
    /// A frame of the outbox of this epoch.
    Frame { to: NodeId, epoch: u64 },
    /// A question.
    Ask { to: NodeId, done: Answer },
}

/// A question that waits for the application's answer.
pub(super) struct Incoming {
    from: NodeId,
    inbound: InboundRequestId,
    channel: ResponseChannel<Vec<u8>>,
    arrived: Instant,
}

impl Task {
    pub(super) fn send(&mut self, to: NodeId, bytes: Vec<u8>) {
        let refused = match self.peers.get_mut(&to) {
            Some(peer) => peer.outbox.push(bytes).err(),
            None => Some(bytes),
        };
        if let Some(bytes) = refused {
            self.events.push(NetworkEvent::SendFailed { to, messages: vec![bytes] });
        }
        self.pump(to);
    }

    /// Sends a peer's next frame, if it is its time.
    pub(super) fn pump(&mut self, to: NodeId) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if let Some(frame) = peer.outbox.poll_frame(Instant::now()) {
            let epoch = peer.outbox.epoch();
            let id = self.swarm.behaviour_mut().control.send_request(&to.to_peer_id(), Frame::Whole(frame));
            self.outgoing.insert(id, Outgoing::Frame { to, epoch });
        }
    }

    pub(super) fn request(&mut self, to: NodeId, bytes: Vec<u8>, done: Answer) {
        if !self.peers.contains_key(&to) {
            let _ = done.send(Err(NetworkError::NotConnected(to)));
            return;
        }
        let to_peer = |outgoing: &&Outgoing| matches!(outgoing, Outgoing::Ask { to: peer, .. } if *peer == to);
        if self.outgoing.values().filter(to_peer).count() >= MAX_QUESTIONS {
            let _ = done.send(Err(NetworkError::Busy(to)));
            return;
        }
        let frame = Control::Ask(bytes).to_bytes();
        let id = self.swarm.behaviour_mut().control.send_request(&to.to_peer_id(), Frame::Whole(frame));
        self.outgoing.insert(id, Outgoing::Ask { to, done });
    }

    pub(super) fn respond(&mut self, id: RequestId, bytes: Vec<u8>) {
        let Some(incoming) = self.incoming.remove(&id) else { return };
        // An error says that the peer is gone or has waited too long.
        let _ = self.swarm.behaviour_mut().control.send_response(incoming.channel, bytes);
    }

    /// Refuses questions that the application has not answered in time.
    pub(super) fn forget_unanswered(&mut self, now: Instant) {
        self.incoming.retain(|_, incoming| now.duration_since(incoming.arrived) < REQUEST_TIMEOUT);
    }

    pub(super) fn on_control(&mut self, event: Event<Frame, Vec<u8>>) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                let Some(from) = NodeId::from_peer_id(&peer) else { return };
                match request {
                    Frame::Whole(request) => self.on_control_request(from, request_id, &request, channel),
                    Frame::Oversized => self.blame(from, Offence::Oversized),
                    Frame::Stalled => self.blame(from, Offence::Stalled),
                }
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.on_control_response(request_id, response);
            }
            Event::OutboundFailure { request_id, error, .. } => self.on_control_failure(request_id, &error),
            Event::InboundFailure { request_id, .. } => {
                self.incoming.retain(|_, incoming| incoming.inbound != request_id);
            }
            Event::ResponseSent { .. } => {}
        }
    }

    /// Dropping the channel refuses the request: the peer hears of it at once, and may try again.
    fn on_control_request(
        &mut self,
        from: NodeId,
        inbound: InboundRequestId,
        request: &[u8],
        channel: ResponseChannel<Vec<u8>>,
    ) {
        self.confirm(from);
        match Control::from_bytes(request) {
            Ok(Control::Ordered { epoch, number, messages }) => {
                if self.take_ordered(from, epoch, number, messages) {
                    let _ = self.swarm.behaviour_mut().control.send_response(channel, Vec::new());
                }
            }
            Ok(Control::Ask(bytes)) => {
                let of_peer = self.incoming.values().filter(|incoming| incoming.from == from).count();
                let open = self.incoming.len() < MAX_ALL_QUESTIONS && of_peer < MAX_QUESTIONS;
                if open && self.events.has_room(from, 1, bytes.len()) {
                    let request_id = RequestId(self.next_request);
                    self.next_request += 1;
                    let arrived = Instant::now();
                    self.incoming.insert(request_id, Incoming { from, inbound, channel, arrived });
                    self.events.push(NetworkEvent::Request { from, request_id, bytes });
                }
            }
            Err(error) => {
                tracing::debug!(peer = ?from, %error, "a peer sent what is no control request");
                self.blame(from, Offence::Malformed);
            }
        }
    }

    /// Hands ordered messages on, unless they were already; returns whether they are to be acknowledged.
    fn take_ordered(&mut self, from: NodeId, epoch: u64, number: u64, messages: Vec<Vec<u8>>) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else { return false };
        if peer.received.is_some_and(|(last_epoch, last)| last_epoch == epoch && number <= last) {
            // The acknowledgement may have been lost.
            self.blame(from, Offence::Repeated);
            return true;
        }
        if !self.events.has_room(from, messages.len(), messages.iter().map(Vec::len).sum()) {
            return false;
        }
        peer.received = Some((epoch, number));
        for bytes in messages {
            // It is handed on all the same: the first may have been lost where it was going.
            if self.repeats.is_repeat(from, &bytes) {
                self.blame(from, Offence::Repeated);
            }
            self.events.push(NetworkEvent::Message { from, bytes });
        }
        true
    }

    fn on_control_response(&mut self, id: OutboundRequestId, response: Vec<u8>) {
        match self.outgoing.remove(&id) {
            Some(Outgoing::Frame { to, epoch }) => {
                if let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.outbox.epoch() == epoch) {
                    peer.outbox.on_delivered();
                    self.pump(to);
                }
            }
            Some(Outgoing::Ask { done, .. }) => {
                let _ = done.send(Ok(response));
            }
            None => {}
        }
    }

    fn on_control_failure(&mut self, id: OutboundRequestId, error: &OutboundFailure) {
        match self.outgoing.remove(&id) {
            Some(Outgoing::Frame { to, epoch }) => {
                let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.outbox.epoch() == epoch) else { return };
                let given_back = peer.outbox.on_failed(Instant::now());
                if !given_back.is_empty() {
                    self.events.push(NetworkEvent::SendFailed { to, messages: given_back });
                }
            }
            Some(Outgoing::Ask { to, done }) => {
                let _ = done.send(Err(NetworkError::Failed { peer: to, failure: failure(error) }));
            }
            None => {}
        }
    }
}

pub(super) fn failure(error: &OutboundFailure) -> Failure {
    match error {
        OutboundFailure::Timeout => Failure::TimedOut,
        OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Failure::TimedOut,
        OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => Failure::Closed,
        OutboundFailure::UnsupportedProtocols => Failure::NotSpoken,
        OutboundFailure::Io(_) => Failure::Refused,
    }
}
