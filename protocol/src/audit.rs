//! The audit bundle: everything that shows a community's results to be true, in one file, and the checks of a verifier
//! who trusts nobody.
//!
//! ```text
//! bundle   = "CHORUSAB" ‖ version ‖ genesis ‖ decision* ‖ blob* ‖ end
//! genesis  = length ‖ bytes            decision = 1 ‖ length ‖ bytes
//! end      = 0                         blob     = 2 ‖ BlobId ‖ length ‖ bytes
//! ```
//!
//! The blobs are exactly those that the checks need, in the order in which the log first names them: for each round
//! with a result the bodies of the counting contributions (ballots, and withdrawals that took one back), the opened
//! values, the result and the constitution. Sums of masks, masked vectors and sealed seeds are not among them. So one
//! list of decisions has one bundle, and it is written and read as a stream.
//!
//! # What is checked, in this order
//!
//! | | check | exit code |
//! |---|---|---|
//! | 1 | every frame is canonical, every blob hashes to its id, none is superfluous or out of order | 20 |
//! | 2 | every batch names the one before; a quorum of the committee in office at its height certified it | 21 |
//! | 3 | every entry follows from those before it ([`Ledger::apply`](crate::ledger::Ledger::apply)), evidence included | 21, registrations 22 |
//! | 4 | every counting contribution: its body is the one acknowledged; its credential; its link and ballot proof | 22, 23 |
//! | 5 | every opening: the plan follows from the log and keeps the floor, the values open the commitments | 24 |
//! | 6 | result and constitution, recomputed, are the bytes that the log names; votes carry what was amended | 25 |
//! | – | a blob is missing, a sealed round has no result, a step has not been opened | 26 |
//!
//! A refusal is one sentence that names the object (the height and the entry, the round and the contribution's place among its
//! tags, the block, ballot or row of an opening) and the check, down to the equation.
//!
//! | level | of each contribution is checked | so without the operators' word it shows |
//! |---|---|---|
//! | [`Full`](Level::Full) | everything | that members alone contributed, once each, valid ballots and deltas; all below |
//! | [`Light`](Level::Light) | as `Sums`; everything of those drawn by lot | that few proofs are bad, with the [chance](chance_of_missing) of missing all of them; all below |
//! | [`Sums`](Level::Sums) | that its body is the one acknowledged, and well-formed | that the sums are those of what was committed to, and the results follow from them |
//!
//! # What is held
//!
//! The state that the log leads to, some hundred bodies, and the commitments, opened values and results of the rounds of
//! which not everything was read: they are settled and forgotten as the stream goes on. Signatures, contributions and
//! openings are verified on all cores.
//!
//! The log of a bundle comes first, so 1 is checked for each part as it is read. A bundle is a *prefix* of the log: what
//! came after it, it cannot show. Who wants to know whether it is the latest compares [`Report::tip`].
//!
//! # Divided rounds
//!
//! The bundle of a community with a [divided round](crate::cohort) holds the cohorts' certificates, and shows that its result is
//! their sum. Each cohort has a bundle of its own, with the founding document of the root at its beginning; its log begins with
//! the state that the parent's leads to. [`verify_tree`] checks all that are at hand, and that each certificate is the result of
//! its cohort's bundle. Without a cohort's bundle what it certified stands on its operators' word, up to a whole round of it:
//! [`Tree::unchecked`] names these cohorts, and no vote on the rules is divided.
//!
//! # What it shows, and what not
//!
//! Even if all operators are corrupt, a forged member, a stuffed or altered ballot, a false sum, opened point, result
//! or constitution is found: commitments are binding, and nothing is taken from operators that is not checked. What
//! they can do:
//!
//! * leave contributions out (a participant holds acknowledgements);
//! * choose poorer axes for the map, or give up its passes so that there is none: the products of the secret PCA are
//!   reconstructed from the logged shares, but only the operators know whether the shares were computed as they should be. The
//!   published explained variance shows it;
//! * choose the beacon, and with it the cohorts of an adapter round and the members of each cohort of a divided one;
//! * state what a gate came to and how classes weigh as they like: both are their word, and stand in the report as such.

mod bodies;
mod check;
mod error;
mod format;
mod level;
mod receipt;
mod replay;
mod report;
mod round;
mod tree;
mod write;

pub use error::{Place, VerifyError, WriteError};
pub use format::{Bundle, Frame, FrameReader, MAGIC, VERSION};
pub use level::{Level, Sample, chance_of_missing};
pub use receipt::{Receipt, Standing};
pub use replay::LogCheck;
pub use report::{Progress, Report, RoundSummary, Summary, Topic};

pub use check::{Options, verify, verify_with};
pub use tree::{Branch, LEVELS, Open, Tree, verify_tree};
pub use write::{Writer, write, write_cohort};

#[cfg(test)]
mod tests;
