//! Whom to call, and when to call again.

use std::time::Duration;

use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::{ConnectionId, dial_opts::DialOpts},
};
use rand::RngExt as _;
use tokio::time::Instant;

/// Addresses that are kept and called: all operators, and the peers of a large community's invitation.
const MAX_ADDRESSES: usize = 256;
/// The mean pause after the first failure; it doubles with each, and is drawn between half of it and one and a half, so
/// that nodes that lost each other at one moment do not call at one moment.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest mean pause: a peer that comes back is found again within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lasted as long was a success.
const LASTING: Duration = Duration::from_secs(10);
/// Failures after which the pause no longer grows.
const MAX_FAILURES: u32 = 8;

/// The addresses to stay connected with.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    address: Multiaddr,
    /// Who was found there, or must be.
    peer: Option<PeerId>,
    failures: u32,
    next: Instant,
    dialing: Option<ConnectionId>,
    connected: Option<Instant>,
}

impl Book {
    /// Adds an address, and returns `false` if there are too many. A known one is called at once.
    pub(super) fn add(&mut self, address: Multiaddr, now: Instant) -> bool {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.address == address) {
            (entry.failures, entry.next) = (0, now);
            return true;
        }
        if self.entries.len() >= MAX_ADDRESSES {
            return false;
        }
        let peer = named_peer(&address);
        self.entries.push(Entry { address, peer, failures: 0, next: now, dialing: None, connected: None });
        true
    }

    /// Forgets all addresses of a peer.
    pub(super) fn remove(&mut self, peer: &PeerId) {
        self.entries.retain(|entry| entry.peer.as_ref() != Some(peer));
    }

    /// Returns the calls to make now.
    pub(super) fn calls(&mut self, now: Instant, is_connected: impl Fn(&PeerId) -> bool) -> Vec<DialOpts> {
        let mut calls = Vec::new();
        for entry in &mut self.entries {
            let idle = entry.dialing.is_none() && !entry.peer.as_ref().is_some_and(&is_connected);
            if idle && entry.next <= now {
                let call = call(&entry.address);
                entry.dialing = Some(call.connection_id());
                calls.push(call);
            }
        }
        calls
    }

    /// A call has failed.
    pub(super) fn on_failed(&mut self, connection: ConnectionId, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.dialing == Some(connection)) {
            entry.dialing = None;
            entry.fail(now);
        }
    }

    /// A connection stands, made by a call or by the peer. Returns whether it was a call of the book.
    pub(super) fn on_connected(&mut self, connection: ConnectionId, peer: PeerId, now: Instant) -> bool {
        let mut called = false;
        for entry in &mut self.entries {
            if entry.dialing == Some(connection) {
                (entry.dialing, entry.peer) = (None, Some(peer));
                called = true;
            }
            if entry.peer == Some(peer) {
                entry.connected.get_or_insert(now);
            }
        }
        called
    }

    /// The last connection with a peer is gone.
    pub(super) fn on_disconnected(&mut self, peer: &PeerId, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.peer.as_ref() == Some(peer)) {
            if entry.connected.take().is_some_and(|since| now.duration_since(since) >= LASTING) {
                entry.failures = 0;
            }
            entry.fail(now);
        }
    }

    /// A peer turned out to be of no use: call it as rarely as can be.
    pub(super) fn discourage(&mut self, peer: &PeerId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.peer.as_ref() == Some(peer)) {
            entry.failures = MAX_FAILURES;
        }
    }
}

impl Entry {
    fn fail(&mut self, now: Instant) {
        let mean = FIRST_PAUSE.saturating_mul(2_u32.pow(self.failures)).min(LONGEST_PAUSE);
        self.failures = (self.failures + 1).min(MAX_FAILURES);
        self.next = now + mean.mul_f64(rand::rng().random_range(0.5..1.5));
    }
}

/// Whom an address leads to: the last name in it, for one that leads through a relay names that first.
fn named_peer(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// A call from a port of its own: one from the listening port fails while the peer's last connection is remembered.
fn call(address: &Multiaddr) -> DialOpts {
    match named_peer(address) {
        Some(peer) => DialOpts::peer_id(peer).addresses(vec![address.clone()]).allocate_new_port().build(),
        None => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "/ip4/127.0.0.1/tcp/4001";

    #[test]
    fn an_address_is_called_again_after_growing_pauses_until_it_answers() {
        let mut now = Instant::now();
        let mut book = Book::default();
        assert!(book.add(ADDRESS.parse().expect("an address"), now));
        let mut last_pause = Duration::ZERO;

        for failures in 0..20_u32 {
            let calls = book.calls(now, |_| false);
            assert_eq!(calls.len(), 1);
            assert!(book.calls(now, |_| false).is_empty(), "it is being called");
            book.on_failed(calls[0].connection_id(), now);
            let pause = book.entries[0].next - now;
            let mean = FIRST_PAUSE.saturating_mul(2_u32.pow(failures.min(10))).min(LONGEST_PAUSE);
            assert!(pause >= mean / 2 && pause <= mean * 3 / 2, "{pause:?} for {mean:?}");
            assert!(book.calls(now + pause / 2, |_| false).is_empty());
            (last_pause, now) = (pause, now + pause);
        }
        assert!(last_pause >= LONGEST_PAUSE / 2);

        let peer = PeerId::random();
        let call = book.calls(now, |_| false).remove(0);
        book.on_connected(call.connection_id(), peer, now);
        assert!(book.calls(now + LONGEST_PAUSE * 9, |connected| *connected == peer).is_empty());
        now += LASTING;
        book.on_disconnected(&peer, now);
        assert_eq!(book.calls(now + FIRST_PAUSE * 2, |_| false).len(), 1);
        book.remove(&peer);
        assert!(book.entries.is_empty());
    }
}
