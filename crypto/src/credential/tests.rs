use super::*;
use crate::{
    domain,
    group::{Base, Point},
    hash,
    transcript::Item,
};
use curve25519_dalek::Scalar;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

pub(super) const ATTRIBUTES: [u64; SLOTS] = [7, 3, 0, u64::MAX];

pub(super) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

pub(super) fn scope(name: &[u8]) -> Digest {
    hash::digest_bytes(domain::SCOPE, name)
}

pub(super) fn secret(seed: u8) -> LeafSecret {
    LeafSecret::random(ATTRIBUTES, &mut rng(seed))
}

fn statement(secret: &LeafSecret, scopes: &[&[u8]], disclosed: &[u8]) -> Statement {
    Statement {
        scopes: scopes.iter().map(|name| (scope(name), secret.tag(&scope(name)))).collect(),
        holder: Holder::Open(ShownLeaf { index: 17, leaf: secret.leaf() }),
        disclosed: disclosed.iter().map(|slot| (*slot, ATTRIBUTES[usize::from(*slot)])).collect(),
        group: None,
        snapshot_root: [8; 32],
    }
}

#[test]
fn each_coefficient_of_a_leaf_has_its_base() {
    let attributes = (0..4).map(Base::LeafAttribute);
    let expected = [Base::LeafSecret].into_iter().chain(attributes).chain([Base::LeafBlinding]);

    assert!((0..SLOTS + 2).map(leaf::base).eq(expected));
}

fn shown(index: u32, leaf: Leaf) -> Holder {
    Holder::Open(ShownLeaf { index, leaf })
}

/// The transcript of a contribution, as it stands when its credential's turn comes.
pub(super) fn transcript(contribution: u8, statement: &Statement) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Eligibility, statement);
    transcript.absorb(Item::Folds, &contribution);
    transcript
}

fn prove(statement: &Statement, secret: &LeafSecret) -> OpenCredential {
    OpenCredential::prove(&mut transcript(1, statement), statement, secret, &mut rng(9))
}

fn verify_in(contribution: u8, statement: &Statement, credential: &OpenCredential) -> Result<bool, CredentialError> {
    let mut batch = Batch::new(&[3; 32]);
    let credential = Credential::Open(credential.clone());
    credential.verify(&mut transcript(contribution, statement), statement, Rings::default(), &mut batch)?;
    Ok(batch.verify())
}

fn verify(statement: &Statement, credential: &OpenCredential) -> Result<bool, CredentialError> {
    verify_in(1, statement, credential)
}

#[test]
fn honest_credentials_verify_with_any_scopes_and_disclosures() {
    let secret = secret(1);
    for scopes in [[b"vote".as_slice()].as_slice(), &[b"vote", b"delta"]] {
        for disclosed in [[].as_slice(), &[0], &[3], &[1, 2], &[0, 1, 2, 3]] {
            let statement = statement(&secret, scopes, disclosed);

            let credential = prove(&statement, &secret);

            assert_eq!(verify(&statement, &credential), Ok(true));
            assert_eq!(Statement::from_bytes(&statement.to_bytes()), Ok(statement));
            let credential = Credential::Open(credential);
            assert_eq!(Credential::from_bytes(&credential.to_bytes()), Ok(credential));
        }
    }
}

#[test]
fn tags_are_equal_for_one_person_and_scope_only() {
    let (alice, bob) = (secret(1), secret(2));

    assert_eq!(alice.tag(&scope(b"vote")), alice.tag(&scope(b"vote")));
    assert_ne!(alice.tag(&scope(b"vote")), alice.tag(&scope(b"delta")));
    assert_ne!(alice.tag(&scope(b"vote")), bob.tag(&scope(b"vote")));
    // The tag follows the secret, not the leaf: another leaf of the same secret has the same tags.
    let mut bytes = alice.to_bytes();
    bytes[LeafSecret::LEN - 32] ^= 1;
    let moved = LeafSecret::from_bytes(bytes.as_ref()).expect("a reduced scalar");
    assert_ne!(moved.leaf(), alice.leaf());
    assert_eq!(moved.tag(&scope(b"vote")), alice.tag(&scope(b"vote")));
}

