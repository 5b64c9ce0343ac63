use std::collections::BTreeSet;

use chorus_protocol::{
    adapter::manifest::{BaseModel, Centre, Combination, Encoding, Ratio, Schedule, Weights},
    id::SeriesId,
};

use super::*;
use crate::model::{checkpoint::tests::toy, lora::delta::quantise};

/// A series of rank 2 on three kinds of modules, in another order than that of the model.
fn manifest(config: &Config) -> AdapterManifest {
    let targets = BTreeSet::from([Projection::Q, Projection::K, Projection::Down]);
    let shape = Shape { rank: 2, alpha: 8.0, targets, last_layers: 1 };
    let mut adapted = adapted(config, &shape, 8);
    adapted.targets.reverse();
    AdapterManifest {
        name: "harbour".into(),
        base: BaseModel { name: "toy".into(), digest: [7; 32] },
        adapted,
        seed: [8; 32],
        encoding: Encoding { fraction_bits: 16, bound: 1 << 18, lane_bits: 31 },
        schedule: Schedule { rounds: 1, every_millis: None, step: Ratio { numerator: 1, denominator: 1 } },
        combination: Combination { weights: Weights::PerPerson, cohorts: 1, centre: Centre::Mean, floor: 0 },
        gate: None,
        noise: None,
    }
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|number| ((number * 37 % 101) as f32 - 50.0) / 512.0).collect()
}

#[test]
fn values_become_factors_and_come_back_in_the_order_of_the_manifest() {
    let config = toy();
    let manifest = manifest(&config);
    manifest.validate().expect("a manifest");
    let values = numbers(manifest.entries());

    let lora = lora(&manifest, &config, Some(&values)).expect("an adapter");

    assert_eq!(trained(&manifest, &lora).expect("values"), values);
    assert_ne!(lora.delta(), values, "the model's own order is another one");
    let zero = adapter(&manifest, None).expect("zeros");
    assert!(entries(&manifest, &zero).expect("values").iter().all(|value| *value == 0.0));
    assert_eq!(zero.config.scale(2), 4.0);
    let names: Vec<&str> = manifest.adapted.targets.iter().map(|target| target.name.text.as_str()).collect();
    assert_eq!(names, ["mlp.down_proj", "self_attn.k_proj", "self_attn.q_proj"]);
}

#[test]
fn what_is_published_in_integers_is_what_was_quantised() {
    let manifest = manifest(&toy());
    let values = numbers(manifest.entries());
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
    let units = quantise(&values, 16, 1 << 18, &mut rng).expect("units");
    let published = AdapterValues {
        series: SeriesId::ZERO,
        values: units.iter().map(|unit| i64::from(*unit) << EXTRA_BITS).collect(),
    };

    let read = super::values(&manifest, &published);

    assert!(read.iter().zip(&values).all(|(read, value)| (read - value).abs() <= 2f32.powi(-16)));
}

#[test]
fn an_adapter_of_the_series_is_imported_as_it_is_and_another_one_with_a_loss() {
    let config = toy();
    let manifest = manifest(&config);
    let values = numbers(manifest.entries());
    let own = adapter(&manifest, Some(&values)).expect("an adapter");
    let other = AdapterManifest { seed: [9; 32], ..manifest.clone() };
    let foreign = adapter(&other, Some(&values)).expect("an adapter");

    let (same, none) = import(&manifest, &own).expect("imported");
    let (_, some) = import(&manifest, &foreign).expect("imported");

    assert!(same.iter().zip(&values).all(|(same, value)| (same - value).abs() < 1e-6));
    assert!(Loss::sum(none.values()).relative() < 1e-4 && Loss::sum(some.values()).relative() > 0.5);
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = toy();
    let manifest = manifest(&config);

    assert!(matches!(adapter(&manifest, Some(&[0.0])), Err(SeriesError::Length { found: 1, .. })));
    let mut wide = manifest.clone();
    wide.adapted.rank = 200;
    assert!(matches!(adapter(&wide, None), Err(SeriesError::Module(_))));
    let mut deep = manifest.clone();
    deep.adapted.first_layer = 90;
    assert!(matches!(lora(&deep, &config, None), Err(SeriesError::Lora(_))));
    assert!(entries(&manifest, &adapter(&deep, None).expect("an adapter")).is_err());
    let checkpoint = Checkpoint::random(config, 1);
    assert!(matches!(check_base(&manifest, &checkpoint), Err(SeriesError::OtherModel { .. })));
    let base = BaseModel { digest: checkpoint.digest(), ..manifest.base.clone() };
    assert!(check_base(&AdapterManifest { base, ..manifest }, &checkpoint).is_ok());
}
