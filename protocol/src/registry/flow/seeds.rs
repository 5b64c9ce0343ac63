//! Seeds of one group.

use core::fmt;

use chorus_crypto::{sign::PublicKey, wire_struct};
use serde::de::Error as _;

use crate::{id::parse_hex, limits::MAX_SEEDS_PER_GROUP};

/// Seeds that may be corrupted together: the flow is computed without each such group in turn.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SeedGroup {
    /// Their keys, ascending.
    pub keys: Vec<PublicKey>,
}
wire_struct!(SeedGroup { keys[MAX_SEEDS_PER_GROUP] });

impl FromIterator<PublicKey> for SeedGroup {
    /// Collects keys and puts them in order.
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut keys: Vec<PublicKey> = keys.into_iter().collect();
        keys.sort_unstable();
        Self { keys }
    }
}

impl serde::Serialize for SeedGroup {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys.iter().map(ToString::to_string))
    }
}

impl schemars::JsonSchema for SeedGroup {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeedGroup".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Keys of seeds that may be corrupted together.",
            "type": "array",
            "items": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
            "maxItems": MAX_SEEDS_PER_GROUP,
        })
    }
}

impl<'de> serde::Deserialize<'de> for SeedGroup {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> serde::de::Visitor<'de> for Keys {
            type Value = SeedGroup;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_SEEDS_PER_GROUP} keys of 64 hexadecimal digits")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut texts: A) -> Result<SeedGroup, A::Error> {
                let mut keys = Vec::new();
                while let Some(text) = texts.next_element::<std::borrow::Cow<'de, str>>()? {
                    if keys.len() == MAX_SEEDS_PER_GROUP {
                        return Err(A::Error::invalid_length(keys.len() + 1, &self));
                    }
                    let bytes = parse_hex(&text)
                        .ok_or_else(|| A::Error::invalid_value(serde::de::Unexpected::Str(&text), &self))?;
                    keys.push(PublicKey::from(bytes));
                }
                Ok(SeedGroup { keys })
            }
        }
        deserializer.deserialize_seq(Keys)
    }
}
