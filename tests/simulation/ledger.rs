//! The rules of the log, one refusal at a time: every entry that must not be admitted, and what is said about it.

use std::sync::Arc;

use chorus_crypto::{
    credential::{Leaf, LeafSecret},
    domain,
    group::Point,
    seal::SealSecret,
    sign::SecretKey,
};
use chorus_protocol::{
    contribution::{CheckedForm, Contributor},
    fault::Fault,
    id::{BlobId, RoundId, SetId},
    ledger::{Ledger, RoundState},
    limits,
    log::entry::{
        AcceptedContribution, ClockReading, ContributionHeader, EndPass, Entry, Evidence, MaskOpening, OpenedValues,
        PartitionChoice, PassId, Proposal, Registration, RoundClosing, RoundKey, RoundOpening, RoundResult, Share,
        ShareHash, SignedEntry, Step,
    },
    registry::attestation::Claim,
    time::Timestamp,
};
use chorus_tests::offline::OpenRound;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const PEOPLE: usize = 12;

struct Case {
    open: OpenRound,
    headers: Vec<ContributionHeader>,
}

/// An open round with one contribution of each member, none on the log yet.
fn case() -> Case {
    let mut open = OpenRound::new(3, 5, PEOPLE, 4);
    let headers = (0..PEOPLE).map(|person| header(&mut open, person, 0)).collect();
    Case { open, headers }
}

fn header(open: &mut OpenRound, person: usize, sequence: u8) -> ContributionHeader {
    let round = open.round().clone();
    let votes = vec![chorus_crypto::ballot::Vote::Agree; 4];
    let person = &mut open.community.people[person];
    let contributor = Contributor { sequence, on_map: false, ..Contributor::anonymous(&person.leaf) };
    let submission = contributor.cast(&open.ledger, &round, &votes, &mut person.rng).expect("a member may vote");
    CheckedForm::new(&open.ledger, &submission.body).expect("well-formed").header
}

impl Case {
    fn sign(&self, operator: usize, entry: Entry) -> SignedEntry {
        SignedEntry::sign(&self.open.community.operators[operator], self.open.community.id(), entry)
    }

    fn apply(&mut self, operator: usize, entry: Entry) -> Result<(), Fault> {
        let signed = self.sign(operator, entry);
        let before = format!("{:?}", self.open.ledger);
        let verdict = self.open.ledger.apply(&signed);
        if verdict.is_err() {
            assert_eq!(before, format!("{:?}", self.open.ledger), "a refused entry changes nothing");
        }
        verdict
    }

    fn acknowledged(&self, header: &ContributionHeader, operators: &[u8]) -> AcceptedContribution {
        let bytes = header.acknowledged_bytes(self.open.community.id());
        let sign = |operator: &u8| {
            let key = &self.open.community.operators[usize::from(*operator) - 1];
            (*operator, key.sign(domain::ACKNOWLEDGE, &bytes))
        };
        AcceptedContribution { header: header.clone(), acknowledgements: operators.iter().map(sign).collect() }
    }

    fn accept_all(&mut self) {
        for header in self.headers.clone() {
            let accepted = self.acknowledged(&header, &[1, 2, 3, 4]);
            assert_eq!(self.apply(0, Entry::Contribution(accepted)), Ok(()));
        }
    }

    fn tell_time(&mut self, millis: u64) {
        let time = self.open.ledger.time().plus_millis(millis);
        for operator in 0..5 {
            assert_eq!(self.apply(operator, Entry::Clock(ClockReading { time })), Ok(()));
        }
    }

    fn seal(&mut self) -> SetId {
        self.accept_all();
        self.tell_time(120_000);
        assert_eq!(self.apply(0, Entry::Close(RoundClosing { round: self.round() })), Ok(()));
        self.open.round().sealed.as_ref().expect("sealed").set
    }

    const fn round(&self) -> RoundId {
        self.open.poll.round
    }
}

#[test]
fn a_closing_before_its_deadline_is_refused() {
    let mut case = case();
    case.accept_all();
    let close = Entry::Close(RoundClosing { round: case.round() });

    assert!(matches!(case.apply(0, close.clone()), Err(Fault::Early { .. })));
    // Two of five clocks, however far ahead, do not move the log's time.
    for operator in [0, 1] {
        let reading = ClockReading { time: Timestamp::from_millis(u64::MAX / 2) };
        assert_eq!(case.apply(operator, Entry::Clock(reading)), Ok(()));
    }
    assert!(matches!(case.apply(0, close.clone()), Err(Fault::Early { .. })));
    let third = ClockReading { time: case.open.round().manifest.as_ref().expect("open").deadline };
    assert_eq!(case.apply(2, Entry::Clock(third)), Ok(()));
    assert_eq!(case.apply(0, close.clone()), Ok(()));
    assert!(matches!(case.apply(1, close), Err(Fault::Duplicate(_))));
    assert_eq!(case.open.round().state(), RoundState::Sealed);
}

