//! Who may decide, and the proof that they did.
//!
//! A certificate is a quorum of precommits over one batch id. It is all that a follower needs: together with the batch
//! and the committee of its height it shows, without any further message, that the batch is final. Certificates of one
//! height differ between operators (other signers, even another round), so nothing hashes or compares them: what was
//! decided is the pair (height, batch id).

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    sign::{PublicKey, Signature},
};

use super::{
    batch::{Batch, Height},
    consensus::{
        Member,
        message::{Signed, Vote, decode_round},
    },
};
use crate::{
    id::{BatchId, CommunityId},
    limits::MAX_OPERATORS,
};

/// Keys do not make a committee.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitteeError {
    /// There are no or too many operators.
    #[error("{0} operators; a committee has 1 to {MAX_OPERATORS}")]
    Size(usize),
    /// A key is named twice.
    #[error("operator {0} is named twice")]
    Twice(PublicKey),
}

/// The operators that decide a height: 1 to [`MAX_OPERATORS`] distinct keys, in ascending order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committee {
    members: Vec<Member>,
}

impl Committee {
    /// Makes the committee of `operators`, given in any order.
    ///
    /// # Errors
    ///
    /// Returns a [`CommitteeError`] if there are none, too many, or one twice.
    pub fn new(operators: impl IntoIterator<Item = PublicKey>) -> Result<Self, CommitteeError> {
        let mut members: Vec<Member> = operators.into_iter().map(Member).collect();
        members.sort_unstable();
        if members.is_empty() || members.len() > MAX_OPERATORS {
            return Err(CommitteeError::Size(members.len()));
        }
        match members.array_windows().find(|[a, b]| a == b) {
            Some([twice, _]) => Err(CommitteeError::Twice(twice.0)),
            None => Ok(Self { members }),
        }
    }

    /// Returns the operators in ascending order.
    pub fn operators(&self) -> impl ExactSizeIterator<Item = PublicKey> + '_ {
        self.members.iter().map(|member| member.0)
    }

    /// Returns how many operators there are.
    #[expect(clippy::len_without_is_empty, reason = "a committee is never empty")]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Tells whether `key` is an operator.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.members.binary_search(&Member(*key)).is_ok()
    }

    /// Returns f: how many operators may be faulty in any way without two batches ever being decided at one height.
    pub const fn max_faulty(&self) -> usize {
        (self.len() - 1) / 3
    }

    /// Returns the least q with 3q > 2n. Two quorums share an honest operator.
    pub const fn quorum(&self) -> usize {
        2 * self.len() / 3 + 1
    }

    /// Returns who proposes: the turn passes with every height and every round.
    pub fn proposer(&self, height: Height, round: u32) -> PublicKey {
        self.proposer_member(height, round).0
    }

    pub(super) fn proposer_member(&self, height: Height, round: u32) -> &Member {
        let turn = height.0.wrapping_add(u64::from(round)) % self.len() as u64;
        let index = usize::try_from(turn).expect("less than the number of members");
        self.members.get(index).expect("less than the number of members")
    }

    pub(super) fn as_members(&self) -> &[Member] {
        &self.members
    }
}

impl Encode for Committee {
    fn encode(&self, out: &mut Vec<u8>) {
        put_seq(out, &self.operators().collect::<Vec<_>>());
    }
}

impl Decode for Committee {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let operators: Vec<PublicKey> = input.seq(MAX_OPERATORS)?;
        if !operators.is_sorted() {
            return Err(DecodeError::NonCanonical("committee"));
        }
        Self::new(operators).map_err(|_| DecodeError::OutOfRange("committee"))
    }
}

