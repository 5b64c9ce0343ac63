//! The keystore: a node's long-lived secrets in one encrypted file.
//!
//! ```text
//! header    magic (8) · protection (1) · Argon2id memory KiB, passes, lanes (4 each) · salt (16) · nonce (24)
//! contents  length (4) · XChaCha20-Poly1305 of the secrets, the header being associated data
//! checksum  H(all before) (32)
//! ```
//!
//! The key is Argon2id of the passphrase, under the cost recorded in the file, hashed under the keystore's label. An
//! *unprotected* file has the same shape with a key that anybody can compute: it keeps the secrets whole, not secret, and
//! exists only where the caller wrote [`Protection::Unprotected`].
//!
//! The checksum is no part of the security. It tells an unlucky disk from a wrong passphrase, which the cipher cannot:
//! its one tag fails alike for both. So [`KeystoreError::Damaged`] means the bytes changed by accident, and
//! [`KeystoreError::WrongPassphrase`] that they are as they were written but this passphrase does not open them, or that
//! somebody changed them on purpose and mended the checksum. In neither case does anything of the contents come out.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use chorus_crypto::{
    codec::{Decode as _, Encode as _, Reader, put_bytes, put_count},
    domain, hash,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::store::files;

#[cfg(test)]
mod tests;

/// Bytes of one secret.
pub const MAX_SECRET_BYTES: usize = 4096;
/// Secrets in one keystore: three that every node has, and room for those of its roles.
pub const MAX_SECRETS: usize = 64;
/// Bytes of a secret's name.
pub const MAX_NAME_BYTES: usize = 64;

const PURPOSE: &str = "keystore";
const MAGIC: [u8; 8] = *b"CHORUSK1";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const HEADER_LEN: usize = 8 + 1 + 3 * 4 + SALT_LEN + NONCE_LEN;
const CHECKSUM_LEN: usize = 32;
const TAG_LEN: usize = 16;
const MAX_CONTENTS: usize = 4 + MAX_SECRETS * (4 + MAX_NAME_BYTES + 4 + MAX_SECRET_BYTES) + TAG_LEN;
const MAX_FILE_BYTES: usize = HEADER_LEN + 4 + MAX_CONTENTS + CHECKSUM_LEN;

/// What a file may make this node spend on a passphrase: 1 GiB, as much as a small machine has to give.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Passes over that memory, and lanes: beyond these, opening would take minutes.
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// Why a keystore was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// There is no keystore.
    #[error("no keystore at {0}: `chorus init` makes one")]
    Missing(PathBuf),
    /// There is one already; its keys would be lost.
    #[error("a keystore exists at {0}, and stays as it is: use another --data-dir for other keys")]
    Exists(PathBuf),
    /// The file is not what was written: restore a backup.
    #[error("the keystore is damaged: {0}")]
    Damaged(&'static str),
    /// The passphrase does not open the file, or somebody changed the file on purpose.
    #[error("the passphrase does not open the keystore")]
    WrongPassphrase,
    /// The file is unprotected and a passphrase was given, or the other way round.
    #[error("the keystore's protection is another: passphrase needed: {needs_passphrase}")]
    OtherProtection {
        /// Whether the file needs a passphrase.
        needs_passphrase: bool,
    },
    /// No protection must be asked for by name, not by an empty passphrase.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A secret, its name or their number is over its bound.
    #[error("{what} over the bound {bound}")]
    OverBound {
        /// What is.
        what: &'static str,
        /// The bound.
        bound: usize,
    },
    /// A secret that every node needs is not in the file, or has another length.
    #[error("the keystore has no usable secret named {0}")]
    NoSecret(&'static str),
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

/// What Argon2id spends on a passphrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// RFC 9106, second recommended option, with one lane since nobody waits for a login here: 64 MiB, 3 passes.
    pub const STANDARD: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// As little as Argon2id can do. For tests and demonstrations only: it slows nobody down who guesses.
    pub const TEST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// A passphrase, wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").finish_non_exhaustive()
    }
}

/// What protects the file.
#[derive(Clone, Debug)]
pub enum Protection {
    /// A passphrase. The cost is used for writing; reading uses the file's.
    Passphrase(Passphrase, Cost),
    /// Nothing but the file's permissions: whoever can read the file has the keys.
    Unprotected,
}