#[test]
fn a_contribution_needs_enough_good_acknowledgements_of_distinct_operators() {
    let mut case = case();
    let header = case.headers[0].clone();
    let too_few = case.acknowledged(&header, &[1, 2, 3]);
    let twice = case.acknowledged(&header, &[1, 2, 2, 3]);
    let mut other_header = case.acknowledged(&header, &[1, 2, 3, 4]);
    other_header.header.core[0] ^= 1;
    let mut stranger = case.acknowledged(&header, &[1, 2, 3, 4]);
    stranger.acknowledgements[3].0 = 6;
    let mut swapped = case.acknowledged(&header, &[1, 2, 3, 4]);
    swapped.acknowledgements[3].0 = 5;

    assert_eq!(case.apply(0, Entry::Contribution(too_few)), Err(Fault::Quorum { needed: 4, found: 3 }));
    assert!(matches!(case.apply(0, Entry::Contribution(twice)), Err(Fault::Mismatch(_))));
    assert!(matches!(case.apply(0, Entry::Contribution(other_header)), Err(Fault::Signature(_))));
    assert!(matches!(case.apply(0, Entry::Contribution(stranger)), Err(Fault::Unknown("operator"))));
    assert!(matches!(case.apply(0, Entry::Contribution(swapped)), Err(Fault::Signature(_))));
    let good = case.acknowledged(&header, &[1, 2, 4, 5]);
    assert_eq!(case.apply(0, Entry::Contribution(good.clone())), Ok(()));
    assert!(matches!(case.apply(1, Entry::Contribution(good)), Err(Fault::Duplicate(_))));
}

#[test]
fn a_log_filled_by_re_votes_is_bounded_and_the_latest_counts() {
    let mut case = case();
    for sequence in 0..=limits::MAX_SEQUENCE {
        let header = header(&mut case.open, 0, sequence);
        let accepted = case.acknowledged(&header, &[1, 2, 3, 4]);
        assert_eq!(case.apply(0, Entry::Contribution(accepted)), Ok(()));
    }
    let mut over = case.headers[0].clone();
    over.sequence = limits::MAX_SEQUENCE + 1;
    over.seed_digests.iter_mut().for_each(|digest| digest[0] ^= 1);
    let over = case.acknowledged(&over, &[1, 2, 3, 4]);

    assert!(matches!(case.apply(0, Entry::Contribution(over)), Err(Fault::Bound { .. })));
    case.tell_time(120_000);
    assert_eq!(case.apply(0, Entry::Close(RoundClosing { round: case.round() })), Ok(()));
    let sealed = case.open.round().sealed.as_ref().expect("sealed");
    assert_eq!(sealed.contributions.len(), 1);
    assert_eq!(sealed.contributions[0].header.sequence, limits::MAX_SEQUENCE);
}

#[test]
fn a_seed_that_is_on_the_log_is_not_admitted_again() {
    let mut case = case();
    let (alice, mut mallory) = (case.headers[0].clone(), case.headers[1].clone());
    mallory.seed_digests[2] = alice.seed_digests[2];
    let mut again = alice.clone();
    again.sequence = 1;
    let mut doubled = case.headers[2].clone();
    doubled.seed_digests[0] = doubled.seed_digests[1];

    let first = case.acknowledged(&alice, &[1, 2, 3, 4]);
    assert_eq!(case.apply(0, Entry::Contribution(first)), Ok(()));
    for header in [mallory, again, doubled] {
        let accepted = case.acknowledged(&header, &[1, 2, 3, 4]);
        assert_eq!(case.apply(0, Entry::Contribution(accepted)), Err(Fault::SeedReused));
    }
}

#[test]
fn more_tags_than_members_are_refused() {
    let mut case = case();
    case.accept_all();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let scope = case.open.round().manifest.as_ref().expect("open").scope;
    let mut extra = case.headers[0].clone();
    extra.tag = LeafSecret::random([0; 4], &mut rng).tag(&scope);
    extra.seed_digests.iter_mut().for_each(|digest| digest[0] ^= 1);
    let extra = case.acknowledged(&extra, &[1, 2, 3, 4]);

    let bound = Fault::Bound { what: "distinct tags", bound: PEOPLE as u64, found: PEOPLE as u64 + 1 };
    assert_eq!(case.apply(0, Entry::Contribution(extra)), Err(bound));
}

