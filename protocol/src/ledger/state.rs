//! The state as bytes: what a checkpoint names, and what a late joiner goes on from.
//!
//! The encoding is canonical: one state has one encoding, whichever way a peer came to it, so that its content id stands
//! for the state. What follows from the rest is not in it but computed again: ids, digests, rings, sealed sets. What many
//! hold is in it once: charters and snapshots in tables, in the order in which they are first needed; a snapshot is one
//! bit for each leaf that was ever registered.
//!
//! Bounds that the rules of the ledger have are checked again. What grows with the log is bounded by
//! [`MAX_STATE_BYTES`] alone. At the end the state is encoded again and compared: bytes that are no canonical
//! encoding, for whatever reason, are no state.

mod round;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_count, put_seq},
    credential::Leaf,
    hash::{self, Digest},
    wire_enum, wire_struct,
};

use super::{CardStatement, Cards, Governance, Ledger, Poll, Proposer, Series};
use crate::{
    adapter::manifest::AdapterManifest,
    canonical::{map, put_map, put_set, set},
    charter::{Amendment, Charter},
    config::Genesis,
    fault::Fault,
    id::{BlobId, CommunityId, PollId, RoundId, SeriesId},
    limits,
    log::entry::Checkpoint,
    registry::{Registry, Snapshot},
};

/// Bytes of a state: it is one blob.
pub const MAX_STATE_BYTES: usize = limits::MAX_BLOB_BYTES;

/// How many heights operators leave between two checkpoints: some hundred rounds of a small community, of which a late
/// joiner then fetches half on average.
pub const CHECKPOINT_HEIGHTS: u64 = 4_096;

/// At which heights a checkpoint may stand after all. Checking one costs each operator an encoding of the state, so that a
/// liar among them can ask for that in few of the batches.
pub const MIN_CHECKPOINT_HEIGHTS: u64 = 16;

/// The bound of what grows with the log: the bytes end before.
const MANY: usize = MAX_STATE_BYTES;

/// The version of the encoding, which is its first byte.
const VERSION: u8 = 1;

/// The version of a state in which rules of polls or words on items stand: it ends with them.
const FACILITATED: u8 = 2;

wire_enum!(Proposer { 1 => Key(key), 2 => Anonymous(tag) });
wire_struct!(CardStatement { operator, card, number, into, reason(limits::MAX_TEXT_BYTES) });

/// What is in the state once and in many places of it, for writing.
struct Tables<'a> {
    charters: Vec<&'a Arc<Charter>>,
    snapshots: Vec<&'a Snapshot>,
    /// A root pins policy and leaves, a beacon the cohorts.
    index: BTreeMap<(Digest, Option<Digest>), usize>,
}

impl<'a> Tables<'a> {
    fn of(ledger: &'a Ledger) -> Self {
        let mut charters = vec![&ledger.governance.charter];
        let (mut snapshots, mut index) = (Vec::new(), BTreeMap::new());
        for charter in ledger.rounds.values().map(|round| &round.charter) {
            if !charters.iter().any(|known| is_same(known, charter)) {
                charters.push(charter);
            }
        }
        let of_rounds = ledger.rounds.values().filter_map(|round| Some(&round.manifest.as_ref()?.snapshot));
        for snapshot in ledger.polls.values().map(|poll| &poll.snapshot).chain(of_rounds) {
            index.entry((snapshot.root(), snapshot.beacon())).or_insert_with(|| {
                snapshots.push(snapshot.as_ref());
                snapshots.len() - 1
            });
        }
        Self { charters, snapshots, index }
    }

    fn put_charter(&self, out: &mut Vec<u8>, charter: &Arc<Charter>) {
        let index = self.charters.iter().position(|known| is_same(known, charter));
        put_count(out, index.expect("the table holds every charter of the ledger"));
    }

    fn put_snapshot(&self, out: &mut Vec<u8>, snapshot: &Snapshot) {
        let index = self.index.get(&(snapshot.root(), snapshot.beacon()));
        put_count(out, *index.expect("the table holds every snapshot of the ledger"));
    }

    fn put_poll(&self, out: &mut Vec<u8>, poll: &Poll) {
        let Poll { opening, opened_by, items, rounds, snapshot, policy } = poll;
        opening.encode(out);
        opened_by.encode(out);
        put_count(out, items.len());
        for (_, text, proposer) in items {
            put_bytes(out, text.as_bytes());
            proposer.encode(out);
        }
        put_seq(out, rounds);
        self.put_snapshot(out, snapshot);
        policy.encode(out);
    }
}

