//! The verifier against tampered bundles.
//!
//! One community, with every kind of entry on its log, is played once. Its bundle is then changed in every way that a
//! table below names, first by somebody without keys, then by operators who all work together and sign everything anew
//! ([`Corrupt`]); each change must be refused, and for the right reason.

mod ballots;
mod checker;
mod forged;
mod levels;
mod stream;

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use chorus_crypto::{
    codec::Encode as _,
    credential::{LeafSecret, Rotation},
    sign::SecretKey,
};
use chorus_protocol::{
    audit::{self, Bundle, LogCheck, Progress, Report, VerifyError, WriteError, verify},
    config::{Attribute, Policy},
    contribution::Contributor,
    id::{BlobId, RoundId},
    ledger::RoundState,
    log::{
        batch::Height,
        consensus::Decision,
        entry::{
            AnonymousProposal, AttesterRemoval, Census, EndPass, Entry, Expulsion, LeafRotation, PassId, PollKind,
            Registration, Revocation, SignedEntry, Step, Veto, Vouch,
        },
    },
    peer::Command,
    registry::{
        attestation::{Attestation, Claim},
        flow::Vouching,
        policy::{Admission, Quorum},
    },
    time::Timestamp,
};
use chorus_tests::{
    bundle::{Corrupt, MOMENT, equivocation},
    community::{Community, population},
    network::Network,
    scenario::{Play, Scenario},
};

/// People who vote; the next one is a member who does not.
const VOTERS: usize = 24;
/// The one who votes twice.
const CHANGED: usize = 3;
/// The one who votes and takes it back.
const WITHDREW: usize = VOTERS - 1;
/// The member who does not vote.
const ABSENT: usize = VOTERS;
/// A member whose attestation is taken back and given again, and who takes a fresh leaf.
const RENEWED: usize = VOTERS + 1;
/// A member who leaves after the first round has opened.
const LEFT: usize = VOTERS + 2;
/// Those who vote in the second round: too few.
const FEW: usize = 3;

struct Base {
    community: Community,
    bytes: Vec<u8>,
    bundle: Bundle,
    corrupt: Corrupt,
    /// A round with map and groups.
    round: RoundId,
    /// A round with too few ballots.
    small: RoundId,
}

static BASE: LazyLock<Base> = LazyLock::new(base);

fn base() -> Base {
    let mut play = start();
    assert!(play.open(), "the round opens: {:?}", play.network.notices);
    change_members(&mut play);
    let evidence = equivocation(&play.community, &play.community.operators[4]);
    play.post(0, Entry::Evidence(evidence));
    for person in 0..VOTERS {
        let votes = play.votes[person].clone();
        play.vote(person, 0, &votes);
    }
    let second = play.votes[CHANGED + 1].clone();
    play.vote(CHANGED, 1, &second);
    withdraw(&mut play, WITHDREW);
    assert!(play.wait(RoundState::Sealed, 60_000));
    let round = play.poll.round;
    play.post(0, Entry::EndPass(EndPass { round, pass: PassId { pass: 0, attempt: 1 } }));
    finish(&mut play);

    play.poll = play.community.poll(PollKind::Value, 3, 5_000);
    open_second(&mut play);
    for person in 0..FEW {
        let votes = play.votes[person][..3].to_vec();
        play.vote(person, 0, &votes);
    }
    finish(&mut play);
    let bytes = play.bundle(0);
    let bundle = Bundle::from_bytes(&bytes).expect("what was written reads back");
    let corrupt = Corrupt::new(&play.community, &bundle);
    Base { bytes, bundle, corrupt, round, small: play.poll.round, community: play.community }
}

/// Founds a community whose policy lets so few have an opinion map.
fn start() -> Play {
    let scenario = Scenario { people: VOTERS + 3, followers: 1, items: 16, ..Scenario::default() };
    let found = |admission| {
        let attributes = vec![Attribute::new("region", &["north"])];
        let limits = Policy { min_contributions: 10, floor: 5, group_floor: 20, ..Policy::default() };
        let policy = Policy { admission, attributes, ..limits };
        Community::new(scenario.seed, scenario.operators, scenario.people, policy)
    };
    let attested = || Admission::Quorum(Quorum::usual(1));
    let seed = found(attested()).people[0].key.public();
    let vouching = Vouching { tolerated: 0, ..Vouching::recommended(vec![[seed].into_iter().collect()]) };
    let community = found(Admission::Any(vec![attested(), Admission::Vouch(vouching)]));
    let genesis = community.genesis.clone();
    let network = Network::new(scenario.seed, genesis, &community.operators, scenario.followers, scenario.links);
    let poll = community.poll(scenario.kind, scenario.items, scenario.duration_millis);
    let votes = population(scenario.seed, scenario.people, scenario.items, scenario.camps);
    Play { network, community, poll, votes, scenario }
}

