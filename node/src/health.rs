//! Whether a running node does what it should: the checks behind `/livez`, `/readyz` and the metrics.
//!
//! *Live* means that the threads of the node turn: if they do not, only a restart helps. *Ready* means that the node is of
//! use: connected, with the log that its peers have, room on the disk and a journal that takes what it says. A node that
//! is not ready is left alone to become so.
//!
//! # Security
//!
//! Whoever can reach the address reads this without a token. It tells what the log tells every member, and what is true of
//! the machine; nothing in it changes when the person at this node votes or proposes. Free room is told in steps, of which a
//! contribution that is kept rarely begins another one.

use std::{path::Path, time::Duration};

use chorus_protocol::ledger::RoundState;
use serde::{Deserialize, Serialize};

use crate::{
    api::Role,
    config::DataDir,
    driver::{
        NodeHandle,
        meters::{Counts, LIVE_WITHIN},
    },
    store::blobs::Usage,
};

/// Free bytes below which a disk is full for our purposes: the largest round of a small community, twice.
pub const MIN_FREE_BYTES: u64 = 512 * 1024 * 1024;

/// Heights that a log may lack while it is up to date: what is decided while the tip travels.
const LAG: u64 = 3;

/// How long a look at the protocol's state may take.
const LOOK: Duration = Duration::from_secs(5);

/// Steps in which sizes are told, so that a single contribution rarely moves them.
const SIZE_STEP: u64 = 1024 * 1024;

/// Steps in which free room is told. They are larger than those of sizes: an own contribution takes room at the moment at
/// which it is made, here and nowhere else, while journal, store and bodies grow with the log, as everybody's do.
pub(crate) const FREE_STEP: u64 = 64 * SIZE_STEP;

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it is.
    pub detail: String,
}

impl Check {
    fn new(name: &str, ok: bool, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), ok, detail: detail.into() }
    }
}

/// How far the log and the community's nodes are, as this node sees them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// The height of the log.
    pub height: u64,
    /// The highest height that somebody claims.
    pub heard: u64,
    /// The height after which the log begins here.
    pub begins_after: u64,
    /// The height of the checkpoint that is looked for, to begin there.
    pub arriving: Option<u64>,
    /// The log's own time, in milliseconds since 1970; 0 before the operators have told theirs.
    pub log_millis: u64,
    /// Nodes connected.
    pub peers: usize,
    /// Operators of the community.
    pub operators: usize,
    /// Operators that are connected, this node included.
    pub reached: usize,
    /// Operators that it takes to decide.
    pub needed: usize,
    /// Whether this node is one.
    pub is_operator: bool,
    /// Members.
    pub members: usize,
    /// Rounds that are planned, open, sealed and finished.
    pub rounds: [usize; 4],
}

/// What a node is at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What it was started as.
    pub role: Role,
    /// How far it is; none if it could not be looked at.
    pub standing: Option<Standing>,
    /// Whether both threads work.
    pub live: bool,
    /// How long ago the protocol last turned.
    pub turn_age: Duration,
    /// The slowest turn of the last minute or two.
    pub slowest_turn: Duration,
    /// Whether the node can no longer take part.
    pub halted: bool,
    /// How long it has been running.
    pub uptime: Duration,
    /// Free bytes where the data directory is, in whole steps of 64 MiB; none if the system does not say.
    pub free: Option<u64>,
    /// Bytes of the journal.
    pub journal: u64,
    /// Bytes of the store.
    pub store: u64,
    /// Public bodies.
    pub blobs: Usage,
    /// Whether some of them did not fit what the node gives to them.
    pub is_full: bool,
    /// The machinery's messages, as of the last quarter of an hour.
    pub counts: Counts,
}

/// Looks at a running node.
#[derive(Clone, Debug)]
pub struct Health {
    node: NodeHandle,
    dir: DataDir,
    role: Role,
}

impl Health {
    /// Returns what looks at a node.
    pub const fn new(node: NodeHandle, dir: DataDir, role: Role) -> Self {
        Self { node, dir, role }
    }

    /// Returns whether the node's threads turn. Waits for nothing.
    pub fn is_live(&self) -> bool {
        !self.node.is_stopped() && self.node.meters().is_live()
    }

