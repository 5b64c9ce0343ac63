//! The append-only log: batches of entries, ordered by Byzantine agreement among the operators.

pub mod batch;
pub mod certificate;
pub mod consensus;
pub mod entry;
