//! The guided dialogue, kept in the diary from one question to the next.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chorus_protocol::{ledger::Poll, log::entry::PollKind};
use futures::future::BoxFuture;

use super::{ApiError, Service, chat::answering, values::poll_of, view};
use crate::api::Code;
use crate::{
    articulation::{self, Articulation, Interviewer, Step},
    chat::answer::Place,
    diary::{DiaryError, ValueCard},
    model::chat::Message,
};

/// How long a model may take before the script goes on without it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most tokens of what it says: a card has some hundreds.
const MOST_TOKENS: u32 = 400;

/// What a dialogue needs besides the diary.
#[derive(Debug, Default)]
pub(super) struct Interview {
    /// One answer at a time.
    turn: tokio::sync::Mutex<()>,
    /// The model that takes part in place of the configured one.
    model: Mutex<Option<Arc<dyn Interviewer>>>,
}

/// The model that is configured for conversations, as it is: without constitution and adapter.
#[derive(Debug)]
struct Configured {
    service: Arc<Service>,
    /// The one that may be told.
    model: view::Answering,
}

impl Interviewer for Configured {
    fn say<'a>(&'a self, conversation: &'a [Message]) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            // Whoever configures another one meanwhile has not let that one know.
            if self.service.configured().as_ref() != Some(&self.model) {
                return None;
            }
            let answer = self.service.ask_plainly(conversation.to_vec(), MOST_TOKENS).await;
            answer.ok().map(|answer| answer.text().to_owned())
        })
    }
}

impl Service {
    /// Lets a model take part in dialogues about values, in place of the one that is configured for conversations.
    pub fn set_interviewer(&self, model: Option<Arc<dyn Interviewer>>) {
        *self.interview.model.lock().unwrap_or_else(PoisonError::into_inner) = model;
    }

    /// Returns the dialogue that is under way.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if no diary is kept.
    pub async fn dialogue(&self) -> Result<view::Articulated, ApiError> {
        self.kept()?;
        Ok(self.articulated(self.diary.read()?.articulation.as_ref(), None))
    }

    /// Takes what the person says in the dialogue, and returns what is asked next.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if the answer cannot be taken, and
    /// [`Kind::Refused`](super::Kind::Refused) if no dialogue is under way or no diary is kept. Nothing has changed then.
    pub async fn articulate(self: &Arc<Self>, said: view::Speak) -> Result<view::Articulated, ApiError> {
        self.kept()?;
        let _turn = self.interview.turn.lock().await;
        let dialogue = match said {
            view::Speak::Begin { poll, tell } => {
                let mut dialogue = self.begin(poll.as_deref()).await?;
                self.tell(&mut dialogue, tell)?;
                dialogue
            }
            view::Speak::Tell { host } => {
                let mut dialogue = self.under_way()?;
                self.tell(&mut dialogue, host)?;
                dialogue
            }
            view::Speak::Answer { text } => {
                let mut dialogue = self.under_way()?;
                dialogue.answer(&text)?;
                self.let_model_speak(&mut dialogue).await;
                dialogue
            }
            view::Speak::Back => {
                let mut dialogue = self.under_way()?;
                dialogue.back();
                dialogue
            }
            view::Speak::Edit { card } => {
                let mut dialogue = self.under_way()?;
                dialogue.edit(&card)?;
                dialogue
            }
            view::Speak::Accept => {
                let card = ValueCard::from(&self.under_way()?.finished()?);
                self.diary.add_card(card.clone())?;
                self.keep_dialogue(None)?;
                return Ok(self.articulated(None, Some(card)));
            }
            view::Speak::Discard => {
                self.keep_dialogue(None)?;
                return Ok(self.articulated(None, None));
            }
        };
        let view = self.articulated(Some(&dialogue), None);
        self.keep_dialogue(Some(dialogue))?;
        Ok(view)
    }

    /// Lets the endpoint at a host be told of a dialogue, if that is the one that is configured; without one, none is.
    fn tell(&self, dialogue: &mut Articulation, host: Option<String>) -> Result<(), ApiError> {
        if let Some(host) = &host
            && self.outside().and_then(|outside| outside.host).as_ref() != Some(host)
        {
            return Err(ApiError::invalid(format!("no model at {host} is configured: see `chorus config list`")));
        }
        dialogue.tell(host);
        Ok(())
    }

