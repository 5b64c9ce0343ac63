//! Leaves: the generators, a leaf from its opening, and the proof that the opening is known; then rotation.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    credential::{Leaf, LeafOpening, LeafSecret, Rotation, SLOTS},
    domain,
    group::{Base, Point},
    hash::{Stream, to_group},
    transcript::{Item, Transcript},
};

use super::{
    Refused, Seq, Suite, Values,
    link::{add_order, negate, shifted},
    proof::{point_plus, scalar_plus},
    require, rng,
};

const ATTESTED: &str = "two slots attested, two shown to be zero";
const HIDDEN: &str = "all slots hidden";
const SHOWN: &str = "all slots shown";
const ROTATION: &str = "the same attributes under a new secret";
const CONTEXT: &[u8] = b"community, key, epoch 1";

fn bases() -> Seq<Point> {
    let attributes = (0..4).map(Base::LeafAttribute);
    let bases = [Base::LeafSecret].into_iter().chain(attributes).chain([Base::LeafBlinding]);
    Seq(bases.map(|base| base.point().into()).collect())
}

fn values(name: &str, attributes: [u64; SLOTS], shown: &[u8]) -> Values {
    let mut rng = rng(name);
    let secret = LeafSecret::random(attributes, &mut rng);
    let disclosed = shown.iter().map(|slot| (*slot, attributes[usize::from(*slot)])).collect();
    let mut values = Values::default()
        .encoded("generators", &bases())
        .encoded("leaf", &secret.leaf())
        .encoded("disclosed", &Seq(disclosed))
        .encoded("opening", &secret.prove_opening(CONTEXT, shown, &mut rng));
    values.put("secret", secret.to_bytes().as_ref());
    values.put("context", CONTEXT);
    values
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    require(values.bytes("generators") == Values::default().encoded("generators", &bases()).bytes("generators"))?;
    let leaf: Leaf = values.decode("leaf")?;
    require(LeafSecret::from_bytes(&values.bytes("secret"))?.leaf() == leaf)?;
    let Seq(disclosed) = values.decode::<Seq<(u8, u64)>>("disclosed")?;
    let opening: LeafOpening = values.decode("opening")?;
    Ok(opening.verify(&leaf, &values.bytes("context"), &disclosed)?)
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(ATTESTED, values(ATTESTED, [3, 0, u64::MAX, 0], &[1, 3]));
    suite.good(HIDDEN, values(HIDDEN, [1, 2, 3, 4], &[]));
    suite.good(SHOWN, values(SHOWN, [1, 2, 3, u64::MAX], &[0, 1, 2, 3]));
    generators(&mut suite);
    secrets(&mut suite);
    openings(&mut suite);
    suite
}

fn generators(suite: &mut Suite) {
    let names = ["G₀", "A_0", "A_1", "A_2", "A_3", "H"];
    for (index, name) in names.into_iter().enumerate() {
        suite.bad(HIDDEN, format!("the generator {name}"), |values| {
            values.edit_as("generators", |bases: &mut Seq<Point>| {
                bases.0[index] = shifted(bases.0[index], Base::Blinding)
            });
        });
    }
    suite.bad(HIDDEN, "two generators, exchanged", |values| {
        values.edit_as("generators", |bases: &mut Seq<Point>| bases.0.swap(1, 2));
    });
    suite.bad(HIDDEN, "a generator from another label", |values| {
        let other: RistrettoPoint = to_group(domain::GENERATOR_BLINDING, &[]);
        values.edit_as("generators", |bases: &mut Seq<Point>| bases.0[5] = other.into());
    });
}

