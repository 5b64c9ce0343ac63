//! The verifier: reads a bundle once, and checks everything in it.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    mem,
    sync::Arc,
};

use rayon::prelude::*;

use super::{
    Level, Progress, Receipt, Report, RoundSummary, VerifyError,
    bodies::Bodies,
    format::{Frame, FrameReader},
    replay::{Needed, Replay, Use},
    round::{Evidence, summarise},
};
use crate::{
    charter::{NotCarried, check_vote},
    id::{BlobId, RoundId},
    ledger::{Adopted, Ledger},
    log::consensus::Decision,
    round,
};

/// Decisions whose signatures are verified together on all cores, and their bytes. No verdict depends on how many they are:
/// each is prepared alone and applied in its turn.
const DECISIONS: (usize, usize) = (64, 8 << 20);

/// Bytes that rounds may hold of which everything was read, before they are settled: small rounds wait for one
/// another, so that their proofs are verified together. No verdict depends on when.
const WAITING: usize = 32 << 20;

/// What a verifier is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// How much is checked.
    pub level: Level,
    /// A contribution that is looked up.
    pub receipt: Option<Receipt>,
}

/// Verifies a bundle with nothing but its bytes: as [`verify_with`], everything.
///
/// # Errors
///
/// Returns the first thing that is wrong; nothing in the bundle is to be believed then.
pub fn verify(input: &mut impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    verify_with(input, &Options::default(), progress)
}

/// Verifies a bundle with nothing but its bytes, as far as it is asked to.
///
/// What is held is the state that the log leads to, some hundred bodies, and of the rounds of which not everything was
/// read yet the commitments, opened values and results. So a bundle may be larger than memory, as long as the
/// commitments of one round are not. Signatures, contributions and openings are verified on all cores.
///
/// # Errors
///
/// Returns the first thing that is wrong; nothing in the bundle is to be believed then.
pub fn verify_with(
    input: &mut impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    verify_from(None, input, options, progress).map(|(report, _)| report)
}

/// Verifies a bundle; returns what it shows, and what its log leads to. That of a cohort begins with the state `cohort`, which
/// the parent's verified log leads to ([`Ledger::cohort`]).
///
/// # Errors
///
/// As [`verify`]; [`VerifyError::OtherCommunity`] if the bundle of a cohort begins with another founding document.
pub(super) fn verify_from(
    cohort: Option<Ledger>,
    input: &mut (impl Read + ?Sized),
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Ledger), VerifyError> {
    let (mut reader, genesis) = FrameReader::new(BufReader::with_capacity(1 << 16, input))?;
    let mut replay = match cohort {
        None => Replay::new(genesis)?,
        Some(cohort) if *cohort.genesis() == genesis => Replay::after(cohort),
        Some(_) => return Err(VerifyError::OtherCommunity),
    };
    let mut frame = read_log(&mut reader, &mut replay, progress)?;
    let needed = replay.needed()?;
    let mut check = Check::new(&replay, &needed, options.level);
    for expected in &needed.order {
        let bytes = match frame {
            Frame::Blob(id, bytes) if id == *expected => bytes,
            Frame::Blob(found, _) => return Err(misplaced(&mut reader, &needed, *expected, found)),
            Frame::Decision(_) | Frame::End => return Err(VerifyError::MissingBlob(*expected)),
        };
        check.take(*expected, &bytes, progress)?;
        frame = reader.next()?;
    }
    if let Frame::Blob(id, _) = frame {
        return Err(VerifyError::BlobSuperfluous(id));
    }
    check.settle(progress)?;
    let report = check.report(options, reader.offset())?;
    Ok((report, replay.ledger))
}

/// Reads and checks the log; returns the frame that follows it.
fn read_log<R: Read>(
    reader: &mut FrameReader<R>,
    replay: &mut Replay,
    progress: &mut dyn FnMut(Progress),
) -> Result<Frame, VerifyError> {
    loop {
        let (mut decisions, mut bytes) = (Vec::<Box<Decision>>::new(), 0);
        let mut after = Ok(None);
        while decisions.len() < DECISIONS.0 && bytes < DECISIONS.1 {
            match reader.next() {
                Ok(Frame::Decision(decision)) => {
                    bytes += decision.size();
                    decisions.push(decision);
                }
                // What is wrong with what was read before is said first.
                other => {
                    after = other.map(Some);
                    break;
                }
            }
        }
        let prepared: Vec<_> = decisions.par_iter().map(|decision| replay.prepare(decision)).collect();
        prepared.into_iter().try_for_each(|prepared| replay.apply(prepared))?;
        progress(Progress::Log(replay.height));
        if let Some(frame) = after? {
            return Ok(frame);
        }
    }
}

/// Says what is wrong when `found` stands where `expected` should: reads on to see whether that one comes later.
fn misplaced<R: Read>(reader: &mut FrameReader<R>, needed: &Needed, expected: BlobId, found: BlobId) -> VerifyError {
    let later = |id: &BlobId| needed.order.iter().skip_while(|known| **known != expected).any(|known| known == id);
    if !later(&found) {
        return VerifyError::BlobSuperfluous(found);
    }
    loop {
        match reader.next() {
            Ok(Frame::Blob(id, _)) if id == expected => return VerifyError::BlobOrder { expected, found },
            Ok(Frame::Blob(..) | Frame::Decision(_)) => {}
            Ok(Frame::End) => return VerifyError::MissingBlob(expected),
            Err(error) => return error,
        }
    }
}

type Kept = BTreeMap<BlobId, Arc<[u8]>>;

