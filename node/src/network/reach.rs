//! Whether others can call this node, and what to do if they cannot.
//!
//! ```text
//!              an address is confirmed
//!   Hidden ──────────────────────────────▶ Reachable
//!     │  ▲                                    │
//!     │  └──── the last one is lost ──────────┘
//!     └─ reserve at relays, until three hold
//! ```
//!
//! A node is *hidden* until somebody has proved that it can be called: it answers no questions about the routing table,
//! which would lead others to a closed door, and has up to [`WANTED`] relays pass calls on to it. Operators and relays are
//! reachable because whoever started them says so. Nothing here opens a socket or reads a clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use rand::{Rng, RngExt as _};
use tokio::time::Instant;

use super::{NodeId, Role};

/// Relays that pass calls on to a hidden node: one may go while another restarts.
pub(super) const WANTED: usize = 3;
/// Relays that are remembered: more than a community has operators.
const MAX_RELAYS: usize = 64;
/// Addresses that are known to be reachable, at most: what a router with two protocols and two families gives, doubled.
const MAX_CONFIRMED: usize = 8;
/// The mean pause after the first failure at a relay; it doubles with each, and is drawn between half of it and one and a
/// half, so that the homes that a relay lost at one moment do not come back at one moment.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest mean pause: a relay that was full is asked again within minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Failures after which the pause no longer grows.
const MAX_FAILURES: u32 = 8;
/// How long a relay may take to answer before the reservation counts as failed: longer than libp2p waits, which mostly
/// tells.
const ANSWER: Duration = Duration::from_secs(90);

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// Answer questions about the routing table, or stop answering them.
    Routing {
        /// Whether to answer.
        answer: bool,
    },
    /// Ask a relay to pass calls on.
    Reserve {
        /// The relay.
        relay: NodeId,
        /// Where it is.
        address: Multiaddr,
    },
}

/// What is known of a relay that is connected.
#[derive(Debug)]
struct Relay {
    address: Multiaddr,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Not asked, until then.
    Idle { next: Instant },
    /// Asked, and to answer by then.
    Asked { until: Instant },
    /// It passes calls on.
    Reserved,
    /// Not connected: whoever stays connected with it brings it back.
    Away,
}

/// The state of it.
#[derive(Debug)]
pub(super) struct Reachability {
    /// Whether others can call this node because whoever started it says so.
    vouched: bool,
    /// Whether relays are used.
    relaying: bool,
    confirmed: BTreeSet<Multiaddr>,
    relays: BTreeMap<NodeId, Relay>,
    answering: Option<bool>,
}

impl Reachability {
    pub(super) const fn new(role: Role, relays: bool) -> Self {
        Self {
            vouched: role.is_public(),
            relaying: relays && !role.is_public(),
            confirmed: BTreeSet::new(),
            relays: BTreeMap::new(),
            answering: None,
        }
    }

    /// Whether others can call this node because whoever started it says so.
    pub(super) const fn is_vouched(&self) -> bool {
        self.vouched
    }

    /// Whether others can call this node without help.
    pub(super) fn is_reachable(&self) -> bool {
        self.vouched || !self.confirmed.is_empty()
    }

    /// Whether somebody has called an address and come through.
    pub(super) fn is_confirmed(&self, address: &Multiaddr) -> bool {
        self.confirmed.contains(address)
    }

    /// Returns the relays that pass calls on, in order.
    pub(super) fn reserved(&self) -> impl Iterator<Item = NodeId> {
        self.relays.iter().filter(|(_, relay)| relay.state == State::Reserved).map(|(node, _)| *node)
    }

    /// Returns the nodes that pass calls on, and where they are.
    pub(super) fn relays(&self) -> impl Iterator<Item = (NodeId, &Multiaddr)> {
        self.relays.iter().map(|(node, relay)| (*node, &relay.address))
    }

