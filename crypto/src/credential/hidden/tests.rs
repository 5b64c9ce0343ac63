use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    codec::{Decode as _, DecodeError, Encode as _},
    credential::{
        Credential, CredentialHolder, ShownLeaf,
        ring::tests::leaves,
        tests::{ATTRIBUTES, rng, scope, transcript},
    },
    group::PointError,
};

/// Some people among strangers, in a cohort and with their votes' tags in a group.
struct Community {
    people: Vec<LeafSecret>,
    leaves: Arc<Ring>,
    tags: Arc<Ring>,
}

impl Community {
    /// `size` members, of whom those at `places` are people and the others strangers.
    fn new(size: u32, places: &[usize]) -> Self {
        let people: Vec<_> =
            (1..).zip(places).map(|(seed, _)| LeafSecret::random(ATTRIBUTES, &mut rng(seed))).collect();
        let mut leaves = leaves(size);
        let mut tags: Vec<_> = leaves.iter().map(|leaf| Tag::from(Point::from(*leaf))).collect();
        for (place, person) in places.iter().zip(&people) {
            leaves[*place] = person.leaf();
            tags[leaves.len() - 1 - *place] = person.tag(&scope(b"vote"));
        }
        let leaves = Arc::new(Ring::of_leaves(&leaves).expect("a ring"));
        Self { people, leaves, tags: Arc::new(Ring::of_tags(&tags).expect("a ring")) }
    }

    fn rings(&self) -> Rings<'_> {
        Rings { leaves: Some(&self.leaves), group: Some(&self.tags) }
    }

    fn claim(&self, person: usize, hiding: &Hiding) -> GroupClaim {
        let commitment = hiding.group_commitment(&self.people[person], &scope(b"vote"));
        GroupClaim { scope: scope(b"vote"), ring: *self.tags.id(), commitment }
    }

    /// A statement about a person's delta, with the group of its vote.
    fn statement(&self, person: usize, hiding: &Hiding, disclosed: &[u8]) -> Statement {
        let secret = &self.people[person];
        Statement {
            scopes: vec![(scope(b"delta"), secret.tag(&scope(b"delta")))],
            holder: Holder::Ring(HiddenLeaf { cohort: 3, leaf: hiding.leaf(secret) }),
            disclosed: disclosed.iter().map(|slot| (*slot, ATTRIBUTES[usize::from(*slot)])).collect(),
            group: Some(self.claim(person, hiding)),
            snapshot_root: [8; 32],
        }
    }

    fn prove(&self, statement: &Statement, person: usize, hiding: &Hiding) -> RingCredential {
        let transcript = &mut transcript(1, statement);
        RingCredential::prove(transcript, statement, &self.people[person], hiding, self.rings(), &mut rng(9))
    }

    /// A proof by somebody who has less than what is needed.
    fn forge(&self, statement: &Statement, secret: &LeafSecret, hiding: &Hiding, at: (usize, usize)) -> RingCredential {
        let witness = Witness { secret, hiding, leaf: at.0, group: at.1 };
        RingCredential::prove_at(&mut transcript(1, statement), statement, &witness, self.rings(), &mut rng(9))
    }

    fn verify(&self, statement: &Statement, credential: &RingCredential) -> Result<bool, CredentialError> {
        verify_with(1, statement, credential, self.rings())
    }
}

fn verify_with(
    contribution: u8,
    statement: &Statement,
    credential: &RingCredential,
    rings: Rings<'_>,
) -> Result<bool, CredentialError> {
    let mut batch = Batch::new(&[3; 32]);
    credential.verify(&mut transcript(contribution, statement), statement, rings, &mut batch)?;
    Ok(batch.verify())
}

fn hiding(seed: u8) -> Hiding {
    Hiding::random(&mut rng(seed))
}

/// Alice at place 2 and Bob at place 5 of eleven, a statement about Alice, and its proof.
fn honest() -> (Community, Hiding, Statement, RingCredential) {
    let (community, hiding) = (Community::new(11, &[2, 5]), hiding(7));
    let statement = community.statement(0, &hiding, &[1]);
    let credential = community.prove(&statement, 0, &hiding);
    assert_eq!(community.verify(&statement, &credential), Ok(true));
    (community, hiding, statement, credential)
}

fn shifted(point: Point) -> Point {
    Point::from(point.decompress().expect("a point") + Base::LeafSecret.point())
}

