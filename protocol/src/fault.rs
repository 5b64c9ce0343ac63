//! What a peer did wrong. A fault describes a peer or its bytes, never this node.

use chorus_crypto::{codec::DecodeError, group::PointError, sign::SignatureError};

use crate::{config::GenesisError, log::batch::Height, time::Timestamp};

/// Why a message, an entry or a contribution was refused. A refused one changes nothing and is not stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes are not the canonical encoding of what they should be.
    #[error("bad encoding: {0}")]
    Encoding(#[from] DecodeError),
    /// A point is invalid or the identity.
    #[error("bad point: {0}")]
    Point(#[from] PointError),
    /// A signature does not verify.
    #[error("bad signature")]
    Signature(#[from] SignatureError),
    /// A protocol version that this node does not speak.
    #[error("unknown version {0}")]
    Version(u8),
    /// A message of another community.
    #[error("message of another community")]
    Community,
    /// The author holds no role that may do this.
    #[error("the author may not post {0}")]
    NotAllowed(&'static str),
    /// Something refers to what is not on the log.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// The same thing has been said before; the first stands.
    #[error("{0} has already been given")]
    Duplicate(&'static str),
    /// The phase in which this is admitted has not begun.
    #[error("{what} is admitted from {from}, the log's time is {now}")]
    Early {
        /// What was refused.
        what: &'static str,
        /// From when it is admitted.
        from: Timestamp,
        /// The log's time.
        now: Timestamp,
    },
    /// Something takes effect at a height that is decided by now. State another.
    #[error("{what} is to hold from height {from} on, but the log comes to {now}")]
    Stale {
        /// What takes effect.
        what: &'static str,
        /// From which height on.
        from: Height,
        /// The height of the batch in which it is said.
        now: Height,
    },
    /// The rules that somebody would have make no sense.
    #[error("these rules make no sense: {0}")]
    Charter(#[from] GenesisError),
    /// The phase in which this is admitted is over, or not reached.
    #[error("{0} is not admitted in this phase")]
    Phase(&'static str),
    /// A bound of [`limits`](crate::limits) or of the community's policy is exceeded.
    #[error("{what}: {found} is over the bound {bound}")]
    Bound {
        /// What is bounded.
        what: &'static str,
        /// The bound.
        bound: u64,
        /// The value found.
        found: u64,
    },
    /// Too few distinct operators stand behind an entry.
    #[error("{found} of {needed} acknowledgements")]
    Quorum {
        /// How many are needed.
        needed: usize,
        /// How many were found.
        found: usize,
    },
    /// Two parts of one object contradict each other, or contradict the log.
    #[error("{0} does not match")]
    Mismatch(&'static str),
    /// The credential proof of a contribution does not hold.
    #[error("credential: {0}")]
    Credential(#[from] chorus_crypto::credential::CredentialError),
    /// The link between commitments and masked vector does not hold.
    #[error("link: {0}")]
    Link(#[from] chorus_crypto::link::LinkError),
    /// The proof that the ballot is valid does not hold.
    #[error("ballot: {0}")]
    Ballot(#[from] chorus_crypto::ballot::BallotError),
    /// The delta's proof is of the wrong form, or a projection is too large.
    #[error("delta proof: {0}")]
    Delta(#[from] chorus_crypto::delta::DeltaError),
    /// The equations of a contribution do not hold; which of them, a batch does not tell.
    #[error("the proof's equations do not hold")]
    Proof,
    /// An operator's box did not open or held other seeds than those committed to.
    #[error("sealed seeds: {0}")]
    Seeds(&'static str),
    /// A seed that is on the log already, copied or re-used.
    #[error("a seed of this contribution has been used before")]
    SeedReused,
}

/// Checks that a numbered word is the next of its speaker on its subject: who says an older one again speaks for nobody.
pub(crate) fn in_turn(said: impl Into<u64>, number: impl Into<u64>, what: &'static str) -> Result<(), Fault> {
    match (said.into(), number.into()) {
        (said, number) if number <= said => Err(Fault::Duplicate(what)),
        (said, number) if number - said == 1 => Ok(()),
        _ => Err(Fault::Phase(what)),
    }
}

/// Refuses a number over its bound.
pub(crate) fn bound(what: &'static str, bound: usize, found: usize) -> Result<(), Fault> {
    if found > bound { Err(Fault::Bound { what, bound: bound as u64, found: found as u64 }) } else { Ok(()) }
}
