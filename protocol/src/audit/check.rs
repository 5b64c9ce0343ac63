//! The verifier: reads a bundle once, and checks everything in it.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    sync::Arc,
};

use chorus_crypto::{credential::Tag, domain, group::Point, hash};
use rayon::prelude::*;

use super::{
    Progress, Report, RoundSummary, VerifyError,
    format::{Frame, FrameReader},
    replay::{Needed, Replay, Use, counting},
    round::{Evidence, summarise},
};
use crate::{
    charter::{NotCarried, check_vote},
    contribution::{CheckedForm, verify_all},
    id::{BlobId, RoundId},
    ledger::{Adopted, Ledger},
    round,
};

/// Bodies that are held and verified together: enough to keep all cores busy, few enough to hold.
const VERIFY_TOGETHER: usize = 256;

/// Verifies a bundle with nothing but its bytes.
///
/// Holds one blob at a time, besides the state that the log leads to, a few hundred bodies, and what later checks need: commitments, opened values, results. Contributions are verified on all cores.
///
/// # Errors
///
/// Returns the first thing that is wrong; nothing in the bundle is to be believed then.
pub fn verify(input: &mut impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    verify_from(None, input, progress).map(|(report, _)| report)
}

/// Verifies the bundle of a cohort: its log begins with the state `cohort`, which the parent's verified log leads to
/// ([`Ledger::cohort`]).
///
/// # Errors
///
/// As [`verify`]; [`VerifyError::OtherCommunity`] if the bundle begins with another founding document.
pub fn verify_cohort(
    cohort: Ledger,
    input: &mut impl Read,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    verify_from(Some(cohort), input, progress).map(|(report, _)| report)
}

