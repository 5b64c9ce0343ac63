//! Own contributions on their way to the log.
//!
//! A contribution is kept, durably, before it is sent, and the same bytes are sent until the log has them: a person whose
//! node stops in between must not say two things under one sequence number. What is kept is what the operators get: the
//! votes in it are masked, and the seeds of the masks sealed to the operators. It is deleted once the log has it, or once
//! the round is sealed without it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    contribution::Submission,
    id::RoundId,
    peer::{Command, Peer},
};
use tokio::sync::broadcast::error::RecvError;

use super::service::Person;
use crate::{config, driver::NodeHandle, store::files, vault};

/// What is added to the name of a file that holds a withdrawal.
const WITHDRAWAL: &str = "w";

/// How long the log may rest before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The contributions that are kept: by round and sequence number, whether it is a withdrawal.
type Index = BTreeMap<(RoundId, u8), bool>;

/// Own contributions on disk.
#[derive(Debug)]
pub struct Ballots {
    directory: PathBuf,
    index: Mutex<Index>,
    turn: tokio::sync::Mutex<()>,
}

impl Ballots {
    /// Opens the directory, and makes it if need be.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn open(directory: &Path) -> io::Result<Self> {
        config::create_private(directory).map_err(io::Error::other)?;
        let mut index = Index::new();
        for round in fs::read_dir(directory)? {
            let round = round?;
            let Some(id) = round.file_name().to_str().and_then(|name| name.parse::<RoundId>().ok()) else { continue };
            files::remove_unfinished(&round.path(), "ballot")?;
            for kept in fs::read_dir(round.path())? {
                if let Some((sequence, withdrawal)) = kept?.file_name().to_str().and_then(parse_name) {
                    index.insert((id, sequence), withdrawal);
                }
            }
        }
        Ok(Self { directory: directory.to_owned(), index: Mutex::new(index), turn: tokio::sync::Mutex::default() })
    }

    /// Waits until nobody else makes a contribution.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Returns the latest contribution to a round that is on its way: its sequence number, and whether it is a withdrawal.
    pub fn latest(&self, round: RoundId) -> Option<(u8, bool)> {
        let index = self.index();
        index
            .range((round, 0)..=(round, u8::MAX))
            .next_back()
            .map(|((_, sequence), withdrawal)| (*sequence, *withdrawal))
    }

    /// Keeps a contribution durably.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::AlreadyExists`] if another one has its number, or what the system says.
    pub fn keep(&self, round: RoundId, sequence: u8, withdrawal: bool, submission: &Submission) -> io::Result<()> {
        let mut index = self.index();
        if index.contains_key(&(round, sequence)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let path = self.path(round, sequence, withdrawal);
        config::create_private(files::parent(&path)).map_err(io::Error::other)?;
        files::sync_directory(&self.directory)?;
        files::replace(&path, "ballot", &submission.to_bytes())?;
        index.insert((round, sequence), withdrawal);
        Ok(())
    }

    /// Returns the contributions that are kept.
    pub fn list(&self) -> Vec<(RoundId, u8)> {
        self.index().keys().copied().collect()
    }

    /// Reads a contribution.
    ///
    /// # Errors
    ///
    /// Returns what the system says, or [`io::ErrorKind::InvalidData`] if the file is damaged.
    pub fn read(&self, round: RoundId, sequence: u8) -> io::Result<Submission> {
        let withdrawal = self.index().get(&(round, sequence)).copied().ok_or(io::ErrorKind::NotFound)?;
        let bytes = fs::read(self.path(round, sequence, withdrawal))?;
        Submission::from_bytes(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Deletes a contribution.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn forget(&self, round: RoundId, sequence: u8) -> io::Result<()> {
        let mut index = self.index();
        if let Some(withdrawal) = index.remove(&(round, sequence)) {
            fs::remove_file(self.path(round, sequence, withdrawal))?;
        }
        if index.range((round, 0)..=(round, u8::MAX)).next().is_none() {
            // Not empty if a crash left an unfinished file, which goes when the node starts again.
            let _ = fs::remove_dir(self.directory.join(round.to_string()));
        }
        files::sync_directory(&self.directory)
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        // A panic cannot leave the map half changed.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, round: RoundId, sequence: u8, withdrawal: bool) -> PathBuf {
        let suffix = if withdrawal { WITHDRAWAL } else { "" };
        self.directory.join(round.to_string()).join(format!("{sequence:02}{suffix}"))
    }
}

fn parse_name(name: &str) -> Option<(u8, bool)> {
    let (digits, withdrawal) = name.strip_suffix(WITHDRAWAL).map_or((name, false), |digits| (digits, true));
    Some((digits.parse().ok()?, withdrawal))
}

/// What is to be done with a contribution that is kept.
enum Fate {
    /// The log is not that far yet.
    Wait,
    /// It is to be sent.
    Send,
    /// The log has it, or will never have it.
    Done,
}

/// Sends what is kept, and deletes what the log has settled, for as long as the node runs.
pub(super) async fn tend(ballots: Arc<Ballots>, node: NodeHandle, person: Arc<Person>) {
    let mut notices = node.notices();
    let mut sent = BTreeSet::new();
    loop {
        if follow(&node, &person).await.is_err() || settle(&ballots, &node, &person, &mut sent).await.is_err() {
            return;
        }
        match tokio::time::timeout(LOOK_AGAIN, notices.recv()).await {
            Ok(Err(RecvError::Closed)) => return,
            Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
        }
    }
}

/// Lets the person's leaves follow the log.
pub(super) async fn follow(node: &NodeHandle, person: &Person) -> Result<(), crate::driver::NodeError> {
    let key = person.key.public();
    let look = move |peer: &Peer| {
        let registered = peer.ledger().registry().person(&key)?.claim.leaf;
        Some((registered, vault::pinned(peer.ledger())))
    };
    if let Some((registered, pinned)) = node.view_durably(look).await?
        && let Err(error) = person.vault.settle(&registered, &pinned)
    {
        tracing::warn!(%error, "the leaves cannot be written");
    }
    Ok(())
}

async fn settle(
    ballots: &Ballots,
    node: &NodeHandle,
    person: &Arc<Person>,
    sent: &mut BTreeSet<(RoundId, u8)>,
) -> Result<(), crate::driver::NodeError> {
    let kept = ballots.list();
    if kept.is_empty() {
        return Ok(());
    }
    let who = person.clone();
    // What is deleted is on the log as it is on the disk.
    let fates = node
        .view_durably(move |peer| {
            kept.into_iter()
                .map(|(round, number)| ((round, number), fate(peer, &who, round, number)))
                .collect::<Vec<_>>()
        })
        .await?;
    for (key, fate) in fates {
        let (round, sequence) = key;
        match fate {
            Fate::Wait => {}
            Fate::Send if sent.contains(&key) => {}
            Fate::Send => match ballots.read(round, sequence) {
                Ok(submission) => {
                    node.command(Command::Contribute(submission)).await?;
                    sent.insert(key);
                }
                Err(error) => tracing::warn!(%round, %error, "a contribution that was kept cannot be read"),
            },
            Fate::Done => {
                if let Err(error) = ballots.forget(round, sequence) {
                    tracing::warn!(%round, %error, "a contribution that is on the log cannot be deleted");
                }
            }
        }
    }
    Ok(())
}

fn fate(peer: &Peer, person: &Person, round: RoundId, sequence: u8) -> Fate {
    let Some(round) = peer.ledger().rounds().get(&round) else { return Fate::Wait };
    let Some(manifest) = &round.manifest else { return Fate::Wait };
    let Some(leaf) = person.vault.in_snapshot(&manifest.snapshot) else {
        // Leaves that an unfinished round pins are kept.
        return if round.sealed.is_some() { Fate::Done } else { Fate::Wait };
    };
    let tag = leaf.tag(&manifest.scope);
    let logged = round.contributions.get(&tag).is_some_and(|attempts| attempts.contains_key(&sequence));
    if logged || round.sealed.is_some() { Fate::Done } else { Fate::Send }
}
