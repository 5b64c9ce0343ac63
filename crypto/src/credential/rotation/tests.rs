use super::*;
use crate::{
    codec::{Decode as _, Encode as _},
    credential::tests::{ATTRIBUTES, rng, scope, secret},
    group::PointError,
};

#[test]
fn a_rotated_leaf_has_the_same_attributes_and_other_tags() {
    let old = secret(1);
    let new = old.rotated(&mut rng(2));

    let proof = Rotation::prove(&old, &new, b"epoch 2", &mut rng(3));

    assert_eq!(proof.verify(&old.leaf(), &new.leaf(), b"epoch 2"), Ok(()));
    assert_eq!(new.attributes(), old.attributes());
    assert_ne!(new.leaf(), old.leaf());
    assert_ne!(new.tag(&scope(b"vote")), old.tag(&scope(b"vote")));
    assert_eq!(Rotation::from_bytes(&proof.to_bytes()), Ok(proof));
}

#[test]
fn a_rotation_that_changes_an_attribute_is_refused() {
    let old = secret(1);
    for slot in 0..SLOTS {
        let mut attributes = ATTRIBUTES;
        attributes[slot] ^= 1;
        let new = LeafSecret::random(attributes, &mut rng(2));

        let proof = Rotation::prove(&old, &new, b"epoch 2", &mut rng(3));

        assert_eq!(proof.verify(&old.leaf(), &new.leaf(), b"epoch 2"), Err(CredentialError::Proof), "slot {slot}");
        // Neither does it prove the other way round, where the responses would fit the new leaf.
        let proof = Rotation::prove(&new, &old, b"epoch 2", &mut rng(3));
        assert_eq!(proof.verify(&new.leaf(), &old.leaf(), b"epoch 2"), Err(CredentialError::Proof), "slot {slot}");
    }
}

#[test]
fn a_rotation_holds_for_its_leaves_and_context_only() {
    let (old, other) = (secret(1), secret(9));
    let new = old.rotated(&mut rng(2));
    let proof = Rotation::prove(&old, &new, b"epoch 2", &mut rng(3));

    for (old, new, context) in [
        (old.leaf(), new.leaf(), b"epoch 3"),
        (new.leaf(), old.leaf(), b"epoch 2"),
        (old.leaf(), other.leaf(), b"epoch 2"),
        (other.leaf(), new.leaf(), b"epoch 2"),
    ] {
        assert_eq!(proof.verify(&old, &new, context), Err(CredentialError::Proof));
    }
    // Without the opening of either leaf there is no proof.
    let stolen = Rotation::prove(&other, &new, b"epoch 2", &mut rng(3));
    assert_eq!(stolen.verify(&old.leaf(), &new.leaf(), b"epoch 2"), Err(CredentialError::Proof));
    let stolen = Rotation::prove(&old, &other, b"epoch 2", &mut rng(3));
    assert_eq!(stolen.verify(&old.leaf(), &new.leaf(), b"epoch 2"), Err(CredentialError::Proof));
}

#[test]
fn every_byte_of_a_rotation_matters() {
    let old = secret(1);
    let new = old.rotated(&mut rng(2));
    let bytes = Rotation::prove(&old, &new, b"epoch 2", &mut rng(3)).to_bytes();

    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let accepted = Rotation::from_bytes(&changed)
            .is_ok_and(|proof| proof.verify(&old.leaf(), &new.leaf(), b"epoch 2").is_ok());
        assert!(!accepted, "byte {at}");
    }
}

#[test]
fn malformed_rotations_are_refused() {
    let old = secret(1);
    let new = old.rotated(&mut rng(2));
    let honest = Rotation::prove(&old, &new, b"epoch 2", &mut rng(3));
    let identity = Leaf::from(Point::from([0; 32]));
    let error = CredentialError::Point { what: "leaf", error: PointError::Identity };

    assert_eq!(honest.verify(&identity, &new.leaf(), b"epoch 2"), Err(error));
    assert_eq!(honest.verify(&old.leaf(), &identity, b"epoch 2"), Err(error));
    for count in [SLOTS - 1, SLOTS + 1] {
        let mut changed = honest.clone();
        changed.attributes.resize(count, Scalar::ZERO);
        let error = CredentialError::Length { what: "responses", expected: SLOTS, found: count };
        assert_eq!(changed.verify(&old.leaf(), &new.leaf(), b"epoch 2"), Err(error));
    }
}

#[test]
fn nonces_differ_between_runs_and_statements() {
    let old = secret(1);
    let new = old.rotated(&mut rng(2));
    let announcement = |context: &[u8], seed| Rotation::prove(&old, &new, context, &mut rng(seed)).old_announcement;

    assert_eq!(announcement(b"a", 3), announcement(b"a", 3));
    assert_ne!(announcement(b"a", 3), announcement(b"b", 3));
    assert_ne!(announcement(b"a", 3), announcement(b"a", 4));
}