/// Named secrets, bounded in number and size, wiped when dropped.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secrets(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl Secrets {
    /// Returns a secret.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|secret| secret.as_slice())
    }

    /// Adds a secret, or replaces the one of that name.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::OverBound`] if it, its name or the number of secrets is over its bound.
    pub fn insert(&mut self, name: &str, secret: Zeroizing<Vec<u8>>) -> Result<(), KeystoreError> {
        let check = |what, found, bound| {
            if found > bound { Err(KeystoreError::OverBound { what, bound }) } else { Ok(()) }
        };
        check("bytes of a secret's name", name.len(), MAX_NAME_BYTES)?;
        check("bytes of a secret", secret.len(), MAX_SECRET_BYTES)?;
        check("secrets", self.0.len() + usize::from(!self.0.contains_key(name)), MAX_SECRETS)?;
        self.0.insert(name.to_owned(), secret);
        Ok(())
    }

    /// Removes a secret, and returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Returns the names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // All of it is reserved beforehand: a vector that grows leaves copies behind.
        let length = self.0.iter().map(|(name, secret)| 8 + name.len() + secret.len()).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 + length));
        put_count(&mut bytes, self.0.len());
        for (name, secret) in &self.0 {
            put_bytes(&mut bytes, name.as_bytes());
            put_bytes(&mut bytes, secret);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let mut secrets = Self::default();
        for _ in 0..input.count(MAX_SECRETS).ok()? {
            let name = input.text(MAX_NAME_BYTES).ok()?;
            let secret = input.bytes(MAX_SECRET_BYTES).ok()?;
            secrets.insert(&name, Zeroizing::new(secret.to_vec())).ok()?;
        }
        input.finish().ok()?;
        Some(secrets)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("number", &self.0.len()).finish_non_exhaustive()
    }
}

/// The secrets that every node has, and whatever else its keystore holds.
#[derive(Clone, Eq, PartialEq)]
pub struct Keys {
    /// The seed of the key that signs.
    pub signing: Zeroizing<[u8; 32]>,
    /// The seed of the key of the node's connections. It is another one, so that an address on the network says nothing
    /// about who signs.
    pub transport: Zeroizing<[u8; 32]>,
    /// The opening of the person's leaf, in the encoding of its own module; empty before there is one.
    pub leaf: Zeroizing<Vec<u8>>,
    /// Further secrets. The names `signing`, `transport` and `leaf` are taken.
    pub other: Secrets,
}

impl Keys {
    const SIGNING: &str = "signing";
    const TRANSPORT: &str = "transport";
    const LEAF: &str = "leaf";