/// The rounds on their way through the checks.
struct Check<'a> {
    replay: &'a Replay,
    needed: &'a Needed,
    level: Level,
    bodies: Bodies<'a>,
    /// Opened values, results, and what follows from them, of the rounds that are not settled.
    kept: BTreeMap<RoundId, Kept>,
    kept_bytes: usize,
    /// How many blobs of each round have not been read.
    left: BTreeMap<RoundId, usize>,
    /// Rounds of which everything was read.
    whole: Vec<RoundId>,
    settled: BTreeMap<RoundId, RoundSummary>,
}

impl<'a> Check<'a> {
    fn new(replay: &'a Replay, needed: &'a Needed, level: Level) -> Self {
        let mut left = BTreeMap::new();
        needed.uses.values().flatten().for_each(|purpose| *left.entry(*purpose.round()).or_default() += 1);
        Self {
            replay,
            needed,
            level,
            bodies: Bodies::new(replay, needed, level),
            kept: BTreeMap::new(),
            kept_bytes: 0,
            left,
            whole: Vec::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Takes in the next blob.
    fn take(&mut self, id: BlobId, bytes: &[u8], progress: &mut dyn FnMut(Progress)) -> Result<(), VerifyError> {
        // Once for all who use it: what a log names is up to whoever wrote it.
        let bytes: Arc<[u8]> = Arc::from(bytes);
        for purpose in self.needed.uses.get(&id).into_iter().flatten() {
            match purpose {
                Use::Body(round, tag) => self.bodies.take((*round, *tag), id, Arc::clone(&bytes)),
                Use::Kept(round) => {
                    self.kept_bytes += bytes.len();
                    self.kept.entry(*round).or_default().insert(id, Arc::clone(&bytes));
                }
            }
            let round = purpose.round();
            if let Some(left) = self.left.get_mut(round) {
                *left -= 1;
                if *left == 0 {
                    self.whole.push(*round);
                }
            }
        }
        let is_heavy = !self.whole.is_empty() && self.kept_bytes + self.bodies.held() > WAITING;
        if self.bodies.is_full() || is_heavy { self.settle(progress) } else { Ok(()) }
    }

    /// Verifies the bodies that are pending, and settles the rounds of which everything was read.
    fn settle(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), VerifyError> {
        self.bodies.verify(progress)?;
        let whole = mem::take(&mut self.whole);
        let (nothing_kept, nothing_committed) = (Kept::new(), BTreeMap::new());
        let settle = |id: &RoundId| {
            let kept = self.kept.get(id).unwrap_or(&nothing_kept);
            let commitments = self.bodies.of(id).unwrap_or(&nothing_committed);
            let round = self.replay.ledger.rounds().get(id)?;
            Some(summarise(&self.replay.ledger, round, &Evidence { kept, commitments }))
        };
        let summaries: Vec<_> = whole.par_iter().map(settle).collect();
        for (id, summary) in whole.into_iter().zip(summaries) {
            self.bodies.forget(&id);
            let gone = self.kept.remove(&id).unwrap_or_default();
            self.kept_bytes -= gone.values().map(|bytes| bytes.len()).sum::<usize>();
            if let Some(summary) = summary.transpose()? {
                self.settled.insert(id, summary);
                progress(Progress::Round(id));
            }
        }
        Ok(())
    }

    /// Says what the bundle shows, with `bytes` bytes, after all rounds were settled.
    fn report(mut self, options: &Options, bytes: u64) -> Result<Report, VerifyError> {
        let ledger = &self.replay.ledger;
        let mut rounds = Vec::new();
        for (id, round) in ledger.rounds() {
            let mut summary = match self.settled.remove(id) {
                Some(summary) => summary,
                None => summarise(ledger, round, &Evidence { kept: &Kept::new(), commitments: &BTreeMap::new() })?,
            };
            summary.proved = self.bodies.proved.get(id).copied().unwrap_or(0);
            rounds.push((round.ordinal, summary));
        }
        rounds.sort_by_key(|(ordinal, _)| *ordinal);
        let rounds: Vec<RoundSummary> = rounds.into_iter().map(|(_, summary)| summary).collect();
        check_amendments(ledger, &rounds)?;
        Ok(Report {
            community: ledger.community(),
            name: ledger.genesis().name.clone(),
            height: self.replay.height,
            tip: self.replay.tip,
            entries: self.replay.entries,
            members: ledger.count_members(),
            level: self.level,
            contributions: self.bodies.read,
            proved: self.bodies.proved.values().sum(),
            standing: options.receipt.as_ref().map(|receipt| receipt.standing(ledger)),
            convicted: self.replay.convicted.clone(),
            amendments: ledger.amendments().to_vec(),
            rounds,
            bytes,
        })
    }
}

/// Checks that the members' votes carry every amendment that the operators adopted.
fn check_amendments(ledger: &Ledger, rounds: &[RoundSummary]) -> Result<(), VerifyError> {
    for Adopted { number, round, item, .. } in ledger.amendments().iter().copied() {
        let report = rounds.iter().find(|summary| summary.round == round).and_then(|summary| summary.report.as_deref());
        let charter = ledger.rounds().get(&round).map(|round| &round.charter);
        let verdict = match (report, charter) {
            (Some(round::Report::Ballots(report)), Some(charter)) => {
                check_vote(report, item, &charter.policy).map(|_| ())
            }
            (Some(round::Report::Ballots(_) | round::Report::Deltas(..)) | None, _) => Err(NotCarried::NotAsked),
        };
        verdict.map_err(|why| VerifyError::Amendment { number, round, why })?;
    }
    Ok(())
}
