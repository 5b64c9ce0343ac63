use std::{cell::Cell, fs, path::PathBuf};

use chorus_protocol::id::BlobId;

use super::{
    answer::{Ended, Governing, Place},
    prompts::Constitution,
    provider::{Manner, Patience, Provider},
    *,
};
use crate::model::{
    base::BaseModel,
    chat::Role,
    generate::{Generator, Precision, Sampling, Settings},
    peft::Adapter,
};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

/// One of PEFT's own adapters for the tiny model.
pub(crate) fn adapter(name: &str) -> (BlobId, Adapter) {
    let adapter = Adapter::read(&fixtures().join("tiny-llama").join(name)).expect("PEFT's own files");
    (BlobId::of(name.as_bytes()), adapter)
}

/// A tiny model of bytes in a folder, with room for long prompts.
pub(crate) fn model_folder() -> tempfile::TempDir {
    let fixtures = fixtures();
    let folder = tempfile::tempdir().expect("a folder");
    let config = fs::read_to_string(fixtures.join("tiny-llama/config.json")).expect("the fixture");
    let config = config.replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 16384");
    fs::write(folder.path().join("config.json"), config).expect("written");
    for file in ["tiny-llama/model.safetensors", "bytes/tokenizer.json"] {
        let from = fixtures.join(file);
        fs::copy(&from, folder.path().join(from.file_name().expect("a name"))).expect("copied");
    }
    folder
}

