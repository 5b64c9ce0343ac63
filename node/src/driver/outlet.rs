//! What leaves the node: messages, requests for bodies, notices.

use chorus_protocol::{
    fault::Fault,
    id::{BlobId, NodeId},
    peer::{Event, Notice},
};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::{
    runtime,
    sync::{broadcast, mpsc},
};

use super::{disk::Outgoing, inbox::Inbox, network_id, wants::Wants};
use crate::network::{NetworkError, Offence, Topic};

/// How many steps of niceness the threads that verify stand behind others.
const BEHIND: i32 = 5;

/// The way out.
#[derive(Debug)]
pub(super) struct Outlet {
    runtime: runtime::Handle,
    wants: Wants,
    inbox: Inbox,
    notices: broadcast::Sender<Notice>,
    local: NodeId,
    archive: mpsc::UnboundedSender<Vec<BlobId>>,
    /// The threads that verify, once there was something to verify.
    verifiers: Option<ThreadPool>,
}

impl Outlet {
    pub(super) fn new(
        runtime: runtime::Handle,
        wants: Wants,
        inbox: Inbox,
        notices: broadcast::Sender<Notice>,
        local: NodeId,
    ) -> Self {
        let (archive, lacking) = mpsc::unbounded_channel();
        runtime.spawn(wants.clone().archive(lacking));
        Self { runtime, wants, inbox, notices, local, archive, verifiers: None }
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
            Outgoing::Verify(verification) => {
                let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
                let work = move || hand_in(&runtime, inbox, Event::Verified(Box::new(verification.run())));
                match self.verifiers() {
                    Ok(pool) => pool.spawn(work),
                    Err(error) => {
                        tracing::debug!(%error, "no threads of their own for proofs");
                        rayon::spawn(work);
                    }
                }
            }
            Outgoing::Private(event) => hand_in(&self.runtime, self.inbox.clone(), *event),
            // An error says that the node is stopping.
            Outgoing::Archive(ids) => drop(self.archive.send(ids)),
            Outgoing::Notice(notice) => {
                self.tell(&notice);
                // An error says that nobody listens.
                let _ = self.notices.send(notice);
            }
        }
    }

    /// The threads that verify. Proofs can wait, whoever sends them; what keeps a community together cannot.
    fn verifiers(&mut self) -> Result<&ThreadPool, ThreadPoolBuildError> {
        let behind = |_| {
            // Where the system has no such thing, they are threads like others.
            let _ = rustix::process::nice(BEHIND);
        };
        let pool = match self.verifiers.take() {
            Some(pool) => pool,
            None => ThreadPoolBuilder::new().thread_name(|_| "verifier".into()).start_handler(behind).build()?,
        };
        Ok(self.verifiers.insert(pool))
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
            // An operator that is behind does not hold against newer ones what they may do by now.
            Notice::Ahead { from, fault } => tracing::debug!(%from, %fault, "refused, by a log that is behind"),
            Notice::NotKept { body, why } => tracing::warn!(%body, why, "a public body is not kept"),
            Notice::NotPosted { why, .. } => tracing::warn!(%why, "an entry was not posted"),
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

/// Hands the protocol what it asked for. Not here: it may be waiting for the disk. An error says that the node is stopping.
fn hand_in(runtime: &runtime::Handle, inbox: Inbox, event: Event) {
    runtime.spawn(async move { inbox.put(event).await });
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
