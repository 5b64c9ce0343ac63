//! The ballot: what its committed rows must satisfy, and the proof that they do.
//!
//! A ballot is a matrix of one column; every entry u_r has its own commitment `C_r = u_r·G₀ + ρ_r·B'`, so that linear
//! functions of one ballot can be opened. [`Layout`] says which row means what. The relation (S items, m = min(7, S)):
//!
//! 1. every data row and every auxiliary row is a bit;
//! 2. `s_j = agree_j + disagree_j + pass_j` is a bit, for every item j;
//! 3. `Σ_k b_k` is a bit;
//! 4. with `count = Σ_j s_j` and slack bits t, t′:
//!    `count − Σ_k lo_k·b_k = Σ_i 2^i·t_i` and `Σ_k hi_k·b_k + (m − 1)·(1 − Σ_k b_k) − count = Σ_i 2^i·t′_i`;
//! 5. `b_k = 0` for every bucket that S items do not need.
//!
//! (3)–(5) concern ballots with a map only. So `b_k = 1` implies `lo_k ≤ count ≤ hi_k`, and no bucket implies
//! `count < m`: all numbers are below 2^13, so that equality in the field is equality of integers.
//!
//! The left-hand sides of (2) and (3) are *virtual entries*: their commitments are sums of other commitments. Real
//! and virtual entries together, padded with zeros, are the vector w of one zero check
//! `Σ_x eq(τ, x)·(w(x)² − w(x)) = 0` ([`sumcheck`](crate::sumcheck)), which leaves one value to be opened
//! ([`opening`](crate::opening)). Arguments, order of the transcript and constants: the crate's front page, *Ballot*.
//!
//! [`oracle`] proves the same relation in the textbook way, entry by entry. It shares no definition of the relation
//! with [`Proof`], and tests hold the two against each other.
//!
//! # Example
//!
//! ```
//! use chorus_crypto::{ballot::{Layout, Proof, Vote, Witness}, batch::Batch, domain, transcript::{Item, Transcript}};
//! # use chorus_crypto::Scalar;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let mut rng = ChaCha20Rng::from_seed([1; 32]);
//! let layout = Layout::new(2, true)?;
//! let witness = Witness::new(&layout, &[Vote::Agree, Vote::Unseen], &mut rng)?;
//! let blindings: Vec<_> = (1..=layout.data_rows() as u64).map(Scalar::from).collect(); // the masks' blindings
//! let commitments = witness.commit(&blindings);
//! let mut transcript = Transcript::new(domain::CONTRIBUTION);
//! transcript.absorb_seq(Item::Statement, &commitments);
//! let proof = Proof::prove(&mut transcript.clone(), &layout, &witness, &blindings, &mut rng);
//!
//! let mut batch = Batch::new(&[7; 32]);
//! let first = batch.insert(commitments.iter().map(|point| point.decompress()).collect::<Result<Vec<_>, _>>()?);
//! proof.verify(&mut transcript, &layout, first, &mut batch)?;
//! assert!(batch.verify());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod layout;
pub mod oracle;
mod proof;
mod statement;
#[cfg(test)]
mod tests;
mod witness;

pub use layout::{BUCKETS, DITHER_BITS, FIRST_BUCKET, Layout, LayoutError, MAX_ITEMS, bucket_edges, bucket_of};
pub use proof::{BallotError, Proof};
pub use witness::{Vote, Witness, WitnessError};
