//! Which parts of a blob there are.

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader};
use chorus_protocol::limits::MAX_BLOB_BYTES;

/// Bytes of one piece: what is asked for, checked and passed on at a time. Large enough that its proof (a few hundred
/// bytes) and its round trip cost little, small enough that a home's uplink passes one on within a fraction of a second.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Pieces of the largest blob.
pub const MAX_PIECES: u32 = (MAX_BLOB_BYTES / PIECE_BYTES) as u32;

const WORD: u32 = u64::BITS;
const WORDS: usize = (MAX_PIECES / WORD) as usize;
const _: () = assert!(MAX_BLOB_BYTES.is_multiple_of(PIECE_BYTES) && MAX_PIECES.is_multiple_of(WORD));

/// A set of the pieces of one blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pieces {
    count: u32,
    words: [u64; WORDS],
}

impl Pieces {
    /// Returns how many pieces a blob of so many bytes has. The empty blob has one, for it must be asked for as well.
    pub fn of(size: u64) -> u32 {
        let count = size.div_ceil(PIECE_BYTES as u64).max(1);
        u32::try_from(count).unwrap_or(u32::MAX).min(MAX_PIECES)
    }

    /// Returns the empty set of a blob of `count` pieces.
    pub fn none(count: u32) -> Self {
        Self { count: count.min(MAX_PIECES), words: [0; WORDS] }
    }

    /// Returns all pieces of a blob of `count`.
    pub fn all(count: u32) -> Self {
        let mut pieces = Self::none(count);
        (0..pieces.count).for_each(|index| {
            pieces.insert(index);
        });
        pieces
    }

    /// Returns how many pieces the blob has.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns how many of them are in the set.
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether all are.
    pub fn is_full(&self) -> bool {
        self.len() == self.count
    }

    /// Returns whether a piece is in the set.
    pub fn contains(&self, index: u32) -> bool {
        index < self.count && self.word(index).is_some_and(|word| word & (1 << (index % WORD)) != 0)
    }

    /// Adds a piece, and returns whether it is new. One that the blob does not have is left out.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.count || self.contains(index) {
            return false;
        }
        if let Some(word) = self.words.get_mut((index / WORD) as usize) {
            *word |= 1 << (index % WORD);
        }
        true
    }

    /// Returns the pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.count).filter(|index| self.contains(*index))
    }

    fn word(&self, index: u32) -> Option<u64> {
        self.words.get((index / WORD) as usize).copied()
    }
}

impl Encode for Pieces {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        out.extend(bytes.take(self.count.div_ceil(8) as usize));
    }
}

impl Decode for Pieces {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(input)?;
        if count == 0 || count > MAX_PIECES {
            return Err(DecodeError::OutOfRange("number of pieces"));
        }
        let mut pieces = Self::none(count);
        let bytes = input.take(count.div_ceil(8) as usize)?;
        for index in 0..count.div_ceil(8) * 8 {
            let byte = bytes.get((index / 8) as usize).copied().unwrap_or(0);
            if byte & (1 << (index % 8)) != 0 && !pieces.insert(index) {
                return Err(DecodeError::NonCanonical("set of pieces"));
            }
        }
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_pieces_reads_back_and_stray_bits_are_refused() {
        for count in [1, 7, 8, 20, 64, 65, MAX_PIECES] {
            let mut pieces = Pieces::none(count);
            assert!(
                pieces.is_empty() && pieces.insert(count - 1) && !pieces.insert(count - 1) && !pieces.insert(count)
            );
            assert_eq!(Pieces::from_bytes(&pieces.to_bytes()), Ok(pieces));
            assert_eq!(pieces.iter().collect::<Vec<_>>(), [count - 1]);
            let all = Pieces::all(count);
            assert!(all.is_full() && all.len() == count);
            assert_eq!(Pieces::from_bytes(&all.to_bytes()), Ok(all));
        }
        let mut stray = Pieces::none(7).to_bytes();
        *stray.last_mut().expect("a byte") = 0x80;
        assert!(Pieces::from_bytes(&stray).is_err());
        assert!(Pieces::from_bytes(&[0, 0, 0, 0]).is_err());
        assert!(Pieces::from_bytes(&(MAX_PIECES + 1).to_be_bytes()).is_err());
    }

    #[test]
    fn a_blob_has_as_many_pieces_as_its_bytes_need() {
        let piece = PIECE_BYTES as u64;
        for (size, count) in [(0, 1), (1, 1), (piece, 1), (piece + 1, 2), (u64::MAX, MAX_PIECES)] {
            assert_eq!(Pieces::of(size), count, "{size}");
        }
    }
}
