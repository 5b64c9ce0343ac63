//! Signatures of the driver and of the audit bundle, until their modules are here.

/// The driver.
pub mod driver {
    use std::{path::PathBuf, sync::Arc, time::Duration};

    use chorus_crypto::sign::SecretKey;
    use chorus_protocol::{
        config::Genesis,
        id::{BlobId, NodeId},
        log::consensus::Timeouts,
        peer::{Command, Notice, Peer},
    };
    use tokio::sync::broadcast;

    /// See the driver.
    #[derive(Debug)]
    pub struct NodeOptions {
        /// See the driver.
        pub data_dir: PathBuf,
        /// See the driver.
        pub genesis: Genesis,
        /// See the driver.
        pub operator: Option<SecretKey>,
        /// See the driver.
        pub transport_seed: [u8; 32],
        /// See the driver.
        pub listen: Vec<String>,
        /// See the driver.
        pub dial: Vec<String>,
        /// See the driver.
        pub mdns: bool,
        /// See the driver.
        pub timeouts: Timeouts,
        /// See the driver.
        pub pass_millis: u64,
        /// See the driver.
        pub rng_seed: Option<u64>,
    }

    /// See the driver.
    #[derive(Clone, Copy, Debug, thiserror::Error)]
    pub enum NodeError {
        /// The driver is not here.
        #[error("this build has no driver")]
        Absent,
    }

    /// See the driver.
    #[derive(Clone, Debug)]
    pub enum NodeHandle {}

    /// See the driver.
    #[derive(Debug)]
    pub enum Node {}

    impl Node {
        /// See the driver.
        pub async fn start(_: NodeOptions) -> Result<NodeHandle, NodeError> {
            Err(NodeError::Absent)
        }
    }

    impl NodeHandle {
        /// See the driver.
        pub async fn view<R: Send>(&self, _: impl FnOnce(&Peer) -> R + Send) -> Result<R, NodeError> {
            match *self {}
        }
        /// See the driver.
        pub async fn command(&self, _: Command) -> Result<(), NodeError> {
            match *self {}
        }
        /// See the driver.
        pub fn notices(&self) -> broadcast::Receiver<Notice> {
            match *self {}
        }
        /// See the driver.
        pub async fn blob(&self, _: BlobId) -> Result<Option<Arc<[u8]>>, NodeError> {
            match *self {}
        }
        /// See the driver.
        pub async fn fetch(&self, _: BlobId) -> Result<Arc<[u8]>, NodeError> {
            match *self {}
        }
        /// See the driver.
        pub fn addresses(&self) -> Vec<String> {
            match *self {}
        }
        /// See the driver.
        pub fn node_id(&self) -> NodeId {
            match *self {}
        }
        /// See the driver.
        pub async fn wait_until(&self, _: impl Fn(&Peer) -> bool + Send, _: Duration) -> Result<bool, NodeError> {
            match *self {}
        }
        /// See the driver.
        pub async fn shutdown(self) {
            match self {}
        }
    }
}

/// The audit bundle.
pub mod audit {
    use std::{
        io::{Read, Write},
        sync::Arc,
    };

    use chorus_protocol::{config::Genesis, id::BlobId, log::consensus::Decision};

    /// See the audit bundle.
    #[derive(Clone, Copy, Debug, thiserror::Error)]
    #[error("this build has no verifier")]
    pub struct VerifyError;

    impl VerifyError {
        /// See the audit bundle.
        pub const fn exit_code(&self) -> u8 {
            26
        }
    }

    /// See the audit bundle.
    #[derive(Debug)]
    pub struct Report;

    /// See the audit bundle.
    pub fn write(
        _: &mut impl Write,
        _: &Genesis,
        _: &[Arc<Decision>],
        _: impl FnMut(&BlobId) -> Option<Vec<u8>>,
    ) -> Result<(), VerifyError> {
        Err(VerifyError)
    }

    /// See the audit bundle.
    pub fn verify(_: &mut impl Read, _: impl FnMut(u64)) -> Result<Report, VerifyError> {
        Err(VerifyError)
    }
}
