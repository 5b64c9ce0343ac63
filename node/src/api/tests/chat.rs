//! Conversations over both interfaces, before a real node.

use std::time::Duration;

use super::*;
use crate::chat::{
    outside::stub::{END, HANGS, Stub, plain, streamed},
    tests::model_folder,
};

impl Fixture {
    /// Sends one request to the root, and returns status and text of the answer.
    async fn raw(
        &self,
        method: &'static str,
        path: &str,
        body: Value,
        more: Option<(&'static str, &str)>,
    ) -> (u16, String) {
        let mut headers = vec![("Authorization", self.token.clone())];
        if let Some((name, value)) = more {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value.to_owned()));
        }
        let (status, text) = self.exchange(method, path, body.clone(), headers).await;
        if let Ok(answer) = serde_json::from_str(&text) {
            conformance::check(method, path, &body, status, &answer);
        }
        (status, text)
    }

    async fn complete(&self, body: Value) -> (u16, Value) {
        let (status, text) = self.raw("POST", "/v1/chat/completions", body, None).await;
        (status, serde_json::from_str(&text).expect("JSON"))
    }
}

/// The data of server-sent events.
fn data(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

fn hello(more: Value) -> Value {
    let mut body = json!({"model": "chorus", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_clients_are_answered_by_a_model_on_this_machine() {
    let fixture = Fixture::start().await;
    let unset = fixture.complete(hello(json!({}))).await;
    assert_eq!((unset.0, &unset.1["error"]["code"]), (503, &json!("model_not_configured")), "{unset:?}");
    let folder = model_folder();
    fixture.set(settings::Name::BaseModel, folder.path().to_str().expect("text"));

    let strangers = fixture.raw("GET", "/v1/models", Value::Null, Some(("Authorization", "Bearer guess"))).await;
    let models = fixture.raw("GET", "/v1/models", Value::Null, None).await;
    let whole = fixture.complete(hello(json!({}))).await;
    let stream = hello(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (status, stream) = fixture.raw("POST", "/v1/chat/completions", stream, None).await;
    let (own_status, own) = fixture
        .raw("POST", "/api/v1/chat", json!({"messages": hello(json!({}))["messages"], "max_tokens": 5}), None)
        .await;

    assert_eq!(strangers.0, 401);
    assert!(strangers.1.contains("\"invalid_api_key\""), "{}", strangers.1);
    let models: Value = serde_json::from_str(&models.1).expect("JSON");
    assert_eq!(
        (&models["data"][0]["id"], &models["data"][0]["chorus"]["provider"]),
        (&json!("chorus"), &json!("local"))
    );
    let (code, whole) = whole;
    assert_eq!(
        (code, &whole["object"], &whole["usage"]["completion_tokens"]),
        (200, &json!("chat.completion"), &json!(5))
    );
    let chorus = &whole["chorus"];
    assert_eq!(
        (&chorus["provider"], &chorus["host"], &chorus["constitution"]),
        (&json!("local"), &Value::Null, &Value::Null)
    );
    assert!(chorus["notes"][0].as_str().is_some_and(|note| note.contains("no constitution is in force")), "{chorus}");
    assert_eq!(chorus["steps"][0]["text"], whole["choices"][0]["message"]["content"]);
    let chunks = data(&stream);
    assert_eq!((status, chunks.last()), (200, Some(&"[DONE]")));
    let chunks: Vec<Value> =
        chunks[..chunks.len() - 1].iter().map(|chunk| serde_json::from_str(chunk).expect("JSON")).collect();
    let content: String = chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(whole["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.starts_with(&content)));
    assert_eq!(chunks.last().map(|it| &it["usage"]["completion_tokens"]), Some(&json!(5)));
    let events: Vec<Value> = data(&own).iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    assert_eq!(
        (own_status, &events[0]["event"], &events[events.len() - 1]["event"]),
        (200, &json!("about"), &json!("done"))
    );
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_existing_client_does_wrong_is_told_in_its_own_shape() {
    let fixture = Fixture::start().await;
    let folder = model_folder();
    fixture.set(settings::Name::ModelPath, folder.path().to_str().expect("text"));
    let code =
        |(status, answer): (u16, Value)| (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned());

    let long = "x".repeat(20_000);
    let unknown = code(fixture.complete(hello(json!({"model": "gpt-x"}))).await);
    let tools = code(fixture.complete(hello(json!({"tools": [{"type": "function"}]}))).await);
    let empty = code(fixture.complete(hello(json!({"messages": []}))).await);
    let hot = code(fixture.complete(hello(json!({"temperature": 9}))).await);
    let wide = code(fixture.complete(hello(json!({"messages": [{"role": "user", "content": long}]}))).await);
    let odd = code(fixture.complete(json!([])).await);
    let huge = code(fixture.complete(hello(json!({"user": "x".repeat(1 << 20)}))).await);
    let rebound = fixture.raw("GET", "/v1/models", Value::Null, Some(("Host", "evil.example"))).await;
    let (nowhere, why) = fixture.raw("POST", "/v1/embeddings", json!({}), None).await;

    assert_eq!(unknown, (404, "model_not_found".into()));
    assert_eq!(tools, (400, "unsupported_parameter".into()));
    assert_eq!(empty, (400, "invalid_request".into()));
    assert_eq!(hot, (400, "invalid_request".into()));
    assert_eq!(wide, (400, "context_length_exceeded".into()));
    assert!(matches!(odd.0, 400 | 422) && odd.1 == "invalid_request", "{odd:?}");
    assert_eq!(huge.0, 413);
    assert_eq!(rebound.0, 421);
    let why: Value = serde_json::from_str(&why).expect("JSON");
    assert_eq!((nowhere, &why["error"]["code"]), (404, &json!("unknown_url")), "{why}");
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_only_if_it_is_configured_and_answers_say_so() {
    let fixture = Fixture::start().await;
    let folder = model_folder();
    let refused = plain("500 Oops", r#"{"error": {"message": "overloaded"}}"#);
    let stub = Stub::start(vec![
        streamed(&["Good ", "day"], END),
        refused,
        streamed(&["Good"], HANGS),
        streamed(&["Bye"], END),
    ]);
    fixture.set(settings::Name::ModelPath, folder.path().to_str().expect("text"));
    fixture.set(settings::Name::ModelUrl, &stub.url());
    fixture.set(settings::Name::ModelName, "large");
    let here = fixture.complete(hello(json!({}))).await;
    assert_eq!(here.1["chorus"]["provider"], "local", "an address alone sends nothing");
    fixture.set(settings::Name::ModelProvider, "outside");

    let (_, status) = fixture.get("/chat").await;
    let there = fixture.complete(hello(json!({}))).await;
    let failed = fixture.complete(hello(json!({}))).await;
    // Whoever leaves makes room for the next: the endpoint itself would never end.
    let mut conversation = fixture
        .service
        .chat(serde_json::from_value(json!({"messages": hello(json!({}))["messages"]})).expect("asked"))
        .expect("begun");
    let about = conversation.next().await.expect("an event").expect("no error");
    while !matches!(conversation.next().await, Some(Ok(crate::chat::Event::Text { .. }))) {}
    drop(conversation);
    let next =
        tokio::time::timeout(Duration::from_secs(20), fixture.complete(hello(json!({})))).await.expect("in time");

    let host = json!(stub.address.to_string());
    let answering = json!({"provider": "outside", "host": host, "model": "large"});
    assert_eq!((&status["answering"], &fixture.get("/status").await.1["model"]), (&answering, &answering));
    assert_eq!((there.0, &there.1["choices"][0]["message"]["content"]), (200, &json!("Good day")));
    assert_eq!((&there.1["chorus"]["provider"], &there.1["chorus"]["host"]), (&json!("outside"), &host));
    assert_eq!((failed.0, &failed.1["error"]["code"]), (503, &json!("endpoint_failed")));
    assert!(failed.1["error"]["message"].as_str().is_some_and(|words| words.contains("overloaded")));
    assert!(matches!(about, crate::chat::Event::About(_)));
    assert_eq!(next.1["choices"][0]["message"]["content"], "Bye");
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cited_prompts_are_asked_before_and_after_and_kept() {
    let fixture = Fixture::start().await;
    let folder = model_folder();
    fixture.set(settings::Name::ModelPath, folder.path().to_str().expect("text"));
    fixture.set(settings::Name::ModelMaxTokens, "4");
    let asked = json!({"prompts": ["How do I sing?", "Why?"]});

    let (status, pairs) = fixture.post("/chat/cases", asked.clone()).await;
    let (_, same) = fixture.post("/chat/cases", asked.clone()).await;
    let (_, again) = fixture.post("/chat/cases", json!({"prompts": ["Why?"], "again": true})).await;
    let (_, kept) = fixture.get("/chat/cases").await;
    let none = fixture.post("/chat/cases", json!({"prompts": [" "]})).await;

    assert_eq!((status, pairs.as_array().map(Vec::len)), (200, Some(2)), "{pairs}");
    assert_eq!(
        (&pairs[0]["prompt"], &pairs[0]["before"]["steps"][0]["step"]),
        (&json!("How do I sing?"), &json!("answer"))
    );
    assert!(
        pairs[0]["before"]["notes"] == json!([]) && pairs[0]["after"]["notes"] != json!([]),
        "one of them should be governed"
    );
    assert_eq!(same, pairs, "kept: with the same time");
    assert_ne!(again[0]["asked_at"], pairs[1]["asked_at"]);
    assert_eq!(kept, json!([pairs[0], again[0]]));
    assert_eq!(none.0, 400);
    fixture.service.node().clone().shutdown().await;
}
