//! The list of attacks on membership and ballots, by number: each must fail, and its honest variant must pass.
//!
//! Everything takes the real path: the form and the equations of a body, the ledger's rules, and where a whole node
//! matters the virtual network. Most attackers are [`Forger`]s, whose contributions are as consistent as a cheat can be.
//! Elsewhere: 2 (the network's view) is out of reach here; 8 and 11 (keys and logs of lying operators) are in `faults`
//! and `audit`; 12 (vouch farming) is simulated with the registry; 13 is no matter of protocol.

mod ballots;
mod batches;
mod classes;
mod copies;
mod encodings;
mod leaves;
mod membership;
mod replays;
mod signatures;
mod transcripts;
mod twice;

use chorus_crypto::{
    ballot::Vote,
    codec::{Decode as _, Encode as _},
    credential::CredentialError,
};
use chorus_protocol::{
    config::{Attribute, Policy},
    contribution::{BallotContent, Body, Content, Level, Submission},
    fault::Fault,
    id::RoundId,
    log::entry::PollKind,
};
use chorus_tests::{
    community::{Community, Poll},
    malice::forge::Forger,
    offline::Town,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const LEVELS: [Level; 2] = [Level::Open, Level::Anonymous];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A community with an open round of a poll of so many items.
fn town(operators: usize, people: usize, (kind, items): (PollKind, usize)) -> (Town, Poll) {
    let mut town = Town::new(Community::new(3, operators, people, Policy::default()), 3);
    town.register_all();
    let poll = town.community.poll(kind, items, 60_000);
    town.open(&poll).expect("honest entries");
    (town, poll)
}

/// The rules of a community of two regions, in which a class has two members.
fn two_regions() -> Policy {
    Policy {
        min_contributions: 2,
        floor: 2,
        group_floor: 4,
        class_floor: 2,
        class_members: 2,
        attributes: vec![Attribute::new("Region", &["North", "South"])],
        ..Policy::default()
    }
}

/// A person of the community who can cheat.
fn forger(town: &Town, round: RoundId, person: usize, level: Level) -> Forger<'_> {
    Forger::new(&town.ledger, town.round(round), &town.community.people[person].leaf, level)
}

fn agree(town: &Town, round: RoundId) -> Vec<Vote> {
    vec![Vote::Agree; town.round(round).plan.items().len()]
}

/// Lets a forger agree with everything.
fn cast(forger: &Forger<'_>, seed: u64) -> Submission {
    forger.cast(&vec![Vote::Agree; forger.round.plan.items().len()], &mut rng(seed))
}

/// What everybody says about the public part.
fn verdict(town: &Town, submission: &Submission) -> Result<(), Fault> {
    town.check(submission).map(drop)
}

const BAD_CREDENTIAL: Result<(), Fault> = Err(Fault::Credential(CredentialError::Proof));

fn body(submission: &Submission) -> Body {
    Body::from_bytes(&submission.body).expect("a body")
}

fn content(body: &mut Body) -> &mut BallotContent {
    match &mut body.content {
        Content::Ballot(content) => content,
        Content::Withdrawal | Content::Delta(_) => panic!("a ballot"),
    }
}

/// The submission with another body.
fn with(submission: &Submission, body: &Body) -> Submission {
    Submission { body: body.to_bytes(), ..submission.clone() }
}