/// Puts every other kind of entry about membership on the log.
fn change_members(play: &mut Play) {
    let community = play.community.id();
    let (attester, operator) = (play.community.attesters[0].clone(), play.community.operators[0].clone());
    let (renewed, left) = (play.community.people[RENEWED].key.clone(), play.community.people[LEFT].key.clone());
    let (first, mut rng) = (play.community.people[0].key.clone(), play.community.people[RENEWED].rng.clone());
    let now = play.network.peer(0).ledger().time();
    let claim = Claim::of(renewed.public(), &play.community.people[RENEWED].leaf);
    let again = (now.plus_millis(1), Timestamp::from_millis(u64::MAX));
    let attestation = Attestation::sign(&attester, community, claim, play.community.genesis.policy_digest(), again);
    let old = &play.community.people[RENEWED].leaf;
    let new = old.rotated(&mut rng);
    let proof = Rotation::prove(old, &new, &LeafRotation::context(community, renewed.public()), &mut rng);
    let (thief, stolen) = (SecretKey::random(&mut rng), LeafSecret::random([0; 4], &mut rng));
    let theft = Claim { recovers: Some(left.public()), ..Claim::of(thief.public(), &stolen) };
    let words = vec![play.community.attestation(&attester, theft)];
    let theft = Registration::new(community, theft, &stolen, words, &mut rng);
    let author = SecretKey::from_seed(&MOMENT);
    let ledger = play.network.peer(0).ledger();
    let by = (&play.community.people[0].leaf, 0);
    let item = AnonymousProposal::make(ledger, play.poll.poll, "Nobody says this", by, author.public(), &mut rng);
    let revoke = |key| Entry::Revoke(Revocation { key, until: Timestamp::default(), reason: "seen twice".into() });
    let said = [
        (&attester, revoke(renewed.public())),
        (&attester, Entry::Attest(attestation)),
        (&renewed, Entry::Rotate(LeafRotation { leaf: new.leaf(), proof })),
        (&attester, Entry::Register(theft)),
        (&left, Entry::Veto(Veto { key: thief.public() })),
        (&left, revoke(left.public())),
        (&first, Entry::Vouch(Vouch { key: renewed.public(), stands: true, number: 1 })),
        (&operator, Entry::RemoveAttester(AttesterRemoval { attester: attester.public(), reason: "?".into() })),
        (&operator, Entry::Expel(Expulsion { key: renewed.public(), reason: "?".into() })),
        (&attester, Entry::Census(Census { slot: 0, number: 1, counts: vec![0] })),
        (&author, Entry::ProposeAnonymously(item.expect("a member proposes"))),
    ];
    for (key, entry) in said {
        play.network.command(0, Command::Relay(SignedEntry::sign(key, community, entry)));
        play.network.run_until(1_000, |_| false);
    }
    let proposed = |network: &Network| network.peer(0).ledger().polls()[&play.poll.poll].items.len() == 17;
    assert!(play.network.run_until(60_000, proposed), "{:?}", play.network.notices);
}

fn withdraw(play: &mut Play, person: usize) {
    let host = play.host_of(person);
    let ledger = play.network.peer(host).ledger();
    let person = &mut play.community.people[person];
    let contributor = Contributor { sequence: 1, ..Contributor::anonymous(&person.leaf) };
    let round = &ledger.rounds()[&play.poll.round];
    let submission = contributor.withdraw(ledger, round, &mut person.rng).expect("a member may withdraw");
    play.network.command(host, Command::Contribute(submission));
}

/// Waits until every operator has erased the round's secrets.
fn finish(play: &mut Play) {
    play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    let (round, operators) = (play.poll.round, play.scenario.operators);
    let erased = play.network.run_until(60_000, |network| {
        (0..network.len()).all(|host| network.peer(host).ledger().rounds()[&round].erased.len() == operators)
    });
    assert!(erased, "all operators erase");
}

fn open_second(play: &mut Play) {
    let poll = play.poll.clone();
    play.post(0, poll.opening.clone());
    play.network.run_until(30_000, |network| network.peer(0).ledger().polls().contains_key(&poll.poll));
    poll.proposals.iter().for_each(|proposal| play.post(0, proposal.clone()));
    play.network.run_until(30_000, |network| network.peer(0).ledger().polls()[&poll.poll].items.len() == 3);
    play.post(0, poll.plan.clone());
    assert!(play.wait(RoundState::Open, 60_000), "the second round opens");
}

fn check(bytes: &[u8]) -> Result<Report, VerifyError> {
    verify(&mut &bytes[..], &mut |_| {})
}