#[test]
fn honest_credentials_verify_in_rings_of_every_shape_with_and_without_a_group() {
    for (size, place) in [(1, 0), (16, 15), (17, 16), (200, 77), (1024, 1023), (4096, 0)] {
        let (community, hiding) = (Community::new(size, &[place]), hiding(7));
        for (disclosed, grouped) in [([].as_slice(), false), (&[0, 3], true)] {
            let mut statement = community.statement(0, &hiding, disclosed);
            statement.group = statement.group.filter(|_| grouped);

            let credential = community.prove(&statement, 0, &hiding);

            assert_eq!(community.verify(&statement, &credential), Ok(true), "{size} {grouped}");
            assert_eq!(Statement::from_bytes(&statement.to_bytes()), Ok(statement.clone()));
            let credential = Credential::Ring(Box::new(credential));
            assert_eq!(
                credential.holder(),
                CredentialHolder::Ring(HiddenLeaf { cohort: 3, leaf: hiding.leaf(&community.people[0]) })
            );
            assert_eq!(credential.group(), statement.group.as_ref());
            assert_eq!(Credential::from_bytes(&credential.to_bytes()), Ok(credential));
        }
    }
}

#[test]
fn a_credential_has_the_promised_size() {
    for (size, bound) in [(1024, 1200), (4096, 1600)] {
        let (community, hiding) = (Community::new(size, &[9]), hiding(7));
        let mut statement = community.statement(0, &hiding, &[]);
        statement.group = None;

        let credential = Credential::Ring(Box::new(community.prove(&statement, 0, &hiding)));

        assert!(credential.to_bytes().len() <= bound, "{} bytes", credential.to_bytes().len());
    }
}

#[test]
fn the_tag_is_the_same_open_and_hidden_and_the_hidden_leaf_another_each_time() {
    let (community, _, statement, _) = honest();
    let open = Statement {
        holder: Holder::Open(ShownLeaf { index: 2, leaf: community.people[0].leaf() }),
        group: None,
        ..statement.clone()
    };
    let credential = Credential::prove_open(&mut transcript(1, &open), &open, &community.people[0], &mut rng(9));

    let mut batch = Batch::new(&[3; 32]);
    assert_eq!(credential.verify(&mut transcript(1, &open), &open, Rings::default(), &mut batch), Ok(()));
    assert!(batch.verify());
    let other = community.statement(0, &hiding(8), &[1]);
    assert_eq!((other.scopes[0], open.scopes[0]), (statement.scopes[0], statement.scopes[0]));
    assert_ne!(other.holder, statement.holder);
    assert_ne!(other.group, statement.group);
}

#[test]
fn every_part_of_the_statement_is_bound() {
    let (community, _, honest, credential) = honest();
    let bob = &community.people[1];
    let changes: [&dyn Fn(&mut Statement); 7] = [
        &|it| it.scopes[0].0 = scope(b"vote"),
        &|it| it.scopes[0].1 = community.people[0].tag(&scope(b"vote")),
        &|it| it.scopes[0].1 = bob.tag(&scope(b"delta")),
        &|it| it.scopes[0] = (scope(b"vote"), community.people[0].tag(&scope(b"vote"))),
        &|it| it.disclosed[0].1 += 1,
        &|it| it.disclosed[0].0 = 2,
        &|it| it.snapshot_root[0] ^= 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert_eq!(community.verify(&changed, &credential), Ok(false), "change {index}");
    }
    let mut changed = honest.clone();
    changed.disclosed.clear();
    assert!(matches!(community.verify(&changed, &credential), Err(CredentialError::Length { .. })));
    changed.scopes.clear();
    assert_eq!(community.verify(&changed, &credential), Err(CredentialError::Scopes(0)));
}

