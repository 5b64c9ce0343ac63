//! What holds for any bytes: bodies that the fuzzer of `tests/fuzz` and the tests on stable Rust share.
//!
//! Every function takes bytes and panics if something that must hold does not.

use std::sync::LazyLock;

use chorus_crypto::codec::{Decode, Encode};
use chorus_protocol::{
    config::{Genesis, Policy},
    contribution::{Body, Submission},
    id::{CommunityId, NodeId},
    journal::Record,
    ledger::Ledger,
    log::{
        batch::Batch,
        consensus::{Decision, Evidence, Timeouts},
        entry::SignedEntry,
    },
    message::Message,
    opening::{MaskPart, OpenedStep, OpeningPlan},
    peer::{Checkpoints, Config, Effect, Event, Peer, Saved, Start},
    round::report::RoundReport,
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::community::Community;

fn reads_back<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert!(value.to_bytes() == bytes, "what decodes encodes to itself");
    }
}

/// An envelope that opens closes to the same bytes.
pub fn message(bytes: &[u8]) {
    let community = bytes.get(1..33).and_then(|id| CommunityId::from_bytes(id).ok()).unwrap_or_default();
    if let Ok(message) = Message::open(community, bytes) {
        assert!(message.seal(community) == bytes, "what opens closes to itself");
    }
}

/// What stands on the log, and what is stored beside it, reads back from its bytes only.
pub fn log(bytes: &[u8]) {
    reads_back::<SignedEntry>(bytes);
    reads_back::<Batch>(bytes);
    reads_back::<Decision>(bytes);
    reads_back::<Evidence>(bytes);
    reads_back::<Genesis>(bytes);
    reads_back::<Record>(bytes);
    reads_back::<Ledger>(bytes);
    reads_back::<Start>(bytes);
}

/// Bodies read back from their bytes only.
pub fn body(bytes: &[u8]) {
    reads_back::<Body>(bytes);
    reads_back::<Submission>(bytes);
    reads_back::<MaskPart>(bytes);
    reads_back::<OpenedStep>(bytes);
    reads_back::<OpeningPlan>(bytes);
    reads_back::<RoundReport>(bytes);
}

/// A fresh community, for entries and messages that nobody in it signed.
static COMMUNITY: LazyLock<Community> = LazyLock::new(|| Community::new(1, 4, 2, Policy::default()));

/// An entry that its author did not sign changes nothing.
pub fn entry(bytes: &[u8]) {
    let Ok(entry) = SignedEntry::from_bytes(bytes) else { return };
    let mut ledger = Ledger::new(COMMUNITY.genesis.clone());
    assert!(ledger.apply(&entry).is_err(), "nobody in this community signed it");
}

/// An operator that gets any bytes goes on, and stores nothing.
pub fn peer(bytes: &[u8]) {
    let config = Config {
        genesis: COMMUNITY.genesis.clone(),
        node: NodeId::from([1; 32]),
        operator: COMMUNITY.operators.first().cloned(),
        timeouts: Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        held_bytes: chorus_protocol::limits::MAX_HELD_BYTES,
        minor: chorus_protocol::message::MINOR,
        checkpoints: Checkpoints::default(),
        cohort: None,
    };
    let mut peer = Peer::new(config, Timestamp::from_millis(1), Saved::default()).expect("a fresh start");
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    // As they are, and in an envelope of this community.
    let mut enveloped = vec![chorus_protocol::message::VERSION];
    COMMUNITY.id().encode(&mut enveloped);
    enveloped.extend_from_slice(bytes);
    for bytes in [bytes.to_vec(), enveloped] {
        peer.handle(Timestamp::from_millis(2), Event::Message { from: NodeId::from([2; 32]), bytes }, &mut rng);
    }
    peer.handle(Timestamp::from_millis(100_000), Event::Tick, &mut rng);
    while let Some(effect) = peer.poll_effect() {
        assert!(!stores(&effect), "{effect:?}");
    }
}

/// Tells whether an effect leaves something on a disk.
pub const fn stores(effect: &Effect) -> bool {
    match effect {
        Effect::Persist(_)
        | Effect::Begin(_)
        | Effect::Commit(_)
        | Effect::StoreBlob { .. }
        | Effect::Archive { .. }
        | Effect::StorePrivate { .. }
        | Effect::ReadPrivate { .. }
        | Effect::SendPrivate { .. }
        | Effect::StoreEntry(_) => true,
        Effect::Sync
        | Effect::Verify(_)
        | Effect::ErasePrivate { .. }
        | Effect::EraseRound(_)
        | Effect::DropEntry(_)
        | Effect::Send { .. }
        | Effect::SendLog { .. }
        | Effect::Publish(_)
        | Effect::Want(_)
        | Effect::Notice(_) => false,
    }
}
