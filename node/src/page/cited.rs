//! Prompts that statements cite because today's model fails them, and what the model of this node says to them: as it is,
//! and with constitution and adapter.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use tokio::sync::watch;

use super::{Page, failure::Failed};
use crate::api::{ApiError, Service, view};

/// A prompt that a statement cites; with both answers once the model was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cited {
    prompt: String,
    failure: String,
    before: Option<String>,
    after: Option<String>,
}

/// The latest answers to each prompt.
pub(super) struct Answers(BTreeMap<String, view::Pair>);

impl Answers {
    /// Reads the answers to what items cite; nothing is read if they cite nothing.
    pub(super) fn to<'a>(page: &Page, mut items: impl Iterator<Item = &'a view::Item>) -> Result<Self, ApiError> {
        if items.all(|item| item.prompts.is_empty()) {
            return Ok(Self(BTreeMap::new()));
        }
        Ok(Self(page.service.compared()?.into_iter().map(|pair| (pair.prompt.clone(), pair)).collect()))
    }

    /// Returns what an item cites.
    pub(super) fn of(&self, item: &view::Item) -> Vec<Cited> {
        let cited = |cited: &view::Prompt| {
            let pair = self.0.get(&cited.prompt);
            Cited {
                prompt: cited.prompt.clone(),
                failure: cited.failure.clone(),
                before: pair.map(|pair| pair.before.text().to_owned()),
                after: pair.map(|pair| pair.after.text().to_owned()),
            }
        };
        item.prompts.iter().map(cited).collect()
    }
}

/// Returns the prompts that the items of all polls cite, without those of rejected items.
pub(super) async fn all(page: &Page, most: usize) -> Result<Vec<String>, Failed> {
    let mut cited = Vec::new();
    for poll in page.service.polls().await? {
        let poll = page.service.poll(&poll.id.to_string()).await?;
        let asked = poll.items.iter().filter(|item| item.state != view::ModerationState::Rejected);
        cited.extend(asked.flat_map(|item| &item.prompts).map(|prompt| prompt.prompt.clone()));
    }
    cited.sort();
    cited.dedup();
    cited.truncate(most);
    Ok(cited)
}

/// How far the model is with the cited prompts.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Progress {
    /// Whether it is at work.
    pub(super) running: bool,
    /// Why it stopped the last time, if it did not come to an end.
    pub(super) refused: Option<String>,
}

/// The one comparison that may be under way, for all who look.
#[derive(Clone, Debug)]
pub(super) struct Comparison(Arc<watch::Sender<Progress>>);

impl Default for Comparison {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Progress::default())))
    }
}

impl Comparison {
    /// Returns how far it is, and what tells of changes.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.0.subscribe()
    }

    /// Puts prompts to the model, unless it is at work on some already.
    pub(super) fn start(&self, service: Arc<Service>, asked: view::CompareModels) {
        let begins = self.0.send_if_modified(|progress| {
            let begins = !progress.running;
            if begins {
                *progress = Progress { running: true, refused: None };
            }
            begins
        });
        if !begins {
            return;
        }
        let ended = Ended { comparison: self.clone(), refused: None };
        tokio::spawn(async move {
            let mut ended = ended;
            if let Err(error) = service.compare(asked).await {
                tracing::warn!(%error, "the cited prompts could not be put to the model");
                ended.refused = Some(ApiError::from(error).message);
            }
        });
    }
}

/// Says that a comparison is over, also if its task is dropped.
struct Ended {
    comparison: Comparison,
    refused: Option<String>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.comparison.0.send_replace(Progress { running: false, refused: self.refused.take() });
    }
}