#[test]
fn what_the_credential_repeats_of_its_statement_is_bound_on_both_sides() {
    let (community, _, honest, credential) = honest();
    let holder = credential.holder;
    let bob = hiding(8).leaf(&community.people[1]);
    for changed in [HiddenLeaf { cohort: 4, ..holder }, HiddenLeaf { leaf: bob, ..holder }] {
        let statement = Statement { holder: Holder::Ring(changed), ..honest.clone() };
        assert_eq!(community.verify(&statement, &credential), Err(CredentialError::Holder));
        let credential = RingCredential { holder: changed, ..credential.clone() };
        assert_eq!(community.verify(&honest, &credential), Err(CredentialError::Holder));
        assert_eq!(community.verify(&statement, &credential), Ok(false));
    }
    let claim = honest.group.expect("a claim");
    for changed in [
        GroupClaim { scope: scope(b"delta"), ..claim },
        GroupClaim { commitment: shifted(claim.commitment), ..claim },
        GroupClaim { ring: *community.leaves.id(), ..claim },
    ] {
        let statement = Statement { group: Some(changed), ..honest.clone() };
        assert_eq!(community.verify(&statement, &credential), Err(CredentialError::Group));
        let mut credential = credential.clone();
        credential.group.as_mut().expect("a group").claim = changed;
        assert_eq!(community.verify(&honest, &credential), Err(CredentialError::Group));
        let refused = if changed.ring == claim.ring { Ok(false) } else { Err(CredentialError::Ring("tags")) };
        assert_eq!(community.verify(&statement, &credential), refused);
    }
    let without = Statement { group: None, ..honest.clone() };
    assert_eq!(community.verify(&without, &credential), Err(CredentialError::Group));
    let stripped = RingCredential { group: None, ..credential.clone() };
    assert_eq!(community.verify(&honest, &stripped), Err(CredentialError::Group));
    assert_eq!(community.verify(&without, &stripped), Ok(false));
    let shown = ShownLeaf { index: 2, leaf: community.people[0].leaf() };
    let open = Statement { holder: Holder::Open(shown), ..without };
    assert_eq!(community.verify(&open, &credential), Err(CredentialError::Holder));
}

#[test]
fn the_right_rings_are_needed() {
    let (community, _, statement, credential) = honest();
    let (leaves, group) = (Some(&community.leaves), Some(&community.tags));
    let refused = |leaves, group| verify_with(1, &statement, &credential, Rings { leaves, group });

    assert_eq!(refused(leaves, group), Ok(true));
    assert_eq!(refused(None, group), Err(CredentialError::Ring("leaves")));
    assert_eq!(refused(group, group), Err(CredentialError::Ring("leaves")));
    assert_eq!(refused(leaves, None), Err(CredentialError::Ring("tags")));
    assert_eq!(refused(leaves, leaves), Err(CredentialError::Ring("tags")));
    // Alice and Bob are in all of these, at the same places: among other strangers, or fewer.
    let fewer = Community::new(10, &[2, 5]);
    assert_eq!(refused(leaves, Some(&fewer.tags)), Err(CredentialError::Ring("tags")));
    assert_eq!(refused(Some(&fewer.leaves), group), Ok(false));
    let larger = Community::new(17, &[2, 5]);
    assert!(matches!(refused(Some(&larger.leaves), group), Err(CredentialError::Length { .. })));
}

