//! What all operators together, with every key of the community, can write on the log.

use chorus_crypto::{
    Scalar,
    codec::Decode as _,
    credential::LeafSecret,
    domain,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    deliberation::constitution::Constitution,
    facilitation::{AnnotatedProposal, Annotation, AnyProposal},
    id::BatchId,
    log::{
        batch::{Batch, Height},
        entry::{
            AcceptedContribution, ContributionHeader, OpenedValues, PartitionChoice, Proposal, Registration,
            RoundResult, SignedEntry,
        },
    },
    opening::OpenedStep,
    registry::attestation::{Attestation, Claim},
    round::report::RoundReport,
    time::Timestamp,
};
use chorus_tests::community::Person;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;

/// Changes the log, has it signed and certified anew, and asserts that it is refused.
fn refuse(what: &str, code: u8, change: impl FnOnce(&mut Corrupt)) {
    let mut log = corrupt();
    change(&mut log);
    assert_refused(what, &log.bundle(), &[code]);
}

/// Changes all entries that `pick` knows, so that no honest operator is left to disagree.
fn refuse_each<T>(what: &str, code: u8, pick: impl Fn(&mut Entry) -> Option<&mut T>, change: impl Fn(&mut T)) {
    refuse(what, code, |log| {
        let mut changed = 0;
        for entry in log.entries() {
            if let Some(part) = pick(&mut entry.entry) {
                change(part);
                changed += 1;
            }
        }
        assert!(changed > 0, "{what} changes something");
    });
}

/// Changes the first entry that `pick` knows.
fn refuse_first<T>(what: &str, code: u8, pick: impl Fn(&mut Entry) -> Option<&mut T>, change: impl FnOnce(&mut T)) {
    refuse(what, code, |log| {
        let part = log.entries().find_map(|entry| pick(&mut entry.entry));
        change(part.unwrap_or_else(|| panic!("{what}: nothing to change")));
    });
}

/// Ways into an entry of one kind.
mod pick {
    use chorus_protocol::{log::entry::*, registry::attestation::Attestation};

    macro_rules! pick {
        ($($name:ident $kind:ident $type:ident),* $(,)?) => {
            $(pub(super) fn $name(entry: &mut Entry) -> Option<&mut $type> {
                if let Entry::$kind(it) = entry { Some(it) } else { None }
            })*
        };
    }
    pub(super) fn ballots(entry: &mut Entry) -> Option<&mut BallotPlan> {
        if let Subject::Ballots(ballots) = &mut plan(entry)?.subject { Some(ballots) } else { None }
    }
    pick! {
        register Register Registration,
        poll Poll PollOpening,
        propose Propose Proposal,
        plan Plan RoundPlan,
        round_key RoundKey RoundKey,
        open Open RoundOpening,
        contribution Contribution AcceptedContribution,
        clock Clock ClockReading,
        opening Opening MaskOpening,
        opened Opened OpenedValues,
        share_hash ShareHash ShareHash,
        share Share Share,
        end_pass EndPass EndPass,
        partition Partition PartitionChoice,
        result Result RoundResult,
        erased Erased Erasure,
        evidence Evidence Evidence,
        attest Attest Attestation,
        revoke Revoke Revocation,
        vouch Vouch Vouch,
        rotate Rotate LeafRotation,
        veto Veto Veto,
        remove_attester RemoveAttester AttesterRemoval,
        expel Expel Expulsion,
        census Census Census,
        propose_anonymously ProposeAnonymously AnonymousProposal,
    }
}

fn flip(bytes: &[u8; 32]) -> [u8; 32] {
    let mut bytes = *bytes;
    bytes[7] ^= 1;
    bytes
}

