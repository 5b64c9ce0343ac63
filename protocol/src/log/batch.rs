//! A batch: what one height of the log decides.
//!
//! To this module entries are opaque bytes within bounds. A batch names its predecessor, so that one id, and hence one
//! certificate over it, pins the whole prefix of the log.

use core::fmt;

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_count},
    domain, hash,
};

use crate::{
    id::BatchId,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES},
};

/// A position in the log. The first batch has height 1; 0 is the empty log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Height(pub u64);

impl Height {
    /// The height of the empty log.
    pub const GENESIS: Self = Self(0);

    /// Returns the height after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Encode for Height {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Height {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u64::decode(input).map(Self)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Entries do not make a batch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// There are too many entries; propose the rest at a later height.
    #[error("{found} entries in a batch of at most {MAX_BATCH_ENTRIES}")]
    TooManyEntries {
        /// How many there are.
        found: usize,
    },
    /// An entry is too long; its body belongs in a blob.
    #[error("entry {index} has {found} bytes of at most {MAX_ENTRY_BYTES}")]
    EntryTooLong {
        /// Its place in the batch.
        index: usize,
        /// Its length.
        found: usize,
    },
    /// The entries together are too long; propose the rest at a later height.
    #[error("entries of {found} bytes in a batch of at most {MAX_BATCH_BYTES}")]
    TooLong {
        /// Their length.
        found: usize,
    },
}

/// The entries decided at one height, in order.
#[derive(Clone, Eq, PartialEq)]
pub struct Batch {
    height: Height,
    previous: BatchId,
    entries: Vec<Vec<u8>>,
}

impl Batch {
    /// Makes the batch of `height` after the batch `previous`.
    ///
    /// # Errors
    ///
    /// Returns a [`BatchError`] if the entries exceed a bound of [`limits`](crate::limits).
    pub fn new(height: Height, previous: BatchId, entries: Vec<Vec<u8>>) -> Result<Self, BatchError> {
        if entries.len() > MAX_BATCH_ENTRIES {
            return Err(BatchError::TooManyEntries { found: entries.len() });
        }
        if let Some((index, entry)) = entries.iter().enumerate().find(|(_, entry)| entry.len() > MAX_ENTRY_BYTES) {
            return Err(BatchError::EntryTooLong { index, found: entry.len() });
        }
        let found = entries.iter().map(Vec::len).sum();
        if found > MAX_BATCH_BYTES {
            return Err(BatchError::TooLong { found });
        }
        Ok(Self { height, previous, entries })
    }

    /// Returns the height the batch is for.
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Returns the id of the batch before; the host chooses that of the first.
    pub const fn previous(&self) -> BatchId {
        self.previous
    }

    /// Returns the encoded entries.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Returns the digest of the batch: the digest of the log up to and including it.
    pub fn id(&self) -> BatchId {
        hash::digest(domain::BATCH_ID, self).into()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("height", &self.height)
            .field("previous", &self.previous)
            .field("entries", &self.entries.len())
            .finish()
    }
}

impl Encode for Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.height.encode(out);
        self.previous.encode(out);
        put_count(out, self.entries.len());
        self.entries.iter().for_each(|entry| put_bytes(out, entry));
    }
}

impl Decode for Batch {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, previous) = Decode::decode(input)?;
        let count = input.count(MAX_BATCH_ENTRIES)?;
        let mut entries = Vec::with_capacity(count.min(input.remaining() / 4));
        let mut total = 0;
        for _ in 0..count {
            let entry = input.bytes(MAX_ENTRY_BYTES)?;
            total += entry.len();
            if total > MAX_BATCH_BYTES {
                return Err(DecodeError::TooLong { bound: MAX_BATCH_BYTES, found: total });
            }
            entries.push(entry.to_vec());
        }
        Ok(Self { height, previous, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(entries: Vec<Vec<u8>>) -> Batch {
        Batch::new(Height(3), BatchId::from([7; 32]), entries).expect("within bounds")
    }

    #[test]
    fn the_id_depends_on_everything() {
        let base = batch(vec![vec![1], vec![2]]);
        let others = [
            batch(vec![vec![1, 2]]),
            batch(vec![vec![2], vec![1]]),
            batch(vec![vec![1], vec![2], vec![]]),
            Batch::new(Height(4), BatchId::from([7; 32]), vec![vec![1], vec![2]]).expect("within bounds"),
            Batch::new(Height(3), BatchId::from([8; 32]), vec![vec![1], vec![2]]).expect("within bounds"),
        ];

        assert_eq!(base.id(), batch(vec![vec![1], vec![2]]).id());
        assert!(others.iter().all(|other| other.id() != base.id()));
    }

    #[test]
    fn bounds_hold_when_made_and_when_decoded() {
        let full = |count, bytes| Batch {
            height: Height(1),
            previous: BatchId::default(),
            entries: vec![vec![0; bytes]; count],
        };
        let cases = [
            (full(MAX_BATCH_ENTRIES + 1, 0), BatchError::TooManyEntries { found: MAX_BATCH_ENTRIES + 1 }),
            (full(1, MAX_ENTRY_BYTES + 1), BatchError::EntryTooLong { index: 0, found: MAX_ENTRY_BYTES + 1 }),
            (full(2048, 513), BatchError::TooLong { found: 2048 * 513 }),
        ];

        for (over, expected) in cases {
            assert_eq!(Batch::new(over.height, over.previous, over.entries.clone()), Err(expected));
            assert!(matches!(Batch::from_bytes(&over.to_bytes()), Err(DecodeError::TooLong { .. })));
        }
        let most = full(2048, 512);
        assert_eq!(Batch::from_bytes(&most.to_bytes()), Ok(most));
    }

    proptest! {
        #[test]
        fn a_batch_reads_back(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6)) {
            let batch = batch(entries);

            prop_assert_eq!(Batch::from_bytes(&batch.to_bytes()), Ok(batch));
        }
    }
}