#[test]
fn every_part_of_the_proof_is_needed() {
    let (community, _, statement, honest) = honest();
    fn group(credential: &mut RingCredential) -> &mut GroupProof {
        credential.group.as_mut().expect("a group")
    }
    // A response that stands in one equation breaks just that one, in this order: the leaf's; κ's; of the membership in
    // the cohort, the digits', the products' and the members'; and of that in the group.
    let changes: [&dyn Fn(&mut RingCredential); 26] = [
        &|it| it.blinding += Scalar::ONE,
        &|it| group(it).blinding += Scalar::ONE,
        &|it| it.membership.digit_blinding += Scalar::ONE,
        &|it| it.membership.product_blinding += Scalar::ONE,
        &|it| it.membership.blinding += Scalar::ONE,
        &|it| group(it).membership.digit_blinding += Scalar::ONE,
        &|it| group(it).membership.product_blinding += Scalar::ONE,
        &|it| group(it).membership.blinding += Scalar::ONE,
        &|it| it.secret += Scalar::ONE,
        &|it| it.attributes[1] += Scalar::ONE,
        &|it| it.attributes.swap(0, 2),
        &|it| it.membership.digits[3] += Scalar::ONE,
        &|it| group(it).membership.digits[0] += Scalar::ONE,
        &|it| it.leaf_announcement = shifted(it.leaf_announcement),
        &|it| it.leaf_announcement = Point::from([0; 32]),
        &|it| it.tag_announcements[0] = shifted(it.tag_announcements[0]),
        &|it| group(it).announcement = shifted(group(it).announcement),
        &|it| it.membership.commitments.masks = shifted(it.membership.commitments.masks),
        &|it| it.membership.commitments.digits = shifted(it.membership.commitments.digits),
        &|it| it.membership.commitments.products = shifted(it.membership.commitments.products),
        &|it| it.membership.commitments.squares = shifted(it.membership.commitments.squares),
        &|it| it.membership.commitments.lower[0] = shifted(it.membership.commitments.lower[0]),
        &|it| it.membership.commitments.lower.swap(0, 1),
        &|it| group(it).membership.commitments.digits = shifted(group(it).membership.commitments.digits),
        &|it| group(it).membership.commitments.lower[1] = shifted(group(it).membership.commitments.lower[1]),
        &|it| group(it).membership = it.membership.clone(),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert_eq!(community.verify(&statement, &changed), Ok(false), "change {index}");
    }
    let malformed: [&dyn Fn(&mut RingCredential); 9] = [
        &|it| it.leaf_announcement = Point::from([0xFF; 32]),
        &|it| it.tag_announcements[0] = Point::from([0xFF; 32]),
        &|it| group(it).announcement = Point::from([0xFF; 32]),
        &|it| group(it).membership.commitments.squares = Point::from([0xFF; 32]),
        &|it| it.tag_announcements.clear(),
        &|it| it.attributes.truncate(2),
        &|it| it.attributes.push(Scalar::ZERO),
        &|it| it.membership.digits.truncate(5),
        &|it| group(it).membership.commitments.lower.truncate(1),
    ];
    for (index, change) in malformed.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert!(community.verify(&statement, &changed).is_err(), "change {index}");
    }
}

#[test]
fn every_byte_of_a_credential_matters_and_no_length_but_its_own_decodes() {
    let (community, _, statement, honest) = honest();
    let bytes = honest.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let accepted =
            RingCredential::from_bytes(&changed).is_ok_and(|it| community.verify(&statement, &it) == Ok(true));
        assert!(!accepted, "byte {at}");
        assert!(RingCredential::from_bytes(&bytes[..at]).is_err());
    }
    assert_eq!(RingCredential::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(DecodeError::Trailing(1)));
}

#[test]
fn scalars_that_are_not_reduced_and_counts_over_the_bound_do_not_decode() {
    let (_, _, _, honest) = honest();
    let bytes = honest.to_bytes();
    // 36 bytes of holder, then A to D, and two X_t behind their count.
    let (lower, digits) = (36 + 128, 36 + 128 + 4 + 64);
    for (at, count) in [(lower, 6u32), (digits, 29)] {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&count.to_be_bytes());
        assert!(matches!(RingCredential::from_bytes(&changed), Err(DecodeError::TooLong { .. })), "{at}");
    }
    let mut changed = bytes;
    // ℓ in little-endian bytes: zero, not reduced.
    changed[digits + 4..digits + 36].copy_from_slice(&(-Scalar::ONE).to_bytes());
    changed[digits + 4] += 1;
    assert_eq!(RingCredential::from_bytes(&changed), Err(DecodeError::NonCanonical("scalar")));
}

#[test]
fn an_outsider_cannot_prove() {
    let (community, hiding, honest, _) = honest();
    let mallory = LeafSecret::random(ATTRIBUTES, &mut rng(50));
    let mut claimed = honest.clone();
    claimed.scopes[0].1 = mallory.tag(&scope(b"delta"));
    claimed.group = None;
    for (leaf, place) in [
        // The own leaf, which is not in the cohort: only the cohort's equation fails.
        (hiding.leaf(&mallory), 2),
        // Alice's leaf, whose opening is missing: only the leaf's equation fails.
        (hiding.leaf(&community.people[0]), 2),
    ] {
        claimed.holder = Holder::Ring(HiddenLeaf { cohort: 3, leaf });
        let forged = community.forge(&claimed, &mallory, &hiding, (place, 0));
        assert_eq!(community.verify(&claimed, &forged), Ok(false));
    }
}

