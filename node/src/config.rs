//! The data directory: what a node keeps, and where.
//!
//! ```text
//! keystore        signing key, transport key and the first leaf, under a passphrase
//! leaves          the person's leaves, under a key derived from the signing key
//! config.toml     what has been chosen: level, participation, evidence, profile, network
//! cases.json      what models say to prompts that the community cites, before and after
//! attester/       what an attester keeps: keyed tags of clients, codes, counts
//! community       the invitation this node joined with, as text
//! ballots/        own contributions on their way to the log: <round>/<sequence>
//! signed          there once the node has run as an operator: its journal must be there from then on
//! node/           log, journal, bodies and private parts, kept by the driver
//! api.token       what a client must show, readable by the owner alone
//! api.address     where the running node listens; gone when it has stopped
//! ```

pub mod invite;
pub mod profile;
pub mod quantity;
pub mod settings;
pub mod token;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chorus_protocol::config::{Genesis, GenesisError};

use self::{
    invite::Invite,
    token::{TextForm as _, TokenError},
};
use crate::store::files;

/// The most bytes of the file that holds the invitation.
const MAX_COMMUNITY_BYTES: u64 = 512 * 1024;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody said where, and the environment has no home directory.
    #[error("no data directory: give --data-dir, or set CHORUS_DATA_DIR")]
    NoDirectory,
    /// The directory cannot be made or read.
    #[error("cannot use {path}")]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The node belongs to no community yet.
    #[error("no community in {0}: found one with `chorus community create`, or `chorus join INVITE`")]
    NoCommunity(PathBuf),
    /// The node belongs to a community already, and its log is in the directory.
    #[error("{0} belongs to a community already: use another --data-dir for another community")]
    OtherCommunity(PathBuf),
    /// The file that names the community is damaged.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TokenError,
    },
    /// The file of settings is not understood.
    #[error("{path} is not understood: {why}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A variable of the environment is not understood.
    #[error("the variable {variable} is not understood: {why}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong.
        why: String,
    },
    /// The founding document is not valid.
    #[error("the founding document is not valid")]
    Genesis(#[from] GenesisError),
}

/// The directory in which a node keeps everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Returns the directory at `root`, whether or not it exists.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the directory that is used if nobody names one: `chorus` among the user's application data.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::NoDirectory`] if the environment names no home.
    pub fn usual() -> Result<Self, ConfigError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
        data.map(|data| Self::new(data.join("chorus"))).ok_or(ConfigError::NoDirectory)
    }

    /// Makes the directory, for its owner alone.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Io`].
    pub fn create(&self) -> Result<(), ConfigError> {
        create_private(&self.root)
    }

    /// Returns the directory's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the keystore.
    pub fn keystore(&self) -> PathBuf {
        self.root.join("keystore")
    }

    /// Returns the path of the person's leaves.
    pub fn leaves(&self) -> PathBuf {
        self.root.join("leaves")
    }

    /// Returns the path of the settings.
    pub fn settings(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Returns the path of what the person keeps of their own votes.
    pub fn diary(&self) -> PathBuf {
        self.root.join("diary.json")
    }

    /// Returns the directory of own adapters.
    pub fn adapters(&self) -> PathBuf {
        self.root.join("adapters")
    }

    /// Returns the path of what models say to the prompts that the community cites.
    pub fn cases(&self) -> PathBuf {
        self.root.join("cases.json")
    }

    /// Returns the directory of what an attester keeps.
    pub fn attester(&self) -> PathBuf {
        self.root.join("attester")
    }

    /// Returns the path of the invitation that names the community.
    pub fn community(&self) -> PathBuf {
        self.root.join("community")
    }

    /// Returns the directory of own contributions on their way.
    pub fn ballots(&self) -> PathBuf {
        self.root.join("ballots")
    }

    /// Returns the directory that the driver keeps.
    pub fn node(&self) -> PathBuf {
        self.root.join("node")
    }

    /// Returns the path of the file that says that the key has been used as an operator's.
    pub fn signed(&self) -> PathBuf {
        self.root.join("signed")
    }

    /// Returns the path of the token of the local interface.
    pub fn api_token(&self) -> PathBuf {
        self.root.join("api.token")
    }

    /// Returns the path of the address of the local interface.
    pub fn api_address(&self) -> PathBuf {
        self.root.join("api.address")
    }

    /// Reads which community this is, and where its nodes are.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::NoCommunity`] before one was founded or joined.
    pub fn read_community(&self) -> Result<Invite, ConfigError> {
        let path = self.community();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_COMMUNITY_BYTES => {
                return Err(ConfigError::Damaged { path, source: TokenError::TooLong });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::NoCommunity(self.root.clone()));
            }
            Err(source) => return Err(ConfigError::Io { path, source }),
        }
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Io { path: path.clone(), source })?;
        let invite = Invite::from_text(&text).map_err(|source| ConfigError::Damaged { path, source })?;
        invite.genesis.validate()?;
        Ok(invite)
    }

    /// Writes which community this is. New addresses of the same community replace the old ones.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::OtherCommunity`] rather than forget another community.
    pub fn write_community(&self, invite: &Invite) -> Result<(), ConfigError> {
        invite.genesis.validate()?;
        match self.read_community() {
            Ok(known) if known.genesis.id() != invite.genesis.id() => {
                return Err(ConfigError::OtherCommunity(self.root.clone()));
            }
            Ok(_) | Err(ConfigError::NoCommunity(_)) => {}
            Err(error) => return Err(error),
        }
        self.create()?;
        let path = self.community();
        let text = invite.to_text() + "\n";
        files::replace(&path, "community", text.as_bytes()).map_err(|source| ConfigError::Io { path, source })
    }

    /// Returns the community's founding document.
    ///
    /// # Errors
    ///
    /// As [`read_community`](Self::read_community).
    pub fn genesis(&self) -> Result<Genesis, ConfigError> {
        Ok(self.read_community()?.genesis)
    }
}

/// Makes a directory and those above it, for the owner alone.
pub(crate) fn create_private(path: &Path) -> Result<(), ConfigError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