    async fn begin(&self, poll: Option<&str>) -> Result<Articulation, ApiError> {
        let Some(reference) = poll else { return Ok(Articulation::about(None, "")) };
        let ledger = self.ledger().await?;
        let id = poll_of(&ledger, reference, PollKind::Value)?;
        let case = |poll: &Arc<Poll>| match poll.opening.context.trim() {
            "" => poll.opening.question.clone(),
            context => format!("{}\n{context}", poll.opening.question),
        };
        Ok(Articulation::about(Some(id), &ledger.polls().get(&id).map(case).unwrap_or_default()))
    }

    fn under_way(&self) -> Result<Articulation, ApiError> {
        let begin = "no dialogue is under way: begin one with `chorus value articulate`";
        self.diary.read()?.articulation.ok_or_else(|| ApiError::coded(Code::NoDialogue, begin))
    }

    /// A model that fails, or takes too long, is not waited for: the script goes on.
    async fn let_model_speak(self: &Arc<Self>, dialogue: &mut Articulation) {
        let Some(model) = self.interviewer(dialogue) else { return };
        let asked = tokio::time::timeout(PATIENCE, articulation::follow_up(model.as_ref(), dialogue)).await;
        if let Ok(Some(question)) = asked {
            dialogue.follow_up(&question);
        } else if dialogue.step() == Step::Policies {
            let suggested = tokio::time::timeout(PATIENCE, articulation::suggestion(model.as_ref(), dialogue)).await;
            if let Ok(Some(card)) = suggested {
                dialogue.suggest(&card);
            }
        }
    }

    fn interviewer(self: &Arc<Self>, dialogue: &Articulation) -> Option<Arc<dyn Interviewer>> {
        let set = self.interview.model.lock().unwrap_or_else(PoisonError::into_inner).clone();
        set.or_else(|| {
            let (service, model) = (self.clone(), self.takes_part(dialogue)?);
            Some(Arc::new(Configured { service, model }))
        })
    }

    /// The configured model, if it is told of a dialogue: one on this machine is, one elsewhere if the person said so.
    fn takes_part(&self, dialogue: &Articulation) -> Option<view::Answering> {
        self.configured().filter(|model| match (model.provider, &model.host) {
            (Place::Local, _) => true,
            (Place::Outside, host) => host.as_ref().is_some_and(|host| dialogue.may_tell(host)),
        })
    }

    /// The endpoint elsewhere that is configured.
    fn outside(&self) -> Option<view::Answering> {
        self.configured().filter(|model| model.provider == Place::Outside)
    }

    /// The model that is configured for conversations.
    fn configured(&self) -> Option<view::Answering> {
        self.settings().ok().as_ref().and_then(answering)
    }

    fn keep_dialogue(&self, dialogue: Option<Articulation>) -> Result<(), DiaryError> {
        self.diary.change(|entries| {
            entries.articulation = dialogue;
            Ok(())
        })
    }

    fn articulated(&self, dialogue: Option<&Articulation>, card: Option<ValueCard>) -> view::Articulated {
        let dialogue = dialogue.map(|dialogue| self.dialogue_view(dialogue));
        view::Articulated { dialogue, card, outside: self.outside() }
    }

    fn dialogue_view(&self, dialogue: &Articulation) -> view::DialogueView {
        let step = dialogue.step();
        view::DialogueView {
            poll: dialogue.poll(),
            case: dialogue.case().to_owned(),
            step,
            number: Step::ALL.iter().position(|known| *known == step).map_or(1, |at| at + 1),
            steps: Step::ALL.len(),
            question: dialogue.question(),
            hint: dialogue.hint().to_owned(),
            follow_up: dialogue.is_follow_up(),
            suggested: dialogue.suggested(),
            turns: dialogue.turns().to_vec(),
            card: dialogue.card().clone(),
            model: self.takes_part(dialogue),
        }
    }
}
