//! Deliberation on public Polis conversations, against an independent implementation and against itself in the clear.
//!
//! The data sets are not part of the repository (CC BY 4.0, the Computational Democracy Project); without them these
//! tests print a line and pass.

use std::{collections::BTreeMap, path::Path};

use chorus_node::polis::{Conversation, analyze_dir};
use chorus_protocol::deliberation::{
    analyze::{Options, analyze},
    compare::{adjusted_rand_index, rank_correlation},
    consensus::Support,
    groups::{Partition, kmeans::Points},
    simulate::{SecretOptions, secret_pipeline},
};
use chorus_tests::data::dataset;
use serde_json::Value;

const EXACT: f64 = 1e-9;

fn reference(dir: &Path) -> Value {
    let text = std::fs::read_to_string(dir.join("reference.json")).expect("the file was found");
    serde_json::from_str(&text).expect("the reference is JSON")
}

fn labels(partition: &Value) -> BTreeMap<u64, usize> {
    let labels = partition["labels"].as_object().expect("labels by participant");
    let entry = |(id, label): (&String, &Value)| {
        (id.parse().expect("a participant"), usize::try_from(label.as_u64().expect("a group")).expect("small"))
    };
    labels.iter().map(entry).collect()
}

/// Asserts that `found` has everything that `expected` has: numbers within 1e-9 (relative above 1), the rest equal.
fn assert_matches(expected: &Value, found: &Value, path: &str) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                let other = found.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing"));
                assert_matches(value, other, &format!("{path}.{key}"));
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{path}: {expected:?} {found:?}");
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                assert_matches(expected, found, &format!("{path}[{index}]"));
            }
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            assert!((a - b).abs() <= EXACT * a.abs().max(1.0), "{path}: expected {a}, found {b}");
        }
        (expected, found) => assert_eq!(expected, found, "{path}"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b).abs() / (dot(a, a) * dot(b, b)).sqrt()
}

fn reproduces_the_reference(name: &str) {
    let Some(dir) = dataset(name) else { return };
    let reference = reference(&dir);
    let production = &reference["partitions"]["production"];

    let found = analyze_dir(&dir, Some(labels(production))).expect("a whole export");

    for key in ["statement_ids", "totals", "in_conv", "consensus"] {
        assert_matches(&reference[key], &found[key], key);
    }
    for key in ["k", "sizes", "labels", "group_votes", "gac_agree", "gac_disagree", "repness_stats", "representative"] {
        assert_matches(&production[key], &found[key], key);
    }
    assert_matches(&production["priorities"], &found["priorities"], "priorities");
    let lists = |value: &Value| {
        value.as_object().expect("by group").values().map(|l| l.as_array().map(Vec::len)).collect::<Vec<_>>()
    };
    assert_eq!(lists(&production["representative"]), lists(&found["representative"]));
    let pca = (&reference["pca"], &found["pca"]);
    for axis in ["comp1", "comp2"] {
        let alike = cosine(&numbers(&pca.0[axis]), &numbers(&pca.1[axis]));
        assert!(alike > 1.0 - 1e-6, "{name} {axis}: {alike}");
    }
    for key in ["center", "variance", "variance_ratio", "statement_extremity"] {
        assert_matches(&pca.0[key], &pca.1[key], key);
    }
}

#[test]
fn brexit_comes_out_as_in_the_reference() {
    reproduces_the_reference("polis-brexit");
}

#[test]
fn bowling_green_2050_comes_out_as_in_the_reference() {
    reproduces_the_reference("polis-bg2050");
}

#[test]
fn london_policing_comes_out_as_in_the_reference() {
    reproduces_the_reference("polis-london-policing");
}

#[test]
fn our_groups_are_as_tight_as_those_of_many_random_starts() {
    for name in ["polis-brexit", "polis-bg2050", "polis-london-policing"] {
        let Some(dir) = dataset(name) else { continue };
        let reference = reference(&dir);
        let ids = reference["in_conv"]["ids"].as_array().expect("participants");
        let points: Vec<[f64; 2]> = ids
            .iter()
            .map(|id| numbers(&reference["projections"][id.to_string()]))
            .map(|point| [point[0], point[1]])
            .collect();
        let sorted = Points::new(&points);
        for (k, best) in reference["direct_kmeans"]["by_k"].as_object().expect("by k") {
            let found = sorted.cluster(k.parse().expect("a number"), 1).expect("enough points").inertia;
            let best = best["inertia"].as_f64().expect("a number");
            println!("{name} k = {k}: inertia {found:.3} against {best:.3}");
            assert!(found <= best * 1.02, "{name} {k}: {found} {best}");
        }
    }
}

/// What the secret pipeline gives, compared with the clear one on the same votes at the same number of groups.
struct Comparison {
    k: usize,
    rand_index: f64,
    ranks: f64,
}

fn compare(conversation: &Conversation, seed: u8) -> Comparison {
    let moderation = conversation.moderation();
    let options = SecretOptions { moderation: moderation.clone(), ..SecretOptions::default() };
    let secret = secret_pipeline(&conversation.matrix, [seed; 32], &options).expect("few items");
    let k = secret.partition.k;
    let options = Options { floor: 10, groups: (k > 1).then_some(k), labels: None, moderation };
    let mut clear = analyze(&conversation.matrix, &options).expect("no labels");
    if k == 1 {
        let labels = Some(Partition::whole(clear.points.len()).groups());
        clear = analyze(&conversation.matrix, &Options { labels, ..options }).expect("one label per row");
    }
    let pointed: Vec<Option<usize>> = secret.partition.groups();
    let secret_labels: Vec<Option<usize>> =
        pointed.iter().zip(&clear.points).map(|(label, point)| point.and(*label)).collect();
    let approximate = |supports: &[Support]| supports.iter().map(Support::approximate).collect::<Vec<_>>();
    Comparison {
        k,
        rand_index: adjusted_rand_index(&secret_labels, &clear.labels),
        ranks: rank_correlation(&approximate(&secret.findings.agree), &approximate(&clear.findings.agree)),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_secret_pipeline_finds_what_the_clear_one_finds() {
    for name in ["polis-brexit", "polis-bg2050", "polis-london-policing"] {
        let Some(dir) = dataset(name) else { continue };
        let conversation = Conversation::read(&dir).expect("a whole export");
        let outcomes: Vec<Comparison> = (1..=5).map(|seed| compare(&conversation, seed)).collect();

        let each = |of: fn(&Comparison) -> f64| outcomes.iter().map(of).collect::<Vec<_>>();
        let (rand_index, ranks) = (each(|outcome| outcome.rand_index), each(|outcome| outcome.ranks));
        let k: Vec<usize> = outcomes.iter().map(|outcome| outcome.k).collect();
        println!("{name}: k {k:?}, adjusted Rand index {rand_index:.3?}, rank correlation {ranks:.3?}");
        if name == "polis-brexit" {
            assert!(median(rand_index) >= 0.75);
            assert!(median(ranks) >= 0.9);
        }
    }
}
