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
pub const MAX_BLOB_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of the text of a statement. Polis allows 997 characters.
pub const MAX_STATEMENT_BYTES: usize = 4096;

/// Bytes of a name, topic or purpose.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Subsets T of operators: C(7, 2).
pub const MAX_SUBSETS: usize = 21;

/// Scalars in one share of the secret PCA: four columns for every item.
pub const MAX_SHARE_SCALARS: usize = 4 * MAX_ITEMS;

/// The highest sequence number of a contribution: a person may change their mind this often in a round.
pub const MAX_SEQUENCE: u8 = 15;

/// Items one member may propose for one poll.
pub const MAX_PROPOSALS_PER_MEMBER: usize = 20;

/// Attesters of a community.
pub const MAX_ATTESTERS: usize = 64;

/// Rounds that may be planned but not finished at one time; each holds bodies and seeds. Every operator has an equal share,
/// eight of them at least: one that plans rounds without end does not take the others'.
pub const MAX_OPEN_ROUNDS: usize = 8 * MAX_OPERATORS;

/// Unfinished rounds in which an operator that was put back takes no part: those of operators who have left since count as
/// well, so that it is more than a committee may have open.
pub const MAX_BARRED_ROUNDS: usize = 32_768;

/// Members of a community whose ring fits one round; larger communities split into cohorts.
pub const MAX_MEMBERS: usize = 16_384;

/// Polls of a community, of which every operator has an equal share.
pub const MAX_POLLS: usize = 4_096;

/// Passes of the secret PCA.
pub const MAX_PASSES: u8 = 3;

/// Attempts at one pass: f + 1 ≤ 3, after which the round ends with totals only.
pub const MAX_ATTEMPTS: u8 = 3;

/// Rows of a ballot's committed matrix: three votes an item, 40 dither bits, 8 bucket bits, the link's mask row.
pub const MAX_ROWS: usize = 3 * MAX_ITEMS + 40 + 8 + 1;

/// Bytes of a contribution's public body: commitments, folds for each of 21 subsets, and the proofs.
pub const MAX_BODY_BYTES: usize = 384 * 1024;

/// Bytes of an operator's sealed seeds: at most 15 seeds (n = 7) and the HPKE overhead.
pub const MAX_BOX_BYTES: usize = 32 * MAX_SUBSETS + 64;

/// Blocks of a partition: the classes of a round, or five groups and those without a point.
pub const MAX_BLOCKS: usize = 64;

/// Linear functions opened of one ballot in a step: two axes.
pub const MAX_FUNCTIONALS: usize = 2;

/// Decisions in one part of the log that is sent: small ones have about 1 KB, so that it is the bytes that bound a part
/// and a late joiner does not wait for as many round trips as there were rounds.
pub const MAX_LOG_PART: usize = 2_048;

/// Bytes of decisions in one part of the log that is sent, so that a part passes as one direct message.
pub const MAX_LOG_PART_BYTES: usize = 1024 * 1024;

/// Decisions that a peer holds in memory, for those who are a moment behind; older ones are read from the disk.
pub const RECENT_DECISIONS: usize = 128;

/// Entries that wait to be ordered. Each is at most 72 KiB, but only operators post large ones.
pub const MAX_POOL: usize = 16_384;

/// Entries of one other operator or attester among them: an operator may propose all items of a poll at once, an
/// attester attest for many. Without the bound one of them could fill the pool with what will never be valid.
pub const MAX_POOL_PER_OFFICE: usize = 1_024;

/// Entries of one member among them: all that a member may propose for three polls.
pub const MAX_POOL_PER_MEMBER: usize = 3 * MAX_PROPOSALS_PER_MEMBER;

/// Ids of contributions in one list that operators compare: 128 KiB.
pub const MAX_LISTED: usize = 4_096;

/// Contributions that are asked for at once after a comparison.
pub const MAX_ASKED_AT_ONCE: usize = 128;

/// Entries that wait for an operator's key to speak after a start: a person posts all items of a poll at once.
pub const MAX_UNSPOKEN: usize = 1_024;

/// Contributions received and not yet checked. More are dropped; their senders send again.
pub const MAX_PENDING: usize = 1_024;

/// Bytes of a founding document: two texts, keys of operators, attesters and seeds, names, numbers.
pub const MAX_GENESIS_BYTES: usize = 256 * 1024;

/// Bytes of a decision: a full batch, the length of each of its entries, and a certificate.
pub const MAX_DECISION_BYTES: usize = MAX_BATCH_BYTES + 4 * MAX_BATCH_ENTRIES + 1024;

/// Bytes of the name of an organisation, an attribute or a value of one.
pub const MAX_NAME_BYTES: usize = 64;

