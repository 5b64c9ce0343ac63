//! The log and the bodies of a community, asked of running nodes by somebody who is nobody there: a verifier without
//! keys and without a home.
//!
//! Nothing that a node says is believed. The founding document is known by its digest; each decision is checked as it
//! comes, as a verifier does; a body is named by its hash. What a node can do is to say nothing, or to stop early: then
//! the bundle is shorter than the log that others have, and its tip shows that.

use std::{
    fs::File,
    io::{BufWriter, Seek as _, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_protocol::{
    audit::{WriteError, Writer},
    config::Genesis,
    id::{BlobId, CommunityId},
    log::batch::Height,
    message::{MINOR, Message, Tip},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use crate::{
    network::{Caps, Limits, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, Reach, Role},
    store::{
        blobs::{BlobError, BlobStore, Policy},
        files,
    },
};

/// How long nodes may bring nothing new before they are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How soon the next part of the log is asked for again when none comes.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The pause before a body is asked for again.
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
    /// What was handed out is no log of this community, or a body that it needs is not handed out.
    #[error(transparent)]
    Bundle(#[from] WriteError),
    /// There is no room for bodies on the way.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The bundle cannot be written down.
    #[error("the bundle cannot be written down")]
    Io(#[from] std::io::Error),
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
        for address in addresses {
            match network.dial(&address).await {
                Err(NetworkError::NoWay(_)) => {}
                dialled => dialled?,
            }
        }
        let remote = Remote { network: network.clone(), events, community: genesis.id(), progress };
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
        let (mut said, mut turn) = (None::<Height>, 0usize);
        let (mut moved, mut asked) = (Instant::now(), None::<Instant>);
        loop {
            let given = writer.height();
            if said.is_some_and(|said| given >= said) {
                return Ok(());
            }
            if moved.elapsed() > PATIENCE {
                return Err(said.map_or(RemoteError::Silent, |said| RemoteError::Short { said, given }));
            }
            let peers = self.network.peers();
            if said.is_some() && asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) && !peers.is_empty() {
                let request = Message::LogRequest(Tip { height: given.next() }).seal(self.community);
                if let Some(peer) = peers.get(turn % peers.len()) {
                    // Whoever has gone meanwhile is not asked; the next one is.
                    let _ = self.network.send(*peer, request).await;
                }
                (turn, asked) = (turn.wrapping_add(1), Some(Instant::now()));
            }
            let bytes = match timeout(PAUSE, self.events.recv()).await {
                Ok(Some(NetworkEvent::Message { bytes, .. })) => bytes,
                Ok(Some(NetworkEvent::Request { request_id, .. })) => {
                    self.network.respond(request_id, Vec::new()).await?;
                    continue;
                }
                Ok(None) => return Err(NetworkError::Stopped.into()),
                Ok(Some(_)) | Err(_) => continue,
            };
            match Message::open(self.community, &bytes) {
                Ok(Message::Tip(tip)) => said = said.max(Some(tip.height)),
                Ok(Message::Log(part)) => {
                    for decision in &part.decisions {
                        if decision.batch.height() == writer.height().next() {
                            writer.push(decision)?;
                            (moved, asked) = (Instant::now(), None);
                        }
                    }
                    (self.progress)(Fetched::Log(writer.height(), said.unwrap_or_default().max(writer.height())));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
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
