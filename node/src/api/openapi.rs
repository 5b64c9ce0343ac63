//! The description of the local interface in OpenAPI 3.1, made from the routes and the types that serve it.
//!
//! Routes are registered with what their handlers take and give (`aide`), and every view type says what its JSON looks like
//! (`schemars`): there is no second account of the interface that could say something else. What the types do not say is
//! added by `complete`: names of parameters in paths, names of operations, and which routes need the token.

mod media;

use std::sync::LazyLock;

use aide::{
    axum::ApiRouter,
    generate::{in_context, reset_context},
    openapi::OpenApi,
    transform::TransformOperation,
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

pub(super) use self::media::{Binary, Csv, Events, Picture, Text};
use super::{BASE, chat, open, routes};

/// What stands before the operations.
const ABOUT: &str = "What a Chorus node does for programs of the same user, on loopback. A request names the server by its own \
                     address (`127.0.0.1:PORT`, `localhost:PORT` or `[::1]:PORT`), and shows the token that stands in the file \
                     `api.token` of the data directory, but for the routes that need none. The address is in `api.address`. \
                     Errors have one form, and in the routes of OpenAI's protocol (`/v1`) that of OpenAI.";

/// Methods that an operation can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The document as it is served and printed.
pub static JSON: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// Returns the description of all routes but those of the page.
pub fn document() -> Value {
    let mut api = OpenApi::default();
    describe(&mut api, open::described);
    describe(&mut api, || {
        ApiRouter::new().nest(BASE, routes::described()).nest(chat::OPENAI, chat::described_openai())
    });
    let mut document = serde_json::to_value(api).expect("a description can always be written");
    complete(&mut document);
    document
}

/// Collects what routes say of themselves while they are made.
fn describe<S: Clone + Send + Sync + 'static>(api: &mut OpenApi, make: impl FnOnce() -> ApiRouter<S>) {
    reset_context();
    // The dialect of OpenAPI 3.1.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "#/components/schemas/".into();
        settings.meta_schema = None;
    });
    in_context(|context| context.schema = SchemaGenerator::new(settings));
    drop(make().finish_api(api));
}

/// Says what an operation does.
pub(super) fn told(summary: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(summary)
}

/// Adds what types do not say.
fn complete(document: &mut Value) {
    document["info"] = json!({
        "title": "Chorus: the local interface",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": { "name": env!("CARGO_PKG_LICENSE") },
    });
    document["servers"] = json!([{
        "url": "http://127.0.0.1:{port}",
        "variables": { "port": { "default": "80", "description": "A free port: the file `api.address` tells which." } },
    }]);
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "The text of the file `api.token`." },
    });
    document["security"] = json!([{ "token": [] }]);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if METHODS.contains(&method.as_str()) {
                name(path, method, operation);
            }
        }
    }
}

/// Gives an operation its name, its tag, and the parameters of its path.
fn name(path: &str, method: &str, operation: &mut Value) {
    let own = path.strip_prefix(BASE);
    let words = own.unwrap_or(path).split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    operation["operationId"] = std::iter::once(method).chain(words).collect::<Vec<_>>().join("_").into();
    let first = own.and_then(|own| own.split('/').nth(1));
    operation["tags"] = json!([first.unwrap_or(if path.starts_with("/v1/") { "openai" } else { "open" })]);
    if own.is_none() && !path.starts_with("/v1/") {
        operation["security"] = json!([]);
    }
    if own.is_some() && operation["responses"].get("default").is_none() {
        let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
        let content = json!({ "application/json": { "schema": schema } });
        operation["responses"]["default"] = json!({ "description": "What went wrong.", "content": content });
    }
    let parameters = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = parameters
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(known) => known.extend(parameters),
        None if parameters.is_empty() => {}
        None => operation["parameters"] = parameters.into(),
    }
}

#[cfg(test)]
mod tests;
