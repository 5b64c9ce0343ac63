//! Requests and answers about who is admitted, and by whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attester::evidence::EvidenceKind;

/// `POST attest/request`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskForAttestation {
    /// Attributes to be checked: name and value.
    pub attributes: Vec<(String, String)>,
    /// What the attester is shown: an invite code, or what its hook understands.
    pub evidence: String,
    /// The key that the person had and lost.
    pub recovers: Option<String>,
}

impl core::fmt::Debug for AskForAttestation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AskForAttestation").finish_non_exhaustive()
    }
}

/// The answer to it.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AttestationRequest")]
pub struct Request {
    /// The request as text, for the attester alone.
    pub request: String,
    /// What it states.
    pub attributes: BTreeMap<String, String>,
    /// Attestations needed, and how the person stands.
    pub standing: Standing,
}

impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request").field("standing", &self.standing).finish_non_exhaustive()
    }
}

/// `POST attest/approve`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approve {
    /// The request as text.
    pub request: String,
    /// What identifies the person: an address, a number of membership. Not kept.
    pub subject: Option<String>,
    /// Whether the attester has met the person.
    pub in_person: bool,
    /// The attributes that the attester has checked.
    pub attributes: Vec<(String, String)>,
    /// For how long the attestation counts.
    pub expires_millis: Option<u64>,
    /// How long to wait for the log.
    pub wait_seconds: Option<u64>,
}

impl core::fmt::Debug for Approve {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Approve").finish_non_exhaustive()
    }
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approved {
    /// The person's key.
    pub key: String,
    /// On what evidence.
    pub evidence: EvidenceKind,
    /// The attributes that are attested.
    pub attributes: BTreeMap<String, String>,
    /// How the person stands now.
    pub standing: Standing,
}

/// How far somebody is on the way to membership.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// Attestations that count.
    pub attestations: usize,
    /// Attestations needed; none if attesters do not decide.
    pub attestations_needed: Option<u8>,
    /// Vouches that stand.
    pub vouches: usize,
    /// Vouches needed at least; none if vouches do not decide.
    pub vouches_needed: Option<u8>,
    /// Whether the person is a member.
    pub member: bool,
}

/// `GET attest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct People {
    /// The members.
    pub members: Vec<Member>,
    /// Those who have registered and are not admitted yet, or not any more.
    pub candidates: Vec<Member>,
    /// The attesters.
    pub attesters: Vec<AttesterView>,
    /// Keys that are to take over from lost ones.
    pub recoveries: Vec<RecoveryView>,
    /// The attributes, and which of their values may be shown.
    pub attributes: Vec<AttributeView>,
    /// The log's time, in milliseconds since 1970.
    pub log_time: u64,
}

/// Somebody who has registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The public key.
    pub key: String,
    /// Whether this is the person at this node.
    pub own: bool,
    /// How they stand.
    pub standing: Standing,
    /// Who has attested.
    pub attested_by: Vec<AttestedBy>,
    /// The names of the attributes that were checked. Their values nobody knows but the attester.
    pub checked: Vec<String>,
}

/// An attestation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttestedBy {
    /// The attester.
    pub attester: String,
    /// When it ends, in milliseconds since 1970.
    pub expires: u64,
}

/// An attester.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttesterView {
    /// The public key.
    pub key: String,
    /// Whom the attester belongs to.
    pub organisation: String,
    /// Whether this is the person at this node.
    pub own: bool,
    /// When the operators removed it, in milliseconds since 1970.
    pub removed_at: Option<u64>,
}

/// A recovery that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryView {
    /// The key that is to take over.
    pub key: String,
    /// The lost key.
    pub lost: String,
    /// From when it can, in milliseconds since 1970.
    pub due: u64,
    /// Whether the owner of the old key denied the loss.
    pub vetoed: bool,
    /// Whether the old key is that of the person at this node.
    pub own: bool,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeView {
    /// What it is called.
    pub name: String,
    /// Its values, and whether enough people have each that it may be shown.
    pub values: Vec<(String, bool)>,
}

/// `POST attest/invite`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueCodes {
    /// How many.
    pub count: usize,
}

/// The answer to it. Each admits one person; they are shown this once.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedCodes {
    /// The codes.
    pub codes: Vec<String>,
}

impl core::fmt::Debug for IssuedCodes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IssuedCodes").field("codes", &self.codes.len()).finish_non_exhaustive()
    }
}

/// `POST attest/revoke`, `attest/veto`, `attest/expel`, `attest/remove-attester`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct About {
    /// Whom it is about: a key, the beginning of it, or `me`.
    pub key: String,
    /// Why, for everybody to read.
    pub reason: String,
    /// Whether the person knows that leaving is for good.
    pub sure: bool,
    /// How long to wait for the log.
    pub wait_seconds: Option<u64>,
}

/// `POST attest/rotate`, `attest/census`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    /// How long to wait for the log.
    pub wait_seconds: Option<u64>,
}

/// What was said on the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// Whom it is about.
    pub key: String,
    /// What follows, in words.
    pub effect: String,
}

/// The answer to `POST attest/census`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CensusView {
    /// For each attribute its name, and each value with the count that was published.
    pub attributes: Vec<(String, Vec<(String, u32)>)>,
}

/// `POST vouch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GiveVouch {
    /// For whom: a key, the beginning of it, or a request, which registers its author first.
    pub whom: String,
    /// Whether an earlier vouch is taken back.
    pub withdraw: bool,
    /// How long to wait for the log.
    pub wait_seconds: Option<u64>,
}

/// `GET vouch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vouches {
    /// Those given.
    pub given: Vec<VouchView>,
    /// Those received.
    pub received: Vec<VouchView>,
    /// How many more can be given.
    pub left: usize,
    /// From when, in milliseconds since 1970 by the log's time.
    pub next_at: u64,
    /// The log's time.
    pub log_time: u64,
    /// Whether the person may vouch at all: a member, or a seed.
    pub may_vouch: bool,
}

/// A vouch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VouchView {
    /// For whom, or by whom.
    pub key: String,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Until when.
    pub expires: u64,
}
