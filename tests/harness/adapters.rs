//! Rounds of deltas over the virtual network.

use std::sync::Arc;

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    adapter::{
        manifest::{
            Adapted, AdapterManifest, BaseModel, Centre, Combination, Encoding, Ratio, Schedule, Target, Weights,
        },
        report::{AdapterReport, AdapterValues},
    },
    config::Name,
    contribution::Contributor,
    id::{BlobId, RoundId, SeriesId},
    ledger::RoundState,
    log::entry::{ClassPlan, Entry, RoundPlan, RoundResult, Subject},
    peer::Command,
    round::Blobs,
};
use rand_chacha::rand_core::Rng as _;

use crate::{
    community::rng,
    network::Network,
    scenario::{Play, all_up, level_of},
};

/// Entries of the adapter that [`manifest`] describes.
pub const ENTRIES: usize = 2 * 2 * (16 + 5);

/// An adapter of two layers of a model that nobody has.
pub fn manifest() -> AdapterManifest {
    let target = |name: &str, outputs| Target { name: Name { text: name.into() }, inputs: 16, outputs };
    AdapterManifest {
        name: "harbour".into(),
        base: BaseModel { name: "toy".into(), digest: [7; 32] },
        adapted: Adapted {
            rank: 2,
            alpha: 4,
            first_layer: 3,
            layers: 2,
            targets: vec![target("self_attn.q_proj", 16), target("self_attn.v_proj", 5)],
        },
        seed: [8; 32],
        encoding: Encoding { fraction_bits: 16, bound: 1 << 18, lane_bits: 31 },
        schedule: Schedule { rounds: 2, every_millis: Some(1), step: Ratio { numerator: 3, denominator: 2 } },
        combination: Combination { weights: Weights::PerPerson, cohorts: 1, centre: Centre::Mean, floor: 0 },
        gate: None,
        noise: None,
    }
}

/// The delta that a person trained: seeded, within the bound of [`manifest`].
pub fn delta(seed: u64, person: usize) -> Vec<i32> {
    let mut rng = rng(seed, "delta", person);
    // 84 entries of at most 2^14 have a norm below 2^18.
    (0..ENTRIES).map(|_| i32::try_from(rng.next_u32() % (1 << 15)).expect("15 bits") - (1 << 14)).collect()
}

/// The bodies at hand on a host.
#[derive(Debug)]
pub struct BlobsOf<'a>(&'a Network, usize);

impl Blobs for BlobsOf<'_> {
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        self.0.blob(self.1, id)
    }
}

impl Play {
    /// Begins a series, and waits until everybody knows.
    pub fn begin(&mut self, manifest: &AdapterManifest) -> SeriesId {
        let series = manifest.id(self.community.id());
        let operator = self.someone();
        self.network.command(operator, Command::Post(Entry::Series(manifest.clone())));
        self.network.run_until(60_000, |network| all_up(network, |peer| peer.ledger().series().contains_key(&series)));
        series
    }

    /// Opens the next round of a series: plans it if none is under way, as the operators go on by themselves within a run.
    /// Returns whether it opened.
    pub fn open_deltas(&mut self, series: SeriesId, duration_millis: u64, classes: Option<ClassPlan>) -> bool {
        let operator = self.someone();
        let ledger = self.network.peer(operator).ledger();
        match ledger.next_deltas(series) {
            Ok(deltas) => {
                let subject = Subject::Deltas(deltas);
                let plan = RoundPlan { subject, duration_millis, key_grace_millis: 2_000, classes };
                self.poll.round = plan.id(ledger.community());
                self.network.command(operator, Command::Post(Entry::Plan(plan)));
            }
            Err(_) => self.poll.round = ledger.series()[&series].rounds.last().copied().unwrap_or_default(),
        }
        self.wait(RoundState::Open, 60_000)
    }

    /// Lets a person contribute a delta.
    ///
    /// # Panics
    ///
    /// Panics if the round does not admit it.
    pub fn contribute(&mut self, person: usize, delta: &[i32], change: impl FnOnce(&mut Contributor<'_>)) {
        let (host, round) = (self.host_of(person), self.poll.round);
        let ledger = self.network.peer(host).ledger();
        let somebody = &mut self.community.people[person];
        let mut contributor = Contributor { level: level_of(person), ..Contributor::anonymous(&somebody.leaf) };
        change(&mut contributor);
        let submission = contributor.contribute(ledger, &ledger.rounds()[&round], delta, &mut somebody.rng);
        self.network.command(host, Command::Contribute(submission.expect("a member may contribute")));
    }

    /// Lets a person take back what they contributed.
    ///
    /// # Panics
    ///
    /// Panics if the round does not admit it.
    pub fn take_back(&mut self, person: usize, sequence: u8) {
        let (host, round) = (self.host_of(person), self.poll.round);
        let ledger = self.network.peer(host).ledger();
        let somebody = &mut self.community.people[person];
        let contributor = Contributor { level: level_of(person), sequence, ..Contributor::anonymous(&somebody.leaf) };
        let submission = contributor.withdraw(ledger, &ledger.rounds()[&round], &mut somebody.rng);
        self.network.command(host, Command::Contribute(submission.expect("a member may take theirs back")));
    }

    /// Returns what is at hand on a host.
    pub const fn blobs(&self, host: usize) -> BlobsOf<'_> {
        BlobsOf(&self.network, host)
    }

    /// Returns the report of an adapter round.
    ///
    /// # Panics
    ///
    /// Panics if its body is none.
    pub fn adapter_report(&self, result: &RoundResult) -> AdapterReport {
        AdapterReport::from_bytes(&self.body(&result.result)).expect("the report of an adapter round")
    }

    /// Returns the values of an adapter.
    ///
    /// # Panics
    ///
    /// Panics if nobody has it.
    pub fn adapter(&self, adapter: &BlobId) -> Vec<i64> {
        AdapterValues::from_bytes(&self.body(adapter)).expect("an adapter").values
    }

    /// Returns the round that is under way.
    pub const fn round_id(&self) -> RoundId {
        self.poll.round
    }
}
