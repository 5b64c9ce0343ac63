//! Text that people copy from one window to another: a name, a version, and one value, with a checksum.
//!
//! `chorus-invite-1-<base64url>`: the bytes are the canonical encoding of the value and then 8 bytes of the hash of
//! name, version and encoding. The checksum tells a slip of the mouse from a text that was meant; it is no signature.

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode},
    hash,
};
use data_encoding::BASE64URL_NOPAD;

/// Bytes of the checksum.
const CHECKSUM_LEN: usize = 8;

/// Why a text was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The text is something else.
    #[error("this is no {expected}: it does not begin with \"{prefix}\"")]
    Kind {
        /// What was expected.
        expected: &'static str,
        /// How it begins.
        prefix: String,
    },
    /// The text is longer than any text of its kind.
    #[error("it is too long")]
    TooLong,
    /// The text was cut or changed on its way.
    #[error("it is incomplete or was changed on its way: copy it again, whole and in one line")]
    Checksum,
    /// The text was made by another program, or on purpose.
    #[error("its contents make no sense")]
    Contents(#[from] DecodeError),
}

/// A value that can be handed on as text.
pub trait TextForm: Encode + Decode {
    /// What stands before the version: `chorus-…`.
    const NAME: &'static str;
    /// What people call it.
    const WHAT: &'static str;
    /// The version of the encoding.
    const VERSION: u32 = 1;
    /// The most bytes an encoding takes.
    const MAX_BYTES: usize;

    /// Returns the text.
    fn to_text(&self) -> String {
        let mut bytes = self.to_bytes();
        let checksum = checksum::<Self>(&bytes);
        bytes.extend_from_slice(&checksum);
        prefix::<Self>() + &BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads a text; blanks and line ends around it do not matter.
    ///
    /// # Errors
    ///
    /// Returns a [`TokenError`] that says whether to copy it again.
    fn from_text(text: &str) -> Result<Self, TokenError> {
        let prefix = prefix::<Self>();
        let digits =
            text.trim().strip_prefix(&prefix).ok_or(TokenError::Kind { expected: Self::WHAT, prefix })?.as_bytes();
        if digits.len() > BASE64URL_NOPAD.encode_len(Self::MAX_BYTES + CHECKSUM_LEN) {
            return Err(TokenError::TooLong);
        }
        let bytes = BASE64URL_NOPAD.decode(digits).map_err(|_| TokenError::Checksum)?;
        let (value, found) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(TokenError::Checksum)?;
        if checksum::<Self>(value) != *found {
            return Err(TokenError::Checksum);
        }
        Ok(Self::from_bytes(value)?)
    }
}

fn prefix<T: TextForm>() -> String {
    format!("{}-{}-", T::NAME, T::VERSION)
}

fn checksum<T: TextForm>(value: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = hash::content(&[prefix::<T>().as_bytes(), value].concat());
    *digest.first_chunk().expect("a digest is longer than a checksum")
}
