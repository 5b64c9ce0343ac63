//! Logs of which every entry is said a second time: none may have an effect again.

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{config::Genesis, ledger::Ledger, log::consensus::Decision, log::entry::SignedEntry};

use crate::scenario::Play;

/// At how many points of a log all that was said before is said again, besides its end.
const POINTS: usize = 6;

/// Follows a log, and at some points of it says again whatever stands on it by then. Returns how many entries there are.
///
/// # Panics
///
/// Panics if a word that was said before changes the state.
pub fn assert_nothing_replays(genesis: &Genesis, decisions: &[Decision]) -> usize {
    let mut ledger = Ledger::new(genesis.clone());
    let mut said: Vec<SignedEntry> = Vec::new();
    for (index, decision) in decisions.iter().enumerate() {
        for bytes in decision.batch.entries() {
            let entry = SignedEntry::from_bytes(bytes).expect("an entry");
            ledger.apply_verified(&entry).unwrap_or_else(|fault| panic!("{:?}: {fault}", entry.entry));
            said.push(entry);
        }
        ledger.complete(decision.batch.height());
        if index + 1 == decisions.len() || index % (decisions.len() / POINTS).max(1) == 0 {
            let before = ledger.to_bytes();
            for entry in &said {
                let mut after = ledger.clone();
                let is_taken = after.apply_verified(entry).is_ok();
                assert!(!is_taken || after.to_bytes() == before, "after {index} batches, again: {:?}", entry.entry);
            }
        }
    }
    said.len()
}

impl Play {
    /// Checks that nothing on the log as the first node has it can be said again with effect.
    pub fn assert_nothing_replays(&self) -> usize {
        assert_nothing_replays(&self.community.genesis, self.network.decisions(0))
    }
}
