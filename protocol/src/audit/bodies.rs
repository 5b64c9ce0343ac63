//! Bodies of contributions on their way through the checks.

use std::{collections::BTreeMap, mem, sync::Arc};

use chorus_crypto::{RistrettoPoint, credential::Tag, domain, group::Point, hash};
use rayon::prelude::*;

use super::{
    Level, Place, Progress, VerifyError,
    level::Lot,
    replay::{Needed, Replay, Use},
};
use crate::{
    contribution::{CheckedForm, verify_decoded},
    fault::Fault,
    id::{BlobId, RoundId},
    ledger::{Ledger, counting},
    opening::Rows,
};

/// Bodies that are held and verified together, and their bytes: enough to keep all cores busy, few enough to hold. No verdict
/// depends on how many they are.
const TOGETHER: (usize, usize) = (256, 32 << 20);

/// Bytes of decoded commitments that are held: those of some 2,000 ballots on 100 items. Of the rest the encoding is
/// kept, a fifth of that, and decoded again for every opening, to the same verdict.
const DECODED: usize = 128 << 20;

/// The commitments to the data rows of a contribution.
#[derive(Debug)]
pub(super) enum Commitments {
    Encoded(Vec<Point>),
    /// With that to the link's mask row before them.
    Decoded(Vec<RistrettoPoint>),
}

impl Commitments {
    pub(super) fn rows(&self) -> Rows<'_> {
        match self {
            Self::Encoded(rows) => Rows::Encoded(rows),
            Self::Decoded(points) => Rows::Decoded(points.get(1..).unwrap_or_default()),
        }
    }

    const fn bytes(&self) -> usize {
        match self {
            Self::Encoded(rows) => size_of::<Point>() * rows.len(),
            Self::Decoded(points) => size_of::<RistrettoPoint>() * points.len(),
        }
    }
}

/// A body that was read.
struct Read {
    round: RoundId,
    tag: Tag,
    body: BlobId,
    bytes: Arc<[u8]>,
}

/// The bodies of contributions on their way through the checks.
pub(super) struct Bodies<'a> {
    ledger: &'a Ledger,
    /// The seed of all batches. The log names every body by content, so its tip is a hash of all that is verified.
    seed: hash::Digest,
    lot: Lot,
    pending: Vec<Read>,
    pending_bytes: usize,
    /// The commitments of each contribution of the rounds that are not settled.
    commitments: BTreeMap<RoundId, BTreeMap<Tag, Commitments>>,
    held: usize,
    /// Contributions that were read.
    pub(super) read: u64,
    /// Those among them whose proofs were verified, by round.
    pub(super) proved: BTreeMap<RoundId, u64>,
    all: u64,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(replay: &'a Replay, needed: &Needed, level: Level) -> Self {
        let bodies = || {
            let is_body = |(body, uses): (&BlobId, &Vec<Use>)| {
                uses.iter().any(|purpose| matches!(purpose, Use::Body(..))).then_some(*body)
            };
            needed.uses.iter().filter_map(is_body)
        };
        Self {
            ledger: &replay.ledger,
            seed: hash::digest(domain::BATCH, &replay.tip),
            lot: Lot::of(level, bodies()),
            pending: Vec::new(),
            pending_bytes: 0,
            commitments: BTreeMap::new(),
            held: 0,
            read: 0,
            proved: BTreeMap::new(),
            all: bodies().count() as u64,
        }
    }

    /// Takes a body in, to be verified with others.
    pub(super) fn take(&mut self, (round, tag): (RoundId, Tag), body: BlobId, bytes: Arc<[u8]>) {
        self.pending_bytes += bytes.len();
        self.pending.push(Read { round, tag, body, bytes });
    }

    /// Whether so many are pending that it is time to verify them.
    pub(super) const fn is_full(&self) -> bool {
        self.pending.len() >= TOGETHER.0 || self.pending_bytes >= TOGETHER.1
    }

    /// Returns the bytes of commitments that are held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Returns the commitments of a round.
    pub(super) fn of(&self, round: &RoundId) -> Option<&BTreeMap<Tag, Commitments>> {
        self.commitments.get(round)
    }

    /// Forgets the commitments of a round that is settled.
    pub(super) fn forget(&mut self, round: &RoundId) {
        let gone = self.commitments.remove(round).unwrap_or_default();
        self.held -= gone.values().map(Commitments::bytes).sum::<usize>();
    }

    /// Verifies what is pending: form, header, and all equations together of those on whom the lot falls.
    pub(super) fn verify(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), VerifyError> {
        let pending = mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if pending.is_empty() {
            return Ok(());
        }
        let forms = pending.par_iter().map(|read| self.form(read)).collect::<Vec<_>>();
        let forms: Vec<CheckedForm> = forms.into_iter().collect::<Result<_, _>>()?;
        let (chosen, others): (Vec<_>, Vec<_>) =
            pending.iter().zip(&forms).partition(|(read, _)| self.lot.falls_on(&read.body));
        let seed = hash::digest(domain::BATCH, &(self.seed, self.read));
        let of_chosen: Vec<&CheckedForm> = chosen.iter().map(|(_, form)| *form).collect();
        for ((read, form), verdict) in chosen.iter().zip(verify_decoded(self.ledger, &of_chosen, &seed)) {
            let points = verdict.map_err(|fault| self.refused(read, form, fault))?;
            self.keep(read, form, points);
        }
        for (read, _) in &chosen {
            *self.proved.entry(read.round).or_default() += 1;
        }
        let decode = |(read, form): &(&Read, &CheckedForm)| form.decode().map_err(|fault| self.fault(read, fault));
        let decoded: Vec<_> = others.par_iter().map(decode).collect();
        for ((read, form), points) in others.iter().zip(decoded) {
            self.keep(read, form, points?);
        }
        self.read += forms.len() as u64;
        progress(Progress::Contributions { verified: self.read, of: self.all });
        Ok(())
    }

    fn keep(&mut self, read: &Read, form: &CheckedForm, points: Vec<RistrettoPoint>) {
        let mut commitments = Commitments::Decoded(points);
        if self.held + commitments.bytes() > DECODED {
            commitments = Commitments::Encoded(form.data_commitments().to_vec());
        }
        self.held += commitments.bytes();
        self.commitments.entry(read.round).or_default().insert(read.tag, commitments);
    }

    /// Decodes a body, checks its form, and that it is what the log says of it.
    fn form(&self, read: &Read) -> Result<CheckedForm, VerifyError> {
        let form = CheckedForm::new(self.ledger, &read.bytes).map_err(|fault| self.fault(read, fault))?;
        let attempts = self.ledger.rounds().get(&read.round).and_then(|round| round.contributions.get(&read.tag));
        let logged = attempts.and_then(|attempts| counting(attempts)).map(|counting| &counting.header);
        if logged == Some(&form.header) { Ok(form) } else { Err(VerifyError::Header(self.place(read))) }
    }

    fn place(&self, read: &Read) -> Box<Place> {
        let mut tags = self.ledger.rounds().get(&read.round).into_iter().flat_map(|round| round.contributions.keys());
        let index = tags.position(|tag| *tag == read.tag).expect("bodies that are read are those of tags on the log");
        Box::new(Place { round: read.round, index, tag: read.tag })
    }

    fn fault(&self, read: &Read, fault: Fault) -> VerifyError {
        VerifyError::of_contribution(self.place(read), fault, None)
    }

    /// Says which equation of a contribution it is that does not hold.
    fn refused(&self, read: &Read, form: &CheckedForm, fault: Fault) -> VerifyError {
        VerifyError::of_contribution(self.place(read), fault, form.false_equation(self.ledger))
    }
}