#[test]
fn a_withdrawal_takes_the_ballot_out_of_the_set() {
    let mut case = case();
    case.accept_all();
    let mut withdrawal = case.headers[0].clone();
    (withdrawal.sequence, withdrawal.seed_digests) = (1, Vec::new());
    let withdrawal = case.acknowledged(&withdrawal, &[1, 2, 3, 4]);

    assert_eq!(case.apply(0, Entry::Contribution(withdrawal)), Ok(()));
    case.tell_time(120_000);
    assert_eq!(case.apply(0, Entry::Close(RoundClosing { round: case.round() })), Ok(()));
    assert_eq!(case.open.round().sealed.as_ref().expect("sealed").contributions.len(), PEOPLE - 1);
}

#[test]
fn a_second_partition_is_refused_once_one_is_fixed() {
    let mut case = case();
    let set = case.seal();
    let choice = |partition| Entry::Partition(PartitionChoice { round: case.open.poll.round, set, partition });
    let (first, second) = (choice([1; 32]), choice([2; 32]));

    assert_eq!(case.apply(0, second.clone()), Ok(()), "one liar fixes nothing");
    assert_eq!(case.apply(1, first.clone()), Ok(()));
    assert_eq!(case.open.round().partition, None);
    assert_eq!(case.apply(2, first.clone()), Ok(()));
    assert_eq!(case.open.round().partition, Some([1; 32]));
    assert!(matches!(case.apply(3, second), Err(Fault::Duplicate(_))));
    assert_eq!(case.apply(4, first), Ok(()));
}

#[test]
fn nothing_of_a_set_is_opened_before_its_time_for_another_set_or_twice() {
    let mut case = case();
    let round = case.round();
    let opening = |set, step, subsets: &[u8]| {
        let sums = subsets.iter().map(|subset| (*subset, BlobId::of(b"sum"))).collect();
        Entry::Opening(MaskOpening { round, set, step, inputs: [1; 32], sums })
    };
    let early = opening(SetId::from([0; 32]), Step::Totals, &[1, 2, 3, 4]);
    assert!(matches!(case.apply(0, early), Err(Fault::Phase(_))));
    let set = case.seal();

    let table = [
        (opening(SetId::from([7; 32]), Step::Totals, &[1, 2, 3, 4]), "the sealed set"),
        (opening(set, Step::Totals, &[0, 1, 2, 3]), "the subsets that the operator holds"),
        (opening(set, Step::Totals, &[1, 2, 3]), "the subsets that the operator holds"),
        (opening(set, Step::Totals, &[1, 2, 4, 3]), "the subsets that the operator holds"),
    ];
    for (entry, what) in table {
        assert_eq!(case.apply(0, entry), Err(Fault::Mismatch(what)));
    }
    assert!(matches!(case.apply(0, opening(set, Step::Groups, &[1, 2, 3, 4])), Err(Fault::Phase(_))));
    assert_eq!(case.apply(0, opening(set, Step::Totals, &[1, 2, 3, 4])), Ok(()));
    assert!(matches!(case.apply(0, opening(set, Step::Totals, &[1, 2, 3, 4])), Err(Fault::Duplicate(_))));
    let values = OpenedValues { round, set, step: Step::Totals, inputs: [1; 32], values: BlobId::of(b"values") };
    assert_eq!(case.apply(0, Entry::Opened(values.clone())), Ok(()));
    assert!(matches!(case.apply(0, Entry::Opened(values)), Err(Fault::Duplicate(_))));
}

/// What f + 1 operators agree on first stays, whoever says something else later, and whatever their numbers.
#[test]
fn values_that_enough_operators_state_stay() {
    let mut case = case();
    let (round, set) = (case.round(), case.seal());
    let mut say = |operator, values: &[u8]| {
        let values = BlobId::of(values);
        case.apply(operator, Entry::Opened(OpenedValues { round, set, step: Step::Totals, inputs: [1; 32], values }))
    };

    assert_eq!(say(0, b"others"), Ok(()));
    assert_eq!(say(3, b"values"), Ok(()));
    assert_eq!(say(4, b"values"), Ok(()));
    assert_eq!(say(1, b"others"), Err(Fault::Duplicate("values of this step")));
    assert_eq!(say(2, b"values"), Ok(()));

    let agreed = case.open.ledger.rounds()[&round].agreed_values(Step::Totals);
    assert_eq!(agreed, Some(([1; 32], BlobId::of(b"values"))));
}

