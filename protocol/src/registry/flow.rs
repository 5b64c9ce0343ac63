//! Acceptance by vouches (skeleton until the flow branch is merged).
use std::collections::BTreeSet;

use chorus_crypto::{sign::PublicKey, wire_struct};

/// Rules.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Vouching {
    /// Seeds.
    #[serde(skip)]
    pub seeds: Vec<SeedGroup>,
    /// t.
    pub tolerated: u8,
    /// Capacities.
    pub capacities: Vec<u16>,
    /// q.
    pub min_vouches: u8,
    /// Stock.
    pub stock: u16,
    /// Rate.
    pub interval_millis: u64,
    /// Expiry.
    pub expiry_millis: u64,
    /// Penalty.
    pub penalty_millis: u64,
}
wire_struct!(Vouching { seeds[16], tolerated, capacities[16], min_vouches, stock, interval_millis, expiry_millis, penalty_millis });

/// Group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeedGroup {
    /// Keys.
    pub keys: Vec<PublicKey>,
}
wire_struct!(SeedGroup { keys[1024] });

/// Error.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("vouching")]
pub struct VouchingError;

impl Vouching {
    /// Returns whether somebody is a seed.
    pub fn is_seed(&self, key: &PublicKey) -> bool {
        self.seeds.iter().any(|group| group.keys.binary_search(key).is_ok())
    }

    /// Checks.
    pub fn validate(&self) -> Result<(), VouchingError> {
        Ok(())
    }
}

/// Accepted.
pub fn accepted(_: &Vouching, _: &BTreeSet<(PublicKey, PublicKey)>) -> BTreeSet<PublicKey> {
    BTreeSet::new()
}