#[test]
fn nobody_is_made_a_member_against_the_rules() {
    let stranger = SecretKey::from_seed(&[9; 32]);
    let leaf = LeafSecret::random([0; 4], &mut ChaCha20Rng::seed_from_u64(9)).leaf();
    let register = |what, change: &dyn Fn(&mut Registration)| refuse_first(what, 22, pick::register, |it| change(it));
    register("another key", &|it| it.claim.key = stranger.public());
    register("another leaf", &|it| it.claim.leaf = leaf);
    register("a slot that nobody checked", &|it| it.claim.slots = 1);
    register("a key that nobody lost", &|it| it.claim.recovers = Some(stranger.public()));
    register("no attester", &|it| it.attestations[0].attester = stranger.public());
    register("an operator attests", &|it| it.attestations[0].attester = BASE.community.genesis.operators[0]);
    register("another policy", &|it| it.attestations[0].policy = flip(&it.attestations[0].policy));
    register("another beginning", &|it| it.attestations[0].valid_from = Timestamp::from_millis(1));
    register("another end", &|it| it.attestations[0].expires = Timestamp::from_millis(1));
    register("another person is attested", &|it| it.attestations[0].claim.key = stranger.public());
    register("no attestation", &|it| it.attestations.clear());
    register("one attestation twice", &|it| it.attestations.push(it.attestations[0]));
    register("signature", &|it| {
        it.attestations[0].signature = stranger.sign(domain::ATTESTATION, b"something else");
    });
    refuse("somebody else's opening of the leaf", 22, |log| {
        let mut registrations = log.entries().filter_map(|entry| pick::register(&mut entry.entry));
        let (first, second) = (registrations.next().expect("two"), registrations.next().expect("two"));
        first.opening = second.opening.clone();
    });
    refuse("somebody else posts it", 22, |log| {
        let author = BASE.community.genesis.operators[0];
        let entry = log.entries().find(|entry| matches!(entry.entry, Entry::Register(_)));
        entry.expect("a registration").author = author;
    });
    refuse("a member a second time", 22, |log| {
        let first = log.log.iter().flatten().find(|entry| matches!(entry.entry, Entry::Register(_))).cloned();
        log.log.last_mut().expect("a batch").extend(first);
    });
}

#[test]
fn membership_does_not_change_against_the_rules() {
    let stranger = SecretKey::from_seed(&[9; 32]).public();
    let (operator, member) = (BASE.community.operators[0].public(), BASE.community.people[1].key.public());
    refuse_first("another time", 22, pick::attest, |it| it.expires = Timestamp::from_millis(u64::MAX - 1));
    refuse_first("slots that nobody checked", 22, pick::attest, |it| it.claim.slots = 1);
    refuse_first("an attester of nobody", 22, pick::attest, |it| it.attester = operator);
    refuse_first("a stranger's word taken back", 22, pick::revoke, |it| it.key = stranger);
    refuse_first("a vouch for a stranger", 22, pick::vouch, |it| it.key = stranger);
    refuse_first("a vouch that ends before it began", 22, pick::vouch, |it| it.stands = false);
    refuse_first("a rotation to another leaf", 22, pick::rotate, |it| it.leaf = BASE.community.people[1].leaf.leaf());
    refuse_first("a veto of nothing", 22, pick::veto, |it| it.key = member);
    refuse_first("an attester that there is not", 22, pick::remove_attester, |it| it.attester = stranger);
    refuse_first("a member that there is not", 22, pick::expel, |it| it.key = stranger);
    refuse_first("one person in a census", 22, pick::census, |it| it.counts[0] = 1);
    refuse_first("an attribute that there is not", 22, pick::census, |it| it.slot = 1);
    refuse_first("an anonymous item's text", 22, pick::propose_anonymously, |it| it.text.push('!'));
    refuse_first("an anonymous item's number", 22, pick::propose_anonymously, |it| it.number += 1);
    refuse_first("an anonymous item's tag", 22, pick::propose_anonymously, |it| {
        it.tag = BASE.community.people[1].leaf.tag(&[1; 32]);
    });
    let annotated = |proposal| {
        let annotation = Annotation { topic: "another".into(), ..Annotation::default() };
        Entry::ProposeWith(Box::new(AnnotatedProposal { proposal, annotation }))
    };
    let beside = |what: &str, code, of: fn(&Entry) -> Option<AnyProposal>| {
        refuse(what, code, |log| {
            let said = log.entries().find_map(|entry| Some((of(&entry.entry)?, entry)));
            let (proposal, entry) = said.expect("a proposal");
            entry.entry = annotated(proposal);
        });
    };
    beside("words beside an anonymous item that its author did not write", 22, |entry| match entry {
        Entry::ProposeAnonymously(item) => {
            Some(AnyProposal::Anonymous(AnonymousProposal { text: "Another".into(), ..item.clone() }))
        }
        _ => None,
    });
    beside("words beside an item of no poll", 21, |entry| match entry {
        Entry::Propose(item) => Some(AnyProposal::Open(Proposal { poll: [9; 32].into(), ..item.clone() })),
        _ => None,
    });
    let by = |what: &str, of: fn(&Entry) -> bool, author| {
        refuse(what, 22, |log| log.entries().find(|entry| of(&entry.entry)).expect("one").author = author);
    };
    by("somebody else's attestation", |entry| matches!(entry, Entry::Attest(_)), operator);
    by("a word taken back by another", |entry| matches!(entry, Entry::Revoke(_)), operator);
    by("a rotation by another", |entry| matches!(entry, Entry::Rotate(_)), member);
    by("a veto by another", |entry| matches!(entry, Entry::Veto(_)), member);
    by("a removal by a member", |entry| matches!(entry, Entry::RemoveAttester(_)), member);
    by("an expulsion by a member", |entry| matches!(entry, Entry::Expel(_)), member);
    by("a census of an operator", |entry| matches!(entry, Entry::Census(_)), operator);
    by("an anonymous item of another author", |entry| matches!(entry, Entry::ProposeAnonymously(_)), member);
}