#[test]
fn a_tag_of_another_secret_is_refused() {
    let (community, hiding, honest, _) = honest();
    let mut claimed = Statement { group: None, ..honest };
    claimed.scopes[0].1 = community.people[1].tag(&scope(b"delta"));
    // With Alice's secret only the tag's equation fails, with Bob's only the leaf's.
    for person in &community.people {
        let forged = community.forge(&claimed, person, &hiding, (2, 0));
        assert_eq!(community.verify(&claimed, &forged), Ok(false));
    }
    // One right tag does not carry a wrong one.
    claimed.scopes.insert(0, (scope(b"vote"), community.people[0].tag(&scope(b"vote"))));
    let forged = community.forge(&claimed, &community.people[0], &hiding, (2, 0));
    assert_eq!(community.verify(&claimed, &forged), Ok(false));
}

#[test]
fn a_false_disclosure_is_refused() {
    let (community, hiding, mut claimed, _) = honest();
    claimed.disclosed[0].1 += 1;

    assert_eq!(community.verify(&claimed, &community.prove(&claimed, 0, &hiding)), Ok(false));
}

#[test]
fn a_padding_position_proves_nothing() {
    let (community, hiding, honest, _) = honest();
    let mallory = LeafSecret::random(ATTRIBUTES, &mut rng(50));
    for place in 11..16 {
        let leaf = Point::from(community.leaves.points()[place] + Base::LeafBlinding.point() * hiding.leaf);
        let mut claimed = Statement { group: None, ..honest.clone() };
        claimed.holder = Holder::Ring(HiddenLeaf { cohort: 3, leaf: Leaf::from(leaf) });
        claimed.scopes[0].1 = mallory.tag(&scope(b"delta"));

        // Membership holds: padding stands in the ring. The opening of it does not.
        let forged = community.forge(&claimed, &mallory, &hiding, (place, 0));

        assert_eq!(community.verify(&claimed, &forged), Ok(false), "place {place}");
    }
}

#[test]
fn a_leaf_made_from_others_leaves_proves_nothing() {
    let hiding = hiding(7);
    let community = Community::new(11, &[2, 5]);
    let [alice, bob] = [0, 1].map(|person: usize| community.people[person].leaf().decompress().expect("a leaf"));
    let mut members = leaves(11);
    members[4] = Leaf::from(Point::from(alice + bob));
    let ring = Arc::new(Ring::of_leaves(&members).expect("a ring"));
    let rings = Rings { leaves: Some(&ring), group: None };
    for secret in [&community.people[1], &LeafSecret::random(ATTRIBUTES, &mut rng(50))] {
        let leaf = Leaf::from(Point::from(alice + bob + Base::LeafBlinding.point() * hiding.leaf));
        let statement = Statement {
            scopes: vec![(scope(b"delta"), secret.tag(&scope(b"delta")))],
            holder: Holder::Ring(HiddenLeaf { cohort: 3, leaf }),
            disclosed: Vec::new(),
            group: None,
            snapshot_root: [8; 32],
        };
        let witness = Witness { secret, hiding: &hiding, leaf: 4, group: 0 };

        let forged = RingCredential::prove_at(&mut transcript(1, &statement), &statement, &witness, rings, &mut rng(9));

        assert_eq!(verify_with(1, &statement, &forged, rings), Ok(false));
    }
}

#[test]
fn only_the_own_tag_counts_for_a_group() {
    let (community, hiding, honest, _) = honest();
    let [alice, bob] = [&community.people[0], &community.people[1]];
    // Bob's tag stands at place 5 of the group, Alice's at 8 (the group's order is the cohort's reversed).
    let tag = |person: &LeafSecret| person.tag(&scope(b"vote")).decompress().expect("a tag");
    let commitment = Point::from(tag(bob) + Base::LeafBlinding.point() * hiding.group);
    let claim = honest.group.expect("a claim");

    // K′ from Bob's tag: only the equation of K′ fails.
    let claimed = Statement { group: Some(GroupClaim { commitment, ..claim }), ..honest.clone() };
    assert_eq!(community.verify(&claimed, &community.forge(&claimed, alice, &hiding, (2, 5))), Ok(false));
    // K′ from the own tag, which does not stand there: only the group's equation fails.
    assert_eq!(community.verify(&honest, &community.forge(&honest, alice, &hiding, (2, 5))), Ok(false));
    assert_eq!(community.verify(&honest, &community.forge(&honest, alice, &hiding, (2, 8))), Ok(true));
    // The tag of another scope is none of the ring's.
    let commitment = hiding.group_commitment(alice, &scope(b"other"));
    let claimed = Statement { group: Some(GroupClaim { scope: scope(b"other"), commitment, ..claim }), ..honest };
    assert_eq!(community.verify(&claimed, &community.forge(&claimed, alice, &hiding, (2, 8))), Ok(false));
}

