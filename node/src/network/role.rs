//! What a node is to others, and by which ways it may be reached.

use serde::{Deserialize, Serialize};

/// What a node was started as.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema)]
#[schemars(rename = "NodeRole")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person's node: proposes and votes. At home, mostly behind a router that lets nobody in.
    #[default]
    Participant,
    /// Orders the log and holds mask seeds as well. At an address that anybody can call.
    Operator,
    /// Follows the log, passes on what others say and gives bodies away; nobody votes here. At an address that anybody
    /// can call, like an operator.
    Relay,
}

impl Role {
    /// Whether the node stands at an address that anybody can call: whoever starts it vouches for that.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Operator | Self::Relay)
    }
}

/// By which ways a node may be reached, and may reach others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reach {
    /// Whether to look for nodes on the local network.
    pub mdns: bool,
    /// Whether to ask the router to open a port. Participants only.
    pub upnp: bool,
    /// Whether a participant whom nobody can call has relays pass calls on to it.
    pub relays: bool,
    /// The multiaddresses to tell others, if they are not those at which the node listens. Operators and relays only.
    pub external: Vec<String>,
    /// Whether bodies may pass through relays: for a relay, whether it carries so much; for the others, whether they ask
    /// it to.
    pub blobs_through_relays: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self { mdns: true, upnp: true, relays: true, external: Vec::new(), blobs_through_relays: false }
    }
}

impl Reach {
    /// Looks for nobody by itself: what tests and nodes on one machine want.
    pub fn quiet() -> Self {
        Self { mdns: false, upnp: false, ..Self::default() }
    }
}
