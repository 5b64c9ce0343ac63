//! Rounds that are too large for one set of operators: what is said about their division, and what adds up.
//!
//! The rules are the ledger's ([`Ledger::cohort`](crate::ledger::Ledger::cohort), [`ledger::Division`](crate::ledger::Division)); the
//! README tells the whole. Here are the objects: who is to run the cohorts, the lots that deal members to them, a cohort's
//! certified result.
//!
//! # Why so
//!
//! *Sums, never means.* What a cohort certifies are counts, so that the tree's result is that of one round with the same
//! votes, to the bit, in whichever order cohorts come in.
//!
//! *The certificate is made of ordinary statements.* In a cohort, what follows from the round's report are its [`Sums`], and
//! [`Entry::Result`] names what follows by content. So the cohort's operators sign nothing that they do not sign anyhow, and
//! whoever audits the cohort has recomputed the sums.
//!
//! *Lots follow from keys.* An operator's lot is a digest of a deterministic signature that nobody else can make. Drawn at random,
//! it would have to be kept in the journal between commitment and lot.

use chorus_crypto::{
    codec::Encode as _,
    credential::Leaf,
    domain,
    hash::{self, Digest},
    sign::{PublicKey, SecretKey, Signature},
    wire_enum, wire_struct,
};

use crate::{
    charter::Charter,
    deliberation::tally::{Tally, Totals},
    fault::{Fault, bound},
    id::{BlobId, CommunityId, RoundId},
    ledger::Ledger,
    limits,
    log::entry::{Entry, RoundPlan, RoundResult, SignedEntry},
    registry::snapshot::deal_out,
};

/// Who runs one cohort.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CohortPlan {
    /// The operators' keys, ascending.
    pub operators: Vec<PublicKey>,
    /// Whether they divide the round again instead of running it.
    pub divides: bool,
}
wire_struct!(CohortPlan { operators[limits::MAX_OPERATORS], divides });

impl CohortPlan {
    /// Returns the rules of the cohort: those of its parent, with its own operators.
    pub fn charter(&self, parent: &Charter) -> Charter {
        Charter { operators: self.operators.clone(), ..parent.clone() }
    }
}

/// How a round is divided. n − f equal ones, of operators of the round, divide it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Convening {
    /// The plan of the round.
    pub plan: RoundPlan,
    /// The cohorts, numbered from 0.
    pub cohorts: Vec<CohortPlan>,
    /// How long results of cohorts are awaited, in milliseconds of log time after members were dealt out.
    pub wait_millis: u64,
    /// How many members' cohorts may have no result, on all levels below: with more, nothing follows.
    pub most_missing: u64,
}
wire_struct!(Convening { plan, cohorts[limits::MAX_COHORTS], wait_millis, most_missing });

/// An operator's word on how a round is to be divided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Convocation {
    /// Which of the operator's words on this round it is, from 1: nobody can say an older one again in its name.
    pub number: u8,
    /// What it says.
    pub convening: Convening,
}
wire_struct!(Convocation { number, convening });

impl Convening {
    /// Returns the digest that stands for it in ids and lots.
    pub fn digest(&self, community: CommunityId) -> Digest {
        hash::digest(domain::CONVENING, &(community, hash::content(&self.to_bytes())))
    }

    /// Checks what can be checked without the members, by the rules of the round that is divided.
    ///
    /// # Errors
    ///
    /// Returns the first [`Fault`] found.
    pub fn validate(&self, charter: &Charter) -> Result<(), Fault> {
        if self.plan.ballots().is_none() || self.plan.classes.is_some() {
            return Err(Fault::NotAllowed("cohorts of an adapter round, or of one with classes"));
        }
        bound("cohorts", limits::MAX_COHORTS, self.cohorts.len())?;
        if self.cohorts.len() < 2 {
            return Err(Fault::Mismatch("the number of cohorts"));
        }
        for cohort in &self.cohorts {
            let own = cohort.charter(charter);
            own.validate()?;
            if own.faulty() < charter.faulty() {
                return Err(Fault::NotAllowed("a cohort that tolerates fewer faulty operators than its parent"));
            }
        }
        Ok(())
    }
}

/// Where a cohort comes from: its id is a digest of this.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Origin {
    /// The community whose round is divided.
    pub parent: CommunityId,
    /// That round.
    pub round: RoundId,
    /// The digest of the convening.
    pub convening: Digest,
    /// The cohort's number.
    pub number: u16,
}
wire_struct!(Origin { parent, round, convening, number });

impl Origin {
    /// Returns the cohort's id as a community.
    pub fn community(&self) -> CommunityId {
        hash::digest(domain::COHORT_COMMUNITY, self).into()
    }
}

/// An operator's part in dealing members to cohorts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Draw {
    /// The round that is divided.
    pub round: RoundId,
    /// What is said.
    pub word: DrawWord,
}
wire_struct!(Draw { round, word });

/// First the commitment, then the lot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrawWord {
    /// A commitment to a lot.
    Committed(Digest),
    /// The lot.
    Lot(Digest),
}
wire_enum!(DrawWord { 1 => Committed(digest), 2 => Lot(lot) });

/// Members are dealt to cohorts, by the lots on the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dealing {
    /// The round that is divided.
    pub round: RoundId,
}
wire_struct!(Dealing { round });

/// Returns the lot of the operator with this key.
pub fn lot(key: &SecretKey, convening: &Digest) -> Digest {
    let signature = key.sign(domain::LOT_KEY, convening);
    hash::digest(domain::LOT, &signature)
}

