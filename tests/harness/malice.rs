//! Liars: real peers whose messages are rewritten as they leave, and signed again with the operator's own key.
//!
//! A liar that lies in its entries also never proposes a batch, for its own pool holds what it should have said.

use std::collections::BTreeMap;

use chorus_crypto::{
    Scalar,
    codec::{Decode as _, Encode as _},
    domain,
    seal::SealSecret,
    sign::{SecretKey, Signature},
};
use chorus_protocol::{
    contribution::Acknowledgement,
    id::{BlobId, CommunityId, PollId, RoundId},
    limits,
    log::{
        consensus::{Signed, Statement as _, Vote},
        entry::{
            EndPass, Entry, Evidence, MaskOpening, OpenedValues, PartitionChoice, PassId, Proposal, RoundClosing,
            RoundKey, RoundOpening, RoundResult, Share, ShareHash, SignedEntry,
        },
    },
    message::{ConsensusBytes, Message},
    opening::OpenedStep,
};

use crate::{
    network::{Outgoing, Tamper},
    tap::{as_vote, vote_bytes},
};

pub mod censor;
pub mod forge;
pub mod loot;
#[cfg(feature = "node")]
pub mod wire;

/// What one lying operator does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lie {
    /// Acknowledges with signatures that do not verify.
    SpoilsAcknowledgements,
    /// Acknowledges headers that nobody contributed.
    AcknowledgesAnother,
    /// Publishes other sums of masks than those it holds.
    WrongMaskSums,
    /// States other values than those opened.
    WrongValues,
    /// Commits to a share that lies on no polynomial, and reveals it.
    WrongShare,
    /// Reveals another share than it committed to.
    ShareOfAnotherHash,
    /// Commits to shares and never reveals them.
    WithholdsShares,
    /// Passes on no contributions and hands over no seeds.
    WithholdsContributions,
    /// Speaks to every second host only.
    SpeaksToSome,
    /// Says everything just before the others give up.
    SlowWalks,
    /// States another partition.
    WrongPartition,
    /// States another result.
    WrongResult,
    /// Closes the round, and opens it again, as long as it is open.
    ClosesEarly,
    /// Acknowledges towards one host only, and withholds from it what it acknowledged.
    LuresAndWithholds(usize),
    /// Votes for one thing towards some, for another towards others, and for both towards the rest.
    VotesTwice,
    /// Sends junk along with everything it says.
    Spams,
    /// Says one thing about sums, values, shares, partition and result towards some, and another towards the rest.
    TwoFaced,
    /// Names sums and values, and gives nobody their bodies.
    NamesWithoutBodies,
    /// Offers some a key for the round, and others another one, which nobody has.
    OffersTwoKeys,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::SpoilsAcknowledgements,
        Self::AcknowledgesAnother,
        Self::WrongMaskSums,
        Self::WrongValues,
        Self::WrongShare,
        Self::ShareOfAnotherHash,
        Self::WithholdsShares,
        Self::WithholdsContributions,
        Self::SpeaksToSome,
        Self::SlowWalks,
        Self::WrongPartition,
        Self::WrongResult,
        Self::ClosesEarly,
        Self::LuresAndWithholds(0),
        Self::VotesTwice,
        Self::Spams,
        Self::TwoFaced,
        Self::NamesWithoutBodies,
        Self::OffersTwoKeys,
    ];
}

/// The operator that lies, and about what.
#[derive(Debug)]
pub struct Liar {
    /// Its key.
    pub key: SecretKey,
    /// The community.
    pub community: CommunityId,
    /// The round.
    pub round: RoundId,
    /// How many scalars a share of the round has.
    pub share_len: usize,
}

/// The tag byte of a proposal among the messages of the consensus.
const PROPOSAL: u8 = 1;

/// How long a slow operator holds entries back, in milliseconds: just less than a pass may take.
const SLOW_ENTRY: u64 = 4_400;

/// How long a slow operator holds votes and proposals back: just less than the others wait.
const SLOW_VOTE: u64 = 180;

/// Junk entries that a spammer sends to each host.
const JUNK: usize = 300;

impl Liar {
    /// Returns what rewrites the operator's messages.
    pub fn tells(self, lie: Lie) -> Tamper {
        let mut junk = BTreeMap::new();
        Box::new(move |out, message| match lie {
            Lie::SlowWalks => vec![(Self::delay(&message), message)],
            Lie::Spams => self.with_junk(out.to, &mut junk, message),
            _ => self.rewrite(lie, out, message).into_iter().map(|message| (0, message)).collect(),
        })
    }

    fn rewrite(&self, lie: Lie, out: &mut Outgoing<'_>, message: Message) -> Vec<Message> {
        match message {
            Message::Entry(entry) if entry.author == self.key.public() => self.entry(lie, out, entry.entry),
            Message::Acknowledgement(acknowledgement) => self.acknowledgement(lie, out, acknowledgement),
            Message::Submission(_) | Message::Handover(_) | Message::Stem(_)
                if matches!(lie, Lie::WithholdsContributions | Lie::LuresAndWithholds(_)) =>
            {
                Vec::new()
            }
            Message::Consensus(it) => self.consensus(lie, out, it),
            message if lie == Lie::SpeaksToSome && out.to % 2 == 1 && !matches!(message, Message::Hello(_)) => {
                Vec::new()
            }
            message => vec![message],
        }
    }