fn is_same(one: &Arc<Charter>, other: &Arc<Charter>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Appends a snapshot of some of the leaves that were ever registered.
fn put_members(out: &mut Vec<u8>, snapshot: &Snapshot, leaves: &BTreeSet<Leaf>) {
    snapshot.policy().encode(out);
    snapshot.beacon().encode(out);
    let mut bits = vec![0u8; leaves.len().div_ceil(8)];
    let mut members = snapshot.leaves().iter().peekable();
    for (index, leaf) in leaves.iter().enumerate() {
        if members.next_if_eq(&leaf).is_some()
            && let Some(byte) = bits.get_mut(index / 8)
        {
            *byte |= 1 << (index % 8);
        }
    }
    out.extend_from_slice(&bits);
}

fn members(input: &mut Reader<'_>, leaves: &BTreeSet<Leaf>) -> Result<Arc<Snapshot>, DecodeError> {
    let (policy, beacon) = (Digest::decode(input)?, Option::<Digest>::decode(input)?);
    let bits = input.take(leaves.len().div_ceil(8))?;
    let is_in = |index: usize| bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
    let members = leaves.iter().enumerate().filter(|(index, _)| is_in(*index)).map(|(_, leaf)| *leaf).collect();
    Ok(Arc::new(Snapshot::new(members, policy, beacon.unwrap_or_default())))
}

/// What has been read, for reading the rest.
struct Told<'a> {
    community: CommunityId,
    charters: &'a [Arc<Charter>],
    snapshots: &'a [Arc<Snapshot>],
    polls: &'a BTreeMap<PollId, Arc<Poll>>,
    series: &'a BTreeMap<SeriesId, Arc<Series>>,
}

impl Told<'_> {
    fn charter(&self, input: &mut Reader<'_>) -> Result<Arc<Charter>, DecodeError> {
        self.charters.get(input.count(MANY)?).cloned().ok_or(DecodeError::OutOfRange("charter"))
    }

    fn snapshot(&self, input: &mut Reader<'_>) -> Result<Arc<Snapshot>, DecodeError> {
        self.snapshots.get(input.count(MANY)?).cloned().ok_or(DecodeError::OutOfRange("snapshot"))
    }

    fn poll(&self, input: &mut Reader<'_>) -> Result<Poll, DecodeError> {
        let (opening, opened_by) = (Decode::decode(input)?, Decode::decode(input)?);
        let mut items = Vec::new();
        for _ in 0..input.count(limits::MAX_PROPOSED)? {
            let text = input.text(limits::MAX_STATEMENT_BYTES)?;
            items.push((BlobId::of(text.as_bytes()), text, Decode::decode(input)?));
        }
        let (rounds, snapshot, policy) = (input.seq(MANY)?, self.snapshot(input)?, Decode::decode(input)?);
        Ok(Poll { opening, opened_by, items, rounds, snapshot, policy })
    }
}

impl Governance {
    fn put(&self, out: &mut Vec<u8>) {
        // The charter is the first of the table, and its policy has one digest.
        let Self { charter: _, policy: _, height, since, adopted, pending, stated, times, served } = self;
        height.encode(out);
        since.encode(out);
        put_seq(out, adopted);
        pending.as_deref().cloned().encode(out);
        put_map(out, stated, |amendment, out| amendment.encode(out));
        put_map(out, times, |of_votes, out| put_map(out, of_votes, Encode::encode));
        put_set(out, served);
    }

    fn read(input: &mut Reader<'_>, charter: Arc<Charter>) -> Result<Self, DecodeError> {
        Ok(Self {
            policy: hash::content(&charter.policy.to_bytes()),
            charter,
            height: Decode::decode(input)?,
            since: Decode::decode(input)?,
            adopted: input.seq(MANY)?,
            pending: Option::<Amendment>::decode(input)?.map(Arc::new),
            stated: map(input, MANY, |input| Amendment::decode(input).map(Arc::new))?,
            times: map(input, MANY, |input| map(input, MANY, u8::decode))?,
            served: set(input, MANY)?,
        })
    }
}

impl Ledger {
    /// Returns whether the next batch may begin with a checkpoint. Where it does not, the next one is a while later.
    pub const fn may_begin_with_checkpoint(&self) -> bool {
        let height = self.height().0;
        self.at_end && height > 0 && height.is_multiple_of(MIN_CHECKPOINT_HEIGHTS)
    }

    /// Returns the checkpoint with which the next batch may begin, and the state that it names; `None` if none is due, or
    /// the state is too large for a blob.
    pub fn checkpoint(&self) -> Option<(Checkpoint, Vec<u8>)> {
        let state = self.may_begin_with_checkpoint().then(|| self.to_bytes())?;
        let bytes = u32::try_from(state.len()).ok().filter(|_| state.len() <= MAX_STATE_BYTES)?;
        Some((Checkpoint { height: self.height(), state: BlobId::of(&state), bytes }, state))
    }

    /// Checks that a checkpoint is the first entry of its batch, and names the state before it.
    pub(super) fn check_checkpoint(&self, said: &Checkpoint) -> Result<(), Fault> {
        if !self.may_begin_with_checkpoint() {
            return Err(Fault::NotAllowed("a checkpoint but as the first entry of a batch after so many others"));
        }
        if said.height != self.height() {
            return Err(Fault::Mismatch("the height of a checkpoint"));
        }
        match self.checkpoint() {
            Some((found, _)) if found == *said => Ok(()),
            Some(_) | None => Err(Fault::Mismatch("the state of a checkpoint")),
        }
    }
}

