//! What noise is worth: ε for a given δ, and how many people it takes to be heard over it.
//!
//! For people to read before a round opens, and for nobody to agree on: computed in floating point, whose last digits may
//! differ between machines. Pure functions of numbers that the manifest pins.
//!
//! *What is protected*: one person's matrix of norm at most C. Neighbouring inputs differ by that matrix being there or
//! being zero; that somebody took part is public anyway. For another matrix instead of none, read C as twice the clip.
//!
//! *Against whom*: everybody who sees sums, and knows the noise of all but `honest` contributors of a sum.
//!
//! - One round. With n independent discrete Gaussians of variance v, sum Z and a shift Δ of norm at most C in d entries, for all
//!   orders α ≥ 1 (Kairouz, Liu, Steinke 2021, proposition 14):
//!
//!   ```text
//!   D_α(Z ‖ Z + Δ) ≤ min( α·C²/(2nv) + τ·d,  α/2·(C/√(nv) + τ·√d)² )      τ = 10·Σ_{k=1}^{n−1} exp(−2π²v·k/(k+1))
//!   ```
//!
//!   For v ≥ 32, which every [`Sampler`](super::Sampler) has, τ < 10·n·exp(−π²·32): nothing but the first term is left.
//! - Several rounds: the divergences add up (Mironov, *Rényi differential privacy*, 2017, proposition 1), also if later rounds
//!   depend on earlier results.
//! - (ε, δ): `ε = min_α D_α + ln(1 − 1/α) − (ln δ + ln α)/(α − 1)` (Canonne, Kamath, Steinke 2020, proposition 12).
//!
//! Not in it: the sampler's distance from the true distribution, below 2^-51 in all, which adds less than
//! `(1 + e^ε)·2^-51` to δ; and what is published besides the sums (who took part, groups and regions, the votes).

/// A sum with noise, released once or several times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    /// C: the largest norm of one person's matrix before noise.
    pub clip: u32,
    /// d: the number of entries.
    pub entries: usize,
    /// v: the variance of each person's noise; see [`Sampler::variance`](super::Sampler::variance).
    pub variance: u64,
    /// n: honest contributors in the sum, at least.
    pub honest: u32,
    /// How many such sums the same person is in, over all rounds.
    pub rounds: u32,
}

impl Release {
    /// Returns the bound on the Rényi divergence of an order α > 1.
    pub fn divergence(&self, order: f64) -> f64 {
        let (entries, honest) = (self.entries as f64, f64::from(self.honest));
        let shift = f64::from(self.clip) / (honest * self.variance as f64).sqrt();
        let tau = self.tau();
        let first = order * shift.powi(2) / 2.0 + tau * entries;
        let second = order / 2.0 * (shift + tau * entries.sqrt()).powi(2);
        f64::from(self.rounds) * first.min(second)
    }

    /// Returns ε for a δ in (0, 1): infinite without honest noise.
    pub fn epsilon(&self, delta: f64) -> f64 {
        // Orders from 1 + 2^-10 to 1 + 2^20, sixteen to the octave: within a hundredth of the best.
        (-160..=320)
            .map(|step| 1.0 + 2f64.powf(f64::from(step) / 16.0))
            .map(|order| self.divergence(order) + (-1.0 / order).ln_1p() - (delta.ln() + order.ln()) / (order - 1.0))
            .fold(f64::INFINITY, f64::min)
            .max(0.0)
    }

    /// Returns the expected norm of the noise in the mean over `people`, all of whom add it: `√(v·d/people)`.
    pub fn noise_in_mean(&self, people: u32) -> f64 {
        (self.variance as f64 * self.entries as f64 / f64::from(people)).sqrt()
    }

    fn tau(&self) -> f64 {
        let exponent = -2.0 * core::f64::consts::PI.powi(2) * self.variance as f64;
        // k/(k + 1) ≥ 1/2
        10.0 * f64::from(self.honest.saturating_sub(1)) * (exponent / 2.0).exp()
    }
}

/// Returns below how many contributors noise drowns what they say: `⌈σ·√d/signal⌉`, where a sum has noise of deviation σ·C
/// and the mean of the matrices has a norm of `signal·C`. For personal adapters signal is about 0.4 at ten people and
/// 0.27 at many: they point in different directions, and so they shrink when averaged.
///
/// `thousandths` is 1000·σ, as in [`share_variance`](super::share_variance). More than `u32::MAX` people are told as so many.
pub fn people_to_be_heard(thousandths: u32, entries: usize, signal: f64) -> u32 {
    let people = f64::from(thousandths) / 1000.0 * (entries as f64).sqrt() / signal;
    if people < f64::from(u32::MAX) { ceil(people) } else { u32::MAX }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below u32::MAX, and no norm is negative")]
fn ceil(people: f64) -> u32 {
    people.ceil() as u32
}
