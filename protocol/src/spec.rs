//! The specification: what somebody needs who writes a second implementation, and what the first one promises.
//!
//! | page | |
//! |---|---|
//! | [`wire`] | every message, entry and blob, byte by byte, and what is signed and hashed |
//! | [`rules`] | which entries may stand on the log, what operators derive from seeds, and how results are computed |
//! | [`threats`] | the adversary, the assumptions, and each promise with the tests behind it |
//! | [`vectors`] | known answers, good and bad, for every object and proof |
//!
//! Encodings of points, scalars and proofs, the relations, their verifiers' equations and the arguments for them are those of
//! [`chorus_crypto`]. The layer below, from libp2p's protocols up to an envelope, is the node's.
//! Structures, labels, vectors and named tests are compared with the code by a test (`tests/simulation/specification.rs`).

#[doc = include_str!("spec/wire.md")]
pub mod wire {}

#[doc = include_str!("spec/rules.md")]
pub mod rules {}

#[doc = include_str!("spec/threats.md")]
pub mod threats {}

#[doc = include_str!("spec/vectors.md")]
pub mod vectors {}
