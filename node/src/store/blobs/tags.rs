//! Why blobs are kept: tags, in a file that is only appended to.
//!
//! A record is an operation, an id, a round and a checksum, of fixed length; one that is torn or damaged ends the file.
//! What is lost with it is at most the last tag, and a blob whose tag is lost is fetched again when it is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use chorus_protocol::id::BlobId;

use super::super::files;

/// Bytes of a record: operation, id, round, checksum.
const RECORD: usize = 1 + BlobId::LEN + 8 + 8;
/// Stands for no round: the blob is pinned.
const PINNED: u64 = u64::MAX;

/// Why a blob is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Tag {
    /// It belongs to the round of this ordinal, and is kept as long as that is one of the last ones.
    Round(u64),
    /// It is kept until the tag is taken away.
    Pinned,
}

impl Tag {
    const fn number(self) -> u64 {
        match self {
            Self::Round(ordinal) => ordinal,
            Self::Pinned => PINNED,
        }
    }

    const fn of(number: u64) -> Self {
        if number == PINNED { Self::Pinned } else { Self::Round(number) }
    }
}

#[derive(Debug)]
pub(super) struct Tags {
    file: File,
    tags: BTreeMap<BlobId, BTreeSet<Tag>>,
}

impl Tags {
    /// Opens the file, and writes it anew without what was taken back.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut tags: BTreeMap<BlobId, BTreeSet<Tag>> = BTreeMap::new();
        for (added, id, tag) in bytes.chunks_exact(RECORD).map_while(parse) {
            let of_blob = tags.entry(id).or_default();
            if added {
                of_blob.insert(tag)
            } else {
                of_blob.remove(&tag)
            };
        }
        tags.retain(|_, of_blob| !of_blob.is_empty());
        let compact: Vec<u8> =
            tags.iter().flat_map(|(id, of_blob)| of_blob.iter().flat_map(|tag| record(true, *id, *tag))).collect();
        if compact != bytes {
            files::replace(path, "tags", &compact)?;
        }
        Ok(Self { file: OpenOptions::new().append(true).create(true).open(path)?, tags })
    }

    /// Adds a tag, durably.
    pub(super) fn add(&mut self, id: BlobId, tag: Tag) -> io::Result<()> {
        if self.of(id).contains(&tag) {
            return Ok(());
        }
        self.write(&record(true, id, tag))?;
        self.tags.entry(id).or_default().insert(tag);
        Ok(())
    }

    /// Adds a tag, which is durable with the next that is.
    pub(super) fn note(&mut self, id: BlobId, tag: Tag) -> io::Result<()> {
        if !self.of(id).contains(&tag) {
            self.file.write_all(&record(true, id, tag))?;
            self.tags.entry(id).or_default().insert(tag);
        }
        Ok(())
    }

    /// Adds a tag to each of many, durably.
    pub(super) fn add_all(&mut self, ids: &[BlobId], tag: Tag) -> io::Result<()> {
        let new = |id: &&BlobId| !self.tags.get(*id).is_some_and(|of_blob| of_blob.contains(&tag));
        let new: Vec<BlobId> = ids.iter().filter(new).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.write(&new.iter().flat_map(|id| record(true, *id, tag)).collect::<Vec<_>>())?;
        new.into_iter().for_each(|id| {
            self.tags.entry(id).or_default().insert(tag);
        });
        Ok(())
    }

    /// Returns every tagged blob with its tags.
    pub(super) fn all(&self) -> impl Iterator<Item = (&BlobId, &BTreeSet<Tag>)> {
        self.tags.iter()
    }

    /// Takes a tag away, durably.
    pub(super) fn remove(&mut self, id: BlobId, tag: Tag) -> io::Result<()> {
        if !self.of(id).contains(&tag) {
            return Ok(());
        }
        self.write(&record(false, id, tag))?;
        if let Some(of_blob) = self.tags.get_mut(&id) {
            of_blob.remove(&tag);
        }
        Ok(())
    }

    /// Takes all tags of a blob away, durably.
    pub(super) fn clear(&mut self, id: BlobId) -> io::Result<()> {
        let records: Vec<u8> = self.of(id).iter().flat_map(|tag| record(false, id, *tag)).collect();
        if !records.is_empty() {
            self.write(&records)?;
        }
        self.tags.remove(&id);
        Ok(())
    }

    pub(super) fn of(&self, id: BlobId) -> BTreeSet<Tag> {
        self.tags.get(&id).cloned().unwrap_or_default()
    }

    /// Returns the ordinal of the last round that anything is tagged with.
    pub(super) fn last_round(&self) -> Option<u64> {
        let rounds = self.tags.values().flatten().filter_map(|tag| match tag {
            Tag::Round(ordinal) => Some(*ordinal),
            Tag::Pinned => None,
        });
        rounds.max()
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record)?;
        self.file.sync_data()
    }
}

fn record(added: bool, id: BlobId, tag: Tag) -> Vec<u8> {
    let mut record = vec![u8::from(added)];
    record.extend_from_slice(id.as_ref());
    record.extend_from_slice(&tag.number().to_be_bytes());
    record.extend_from_slice(&checksum(&record));
    record
}

fn parse(record: &[u8]) -> Option<(bool, BlobId, Tag)> {
    let (rest, check) = record.split_last_chunk::<8>()?;
    let (rest, number) = rest.split_last_chunk::<8>().filter(|_| checksum(rest) == *check)?;
    let (operation, id) = rest.split_first()?;
    let id = <[u8; BlobId::LEN]>::try_from(id).ok()?;
    Some((*operation == 1, BlobId::from(id), Tag::of(u64::from_be_bytes(*number))))
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_and_a_torn_record_loses_only_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tags");
        let (a, b) = (BlobId::of(b"a"), BlobId::of(b"b"));
        let mut tags = Tags::open(&path).expect("opens");
        tags.add(a, Tag::Pinned).expect("writes");
        tags.add(a, Tag::Round(3)).expect("writes");
        tags.add(b, Tag::Round(7)).expect("writes");
        tags.remove(a, Tag::Round(3)).expect("writes");
        drop(tags);
        let whole = std::fs::read(&path).expect("reads");

        for cut in 0..RECORD {
            std::fs::write(&path, &whole[..whole.len() - cut]).expect("tears it");
            let tags = Tags::open(&path).expect("opens");
            let rest: &[Tag] = if cut == 0 { &[Tag::Pinned] } else { &[Tag::Round(3), Tag::Pinned] };
            assert!(tags.of(a).iter().eq(rest), "{cut}");
            assert_eq!(tags.last_round(), Some(7));
        }
        let mut tags = Tags::open(&path).expect("opens");
        tags.clear(b).expect("writes");
        drop(tags);
        assert_eq!(Tags::open(&path).expect("opens").last_round(), Some(3));
    }
}
