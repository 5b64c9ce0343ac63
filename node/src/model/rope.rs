//! The frequencies of rotary position embeddings (Su et al. 2021): pair i of a head of width d turns by `θ^(−2i/d)` per
//! position, stretched where a model was trained further for longer contexts.

use std::f64::consts::TAU;

use super::checkpoint::{Config, RopeScaling};

/// Returns the angle per position of each pair of a head.
pub fn frequencies(config: &Config) -> Vec<f64> {
    let plain = plain(config.head_dim, config.rope_theta);
    match config.rope_scaling {
        None => plain,
        Some(RopeScaling::Linear { factor }) => plain.into_iter().map(|frequency| frequency / factor).collect(),
        Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings }) => {
            let original = original_max_position_embeddings as f64;
            let divide =
                |frequency| frequency / stretch(frequency, factor, low_freq_factor, high_freq_factor, original);
            plain.into_iter().map(divide).collect()
        }
    }
}

/// Returns what the frequencies of Llama 3.1 and later are divided by, in the order of the pairs.
pub(super) fn llama3_factors(
    head_dim: usize,
    theta: f64,
    factor: f64,
    low: f64,
    high: f64,
    original: usize,
) -> Vec<f64> {
    plain(head_dim, theta).into_iter().map(|frequency| stretch(frequency, factor, low, high, original as f64)).collect()
}

fn plain(head_dim: usize, theta: f64) -> Vec<f64> {
    (0..head_dim / 2).map(|pair| theta.powf(-2.0 * pair as f64 / head_dim as f64)).collect()
}

/// Wavelengths beyond `original / low` are stretched by the factor, those below `original / high` not at all, and those
/// between them in proportion.
fn stretch(frequency: f64, factor: f64, low: f64, high: f64, original: f64) -> f64 {
    let turns = original * frequency / TAU;
    if turns < low {
        factor
    } else if turns > high {
        1.0
    } else {
        let smooth = (turns - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_3_stretches_long_wavelengths_and_leaves_short_ones() {
        let factors = llama3_factors(64, 500_000.0, 32.0, 1.0, 4.0, 8192);

        // What transformers computes for Llama 3.2 1B.
        let between = [1.6513, 3.2923, 9.6667];
        assert!(factors[..15].iter().all(|factor| *factor == 1.0), "{factors:?}");
        assert!(
            factors[15..18].iter().zip(between).all(|(factor, known)| (factor - known).abs() < 1e-4),
            "{factors:?}"
        );
        assert!(factors[18..].iter().all(|factor| *factor == 32.0), "{factors:?}");
    }
}
