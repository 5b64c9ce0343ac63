use super::*;

/// The one in SmolLM2's file.
const SMOLLM: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source.to_owned(), "<s>".into(), "</s>".into()).expect("a template")
}

#[test]
fn a_conversation_is_written_out_as_the_template_says() {
    let template = template(SMOLLM);
    let mut messages = vec![Message::new(Role::User, "Hello")];

    let text = template.render(&messages, true).expect("written out");
    assert!(text.starts_with("<|im_start|>system\nYou are a helpful AI assistant"), "{text}");
    assert!(text.ends_with("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"), "{text}");

    messages.insert(0, Message::new(Role::System, "Be brief."));
    messages.push(Message::new(Role::Assistant, "Hi {{ bos_token }}"));
    assert_eq!(
        template.render(&messages, false).expect("written out"),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n\
         <|im_start|>assistant\nHi {{ bos_token }}<|im_end|>\n"
    );
}

#[test]
fn templates_have_what_transformers_gives_them() {
    let messages = [Message::new(Role::User, "  two words "), Message::new(Role::Assistant, "x")];
    let source = "{%- set ns = namespace(last='') %}\n{% if not date_string is defined %}\n    {%- if strftime_now is defined %}\n{{- 'a clock' }}{% endif %}\n{%- endif %}\n{{- bos_token }}{% for message in messages %}{% if message.role == 'assistant' %}{% break %}{% endif %}{{ message['content'].strip().upper() }}|{{ message['content'] | trim | tojson }}{% endfor %}{{ eos_token }}{% if tools %}tools{% endif %}";

    assert_eq!(template(source).render(&messages, true).expect("written out"), "<s>TWO WORDS|\"two words\"</s>");
}

#[test]
fn a_template_may_refuse_a_conversation() {
    let template = template("{{ raise_exception('roles must alternate') }}");

    let error = template.render(&[], true).expect_err("refused");

    assert!(matches!(&error, ChatError::Template(error) if error.to_string().contains("roles must alternate")));
}

#[test]
fn a_template_that_runs_or_writes_without_end_is_stopped() {
    let long =
        template("{% for i in range(10000) %}{% for j in range(10000) %}{% set x = i %}{% endfor %}{% endfor %}");
    let wide = template("{{ 'x' * 5000000 }}");

    assert!(matches!(long.render(&[], true), Err(ChatError::Template(error)) if error.kind() == ErrorKind::OutOfFuel));
    assert!(
        matches!(wide.render(&[], true), Err(ChatError::Template(error)) if error.kind() == ErrorKind::WriteFailure)
    );
}

#[test]
fn what_is_no_template_is_refused() {
    let new = |source: &str| ChatTemplate::new(source.to_owned(), String::new(), String::new());

    assert!(matches!(new("{% for %}"), Err(ChatError::Template(_))));
    assert!(matches!(new(&" ".repeat(MAX_TEMPLATE_BYTES + 1)), Err(ChatError::TooLong(_))));
}
