//! Registrations: what attesters sign, and the proof that slots nobody attested are zero.

use chorus_crypto::{credential::LeafSecret, domain, hash, sign::SecretKey};
use chorus_protocol::{
    id::CommunityId,
    log::entry::Registration,
    registry::attestation::{Attestation, Claim},
    time::Timestamp,
};

use super::{
    Refused, Suite, Values,
    proof::{point_plus, scalar_plus},
    require, rng,
};

const TWO: &str = "two attesters, one slot attested";
const RECOVERY: &str = "a recovery, no slot attested";

fn attester(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn community() -> CommunityId {
    hash::content(b"community").into()
}

fn attest(number: u8, claim: Claim) -> Attestation {
    let times = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
    Attestation::sign(&attester(number), community(), claim, hash::content(b"policy"), times)
}

fn values(name: &str, attributes: [u64; 4], attesters: &[u8], recovers: bool) -> Values {
    let mut rng = rng(name);
    let secret = LeafSecret::random(attributes, &mut rng);
    let mut claim = Claim::of(SecretKey::random(&mut rng).public(), &secret);
    claim.recovers = recovers.then(|| SecretKey::random(&mut rng).public());
    let attestations = attesters.iter().map(|number| attest(*number, claim)).collect();
    let registration = Registration::new(community(), claim, &secret, attestations, &mut rng);
    Values::default().encoded("community", &community()).encoded("registration", &registration)
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let community: CommunityId = values.decode("community")?;
    let registration: Registration = values.decode("registration")?;
    let Registration { claim, opening, attestations } = &registration;
    let context = Registration::opening_context(community, claim);
    opening.verify(&claim.leaf, &context, &Registration::zero_slots(claim.slots))?;
    let attesters: std::collections::BTreeSet<_> = attestations.iter().map(|word| word.attester).collect();
    require(attesters.len() == attestations.len())?;
    for attestation in attestations {
        require(attestation.claim == *claim)?;
        attestation.verify(community)?;
    }
    Ok(())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(TWO, values(TWO, [0, 5, 0, 0], &[1, 2], false));
    suite.good(RECOVERY, values(RECOVERY, [0; 4], &[3], true));
    suite.bad(TWO, "the community", |values| values.edit("community", |id| id[0] ^= 1));
    words(&mut suite);
    claims(&mut suite);
    suite
}

/// One field of one attester's word, changed.
fn words(suite: &mut Suite) {
    let mut bad = |breaks: &str, change: fn(&mut Attestation)| {
        suite.bad(TWO, breaks, |values| {
            values.edit_as("registration", |registration: &mut Registration| change(&mut registration.attestations[1]));
        });
    };
    bad("the attester", |word| word.attester = attester(4).public());
    bad("the attested key", |word| word.claim.key = attester(4).public());
    bad("the attested slots", |word| word.claim.slots = 3);
    bad("the attested recovery", |word| word.claim.recovers = Some(attester(4).public()));
    bad("the policy", |word| word.policy[0] ^= 1);
    bad("the beginning", |word| word.valid_from = Timestamp::from_millis(999));
    bad("the end", |word| word.expires = Timestamp::from_millis(2_001));
    bad("a word on another claim, signed", |word| {
        let claim = Claim { key: attester(4).public(), ..word.claim };
        *word = attest(2, claim);
    });
    bad("a signature of another attester", |word| word.signature = attest(4, word.claim).signature);
    bad("a signature under another label", |word| {
        word.signature = attester(2).sign(domain::ENTRY, &word.signed_bytes(community()));
    });
    bad("a signature for another community", |word| {
        word.signature = attester(2).sign(domain::ATTESTATION, &word.signed_bytes(CommunityId::default()));
    });
    suite.bad(TWO, "one attester's word, twice", |values| {
        values.edit_as("registration", |registration: &mut Registration| {
            registration.attestations[1] = registration.attestations[0];
        });
    });
    suite.bad(TWO, "encoding: bytes after the registration", |values| {
        values.edit("registration", |bytes| bytes.push(0))
    });
    suite.bad(RECOVERY, "encoding: a flag that is neither yes nor no", |values| {
        values.edit("registration", |bytes| bytes[65] = 2);
    });
}

/// A claim that somebody attested, but that the opening does not bear out.
fn claims(suite: &mut Suite) {
    let mut bad = |of: &str, breaks: &str, change: fn(&mut Claim)| {
        suite.bad(of, breaks, |values| {
            values.edit_as("registration", |registration: &mut Registration| {
                change(&mut registration.claim);
                for (number, word) in (1..).zip(&mut registration.attestations) {
                    *word = attest(number, registration.claim);
                }
            });
        });
    };
    bad(TWO, "a slot that is not zero and not attested", |claim| claim.slots = 0);
    bad(TWO, "an attested slot too many", |claim| claim.slots = 3);
    bad(TWO, "a key that the opening is not bound to", |claim| claim.key = attester(4).public());
    bad(TWO, "a leaf of which nobody knows the opening", |claim| {
        let mut leaf = *claim.leaf.as_bytes();
        point_plus(&mut leaf);
        claim.leaf = chorus_crypto::group::Point::from(leaf).into();
    });
    bad(RECOVERY, "a recovered key that the opening is not bound to", |claim| claim.recovers = None);
    suite.bad(TWO, "the opening's response for s", |values| {
        values.edit("registration", |bytes| scalar_plus(&mut bytes[66 + 32..66 + 64]));
    });
}
