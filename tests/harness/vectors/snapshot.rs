//! Snapshots: Merkle root, ring and padding of a few leaves; root and cohorts of many.

use chorus_crypto::{
    codec::Encode as _,
    credential::{Leaf, LeafSecret, Ring},
    domain,
    group::Point,
    hash::{self, Digest, to_group},
};
use chorus_protocol::registry::{merkle::InclusionProof, snapshot::Snapshot};

use super::{Refused, Seq, Suite, Values, proof::point_plus, require, rng, shorten};

const FIVE: &str = "five leaves";
const ONE: &str = "one leaf";
const FULL: &str = "sixteen leaves, no padding";
const MORE: &str = "seventeen leaves";
const MANY: &str = "five thousand leaves";
const SOME: &str = "nine leaves";

fn padding(members: usize, size: usize) -> Seq<Point> {
    let place = |place| u32::try_from(place).expect("a ring has at most 4,096 places");
    let point = |index| Point::from(to_group(domain::PADDING, &place(index).to_be_bytes()));
    Seq((members..size).map(point).collect())
}

fn values(name: &str, count: usize, shown: usize) -> Values {
    let mut rng = rng(name);
    values_of((0..count).map(|_| LeafSecret::random([0; 4], &mut rng).leaf()).collect(), shown)
}

fn values_of(leaves: Vec<Leaf>, shown: usize) -> Values {
    let count = leaves.len();
    let policy: Digest = hash::content(b"policy");
    let snapshot = Snapshot::new(leaves, policy, [0; 32]);
    let ring = Ring::of_leaves(snapshot.leaves()).expect("a ring");
    Values::default()
        .encoded("leaves", &Seq(snapshot.leaves().to_vec()))
        .encoded("policy", &policy)
        .encoded("root", &snapshot.root())
        .encoded("ring", ring.id())
        .encoded("padding", &padding(count, ring.size()))
        .encoded("leaf", &snapshot.leaves()[shown])
        .encoded("inclusion", &snapshot.inclusion(shown).expect("in the snapshot"))
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let Seq(leaves) = values.decode::<Seq<Leaf>>("leaves")?;
    require(leaves.is_sorted_by(|a, b| a < b))?;
    let snapshot = Snapshot::new(leaves, values.decode("policy")?, [0; 32]);
    require(snapshot.root() == values.decode::<Digest>("root")?)?;
    let ring = Ring::of_leaves(snapshot.leaves())?;
    require(*ring.id() == values.decode::<Digest>("ring")?)?;
    require(snapshot.ring(0).is_some_and(|dealt| dealt.id() == ring.id()))?;
    require(padding(ring.len(), ring.size()).to_bytes() == values.bytes("padding"))?;
    let inclusion: InclusionProof = values.decode("inclusion")?;
    let merkle_root = inclusion.root(&values.decode("leaf")?).ok_or(Refused)?;
    // A proof's own count is bound by the snapshot's root, not by the Merkle root.
    let pinned = ((values.decode::<Digest>("policy")?, u64::from(inclusion.count)), merkle_root);
    require(hash::digest(domain::SNAPSHOT, &pinned) == snapshot.root())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(FIVE, values(FIVE, 5, 4));
    suite.good(ONE, values(ONE, 1, 0));
    suite.good(FULL, values(FULL, 16, 6));
    suite.good(MORE, values(MORE, 17, 16));
    suite.bad(FIVE, "the policy", |values| values.edit("policy", |policy| policy[0] ^= 1));
    suite.bad(FIVE, "the root", |values| values.edit("root", |root| root[31] ^= 1));
    suite.bad(FIVE, "the ring's id", |values| values.edit("ring", |ring| ring[0] ^= 1));
    suite.bad(FIVE, "a leaf of the list", |values| {
        values.edit("leaves", |bytes| point_plus(&mut bytes[4..36]));
    });
    let leaves = |change: fn(&mut Vec<Leaf>)| {
        move |values: &mut Values| values.edit_as("leaves", |leaves: &mut Seq<Leaf>| change(&mut leaves.0))
    };
    suite.bad(FIVE, "leaves in another order", leaves(|leaves| leaves.swap(0, 1)));
    suite.bad(FIVE, "a leaf that stands twice", leaves(|leaves| leaves.insert(1, leaves[0])));
    suite.bad(FIVE, "a leaf that stands twice, in a snapshot made of it", |values| {
        let Seq(mut leaves) = values.decode::<Seq<Leaf>>("leaves").expect("a good case decodes");
        leaves.push(leaves[2]);
        *values = values_of(leaves, 4);
    });
    suite.bad(FIVE, "a leaf too few", leaves(shorten));
    suite.bad(FIVE, "no leaves", leaves(Vec::clear));
    suite.bad(FIVE, "a leaf that is the identity", leaves(|leaves| leaves[0] = Point::from([0; 32]).into()));
    let padding = |change: fn(&mut Vec<Point>)| {
        move |values: &mut Values| values.edit_as("padding", |points: &mut Seq<Point>| change(&mut points.0))
    };
    suite.bad(MORE, "padding of another place", padding(|points| points.swap(0, 1)));
    suite.bad(
        MORE,
        "padding that starts at place zero",
        padding(|points| {
            points[0] = to_group(domain::PADDING, &0u32.to_be_bytes()).into();
        }),
    );
    suite.bad(
        FULL,
        "padding where there is none",
        padding(|points| {
            points.push(to_group(domain::PADDING, &16u32.to_be_bytes()).into());
        }),
    );
    inclusions(&mut suite);
    suite
}