    /// Draws fresh keys, without a leaf.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut draw = || {
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(seed.as_mut_slice());
            seed
        };
        Self { signing: draw(), transport: draw(), leaf: Zeroizing::default(), other: Secrets::default() }
    }

    /// Writes the keys to a new file.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Exists`] rather than replace one.
    pub fn create(&self, path: &Path, protection: &Protection, rng: &mut impl CryptoRng) -> Result<(), KeystoreError> {
        if path.try_exists()? {
            return Err(KeystoreError::Exists(path.to_owned()));
        }
        self.replace(path, protection, rng)
    }

    /// Writes the keys in the place of those that are there: whatever happens, the file holds the old or the new ones.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::EmptyPassphrase`] or [`KeystoreError::OverBound`] before anything is written.
    pub fn replace(&self, path: &Path, protection: &Protection, rng: &mut impl CryptoRng) -> Result<(), KeystoreError> {
        let file = seal(&self.to_secrets()?, protection, rng)?;
        Ok(files::replace(path, PURPOSE, &file)?)
    }

    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::WrongPassphrase`] if the passphrase does not open the file, and
    /// [`KeystoreError::Damaged`] if the file is not what was written; see the module for how far these can be told apart.
    pub fn load(path: &Path, protection: &Protection) -> Result<Self, KeystoreError> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeystoreError::Missing(path.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Self::from_secrets(open(&bytes, protection)?)
    }

    /// Returns whether the file at `path` needs a passphrase, without opening it.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Damaged`] if it is no keystore.
    pub fn needs_passphrase(path: &Path) -> Result<bool, KeystoreError> {
        match Self::load(path, &Protection::Unprotected) {
            Ok(_) => Ok(false),
            Err(KeystoreError::OtherProtection { needs_passphrase }) => Ok(needs_passphrase),
            Err(error) => Err(error),
        }
    }

    fn to_secrets(&self) -> Result<Secrets, KeystoreError> {
        let mut secrets = self.other.clone();
        secrets.insert(Self::SIGNING, Zeroizing::new(self.signing.to_vec()))?;
        secrets.insert(Self::TRANSPORT, Zeroizing::new(self.transport.to_vec()))?;
        secrets.insert(Self::LEAF, self.leaf.clone())?;
        Ok(secrets)
    }

    fn from_secrets(mut secrets: Secrets) -> Result<Self, KeystoreError> {
        let mut take = |name| secrets.0.remove(name).ok_or(KeystoreError::NoSecret(name));
        let (signing, transport, leaf) = (take(Self::SIGNING)?, take(Self::TRANSPORT)?, take(Self::LEAF)?);
        let seed = |secret: &[u8], name| {
            let seed: Result<&[u8; 32], _> = secret.try_into();
            seed.map(|seed| Zeroizing::new(*seed)).map_err(|_| KeystoreError::NoSecret(name))
        };
        let (signing, transport) = (seed(&signing, Self::SIGNING)?, seed(&transport, Self::TRANSPORT)?);
        Ok(Self { signing, transport, leaf, other: secrets })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// What stands before the contents, in the clear and authenticated.
struct Header {
    /// `None` if the file is unprotected.
    cost: Option<Cost>,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

impl Header {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        MAGIC.encode(&mut bytes);
        self.cost.is_some().encode(&mut bytes);
        let cost = self.cost.unwrap_or(Cost { memory_kib: 0, passes: 0, lanes: 0 });
        [cost.memory_kib, cost.passes, cost.lanes].iter().for_each(|number| number.encode(&mut bytes));
        self.salt.encode(&mut bytes);
        self.nonce.encode(&mut bytes);
        bytes
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeystoreError> {
        let damaged = |_| KeystoreError::Damaged("the header is not one");
        if input.array().map_err(damaged)? != MAGIC {
            return Err(KeystoreError::Damaged("another format or version"));
        }
        let protected = bool::decode(input).map_err(damaged)?;
        let [memory_kib, passes, lanes] =
            [u32::decode(input), u32::decode(input), u32::decode(input)].map(|number| number.map_err(damaged));
        let cost = Cost { memory_kib: memory_kib?, passes: passes?, lanes: lanes? };
        let bounded = cost.memory_kib <= MAX_MEMORY_KIB && cost.passes <= MAX_PASSES && cost.lanes <= MAX_LANES;
        if !bounded {
            return Err(KeystoreError::Damaged("a cost that nobody asks for"));
        }
        let (salt, nonce) = (input.array().map_err(damaged)?, input.array().map_err(damaged)?);
        Ok(Self { cost: protected.then_some(cost), salt, nonce })
    }

    /// Returns the key for a file with this header.
    fn key(&self, protection: &Protection) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        let mut secret = Zeroizing::new([0; 32]);
        match (protection, self.cost) {
            (Protection::Unprotected, None) => {}
            (Protection::Passphrase(passphrase, _), Some(cost)) => {
                let refused = |_| KeystoreError::Damaged("a cost that Argon2id refuses");
                let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(passphrase.0.as_bytes(), &self.salt, secret.as_mut_slice())
                    .map_err(refused)?;
            }
            (_, cost) => return Err(KeystoreError::OtherProtection { needs_passphrase: cost.is_some() }),
        }
        Ok(Zeroizing::new(hash::digest_bytes(domain::KEYSTORE, secret.as_slice())))
    }
}

/// Returns the contents of a file with these secrets.
fn seal(secrets: &Secrets, protection: &Protection, rng: &mut impl CryptoRng) -> Result<Vec<u8>, KeystoreError> {
    let cost = match protection {
        Protection::Passphrase(passphrase, _) if passphrase.0.is_empty() => return Err(KeystoreError::EmptyPassphrase),
        Protection::Passphrase(_, cost) => Some(*cost),
        Protection::Unprotected => None,
    };
    let mut header = Header { cost, salt: [0; SALT_LEN], nonce: [0; NONCE_LEN] };
    rng.fill_bytes(&mut header.salt);
    rng.fill_bytes(&mut header.nonce);
    let key = header.key(protection)?;
    let mut file = header.to_bytes();
    let payload = Payload { msg: &secrets.to_bytes(), aad: &associated(&file) };
    let contents = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::from(header.nonce), payload)
        .expect("the contents are far shorter than what the cipher takes");
    put_bytes(&mut file, &contents);
    let checksum = hash::digest_bytes(domain::KEYSTORE, &file);
    checksum.encode(&mut file);
    Ok(file)
}

/// Returns the secrets in a file.
fn open(file: &[u8], protection: &Protection) -> Result<Secrets, KeystoreError> {
    let (content, checksum) =
        file.split_last_chunk::<CHECKSUM_LEN>().ok_or(KeystoreError::Damaged("it is too short"))?;
    let mut input = Reader::new(content);
    let header = Header::read(&mut input)?;
    if hash::digest_bytes(domain::KEYSTORE, content) != *checksum {
        return Err(KeystoreError::Damaged("the checksum differs"));
    }
    let sealed = input.bytes(MAX_CONTENTS).map_err(|_| KeystoreError::Damaged("the contents are not there"))?;
    input.finish().map_err(|_| KeystoreError::Damaged("it is too long"))?;
    let key = header.key(protection)?;
    let payload = Payload { msg: sealed, aad: &associated(&header.to_bytes()) };
    let secrets = XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::from(header.nonce), payload)
        .map_err(|_| KeystoreError::WrongPassphrase)?;
    Secrets::from_bytes(&Zeroizing::new(secrets)).ok_or(KeystoreError::Damaged("the contents are not secrets"))
}

/// Returns the associated data: the label, then the header.
fn associated(header: &[u8]) -> Vec<u8> {
    [domain::KEYSTORE.as_str().as_bytes(), header].concat()
}
