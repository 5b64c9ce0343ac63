//! Slices: a piece of a blob with the hashes that prove it.
//!
//! BLAKE3 is a tree of hashes, and a [`BlobId`] is its root. A slice is a piece and the hashes beside the way from it to
//! the root, in the order of Bao; whoever knows the id and the length checks it alone, without the rest of the blob. Trees
//! are kept down to groups of 16 KiB: 0.4 % of the blob.
//!
//! The length is part of the tree's shape, so it has to be right before anybody can be blamed for a wrong slice. It is
//! proved by the slice of the last kilobyte: no other length puts these bytes at the end of a tree with this root.

use std::io;

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges, TreeNode, blake3,
    io::{
        BaoContentItem, EncodeError,
        outboard::PreOrderMemOutboard,
        sync::{DecodeResponseIter, OutboardMut as _, ReadAt, encode_ranges_validated},
    },
};
use chorus_protocol::{id::BlobId, limits::MAX_BLOB_BYTES};

use super::pieces::{PIECE_BYTES, Pieces};

/// Groups of sixteen chunks of a kilobyte.
const GROUP: BlockSize = BlockSize::from_chunk_log(4);
/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 1024;
const PIECE_CHUNKS: u64 = PIECE_BYTES as u64 / CHUNK_BYTES;

/// Levels of the largest blob's tree: 2^16 chunks.
const LEVELS: usize = (MAX_BLOB_BYTES / CHUNK_BYTES as usize).ilog2() as usize;
/// Bytes of the hashes of a node's children.
const PAIR_BYTES: usize = 64;
/// Bytes of the longest slice: the piece, its own hashes and those on the way to it.
pub const MAX_SLICE_BYTES: usize = PIECE_BYTES + PAIR_BYTES * (PIECE_BYTES / GROUP.bytes() + LEVELS);
/// Bytes of the longest proof of a length.
pub const MAX_PROOF_BYTES: usize = CHUNK_BYTES as usize + PAIR_BYTES * (LEVELS + 1);

/// The inner hashes of one blob.
pub(super) type Tree = PreOrderMemOutboard<Vec<u8>>;

/// A slice that was checked: its bytes, and the hashes that came with them.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) bytes: Vec<u8>,
    hashes: Vec<(TreeNode, (blake3::Hash, blake3::Hash))>,
}

impl Checked {
    /// Enters the hashes into the blob's tree.
    pub(super) fn save(&self, tree: &mut Tree) -> io::Result<()> {
        self.hashes.iter().try_for_each(|(node, pair)| tree.save(*node, pair))
    }
}

fn shape(size: u64) -> BaoTree {
    BaoTree::new(size, GROUP)
}

fn root(id: BlobId) -> blake3::Hash {
    blake3::Hash::from_bytes(*id.as_ref())
}

/// Returns the tree of a blob of which no hash is known yet.
pub(super) fn blank(id: BlobId, size: u64) -> Tree {
    let tree = shape(size);
    let length = usize::try_from(tree.outboard_size()).expect("a blob's tree fits in memory");
    Tree { root: root(id), tree, data: vec![0; length] }
}

/// Returns the tree with the hashes given, if they are as many as it has.
pub(super) fn tree_of(id: BlobId, size: u64, hashes: &[u8]) -> Option<Tree> {
    let mut tree = blank(id, size);
    (tree.data.len() == hashes.len()).then(|| {
        tree.data.copy_from_slice(hashes);
        tree
    })
}

/// Computes the tree of a blob.
pub(super) fn tree_from(bytes: &[u8]) -> Tree {
    Tree::create(bytes, GROUP)
}

fn of_piece(index: u32) -> ChunkRanges {
    let start = u64::from(index) * PIECE_CHUNKS;
    ChunkRanges::from(ChunkNum(start)..ChunkNum(start + PIECE_CHUNKS))
}

fn last_chunk(size: u64) -> ChunkRanges {
    let last = size.div_ceil(CHUNK_BYTES).saturating_sub(1);
    ChunkRanges::from(ChunkNum(last)..ChunkNum(last + 1))
}

/// Returns the slice of a piece; `None` if the data or the tree are not what the id says.
pub(super) fn encode(data: impl ReadAt, tree: &Tree, index: u32) -> io::Result<Option<Vec<u8>>> {
    encode_chunks(data, tree, &of_piece(index))
}

/// Returns the proof of the blob's length.
pub(super) fn prove_size(data: impl ReadAt, tree: &Tree) -> io::Result<Option<Vec<u8>>> {
    encode_chunks(data, tree, &last_chunk(tree.tree.size()))
}