#[test]
fn a_person_nobody_attested_is_no_member() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let leaf = LeafSecret::random([0; 4], &mut rng);
    let person = Person { key: SecretKey::random(&mut rng), leaf, rng };
    let key = person.key.public();
    let mut rng = person.rng.clone();
    let claim = Claim::of(key, &person.leaf);
    // The operators sign as attesters, which they are not.
    let attester = BASE.community.attesters[0].public();
    let attestation = Attestation { attester, ..BASE.community.attestation(&BASE.community.operators[0], claim) };
    let registration = Registration::new(BASE.community.id(), claim, &person.leaf, vec![attestation], &mut rng);
    let entry = SignedEntry::sign(&person.key, BASE.community.id(), Entry::Register(registration));

    refuse("a person made up", 22, |log| log.log[0].push(entry));
}

#[test]
fn entries_against_the_rules_of_the_log_are_refused_though_all_sign_them() {
    let closing = corrupt().ledger().rounds()[&BASE.round].manifest.as_ref().expect("open").deadline;
    refuse_first("another question", 21, pick::poll, |it| it.question.push('?'));
    refuse_first("another kind", 21, pick::poll, |it| it.kind = PollKind::Value);
    refuse_first("another item", 21, pick::propose, |it| it.text.push('!'));
    refuse_first("an item of no poll", 21, pick::propose, |it| it.poll = flip(it.poll.as_ref()).into());
    refuse_first("an item more than once", 21, pick::ballots, |it| it.items.push(it.items[0]));
    refuse_first("an item less", 21, pick::ballots, |it| shorten(&mut it.items));
    refuse_first("a shorter round", 21, pick::plan, |it| it.duration_millis -= 1);
    refuse_first("another number", 21, pick::ballots, |it| it.number += 1);
    refuse("another round key", 21, |log| {
        let keys: Vec<_> =
            log.entries().filter_map(|entry| pick::round_key(&mut entry.entry)).map(|it| it.key).collect();
        let first = log.entries().find_map(|entry| pick::round_key(&mut entry.entry)).expect("a key");
        first.key = keys[1];
    });
    refuse_first("a key not offered", 21, pick::open, |it| it.keys[1] = it.keys[0]);
    refuse_first("another snapshot", 21, pick::open, |it| it.snapshot = flip(&it.snapshot));
    refuse_each("a clock that stands still", 21, pick::clock, |it| it.time = Timestamp::from_millis(1));
    refuse_each("closed before the deadline", 21, pick::clock, |it| {
        // Those that were read to close the round.
        if it.time >= closing {
            it.time = Timestamp::from_millis(it.time.as_millis() - 15_000);
        }
    });
    refuse_first("an opening of another set", 21, pick::opening, |it| it.set = flip(it.set.as_ref()).into());
    refuse_first("sums of sets not held", 21, pick::opening, |it| shorten(&mut it.sums));
    refuse_first("values of another set", 21, pick::opened, |it| it.set = flip(it.set.as_ref()).into());
    refuse_first("a pass that there is not", 21, pick::share_hash, |it| it.pass.pass = 9);
    refuse_first("hash of another share", 21, pick::share_hash, |it| it.share = flip(&it.share));
    refuse_first("a share of another size", 21, pick::share, |it| shorten(&mut it.values));
    refuse_first("another share than hashed", 21, pick::share, |it| it.values[0] += Scalar::ONE);
    refuse_first("the end of a pass there is not", 21, pick::end_pass, |it| it.pass.attempt = 9);
    refuse_first("a partition of another set", 21, pick::partition, |it| it.set = flip(it.set.as_ref()).into());
    refuse_first("a result of no round", 21, pick::result, |it| it.round = flip(it.round.as_ref()).into());
    refuse_first("an erasure in no round", 21, pick::erased, |it| it.round = flip(it.round.as_ref()).into());
    refuse_first("false evidence", 21, pick::evidence, |it| it.bytes[20] ^= 1);
    refuse_first("evidence without proof", 21, pick::evidence, |it| it.bytes.clear());
}

#[test]
fn evidence_against_somebody_who_is_no_operator_is_refused() {
    let evidence = equivocation(&BASE.community, &BASE.community.people[0].key);

    refuse_first("evidence against a member", 21, pick::evidence, |it| it.bytes.clone_from(&evidence.bytes));
}

