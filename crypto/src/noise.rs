//! Noise for whoever wants more than secrecy of the summands: each contributor adds its share, and the sum hides each of
//! them (differential privacy). Off unless a manifest asks for it.
//!
//! A *distributed discrete Gaussian* (Kairouz, Liu, Steinke, *The distributed discrete Gaussian mechanism for federated
//! learning with secure aggregation*, 2021): with clip C and h honest contributors, each adds independent numbers
//! `P(x) ∝ exp(−x²/2v)`, `v = σ²C²/h`, to every entry, so that the sum of all has deviation σ·C at least. Nobody is
//! trusted with the noise, nobody can take off more than the own share, and what the others add never lessens it.
//!
//! # Sampling
//!
//! `x = b_0 + k_1·b_1 + … + k_L·b_L` with base draws b of variance s² = 32 and integers k that follow from v alone. For
//! independent discrete Gaussians a of variance u and b of variance s²,
//!
//! ```text
//! P(a + k·b = x) = Σ_j P(b = j)·P(a = x − k·j) ∝ exp(−x²/2w) · Σ_j exp(−(j − x·k·s²/w)²/2r)      w = u + k²s²,  r = u·s²/w
//! ```
//!
//! and the last sum depends on x by a factor within `1 ± 4·exp(−2π²r)` (Poisson summation). [`Sampler`] takes
//! `k² ≤ 7u/s²`, so that r ≥ 4 and the factor is within 1 ± 2^-111: `a + k·b` is a discrete Gaussian of variance w.
//! Five steps reach a variance 2^15 times as large. (Micciancio, Walter, *Gaussian sampling over the integers:
//! efficient, generic, constant-time*, 2017, on which this is modelled, bound the same quantity.)
//!
//! A base draw inverts the distribution function: one uniform number of 127 bits is compared with all 66 thresholds of a
//! table, and a bit is the sign. Running time and memory accesses depend on v and on the number of entries alone. The
//! table is computed once, in integers, so that it is the same on all machines; see `table` for its errors.
//!
//! **Statistical distance** of one number from the discrete Gaussian: at most 2^-103 for each of at most 20 base draws, and
//! 2^-111 for each step: below 2^-98 in all. For 2^14 people, 2^23 entries and 2^10 rounds together below 2^-51.
//!
//! # The bound of the proof
//!
//! What is committed to, proved and masked is the *noisy* matrix, whose norm is larger than the clip:
//! [`norm_bound_with_noise`] is what the statement's B must be. It is C for the honest and B for liars: at
//! `v·d = 100·C²` a liar has ten times the weight of an honest person. A round with noise should therefore have few
//! entries, many people, and a coarse grid: the noise hides the grid anyway once v is over 32.
//!
//! [`accounting`] says what the noise is worth: ε for a given δ, and below how many people it would drown what they say.

pub mod accounting;
mod table;

use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::noise::table::BASE_VARIANCE;

/// Largest variance of one person's noise: a deviation of 2^28 leaves room for norms below 2^31.
pub const MAX_VARIANCE: u64 = 1 << 56;

/// `e^(−TAIL)` < 2^-64: how seldom noise breaks [`norm_bound_with_noise`].
const TAIL: u128 = 45;

/// How often noise is drawn again before [`NoiseError::Bound`]: more than never happens only if the bound is too narrow.
const DRAWS: usize = 16;

/// Entries drawn at a time.
const BATCH: usize = 256;

/// Noise that cannot be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A variance of zero, or over [`MAX_VARIANCE`].
    #[error("a variance of {0} is not in 1..={MAX_VARIANCE}")]
    Variance(u64),
    /// The norm of the noisy matrix would not be below 2^31. A coarser grid helps.
    #[error("with this noise a norm is not below 2^31")]
    TooLarge,
    /// The noisy matrix did not stay within the bound, again and again: the bound is narrower than
    /// [`norm_bound_with_noise`] says.
    #[error("the noisy matrix does not stay within the bound {0}")]
    Bound(u32),
}

/// Draws the noise of one person.
#[derive(Clone, Eq, PartialEq)]
pub struct Sampler {
    /// 1, k_1, k_2, ….
    factors: Vec<i64>,
}

impl Sampler {
    /// Returns the sampler of the least variance it can have that is at least `variance`.
    ///
    /// # Errors
    ///
    /// Returns [`NoiseError::Variance`] unless it is in `1..=MAX_VARIANCE`.
    pub fn new(variance: u64) -> Result<Self, NoiseError> {
        if !(1..=MAX_VARIANCE).contains(&variance) {
            return Err(NoiseError::Variance(variance));
        }
        // In units of the base's.
        let (wanted, mut reached) = (variance.div_ceil(BASE_VARIANCE), 1u64);
        let mut factors = vec![1];
        while reached < wanted {
            let missing = wanted - reached;
            let enough = missing.isqrt() + u64::from(missing.isqrt().pow(2) < missing);
            let factor = (7 * reached).isqrt().min(enough);
            reached += factor * factor;
            factors.push(factor.cast_signed());
        }
        Ok(Self { factors })
    }

    /// Returns the variance of what is drawn: at least what was asked for, and at least 32.
    pub fn variance(&self) -> u64 {
        BASE_VARIANCE * self.factors.iter().map(|factor| factor.unsigned_abs().pow(2)).sum::<u64>()
    }

