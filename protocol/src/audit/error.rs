//! Why a bundle is refused, or cannot be written.

use core::fmt;
use std::io;

use chorus_crypto::{batch::Equation, codec::DecodeError, credential::Tag};

use crate::{
    charter::NotCarried,
    config::GenesisError,
    fault::Fault,
    id::{BlobId, RoundId},
    log::{
        batch::Height,
        certificate::CertificateError,
        entry::{PassId, RoundResult, Step},
    },
    opening::OpeningError,
};

/// Why a bundle does not show what it should. Names the object and the check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bundle could not be read; says nothing about it. Try again.
    #[error("the bundle could not be read: {0}")]
    Read(#[from] io::Error),
    /// The file does not begin as a bundle does.
    #[error("this is not an audit bundle")]
    Magic,
    /// A version that this verifier does not know.
    #[error("the bundle has version {found}, this verifier reads version {}", super::VERSION)]
    Version {
        /// The version.
        found: u8,
    },
    /// A part of the file is not in its one encoding.
    #[error("{what} at byte {offset} is not in canonical form: {error}")]
    Encoding {
        /// Which part.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The bytes of a blob are not those that its id is the hash of.
    #[error("blob {0} has other bytes than its id says")]
    BlobHash(BlobId),
    /// A blob stands before one that the log names earlier.
    #[error("blob {found} stands where blob {expected} should: the log names that one first")]
    BlobOrder {
        /// What should stand there.
        expected: BlobId,
        /// What does.
        found: BlobId,
    },
    /// A blob that no check needs, or that was given before.
    #[error("blob {0} is not needed, or is given twice")]
    BlobSuperfluous(BlobId),
    /// An entry of a certified batch does not decode.
    #[error("entry {index} of height {height} is not in canonical form: {error}")]
    EntryEncoding {
        /// The height.
        height: Height,
        /// The entry's place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The body of a contribution does not decode.
    #[error("the body of {place} is not in canonical form: {error}")]
    BodyEncoding {
        /// The contribution.
        place: Box<Place>,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The founding document breaks a rule.
    #[error("the founding document: {0}")]
    Genesis(#[from] GenesisError),
    /// A decision is missing, repeated or out of order.
    #[error("a decision of height {found} stands where height {expected} should")]
    Height {
        /// What should stand there.
        expected: Height,
        /// What does.
        found: Height,
    },
    /// A batch does not name the batch before it.
    #[error("the batch of height {0} does not follow from the one before")]
    Chain(Height),
    /// A batch is not certified.
    #[error("the certificate of height {height}: {error}")]
    Certificate {
        /// The height.
        height: Height,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// A batch orders nothing.
    #[error("the batch of height {0} has no entries")]
    EmptyBatch(Height),
    /// An entry does not follow from the log before it.
    #[error("entry {index} of height {height} is against the rules: {fault}")]
    Entry {
        /// The height.
        height: Height,
        /// The entry's place in the batch, from 0.
        index: usize,
        /// The rule.
        fault: Fault,
    },
    /// Somebody was made a member against the rules.
    #[error("entry {index} of height {height}, a registration, is against the rules: {fault}")]
    Registration {
        /// The height.
        height: Height,
        /// The entry's place in the batch, from 0.
        index: usize,
        /// The rule.
        fault: Fault,
    },
    /// A contribution is not shown to be a member's.
    #[error("{place} is not shown to be a member's: {fault}{}", because(.equation))]
    Credential {
        /// The contribution.
        place: Box<Place>,
        /// What fails.
        fault: Fault,
        /// The equation that does not hold, if it is one.
        equation: Option<Equation>,
    },
    /// A contribution is no valid ballot.
    #[error("{place} is not shown to be valid: {fault}{}", because(.equation))]
    Contribution {
        /// The contribution.
        place: Box<Place>,
        /// What fails.
        fault: Fault,
        /// The equation that does not hold, if it is one.
        equation: Option<Equation>,
    },
    /// The body of a contribution is another than the log says.
    #[error("the body of {0} does not match what the log says of it")]
    Header(Box<Place>),
    /// What was opened in a step is not admitted, or does not open the commitments.
    #[error("{step:?} of round {round}: {error}")]
    Opening {
        /// The round.
        round: RoundId,
        /// The step.
        step: Step,
        /// What fails.
        error: OpeningError,
    },
    /// The operators opened a step that the round does not come to.
    #[error("{step:?} of round {round} was opened, but the round does not come to that")]
    Unasked {
        /// The round.
        round: RoundId,
        /// The step.
        step: Step,
    },
    /// The operators stated a partition that the round does not come to.
    #[error("a partition of round {0} was stated, but the round does not come to that")]
    UnaskedPartition(RoundId),
    /// A pass of the secret PCA did not multiply by the matrix that follows.
    #[error("pass {} (attempt {}) of round {round} multiplied by another matrix", .pass.pass, .pass.attempt)]
    Product {
        /// The round.
        round: RoundId,
        /// The pass.
        pass: PassId,
    },
    /// What the operators agreed on in a round contradicts the log.
    #[error("round {round}: {what}")]
    Contradiction {
        /// The round.
        round: RoundId,
        /// What does not fit.
        what: &'static str,
    },
    /// The result on the log is not the one that follows.
    #[error("the result of round {round} is {logged}, but {recomputed} follows")]
    Result {
        /// The round.
        round: RoundId,
        /// What the log says.
        logged: BlobId,
        /// What follows.
        recomputed: BlobId,
    },
    /// The constitution or adapter on the log is not the one that follows.
    #[error("what follows from round {round} is stated as {}, but {} follows", name(.logged), name(.recomputed))]
    Follows {
        /// The round.
        round: RoundId,
        /// What the log says.
        logged: Option<BlobId>,
        /// What follows.
        recomputed: Option<BlobId>,
    },
    /// The operators adopted an amendment that the members' vote does not carry.
    #[error("amendment {number} was adopted, but round {round} does not carry it: {why}")]
    Amendment {
        /// Its number.
        number: u32,
        /// The round in which members voted.
        round: RoundId,
        /// What the vote says.
        why: NotCarried,
    },
    /// A cohort's bundle begins with another founding document than its parent's.
    #[error("the bundle is of another community")]
    OtherCommunity,
    /// The bundle of a cohort does not show what it should.
    #[error("cohort {number} of round {round}: {error}")]
    Cohort {
        /// The parent's round.
        round: RoundId,
        /// The cohort's number.
        number: u16,
        /// What is wrong with its bundle.
        error: Box<Self>,
    },
    /// The operators of a cohort certified another result to its parent than their log leads to.
    #[error("cohort {number} of round {round} certified result {}, its log leads to {}", name(&Some(.certified.result)), name(&.found.as_ref().map(|found| found.result)))]
    Certified {
        /// The parent's round.
        round: RoundId,
        /// The cohort's number.
        number: u16,
        /// What the parent's log says.
        certified: Box<RoundResult>,
        /// What the cohort's log leads to.
        found: Option<Box<RoundResult>>,
    },
    /// A blob that a check needs is not in the bundle.
    #[error("blob {0} is missing")]
    MissingBlob(BlobId),
    /// A round is sealed and has no result.
    #[error("round {0} is sealed but has no result")]
    Unfinished(RoundId),
    /// A round has a result, but the log lacks what leads to it.
    #[error("round {round} has a result, but the log lacks {what}")]
    Incomplete {
        /// The round.
        round: RoundId,
        /// What is lacking.
        what: &'static str,
    },
}

impl VerifyError {
    /// Returns the exit code of a verifier that stops for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cohort { error, .. } => error.exit_code(),
            Self::Read(_) => 4,
            Self::Magic
            | Self::Version { .. }
            | Self::Encoding { .. }
            | Self::BlobHash(_)
            | Self::BlobOrder { .. }
            | Self::BlobSuperfluous(_)
            | Self::EntryEncoding { .. }
            | Self::BodyEncoding { .. } => 20,
            Self::Genesis(_)
            | Self::OtherCommunity
            | Self::Height { .. }
            | Self::Chain(_)
            | Self::Certificate { .. }
            | Self::EmptyBatch(_)
            | Self::Entry { .. } => 21,
            Self::Registration { .. } | Self::Credential { .. } => 22,
            Self::Contribution { .. } | Self::Header(_) => 23,
            Self::Opening { .. }
            | Self::Unasked { .. }
            | Self::UnaskedPartition(_)
            | Self::Product { .. }
            | Self::Contradiction { .. } => 24,
            Self::Result { .. } | Self::Follows { .. } | Self::Amendment { .. } | Self::Certified { .. } => 25,
            Self::MissingBlob(_) | Self::Unfinished(_) | Self::Incomplete { .. } => 26,
        }
    }

    /// Returns the error of a contribution for which `fault` was found.
    pub(super) fn of_contribution(place: Box<Place>, fault: Fault, equation: Option<Equation>) -> Self {
        match fault {
            Fault::Encoding(error) => Self::BodyEncoding { place, error },
            Fault::Credential(_) | Fault::NotAllowed(_) => Self::Credential { place, fault, equation },
            _ => Self::Contribution { place, fault, equation },
        }
    }
}

/// Which contribution.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The round.
    pub round: RoundId,
    /// Its place among all tags of the round, in ascending order, from 0.
    pub index: usize,
    /// Its tag.
    pub tag: Tag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, index, tag } = self;
        write!(f, "contribution {index} (tag ")?;
        tag.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ") of round {round}")
    }
}

fn because(equation: &Option<Equation>) -> String {
    equation.map_or_else(String::new, |equation| format!(": {equation}"))
}

fn name(id: &Option<BlobId>) -> String {
    id.map_or_else(|| "none".into(), |id| id.to_string())
}

/// Why a bundle was not written. What has been written by then is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Writing failed.
    #[error("the bundle could not be written: {0}")]
    Write(#[from] io::Error),
    /// The log would not verify, or a sealed round has no result yet: wait for it, or write a shorter log.
    #[error("the log cannot be shown: {0}")]
    Log(#[from] VerifyError),
    /// A blob that the bundle needs is not at hand: fetch it.
    #[error("blob {0} is not at hand")]
    MissingBlob(BlobId),
    /// What is stored under a blob's id is something else.
    #[error("what is stored as blob {0} is something else")]
    BlobHash(BlobId),
}
