//! 15: an old signed word, said again by whoever read it on the log.
//!
//! Every entry stands on the log with its author's signature for ever. What replaces an earlier word of the same author
//! therefore carries a number, or names what it takes back, and the earlier one is refused. The table is in
//! `protocol/README.md`; words on items and rules are in `moderation`, weighings in `adapters`, consents in `governance`.

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    deliberation::moral_graph::ValuesCard,
    id::BlobId,
    log::entry::{CanonicalCard, Census, Entry, MergeCards, Revocation, SignedEntry, Vouch},
    registry::{
        attestation::Attestation,
        flow::Vouching,
        policy::{Admission, Quorum},
    },
    time::Timestamp,
};
use chorus_tests::restored::restored;

use super::*;

const DAY: u64 = 24 * 3_600_000;

/// Signs an entry, has it taken, and returns it as everybody can read it.
fn said(town: &mut Town, key: &SecretKey, entry: Entry) -> SignedEntry {
    let signed = SignedEntry::sign(key, town.community.id(), entry);
    assert_eq!(town.ledger.apply(&signed), Ok(()), "{:?}", signed.entry);
    // What forbids the second time must survive a checkpoint.
    town.ledger = restored(&town.ledger);
    signed
}

/// Says again what was said, and checks that nothing has changed.
fn again(town: &mut Town, signed: &SignedEntry) -> Result<(), Fault> {
    let before = town.ledger.to_bytes();
    let verdict = town.ledger.apply(signed);
    assert_eq!(town.ledger.to_bytes(), before);
    verdict
}

#[test]
fn attack_15_a_merge_that_was_taken_back_is_not_said_again_in_its_operators_name() {
    let mut town = Town::new(Community::new(3, 4, 1, Policy::default()), 3);
    let [here, there] = ["Care", "Attention"].map(|title| ValuesCard::new(title, "Help", &["DOUBT"]).expect("a card"));
    let texts = vec![here.text(), there.text()];
    let poll = town.community.poll_of("What do you care about?", (PollKind::Value, texts, 60_000), None);
    let [operator, other] = [0, 1].map(|operator: usize| town.community.operators[operator].clone());
    for entry in [poll.opening].into_iter().chain(poll.proposals) {
        said(&mut town, &operator, entry);
    }
    let (card, into) = (here.id(), there.id());
    let merge = |number| Entry::MergeCards(MergeCards { card, into, number, reason: "The same.".into() });
    let canonical = |number| Entry::Canonical(CanonicalCard { card, number, reason: "Not the same.".into() });
    let stands_for = |town: &Town, card: &BlobId| town.ledger.cards().merges().canonical(*card);

    let first = said(&mut town, &operator, merge(1));
    let second = said(&mut town, &other, canonical(1));
    assert_eq!(again(&mut town, &first), Err(Fault::Duplicate("word on a values card")));
    let third = said(&mut town, &operator, merge(2));
    assert_eq!(again(&mut town, &second), Err(Fault::Duplicate("word on a values card")));
    assert_eq!(stands_for(&town, &card), into);
    said(&mut town, &operator, canonical(3));

    for old in [&first, &second, &third] {
        assert_eq!(again(&mut town, old), Err(Fault::Duplicate("word on a values card")));
    }
    assert_eq!(town.say(&operator, merge(5)), Err(Fault::Phase("word on a values card")), "one is left out");
    assert_eq!(town.say(&operator, merge(0)), Err(Fault::Duplicate("word on a values card")));
    assert_eq!(stands_for(&town, &card), card);
    assert_eq!(town.say(&other, merge(2)), Ok(()), "each operator counts its own words");
}

/// Members by the words of one attester.
fn attested() -> Town {
    let policy = Policy { admission: Admission::Quorum(Quorum::usual(1)), ..two_regions() };
    let mut town = Town::new(Community::with_attesters(3, 4, (2, [0; 4]), 1, policy), 3);
    town.pass(DAY);
    town.register_all();
    town
}

fn attestation(town: &Town, days: (u64, u64)) -> Attestation {
    let (attester, policy) = (&town.community.attesters[0], town.community.genesis.policy_digest());
    let day = |days: u64| Timestamp::from_millis(days * DAY);
    Attestation::sign(attester, town.community.id(), town.claim(0), policy, (day(days.0), day(days.1)))
}

