//! The charter in force, and the amendment of it, as the log tells them: see [`charter`](crate::charter).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{codec::Encode as _, hash, hash::Digest, sign::PublicKey, wire_struct};

use super::Ledger;
use crate::{
    charter::{Amendment, Charter, Consent},
    fault::{Fault, bound, in_turn},
    id::{BlobId, RoundId},
    ledger::Collects,
    log::{batch::Height, entry::PollKind},
    time::Timestamp,
};

/// How far ahead the height may be from which an amendment is to hold: while it waits, there can be no other.
pub const MAX_HEIGHTS_AHEAD: u64 = 4_096;

/// How often an operator may say another charter or another height for one vote: heights pass while operators wait for one
/// another, and each of their words stands on the log for ever.
pub const MAX_STATEMENTS: usize = 16;

/// Bytes of a charter: its amendment fits an entry.
pub const MAX_AMENDMENT_BYTES: usize = 64 * 1024;

/// An amendment that n − f operators stated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Adopted {
    /// 1 for the first.
    pub number: u32,
    /// The draft.
    pub draft: BlobId,
    /// The item that members voted on.
    pub item: BlobId,
    /// The round in which they did.
    pub round: RoundId,
    /// The height at which the last statement that was needed stands.
    pub adopted: Height,
    /// The first height that is decided under the new charter.
    pub effective: Height,
}
wire_struct!(Adopted { number, draft, item, round, adopted, effective });

/// The charter in force and what may become of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Governance {
    pub(super) charter: Arc<Charter>,
    pub(super) policy: Digest,
    /// The height of the last batch that was applied.
    pub(super) height: Height,
    /// The log's time when the charter came into force: it never runs backwards.
    pub(super) since: Timestamp,
    /// What has been adopted, in order.
    pub(super) adopted: Vec<Adopted>,
    /// The amendment that waits for its height.
    pub(super) pending: Option<Arc<Amendment>>,
    /// What each operator would have.
    pub(super) stated: BTreeMap<PublicKey, Arc<Amendment>>,
    /// How often each operator has stated something on the strength of a vote since the last amendment was adopted.
    pub(super) times: BTreeMap<PublicKey, BTreeMap<RoundId, u8>>,
    /// Everybody who ever was an operator.
    pub(super) served: BTreeSet<PublicKey>,
}

impl Governance {
    pub(super) fn new(charter: Charter) -> Self {
        Self {
            policy: charter.policy_digest(),
            height: Height::GENESIS,
            since: Timestamp::default(),
            adopted: Vec::new(),
            pending: None,
            stated: BTreeMap::new(),
            times: BTreeMap::new(),
            served: charter.operators.iter().copied().collect(),
            charter: Arc::new(charter),
        }
    }

    pub(super) const fn charter(&self) -> &Arc<Charter> {
        &self.charter
    }

    pub(super) const fn policy_digest(&self) -> Digest {
        self.policy
    }

    pub(super) const fn height(&self) -> Height {
        self.height
    }

    pub(super) const fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn has_served(&self, key: &PublicKey) -> bool {
        self.served.contains(key)
    }

    /// Returns the amendment that n − f operators in office state, if it is one with this operator's word.
    fn agreed(&self, said: &Arc<Amendment>) -> bool {
        let alike = |key: &&PublicKey| self.stated.get(*key).is_some_and(|stated| stated == said);
        self.charter.operators.iter().filter(alike).count() >= self.charter.quorum()
    }
}

impl Ledger {
    /// Returns the amendments that were adopted, in order; the last one may still wait for its height.
    pub fn amendments(&self) -> &[Adopted] {
        &self.governance.adopted
    }

    /// Returns the amendment that waits for its height.
    pub const fn pending_amendment(&self) -> Option<&Arc<Amendment>> {
        self.governance.pending.as_ref()
    }

    /// Returns what operators would have the charter be.
    pub const fn stated_amendments(&self) -> &BTreeMap<PublicKey, Arc<Amendment>> {
        &self.governance.stated
    }

    /// Returns how often an operator has stated something on the strength of a vote since the last amendment was adopted.
    pub fn consents_of(&self, operator: &PublicKey, vote: RoundId) -> u8 {
        self.governance.times.get(operator).and_then(|of_votes| of_votes.get(&vote)).copied().unwrap_or_default()
    }

    /// Returns whether somebody has duties: an operator in office, one that will be, or one of a round that is not at its
    /// end.
    pub fn serves(&self, key: &PublicKey) -> bool {
        self.charter().operator(key).is_some()
            || self.pending_amendment().is_some_and(|waits| waits.draft.charter.operator(key).is_some())
            || (self.governance.served.contains(key)
                && self.rounds.values().any(|round| !round.is_finished() && round.charter.operator(key).is_some()))
    }

    /// Ends a batch: the height is decided, and a charter that was to hold from the next one on comes into force.
    pub fn complete(&mut self, height: Height) {
        self.governance.height = height;
        self.at_end = true;
        let next = height.next();
        let Some(pending) = self.governance.pending.take_if(|pending| pending.effective <= next) else { return };
        self.governance.since = self.time();
        let charter = pending.draft.charter.clone();
        self.governance.policy = hash::content(&charter.policy.to_bytes());
        self.governance.served.extend(charter.operators.iter().copied());
        self.governance.charter = Arc::new(charter);
    }

