//! The log as operators sign it: one decision, evidence of two that contradict each other, a bundle with a checkpoint.

use chorus_crypto::{
    codec::Encode as _,
    sign::{PublicKey, SecretKey, Signature},
};
use chorus_protocol::{
    audit::{self, Bundle},
    config::{Genesis, Policy},
    id::{BatchId, CommunityId},
    ledger::{Ledger, MIN_CHECKPOINT_HEIGHTS},
    log::{
        batch::{Batch, Height},
        certificate::{Certificate, Committee},
        consensus::{Decision, Evidence, Statement as _, Vote},
        entry::{ClockReading, Entry, SignedEntry},
    },
    time::Timestamp,
};

use super::{Refused, Seq, Suite, Values, link::add_order, require, shorten};
use crate::community::Community;

const FOUR: &str = "two entries, four operators";
const ALONE: &str = "no entry, one operator, in a later round";
const VOTES: &str = "two precommits of one round";
const LOG: &str = "clock readings up to a checkpoint, and one after it";

fn community(operators: usize) -> Community {
    Community::new(7, operators, 0, Policy::default())
}

/// Signs the precommit of one operator.
fn precommit(key: &SecretKey, community: CommunityId, (height, round): (Height, u32), value: BatchId) -> Signature {
    key.sign(Vote::DOMAIN, &Vote::precommit(height, round, value, key.public()).preimage(community))
}

/// Certifies a batch by the first operators that make a quorum.
fn certified(of: &Community, round: u32, batch: Batch) -> Decision {
    let (height, value) = (batch.height(), batch.id());
    let sign = |key: &SecretKey| (key.public(), precommit(key, of.id(), (height, round), value));
    let quorum = of.genesis.charter().committee().quorum();
    let signatures = of.operators.iter().take(quorum).map(sign).collect();
    Decision { batch, certificate: Certificate { height, round, value, signatures } }
}

fn batch(height: u64, entries: &[&[u8]]) -> Batch {
    let entries = entries.iter().map(|entry| entry.to_vec()).collect();
    Batch::new(Height(height), BatchId::from([7; 32]), entries).expect("a small batch")
}

fn decision_values(of: &Community, decision: &Decision) -> Values {
    let operators: Vec<PublicKey> = of.operators.iter().map(SecretKey::public).collect();
    Values::default()
        .encoded("community", &of.id())
        .encoded("operators", &Seq(operators))
        .encoded("previous", &decision.batch.previous())
        .encoded("decision", decision)
}

pub(super) fn check_decision(values: &Values) -> Result<(), Refused> {
    let committee: Committee = values.decode("operators")?;
    let decision: Decision = values.decode("decision")?;
    require(decision.batch.previous() == values.decode::<BatchId>("previous")?)?;
    Ok(decision.certificate.verify(&committee, values.decode("community")?, &decision.batch)?)
}

pub(super) fn decision_suite() -> Suite {
    let mut suite = Suite::default();
    let (four, alone) = (community(4), community(1));
    let honest = certified(&four, 0, batch(3, &[b"first", b"second"]));
    suite.good(FOUR, decision_values(&four, &honest));
    suite.good(ALONE, decision_values(&alone, &certified(&alone, 2, batch(1, &[]))));
    let mut bad = |breaks: &str, change: &dyn Fn(&mut Decision)| {
        suite.bad(FOUR, breaks, |values| values.edit_as("decision", |decision: &mut Decision| change(decision)));
    };
    bad("the height of the batch", &|it| it.batch = batch(4, &[b"first", b"second"]));
    bad("an entry", &|it| it.batch = batch(3, &[b"first", b"other!"]));
    bad("the order of the entries", &|it| it.batch = batch(3, &[b"second", b"first"]));
    bad("where one entry ends and the next begins", &|it| it.batch = batch(3, &[b"firsts", b"econd"]));
    bad("an entry too few", &|it| it.batch = batch(3, &[b"first"]));
    bad("the height of the certificate", &|it| it.certificate.height = Height(4));
    bad("the round of the certificate", &|it| it.certificate.round = 1);
    bad("the batch of the certificate", &|it| it.certificate.value = BatchId::from([8; 32]));
    bad("a signature too few", &|it| shorten(&mut it.certificate.signatures));
    bad("two signers, exchanged", &|it| it.certificate.signatures.swap(0, 1));
    bad("one signer twice", &|it| it.certificate.signatures[1] = it.certificate.signatures[0]);
    bad("one signature under two signers", &|it| {
        it.certificate.signatures[1].1 = it.certificate.signatures[0].1;
    });
    let (height, value) = (honest.batch.height(), honest.batch.id());
    bad("a signature more than a quorum", &|it| {
        let last = &four.operators[3];
        it.certificate.signatures.push((last.public(), precommit(last, four.id(), (height, 0), value)));
    });
    bad("the signature of somebody who is no operator", &|it| {
        let stranger = SecretKey::from_seed(&[1; 32]);
        it.certificate.signatures[2] = (stranger.public(), precommit(&stranger, four.id(), (height, 0), value));
        it.certificate.signatures.sort_unstable();
    });
    bad("precommits of another community", &|it| {
        for ((_, signature), key) in it.certificate.signatures.iter_mut().zip(&four.operators) {
            *signature = precommit(key, alone.id(), (height, 0), value);
        }
    });
    bad("prevotes in place of precommits", &|it| {
        for ((_, signature), key) in it.certificate.signatures.iter_mut().zip(&four.operators) {
            let mut preimage = Vote::precommit(height, 0, value, key.public()).preimage(four.id());
            preimage[32] = 0;
            *signature = key.sign(Vote::DOMAIN, &preimage);
        }
    });
    suite.bad(FOUR, "the batch before", |values| values.edit("previous", |id| id[0] ^= 1));
    suite.bad(FOUR, "another committee", |values| {
        values.edit_as("operators", |operators: &mut Seq<PublicKey>| operators.0.rotate_left(1));
        values.edit_as("operators", |operators: &mut Seq<PublicKey>| shorten(&mut operators.0));
    });
    suite.bad(FOUR, "encoding: bytes after the decision", |values| values.edit("decision", |bytes| bytes.push(0)));
    suite.bad(FOUR, "encoding: a decision cut short", |values| values.edit("decision", shorten));
    suite.bad(FOUR, "encoding: a number of entries over its bound", |values| {
        values.edit("decision", |bytes| bytes[40] = 0xFF);
    });
    suite.bad(FOUR, "encoding: an s that is not reduced", |values| {
        values.edit("decision", |bytes| {
            let end = bytes.len();
            add_order(&mut bytes[end - 32..]);
        });
    });
    suite
}