/// Why a certificate does not show that a batch is final. Says nothing about who is at fault but the sender.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The batch is for another height than the certificate.
    #[error("certificate of height {certificate} for a batch of height {batch}")]
    Height {
        /// The height of the certificate.
        certificate: Height,
        /// The height of the batch.
        batch: Height,
    },
    /// The certificate is for another batch.
    #[error("certificate of batch {certificate} for batch {batch}")]
    Batch {
        /// The batch certified.
        certificate: BatchId,
        /// The batch given.
        batch: BatchId,
    },
    /// There are not exactly as many signatures as a quorum has.
    #[error("{found} signatures where a quorum has {quorum}")]
    Quorum {
        /// The size of a quorum.
        quorum: usize,
        /// How many signatures there are.
        found: usize,
    },
    /// The signers are not in strictly ascending order; one may be named twice.
    #[error("signers out of order or twice at {0}")]
    Order(PublicKey),
    /// A signer is not an operator at this height.
    #[error("{0} is not an operator at this height")]
    Stranger(PublicKey),
    /// A signature does not verify.
    #[error("the signature of {0} does not verify")]
    Signature(PublicKey),
}

/// A quorum's signatures on precommits for one batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The height decided.
    pub height: Height,
    /// The round in which it was decided.
    pub round: u32,
    /// The batch decided.
    pub value: BatchId,
    /// Exactly a quorum of signers, in strictly ascending order, with their signatures.
    pub signatures: Vec<(PublicKey, Signature)>,
}

impl Certificate {
    /// Makes the canonical certificate out of at least a quorum of good signatures: sorted, and cut to a quorum.
    pub(super) fn normalised(
        committee: &Committee,
        (height, round, value): (Height, u32, BatchId),
        mut signatures: Vec<(PublicKey, Signature)>,
    ) -> Self {
        signatures.sort_unstable();
        signatures.dedup_by_key(|(signer, _)| *signer);
        signatures.truncate(committee.quorum());
        Self { height, round, value, signatures }
    }

    /// Verifies that a quorum of `committee` made `batch` final.
    ///
    /// # Errors
    ///
    /// Returns the first thing that is wrong.
    ///
    /// # Security
    ///
    /// `committee` must be the committee of the batch's height, as the log *before* the batch determines it, and the
    /// caller must check that [`Batch::previous`] is the id of the batch it holds for the height before.
    pub fn verify(&self, committee: &Committee, community: CommunityId, batch: &Batch) -> Result<(), CertificateError> {
        if batch.height() != self.height {
            return Err(CertificateError::Height { certificate: self.height, batch: batch.height() });
        }
        let id = batch.id();
        if id != self.value {
            return Err(CertificateError::Batch { certificate: self.value, batch: id });
        }
        self.verify_signatures(committee, community)
    }

    /// Verifies the signatures alone.
    pub(super) fn verify_signatures(
        &self,
        committee: &Committee,
        community: CommunityId,
    ) -> Result<(), CertificateError> {
        let (quorum, found) = (committee.quorum(), self.signatures.len());
        if found != quorum {
            return Err(CertificateError::Quorum { quorum, found });
        }
        if let Some([_, (signer, _)]) = self.signatures.array_windows().find(|[(a, _), (b, _)]| a >= b) {
            return Err(CertificateError::Order(*signer));
        }
        for (signer, signature) in &self.signatures {
            if !committee.contains(signer) {
                return Err(CertificateError::Stranger(*signer));
            }
            let statement = Vote::precommit(self.height, self.round, self.value, *signer);
            let vote = Signed { statement, signature: *signature };
            vote.verify(community).map_err(|_| CertificateError::Signature(*signer))?;
        }
        Ok(())
    }
}

impl Encode for Certificate {
    fn encode(&self, out: &mut Vec<u8>) {
        self.height.encode(out);
        self.round.encode(out);
        self.value.encode(out);
        put_seq(out, &self.signatures);
    }
}

impl Decode for Certificate {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: Height::decode(input)?,
            round: decode_round(input)?,
            value: BatchId::decode(input)?,
            signatures: input.seq(MAX_OPERATORS)?,
        })
    }
}