impl Encode for Ledger {
    fn encode(&self, out: &mut Vec<u8>) {
        let tables = Tables::of(self);
        // Every field is named, here and in all that follows: whoever adds one decides whether it is in the bytes, and if it
        // is not, how it follows from them.
        let Self {
            genesis,
            community: _,
            governance,
            registry,
            clocks,
            polls,
            series,
            rounds,
            cards,
            facilitation,
            convicted,
            at_end: _,
        } = self;
        out.push(if facilitation.is_empty() { VERSION } else { FACILITATED });
        genesis.encode(out);
        registry.as_ref().encode(out);
        put_count(out, tables.charters.len());
        tables.charters.iter().for_each(|charter| charter.encode(out));
        put_count(out, tables.snapshots.len());
        tables.snapshots.iter().for_each(|snapshot| put_members(out, snapshot, registry.leaves()));
        governance.put(out);
        put_map(out, clocks, Encode::encode);
        put_count(out, polls.len());
        for (id, poll) in polls.as_ref() {
            id.encode(out);
            tables.put_poll(out, poll);
        }
        put_map(out, series, |series, out| {
            let Series { manifest, opened_by, rounds } = series.as_ref();
            manifest.encode(out);
            opened_by.encode(out);
            put_seq(out, rounds);
        });
        put_map(out, rounds, |round, out| tables.put_round(out, round));
        put_count(out, cards.statements().count());
        cards.statements().for_each(|statement| statement.encode(out));
        put_set(out, convicted);
        if !facilitation.is_empty() {
            super::facilitation::put(out, facilitation);
        }
    }
}

impl Decode for Ledger {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = input.clone().take(input.remaining())?;
        if bytes.len() > MAX_STATE_BYTES {
            return Err(DecodeError::TooLong { bound: MAX_STATE_BYTES, found: bytes.len() });
        }
        let ledger = read(input)?;
        let read = bytes.len() - input.remaining();
        if bytes.get(..read) != Some(ledger.to_bytes().as_slice()) {
            return Err(DecodeError::NonCanonical("a state"));
        }
        Ok(ledger)
    }
}

fn read(input: &mut Reader<'_>) -> Result<Ledger, DecodeError> {
    let is_facilitated = match u8::decode(input)? {
        VERSION => false,
        FACILITATED => true,
        found => return Err(DecodeError::UnknownTag { of: "state", found: found.into() }),
    };
    let genesis = Genesis::decode(input)?;
    let community = genesis.id();
    let registry = Registry::decode(input)?;
    let charters: Vec<Arc<Charter>> = input.seq::<Charter>(MANY)?.into_iter().map(Arc::new).collect();
    // Everything else counts on it, as everywhere: who decides, and by how many.
    if charters.iter().any(|charter| charter.validate().is_err()) {
        return Err(DecodeError::OutOfRange("charter"));
    }
    let mut snapshots = Vec::new();
    for _ in 0..input.count(MANY)? {
        snapshots.push(members(input, registry.leaves())?);
    }
    let in_force = charters.first().cloned().ok_or(DecodeError::OutOfRange("charter"))?;
    let governance = Governance::read(input, in_force)?;
    let clocks = map(input, MANY, Decode::decode)?;
    let (no_polls, no_series) = (BTreeMap::new(), BTreeMap::new());
    let told = Told { community, charters: &charters, snapshots: &snapshots, polls: &no_polls, series: &no_series };
    let polls = map(input, limits::MAX_POLLS, |input| told.poll(input).map(Arc::new))?;
    let series = map(input, limits::MAX_SERIES, |input| {
        let manifest = Arc::new(AdapterManifest::decode(input)?);
        let (opened_by, rounds) = (Decode::decode(input)?, input.seq(MANY)?);
        Ok(Arc::new(Series { manifest, opened_by, rounds }))
    })?;
    let told = Told { polls: &polls, series: &series, ..told };
    let rounds: BTreeMap<RoundId, _> = map(input, MANY, |input| told.round(input).map(Arc::new))?;
    let is_named = rounds.iter().all(|(id, round)| *id == round.id);
    let cards = Cards::of(input.seq(limits::MAX_CARD_STATEMENTS)?).ok_or(DecodeError::OutOfRange("cards"))?;
    let convicted = set(input, MANY)?;
    let facilitation = if is_facilitated { super::facilitation::read(input, &polls)? } else { BTreeMap::new() };
    if !is_named || polls.iter().any(|(id, poll)| *id != poll.opening.id(community)) {
        return Err(DecodeError::NonCanonical("the id of a poll or round"));
    }
    Ok(Ledger {
        genesis: Arc::new(genesis),
        community,
        governance,
        registry: Arc::new(registry),
        clocks,
        polls: Arc::new(polls),
        series: Arc::new(series),
        rounds: Arc::new(rounds),
        cards: Arc::new(cards),
        facilitation: Arc::new(facilitation),
        convicted,
        at_end: true,
    })
}
