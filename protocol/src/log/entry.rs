//! What can stand on the log, and who says so.
//!
//! An entry is small: bodies (contributions, opened values, results) are blobs that it names. Every entry is signed by
//! its author over `community ‖ author ‖ entry`. Tags are never re-used; a new meaning takes a new tag.

use chorus_crypto::{
    Scalar,
    codec::{Encode, put_seq},
    credential::{Credential, Tag},
    domain,
    hash::{self, Digest},
    seal::SealPublic,
    sign::{PublicKey, SecretKey, Signature},
    wire_enum, wire_struct,
};

use crate::{
    charter::Consent,
    fault::Fault,
    id::{BlobId, CommunityId, EntryId, PollId, RoundId, SeriesId, SetId},
    limits,
    log::batch::Height,
    registry::attestation::Attestation,
    time::Timestamp,
};

pub use crate::adapter::{
    entry::{Assessment, Beacon, WeighedAdapter, Weighing},
    manifest::AdapterManifest,
};
pub use crate::cohort::{CohortResult, Convocation, Dealing, Draw};
pub use crate::deliberation::moral_graph::entry::{CanonicalCard, MergeCards};
pub use crate::facilitation::{AnnotatedProposal, Moderation, StatedRules};
pub use crate::registry::entry::{
    AttesterRemoval, Census, Expulsion, LeafRotation, Registration, Revocation, Veto, Vouch,
};

/// An entry with its author's signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedEntry {
    /// Who says it: an operator, an attester or a member.
    pub author: PublicKey,
    /// What is said.
    pub entry: Entry,
    /// The author's signature.
    pub signature: Signature,
}
wire_struct!(SignedEntry { author, entry, signature });