fn inclusions(suite: &mut Suite) {
    let mut bad = |of: &str, breaks: &str, change: fn(&mut InclusionProof)| {
        suite.bad(of, breaks, |values| values.edit_as("inclusion", change));
    };
    for of in [FIVE, FULL] {
        bad(of, "a sibling", |proof| proof.siblings[0][0] ^= 1);
        bad(of, "a sibling too few", |proof| shorten(&mut proof.siblings));
        bad(of, "a sibling too many", |proof| proof.siblings.push([0; 32]));
        bad(of, "the place of the leaf", |proof| proof.index -= 1);
        bad(of, "the number of leaves", |proof| proof.count -= 1);
    }
    bad(FULL, "siblings in another order", |proof| proof.siblings.swap(0, 1));
    bad(FIVE, "a place outside of the tree", |proof| proof.index = proof.count);
    suite.bad(FULL, "the leaf", |values| values.edit("leaf", |leaf| point_plus(leaf)));
}

/// Leaf i is the hash of i: the root and the cohorts depend on encodings alone.
fn many(count: u32, policy: Digest, beacon: Digest) -> Snapshot {
    let leaf = |index: u32| Leaf::from(Point::from(hash::content(&index.to_be_bytes())));
    Snapshot::new((0..count).map(leaf).collect(), policy, beacon)
}

fn cohorts(snapshot: &Snapshot) -> Seq<Digest> {
    let members = |number: usize| {
        let cohort = &snapshot.cohorts()[number];
        Seq(snapshot.leaves().iter().filter(|leaf| cohort.has_leaf(leaf)).copied().collect::<Vec<_>>())
    };
    Seq((0..snapshot.cohorts().len()).map(|number| hash::content(&members(number).to_bytes())).collect())
}

pub(super) fn check_cohorts(values: &Values) -> Result<(), Refused> {
    let snapshot = many(values.number("count"), values.decode("policy")?, values.decode("beacon")?);
    require(snapshot.root() == values.decode::<Digest>("root")?)?;
    require(cohorts(&snapshot).to_bytes() == values.bytes("cohorts"))
}

pub(super) fn cohorts_suite() -> Suite {
    let mut suite = Suite::default();
    let (policy, beacon) = (hash::content(b"policy"), hash::content(b"beacon"));
    for (name, count) in [(MANY, 5_000), (SOME, 9)] {
        let snapshot = many(count, policy, beacon);
        let values = Values::default()
            .plain("count", count)
            .encoded("policy", &policy)
            .encoded("beacon", &beacon)
            .encoded("root", &snapshot.root())
            .encoded("cohorts", &cohorts(&snapshot));
        suite.good(name, values);
    }
    suite.bad(MANY, "the beacon", |values| values.edit("beacon", |beacon| beacon[0] ^= 1));
    suite.bad(MANY, "the policy", |values| values.edit("policy", |policy| policy[0] ^= 1));
    suite.bad(MANY, "cohorts in another order", |values| {
        values.edit_as("cohorts", |cohorts: &mut Seq<Digest>| cohorts.0.swap(0, 1));
    });
    suite.bad(MANY, "the members of a cohort", |values| values.edit("cohorts", |bytes| bytes[40] ^= 1));
    suite.bad(SOME, "the number of leaves", |values| *values = values.clone().plain("count", 10u8));
    suite.bad(SOME, "the root", |values| values.edit("root", |root| root[0] ^= 1));
    suite
}