    /// Looks at everything.
    pub async fn look(&self) -> Snapshot {
        let standing = tokio::time::timeout(LOOK, self.standing()).await.ok().flatten();
        let folder = self.dir.node();
        let sizes = move || (free_bytes(&folder), size(&folder.join("journal")), size(&folder.join("store")));
        let (free, journal, store) = tokio::task::spawn_blocking(sizes).await.unwrap_or_default();
        let meters = self.node.meters();
        let blobs = self.node.blob_usage().unwrap_or_default();
        Snapshot {
            role: self.role,
            standing,
            live: self.is_live(),
            turn_age: meters.turn_age(),
            slowest_turn: meters.slowest_turn(),
            halted: meters.is_halted() || self.node.is_stopped(),
            uptime: meters.uptime(),
            free: free.map(whole_steps),
            journal: coarse(journal),
            store: coarse(store),
            blobs: Usage { blobs: blobs.blobs, bytes: coarse(blobs.bytes) },
            is_full: meters.not_kept() > 0,
            counts: meters.counts(),
        }
    }

    async fn standing(&self) -> Option<Standing> {
        let look = |peer: &chorus_protocol::peer::Peer| {
            let ledger = peer.ledger();
            let is_operator = peer.operator().is_some();
            let mut rounds = [0; 4];
            for round in ledger.rounds().values() {
                match round.state() {
                    RoundState::Planned => rounds[0] += 1,
                    RoundState::Open => rounds[1] += 1,
                    RoundState::Sealed => rounds[2] += 1,
                    RoundState::Finished => rounds[3] += 1,
                }
            }
            let connected = peer.nodes().values().filter(|operator| operator.is_some()).count();
            let sharing = ledger.charter().sharing();
            let (operators, faulty) = (sharing.operators(), sharing.faulty());
            Standing {
                height: peer.height().0,
                heard: peer.height_heard_of().0,
                begins_after: peer.log_start().0,
                arriving: peer.arriving().map(|landmark| landmark.height.0),
                log_millis: ledger.time().as_millis(),
                peers: peer.nodes().len(),
                operators: operators.into(),
                reached: connected + usize::from(is_operator),
                needed: usize::from(operators - faulty),
                is_operator,
                members: ledger.members().len(),
                rounds,
            }
        };
        self.node.view(look).await.ok()
    }
}

impl Snapshot {
    /// Returns the checks that make a node ready.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.turning()];
        match &self.standing {
            Some(standing) => checks.extend([standing.connected(), standing.up_to_date()]),
            None => {
                let unknown = "the protocol could not be looked at";
                checks.extend([Check::new("connected", false, unknown), Check::new("log", false, unknown)]);
            }
        }
        checks.extend([self.room(), self.bodies(), self.journal()]);
        checks
    }

    /// Returns whether the node is of use.
    pub fn is_ready(&self) -> bool {
        self.checks().iter().all(|check| check.ok)
    }

    fn turning(&self) -> Check {
        let detail = if self.live {
            "the protocol turns".to_owned()
        } else {
            format!("no turn for {} s, of which {} s are too many", self.turn_age.as_secs(), LIVE_WITHIN.as_secs())
        };
        Check::new("turning", self.live, detail)
    }

    fn bodies(&self) -> Check {
        let detail = if self.is_full {
            "public bodies no longer fit: raise the quota, or `chorus prune --rounds N` with the node stopped"
        } else {
            "they fit"
        };
        Check::new("bodies", !self.is_full, detail)
    }

    fn room(&self) -> Check {
        match self.free {
            Some(free) => {
                let (free, needed) = (free / SIZE_STEP, MIN_FREE_BYTES / SIZE_STEP);
                Check::new("disk", free >= needed, format!("{free} MiB free, {needed} are needed"))
            }
            None => Check::new("disk", false, "the system does not say how much is free"),
        }
    }

    fn journal(&self) -> Check {
        let detail = if self.halted { "this node no longer takes part: see its log" } else { "it takes what is said" };
        Check::new("journal", !self.halted, detail)
    }
}

impl Standing {
    fn connected(&self) -> Check {
        let (peers, nodes) = (self.peers, if self.peers == 1 { "node" } else { "nodes" });
        let detail = format!("{peers} {nodes}, {} of {} operators reached", self.reached, self.operators);
        let ok = if self.is_operator { self.reached >= self.needed } else { self.peers > 0 };
        Check::new("connected", ok, detail)
    }

