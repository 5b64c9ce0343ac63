//! Attacks on one person, one voice, carried out for real: what is tried, and what the community makes of it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chorus_crypto::{credential::LeafSecret, hash, sign::SecretKey};
use chorus_protocol::{
    contribution::{Contributor, Level},
    id::RoundId,
    ledger::{Ledger, RoundRecord},
    log::entry::{Entry, Registration, Revocation, SignedEntry},
    peer::{Command, Peer},
    registry::{Snapshot, attestation::Claim},
    time::Timestamp,
};
use rand_chacha::ChaCha20Rng;

use super::community::{Community, Hosts, generator};

/// How long the community may take to answer an attack.
const PATIENCE: Duration = Duration::from_secs(60);

/// Members that a corrupt attester makes up.
const INVENTED: usize = 3;

/// An attack, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// What was tried.
    pub(super) what: &'static str,
    /// What came of it.
    pub(super) outcome: String,
}

/// Those who try.
#[derive(Debug)]
pub(super) struct Attackers {
    invented: Vec<Somebody>,
    revoked: Somebody,
    double: LeafSecret,
    rng: ChaCha20Rng,
}

#[derive(Debug)]
struct Somebody {
    key: SecretKey,
    leaf: LeafSecret,
}

impl Somebody {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        Self { key: SecretKey::random(rng), leaf: LeafSecret::random([0; 4], rng) }
    }
}

impl Attackers {
    /// Draws them. The first member is the one who tries to vote twice.
    pub(super) fn new(seed: u64, community: &Community) -> anyhow::Result<Self> {
        let mut rng = generator(seed, "attackers", 0);
        let first = community.people.first().context("there are people")?;
        Ok(Self {
            invented: (0..INVENTED).map(|_| Somebody::new(&mut rng)).collect(),
            revoked: Somebody::new(&mut rng),
            double: LeafSecret::from_bytes(first.leaf.to_bytes().as_ref())?,
            rng,
        })
    }

    /// The corrupt attester registers people who do not exist; and somebody is admitted whose admission is then taken
    /// back.
    pub(super) async fn enter(&mut self, community: &Community, hosts: &Hosts) -> anyhow::Result<()> {
        let corrupt = &community.attesters[..1];
        for somebody in &self.invented {
            register(community, hosts, (somebody, corrupt), &mut self.rng).await?;
        }
        let honest = &community.attesters[1..];
        register(community, hosts, (&self.revoked, honest), &mut self.rng).await?;
        let key = self.revoked.key.public();
        ensure!(hosts.operator().wait_until(|peer| peer.ledger().is_member(&key), PATIENCE).await?, "nobody to revoke");
        // Whatever they attested, and whatever of it was held back.
        let revocation = Entry::Revoke(Revocation {
            key,
            until: Timestamp::from_millis(u64::MAX),
            reason: "was admitted under another name before".into(),
        });
        let entry = SignedEntry::sign(&honest[0], community.id, revocation);
        hosts.of(0).command(Command::Relay(entry)).await?;
        let invented: Vec<_> = self.invented.iter().map(|somebody| somebody.key.public()).collect();
        let settled = |peer: &Peer| {
            let registry = peer.ledger().registry();
            !peer.ledger().is_member(&key) && invented.iter().all(|key| registry.person(key).is_some())
        };
        ensure!(hosts.operator().wait_until(settled, PATIENCE).await?, "the attacks were not logged");
        Ok(())
    }

    /// Those who are no members vote all the same.
    pub(super) async fn vote(&mut self, hosts: &Hosts, state: &(Ledger, Arc<RoundRecord>)) -> anyhow::Result<()> {
        // Each at a node of its own: operators shut out a node that brings them one forgery after the other.
        for (number, somebody) in self.invented.iter().chain([&self.revoked]).enumerate() {
            let record = pretend(&state.0, &state.1, &somebody.leaf)?;
            let votes = vec![chorus_crypto::ballot::Vote::Agree; record.plan.items().len()];
            let submission = Contributor::anonymous(&somebody.leaf).cast(&state.0, &record, &votes, &mut self.rng)?;
            hosts.of(number).command(Command::Contribute(submission)).await?;
        }
        Ok(())
    }