fn encode_chunks(data: impl ReadAt, tree: &Tree, chunks: &ChunkRanges) -> io::Result<Option<Vec<u8>>> {
    let mut encoded = Vec::new();
    match encode_ranges_validated(data, tree, chunks, &mut encoded) {
        Ok(()) => Ok(Some(encoded)),
        Err(EncodeError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Err(_) => Ok(None),
    }
}

/// Checks the slice of a piece of a blob of `size` bytes. `None` means that whoever sent it is wrong.
///
/// # Security
///
/// The size must have been [proved](check_size), else the slices of honest peers look wrong.
pub(super) fn check(id: BlobId, size: u64, index: u32, slice: &[u8]) -> Option<Checked> {
    if size > MAX_BLOB_BYTES as u64 || index >= Pieces::of(size) || slice.len() > MAX_SLICE_BYTES {
        return None;
    }
    check_chunks(id, size, &of_piece(index), slice)
}

/// Checks that a blob is so many bytes long.
pub(super) fn check_size(id: BlobId, size: u64, proof: &[u8]) -> bool {
    size <= MAX_BLOB_BYTES as u64
        && proof.len() <= MAX_PROOF_BYTES
        && check_chunks(id, size, &last_chunk(size), proof).is_some()
}

fn check_chunks(id: BlobId, size: u64, chunks: &ChunkRanges, slice: &[u8]) -> Option<Checked> {
    let mut rest = slice;
    let mut checked = Checked { bytes: Vec::with_capacity(slice.len()), hashes: Vec::new() };
    for item in DecodeResponseIter::new(root(id), shape(size), &mut rest, chunks) {
        match item.ok()? {
            BaoContentItem::Parent(parent) => checked.hashes.push((parent.node, parent.pair)),
            BaoContentItem::Leaf(leaf) => checked.bytes.extend_from_slice(&leaf.data),
        }
    }
    rest.is_empty().then_some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    const SIZES: [usize; 9] = [
        0,
        1,
        1024,
        GROUP.bytes() + 1,
        PIECE_BYTES,
        PIECE_BYTES + 1,
        2 * PIECE_BYTES + 1025,
        3 * PIECE_BYTES - 1,
        5_000_000,
    ];

    #[test]
    fn the_tree_has_the_blobs_id_and_every_slice_of_it_is_checked_alone() {
        for size in SIZES {
            let bytes = pattern(size);
            let (id, tree) = (BlobId::of(&bytes), tree_from(&bytes));
            assert_eq!(tree.root.as_bytes(), id.as_ref());
            let mut partial = blank(id, size as u64);
            let mut joined = Vec::new();

            for index in 0..Pieces::of(size as u64) {
                let slice = encode(bytes.as_slice(), &tree, index).expect("readable").expect("sound");
                assert!(slice.len() <= MAX_SLICE_BYTES);
                let checked = check(id, size as u64, index, &slice).expect("an honest slice");
                checked.save(&mut partial).expect("in memory");
                joined.extend_from_slice(&checked.bytes);
                let again = encode(bytes.as_slice(), &partial, index).expect("readable");
                assert_eq!(again.as_deref(), Some(slice.as_slice()), "a part is served from what came");
            }

            assert!(joined == bytes);
            assert!(partial.data == tree.data);
        }
    }

    #[test]
    fn a_slice_with_any_flipped_byte_or_of_another_length_or_place_is_refused() {
        let bytes = pattern(2 * PIECE_BYTES + 700);
        let (id, tree, size) = (BlobId::of(&bytes), tree_from(&bytes), bytes.len() as u64);
        let slice = encode(bytes.as_slice(), &tree, 2).expect("readable").expect("sound");

        for index in 0..slice.len() {
            let mut flipped = slice.clone();
            flipped[index] ^= 1;
            assert!(check(id, size, 2, &flipped).is_none(), "byte {index}");
        }
        assert!(check(id, size, 2, &slice[..slice.len() - 1]).is_none());
        assert!(check(id, size, 2, &[slice.as_slice(), &[0]].concat()).is_none());
        assert!(check(id, size, 1, &slice).is_none());
        assert!(check(id, size, 3, &slice).is_none());
        assert!(check(BlobId::of(b"another"), size, 2, &slice).is_none());
        assert!(encode(pattern(9).as_slice(), &tree, 2).expect("readable").is_none());
    }

    #[test]
    fn a_length_is_proved_and_no_other_is() {
        for size in SIZES {
            let bytes = pattern(size);
            let (id, tree, size) = (BlobId::of(&bytes), tree_from(&bytes), size as u64);
            let proof = prove_size(bytes.as_slice(), &tree).expect("readable").expect("sound");

            assert!(proof.len() <= MAX_PROOF_BYTES, "{}", proof.len());
            assert!(check_size(id, size, &proof));
            for wrong in [0, size.saturating_sub(1), size + 1, size + 1024, size * 2, MAX_BLOB_BYTES as u64, u64::MAX] {
                assert!(wrong == size || !check_size(id, wrong, &proof), "{wrong} for {size}");
            }
        }
    }
}
