//! Conversations with the community's model.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    adapter::report::AdapterValues,
    deliberation::constitution::Constitution as Document,
    id::{BlobId, SeriesId},
    ledger::{Collects, Ledger},
    log::entry::PollKind,
};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{ApiError, Kind, Service, view};
use crate::{
    chat::{
        self, About, Answer, ChatError, Event, LONGEST_ANSWER, MAX_TOKENS,
        answer::{Governing, Place, Wearing},
        cases::{MAX_PROMPT_BYTES, MAX_PROMPTS},
        outside::{self, Endpoint, USUAL_CONTEXT},
        prompts::Constitution,
        provider::{Manner, Patience, Provider},
        steps,
    },
    config::settings::Settings,
    model::{
        chat::{Message, Role},
        generate::Sampling,
        peft::Adapter,
        series,
    },
};

/// The most tokens of an answer if nobody says how many.
const USUAL_TOKENS: u32 = 512;

/// The variable that holds an endpoint's key.
const KEY_VARIABLE: &str = "CHORUS_MODEL_KEY";

/// The most bytes of the file with an endpoint's key.
const MAX_KEY_BYTES: u64 = 8 * 1024;

/// An answer that is being made. Dropping it ends the making.
#[derive(Debug)]
pub struct Conversation {
    heard: mpsc::UnboundedReceiver<Result<Event, ChatError>>,
}

impl Conversation {
    /// Returns what happens next; nothing after the end.
    ///
    /// # Errors
    ///
    /// Returns why there is no answer; nothing follows.
    pub async fn next(&mut self) -> Option<Result<Event, ChatError>> {
        self.heard.recv().await
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Returns why there is none.
    pub async fn finish(mut self) -> Result<Answer, ChatError> {
        while let Some(event) = self.next().await {
            if let Event::Done(answer) = event? {
                return Ok(answer);
            }
        }
        Err(ChatError::Internal("the answer broke off: the node stops".into()))
    }
}

/// Who computes, as it is configured.
#[derive(Clone, Debug)]
enum Source {
    Local(PathBuf),
    Outside(Arc<Endpoint>),
}

/// All that is settled before an answer is made.
#[derive(Debug)]
struct Prepared {
    about: About,
    constitution: Option<Constitution>,
    adapter: Option<(BlobId, Arc<Adapter>)>,
}

/// Says that nobody waits any more, once it is dropped.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Returns what would answer, and what would govern it.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Configuration`] if the settings are not understood.
    pub async fn model_status(&self) -> Result<view::ModelStatus, ApiError> {
        let settings = self.settings()?;
        let mut notes = Vec::new();
        match source(&settings) {
            Ok(Source::Local(_)) => {}
            Ok(Source::Outside(endpoint)) => notes.extend(endpoint.notes()),
            Err(error) => notes.push(error.to_string()),
        }
        let constitution = self.constitution_in_force().await?;
        notes.extend(no_constitution(constitution.as_ref()));
        let ledger = self.ledger().await?;
        let adapters = adopted(&ledger).into_iter().map(|(_, wearing)| wearing).collect();
        let constitution = constitution.map(|constitution| constitution.governing);
        Ok(view::ModelStatus { answering: answering(&settings), constitution, adapters, notes })
    }

    /// Puts a conversation to the community's model. The answer comes in events, and is made for as long as what is
    /// returned is there.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`] at once if no model is configured, the conversation makes no sense, or too many wait.
    ///
    /// # Security
    ///
    /// Nothing of it is logged or kept. It leaves the machine only if an endpoint is configured; then the first event says
    /// which.
    pub fn chat(self: &Arc<Self>, asked: view::AskModel) -> Result<Conversation, ChatError> {
        chat::check(&asked.messages)?;
        let settings = self.settings()?;
        let (source, manner) = (source(&settings)?, manner(&asked, &settings)?);
        let place = self.model.queue().enter()?;
        let (told, heard) = mpsc::unbounded_channel();
        let service = self.clone();
        tokio::spawn(async move {
            let events = told.clone();
            let making = async {
                let _ticket = place.turn().await;
                let prepared = service.prepare(&source, asked.shape).await?;
                let emit = move |event| drop(events.send(Ok(event)));
                service.answer(&source, prepared, asked.messages, manner, emit).await
            };
            tokio::select! {
                () = told.closed() => {}
                made = making => if let Err(error) = made {
                    let _ = told.send(Err(error));
                },
            }
        });
        Ok(Conversation { heard })
    }