    /// Somebody has called an address of this node and come through. Those that pass through relays prove nothing.
    pub(super) fn on_confirmed(&mut self, address: Multiaddr) {
        if !is_relayed(&address) && self.confirmed.len() < MAX_CONFIRMED {
            self.confirmed.insert(address);
        }
    }

    /// An address is no longer reachable.
    pub(super) fn on_lost(&mut self, address: &Multiaddr) {
        self.confirmed.remove(address);
    }

    /// This node is in another network: nothing that was proved holds any more.
    pub(super) fn on_moved(&mut self) {
        self.confirmed.clear();
    }

    /// A connected node says that it passes calls on.
    pub(super) fn on_relay(&mut self, node: NodeId, address: Multiaddr, now: Instant) {
        let idle = State::Idle { next: now };
        if let Some(relay) = self.relays.get_mut(&node) {
            relay.address = address;
            if relay.state == State::Away {
                relay.state = idle;
            }
        } else if self.relays.len() < MAX_RELAYS {
            self.relays.insert(node, Relay { address, failures: 0, state: idle });
        }
    }

    /// A relay passes calls on, or goes on doing so.
    pub(super) fn on_reserved(&mut self, node: NodeId) {
        if let Some(relay) = self.relays.get_mut(&node) {
            (relay.state, relay.failures) = (State::Reserved, 0);
        }
    }

    /// A relay refused, or passes calls on no longer.
    pub(super) fn on_refused(&mut self, node: NodeId, now: Instant, rng: &mut impl Rng) {
        if let Some(relay) = self.relays.get_mut(&node).filter(|relay| relay.state != State::Away) {
            relay.fail(now, rng);
        }
    }

    /// The last direct connection with a relay is gone, and with it whatever it passed on.
    pub(super) fn on_gone(&mut self, node: NodeId) {
        if let Some(relay) = self.relays.get_mut(&node) {
            relay.state = State::Away;
        }
    }

    /// Returns what is to be done now. To be asked after every event, and every so often.
    pub(super) fn poll(&mut self, now: Instant, rng: &mut impl Rng) -> Vec<Action> {
        let mut actions = Vec::new();
        let answer = self.is_reachable();
        if self.answering != Some(answer) {
            self.answering = Some(answer);
            actions.push(Action::Routing { answer });
        }
        for relay in self.relays.values_mut() {
            if matches!(relay.state, State::Asked { until } if until <= now) {
                relay.fail(now, rng);
            }
        }
        if self.relaying && !answer {
            actions.extend(self.reservations(now, rng));
        }
        actions
    }

    /// Asks those relays that failed least, in random order, until enough are asked.
    fn reservations(&mut self, now: Instant, rng: &mut impl Rng) -> Vec<Action> {
        let under_way = |relay: &&Relay| matches!(relay.state, State::Asked { .. } | State::Reserved);
        let missing = WANTED.saturating_sub(self.relays.values().filter(under_way).count());
        let due = |relay: &Relay| matches!(relay.state, State::Idle { next } if next <= now);
        let mut ready: Vec<_> = self.relays.iter_mut().filter(|(_, relay)| due(relay)).collect();
        ready.sort_by_cached_key(|(_, relay)| (relay.failures, rng.random::<u32>()));
        let ask = |(node, relay): (&NodeId, &mut Relay)| {
            relay.state = State::Asked { until: now + ANSWER };
            Action::Reserve { relay: *node, address: relay.address.clone() }
        };
        ready.into_iter().take(missing).map(ask).collect()
    }
}

impl Relay {
    fn fail(&mut self, now: Instant, rng: &mut impl Rng) {
        let mean = FIRST_PAUSE.saturating_mul(2_u32.pow(self.failures)).min(LONGEST_PAUSE);
        self.failures = (self.failures + 1).min(MAX_FAILURES);
        self.state = State::Idle { next: now + mean.mul_f64(rng.random_range(0.5..1.5)) };
    }
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

/// Whether an address leads nowhere but to the machine itself, or to its own wire.
pub(super) fn is_near(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