#[test]
fn entries_cannot_be_dropped_repeated_or_moved_where_the_rules_say_otherwise() {
    let drop_first = |what, code, is: fn(&Entry) -> bool| {
        refuse(what, code, |log| {
            let batch = log.log.iter_mut().find(|batch| batch.iter().any(|entry| is(&entry.entry))).expect("one");
            let at = batch.iter().position(|entry| is(&entry.entry)).expect("one");
            batch.remove(at);
            log.log.retain(|batch| !batch.is_empty());
        });
    };
    drop_first("no poll", 21, |entry| matches!(entry, Entry::Poll(_)));
    drop_first("no plan", 21, |entry| matches!(entry, Entry::Plan(_)));
    drop_first("no opening of the round", 21, |entry| matches!(entry, Entry::Open(_)));
    drop_first("no closing", 21, |entry| matches!(entry, Entry::Close(_)));
    drop_first("no hash of a share", 21, |entry| matches!(entry, Entry::ShareHash(_)));
    drop_first("a member less", 21, |entry| matches!(entry, Entry::Register(_)));
    for kind in 1..=18 {
        refuse("an entry a second time", if kind == 1 { 22 } else { 21 }, |log| {
            let entry = log.log.iter().flatten().find(|entry| entry.entry.to_bytes()[0] == kind).cloned();
            log.log.last_mut().expect("a batch").extend(entry);
        });
    }
    refuse("closed before the votes", 21, |log| {
        let at = |log: &Corrupt, is: fn(&Entry) -> bool| {
            log.log.iter().position(|batch| batch.iter().any(|entry| is(&entry.entry))).expect("one")
        };
        let (vote, close) = (
            at(log, |entry| matches!(entry, Entry::Contribution(_))),
            at(log, |entry| matches!(entry, Entry::Close(_))),
        );
        log.log.swap(vote, close);
    });
    refuse("a batch of nothing", 21, |log| log.log.push(Vec::new()));
}

#[test]
fn a_quorum_cannot_certify_another_past() {
    let log = corrupt();
    let at = BASE.bundle.decisions.len() - 1;
    let forge = |height: Height, previous: BatchId| {
        let mut bundle = BASE.bundle.clone();
        let entries = bundle.decisions[at].batch.entries().to_vec();
        bundle.decisions[at] = log.certify(Batch::new(height, previous, entries).expect("fits"));
        check(&bundle.to_bytes())
    };
    let last = &BASE.bundle.decisions[at].batch;
    assert!(forge(last.height(), last.previous()).is_ok());
    assert!(matches!(forge(last.height(), last.id()), Err(VerifyError::Chain(height)) if height == last.height()));
    assert!(matches!(forge(last.height().next(), last.previous()), Err(VerifyError::Height { .. })));
    assert!(matches!(forge(Height::GENESIS, last.previous()), Err(VerifyError::Height { .. })));
}

#[test]
fn operators_entries_of_others_are_refused() {
    let member: PublicKey = BASE.community.people[0].key.public();
    for kind in 4..=18u8 {
        refuse(&format!("kind {kind} of a member"), 21, |log| {
            log.entries().find(|entry| entry.entry.to_bytes()[0] == kind).expect("every kind").author = member;
        });
    }
    refuse("a poll of a member", 21, |log| {
        log.entries().find(|entry| matches!(entry.entry, Entry::Poll(_))).expect("a poll").author = member;
    });
}

#[test]
fn headers_and_acknowledgements_of_contributions_cannot_be_changed() {
    let header = |what, code, change: &dyn Fn(&mut ContributionHeader)| {
        refuse(what, code, |log| {
            let mut header = alone(log).header.clone();
            change(&mut header);
            let accepted = log.acknowledge(header);
            *alone(log) = accepted;
        });
    };
    let (first, second) = two_headers(&corrupt());
    header("the tag of another", 23, &|it| {
        it.tag = chorus_crypto::group::Point::from(chorus_crypto::group::Base::Blinding.point()).into()
    });
    header("the sequence", 23, &|it| it.sequence += 5);
    header("no such attempt", 21, &|it| it.sequence = 16);
    header("a consent never given, or taken away", 23, &|it| it.on_map = !it.on_map);
    header("a class in a round without one", 21, &|it| it.class = 1);
    header("the core", 23, &|it| it.core = flip(&it.core));
    header("a seed", 23, &|it| it.seed_digests[0] = flip(&it.seed_digests[0]));
    header("a seed of another", 21, &|it| it.seed_digests[0] = second.seed_digests[0]);
    header("a seed less", 21, &|it| shorten(&mut it.seed_digests));
    header("the body of another", 23, &|it| it.body = second.body);
    header("another round", 21, &|it| it.round = BASE.small);
    assert_ne!(first, second);

    refuse_first("an acknowledgement less", 21, pick::contribution, |it| shorten(&mut it.acknowledgements));
    refuse_first("one acknowledgement twice", 21, pick::contribution, |it| {
        it.acknowledgements[1] = it.acknowledgements[0]
    });
    refuse_first("acknowledgements out of order", 21, pick::contribution, |it| it.acknowledgements.swap(0, 1));
    refuse_first("acknowledged by nobody", 21, pick::contribution, |it| it.acknowledgements[3].0 = 9);
    refuse_first("a signature", 21, pick::contribution, |it| it.acknowledgements[0].1 = it.acknowledgements[1].1);
    refuse_first("a header unsigned", 21, pick::contribution, |it| it.header.core = flip(&it.header.core));
}

