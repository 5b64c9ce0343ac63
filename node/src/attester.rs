//! An attester's desk: whom this attester has admitted, and on what evidence.
//!
//! ```text
//! attester/clients   keyed tag of a subject (32) · the key it was used for (32), one record for each
//! attester/codes     issued or spent (1) · keyed hash of a code (32) · the key it was spent for (32)
//! attester/counts    how many people were checked for each value of each attribute, as JSON
//! ```
//!
//! Everybody may be admitted once by each honest attester: that is what makes k of n attesters admit nobody twice. So an
//! attester must recognise its clients, but needs no list of them: it keeps a keyed hash of what identifies somebody, and
//! nothing from which that could be read. Whoever steals the files *and* the signing key, from which the keys of the hashes
//! are derived, can try out guesses.
//!
//! Records are durable before the attestation that depends on them leaves the node. A record that a crash cut off was never
//! acted on, and is dropped.

mod codes;
mod counts;
pub mod evidence;
pub mod hook;
mod records;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use chorus_crypto::{
    codec::Encode as _,
    domain::{self, Domain},
    hash::{self, Digest},
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::id::CommunityId;
use zeroize::Zeroizing;

pub use self::codes::{Code, CodeState, MAX_CODES_AT_ONCE};
use self::{codes::Codes, counts::Counts, records::Records};
use crate::config;

#[cfg(test)]
mod tests;

/// Bytes of what identifies somebody.
pub const MAX_SUBJECT_BYTES: usize = 1024;

/// Why an attester does not admit somebody, or cannot keep its books.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// What identifies somebody is empty, too long, or has control characters.
    #[error("a subject is a text of 1 to {MAX_SUBJECT_BYTES} bytes without control characters")]
    Subject,
    /// The same person has been attested with another key.
    #[error(
        "you attested the same person with another key before, {0}: if that one is lost, the request must be made with --recovers {0}"
    )]
    Known(PublicKey),
    /// A recovery of a key that this attester never attested for this person.
    #[error("you have never attested this person with the key {0}, so you cannot say that it is theirs to recover")]
    NotTheirs(PublicKey),
    /// A recovery, and nothing that identifies the person.
    #[error("a recovery needs --subject: what identified the person when you attested the lost key")]
    Nameless,
    /// The text is no invite code.
    #[error("this is no invite code")]
    NoCode,
    /// The books are damaged.
    #[error("{0} is damaged: restore a copy of it, for without it people can be admitted twice")]
    Damaged(PathBuf),
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

/// What identifies somebody, as a keyed hash. The text is not kept anywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct ClientTag([u8; 32]);

/// What became of a key that was attested before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is the person's.
    Stands,
    /// It never took over from another, or its owner left: it is nobody's now.
    Void,
    /// Another key took over from it.
    Succeeded(PublicKey),
}

/// How somebody stands with an attester.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acquaintance {
    /// Not seen before.
    New,
    /// Attested before, with the same key.
    Renewed,
    /// Attested before, with the key that is to be recovered.
    Recovering,
}

/// Where the keys of an attester's hashes come from.
pub(crate) fn derived_key(label: Domain, owner: &SecretKey, community: CommunityId) -> Zeroizing<[u8; 32]> {
    let mut material = Zeroizing::new(Vec::with_capacity(64));
    material.extend_from_slice(owner.to_seed().as_slice());
    community.encode(&mut material);
    Zeroizing::new(hash::digest_bytes(label, &material))
}

/// An attester's books.
#[derive(Debug)]
pub struct Desk {
    tags: TagKey,
    clients: Records<64>,
    /// The keys that each subject was attested with, in order.
    keys: BTreeMap<Digest, Vec<PublicKey>>,
    codes: Codes,
    counts: Counts,
}

struct TagKey(Zeroizing<[u8; 32]>);

impl core::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TagKey").finish_non_exhaustive()
    }
}

impl Desk {
    /// Opens the books in `directory`, which is made if need be.
    ///
    /// # Errors
    ///
    /// Returns [`DeskError::Damaged`] if a record other than the last one is not what was written.
    pub fn open(directory: &Path, owner: &SecretKey, community: CommunityId) -> Result<Self, DeskError> {
        config::create_private(directory).map_err(io::Error::other)?;
        let (clients, known) = Records::<64>::open(&directory.join("clients"))?;
        let mut keys = BTreeMap::<Digest, Vec<PublicKey>>::new();
        for record in known {
            let (tag, key) = record.split_at(32);
            let (tag, key) = (tag.try_into().expect("half of 64"), <[u8; 32]>::try_from(key).expect("half of 64"));
            keys.entry(tag).or_default().push(key.into());
        }
        Ok(Self {
            tags: TagKey(derived_key(domain::CLIENT_TAG, owner, community)),
            clients,
            keys,
            codes: Codes::open(&directory.join("codes"), derived_key(domain::INVITE_CODE, owner, community))?,
            counts: Counts::open(&directory.join("counts"))?,
        })
    }

