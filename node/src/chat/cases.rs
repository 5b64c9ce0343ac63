//! What models say to the prompts that a community cites as failures: before, and with constitution and adapter.
//!
//! The prompts are public, for a statement cites them; the answers are of this node's own model, kept in a file so that
//! nobody waits for them twice. Another model, constitution or adapter makes another pair.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use super::About;
use crate::{api::view::Pair, store::files};

/// The most prompts of one request.
pub const MAX_PROMPTS: usize = 32;

/// The most bytes of a prompt.
pub const MAX_PROMPT_BYTES: usize = 8 * 1024;

/// The most pairs that are kept: the oldest go.
const MAX_PAIRS: usize = 256;

/// The most bytes of the file.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The file.
#[derive(Debug)]
pub struct Cases {
    path: PathBuf,
    /// Whoever changes the file holds it.
    changing: Mutex<()>,
}

impl Cases {
    /// Returns the pairs in a file, which need not exist yet.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, changing: Mutex::new(()) }
    }

    /// Reads all pairs, the oldest first. A file that is damaged counts as none: everything in it can be asked again.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn read(&self) -> io::Result<Vec<Pair>> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Returns the pair of a prompt and two models, if it is kept.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn find(&self, prompt: &str, before: &About, after: &About) -> io::Result<Option<Pair>> {
        Ok(self.read()?.into_iter().rfind(|pair| pair.is_of(prompt, before, after)))
    }

    /// Keeps a pair, in the place of one of the same prompt and models.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn keep(&self, pair: Pair) -> io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pairs = self.read()?;
        pairs.retain(|kept| !kept.is_of(&pair.prompt, &pair.before.about, &pair.after.about));
        pairs.push(pair);
        let surplus = pairs.len().saturating_sub(MAX_PAIRS);
        pairs.drain(..surplus);
        files::replace(&self.path, "cases", &serde_json::to_vec(&pairs)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{
        Answer, Step, StepResult,
        answer::{Ended, Place},
    };

    fn pair(prompt: &str, model: &str, text: &str) -> Pair {
        let about = About {
            provider: Place::Local,
            host: None,
            model: model.into(),
            constitution: None,
            adapter: None,
            notes: Vec::new(),
        };
        let steps = vec![StepResult { step: Step::Answer, text: text.into(), verdicts: Vec::new() }];
        let answer = Answer { about, steps, ended: Ended::Stop, usage: None };
        Pair { prompt: prompt.into(), before: answer.clone(), after: answer, asked_at: 1 }
    }

    #[test]
    fn a_pair_is_kept_until_asked_again_and_another_model_makes_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let cases = Cases::new(folder.path().join("cases.json"));
        let (old, new, other) = (pair("p", "m", "old"), pair("p", "m", "new"), pair("p", "n", "other"));
        assert_eq!(cases.read().expect("no file yet"), []);

        for pair in [&old, &other, &new] {
            cases.keep(pair.clone()).expect("kept");
        }

        let about = &new.before.about;
        assert_eq!(cases.find("p", about, about).expect("read"), Some(new.clone()));
        assert_eq!(cases.find("q", about, about).expect("read"), None);
        assert_eq!(cases.read().expect("read"), [other, new]);
    }

    #[test]
    fn the_oldest_go_and_a_damaged_file_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let cases = Cases::new(folder.path().join("cases.json"));

        for number in 0..=MAX_PAIRS {
            cases.keep(pair(&number.to_string(), "m", "")).expect("kept");
        }

        let kept = cases.read().expect("read");
        assert_eq!((kept.len(), kept[0].prompt.as_str()), (MAX_PAIRS, "1"));
        fs::write(folder.path().join("cases.json"), "{").expect("written");
        assert_eq!(cases.read().expect("read"), []);
    }
}
