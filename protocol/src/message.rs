//! What peers say to each other, version 1.
//!
//! A version has a major and a minor number. Nodes of different majors do not talk. A minor adds kinds of messages: each is
//! sent to peers that speak the minor which introduced it, and a kind that a node does not know is passed over.
//!
//! The envelope names version and community, so that bytes of another protocol or community are refused before they
//! are looked at. It carries no sender: whoever needs to be known signs what is inside (entries, acknowledgements,
//! consensus votes), and a contribution authenticates itself by its credential, so that nothing ties it to a node.

use chorus_crypto::{
    codec::{Decode as _, Encode, Reader},
    domain,
    hash::Digest,
    sign::{PublicKey, SecretKey, Signature},
    wire_enum, wire_struct,
};

use crate::{
    contribution::{Acknowledgement, SealedBox, Submission},
    fault::Fault,
    id::{BlobId, CommunityId, NodeId, RoundId},
    limits,
    log::{batch::Height, consensus::Decision, entry::SignedEntry},
    reconcile,
    time::Timestamp,
};

/// The major protocol version that this code speaks. It is not the crate's version.
pub const VERSION: u8 = 1;

/// The minor protocol version that this code speaks: 1.1 has stems.
pub const MINOR: u8 = 1;

/// A message between two nodes of a community.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// An operator says at which node it can be reached.
    Hello(Hello),
    /// A message of the consensus.
    Consensus(ConsensusBytes),
    /// An entry to be ordered.
    Entry(SignedEntry),
    /// A contribution on its way to the operators.
    Submission(Submission),
    /// An operator's acknowledgement.
    Acknowledgement(Acknowledgement),
    /// How far the sender's log reaches.
    Tip(Tip),
    /// A request for the log from a height on.
    LogRequest(Tip),
    /// A part of the log.
    Log(LogPart),
    /// An operator asks for a contribution that it lacks, or lacks seeds of.
    SubmissionRequest(SubmissionRequest),
    /// The answer after the seal: the contribution, and the seeds that both hold.
    Handover(Handover),
    /// A contribution on its way past other nodes. Since 1.1.
    Stem(Stem),
    /// What an operator holds of an open round, as digests.
    Holdings(Holdings),
    /// What an operator holds of an open round, by id.
    Bodies(Bodies),
    /// An operator that was put back from a copy asks how far the log has come.
    HeightRequest(HeightRequest),
    /// The answer.
    HeightAnswer(HeightAnswer),
    /// Another greeting of the same operator, passed on to it: two nodes may run with its key.
    Sighting(Hello),
}
wire_enum!(Message {
    1 => Hello(it),
    2 => Consensus(it),
    3 => Entry(it),
    4 => Submission(it),
    5 => Acknowledgement(it),
    6 => Tip(it),
    7 => LogRequest(it),
    8 => Log(it),
    9 => SubmissionRequest(it),
    10 => Handover(it),
    11 => Stem(it),
    12 => Holdings(it),
    13 => Bodies(it),
    14 => HeightRequest(it),
    15 => HeightAnswer(it),
    16 => Sighting(it),
});

impl Message {
    /// The last of the tags above.
    const LAST_TAG: u8 = 16;

    /// The minor version that introduced stems.
    pub const STEM_MINOR: u8 = 1;

    /// Returns the minor version that introduced this kind of message.
    pub const fn minor(&self) -> u8 {
        match self {
            Self::Hello(_)
            | Self::Consensus(_)
            | Self::Entry(_)
            | Self::Submission(_)
            | Self::Acknowledgement(_)
            | Self::Tip(_)
            | Self::LogRequest(_)
            | Self::Log(_)
            | Self::SubmissionRequest(_)
            | Self::Handover(_)
            | Self::Holdings(_)
            | Self::Bodies(_)
            | Self::HeightRequest(_)
            | Self::HeightAnswer(_)
            | Self::Sighting(_) => 0,
            Self::Stem(_) => Self::STEM_MINOR,
        }
    }

    /// Returns the message in its envelope.
    pub fn seal(&self, community: CommunityId) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        community.encode(&mut bytes);
        self.encode(&mut bytes);
        bytes
    }

    /// Opens an envelope.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] for another version or community, and for bytes that are not a message;
    /// [`Fault::Unknown`] if they may be one of a later minor version.
    pub fn open(community: CommunityId, bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Reader::new(bytes);
        let version = u8::decode(&mut input)?;
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        if CommunityId::decode(&mut input)? != community {
            return Err(Fault::Community);
        }
        if bytes
            .len()
            .checked_sub(input.remaining())
            .and_then(|at| bytes.get(at))
            .is_some_and(|tag| *tag > Self::LAST_TAG)
        {
            return Err(Fault::Unknown("kind of message"));
        }
        let message = Self::decode(&mut input)?;
        input.finish()?;
        Ok(message)
    }
}

/// An operator's word that it is reached at a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The node, which the transport authenticates.
    pub node: NodeId,
    /// The operator.
    pub operator: PublicKey,
    /// When the node was started, by its clock: tells two nodes with one key apart.
    pub started: Timestamp,
    /// When it said this, by its clock.
    pub at: Timestamp,
    /// Its signature over (community, node, started, at).
    pub signature: Signature,
}
wire_struct!(Hello { node, operator, started, at, signature });

