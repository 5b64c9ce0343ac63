use super::*;
use crate::model::peft::Config;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

const MODULE: &str = "model.layers.0.self_attn.q_proj";

fn adapter(rank: u32, alpha: f64, rslora: bool, seed: f32, dimensions: (usize, usize)) -> (PathBuf, Adapter) {
    let matrix = |rows: usize, columns: usize, shift: f32| {
        let value = |index: usize| ((index as f32 * 0.7 + shift).sin() * 3.0).round() / 4.0;
        Matrix::new(rows, columns, (0..rows * columns).map(value).collect()).expect("sized")
    };
    let rank_of = rank as usize;
    let factors = Factors { a: matrix(rank_of, dimensions.0, seed), b: matrix(dimensions.1, rank_of, seed + 1.0) };
    let config = Config { use_rslora: rslora, ..Config::new(None, rank, alpha, vec!["q_proj".into()]) };
    let modules = std::collections::BTreeMap::from([(MODULE.to_owned(), factors)]);
    (PathBuf::from(format!("adapter {seed}")), Adapter { config, modules })
}

/// ΔW, written out.
fn update(adapter: &Adapter) -> Vec<f64> {
    let factors = &adapter.modules[MODULE];
    let scale = adapter.config.scale(factors.rank());
    let cell = |row: usize, column: usize| -> f64 {
        (0..factors.rank()).map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column])).sum::<f64>()
            * scale
    };
    (0..factors.b.rows()).flat_map(|row| (0..factors.a.columns()).map(move |column| cell(row, column))).collect()
}

fn assert_mean(adapters: &[(PathBuf, Adapter)], weights: &[f64], expected: Method) {
    let (mean, method) = mean(adapters, weights).expect("adapters of one model");
    assert_eq!(method, expected);
    let sum: f64 = weights.iter().sum();
    let updates: Vec<_> = adapters.iter().map(|(_, adapter)| update(adapter)).collect();
    for (index, value) in update(&mean).into_iter().enumerate() {
        let clear: f64 = updates.iter().zip(weights).map(|(update, weight)| update[index] * weight / sum).sum();
        assert!((value - clear).abs() < 1e-5, "{index}: {value} {clear}");
    }
}

#[test]
fn adapters_with_one_a_are_averaged_without_growing() {
    let mut adapters: Vec<_> = (0..4).map(|seed| adapter(2, 4.0, false, seed as f32, (5, 3))).collect();
    let shared = adapters[0].1.modules[MODULE].a.clone();
    for (_, adapter) in &mut adapters {
        adapter.modules.get_mut(MODULE).expect("the module").a = shared.clone();
    }

    assert_mean(&adapters, &[1.0; 4], Method::SharedA);
    assert_mean(&adapters, &[1.0, 2.0, 0.0, 5.0], Method::SharedA);
    let (mean, _) = mean(&adapters, &[1.0; 4]).expect("a mean");
    assert_eq!((mean.config.r, mean.config.scale(2)), (2, 1.0));
}

#[test]
fn what_cannot_be_averaged_is_named() {
    let one = adapter(2, 4.0, false, 0.0, (5, 3));
    assert_eq!(mean(&[], &[]).err(), Some(MergeError::Nothing));
    assert_eq!(mean(std::slice::from_ref(&one), &[]).err(), Some(MergeError::Weights { expected: 1, found: 0 }));
    assert!(matches!(mean(std::slice::from_ref(&one), &[f64::NAN]), Err(MergeError::Weights { .. })));
    assert!(matches!(mean(&[one.clone(), one.clone()], &[1.0, -1.0]), Err(MergeError::Weights { .. })));
    let wide = adapter(2, 4.0, false, 1.0, (6, 3));
    assert!(matches!(mean(&[one.clone(), wide], &[1.0; 2]), Err(MergeError::Dimensions { .. })));
    let mut other = adapter(2, 4.0, false, 1.0, (5, 3));
    let factors = other.1.modules.remove(MODULE).expect("the module");
    other.1.modules.insert("model.layers.1.self_attn.q_proj".into(), factors);
    assert!(matches!(mean(&[one, other], &[1.0; 2]), Err(MergeError::Modules { .. })));
}

