use super::*;
use crate::model::peft::Config;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

const MODULE: &str = "model.layers.0.self_attn.q_proj";

fn random(rows: usize, columns: usize, rng: &mut ChaCha20Rng) -> Matrix {
    let values = (0..rows * columns).map(|_| (f64::from(rng.next_u32()) / 2f64.powi(31) - 1.0) as f32).collect();
    Matrix::new(rows, columns, values).expect("sized")
}

fn adapter(rank: usize, alpha: f64, rng: &mut ChaCha20Rng) -> Adapter {
    let factors = Factors { a: random(rank, 9, rng), b: random(5, rank, rng) };
    let config = Config::new(Some("toy".into()), rank.try_into().expect("small"), alpha, vec!["q_proj".into()]);
    Adapter { config, modules: BTreeMap::from([(MODULE.to_owned(), factors)]) }
}

fn shared(a: Matrix) -> BTreeMap<String, Shared> {
    BTreeMap::from([(MODULE.to_owned(), Shared { a, outputs: None })])
}

fn update(adapter: &Adapter) -> Vec<f64> {
    let factors = &adapter.modules[MODULE];
    let scale = adapter.config.scale(factors.rank());
    let cell = |row: usize, column: usize| -> f64 {
        (0..factors.rank()).map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column])).sum::<f64>()
            * scale
    };
    (0..factors.b.rows()).flat_map(|row| (0..factors.a.columns()).map(move |column| cell(row, column))).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn an_adapter_on_the_shared_a_is_projected_onto_itself() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let adapter = adapter(3, 5.0, &mut rng);

    let projection = project(&adapter, &shared(adapter.modules[MODULE].a.clone())).expect("projected");

    assert!(distance(&update(&projection.adapter), &update(&adapter)) < 1e-5);
    assert!(projection.losses[MODULE].relative() < 1e-6);
    assert_eq!(projection.adapter.modules[MODULE].a, adapter.modules[MODULE].a);
    assert_eq!(projection.adapter.config.scale(3), 1.0);
}

#[test]
fn the_projection_is_the_nearest_and_its_error_is_told() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for _ in 0..32 {
        let (adapter, a) = (adapter(3, 5.0, &mut rng), random(4, 9, &mut rng));

        let projection = project(&adapter, &shared(a.clone())).expect("projected");

        let (whole, part) = (update(&adapter), update(&projection.adapter));
        let loss = projection.losses[MODULE];
        assert!((loss.error - distance(&whole, &part)).abs() < 1e-5);
        assert!((loss.norm - distance(&whole, &vec![0.0; whole.len()])).abs() < 1e-9 * loss.norm);
        assert!(loss.relative() > 0.01 && loss.relative() < 1.0);
        // What is left stands at right angles to every row of the shared A.
        for (whole, part) in whole.chunks_exact(9).zip(part.chunks_exact(9)) {
            for row in 0..a.rows() {
                let along: f64 =
                    whole.iter().zip(part).zip(a.row(row)).map(|((x, y), a)| (x - y) * f64::from(*a)).sum();
                assert!(along.abs() < 1e-5, "{along}");
            }
        }
    }
}

#[test]
fn with_orthonormal_rows_the_factor_is_the_update_times_a() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let adapter = adapter(2, 3.0, &mut rng);
    let mut unit = vec![0.0; 18];
    (unit[4], unit[9]) = (1.0, 1.0);

    let projection = project(&adapter, &shared(Matrix::new(2, 9, unit).expect("sized"))).expect("projected");

    for (row, update) in update(&adapter).chunks_exact(9).enumerate() {
        let b = projection.adapter.modules[MODULE].b.row(row);
        assert!((f64::from(b[0]) - update[4]).abs() < 1e-6 && (f64::from(b[1]) - update[0]).abs() < 1e-6);
    }
}

#[test]
fn modules_that_the_adapter_leaves_alone_get_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let adapter = adapter(2, 2.0, &mut rng);
    let mut target = shared(random(2, 9, &mut rng));
    let other = "model.layers.0.self_attn.v_proj";
    target.insert(other.into(), Shared { a: random(2, 9, &mut rng), outputs: Some(7) });

    let projection = project(&adapter, &target).expect("projected");

    let b = &projection.adapter.modules[other].b;
    assert_eq!((b.rows(), b.columns()), (7, 2));
    assert!(b.values().iter().all(|value| *value == 0.0));
    assert_eq!(projection.losses[other].relative(), 0.0);
    let loss = Loss::sum(projection.losses.values());
    assert_eq!(loss.relative(), projection.losses[MODULE].relative());
    target.get_mut(other).expect("the module").outputs = None;
    assert_eq!(project(&adapter, &target), Err(ProjectError::Outputs { module: other.into() }));
}

#[test]
fn what_cannot_be_projected_is_named() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let adapter = adapter(2, 2.0, &mut rng);
    let module = || MODULE.to_owned();
    assert_eq!(project(&adapter, &BTreeMap::new()), Err(ProjectError::Module { module: module() }));
    let error = ProjectError::Inputs { module: module(), expected: 8, found: 9 };
    assert_eq!(project(&adapter, &shared(random(2, 8, &mut rng))), Err(error));
    let twice = Matrix::new(2, 9, [[0.5; 9], [0.5; 9]].concat()).expect("sized");
    for a in [twice, Matrix::new(1, 9, vec![0.0; 9]).expect("sized"), Matrix::new(0, 9, Vec::new()).expect("sized")] {
        assert_eq!(project(&adapter, &shared(a)), Err(ProjectError::Dependent { module: module() }));
    }
}