#[test]
fn a_tag_of_another_secret_is_refused() {
    let (alice, bob) = (secret(1), secret(2));
    for (leaf, tag) in [(&alice, &bob), (&bob, &alice)] {
        let mut claimed = statement(leaf, &[b"vote"], &[]);
        claimed.scopes[0].1 = tag.tag(&scope(b"vote"));
        // With the leaf's secret only the tag's equation fails, with the tag's only the leaf's.
        assert_eq!(verify(&claimed, &prove(&claimed, leaf)), Ok(false));
        assert_eq!(verify(&claimed, &prove(&claimed, tag)), Ok(false));
    }
    // One right tag does not carry a wrong one.
    let mut claimed = statement(&alice, &[b"vote", b"delta"], &[]);
    claimed.scopes[1].1 = bob.tag(&scope(b"delta"));
    assert_eq!(verify(&claimed, &prove(&claimed, &alice)), Ok(false));
}

#[test]
fn a_leaf_with_another_blinding_or_attribute_is_refused() {
    let alice = secret(1);
    for at in [32 + 7, LeafSecret::LEN - 32] {
        let mut bytes = alice.to_bytes();
        bytes[at] ^= 1;
        let other = LeafSecret::from_bytes(bytes.as_ref()).expect("a reduced scalar");
        // Same secret, same tags: only the leaf's equation fails.
        let mut claimed = statement(&alice, &[b"vote"], &[]);
        claimed.holder = shown(17, other.leaf());
        assert_eq!(verify(&claimed, &prove(&claimed, &alice)), Ok(false));
    }
}

#[test]
fn a_false_disclosure_is_refused() {
    let alice = secret(1);
    let mut claimed = statement(&alice, &[b"vote"], &[0, 3]);
    claimed.disclosed[0].1 += 1;

    assert_eq!(verify(&claimed, &prove(&claimed, &alice)), Ok(false));
}

#[test]
fn every_part_of_the_statement_is_bound() {
    let (alice, bob) = (secret(1), secret(2));
    let honest = statement(&alice, &[b"vote"], &[1]);
    let credential = prove(&honest, &alice);
    let changes: [&dyn Fn(&mut Statement); 7] = [
        &|statement| statement.scopes[0].0 = scope(b"delta"),
        &|statement| statement.scopes[0].1 = alice.tag(&scope(b"delta")),
        &|statement| statement.scopes[0] = (scope(b"delta"), alice.tag(&scope(b"delta"))),
        &|statement| statement.holder = shown(17, bob.leaf()),
        &|statement| statement.disclosed[0].1 += 1,
        &|statement| statement.disclosed[0].0 = 2,
        &|statement| statement.snapshot_root[0] ^= 1,
    ];
    assert_eq!(verify(&honest, &credential), Ok(true));
    for change in changes {
        let mut changed = honest.clone();
        change(&mut changed);
        assert_eq!(verify(&changed, &credential), Ok(false), "{changed:?}");
    }
    let mut changed = honest.clone();
    changed.holder = shown(18, alice.leaf());
    assert_eq!(verify(&changed, &credential), Err(CredentialError::LeafIndex { expected: 18, found: 17 }));
    let moved = OpenCredential { leaf_index: 18, ..credential.clone() };
    assert_eq!(verify(&changed, &moved), Ok(false));
    changed.disclosed.clear();
    assert!(matches!(verify(&changed, &moved), Err(CredentialError::Length { .. })));
}

#[test]
fn a_credential_signs_the_contribution_and_cannot_be_moved() {
    let alice = secret(1);
    let statement = statement(&alice, &[b"vote"], &[]);
    let credential = prove(&statement, &alice);

    assert_eq!(verify_in(1, &statement, &credential), Ok(true));
    assert_eq!(verify_in(2, &statement, &credential), Ok(false));
    // Also where a caller forgot to absorb the statement.
    let bare = || Transcript::new(domain::CONTRIBUTION);
    let credential = Credential::prove_open(&mut bare(), &statement, &alice, &mut rng(9));
    let mut other = statement.clone();
    other.snapshot_root[0] ^= 1;
    let mut batch = Batch::new(&[3; 32]);
    assert_eq!(credential.verify(&mut bare(), &other, Rings::default(), &mut batch), Ok(()));
    assert!(!batch.verify());
}