/// Verifies a bundle; returns what it shows, and what its log leads to.
pub(super) fn verify_from(
    cohort: Option<Ledger>,
    input: &mut (impl Read + ?Sized),
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Ledger), VerifyError> {
    let (mut reader, genesis) = FrameReader::new(BufReader::new(input))?;
    let mut replay = match cohort {
        None => Replay::new(genesis)?,
        Some(cohort) if *cohort.genesis() == genesis => Replay::after(cohort),
        Some(_) => return Err(VerifyError::OtherCommunity),
    };
    let mut frame = reader.next()?;
    while let Frame::Decision(decision) = frame {
        replay.push(&decision)?;
        progress(Progress::Log(replay.height));
        frame = reader.next()?;
    }
    let needed = replay.needed()?;
    let mut bodies = Bodies::new(&replay, &needed);
    let mut kept = BTreeMap::new();
    let mut rest = needed.order.iter();
    for expected in rest.by_ref() {
        let bytes = match frame {
            Frame::Blob(id, bytes) if id == *expected => bytes,
            Frame::Blob(found, _) => return Err(misplaced(&mut reader, &needed, *expected, found)),
            Frame::Decision(_) | Frame::End => return Err(VerifyError::MissingBlob(*expected)),
        };
        for purpose in needed.uses.get(expected).into_iter().flatten() {
            match purpose {
                Use::Body(round, tag) => bodies.add(*round, *tag, &bytes, progress)?,
                Use::Kept => {
                    kept.insert(*expected, Arc::from(bytes.as_slice()));
                }
            }
        }
        frame = reader.next()?;
    }
    if let Frame::Blob(id, _) = frame {
        return Err(VerifyError::BlobSuperfluous(id));
    }
    bodies.verify(progress)?;
    let report = report(&replay, &bodies, &kept, reader.offset(), progress)?;
    Ok((report, replay.ledger))
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

fn report(
    replay: &Replay,
    bodies: &Bodies<'_>,
    kept: &BTreeMap<BlobId, Arc<[u8]>>,
    bytes: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let ledger = &replay.ledger;
    let nothing = BTreeMap::new();
    let mut rounds = Vec::new();
    for (id, round) in ledger.rounds() {
        let commitments = bodies.commitments.get(id).unwrap_or(&nothing);
        rounds.push((round.ordinal, summarise(ledger, round, &Evidence { kept, commitments })?));
        progress(Progress::Round(*id));
    }
    rounds.sort_by_key(|(ordinal, _)| *ordinal);
    let rounds: Vec<RoundSummary> = rounds.into_iter().map(|(_, summary)| summary).collect();
    check_amendments(ledger, &rounds)?;
    Ok(Report {
        community: ledger.community(),
        name: ledger.genesis().name.clone(),
        height: replay.height,
        tip: replay.tip,
        entries: replay.entries,
        members: ledger.count_members(),
        contributions: bodies.verified,
        convicted: replay.convicted.clone(),
        amendments: ledger.amendments().to_vec(),
        rounds,
        bytes,
    })
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

/// The bodies of contributions on their way through the checks.
struct Bodies<'a> {
    ledger: &'a Ledger,
    /// The seed of all batches. The log names every body by content, so its tip is a hash of all that is verified.
    seed: hash::Digest,
    pending: Vec<(RoundId, Tag, Vec<u8>)>,
    /// The commitments to the data rows of each verified ballot.
    commitments: BTreeMap<RoundId, BTreeMap<Tag, Vec<Point>>>,
    verified: u64,
    batches: u64,
    all: u64,
}

impl<'a> Bodies<'a> {
    fn new(replay: &'a Replay, needed: &Needed) -> Self {
        let bodies = needed.uses.values().flatten().filter(|purpose| matches!(purpose, Use::Body(..)));
        Self {
            ledger: &replay.ledger,
            seed: hash::digest(domain::BATCH, &replay.tip),
            pending: Vec::new(),
            commitments: BTreeMap::new(),
            verified: 0,
            batches: 0,
            all: bodies.count() as u64,
        }
    }

    fn add(
        &mut self,
        round: RoundId,
        tag: Tag,
        bytes: &[u8],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), VerifyError> {
        self.pending.push((round, tag, bytes.to_vec()));
        if self.pending.len() == VERIFY_TOGETHER { self.verify(progress) } else { Ok(()) }
    }

    /// Verifies what is pending: form, header, and all equations together.
    fn verify(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), VerifyError> {
        let pending = std::mem::take(&mut self.pending);
        let forms: Vec<_> =
            pending.par_iter().map(|(round, tag, bytes)| self.form(*round, *tag, bytes)).collect::<Vec<_>>();
        let forms: Vec<CheckedForm> = forms.into_iter().collect::<Result<_, _>>()?;
        let seed = hash::digest(domain::BATCH, &(self.seed, self.batches));
        let verdicts = verify_all(self.ledger, &forms.iter().collect::<Vec<_>>(), &seed);
        for ((round, tag, _), verdict) in pending.iter().zip(verdicts) {
            verdict.map_err(|fault| VerifyError::of_contribution(*round, *tag, fault))?;
        }
        for ((round, tag, _), form) in pending.iter().zip(&forms) {
            self.commitments.entry(*round).or_default().insert(*tag, form.data_commitments().to_vec());
        }
        self.batches += 1;
        self.verified += forms.len() as u64;
        progress(Progress::Contributions { verified: self.verified, of: self.all });
        Ok(())
    }

    /// Decodes a body, checks its form, and that it is what the log says of it.
    fn form(&self, round: RoundId, tag: Tag, bytes: &[u8]) -> Result<CheckedForm, VerifyError> {
        let form =
            CheckedForm::new(self.ledger, bytes).map_err(|fault| VerifyError::of_contribution(round, tag, fault))?;
        let attempts = self.ledger.rounds().get(&round).and_then(|round| round.contributions.get(&tag));
        let logged = attempts.and_then(counting).map(|counting| &counting.header);
        if logged == Some(&form.header) { Ok(form) } else { Err(VerifyError::Header { round, tag }) }
    }
}
