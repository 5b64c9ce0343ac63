//! Examples with all that does not change while they are trained on.

use std::{ops::ControlFlow, sync::Arc};

use super::{Example, MAX_TOKENS, Progress, Replicas, TrainError, loss::Prepared};
use crate::model::{llama::Llama, lora::Lora};

/// One example, ready to be trained on. Cheap to clone: trainings share what was computed.
#[derive(Clone)]
pub struct Lesson {
    example: Example,
    prepared: Arc<Prepared>,
}

impl Lesson {
    /// Prepares examples for adapters that change a model from layer `first` on.
    ///
    /// # Errors
    ///
    /// Returns a [`TrainError`]; [`TrainError::Stopped`] if `progress` said so.
    pub fn prepare(
        llama: &Llama,
        replicas: Replicas,
        first: usize,
        examples: &[Example],
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<Self>, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::Nothing);
        }
        let (found, bound) = (examples.iter().map(Example::tokens).sum(), MAX_TOKENS);
        if found > bound {
            return Err(TrainError::TooMany { found, bound });
        }
        let (of, mut lessons) = (examples.len(), Vec::with_capacity(examples.len()));
        for part in examples.chunks(4 * replicas.threads()) {
            if progress(Progress::Preparing { done: lessons.len(), of }).is_break() {
                return Err(TrainError::Stopped);
            }
            let prepared = replicas.map(part, |example| Prepared::new(llama, first, example));
            for (example, prepared) in part.iter().zip(prepared) {
                let place = lessons.len();
                let prepared = prepared.map_err(|source| TrainError::Example { place, source })?;
                lessons.push(Self { example: example.clone(), prepared: Arc::new(prepared) });
            }
        }
        Ok(lessons)
    }

    /// Returns a verdict with the two texts exchanged: the lesson of the opposite vote. Other lessons have none.
    pub fn opposite(&self) -> Option<Self> {
        let Example::Verdict { chosen, rejected, yes, no } = &self.example else { return None };
        let example = Example::Verdict { chosen: rejected.clone(), rejected: chosen.clone(), yes: *yes, no: *no };
        Some(Self { example, prepared: Arc::new(self.prepared.opposite()?) })
    }

    /// Returns by how much a model's verdict on the chosen text is better than that on the rejected one; `None` if the
    /// lesson is no verdict.
    pub fn margin(&self, llama: &Llama, lora: &Lora) -> Option<f32> {
        self.prepared.margin(llama, lora)
    }

    pub(super) const fn example(&self) -> &Example {
        &self.example
    }

    pub(super) fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}

/// Shows no token: what somebody learns from says what they think.
impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lesson").finish_non_exhaustive()
    }
}
