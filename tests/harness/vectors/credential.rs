//! Credentials over one message: open and in rings of several shapes, with disclosed slots and with a group.

use std::sync::Arc;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::Batch,
    credential::{
        Credential, GroupClaim, HiddenLeaf, Hiding, Holder, Leaf, LeafSecret, OneOfMany, OpenCredential, Ring,
        RingCredential, Rings, ShownLeaf, Statement, Tag,
    },
    domain,
    group::{Base, Point},
    hash::{self, Digest},
    transcript::{Item, Transcript},
};

use super::{Refused, Seq, Suite, Values, link::shifted, require, rng, shorten};

const OPEN: &str = "open, one scope, two slots disclosed";
const OPEN_TWO: &str = "open, two scopes, nothing disclosed";
const SMALL: &str = "a ring of 16 with 5 members";
const GROUP: &str = "a ring of 64 with 17 members, a group of 3, one slot disclosed";
const EXACT: &str = "a ring of 16 with 16 members, two scopes, all slots disclosed";
const MIDDLE: &str = "a ring of 256 with 65 members, a group of 17";
const LARGE: &str = "a ring of 4,096 with 1,025 members";

const MESSAGE: &[u8] = b"the rest of the contribution";
const ATTRIBUTES: [u64; 4] = [7, 0, u64::MAX, 3];

/// What one credential is about.
struct Case<'a> {
    name: &'a str,
    /// Members of the cohort and of the group; no cohort for an open credential.
    members: usize,
    group: usize,
    scopes: u8,
    disclosed: &'a [u8],
}

fn secret(name: &str, number: usize) -> LeafSecret {
    LeafSecret::random(ATTRIBUTES, &mut rng(&format!("{name} {number}")))
}

fn transcript(message: &[u8], statement: &Statement) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Core, &Raw(message.to_vec()));
    transcript.absorb(Item::Eligibility, statement);
    transcript
}

/// Bytes as they are.
struct Raw(Vec<u8>);