    fn sign(&self, entry: Entry) -> Message {
        Message::Entry(SignedEntry::sign(&self.key, self.community, entry))
    }

    fn entry(&self, lie: Lie, out: &mut Outgoing<'_>, entry: Entry) -> Vec<Message> {
        if matches!((lie, &entry), (Lie::WithholdsShares, Entry::Share(_)))
            || (lie == Lie::SpeaksToSome && out.to % 2 == 1)
        {
            return Vec::new();
        }
        let lie = match lie {
            Lie::TwoFaced if out.to % 2 == 1 => Self::other_face(&entry),
            lie => lie,
        };
        let lied = match (lie, entry) {
            (Lie::NamesWithoutBodies, Entry::Opening(it)) => {
                it.sums.iter().for_each(|(_, sum)| drop(out.blobs.remove(sum)));
                Entry::Opening(it)
            }
            (Lie::NamesWithoutBodies, Entry::Opened(it)) => {
                out.blobs.remove(&it.values);
                Entry::Opened(it)
            }
            (Lie::OffersTwoKeys, Entry::RoundKey(it)) if out.to % 2 == 1 => {
                Entry::RoundKey(RoundKey { key: SealSecret::from_bytes(&[7; 32]).public(), ..it })
            }
            (Lie::WrongMaskSums, Entry::Opening(it)) => Entry::Opening(wrong_sums(out, it)),
            (Lie::WrongValues, Entry::Opened(it)) => Entry::Opened(wrong_values(out, it)),
            (Lie::WrongShare, Entry::ShareHash(it)) => {
                let share = self.garbage(it.pass).digest(self.key.public());
                Entry::ShareHash(ShareHash { share, ..it })
            }
            (Lie::WrongShare, Entry::Share(it)) => Entry::Share(self.garbage(it.pass)),
            (Lie::ShareOfAnotherHash, Entry::Share(it)) => {
                let values = it.values.iter().map(|value| value + Scalar::ONE).collect();
                Entry::Share(Share { values, ..it })
            }
            (Lie::WrongPartition, Entry::Partition(it)) => {
                Entry::Partition(PartitionChoice { partition: [7; 32], ..it })
            }
            (Lie::WrongResult, Entry::Result(it)) => {
                let mut bytes = out.blobs.get(&it.result).map(|bytes| bytes.to_vec()).unwrap_or_default();
                // The number of ballots of the first tally.
                bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
                Entry::Result(RoundResult { result: plant(out, bytes), ..it })
            }
            (_, entry) => entry,
        };
        vec![self.sign(lied)]
    }

    /// What somebody with two faces lies about in an entry of this kind.
    const fn other_face(entry: &Entry) -> Lie {
        if matches!(entry, Entry::Opening(_)) {
            Lie::WrongMaskSums
        } else if matches!(entry, Entry::Opened(_)) {
            Lie::WrongValues
        } else if matches!(entry, Entry::ShareHash(_) | Entry::Share(_)) {
            Lie::WrongShare
        } else if matches!(entry, Entry::Partition(_)) {
            Lie::WrongPartition
        } else {
            Lie::WrongResult
        }
    }

    /// A share that has nothing to do with any ballot.
    fn garbage(&self, pass: PassId) -> Share {
        Share { round: self.round, pass, values: vec![Scalar::from(7u8); self.share_len] }
    }

    fn acknowledgement(&self, lie: Lie, out: &Outgoing<'_>, mut said: Acknowledgement) -> Vec<Message> {
        match lie {
            Lie::SpoilsAcknowledgements => {
                let mut bytes = *said.signature.as_bytes();
                bytes[0] ^= 1;
                said.signature = Signature::from(bytes);
            }
            Lie::AcknowledgesAnother => {
                said.header.core[0] ^= 1;
                said.signature = self.key.sign(domain::ACKNOWLEDGE, &said.header.acknowledged_bytes(self.community));
            }
            Lie::SpeaksToSome if out.to % 2 == 1 => return Vec::new(),
            Lie::LuresAndWithholds(host) if out.to != host => return Vec::new(),
            Lie::ClosesEarly => {
                let close = self.sign(Entry::Close(RoundClosing { round: self.round }));
                let open = RoundOpening { round: self.round, keys: Vec::new(), snapshot: [0; 32] };
                return vec![close, self.sign(Entry::Open(open)), Message::Acknowledgement(said)];
            }
            _ => {}
        }
        vec![Message::Acknowledgement(said)]
    }

