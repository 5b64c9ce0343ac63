//! Invite codes: 128 random bits that admit one person, handed over by whatever way people trust.

use core::fmt;
use std::{collections::BTreeMap, path::Path};

use chorus_crypto::{hash::Digest, sign::PublicKey};
use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::{DeskError, records::Records};

/// Codes that can be made at once.
pub const MAX_CODES_AT_ONCE: usize = 1_000;

const CODE_LEN: usize = 16;
const ISSUED: u8 = 1;
const SPENT: u8 = 2;

/// An invite code. Whoever has it is admitted; wiped when dropped, never printed by accident.
#[derive(Clone, Eq, PartialEq)]
pub struct Code([u8; CODE_LEN]);

impl Code {
    /// Reads a code as people type it: capital or small letters, with or without hyphens.
    ///
    /// # Errors
    ///
    /// Returns [`DeskError::NoCode`].
    pub fn parse(text: &str) -> Result<Self, DeskError> {
        let plain = |c: &char| !c.is_whitespace() && *c != '-';
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(plain).collect());
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| DeskError::NoCode)?;
        Ok(Self(Zeroizing::new(bytes).as_slice().try_into().map_err(|_| DeskError::NoCode)?))
    }

    /// Returns the code as text.
    pub fn to_text(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

/// What is known of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodeState {
    /// It is none of this attester's.
    Unknown,
    /// Nobody has been admitted with it.
    Unspent,
    /// Somebody has.
    Spent(PublicKey),
}

/// The codes of an attester, as keyed hashes.
pub(super) struct Codes {
    key: Zeroizing<[u8; 32]>,
    records: Records<65>,
    known: BTreeMap<Digest, CodeState>,
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Codes {
    pub(super) fn open(path: &Path, key: Zeroizing<[u8; 32]>) -> Result<Self, DeskError> {
        let (records, entries) = Records::open(path)?;
        let mut known = BTreeMap::new();
        for entry in entries {
            let (state, code, spent_for) = parts(&entry);
            let state = match state {
                ISSUED => CodeState::Unspent,
                SPENT => CodeState::Spent(spent_for),
                _ => return Err(DeskError::Damaged(path.to_owned())),
            };
            known.insert(code, state);
        }
        Ok(Self { key, records, known })
    }

    fn hash(&self, code: &Code) -> Digest {
        *blake3::keyed_hash(&self.key, &code.0).as_bytes()
    }

    pub(super) fn issue(&mut self, count: usize, rng: &mut impl CryptoRng) -> Result<Vec<Code>, DeskError> {
        let draw = |_| {
            let mut code = Code([0; CODE_LEN]);
            rng.fill_bytes(&mut code.0);
            code
        };
        let codes: Vec<Code> = (0..count.min(MAX_CODES_AT_ONCE)).map(draw).collect();
        let hashes: Vec<Digest> = codes.iter().map(|code| self.hash(code)).collect();
        let nobody = PublicKey::from([0; 32]);
        let entries: Vec<[u8; 65]> = hashes.iter().map(|hash| entry(ISSUED, hash, &nobody)).collect();
        self.records.append_all(&entries)?;
        self.known.extend(hashes.into_iter().map(|hash| (hash, CodeState::Unspent)));
        Ok(codes)
    }

    pub(super) fn state(&self, code: &Code) -> CodeState {
        self.known.get(&self.hash(code)).copied().unwrap_or(CodeState::Unknown)
    }

    /// Spends an unspent code; one that is spent for the same key stays so.
    pub(super) fn spend(&mut self, code: &Code, key: &PublicKey) -> Result<(), DeskError> {
        let hash = self.hash(code);
        match self.known.get(&hash) {
            Some(CodeState::Unspent) => {
                self.records.append(&entry(SPENT, &hash, key))?;
                self.known.insert(hash, CodeState::Spent(*key));
                Ok(())
            }
            Some(CodeState::Spent(by)) if by == key => Ok(()),
            Some(CodeState::Spent(_) | CodeState::Unknown) | None => Err(DeskError::NoCode),
        }
    }
}

fn entry(state: u8, code: &Digest, key: &PublicKey) -> [u8; 65] {
    let mut entry = [state; 65];
    let (_, rest) = entry.split_at_mut(1);
    let (front, back) = rest.split_at_mut(32);
    front.copy_from_slice(code);
    back.copy_from_slice(key.as_bytes());
    entry
}

fn parts(entry: &[u8; 65]) -> (u8, Digest, PublicKey) {
    let [state, rest @ ..] = entry;
    let (code, key) = rest.split_at(32);
    let half = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("half of 64");
    (*state, half(code), half(key).into())
}
