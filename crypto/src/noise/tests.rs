use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    accounting::{Release, people_to_be_heard},
    *,
};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn drawn(variance: u64, count: usize, seed: u64) -> Vec<i64> {
    let mut out = vec![0; count];
    Sampler::new(variance).expect("in range").fill(&mut out, &mut rng(seed));
    out
}

/// The discrete Gaussian of a variance, at `−range..=range`.
fn gaussian(variance: f64, range: i32) -> Vec<f64> {
    let weight = |x: i32| (-f64::from(x).powi(2) / (2.0 * variance)).exp();
    let total: f64 = (-range..=range).map(weight).sum();
    (-range..=range).map(|x| weight(x) / total).collect()
}

#[test]
fn variances_are_met_from_above_by_factors_that_keep_the_steps_smooth() {
    for wanted in [1, 32, 33, 64, 1000, 1 << 20, (1 << 20) + 1, 1 << 40, MAX_VARIANCE - 1, MAX_VARIANCE] {
        let sampler = Sampler::new(wanted).expect("in range");

        let (mut reached, found) = (1u64, sampler.variance());
        for factor in &sampler.factors[1..] {
            let square = factor.unsigned_abs().pow(2);
            // r = u·s²/w ≥ 4, in units of s²: 32·u ≥ 4·w
            assert!(8 * reached >= reached + square && square > 0);
            reached += square;
        }
        assert_eq!((sampler.factors[0], 32 * reached), (1, found));
        assert!(found >= wanted && sampler.factors.len() <= 20);
        // One more than a root at most: never twice the variance, and close for large ones.
        let excess = (found - wanted) as f64 / wanted as f64;
        assert!(wanted <= 64 || excess < 0.5 && (wanted < 1 << 20 || excess < 0.005), "{wanted}: {excess}");
    }
    for variance in [0, MAX_VARIANCE + 1, u64::MAX] {
        assert_eq!(Sampler::new(variance), Err(NoiseError::Variance(variance)));
    }
}

#[test]
fn combinations_of_base_draws_are_discrete_gaussians() {
    let (range, base) = (1500i32, gaussian(32.0, 66));
    for variance in [64, 160, 960, 7000] {
        let sampler = Sampler::new(variance).expect("in range");
        let mut found = vec![0.0; 2 * range as usize + 1];
        found[range as usize] = 1.0;
        for factor in &sampler.factors {
            let mut next = vec![0.0; found.len()];
            for (place, probability) in found.iter().enumerate().filter(|(_, probability)| **probability > 0.0) {
                for (draw, of_draw) in (-66i64..).zip(&base) {
                    let at = place as i64 + factor * draw;
                    if let Some(next) = usize::try_from(at).ok().and_then(|at| next.get_mut(at)) {
                        *next += probability * of_draw;
                    }
                }
            }
            found = next;
        }
        for (found, expected) in found.iter().zip(gaussian(sampler.variance() as f64, range)) {
            assert!((found - expected).abs() < 1e-14 + 1e-9 * expected, "{variance}: {found} {expected}");
        }
    }
}

#[test]
fn draws_have_the_moments_and_frequencies_of_the_distribution() {
    let count = 400_000;
    for variance in [32, 300, 1 << 16, 1 << 40] {
        let numbers = drawn(variance, count, variance);
        let variance = Sampler::new(variance).expect("in range").variance() as f64;
        let moment = |power: i32| numbers.iter().map(|x| (*x as f64).powi(power)).sum::<f64>() / count as f64;
        let deviation = variance.sqrt();

        // Five standard errors.
        let tolerance = 5.0 / (count as f64).sqrt();
        assert!(moment(1).abs() < tolerance * deviation);
        assert!((moment(2) / variance - 1.0).abs() < tolerance * 2f64.sqrt());
        assert!((moment(4) / variance.powi(2) / 3.0 - 1.0).abs() < tolerance * 96f64.sqrt() / 3.0);
        assert!((moment(3) / deviation.powi(3)).abs() < tolerance * 15f64.sqrt());
    }
    let numbers = drawn(32, count, 1);
    let chi: f64 = (-15i64..)
        .zip(&gaussian(32.0, 66)[66 - 15..=66 + 15])
        .map(|(x, probability)| {
            let expected = probability * count as f64;
            let found = numbers.iter().filter(|number| **number == x).count();
            (found as f64 - expected).powi(2) / expected
        })
        .sum();
    // 31 terms: mean 31 and deviation 7.9.
    assert!(chi < 75.0, "{chi}");
}

