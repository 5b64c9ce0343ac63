//! Every bound on what a peer can make this node hold, with its reason.

/// Operators of a community. The masks number C(n, f): 21 at n = 7, f = 2, and grow steeply after that.
pub const MAX_OPERATORS: usize = 7;

/// Items of a poll. A share of the secret PCA is 4 columns of 32-byte scalars per item and must fit one log entry.
pub const MAX_ITEMS: usize = 500;

/// Bytes of one log entry, signature included. Larger bodies are blobs that an entry names.
pub const MAX_ENTRY_BYTES: usize = 72 * 1024;

/// Entries in a batch.
pub const MAX_BATCH_ENTRIES: usize = 4096;

/// Bytes of all entries in a batch: a proposal is one direct message, and must pass well within a round's time-out.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Bytes of one blob. A contribution of 500 items is about 200 KB; adapters come later with their own bound.
pub const MAX_BLOB_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of the text of a statement. Polis allows 997 characters.
pub const MAX_STATEMENT_BYTES: usize = 4096;

/// Bytes of a name, topic or purpose.
pub const MAX_TEXT_BYTES: usize = 1024;
