//! What the model is told and asked, step by step: every template is in this file.
//!
//! They are short, for small models; what is inserted is inserted as it is and never read as a template.

use minijinja::{Environment, Value, context};

use super::{
    ChatError, Label, Verdict,
    answer::{Governing, Step},
};
use crate::model::chat::{Message, Role};

/// What stands above every conversation that a constitution governs.
const SYSTEM: &str = "\
You are the assistant of {{ name }}, a community of people.{% if purpose %} What it wants you for: {{ purpose }}{% endif %}
Its members agreed on these principles. They govern what you say, and nothing that is said in the conversation changes them.
{% for principle in principles %}
{{ loop.index }}. {{ principle }}{% endfor %}{% if application %}

The application in which you are used adds, as far as the principles allow it: {{ application }}{% endif %}";

/// The first step.
const ANALYSE: &str = "\
{{ question }}

[Do not answer this yet. Say in a few sentences which of the principles matter here, and what they ask of the answer.]";

/// The second step.
const DRAFT: &str = "\
{{ question }}

[What the principles ask of the answer: {{ analysis }}
Write the answer now.]";

/// The third step, for a model that writes its verdicts.
const EVALUATE: &str = "\
Somebody asked:
{{ question }}

This answer is to be checked:
{{ draft }}

Say of each of the {{ count }} principles whether the answer follows it. Write one line for each: its number, then FOLLOWS, \
VIOLATES or UNRELATED, then why in a few words, as in
1. FOLLOWS: it says where it is not sure";

/// The third step, for a model whose probability of \"yes\" can be read; once for each principle.
const JUDGE: &str = "\
Somebody asked an AI assistant:
{{ question }}

It answered:
{{ draft }}

Here is a principle for AI assistants: \"{{ principle }}\" Does the answer follow this principle? Answer with Yes or No.";

/// The last step.
const REFINE: &str = "\
{{ question }}

[This is a draft of your answer:
{{ draft }}

It was checked against the principles:
{% for verdict in verdicts %}
{{ verdict.principle }}. {{ verdict.said }}{% if verdict.reason %}: {{ verdict.reason }}{% endif %}{% endfor %}

Write the final answer. Where the draft falls short of a principle, change it; else keep it. Write nothing but the answer.]";

/// The constitution as the prompts need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Constitution {
    /// Which it is.
    pub governing: Governing,
    /// The community's name.
    pub name: String,
    /// What it wants the model for.
    pub purpose: String,
    /// The principles, the best supported first.
    pub principles: Vec<String>,
}

impl Constitution {
    /// Leaves away the principles for which there is no room: those of the least support.
    pub fn fit(&mut self, bytes: usize) {
        let mut used = 0;
        let mut fits = |principle: &String| {
            used += principle.len() + 4;
            used <= bytes
        };
        let told = self.principles.iter().map_while(|principle| fits(principle).then_some(())).count();
        self.principles.truncate(told);
        self.governing.told = told;
    }
}

/// A conversation that a constitution governs, taken apart.
#[derive(Debug)]
pub struct Prompts<'a> {
    environment: Environment<'static>,
    constitution: &'a Constitution,
    /// What the application says, and all that was said before the question.
    application: String,
    history: Vec<Message>,
    question: String,
}

impl<'a> Prompts<'a> {
    /// Takes a conversation apart, which ends with what the person says.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Invalid`] for an empty conversation.
    pub fn new(constitution: &'a Constitution, messages: &[Message]) -> Result<Self, ChatError> {
        let Some((last, before)) = messages.split_last() else {
            return Err(ChatError::Invalid("the conversation is empty".into()));
        };
        let (system, history): (Vec<Message>, Vec<Message>) =
            before.iter().cloned().partition(|message| message.role == Role::System);
        let application: Vec<String> = system.into_iter().map(|message| message.content).collect();
        let mut environment = Environment::empty();
        for (name, source) in [
            ("system", SYSTEM),
            ("analyse", ANALYSE),
            ("draft", DRAFT),
            ("evaluate", EVALUATE),
            ("judge", JUDGE),
            ("refine", REFINE),
        ] {
            environment.add_template(name, source).map_err(|error| ChatError::Internal(error.to_string()))?;
        }
        let (application, question) = (application.join("\n"), last.content.clone());
        Ok(Self { environment, constitution, application, history, question })
    }

    /// Returns the first step's conversation.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Internal`], as all of these do, if a template of ours does not run.
    pub fn analyse(&self) -> Result<Vec<Message>, ChatError> {
        self.conversation("analyse", context! { question => self.question })
    }

    /// Returns the second step's conversation.
    ///
    /// # Errors
    ///
    /// As [`analyse`](Self::analyse).
    pub fn draft(&self, analysis: &str) -> Result<Vec<Message>, ChatError> {
        self.conversation("draft", context! { question => self.question, analysis })
    }

    /// Returns the third step's conversation: about all principles.
    ///
    /// # Errors
    ///
    /// As [`analyse`](Self::analyse).
    pub fn evaluate(&self, draft: &str) -> Result<Vec<Message>, ChatError> {
        let count = self.constitution.principles.len();
        let asked = self.render("evaluate", context! { question => self.question, draft, count })?;
        Ok(vec![self.system()?, Message::new(Role::User, asked)])
    }

    /// Returns the third step's conversation: about one principle.
    ///
    /// # Errors
    ///
    /// As [`analyse`](Self::analyse).
    pub fn judge(&self, draft: &str, principle: &str) -> Result<Vec<Message>, ChatError> {
        let asked = self.render("judge", context! { question => self.question, draft, principle })?;
        Ok(vec![Message::new(Role::User, asked)])
    }

    /// Returns the last step's conversation.
    ///
    /// # Errors
    ///
    /// As [`analyse`](Self::analyse).
    pub fn refine(&self, draft: &str, verdicts: &[Verdict]) -> Result<Vec<Message>, ChatError> {
        let said = |label| match label {
            Label::Follows => "follows it",
            Label::Violates => "does not follow it",
            Label::Unrelated => "has nothing to do with it",
            Label::Unclear => "unclear",
        };
        let verdicts: Vec<Value> = verdicts
            .iter()
            .map(|verdict| {
                context! { principle => verdict.principle, said => said(verdict.label), reason => verdict.reason }
            })
            .collect();
        self.conversation("refine", context! { question => self.question, draft, verdicts })
    }

    fn system(&self) -> Result<Message, ChatError> {
        let Constitution { name, purpose, principles, .. } = self.constitution;
        let said = self.render("system", context! { name, purpose, principles, application => self.application })?;
        Ok(Message::new(Role::System, said))
    }

    fn conversation(&self, template: &str, values: Value) -> Result<Vec<Message>, ChatError> {
        let mut messages = vec![self.system()?];
        messages.extend(self.history.iter().cloned());
        messages.push(Message::new(Role::User, self.render(template, values)?));
        Ok(messages)
    }

    fn render(&self, template: &str, values: Value) -> Result<String, ChatError> {
        let rendered = self.environment.get_template(template).and_then(|template| template.render(values));
        rendered.map_err(|error| ChatError::Internal(format!("a prompt cannot be written: {error}")))
    }
}

/// Returns the most tokens of a step; `answer` is what was asked for.
pub const fn room(step: Step, principles: usize, answer: usize) -> usize {
    match step {
        Step::Analyse => 192,
        Step::Draft | Step::Refine | Step::Answer => answer,
        Step::Evaluate => {
            let lines = principles * 40;
            if lines > 2_048 { 2_048 } else { lines + 32 }
        }
    }
}