fn constitution(principles: &[&str]) -> Constitution {
    let count = principles.len();
    Constitution {
        governing: Governing { id: BlobId::of(b"c"), version: 3, principles: count, told: count },
        name: "Choir".into(),
        purpose: "To sing".into(),
        principles: principles.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn about(constitution: Option<&Constitution>) -> About {
    About {
        provider: Place::Local,
        host: None,
        model: "tiny".into(),
        constitution: constitution.map(|it| it.governing.clone()),
        adapter: None,
        notes: Vec::new(),
    }
}

const MANNER: Manner = Manner { max_tokens: 12, sampling: Sampling::Greedy, seed: 0 };

/// Has the tiny model answer, and returns the events too.
fn answer(constitution: Option<&Constitution>, gone: &dyn Fn() -> bool) -> (Result<Answer, ChatError>, Vec<Event>) {
    let folder = model_folder();
    let local = Local::open(folder.path()).expect("a model");
    let messages = [Message::new(Role::System, "Be brief."), Message::new(Role::User, "Why sing?")];
    let mut events = Vec::new();
    let patience = Patience::new(gone, LONGEST_ANSWER);
    let mut emit = |event| events.push(event);
    let about = about(constitution);
    let answered =
        steps::answer(&Provider::Local(&local), about, constitution, &messages, MANNER, &patience, &mut emit);
    (answered, events)
}

#[test]
fn a_constitution_governs_in_four_steps_that_are_all_shown() {
    let constitution = constitution(&["Be kind", "Say what you do not know"]);

    let (answered, events) = answer(Some(&constitution), &|| false);

    let answered = answered.expect("an answer");
    let steps: Vec<Step> = answered.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, Step::GOVERNED);
    assert_eq!(answered.text(), answered.steps[3].text);
    let verdicts: Vec<_> = answered.verdicts().map(|it| (it.principle, it.text.as_str())).collect();
    assert_eq!(verdicts, [(1, "Be kind"), (2, "Say what you do not know")]);
    for verdict in answered.verdicts() {
        let score = verdict.score.expect("a model that computes here gives a probability");
        assert!((0.0..=1.0).contains(&score));
        assert_eq!(verdict.label, if score >= 0.5 { Label::Follows } else { Label::Violates });
    }
    let begun: Vec<Step> =
        events.iter().filter_map(|event| if let Event::Step { step } = event { Some(*step) } else { None }).collect();
    assert_eq!(begun, Step::GOVERNED);
    for result in &answered.steps {
        let text: String = events
            .iter()
            .filter_map(|event| match event {
                Event::Text { step, text } if *step == result.step => Some(text.as_str()),
                _ => None,
            })
            .collect();
        // What ends in half a character is told to the end only with the whole.
        assert!(result.text.starts_with(&text), "{:?}", result.step);
    }
    assert!(matches!(events.first(), Some(Event::About(_))));
    assert_eq!(events.last(), Some(&Event::Done(answered.clone())));
    assert!(answered.usage.is_some_and(|usage| usage.prompt_tokens > 1_000 && usage.completion_tokens > 0));
    let json = serde_json::to_string(&Event::Done(answered.clone())).expect("plain data");
    assert_eq!(serde_json::from_str::<Event>(&json).expect("reads back"), Event::Done(answered));
}

#[test]
fn without_principles_the_model_answers_as_it_is() {
    for constitution in [None, Some(constitution(&[]))] {
        let (answered, _) = answer(constitution.as_ref(), &|| false);

        let answered = answered.expect("an answer");
        let steps: Vec<Step> = answered.steps.iter().map(|step| step.step).collect();
        assert_eq!((steps, answered.ended), (vec![Step::Answer], Ended::Length));
    }
}

#[test]
fn whoever_leaves_ends_the_making() {
    let constitution = constitution(&["Be kind"]);
    let asked = Cell::new(0);
    let gone = || {
        asked.set(asked.get() + 1);
        asked.get() > 30
    };

    let (answered, events) = answer(Some(&constitution), &gone);

    assert!(matches!(answered, Err(ChatError::Cancelled)), "{answered:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Done(_))));
    assert!(asked.get() < 34, "looked at with each token: {}", asked.get());
}

#[test]
fn principles_questions_and_drafts_are_text_and_never_templates() {
    let odd = "{{ 7 * 7 }} {% raw %} <|im_end|> </s>";
    let constitution = constitution(&[odd]);
    let messages = [
        Message::new(Role::System, odd),
        Message::new(Role::User, "before"),
        Message::new(Role::Assistant, odd),
        Message::new(Role::User, odd),
    ];
    let prompts = prompts::Prompts::new(&constitution, &messages).expect("a conversation");
    let verdicts = verdict::read("1. VIOLATES: see {{ x }} there", &constitution.principles);

    let all = [
        prompts.analyse().expect("written"),
        prompts.draft(odd).expect("written"),
        prompts.evaluate(odd).expect("written"),
        prompts.judge(odd, odd).expect("written"),
        prompts.refine(odd, &verdicts).expect("written"),
    ];

    let roles: Vec<Role> = all[0].iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [Role::System, Role::User, Role::Assistant, Role::User],
        "one system message: templates want it so"
    );
    assert_eq!(all[0][0].content.matches(odd).count(), 2, "the principle, and what the application says");
    assert!(all[0][0].content.contains(&format!("1. {odd}")));
    assert!(all[4][3].content.contains("1. does not follow it: see {{ x }} there"), "{}", all[4][3].content);
    assert!(all.iter().all(|messages| messages.last().expect("a question").content.contains(odd)));
}

#[test]
fn the_best_supported_principles_are_told_as_far_as_there_is_room() {
    let mut constitution = constitution(&["aaaaaa", "bbbbbb", "cccccc"]);

    constitution.fit(25);

    assert_eq!(
        (constitution.principles.as_slice(), constitution.governing.told),
        (&["aaaaaa".into(), "bbbbbb".into()][..], 2)
    );
    assert_eq!(constitution.governing.principles, 3);
}

#[test]
fn conversations_are_bounded_and_end_with_the_person() {
    let user = |text: &str| Message::new(Role::User, text);

    assert!(check(&[user("hello")]).is_ok());
    assert!(matches!(check(&[]), Err(ChatError::Invalid(_))));
    assert!(matches!(check(&[user("  ")]), Err(ChatError::Invalid(_))));
    assert!(matches!(check(&[user("a"), Message::new(Role::Assistant, "b")]), Err(ChatError::Invalid(_))));
    assert!(matches!(check(&vec![user("a"); MAX_MESSAGES + 1]), Err(ChatError::TooLong(_))));
    assert!(matches!(check(&[user(&"a".repeat(MAX_CONVERSATION_BYTES + 1))]), Err(ChatError::TooLong(_))));
}

#[tokio::test]
async fn one_is_served_at_a_time_and_the_line_is_bounded() {
    let queue = Queue::default();
    let first = queue.enter().expect("a place").turn().await;
    let mut waiting: Vec<_> = (0..queue::WAITING).map(|_| queue.enter().expect("a place")).collect();

    assert!(matches!(queue.enter(), Err(ChatError::Busy(_))));
    let mut second = Box::pin(waiting.remove(0).turn());
    assert!(futures::poll!(&mut second).is_pending(), "the first is still served");
    drop(first);
    assert!(queue.enter().is_ok(), "its place is free");
    second.await;
}

#[test]
fn a_model_stays_in_memory_until_another_one_is_asked_for() {
    let (one, two) = (model_folder(), model_folder());
    let desk = Desk::default();
    let digest = |local: &mut Local| Ok((local.path().to_owned(), *local.digest()));

    let first = desk.with_local(one.path(), digest).expect("read");
    fs::remove_file(one.path().join("config.json")).expect("removed");
    assert_eq!(desk.with_local(one.path(), digest).expect("still there"), first);

    assert_eq!(desk.with_local(two.path(), digest).expect("read"), (two.path().to_owned(), first.1));
    let gone = desk.with_local(one.path(), digest);
    assert!(matches!(&gone, Err(ChatError::Base(_))), "{gone:?}");
}

/// What a model says, and how probable a "Yes" is.
fn says(local: &Local) -> (String, f32) {
    let (messages, gone) = ([Message::new(Role::User, "Why sing?")], || false);
    let patience = Patience::new(&gone, LONGEST_ANSWER);
    let provider = Provider::Local(local);
    let text = provider.complete(&messages, &MANNER, &patience, &mut |_| {}).expect("an answer").text;
    let (yes, _) = provider.yes(&messages, &patience).expect("a word").expect("tokens for both");
    (text, yes)
}

#[test]
fn an_adapter_that_is_worn_speaks_and_once_it_is_off_the_model_is_as_it_was() {
    let folder = model_folder();
    let mut local = Local::open(folder.path()).expect("a model");
    let ((one, first), (other, second)) = (adapter("adapter"), adapter("patterns"));
    // By another way: the same weights without any of the chat.
    let base = BaseModel::open(folder.path()).expect("a model");
    let mut generator = Generator::new(&base.checkpoint, Precision::Q8).expect("a generator");
    generator.set_adapter(Some(&first)).expect("an adapter for it");
    let prompt = base.dialogue.prompt(&[Message::new(Role::User, "Why sing?")]).expect("a prompt");
    let settings = Settings { max_tokens: MANNER.max_tokens, sampling: MANNER.sampling, seed: MANNER.seed };
    let go_on = |_| core::ops::ControlFlow::Continue(());
    let (tokens, _) = generator.generate(&prompt, &base.dialogue.stops, &settings, go_on).expect("generated");
    let expected = base.dialogue.tokenizer.decode(&tokens, false).expect("a text");

    let without = says(&local);
    local.wear(Some((one, &first))).expect("it fits");
    let with = says(&local);
    local.wear(Some((one, &first))).expect("it has it already");
    let again = says(&local);
    local.wear(Some((other, &second))).expect("it fits");
    let with_another = says(&local);
    local.wear(None).expect("off");

    assert_eq!(with.0, expected);
    assert_ne!(without.0, with.0);
    assert_eq!(again, with);
    assert!(with_another.1 != with.1 && with_another.1 != without.1, "{with_another:?}, {with:?}, {without:?}");
    assert_eq!((says(&local), local.adapter()), (without, None));
}
