//! What a node's line and machine can bear: a profile, and what is set otherwise.
//!
//! | | `home` | `metered` | `server` | `lan` |
//! |---|---|---|---|---|
//! | `network.listen` | free ports | free ports | ports 4101 | free ports |
//! | `network.mdns` | on | on | off | on |
//! | `network.upnp` | on | off | off | off |
//! | `network.relay` | use | use | serve | off |
//! | `network.relay-blobs` | off | off | off | off |
//! | `network.connections` | 100 | 30 | 1000 | 300 |
//! | `network.connections-per-address` | 64 | 64 | 64 | 256 |
//! | `network.mesh` | 6 | 4 | 8 | 6 |
//! | `network.upload` | unlimited | 125kB/s | unlimited | unlimited |
//! | `network.download` | unlimited | 500kB/s | unlimited | unlimited |
//! | `network.monthly` | unlimited | 5GB | unlimited | unlimited |
//! | `network.memory` | 1GiB | 512MiB | 4GiB | 1GiB |
//! | `storage.blobs` | 16GiB | 2GiB | 256GiB | 64GiB |

use core::fmt;

use serde::{Deserialize, Serialize};

use super::quantity::{Bytes, Rate};

/// Where a node listens if nobody says where: on all interfaces, ports that the system chooses.
const FREE_PORTS: [&str; 2] = ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"];

/// Where a server listens: ports that a firewall can be told, in both families.
const FIXED_PORTS: [&str; 4] =
    ["/ip4/0.0.0.0/tcp/4101", "/ip4/0.0.0.0/udp/4101/quic-v1", "/ip6/::/tcp/4101", "/ip6/::/udp/4101/quic-v1"];

/// What kind of line and machine a node has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A home: a router that maps ports, perhaps several nodes behind one address.
    #[default]
    Home,
    /// A line that is paid for by the byte: few connections, slow, 5 GB a month.
    Metered,
    /// A machine with a public address, for operators and relays.
    Server,
    /// A local network without the outside.
    Lan,
}

/// What a node does with relays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Relaying {
    /// Nothing: it is reached directly or not at all.
    Off,
    /// It is reached through others if nobody can call it.
    #[default]
    Use,
    /// It carries the connections of those whom nobody can call, whatever its role: whoever says so vouches that it can be
    /// called. Operators and relays always do.
    Serve,
}

/// What is set of a node's network. What is not set follows from the profile.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct NetworkSettings {
    /// The multiaddresses to listen at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Vec<String>>,
    /// Nodes to call, besides those of the invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dial: Option<Vec<String>>,
    /// Addresses of this node that it cannot know itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce: Option<Vec<String>>,
    /// Whether to look for nodes on the local network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdns: Option<bool>,
    /// Whether to ask the router to map a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upnp: Option<bool>,
    /// What to do with relays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relaying>,
    /// Whether the bodies of contributions and adapters may pass through relays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_blobs: Option<bool>,
    /// Connections in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections from one address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_address: Option<u32>,
    /// Peers that gossip is passed on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<u8>,
    /// What leaves in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Rate>,
    /// What arrives in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<Rate>,
    /// What leaves and arrives in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Bytes>,
    /// Memory of the process beyond which new connections are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// What is set of what a node stores.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct StorageSettings {
    /// Bytes of public bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobs: Option<Bytes>,
}

/// All that a node's network and store go by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bearing {
    /// The multiaddresses to listen at.
    pub listen: Vec<String>,
    /// Nodes to call, besides those of the invitation.
    pub dial: Vec<String>,
    /// Addresses of this node that it cannot know itself.
    pub announce: Vec<String>,
    /// Whether to look for nodes on the local network.
    pub mdns: bool,
    /// Whether to ask the router to map a port.
    pub upnp: bool,
    /// What to do with relays.
    pub relay: Relaying,
    /// Whether the bodies of contributions and adapters may pass through relays: at a relay, whether it carries them;
    /// elsewhere, whether they are sent so.
    pub relay_blobs: bool,
    /// Connections in all.
    pub connections: u32,
    /// Connections from one address.
    pub connections_per_address: u32,
    /// Peers that gossip is passed on to.
    pub mesh: u8,
    /// What leaves in a second.
    pub upload: Rate,
    /// What arrives in a second.
    pub download: Rate,
    /// What leaves and arrives in a month.
    pub monthly: Bytes,
    /// Memory of the process beyond which new connections are refused.
    pub memory: Bytes,
    /// Bytes of public bodies.
    pub blobs: Bytes,
}

