//! How the next token is chosen.

use rand_core::Rng;

use super::GenerateError;

/// How a token is chosen from its logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The likeliest.
    Greedy,
    /// At random among the likeliest tokens that together have the probability `top_p`.
    Random {
        /// What logits are divided by: below 1 sharper, above 1 flatter. At 0 or below, the likeliest token.
        temperature: f64,
        /// The probability that is kept, 1 for all.
        top_p: f64,
    },
}

impl Sampling {
    /// Chooses a token. Of equally likely ones, the one with the smallest id comes first.
    pub(super) fn choose(self, logits: &[f32], rng: &mut impl Rng) -> Result<u32, GenerateError> {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        if order.is_empty() || logits.iter().any(|logit| logit.is_nan() || *logit == f32::INFINITY) {
            return Err(GenerateError::NotFinite);
        }
        let likelier = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        let best = order.iter().copied().min_by(likelier).ok_or(GenerateError::NotFinite)?;
        let chosen = match self {
            Self::Random { temperature, top_p } if temperature > 0.0 => {
                let weight = |token: usize| (f64::from(logits[token] - logits[best]) / temperature).exp();
                let total: f64 = order.iter().map(|token| weight(*token)).sum();
                if top_p < 1.0 {
                    // What has less than this cannot be needed: all of it together has less than what may be left away.
                    let least = (1.0 - top_p) * total / order.len() as f64;
                    order.retain(|token| *token == best || weight(*token) >= least);
                    order.sort_unstable_by(likelier);
                }
                let weights = order.iter().map(|token| weight(*token));
                draw(weights, total, top_p, rng).map_or(best, |place| order[place])
            }
            Self::Greedy | Self::Random { .. } => best,
        };
        u32::try_from(chosen).map_err(|_| GenerateError::NotFinite)
    }
}

/// Draws from the first weights that together reach `top_p` of the total, in proportion to them.
fn draw(weights: impl Iterator<Item = f64>, total: f64, top_p: f64, rng: &mut impl Rng) -> Option<usize> {
    let mut sums = Vec::new();
    let mut sum = 0.0;
    for weight in weights {
        sum += weight;
        sums.push(sum);
        if sum >= top_p * total {
            break;
        }
    }
    // 53 bits: a number in [0, 1) that is represented exactly.
    let uniform = (rng.next_u64() >> 11) as f64 * 2f64.powi(-53);
    sums.iter().position(|reached| *reached > uniform * sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn frequencies(sampling: Sampling, logits: &[f32]) -> Vec<f64> {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..20_000 {
            counts[sampling.choose(logits, &mut rng).expect("a token") as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    fn near(found: &[f64], expected: &[f64]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.012)
    }

    #[test]
    fn greedy_takes_the_likeliest_and_the_first_of_equals() {
        let mut rng = ChaCha20Rng::seed_from_u64(0);
        assert_eq!(Sampling::Greedy.choose(&[0.0, 2.0, 2.0, f32::NEG_INFINITY], &mut rng).expect("a token"), 1);
        let cold = Sampling::Random { temperature: 0.0, top_p: 1.0 };
        assert_eq!(cold.choose(&[0.0, 1.0, 3.0], &mut rng).expect("a token"), 2);
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let logits = [0.2f32, 0.5, 0.3].map(f32::ln);

        let whole = Sampling::Random { temperature: 1.0, top_p: 1.0 };
        assert!(near(&frequencies(whole, &logits), &[0.2, 0.5, 0.3]));
        // √p, made to sum to one.
        let warm = Sampling::Random { temperature: 2.0, top_p: 1.0 };
        assert!(near(&frequencies(warm, &logits), &[0.263, 0.415, 0.322]));
    }

    #[test]
    fn the_unlikely_rest_is_never_taken() {
        let logits = [0.2f32, 0.5, 0.3].map(f32::ln);

        let two = Sampling::Random { temperature: 1.0, top_p: 0.7 };
        assert!(near(&frequencies(two, &logits), &[0.0, 0.625, 0.375]));
        let one = Sampling::Random { temperature: 1.0, top_p: 0.0 };
        assert_eq!(frequencies(one, &logits)[1].round(), 1.0);
    }

    #[test]
    fn values_that_are_no_numbers_are_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(0);
        for logits in [vec![], vec![0.0, f32::NAN], vec![f32::INFINITY, 0.0]] {
            assert!(matches!(Sampling::Greedy.choose(&logits, &mut rng), Err(GenerateError::NotFinite)));
        }
    }
}
