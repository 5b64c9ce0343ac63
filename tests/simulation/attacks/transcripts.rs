//! 3: thin transcripts, and replays elsewhere.
//!
//! Whatever a challenge must depend on is left out of the forger's transcript, or changed in it, one thing at a time;
//! everything else is honest and consistent with that transcript.

use chorus_crypto::{
    codec::put_seq,
    credential::{GroupClaim, HiddenLeaf, Holder, Leaf, ShownLeaf, Statement, Tag},
    domain,
    group::{Base, Point},
    hash::{Digest, digest_bytes},
    mask::Shape,
    transcript::Item,
};
use chorus_protocol::{
    contribution::Contributor,
    ledger::{Purpose, scope},
    log::entry::{AcceptedContribution, Entry, RoundPlan, Subject},
};
use chorus_tests::malice::forge::{Cheat, Said};

use super::*;

fn flip(digest: &mut Digest) {
    digest[11] ^= 1;
}

fn stranger() -> Point {
    Point::from(Base::Column(7).point())
}

fn another_leaf(statement: &mut Statement) {
    let leaf = Leaf::from(stranger());
    statement.holder = match statement.holder {
        Holder::Open(shown) => Holder::Open(ShownLeaf { leaf, ..shown }),
        Holder::Ring(hidden) => Holder::Ring(HiddenLeaf { leaf, ..hidden }),
    };
}

fn another_place(statement: &mut Statement) {
    statement.holder = match statement.holder {
        Holder::Open(shown) => Holder::Open(ShownLeaf { index: shown.index + 1, ..shown }),
        Holder::Ring(hidden) => Holder::Ring(HiddenLeaf { cohort: hidden.cohort + 1, ..hidden }),
    };
}

fn a_group(statement: &mut Statement) {
    statement.group = Some(GroupClaim { scope: [1; 32], ring: [2; 32], commitment: stranger() });
}

