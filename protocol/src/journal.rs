//! What an operator must not forget: records that are made durable before what they protect is sent.
//!
//! A node that lost its journal, or runs on an old copy, must not sign: it no longer knows what it said.

use chorus_crypto::{credential::Tag, hash::Digest, wire_enum, wire_struct};

use crate::{
    id::{BlobId, RoundId, SetId},
    limits,
    log::{
        batch::Height,
        entry::{PassId, Step},
    },
};

/// One durable fact.
#[derive(Clone, Eq, PartialEq)]
pub enum Record {
    /// A record of the consensus' write-ahead log.
    Wal(WalRecord),
    /// Earlier write-ahead records are of decided heights.
    WalReset(Height),
    /// The key signs at this height.
    Pledge(Height),
    /// The sealing key of a round. Erased with the round.
    RoundKey(RoundKeyRecord),
    /// A contribution was acknowledged: no other body will be, with this tag and sequence.
    Acknowledged(AcknowledgedRecord),
    /// A step of a sealed set is opened with these inputs, and never with others.
    Locked(LockRecord),
    /// The secrets of a round are gone.
    Erased(RoundId),
    /// This journal is a copy that was put back: the key may have said more than what stands before this.
    Restored(RestoredRecord),
    /// The log has passed everything that the key may have said before it was put back.
    Resumed(ResumedRecord),
}
wire_enum!(Record {
    1 => Wal(it),
    2 => WalReset(it),
    3 => Pledge(it),
    4 => RoundKey(it),
    5 => Acknowledged(it),
    6 => Locked(it),
    7 => Erased(it),
    8 => Restored(it),
    9 => Resumed(it),
});

impl core::fmt::Debug for Record {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = match self {
            Self::Wal(_) => "Wal",
            Self::WalReset(_) => "WalReset",
            Self::Pledge(_) => "Pledge",
            Self::RoundKey(_) => "RoundKey",
            Self::Acknowledged(_) => "Acknowledged",
            Self::Locked(_) => "Locked",
            Self::Erased(_) => "Erased",
            Self::Restored(_) => "Restored",
            Self::Resumed(_) => "Resumed",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

/// Bytes of the consensus.
#[derive(Clone, Eq, PartialEq)]
pub struct WalRecord {
    /// The bytes.
    pub bytes: Vec<u8>,
}
wire_struct!(WalRecord { bytes{2 * limits::MAX_BATCH_BYTES} });

/// The secret half of a round key.
#[derive(Clone, Eq, PartialEq, zeroize::ZeroizeOnDrop)]
pub struct RoundKeyRecord {
    /// The round.
    #[zeroize(skip)]
    pub round: RoundId,
    /// The X25519 secret.
    pub secret: [u8; 32],
}
wire_struct!(RoundKeyRecord { round, secret });

/// Which body was acknowledged.
#[derive(Clone, Eq, PartialEq)]
pub struct AcknowledgedRecord {
    /// The round.
    pub round: RoundId,
    /// The contributor's tag.
    pub tag: Tag,
    /// The attempt.
    pub sequence: u8,
    /// The body.
    pub body: BlobId,
}
wire_struct!(AcknowledgedRecord { round, tag, sequence, body });

/// What an open-once lock is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Lock {
    /// A step that opens masks.
    Step(Step),
    /// A pass of the secret PCA.
    Pass(PassId),
}
wire_enum!(Lock { 1 => Step(it), 2 => Pass(it) });

/// An open-once lock: key (round, set, what), value the digest of the inputs.
#[derive(Clone, Eq, PartialEq)]
pub struct LockRecord {
    /// The round.
    pub round: RoundId,
    /// The sealed set.
    pub set: SetId,
    /// What is opened.
    pub lock: Lock,
    /// The digest of its inputs.
    pub inputs: Digest,
}
wire_struct!(LockRecord { round, set, lock, inputs });

/// That a journal was put back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestoredRecord {
    /// How far the log had come when the copy was made.
    pub height: Height,
    /// Whether the person who put it back vouches that the key has said nothing since the copy was made.
    pub current: bool,
}
wire_struct!(RestoredRecord { height, current });

/// Where an operator that was put back speaks again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResumedRecord {
    /// The height after which it does.
    pub height: Height,
    /// The rounds that were unfinished there: in these it takes no part any more.
    pub rounds: Vec<RoundId>,
}
wire_struct!(ResumedRecord { height, rounds[limits::MAX_BARRED_ROUNDS] });

/// Tells which records are still needed, in order: what a journal is compacted to.
///
/// Write-ahead records of decided heights go, and with a round's erasure its key and its acknowledgements; its locks
/// stay, for they forbid.
pub fn needed(records: &[Record]) -> Vec<bool> {
    let last_reset = records.iter().rposition(|record| matches!(record, Record::WalReset(_)));
    let last_restored = records.iter().rposition(|record| matches!(record, Record::Restored(_)));
    let last_pledge = records.iter().rposition(|record| matches!(record, Record::Pledge(_)));
    let erased: std::collections::BTreeSet<_> = records
        .iter()
        .filter_map(|record| if let Record::Erased(round) = record { Some(*round) } else { None })
        .collect();
    let needed = |(index, record): (usize, &Record)| match record {
        Record::Wal(_) => last_reset.is_none_or(|reset| index > reset),
        Record::WalReset(_) => Some(index) == last_reset,
        Record::Pledge(_) => Some(index) == last_pledge,
        Record::RoundKey(RoundKeyRecord { round, .. }) => !erased.contains(round),
        Record::Acknowledged(AcknowledgedRecord { round, .. }) => !erased.contains(round),
        Record::Restored(_) | Record::Resumed(_) => last_restored.is_none_or(|restored| index >= restored),
        Record::Locked(_) | Record::Erased(_) => true,
    };
    records.iter().enumerate().map(needed).collect()
}

/// What a copy of the journal for a backup holds: everything but the keys of rounds, which are in no backup, so that what was
/// sealed to them is lost with them.
pub fn for_backup(records: &[Record]) -> Vec<Record> {
    let kept = records.iter().zip(needed(records)).filter(|(record, needed)| {
        let is_key = matches!(record, Record::RoundKey(_));
        *needed && !is_key
    });
    kept.map(|(record, _)| record.clone()).collect()
}

#[cfg(test)]
mod tests {
    use chorus_crypto::codec::{Decode as _, Encode as _};

    use super::*;

    #[test]
    fn more_rounds_may_be_barred_than_one_committee_may_have_open() {
        let rounds: Vec<RoundId> = (0..=limits::MAX_OPEN_ROUNDS as u64)
            .map(|number| RoundId::from(chorus_crypto::hash::content(&number.to_be_bytes())))
            .collect();
        let record = Record::Resumed(ResumedRecord { height: Height(7), rounds });

        assert!(Record::from_bytes(&record.to_bytes()) == Ok(record));
    }
}
