//! Ledgers that were put back from their bytes: they have to go on exactly as those they were taken of.

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    config::Genesis,
    ledger::Ledger,
    log::{consensus::Decision, entry::SignedEntry},
};

use crate::scenario::Play;

/// How many times the rest of a log is followed without another restoration.
const LONG_WAYS: usize = 4;

fn apply(ledger: &mut Ledger, decision: &Decision) {
    let height = decision.batch.height();
    for bytes in decision.batch.entries() {
        let entry = SignedEntry::from_bytes(bytes).expect("an entry");
        ledger.apply_verified(&entry).unwrap_or_else(|fault| panic!("height {height}: {:?}: {fault}", entry.entry));
    }
    ledger.complete(height);
}

/// Returns what is put back of a ledger.
///
/// # Panics
///
/// Panics if that is not the same.
pub fn restored(ledger: &Ledger) -> Ledger {
    let bytes = ledger.to_bytes();
    let back = Ledger::from_bytes(&bytes).unwrap_or_else(|error| panic!("height {}: {error}", ledger.height()));
    assert!(back.to_bytes() == bytes, "height {}: another encoding", ledger.height());
    back
}

/// Follows a log three ways: as it is; put back after every batch; and put back at a few heights only. Returns the
/// state at its end and the bytes of it.
///
/// # Panics
///
/// Panics if one of them comes to another state anywhere.
pub fn assert_restores(genesis: &Genesis, decisions: &[Decision]) -> (Ledger, usize) {
    let mut followed = Ledger::new(genesis.clone());
    let mut often = followed.clone();
    let mut once: Vec<Ledger> = Vec::new();
    for (index, decision) in decisions.iter().enumerate() {
        apply(&mut followed, decision);
        apply(&mut often, decision);
        once.iter_mut().for_each(|ledger| apply(ledger, decision));
        often = restored(&often);
        let (bytes, height) = (followed.to_bytes(), decision.batch.height());
        assert!(often.to_bytes() == bytes, "height {height}: put back after every batch, the state is another");
        if index % (decisions.len() / LONG_WAYS).max(1) == decisions.len() / LONG_WAYS / 2 {
            once.push(restored(&followed));
        }
    }
    let (bytes, shown) = (followed.to_bytes(), format!("{followed:?}"));
    for ledger in once.iter().chain([&often]) {
        assert!(ledger.to_bytes() == bytes, "put back once, the state at the end is another");
        assert!(format!("{ledger:?}") == shown, "what is no part of the encoding follows from it");
    }
    (followed, bytes.len())
}

impl Play {
    /// Checks that the log as the first node has it can be left and taken up at every height.
    pub fn assert_restores(&self) -> (Ledger, usize) {
        assert_restores(&self.community.genesis, self.network.decisions(0))
    }
}