    fn consensus(&self, lie: Lie, out: &Outgoing<'_>, message: ConsensusBytes) -> Vec<Message> {
        match (lie, message.bytes.first()) {
            (Lie::VotesTwice, _) => {
                let contrary = as_vote(&message.bytes).map(|vote| vote_bytes(&self.contrary(&vote)));
                let contrary = contrary.map(|bytes| Message::Consensus(ConsensusBytes { bytes }));
                match (out.to % 3, contrary) {
                    (1, Some(contrary)) => vec![contrary],
                    (2, Some(contrary)) => vec![contrary, Message::Consensus(message)],
                    _ => vec![Message::Consensus(message)],
                }
            }
            (Lie::SpeaksToSome, _) if out.to % 2 == 1 => Vec::new(),
            (_, Some(&PROPOSAL)) => Vec::new(),
            _ => vec![Message::Consensus(message)],
        }
    }

    /// The vote for something else in the same step: nil instead of a batch, a batch that is none instead of nil.
    fn contrary(&self, vote: &Signed<Vote>) -> Signed<Vote> {
        let bytes = vote.statement.to_bytes();
        // kind, height, round, then the optional batch, then the signer.
        let (head, _) = bytes.split_at(1 + 8 + 4);
        let value: Option<BlobId> = if vote.statement.value().is_some() { None } else { Some(BlobId::of(b"none")) };
        let mut contrary = head.to_vec();
        value.encode(&mut contrary);
        self.key.public().encode(&mut contrary);
        let statement = Vote::from_bytes(&contrary).expect("the encoding of a vote");
        let signature = self.key.sign(Vote::DOMAIN, &statement.preimage(self.community));
        Signed { statement, signature }
    }

    const fn delay(message: &Message) -> u64 {
        match message {
            Message::Entry(_) | Message::Acknowledgement(_) | Message::Handover(_) | Message::Submission(_) => {
                SLOW_ENTRY
            }
            Message::Consensus(_) => SLOW_VOTE,
            Message::Hello(_)
            | Message::Tip(_)
            | Message::LogRequest(_)
            | Message::Log(_)
            | Message::SubmissionRequest(_)
            | Message::Stem(_)
            | Message::Holdings(_)
            | Message::Bodies(_)
            | Message::HeightRequest(_)
            | Message::HeightAnswer(_)
            | Message::Sighting(_) => 0,
        }
    }

    fn with_junk(&self, to: usize, sent: &mut BTreeMap<usize, usize>, message: Message) -> Vec<(u64, Message)> {
        let sent = sent.entry(to).or_default();
        let mut messages = vec![(0, message)];
        if *sent < JUNK {
            *sent += 6;
            let nonce = *sent;
            messages.extend(self.junk(nonce).map(|entry| (0, self.sign(entry))));
        }
        messages
    }

    /// Entries that are signed well and serve nothing; some of them could become valid one day.
    fn junk(&self, nonce: usize) -> [Entry; 6] {
        let id = |label: &str| chorus_crypto::hash::content(format!("{label} {nonce}").as_bytes());
        let (round, pass) = (RoundId::from(id("round")), PassId { pass: 0, attempt: 0 });
        [
            Entry::EndPass(EndPass { round, pass }),
            Entry::Close(RoundClosing { round }),
            Entry::Propose(Proposal { poll: PollId::from(id("poll")), text: "junk ".repeat(400) }),
            Entry::Evidence(Evidence { bytes: id("evidence").repeat(30) }),
            Entry::Share(Share { round: self.round, pass, values: vec![Scalar::from(nonce as u64); 64] }),
            Entry::EndPass(EndPass { round: self.round, pass: PassId { pass: limits::MAX_PASSES, attempt: 9 } }),
        ]
    }
}

fn plant(out: &mut Outgoing<'_>, bytes: Vec<u8>) -> BlobId {
    let id = BlobId::of(&bytes);
    out.blobs.insert(id, bytes.into());
    id
}

fn wrong_sums(out: &mut Outgoing<'_>, opening: MaskOpening) -> MaskOpening {
    let lie = |(subset, blob): &(u8, BlobId)| {
        let mut bytes = out.blobs.get(blob).map(|bytes| bytes.to_vec()).unwrap_or_default();
        // Kind of plan, number of sums, number of scalars; then the low byte of the first scalar.
        if let Some(byte) = bytes.get_mut(1 + 4 + 4) {
            *byte ^= 1;
        }
        (*subset, plant(out, bytes))
    };
    let sums = opening.sums.clone().iter().map(lie).collect();
    MaskOpening { sums, ..opening }
}

fn wrong_values(out: &mut Outgoing<'_>, opened: OpenedValues) -> OpenedValues {
    let honest = out.blobs.get(&opened.values).and_then(|bytes| OpenedStep::from_bytes(bytes).ok());
    let lie = match honest {
        Some(OpenedStep::Sums(mut sums)) => {
            sums.iter_mut().flat_map(|sum| sum.totals.iter_mut().flatten()).take(1).for_each(|total| *total += 1);
            OpenedStep::Sums(sums)
        }
        Some(OpenedStep::Functionals(mut rows)) => {
            rows.iter_mut().flat_map(|row| row.entries.iter_mut()).take(1).for_each(|value| *value += 1);
            OpenedStep::Functionals(rows)
        }
        None => OpenedStep::Sums(Vec::new()),
    };
    OpenedValues { values: plant(out, lie.to_bytes()), ..opened }
}
