//! An open round without a network: the ledger that its entries lead to, and the operators' round keys.

use chorus_crypto::seal::SealSecret;
use chorus_protocol::{
    config::Policy,
    ledger::{Ledger, RoundRecord},
    log::entry::{ClockReading, Entry, PollKind, RoundKey, RoundOpening, SignedEntry},
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::community::{Community, Poll};

/// A round that takes contributions.
#[derive(Debug)]
pub struct OpenRound {
    /// The community and its secrets.
    pub community: Community,
    /// The state of its log.
    pub ledger: Ledger,
    /// The poll.
    pub poll: Poll,
    /// The operators' sealing keys, in committee order.
    pub keys: Vec<SealSecret>,
}

impl OpenRound {
    /// Opens a round of a statement poll.
    ///
    /// # Panics
    ///
    /// Panics if the ledger refuses an honest entry.
    pub fn new(seed: u64, operators: usize, people: usize, items: usize) -> Self {
        let mut community = Community::new(seed, operators, people, Policy::default());
        let mut ledger = Ledger::new(community.genesis.clone());
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        for person in 0..people {
            ledger.apply(&community.registration(person)).expect("a registration");
        }
        let poll = community.poll(PollKind::Statement, items, 60_000);
        let keys: Vec<SealSecret> = (0..operators).map(|_| SealSecret::random(&mut rng)).collect();
        let offers = keys.iter().map(|key| Entry::RoundKey(RoundKey { round: poll.round, key: key.public() }));
        let offers: Vec<Entry> = offers.collect();
        let public: Vec<_> = keys.iter().map(|key| Some(key.public())).collect();
        let opening =
            RoundOpening { round: poll.round, snapshot: ledger.snapshot(poll.round, &public).root(), keys: public };
        let first = community.operators.first().expect("an operator");
        let by_first = [poll.opening.clone()].into_iter().chain(poll.proposals.clone()).chain([poll.plan.clone()]);
        let by_first = by_first.map(|entry| SignedEntry::sign(first, community.id(), entry));
        let by_each = community.operators.iter().zip(offers);
        let by_each = by_each.map(|(key, offer)| SignedEntry::sign(key, community.id(), offer));
        let clock = Entry::Clock(ClockReading { time: Timestamp::from_millis(1) });
        let clocks: Vec<_> =
            community.operators.iter().map(|key| SignedEntry::sign(key, community.id(), clock.clone())).collect();
        let open = SignedEntry::sign(first, community.id(), Entry::Open(opening));
        for entry in by_first.chain(by_each).chain(clocks).chain([open]) {
            ledger.apply(&entry).expect("an honest entry");
        }
        Self { community, ledger, poll, keys }
    }

    /// Returns the round.
    ///
    /// # Panics
    ///
    /// Never: the round is open.
    pub fn round(&self) -> &RoundRecord {
        &self.ledger.rounds()[&self.poll.round]
    }
}