#[test]
fn the_identity_is_no_tag_no_hidden_leaf_and_no_commitment() {
    let (community, _, honest, credential) = honest();
    let (identity, error) = (Point::from([0; 32]), PointError::Identity);

    let mut changed = honest.clone();
    changed.scopes[0].1 = Tag::from(identity);
    assert_eq!(community.verify(&changed, &credential), Err(CredentialError::Point { what: "tag", error }));
    let holder = HiddenLeaf { cohort: 3, leaf: Leaf::from(identity) };
    let changed = Statement { holder: Holder::Ring(holder), ..honest.clone() };
    let moved = RingCredential { holder, ..credential.clone() };
    assert_eq!(community.verify(&changed, &moved), Err(CredentialError::Point { what: "leaf", error }));
    let (mut changed, mut moved) = (honest, credential);
    changed.group.as_mut().expect("a claim").commitment = identity;
    moved.group.as_mut().expect("a group").claim.commitment = identity;
    assert_eq!(community.verify(&changed, &moved), Err(CredentialError::Point { what: "group commitment", error }));
}

#[test]
fn a_credential_signs_the_contribution_and_cannot_be_moved() {
    let (community, _, statement, credential) = honest();

    assert_eq!(verify_with(1, &statement, &credential, community.rings()), Ok(true));
    assert_eq!(verify_with(2, &statement, &credential, community.rings()), Ok(false));
}

/// What the documentation says a challenge is drawn after: the transcript of the contribution is the first message.
fn messages(community: &Community, statement: &Statement, it: &RingCredential) -> Vec<(Item, Vec<u8>)> {
    let group = it.group.as_ref().expect("a group");
    let tags = [1u32.to_bytes(), it.tag_announcements[0].to_bytes()].concat();
    vec![
        (Item::Statement, statement.to_bytes()),
        (Item::Ring, community.leaves.id().to_bytes()),
        (Item::Ring, community.tags.id().to_bytes()),
        (Item::Membership, it.membership.commitments.to_bytes()),
        (Item::Membership, group.membership.commitments.to_bytes()),
        (Item::Announcement, it.leaf_announcement.to_bytes()),
        (Item::Announcement, tags),
        (Item::Announcement, group.announcement.to_bytes()),
    ]
}

/// Bytes that are absorbed as they are.
struct Raw<'a>(&'a [u8]);

impl crate::codec::Encode for Raw<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[test]
fn the_challenge_depends_on_every_message_of_the_documented_transcript() {
    let (community, _, statement, credential) = honest();
    let holds = |contribution: u8, messages: &[(Item, Vec<u8>)]| {
        let mut transcript = transcript(contribution, &statement);
        messages.iter().for_each(|(item, bytes)| transcript.absorb(*item, &Raw(bytes)));
        let challenge = transcript.challenge(Item::CredentialChallenge);
        let point = |point: Point| point.decompress().expect("a point");
        // z_s·H2G(scope) = A_1 + e·τ
        let tag = point(statement.scopes[0].1.into());
        Tag::base(&scope(b"delta")) * credential.secret == point(credential.tag_announcements[0]) + tag * challenge
    };
    let documented = messages(&community, &statement, &credential);

    assert!(holds(1, &documented));
    assert!(!holds(2, &documented));
    for at in 0..documented.len() {
        let mut skipped = documented.clone();
        skipped.remove(at);
        assert!(!holds(1, &skipped), "skipped {at}");
        for byte in [0, documented[at].1.len() - 1] {
            let mut changed = documented.clone();
            changed[at].1[byte] ^= 1;
            assert!(!holds(1, &changed), "changed {at}");
        }
        let mut swapped = documented.clone();
        swapped.swap(at, (at + 1) % documented.len());
        assert!(!holds(1, &swapped), "swapped {at}");
    }
}

#[test]
fn opposite_errors_of_two_credentials_do_not_cancel() {
    let (community, _, statement, honest) = honest();
    let mut batch = Batch::new(&[3; 32]);
    for error in [Scalar::ONE, -Scalar::ONE] {
        let changed = RingCredential { blinding: honest.blinding + error, ..honest.clone() };
        let verified = changed.verify(&mut transcript(1, &statement), &statement, community.rings(), &mut batch);
        assert_eq!(verified, Ok(()));
    }

    assert!(!batch.verify());
}