/// Returns the first contribution that is the only one of its tag: the body of one that was replaced is in no bundle.
fn alone(log: &mut Corrupt) -> &mut AcceptedContribution {
    let kept: BTreeSet<BlobId> = log.blobs.keys().copied().collect();
    let contributions = log.entries().filter_map(|entry| pick::contribution(&mut entry.entry));
    let mut alone = contributions.filter(|it| it.header.sequence == 0 && kept.contains(&it.header.body));
    alone.next().expect("a contribution alone")
}

fn two_headers(log: &Corrupt) -> (ContributionHeader, ContributionHeader) {
    let mut headers = log.log.iter().flatten().filter_map(|entry| match &entry.entry {
        Entry::Contribution(it) if it.header.sequence == 0 && log.blobs.contains_key(&it.header.body) => {
            Some(it.header.clone())
        }
        _ => None,
    });
    (headers.next().expect("two"), headers.next().expect("two"))
}

/// Replaces the values that all operators state for a step.
fn refuse_values(what: &str, step: Step, code: u8, change: impl Fn(&mut OpenedStep)) {
    refuse(what, code, |log| {
        let opened = pick_opened(log, step);
        let mut values = OpenedStep::from_bytes(&log.blobs[&opened.values]).expect("values");
        let before = values.clone();
        change(&mut values);
        assert_ne!(values, before, "{what} changes something");
        let values = log.keep(values.to_bytes());
        for it in log.entries().filter_map(|entry| pick::opened(&mut entry.entry)).filter(|it| it.step == step) {
            it.values = values;
        }
    });
}

fn pick_opened(log: &Corrupt, step: Step) -> OpenedValues {
    let opened = log.log.iter().flatten().find_map(|entry| match &entry.entry {
        Entry::Opened(it) if it.step == step => Some(it.clone()),
        _ => None,
    });
    opened.expect("every step is opened")
}

#[test]
fn no_other_sum_bucket_or_point_can_be_opened() {
    for step in [Step::Totals, Step::Groups] {
        let sums = |change: fn(&mut Vec<chorus_crypto::mask::OpenedSum>)| {
            move |values: &mut OpenedStep| match values {
                OpenedStep::Sums(sums) => change(sums),
                OpenedStep::Functionals(_) => {}
            }
        };
        refuse_values("a total", step, 24, sums(|sums| sums[0].totals[0][0] += 1));
        refuse_values(
            "a vote moved",
            step,
            24,
            sums(|sums| {
                sums[0].totals[0][0] += 1;
                sums[0].totals[1][0] -= 1;
            }),
        );
        refuse_values("a negative total", step, 24, sums(|sums| sums[0].totals[0][0] = -1));
        refuse_values("a sum of blindings", step, 24, sums(|sums| sums[0].blindings[5] += Scalar::ONE));
        refuse_values("a row less", step, 24, sums(|sums| shorten(&mut sums[0].totals)));
        refuse_values("a column more", step, 24, sums(|sums| sums[0].totals[0].push(0)));
        refuse_values("a sum less", step, 24, sums(shorten));
        refuse_values("a sum more", step, 24, sums(|sums| sums.push(sums[0].clone())));
    }
    refuse_values("votes moved between groups", Step::Groups, 24, |values| {
        if let OpenedStep::Sums(sums) = values {
            sums[0].totals[0][0] += 1;
            sums[1].totals[0][0] -= 1;
        }
    });
    for step in [Step::Buckets, Step::Points] {
        let rows = |change: fn(&mut Vec<chorus_crypto::mask::OpenedRow>)| {
            move |values: &mut OpenedStep| match values {
                OpenedStep::Functionals(rows) => change(rows),
                OpenedStep::Sums(_) => {}
            }
        };
        refuse_values("a value", step, 24, rows(|rows| rows[3].entries[0] += 1));
        refuse_values("a blinding", step, 24, rows(|rows| rows[3].blinding += Scalar::ONE));
        refuse_values(
            "values of two ballots",
            step,
            24,
            rows(|rows| {
                rows[0].entries[0] += 1;
                rows[1].entries[0] -= 1;
            }),
        );
        refuse_values("a ballot less", step, 24, rows(shorten));
        refuse_values("a ballot more", step, 24, rows(|rows| rows.push(rows[0].clone())));
        refuse_values("two columns", step, 24, rows(|rows| rows[0].entries.push(0)));
    }
    refuse_values("values of another kind", Step::Totals, 24, |values| *values = OpenedStep::Functionals(Vec::new()));
}

