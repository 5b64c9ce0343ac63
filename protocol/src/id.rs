//! Identifiers: 32 bytes each, never mixed up, printed as lower-case hexadecimal.

/// A text is not the hexadecimal form of an identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, found {0:?}")]
pub struct ParseIdError(pub String);

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub struct $name([u8; Self::LEN]);

        impl $name {
            /// The length in bytes.
            pub const LEN: usize = 32;

            /// Thirty-two zeros, the id of nothing.
            pub const ZERO: Self = Self([0; Self::LEN]);
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8; 32]> for $name {
            fn as_ref(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex(text).map(Self).ok_or_else(|| ParseIdError(text.to_owned()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": concat!("A `", stringify!($name), "`: 32 bytes in hexadecimal."),
                    "type": "string",
                    "pattern": "^[0-9a-fA-F]{64}$",
                })
            }
        }

        impl chorus_crypto::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl chorus_crypto::codec::Decode for $name {
            fn decode(
                input: &mut chorus_crypto::codec::Reader<'_>,
            ) -> Result<Self, chorus_crypto::codec::DecodeError> {
                Ok(Self(input.array()?))
            }
        }
    )*};
}

identifiers! {
    /// A community: the digest of its genesis.
    CommunityId;
    /// A poll: the digest of its opening entry.
    PollId;
    /// A round: the digest of its plan.
    RoundId;
    /// A series of adapter rounds: the digest of its manifest.
    SeriesId;
    /// A body stored by content: its plain BLAKE3 hash (equal to its bao root).
    BlobId;
    /// A batch of the log.
    BatchId;
    /// A log entry: the digest of its signed bytes.
    EntryId;
    /// A node of the network, as its transport authenticates it. Says nothing about who runs it.
    NodeId;
    /// A sealed set: the digest of its contributions in order of their tags.
    SetId;
}

impl BlobId {
    /// Returns the id of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(chorus_crypto::hash::content(bytes))
    }
}

pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = BlobId::of(b"chorus");

        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("AB".parse::<BlobId>().is_err());
        assert!(id.to_string().to_uppercase().parse::<BlobId>().is_err());
    }
}