impl Hello {
    /// Signs.
    pub fn sign(key: &SecretKey, community: CommunityId, node: NodeId, (started, at): (Timestamp, Timestamp)) -> Self {
        let signature = key.sign(domain::ENVELOPE, &Self::bytes(community, node, started, at));
        Self { node, operator: key.public(), started, at, signature }
    }

    /// Checks that `from` is the node meant.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if it is another one or the signature does not verify.
    pub fn verify(&self, community: CommunityId, from: NodeId) -> Result<(), Fault> {
        if self.node != from {
            return Err(Fault::Mismatch("the node of a greeting"));
        }
        self.verify_signature(community)
    }

    /// Checks the signature alone: for a greeting that somebody passed on.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if it does not verify.
    pub fn verify_signature(&self, community: CommunityId) -> Result<(), Fault> {
        let bytes = Self::bytes(community, self.node, self.started, self.at);
        Ok(self.operator.verify(domain::ENVELOPE, &bytes, &self.signature)?)
    }

    fn bytes(community: CommunityId, node: NodeId, started: Timestamp, at: Timestamp) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        node.encode(&mut bytes);
        started.encode(&mut bytes);
        at.encode(&mut bytes);
        bytes
    }
}

/// Opaque bytes of the consensus, which checks them itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsensusBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
}
wire_struct!(ConsensusBytes { bytes{2 * limits::MAX_BATCH_BYTES} });

/// A height of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tip {
    /// The height.
    pub height: Height,
}
wire_struct!(Tip { height });

/// A question for the height of the receiver's log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeightRequest {
    /// Drawn by whoever asks, so that no older answer passes for this one's.
    pub nonce: [u8; 32],
}
wire_struct!(HeightRequest { nonce });

/// The height of the sender's log when it was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeightAnswer {
    /// The question's.
    pub nonce: [u8; 32],
    /// The height.
    pub height: Height,
}
wire_struct!(HeightAnswer { nonce, height });

/// Consecutive decisions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogPart {
    /// The decisions, ascending.
    pub decisions: Vec<Decision>,
}
wire_struct!(LogPart { decisions[limits::MAX_LOG_PART] });

impl LogPart {
    /// Takes as many decisions as fit one message, at least one of those there are.
    pub fn of(decisions: impl IntoIterator<Item = Decision>) -> Self {
        let mut room = limits::MAX_LOG_PART_BYTES;
        let fits = |decision: &Decision| {
            let size = decision.size();
            let first = room == limits::MAX_LOG_PART_BYTES;
            let fits = first || size <= room;
            room = room.saturating_sub(size);
            fits
        };
        Self { decisions: decisions.into_iter().take(limits::MAX_LOG_PART).take_while(fits).collect() }
    }
}

/// A request for a contribution.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubmissionRequest {
    /// The round.
    pub round: RoundId,
    /// Its public body.
    pub body: BlobId,
    /// The operator that asks, 1..=n; seeds are sealed to its round key, so that nobody else gains by asking.
    pub operator: u8,
    /// Whether it holds the contribution already and lacks seeds only.
    pub held: bool,
}
wire_struct!(SubmissionRequest { round, body, operator, held });

/// A contribution handed over between operators after the seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handover {
    /// Its public body.
    pub body: BlobId,
    /// The contribution, unless the operator holds it.
    pub submission: Option<Submission>,
    /// The operator it is for.
    pub operator: u8,
    /// The subsets, by index, whose seeds are in the box.
    pub subsets: Vec<u8>,
    /// These seeds, sealed to the operator's round key.
    pub seeds: SealedBox,
}
wire_struct!(Handover { body, submission, operator, subsets[limits::MAX_SUBSETS], seeds });

/// What an operator holds of an open round, as digests: see [`reconcile`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holdings {
    /// The round.
    pub round: RoundId,
    /// The digest of all ids.
    pub digest: Digest,
    /// The digests of all buckets, or none.
    pub buckets: Vec<Digest>,
}
wire_struct!(Holdings { round, digest, buckets[reconcile::BUCKETS] });

/// What an operator holds of an open round, by id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bodies {
    /// The round.
    pub round: RoundId,
    /// The buckets that are listed in full; none if these are ids that the other lacks.
    pub buckets: Vec<u8>,
    /// The ids of bodies.
    pub ids: Vec<BlobId>,
}
wire_struct!(Bodies { round, buckets{reconcile::BUCKETS}, ids[limits::MAX_LISTED] });

/// A contribution on its way from its author's node to the operators, past other nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stem {
    /// How many nodes after the one that receives it pass it on, before it goes to the operators.
    pub hops_left: u8,
    /// The contribution.
    pub submission: Submission,
}
wire_struct!(Stem { hops_left, submission });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_later_minor_version_is_unknown_and_a_malformed_one_is_malformed() {
        let community = CommunityId::from([1; 32]);
        let mut bytes = Message::Tip(Tip { height: Height(1) }).seal(community);
        let tag = bytes.len() - 9;

        assert!(Message::open(community, &bytes).is_ok());
        bytes[tag] = Message::LAST_TAG + 1;
        assert_eq!(Message::open(community, &bytes), Err(Fault::Unknown("kind of message")));
        bytes[tag] = Message::LAST_TAG;
        assert!(matches!(Message::open(community, &bytes), Err(Fault::Encoding(_))));
        bytes[0] = VERSION + 1;
        assert_eq!(Message::open(community, &bytes), Err(Fault::Version(VERSION + 1)));
    }
}