#[test]
fn a_share_needs_enough_hashes_first_and_must_match_its_own() {
    let mut case = case();
    let set = case.seal();
    let (round, pass) = (case.round(), PassId { pass: 0, attempt: 0 });
    let share = Share { round, pass, values: vec![chorus_crypto::Scalar::ONE; 8] };
    let keys: Vec<SecretKey> = case.open.community.operators.clone();
    let hash = |operator: usize| {
        let share = share.digest(keys[operator].public());
        Entry::ShareHash(ShareHash { round, set, pass, inputs: [5; 32], share })
    };

    assert!(matches!(case.apply(0, Entry::Share(share.clone())), Err(Fault::Phase(_))));
    for operator in 0..3 {
        assert_eq!(case.apply(operator, hash(operator)), Ok(()));
    }
    assert_eq!(case.apply(0, Entry::Share(share.clone())), Err(Fault::Quorum { needed: 4, found: 3 }));
    assert_eq!(case.apply(3, hash(3)), Ok(()));
    let other = Share { values: vec![chorus_crypto::Scalar::ZERO; 8], ..share.clone() };
    assert_eq!(case.apply(0, Entry::Share(other)), Err(Fault::Mismatch("the share's hash")));
    assert_eq!(case.apply(0, Entry::Share(share.clone())), Ok(()));
    assert!(matches!(case.apply(4, hash(4)), Err(Fault::Phase(_))), "no hash after the first share");
    assert!(matches!(case.apply(4, Entry::Share(share.clone())), Err(Fault::Phase(_))));
    for operator in 1..4 {
        assert_eq!(case.apply(operator, Entry::Share(share.clone())), Ok(()));
    }
    let record = &case.open.round().passes[&pass];
    assert_eq!(record.product, Some(vec![chorus_crypto::Scalar::ONE; 8]), "four equal shares lie on a constant");
    assert!(matches!(case.apply(0, Entry::EndPass(EndPass { round, pass })), Err(Fault::Phase(_))));
    let far = PassId { pass: limits::MAX_PASSES, attempt: 0 };
    assert!(matches!(case.apply(0, Entry::EndPass(EndPass { round, pass: far })), Err(Fault::Bound { .. })));
}

#[test]
fn registration_takes_an_attester_a_proof_and_a_fresh_leaf() {
    let open = OpenRound::new(3, 5, 2, 4);
    let (community, mut ledger) = (open.community.id(), Ledger::new(open.community.genesis.clone()));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = SecretKey::random(&mut rng);
    let secret = LeafSecret::random([0; 4], &mut rng);
    let register = |attester: &SecretKey, leaf: Leaf, proved_for: &SecretKey, rng: &mut ChaCha20Rng| {
        let claim = Claim { leaf, ..Claim::of(key.public(), &secret) };
        let proved = Claim { key: proved_for.public(), ..claim };
        let opening = Registration::new(community, proved, &secret, Vec::new(), rng).opening;
        let attestations = vec![open.community.attestation(attester, claim)];
        let registration = Registration { claim, opening, attestations };
        SignedEntry::sign(&key, community, Entry::Register(registration))
    };
    let attester = &open.community.attesters[0];
    let stranger = SecretKey::random(&mut rng);
    let good = register(attester, secret.leaf(), &key, &mut rng);
    let by_stranger = register(&stranger, secret.leaf(), &key, &mut rng);
    let other_leaf = register(attester, LeafSecret::random([0; 4], &mut rng).leaf(), &key, &mut rng);
    let copied_proof = register(attester, secret.leaf(), &stranger, &mut rng);
    let Entry::Register(inner) = good.entry.clone() else { panic!("a registration") };
    let posted_by_another = SignedEntry::sign(&stranger, community, Entry::Register(inner.clone()));
    let mut forged = inner;
    forged.attestations[0].signature = stranger.sign(domain::ATTESTATION, b"anything");
    let forged = SignedEntry::sign(&key, community, Entry::Register(forged));

    assert_eq!(ledger.apply(&by_stranger), Err(Fault::NotAllowed("an attestation")));
    assert!(matches!(ledger.apply(&other_leaf), Err(Fault::Credential(_))));
    assert!(matches!(ledger.apply(&copied_proof), Err(Fault::Credential(_))));
    assert!(matches!(ledger.apply(&posted_by_another), Err(Fault::NotAllowed(_))));
    assert!(matches!(ledger.apply(&forged), Err(Fault::Signature(_))));
    assert!(ledger.members().is_empty());
    assert_eq!(ledger.apply(&good), Ok(()));
    assert!(matches!(ledger.apply(&good), Err(Fault::Duplicate(_))));
}