#[test]
fn noise_follows_from_the_generator_and_differs_between_entries() {
    assert_eq!(drawn(1 << 30, 1000, 5), drawn(1 << 30, 1000, 5));
    assert_ne!(drawn(1 << 30, 1000, 5), drawn(1 << 30, 1000, 6));
    let mut sorted = drawn(1 << 40, 1000, 5);
    sorted.sort_unstable();
    sorted.dedup();
    assert!(sorted.len() > 990);
}

#[test]
fn shares_of_all_honest_people_add_up_to_the_deviation_that_was_asked_for() {
    // σ = 1.5, C = 4000, 50 people: v = 36,000,000/50.
    assert_eq!(share_variance(1500, 4000, 50), Ok(720_000));
    assert_eq!(share_variance(1500, 4000, 49), Ok(734_694));
    assert_eq!(share_variance(0, 4000, 50), Err(NoiseError::Variance(0)));
    assert!(share_variance(u32::MAX, u32::MAX, 1).is_err());

    let sampler = Sampler::new(720_000).expect("in range");
    let mut sum = vec![0i64; 20_000];
    for person in 0..50 {
        sum.iter_mut().zip(drawn(720_000, 20_000, person)).for_each(|(sum, noise)| *sum += noise);
    }
    let variance = sum.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / 20_000.0;
    assert!((variance / (50.0 * sampler.variance() as f64) - 1.0).abs() < 5.0 * (2.0 / 20_000f64).sqrt());
    assert!(variance > 36e6 * 0.95);
}

#[test]
fn noisy_matrices_stay_within_the_bound_that_is_said_and_not_within_a_much_smaller_one() {
    for (clip, entries, variance) in [(1000, 64, 32), (50_000, 4096, 2000), (0, 1 << 14, 1 << 20), (9_000, 1, 50)] {
        let bound = norm_bound_with_noise(clip, entries, variance).expect("small");
        let sampler = Sampler::new(variance).expect("in range");
        let clipped: Vec<_> = [i32::try_from(clip).expect("small")].into_iter().chain(vec![0; entries - 1]).collect();
        for seed in 0..20 {
            // Without a second draw.
            let noisy = sampler.try_perturb(&clipped, bound, &mut rng(seed)).expect("within the bound");

            let norm: u128 = noisy.iter().map(|entry| u128::from(entry.unsigned_abs()).pow(2)).sum();
            assert!(norm <= u128::from(bound).pow(2));
            assert_eq!(noisy.len(), entries);
        }
        // The bound is of the right size where there are many entries.
        let typical = (f64::from(clip).powi(2) + sampler.variance() as f64 * entries as f64).sqrt();
        assert!(entries < 4096 || f64::from(bound) < 1.25 * typical, "{bound} {typical}");
    }
}

#[test]
fn noise_that_does_not_fit_is_refused_and_not_cut() {
    let sampler = Sampler::new(1 << 20).expect("in range");

    let narrow = sampler.perturb(&[0; 1000], 1 << 14, &mut rng(1));
    let wide = sampler.perturb(&[0; 1000], 1 << 16, &mut rng(1));

    assert_eq!(narrow.map(drop), Err(NoiseError::Bound(1 << 14)));
    assert!(wide.is_ok());
    // Beyond 31 bits in one entry, whatever the bound.
    let far = Sampler::new(MAX_VARIANCE).expect("in range").perturb(&[i32::MAX; 64], u32::MAX, &mut rng(1));
    assert_eq!(far.map(drop), Err(NoiseError::Bound(u32::MAX)));
    assert_eq!(norm_bound_with_noise(1, 1 << 23, 1 << 40), Err(NoiseError::TooLarge));
    assert_eq!(norm_bound_with_noise(1, 1 << 23, 0), Err(NoiseError::Variance(0)));
}