#[test]
fn nothing_else_can_be_opened_than_what_follows_from_the_log() {
    for step in [Step::Totals, Step::Buckets, Step::Points, Step::Groups] {
        refuse("opened for something else", 24, |log| {
            let opened = log.entries().filter_map(|entry| pick::opened(&mut entry.entry));
            opened.filter(|it| it.step == step).for_each(|it| it.inputs = flip(&it.inputs));
        });
        refuse("never opened", 26, |log| {
            let states = |entry: &SignedEntry| matches!(&entry.entry, Entry::Opened(it) if it.step == step);
            log.log.iter_mut().for_each(|batch| batch.retain(|entry| !states(entry)));
            log.log.retain(|batch| !batch.is_empty());
        });
    }
    refuse("no bytes of values", 24, |log| {
        let values = log.keep(b"nothing".to_vec());
        log.entries().filter_map(|entry| pick::opened(&mut entry.entry)).for_each(|it| it.values = values);
    });
    refuse("totals of too few", 24, |log| {
        let opened = pick_opened(log, Step::Totals);
        let set = log.ledger().rounds()[&BASE.small].sealed.as_ref().expect("sealed").set;
        let opened = OpenedValues { round: BASE.small, set, ..opened };
        let said = |key: &PublicKey| signed(*key, Entry::Opened(opened.clone()));
        let entries = BASE.community.genesis.operators.iter().map(said).collect::<Vec<_>>();
        log.log.last_mut().expect("a batch").extend(entries);
    });
}

/// An entry that is still to be signed by its author.
fn signed(author: PublicKey, entry: Entry) -> SignedEntry {
    SignedEntry { author, ..SignedEntry::sign(&BASE.community.attesters[0], BASE.community.id(), entry) }
}

/// Replaces the first `count` shares of a pass, and their hashes, by what `change` makes of them.
fn change_shares(log: &mut Corrupt, pass: u8, count: usize, change: impl Fn(usize, &mut Vec<Scalar>)) {
    let pass = PassId { pass, attempt: 0 };
    let mut digests = std::collections::BTreeMap::new();
    for entry in
        log.entries().filter(|entry| matches!(&entry.entry, Entry::Share(share) if share.pass == pass)).take(count)
    {
        if let Entry::Share(share) = &mut entry.entry {
            change(digests.len() + 1, &mut share.values);
            digests.insert(entry.author, share.digest(entry.author));
        }
    }
    assert_eq!(digests.len(), count);
    for entry in log.entries() {
        if let Entry::ShareHash(hash) = &mut entry.entry
            && let Some(digest) = digests.get(&entry.author).filter(|_| hash.pass == pass)
        {
            hash.share = *digest;
        }
    }
}

#[test]
fn shares_that_make_no_product_or_another_one_are_refused() {
    refuse("two wrong shares", 26, |log| {
        change_shares(log, 0, 2, |nth, values| values[0] += Scalar::from(nth as u64));
    });
    for pass in 0..2 {
        refuse("another product", 24, |log| {
            change_shares(log, pass, 5, |_, values| {
                values.iter_mut().step_by(2).for_each(|value| *value += Scalar::from(1u64 << 50));
            });
        });
    }
    refuse_each("another matrix", 24, pick::share_hash, |it| it.inputs = flip(&it.inputs));
    refuse("no share", 26, |log| {
        log.log.iter_mut().for_each(|batch| batch.retain(|entry| !matches!(entry.entry, Entry::Share(_))));
        log.log.retain(|batch| !batch.is_empty());
    });
}

