use super::*;
use crate::{credential::tests::scope, group::PointError};

/// Members of which nobody knows an opening: enough for what a ring computes by itself.
pub(in crate::credential) fn leaves(count: u32) -> Vec<Leaf> {
    let leaf = |index: u32| hash::to_group(domain::SCOPE, &index.to_be_bytes());
    (0..count).map(|index| Leaf::from(Point::from(leaf(index)))).collect()
}

fn tags(count: u32) -> Vec<Tag> {
    leaves(count).into_iter().map(|leaf| Tag::from(Point::from(leaf))).collect()
}

#[test]
fn a_ring_takes_the_smallest_shape_that_holds_its_members() {
    let shapes = [(1, 4, 2), (16, 4, 2), (17, 4, 3), (64, 4, 3), (65, 4, 4), (256, 4, 4), (257, 4, 5), (1024, 4, 5)];
    for (count, base, digits) in shapes.into_iter().chain([(1025, 8, 4), (4096, 8, 4)]) {
        let ring = Ring::of_leaves(&leaves(count)).expect("a ring");

        assert_eq!((ring.shape().base(), ring.shape().digits()), (base, digits), "{count}");
        assert_eq!((ring.len(), ring.size()), (count as usize, base.pow(u32::try_from(digits).expect("few"))));
        assert_eq!(ring.points().len(), ring.size());
    }
    assert_eq!(Ring::of_leaves(&[]).err(), Some(CredentialError::RingSize(0)));
    assert_eq!(Ring::of_leaves(&leaves(4097)).err(), Some(CredentialError::RingSize(4097)));
}

#[test]
fn the_id_is_the_digest_of_kind_shape_count_and_members() {
    let members = leaves(20);
    let mut input = vec![1, 4, 3, 0, 0, 0, 20];
    input.extend(members.iter().flat_map(|leaf| *leaf.as_bytes()));
    let id = |members: &[Leaf]| *Ring::of_leaves(members).expect("a ring").id();

    assert_eq!(id(&members), hash::digest_bytes(domain::RING, &input));
    input[0] = 2;
    assert_eq!(*Ring::of_tags(&tags(20)).expect("a ring").id(), hash::digest_bytes(domain::RING, &input));
    let mut swapped = members.clone();
    swapped.swap(3, 4);
    assert_ne!(id(&swapped), id(&members));
    assert_ne!(id(&members[..19]), id(&members));
    // A ring that spells the padding out has the same points, and another id.
    let padded: Vec<_> = Ring::of_leaves(&members)
        .expect("a ring")
        .points()
        .iter()
        .map(|point| Leaf::from(Point::from(*point)))
        .collect();
    assert_ne!(id(&padded), id(&members));
}

#[test]
fn padding_is_hashed_from_the_position_and_is_no_member() {
    let ring = Ring::of_leaves(&leaves(5)).expect("a ring");
    for position in 5..16u32 {
        let padding = hash::to_group(domain::PADDING, &position.to_be_bytes());

        assert_eq!(ring.points()[position as usize], padding);
        assert_eq!(ring.position(&padding.into()), None);
    }
}

#[test]
fn every_member_is_found_at_its_position() {
    let members = leaves(70);
    let ring = Ring::of_leaves(&members).expect("a ring");

    for (position, member) in members.iter().enumerate() {
        assert_eq!(ring.position(&Point::from(*member)), Some(position));
    }
    assert_eq!(ring.position(&Point::from(leaves(71)[70])), None);
    assert_eq!(ring.position(&Point::from([0xFF; 32])), None);
}

#[test]
fn members_that_are_no_points_or_the_identity_are_refused() {
    for (bytes, error) in [([0; 32], PointError::Identity), ([0xFF; 32], PointError::Invalid)] {
        let (mut leaves, mut tags) = (leaves(4), tags(4));
        leaves[2] = Leaf::from(Point::from(bytes));
        tags[3] = Tag::from(Point::from(bytes));

        assert_eq!(Ring::of_leaves(&leaves).err(), Some(CredentialError::Point { what: "leaf", error }));
        assert_eq!(Ring::of_tags(&tags).err(), Some(CredentialError::Point { what: "tag", error }));
    }
}

#[test]
fn a_ring_prints_no_points() {
    let ring = Ring::of_leaves(&leaves(3)).expect("a ring");

    assert_eq!(format!("{ring:?}"), "Ring { kind: Leaves, members: 3, size: 16, .. }");
    assert_ne!(ring.id(), &scope(b""));
}
