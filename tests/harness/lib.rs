//! A community in one process: real peers over a virtual network, with virtual time, replayed from a seed.

pub mod adapters;
pub mod bundle;
pub mod cohorts;
pub mod community;
#[cfg(feature = "node")]
pub mod crash;
pub mod data;
#[cfg(feature = "node")]
pub mod flood;
pub mod fuzz;
pub mod history;
pub mod malice;
pub mod network;
pub mod offline;
pub mod published;
pub mod replayed;
pub mod restored;
pub mod scenario;
pub mod sybil;
pub mod tap;
pub mod vectors;
