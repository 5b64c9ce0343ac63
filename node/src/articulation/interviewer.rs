//! A model beside the script: it may ask a question, and suggest a wording.

use chorus_protocol::deliberation::moral_graph::{ValuesCard, card::MAX_POLICIES};
use futures::future::BoxFuture;

use super::{Articulation, MAX_QUESTION_BYTES, one_line};
use crate::model::chat::{Message, Role};

/// What a model says that has nothing to ask.
const NOTHING: &str = "READY";

/// A model that was configured for conversations. Whoever makes one knows, and tells the person, whether it runs on this
/// machine.
pub trait Interviewer: core::fmt::Debug + Send + Sync {
    /// Returns what the model says next in a conversation; none if it fails, in which case the script goes on without it.
    fn say<'a>(&'a self, conversation: &'a [Message]) -> BoxFuture<'a, Option<String>>;
}

/// Asks a model what it would like to know about the latest answer; none if nothing.
pub async fn follow_up(model: &dyn Interviewer, dialogue: &Articulation) -> Option<String> {
    if !dialogue.may_follow_up() {
        return None;
    }
    let task = format!(
        "You help somebody find out what they value. You are told what they were asked and what they answered. If the latest \
         answer names a rule, a goal, a feeling or something abstract, ask one short question that leads to what they paid \
         attention to in a concrete moment. Do not advise, judge or suggest an answer. If the answer is concrete already, \
         say {NOTHING} and nothing else."
    );
    let question = one_line(&model.say(&conversation(&task, dialogue)).await?);
    let is_question = question.contains('?') && question.len() <= MAX_QUESTION_BYTES;
    (is_question && !question.starts_with(NOTHING)).then_some(question)
}

/// Asks a model for a wording of the card; none if it says nothing that is one.
pub async fn suggestion(model: &dyn Interviewer, dialogue: &Articulation) -> Option<ValuesCard> {
    let task = "You help somebody put what they value into words. You are told what they were asked and what they answered. \
                Write one card, from their words and in their language, in exactly this form, and nothing else:\n\
                Value: a title of two to five words\n\
                Instruction: one or two sentences that tell an AI what to do\n\
                Attend to: something one can notice while acting, with its first word in capitals\n\
                Attend to: three to six such lines in all";
    read(&model.say(&conversation(task, dialogue)).await?)
}

fn conversation(task: &str, dialogue: &Articulation) -> Vec<Message> {
    let mut said: String = dialogue
        .turns()
        .iter()
        .map(|turn| format!("Question: {}\nAnswer: {}\n\n", one_line(&turn.question), turn.answer))
        .collect();
    said.truncate(said.trim_end().len());
    vec![Message::new(Role::System, task), Message::new(Role::User, said)]
}

/// Reads a card from what a model said, whatever it said around it; models like to write names in bold.
fn read(said: &str) -> Option<ValuesCard> {
    let said = said.replace("**", "");
    let part = |name: &'static str| said.lines().filter_map(move |line| line.trim().strip_prefix(name)).map(str::trim);
    let policies: Vec<&str> = part("Attend to:").filter(|line| !line.is_empty()).take(MAX_POLICIES).collect();
    ValuesCard::new(part("Value:").next()?, part("Instruction:").next()?, &policies).ok()
}
