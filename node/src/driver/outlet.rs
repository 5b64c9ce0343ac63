//! What leaves the node: messages, requests for bodies, notices.

use std::collections::BTreeMap;

use chorus_protocol::{fault::Fault, id::NodeId, peer::Notice};
use tokio::{runtime, sync::broadcast};

use super::{disk::Outgoing, inbox::Inbox, network_id, wants::Wants};
use crate::network::{NetworkError, Topic};

/// Faults of one node after which its connections are ended. An honest node of another version, or one that was just
/// restarted from an old copy, says a few wrong things; nobody says this many by accident. It may come back: what its
/// faults cost is bounded by what a connection costs it.
const MAX_FAULTS: u32 = 16;

/// Nodes whose faults are counted at a time: beyond it the count starts afresh.
const MAX_COUNTED: usize = 1024;

/// The way out.
#[derive(Debug)]
pub(super) struct Outlet {
    runtime: runtime::Handle,
    wants: Wants,
    inbox: Inbox,
    notices: broadcast::Sender<Notice>,
    local: NodeId,
    faults: BTreeMap<NodeId, u32>,
}

impl Outlet {
    pub(super) fn new(
        runtime: runtime::Handle,
        wants: Wants,
        inbox: Inbox,
        notices: broadcast::Sender<Notice>,
        local: NodeId,
    ) -> Self {
        Self { runtime, wants, inbox, notices, local, faults: BTreeMap::new() }
    }

    /// Sends, publishes, asks or tells. Blocks while the network is busy; what cannot be sent is said again by the
    /// protocol if it still matters.
    pub(super) fn emit(&mut self, outgoing: Outgoing) {
        let network = &self.wants.network;
        match outgoing {
            Outgoing::Send { to, bytes } => {
                report(self.runtime.block_on(network.send(network_id(to), bytes)));
            }
            Outgoing::Publish(bytes) => report(self.runtime.block_on(network.publish(Topic::Control, bytes))),
            Outgoing::Want(id) => self.wants.find(&self.runtime, id, self.inbox.clone()),
            Outgoing::Notice(notice) => {
                self.tell(&notice);
                // An error says that nobody listens.
                let _ = self.notices.send(notice);
            }
        }
    }

    fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Height(height) => tracing::debug!(%height, "decided"),
            Notice::Refused { from, fault } => {
                tracing::debug!(%from, %fault, "refused");
                if *from != self.local && is_misconduct(fault) {
                    self.count(*from);
                }
            }
            Notice::Contradiction { round, what } => tracing::error!(%round, what, "the log contradicts itself"),
            Notice::NotStated { number, why } => tracing::warn!(number, why, "consent to an amendment was not stated"),
            Notice::NotCarried { number, why } => {
                tracing::error!(number, %why, "the operators adopted an amendment that the members' vote does not carry");
            }
            Notice::Halted(why) => tracing::error!(why, "this node no longer takes part in ordering"),
        }
    }

    fn count(&mut self, from: NodeId) {
        if self.faults.len() >= MAX_COUNTED && !self.faults.contains_key(&from) {
            self.faults.clear();
        }
        let faults = self.faults.entry(from).or_default();
        *faults += 1;
        if *faults >= MAX_FAULTS {
            self.faults.remove(&from);
            tracing::warn!(%from, "disconnected for its faults");
            report(self.runtime.block_on(self.wants.network.disconnect(network_id(from))));
        }
    }
}

fn report(sent: Result<(), NetworkError>) {
    if let Err(error) = sent {
        tracing::debug!(%error, "not sent");
    }
}

/// Whether a fault is held against who sent it. An honest node's message may come too early, too late or twice.
fn is_misconduct(fault: &Fault) -> bool {
    !matches!(
        fault,
        Fault::Unknown(_)
            | Fault::Duplicate(_)
            | Fault::Early { .. }
            | Fault::Stale { .. }
            | Fault::Phase(_)
            | Fault::Bound { .. }
            | Fault::Quorum { .. }
    )
}