#[test]
fn merged_batches_over_one_ring_hold_iff_each_does() {
    let (community, _, statement, honest) = honest();
    let bob = community.statement(1, &hiding(8), &[]);
    let others = community.prove(&bob, 1, &hiding(8));
    let batch = |seed, statement: &Statement, credential: &RingCredential| {
        let mut batch = Batch::new(&[seed; 32]);
        let verified = credential.verify(&mut transcript(1, statement), statement, community.rings(), &mut batch);
        assert_eq!(verified, Ok(()));
        batch
    };
    let mut wrong = others.clone();
    wrong.membership.blinding += Scalar::ONE;
    for (others, holds) in [(&others, true), (&wrong, false)] {
        let mut merged = batch(1, &statement, &honest);
        merged.merge(batch(2, &bob, others));

        assert_eq!(batch(2, &bob, others).verify(), holds);
        assert_eq!(merged.verify(), holds);
    }
}

#[test]
fn nonces_differ_between_runs_and_statements() {
    let (community, hiding, statement, _) = honest();
    let announced = |contribution, seed| {
        let transcript = &mut transcript(contribution, &statement);
        let (secret, rings) = (&community.people[0], community.rings());
        let it = RingCredential::prove(transcript, &statement, secret, &hiding, rings, &mut rng(seed));
        let group = it.group.expect("a group");
        let lower = [it.membership.commitments.lower, group.membership.commitments.lower].concat();
        [vec![it.leaf_announcement, it.tag_announcements[0], group.announcement], lower].concat()
    };
    let honest = announced(1, 9);

    assert_eq!(announced(1, 9), honest);
    for other in [announced(2, 9), announced(1, 10)] {
        assert!(other.iter().all(|point| !honest.contains(point)));
    }
    let distinct: std::collections::BTreeSet<_> = honest.iter().collect();
    assert_eq!(distinct.len(), honest.len());
}

#[test]
fn nonces_differ_for_every_part_of_the_witness() {
    let (community, honest, statement, _) = honest();
    let other = hiding(8);
    let announced = |person: usize, leaf, group| {
        let hiding = Hiding { leaf, group };
        community.forge(&statement, &community.people[person], &hiding, (2, 8)).leaf_announcement
    };

    let announcements = [
        announced(0, honest.leaf, honest.group),
        announced(1, honest.leaf, honest.group),
        announced(0, other.leaf, honest.group),
        announced(0, honest.leaf, other.group),
    ];

    let distinct: std::collections::BTreeSet<_> = announcements.iter().collect();
    assert_eq!(distinct.len(), announcements.len());
}

#[test]
#[should_panic(expected = "a prover's leaf stands in its cohort")]
fn an_outsider_is_told_so_by_the_prover() {
    let (community, hiding, mut statement, _) = honest();
    let mallory = LeafSecret::random(ATTRIBUTES, &mut rng(50));
    statement.holder = Holder::Ring(HiddenLeaf { cohort: 3, leaf: hiding.leaf(&mallory) });
    statement.group = None;
    let transcript = &mut transcript(1, &statement);

    RingCredential::prove(transcript, &statement, &mallory, &hiding, community.rings(), &mut rng(9));
}

#[test]
fn what_hides_is_not_printed() {
    assert_eq!(format!("{:?}", hiding(1)), "Hiding { .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever stands anywhere in a cohort of any size proves it, and no bit of the proof can be flipped.
    #[test]
    fn every_member_of_every_cohort_proves_membership(
        size in 1u32..300, place: prop::sample::Index, grouped: bool, flip: prop::sample::Index, bit in 0u8..8,
    ) {
        let (community, hiding) = (Community::new(size, &[place.index(size as usize)]), hiding(7));
        let mut statement = community.statement(0, &hiding, &[2]);
        statement.group = statement.group.filter(|_| grouped);

        let credential = community.prove(&statement, 0, &hiding);

        prop_assert_eq!(community.verify(&statement, &credential), Ok(true));
        let mut bytes = credential.to_bytes();
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let accepted = RingCredential::from_bytes(&bytes).is_ok_and(|it| community.verify(&statement, &it) == Ok(true));
        prop_assert!(!accepted, "bit {} of byte {}", bit, at);
    }
}