fn secrets(suite: &mut Suite) {
    for (at, name) in [(0, "s"), (64, "b")] {
        suite.bad(HIDDEN, format!("the secret {name}"), |values| {
            values.edit("secret", |secret| scalar_plus(&mut secret[at..at + 32]));
        });
        suite.bad(HIDDEN, format!("encoding: the secret {name} is not reduced"), |values| {
            values.edit("secret", |secret| add_order(&mut secret[at..at + 32]));
        });
    }
    suite.bad(HIDDEN, "an attribute", |values| values.edit("secret", |secret| secret[39] ^= 1));
    suite.bad(HIDDEN, "two attributes, exchanged", |values| {
        values.edit("secret", |secret| secret[32..48].rotate_left(8))
    });
    suite.bad(HIDDEN, "a secret of zero", |values| values.edit("secret", |secret| secret[..32].fill(0)));
    suite.bad(HIDDEN, "encoding: a secret cut short", |values| values.edit("secret", |secret| secret.truncate(95)));
    suite.bad(HIDDEN, "a leaf of another secret", |values| values.edit("leaf", |leaf| point_plus(leaf)));
    suite.bad(HIDDEN, "a leaf that is the identity", |values| values.edit("leaf", |leaf| leaf.fill(0)));
    suite.bad(HIDDEN, "encoding: a leaf with a negative coordinate", |values| values.edit("leaf", |leaf| negate(leaf)));
}

/// The parts of an encoded opening with `hidden` slots: name and place. Of points, the first.
fn parts(hidden: usize) -> Vec<(String, usize)> {
    let attributes = (0..hidden).map(|index| (format!("the response for hidden attribute {index}"), 68 + 32 * index));
    let ends = [("the response for s".to_owned(), 32), ("the response for b".to_owned(), 68 + 32 * hidden)];
    ends.into_iter().chain(attributes).collect()
}

fn openings(suite: &mut Suite) {
    for (of, hidden) in [(ATTESTED, 2), (HIDDEN, 4), (SHOWN, 0)] {
        for (name, at) in parts(hidden) {
            suite.bad(of, name, |values| values.edit("opening", |bytes| scalar_plus(&mut bytes[at..at + 32])));
        }
        suite.bad(of, "the announcement", |values| values.edit("opening", |bytes| point_plus(&mut bytes[..32])));
        suite.bad(of, "the context", |values| values.edit("context", |context| context[0] ^= 1));
        suite.bad(of, "the context, longer", |values| values.edit("context", |context| context.push(0)));
    }
    let disclosed = |change: fn(&mut Vec<(u8, u64)>)| {
        move |values: &mut Values| values.edit_as("disclosed", |slots: &mut Seq<(u8, u64)>| change(&mut slots.0))
    };
    suite.bad(ATTESTED, "the value of a slot", disclosed(|slots| slots[0].1 = 1));
    suite.bad(ATTESTED, "the slot of a value", disclosed(|slots| slots[1].0 = 2));
    suite.bad(ATTESTED, "a slot that is not shown", disclosed(|slots| drop(slots.drain(..1))));
    suite.bad(ATTESTED, "a slot shown too many", disclosed(|slots| slots.push((3, 0))));
    suite.bad(ATTESTED, "slots in another order", disclosed(|slots| slots.swap(0, 1)));
    suite.bad(ATTESTED, "a slot that does not exist", disclosed(|slots| slots[1].0 = 4));
    suite.bad(HIDDEN, "encoding: a response that is not reduced", |values| {
        values.edit("opening", |bytes| add_order(&mut bytes[32..64]));
    });
    suite.bad(HIDDEN, "encoding: an announcement that is no point", |values| {
        values.edit("opening", |bytes| bytes[..32].fill(0xFF));
    });
    suite.bad(HIDDEN, "encoding: bytes after the proof", |values| values.edit("opening", |bytes| bytes.push(0)));
    suite.bad(HIDDEN, "encoding: responses for five attributes", |values| {
        values.edit("opening", |bytes| {
            bytes[67] = 5;
            bytes.extend_from_slice(&[0; 32]);
        });
    });
}

pub(super) fn check_rotation(values: &Values) -> Result<(), Refused> {
    let (old, new): (Leaf, Leaf) = (values.decode("old")?, values.decode("new")?);
    let rotation: Rotation = values.decode("rotation")?;
    Ok(rotation.verify(&old, &new, &values.bytes("context"))?)
}

