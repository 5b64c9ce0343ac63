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
        (0..factors.rank())
            .map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column]))
            .sum::<f64>()
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
