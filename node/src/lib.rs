//! Chorus.

pub mod polis;
