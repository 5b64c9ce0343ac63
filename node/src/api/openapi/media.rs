//! What goes over the interface besides JSON, and our errors.

use aide::{
    OperationInput, OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, RequestBody, Response, SchemaObject},
    operation::set_body,
};
use schemars::{JsonSchema, json_schema};

use crate::api::{
    chat::Refusal,
    error::{ApiError, ErrorBody},
    routes::{Asked, Octets},
};

fn text() -> MediaType {
    let json_schema = json_schema!({ "type": "string" });
    MediaType { schema: Some(SchemaObject { json_schema, external_docs: None, example: None }), ..MediaType::default() }
}

/// Returns an answer of one media type. Bytes have no schema.
fn answer(about: &str, name: &str, media: MediaType) -> Response {
    Response {
        description: about.to_owned(),
        content: [(name.to_owned(), media)].into_iter().collect(),
        ..Response::default()
    }
}

macro_rules! media {
    ($($(#[$doc:meta])* $name:ident: $media:literal, $schema:expr, $about:literal;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl OperationOutput for $name {
            type Inner = Self;

            fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Response> {
                Some(answer($about, $media, $schema))
            }
        }
    )*};
}

media! {
    /// Bytes.
    Binary: "application/octet-stream", MediaType::default(), "The bytes.";
    /// A table.
    Csv: "text/csv", text(), "The table.";
    /// A drawing.
    Picture: "image/svg+xml", text(), "The drawing.";
    /// Words for people and for probes.
    Text: "text/plain", text(), "Words.";
    /// Events as they come.
    Events: "text/event-stream", text(), "Server-sent events; the data of each is JSON.";
}

fn refused<T: JsonSchema>(context: &mut GenContext) -> Response {
    let json_schema = context.schema.subschema_for::<T>();
    let media = MediaType {
        schema: Some(SchemaObject { json_schema, external_docs: None, example: None }),
        ..MediaType::default()
    };
    answer("What went wrong.", "application/json", media)
}

/// Every answer that is an error has this form, whatever its status.
impl OperationOutput for ApiError {
    type Inner = ErrorBody;

    fn operation_response(context: &mut GenContext, _: &mut Operation) -> Option<Response> {
        Some(refused::<ErrorBody>(context))
    }

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        vec![(None, refused::<ErrorBody>(context))]
    }
}

impl OperationOutput for Refusal {
    type Inner = crate::chat::openai::Failure;

    fn operation_response(context: &mut GenContext, _: &mut Operation) -> Option<Response> {
        Some(refused::<Self::Inner>(context))
    }

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        vec![(None, refused::<Self::Inner>(context))]
    }
}

impl<T: JsonSchema> OperationInput for Asked<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        axum::Json::<T>::operation_input(context, operation);
    }
}

impl OperationInput for Octets {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let content = [("application/octet-stream".to_owned(), MediaType::default())].into_iter().collect();
        let body = RequestBody { description: None, content, required: true, extensions: Default::default() };
        set_body(context, operation, body);
    }
}