/// Asserts that a bundle is refused with one of the exit codes.
fn assert_refused(what: &str, bytes: &[u8], codes: &[u8]) {
    match check(bytes) {
        Ok(_) => panic!("{what}: accepted"),
        Err(error) => assert!(codes.contains(&error.exit_code()), "{what}: {} ({error})", error.exit_code()),
    }
}

/// Takes the last of a list away.
fn shorten<T>(list: &mut Vec<T>) {
    list.truncate(list.len() - 1);
}

/// Returns the log in the hands of corrupt operators.
fn corrupt() -> Corrupt {
    BASE.corrupt.clone()
}

#[test]
fn an_honest_bundle_verifies_and_says_what_happened() {
    let mut verified = 0;
    let report = verify(&mut &BASE.bytes[..], &mut |progress| {
        if let Progress::Contributions { verified: now, of } = progress {
            assert!(now <= of);
            verified = now;
        }
    });
    let report = report.unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(report.community, BASE.community.id());
    assert_eq!(report.members, VOTERS + 2);
    assert_eq!(report.contributions, (VOTERS + FEW) as u64);
    assert_eq!(verified, report.contributions);
    assert_eq!(report.entries, BASE.corrupt.log.iter().flatten().count() as u64);
    assert_eq!(report.bytes, BASE.bytes.len() as u64);
    assert_eq!(report.convicted, BTreeSet::from([BASE.community.operators[4].public()]));
    let [large, small] = report.rounds.as_slice() else { panic!("two rounds: {:?}", report.rounds) };
    assert_eq!((large.round, large.ballots, large.withdrawals), (BASE.round, VOTERS - 1, 1));
    assert_eq!(large.opened, [Step::Totals, Step::Buckets, Step::Points, Step::Groups]);
    assert!(large.report.as_ref().and_then(|report| report.ballots()).is_some_and(|report| report.map().is_some()));
    assert!(large.constitution.as_ref().is_some_and(|constitution| !constitution.principles.is_empty()));
    assert!(large.dissenting.is_empty() && large.liars.is_empty());
    assert_eq!((small.round, small.ballots, small.opened.len()), (BASE.small, FEW, 0));
    assert_eq!(small.result.as_ref().map(|result| result.follows), Some(None));
}

#[test]
fn every_kind_of_entry_is_on_the_log_that_is_tampered_with() {
    let kinds: BTreeSet<u8> =
        corrupt().log.iter().flatten().filter_map(|entry| entry.entry.to_bytes().first().copied()).collect();

    assert_eq!(kinds, (1..=27).collect());
}

#[test]
fn a_log_that_is_signed_anew_without_a_change_still_verifies() {
    let report = check(&corrupt().bundle()).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(report.contributions, (VOTERS + FEW) as u64);
}

#[test]
fn a_log_is_checked_decision_by_decision() {
    let start = || LogCheck::new(BASE.bundle.genesis.clone()).expect("a founding document");
    let (body, decisions) = (BASE.bundle.blobs[0].0, &BASE.bundle.decisions);
    let mut check = start();
    assert!(!check.names(&body));

    for (height, decision) in (1..).map(Height).zip(decisions) {
        check.push(decision).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(check.height(), height);
    }

    assert!(check.names(&body) && !check.names(&BlobId::of(b"none")));
    assert!(matches!(check.push(&decisions[0]), Err(VerifyError::Height { .. })));
    assert!(matches!(start().push(&decisions[1]), Err(VerifyError::Height { .. })));
}

#[test]
fn a_bundle_is_not_written_without_what_it_has_to_hold() {
    let decisions: Vec<Arc<Decision>> = BASE.bundle.decisions.iter().cloned().map(Arc::new).collect();
    let write = |decisions: &[Arc<Decision>], without: BlobId, instead: Option<Vec<u8>>| {
        let find =
            |id: &BlobId| BASE.bundle.blobs.iter().find(|(known, _)| known == id).map(|(_, bytes)| bytes.clone());
        let blobs = |id: &BlobId| if *id == without { instead.clone() } else { find(id) };
        audit::write(&mut Vec::new(), &BASE.community.genesis, decisions, blobs)
    };
    let (some, none) = (BASE.bundle.blobs[9].0, BlobId::of(b"none"));
    assert_eq!(write(&decisions, none, None).expect("all there").blobs, BASE.bundle.blobs.len());
    assert!(matches!(write(&decisions, some, None), Err(WriteError::MissingBlob(id)) if id == some));
    assert!(matches!(write(&decisions, some, Some(Vec::new())), Err(WriteError::BlobHash(id)) if id == some));
    assert!(matches!(write(&decisions[1..], none, None), Err(WriteError::Log(VerifyError::Height { .. }))));
    let unfinished = (1..decisions.len()).map(|height| write(&decisions[..height], none, None));
    assert!(unfinished.into_iter().any(|written| matches!(written, Err(WriteError::Log(VerifyError::Unfinished(_))))));
}