/// One signed precommit as evidence holds it.
fn signed_vote(key: &SecretKey, community: CommunityId, value: u8) -> Vec<u8> {
    let vote = Vote::precommit(Height(5), 1, BatchId::from([value; 32]), key.public());
    let mut bytes = vote.to_bytes();
    key.sign(Vote::DOMAIN, &vote.preimage(community)).encode(&mut bytes);
    bytes
}

pub(super) fn check_evidence(values: &Values) -> Result<(), Refused> {
    let evidence: Evidence = values.decode("evidence")?;
    require(evidence.verify(values.decode("community")?)? == values.decode::<PublicKey>("culprit")?)
}

pub(super) fn evidence_suite() -> Suite {
    let mut suite = Suite::default();
    let (of, elsewhere) = (community(4), community(5));
    let pair = |first: &[u8], second: &[u8]| [&[0], first, second].concat();
    let vote = |operator: usize, value: u8| signed_vote(&of.operators[operator], of.id(), value);
    let mut values = Values::default().encoded("community", &of.id());
    values.put("culprit", of.operators[1].public().as_bytes());
    values.put("evidence", &pair(&vote(1, 1), &vote(1, 2)));
    suite.good(VOTES, values);
    let mut bad = |breaks: &str, evidence: Vec<u8>| {
        suite.bad(VOTES, breaks, |values| values.put("evidence", &evidence));
    };
    bad("twice the same vote", pair(&vote(1, 1), &vote(1, 1)));
    bad("votes of two operators", pair(&vote(1, 1), &vote(2, 2)));
    bad("the greater vote first", pair(&vote(1, 2), &vote(1, 1)));
    bad("votes in another community", {
        let vote = |value| signed_vote(&of.operators[1], elsewhere.id(), value);
        pair(&vote(1), &vote(2))
    });
    let changed = |at: usize| {
        let mut second = vote(1, 2);
        second[at] ^= 1;
        pair(&vote(1, 1), &second)
    };
    // Kind 0, height 1..9, round 9..13, value 13..46, signer 46..78, signature.
    bad("a prevote and a precommit", changed(0));
    bad("votes of two heights", changed(8));
    bad("votes of two rounds", changed(12));
    bad("a value that was not signed", changed(20));
    bad("a signature", changed(80));
    bad("encoding: an unknown kind", [&[2], vote(1, 1).as_slice(), &vote(1, 2)].concat());
    bad("encoding: bytes after the second vote", [pair(&vote(1, 1), &vote(1, 2)), vec![0]].concat());
    suite.bad(VOTES, "whom it convicts", |values| values.edit("culprit", |key| key[0] ^= 1));
    suite
}

/// A log of clock readings, one a height; the batch after `MIN_CHECKPOINT_HEIGHTS` of them begins with a checkpoint.
struct Clocks {
    community: Community,
    ledger: Ledger,
    previous: BatchId,
    decisions: Vec<Decision>,
}

impl Clocks {
    fn new() -> Self {
        let community = community(4);
        let ledger = Ledger::new(community.genesis.clone());
        let previous = BatchId::from(*community.id().as_ref());
        Self { community, ledger, previous, decisions: Vec::new() }
    }

    fn decide(&mut self, entries: &[Entry]) {
        let (height, id) = (self.ledger.height().next(), self.community.id());
        let turn = usize::try_from(height.0).expect("few heights") % self.community.operators.len();
        let key = &self.community.operators[turn];
        let entries: Vec<_> = entries.iter().map(|entry| SignedEntry::sign(key, id, entry.clone())).collect();
        // What breaks the rules is written all the same: for the cases to refuse.
        let _ = entries.iter().try_for_each(|entry| self.ledger.apply(entry));
        self.ledger.complete(height);
        let bytes = entries.iter().map(SignedEntry::to_bytes).collect();
        let batch = Batch::new(height, self.previous, bytes).expect("a small batch");
        self.previous = batch.id();
        self.decisions.push(certified(&self.community, 0, batch));
    }