#[test]
fn every_part_of_the_proof_is_needed() {
    let alice = secret(1);
    let statement = statement(&alice, &[b"vote", b"delta"], &[1]);
    let honest = prove(&statement, &alice);
    let shifted = |point: Point| Point::from(point.decompress().expect("a point") + Base::Blinding.point());
    let changes: [&dyn Fn(&mut OpenCredential); 9] = [
        &|proof| proof.leaf_announcement = shifted(proof.leaf_announcement),
        &|proof| proof.leaf_announcement = Point::from([0; 32]),
        &|proof| proof.tag_announcements[0] = shifted(proof.tag_announcements[0]),
        &|proof| proof.tag_announcements[1] = Point::from([0; 32]),
        &|proof| proof.tag_announcements.swap(0, 1),
        &|proof| proof.secret += Scalar::ONE,
        &|proof| proof.attributes[2] += Scalar::ONE,
        &|proof| proof.attributes.swap(0, 1),
        &|proof| proof.blinding += Scalar::ONE,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert_eq!(verify(&statement, &changed), Ok(false), "change {index}");
    }
    let malformed: [&dyn Fn(&mut OpenCredential); 5] = [
        &|proof| proof.leaf_announcement = Point::from([0xFF; 32]),
        &|proof| proof.tag_announcements[1] = Point::from([0xFF; 32]),
        &|proof| proof.tag_announcements.truncate(1),
        &|proof| proof.attributes.truncate(2),
        &|proof| proof.attributes.push(Scalar::ZERO),
    ];
    for (index, change) in malformed.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert!(verify(&statement, &changed).is_err(), "change {index}");
    }
}

#[test]
fn the_identity_is_no_tag_and_no_leaf() {
    let alice = secret(1);
    let honest = statement(&alice, &[b"vote"], &[]);
    let credential = prove(&honest, &alice);
    let identity = Point::from([0; 32]);

    let mut changed = honest.clone();
    changed.scopes[0].1 = Tag::from(identity);
    let error = PointError::Identity;
    assert_eq!(verify(&changed, &credential), Err(CredentialError::Point { what: "tag", error }));
    let mut changed = honest.clone();
    changed.holder = shown(17, Leaf::from(identity));
    assert_eq!(verify(&changed, &credential), Err(CredentialError::Point { what: "leaf", error }));
    let mut changed = honest;
    changed.scopes[0].1 = Tag::from(Point::from([0xFF; 32]));
    let error = PointError::Invalid;
    assert_eq!(verify(&changed, &credential), Err(CredentialError::Point { what: "tag", error }));

    // The tag of a secret of zero would be the identity; there is no such secret.
    let mut bytes = alice.to_bytes();
    bytes[..32].fill(0);
    assert_eq!(LeafSecret::from_bytes(bytes.as_ref()).err(), Some(DecodeError::OutOfRange("leaf secret")));
}

#[test]
fn malformed_statements_are_refused_also_from_bytes() {
    let alice = secret(1);
    let honest = statement(&alice, &[b"vote"], &[1, 2]);
    let credential = prove(&honest, &alice);
    let malformed: [&dyn Fn(&mut Statement); 5] = [
        &|statement| statement.scopes.clear(),
        &|statement| statement.scopes = vec![statement.scopes[0]; MAX_SCOPES + 1],
        &|statement| statement.disclosed.swap(0, 1),
        &|statement| statement.disclosed[1] = statement.disclosed[0],
        &|statement| statement.disclosed[1].0 = 4,
    ];
    for (index, change) in malformed.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert!(verify(&changed, &credential).is_err(), "change {index}");
        assert!(Statement::from_bytes(&changed.to_bytes()).is_err(), "change {index}");
    }
    let mut bytes = Credential::Open(credential).to_bytes();
    bytes[0] = 3;
    assert_eq!(Credential::from_bytes(&bytes), Err(DecodeError::UnknownTag { of: "Credential", found: 3 }));
}

#[test]
fn an_open_credential_claims_no_group_and_fits_no_hidden_leaf() {
    let alice = secret(1);
    let honest = statement(&alice, &[b"vote"], &[]);
    let credential = prove(&honest, &alice);

    let mut changed = honest.clone();
    changed.group = Some(GroupClaim { scope: scope(b"vote"), ring: [1; 32], commitment: alice.leaf().into() });
    assert_eq!(verify(&changed, &credential), Err(CredentialError::Group));
    assert!(Statement::from_bytes(&changed.to_bytes()).is_err());
    let mut changed = honest;
    changed.holder = Holder::Ring(HiddenLeaf { cohort: 17, leaf: alice.leaf() });
    assert_eq!(verify(&changed, &credential), Err(CredentialError::Holder));
    let credential = Credential::Open(credential);
    assert_eq!((credential.holder(), credential.group()), (CredentialHolder::Open { leaf_index: 17 }, None));
}