/// Returns what an operator commits to its lot with. The operator is part of it: nobody can repeat another's.
pub fn commitment(convening: &Digest, operator: PublicKey, lot: &Digest) -> Digest {
    hash::digest(domain::LOT_COMMITMENT, &((*convening, operator), *lot))
}

/// Returns what deals members out: a digest of the lots, in the order of the operators' numbers.
pub fn beacon<'a>(convening: &Digest, lots: impl IntoIterator<Item = (&'a u8, &'a Digest)>) -> Digest {
    let mut bytes = convening.to_vec();
    for (operator, lot) in lots {
        operator.encode(&mut bytes);
        lot.encode(&mut bytes);
    }
    hash::digest_bytes(domain::COHORT_BEACON, &bytes)
}

/// Deals leaves to cohorts whose sizes differ by one at most; the leaves of each are in ascending order.
pub fn deal(leaves: &[Leaf], beacon: Digest, cohorts: usize) -> Vec<Vec<Leaf>> {
    deal_out(leaves, (domain::COHORT_ORDER, beacon), cohorts)
}

/// What cohorts certify and what adds up: exact counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sums {
    /// Contributions in the totals.
    pub contributions: u64,
    /// Contributions to cohorts in which too few took part for anything to be opened.
    pub unopened: u64,
    /// Members of cohorts that have no result.
    pub missing: u64,
    /// The totals of each item, in the order of the plan.
    pub totals: Totals,
}
wire_struct!(Sums { contributions, unopened, missing, totals });

impl Sums {
    /// Returns no votes on so many items.
    pub fn none(items: usize) -> Self {
        Self { totals: Totals { items: vec![Tally::default(); items] }, ..Self::default() }
    }

    /// Returns the id of the sums as the statement of a result names them.
    pub fn id(&self) -> BlobId {
        BlobId::of(&self.to_bytes())
    }

    /// Adds the sums of another cohort, over the same items.
    pub fn add(&mut self, other: &Self) {
        self.contributions = self.contributions.saturating_add(other.contributions);
        self.unopened = self.unopened.saturating_add(other.unopened);
        self.missing = self.missing.saturating_add(other.missing);
        for (tally, more) in self.totals.items.iter_mut().zip(&other.totals.items) {
            *tally = tally.plus(*more);
        }
    }

    /// Checks that a cohort of so many members can have these sums over so many items.
    ///
    /// # Errors
    ///
    /// Returns the [`Fault`] if it cannot.
    pub fn check(&self, members: usize, items: usize) -> Result<(), Fault> {
        if self.totals.items.len() != items {
            return Err(Fault::Mismatch("the items of a cohort's sums"));
        }
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let people = self.contributions.saturating_add(self.unopened).saturating_add(self.missing);
        bound("people in a cohort's sums", members, count(people))?;
        let most = self.totals.items.iter().map(|tally| tally.seen()).max().unwrap_or_default();
        bound("votes on one item in a cohort's sums", count(self.contributions), count(most))
    }
}

/// A cohort's result, as it is shown to its parent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CohortResult {
    /// The parent's round.
    pub round: RoundId,
    /// The cohort's number.
    pub number: u16,
    /// What the cohort's operators state of its own round.
    pub result: RoundResult,
    /// The numbers of those who do, ascending, and the signatures of their entries on the cohort's log.
    pub signatures: Vec<(u8, Signature)>,
    /// What follows from the result.
    pub sums: Sums,
}
wire_struct!(CohortResult { round, number, result, signatures[limits::MAX_OPERATORS], sums });

impl CohortResult {
    /// Puts the certificate of a cohort's result together from the log that led to `cohort`.
    ///
    /// `sums` are those that follow from the result. Returns `None` as long as too few operators have stated it, if these
    /// are not its sums, and if `cohort` is none.
    pub fn gather<'a>(cohort: &Ledger, sums: Sums, log: impl IntoIterator<Item = &'a SignedEntry>) -> Option<Self> {
        let origin = cohort.origin()?;
        let round = cohort.rounds().values().next()?;
        let result = round.agreed_result().filter(|result| result.follows == Some(sums.id()))?;
        let mut signatures: Vec<(u8, Signature)> = log
            .into_iter()
            .filter(|signed| matches!(&signed.entry, Entry::Result(stated) if stated == result))
            .filter_map(|signed| Some((round.charter.operator(&signed.author)?, signed.signature)))
            .collect();
        signatures.sort_unstable_by_key(|(operator, _)| *operator);
        signatures.dedup_by_key(|(operator, _)| *operator);
        signatures.truncate(round.charter.quorum());
        let is_enough = signatures.len() == round.charter.quorum();
        let certificate = Self { round: origin.round, number: origin.number, result: result.clone(), signatures, sums };
        is_enough.then_some(certificate)
    }

    /// Checks that n − f operators of the cohort's charter signed the statement, and that it names these sums.
    ///
    /// # Errors
    ///
    /// Returns the first [`Fault`] found.
    pub fn verify(&self, cohort: CommunityId, charter: &Charter) -> Result<(), Fault> {
        if self.result.follows != Some(self.sums.id()) {
            return Err(Fault::Mismatch("the sums that follow from a cohort's result"));
        }
        let (needed, found) = (charter.quorum(), self.signatures.len());
        if !self.signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Fault::Mismatch("the order of a cohort's signatures"));
        }
        if found < needed {
            return Err(Fault::NotAllowed("a cohort's result that too few of its operators signed"));
        }
        for (operator, signature) in &self.signatures {
            let author = *charter.operator_key(*operator).ok_or(Fault::NotAllowed("a signature of no operator"))?;
            let entry = Entry::Result(self.result.clone());
            SignedEntry { author, entry, signature: *signature }.verify(cohort)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
