//! 14: signatures on which peers could differ, and nonces of provers that start from the same state.
//!
//! That a prover's time does not depend on its secrets is a property of its code, not one that a test here could see:
//! the number of group operations follows from the shapes of ring and statement alone.

use chorus_crypto::{
    Scalar,
    batch::Batch,
    credential::{
        Credential, HiddenLeaf, Hiding, Holder, LeafSecret, OpenCredential, Ring, Rings, ShownLeaf, Statement,
    },
    domain::{self, Domain},
    hash::Digest,
    sign::{PublicKey, SecretKey, Signature},
    transcript::{Item, Transcript},
};
use chorus_protocol::{
    id::BatchId,
    log::{
        batch::{Batch as LogBatch, Height},
        certificate::{Certificate, Committee},
        consensus::{Signed, Statement as _, Vote as ConsensusVote},
        entry::{AcceptedContribution, ClockReading, Entry, SignedEntry},
    },
    message::Hello,
    registry::attestation::{Attestation, Claim},
    time::Timestamp,
};
use chorus_tests::malice::forge::credential::{Opening, Words, open};
use curve25519_dalek::{EdwardsPoint, constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use sha2::{Digest as _, Sha512};

use super::*;

/// An Ed25519 verifier as it should not be: points may be of any order and in any encoding, and the equation is
/// multiplied by the cofactor.
fn loosely(key: &[u8; 32], domain: Domain, message: &[u8], signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let point = |bytes: &[u8]| CompressedEdwardsY(bytes.try_into().expect("32 bytes")).decompress();
    let s = Scalar::from_bytes_mod_order(s.try_into().expect("32 bytes"));
    let h = challenge(r, key, domain, message);
    match (point(key), point(r)) {
        (Some(a), Some(r)) => (EdwardsPoint::mul_base(&s) - a * h - r).mul_by_cofactor() == EdwardsPoint::default(),
        _ => false,
    }
}

fn challenge(r: &[u8], key: &[u8], domain: Domain, message: &[u8]) -> Scalar {
    let label = domain.as_str().as_bytes();
    let length = [u8::try_from(label.len()).expect("a short label")];
    let mut hash = Sha512::new();
    [r, key, &length, label, message].into_iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn joined(r: &[u8; 32], s: &Scalar) -> [u8; 64] {
    [*r, s.to_bytes()].concat().try_into().expect("64 bytes")
}

/// Whoever makes signatures on which loose and strict verifiers differ.
#[derive(Clone, Copy, Debug)]
enum Trick {
    /// The key is of small order: one signature is good for every message.
    SmallKey(usize),
    /// The key has a component of small order, and so has R, whatever the message.
    MixedKey(usize),
    /// The key is honest, R has a component of small order.
    MixedNonce(usize),
    /// R is of small order.
    SmallNonce(usize),
    /// S is larger than the order of the group.
    LargeS,
    /// R or the key is written with y beyond the field.
    Uncanonical,
}

const TRICKS: [Trick; 10] = [
    Trick::SmallKey(0),
    Trick::SmallKey(1),
    Trick::SmallKey(4),
    Trick::MixedKey(1),
    Trick::MixedKey(4),
    Trick::MixedNonce(1),
    Trick::MixedNonce(2),
    Trick::SmallNonce(0),
    Trick::LargeS,
    Trick::Uncanonical,
];

/// y = 1 + p: the identity, written otherwise.
const IDENTITY_AGAIN: [u8; 32] = {
    let mut bytes = [0xFF; 32];
    (bytes[0], bytes[31]) = (0xEE, 0x7F);
    bytes
};

impl Trick {
    const SECRET: u64 = 0x5EED_0000_1234_5678;

    fn point(self) -> EdwardsPoint {
        let secret = Scalar::from(Self::SECRET);
        let honest = EdwardsPoint::mul_base(&secret);
        match self {
            Self::SmallKey(index) => EIGHT_TORSION[index],
            Self::MixedKey(index) => honest + EIGHT_TORSION[index],
            Self::MixedNonce(_) | Self::SmallNonce(_) | Self::LargeS => honest,
            Self::Uncanonical => EdwardsPoint::default(),
        }
    }

    fn key(self) -> PublicKey {
        match self {
            Self::Uncanonical => IDENTITY_AGAIN.into(),
            _ => self.point().compress().to_bytes().into(),
        }
    }

    /// Signs so that a loose verifier is content and a strict one must not be.
    fn sign(self, domain: Domain, message: &[u8]) -> Signature {
        let (secret, nonce) = (Scalar::from(Self::SECRET), Scalar::from(77u64));
        let key = self.key();
        let respond = |r: [u8; 32], nonce: Scalar| {
            let h = challenge(&r, key.as_bytes(), domain, message);
            (r, nonce + h * secret)
        };
        let base = EdwardsPoint::mul_base(&nonce);
        let (r, s) = match self {
            Self::SmallKey(index) => (EIGHT_TORSION[index].compress().to_bytes(), Scalar::ZERO),
            Self::Uncanonical => (IDENTITY_AGAIN, Scalar::ZERO),
            // R takes a component that −h·T cannot be, so that the equation without the cofactor fails for every h.
            Self::MixedKey(_) => {
                let twist = |index: usize| respond((base + EIGHT_TORSION[index]).compress().to_bytes(), nonce);
                (0..8).map(twist).find(|(r, s)| !self.exactly(domain, message, r, s)).expect("one of eight")
            }
            Self::MixedNonce(index) => respond((base + EIGHT_TORSION[index]).compress().to_bytes(), nonce),
            Self::SmallNonce(index) => respond(EIGHT_TORSION[index].compress().to_bytes(), Scalar::ZERO),
            Self::LargeS => respond(base.compress().to_bytes(), nonce),
        };
        let mut bytes = joined(&r, &s);
        if matches!(self, Self::LargeS) {
            let mut carry = 0;
            for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(order) + carry;
                carry = sum >> 8;
                *byte = sum.to_le_bytes()[0];
            }
        }
        Signature::from(bytes)
    }

    fn exactly(self, domain: Domain, message: &[u8], r: &[u8; 32], s: &Scalar) -> bool {
        let h = challenge(r, self.key().as_bytes(), domain, message);
        (EdwardsPoint::mul_base(s) - self.point() * h).compress().to_bytes() == *r
    }
}

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn attack_14_loose_signatures_are_refused_whatever_they_sign() {
    let honest = SecretKey::from_seed(&[7; 32]);
    let domains = [domain::ENTRY, domain::ACKNOWLEDGE, domain::ATTESTATION, domain::VOTE, domain::ENVELOPE];
    for (domain, message) in domains.into_iter().flat_map(|domain| (0..8u8).map(move |number| (domain, [number]))) {
        let signature = honest.sign(domain, &message);
        assert!(loosely(honest.public().as_bytes(), domain, &message, signature.as_bytes()));
        assert_eq!(honest.public().verify(domain, &message, &signature), Ok(()));
        for trick in TRICKS {
            let signature = trick.sign(domain, &message);
            let loose = loosely(trick.key().as_bytes(), domain, &message, signature.as_bytes());
            assert!(loose, "{trick:?}: a loose verifier takes it");
            assert!(trick.key().verify(domain, &message, &signature).is_err(), "{trick:?} under {domain:?}");
        }
    }
}

/// A community in which an operator and an attester have keys with which every trick is possible.
fn infiltrated(trick: Trick) -> (Community, SecretKey) {
    let mut community = Community::new(3, 1, 2, Policy::default());
    let honest = community.operators[0].clone();
    community.genesis.operators = vec![trick.key()];
    community.genesis.attesters[0].key = trick.key();
    (community, honest)
}

#[test]
fn attack_14_every_path_refuses_what_a_loose_verifier_takes() {
    for trick in TRICKS {
        let (community, _) = infiltrated(trick);
        let (id, key) = (community.id(), trick.key());
        let mut town = Town::new(community, 3);

        // Entries.
        let entry = Entry::Clock(ClockReading { time: Timestamp::from_millis(1) });
        let unsigned = SignedEntry { author: key, entry: entry.clone(), signature: Signature::from([0; 64]) };
        let signed_bytes = [id.to_bytes(), key.to_bytes(), entry.to_bytes()].concat();
        let entry = SignedEntry { signature: trick.sign(domain::ENTRY, &signed_bytes), ..unsigned };
        assert!(matches!(town.ledger.apply(&entry), Err(Fault::Signature(_))), "{trick:?}: an entry");

        // Attestations, in a registration that the person signs.
        let person = &town.community.people[0];
        let claim = Claim::of(person.key.public(), &person.leaf);
        let ever = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
        let policy = town.community.genesis.policy_digest();
        let mut attestation = Attestation::sign(&person.key, id, claim, policy, ever);
        attestation.attester = key;
        attestation.signature = trick.sign(domain::ATTESTATION, &attestation.signed_bytes(id));
        let mut own = rng(1);
        let registration =
            chorus_protocol::log::entry::Registration::new(id, claim, &person.leaf, vec![attestation], &mut own);
        let person = person.key.clone();
        let refused = town.say(&person, Entry::Register(registration));
        assert!(matches!(refused, Err(Fault::Signature(_))), "{trick:?}: an attestation");

        // Greetings between nodes.
        let node = chorus_protocol::id::NodeId::from([4; 32]);
        let (started, at) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let bytes = [id.to_bytes(), node.to_bytes(), started.to_bytes(), at.to_bytes()].concat();
        let hello = Hello { node, operator: key, started, at, signature: trick.sign(domain::ENVELOPE, &bytes) };
        assert!(matches!(hello.verify(id, node), Err(Fault::Signature(_))), "{trick:?}: a greeting");

        // Votes of the consensus, alone and in a certificate.
        let batch = LogBatch::new(Height(1), BatchId::default(), vec![vec![1]]).expect("small");
        let vote = ConsensusVote::precommit(Height(1), 0, batch.id(), key);
        let signature = trick.sign(ConsensusVote::DOMAIN, &vote.preimage(id));
        let committee = Committee::new([key]).expect("one operator");
        let certificate =
            Certificate { height: Height(1), round: 0, value: batch.id(), signatures: vec![(key, signature)] };
        assert!(certificate.verify(&committee, id, &batch).is_err(), "{trick:?}: a certificate");
        let signed = Signed { statement: vote, signature };
        assert!(signed.verify(id).is_err(), "{trick:?}: a vote");
    }
}

#[test]
fn attack_14_no_acknowledgement_is_taken_loosely() {
    let (mut town, poll) = town(1, 2, (PollKind::Value, 1));
    let submission = cast(&forger(&town, poll.round, 0, Level::Open), 1);
    let header = town.check(&submission).expect("an honest ballot").0.header;
    let bytes = header.acknowledged_bytes(town.community.id());
    let operator = town.community.operators[0].clone();
    let honest = operator.sign(domain::ACKNOWLEDGE, &bytes);
    // The operator's own signature, with S written beyond the order, and R with another component.
    let mut large: [u8; 64] = *honest.as_bytes();
    let mut carry = 0;
    for (byte, order) in large[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        carry = sum >> 8;
        *byte = sum.to_le_bytes()[0];
    }
    assert!(loosely(operator.public().as_bytes(), domain::ACKNOWLEDGE, &bytes, &large));
    let mut say = |signature: Signature| {
        let accepted = AcceptedContribution { header: header.clone(), acknowledgements: vec![(1, signature)] };
        town.say(&operator, Entry::Contribution(accepted))
    };

    assert!(matches!(say(Signature::from(large)), Err(Fault::Signature(_))));
    for trick in TRICKS {
        let refused = say(trick.sign(domain::ACKNOWLEDGE, &bytes));
        assert!(matches!(refused, Err(Fault::Signature(_))), "{trick:?}");
    }
    assert_eq!(say(honest), Ok(()));
}

fn statement(me: &LeafSecret, scope: Digest, holder: Holder) -> Statement {
    let scopes = vec![(scope, me.tag(&scope))];
    Statement { scopes, holder, disclosed: Vec::new(), group: None, snapshot_root: [0; 32] }
}

fn transcript() -> Transcript {
    Transcript::new(domain::CONTRIBUTION)
}

/// The challenge of an open credential.
fn challenge_of(statement: &Statement, credential: &OpenCredential) -> Scalar {
    let mut transcript = transcript();
    transcript.absorb(Item::Statement, statement);
    transcript.absorb(Item::Announcement, &credential.leaf_announcement);
    transcript.absorb_seq(Item::Announcement, &credential.tag_announcements);
    transcript.challenge(Item::CredentialChallenge)
}

/// What s would be if both credentials had one nonce.
fn extracted(statements: &[Statement; 2], credentials: &[OpenCredential; 2]) -> Opening {
    let e = [0, 1].map(|index: usize| challenge_of(&statements[index], &credentials[index]));
    let secret = (credentials[0].secret - credentials[1].secret) * (e[0] - e[1]).invert();
    Opening { secret, attributes: [Scalar::ZERO; 4], blinding: Scalar::ZERO }
}

#[test]
fn attack_14_two_provers_with_one_state_share_no_nonce() {
    let me = LeafSecret::random([0; 4], &mut rng(1));
    let shown = Holder::Open(ShownLeaf { index: 0, leaf: me.leaf() });
    let statements = [[1; 32], [2; 32]].map(|scope| statement(&me, scope, shown));
    let third: Digest = [3; 32];
    let is_mine = |opening: Opening| opening.tag(&third) == me.tag(&third);
    let holds = |statement: &Statement, credential: &OpenCredential| {
        let mut batch = Batch::new(&[9; 32]);
        let credential = Credential::Open(credential.clone());
        credential.verify(&mut transcript(), statement, Rings::default(), &mut batch).expect("well formed");
        batch.verify()
    };

    // A prover whose nonces come from its generator alone gives its secret away.
    let opening = Opening::from(&me);
    let naive = statements
        .each_ref()
        .map(|statement| open(&mut transcript(), &Words::honest(statement, [0; 32]), &opening, &mut rng(5)));
    assert!(statements.iter().zip(&naive).all(|(statement, credential)| holds(statement, credential)));
    assert_eq!(naive[0].leaf_announcement, naive[1].leaf_announcement);
    assert!(is_mine(extracted(&statements, &naive)), "the attack works against a repeated nonce");

    let prove = |statement: &Statement| match Credential::prove_open(&mut transcript(), statement, &me, &mut rng(5)) {
        Credential::Open(credential) => credential,
        _ => panic!("an open credential"),
    };
    let hedged = statements.each_ref().map(prove);
    assert!(statements.iter().zip(&hedged).all(|(statement, credential)| holds(statement, credential)));
    assert_ne!(hedged[0].leaf_announcement, hedged[1].leaf_announcement);
    assert!(!is_mine(extracted(&statements, &hedged)));
    assert_eq!(prove(&statements[0]), hedged[0], "the same statement again says nothing new");
}

#[test]
fn attack_14_two_hidden_provers_with_one_state_share_no_nonce() {
    let people: Vec<LeafSecret> = (0..5).map(|seed| LeafSecret::random([0; 4], &mut rng(seed))).collect();
    let leaves: Vec<_> = people.iter().map(LeafSecret::leaf).collect();
    let ring = std::sync::Arc::new(Ring::of_leaves(&leaves).expect("five leaves"));
    let me = &people[2];
    let prove = |scope: Digest| {
        let mut rng = rng(6);
        let hiding = Hiding::random(&mut rng);
        let holder = Holder::Ring(HiddenLeaf { cohort: 0, leaf: hiding.leaf(me) });
        let rings = Rings { leaves: Some(&ring), group: None };
        let statement = statement(me, scope, holder);
        match Credential::prove_ring(&mut transcript(), &statement, me, &hiding, rings, &mut rng) {
            Credential::Ring(credential) => credential,
            _ => panic!("a ring credential"),
        }
    };
    let (first, second) = (prove([1; 32]), prove([2; 32]));

    assert_eq!(first.holder, second.holder, "the generators are in the same state");
    assert_ne!(first.leaf_announcement, second.leaf_announcement);
    let (left, right) = (&first.membership.commitments, &second.membership.commitments);
    assert!(left.masks != right.masks && left.digits != right.digits && left.lower != right.lower);
    assert_eq!(prove([1; 32]), first, "the same statement again says nothing new");
}
