//! By which ways a node may be reached: the flags of `chorus run`.

use clap::Args;

use super::values;
use crate::{
    config::profile::{Bearing, NetworkSettings, Relaying},
    network::Reach,
};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reachability")]
pub(super) struct Ways {
    /// Do not look for nodes on the local network.
    #[arg(long)]
    no_mdns: bool,
    /// Do not ask the router to open a port.
    #[arg(long)]
    no_upnp: bool,
    /// Have no relay pass calls on, though nobody can call this node.
    #[arg(long)]
    no_relays: bool,
    /// Operators and relays: tell others this address instead of those at which the node listens; may be repeated.
    #[arg(long, value_name = "MULTIADDRESS", value_parser = values::address)]
    external: Vec<String>,
    /// Let the bodies of contributions and adapters pass through relays: at a relay, carry them; elsewhere, send them.
    /// As the setting network.relay-blobs.
    #[arg(long)]
    relay_blobs: bool,
}

impl Ways {
    /// Puts what they say before the settings.
    pub(super) fn settle(&self, network: &mut NetworkSettings) {
        if self.no_mdns {
            network.mdns = Some(false);
        }
        if self.no_upnp {
            network.upnp = Some(false);
        }
        if self.no_relays {
            network.relay = Some(Relaying::Off);
        }
        if self.relay_blobs {
            network.relay_blobs = Some(true);
        }
        if !self.external.is_empty() {
            network.announce = Some(self.external.clone());
        }
    }

    /// Returns what follows from the settings.
    pub(super) fn reach(bearing: &Bearing) -> Reach {
        Reach {
            mdns: bearing.mdns,
            upnp: bearing.upnp,
            relays: bearing.relay != Relaying::Off,
            external: bearing.announce.clone(),
            blobs_through_relays: bearing.relay_blobs,
        }
    }
}
