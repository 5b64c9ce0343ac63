//! Whole contributions: a founding document, the log of an open round, and the public body of one contribution.

use chorus_crypto::{
    Scalar,
    ballot::Vote,
    batch::Batch,
    codec::Encode as _,
    credential::{Credential, RingCredential, SLOTS},
    group::{Base, Point},
    seal::SealSecret,
    sign::SecretKey,
};
use chorus_protocol::{
    config::{Genesis, Policy},
    contribution::{BallotContent, Body, CheckedForm, Content, Contributor, Level},
    id::{BlobId, RoundId},
    ledger::Ledger,
    log::entry::{
        ClockReading, Entry, PollKind, Registration, RoundKey, RoundOpening, RoundPlan, SignedEntry, Subject,
    },
    registry::{
        attestation::{Attestation, Claim},
        policy::{Admission, Quorum},
    },
    time::Timestamp,
};

use super::{
    Refused, Seq, Suite, Values,
    link::{add_order, negate, shifted},
    require, rng, shorten,
};
use crate::community::Community;

const ANONYMOUS: &str = "a ballot on statements, anonymous";
const OPEN: &str = "a second ballot on values, open";
const WITHDRAWAL: &str = "a withdrawal, anonymous";

/// The votes of somebody.
const VOTES: [Vote; 3] = [Vote::Agree, Vote::Unseen, Vote::Pass];
/// Who votes.
const PERSON: usize = 2;

/// An open round, and the log that led to it.
struct Scene {
    community: Community,
    ledger: Ledger,
    log: Vec<SignedEntry>,
    round: RoundId,
}

/// What a scene differs in from others.
#[derive(Clone, Copy)]
struct Setting {
    kind: PollKind,
    name: &'static str,
    members: usize,
    keys: &'static str,
    duration_millis: u64,
}

const STATEMENTS: Setting =
    Setting { kind: PollKind::Statement, name: "Harbour", members: 5, keys: "keys", duration_millis: 60_000 };

impl Scene {
    fn new(setting: Setting) -> Self {
        let policy = Policy { admission: Admission::Quorum(Quorum::usual(2)), ..Policy::default() };
        let mut community = Community::with_attesters(7, 4, (setting.members + 1, [0; SLOTS]), 2, policy);
        community.genesis.name = setting.name.into();
        let ledger = Ledger::new(community.genesis.clone());
        let mut scene = Self { community, ledger, log: Vec::new(), round: RoundId::default() };
        scene.register(setting.members);
        scene.open(setting);
        scene
    }

    fn apply(&mut self, entry: SignedEntry) {
        self.ledger.apply(&entry).expect("an honest entry");
        self.log.push(entry);
    }

    /// Registers everybody; the last person has the word of one attester only, and is no member.
    fn register(&mut self, members: usize) {
        for person in 0..members {
            let entry = self.community.registration(person);
            self.apply(entry);
        }
        let id = self.community.id();
        let stranger = &self.community.people[members];
        let claim = Claim::of(stranger.key.public(), &stranger.leaf);
        let words = vec![self.community.attestation(&self.community.attesters[0], claim)];
        let registration = Registration::new(id, claim, &stranger.leaf, words, &mut rng("stranger"));
        let entry = SignedEntry::sign(&stranger.key, id, Entry::Register(registration));
        self.apply(entry);
    }

    fn open(&mut self, setting: Setting) {
        let id = self.community.id();
        let poll = self.community.poll(setting.kind, VOTES.len(), setting.duration_millis);
        let operators = self.community.operators.clone();
        let first = |entry| SignedEntry::sign(&operators[0], id, entry);
        for entry in [poll.opening].into_iter().chain(poll.proposals).chain([poll.plan]) {
            self.apply(first(entry));
        }
        let mut rng = rng(setting.keys);
        let keys: Vec<_> = operators.iter().map(|_| SealSecret::random(&mut rng).public()).collect();
        for (operator, key) in operators.iter().zip(&keys) {
            self.apply(SignedEntry::sign(operator, id, Entry::RoundKey(RoundKey { round: poll.round, key: *key })));
        }
        for (time, operator) in (1..).zip(&operators) {
            let reading = ClockReading { time: Timestamp::from_millis(time) };
            self.apply(SignedEntry::sign(operator, id, Entry::Clock(reading)));
        }
        let keys: Vec<_> = keys.into_iter().map(Some).collect();
        let snapshot = self.ledger.snapshot(poll.round, &keys).root();
        self.apply(first(Entry::Open(RoundOpening { round: poll.round, keys, snapshot })));
        self.round = poll.round;
    }

