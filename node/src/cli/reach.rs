//! By which ways a node may be reached: the flags of `chorus run`.

use clap::Args;

use crate::network::Reach;

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
    #[arg(long, value_name = "MULTIADDRESS")]
    external: Vec<String>,
    /// Let the bodies of contributions and adapters pass through relays: at a relay, carry them; elsewhere, send them.
    #[arg(long)]
    relay_blobs: bool,
}

impl Ways {
    /// Returns what they say.
    pub(super) fn reach(&self) -> Reach {
        Reach {
            mdns: !self.no_mdns,
            upnp: !self.no_upnp,
            relays: !self.no_relays,
            external: self.external.clone(),
            blobs_through_relays: self.relay_blobs,
        }
    }
}
