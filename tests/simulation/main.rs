//! The protocol as a whole, without sockets: what it computes, and what it keeps to itself.

mod adapters;
mod attacks;
mod audit;
mod checkpoint;
mod classes;
mod codec;
mod cohorts;
mod consent;
#[cfg(feature = "node")]
mod deliberation;
mod determinism;
mod durability;
mod faults;
mod governance;
mod holding;
mod late;
mod ledger;
mod moderation;
mod moral_graph;
mod registry;
mod regressions;
mod round;
mod secrecy;
mod specification;
mod stem;
mod sybil;
mod vectors;
