//! Whether one's own contribution counts.

use chorus_crypto::credential::Tag;

use crate::{
    id::{BlobId, RoundId, SetId},
    ledger::{Ledger, counting},
};

/// What a contributor keeps: which body, under which tag. It proves nothing to others, and tells them whose the
/// contribution is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The round.
    pub round: RoundId,
    /// The contributor's tag in that round.
    pub tag: Tag,
    /// Which attempt it was.
    pub sequence: u8,
    /// The body, by its hash.
    pub body: BlobId,
    /// The set that the contributor saw sealed, if one was.
    pub set: Option<SetId>,
}

/// What a bundle says of a receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is this contribution, and no other of the same tag, that is in the sealed set.
    Counts {
        /// Its place in the set, from 0.
        index: usize,
        /// Contributions in the set.
        of: usize,
    },
    /// It took an earlier contribution back, which is not in the sealed set.
    TakenBack,
    /// A later one of the same tag is in its place.
    Replaced {
        /// Which attempt.
        sequence: u8,
        /// Its body.
        body: BlobId,
        /// Whether that one took it back.
        withdrawn: bool,
    },
    /// The log has another contribution of this tag and number.
    Other {
        /// That one's body.
        body: BlobId,
    },
    /// The round is sealed as another set than the contributor saw: there are two logs, and the certificates of both convict
    /// whoever signed both.
    OtherSet {
        /// The set of this log.
        set: SetId,
    },
    /// It is on the log, and its round is not sealed yet.
    Accepted,
    /// It is not on the log, and its round is not sealed yet.
    Awaited,
    /// Its round is sealed, and it is not on the log.
    Absent,
    /// The bundle's log has no such round: it may end before it.
    UnknownRound,
}

impl Standing {
    /// Whether what the receipt is for was done: the contribution counts, or took the earlier one back.
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Counts { .. } | Self::TakenBack)
    }

    /// Whether a later bundle of the same log can say something else.
    pub const fn is_early(&self) -> bool {
        matches!(self, Self::Accepted | Self::Awaited | Self::UnknownRound)
    }
}

impl Receipt {
    /// Looks the contribution up on a log that has been checked.
    pub fn standing(&self, ledger: &Ledger) -> Standing {
        let Some(round) = ledger.rounds().get(&self.round) else { return Standing::UnknownRound };
        let sealed = round.sealed.as_ref();
        if let Some(set) = sealed.map(|sealed| sealed.set).filter(|set| self.set.is_some_and(|seen| seen != *set)) {
            return Standing::OtherSet { set };
        }
        let nowhere = if sealed.is_some() { Standing::Absent } else { Standing::Awaited };
        let Some(attempts) = round.contributions.get(&self.tag) else { return nowhere };
        let logged = attempts.get(&self.sequence).map(|attempt| attempt.header.body);
        if let Some(body) = logged.filter(|body| *body != self.body) {
            return Standing::Other { body };
        }
        // One that was replaced soon may never have come to the log.
        if let Some(latest) = counting(attempts).filter(|latest| latest.header.sequence > self.sequence) {
            let (sequence, body) = (latest.header.sequence, latest.header.body);
            return Standing::Replaced { sequence, body, withdrawn: latest.header.is_withdrawal() };
        }
        if logged.is_none() {
            return nowhere;
        }
        let Some(sealed) = sealed else { return Standing::Accepted };
        let of = sealed.contributions.len();
        match sealed.contributions.iter().position(|contribution| contribution.header.body == self.body) {
            Some(index) => Standing::Counts { index, of },
            None => Standing::TakenBack,
        }
    }
}