    fn read(&mut self, millis: u64) {
        self.decide(&[Entry::Clock(ClockReading { time: Timestamp::from_millis(millis) })]);
    }

    fn bundle(self) -> Vec<u8> {
        Bundle { genesis: self.community.genesis, decisions: self.decisions, blobs: Vec::new() }.to_bytes()
    }
}

/// The bundle, with something of the checkpoint changed before it is signed.
fn clocks(change: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let mut log = Clocks::new();
    (1..=MIN_CHECKPOINT_HEIGHTS).for_each(|height| log.read(1_000 * height));
    let (checkpoint, _) = log.ledger.checkpoint().expect("due");
    let mut entry = Entry::Checkpoint(checkpoint);
    change(&mut entry);
    let reading = Entry::Clock(ClockReading { time: Timestamp::from_millis(1_000 * MIN_CHECKPOINT_HEIGHTS + 500) });
    log.decide(&[entry, reading]);
    log.bundle()
}

pub(super) fn check_bundle(values: &Values) -> Result<(), Refused> {
    audit::verify(&mut values.bytes("bundle").as_slice(), &mut |_| {})?;
    Ok(())
}

pub(super) fn bundle_suite() -> Suite {
    let mut suite = Suite::default();
    let mut values = Values::default();
    values.put("bundle", &clocks(|_| {}));
    suite.good(LOG, values);
    let mut bad = |breaks: &str, bundle: Vec<u8>| suite.bad(LOG, breaks, |values| values.put("bundle", &bundle));
    let edited = |change: fn(&mut Bundle)| {
        let mut bundle = Bundle::from_bytes(&clocks(|_| {})).expect("a bundle");
        change(&mut bundle);
        bundle.to_bytes()
    };
    bad("the founding document", edited(|bundle| bundle.genesis.purpose.push('!')));
    bad(
        "a founding document that founds nothing",
        edited(|bundle: &mut Bundle| {
            let Genesis { operators, .. } = &mut bundle.genesis;
            operators.swap(0, 1);
        }),
    );
    bad("a decision that is missing", edited(|bundle| drop(bundle.decisions.remove(3))));
    bad("the first decision that is missing", edited(|bundle| drop(bundle.decisions.remove(0))));
    bad("two decisions, exchanged", edited(|bundle| bundle.decisions.swap(3, 4)));
    bad(
        "a certificate of another height",
        edited(|bundle| {
            bundle.decisions[3].certificate = bundle.decisions[4].certificate.clone();
        }),
    );
    bad(
        "a blob that nothing names",
        edited(|bundle| {
            let bytes = b"blob".to_vec();
            bundle.blobs.push((chorus_protocol::id::BlobId::of(&bytes), bytes));
        }),
    );
    bad("a clock that runs back", {
        let mut log = Clocks::new();
        [1_000, 2_000, 3_000, 4_000, 1_000].into_iter().for_each(|millis| log.read(millis));
        log.bundle()
    });
    bad("a batch without entries", {
        let mut log = Clocks::new();
        log.decide(&[]);
        log.bundle()
    });
    bad("a checkpoint before its height", {
        let mut log = Clocks::new();
        log.read(1_000);
        let state = log.ledger.to_bytes();
        let bytes = u32::try_from(state.len()).expect("a small state");
        let state = chorus_protocol::id::BlobId::of(&state);
        log.decide(&[Entry::Checkpoint(chorus_protocol::log::entry::Checkpoint { height: Height(1), state, bytes })]);
        log.bundle()
    });
    bad(
        "a checkpoint of another height",
        clocks(|entry| {
            if let Entry::Checkpoint(checkpoint) = entry {
                checkpoint.height = Height(15);
            }
        }),
    );
    bad(
        "a checkpoint of another state",
        clocks(|entry| {
            if let Entry::Checkpoint(checkpoint) = entry {
                checkpoint.state = chorus_protocol::id::BlobId::of(b"another");
            }
        }),
    );
    bad(
        "a checkpoint of another length",
        clocks(|entry| {
            if let Entry::Checkpoint(checkpoint) = entry {
                checkpoint.bytes += 1;
            }
        }),
    );
    suite.bad(LOG, "encoding: the magic", |values| values.edit("bundle", |bytes| bytes[0] ^= 1));
    suite.bad(LOG, "encoding: the version", |values| values.edit("bundle", |bytes| bytes[8] = 2));
    suite.bad(LOG, "encoding: an unknown frame", |values| {
        values.edit("bundle", |bytes| *bytes.last_mut().expect("an end") = 9);
    });
    suite.bad(LOG, "encoding: no end", |values| values.edit("bundle", shorten));
    suite.bad(LOG, "encoding: bytes after the end", |values| values.edit("bundle", |bytes| bytes.push(0)));
    suite
}
