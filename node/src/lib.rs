//! Chorus.

pub mod keystore;

pub mod store;
