//! The append-only log: batches of entries, ordered by Byzantine agreement among the operators.

pub mod entry;

pub mod entry;