#[test]
fn attack_15_a_revocation_takes_no_fresh_attestation_back() {
    let mut town = attested();
    let (attester, key) = (town.community.attesters[0].clone(), town.community.people[0].key.public());
    let first = town.community.attestation(&attester, town.claim(0));
    let revoked = said(&mut town, &attester, Entry::Revoke(Revocation::of(&first, "seen twice".into())));
    assert!(!town.ledger.is_member(&key));
    let fresh = attestation(&town, (2, 90));
    said(&mut town, &attester, Entry::Attest(fresh));
    town.pass(DAY);
    assert!(town.ledger.is_member(&key));

    assert_eq!(again(&mut town, &revoked), Err(Fault::Duplicate("the revocation of an attestation")));

    assert!(town.ledger.is_member(&key));
    said(&mut town, &attester, Entry::Revoke(Revocation::of(&fresh, "after all".into())));
    assert!(!town.ledger.is_member(&key), "a word of its own takes it back");
}

#[test]
fn attack_15_of_attestations_that_were_taken_back_none_comes_back() {
    let mut town = attested();
    let (attester, key) = (town.community.attesters[0].clone(), town.community.people[0].key.clone());
    let first = town.community.attestation(&attester, town.claim(0));
    said(&mut town, &attester, Entry::Revoke(Revocation::of(&first, "seen twice".into())));
    let [later, earlier, last] = [(8, 90), (2, 99), (8, 99)].map(|days| attestation(&town, days));
    let later = said(&mut town, &attester, Entry::Attest(later));
    let before = town.say(&attester, Entry::Attest(earlier));
    assert_eq!(before, Err(Fault::Duplicate("this attestation")), "the last one begins last");
    let longer = said(&mut town, &attester, Entry::Attest(last));
    said(&mut town, &attester, Entry::Revoke(Revocation::of(&last, "seen twice".into())));
    town.pass(9 * DAY);

    for old in [&later, &longer] {
        let Entry::Attest(it) = &old.entry else { unreachable!("an attestation") };
        let refused = Err(Fault::Duplicate("an attestation from before it was taken back"));
        assert_eq!(again(&mut town, old), refused);
        assert_eq!(town.say(&key, Entry::Attest(*it)), refused, "nor does the person bring it");
    }
    assert!(!town.ledger.is_member(&key.public()));
}

#[test]
fn attack_15_a_vouch_that_ended_does_not_stand_again_by_the_old_word_nor_its_end() {
    let found = |admission| Community::with_attesters(3, 4, (3, [0; 4]), 1, Policy { admission, ..Policy::default() });
    let seed = found(Admission::Quorum(Quorum::usual(1))).people[0].key.clone();
    let vouching = Vouching { tolerated: 0, ..Vouching::recommended(vec![[seed.public()].into_iter().collect()]) };
    let (interval, expiry) = (vouching.interval_millis, vouching.expiry_millis);
    let admission = Admission::Any(vec![Admission::Quorum(Quorum::usual(1)), Admission::Vouch(vouching)]);
    let mut town = Town::new(found(admission), 3);
    town.pass(DAY);
    town.register_all();
    let key = town.community.people[1].key.public();
    let vouch = |stands, number| Entry::Vouch(Vouch { key, stands, number });
    let stands = |town: &Town| town.ledger.registry().vouches().contains_key(&(seed.public(), key));
    let old = Err(Fault::Duplicate("word on a vouch"));

    let given = said(&mut town, &seed, vouch(true, 1));
    let ended = said(&mut town, &seed, vouch(false, 2));
    town.pass(interval);
    assert_eq!(again(&mut town, &given), old);
    assert!(!stands(&town));
    let renewed = said(&mut town, &seed, vouch(true, 3));
    assert_eq!(again(&mut town, &ended), old);
    assert!(stands(&town));
    town.pass(expiry + interval);

    for word in [&given, &ended, &renewed] {
        assert_eq!(again(&mut town, word), old, "it has expired, and nobody else can renew it");
    }
    assert_eq!(town.say(&seed, vouch(true, 5)), Err(Fault::Phase("word on a vouch")));
    assert_eq!(town.say(&seed, vouch(true, 4)), Ok(()));
}

#[test]
fn attack_15_old_numbers_of_a_census_open_no_class() {
    let mut town = attested();
    let attester = town.community.attesters[0].clone();
    let census = |number, counts: [u32; 2]| Entry::Census(Census { slot: 0, number, counts: counts.into() });
    let open = |town: &Town| town.ledger.registry().open_values(town.ledger.charter(), 0, 1);
    let first = said(&mut town, &attester, census(1, [2, 2]));
    assert_eq!(open(&town), [1, 2]);
    said(&mut town, &attester, census(2, [2, 0]));

    assert_eq!(again(&mut town, &first), Err(Fault::Duplicate("census")));

    assert_eq!(open(&town), [1]);
    assert_eq!(town.say(&attester, census(4, [2, 2])), Err(Fault::Phase("census")));
    assert_eq!(town.say(&attester, census(3, [2, 0])), Err(Fault::Duplicate("this census")));
}