impl chorus_crypto::codec::Encode for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Case<'_> {
    fn values(&self) -> Values {
        self.values_of(|_| {})
    }

    /// Proves a statement that has been changed: honestly but for that.
    fn values_of(&self, change: impl FnOnce(&mut Statement)) -> Values {
        let mut rng = rng(self.name);
        let me = secret(self.name, 1);
        let people = |count: usize| (0..count).map(|number| secret(self.name, number));
        let leaves: Vec<Leaf> = people(self.members.max(1)).map(|person| person.leaf()).collect();
        let group_scope: Digest = hash::content(b"the group's scope");
        let tags: Vec<Tag> = people(self.group).map(|person| person.tag(&group_scope)).collect();
        let rings = (Ring::of_leaves(&leaves).ok().map(Arc::new), Ring::of_tags(&tags).ok().map(Arc::new));
        let hiding = Hiding::random(&mut rng);
        let scope = |number: u8| [number; 32];
        let claim = |ring: &Arc<Ring>| GroupClaim {
            scope: group_scope,
            ring: *ring.id(),
            commitment: hiding.group_commitment(&me, &group_scope),
        };
        let mut statement = Statement {
            scopes: (0..self.scopes).map(|number| (scope(number), me.tag(&scope(number)))).collect(),
            holder: match self.members {
                0 => Holder::Open(ShownLeaf { index: 1, leaf: me.leaf() }),
                _ => Holder::Ring(HiddenLeaf { cohort: 2, leaf: hiding.leaf(&me) }),
            },
            disclosed: self.disclosed.iter().map(|slot| (*slot, ATTRIBUTES[usize::from(*slot)])).collect(),
            group: rings.1.as_ref().map(claim),
            snapshot_root: hash::content(b"snapshot"),
        };
        change(&mut statement);
        let mut transcript = transcript(MESSAGE, &statement);
        let given = Rings { leaves: rings.0.as_ref(), group: rings.1.as_ref() };
        let credential = match self.members {
            0 => Credential::prove_open(&mut transcript, &statement, &me, &mut rng),
            _ => Credential::prove_ring(&mut transcript, &statement, &me, &hiding, given, &mut rng),
        };
        let shown_leaves = if self.members == 0 { Vec::new() } else { leaves };
        let mut values = Values::default()
            .encoded("leaves", &Seq(shown_leaves))
            .encoded("tags", &Seq(tags))
            .encoded("statement", &statement)
            .encoded("credential", &credential);
        values.put("message", MESSAGE);
        values
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let statement: Statement = values.decode("statement")?;
    let credential: Credential = values.decode("credential")?;
    let (Seq(leaves), Seq(tags)) = (values.decode::<Seq<Leaf>>("leaves")?, values.decode::<Seq<Tag>>("tags")?);
    let cohort = if leaves.is_empty() { None } else { Some(Arc::new(Ring::of_leaves(&leaves)?)) };
    let group = if tags.is_empty() { None } else { Some(Arc::new(Ring::of_tags(&tags)?)) };
    let rings = Rings { leaves: cohort.as_ref(), group: group.as_ref() };
    let mut batch = Batch::new(&[1; 32]);
    credential.verify(&mut transcript(&values.bytes("message"), &statement), &statement, rings, &mut batch)?;
    require(batch.verify())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let cases = [
        Case { name: OPEN, members: 0, group: 0, scopes: 1, disclosed: &[1, 2] },
        Case { name: OPEN_TWO, members: 0, group: 0, scopes: 2, disclosed: &[] },
        Case { name: SMALL, members: 5, group: 0, scopes: 1, disclosed: &[] },
        Case { name: GROUP, members: 17, group: 3, scopes: 1, disclosed: &[0] },
        Case { name: EXACT, members: 16, group: 0, scopes: 2, disclosed: &[0, 1, 2, 3] },
        Case { name: MIDDLE, members: 65, group: 17, scopes: 1, disclosed: &[] },
        Case { name: LARGE, members: 1_025, group: 0, scopes: 1, disclosed: &[] },
    ];
    cases.iter().for_each(|case| suite.good(case.name, case.values()));
    statements(&mut suite);
    liars(&mut suite, &cases);
    rings(&mut suite);
    open_proofs(&mut suite);
    ring_proofs(&mut suite);
    group_proofs(&mut suite);
    encodings(&mut suite);
    suite
}

/// A point that is not the one it should be.
fn shift(point: &mut Point) {
    *point = shifted(*point, Base::Blinding);
}

fn shift_leaf(leaf: &mut Leaf) {
    *leaf = shifted((*leaf).into(), Base::Blinding).into();
}

fn shift_tag(tag: &mut Tag) {
    *tag = shifted((*tag).into(), Base::Blinding).into();
}

