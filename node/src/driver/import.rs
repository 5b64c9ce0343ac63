//! Taking in a log that somebody exported: into a new home, or into one whose log is behind.
//!
//! Two kinds of file are read: an audit bundle (`chorus export`), which has bodies too, and an export that a node has made
//! of its own store (`node/exports/log-…`). Neither is trusted. The log is checked from the founding document on, as a
//! verifier does: each decision follows from the one before, a quorum of the committee in office certified it, its entries keep
//! the rules. What the home has already must be the beginning of it, or it of that. Bodies are named by their hash.
//!
//! # Correctness
//!
//! Nothing is written before all decisions are checked, and then from the lowest height on: an import that is interrupted
//! leaves a shorter log, never one with a gap, and may be repeated.
//!
//! # Security
//!
//! An import adds decisions and bodies, and nothing else: no record of the journal and no mark of how far it had come is
//! changed. So an operator's journal that is behind stays noticed, and a log that is behind its journal as well. A home in
//! which no node has run gets a journal with the note that the key may have spoken up to the height that was imported, so that
//! an operator's key stays silent until the log has passed it (`peer::recovery`). Where the community can do without no
//! operator, that would be for ever; there the journal is left away, and a start as operator is refused.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use chorus_protocol::{
    audit::{self, Frame, FrameReader, LogCheck, VerifyError},
    config::Genesis,
    id::{BlobId, CommunityId},
    journal::{Record, RestoredRecord},
    log::{batch::Height, consensus::Decision},
};
use rand_core::CryptoRng;

use super::{
    NodeError,
    disk::{decided, is_fresh},
    log::{LogStore, Opened},
    private::create_private_dir,
    records::Records,
};
use crate::store::{
    blobs::{BlobError, BlobStore, Policy},
    journal::JournalError,
};

/// Where an export of a store is unpacked, in the node's folder.
const UNPACKED: &str = ".importing";

/// Why a log was not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// What is in the file does not verify: get it from somebody else. Nothing was taken in, unless it is a body: then the log
    /// was, and the bodies before that one.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The file is of another community.
    #[error("the file is of the community {found}, this home is of {expected}")]
    OtherCommunity {
        /// The community of this home.
        expected: CommunityId,
        /// That of the file.
        found: CommunityId,
    },
    /// Two certified logs: more operators than may be faulty have signed both. Nothing was taken in.
    #[error(
        "at height {0} the file has another batch than this home, and both are certified: operators have signed two logs. \
         Keep both, and ask them"
    )]
    Forked(Height),
    /// A body that the file's log does not name.
    #[error(
        "the file holds the body {0}, which its log does not name: the log was taken in, and the bodies before this one"
    )]
    Unnamed(BlobId),
    /// The node's folder cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Imported {
    /// The height of this home's log before.
    pub before: u64,
    /// Its height now.
    pub height: u64,
    /// The height of the log in the file.
    pub in_file: u64,
    /// The height that the journal tells of; an operator's log must come that far before it goes on.
    pub journal: u64,
    /// Bodies that are in the file.
    pub bodies: u64,
    /// Those for which this home has no room.
    pub no_room: u64,
}

/// Where a log goes.
#[derive(Debug)]
pub struct Home<'a> {
    /// The folder of the node.
    pub folder: &'a Path,
    /// The founding document.
    pub genesis: &'a Genesis,
    /// Bytes of public bodies that are kept.
    pub quota: u64,
    /// Whether its key has been used as an operator's.
    pub signed: bool,
}

/// Takes in what is in a file. `progress` is told of the heights that are checked. No node must run in the folder.
///
/// # Errors
///
/// Returns an [`ImportError`]; see there for what was taken in then.
pub fn import(
    home: &Home<'_>,
    path: &Path,
    rng: &mut impl CryptoRng,
    progress: &mut dyn FnMut(Height),
) -> Result<Imported, ImportError> {
    let refused = |source| ImportError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(refused)?;
    let mut magic = [0; audit::MAGIC.len()];
    let is_bundle = file.read_exact(&mut magic).map(|()| magic == audit::MAGIC);
    file.rewind().map_err(refused)?;
    create_private_dir(home.folder).map_err(NodeError::from)?;
    // Whoever holds the journal holds the folder. The log's is the second lock, where there is no journal.
    let records = match Records::open(&home.folder.join("journal")) {
        Err(NodeError::Journal(JournalError::Missing(_))) => None,
        opened => Some(opened?),
    };
    let fresh = records.is_none() && !home.signed && is_fresh(home.folder).map_err(ImportError::Node)?;
    let mut import = Import { home, check: LogCheck::new(home.genesis.clone())?, log: Vec::new(), progress };
    let mut bodies = None;
    match is_bundle {
        Ok(true) => bodies = Some(import.bundle(BufReader::new(file))?),
        Ok(false) | Err(_) => import.export(&mut file)?,
    }
    let mut imported = import.keep(records, fresh, rng)?;
    if let Some((reader, frame)) = bodies {
        import.keep_bodies(reader, frame, &mut imported)?;
    }
    Ok(imported)
}