#[test]
fn a_round_opens_with_the_keys_offered_once_and_with_the_right_snapshot() {
    let mut case = case();
    let round = case.round();
    let key = SealSecret::random(&mut ChaCha20Rng::seed_from_u64(4)).public();
    let opening = case.open.round().manifest.as_ref().map(|manifest| RoundOpening {
        round,
        keys: manifest.keys.clone(),
        snapshot: manifest.root,
    });

    assert!(matches!(case.apply(0, Entry::RoundKey(RoundKey { round, key })), Err(Fault::Phase(_))));
    assert!(matches!(case.apply(0, Entry::Open(opening.expect("open"))), Err(Fault::Duplicate(_))));
    assert!(matches!(case.apply(0, case.open.poll.plan.clone()), Err(Fault::Mismatch("the round's number"))));
    assert!(matches!(case.apply(0, case.open.poll.opening.clone()), Err(Fault::Duplicate(_))));
}

#[test]
fn only_operators_and_members_speak_and_what_they_say_is_bounded() {
    let mut case = case();
    let community = case.open.community.id();
    let stranger = SecretKey::random(&mut ChaCha20Rng::seed_from_u64(5));
    let proposal = |text: &str| Entry::Propose(Proposal { poll: case.open.poll.poll, text: text.into() });
    let texts: Vec<Entry> = (0..=limits::MAX_PROPOSALS_PER_MEMBER).map(|item| proposal(&format!("{item}"))).collect();
    let (empty, known) = (proposal("  "), case.open.poll.proposals[0].clone());
    let member = case.open.community.people[0].key.clone();
    let by = |key: &SecretKey, entry: &Entry| SignedEntry::sign(key, community, entry.clone());

    assert!(matches!(case.open.ledger.apply(&by(&stranger, &texts[0])), Err(Fault::NotAllowed(_))));
    assert!(matches!(case.open.ledger.apply(&by(&member, &case.open.poll.plan)), Err(Fault::NotAllowed(_))));
    assert!(matches!(case.open.ledger.apply(&by(&member, &empty)), Err(Fault::Mismatch(_))));
    assert!(matches!(case.open.ledger.apply(&by(&member, &known)), Err(Fault::Duplicate(_))));
    for (index, text) in texts.iter().enumerate() {
        let verdict = case.open.ledger.apply(&by(&member, text));
        assert_eq!(verdict.is_ok(), index < limits::MAX_PROPOSALS_PER_MEMBER, "{index}");
    }
    let elsewhere = SignedEntry::sign(&member, [9; 32].into(), texts[0].clone());
    assert!(matches!(case.open.ledger.apply(&elsewhere), Err(Fault::Signature(_))));
    let nonsense = Entry::Evidence(Evidence { bytes: vec![1, 2, 3] });
    assert!(case.apply(0, nonsense).is_err(), "evidence must prove something");
    let result = RoundResult { round: case.round(), result: BlobId::of(b"r"), follows: None };
    assert!(matches!(case.apply(0, Entry::Result(result)), Err(Fault::Phase(_))));
}

#[test]
fn identity_points_and_rubbish_are_no_leaves_or_tags() {
    let mut case = case();
    let community = case.open.community.id();
    let person = &mut case.open.community.people[0];
    let key = SecretKey::random(&mut person.rng);
    for bytes in [[0u8; 32], [0xFF; 32]] {
        let leaf = Leaf::from(Point::from(bytes));
        let person = &mut case.open.community.people[0];
        let claim = Claim { leaf, ..Claim::of(key.public(), &person.leaf) };
        let opening = Registration::new(community, claim, &person.leaf, Vec::new(), &mut person.rng).opening;
        let attestations = vec![case.open.community.attestation(&case.open.community.attesters[0], claim)];
        let registration = Registration { claim, opening, attestations };
        let signed = SignedEntry::sign(&key, community, Entry::Register(registration));
        assert!(matches!(case.open.ledger.apply(&signed), Err(Fault::Credential(_))));
    }
}

#[test]
fn a_copy_of_the_state_shares_the_rounds_that_neither_changes() {
    let mut case = case();
    let copy = case.open.ledger.clone();
    let shared = |case: &Case| Arc::ptr_eq(&copy.rounds()[&case.round()], &case.open.ledger.rounds()[&case.round()]);

    // The clock has been read since the plan: it is none of this round's business.
    case.tell_time(1_000);
    assert!(shared(&case));
    let accepted = case.acknowledged(&case.headers[0], &[1, 2, 3, 4]);
    assert_eq!(case.apply(0, Entry::Contribution(accepted)), Ok(()));
    assert!(!shared(&case));
    assert!(copy.rounds()[&case.round()].contributions.is_empty(), "the copy stays as it was");
}
