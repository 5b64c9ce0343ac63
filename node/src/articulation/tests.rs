use std::sync::Mutex;

use futures::future::BoxFuture;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::*;
use crate::model::chat::Message;

fn at_title() -> Articulation {
    let mut dialogue = Articulation::about(None, "A girl asks about an abortion.");
    for answer in ["Listen to her", "My aunt asked me first", "- the MOMENT I stopped joking\n* SIGNS of shame", ""] {
        dialogue.answer(answer).expect("an answer");
    }
    dialogue
}

#[test]
fn the_script_leads_from_a_case_to_a_card() {
    let mut dialogue = Articulation::about(None, " A girl asks. ");
    assert!(dialogue.question().starts_with("A girl asks.\n"));
    for (step, answer) in Step::ALL.into_iter().zip(["Listen", "My aunt", "the MOMENT\nSIGNS", "", " Room  to grow "]) {
        assert_eq!(dialogue.step(), step);
        assert!(!dialogue.question().is_empty() && !dialogue.hint().is_empty());
        dialogue.answer(answer).expect("an answer");
    }
    assert!(dialogue.finished().is_err(), "no instruction yet");
    dialogue.answer("Ask before\nyou advise.").expect("an answer");

    let card = dialogue.finished().expect("a card");
    assert_eq!(dialogue.step(), Step::Review);
    assert_eq!((card.title(), card.instruction()), ("Room to grow", "Ask before you advise."));
    assert_eq!(card.policies(), ["the MOMENT", "SIGNS"]);
    assert_eq!(dialogue.answer("more"), Err(ArticulationError::Review));
    assert_eq!(dialogue.answer(" "), Err(ArticulationError::Review));
}

#[test]
fn an_answer_that_cannot_be_taken_changes_nothing() {
    let mut dialogue = at_title();
    let before = dialogue.clone();

    assert_eq!(dialogue.answer(" "), Err(ArticulationError::Empty));
    assert_eq!(dialogue.answer(&"x".repeat(4_001)), Err(ArticulationError::Long(4_001)));
    assert!(matches!(dialogue.answer(&"x".repeat(401)), Err(ArticulationError::Card(CardError::Length { .. }))));
    assert!(matches!(dialogue.answer("Grow\u{202e}th"), Err(ArticulationError::Card(CardError::Invisible { .. }))));
    assert!(dialogue.edit(&ValueCard::default()).is_err());
    assert!(dialogue == before);
}

#[test]
fn going_back_forgets_the_answer_and_keeps_the_wording() {
    let mut dialogue = at_title();

    dialogue.back();

    assert_eq!((dialogue.step(), dialogue.turns().len()), (Step::Policies, 3));
    assert_eq!(dialogue.suggested().as_deref(), Some("the MOMENT I stopped joking\nSIGNS of shame"));
    (0..9).for_each(|_| dialogue.back());
    assert_eq!((dialogue.step(), dialogue.turns().len()), (Step::Case, 0));
}

#[test]
fn a_model_asks_so_often_and_the_script_goes_on() {
    let mut dialogue = Articulation::about(None, "");
    dialogue.follow_up("Too early?");
    assert!(!dialogue.is_follow_up());

    dialogue.answer("Be kind").expect("an answer");
    for number in 0..MAX_FOLLOW_UPS {
        dialogue.follow_up("What did you notice?");
        assert_eq!((dialogue.step(), dialogue.question().as_str()), (Step::Case, "What did you notice?"));
        dialogue.answer(&format!("Silence {number}")).expect("an answer");
    }
    dialogue.follow_up("And then?");
    assert_eq!((dialogue.step(), dialogue.is_follow_up()), (Step::Story, false));

    dialogue.answer("My aunt").expect("an answer");
    dialogue.follow_up("When?");
    dialogue.answer("").expect("nothing more to say");
    assert_eq!((dialogue.step(), dialogue.turns().len()), (Step::Attention, 5));
    assert!(!dialogue.may_follow_up(), "who says nothing is not asked again");
}

/// A model that says what it was told to, and remembers what it was asked.
#[derive(Debug, Default)]
struct Parrot {
    says: Option<&'static str>,
    heard: Mutex<Vec<String>>,
}

