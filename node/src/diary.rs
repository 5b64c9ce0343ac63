//! What a person keeps for themselves of what they said: their votes, and their value cards.
//!
//! A ballot that has left is masked, and nobody can say any more what was in it, not even whose it was. Two things need to
//! know: the training of one's own adapter, and the person, who wants to see how they voted. So a node writes its person's
//! votes down, in a file for its owner alone, which never leaves the machine. `chorus config set diary off` deletes the file,
//! and nothing is written down from then on.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use chorus_protocol::{
    deliberation::moral_graph::{ValuesCard, card::CardError},
    id::{BlobId, PollId, RoundId},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{api::view::Choice, articulation::Articulation, store::files};

/// The most bytes of the file: 200 rounds of 500 items, and all cards.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The most value cards.
pub const MAX_CARDS: usize = 64;

/// The most bytes of a card's title and of one of its policies, and of its instruction.
const MAX_LINE_BYTES: usize = 400;
const MAX_INSTRUCTION_BYTES: usize = 2_000;

/// The most policies of attention of a card.
const MAX_POLICIES: usize = 16;

/// Why the diary cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiaryError {
    /// The disk failed.
    #[error("the diary cannot be read or written")]
    Io(#[from] io::Error),
    /// The file is not what it should be. `chorus config set diary off` deletes it.
    #[error("{path} is damaged: {why}; `chorus config set diary off` deletes it, and `on` begins a new one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A card is empty, too long, or one too many.
    #[error("{0}")]
    Card(&'static str),
}

/// Something that a person cares about, in their own words (Meaning Alignment Institute's value cards).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueCard {
    /// What it is called.
    pub title: String,
    /// What an AI should do that holds this value.
    pub instruction: String,
    /// What to pay attention to when acting on it.
    #[serde(default)]
    pub policies: Vec<String>,
}

impl From<&ValuesCard> for ValueCard {
    fn from(card: &ValuesCard) -> Self {
        let policies = card.policies().to_vec();
        Self { title: card.title().to_owned(), instruction: card.instruction().to_owned(), policies }
    }
}

impl ValueCard {
    /// Returns the card as it can be proposed to a value poll.
    ///
    /// # Errors
    ///
    /// Returns [`CardError`] if a part is empty or too long, or holds an invisible character.
    pub fn card(&self) -> Result<ValuesCard, CardError> {
        ValuesCard::new(&self.title, &self.instruction, &self.policies)
    }

    /// Checks that the card says something, and not too much.
    ///
    /// # Errors
    ///
    /// Returns [`DiaryError::Card`].
    pub fn check(&self) -> Result<(), DiaryError> {
        let is_line = |text: &str| (1..=MAX_LINE_BYTES).contains(&text.trim().len());
        let refused = if !is_line(&self.title) {
            "a card's title has 1 to 400 bytes"
        } else if !(1..=MAX_INSTRUCTION_BYTES).contains(&self.instruction.trim().len()) {
            "a card's instruction has 1 to 2,000 bytes"
        } else if self.policies.len() > MAX_POLICIES || !self.policies.iter().all(|policy| is_line(policy)) {
            "a card has at most 16 policies of attention of 1 to 400 bytes"
        } else {
            return Ok(());
        };
        Err(DiaryError::Card(refused))
    }
}

/// What a person said in one round.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnBallot {
    /// The poll.
    pub poll: PollId,
    /// The items that they said something about.
    pub votes: BTreeMap<BlobId, Choice>,
}

/// All that is kept.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entries {
    /// Ballots by round; of each round, the last.
    pub ballots: BTreeMap<RoundId, OwnBallot>,
    /// Value cards.
    pub cards: Vec<ValueCard>,
    /// The dialogue that is under way, in which a card comes to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub articulation: Option<Articulation>,
}

/// Shows no vote.
impl core::fmt::Debug for Entries {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (ballots, cards) = (self.ballots.len(), self.cards.len());
        f.debug_struct("Entries").field("ballots", &ballots).field("cards", &cards).finish_non_exhaustive()
    }
}

/// The file.
#[derive(Debug)]
pub struct Diary {
    path: PathBuf,
    /// Whoever changes the file holds it: it is read, changed and replaced.
    changing: Mutex<()>,
}