    /// Asks the model as it is, without constitution and adapter, and waits for what it says: for other parts of the node
    /// that may use a configured model.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat).
    pub async fn ask_plainly(self: &Arc<Self>, messages: Vec<Message>, max_tokens: u32) -> Result<Answer, ChatError> {
        let shape = view::Shape::BASE;
        let asked = view::AskModel { messages, shape, max_tokens: Some(max_tokens), ..view::AskModel::default() };
        self.chat(asked)?.finish().await
    }

    /// Puts prompts to today's model as it is, and to the same with constitution and adapter: the likeliest words, so that
    /// nothing but these makes the difference. What was asked before is not asked again, unless `again`.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`]; pairs that were made by then are kept.
    pub async fn compare(&self, asked: view::CompareModels) -> Result<Vec<view::Pair>, ChatError> {
        let fits = |prompt: &String| (1..=MAX_PROMPT_BYTES).contains(&prompt.trim().len());
        if asked.prompts.len() > MAX_PROMPTS || !asked.prompts.iter().all(fits) {
            let what = format!("at most {MAX_PROMPTS} prompts of 1 to {MAX_PROMPT_BYTES} bytes are asked at once");
            return Err(ChatError::Invalid(what));
        }
        let settings = self.settings()?;
        let (source, manner) = (source(&settings)?, manner(&view::AskModel::default(), &settings)?);
        let mut pairs = Vec::new();
        for prompt in asked.prompts {
            let _ticket = self.model.queue().enter()?.turn().await;
            let before = self.prepare(&source, view::Shape::BASE).await?;
            let after = self.prepare(&source, view::Shape::default()).await?;
            let kept = self.cases.find(&prompt, &before.about, &after.about).map_err(ApiError::from)?;
            if let Some(pair) = kept.filter(|_| !asked.again) {
                pairs.push(pair);
                continue;
            }
            let messages = vec![Message::new(Role::User, prompt.clone())];
            let before = self.answer(&source, before, messages.clone(), manner, drop).await?;
            let after = self.answer(&source, after, messages, manner, drop).await?;
            let asked_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let asked_at = u64::try_from(asked_at.as_millis()).unwrap_or(u64::MAX);
            let pair = view::Pair { prompt, before, after, asked_at };
            self.cases.keep(pair.clone()).map_err(ApiError::from)?;
            pairs.push(pair);
        }
        Ok(pairs)
    }

    /// Returns the pairs that are kept, the oldest first.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Store`] if they cannot be read.
    pub fn compared(&self) -> Result<Vec<view::Pair>, ApiError> {
        Ok(self.cases.read()?)
    }

    /// Returns the constitution in force: that of the latest round of statements whose result the operators agree on.
    async fn constitution_in_force(&self) -> Result<Option<Constitution>, ApiError> {
        let Some(id) = in_force(&self.ledger().await?) else { return Ok(None) };
        let document = Document::from_bytes(&self.node.fetch(id).await?)
            .map_err(|error| ApiError::new(Kind::Internal, format!("the constitution does not read: {error}")))?;
        let principles: Vec<String> = document.principles.into_iter().map(|principle| principle.text).collect();
        let (count, preamble) = (principles.len(), document.preamble);
        let governing = Governing { id, version: preamble.version, principles: count, told: count };
        Ok(Some(Constitution { governing, name: preamble.name, purpose: preamble.purpose, principles }))
    }

    /// Settles what governs an answer, and what the model wears.
    async fn prepare(&self, source: &Source, shape: view::Shape) -> Result<Prepared, ChatError> {
        let mut constitution = if shape.constitution { self.constitution_in_force().await? } else { None };
        let mut notes = Vec::new();
        if shape.constitution {
            notes.extend(no_constitution(constitution.as_ref()));
        }
        let (provider, host, model, context, adapter) = match source {
            Source::Local(path) => {
                let (digest, context) = self.at_desk(path, |local| Ok((*local.digest(), local.context()))).await?;
                let adapter = if shape.adapter { self.adapter_for(&digest, &mut notes).await? } else { None };
                (Place::Local, None, name_of(path), context, adapter)
            }
            Source::Outside(endpoint) => {
                notes.extend(endpoint.notes());
                if shape.adapter && !adopted(&self.ledger().await?).is_empty() {
                    notes.push("the community's adapter is not used: the model is elsewhere".into());
                }
                let host = Some(endpoint.host().to_owned());
                (Place::Outside, host, endpoint.model().to_owned(), endpoint.context(), None)
            }
        };
        if let Some(constitution) = &mut constitution {
            // In bytes: a third of the context, as texts go.
            constitution.fit(context);
            let Governing { told, principles, .. } = constitution.governing;
            if told < principles {
                notes.push(format!(
                    "the model was told the {told} best supported of {principles} principles: it has no room for more"
                ));
            }
        }
        let governing = constitution.as_ref().map(|constitution| constitution.governing.clone());
        let (wearing, adapter) = adapter.unzip();
        let about = About { provider, host, model, constitution: governing, adapter: wearing, notes };
        Ok(Prepared { about, constitution, adapter })
    }

