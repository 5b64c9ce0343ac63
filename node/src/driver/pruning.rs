//! Bodies of old rounds, given up for room.
//!
//! An operator keeps what went over the log, for an audit asks for it. One that cannot may give up the bodies of old rounds
//! alone: the contributions' public bodies, sums and opened values. What people still use stays: results, constitutions,
//! adapters, and everything of rounds that are not at their end. What is given up is not asked for again by itself; whoever
//! needs a body, to verify or to export, fetches it from those who kept it.

use std::{collections::BTreeSet, path::Path};

use chorus_protocol::{
    adapter::gate::Standing,
    config::Genesis,
    id::{BlobId, NodeId},
    ledger::{Ledger, RoundRecord},
    limits::MAX_HELD_BYTES,
    log::consensus::Timeouts,
    message::MINOR,
    peer::{Checkpoints, Config, Peer, Saved},
};

use super::{
    NodeError,
    log::{LogStore, Opened},
    threads,
};
use crate::store::blobs::{BlobStore, Policy, Usage};

/// Gives up bodies of all but the last `rounds` rounds. The node must not run. Returns how many, and the ordinal of the first
/// round that is whole.
///
/// # Errors
///
/// Returns [`NodeError::Store`] or [`NodeError::Blobs`] if the folder is in use or damaged, and [`NodeError::Start`] if the
/// log in it does not follow from the founding document; nothing is deleted then.
pub(crate) fn prune(folder: &Path, genesis: Genesis, rounds: u64) -> Result<(Usage, u64), NodeError> {
    let blobs = BlobStore::open(&folder.join("blobs"), Policy::keep_all(u64::MAX))?;
    let Opened { start, decisions, .. } = LogStore::open(folder)?;
    let config = Config {
        genesis,
        node: NodeId::ZERO,
        operator: None,
        timeouts: Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        held_bytes: MAX_HELD_BYTES,
        minor: MINOR,
        checkpoints: Checkpoints::default(),
        cohort: None,
    };
    let peer = Peer::new(config, threads::now(), Saved { start, decisions, ..Saved::default() })?;
    let ledger = peer.ledger();
    let before = first_whole(ledger, rounds);
    Ok((blobs.prune(before, &needed(ledger))?, before.max(blobs.pruned_before())))
}

/// The ordinal of the first round of which everything is kept: of the last ones, and of those that are not at their end.
fn first_whole(ledger: &Ledger, rounds: u64) -> u64 {
    let after_last = ledger.rounds().len() as u64 + 1;
    let unfinished = ledger.rounds().values().filter(|round| !is_over(ledger, round));
    let first = unfinished.map(|round| u64::from(round.ordinal)).min().unwrap_or(after_last);
    first.min(after_last.saturating_sub(rounds))
}

fn is_over(ledger: &Ledger, round: &RoundRecord) -> bool {
    round.agreed_result().is_some() && ledger.standing(round) != Standing::Unweighed
}

/// What is used whatever its round: results and what follows from them, and the adapters that rounds start from.
fn needed(ledger: &Ledger) -> BTreeSet<BlobId> {
    let of_round = |round: &RoundRecord| {
        let result = round.agreed_result();
        let start = round.plan.deltas().and_then(|plan| plan.start);
        [result.map(|result| result.result), result.and_then(|result| result.follows), round.weighed_adapter(), start]
    };
    ledger.rounds().values().flat_map(|round| of_round(round)).flatten().collect()
}