/// Four of five operators who multiplied by the matrix that follows are enough, and three are not.
#[test]
fn a_product_is_that_of_3f_plus_1_operators() {
    let multiplied_otherwise = |count| {
        let mut log = corrupt();
        let pass = PassId { pass: 0, attempt: 0 };
        let hashes = log.entries().filter_map(|entry| pick::share_hash(&mut entry.entry));
        let of_pass: Vec<_> = hashes.filter(|hash| hash.pass == pass).take(count).collect();
        assert_eq!(of_pass.len(), count);
        of_pass.into_iter().for_each(|hash| hash.inputs = flip(&hash.inputs));
        log.bundle()
    };

    assert_eq!(check(&multiplied_otherwise(1)).map(|report| report.rounds.len()).ok(), Some(2));
    assert_refused("no four of five multiplied by one matrix", &multiplied_otherwise(2), &[26]);
    assert_refused("four of five multiplied by another", &multiplied_otherwise(4), &[24]);
}

/// One wrong share of five is corrected, and its operator named: an honest log with one liar.
#[test]
fn one_wrong_share_changes_nothing_but_the_name_of_the_liar() {
    let mut log = corrupt();
    change_shares(&mut log, 0, 1, |_, values| values[0] += Scalar::ONE);
    let first = log.entries().find(|entry| matches!(entry.entry, Entry::Share(_))).expect("a share").author;
    let liar = BASE.community.genesis.operator(&first);

    let report = check(&log.bundle()).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(report.rounds[0].liars, liar.into_iter().collect());
    assert_eq!(report.rounds[0].result, check(&BASE.bytes).expect("honest").rounds[0].result);
}

#[test]
fn another_partition_is_refused() {
    refuse_each("another partition", 24, pick::partition, |it| it.partition = flip(&it.partition));
    refuse("no partition", 21, |log| {
        log.log.iter_mut().for_each(|batch| batch.retain(|entry| !matches!(entry.entry, Entry::Partition(_))));
        log.log.retain(|batch| !batch.is_empty());
    });
}

#[test]
fn no_partition_is_stated_of_a_round_that_comes_to_none() {
    refuse("a partition of too few", 24, |log| {
        let stated = log.entries().find_map(|entry| pick::partition(&mut entry.entry).cloned()).expect("a partition");
        let set = log.ledger().rounds()[&BASE.small].sealed.as_ref().expect("sealed").set;
        let choice = PartitionChoice { round: BASE.small, set, ..stated };
        let said = |key: &PublicKey| signed(*key, Entry::Partition(choice.clone()));
        let entries = BASE.community.genesis.operators.iter().map(said).collect::<Vec<_>>();
        log.log.last_mut().expect("a batch").extend(entries);
    });
}

/// Has all operators state another result of a round.
fn refuse_result(what: &str, code: u8, round: RoundId, change: impl Fn(&mut Corrupt, &mut RoundResult)) {
    refuse(what, code, |log| {
        let stated = log.log.iter().flatten().find_map(|entry| match &entry.entry {
            Entry::Result(it) if it.round == round => Some(it.clone()),
            _ => None,
        });
        let mut result = stated.expect("a result");
        change(log, &mut result);
        let all = log.entries().filter_map(|entry| pick::result(&mut entry.entry));
        all.filter(|it| it.round == round).for_each(|it| it.clone_from(&result));
    });
}

#[test]
fn no_other_result_can_be_stated() {
    let report = |what, round, change: &dyn Fn(&mut RoundReport)| {
        refuse_result(what, 25, round, |log, result| {
            let mut report = RoundReport::from_bytes(&log.blobs[&result.result]).expect("a report");
            change(&mut report);
            result.result = log.keep(report.to_bytes());
        });
    };
    report("number of ballots", BASE.round, &|it| it.ballots += 1);
    report("poll", BASE.round, &|it| it.poll = flip(it.poll.as_ref()).into());
    report("set", BASE.round, &|it| it.set = flip(it.set.as_ref()).into());
    report("items", BASE.round, &|it| it.items.swap(0, 1));
    report("outcome", BASE.round, &|it| it.outcome = chorus_protocol::round::report::Outcome::TooFew);
    report("community", BASE.round, &|it| it.community = flip(it.community.as_ref()).into());
    report("ballots of the small round", BASE.small, &|it| it.ballots += 1);
    let map = |what, change: fn(&mut chorus_protocol::round::report::MapReport)| {
        report(what, BASE.round, &move |it| {
            if let chorus_protocol::round::report::Outcome::Map { map, .. } = &mut it.outcome {
                change(map);
            }
        });
    };
    map("a loading", |it| it.map.axes[0].loadings[0] += 1);
    map("a dither", |it| it.map.axes[0].dither_bits += 1);
    map("explained variance", |it| it.explained[0].numerator += 1);
    map("a point", |it| it.ballots[5].point = vec![1]);
    map("a bucket", |it| it.ballots[5].bucket += 1);
    map("number of groups", |it| it.k += 1);
    map("a group", |it| it.assignment[0] = 1 - it.assignment[0].min(1));
    map("a group's tally", |it| it.groups[0].items[0].agree += 1);
    refuse_result("no report at all", 25, BASE.round, |log, result| result.result = log.keep(b"4 : 1".to_vec()));
}

