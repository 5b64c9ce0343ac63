//! Whoever listens on every link: what operators signed, and every contribution that travelled.
//!
//! An honest operator gives one answer to one question, whatever crashes and restarts lie between: two different signed
//! answers anywhere are a [`Contradiction`]. Liars' own messages are not listened to, but what they bring to the log is.

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    credential::Tag,
    hash::{Digest, content},
    sign::PublicKey,
};
use chorus_protocol::{
    contribution::Submission,
    id::{BlobId, RoundId},
    log::{
        batch::Batch,
        consensus::{Signed, Statement as _, Vote},
        entry::{Entry, PassId, SignedEntry, Step},
    },
    message::Message,
};

/// What a signature answers: at most one answer may be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Question {
    /// Which key seals to this operator?
    RoundKey(RoundId),
    /// What do the masks of a step add up to?
    Opening(RoundId, Step),
    /// Which values does a step open?
    Opened(RoundId, Step),
    /// What is the hash of the share?
    ShareHash(RoundId, PassId),
    /// What is the share?
    Share(RoundId, PassId),
    /// Which partition follows?
    Partition(RoundId),
    /// Which result follows?
    Result(RoundId),
    /// Which contribution has this tag and sequence number?
    Acknowledgement(RoundId, Tag, u8),
    /// What is the vote of this kind, height and round?
    Vote(u8, u64, u32),
}

/// Two answers of one signer to one question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contradiction {
    /// Who signed both.
    pub signer: PublicKey,
    /// What was asked.
    pub question: Question,
}

/// Messages of each kind that are kept as samples.
const SAMPLES: usize = 6;

/// What was heard.
#[derive(Debug, Default)]
pub struct Tap {
    answers: BTreeMap<(PublicKey, Question), BTreeSet<Digest>>,
    acknowledged: BTreeMap<(u8, Question), BTreeSet<Digest>>,
    last: Option<Message>,
    /// The first messages of each kind, by the tag byte of their encoding.
    pub samples: BTreeMap<u8, Vec<Message>>,
    /// Every contribution that was sent, by its public body.
    pub submissions: BTreeMap<BlobId, Submission>,
}

fn question(entry: &Entry) -> Option<Question> {
    Some(match entry {
        Entry::RoundKey(it) => Question::RoundKey(it.round),
        Entry::Opening(it) => Question::Opening(it.round, it.step),
        Entry::Opened(it) => Question::Opened(it.round, it.step),
        Entry::ShareHash(it) => Question::ShareHash(it.round, it.pass),
        Entry::Share(it) => Question::Share(it.round, it.pass),
        Entry::Partition(it) => Question::Partition(it.round),
        Entry::Result(it) => Question::Result(it.round),
        Entry::Register(_)
        | Entry::Poll(_)
        | Entry::Propose(_)
        | Entry::Plan(_)
        | Entry::Open(_)
        | Entry::Contribution(_)
        | Entry::Clock(_)
        | Entry::Close(_)
        | Entry::EndPass(_)
        | Entry::Erased(_)
        | Entry::Evidence(_)
        | Entry::Attest(_)
        | Entry::Revoke(_)
        | Entry::Vouch(_)
        | Entry::Rotate(_)
        | Entry::Veto(_)
        | Entry::RemoveAttester(_)
        | Entry::Expel(_)
        | Entry::Census(_)
        | Entry::ProposeAnonymously(_)
        | Entry::Series(_)
        | Entry::Weigh(_)
        | Entry::Assess(_)
        | Entry::Beacon(_)
        | Entry::Canonical(_)
        | Entry::MergeCards(_)
        | Entry::PollRules(_)
        | Entry::Moderate(_)
        | Entry::ProposeWith(_)
        | Entry::Convene(_)
        | Entry::Draw(_)
        | Entry::Deal(_)
        | Entry::CohortResult(_)
        | Entry::Checkpoint(_)
        | Entry::Amend(_) => return None,
    })
}

/// The tag byte of a vote among the messages of the consensus.
const VOTE: u8 = 0;

/// Returns the vote that a message of the consensus is.
pub fn as_vote(bytes: &[u8]) -> Option<Signed<Vote>> {
    let (tag, vote) = bytes.split_first()?;
    (*tag == VOTE).then(|| Signed::from_bytes(vote).ok()).flatten()
}

/// Returns the message of the consensus that a vote is.
pub fn vote_bytes(vote: &Signed<Vote>) -> Vec<u8> {
    let mut bytes = vec![VOTE];
    vote.encode(&mut bytes);
    bytes
}

impl Tap {
    /// Hears a message.
    pub(crate) fn sent(&mut self, message: Message) {
        // One message to many is heard once.
        if self.last.as_ref() == Some(&message) {
            return;
        }
        let kind = message.to_bytes().first().copied().unwrap_or_default();
        let samples = self.samples.entry(kind).or_default();
        if samples.len() < SAMPLES {
            samples.push(message.clone());
        }
        match &message {
            Message::Entry(entry) => self.entry(entry),
            Message::Acknowledgement(it) => {
                let header = &it.header;
                let question = Question::Acknowledgement(header.round, header.tag, header.sequence);
                self.acknowledged.entry((it.operator, question)).or_default().insert(content(&header.to_bytes()));
            }
            Message::Consensus(it) => {
                if let Some(vote) = as_vote(&it.bytes) {
                    let kind = it.bytes.get(1).copied().unwrap_or_default();
                    let statement = vote.statement;
                    let question = Question::Vote(kind, statement.height().0, statement.round());
                    self.answer(statement.signer(), question, content(&statement.to_bytes()));
                }
            }
            Message::Submission(it) => self.submission(it),
            Message::Stem(it) => self.submission(&it.submission),
            Message::Handover(it) => it.submission.iter().for_each(|it| self.submission(it)),
            Message::Hello(_)
            | Message::Tip(_)
            | Message::LogRequest(_)
            | Message::Log(_)
            | Message::SubmissionRequest(_)
            | Message::Holdings(_)
            | Message::Bodies(_)
            | Message::HeightRequest(_)
            | Message::HeightAnswer(_)
            | Message::Sighting(_) => {}
        }
        self.last = Some(message);
    }

    /// Hears what was decided.
    pub(crate) fn decided(&mut self, batch: &Batch) {
        for entry in batch.entries().iter().filter_map(|bytes| SignedEntry::from_bytes(bytes).ok()) {
            self.entry(&entry);
        }
    }

    fn entry(&mut self, entry: &SignedEntry) {
        if let Some(question) = question(&entry.entry) {
            self.answer(entry.author, question, content(&entry.entry.to_bytes()));
        }
    }

    fn answer(&mut self, signer: PublicKey, question: Question, answer: Digest) {
        self.answers.entry((signer, question)).or_default().insert(answer);
    }

    fn submission(&mut self, submission: &Submission) {
        self.submissions.entry(BlobId::of(&submission.body)).or_insert_with(|| submission.clone());
    }

    /// Returns every question that one of `operators`, in committee order, answered in two ways.
    pub fn contradictions(&self, operators: &[PublicKey]) -> Vec<Contradiction> {
        let entries = self.answers.iter().map(|((signer, question), answers)| (*signer, *question, answers));
        let acknowledged = self.acknowledged.iter().filter_map(|((operator, question), answers)| {
            Some((*operators.get(usize::from(*operator).checked_sub(1)?)?, *question, answers))
        });
        entries
            .chain(acknowledged)
            .filter(|(signer, _, answers)| answers.len() > 1 && operators.contains(signer))
            .map(|(signer, question, _)| Contradiction { signer, question })
            .collect()
    }
}