#[test]
fn the_mean_is_the_mean_of_the_products() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for _ in 0..64 {
        let mut draw = |bound: u32| rng.next_u32() % bound;
        let count = 2 + draw(4);
        let (mut adapters, mut weights) = (Vec::new(), Vec::new());
        for seed in 0..count {
            let (rank, alpha) = (1 + draw(4), 0.5 + f64::from(draw(64)) / 4.0);
            adapters.push(adapter(rank, alpha, draw(2) == 0, seed as f32, (6, 4)));
            weights.push(0.1 + f64::from(draw(30)) / 10.0);
        }
        assert_mean(&adapters, &weights, Method::Stacked);
    }
}

#[test]
fn a_rank_that_is_large_enough_loses_nothing() {
    for (a, b) in [(1.0, 1.0), (1e-9, 1e9), (1e9, 1e-9)] {
        let (_, mut whole) = adapter(3, 4.5, false, 1.0, (8, 6));
        let factors = whole.modules.get_mut(MODULE).expect("the module");
        // One direction in which A is short and B long, or the other way round, with an update of the usual size.
        let scale = |row: usize, factor: f64| if row == 0 { factor } else { 1.0 };
        let stretch = |factor| (0..9).map(|cell| if cell % 4 == 0 { scale(cell / 4, factor) } else { 0.0 }).collect();
        let (left, right): (Vec<f64>, Vec<f64>) = (stretch(a), stretch(b));
        *factors = Factors { a: factors.a.times_from_left(&left), b: factors.b.times_from_right(&right) };

        let (truncated, losses) = truncate(&whole, 3);

        for (found, expected) in update(&truncated).iter().zip(update(&whole)) {
            assert!((found - expected).abs() < 1e-5, "{a}: {found} {expected}");
        }
        assert!(losses[MODULE].relative() < 1e-6);
    }
}

#[test]
fn what_a_smaller_rank_loses_is_told_and_the_rows_of_a_are_orthonormal() {
    let (_, whole) = adapter(4, 4.0, true, 2.0, (8, 6));
    let mut errors = Vec::new();
    for rank in 1..=4 {
        let (truncated, losses) = truncate(&whole, rank);
        let distance: f64 = update(&truncated).iter().zip(update(&whole)).map(|(a, b)| (a - b).powi(2)).sum();
        let loss = losses[MODULE];
        assert!((loss.error - distance.sqrt()).abs() < 1e-5 * loss.norm, "{rank}: {loss:?} {}", distance.sqrt());
        assert_eq!(truncated.config.scale(truncated.config.r as usize), 1.0);
        let kept = &truncated.modules[MODULE];
        for (cell, product) in kept.a.gram_of_rows().into_iter().enumerate() {
            let expected = if cell % (kept.rank() + 1) == 0 { 1.0 } else { 0.0 };
            assert!((product - expected).abs() < 1e-6, "{rank}: {product}");
        }
        errors.push(loss.error);
    }
    assert!(errors.windows(2).all(|pair| pair[0] >= pair[1]), "{errors:?}");
}

#[test]
fn updates_of_nothing_and_of_less_than_their_rank_are_truncated() {
    let zeros = Matrix::new(6, 3, vec![0.0; 18]).expect("sized");
    let (_, mut adapter) = adapter(3, 3.0, false, 1.0, (8, 6));
    let copy = |adapter: &Adapter| adapter.modules[MODULE].a.row(0).repeat(3);
    let one = Matrix::new(3, 8, copy(&adapter)).expect("sized");
    adapter.modules.get_mut(MODULE).expect("the module").a = one;
    let (truncated, losses) = truncate(&adapter, 2);
    assert_eq!(truncated.modules[MODULE].rank(), 1);
    assert!(losses[MODULE].relative() < 1e-6);
    adapter.modules.get_mut(MODULE).expect("the module").b = zeros;
    let (truncated, losses) = truncate(&adapter, 2);
    assert_eq!((truncated.modules[MODULE].norm(), losses[MODULE].relative()), (0.0, 0.0));
}
