//! From a conversation to an answer: four steps where a constitution governs, one where none does.

use super::{
    Answer, ChatError, Event, Label, Step, StepResult, Verdict,
    answer::{About, Ended, Usage},
    prompts::{Constitution, Prompts, room},
    provider::{Completion, Manner, Patience, Provider},
    verdict,
};
use crate::model::chat::Message;

/// From this probability of "yes" on, a draft counts as following a principle.
const EVEN: f32 = 0.5;

/// An answer in the making.
struct Making<'a> {
    provider: &'a Provider<'a>,
    manner: Manner,
    patience: &'a Patience<'a>,
    emit: &'a mut dyn FnMut(Event),
    steps: Vec<StepResult>,
    /// None once a step did not tell its tokens.
    usage: Option<Usage>,
    ended: Ended,
}

/// Answers a conversation, telling `emit` of each event. `about` says what is known of it before; without a constitution
/// whose principles govern, the model answers as it is.
///
/// # Errors
///
/// Returns a [`ChatError`]; events may have been told by then.
pub fn answer(
    provider: &Provider<'_>,
    about: About,
    constitution: Option<&Constitution>,
    messages: &[Message],
    manner: Manner,
    patience: &Patience<'_>,
    emit: &mut dyn FnMut(Event),
) -> Result<Answer, ChatError> {
    emit(Event::About(about.clone()));
    let mut making = Making {
        provider,
        manner,
        patience,
        emit,
        steps: Vec::new(),
        usage: Some(Usage::default()),
        ended: Ended::Stop,
    };
    match constitution.filter(|constitution| !constitution.principles.is_empty()) {
        Some(constitution) => making.govern(constitution, messages)?,
        None => {
            making.say(Step::Answer, messages, 0)?;
        }
    }
    let Making { steps, usage, ended, emit, .. } = making;
    let answer = Answer { about, steps, ended, usage };
    emit(Event::Done(answer.clone()));
    Ok(answer)
}

impl Making<'_> {
    fn govern(&mut self, constitution: &Constitution, messages: &[Message]) -> Result<(), ChatError> {
        let prompts = Prompts::new(constitution, messages)?;
        let count = constitution.principles.len();
        let analysis = self.say(Step::Analyse, &prompts.analyse()?, count)?;
        let draft = self.say(Step::Draft, &prompts.draft(&analysis)?, count)?;
        let verdicts = self.evaluate(&prompts, constitution, &draft)?;
        self.say(Step::Refine, &prompts.refine(&draft, &verdicts)?, count)?;
        Ok(())
    }

    /// Has the model write a step's text.
    fn say(&mut self, step: Step, messages: &[Message], principles: usize) -> Result<String, ChatError> {
        (self.emit)(Event::Step { step });
        let manner = Manner { max_tokens: room(step, principles, self.manner.max_tokens), ..self.manner };
        let emit = &mut *self.emit;
        let mut on_text = |text: &str| emit(Event::Text { step, text: text.to_owned() });
        let Completion { text, ended, usage } =
            self.provider.complete(messages, &manner, self.patience, &mut on_text)?;
        self.count(usage);
        self.ended = ended;
        self.steps.push(StepResult { step, text: text.clone(), verdicts: Vec::new() });
        Ok(text)
    }

    /// Has the model judge its draft: by the probability of "yes" for each principle where that can be read, else by what it
    /// writes about all of them.
    fn evaluate(
        &mut self,
        prompts: &Prompts<'_>,
        constitution: &Constitution,
        draft: &str,
    ) -> Result<Vec<Verdict>, ChatError> {
        let mut verdicts = Vec::new();
        for (number, principle) in (1..).zip(&constitution.principles) {
            self.patience.check()?;
            let Some((score, usage)) = self.provider.yes(&prompts.judge(draft, principle)?, self.patience)? else {
                break;
            };
            if number == 1 {
                (self.emit)(Event::Step { step: Step::Evaluate });
            }
            self.count(Some(usage));
            let label = if score >= EVEN { Label::Follows } else { Label::Violates };
            let verdict = Verdict { label, score: Some(score), ..verdict::unclear(number, principle) };
            (self.emit)(Event::Verdict(verdict.clone()));
            verdicts.push(verdict);
        }
        if verdicts.is_empty() {
            let text = self.say(Step::Evaluate, &prompts.evaluate(draft)?, constitution.principles.len())?;
            verdicts = verdict::read(&text, &constitution.principles);
            verdicts.iter().for_each(|verdict| (self.emit)(Event::Verdict(verdict.clone())));
            if let Some(step) = self.steps.last_mut() {
                step.verdicts.clone_from(&verdicts);
            }
        } else {
            // The probability could be read of some and not of all: a model that does not compute.
            let missing = constitution.principles.iter().zip(1..).skip(verdicts.len());
            let missing: Vec<_> = missing.map(|(text, number)| verdict::unclear(number, text)).collect();
            verdicts.extend(missing);
            let (text, verdicts) = (String::new(), verdicts.clone());
            self.steps.push(StepResult { step: Step::Evaluate, text, verdicts });
        }
        Ok(verdicts)
    }

    fn count(&mut self, usage: Option<Usage>) {
        self.usage = match (self.usage, usage) {
            (Some(mut sum), Some(usage)) => {
                sum += usage;
                Some(sum)
            }
            (_, _) => None,
        };
    }
}
