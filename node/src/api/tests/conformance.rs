//! Holds what goes over the interface in every test against its description.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use jsonschema::Validator;

use super::*;
use crate::api::{chat, openapi};

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// Checks what was asked, if it was done, and what was answered.
pub(super) fn check(method: &str, path: &str, body: &Value, status: u16, answer: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(operation) = operation(method, path) else {
        assert!(status >= 400, "{method} {path} is not described");
        let error = if path.starts_with(chat::OPENAI) { "OpenAiErrorBody" } else { "ErrorBody" };
        return is_of(&json!({ "$ref": format!("#/components/schemas/{error}") }), answer, path);
    };
    if method == "POST"
        && status == 200
        && let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema")
    {
        is_of(schema, body, path);
    }
    let described = operation["responses"].get(status.to_string()).unwrap_or(&operation["responses"]["default"]);
    let schema = described["content"]["application/json"].get("schema");
    is_of(schema.unwrap_or_else(|| panic!("{method} {path}: no JSON is described for {status}")), answer, path);
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let is_part = |(template, part): (&str, &str)| template.starts_with('{') || template == part;
    let is_path = |template: &str| {
        template.split('/').count() == path.split('/').count() && template.split('/').zip(path.split('/')).all(is_part)
    };
    let mut found: Vec<_> = paths.iter().filter(|(template, _)| is_path(template)).collect();
    // What is named goes before what is any.
    found.sort_by_key(|(template, _)| template.matches('{').count());
    found.iter().find_map(|(_, item)| item.get(method.to_lowercase()))
}

fn is_of(schema: &Value, value: &Value, path: &str) {
    if schema == true {
        return;
    }
    let key = schema.to_string();
    let known = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let validator = known.unwrap_or_else(|| {
        let mut root = schema.clone();
        root["components"] = DOCUMENT["components"].clone();
        let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&root);
        Arc::new(validator.unwrap_or_else(|error| panic!("{path}: {error}")))
    });
    VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).insert(key, validator.clone());
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{path} is not as described: {errors:#?}\n{value:#}");
}

/// The paths that the router itself says it has.
fn registered(router: &axum::Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let (routes, _) = shown.split_once("fallback_router").expect("the routes come before the fallbacks");
    let quoted = routes.split('"').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with('/')).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_description_is_a_route() {
    let fixture = Fixture::start().await;
    let shared = routes::Shared {
        service: fixture.service.clone(),
        gate: auth::Gate::new(Token::random(), fixture.address),
        sessions: Arc::default(),
        scratch: fixture.folder.path().to_owned(),
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");

    let registered = registered(&routes::router(shared));
    let described: BTreeSet<String> = paths.keys().cloned().collect();

    assert_eq!(registered, described);
    for (path, item) in paths {
        let asked = path.replace("{file}", "items.csv").replace(['{', '}'], "");
        let methods: BTreeSet<&str> = item.as_object().expect("an item").keys().map(String::as_str).collect();
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let headers = vec![("Authorization", fixture.token.clone())];
            let (status, text) = fixture.exchange(method, &asked, json!([]), headers).await;
            let is_unknown =
                status == 405 || text.contains("there is no such route") || text.contains("does not know this");
            assert_eq!(
                is_unknown,
                !methods.contains(method.to_lowercase().as_str()),
                "{method} {path}: {status} {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_to_who_has_the_token() {
    let fixture = Fixture::start().await;

    let (status, served) = fixture.get("/openapi.json").await;
    let (stranger, _) = fixture.exchange("GET", "/api/v1/openapi.json", Value::Null, vec![]).await;

    assert_eq!((status, &served["openapi"], stranger), (200, &json!("3.1.0"), 401));
    assert_eq!(served, *DOCUMENT);
}

#[test]
fn what_is_not_as_described_is_noticed() {
    let wrong = json!({ "error": { "kind": "odd", "message": "" } });

    let noticed = std::panic::catch_unwind(|| check("GET", "/api/v1/status", &Value::Null, 400, &wrong));

    assert!(noticed.is_err());
}
