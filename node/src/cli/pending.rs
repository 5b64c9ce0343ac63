//! Signatures of the audit bundle, until its module is here.

/// The audit bundle.
pub mod audit {
    use std::{
        collections::BTreeSet,
        io::{Read, Write},
        sync::Arc,
    };

    use chorus_crypto::sign::PublicKey;
    use chorus_protocol::{
        config::Genesis,
        deliberation::constitution::Constitution,
        id::{BatchId, BlobId, CommunityId, PollId, RoundId},
        ledger::RoundState,
        log::{batch::Height, consensus::Decision, entry::RoundResult},
    };

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
    #[derive(Clone, Debug)]
    #[expect(missing_docs, reason = "see the audit bundle")]
    pub struct Report {
        pub community: CommunityId,
        pub name: String,
        pub height: Height,
        pub tip: BatchId,
        pub entries: u64,
        pub members: usize,
        pub contributions: u64,
        pub convicted: BTreeSet<PublicKey>,
        pub rounds: Vec<RoundSummary>,
        pub bytes: u64,
    }

    /// See the audit bundle.
    #[derive(Clone, Debug)]
    #[expect(missing_docs, reason = "see the audit bundle")]
    pub struct RoundSummary {
        pub round: RoundId,
        pub poll: PollId,
        pub question: String,
        pub number: u32,
        pub state: RoundState,
        pub ballots: usize,
        pub withdrawals: usize,
        pub liars: BTreeSet<u8>,
        pub dissenting: BTreeSet<u8>,
        pub result: Option<RoundResult>,
        pub constitution: Option<Constitution>,
    }

    /// See the audit bundle.
    #[derive(Clone, Copy, Debug)]
    #[expect(missing_docs, reason = "see the audit bundle")]
    pub enum Progress {
        Log(Height),
        Contributions { verified: u64, of: u64 },
        Round(RoundId),
    }

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
    pub fn verify(_: &mut impl Read, _: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
        Err(VerifyError)
    }
}