    fn up_to_date(&self) -> Check {
        if let Some(height) = self.arriving {
            return Check::new(
                "log",
                false,
                format!("the checkpoint at height {height} is looked for, to begin there"),
            );
        }
        let behind = self.heard.saturating_sub(self.height);
        let begins = match self.begins_after {
            0 => String::new(),
            after => format!("; here from {} on", after + 1),
        };
        Check::new("log", behind <= LAG, format!("height {}, {behind} behind what was heard of{begins}", self.height))
    }
}

/// Rounds up to the next step; nothing is a step as well, so that the first little is not seen.
const fn coarse(bytes: u64) -> u64 {
    let steps = bytes.div_ceil(SIZE_STEP);
    if steps == 0 { SIZE_STEP } else { steps * SIZE_STEP }
}

/// Rounds free room down to the step, so that a full disk is never told to have room.
const fn whole_steps(free: u64) -> u64 {
    free - free % FREE_STEP
}

/// Returns how many bytes are free where a path is, for who is not the superuser.
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Returns the bytes of a file, or of the files right in a folder and one below.
pub fn size(path: &Path) -> u64 {
    fn of(path: &Path, depth: u8) -> u64 {
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
        if !metadata.is_dir() {
            return metadata.len();
        }
        if depth == 0 {
            return 0;
        }
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| of(&entry.path(), depth - 1)).sum()
    }
    of(path, 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A node of which nothing is amiss: one of four operators, all of them there.
    pub(crate) fn sound() -> Snapshot {
        Snapshot {
            role: Role::Operator,
            standing: Some(Standing {
                height: 40,
                heard: 41,
                begins_after: 0,
                arriving: None,
                log_millis: 1_700_000_000_000,
                peers: 5,
                operators: 4,
                reached: 4,
                needed: 3,
                is_operator: true,
                members: 9,
                rounds: [0, 1, 0, 2],
            }),
            live: true,
            turn_age: Duration::from_millis(20),
            slowest_turn: Duration::from_millis(35),
            halted: false,
            uptime: Duration::from_secs(3_600),
            free: Some(10 * MIN_FREE_BYTES),
            journal: 5 * SIZE_STEP,
            store: SIZE_STEP,
            blobs: Usage { blobs: 3, bytes: SIZE_STEP },
            is_full: false,
            counts: Counts::default(),
        }
    }

    fn failing(snapshot: &Snapshot) -> Vec<String> {
        snapshot.checks().into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn a_node_is_ready_if_nothing_is_amiss_and_else_says_what_is() {
        assert!(sound().is_ready());
        let standing = sound().standing.expect("there");
        let stands = |standing: Standing| Snapshot { standing: Some(standing), ..sound() };

        assert_eq!(failing(&Snapshot { live: false, ..sound() }), ["turning"]);
        assert_eq!(failing(&stands(Standing { reached: 2, ..standing })), ["connected"]);
        assert_eq!(failing(&stands(Standing { heard: 44, ..standing })), ["log"]);
        assert_eq!(failing(&Snapshot { free: Some(MIN_FREE_BYTES - 1), ..sound() }), ["disk"]);
        assert_eq!(failing(&Snapshot { is_full: true, ..sound() }), ["bodies"]);
        assert_eq!(failing(&Snapshot { halted: true, ..sound() }), ["journal"]);
        assert_eq!(failing(&Snapshot { standing: None, ..sound() }), ["connected", "log"]);
    }

    #[test]
    fn a_follower_needs_somebody_and_no_quorum() {
        let follower = Standing { is_operator: false, reached: 1, peers: 1, ..sound().standing.expect("there") };

        assert!(follower.connected().ok);
        assert!(!Standing { peers: 0, ..follower }.connected().ok);
    }

    #[test]
    fn sizes_are_told_in_steps() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), [0; 10]).expect("written");
        std::fs::create_dir(folder.path().join("b")).expect("made");
        std::fs::write(folder.path().join("b").join("c"), [0; 5]).expect("written");

        assert_eq!(size(folder.path()), 15);
        assert_eq!((coarse(0), coarse(1), coarse(SIZE_STEP)), (SIZE_STEP, SIZE_STEP, SIZE_STEP));
        assert_eq!([0, FREE_STEP - 1, FREE_STEP, 2 * FREE_STEP - 1].map(whole_steps), [0, 0, FREE_STEP, FREE_STEP]);
        assert_eq!(whole_steps(MIN_FREE_BYTES), MIN_FREE_BYTES, "what is needed is told as what is there");
        assert!(free_bytes(folder.path()).is_some_and(|free| free > 0));
    }
}
