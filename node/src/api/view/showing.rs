//! What is shown of finished rounds and of the person's own part in them.

use chorus_protocol::id::{BlobId, CommunityId, PollId, RoundId, SetId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asks, Choice, ConstitutionView, Own, RoundState};

/// The opinion map of a round. Which ballot is whose, nobody knows; where the person would stand, their own node alone.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpinionMap {
    /// Ballots with a point: their places, in votes.
    pub points: Vec<MapPoint>,
    /// Ballots without one, for they said too little.
    pub without: usize,
    /// How many opinion groups there are.
    pub groups: usize,
    /// Axes: 1 or 2.
    pub axes: usize,
    /// Where the person's votes are, as far as their diary says; without the dither that their ballot carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<[f64; 2]>,
}

/// Shows no place of the person's.
impl core::fmt::Debug for OpinionMap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpinionMap").field("points", &self.points.len()).finish_non_exhaustive()
    }
}

/// A ballot's place on the map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapPoint {
    /// Where.
    pub at: [f64; 2],
    /// Its opinion group, from 0.
    pub group: usize,
}

/// `GET receipt`: whether the person's contribution to a round counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The community.
    pub community: CommunityId,
    /// The poll.
    pub poll: PollId,
    /// Its question.
    pub question: String,
    /// The round.
    pub round: RoundId,
    /// Where it stands.
    pub state: RoundState,
    /// The contribution.
    pub own: Option<Own>,
    /// The tag under which it stands on the log. Nobody can tell whose it is; who is told, can.
    pub tag: Option<String>,
    /// What of the person's is on the log: in the sealed set once there is one, and before it the latest attempt.
    pub logged: Option<Logged>,
    /// What was sealed; none before.
    pub sealed: Option<SealedView>,
    /// The result object.
    pub result: Option<BlobId>,
}

/// A contribution as it stands on the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Logged {
    /// Which attempt it is, from 0.
    pub sequence: u8,
    /// The digest of its body: of what was sent, and of nothing else.
    pub body: BlobId,
    /// Whether it takes an earlier one back.
    pub withdrawal: bool,
}

/// The one accepted set of a round, and the person's place in it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SealedView {
    /// The digest of the set.
    pub set: SetId,
    /// Contributions in it.
    pub contributions: usize,
    /// Whether the person's is one of them.
    pub included: bool,
    /// Which attempt of theirs it is, from 0.
    pub sequence: Option<u8>,
    /// The operators whose word that they hold its masks is on the log.
    pub acknowledged_by: Vec<u8>,
}

/// The answer to `POST page`: a link to the page, which lets one browser in once, within the hour.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PageLink {
    /// The link.
    pub url: String,
}

/// Does not show the link.
impl core::fmt::Debug for PageLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PageLink").finish_non_exhaustive()
    }
}

/// A constitution with the vote that it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enacted {
    /// The constitution.
    #[serde(flatten)]
    pub constitution: ConstitutionView,
    /// The poll.
    pub poll: PollId,
    /// Its question.
    pub question: String,
    /// What it asked for.
    pub kind: Asks,
    /// The round.
    pub round: RoundId,
    /// Ballots in the sealed set.
    pub ballots: u32,
    /// The names of the groups, in the order of each principle's tallies.
    pub groups: Vec<String>,
    /// How the person voted on each principle, if their diary says.
    #[serde(default)]
    pub own: Vec<Option<Choice>>,
}