    /// Returns the tag of what identifies somebody. Blanks around it and the case of letters make no difference.
    ///
    /// # Errors
    ///
    /// Returns [`DeskError::Subject`].
    pub fn tag(&self, subject: &str) -> Result<ClientTag, DeskError> {
        let subject = Zeroizing::new(normalised(subject));
        if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
            return Err(DeskError::Subject);
        }
        Ok(ClientTag(*blake3::keyed_hash(&self.tags.0, subject.as_bytes()).as_bytes()))
    }

    /// Checks that a person may be attested with `key`, which may recover another.
    ///
    /// # Errors
    ///
    /// Returns [`DeskError::Known`] or [`DeskError::NotTheirs`].
    pub fn check(
        &self,
        tag: &ClientTag,
        key: &PublicKey,
        recovers: Option<&PublicKey>,
        fate: impl Fn(&PublicKey) -> Fate,
    ) -> Result<Acquaintance, DeskError> {
        let known = self.keys.get(&tag.0).map(Vec::as_slice).unwrap_or_default();
        let theirs = known.iter().rev().find_map(|known| standing(known, &fate));
        match (theirs, recovers) {
            (None, None) => Ok(Acquaintance::New),
            (Some(theirs), _) if theirs == *key => Ok(Acquaintance::Renewed),
            (Some(theirs), Some(lost)) if theirs == *lost => Ok(Acquaintance::Recovering),
            (Some(theirs), None) => Err(DeskError::Known(theirs)),
            (_, Some(lost)) => Err(DeskError::NotTheirs(*lost)),
        }
    }

    /// Notes, durably, that a person is attested with `key`.
    ///
    /// # Errors
    ///
    /// Returns that the disk failed.
    pub fn note(&mut self, tag: &ClientTag, key: &PublicKey) -> Result<(), DeskError> {
        let keys = self.keys.entry(tag.0).or_default();
        if keys.last() != Some(key) {
            let mut record = [0; 64];
            let (front, back) = record.split_at_mut(32);
            front.copy_from_slice(&tag.0);
            back.copy_from_slice(key.as_bytes());
            self.clients.append(&record)?;
            keys.push(*key);
        }
        Ok(())
    }

    /// Makes invite codes; only their keyed hashes are kept.
    ///
    /// # Errors
    ///
    /// Returns that the disk failed.
    pub fn issue(&mut self, count: usize, rng: &mut impl rand_core::CryptoRng) -> Result<Vec<Code>, DeskError> {
        self.codes.issue(count, rng)
    }

    /// Returns what is known of an invite code.
    pub fn code(&self, code: &Code) -> CodeState {
        self.codes.state(code)
    }

    /// Spends a code for a key, durably.
    ///
    /// # Errors
    ///
    /// Returns that the disk failed.
    pub fn spend(&mut self, code: &Code, key: &PublicKey) -> Result<(), DeskError> {
        self.codes.spend(code, key)
    }

    /// Counts one more person with these values: (slot, value from 1).
    ///
    /// # Errors
    ///
    /// Returns that the disk failed.
    pub fn count(&mut self, values: &[(u8, u64)]) -> Result<(), DeskError> {
        self.counts.add(values)
    }

    /// Returns how many people were counted with value 1, 2, … `values` of a slot; numbers below `least` are zero.
    pub fn counts(&self, slot: u8, values: usize, least: u32) -> Vec<u32> {
        self.counts.of(slot, values).into_iter().map(|count| if count < least { 0 } else { count }).collect()
    }
}

/// Returns the key that a person has now who was attested with `key`; none if that is nobody's.
fn standing(key: &PublicKey, fate: &impl Fn(&PublicKey) -> Fate) -> Option<PublicKey> {
    let mut key = *key;
    // Successions have no circles on the log; the bound is for whoever calls with something else.
    for _ in 0..1_000 {
        match fate(&key) {
            Fate::Stands => return Some(key),
            Fate::Void => return None,
            Fate::Succeeded(by) => key = by,
        }
    }
    None
}

/// Returns a subject without blanks around it, in lower case.
pub(crate) fn normalised(subject: &str) -> String {
    subject.trim().to_lowercase()
}
