use super::{
    stub::{END, HANGS, Stub, plain, streamed},
    *,
};
use crate::model::chat::Role;

const MANNER: Manner = Manner { max_tokens: 9, sampling: Sampling::Greedy, seed: 4 };

fn ask(stub: &Stub, key: Option<&str>, patience: &Patience<'_>) -> (Result<Completion, ChatError>, String) {
    let key = key.map(|key| Zeroizing::new(key.to_owned()));
    let endpoint = Endpoint::new(&stub.url(), "large".into(), key, 100).expect("an endpoint");
    let mut told = String::new();
    let messages = [Message::new(Role::User, "Hello")];
    let completion = endpoint.complete(&messages, &MANNER, patience, &mut |text| told.push_str(text));
    (completion, told)
}

fn patient() -> Patience<'static> {
    Patience::new(&|| false, Duration::from_secs(20))
}

#[test]
fn an_answer_comes_word_by_word_and_the_key_is_shown_to_the_endpoint_alone() {
    let stub = Stub::start(vec![streamed(&["Good ", "day"], END)]);

    let (completion, told) = ask(&stub, Some("sk-secret"), &patient());

    let completion = completion.expect("an answer");
    assert_eq!((completion.text.as_str(), told.as_str(), completion.ended), ("Good day", "Good day", Ended::Length));
    assert_eq!(completion.usage, Some(Usage { prompt_tokens: 7, completion_tokens: 2 }));
    let asked = stub.asked();
    assert!(asked.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("authorization: bearer sk-secret\r\n"), "{asked}");
    let body: serde_json::Value = serde_json::from_str(asked.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(body["messages"], serde_json::json!([{"role": "user", "content": "Hello"}]));
    assert_eq!((&body["model"], &body["max_tokens"], &body["stream"]), (&"large".into(), &9.into(), &true.into()));
    let key = Some(Zeroizing::new("sk-secret".to_owned()));
    let endpoint = Endpoint::new("https://models.example.org/v1/", "m".into(), key, 1).expect("an endpoint");
    assert!(!format!("{endpoint:?}").contains("sk-secret"));
}

#[test]
fn an_endpoint_that_does_not_stream_is_understood() {
    let body = r#"{"choices": [{"message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}]}"#;
    let stub = Stub::start(vec![plain("200 OK", body)]);

    let (completion, _) = ask(&stub, None, &patient());

    let completion = completion.expect("an answer");
    assert_eq!((completion.text.as_str(), completion.ended, completion.usage), ("Good day", Ended::Stop, None));
    assert!(!stub.asked().to_ascii_lowercase().contains("authorization"));
}

#[test]
fn what_a_stranger_says_is_bounded_and_never_believed() {
    let refused = r#"{"error": {"message": "no\u001b[2J money", "type": "x"}}"#;
    let stub = Stub::start(vec![
        plain("402 Payment Required", refused),
        plain("302 Found\r\nLocation: http://127.0.0.1:1/elsewhere", ""),
        plain("200 OK", "<html>"),
        streamed(&[], "data: {\"error\": {\"message\": \"overloaded\"}}\n\n"),
        streamed(&[], &"x".repeat(2 * MAX_LINE_BYTES as usize)),
    ]);

    let error = |()| ask(&stub, None, &patient()).0.expect_err("refused").to_string();

    assert!(error(()).ends_with("refuses with status 402: no [2J money"));
    assert!(error(()).contains("refuses with status 302"), "no redirect is followed");
    assert!(error(()).contains("is not understood"));
    assert!(error(()).contains("overloaded"));
    assert!(error(()).contains("a line without end"));
    assert!(matches!(error(()).as_str(), text if text.contains("does not answer")), "the server is gone");
}

#[test]
fn nobody_waits_for_an_endpoint_that_hangs() {
    let stub = Stub::start(vec![streamed(&["Good"], HANGS), streamed(&["Good"], HANGS)]);
    let began = std::time::Instant::now();

    let impatient = ask(&stub, None, &Patience::new(&|| false, Duration::from_millis(300)));
    let gone =
        ask(&stub, None, &Patience::new(&|| began.elapsed() > Duration::from_millis(600), Duration::from_secs(20)));

    assert!(matches!(impatient.0, Err(ChatError::TimedOut(_))), "{:?}", impatient.0);
    assert!(matches!(gone.0, Err(ChatError::Cancelled)), "{:?}", gone.0);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn only_addresses_of_endpoints_are_taken_and_keys_are_not_sent_in_clear() {
    assert_eq!(host("https://models.example.org/v1"), Some(("models.example.org".into(), true, false)));
    assert_eq!(host("http://127.0.0.1:11434/v1"), Some(("127.0.0.1:11434".into(), false, true)));
    assert_eq!(host("http://[::1]:1/v1"), Some(("[::1]:1".into(), false, true)));
    for odd in [
        "",
        "models.example.org",
        "ftp://x/v1",
        "https://user:pass@x/v1",
        "https://x/v1?key=1",
        "https:///v1",
        "file:///x",
    ] {
        assert_eq!(host(odd), None, "{odd}");
    }
    let key = || Some(Zeroizing::new("sk".to_owned()));
    let new = |url: &str| Endpoint::new(url, "m".into(), key(), 1);
    assert!(matches!(new("http://models.example.org/v1"), Err(OutsideError::KeyInClear(_))));
    assert!(new("http://localhost:8000/v1").is_ok() && new("https://models.example.org/v1").is_ok());
    let clear = Endpoint::new("http://models.example.org/v1", "m".into(), None, 1).expect("without a key");
    assert_eq!(clear.notes().len(), 2, "{:?}", clear.notes());
}