fn statements(suite: &mut Suite) {
    for of in [OPEN, SMALL] {
        let mut bad = |breaks: &str, change: fn(&mut Statement)| {
            suite.bad(of, breaks, |values| values.edit_as("statement", change));
        };
        bad("the scope", |statement| statement.scopes[0].0[0] ^= 1);
        bad("the tag", |statement| shift_tag(&mut statement.scopes[0].1));
        bad("a second scope", |statement| statement.scopes.push(([9; 32], statement.scopes[0].1)));
        bad("the snapshot", |statement| statement.snapshot_root[0] ^= 1);
        bad("a tag that is the identity", |statement| statement.scopes[0].1 = Point::from([0; 32]).into());
        suite.bad(of, "the message", |values| values.edit("message", |message| message[0] ^= 1));
    }
    let mut bad = |of: &str, breaks: &str, change: fn(&mut Statement)| {
        suite.bad(of, breaks, |values| values.edit_as("statement", change));
    };
    bad(OPEN, "the place of the leaf", |statement| {
        if let Holder::Open(shown) = &mut statement.holder {
            shown.index = 0;
        }
    });
    bad(OPEN, "the leaf", |statement| {
        if let Holder::Open(shown) = &mut statement.holder {
            shift_leaf(&mut shown.leaf);
        }
    });
    bad(OPEN, "the value of a disclosed slot", |statement| statement.disclosed[0].1 = 1);
    bad(OPEN, "the slot of a disclosed value", |statement| statement.disclosed[0].0 = 0);
    bad(OPEN, "a disclosed slot too few", |statement| shorten(&mut statement.disclosed));
    bad(OPEN, "disclosed slots in another order", |statement| statement.disclosed.swap(0, 1));
    bad(OPEN, "a disclosed slot that does not exist", |statement| statement.disclosed[1].0 = 4);
    bad(OPEN, "a shown leaf with a group", |statement| {
        statement.group = Some(GroupClaim { scope: [1; 32], ring: [2; 32], commitment: Point::from([3; 32]) });
    });
    bad(OPEN, "no scope", |statement| statement.scopes.clear());
    bad(OPEN_TWO, "two scopes, exchanged", |statement| statement.scopes.swap(0, 1));
    bad(OPEN_TWO, "the second tag, of another secret", |statement| shift_tag(&mut statement.scopes[1].1));
    bad(OPEN_TWO, "a scope too few", |statement| shorten(&mut statement.scopes));
    bad(OPEN, "a disclosed slot too many", |statement| statement.disclosed.push((3, ATTRIBUTES[3])));
    bad(OPEN_TWO, "five scopes", |statement| statement.scopes = vec![statement.scopes[0]; 5]);
    bad(SMALL, "the cohort", |statement| {
        if let Holder::Ring(hidden) = &mut statement.holder {
            hidden.cohort = 3;
        }
    });
    bad(SMALL, "the hidden leaf", |statement| {
        if let Holder::Ring(hidden) = &mut statement.holder {
            shift_leaf(&mut hidden.leaf);
        }
    });
    bad(SMALL, "an open holder", |statement| {
        if let Holder::Ring(hidden) = statement.holder {
            statement.holder = Holder::Open(ShownLeaf { index: 2, leaf: hidden.leaf });
        }
    });
    bad(GROUP, "no group", |statement| statement.group = None);
    bad(GROUP, "the disclosed value", |statement| statement.disclosed[0].1 += 1);
    let claim = |change: fn(&mut GroupClaim)| {
        move |values: &mut Values| {
            values.edit_as("statement", |statement: &mut Statement| change(statement.group.as_mut().expect("a group")));
        }
    };
    suite.bad(GROUP, "the scope of the group", claim(|claim| claim.scope[0] ^= 1));
    suite.bad(GROUP, "the ring of the group", claim(|claim| claim.ring[0] ^= 1));
    suite.bad(GROUP, "the commitment to the group's tag", claim(|claim| shift(&mut claim.commitment)));
}