    /// Returns the community's adapter for a model, if one is in use.
    async fn adapter_for(
        &self,
        digest: &[u8; 32],
        notes: &mut Vec<String>,
    ) -> Result<Option<(Wearing, (BlobId, Arc<Adapter>))>, ChatError> {
        let ledger = self.ledger().await?;
        let adopted = adopted(&ledger);
        let others = !adopted.is_empty();
        let is_for = |id: &SeriesId| ledger.series().get(id).is_some_and(|it| it.manifest.base.digest == *digest);
        let Some((_, wearing)) = adopted.into_iter().rfind(|(_, wearing)| is_for(&wearing.series)) else {
            if others {
                notes.push("the community's adapter is not used: it is for another base model".into());
            }
            return Ok(None);
        };
        let Some(series) = ledger.series().get(&wearing.series) else { return Ok(None) };
        let Ok(bytes) = self.node.fetch(wearing.id).await else {
            notes.push("the community's adapter is not used: nobody who has it can be reached now".into());
            return Ok(None);
        };
        let manifest = series.manifest.clone();
        let (id, in_series) = (wearing.id, wearing.series);
        let build = move || -> Result<Adapter, ChatError> {
            let published = AdapterValues::read(&bytes, in_series, manifest.entries());
            let published =
                published.map_err(|error| ChatError::Internal(format!("the adapter does not read: {error}")))?;
            Ok(series::adapter(&manifest, Some(&series::values(&manifest, &published)))?)
        };
        let adapter = blocking(build).await?;
        Ok(Some((wearing, (id, Arc::new(adapter)))))
    }

    /// Does something with the model on this machine, on a thread that may block.
    async fn at_desk<R: Send + 'static>(
        &self,
        path: &Path,
        act: impl FnOnce(&mut chat::Local) -> Result<R, ChatError> + Send + 'static,
    ) -> Result<R, ChatError> {
        let (desk, path) = (self.model.clone(), path.to_owned());
        let done = blocking(move || desk.with_local(&path, act)).await;
        self.model.release_when_idle();
        done
    }

    /// Has an answer made. Whoever drops the future ends the making.
    async fn answer(
        &self,
        source: &Source,
        prepared: Prepared,
        messages: Vec<Message>,
        manner: Manner,
        mut emit: impl FnMut(Event) + Send + 'static,
    ) -> Result<Answer, ChatError> {
        let gone = Arc::new(AtomicBool::new(false));
        let _gone = Gone(gone.clone());
        let Prepared { about, constitution, adapter } = prepared;
        let make = move |provider: &Provider<'_>| {
            let gone = || gone.load(Ordering::Relaxed);
            let patience = Patience::new(&gone, LONGEST_ANSWER);
            steps::answer(provider, about, constitution.as_ref(), &messages, manner, &patience, &mut emit)
        };
        match source {
            Source::Local(path) => {
                let act = move |local: &mut chat::Local| {
                    local.wear(adapter.as_ref().map(|(id, adapter)| (*id, adapter.as_ref())))?;
                    make(&Provider::Local(local))
                };
                self.at_desk(path, act).await
            }
            Source::Outside(endpoint) => {
                let endpoint = endpoint.clone();
                blocking(move || make(&Provider::Outside(&endpoint))).await
            }
        }
    }
}

async fn blocking<R: Send + 'static>(
    act: impl FnOnce() -> Result<R, ChatError> + Send + 'static,
) -> Result<R, ChatError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|_| ChatError::Internal("the model could not be computed".into()))?
}