/// An import under way.
struct Import<'a> {
    home: &'a Home<'a>,
    check: LogCheck,
    log: Vec<Decision>,
    progress: &'a mut dyn FnMut(Height),
}

type Bodies = (FrameReader<BufReader<File>>, Frame);

impl Import<'_> {
    /// Checks the log of a bundle, and returns what follows it.
    fn bundle(&mut self, input: BufReader<File>) -> Result<Bodies, ImportError> {
        let (mut reader, genesis) = FrameReader::new(input)?;
        let (expected, found) = (self.home.genesis.id(), genesis.id());
        if found != expected {
            return Err(ImportError::OtherCommunity { expected, found });
        }
        loop {
            match reader.next()? {
                Frame::Decision(decision) => self.take(*decision)?,
                frame @ (Frame::Blob(..) | Frame::End) => return Ok((reader, frame)),
            }
        }
    }

    /// Checks the log of an export, which is unpacked into a store of its own for that.
    fn export(&mut self, file: &mut File) -> Result<(), ImportError> {
        let folder = self.home.folder.join(UNPACKED);
        remove(&folder)?;
        let unpacked = Self::unpack(&folder, file);
        remove(&folder)?;
        unpacked?.into_iter().try_for_each(|decision| self.take(decision))
    }

    fn unpack(folder: &Path, file: &mut File) -> Result<Vec<Decision>, NodeError> {
        create_private_dir(folder)?;
        let Opened { log, .. } = LogStore::open(folder)?;
        log.import(file)?;
        log.decisions()
    }

    fn take(&mut self, decision: Decision) -> Result<(), ImportError> {
        self.check.push(&decision)?;
        (self.progress)(self.check.height());
        self.log.push(decision);
        Ok(())
    }

    /// Writes what the home's log lacks.
    fn keep(&self, records: Option<Records>, fresh: bool, rng: &mut impl CryptoRng) -> Result<Imported, ImportError> {
        let journal = match &records {
            Some(records) => decided(&records.load()?),
            None => 0,
        };
        if fresh && self.check.ledger().charter().sharing().faulty() > 0 {
            let mut records = Records::create(&self.home.folder.join("journal"), rng)?;
            let spoken = RestoredRecord { height: self.check.height(), current: false };
            records.append(&[Record::Restored(spoken)])?;
        }
        let Opened { log, decisions: known, .. } = LogStore::open(self.home.folder)?;
        for (had, has) in known.iter().zip(&self.log) {
            if had.batch.id() != has.batch.id() {
                return Err(ImportError::Forked(had.batch.height()));
            }
        }
        let new = self.log.get(known.len()..).unwrap_or_default();
        log.append(new).map_err(NodeError::from)?;
        Ok(Imported {
            before: known.len() as u64,
            height: (known.len() + new.len()) as u64,
            in_file: self.log.len() as u64,
            journal,
            ..Imported::default()
        })
    }

    /// Keeps the bodies.
    fn keep_bodies(
        &self,
        mut reader: FrameReader<BufReader<File>>,
        mut frame: Frame,
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let policy = Policy::keep_all(self.home.quota);
        let store = BlobStore::open(&self.home.folder.join("blobs"), policy).map_err(NodeError::from)?;
        while let Frame::Blob(id, bytes) = frame {
            if !self.check.names(&id) {
                return Err(ImportError::Unnamed(id));
            }
            imported.bodies += 1;
            match store.put(&bytes) {
                Ok(_) => {}
                Err(BlobError::QuotaExceeded { .. }) => imported.no_room += 1,
                Err(error) => return Err(NodeError::from(error).into()),
            }
            frame = reader.next()?;
        }
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<(), NodeError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