impl Interviewer for Parrot {
    fn say<'a>(&'a self, conversation: &'a [Message]) -> BoxFuture<'a, Option<String>> {
        let heard = conversation.iter().map(|message| message.content.clone());
        self.heard.lock().expect("nobody panicked").extend(heard);
        Box::pin(async { self.says.map(str::to_owned) })
    }
}

#[tokio::test]
async fn only_what_is_a_question_or_a_card_is_taken_from_a_model() {
    let mut dialogue = Articulation::about(None, "");
    dialogue.answer("Be kind").expect("an answer");
    let asked = |says| {
        let dialogue = dialogue.clone();
        async move { follow_up(&Parrot { says, ..Parrot::default() }, &dialogue).await }
    };
    assert_eq!(asked(Some("What did\nyou see?")).await.as_deref(), Some("What did you see?"));
    assert_eq!(asked(Some("READY")).await, None);
    assert_eq!(asked(Some("READY? yes")).await, None);
    assert_eq!(asked(Some("You are right.")).await, None);
    assert_eq!(asked(None).await, None);
    let long: &'static str = Box::leak("why? ".repeat(200).into_boxed_str());
    assert_eq!(asked(Some(long)).await, None);

    let model = Parrot {
        says: Some("Here it is:\n**Value:** Kindness\nInstruction: Be kind.\nAttend to: TEARS\nAttend to:\nBye"),
        ..Parrot::default()
    };
    let card = suggestion(&model, &dialogue).await.expect("a card");
    assert_eq!((card.title(), card.policies()), ("Kindness", &["TEARS".to_owned()][..]));
    assert!(model.heard.lock().expect("nobody panicked")[1].contains("Answer: Be kind"));
    let hidden = Parrot { says: Some("Value: K\u{200b}\nInstruction: Be kind."), ..Parrot::default() };
    assert_eq!(suggestion(&hidden, &dialogue).await, None);
}

#[test]
fn a_suggestion_replaces_nothing_that_the_person_has_worded() {
    let suggested = ValuesCard::new("Theirs", "Theirs.", &["THEIRS"]).expect("a card");
    let mut dialogue = at_title();
    dialogue.answer("Mine").expect("an answer");

    dialogue.suggest(&suggested);

    assert_eq!(dialogue.card().title, "Mine");
    assert_eq!(dialogue.card().policies, ["the MOMENT I stopped joking", "SIGNS of shame"]);
    assert_eq!(dialogue.suggested().as_deref(), Some("Theirs."));
}

#[test]
fn a_dialogue_reads_back_and_shows_nothing_when_printed() {
    let mut dialogue = at_title();
    dialogue.back();

    let text = serde_json::to_string(&dialogue).expect("JSON");
    let read: Articulation = serde_json::from_str(&text).expect("a dialogue");

    assert!(read == dialogue);
    assert!(!format!("{dialogue:?} {:?}", dialogue.turns()).contains("aunt"));
}

#[test]
fn whatever_is_answered_the_dialogue_ends_in_a_card_that_reads_back_from_its_text() {
    let long = "x".repeat(399);
    let answers = [
        "",
        " ",
        "a?",
        "Care",
        "- one\n* two",
        "\u{202e}",
        "\n\n",
        "Value: x\nInstruction: y",
        "tab\there",
        "é\u{a0}b",
        &long,
    ];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut finished = 0;
    for _ in 0..300 {
        let mut dialogue = Articulation::about(None, "A case");
        for _ in 0..40 {
            let pick = |rng: &mut ChaCha20Rng| answers[rng.next_u64() as usize % answers.len()];
            let _ = dialogue.answer(pick(&mut rng));
            dialogue.follow_up(pick(&mut rng));
            if rng.next_u64().is_multiple_of(12) {
                dialogue.back();
            }
        }
        if dialogue.step() == Step::Review {
            let card = dialogue.finished().expect("a card");
            assert_eq!(ValuesCard::from_text(&card.text()), Ok(card));
            finished += 1;
        }
    }
    assert!(finished > 100, "{finished}");
}
