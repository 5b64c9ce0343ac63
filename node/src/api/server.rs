//! The server: on loopback, with a fresh token, for as long as the node runs.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use tokio::{net::TcpListener, sync::watch};

use super::{
    auth::{Gate, Token},
    routes::{Shared, router},
    service::Service,
};
use crate::{
    config::DataDir,
    page::{self, Page, session::Sessions},
    store::files,
};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is not one of this machine's own.
    #[error("{0} is no loopback address: the local interface is for this machine alone")]
    NotLoopback(IpAddr),
    /// The port is taken, or the system refuses.
    #[error("the local interface cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Token or address cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// What cannot be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server failed.
    #[error("the local interface failed")]
    Serve(#[source] io::Error),
}

/// A server that listens and has not begun to answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    gate: Gate,
    sessions: Arc<Sessions>,
    dir: DataDir,
}

impl Server {
    /// Listens, and writes token and address into the data directory, whose node must run already.
    ///
    /// # Errors
    ///
    /// Returns a [`ServerError`].
    pub async fn bind(dir: &DataDir, address: SocketAddr) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address.ip()));
        }
        let refused = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        // What an earlier process did not finish; nobody else runs here, for the node holds its lock.
        for purpose in ["bundle", "token", "address"] {
            files::remove_unfinished(dir.root(), purpose)
                .map_err(|source| ServerError::Write { path: dir.root().to_owned(), source })?;
        }
        let token = Token::random();
        let path = dir.api_token();
        token.write(&path).map_err(|source| ServerError::Write { path, source })?;
        let path = dir.api_address();
        files::replace(&path, "address", address.to_string().as_bytes())
            .map_err(|source| ServerError::Write { path, source })?;
        let (gate, sessions) = (Gate::new(token, address), Arc::default());
        Ok(Self { listener, address, gate, sessions, dir: dir.clone() })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a link to the page, which lets one browser in once.
    pub fn page_link(&self) -> String {
        self.gate.page_link(&self.sessions)
    }

    /// Answers until `stop` is done; then finishes what it is answering.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Serve`] if the system takes the listener away.
    pub async fn serve(
        self,
        service: Arc<Service>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let (close, closing) = watch::channel(false);
        let page = Page::new(service.clone(), self.gate.clone(), self.sessions.clone(), closing);
        let shared = Shared { service, gate: self.gate, sessions: self.sessions, scratch: self.dir.root().to_owned() };
        let routes = router(shared).merge(page::router(page));
        let stop = async move {
            stop.await;
            // Browsers that listen to live numbers would keep the server for ever.
            let _ = close.send(true);
        };
        let served = axum::serve(self.listener, routes).with_graceful_shutdown(stop).await;
        // Whoever looks next is told that no node runs, instead of being refused by a port.
        let _ = std::fs::remove_file(self.dir.api_address());
        served.map_err(ServerError::Serve)
    }
}
