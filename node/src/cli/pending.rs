//! Signatures of the audit bundle, until its module is here.

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