type Change = (&'static str, fn(&mut Said));

/// What the link's challenge depends on.
const CONTENT: [Change; 13] = [
    ("an operator", |said| said.operators.truncate(said.operators.len() - 1)),
    ("the operators' order", |said| said.operators.reverse()),
    ("the community", |said| said.community = [9; 32].into()),
    ("the round", |said| said.round = [9; 32].into()),
    ("the tag", |said| said.tag = Tag::from(stranger())),
    ("the sequence number", |said| said.sequence += 1),
    ("consent to the map", |said| said.on_map = !said.on_map),
    ("the class", |said| said.class += 1),
    ("the shape", |said| said.shape = Shape::ballot(said.shape.data_rows + 1)),
    ("a commitment", |said| said.commitments.swap(1, 2)),
    ("a seed", |said| flip(&mut said.seed_digests[0])),
    ("the masked vector", |said| flip(&mut said.masked)),
    ("the boxes", |said| flip(&mut said.boxes)),
];

/// What both statements say: the one before the link, and the one that the credential repeats.
macro_rules! statements {
    ($($what:literal => $change:expr),* $(,)?) => {
        const ELIGIBILITY: [Change; 8] = [$(($what, |said: &mut Said| $change(&mut said.eligibility))),*];
        const STATEMENT: [Change; 8] = [$(($what, |said: &mut Said| $change(&mut said.statement))),*];
    };
}
statements! {
    "the scope" => |it: &mut Statement| flip(&mut it.scopes[0].0),
    "the tag" => |it: &mut Statement| it.scopes[0].1 = Tag::from(stranger()),
    "a scope more" => |it: &mut Statement| it.scopes.push(it.scopes[0]),
    "the leaf" => another_leaf,
    "the cohort or the place" => another_place,
    "a disclosed slot" => |it: &mut Statement| it.disclosed.push((2, 0)),
    "a group" => a_group,
    "the snapshot" => |it: &mut Statement| flip(&mut it.snapshot_root),
}

#[test]
fn attack_03_a_contribution_under_a_transcript_that_says_something_else_is_refused() {
    let (town, poll) = town(4, 3, (PollKind::Value, 2));
    for level in LEVELS {
        let forger = forger(&town, poll.round, 1, level);
        let verdict = |cheat| verdict(&town, &cast(&forger.who(cheat), 5));
        assert_eq!(verdict(Cheat::None), Ok(()), "the honest transcript, {level:?}");
        for (what, change) in CONTENT.into_iter().chain(ELIGIBILITY) {
            assert_eq!(verdict(Cheat::Says(change)), Err(Fault::Proof), "{what}, {level:?}");
        }
        for (what, change) in STATEMENT {
            assert_eq!(verdict(Cheat::Says(change)), BAD_CREDENTIAL, "{what}, {level:?}");
        }
    }
    let forger = forger(&town, poll.round, 1, Level::Anonymous);
    let other_ring = forger.who(Cheat::Says(|said| flip(&mut said.ring)));
    assert_eq!(verdict(&town, &cast(&other_ring, 5)), BAD_CREDENTIAL);
}

#[test]
fn attack_03_a_contribution_under_a_transcript_that_leaves_something_out_is_refused() {
    let (town, poll) = town(4, 3, (PollKind::Value, 2));
    // `Round` stands for all messages of the ballot proof.
    let content = [Item::Manifest, Item::Operators, Item::Core, Item::Boxes, Item::Eligibility, Item::Folds];
    let credential = [Item::Round, Item::Statement, Item::Announcement];
    let ring = [Item::Ring, Item::Membership];
    for level in LEVELS {
        let forger = forger(&town, poll.round, 1, level);
        let verdict = |item| verdict(&town, &cast(&forger.who(Cheat::Skips(item)), 5));
        assert_eq!(verdict(Item::Response), Ok(()), "an item that no contribution has, {level:?}");
        for item in content {
            assert_eq!(verdict(item), Err(Fault::Proof), "{item:?}, {level:?}");
        }
        let ring = if level == Level::Anonymous { ring.as_slice() } else { &[] };
        for item in credential.iter().chain(ring) {
            assert_eq!(verdict(*item), BAD_CREDENTIAL, "{item:?}, {level:?}");
        }
    }
}

fn manifest_digest(
    plan: &RoundPlan,
    keys: &impl AsRef<[Option<chorus_crypto::seal::SealPublic>]>,
    root: &Digest,
    classes: &[u16],
) -> Digest {
    let mut bytes = plan.to_bytes();
    put_seq(&mut bytes, keys.as_ref());
    root.encode(&mut bytes);
    put_seq(&mut bytes, classes);
    digest_bytes(domain::OBJECT, &bytes)
}

#[test]
fn attack_03_a_contribution_under_another_manifest_is_refused() {
    let (town, poll) = town(4, 3, (PollKind::Value, 2));
    let (manifest, plan) = (town.manifest(poll.round), &town.round(poll.round).plan);
    let (keys, root) = (&manifest.keys, &manifest.root);
    assert_eq!(manifest_digest(plan, keys, root, &[]), manifest.digest, "what the manifest's digest is made of");
    let mut swapped = keys.clone();
    swapped.swap(0, 1);
    let mut missing = keys.clone();
    missing[3] = None;
    let mut items = plan.clone();
    if let Subject::Ballots(ballots) = &mut items.subject {
        ballots.items.reverse();
    }
    let others = [
        ("two keys swapped", manifest_digest(plan, &swapped, root, &[])),
        ("a key missing", manifest_digest(plan, &missing, root, &[])),
        ("the items in another order", manifest_digest(&items, keys, root, &[])),
        ("a longer round", manifest_digest(&RoundPlan { duration_millis: 1, ..plan.clone() }, keys, root, &[])),
        ("another snapshot", manifest_digest(plan, keys, &[9; 32], &[])),
        ("a class", manifest_digest(plan, keys, root, &[1])),
    ];
    for level in LEVELS {
        let forger = forger(&town, poll.round, 1, level);
        let verdict = |digest| verdict(&town, &cast(&forger.who(Cheat::Manifest(digest)), 5));
        assert_eq!(verdict(manifest.digest), Ok(()));
        for (what, digest) in others {
            assert_eq!(verdict(digest), Err(Fault::Proof), "{what}, {level:?}");
        }
    }
}

#[test]
fn attack_03_a_tag_of_another_scope_is_refused() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    let (community, policy) = (town.community.id(), town.community.genesis.policy_digest());
    let (root, round) = (town.manifest(poll.round).root, poll.round);
    let honest = scope(community, policy, root, round, Purpose::Vote);
    assert_eq!(honest, town.manifest(round).scope);
    let others = [
        ("another community", scope([9; 32].into(), policy, root, round, Purpose::Vote)),
        ("another policy", scope(community, [9; 32], root, round, Purpose::Vote)),
        ("another snapshot", scope(community, policy, [9; 32], round, Purpose::Vote)),
        ("another round", scope(community, policy, root, RoundId::from([9; 32]), Purpose::Vote)),
        ("a poll", scope(community, policy, root, poll.poll, Purpose::Vote)),
        ("an adapter", scope(community, policy, root, round, Purpose::Delta)),
        ("a proposal", scope(community, policy, root, round, Purpose::Propose(0))),
    ];
    for level in LEVELS {
        let forger = forger(&town, round, 1, level);
        assert_eq!(verdict(&town, &cast(&forger, 5)), Ok(()));
        for (what, scope) in others {
            let elsewhere = chorus_tests::malice::forge::Forger { scope, ..forger.clone() };
            assert_eq!(verdict(&town, &cast(&elsewhere, 5)), BAD_CREDENTIAL, "{what}, {level:?}");
        }
    }
}