impl Profile {
    /// Returns what follows from the profile: the table above.
    pub fn bearing(self) -> Bearing {
        let home = Bearing {
            listen: FREE_PORTS.map(str::to_owned).to_vec(),
            dial: Vec::new(),
            announce: Vec::new(),
            mdns: true,
            upnp: true,
            relay: Relaying::Use,
            relay_blobs: false,
            connections: 100,
            connections_per_address: 64,
            mesh: 6,
            upload: Rate::UNLIMITED,
            download: Rate::UNLIMITED,
            monthly: Bytes::UNLIMITED,
            memory: Bytes::new(1 << 30),
            blobs: Bytes::new(16 << 30),
        };
        match self {
            Self::Home => home,
            Self::Metered => Bearing {
                upnp: false,
                connections: 30,
                mesh: 4,
                upload: Rate::new(125_000),
                download: Rate::new(500_000),
                monthly: Bytes::new(5_000_000_000),
                memory: Bytes::new(512 << 20),
                blobs: Bytes::new(2 << 30),
                ..home
            },
            Self::Server => Bearing {
                listen: FIXED_PORTS.map(str::to_owned).to_vec(),
                mdns: false,
                upnp: false,
                relay: Relaying::Serve,
                connections: 1_000,
                mesh: 8,
                memory: Bytes::new(4 << 30),
                blobs: Bytes::new(256 << 30),
                ..home
            },
            Self::Lan => Bearing {
                upnp: false,
                relay: Relaying::Off,
                connections: 300,
                connections_per_address: 256,
                blobs: Bytes::new(64 << 30),
                ..home
            },
        }
    }
}

impl Bearing {
    /// Returns this with what is set.
    pub(super) fn with(self, network: &NetworkSettings, storage: &StorageSettings) -> Self {
        let set = network.clone();
        Self {
            listen: set.listen.unwrap_or(self.listen),
            dial: set.dial.unwrap_or(self.dial),
            announce: set.announce.unwrap_or(self.announce),
            mdns: set.mdns.unwrap_or(self.mdns),
            upnp: set.upnp.unwrap_or(self.upnp),
            relay: set.relay.unwrap_or(self.relay),
            relay_blobs: set.relay_blobs.unwrap_or(self.relay_blobs),
            connections: set.connections.unwrap_or(self.connections),
            connections_per_address: set.connections_per_address.unwrap_or(self.connections_per_address),
            mesh: set.mesh.unwrap_or(self.mesh),
            upload: set.upload.unwrap_or(self.upload),
            download: set.download.unwrap_or(self.download),
            monthly: set.monthly.unwrap_or(self.monthly),
            memory: set.memory.unwrap_or(self.memory),
            blobs: storage.blobs.unwrap_or(self.blobs),
        }
    }

    /// Returns the same as settings, each of them set.
    pub(super) fn into_settings(self) -> (NetworkSettings, StorageSettings) {
        let network = NetworkSettings {
            listen: Some(self.listen),
            dial: Some(self.dial),
            announce: Some(self.announce),
            mdns: Some(self.mdns),
            upnp: Some(self.upnp),
            relay: Some(self.relay),
            relay_blobs: Some(self.relay_blobs),
            connections: Some(self.connections),
            connections_per_address: Some(self.connections_per_address),
            mesh: Some(self.mesh),
            upload: Some(self.upload),
            download: Some(self.download),
            monthly: Some(self.monthly),
            memory: Some(self.memory),
        };
        (network, StorageSettings { blobs: Some(self.blobs) })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "home",
            Self::Metered => "metered",
            Self::Server => "server",
            Self::Lan => "lan",
        })
    }
}

impl fmt::Display for Relaying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Use => "use",
            Self::Serve => "serve",
        })
    }
}
