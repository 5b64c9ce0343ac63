//! One cohort before its first message: operators, members, and the state that its log begins with.

use std::sync::Arc;

use anyhow::Context as _;
use chorus_crypto::{
    RistrettoPoint,
    ballot::Vote,
    credential::{Leaf, LeafSecret, SLOTS},
    group::Point,
    hash,
    sign::SecretKey,
};
use chorus_protocol::{
    cohort::Origin,
    config::{Genesis, Policy},
    deliberation::tally::{Tally, Totals},
    id::{BlobId, CommunityId, RoundId},
    ledger::{CohortStart, Ledger, Proposer},
    log::entry::{BallotPlan, PollKind, PollOpening, RoundPlan, Subject},
    registry::policy::Attester,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::Options;

/// How long operators wait for one another's keys, in milliseconds.
const KEY_GRACE_MILLIS: u64 = 5_000;

/// Returns the generator of one thing that a seed decides.
pub(super) fn rng(seed: u64, what: &str, (cohort, index): (usize, usize)) -> ChaCha20Rng {
    let mut bytes = seed.to_be_bytes().to_vec();
    bytes.extend_from_slice(what.as_bytes());
    bytes.extend_from_slice(&(cohort as u64).to_be_bytes());
    bytes.extend_from_slice(&(index as u64).to_be_bytes());
    ChaCha20Rng::from_seed(hash::content(&bytes))
}

/// Who the members of a cohort are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Members {
    /// All hold the secret of their leaf.
    Real,
    /// The first so many do; the others' leaves are points that make a ring, and nobody's.
    Points(usize),
    /// Nobody does: leaves are numbers, which no ring can be made of.
    Numbers,
}

/// A cohort before its first message.
#[derive(Debug)]
pub(super) struct World {
    /// The state that its log begins with.
    pub(super) base: Ledger,
    /// The operators' keys, in the order of their numbers.
    pub(super) keys: Vec<SecretKey>,
    /// The secrets of those members who hold one.
    pub(super) secrets: Vec<LeafSecret>,
    /// Its round.
    pub(super) round: RoundId,
}

impl World {
    /// Founds the cohort with this number.
    pub(super) fn found(
        options: &Options,
        number: usize,
        (members, kind): (usize, Members),
        duration_millis: u64,
    ) -> anyhow::Result<Self> {
        let key = |what: &str, index| SecretKey::random(&mut rng(options.seed, what, (number, index)));
        let mut keys: Vec<SecretKey> = (0..options.operators).map(|index| key("operator", index)).collect();
        keys.sort_by_key(SecretKey::public);
        let attester = key("attester", 0).public();
        // Totals add up; maps do not, so that none is made.
        let policy = Policy { min_contributions: 3, floor: 2, group_floor: u32::MAX, ..Policy::default() };
        let genesis = Genesis {
            name: "A simulated community".into(),
            purpose: "To find out what a round costs".into(),
            operators: keys.iter().map(SecretKey::public).collect(),
            attesters: vec![Attester { key: attester, organisation: "One".into() }],
            policy,
        };
        genesis.validate().context("these operators make no community")?;
        let parent = genesis.id();
        let by = *genesis.operators.first().context("an operator is needed")?;
        let opening =
            PollOpening { kind: PollKind::Value, question: "What is it worth?".into(), context: String::new() };
        let texts = (0..options.items).map(|item| format!("Value {item}"));
        let items: Vec<_> = texts.map(|text| (BlobId::of(text.as_bytes()), text, Proposer::Key(by))).collect();
        let plan = |community: CommunityId| RoundPlan {
            subject: Subject::Ballots(BallotPlan {
                poll: opening.id(community),
                number: 1,
                items: items.iter().map(|(id, _, _)| *id).collect(),
            }),
            duration_millis,
            key_grace_millis: KEY_GRACE_MILLIS,
            classes: None,
        };
        let convening = hash::content(&options.seed.to_be_bytes());
        let origin = Origin { parent, round: plan(parent).id(parent), convening, number: u16::try_from(number)? };
        let plan = plan(origin.community());
        let (leaves, secrets) = leaves(options.seed, number, members, kind);
        let start = CohortStart {
            charter: genesis.charter(),
            genesis: Arc::new(genesis),
            origin,
            planned_by: by,
            opened_by: by,
            opening: opening.clone(),
            items: items.clone(),
            plan,
            leaves,
            beacon: convening,
            divides: false,
        };
        let base = Ledger::of_cohort(start).context("the round is one of ballots")?;
        let round = *base.rounds().keys().next().context("a cohort has a round")?;
        Ok(Self { base, keys, secrets, round })
    }
}

fn leaves(seed: u64, cohort: usize, members: usize, kind: Members) -> (Vec<Leaf>, Vec<LeafSecret>) {
    let real = match kind {
        Members::Real => members,
        Members::Points(real) => real.min(members),
        Members::Numbers => 0,
    };
    let secret = |index| LeafSecret::random([0; SLOTS], &mut rng(seed, "leaf", (cohort, index)));
    let secrets: Vec<LeafSecret> = (0..real).map(secret).collect();
    let other = |index| {
        let mut bytes = [0; 64];
        rng(seed, "member", (cohort, index)).fill_bytes(&mut bytes);
        let (number, _) = bytes.split_first_chunk::<32>().expect("64 bytes are 32 and more");
        match kind {
            Members::Real | Members::Points(_) => Point::from(RistrettoPoint::from_uniform_bytes(&bytes)),
            Members::Numbers => Point::from(*number),
        }
    };
    let mut leaves: Vec<Leaf> = secrets.iter().map(LeafSecret::leaf).collect();
    leaves.extend((real..members).map(|index| Leaf::from(other(index))));
    leaves.sort_unstable();
    (leaves, secrets)
}

/// Draws what somebody thinks: the same with real proofs and without.
pub(super) fn votes(seed: u64, cohort: usize, person: usize, items: usize) -> Vec<Vote> {
    let mut rng = rng(seed, "votes", (cohort, person));
    let mut percent = || rng.next_u32() % 100;
    let vote = |item: usize| match percent() {
        ..10 => Vote::Unseen,
        10..16 => Vote::Pass,
        _ if percent() < 20 + (u32::try_from(item).unwrap_or(u32::MAX).wrapping_mul(37)) % 70 => Vote::Agree,
        _ => Vote::Disagree,
    };
    (0..items).map(vote).collect()
}

/// Adds a ballot to totals.
pub(super) fn count(totals: &mut Totals, votes: &[Vote]) {
    for (tally, vote) in totals.items.iter_mut().zip(votes) {
        let one = |is: bool| u64::from(is);
        *tally = tally.plus(Tally {
            agree: one(*vote == Vote::Agree),
            disagree: one(*vote == Vote::Disagree),
            pass: one(*vote == Vote::Pass),
        });
    }
}
