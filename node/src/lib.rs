//! Chorus.

pub mod keystore;
pub mod network;
pub mod store;