    /// Returns the body of a contribution.
    fn contribute(&self, level: Level, sequence: u8, votes: Option<&[Vote]>) -> Body {
        let leaf = &self.community.people[PERSON].leaf;
        let contributor = Contributor { level, sequence, ..Contributor::anonymous(leaf) };
        let (round, mut rng) = (&self.ledger.rounds()[&self.round], rng("contribution"));
        let submission = match votes {
            Some(votes) => contributor.cast(&self.ledger, round, votes, &mut rng),
            None => contributor.withdraw(&self.ledger, round, &mut rng),
        };
        chorus_crypto::codec::Decode::from_bytes(&submission.expect("a contribution").body).expect("its own body")
    }

    fn values(&self, body: &Body) -> Values {
        Values::default()
            .encoded("genesis", &self.community.genesis)
            .encoded("log", &Seq(self.log.clone()))
            .encoded("body", body)
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let genesis: Genesis = values.decode("genesis")?;
    genesis.validate()?;
    let Seq(log) = values.decode::<Seq<SignedEntry>>("log")?;
    let mut ledger = Ledger::new(genesis);
    log.iter().try_for_each(|entry| ledger.apply(entry))?;
    let form = CheckedForm::new(&ledger, &values.bytes("body"))?;
    let mut batch = Batch::new(&[1; 32]);
    form.add_equations(&ledger, &mut batch)?;
    require(batch.verify())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let statements = Scene::new(STATEMENTS);
    let values = Scene::new(Setting { kind: PollKind::Value, ..STATEMENTS });
    suite.good(ANONYMOUS, statements.values(&statements.contribute(Level::Anonymous, 0, Some(&VOTES))));
    suite.good(OPEN, values.values(&values.contribute(Level::Open, 1, Some(&VOTES))));
    suite.good(WITHDRAWAL, statements.values(&statements.contribute(Level::Anonymous, 15, None)));
    for of in [ANONYMOUS, OPEN] {
        bodies(&mut suite, of);
        contents(&mut suite, of);
    }
    credentials(&mut suite);
    withdrawals(&mut suite);
    elsewhere(&mut suite, &statements);
    logs(&mut suite, &values);
    encodings(&mut suite);
    suite
}

fn edit(values: &mut Values, change: impl FnOnce(&mut Body)) {
    values.edit_as("body", change);
}

fn bodies(suite: &mut Suite, of: &str) {
    let mut bad = |breaks: &str, change: fn(&mut Body)| suite.bad(of, breaks, |values| edit(values, change));
    bad("the round", |body| body.round = RoundId::default());
    bad("the tag", |body| body.tag = shifted(point(body.tag.as_bytes()), Base::Blinding).into());
    bad("a tag that is the identity", |body| body.tag = Point::from([0; 32]).into());
    bad("the sequence number", |body| body.sequence += 1);
    bad("a sequence number over its bound", |body| body.sequence = 16);
    bad("the consent to a point on the map", |body| body.on_map = !body.on_map);
    bad("a class in a round without classes", |body| body.class = 1);
    bad("a withdrawal in place of the ballot", |body| {
        body.content = Content::Withdrawal;
        body.on_map = false;
    });
}

fn point(bytes: &[u8; 32]) -> Point {
    Point::from(*bytes)
}

/// The changes to one part of a ballot.
fn contents(suite: &mut Suite, of: &str) {
    let mut bad = |breaks: &str, change: fn(&mut BallotContent)| {
        suite.bad(of, breaks, |values| {
            edit(values, |body| {
                if let Content::Ballot(content) = &mut body.content {
                    change(content);
                }
            });
        });
    };
    bad("core: the lanes of the shape", |content| content.shape.lane_bits = 249);
    bad("core: the rows of the shape", |content| content.shape.data_rows -= 1);
    bad("core: the columns of the shape", |content| content.shape.columns = 2);
    bad("core: the commitment of the mask row", |content| shift_point(&mut content.commitments[0]));
    bad("core: the commitment of a vote", |content| shift_point(&mut content.commitments[1]));
    bad("core: a commitment too few", |content| shorten(&mut content.commitments));
    bad("core: a commitment that is no point", |content| content.commitments[2] = Point::from([0xFF; 32]));
    bad("core: two commitments, exchanged", |content| content.commitments.swap(1, 2));
    bad("core: the digest of a seed", |content| content.seed_digests[3][0] ^= 1);
    bad("core: a seed too few", |content| shorten(&mut content.seed_digests));
    bad("core: the digest of the masked vector", |content| content.masked[0] ^= 1);
    bad("boxes: their digest", |content| content.boxes[0] ^= 1);
    bad("link: the folded data", |content| content.link.response[0] += Scalar::ONE);
    bad("link: the folded blinding", |content| content.link.blinding += Scalar::ONE);
    bad("link: the claimed mask of a set", |content| content.link.folds[0].values[0] += Scalar::ONE);
    bad("link: the claimed blinding of a set", |content| content.link.folds[0].blinding += Scalar::ONE);
    bad("link: the claimed blindings of two sets, of the same sum", |content| {
        content.link.folds[0].blinding += Scalar::ONE;
        content.link.folds[1].blinding -= Scalar::ONE;
    });
    bad("link: a set without a fold", |content| shorten(&mut content.link.folds));
    bad("proof: a slack bit too many", |content| {
        let again = content.commitments[0];
        content.proof.auxiliary.push(again);
    });
    // The proof stands at the end of the content: two rounds, three announcements, four responses, 32 bytes each.
    let places = [
        ("the last round's linear coefficient", 9),
        ("the last round's quadratic coefficient", 8),
        ("the announcement for the value", 7),
        ("the announcement for the square", 6),
        ("the announcement for the linear relations", 5),
    ];
    for (name, from_end) in places {
        at_end_of_content(suite, of, &format!("proof: {name}"), from_end, super::proof::point_plus);
    }
    let places = [("z", 4), ("z₁", 3), ("z₂", 2), ("z₃", 1)];
    for (name, from_end) in places {
        at_end_of_content(suite, of, &format!("proof: {name}"), from_end, super::proof::scalar_plus);
    }
}

fn shift_point(point: &mut Point) {
    *point = shifted(*point, Base::Blinding);
}

fn at_end_of_content(suite: &mut Suite, of: &str, breaks: &str, from_end: usize, change: fn(&mut [u8])) {
    suite.bad(of, breaks, |values| {
        let body: Body = values.decode("body").expect("a good case decodes");
        let after = body.credential.to_bytes().len();
        values.edit("body", |bytes| {
            let at = bytes.len() - after - 32 * from_end;
            change(&mut bytes[at..at + 32]);
        });
    });
}

fn credentials(suite: &mut Suite) {
    let mut bad = |breaks: &str, change: fn(&mut RingCredential)| {
        suite.bad(ANONYMOUS, breaks, |values| {
            edit(values, |body| {
                if let Credential::Ring(ring) = &mut body.credential {
                    change(ring);
                }
            });
        });
    };
    bad("credential: the cohort", |ring| ring.holder.cohort = 1);
    bad("credential: the hidden leaf", |ring| {
        ring.holder.leaf = shifted(ring.holder.leaf.into(), Base::Blinding).into();
    });
    bad("credential: a commitment of the membership", |ring| shift_point(&mut ring.membership.commitments.digits));
    bad("credential: the digits' blinding", |ring| ring.membership.digit_blinding += Scalar::ONE);
    bad("credential: the products' blinding", |ring| ring.membership.product_blinding += Scalar::ONE);
    bad("credential: the member's blinding", |ring| ring.membership.blinding += Scalar::ONE);
    bad("credential: the tag's announcement", |ring| shift_point(&mut ring.tag_announcements[0]));
    bad("credential: the response for s", |ring| ring.secret += Scalar::ONE);
    bad("credential: the response for b", |ring| ring.blinding += Scalar::ONE);
    suite.bad(OPEN, "credential: another member's leaf", |values| {
        edit(values, |body| {
            if let Credential::Open(open) = &mut body.credential {
                open.leaf_index = (open.leaf_index + 1) % 5;
            }
        });
    });
    suite.bad(OPEN, "credential: a leaf outside the snapshot", |values| {
        edit(values, |body| {
            if let Credential::Open(open) = &mut body.credential {
                open.leaf_index = 5;
            }
        });
    });
    suite.bad(OPEN, "credential: the response for b", |values| {
        edit(values, |body| {
            if let Credential::Open(open) = &mut body.credential {
                open.blinding += Scalar::ONE;
            }
        });
    });
}

fn withdrawals(suite: &mut Suite) {
    let mut bad = |breaks: &str, change: fn(&mut Body)| suite.bad(WITHDRAWAL, breaks, |values| edit(values, change));
    bad("the sequence number", |body| body.sequence = 14);
    bad("a withdrawal on the map", |body| body.on_map = true);
    bad("a withdrawal of a class", |body| body.class = 1);
    bad("the tag", |body| body.tag = shifted(point(body.tag.as_bytes()), Base::Blinding).into());
}

/// Contributions that hold where they were made, and do not hold here.
fn elsewhere(suite: &mut Suite, here: &Scene) {
    let settings = [
        ("made under other sealing keys of the operators", Setting { keys: "other keys", ..STATEMENTS }),
        ("made with one member more", Setting { members: 6, ..STATEMENTS }),
        ("made for another round", Setting { duration_millis: 60_001, ..STATEMENTS }),
        ("made for another community", Setting { name: "Harbor", ..STATEMENTS }),
    ];
    for (breaks, setting) in settings {
        let mut body = Scene::new(setting).contribute(Level::Anonymous, 0, Some(&VOTES));
        body.round = here.round;
        suite.bad(ANONYMOUS, breaks, |values| edit(values, |good| *good = body));
    }
    let other = here.contribute(Level::Open, 0, Some(&VOTES));
    suite.bad(ANONYMOUS, "the credential of another contribution of the same person", |values| {
        edit(values, |body| body.credential = other.credential);
    });
}

/// Logs that the contribution fits, but that no honest peer would have.
fn logs(suite: &mut Suite, scene: &Scene) {
    let log = |change: fn(&mut Vec<SignedEntry>)| {
        move |values: &mut Values| values.edit_as("log", |log: &mut Seq<SignedEntry>| change(&mut log.0))
    };
    suite.bad(OPEN, "log: an entry under another entry's signature", log(|log| log[1].signature = log[0].signature));
    suite.bad(OPEN, "log: a registration that is missing", log(|log| drop(log.drain(..1))));
    suite.bad(OPEN, "log: an opening that is missing", log(shorten));
    suite.bad(OPEN, "log: the same registration twice", log(|log| log.insert(1, log[0].clone())));
    suite.bad(OPEN, "log: the same item twice", log(|log| log.insert(9, log[8].clone())));
    suite.bad(OPEN, "log: the same clock reading twice", log(|log| log.insert(17, log[16].clone())));
    suite.bad(OPEN, "the founding document", |values| {
        values.edit_as("genesis", |genesis: &mut Genesis| genesis.purpose.push('!'));
    });
    suite.bad(OPEN, "the policy", |values| {
        values.edit_as("genesis", |genesis: &mut Genesis| genesis.policy.group_floor += 1);
    });
    signed_logs(suite, scene);
}

/// Entries against the rules, signed by their authors.
fn signed_logs(suite: &mut Suite, scene: &Scene) {
    let mut bad = |breaks: &str, index: usize, by: &SecretKey, change: &dyn Fn(&mut Entry)| {
        let mut log = scene.log.clone();
        change(&mut log[index].entry);
        log[index] = SignedEntry::sign(by, scene.community.id(), log[index].entry.clone());
        suite.bad(OPEN, format!("log: {breaks}"), |values| *values = values.clone().encoded("log", &Seq(log)));
    };
    let Community { operators, people, .. } = &scene.community;
    let (operator, member, stranger) = (&operators[0], &people[0].key, &people[5].key);
    let last = scene.log.len() - 1;
    for (what, index) in
        [("a poll", 6), ("a plan", 10), ("a sealing key", 11), ("a clock reading", 15), ("an opening", last)]
    {
        bad(&format!("{what} by somebody who is no operator"), index, member, &|_| {});
    }
    bad("an item by somebody who is no member", 7, stranger, &|_| {});
    bad("a registration by somebody else", 0, stranger, &|_| {});
    let word = |entry: &mut Entry, change: &dyn Fn(&mut Attestation)| {
        if let Entry::Register(registration) = entry {
            change(&mut registration.attestations[1]);
        }
    };
    let sign = |by: &SecretKey, word: &Attestation, policy| {
        Attestation::sign(by, scene.community.id(), word.claim, policy, (word.valid_from, word.expires))
    };
    bad("the word of somebody who is no attester", 0, member, &|entry| {
        if let Entry::Register(registration) = entry {
            let word = registration.attestations[0];
            registration.attestations.push(sign(stranger, &word, word.policy));
        }
    });
    let attester = &scene.community.attesters[1];
    bad("a word under another policy", 0, member, &|entry| word(entry, &|it| *it = sign(attester, it, [0; 32])));
    bad("a word that ends before it begins", 0, member, &|entry| {
        word(entry, &|it| {
            it.expires = it.valid_from;
            *it = sign(attester, it, it.policy);
        });
    });
    bad("an opening of another snapshot", last, operator, &|entry| {
        if let Entry::Open(opening) = entry {
            opening.snapshot[0] ^= 1;
        }
    });
    bad("an opening with another sealing key", last, operator, &|entry| {
        if let Entry::Open(opening) = entry {
            opening.keys.swap(0, 1);
        }
    });
    bad("a plan of an item that nobody proposed", 10, operator, &|entry| {
        if let Entry::Plan(RoundPlan { subject: Subject::Ballots(plan), .. }) = entry {
            plan.items[0] = BlobId::default();
        }
    });
    bad("a plan of a round that is not the next", 10, operator, &|entry| {
        if let Entry::Plan(RoundPlan { subject: Subject::Ballots(plan), .. }) = entry {
            plan.number = 2;
        }
    });
}

fn encodings(suite: &mut Suite) {
    suite.bad(OPEN, "encoding: bytes after the body", |values| values.edit("body", |bytes| bytes.push(0)));
    suite.bad(OPEN, "encoding: a body cut short", |values| values.edit("body", shorten));
    suite.bad(OPEN, "encoding: a consent that is neither yes nor no", |values| {
        values.edit("body", |bytes| bytes[65] = 2)
    });
    suite.bad(OPEN, "encoding: content of no kind", |values| values.edit("body", |bytes| bytes[68] = 2));
    suite.bad(OPEN, "encoding: more commitments than any ballot has", |values| {
        values.edit("body", |bytes| bytes[79..83].fill(0xFF));
    });
    suite.bad(OPEN, "encoding: a commitment with a negative coordinate", |values| {
        values.edit("body", |bytes| negate(&mut bytes[83..115]));
    });
    suite.bad(OPEN, "encoding: a response that is not reduced", |values| {
        values.edit("body", |bytes| {
            let at = bytes.len() - 32;
            add_order(&mut bytes[at..]);
        });
    });
}
