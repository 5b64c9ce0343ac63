//! Who may connect: so many connections of one internet address, being set up and standing, and so many within a short time.
//!
//! Without these bounds one machine could take all the connections there are. Homes behind one shared address are many, so
//! the bounds are generous; an IPv6 home has a whole /64 to itself, so that is what counts as one address there. Calls that
//! this node makes itself count, and are never refused.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    net::Ipv6Addr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};
use tokio::time::Instant;

/// Addresses whose last calls are remembered; beyond it those that called longest ago are forgotten.
const MAX_REMEMBERED: usize = 4096;
/// Calls within a short time, for each connection that may stand: a home whose router restarts calls again at once.
const BURST: u32 = 4;
/// Seconds in which as many calls as connections may stand are forgiven.
const FORGIVING: f64 = 16.0;

/// One source of connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
enum Source {
    V4([u8; 4]),
    /// The network half.
    V6([u16; 4]),
}

impl Source {
    /// The source of a connection. Those through relays have none: their peers' addresses are not to be seen.
    fn of(address: &Multiaddr) -> Option<Self> {
        if address.iter().any(|part| part == Protocol::P2pCircuit) {
            return None;
        }
        match address.iter().next()? {
            Protocol::Ip4(ip) => Some(Self::V4(ip.octets())),
            Protocol::Ip6(ip) => Some(Self::of_v6(ip)),
            _ => None,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.to_ipv4_mapped() {
            Some(ip) => Self::V4(ip.octets()),
            None => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Calls of a source that are not forgiven yet.
#[derive(Clone, Copy, Debug)]
struct Calls {
    count: f64,
    at: Instant,
}

/// The limiter, as one of the swarm's behaviours.
#[derive(Debug)]
pub(super) struct Admission {
    most_pending: u32,
    most: u32,
    pending: BTreeMap<ConnectionId, Source>,
    standing: BTreeMap<ConnectionId, Source>,
    pending_of: BTreeMap<Source, u32>,
    standing_of: BTreeMap<Source, u32>,
    calls: BTreeMap<Source, Calls>,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many {} of one address", self.0)
    }
}

impl std::error::Error for Refused {}

impl Admission {
    /// Admits at most `most` standing connections of an address, and `most_pending` that are being set up.
    pub(super) const fn new(most: u32, most_pending: u32) -> Self {
        Self {
            most_pending,
            most,
            pending: BTreeMap::new(),
            standing: BTreeMap::new(),
            pending_of: BTreeMap::new(),
            standing_of: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    fn call(&mut self, id: ConnectionId, source: Source, now: Instant) -> Result<(), Refused> {
        if self.pending_of.get(&source).is_some_and(|count| *count >= self.most_pending) {
            return Err(Refused("connections being set up"));
        }
        if self.standing_of.get(&source).is_some_and(|count| *count >= self.most) {
            return Err(Refused("connections"));
        }
        if self.calls.len() >= MAX_REMEMBERED && !self.calls.contains_key(&source) {
            let oldest = self.calls.iter().min_by_key(|(_, calls)| calls.at).map(|(source, _)| *source);
            oldest.map(|source| self.calls.remove(&source));
        }
        let calls = self.calls.entry(source).or_insert(Calls { count: 0.0, at: now });
        let forgiven = now.saturating_duration_since(calls.at).as_secs_f64() / FORGIVING * f64::from(self.most);
        (calls.count, calls.at) = ((calls.count - forgiven).max(0.0), now);
        if calls.count + 1.0 > f64::from(BURST * self.most) {
            return Err(Refused("calls within a short time"));
        }
        calls.count += 1.0;
        self.pending.insert(id, source);
        *self.pending_of.entry(source).or_default() += 1;
        Ok(())
    }

    /// A connection is no longer being set up.
    fn is_settled(&mut self, id: ConnectionId) {
        if let Some(source) = self.pending.remove(&id) {
            decrease(&mut self.pending_of, source);
        }
    }

    fn stands(&mut self, id: ConnectionId, source: Source) {
        self.is_settled(id);
        if self.standing.insert(id, source).is_none() {
            *self.standing_of.entry(source).or_default() += 1;
        }
    }

    fn is_gone(&mut self, id: ConnectionId) {
        self.is_settled(id);
        if let Some(source) = self.standing.remove(&id) {
            decrease(&mut self.standing_of, source);
        }
    }
}

fn decrease(counts: &mut BTreeMap<Source, u32>, source: Source) {
    if let Some(count) = counts.get_mut(&source) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&source);
        }
    }
}

impl NetworkBehaviour for Admission {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match Source::of(remote) {
            Some(source) => self.call(id, source, Instant::now()).map_err(ConnectionDenied::new),
            None => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.is_settled(id);
        let full = |source: Source| self.standing_of.get(&source).is_some_and(|count| *count >= self.most);
        if Source::of(remote).is_some_and(full) {
            return Err(ConnectionDenied::new(Refused("connections")));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(it) => {
                if let Some(source) = Source::of(it.endpoint.get_remote_address()) {
                    self.stands(it.connection_id, source);
                }
            }
            FromSwarm::ConnectionClosed(it) => self.is_gone(it.connection_id),
            FromSwarm::ListenFailure(it) => self.is_settled(it.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(address: &str) -> Option<Source> {
        Source::of(&address.parse().expect("an address"))
    }

    #[test]
    fn a_home_is_an_ipv4_address_or_the_network_half_of_an_ipv6_one() {
        assert_eq!(source("/ip4/192.0.2.1/tcp/1"), source("/ip4/192.0.2.1/udp/2/quic-v1"));
        assert_eq!(source("/ip6/::ffff:192.0.2.1/tcp/1"), source("/ip4/192.0.2.1/tcp/1"));
        assert_eq!(source("/ip6/2001:db8:1:2::1/tcp/1"), source("/ip6/2001:db8:1:2:ffff::9/tcp/1"));
        assert_ne!(source("/ip6/2001:db8:1:2::1/tcp/1"), source("/ip6/2001:db8:1:3::1/tcp/1"));
        assert_eq!(source("/ip4/192.0.2.1/tcp/1/p2p-circuit"), None);
    }

    #[test]
    fn one_address_has_so_many_connections_and_another_still_has_its_own() {
        let now = Instant::now();
        let mut admission = Admission::new(3, 2);
        let (greedy, other) = (source("/ip4/192.0.2.1/tcp/1"), source("/ip4/192.0.2.2/tcp/1"));
        let (greedy, other) = (greedy.expect("one"), other.expect("one"));
        let id = ConnectionId::new_unchecked;

        assert!((0..2).all(|number| admission.call(id(number), greedy, now).is_ok()));
        assert_eq!(admission.call(id(2), greedy, now), Err(Refused("connections being set up")));
        (0..2).for_each(|number| admission.stands(id(number), greedy));
        assert!(admission.call(id(3), greedy, now).is_ok());
        admission.stands(id(3), greedy);
        assert_eq!(admission.call(id(4), greedy, now), Err(Refused("connections")));
        assert!(admission.call(id(5), other, now).is_ok());
        admission.is_gone(id(0));
        assert!(admission.call(id(6), greedy, now).is_ok());
        admission.is_settled(id(6));
        admission.is_settled(id(5));
        [1, 3].into_iter().for_each(|number| admission.is_gone(id(number)));

        assert!(admission.pending_of.is_empty() && admission.standing_of.is_empty());
    }

    #[test]
    fn an_address_that_calls_again_and_again_is_refused_for_a_while() {
        let start = Instant::now();
        let mut admission = Admission::new(2, 2);
        let source = source("/ip4/192.0.2.1/tcp/1").expect("one");
        let mut call = |number: usize, now| {
            let id = ConnectionId::new_unchecked(number);
            let admitted = admission.call(id, source, now);
            admission.is_settled(id);
            admitted
        };

        assert!((0..8).all(|number| call(number, start).is_ok()));
        assert_eq!(call(8, start), Err(Refused("calls within a short time")));
        assert!(call(9, start + Duration::from_secs(8)).is_ok());
        assert!(call(10, start + Duration::from_secs(8)).is_err());
    }
}
