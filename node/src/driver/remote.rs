//! The log and the bodies of a community, asked of running nodes by somebody who is nobody there: a verifier without
//! keys and without a home.
//!
//! Nothing that a node says is believed. The founding document is known by its digest; each decision is checked as it
//! comes, as a verifier does; a body is named by its hash. A node that hands out what is not certified is not heard again,
//! and others are asked. What a node can do is to say nothing, or to stop early: then the bundle is shorter than the log that
//! others have, and its tip shows that.

mod sources;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Seek as _, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_protocol::{
    audit::{VerifyError, WriteError, Writer},
    config::Genesis,
    id::{BlobId, CommunityId},
    log::batch::Height,
    message::{LogPart, MINOR, Message, Tip},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use self::sources::{Next, PATIENCE, Sources};
use crate::{
    network::{Caps, Limits, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, NodeId, Reach, Role},
    store::{
        blobs::{BlobError, BlobStore, Policy},
        files,
    },
};

/// The pause before a body is asked for again, or one looks again for the next part of the log.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a body is asked for.
const TRIES: usize = 20;

/// Why the log of running nodes was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The network cannot be used, or an address makes no sense.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No node at the addresses says how far its log comes.
    #[error("nobody at these addresses answers for this community")]
    Silent,
    /// A node says that its log comes further than it hands out.
    #[error("the log is said to come to height {said}, but nobody hands out more than {given}")]
    Short {
        /// The height that was said.
        said: Height,
        /// The height that was given.
        given: Height,
    },
    /// What was handed out is not certified by the community's operators: it says nothing about their log. Another node may
    /// have that.
    #[error("{} a log that the community's operators have not certified ({error}): ask another one", whose(.nodes))]
    Uncertified {
        /// How many nodes did so: all that answered.
        nodes: usize,
        /// What is wrong with what one of them gave.
        error: Box<VerifyError>,
    },
    /// What operators certified breaks the rules, or a body that the log needs is not handed out.
    #[error(transparent)]
    Bundle(#[from] WriteError),
    /// There is no room for bodies on the way.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The bundle cannot be written down.
    #[error("the bundle cannot be written down")]
    Io(#[from] std::io::Error),
}

fn whose(nodes: &usize) -> String {
    if *nodes == 1 { "the node that answered gives".into() } else { format!("the {nodes} nodes that answered give") }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// The log, up to a height, of as many as are said to be.
    Log(Height, Height),
    /// So many bodies.
    Bodies(u64),
}

/// Fetches the audit bundle of a community from the nodes at the addresses, into a file without a name.
///
/// # Errors
///
/// Returns a [`RemoteError`]; what it says of the log holds for the nodes that were asked.
pub async fn fetch(
    genesis: &Genesis,
    addresses: impl IntoIterator<Item = String> + Send,
    progress: impl FnMut(Fetched) + Send + 'static,
) -> Result<(File, u64), RemoteError> {
    // The store of bodies on their way, one at a time, is gone at the end.
    let folder = tempfile::tempdir()?;
    let store = Arc::new(BlobStore::open(folder.path(), Policy::keep_all(u64::MAX))?);
    let config = NetworkConfig {
        identity: Zeroizing::new(rand::random()),
        listen: Vec::new(),
        role: Role::Participant,
        reach: Reach { relays: false, ..Reach::quiet() },
        community: genesis.id(),
        blobs: Arc::clone(&store) as _,
        caps: Caps::default(),
        memory: None,
        minor: MINOR,
        limits: Limits::default(),
    };
    let (network, events, _) = Network::spawn(config).await?;
    let fetched = async {
        let mut called = BTreeSet::new();
        for address in addresses {
            match network.dial(&address).await {
                Err(NetworkError::NoWay(_)) => {}
                dialled => {
                    dialled?;
                    // A node may have several addresses, which end in its name.
                    called.insert(address.rsplit_once("/p2p/").map_or(address.as_str(), |(_, name)| name).to_owned());
                }
            }
        }
        let called = called.len();
        let remote = Remote { network: network.clone(), events, community: genesis.id(), called, progress };
        remote.bundle(genesis, folder.path(), &store).await
    };
    let fetched = fetched.await;
    network.shutdown().await;
    fetched
}

/// A connection with the nodes of a community.
struct Remote<P> {
    network: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    community: CommunityId,
    /// How many nodes were called.
    called: usize,
    progress: P,
}

impl<P: FnMut(Fetched) + Send + 'static> Remote<P> {
    async fn bundle(
        mut self,
        genesis: &Genesis,
        folder: &std::path::Path,
        store: &Arc<BlobStore>,
    ) -> Result<(File, u64), RemoteError> {
        let file = files::nameless(folder, "bundle")?;
        let mut writer = Writer::new(BufWriter::new(file.try_clone()?), genesis)?;
        self.log(&mut writer).await?;
        let Self { network, mut events, mut progress, .. } = self;
        // The events must be taken, or the network would hold them for nobody.
        let drained = tokio::spawn(async move { while events.recv().await.is_some() {} });
        let (runtime, store) = (tokio::runtime::Handle::current(), Arc::clone(store));
        let mut bodies = 0;
        let finish = move || {
            writer.finish(|id| {
                let bytes = runtime.block_on(body(&network, *id))?;
                // It is in the bundle from now on.
                let _ = store.delete(*id);
                bodies += 1;
                progress(Fetched::Bodies(bodies));
                Some(bytes)
            })
        };
        let finished = tokio::task::spawn_blocking(finish).await;
        drained.abort();
        let summary = finished.map_err(|_| NetworkError::Stopped)??;
        let mut file = file;
        file.flush()?;
        file.rewind()?;
        Ok((file, summary.bytes))
    }

    /// Asks for the log, part by part, until it is as long as is said.
    async fn log<W: std::io::Write>(&mut self, writer: &mut Writer<W>) -> Result<(), RemoteError> {
        let mut sources = Sources::new(self.called, Instant::now());
        loop {
            match sources.next(writer.height(), Instant::now())? {
                Next::Done => return Ok(()),
                Next::Ask(node) => {
                    let request = Message::LogRequest(Tip { height: writer.height().next() }).seal(self.community);
                    // Whoever has gone meanwhile does not answer; the next one is asked.
                    let _ = self.network.send(node, request).await;
                }
                Next::Wait => {}
            }
            let (from, bytes) = match timeout(PAUSE, self.events.recv()).await {
                Ok(Some(NetworkEvent::Message { from, bytes })) => (from, bytes),
                Ok(Some(NetworkEvent::Request { request_id, .. })) => {
                    self.network.respond(request_id, Vec::new()).await?;
                    continue;
                }
                Ok(None) => return Err(NetworkError::Stopped.into()),
                Ok(Some(_)) | Err(_) => continue,
            };
            match Message::open(self.community, &bytes) {
                Ok(Message::Tip(tip)) => sources.on_tip(from, tip.height, Instant::now()),
                Ok(Message::Log(part)) if sources.takes(from) => {
                    take(writer, &mut sources, from, &part)?;
                    let given = writer.height();
                    (self.progress)(Fetched::Log(given, sources.credible(given)));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// Takes what follows of a part of the log, up to what is not certified.
fn take<W: std::io::Write>(
    writer: &mut Writer<W>,
    sources: &mut Sources,
    from: NodeId,
    part: &LogPart,
) -> Result<(), RemoteError> {
    for decision in &part.decisions {
        if decision.batch.height() != writer.height().next() {
            continue;
        }
        match writer.push(decision) {
            Ok(()) => sources.on_given(from, Instant::now()),
            // Whoever hands it out made it up, or believes somebody who did.
            Err(WriteError::Log(
                error @ (VerifyError::Height { .. } | VerifyError::Chain(_) | VerifyError::Certificate { .. }),
            )) => {
                tracing::warn!(%from, %error, "a node hands out a log that is not certified: it is not heard any more");
                sources.refuse(from, error);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Asks for a body until somebody hands it out, or for long.
async fn body(network: &NetworkHandle, id: BlobId) -> Option<Vec<u8>> {
    for _ in 0..TRIES {
        match timeout(PATIENCE, network.fetch_blob(id)).await {
            Ok(Ok(bytes)) => return Some(bytes),
            Ok(Err(NetworkError::Stopped)) => return None,
            Ok(Err(_)) | Err(_) => sleep(PAUSE).await,
        }
    }
    None
}