pub(super) fn rotation_suite() -> Suite {
    let mut suite = Suite::default();
    let mut rng = rng(ROTATION);
    let old = LeafSecret::random([1, 0, 3, 4], &mut rng);
    let mut rotated = |new: &LeafSecret| {
        let mut values = Values::default()
            .encoded("old", &old.leaf())
            .encoded("new", &new.leaf())
            .encoded("rotation", &Rotation::prove(&old, new, CONTEXT, &mut rng));
        values.put("context", CONTEXT);
        values
    };
    let mut other = super::rng("another secret");
    suite.good(ROTATION, rotated(&old.rotated(&mut other)));
    let cheat = rotated(&LeafSecret::random([1, 0, 3, 5], &mut other));
    suite.bad(ROTATION, "an attribute that is not the same", |values| *values = cheat);

    suite.bad(ROTATION, "a new leaf that is the identity, with a proof that holds", |values| *values = to_identity());

    let fields = ["the old secret", "the new secret", "attribute 0", "attribute 1", "attribute 2", "attribute 3"];
    let fields = fields.into_iter().chain(["the old blinding", "the new blinding"]).enumerate();
    for (index, name) in fields {
        let at = 64 + 32 * index + if index < 2 { 0 } else { 4 };
        suite.bad(ROTATION, format!("the response for {name}"), |values| {
            values.edit("rotation", |bytes| scalar_plus(&mut bytes[at..at + 32]));
        });
    }
    for (at, name) in [(0, "old"), (32, "new")] {
        suite.bad(ROTATION, format!("the {name} announcement"), |values| {
            values.edit("rotation", |bytes| point_plus(&mut bytes[at..at + 32]));
        });
        suite.bad(ROTATION, format!("the {name} leaf"), |values| values.edit(name, |leaf| point_plus(leaf)));
        suite.bad(ROTATION, format!("the {name} leaf, which is the identity"), |values| {
            values.edit(name, |leaf| leaf.fill(0));
        });
    }
    suite.bad(ROTATION, "the leaves, exchanged", |values| {
        let (old, new) = (values.bytes("old"), values.bytes("new"));
        values.put("old", &new);
        values.put("new", &old);
    });
    suite.bad(ROTATION, "the context", |values| values.edit("context", |context| context[0] ^= 1));
    suite.bad(ROTATION, "an attribute without a response", |values| {
        values.edit("rotation", |bytes| {
            bytes[131] = 3;
            bytes.drain(132..164);
        });
    });
    suite.bad(ROTATION, "encoding: a response that is not reduced", |values| {
        values.edit("rotation", |bytes| add_order(&mut bytes[64..96]));
    });
    suite
}

/// What somebody without attributes could prove if a leaf were allowed to be the identity: s, all a_j and b are zero.
fn to_identity() -> Values {
    let mut stream = Stream::new(domain::NONCE, b"identity");
    let [secret, blinding, ..]: [Scalar; 8] = core::array::from_fn(|_| stream.next_scalar());
    let masks: [Scalar; 8] = core::array::from_fn(|_| stream.next_scalar());
    let leaf = |s: Scalar, attributes: &[Scalar], b: Scalar| -> Point {
        let slots = (0u8..).zip(attributes).map(|(slot, value)| Base::LeafAttribute(slot).point() * value);
        let ends = Base::LeafSecret.point() * s + Base::LeafBlinding.point() * b;
        (slots.sum::<RistrettoPoint>() + ends).into()
    };
    let [old_s, new_s, attributes @ .., old_b, new_b] = masks;
    let (old, new) = (leaf(secret, &[], blinding), Point::from([0; 32]));
    let announcements = (leaf(old_s, &attributes, old_b), leaf(new_s, &attributes, new_b));
    let mut transcript = Transcript::new(domain::LEAF_ROTATION);
    transcript.absorb_seq(Item::Statement, CONTEXT);
    transcript.absorb(Item::Statement, &old);
    transcript.absorb(Item::Statement, &new);
    transcript.absorb(Item::Announcement, &announcements.0);
    transcript.absorb(Item::Announcement, &announcements.1);
    let challenge = transcript.challenge(Item::Challenge);
    let responses = ((old_s + challenge * secret, new_s), Seq(attributes.to_vec()));
    let proof = ((announcements, responses), (old_b + challenge * blinding, new_b));
    let mut values = Values::default().encoded("old", &old).encoded("new", &new).encoded("rotation", &proof);
    values.put("context", CONTEXT);
    values
}
