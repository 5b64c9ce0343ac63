//! Amendments: this operator's consent, stated once the result of the vote is at hand and carries it; and what every node
//! checks of what others adopted.
//!
//! Consent is a person's and is not remembered over a restart: an operator whose node stops before its word is on the log
//! gives it again.

use std::sync::Arc;

use chorus_crypto::{codec::Decode as _, sign::PublicKey};

use super::{Effect, Entry, Notice, Peer};
use crate::{
    charter::{Amendment, Consent, NotCarried, check_vote},
    fault::Fault,
    id::{BlobId, RoundId},
    ledger::Adopted,
    log::entry::{ClockReading, SignedEntry},
    round::report::RoundReport,
};

/// Heights that the operators go on towards an amendment by themselves: one that is far off comes by what else is said.
const NEAR_HEIGHTS: u64 = 256;

/// Consents that wait for the result of their vote: a person gives few.
const MAX_CONSENTS: usize = 4;

/// What a node has to do with amendments.
#[derive(Debug, Default)]
pub(super) struct Amending {
    /// What the person at this node consents to.
    consents: Vec<Arc<Amendment>>,
    /// How many of the adopted amendments were looked at.
    checked: usize,
}

impl super::Duties {
    /// Takes a person's consent: the latest for each number stands.
    pub(super) fn consent(&mut self, amendment: Amendment) {
        let consents = &mut self.amending.consents;
        consents.retain(|known| known.draft.number != amendment.draft.number);
        if consents.len() < MAX_CONSENTS {
            consents.push(Arc::new(amendment));
        }
        self.mark_changed();
    }
}

impl Peer {
    /// States what the person here consents to, goes on to the height of what was adopted, and checks that. Returns whether
    /// there is more to do soon.
    pub(super) fn attend_amendments(&mut self, in_office: Option<PublicKey>) -> bool {
        let waiting = self.state_consents(in_office);
        self.check_adopted();
        let near = self
            .ledger
            .pending_amendment()
            .is_some_and(|pending| pending.effective.0.saturating_sub(self.ledger.height().0) <= NEAR_HEIGHTS);
        if near && in_office.is_some() {
            // An idle log would never come to the height.
            self.say(RoundId::default(), "clock", 1, Entry::Clock(ClockReading { time: self.now }));
        }
        waiting || near
    }

    fn state_consents(&mut self, in_office: Option<PublicKey>) -> bool {
        for consent in std::mem::take(&mut self.duties.amending.consents) {
            match self.state_consent(in_office, &consent) {
                Ok(true) => self.duties.amending.consents.push(consent),
                Ok(false) => {}
                Err(why) => {
                    let number = consent.draft.number;
                    self.effects.push_back(Effect::Notice(Notice::NotStated { number, why }));
                }
            }
        }
        !self.duties.amending.consents.is_empty()
    }

    /// Returns whether the consent waits on; an error says why it never will be stated.
    fn state_consent(&mut self, in_office: Option<PublicKey>, consent: &Arc<Amendment>) -> Result<bool, String> {
        let Some(own) = in_office else {
            let listens = self.operator().is_some() && !self.is_recovering();
            return if listens {
                Ok(true)
            } else {
                Err("this node is no operator in office, or its key is silent".into())
            };
        };
        if self.ledger.stated_amendments().get(&own) == Some(consent) {
            return Ok(false);
        }
        match self.ledger.check_amendment(consent) {
            Ok(()) => {}
            // Adopted without this operator, or already stated.
            Err(Fault::Duplicate(_)) => return Ok(false),
            Err(Fault::Phase(_) | Fault::Unknown(_)) => return Ok(true),
            Err(fault) => return Err(fault.to_string()),
        }
        let item = consent.draft.item(self.ledger.charter());
        let Some(verdict) = self.verdict_of(consent.round, item) else { return Ok(true) };
        verdict.map_err(|why| why.to_string())?;
        let about = consent.draft.id();
        if let Some(key) = self.config.operator.as_ref().filter(|_| self.may_say(&about, "amend", 0)) {
            let number = self.ledger.consents_of(&own, consent.round).saturating_add(1);
            let entry = Entry::Amend(Box::new(Consent { amendment: consent.as_ref().clone(), number }));
            let signed = SignedEntry::sign(key, self.community, entry);
            self.said(&about, "amend", 0);
            self.post(signed);
        }
        Ok(true)
    }

    /// Returns what a vote says of an item, once its result is at hand; asks for that if it is not.
    fn verdict_of(&mut self, round: RoundId, item: BlobId) -> Option<Result<(), NotCarried>> {
        let round = Arc::clone(self.ledger.rounds().get(&round)?);
        let result = round.agreed_result()?.result;
        let Some(bytes) = self.blobs.get(&result) else {
            self.want(result);
            return None;
        };
        let report = RoundReport::from_bytes(bytes).map_err(|_| NotCarried::NotAsked);
        Some(report.and_then(|report| check_vote(&report, item, &round.charter.policy)).map(|_| ()))
    }

    /// Checks what the operators adopted against the vote. A node cannot undo it, but tells its people.
    fn check_adopted(&mut self) {
        while let Some(Adopted { number, round, item, .. }) =
            self.ledger.amendments().get(self.duties.amending.checked).copied()
        {
            match self.verdict_of(round, item) {
                // It is asked for, and its arrival is reason to look again.
                None => return,
                Some(Ok(())) => {}
                Some(Err(why)) => self.effects.push_back(Effect::Notice(Notice::NotCarried { number, why })),
            }
            self.duties.amending.checked += 1;
        }
    }
}