/// The same people and operators under another name, or another policy.
fn sister(change: impl FnOnce(&mut Community)) -> (Town, Poll) {
    let mut community = Community::new(3, 4, 3, Policy::default());
    change(&mut community);
    let mut town = Town::new(community, 3);
    town.register_all();
    let poll = town.community.poll(PollKind::Value, 2, 60_000);
    town.open(&poll).expect("honest entries");
    (town, poll)
}

#[test]
fn attack_03_an_honest_contribution_is_good_for_its_round_alone() {
    let (mut home, poll) = sister(|_| {});
    let later = home.community.poll_by_class("And then?", (PollKind::Value, 2, 60_000), None);
    home.open(&later).expect("honest entries");
    let (abroad, abroad_poll) = sister(|community| community.genesis.name = "Elsewhere".into());
    let (reformed, reformed_poll) = sister(|community| community.genesis.policy.min_seen += 1);
    assert_eq!(home.manifest(poll.round).snapshot.leaves(), abroad.manifest(abroad_poll.round).snapshot.leaves());
    for level in LEVELS {
        let leaf = &home.community.people[0].leaf;
        let contributor = Contributor { level, ..Contributor::anonymous(leaf) };
        let round = home.round(poll.round);
        let votes = agree(&home, poll.round);
        let ballot = contributor.cast(&home.ledger, round, &votes, &mut rng(1)).expect("a ballot");
        let withdrawal = contributor.withdraw(&home.ledger, round, &mut rng(2)).expect("a withdrawal");
        for honest in [&ballot, &withdrawal] {
            assert_eq!(verdict(&home, honest), Ok(()));
            assert_eq!(verdict(&abroad, honest), Err(Fault::Unknown("round")));
            for (what, town, round) in [
                ("another round", &home, later.round),
                ("another community", &abroad, abroad_poll.round),
                ("another policy", &reformed, reformed_poll.round),
            ] {
                let replayed = with(honest, &Body { round, ..body(honest) });
                let verdict = verdict(town, &replayed);
                let refused = matches!(verdict, Err(Fault::Proof | Fault::Credential(CredentialError::Proof)));
                assert!(refused, "{what}, {level:?}: {verdict:?}");
            }
            let again = with(honest, &Body { sequence: 1, ..body(honest) });
            assert!(verdict(&home, &again).is_err(), "as a later attempt");
        }
    }
}

#[test]
fn attack_03_acknowledgements_are_good_for_their_community_and_header_alone() {
    let (mut home, poll) = sister(|_| {});
    let (mut abroad, abroad_poll) = sister(|community| community.genesis.name = "Elsewhere".into());
    let submission = cast(&forger(&home, poll.round, 0, Level::Anonymous), 1);
    let header = home.check(&submission).expect("an honest ballot").0.header;
    let sign = |town: &Town| {
        let bytes = header.acknowledged_bytes(town.community.id());
        let signed = |key: &chorus_crypto::sign::SecretKey| key.sign(domain::ACKNOWLEDGE, &bytes);
        (1u8..).zip(town.community.operators.iter().map(signed)).collect::<Vec<_>>()
    };
    let acknowledgements = sign(&home);
    let say = |town: &mut Town, header, acknowledgements| {
        let operator = town.community.operators[0].clone();
        town.say(&operator, Entry::Contribution(AcceptedContribution { header, acknowledgements }))
    };
    let moved = chorus_protocol::log::entry::ContributionHeader { round: abroad_poll.round, ..header.clone() };
    let later = chorus_protocol::log::entry::ContributionHeader { sequence: 1, ..header.clone() };

    assert!(matches!(say(&mut abroad, moved, acknowledgements.clone()), Err(Fault::Signature(_))));
    assert!(matches!(say(&mut home, later, acknowledgements.clone()), Err(Fault::Signature(_))));
    assert_eq!(say(&mut home, header.clone(), acknowledgements), Ok(()));
}
