//! What happens to a peer, and what it wants done: all that it and its surroundings tell each other.

use super::*;
use crate::charter::NotCarried;

/// What happens to a node.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "events are handled one at a time and never stored")]
pub enum Event {
    /// A connection to a node is up.
    Connected(NodeId),
    /// A node that is connected tells which minor protocol version it speaks.
    Speaks {
        /// Which node.
        node: NodeId,
        /// The version.
        minor: u8,
    },
    /// The last connection to a node is gone.
    Disconnected(NodeId),
    /// Bytes from a node, direct or by gossip.
    Message {
        /// Who sent or passed them on.
        from: NodeId,
        /// An envelope.
        bytes: Vec<u8>,
    },
    /// A body that was [wanted](Effect::Want) is here; its hash has been checked.
    Blob {
        /// Its id.
        id: BlobId,
        /// The body.
        bytes: Arc<[u8]>,
    },
    /// Contributions were [verified](Effect::Verify).
    Verified(Box<Verdicts>),
    /// A private part was [read](Effect::ReadPrivate).
    Private {
        /// Its round.
        round: RoundId,
        /// Its public body.
        body: BlobId,
        /// It; none if it is not there, or damaged.
        submission: Option<Arc<Submission>>,
    },
    /// Something the people at this node want.
    Command(Command),
    /// [`Peer::next_deadline`] has passed.
    Tick,
}

/// What the people at a node want.
#[derive(Clone, Debug)]
pub enum Command {
    /// Post an entry as this operator.
    Post(Entry),
    /// Pass on an entry that a member or attester signed.
    Relay(SignedEntry),
    /// Send a contribution to the operators, until it is on the log.
    Contribute(Submission),
    /// Keep a public body, such as one that an own entry names.
    Keep(Arc<[u8]>),
}

/// What a node has to do, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Append to the journal.
    Persist(Record),
    /// Make the journal durable before anything that follows.
    Sync,
    /// Store a decision durably before anything that follows.
    Commit(Box<Decision>),
    /// Begin the log after a height, durably and before anything that follows: there is none yet.
    Begin(Box<Start>),
    /// Keep a public body.
    StoreBlob {
        /// The body.
        bytes: Arc<[u8]>,
        /// The ordinal of the round that it belongs to, if it belongs to one.
        ordinal: Option<u32>,
    },
    /// See to it that the public bodies that an audit of a round needs are kept: what is not on the disk is fetched from
    /// others, when there is nothing else to do, and not handed in.
    Archive {
        /// The ordinal of the round.
        ordinal: u32,
        /// The bodies.
        bodies: Vec<BlobId>,
    },
    /// Keep a contribution's private part durably, apart from the public bodies.
    StorePrivate {
        /// Its round.
        round: RoundId,
        /// Its public body.
        body: BlobId,
        /// What to keep.
        submission: Arc<Submission>,
    },
    /// [Verify](Verification::run) contributions, on another thread, and hand in what was found as [`Event::Verified`]. The
    /// next one comes after that.
    Verify(Box<Verification>),
    /// Read a contribution's private part and hand it in as [`Event::Private`].
    ReadPrivate {
        /// Its round.
        round: RoundId,
        /// Its public body.
        body: BlobId,
    },
    /// Send a contribution with its private part, which is read from the disk, to one operator: as it came, or within a
    /// handover.
    SendPrivate {
        /// To whom.
        to: NodeId,
        /// Its round.
        round: RoundId,
        /// Its public body.
        body: BlobId,
        /// The handover that it completes.
        handover: Option<Box<Handover>>,
    },
    /// Erase the private part of one contribution.
    ErasePrivate {
        /// Its round.
        round: RoundId,
        /// Its public body.
        body: BlobId,
    },
    /// Erase all private parts of a round, and compact the journal.
    EraseRound(RoundId),
    /// Keep an entry of somebody at this node durably, before anything that follows: it is sent until it is on the log.
    StoreEntry(Box<SignedEntry>),
    /// Let go of such an entry: it is on the log, or can never be.
    DropEntry(EntryId),
    /// Send to one node.
    Send {
        /// To whom.
        to: NodeId,
        /// An envelope.
        bytes: Vec<u8>,
    },
    /// Send the part of the log from a height on to one node: as [`LogPart::of`](crate::message::LogPart::of) makes it of
    /// the decisions that were [committed](Self::Commit). The peer itself holds the newest ones only.
    SendLog {
        /// To whom.
        to: NodeId,
        /// The first height.
        from: Height,
    },
    /// Tell everybody.
    Publish(Vec<u8>),
    /// Find a body and hand it in as [`Event::Blob`]; ask until it is there.
    Want(BlobId),
    /// Tell the people at this node.
    Notice(Notice),
}

/// Something worth telling the people at a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// A peer was refused.
    Refused {
        /// Which.
        from: NodeId,
        /// Why.
        fault: Fault,
    },
    /// A peer said what is not allowed by the log as far as it is known here, which is not to its end: by what is decided since
    /// it may be.
    Ahead {
        /// Which.
        from: NodeId,
        /// What is not allowed.
        fault: Fault,
    },
    /// A public body was not kept, for want of room: others have it, and the node goes on without.
    NotKept {
        /// The body.
        body: BlobId,
        /// Why, in numbers.
        why: String,
    },
    /// What the people at this node wanted to post was not signed.
    NotPosted {
        /// What they wanted to say.
        entry: Box<Entry>,
        /// Why.
        why: NotPosted,
    },
    /// The log grew.
    Height(Height),
    /// This node's own computation of a round's result contradicts the one on the log.
    Contradiction {
        /// The round.
        round: RoundId,
        /// What does not fit.
        what: &'static str,
    },
    /// This operator's consent to an amendment was not stated.
    NotStated {
        /// The amendment's number.
        number: u32,
        /// Why.
        why: String,
    },
    /// n − f operators adopted an amendment that the members' vote does not carry.
    NotCarried {
        /// The amendment's number.
        number: u32,
        /// What the vote says.
        why: NotCarried,
    },
    /// The log does not begin where an invitation says, or not yet.
    Arriving {
        /// Where it was to begin.
        landmark: Landmark,
        /// Why it does not.
        why: ArrivalError,
    },
    /// The node can no longer take part in ordering; a person has to look.
    Halted(String),
}

/// Why an entry was not signed and posted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPosted {
    /// The node has no operator's key, or has put it down.
    #[error("this node has no operator's key")]
    NoKey,
    /// The key was put back from a copy, and may have said more than is known here: post it again once it may speak.
    #[error("the key was put back from a copy and is silent until the log has passed what it may have said")]
    Recovering,
    /// Too much waits for the key to speak: post it again in a few seconds.
    #[error("too many entries wait for the key to speak")]
    Waiting,
}
