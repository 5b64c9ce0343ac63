//! What operators say about values cards: which stand for themselves, and which for others.

use std::{collections::BTreeMap, sync::Arc};

use chorus_crypto::sign::PublicKey;

use super::Ledger;
use crate::{
    deliberation::moral_graph::{Merges, ValuesCard},
    fault::{Fault, bound, in_turn},
    id::BlobId,
    limits,
    log::entry::{CanonicalCard, MergeCards, PollKind},
};

const WORD: &str = "word on a values card";

/// One operator's word about one card.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CardStatement {
    /// The operator.
    pub operator: PublicKey,
    /// The card.
    pub card: BlobId,
    /// Which of the operator's words on this card it is, from 1.
    pub number: u16,
    /// The card that stands for it; none if it stands for itself.
    pub into: Option<BlobId>,
    /// Why.
    pub reason: String,
}

impl CardStatement {
    pub(super) fn canonical(operator: PublicKey, it: &CanonicalCard) -> Self {
        Self { operator, card: it.card, number: it.number, into: None, reason: it.reason.clone() }
    }

    pub(super) fn merge(operator: PublicKey, it: &MergeCards) -> Self {
        Self { operator, card: it.card, number: it.number, into: Some(it.into), reason: it.reason.clone() }
    }
}

/// Everything that operators have said about values cards.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cards {
    statements: Vec<Arc<CardStatement>>,
    latest: BTreeMap<BlobId, Arc<CardStatement>>,
    said: BTreeMap<(PublicKey, BlobId), u16>,
    merges: Merges,
}

impl Cards {
    /// Returns all statements, in the order of the log.
    pub fn statements(&self) -> impl Iterator<Item = &CardStatement> {
        self.statements.iter().map(Arc::as_ref)
    }

    /// Returns the last word on a card, which counts.
    pub fn latest(&self, card: &BlobId) -> Option<&CardStatement> {
        self.latest.get(card).map(Arc::as_ref)
    }

    /// Returns how many words an operator has said on a card.
    pub fn said_by(&self, operator: &PublicKey, card: &BlobId) -> u16 {
        self.said.get(&(*operator, *card)).copied().unwrap_or_default()
    }

    /// Returns the merges that count.
    pub const fn merges(&self) -> &Merges {
        &self.merges
    }

    /// Returns what follows from these statements in this order; `None` if one is out of turn, or a merge leads back to the
    /// card itself.
    pub(super) fn of(statements: Vec<CardStatement>) -> Option<Self> {
        let mut cards = Self::default();
        statements.into_iter().all(|statement| cards.add(statement).is_ok()).then_some(cards)
    }

    fn add(&mut self, statement: CardStatement) -> Result<(), Fault> {
        let CardStatement { operator, card, number, .. } = statement;
        in_turn(self.said_by(&operator, &card), number, WORD)?;
        match statement.into {
            Some(into) if !self.merges.merge(statement.card, into) => {
                return Err(Fault::Mismatch("a merge that leads back to the card itself"));
            }
            Some(_) => {}
            None => self.merges.separate(statement.card),
        }
        self.said.insert((operator, card), number);
        let statement = Arc::new(statement);
        self.latest.insert(statement.card, Arc::clone(&statement));
        self.statements.push(statement);
        Ok(())
    }
}

impl Ledger {
    /// Takes an operator's word about a card. What is said already is not said again, by anybody.
    pub(super) fn state_card(&mut self, statement: CardStatement) -> Result<(), Fault> {
        if statement.reason.trim().is_empty() {
            return Err(Fault::Mismatch("the reason"));
        }
        let own = self.cards.statements().filter(|known| known.operator == statement.operator).count();
        bound("statements about cards", limits::MAX_CARD_STATEMENTS, self.cards.statements().count() + 1)?;
        bound("statements of one operator about cards", self.share_of(limits::MAX_CARD_STATEMENTS), own + 1)?;
        in_turn(self.cards.said_by(&statement.operator, &statement.card), statement.number, WORD)?;
        let says_the_same = |known: &CardStatement| known.into == statement.into;
        if self.cards.latest(&statement.card).is_some_and(says_the_same) {
            return Err(Fault::Duplicate("this statement about a card"));
        }
        if !core::iter::once(statement.card).chain(statement.into).all(|card| self.is_values_card(&card)) {
            return Err(Fault::Unknown("values card"));
        }
        Arc::make_mut(&mut self.cards).add(statement)
    }

    /// Returns whether an item of a value poll has this id and is a values card.
    fn is_values_card(&self, card: &BlobId) -> bool {
        let polls = self.polls.values().filter(|poll| poll.opening.kind == PollKind::Value);
        let mut same = polls.flat_map(|poll| &poll.items).filter(|(id, _, _)| id == card);
        same.next().is_some_and(|(_, text, _)| ValuesCard::from_text(text).is_ok())
    }
}