    /// A member whose ballot counts already votes a second time, openly.
    pub(super) async fn vote_twice(&mut self, hosts: &Hosts, state: &(Ledger, Arc<RoundRecord>)) -> anyhow::Result<()> {
        let votes = vec![chorus_crypto::ballot::Vote::Disagree; state.1.plan.items().len()];
        let contributor = Contributor { level: Level::Open, ..Contributor::anonymous(&self.double) };
        let submission = contributor.cast(&state.0, &state.1, &votes, &mut self.rng)?;
        hosts.of(1).command(Command::Contribute(submission)).await?;
        Ok(())
    }

    /// Returns what came of everything, as the log tells it.
    pub(super) async fn outcome(
        &self,
        community: &Community,
        hosts: &Hosts,
        round: RoundId,
    ) -> anyhow::Result<Vec<Attempt>> {
        let attesters = community.genesis.attesters.len();
        let attempts = hosts
            .operator()
            .view(|peer| {
                let record = peer.ledger().rounds().get(&round)?;
                let manifest = record.manifest.as_ref()?;
                let counted = |leaf: &LeafSecret| {
                    record.contributions.get(&leaf.tag(&manifest.scope)).map_or(0, |attempts| attempts.len())
                };
                let ballots = |people: &mut dyn Iterator<Item = &Somebody>| {
                    people.map(|somebody| counted(&somebody.leaf)).sum::<usize>()
                };
                let admitted = |somebody: &&Somebody| peer.ledger().is_member(&somebody.key.public());
                let invented = self.invented.iter().filter(admitted).count();
                Some((
                    invented,
                    ballots(&mut self.invented.iter()),
                    ballots(&mut [&self.revoked].into_iter()),
                    counted(&self.double),
                ))
            })
            .await?
            .context("the round is on the log")?;
        let (invented, by_invented, by_revoked, doubled) = attempts;
        ensure!((invented, by_invented, by_revoked, doubled) == (0, 0, 0, 1), "an attack succeeded: {attempts:?}");
        let needed = needed(community);
        Ok(vec![
            Attempt {
                what: "a corrupt attester invents members",
                outcome: format!(
                    "{INVENTED} registered, {invented} admitted: {needed} of {attesters} attesters are needed; {by_invented} ballots"
                ),
            },
            Attempt {
                what: "a member whose admission was taken back votes",
                outcome: format!("not in the round's snapshot: {by_revoked} ballots"),
            },
            Attempt {
                what: "a member votes twice, once under a ring and once openly",
                outcome: format!("the same tag: {doubled} ballot counts, the first"),
            },
        ])
    }
}

fn needed(community: &Community) -> u8 {
    match &community.genesis.policy.admission {
        chorus_protocol::registry::policy::Admission::Quorum(quorum) => quorum.needed,
        _ => 0,
    }
}

async fn register(
    community: &Community,
    hosts: &Hosts,
    (somebody, attesters): (&Somebody, &[SecretKey]),
    rng: &mut ChaCha20Rng,
) -> anyhow::Result<()> {
    let claim = Claim::of(somebody.key.public(), &somebody.leaf);
    let attestations = attesters.iter().map(|attester| community.attestation(attester, claim)).collect();
    let registration = Registration::new(community.id, claim, &somebody.leaf, attestations, rng);
    let entry = SignedEntry::sign(&somebody.key, community.id, Entry::Register(registration));
    Ok(hosts.of(0).command(Command::Relay(entry)).await?)
}

/// Returns the round as somebody would have it who is no member: with their leaf in a snapshot that claims to be the one
/// that was pinned. All that follows is computed as an honest node computes it.
fn pretend(ledger: &Ledger, record: &RoundRecord, leaf: &LeafSecret) -> anyhow::Result<RoundRecord> {
    let mut record = record.clone();
    let manifest = record.manifest.as_mut().context("the round is open")?;
    let mut leaves = manifest.snapshot.leaves().to_vec();
    leaves.push(leaf.leaf());
    let beacon = hash::content(b"a snapshot of one's own");
    manifest.snapshot = Arc::new(Snapshot::new(leaves, ledger.charter().policy_digest(), beacon));
    Ok(record)
}