/// Somebody who states what is not so, and proves it as well as can be: one check finds it.
fn liars(suite: &mut Suite, cases: &[Case<'_>]) {
    let mut bad = |of: &str, breaks: &str, change: fn(&mut Statement)| {
        let case = cases.iter().find(|case| case.name == of).expect("a case with this name");
        suite.bad(of, breaks, |values| *values = case.values_of(change));
    };
    for of in [OPEN, SMALL] {
        bad(of, "a tag of another secret, with a proof of the leaf", |statement| shift_tag(&mut statement.scopes[0].1));
        bad(of, "a tag that is the identity, with a proof of the leaf", |statement| {
            statement.scopes[0].1 = Point::from([0; 32]).into();
        });
    }
    for of in [OPEN, GROUP] {
        bad(of, "a disclosed value that is not the leaf's, with a proof of the tag", |statement| {
            statement.disclosed[0].1 ^= 1;
        });
    }
    bad(EXACT, "a second tag of another secret, with a proof of all else", |statement| {
        shift_tag(&mut statement.scopes[1].1);
    });
    bad(OPEN, "somebody else's leaf, with a proof of the tag", |statement| {
        statement.holder = Holder::Open(ShownLeaf { index: 0, leaf: secret(OPEN, 0).leaf() });
    });
    suite.bad(OPEN, "a secret of zero, whose tag is the identity, with a proof that holds", |values| {
        *values = zero_secret(values);
    });
}

/// What somebody could prove with a leaf of secret zero if tags were allowed to be the identity.
fn zero_secret(values: &Values) -> Values {
    let mut nonces = chorus_crypto::hash::Stream::new(domain::NONCE, b"zero");
    let (blinding, masks) = (nonces.next_scalar(), [nonces.next_scalar(), nonces.next_scalar()]);
    let disclosed: Vec<(u8, u64)> = (0..).zip(ATTRIBUTES).collect();
    let attribute = |(slot, value): &(u8, u64)| Base::LeafAttribute(*slot).point() * Scalar::from(*value);
    let leaf: RistrettoPoint = disclosed.iter().map(attribute).sum();
    let leaf = Leaf::from(Point::from(leaf + Base::LeafBlinding.point() * blinding));
    let scope: Digest = [0; 32];
    let statement = Statement {
        scopes: vec![(scope, Point::from([0; 32]).into())],
        holder: Holder::Open(ShownLeaf { index: 0, leaf }),
        disclosed,
        group: None,
        snapshot_root: [0; 32],
    };
    let [of_secret, of_blinding] = masks;
    let announced = Base::LeafSecret.point() * of_secret + Base::LeafBlinding.point() * of_blinding;
    let leaf_announcement = Point::from(announced);
    let tag_announcements = vec![Point::from(Tag::base(&scope) * of_secret)];
    let mut transcript = transcript(MESSAGE, &statement);
    transcript.absorb(Item::Statement, &statement);
    transcript.absorb(Item::Announcement, &leaf_announcement);
    transcript.absorb_seq(Item::Announcement, &tag_announcements);
    let challenge = transcript.challenge(Item::CredentialChallenge);
    let credential = Credential::Open(OpenCredential {
        leaf_index: 0,
        leaf_announcement,
        tag_announcements,
        secret: of_secret,
        attributes: Vec::new(),
        blinding: of_blinding + challenge * blinding,
    });
    values.clone().encoded("statement", &statement).encoded("credential", &credential)
}

fn rings(suite: &mut Suite) {
    let leaves = |change: fn(&mut Vec<Leaf>)| {
        move |values: &mut Values| values.edit_as("leaves", |leaves: &mut Seq<Leaf>| change(&mut leaves.0))
    };
    let tags = |change: fn(&mut Vec<Tag>)| {
        move |values: &mut Values| values.edit_as("tags", |tags: &mut Seq<Tag>| change(&mut tags.0))
    };
    suite.bad(SMALL, "a ring without the own leaf", leaves(|leaves| drop(leaves.drain(1..2))));
    suite.bad(SMALL, "a ring with another leaf in it", leaves(|leaves| shift_leaf(&mut leaves[3])));
    suite.bad(SMALL, "a ring in another order", leaves(|leaves| leaves.swap(2, 3)));
    suite.bad(
        SMALL,
        "a ring of another shape",
        leaves(|leaves| {
            let more = leaves.repeat(4);
            *leaves = more;
        }),
    );
    suite.bad(SMALL, "no ring", leaves(Vec::clear));
    suite.bad(
        SMALL,
        "a ring with a member that is the identity",
        leaves(|leaves| leaves[4] = Point::from([0; 32]).into()),
    );
    suite.bad(
        SMALL,
        "a ring with a member that is no point",
        leaves(|leaves| leaves[4] = Point::from([0xFF; 32]).into()),
    );
    suite.bad(GROUP, "a group without the own tag", tags(|tags| drop(tags.drain(1..2))));
    suite.bad(GROUP, "a group with another tag in it", tags(|tags| shift_tag(&mut tags[2])));
    suite.bad(GROUP, "no ring of tags", tags(Vec::clear));
    suite.bad(LARGE, "a ring with one leaf less", leaves(shorten));
}

fn open_proofs(suite: &mut Suite) {
    for of in [OPEN, OPEN_TWO] {
        let mut bad = |breaks: &str, change: fn(&mut OpenCredential)| {
            suite.bad(of, breaks, |values| {
                values.edit_as("credential", |credential: &mut Credential| {
                    if let Credential::Open(open) = credential {
                        change(open);
                    }
                });
            });
        };
        bad("the credential's place of the leaf", |open| open.leaf_index = 0);
        bad("the leaf's announcement", |open| shift(&mut open.leaf_announcement));
        bad("a tag's announcement", |open| open.tag_announcements.iter_mut().for_each(shift));
        bad("the response for s", |open| open.secret += Scalar::ONE);
        bad("the response for a hidden attribute", |open| open.attributes[1] += Scalar::ONE);
        bad("the responses for two hidden attributes, exchanged", |open| open.attributes.swap(0, 1));
        bad("the response for b", |open| open.blinding += Scalar::ONE);
        bad("a tag without an announcement", |open| shorten(&mut open.tag_announcements));
        bad("an announcement too many", |open| open.tag_announcements.push(open.leaf_announcement));
        bad("a hidden attribute without a response", |open| shorten(&mut open.attributes));
    }
}

fn edit_ring(values: &mut Values, change: impl FnOnce(&mut RingCredential)) {
    values.edit_as("credential", |credential: &mut Credential| {
        if let Credential::Ring(ring) = credential {
            change(ring);
        }
    });
}

/// A name and a change.
type Named<T> = (&'static str, fn(&mut T));

/// Each part of a one-out-of-many proof.
fn membership() -> Vec<Named<OneOfMany>> {
    vec![
        ("A, the commitment to the masks", |proof| shift(&mut proof.commitments.masks)),
        ("B, the commitment to the digits", |proof| shift(&mut proof.commitments.digits)),
        ("C, the commitment to the products", |proof| shift(&mut proof.commitments.products)),
        ("D, the commitment to the squares", |proof| shift(&mut proof.commitments.squares)),
        ("the lowest X", |proof| shift(&mut proof.commitments.lower[0])),
        ("the highest X", |proof| proof.commitments.lower.last_mut().into_iter().for_each(shift)),
        ("two X, exchanged", |proof| proof.commitments.lower.swap(0, 1)),
        ("an X too few", |proof| shorten(&mut proof.commitments.lower)),
        ("an X too many", |proof| proof.commitments.lower.push(proof.commitments.masks)),
        ("the response for a digit", |proof| proof.digits[0] += Scalar::ONE),
        ("the responses for two digits, exchanged", |proof| proof.digits.swap(0, 1)),
        ("a digit without a response", |proof| shorten(&mut proof.digits)),
        ("a response for a digit too many", |proof| proof.digits.push(Scalar::ZERO)),
        ("the digits' blinding", |proof| proof.digit_blinding += Scalar::ONE),
        ("the products' blinding", |proof| proof.product_blinding += Scalar::ONE),
        ("the member's blinding", |proof| proof.blinding += Scalar::ONE),
    ]
}

fn ring_proofs(suite: &mut Suite) {
    for (part, change) in membership() {
        suite
            .bad(SMALL, format!("membership: {part}"), |values| edit_ring(values, |ring| change(&mut ring.membership)));
    }
    let mut bad = |of: &str, breaks: &str, change: fn(&mut RingCredential)| {
        suite.bad(of, breaks, |values| edit_ring(values, change));
    };
    bad(SMALL, "the credential's cohort", |ring| ring.holder.cohort = 3);
    bad(SMALL, "the credential's hidden leaf", |ring| shift_leaf(&mut ring.holder.leaf));
    bad(SMALL, "the leaf's announcement", |ring| shift(&mut ring.leaf_announcement));
    bad(SMALL, "the tag's announcement", |ring| shift(&mut ring.tag_announcements[0]));
    bad(SMALL, "the response for s", |ring| ring.secret += Scalar::ONE);
    bad(SMALL, "the response for an attribute", |ring| ring.attributes[3] += Scalar::ONE);
    bad(SMALL, "the response for b", |ring| ring.blinding += Scalar::ONE);
    bad(SMALL, "a tag without an announcement", |ring| ring.tag_announcements.clear());
    bad(SMALL, "a hidden attribute without a response", |ring| shorten(&mut ring.attributes));
    bad(EXACT, "the second tag's announcement", |ring| shift(&mut ring.tag_announcements[1]));
    bad(EXACT, "a response for a disclosed attribute", |ring| ring.attributes.push(ring.secret));
    bad(MIDDLE, "the highest digit's response", |ring| ring.membership.digits[11] += Scalar::ONE);
    bad(LARGE, "the highest digit's response", |ring| ring.membership.digits[27] += Scalar::ONE);
    suite.bad(SMALL, "the hidden leaf, which is the identity", |values| {
        let identity = Leaf::from(Point::from([0; 32]));
        edit_ring(values, |ring| ring.holder.leaf = identity);
        values.edit_as("statement", |statement: &mut Statement| {
            statement.holder = Holder::Ring(HiddenLeaf { cohort: 2, leaf: identity });
        });
    });
}

fn group_proofs(suite: &mut Suite) {
    for (part, change) in membership() {
        suite.bad(GROUP, format!("group: {part}"), |values| {
            edit_ring(values, |ring| change(&mut ring.group.as_mut().expect("a group").membership));
        });
    }
    let mut bad = |breaks: &str, change: fn(&mut RingCredential)| {
        suite.bad(GROUP, breaks, |values| edit_ring(values, change));
    };
    bad("no proof of the group", |ring| ring.group = None);
    bad("group: the announcement", |ring| shift(&mut ring.group.as_mut().expect("a group").announcement));
    bad("group: the response for κ", |ring| ring.group.as_mut().expect("a group").blinding += Scalar::ONE);
    bad("group: the claimed scope", |ring| ring.group.as_mut().expect("a group").claim.scope[0] ^= 1);
    bad("group: the claimed ring", |ring| ring.group.as_mut().expect("a group").claim.ring[0] ^= 1);
    bad("group: the claimed commitment", |ring| shift(&mut ring.group.as_mut().expect("a group").claim.commitment));
    suite.bad(GROUP, "group: somebody else's tag of the group", |values| {
        // The commitment to another member's tag, and all the same a proof of the own secret.
        let scope: Digest = hash::content(b"the group's scope");
        let claim = GroupClaim {
            commitment: Hiding::random(&mut rng("hiding")).group_commitment(&secret(GROUP, 0), &scope),
            ..group_claim(values)
        };
        edit_ring(values, |ring| ring.group.as_mut().expect("a group").claim = claim);
        values.edit_as("statement", |statement: &mut Statement| statement.group = Some(claim));
    });
}

fn group_claim(values: &Values) -> GroupClaim {
    let statement: Statement = values.decode("statement").expect("a good case decodes");
    statement.group.expect("a group")
}

fn encodings(suite: &mut Suite) {
    for of in [OPEN, GROUP] {
        suite
            .bad(of, "encoding: bytes after the credential", |values| values.edit("credential", |bytes| bytes.push(0)));
        suite.bad(of, "encoding: a credential cut short", |values| values.edit("credential", shorten));
        suite.bad(of, "encoding: a credential of no kind", |values| values.edit("credential", |bytes| bytes[0] = 3));
        suite.bad(of, "encoding: bytes after the statement", |values| values.edit("statement", |bytes| bytes.push(0)));
    }
    suite.bad(OPEN, "encoding: the kind of the credential", |values| values.edit("credential", |bytes| bytes[0] = 2));
    suite.bad(OPEN, "encoding: the kind of the holder", |values| values.edit("statement", |bytes| bytes[68] = 0));
    suite.bad(OPEN, "encoding: an announcement that is no point", |values| {
        values.edit("credential", |bytes| bytes[5..37].fill(0xFF));
    });
    suite.bad(OPEN, "encoding: a response that is not reduced", |values| {
        values.edit("credential", |bytes| {
            let at = bytes.len() - 32;
            super::link::add_order(&mut bytes[at..]);
        });
    });
    suite.bad(SMALL, "encoding: a commitment with a negative coordinate", |values| {
        values.edit("credential", |bytes| super::link::negate(&mut bytes[37..69]));
    });
    suite.bad(SMALL, "encoding: a flag that is neither yes nor no", |values| {
        values.edit("credential", |bytes| {
            let at = bytes.len() - 1;
            bytes[at] = 2;
        });
    });
}