impl SignedEntry {
    /// Signs `entry`.
    pub fn sign(key: &SecretKey, community: CommunityId, entry: Entry) -> Self {
        let author = key.public();
        let signature = key.sign(domain::ENTRY, &signed_bytes(community, author, &entry));
        Self { author, entry, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Signature`] if it does not verify strictly.
    pub fn verify(&self, community: CommunityId) -> Result<(), Fault> {
        let bytes = signed_bytes(community, self.author, &self.entry);
        Ok(self.author.verify(domain::ENTRY, &bytes, &self.signature)?)
    }

    /// Returns the entry's id.
    pub fn id(&self) -> EntryId {
        hash::digest(domain::OBJECT, self).into()
    }
}

fn signed_bytes(community: CommunityId, author: PublicKey, entry: &Entry) -> Vec<u8> {
    let mut bytes = community.to_bytes();
    author.encode(&mut bytes);
    entry.encode(&mut bytes);
    bytes
}

/// What is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A person becomes a member.
    Register(Registration),
    /// A poll begins to collect items.
    Poll(PollOpening),
    /// A member proposes an item.
    Propose(Proposal),
    /// An operator plans a round of voting over fixed items.
    Plan(RoundPlan),
    /// An operator offers its sealing key for a round.
    RoundKey(RoundKey),
    /// The round opens.
    Open(RoundOpening),
    /// A contribution is accepted.
    Contribution(AcceptedContribution),
    /// An operator reads its clock.
    Clock(ClockReading),
    /// The round closes: its set is sealed.
    Close(RoundClosing),
    /// An operator opens sums of masks.
    Opening(MaskOpening),
    /// An operator states the values that an opening revealed.
    Opened(OpenedValues),
    /// An operator commits to its share of a pass of the secret PCA.
    ShareHash(ShareHash),
    /// An operator reveals its share.
    Share(Share),
    /// An operator gives a pass up.
    EndPass(EndPass),
    /// An operator states the partition into groups.
    Partition(PartitionChoice),
    /// An operator states the result.
    Result(RoundResult),
    /// An operator states that it erased the round's secrets.
    Erased(Erasure),
    /// Self-standing evidence that somebody signed contradictions.
    Evidence(Evidence),
    /// An attester states that somebody who registered is one distinct person.
    Attest(Attestation),
    /// An attester takes its word back, or a member leaves.
    Revoke(Revocation),
    /// A member vouches for somebody, or takes that back.
    Vouch(Vouch),
    /// A member takes a fresh leaf.
    Rotate(LeafRotation),
    /// The owner of a key denies its loss.
    Veto(Veto),
    /// An operator wants an attester removed.
    RemoveAttester(AttesterRemoval),
    /// An operator wants a member expelled.
    Expel(Expulsion),
    /// An attester says how many people it has checked for each value of an attribute.
    Census(Census),
    /// Some member proposes an item.
    ProposeAnonymously(AnonymousProposal),
    /// An operator begins a series of adapter rounds.
    Series(AdapterManifest),
    /// An operator weighs the classes of a finished adapter round anew.
    Weigh(Weighing),
    /// An operator says how an adapter did in the series' evaluation.
    Assess(Assessment),
    /// An operator states what splits an adapter round's sealed set into cohorts.
    Beacon(Beacon),
    /// An operator consents to another charter, for which the members voted.
    Amend(Box<Consent>),
    /// The state before this batch, whose first entry it is.
    Checkpoint(Checkpoint),
    /// An operator says that a values card stands for itself.
    Canonical(CanonicalCard),
    /// An operator says that a values card says the same as another, which stands for both.
    MergeCards(MergeCards),
    /// An operator states the rules for the items of a poll.
    PollRules(StatedRules),
    /// An operator says what is to become of an item.
    Moderate(Moderation),
    /// Somebody proposes an item, and says something beside it.
    ProposeWith(Box<AnnotatedProposal>),
    /// An operator divides a round among cohorts.
    Convene(Box<Convocation>),
    /// An operator commits to a lot that deals members to cohorts, or shows it.
    Draw(Draw),
    /// Members are dealt to cohorts.
    Deal(Dealing),
    /// A cohort has a result.
    CohortResult(Box<CohortResult>),
}
wire_enum!(Entry {
    1 => Register(it),
    2 => Poll(it),
    3 => Propose(it),
    4 => Plan(it),
    5 => RoundKey(it),
    6 => Open(it),
    7 => Contribution(it),
    8 => Clock(it),
    9 => Close(it),
    10 => Opening(it),
    11 => Opened(it),
    12 => ShareHash(it),
    13 => Share(it),
    14 => EndPass(it),
    15 => Partition(it),
    16 => Result(it),
    17 => Erased(it),
    18 => Evidence(it),
    19 => Attest(it),
    20 => Revoke(it),
    21 => Vouch(it),
    22 => Rotate(it),
    23 => Veto(it),
    24 => RemoveAttester(it),
    25 => Expel(it),
    26 => Census(it),
    27 => ProposeAnonymously(it),
    28 => Series(it),
    29 => Weigh(it),
    30 => Assess(it),
    31 => Beacon(it),
    33 => Amend(it),
    34 => Checkpoint(it),
    40 => Canonical(it),
    41 => MergeCards(it),
    50 => PollRules(it),
    51 => Moderate(it),
    52 => ProposeWith(it),
    60 => Convene(it),
    61 => Draw(it),
    62 => Deal(it),
    63 => CohortResult(it),
});

/// What a poll asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum PollKind {
    /// Statements to agree or disagree with: leads to a constitution.
    Statement,
    /// Values to endorse: nodes of a moral graph.
    Value,
    /// "Is moving from value A to value B wiser?": edges of a moral graph.
    Transition,
    /// Drafts of another charter: totals, and nothing else, follow from it.
    Amendment,
}
wire_enum!(PollKind { 1 => Statement, 2 => Value, 3 => Transition, 4 => Amendment });

/// The beginning of a poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PollOpening {
    /// What it asks for.
    pub kind: PollKind,
    /// The question put to the members.
    pub question: String,
    /// The situation in which it is asked; may be empty.
    pub context: String,
}
wire_struct!(PollOpening { kind, question(limits::MAX_TEXT_BYTES), context(limits::MAX_STATEMENT_BYTES) });

impl PollOpening {
    /// Returns the poll's id.
    pub fn id(&self, community: CommunityId) -> PollId {
        hash::digest(domain::POLL, &(community, hash::content(&self.to_bytes()))).into()
    }
}

/// An item proposed for a poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The poll.
    pub poll: PollId,
    /// The item's text.
    pub text: String,
}
wire_struct!(Proposal { poll, text(limits::MAX_STATEMENT_BYTES) });

/// An item that some member proposes, without saying which one.
///
/// The entry's author is a key made for this one entry; the credential's transcript absorbs it with all the rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnonymousProposal {
    /// The poll.
    pub poll: PollId,
    /// The item's text.
    pub text: String,
    /// Which of the member's anonymous proposals for this poll it is, from 0.
    pub number: u8,
    /// The member's tag for this poll and number.
    pub tag: Tag,
    /// Proof that one member of the poll's snapshot proposes this.
    pub credential: Credential,
}
wire_struct!(AnonymousProposal { poll, text(limits::MAX_STATEMENT_BYTES), number, tag, credential });

/// What tells the classes of a round apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClassSource {
    /// The value of the attribute in a slot of the leaf, disclosed by the credential.
    Attribute(u8),
    /// The opinion group in an earlier round over the same snapshot, proved without showing whose ballot it was.
    Groups(EarlierGroups),
}
wire_enum!(ClassSource { 1 => Attribute(slot), 2 => Groups(groups) });

/// The opinion groups of an earlier round, as its partition fixed them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierGroups {
    /// The round.
    pub round: RoundId,
    /// How many groups there are.
    pub k: u8,
    /// The block of each ballot of the sealed set; blocks from k on are no groups.
    pub assignment: Vec<u8>,
}
wire_struct!(EarlierGroups { round, k, assignment{limits::MAX_MEMBERS} });

/// Classes whose sums are opened, each with its public weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassPlan {
    /// What tells them apart.
    pub source: ClassSource,
    /// The weight of "other", which is no larger than any, and of class 1, 2, ….
    pub weights: Vec<u32>,
}
wire_struct!(ClassPlan { source, weights[limits::MAX_CLASSES] });

/// The plan of a round: everything a contribution depends on except the operators' keys and the snapshot.
///
/// It holds no clock reading, so that two runs with the same seeds give the same bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundPlan {
    /// What is collected.
    pub subject: Subject,
    /// How long contributions are taken, in milliseconds of log time.
    pub duration_millis: u64,
    /// How long to wait for the sealing keys of all operators before opening without the missing ones.
    pub key_grace_millis: u64,
    /// The classes whose sums are opened. A round with classes has no opinion map: attributes are disclosed only where
    /// nothing of a single ballot is opened.
    pub classes: Option<ClassPlan>,
}
wire_struct!(RoundPlan { subject, duration_millis, key_grace_millis, classes });

/// What a round collects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// Ballots on the items of a poll.
    Ballots(BallotPlan),
    /// Deltas of a community's adapter.
    Deltas(DeltaPlan),
}
wire_enum!(Subject { 1 => Ballots(plan), 2 => Deltas(plan) });

/// The ballots of a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BallotPlan {
    /// The poll.
    pub poll: PollId,
    /// Which round of the poll this is, from 1.
    pub number: u32,
    /// The items, in ballot order, by the content id of their text.
    pub items: Vec<BlobId>,
}
wire_struct!(BallotPlan { poll, number, items[limits::MAX_ITEMS] });

/// The deltas of a round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeltaPlan {
    /// The series.
    pub series: SeriesId,
    /// Which round of the series this is, from 1.
    pub number: u32,
    /// The adapter that the deltas change; none at the beginning of a run, where B is zero.
    pub start: Option<BlobId>,
}
wire_struct!(DeltaPlan { series, number, start });

impl RoundPlan {
    /// Returns the ballots that are collected, if it is ballots.
    pub const fn ballots(&self) -> Option<&BallotPlan> {
        match &self.subject {
            Subject::Ballots(plan) => Some(plan),
            Subject::Deltas(_) => None,
        }
    }

    /// Returns the deltas that are collected, if it is deltas.
    pub const fn deltas(&self) -> Option<&DeltaPlan> {
        match &self.subject {
            Subject::Ballots(_) => None,
            Subject::Deltas(plan) => Some(plan),
        }
    }

    /// Returns the items of a ballot; none if deltas are collected.
    pub fn items(&self) -> &[BlobId] {
        self.ballots().map(|plan| plan.items.as_slice()).unwrap_or_default()
    }

    /// Returns which round of its poll or series this is, from 1.
    pub const fn number(&self) -> u32 {
        match &self.subject {
            Subject::Ballots(plan) => plan.number,
            Subject::Deltas(plan) => plan.number,
        }
    }

    /// Returns the round's id.
    pub fn id(&self, community: CommunityId) -> RoundId {
        hash::digest(domain::ROUND, &(community, hash::content(&self.to_bytes()))).into()
    }
}

/// An operator's X25519 key of one round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundKey {
    /// The round.
    pub round: RoundId,
    /// The key.
    pub key: SealPublic,
}
wire_struct!(RoundKey { round, key });

/// The opening of a round: pins snapshot and sealing keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundOpening {
    /// The round.
    pub round: RoundId,
    /// The sealing key of each operator in committee order; none for an operator that offered none.
    pub keys: Vec<Option<SealPublic>>,
    /// The root of the registry snapshot.
    pub snapshot: Digest,
}
wire_struct!(RoundOpening { round, keys[limits::MAX_OPERATORS], snapshot });

/// What operators acknowledge about a contribution, and all that the log keeps of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContributionHeader {
    /// The round.
    pub round: RoundId,
    /// The contributor's tag in this round.
    pub tag: Tag,
    /// Which attempt of the contributor this is; the highest counts.
    pub sequence: u8,
    /// Whether the contributor consents to a public point on the opinion map.
    pub on_map: bool,
    /// The class that the credential shows; 0 is "other".
    pub class: u16,
    /// The public body.
    pub body: BlobId,
    /// The digest of the core; what the sealed set's digest is made of.
    pub core: Digest,
    /// `h_T` for every T; empty for a withdrawal.
    pub seed_digests: Vec<Digest>,
}
wire_struct!(ContributionHeader {
    round,
    tag,
    sequence,
    on_map,
    class,
    body,
    core,
    seed_digests[limits::MAX_SUBSETS],
});

impl ContributionHeader {
    /// Returns whether this takes an earlier contribution back.
    pub fn is_withdrawal(&self) -> bool {
        self.seed_digests.is_empty()
    }

    /// Returns what an operator signs to acknowledge, under [`domain::ACKNOWLEDGE`].
    pub fn acknowledged_bytes(&self, community: CommunityId) -> Vec<u8> {
        let mut bytes = community.to_bytes();
        self.encode(&mut bytes);
        bytes
    }
}

/// A contribution with the acknowledgements of at least n − f operators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedContribution {
    /// What was acknowledged.
    pub header: ContributionHeader,
    /// Operators (1..=n, ascending) and their signatures.
    pub acknowledgements: Vec<(u8, Signature)>,
}
wire_struct!(AcceptedContribution { header, acknowledgements[limits::MAX_OPERATORS] });

/// An operator's clock, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClockReading {
    /// The time read.
    pub time: Timestamp,
}
wire_struct!(ClockReading { time });

/// The end of a round's collection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundClosing {
    /// The round.
    pub round: RoundId,
}
wire_struct!(RoundClosing { round });

/// A step of a round in which masks are opened, each once per sealed set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Step {
    /// The totals of the whole set.
    Totals,
    /// Every ballot's vote-count bucket.
    Buckets,
    /// The map points of the ballots with a bucket.
    Points,
    /// The totals of each block of the partition.
    Groups,
}
wire_enum!(Step { 1 => Totals, 2 => Buckets, 3 => Points, 4 => Groups });

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Totals, Self::Buckets, Self::Points, Self::Groups];
}

/// Sums of masks that an operator releases, by content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MaskOpening {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// The step.
    pub step: Step,
    /// The digest of what is opened (rows, blocks, functionals): what the open-once lock holds.
    pub inputs: Digest,
    /// For each T that the operator holds, by index, ascending: the opened sums.
    pub sums: Vec<(u8, BlobId)>,
}
wire_struct!(MaskOpening { round, set, step, inputs, sums[limits::MAX_SUBSETS] });

/// The values that an opening revealed; checkable against the commitments by anyone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenedValues {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// The step.
    pub step: Step,
    /// The digest of what was opened.
    pub inputs: Digest,
    /// The values and the sums of blindings.
    pub values: BlobId,
}
wire_struct!(OpenedValues { round, set, step, inputs, values });

/// Which multiplication of the secret PCA, and which attempt at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct PassId {
    /// The pass, from 0.
    pub pass: u8,
    /// The attempt, from 0.
    pub attempt: u8,
}
wire_struct!(PassId { pass, attempt });

/// A commitment to a share, logged before any share of the pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShareHash {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// The pass and attempt.
    pub pass: PassId,
    /// The digest of Ω: what the open-once lock holds.
    pub inputs: Digest,
    /// The digest of the share.
    pub share: Digest,
}
wire_struct!(ShareHash { round, set, pass, inputs, share });

/// A share of `Σ_i x̃_i(x̃_iᵀΩ) + noise`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// The round.
    pub round: RoundId,
    /// The pass and attempt.
    pub pass: PassId,
    /// S × columns scalars, row-major.
    pub values: Vec<Scalar>,
}
wire_struct!(Share { round, pass, values[limits::MAX_SHARE_SCALARS] });

impl Share {
    /// Returns the digest that must have been logged before, for the operator with key `author`.
    ///
    /// The author is part of it: a rushing operator cannot repeat another's hash and later its share.
    pub fn digest(&self, author: PublicKey) -> Digest {
        let mut bytes = self.round.to_bytes();
        author.encode(&mut bytes);
        self.pass.encode(&mut bytes);
        put_seq(&mut bytes, &self.values);
        hash::digest_bytes(domain::PCA_SHARE, &bytes)
    }
}

/// One operator's word that a pass does not come to an end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndPass {
    /// The round.
    pub round: RoundId,
    /// The pass and attempt.
    pub pass: PassId,
}
wire_struct!(EndPass { round, pass });

/// The one partition of a sealed set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartitionChoice {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// The digest of the partition.
    pub partition: Digest,
}
wire_struct!(PartitionChoice { round, set, partition });

/// The result of a round.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct RoundResult {
    /// The round.
    pub round: RoundId,
    /// The result object.
    pub result: BlobId,
    /// What follows from it: the constitution of a statement poll, the adapter of an adapter round.
    pub follows: Option<BlobId>,
}
wire_struct!(RoundResult { round, result, follows });

/// The end of a round's secrets on one operator's machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Erasure {
    /// The round.
    pub round: RoundId,
}
wire_struct!(Erasure { round });

/// The state that the log leads to, by content. The certificate of a batch that begins with one proves the state: whoever
/// has both can go on from there without what is before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The height up to which the log leads to the state: that of the batch before.
    pub height: Height,
    /// The encoded [`Ledger`](crate::ledger::Ledger).
    pub state: BlobId,
    /// Its bytes.
    pub bytes: u32,
}
wire_struct!(Checkpoint { height, state, bytes });

/// Two signed messages that contradict each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// An encoded evidence object of the consensus, verifiable by anyone.
    pub bytes: Vec<u8>,
}
wire_struct!(Evidence { bytes{limits::MAX_ENTRY_BYTES} });