/// Returns what would answer.
pub(super) fn answering(settings: &Settings) -> Option<view::Answering> {
    let provider = settings.model.provider.unwrap_or(Place::Local);
    let (host, model) = match provider {
        Place::Local => (None, name_of(settings.model_path()?)),
        Place::Outside => {
            let (host, _, _) = outside::host(settings.model.url.as_deref()?)?;
            (Some(host), settings.model.name.clone()?)
        }
    };
    Some(view::Answering { provider, host, model })
}

/// Returns who computes, as it is configured.
fn source(settings: &Settings) -> Result<Source, ChatError> {
    let model = &settings.model;
    match model.provider.unwrap_or(Place::Local) {
        Place::Local => {
            settings.model_path().map(|path| Source::Local(path.to_owned())).ok_or(ChatError::NotConfigured)
        }
        Place::Outside => {
            let (Some(url), Some(name)) = (&model.url, &model.name) else {
                return Err(ChatError::Settings("an endpoint needs model.url and model.name".into()));
            };
            let context = model.context.map_or(USUAL_CONTEXT, |tokens| tokens as usize);
            let key = key(model.key_file.as_deref())?;
            Ok(Source::Outside(Arc::new(Endpoint::new(url, name.clone(), key, context)?)))
        }
    }
}

/// Returns the endpoint's key: of the environment, else of the file.
fn key(path: Option<&Path>) -> Result<Option<Zeroizing<String>>, ChatError> {
    if let Some(key) = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()) {
        return Ok(Some(Zeroizing::new(key)));
    }
    let Some(path) = path else { return Ok(None) };
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_BYTES).read_to_string(&mut text));
    let refused = |source| ChatError::Key { path: path.to_owned(), source };
    read.map_err(refused)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(io::Error::new(io::ErrorKind::InvalidData, "its first line is no key")));
    }
    Ok(Some(Zeroizing::new(line.to_owned())))
}

/// Returns how the words are chosen.
fn manner(asked: &view::AskModel, settings: &Settings) -> Result<Manner, ChatError> {
    let tokens = asked.max_tokens.or(settings.model.max_tokens).unwrap_or(USUAL_TOKENS);
    let temperature = asked.temperature.unwrap_or(0.0);
    let top_p = asked.top_p.unwrap_or(1.0);
    if !(1..=MAX_TOKENS).contains(&tokens) {
        return Err(ChatError::Invalid(format!("an answer has 1 to {MAX_TOKENS} tokens")));
    }
    if !(0.0..=2.0).contains(&temperature) || !(0.0..=1.0).contains(&top_p) {
        return Err(ChatError::Invalid("temperature is 0 to 2, and top_p 0 to 1".into()));
    }
    let sampling = if temperature > 0.0 { Sampling::Random { temperature, top_p } } else { Sampling::Greedy };
    Ok(Manner { max_tokens: tokens as usize, sampling, seed: asked.seed.unwrap_or_default() })
}

/// Returns the constitution in force.
fn in_force(ledger: &Ledger) -> Option<BlobId> {
    let of_statements =
        ledger.rounds().values().filter(|round| round.collects == Collects::Ballots(PollKind::Statement));
    let agreed = of_statements.filter_map(|round| Some((round.ordinal, round.agreed_result()?.follows?)));
    agreed.max_by_key(|(ordinal, _)| *ordinal).map(|(_, id)| id)
}

/// Returns the adapters that are in use, the one of the latest round last, and the ordinals of their rounds.
fn adopted(ledger: &Ledger) -> Vec<(u32, Wearing)> {
    let of = |(id, series): (&SeriesId, &Arc<chorus_protocol::ledger::Series>)| {
        let (round, adapter) = ledger.adopted(*id)?;
        let round = ledger.rounds().get(&round)?;
        let name = series.manifest.name.clone();
        Some((round.ordinal, Wearing { series: *id, name, number: round.plan.number(), id: adapter }))
    };
    let mut adopted: Vec<_> = ledger.series().iter().filter_map(of).collect();
    adopted.sort_by_key(|(ordinal, _)| *ordinal);
    adopted
}

/// Says that no constitution governs, if none does.
fn no_constitution(constitution: Option<&Constitution>) -> Option<String> {
    match constitution.map(|constitution| &constitution.governing) {
        None => Some("no constitution is in force yet: this is the model as it is".into()),
        Some(Governing { principles: 0, version, .. }) => {
            Some(format!("version {version} of the constitution has no principles: this is the model as it is"))
        }
        Some(_) => None,
    }
}

/// Returns what a model on this machine is called: its folder or file.
fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