/// A body says itself whose it is. That is found before any is read: a log could name a large one as often as it likes.
#[test]
fn one_body_is_of_one_contribution() {
    let mut log = corrupt();
    let (_, second) = two_headers(&log);
    let first = alone(&mut log).header.clone();
    let accepted = log.acknowledge(ContributionHeader { body: second.body, ..first });
    *alone(&mut log) = accepted;
    let mut bundle = Bundle::from_bytes(&log.bundle()).expect("a bundle");
    bundle.blobs.clear();

    assert_refused("one body for two", &bundle.to_bytes(), &[23]);
}

/// The log names a blob, and the bundle does not hold it.
#[test]
fn what_the_log_names_must_be_there() {
    let named = |name: &dyn Fn(&mut Corrupt, BlobId)| {
        let mut log = corrupt();
        let id = log.keep(b"nobody has this".to_vec());
        name(&mut log, id);
        let mut bundle = Bundle::from_bytes(&log.bundle()).expect("a bundle");
        let before = bundle.blobs.len();
        bundle.blobs.retain(|(blob, _)| *blob != id);
        assert_eq!(bundle.blobs.len() + 1, before);
        assert_refused("a blob that is missing", &bundle.to_bytes(), &[26]);
    };
    named(&|log, id| {
        let large =
            |entry: &mut Entry| pick::result(entry).filter(|it| it.round == BASE.round).map(|it| it.result = id);
        assert_eq!(log.entries().filter_map(|entry| large(&mut entry.entry)).count(), 5);
    });
    named(&|log, id| {
        let opened = log.entries().filter_map(|entry| pick::opened(&mut entry.entry));
        opened.filter(|it| it.step == Step::Buckets).for_each(|it| it.values = id);
    });
    named(&|log, id| {
        let accepted = log.acknowledge(ContributionHeader { body: id, ..two_headers(log).0 });
        *alone(log) = accepted;
    });
}

#[test]
fn no_other_constitution_can_be_stated() {
    let constitution = |what, change: &dyn Fn(&mut Constitution)| {
        refuse_result(what, 25, BASE.round, |log, result| {
            let id = result.follows.expect("a constitution");
            let mut constitution = Constitution::from_bytes(&log.blobs[&id]).expect("a constitution");
            change(&mut constitution);
            result.follows = Some(log.keep(constitution.to_bytes()));
        });
    };
    constitution("a text", &|it| it.principles[0].text.push_str(" Or not."));
    constitution("a principle less", &|it| shorten(&mut it.principles));
    constitution("an item", &|it| it.principles[0].item += 1);
    constitution("a tally", &|it| it.principles[0].groups[0].agree += 1);
    constitution("the bar", &|it| it.criteria.min_seen += 1);
    constitution("the name", &|it| it.preamble.name.push('!'));
    constitution("the version", &|it| it.preamble.version += 1);
    refuse_result("no constitution", 25, BASE.round, |_, result| result.follows = None);
    refuse_result("a constitution of values", 25, BASE.small, |log, result| {
        result.follows = Some(log.keep(b"We, the operators".to_vec()));
    });
}

#[test]
fn a_sealed_round_without_a_result_is_incomplete() {
    refuse("no result", 26, |log| {
        let later = |entry: &Entry| matches!(entry, Entry::Result(_) | Entry::Erased(_));
        log.log.iter_mut().for_each(|batch| batch.retain(|entry| !later(&entry.entry)));
        log.log.retain(|batch| !batch.is_empty());
    });
    refuse_each("results that differ", 26, pick::result, |it| {
        // f operators of five agree at most.
        thread_local!(static COUNT: std::cell::Cell<u8> = const { std::cell::Cell::new(0) });
        COUNT.set(COUNT.get() + 1);
        it.result = BlobId::of(&[COUNT.get()]);
    });
}

/// What fewer than f + 1 operators say is on record and changes nothing.
#[test]
fn an_operator_that_states_another_result_is_named() {
    let mut log = corrupt();
    let entry = log.entries().find(|entry| matches!(entry.entry, Entry::Result(_))).expect("a result");
    let operator = BASE.community.genesis.operator(&entry.author);
    if let Entry::Result(result) = &mut entry.entry {
        result.follows = None;
    }

    let report = check(&log.bundle()).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(report.rounds[0].dissenting, operator.into_iter().collect());
}