    /// Takes an operator's consent to an amendment.
    pub(super) fn amend(&mut self, author: PublicKey, consent: &Consent) -> Result<(), Fault> {
        self.operator(author, "an amendment")?;
        let Consent { amendment, number } = consent;
        self.check_amendment(amendment)?;
        in_turn(self.consents_of(&author, amendment.round), *number, "word on an amendment")?;
        if self.governance.stated.get(&author).is_some_and(|stated| stated.as_ref() == amendment) {
            return Err(Fault::Duplicate("this amendment"));
        }
        bound("statements of one operator on one vote", MAX_STATEMENTS, usize::from(*number))?;
        self.governance.times.entry(author).or_default().insert(amendment.round, *number);
        let said = Arc::new(amendment.clone());
        self.governance.stated.insert(author, Arc::clone(&said));
        if self.governance.agreed(&said) {
            let draft = &said.draft;
            self.governance.adopted.push(Adopted {
                number: draft.number,
                draft: draft.id(),
                item: draft.item(self.charter()),
                round: said.round,
                adopted: self.height().next(),
                effective: said.effective,
            });
            self.governance.stated.clear();
            self.governance.times.clear();
            self.governance.pending = Some(said);
        }
        Ok(())
    }

    /// Checks what can be checked of an amendment by the log alone: whether the vote carries it, only the result tells.
    ///
    /// # Errors
    ///
    /// Returns the first [`Fault`] found; [`Fault::Stale`] if the height that it states is too near.
    pub fn check_amendment(&self, amendment: &Amendment) -> Result<(), Fault> {
        let Amendment { draft, round, effective } = amendment;
        let due = self.governance.adopted.len() + 1;
        match usize::try_from(draft.number) {
            Ok(number) if number == due => {}
            Ok(number) if (1..due).contains(&number) => return Err(Fault::Duplicate("an amendment of this number")),
            Ok(_) | Err(_) => return Err(Fault::Mismatch("the number of an amendment")),
        }
        if self.governance.pending.is_some() {
            return Err(Fault::Phase("an amendment while another waits for its height"));
        }
        let now = self.height().next();
        if *effective <= now {
            return Err(Fault::Stale { what: "an amendment", from: *effective, now });
        }
        let ahead = usize::try_from(effective.0 - now.0).unwrap_or(usize::MAX);
        bound("heights that an amendment waits", usize::try_from(MAX_HEIGHTS_AHEAD).unwrap_or(usize::MAX), ahead)?;
        bound("bytes of a charter", MAX_AMENDMENT_BYTES, draft.charter.to_bytes().len())?;
        draft.charter.validate()?;
        if draft.charter == *self.charter().as_ref() {
            return Err(Fault::Mismatch("an amendment that changes nothing"));
        }
        if !self.charter().keeps_attributes_of(&draft.charter) {
            return Err(Fault::Mismatch("an amendment that gives slots another meaning"));
        }
        self.check_asked(*round, draft.item(self.charter()))
    }

    /// Checks that a round asked members for the draft that `item` names, and came to a result.
    fn check_asked(&self, round: RoundId, item: BlobId) -> Result<(), Fault> {
        let round = self.rounds.get(&round).ok_or(Fault::Unknown("round"))?;
        if round.collects != Collects::Ballots(PollKind::Amendment) || !round.plan.items().contains(&item) {
            return Err(Fault::Mismatch("the vote on an amendment"));
        }
        if !round.is_finished() {
            return Err(Fault::Phase("an amendment before the vote has a result"));
        }
        let (needed, found) = (round.least(), round.sealed.as_ref().map_or(0, |sealed| sealed.contributions.len()));
        if found < needed { Err(Fault::NotAllowed("an amendment that too few voted on")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use chorus_crypto::sign::Signature;

    use super::*;
    use crate::{
        charter::Draft,
        config::{Genesis, Policy},
        log::entry::{ClockReading, Entry, SignedEntry},
    };

    fn operators(of: core::ops::RangeInclusive<u8>) -> Vec<PublicKey> {
        of.map(|byte| [byte; 32].into()).collect()
    }

    fn read(ledger: &mut Ledger, operator: u8, millis: u64) -> Result<(), Fault> {
        let entry = Entry::Clock(ClockReading { time: Timestamp::from_millis(millis) });
        ledger.apply_verified(&SignedEntry {
            author: [operator; 32].into(),
            entry,
            signature: Signature::from([0; 64]),
        })
    }

    /// Lets another committee come into force.
    fn replace(ledger: &mut Ledger, operators: Vec<PublicKey>) {
        let charter = Charter { operators, ..ledger.charter().as_ref().clone() };
        let effective = ledger.height().next();
        let draft = Draft { number: 1, charter };
        ledger.governance.pending = Some(Arc::new(Amendment { draft, round: RoundId::ZERO, effective }));
        ledger.complete(effective);
    }

    #[test]
    fn an_operator_that_left_and_came_back_has_not_read_its_clock_anew() {
        let (name, purpose) = ("Harbour".into(), "To sail".into());
        let (attesters, policy) = (Vec::new(), Policy::default());
        let mut ledger = Ledger::new(Genesis { name, purpose, operators: operators(1..=4), attesters, policy });
        (1..=4).for_each(|operator| assert_eq!(read(&mut ledger, operator, 5), Ok(())));
        replace(&mut ledger, operators(2..=5));
        assert_eq!(read(&mut ledger, 1, 6), Err(Fault::NotAllowed("a clock reading")));
        replace(&mut ledger, operators(1..=4));

        let old = read(&mut ledger, 1, 5);

        assert_eq!(old, Err(Fault::Duplicate("a later clock reading")));
        assert_eq!(read(&mut ledger, 1, 6), Ok(()));
    }
}