#[test]
fn a_leaf_opening_holds_for_its_leaf_and_context_only() {
    let (alice, bob) = (secret(1), secret(2));
    let opening = alice.prove_opening(b"community, key, epoch 1", &[], &mut rng(4));
    let verify = |opening: &LeafOpening, leaf, context: &[u8]| opening.verify(&leaf, context, &[]);

    assert_eq!(verify(&opening, alice.leaf(), b"community, key, epoch 1"), Ok(()));
    assert_eq!(LeafOpening::from_bytes(&opening.to_bytes()), Ok(opening.clone()));
    assert_eq!(verify(&opening, alice.leaf(), b"community, key, epoch 2"), Err(CredentialError::Proof));
    assert_eq!(verify(&opening, bob.leaf(), b"community, key, epoch 1"), Err(CredentialError::Proof));
    let bytes = opening.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = LeafOpening::from_bytes(&changed)
            .is_ok_and(|opening| verify(&opening, alice.leaf(), b"community, key, epoch 1").is_ok());
        assert!(!refused, "byte {at}");
    }
    // A leaf made from somebody else's: without its opening nothing proves it.
    let (a, b) = (alice.leaf().decompress().expect("a leaf"), bob.leaf().decompress().expect("a leaf"));
    let stolen = Leaf::from(Point::from(a + b));
    assert_eq!(verify(&bob.prove_opening(b"", &[], &mut rng(5)), stolen, b""), Err(CredentialError::Proof));
    assert!(matches!(verify(&opening, Leaf::from(Point::from([0; 32])), b""), Err(CredentialError::Point { .. })));
}

#[test]
fn a_leaf_opening_shows_the_slots_it_says_and_no_other_value() {
    let alice = secret(1);
    let value = |slot: u8| (slot, ATTRIBUTES[usize::from(slot)]);
    for disclosed in [[].as_slice(), &[2], &[0, 3], &[1, 2, 3], &[0, 1, 2, 3]] {
        let opening = alice.prove_opening(b"context", disclosed, &mut rng(4));
        let pairs: Vec<_> = disclosed.iter().map(|slot| value(*slot)).collect();
        let verify = |pairs: &[(u8, u64)]| opening.verify(&alice.leaf(), b"context", pairs);

        assert_eq!(verify(&pairs), Ok(()));
        assert_eq!(LeafOpening::from_bytes(&opening.to_bytes()), Ok(opening.clone()));
        for at in 0..pairs.len() {
            let mut changed = pairs.clone();
            changed[at].1 ^= 1;
            assert_eq!(verify(&changed), Err(CredentialError::Proof));
            changed.remove(at);
            assert!(matches!(verify(&changed), Err(CredentialError::Length { .. })));
        }
    }
    // Another slot's opening does not pass for it, not even with an equal value.
    let twins = LeafSecret::random([5, 5, 0, 0], &mut rng(1));
    let opening = twins.prove_opening(b"context", &[0], &mut rng(4));
    assert_eq!(opening.verify(&twins.leaf(), b"context", &[(0, 5)]), Ok(()));
    assert_eq!(opening.verify(&twins.leaf(), b"context", &[(1, 5)]), Err(CredentialError::Proof));
    for malformed in [[(0, 5), (0, 5)], [(1, 5), (0, 5)], [(0, 5), (4, 0)]] {
        assert_eq!(opening.verify(&twins.leaf(), b"context", &malformed), Err(CredentialError::Disclosed));
    }
}

#[test]
fn a_leaf_secret_survives_its_bytes_and_is_not_printed() {
    let alice = secret(1);
    let read = LeafSecret::from_bytes(alice.to_bytes().as_ref()).expect("its own bytes");

    assert_eq!((read.leaf(), *read.attributes()), (alice.leaf(), ATTRIBUTES));
    assert_eq!(format!("{alice:?}"), "LeafSecret { .. }");
    assert!(LeafSecret::from_bytes(&alice.to_bytes()[1..]).is_err());
    assert!(LeafSecret::from_bytes(&[0xFF; LeafSecret::LEN]).is_err());
}