fn release(thousandths: u32, honest: u32, rounds: u32) -> Release {
    let clip = 1 << 16;
    let variance = share_variance(thousandths, clip, honest).expect("in range");
    let variance = Sampler::new(variance).expect("in range").variance();
    Release { clip, entries: 1 << 20, variance, honest, rounds }
}

/// The upper tail of the normal distribution, by Simpson's rule.
fn tail(from: f64) -> f64 {
    let (steps, to) = (20_000, from.max(0.0) + 12.0);
    let width = (to - from) / f64::from(steps);
    let density = |x: f64| (-x * x / 2.0).exp() / core::f64::consts::TAU.sqrt();
    let at = |step: i32| density(from + width * f64::from(step));
    let weight = |step: i32| if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) };
    (0..=steps).map(|step| weight(step) * at(step)).sum::<f64>() * width / 3.0
}

/// δ of the Gaussian mechanism for a shift of `shift` deviations and ε, exactly (Balle, Wang 2018, theorem 8).
fn exact_delta(shift: f64, epsilon: f64) -> f64 {
    tail(epsilon / shift - shift / 2.0) - epsilon.exp() * tail(epsilon / shift + shift / 2.0)
}

#[test]
fn epsilon_is_never_below_the_exact_one_of_the_gaussian_and_not_far_above() {
    for (thousandths, honest, rounds) in
        [(1000, 100, 1), (1000, 100, 3), (4000, 50, 1), (500, 1000, 1), (8000, 300, 10)]
    {
        let release = release(thousandths, honest, rounds);
        let deviation = (release.variance as f64 * f64::from(honest)).sqrt();
        let shift = f64::from(rounds).sqrt() * f64::from(release.clip) / deviation;
        for delta in [1e-5, 1e-8] {
            let epsilon = release.epsilon(delta);

            assert!(exact_delta(shift, epsilon) <= delta);
            assert!(exact_delta(shift, 0.9 * epsilon) > delta, "{thousandths} {rounds} {delta}: {epsilon}");
        }
    }
}

#[test]
fn epsilon_falls_with_noise_and_people_and_grows_with_rounds() {
    let epsilon = |thousandths, honest, rounds| release(thousandths, honest, rounds).epsilon(1e-6);
    assert!(epsilon(2000, 100, 1) < epsilon(1000, 100, 1));
    assert!(epsilon(1000, 100, 2) > epsilon(1000, 100, 1));
    let shared = release(1000, 100, 1);
    assert!(Release { honest: 99, ..shared }.epsilon(1e-6) > shared.epsilon(1e-6));
    assert_eq!(Release { honest: 0, ..shared }.epsilon(1e-6), f64::INFINITY);
    // Published alongside the paper's simulations: nothing of τ is left at these variances.
    assert!(shared.divergence(2.0) - f64::from(shared.clip).powi(2) / (100.0 * shared.variance as f64) < 1e-100);
}

#[test]
fn few_people_are_drowned_by_noise() {
    assert_eq!(people_to_be_heard(1000, 184_320, 0.4), 1074);
    assert_eq!(people_to_be_heard(1000, 13_440, 0.27), 430);
    assert_eq!(people_to_be_heard(1000, 1 << 20, 0.0), u32::MAX);
    // At that number the noise in the mean has the norm of the mean.
    let people = people_to_be_heard(1000, 1 << 20, 0.27);
    let release = release(1000, people, 1);
    let ratio = release.noise_in_mean(people) / (0.27 * f64::from(release.clip));
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bound_grows_with_clip_variance_and_entries(clip in 0u32..1 << 20, entries in 1usize..1 << 16, variance in 1u64..1 << 24) {
        let bound = |clip, entries, variance| norm_bound_with_noise(clip, entries, variance).expect("small");
        let base = bound(clip, entries, variance);

        prop_assert!(base > clip);
        prop_assert!(bound(clip + 10, entries, variance) >= base);
        prop_assert!(bound(clip, entries, 4 * variance + 32) >= base);
        // Without data, for what data adds by chance is less with more entries.
        prop_assert!(bound(0, 4 * entries, variance) >= bound(0, entries, variance));
    }
}
