use super::*;
use crate::chat::{
    Step, StepResult,
    answer::{About, Place, Usage},
};

fn asked(more: Value) -> Result<AskModel, ChatError> {
    let mut request = json!({"model": "chorus", "messages": [{"role": "user", "content": "Hello"}]});
    request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value::<Request>(request).expect("a request").into_asked()
}

#[test]
fn what_clients_send_is_understood() {
    let messages = json!([
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": null, "refusal": null},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "you"}], "name": "ada"},
    ]);
    let more = json!({"messages": messages, "model": "chorus-adapter", "max_completion_tokens": 99999, "temperature": 0.5,
        "user": "ada", "presence_penalty": 0, "stop": [], "tools": null, "n": 1, "response_format": {"type": "text"}});

    let asked = asked(more).expect("understood");

    assert_eq!(
        asked.messages,
        [
            Message::new(Role::System, "Be brief."),
            Message::new(Role::Assistant, ""),
            Message::new(Role::User, "Hello\nyou")
        ]
    );
    assert_eq!(asked.shape, Shape { constitution: false, adapter: true });
    assert_eq!((asked.max_tokens, asked.temperature), (Some(MAX_TOKENS), Some(0.5)));
}

#[test]
fn what_would_change_the_answer_and_is_not_done_is_refused_by_name() {
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]);
    for (more, parameter) in [
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"n": 2}), "n"),
        (json!({"stop": "\n"}), "stop"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"messages": image}), "messages"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages"),
    ] {
        match asked(more) {
            Err(ChatError::Unsupported { parameter: refused, .. }) => assert_eq!(refused, parameter),
            other => panic!("{parameter}: {other:?}"),
        }
    }
    assert!(matches!(asked(json!({"model": "gpt-x"})), Err(ChatError::UnknownModel(name)) if name == "gpt-x"));
}

#[test]
fn only_the_words_of_the_last_step_are_content() {
    let head = Head { id: "chatcmpl-1".into(), created: 1, model: "chorus".into() };
    let about = About {
        provider: Place::Local,
        host: None,
        model: "tiny".into(),
        constitution: None,
        adapter: None,
        notes: vec!["a note".into()],
    };
    let step = |step, text: &str| StepResult { step, text: text.into(), verdicts: Vec::new() };
    let answer = Answer {
        about: about.clone(),
        steps: vec![step(Step::Draft, "dra"), step(Step::Refine, "fin")],
        ended: Ended::Length,
        usage: Some(Usage { prompt_tokens: 2, completion_tokens: 3 }),
    };
    let events = [
        Event::About(about),
        Event::Text { step: Step::Draft, text: "dra".into() },
        Event::Text { step: Step::Refine, text: "fin".into() },
        Event::Done(answer.clone()),
    ];

    let chunks: Vec<Value> = events.iter().flat_map(|event| head.chunks(event, true)).collect();
    let whole = head.whole(&answer);

    let content: String = chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "fin");
    assert_eq!(chunks[1]["chorus"], json!({"event": "text", "step": "draft", "text": "dra"}));
    assert_eq!(
        (&chunks[3]["choices"][0]["finish_reason"], &chunks[3]["chorus"]["steps"][0]["text"]),
        (&json!("length"), &json!("dra"))
    );
    assert_eq!((&chunks[4]["usage"]["total_tokens"], &chunks[4]["choices"]), (&json!(5), &json!([])));
    assert_eq!(head.chunks(&events[3], false).len(), 1);
    assert_eq!(
        (&whole["choices"][0]["message"]["content"], &whole["usage"]["total_tokens"]),
        (&json!("fin"), &json!(5))
    );
    assert_eq!(
        (&whole["chorus"]["provider"], &whole["chorus"]["steps"][1]["step"]),
        (&json!("local"), &json!("refine"))
    );
}
