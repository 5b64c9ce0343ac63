//! Against what PEFT itself made: the fixtures of `tests/peft/fixtures.py`.

use super::*;
use crate::model::merge::{self, Method};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-llama")
}

fn read(name: &str) -> Adapter {
    Adapter::read(&fixtures().join(name)).expect("PEFT's own file")
}

fn golden() -> Value {
    let text = fs::read_to_string(fixtures().join("golden.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// `ΔW` of every module, written out: the fixtures are small.
fn updates(adapter: &Adapter) -> BTreeMap<String, Vec<f64>> {
    let update = |factors: &Factors| {
        let scale = adapter.config.scale(factors.rank());
        let cell = |row: usize, column: usize| -> f64 {
            let sum: f64 = (0..factors.rank())
                .map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column]))
                .sum();
            scale * sum
        };
        (0..factors.b.rows()).flat_map(|row| (0..factors.a.columns()).map(move |column| cell(row, column))).collect()
    };
    adapter.modules.iter().map(|(module, factors)| (module.clone(), update(factors))).collect()
}

/// Checks that two adapters change the same modules, by the same up to rounding.
fn assert_same(found: &Adapter, expected: &Adapter, factor: f64) {
    let (found, expected) = (updates(found), updates(expected));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (module, values) in found {
        for (found, expected) in values.iter().zip(&expected[&module]) {
            assert!((found - factor * expected).abs() < 2e-6, "{module}: {found} and {factor} · {expected}");
        }
    }
}

/// Checks every module's scale and the norm of its update against PEFT's.
fn assert_norms(adapter: &Adapter, expected: &Value) {
    let expected = expected.as_object().expect("modules");
    assert_eq!(adapter.modules.len(), expected.len());
    for (module, factors) in &adapter.modules {
        let norm = factors.norm() * adapter.config.scale(factors.rank());
        let golden = expected[module]["norm"].as_f64().expect("a norm");
        assert!((norm / golden - 1.0).abs() < 1e-6, "{module}: {norm} and {golden}");
    }
}

fn own() -> (Vec<(PathBuf, Adapter)>, Vec<f64>) {
    family("own")
}

fn family(name: &str) -> (Vec<(PathBuf, Adapter)>, Vec<f64>) {
    let adapters = (0..3).map(|index| (PathBuf::from(index.to_string()), read(&format!("merges/{name}/{index}"))));
    let weights = golden()["merges"][name]["weights"].as_array().expect("weights").clone();
    (adapters.collect(), weights.iter().map(|weight| weight.as_f64().expect("a number")).collect())
}

#[test]
fn scales_and_norms_are_those_of_peft() {
    let adapter = read("adapter");
    assert_eq!((adapter.modules.len(), adapter.config.scale(4)), (14, 1.5));
    assert_norms(&adapter, &golden()["modules_adapter"]);
}

#[test]
fn patterns_rank_stabilisation_and_half_precision_are_read_as_peft_reads_them() {
    let adapter = read("patterns");
    assert_norms(&adapter, &golden()["modules_patterns"]);
    assert_eq!(adapter.modules["model.layers.1.mlp.down_proj"].rank(), 1);
    assert_eq!(adapter.modules["model.layers.0.self_attn.q_proj"].rank(), 3);
}

#[test]
fn what_is_written_needs_no_patterns_and_no_rank_stabilisation() {
    let (folder, adapter) = (tempfile::tempdir().expect("a folder"), read("patterns"));

    adapter.write(folder.path()).expect("written");

    let (config, written) = (read_config(folder.path()).expect("read"), Adapter::read(folder.path()).expect("read"));
    assert!(config.rank_pattern.is_empty() && config.alpha_pattern.is_empty() && !config.use_rslora);
    assert!(written.modules.values().all(|factors| factors.rank() == 3) && config.r == 3);
    assert_same(&written, &adapter, 1.0);
}

#[test]
fn the_mean_of_adapters_of_their_own_is_that_of_cat() {
    let (adapters, weights) = own();

    let (mean, method) = merge::mean(&adapters, &weights).expect("a mean");

    assert_eq!((method, mean.config.r), (Method::Stacked, 7));
    assert_same(&mean, &read("merges/own-cat"), 1.0);
    assert_norms(&mean, &golden()["merges"]["own"]["cat"]);
}

#[test]
fn the_mean_of_rank_two_is_that_of_svd() {
    let (adapters, weights) = own();
    let (mean, _) = merge::mean(&adapters, &weights).expect("a mean");

    let (truncated, losses) = merge::truncate(&mean, 2);

    assert_eq!(truncated.config.r, 2);
    assert_same(&truncated, &read("merges/own-svd"), 1.0);
    // The error that is told is the one there is.
    let (whole, part) = (updates(&mean), updates(&truncated));
    for (module, loss) in losses {
        let squares: f64 = whole[&module].iter().zip(&part[&module]).map(|(a, b)| (a - b).powi(2)).sum();
        assert!((loss.error - squares.sqrt()).abs() < 1e-5 * loss.norm, "{module}: {loss:?} {}", squares.sqrt());
        assert!(loss.relative() > 0.1, "{module}: the fixture loses much");
    }
}

#[test]
fn where_a_is_shared_the_mean_is_that_of_cat_and_linear_is_three_times_too_large() {
    let (adapters, weights) = family("shared");

    let (mean, method) = merge::mean(&adapters, &weights).expect("a mean");

    assert_eq!((method, mean.config.r), (Method::SharedA, 2));
    assert_same(&mean, &read("merges/shared-cat"), 1.0);
    assert_same(&read("merges/shared-linear"), &mean, 3.0);
    for ratio in golden()["merges"]["shared"]["linear_to_mean"].as_array().expect("ratios") {
        assert!((ratio.as_f64().expect("a ratio") - 3.0).abs() < 1e-5);
    }
}
