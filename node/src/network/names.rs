//! Addresses that name a machine: `/dns4/node.example.org/tcp/4101`.
//!
//! The name is looked up when the address is called, with what the operating system has for it (so names of the hosts file
//! work as well), and again with every call: a machine that moves is found again. libp2p's own resolver would ask servers
//! by itself, and reads the system's configuration once.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use libp2p::{
    Multiaddr,
    core::transport::{Boxed, DialOpts, ListenerId, Transport, TransportError, TransportEvent},
    multiaddr::Protocol,
};

use super::NetworkError;

/// Addresses of one name that are tried: both families, and a few machines behind one name.
const MAX_TRIED: usize = 4;

/// Which addresses of a name are wanted.
#[derive(Clone, Debug)]
struct Host {
    name: String,
    wants: fn(&IpAddr) -> bool,
}

impl Host {
    /// The name that an address begins with, if it does.
    fn of(address: &Multiaddr) -> Option<Self> {
        let (name, wants): (_, fn(&IpAddr) -> bool) = match address.iter().next()? {
            Protocol::Dns(name) => (name, |_| true),
            Protocol::Dns4(name) => (name, IpAddr::is_ipv4),
            Protocol::Dns6(name) => (name, IpAddr::is_ipv6),
            _ => return None,
        };
        Some(Self { name: name.into_owned(), wants })
    }

    async fn look_up(&self) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((self.name.as_str(), 0)).await?;
        let mut addresses: Vec<IpAddr> = found.map(|address: SocketAddr| address.ip()).filter(self.wants).collect();
        addresses.dedup();
        addresses.truncate(MAX_TRIED);
        Ok(addresses)
    }
}

/// The address with a number in place of the name.
fn numbered(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    let first = match ip {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    core::iter::once(first).chain(address.iter().skip(1)).collect()
}

/// Checks that an address leads somewhere: a machine by number or name, TCP or QUIC, perhaps a node's name, perhaps on
/// through that node as a relay.
///
/// # Errors
///
/// Returns [`NetworkError::Address`] if the text is no multiaddress, [`NetworkError::NoWay`] if no call can go there.
pub fn check_address(text: &str) -> Result<Multiaddr, NetworkError> {
    let address: Multiaddr = text.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
    let mut parts = address.iter();
    let machine = matches!(
        parts.next(),
        Some(Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    );
    let transport = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => parts.next() == Some(Protocol::QuicV1),
        _ => false,
    };
    let named = matches!(parts.next(), None | Some(Protocol::P2p(_)));
    let relayed = matches!(parts.next(), None | Some(Protocol::P2pCircuit));
    let end = matches!(parts.next(), None | Some(Protocol::P2p(_))) && parts.next().is_none();
    if machine && transport && named && relayed && end {
        Ok(address)
    } else {
        Err(NetworkError::NoWay(text.to_owned()))
    }
}

/// A transport that looks names up.
pub(super) struct Named<O> {
    /// Calls go on while names are looked up.
    inner: Arc<Mutex<Boxed<O>>>,
}

impl<O> Named<O> {
    pub(super) fn new(inner: Boxed<O>) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(inner: &Mutex<Boxed<O>>) -> MutexGuard<'_, Boxed<O>> {
        // Whoever panicked with it has ended the task that owns the swarm.
        inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Send + 'static> Transport for Named<O> {
    type Output = O;
    type Error = io::Error;
    type ListenerUpgrade = <Boxed<O> as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<O>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Self::lock(&self.inner).listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        Self::lock(&self.inner).remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(host) = Host::of(&address) else { return Self::lock(&self.inner).dial(address, options) };
        let inner = Arc::clone(&self.inner);
        let call = async move {
            let mut failed = io::Error::new(io::ErrorKind::NotFound, format!("{} has no such address", host.name));
            for ip in host.look_up().await? {
                let dialled = Self::lock(&inner).dial(numbered(&address, ip), options);
                failed = match dialled {
                    Ok(dialling) => match dialling.await {
                        Ok(connection) => return Ok(connection),
                        Err(error) => error,
                    },
                    Err(TransportError::Other(error)) => error,
                    Err(TransportError::MultiaddrNotSupported(_)) => io::ErrorKind::Unsupported.into(),
                };
            }
            Err(failed)
        };
        Ok(call.boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut *Self::lock(&self.inner)).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_a_machine_by_number_or_name_and_perhaps_on_through_it() {
        let (peer, other) = (libp2p::PeerId::random(), libp2p::PeerId::random());

        for address in [
            "/ip4/192.0.2.1/tcp/4101".to_owned(),
            format!("/ip6/2001:db8::1/udp/4101/quic-v1/p2p/{peer}"),
            "/dns4/node.example.org/tcp/4101".to_owned(),
            format!("/dns6/node.example.org/udp/4101/quic-v1/p2p/{peer}"),
            format!("/dns/node.example.org/tcp/4101/p2p/{peer}/p2p-circuit/p2p/{other}"),
        ] {
            assert!(check_address(&address).is_ok(), "{address}");
        }
        for address in [
            "/dnsaddr/example.org",
            "/dns4/node.example.org",
            "/ip4/192.0.2.1/udp/4101",
            "/ip4/192.0.2.1/tcp/4101/ws",
            "/ip4/192.0.2.1/tcp/4101/p2p-circuit",
            "/unix/socket",
        ] {
            assert!(matches!(check_address(address), Err(NetworkError::NoWay(_))), "{address}");
        }
        assert!(matches!(check_address("node.example.org:4101"), Err(NetworkError::Address(_))));
    }

    #[test]
    fn a_name_asks_for_addresses_of_its_family_and_everything_else_of_the_address_stays() {
        let peer = libp2p::PeerId::random();
        let address: Multiaddr = format!("/dns4/localhost/udp/1/quic-v1/p2p/{peer}").parse().expect("an address");
        let host = Host::of(&address).expect("a name");

        assert_eq!(host.name, "localhost");
        assert!((host.wants)(&[127, 0, 0, 1].into()) && !(host.wants)(&IpAddr::V6(1.into())));
        let expected = format!("/ip4/192.0.2.1/udp/1/quic-v1/p2p/{peer}").parse().expect("an address");
        assert_eq!(numbered(&address, [192, 0, 2, 1].into()), expected);
        assert!(Host::of(&expected).is_none());
    }
}