    /// Adds noise to every entry of a matrix. Constant time in entries and noise, but for draws that are repeated because
    /// the noisy matrix was not within the bound: with a bound of [`norm_bound_with_noise`], less than one in 2^64.
    ///
    /// # Errors
    ///
    /// Returns [`NoiseError::Bound`] if the bound is too narrow for the noise.
    pub fn perturb(
        &self,
        entries: &[i32],
        bound: u32,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Zeroizing<Vec<i32>>, NoiseError> {
        (0..DRAWS).find_map(|_| self.try_perturb(entries, bound, rng)).ok_or(NoiseError::Bound(bound))
    }

    fn try_perturb(
        &self,
        entries: &[i32],
        bound: u32,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<Zeroizing<Vec<i32>>> {
        // Room for what a matrix of these entries appends is the matrix's own concern: it copies them.
        let mut noisy = Zeroizing::new(Vec::with_capacity(entries.len()));
        let mut noise = Zeroizing::new([0; BATCH]);
        let (mut squares, mut fit) = (0u128, true);
        for batch in entries.chunks(BATCH) {
            let noise = &mut noise[..batch.len()];
            self.fill(noise, rng);
            for (entry, noise) in batch.iter().zip(noise) {
                let sum = i64::from(*entry) + *noise;
                squares += u128::from(sum.unsigned_abs()).pow(2);
                let narrow = i32::try_from(sum);
                fit &= narrow.is_ok();
                noisy.push(narrow.unwrap_or_default());
            }
        }
        (fit && squares <= u128::from(bound).pow(2)).then_some(noisy)
    }

    /// Draws a number for every place. Constant time.
    pub(crate) fn fill(&self, out: &mut [i64], rng: &mut (impl CryptoRng + ?Sized)) {
        let table = table::thresholds();
        let mut bytes = Zeroizing::new([[0; 16]; BATCH]);
        for out in out.chunks_mut(BATCH) {
            out.fill(0);
            for factor in &self.factors {
                let bytes = &mut bytes[..out.len()];
                rng.fill_bytes(bytes.as_flattened_mut());
                for (sum, bytes) in out.iter_mut().zip(bytes) {
                    *sum += factor * table::draw(table, u128::from_le_bytes(*bytes));
                }
            }
        }
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("variance", &self.variance()).finish()
    }
}

/// Returns the variance of each person's share, `v = ⌈σ²C²/h⌉`: with `honest` shares the sum has a deviation of σ·C.
///
/// `thousandths` is 1000·σ. `honest` is the least number of honest contributors in any sum that is opened: with sums of
/// regions or groups it is counted in the smallest block.
///
/// # Errors
///
/// Returns [`NoiseError::Variance`] if the variance is out of range.
pub fn share_variance(thousandths: u32, clip: u32, honest: u32) -> Result<u64, NoiseError> {
    let deviation = u128::from(thousandths) * u128::from(clip);
    let divisor = 1_000_000 * u128::from(honest.max(1));
    // Below 2^126; what does not fit 64 bits is out of range anyway.
    let variance =
        deviation.checked_pow(2).map_or(u64::MAX, |square| u64::try_from(square.div_ceil(divisor)).unwrap_or(u64::MAX));
    if (1..=MAX_VARIANCE).contains(&variance) { Ok(variance) } else { Err(NoiseError::Variance(variance)) }
}

/// Returns the bound B that the statement of a noisy matrix needs: with probability over `1 − 2^-64` the norm of a matrix of
/// norm at most `clip`, with noise of `variance` on each of `entries` entries, is at most B. Otherwise noise is drawn again,
/// which [`Sampler::perturb`] does; that changes its distribution by less than 2^-64.
///
/// Noise is subgaussian with parameter v (Canonne, Kamath, Steinke, *The discrete Gaussian for differential privacy*, 2020,
/// §2.2; sums of such are), and for any such noise on U, with d entries (Hsu, Kakade, Zhang, *A tail inequality for quadratic
/// forms of subgaussian random vectors*, 2012, theorem 1 for the identity matrix)
///
/// ```text
/// P( ‖U + x‖² > v·(d + 2√(d·t) + 2t) + ‖U‖²·(1 + 2√(t/d)) ) ≤ e^−t          t = 45
/// ```
///
/// # Errors
///
/// Returns [`NoiseError::Variance`] if the variance is out of range, [`NoiseError::TooLarge`] if B is 2^31 or more.
pub fn norm_bound_with_noise(clip: u32, entries: usize, variance: u64) -> Result<u32, NoiseError> {
    // 2^20 times a square root, rounded up.
    const SCALE: u32 = 20;
    let root = |numerator: u128, denominator: u128| ((numerator << (2 * SCALE)) / denominator).isqrt() + 1;
    let variance = u128::from(Sampler::new(variance)?.variance());
    let entries = (entries as u128).max(1);
    if entries > 1 << 32 {
        return Err(NoiseError::TooLarge);
    }
    let noise = variance * (entries + 2 * TAIL + ((2 * root(entries * TAIL, 1)) >> SCALE) + 1);
    let clip = u128::from(clip).pow(2);
    let data = clip + ((clip * 2 * root(TAIL, entries)) >> SCALE) + 1;
    let bound = (noise + data).isqrt() + 1;
    u32::try_from(bound).ok().filter(|bound| bound >> crate::msm::MAX_BITS == 0).ok_or(NoiseError::TooLarge)
}

#[cfg(test)]
mod tests;
