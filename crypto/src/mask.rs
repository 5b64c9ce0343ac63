//! Masking once: a public vector that hides a matrix, and the seeds that only sums of masks are opened with.
//!
//! A contributor packs its matrix U, with a row Y of uniform scalars before it, into scalars
//! `X = pack(Y; U_1; …; U_D)` over ℤ_ℓ, draws one fresh seed σ_T for every set T of f operators and publishes
//! `E = X − Σ_T PRG(σ_T)`. The operators *outside* T hold σ_T: any f colluding operators miss the seed of their own
//! set, and E stays uniform to them; any two honest operators can vouch for each other's values. The blindings of the
//! row commitments are *defined* by the same seeds, `ρ_r = Σ_T PRG_ρ(σ_T)_r`, so that opening a sum of masks opens the
//! blinding of the sum of commitments as well, and nothing else has to be sent, stored or trusted.
//!
//! This is replicated secret sharing (Ito, Saito, Nishizeki, 1987) made non-interactive with a pseudorandom generator
//! (Cramer, Damgård, Ishai, *Share conversion, pseudorandom secret-sharing*, 2005), rather than pairwise masks between
//! contributors: contributors never have to meet, and may vanish after their one message. The same paper's conversion
//! turns the seeds into Shamir shares locally, see [`shares_of`].
//!
//! | file | what |
//! |---|---|
//! | `threshold` | operators, faulty ones, the sets T and the polynomials `f_T` |
//! | `shape` | rows, columns, lanes: packing |
//! | `seed` | seeds, their digests, and the key `K_T` of a sealed set |
//! | `expand` | the pseudorandom generators and their folds |
//! | `masking` | the contributor's side |
//! | `sum` | sums of masks, opened sums, and the check anybody makes |
//! | `opening` | the opening of a linear function of one contribution |
//! | `share` | Shamir shares from seeds, and error-correcting reconstruction |

mod expand;
mod masking;
mod opening;
mod seed;
mod shape;
mod share;
mod sum;
mod threshold;
mod wide;

pub use expand::{Expansion, Fold, Mask};
pub use masking::{Data, Masking, masked_digest};
pub use opening::{OpenedRow, masked_functional};
pub use seed::{Context, Seed, SetKey, SetStream, seed_digest};
pub use shape::{MAX_COLUMNS, MAX_DATA_ROWS, MAX_SCALARS, Shape, ShapeError, pack};
pub use share::{
    ReconstructError, Reconstruction, ShareError, noise_share, reconstruct, share_of, shares_of, zero_share,
};
pub use sum::{
    CommitmentSum, MaskSum, MaskedSum, OpenedSum, SumError, Unmasking, check_sum, open, sum_commitments, sum_masked,
};
pub use threshold::{Committee, CommitteeError, MAX_OPERATORS, MAX_SUBSETS, Subset};

pub(crate) use wide::fold;

#[cfg(test)]
pub(crate) mod tests;