impl Diary {
    /// Returns the diary in a file, which need not exist yet.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, changing: Mutex::new(()) }
    }

    /// Reads everything; nothing has been written down without a file.
    ///
    /// # Errors
    ///
    /// Returns [`DiaryError::Io`] or [`DiaryError::Damaged`].
    pub fn read(&self) -> Result<Entries, DiaryError> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::default()),
            Err(error) => return Err(error.into()),
        };
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        let damaged =
            |error: serde_json::Error| DiaryError::Damaged { path: self.path.clone(), why: error.to_string() };
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Changes what is kept, durably.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and what `change` returns; nothing is changed then.
    pub fn change<T>(&self, change: impl FnOnce(&mut Entries) -> Result<T, DiaryError>) -> Result<T, DiaryError> {
        // A panic cannot leave the file half written.
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.read()?;
        let answer = change(&mut entries)?;
        let text = Zeroizing::new(serde_json::to_vec(&entries).map_err(io::Error::other)?);
        files::replace(&self.path, "diary", &text)?;
        Ok(answer)
    }

    /// Writes a ballot down in the place of the round's earlier one; without votes, the round is forgotten.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change).
    pub fn note(&self, round: RoundId, ballot: OwnBallot) -> Result<(), DiaryError> {
        self.change(|entries| {
            if ballot.votes.is_empty() {
                entries.ballots.remove(&round);
            } else {
                entries.ballots.insert(round, ballot);
            }
            Ok(())
        })
    }

    /// Adds a card, in the place of one with the same title.
    ///
    /// # Errors
    ///
    /// Returns [`DiaryError::Card`] if it is none, or one too many; else as [`change`](Self::change).
    pub fn add_card(&self, card: ValueCard) -> Result<(), DiaryError> {
        card.check()?;
        self.change(|entries| {
            entries.cards.retain(|known| known.title != card.title);
            if entries.cards.len() >= MAX_CARDS {
                return Err(DiaryError::Card("there are 64 cards already: remove one first"));
            }
            entries.cards.push(card);
            Ok(())
        })
    }

    /// Removes the card with a title. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change).
    pub fn remove_card(&self, title: &str) -> Result<bool, DiaryError> {
        self.change(|entries| {
            let before = entries.cards.len();
            entries.cards.retain(|card| card.title != title);
            Ok(entries.cards.len() < before)
        })
    }
}

/// Deletes a diary, if there is one.
///
/// # Errors
///
/// Returns what the system says.
pub fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => files::sync_directory(files::parent(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diary() -> (tempfile::TempDir, Diary) {
        let folder = tempfile::tempdir().expect("a folder");
        let diary = Diary::new(folder.path().join("diary.json"));
        (folder, diary)
    }

    fn ballot(votes: &[(u8, Choice)]) -> OwnBallot {
        let votes = votes.iter().map(|(item, choice)| (BlobId::from([*item; 32]), *choice)).collect();
        OwnBallot { poll: PollId::from([1; 32]), votes }
    }

    fn card(title: &str) -> ValueCard {
        ValueCard { title: title.into(), instruction: "Ask first".into(), policies: vec!["What is meant".into()] }
    }

    #[test]
    fn the_last_ballot_of_a_round_is_kept_and_one_taken_back_is_forgotten() {
        let (_folder, diary) = diary();
        let (first, second) = (RoundId::from([1; 32]), RoundId::from([2; 32]));
        diary.note(first, ballot(&[(1, Choice::Agree)])).expect("written");
        diary.note(first, ballot(&[(2, Choice::Pass)])).expect("written");
        diary.note(second, ballot(&[(3, Choice::Disagree)])).expect("written");

        assert_eq!(diary.read().expect("read").ballots[&first], ballot(&[(2, Choice::Pass)]));
        diary.note(first, ballot(&[])).expect("written");
        assert_eq!(diary.read().expect("read").ballots.keys().collect::<Vec<_>>(), [&second]);
        assert!(!format!("{:?}", diary.read()).contains("isagree"), "votes are not printed");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it_and_deleting_leaves_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, diary) = diary();
        diary.add_card(card("Care")).expect("a card");
        let path = folder.path().join("diary.json");

        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        delete(&path).expect("deleted");
        delete(&path).expect("nothing to delete");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
        assert_eq!(diary.read().expect("empty"), Entries::default());
    }

    #[test]
    fn a_card_replaces_the_one_of_its_title_and_there_are_only_so_many() {
        let (_folder, diary) = diary();
        for number in 0..MAX_CARDS {
            diary.add_card(card(&number.to_string())).expect("a card");
        }
        let changed = ValueCard { instruction: "Listen".into(), ..card("3") };

        diary.add_card(changed.clone()).expect("replaced");
        assert!(matches!(diary.add_card(card("more")), Err(DiaryError::Card(_))));
        assert!(matches!(diary.add_card(card(" ")), Err(DiaryError::Card(_))));
        let long = ValueCard { policies: vec![String::new()], ..card("long") };
        assert!(matches!(diary.add_card(long), Err(DiaryError::Card(_))));
        assert!(diary.remove_card("7").expect("removed") && !diary.remove_card("7").expect("not there"));
        let cards = diary.read().expect("read").cards;
        assert_eq!((cards.len(), cards.last()), (MAX_CARDS - 1, Some(&changed)));
    }

    #[test]
    fn a_damaged_file_is_told_and_not_written_over() {
        let (folder, diary) = diary();
        let path = folder.path().join("diary.json");
        fs::write(&path, "{").expect("written");

        assert!(matches!(diary.add_card(card("Care")), Err(DiaryError::Damaged { .. })));
        assert_eq!(fs::read_to_string(&path).expect("there"), "{");
    }
}
