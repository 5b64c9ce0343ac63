//! What leaves the node: messages, requests for bodies, notices.

use chorus_protocol::{fault::Fault, id::NodeId, peer::Notice};
use tokio::{runtime, sync::broadcast};

use super::{disk::Outgoing, inbox::Inbox, network_id, wants::Wants};
use crate::network::{NetworkError, Offence, Topic};

/// The way out.
#[derive(Debug)]
pub(super) struct Outlet {
    runtime: runtime::Handle,
    wants: Wants,
    inbox: Inbox,
    notices: broadcast::Sender<Notice>,
    local: NodeId,
}

impl Outlet {
    pub(super) fn new(
        runtime: runtime::Handle,
        wants: Wants,
        inbox: Inbox,
        notices: broadcast::Sender<Notice>,
        local: NodeId,
    ) -> Self {
        Self { runtime, wants, inbox, notices, local }
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

    fn tell(&self, notice: &Notice) {
        match notice {
            Notice::Height(height) => tracing::debug!(%height, "decided"),
            Notice::Refused { from, fault } => {
                tracing::debug!(%from, %fault, "refused");
                let offence = offence(fault).filter(|_| *from != self.local && *from != NodeId::ZERO);
                if let Some(offence) = offence {
                    report(self.runtime.block_on(self.wants.network.blame(network_id(*from), offence)));
                }
            }
            Notice::Contradiction { round, what } => tracing::error!(%round, what, "the log contradicts itself"),
            Notice::NotStated { number, why } => tracing::warn!(number, why, "consent to an amendment was not stated"),
            Notice::NotCarried { number, why } => {
                tracing::error!(number, %why, "the operators adopted an amendment that the members' vote does not carry");
            }
            Notice::Arriving { landmark, why } => {
                tracing::warn!(height = %landmark.height, %why, "the log does not begin where the invitation says");
            }
            Notice::Halted(why) => tracing::error!(why, "this node no longer takes part in ordering"),
        }
    }
}

fn report(sent: Result<(), NetworkError>) {
    if let Err(error) = sent {
        tracing::debug!(%error, "not sent");
    }
}

/// What a fault is to the network, if it is held against who sent it. An honest node's message may come too early, and one of
/// a later version may be unknown. It may also come too late or twice, but not all the time.
fn offence(fault: &Fault) -> Option<Offence> {
    match fault {
        Fault::Unknown(_) | Fault::Early { .. } | Fault::Bound { .. } | Fault::Quorum { .. } => None,
        Fault::Duplicate(_) | Fault::Stale { .. } | Fault::Phase(_) => Some(Offence::Repeated),
        Fault::Encoding(_) | Fault::Community | Fault::Version(_) => Some(Offence::Malformed),
        Fault::Credential(_) | Fault::Link(_) | Fault::Ballot(_) | Fault::Delta(_) | Fault::Proof => {
            Some(Offence::Proof)
        }
        _ => Some(Offence::Fault),
    }
}