/// Members of a conjunction or an alternative in an admission formula.
pub const MAX_ADMISSION_RULES: usize = 8;

/// How deep conjunctions and alternatives of an admission formula are nested.
pub const MAX_ADMISSION_DEPTH: usize = 3;

/// Values of an attribute besides "not stated".
pub const MAX_ATTRIBUTE_VALUES: usize = 32;

/// Classes of a round: the values of an attribute, "other" included, or the groups of an earlier round.
pub const MAX_CLASSES: usize = MAX_ATTRIBUTE_VALUES + 1;

/// The largest public weight of a class.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// People who have registered, admitted or not: each holds a leaf that nobody may use again.
pub const MAX_REGISTRATIONS: usize = 2 * MAX_MEMBERS;

/// Leaves, in use and used.
pub const MAX_LEAVES: usize = 4 * MAX_REGISTRATIONS;

/// People whom one attester registered and whom no quorum admits yet. A third of `MAX_ATTESTERS`, corrupt, fill a third of
/// `MAX_REGISTRATIONS`.
pub const MAX_CANDIDATES_PER_ATTESTER: usize = 512;

/// People whom one member introduced and whom vouches do not admit yet.
pub const MAX_CANDIDATES_PER_MEMBER: usize = 16;

/// Items one member may propose anonymously for one poll.
pub const MAX_ANONYMOUS_PROPOSALS: u8 = 20;

/// Groups of seeds: every choice of those that may be corrupt is one flow, C(7, 3) = 35 at the most.
pub const MAX_SEED_GROUPS: usize = 7;

/// Seeds of one group: eight percent of 16,000 members in five groups.
pub const MAX_SEEDS_PER_GROUP: usize = 256;

/// Distances from the seeds that have a capacity of their own. Beyond six steps a vouch says little about a seed.
pub const MAX_CAPACITIES: usize = 7;

/// The largest capacity of somebody who is no active seed: one for themselves, so a corrupt one brings at most three.
pub const MAX_MEMBER_CAPACITY: u16 = 4;

/// Live vouches of one member. The live vouches of all members are one snapshot's input: 64 × `MAX_MEMBERS`.
pub const MAX_STOCK: u16 = 64;

/// Linear layers of one layer of a model that an adapter can change: q, k, v, o, gate, up, down.
pub const MAX_TARGETS: usize = 7;

/// The largest rank of an adapter.
pub const MAX_RANK: u16 = 256;

/// Bits after the point of an adapter's entries at most: what an `f32` near one resolves.
pub const MAX_FRACTION_BITS: u8 = 24;

/// Entries of an adapter: B of rank 8 for all linear layers of a model of a few hundred million parameters.
pub const MAX_ADAPTER_ENTRIES: usize = 1 << 21;

/// Scalars of a masked vector: the entries of an adapter eight to a scalar, and the link's mask row.
pub const MAX_MASKED: usize = MAX_ADAPTER_ENTRIES / 8 + (1 << 14);

/// Bytes of contributions received and not yet checked.
pub const MAX_PENDING_BYTES: usize = 256 * 1024 * 1024;

/// Bytes of contributions' masked vectors that an operator holds in memory: more of them are on the disk alone, and read when
/// they are summed.
pub const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// Series of adapter rounds of a community, of which every operator has an equal share.
pub const MAX_SERIES: usize = 256;

/// What operators may say about values cards in all, of which every one has an equal share: 585 of each of seven, and 4 MiB
/// of reasons at the most.
pub const MAX_CARD_STATEMENTS: usize = 4_096;

/// Items of a poll with those that operators rejected: as many are asked at the most as `MAX_ITEMS`, and what is rejected makes
/// room for others.
pub const MAX_PROPOSED: usize = 4 * MAX_ITEMS;

/// Bytes of an operator's reason for a word on an item.
pub const MAX_REASON_BYTES: usize = 512;

/// Words of one operator on one item: it may change its mind this often, and all of them stay on the log.
pub const MAX_WORDS_PER_ITEM: usize = 4;

/// Words of one operator on the rules of one poll.
pub const MAX_STATED_RULES: usize = 16;

/// Prompts that a proposal may cite.
pub const MAX_PROMPTS: usize = 5;

/// Bytes of a prompt that a proposal cites.
pub const MAX_PROMPT_BYTES: usize = 2_048;

/// How often one operator may state a weighing of the classes of one adapter round.
pub const MAX_WEIGHINGS: usize = 8;

/// Cohorts of a divided round. A fan-in of some thirty is enough for any number of levels; the operators of so many, seven
/// each, and a plan of `MAX_ITEMS` items are one entry.
pub const MAX_COHORTS: usize = 128;
