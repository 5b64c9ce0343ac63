//! That the description says what the routes do.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Methods by path.
fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("an item").keys().cloned().collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

#[test]
fn every_operation_has_a_name_a_summary_and_the_parameters_of_its_path() {
    let document = document();
    let mut names = BTreeSet::new();

    for (path, methods) in operations(&document) {
        for method in methods {
            let operation = &document["paths"][&path][&method];
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name), "{path}: one name for two operations");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            let answers = operation["responses"].as_object().expect("answers");
            assert!(answers.contains_key("200"), "{method} {path}");
            assert!(answers.contains_key("default") || operation["security"] == json!([]));
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let of_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(of_path, path.matches('{').count(), "{method} {path}");
        }
    }
    assert!(names.len() > 70, "{}", names.len());
}

#[test]
fn every_view_says_what_it_is() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");

    for (name, schema) in schemas {
        // A name with a number is one that two types claim.
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}: two types have this name");
        assert!(schema.get("description").is_some(), "{name}");
    }
    assert!(schemas.len() > 100, "{}", schemas.len());
    assert!(!JSON.contains("\"$schema\""));
}
