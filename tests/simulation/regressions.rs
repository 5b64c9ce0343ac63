//! Attacks that the protocol was changed against, and bugs that these simulations found: each must fail again.

use chorus_crypto::{
    Scalar, ballot::Vote, credential::LeafSecret, domain, hash::content, link::LinkError, mask::Expansion,
    sign::SecretKey,
};
use chorus_protocol::{
    contribution::{Acknowledgement, CheckedForm, ContributeError, Contributor, Equations, Submission, verify_all},
    deliberation::{
        linear::IntMatrix,
        map::{Axis, Map},
    },
    fault::Fault,
    id::{BlobId, PollId},
    journal::{Lock, LockRecord, Record},
    ledger::{Ledger, RoundState},
    limits,
    log::entry::{
        AcceptedContribution, ContributionHeader, Entry, Evidence, MaskOpening, PartitionChoice, PassId, Proposal,
        Revocation, RoundClosing, SignedEntry, Step,
    },
    message::Message,
    opening::{Block, MaskPart, OpeningError, OpeningPlan, SumPlan},
    peer::{Command, Effect, Notice},
};
use chorus_tests::{
    malice::{
        Liar, Lie,
        forge::{Cheat, forge},
    },
    offline::OpenRound,
    scenario::Play,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::faults::{FIVE, FOUR, Moment, SHARE_LEN, play_with, small};

const ITEMS: usize = 16;

fn votes(vote: Vote) -> Vec<Vote> {
    vec![vote; ITEMS]
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn open_round() -> OpenRound {
    OpenRound::new(3, 5, 3, ITEMS)
}

/// Lets a person of an open round cheat.
fn cast(open: &OpenRound, person: usize, sequence: u8, cheat: &Cheat, seed: u64) -> Submission {
    let leaf = &open.community.people[person].leaf;
    forge(&open.ledger, open.round(), (leaf, sequence), &votes(Vote::Agree), cheat, &mut rng(seed))
}

/// What anybody says about a contribution.
fn checked(open: &OpenRound, submission: &Submission) -> (CheckedForm, Result<Equations, Fault>) {
    let form = CheckedForm::new(&open.ledger, &submission.body).expect("well formed");
    let verdict = verify_all(&open.ledger, &[&form], &[1; 32]).remove(0);
    (form, verdict)
}

/// What each operator says about its part of a contribution whose public part holds.
fn verdicts(open: &OpenRound, submission: &Submission) -> Vec<Result<(), Fault>> {
    let (form, equations) = checked(open, submission);
    let equations = equations.expect("the public part holds");
    let private = |(operator, key)| form.check_private(&open.ledger, &equations, submission, operator, key).map(drop);
    (1u8..).zip(&open.keys).map(private).collect()
}

/// The entry that puts a header on the log, with the acknowledgements of *all* operators: more than may collude.
fn acknowledged_by_all(open: &OpenRound, header: ContributionHeader) -> SignedEntry {
    let bytes = header.acknowledged_bytes(open.community.id());
    let sign = |(operator, key): (u8, &SecretKey)| (operator, key.sign(domain::ACKNOWLEDGE, &bytes));
    let acknowledgements = (1u8..).zip(&open.community.operators).map(sign).collect();
    let entry = Entry::Contribution(AcceptedContribution { header, acknowledgements });
    SignedEntry::sign(&open.community.operators[0], open.community.id(), entry)
}

fn by_operator(open: &OpenRound, operator: usize, entry: Entry) -> SignedEntry {
    SignedEntry::sign(&open.community.operators[operator], open.community.id(), entry)
}

#[test]
fn an_honest_contribution_of_the_forger_is_acknowledged_by_all() {
    let open = open_round();

    assert_eq!(verdicts(&open, &cast(&open, 0, 0, &Cheat::None, 1)), vec![Ok(()); 5]);
}

#[test]
fn a_blinding_that_is_not_the_sum_of_its_seeds_is_refused_by_every_holder() {
    let open = open_round();
    let jam = cast(&open, 0, 0, &Cheat::Blinding, 1);

    let verdicts = verdicts(&open, &jam);

    // The lie is in the fold of the set {1}, whose seed all but operator 1 hold. Four acknowledgements are needed.
    let refused = Err(Fault::Link(LinkError::SeedBlindings(0)));
    assert_eq!(verdicts, [Ok(()), refused.clone(), refused.clone(), refused.clone(), refused]);
}

#[test]
fn a_blinding_that_is_not_the_sum_of_its_seeds_would_jam_the_sum() {
    let open = open_round();
    let sum = |cheat: &Cheat| {
        let submissions = [cast(&open, 0, 0, cheat, 1), cast(&open, 1, 0, &Cheat::None, 2)];
        let forms = submissions.each_ref().map(|submission| checked(&open, submission).0);
        let masks: Vec<Vec<Expansion>> = (0..2u64).map(|index| expansions(&open, &forms, index)).collect();
        let plan = OpeningPlan::Sums(SumPlan { rows: 48, blocks: vec![Block { ballots: vec![0, 1] }] });
        let shape = masking_shape();
        let mut masks: Vec<Vec<Option<Expansion>>> =
            masks.into_iter().map(|ballot| ballot.into_iter().map(Some).collect()).collect();
        let parts: Vec<MaskPart> = (0..5)
            .map(|subset| {
                let taken: Vec<_> =
                    masks.iter_mut().map(|ballot| std::cell::RefCell::new(ballot[subset].take())).collect();
                plan.mask_part(&shape, |ballot| taken[ballot as usize].borrow_mut().take()).expect("all masks")
            })
            .collect();
        let masked = |ballot: u32| Some(submissions[ballot as usize].masked.as_slice());
        let opened = plan.open(&shape, masked, &parts).expect("sums of bits");
        plan.check(&shape, &opened, |ballot| Some(forms[ballot as usize].data_commitments()), &[0; 32])
    };

    assert_eq!(sum(&Cheat::None), Ok(()));
    assert!(matches!(sum(&Cheat::Blinding), Err(OpeningError::Block { .. } | OpeningError::Sum(_))));
}

fn masking_shape() -> chorus_crypto::mask::Shape {
    chorus_crypto::mask::Shape::ballot(3 * ITEMS as u32 + 48)
}

/// The masks of contribution `index`, made again from the forger's randomness: the seeds are its first words.
fn expansions(open: &OpenRound, forms: &[CheckedForm; 2], index: u64) -> Vec<Expansion> {
    let mut rng = rng(index + 1);
    let form = &forms[index as usize];
    let seeds: Vec<_> = (0..5).map(|_| chorus_crypto::mask::Seed::random(&mut rng)).collect();
    let expand = |(subset, seed)| form.expand(&open.ledger, subset, seed).expect("a ballot");
    seeds.iter().enumerate().map(expand).collect()
}

#[test]
fn seed_digests_copied_from_alice_are_refused_by_every_operator_and_by_the_log() {
    let mut open = open_round();
    let (alice, _) = checked(&open, &cast(&open, 0, 0, &Cheat::None, 1));
    let mallory = cast(&open, 1, 0, &Cheat::SeedDigests(alice.header.seed_digests.clone()), 2);
    let (forged, _) = checked(&open, &mallory);

    let verdicts = verdicts(&open, &mallory);

    assert!(verdicts.iter().all(|verdict| matches!(verdict, Err(Fault::Seeds(_)))), "{verdicts:?}");
    // Even if all operators acknowledged it, the log would not take it.
    let first = acknowledged_by_all(&open, alice.header);
    assert_eq!(open.ledger.apply(&first), Ok(()));
    let second = acknowledged_by_all(&open, forged.header);
    assert_eq!(open.ledger.apply(&second), Err(Fault::SeedReused));
}

#[test]
fn a_new_vote_with_the_old_seeds_is_masked_otherwise_and_with_the_old_digests_refused() {
    let mut open = open_round();
    // The same randomness gives the same seeds; another sequence number gives other masks.
    let (first, again) = (cast(&open, 0, 0, &Cheat::None, 1), cast(&open, 0, 1, &Cheat::None, 1));
    let [first_form, again_form] = [&first, &again].map(|submission| checked(&open, submission).0);
    let digests = first_form.header.seed_digests.clone();

    assert!(first_form.header.seed_digests.iter().all(|digest| !again_form.header.seed_digests.contains(digest)));
    let same = first.masked.iter().zip(&again.masked).filter(|(a, b)| {
        let difference = *a - *b;
        [Scalar::ZERO, Scalar::ONE, -Scalar::ONE].contains(&difference)
    });
    assert_eq!(same.count(), 0, "the difference of the masked vectors is not that of the ballots");

    let (copied, _) = checked(&open, &cast(&open, 0, 1, &Cheat::SeedDigests(digests), 1));
    let entry = acknowledged_by_all(&open, first_form.header);
    assert_eq!(open.ledger.apply(&entry), Ok(()));
    let entry = acknowledged_by_all(&open, copied.header);
    assert_eq!(open.ledger.apply(&entry), Err(Fault::SeedReused));
}

#[test]
fn a_body_withheld_from_one_operator_reaches_it_through_the_others() {
    let mut play = small(5).start();
    (5..play.network.len()).for_each(|follower| play.network.cut(2, follower, true));
    assert!(play.open());

    let result = play.vote_and_finish().expect("a result");

    assert!(play.body(&result.result) == FIVE.bytes);
    let acknowledged = |round: &std::sync::Arc<chorus_protocol::ledger::RoundRecord>| {
        round.openings[&Step::Totals].contains_key(&3) && round.results.len() == 5
    };
    assert!(play.network.run_until(20_000, |network| { network.peer(0).ledger().rounds().values().all(acknowledged) }));
}

#[test]
fn a_liar_who_acknowledges_another_header_first_censors_nobody() {
    let mut play = small(5).start();
    let liar = Liar {
        key: play.community.operators[0].clone(),
        community: play.community.id(),
        round: play.poll.round,
        share_len: SHARE_LEN,
    };
    play.network.tamper(0, liar.tells(Lie::AcknowledgesAnother));
    for host in 1..5 {
        let slow = |message: &Message| if matches!(message, Message::Acknowledgement(_)) { 200 } else { 0 };
        play.network.tamper(host, Box::new(move |_, message| vec![(slow(&message), message)]));
    }
    assert!(play.open());

    let result = play.vote_and_finish().expect("a result");

    assert!(play.body(&result.result) == FIVE.bytes);
}

#[test]
fn a_second_partition_is_refused_once_one_is_fixed() {
    let (play, result) = play_with(small(5), Moment::Open, |play| play.network.kill(4));
    result.expect("a result");
    let mut ledger = play.network.peer(0).ledger().clone();
    let round = play.round().expect("a round");
    assert!(!round.partitions.contains_key(&5), "the fifth operator has not spoken yet");
    let set = round.sealed.as_ref().expect("sealed").set;
    let other = PartitionChoice { round: round.id, set, partition: [9; 32] };

    let key = &play.community.operators[4];
    let entry = SignedEntry::sign(key, play.community.id(), Entry::Partition(other));

    assert_eq!(ledger.apply(&entry), Err(Fault::Duplicate("a partition of this set")));
}

#[test]
fn a_closing_before_its_deadline_is_refused() {
    let mut open = open_round();
    let close = by_operator(&open, 0, Entry::Close(RoundClosing { round: open.poll.round }));

    let refused = open.ledger.apply(&close);

    assert!(matches!(refused, Err(Fault::Early { .. })), "{refused:?}");
    assert!(open.round().sealed.is_none());
}

#[test]
fn an_axis_that_singles_out_one_item_is_no_map() {
    let single: Vec<i64> = (0..16).map(|item| if item == 3 { 15 } else { 0 }).collect();
    let map = Map { axes: vec![Axis { loadings: single, dither_bits: 12 }] };
    let column = |scale: i128| (0..16).map(|item| if item == 3 { scale } else { 0 }).collect::<Vec<i128>>();
    let matrix = |columns| IntMatrix::from_columns(16, columns).expect("small");
    let spread: Vec<i128> = (0..16).map(|item| 100 - item).collect();

    let product = Map::from_last_pass(&matrix(vec![column(1), spread]), &matrix(vec![column(1 << 30), column(7)]), 100);

    assert!(!map.is_valid(16));
    let product = product.expect("same size");
    assert!(
        product.is_none_or(|map| map.is_valid(16) && map.axes[0].loadings.iter().filter(|p| **p != 0).count() >= 6)
    );
}

#[test]
fn a_rushing_liar_with_one_operator_silent_gets_no_map_accepted() {
    // The liar (operator 2) commits to garbage; another operator commits and falls silent before it reveals.
    let mut scenario = small(4);
    scenario.seed = 8;
    let mut play = scenario.start();
    let key = play.community.operators[1].clone();
    let liar = Liar { key, community: play.community.id(), round: play.poll.round, share_len: SHARE_LEN };
    play.network.tamper(1, liar.tells(Lie::WrongShare));
    assert!(play.open());
    play.vote_all();
    let id = play.poll.round;
    let hashed = play.network.run_until(60_000, |network| {
        let pass = |host: usize| network.peer(host).ledger().rounds()[&id].passes.get(&PassId { pass: 0, attempt: 0 });
        pass(0).is_some_and(|pass| pass.hashes.len() == 4)
    });
    assert!(hashed, "all four commit");
    play.network.kill(3);

    let result = play.finish().expect("a result");

    let report = play.report(&result);
    assert!(report.totals().is_some() && report.map().is_none());
}

#[test]
fn the_sixteenth_change_of_mind_is_refused() {
    let mut open = open_round();
    for sequence in 0..=limits::MAX_SEQUENCE {
        let (form, _) = checked(&open, &cast(&open, 0, sequence, &Cheat::None, sequence.into()));
        let entry = acknowledged_by_all(&open, form.header);
        assert_eq!(open.ledger.apply(&entry), Ok(()), "{sequence}");
    }
    let (form, _) = checked(&open, &cast(&open, 0, limits::MAX_SEQUENCE, &Cheat::None, 99));
    let beyond = ContributionHeader { sequence: limits::MAX_SEQUENCE + 1, ..form.header };

    let leaf = &open.community.people[0].leaf;
    let contributor = Contributor { sequence: limits::MAX_SEQUENCE + 1, ..Contributor::anonymous(leaf) };
    let refused = contributor.cast(&open.ledger, open.round(), &votes(Vote::Pass), &mut rng(5));
    assert_eq!(refused, Err(ContributeError::Sequence));
    let over = cast(&open, 0, limits::MAX_SEQUENCE + 1, &Cheat::None, 7);
    assert!(matches!(CheckedForm::new(&open.ledger, &over.body), Err(Fault::Bound { .. })));
    let entry = acknowledged_by_all(&open, beyond);
    assert!(matches!(open.ledger.apply(&entry), Err(Fault::Bound { .. })));
}

#[test]
fn a_bucket_that_lies_about_its_count_is_refused() {
    let open = open_round();

    let (_, verdict) = checked(&open, &cast(&open, 0, 0, &Cheat::Bucket, 1));

    assert_eq!(verdict.map(drop), Err(Fault::Proof));
}

#[test]
fn more_distinct_tags_than_members_are_refused() {
    let mut open = open_round();
    let scope = open.round().manifest.as_ref().expect("open").scope;
    let header = |index: u8| ContributionHeader {
        round: open.poll.round,
        tag: LeafSecret::random([0; 4], &mut rng(index.into())).tag(&scope),
        sequence: 0,
        on_map: true,
        class: 0,
        body: BlobId::of(&[index]),
        core: [index; 32],
        seed_digests: (0..5).map(|subset| content(&[index, subset])).collect(),
    };
    let entries: Vec<_> = (0..4).map(|index| acknowledged_by_all(&open, header(index))).collect();

    let applied: Vec<_> = entries.iter().map(|entry| open.ledger.apply(entry)).collect();

    let over = Err(Fault::Bound { what: "distinct tags", bound: 3, found: 4 });
    assert_eq!(applied, [Ok(()), Ok(()), Ok(()), over]);
}

/// Plays a round in which operator 3 has locked the totals of the set under other inputs.
fn play_with_another_lock() -> (Play, Option<chorus_protocol::log::entry::RoundResult>) {
    play_with(small(5), Moment::Acknowledged, |play| {
        play.network.run_until(10_000, |_| false);
        play.network.kill(2);
        assert!(play.wait(RoundState::Sealed, 300_000), "the others seal");
        let (records, _) = play.network.disk(2);
        assert!(!records.iter().any(|record| matches!(record, Record::Locked(_))), "nothing is opened yet");
        let round = play.round().expect("a round");
        let set = round.sealed.as_ref().expect("sealed").set;
        let lock = LockRecord { round: round.id, set, lock: Lock::Step(Step::Totals), inputs: [9; 32] };
        play.network.plant_record(2, Record::Locked(lock));
        play.network.start(2);
    })
}

#[test]
fn a_step_locked_under_other_inputs_is_not_opened_after_a_restart_either() {
    let (play, result) = play_with_another_lock();

    let result = result.expect("a result");

    assert!(play.body(&result.result) == FIVE.bytes, "the other four suffice");
    let round = play.round().expect("a round");
    assert!(!round.openings[&Step::Totals].contains_key(&3), "operator 3 keeps its lock");
    assert!(round.openings[&Step::Buckets].contains_key(&3), "and opens what it has not locked");
}

#[test]
fn a_second_opening_of_a_step_by_one_operator_is_refused() {
    let (play, result) = play_with(small(4), Moment::Result, |_| {});
    result.expect("a result");
    let mut ledger: Ledger = play.network.peer(0).ledger().clone();
    let round = play.round().expect("a round");
    let first = &round.openings[&Step::Totals][&1];
    let set = round.sealed.as_ref().expect("sealed").set;
    let sums = first.sums.iter().map(|(subset, blob)| (*subset, *blob)).collect();
    let second = MaskOpening { round: round.id, set, step: Step::Totals, inputs: [9; 32], sums };

    let entry = SignedEntry::sign(&play.community.operators[0], play.community.id(), Entry::Opening(second));

    assert_eq!(ledger.apply(&entry), Err(Fault::Duplicate("an opening")));
    assert!(play.report(play.round().and_then(|round| round.agreed_result()).expect("a result")) == FOUR.report);
}

#[test]
fn bytes_that_prove_nothing_are_no_evidence() {
    let mut open = open_round();
    let evidence = by_operator(&open, 0, Entry::Evidence(Evidence { bytes: vec![0; 100] }));

    assert!(open.ledger.apply(&evidence).is_err());
    assert!(open.ledger.convicted().is_empty());
}

#[test]
fn a_member_who_floods_the_pool_silences_nobody() {
    let mut scenario = small(1);
    scenario.people = 3;
    let mut play = scenario.start();
    let (registration, community) = (play.community.registration(0), play.community.id());
    play.network.command(1, Command::Relay(registration));
    assert!(play.network.run_until(60_000, |network| network.peer(0).ledger().members().len() == 1));
    let key = play.community.people[0].key.clone();
    for number in 0..=limits::MAX_POOL as u64 {
        let entry = Proposal { poll: PollId::from(content(&number.to_be_bytes())), text: "x".into() };
        let message = Message::Entry(SignedEntry::sign(&key, community, Entry::Propose(entry)));
        play.network.deliver(0, 1, message.seal(community));
    }

    play.network.command(0, Command::Post(play.poll.opening.clone()));

    assert!(play.network.run_until(60_000, |network| network.peer(0).ledger().polls().len() == 1));
}

#[test]
fn strangers_who_flood_the_pool_silence_nobody() {
    let mut play = small(1).start();
    let community = play.community.id();
    for number in 0..=limits::MAX_POOL as u64 {
        let key = SecretKey::from_seed(&content(&number.to_be_bytes()));
        // Of a key that may yet be registered: it does not follow from the log as it is.
        let leaves = Entry::Revoke(Revocation::leaving(key.public(), String::new()));
        let message = Message::Entry(SignedEntry::sign(&key, community, leaves));
        play.network.deliver(0, 1, message.seal(community));
    }

    let registration = play.community.registration(0);
    play.network.command(1, Command::Relay(registration));

    assert!(play.network.run_until(60_000, |network| network.peer(0).ledger().members().len() == 1));
}

/// The bodies of one tag that an operator keeps.
fn kept(play: &Play, host: usize, submissions: &[Submission]) -> Vec<bool> {
    let (_, private) = play.network.disk(host);
    submissions.iter().map(|one| private.iter().any(|kept| kept.body == one.body)).collect()
}

#[test]
fn superseded_ballots_are_erased_once_the_next_is_on_the_log_and_do_not_come_back() {
    let mut play = small(4).start();
    assert!(play.open());
    play.vote_all();
    let changed = votes(Vote::Pass);
    play.network.run_until(2_000, |_| false);
    play.vote(0, 1, &changed);
    play.network.run_until(8_000, |_| false);
    let scope = play.round().and_then(|round| round.manifest.clone()).expect("open").scope;
    let tag = play.community.people[0].leaf.tag(&scope);
    let mut attempts: Vec<(u8, Submission)> = play
        .network
        .tap
        .submissions
        .values()
        .filter_map(|one| Some((CheckedForm::new(play.network.peer(0).ledger(), &one.body).ok()?, one)))
        .filter(|(form, _)| form.header.tag == tag)
        .map(|(form, one)| (form.header.sequence, one.clone()))
        .collect();
    attempts.sort_by_key(|(sequence, _)| *sequence);
    let attempts: Vec<Submission> = attempts.into_iter().map(|(_, one)| one).collect();
    assert_eq!(kept(&play, 0, &attempts), [false, true]);
    assert!(play.wait(RoundState::Sealed, 60_000));

    let again = Message::Submission(attempts[0].clone()).seal(play.community.id());
    play.network.deliver(0, 5, again);
    play.network.run_until(60, |_| false);

    assert_eq!(kept(&play, 0, &attempts), [false, true]);
}

#[test]
fn a_liar_who_acknowledges_what_is_not_there_is_remembered_so_often_and_no_more() {
    let mut play = small(4).start();
    assert!(play.open());
    let (ledger, community) = (play.network.peer(0).ledger().clone(), play.community.id());
    let (round, leaf) = (&ledger.rounds()[&play.poll.round], &play.community.people[0].leaf);
    let real = forge(&ledger, round, (leaf, 0), &votes(Vote::Agree), &Cheat::None, &mut rng(1));
    let real = CheckedForm::new(&ledger, &real.body).expect("well formed").header;
    for number in 0..=limits::MAX_PENDING as u64 {
        let tag = leaf.tag(&content(&number.to_be_bytes()));
        let header = ContributionHeader { tag, body: BlobId::of(&number.to_be_bytes()), ..real.clone() };
        let bytes = header.acknowledged_bytes(community);
        let signature = play.community.operators[1].sign(domain::ACKNOWLEDGE, &bytes);
        let message = Message::Acknowledgement(Acknowledgement { header, operator: 2, signature });
        play.network.deliver(0, 1, message.seal(community));
    }

    let refused = |(host, notice): &&(usize, Notice)| {
        *host == 0 && matches!(notice, Notice::Refused { fault: Fault::Bound { .. }, .. })
    };
    assert_eq!(play.network.notices.iter().filter(refused).count(), 1);
    assert!(play.vote_and_finish().is_some(), "and nobody's ballot is lost");
}

#[test]
fn of_two_bodies_with_one_tag_and_sequence_an_operator_keeps_and_acknowledges_the_first() {
    let mut play = small(4).start();
    assert!(play.open());
    let ledger = play.network.peer(0).ledger().clone();
    let round = &ledger.rounds()[&play.poll.round];
    let leaf = &play.community.people[0].leaf;
    let cast = |seed| forge(&ledger, round, (leaf, 0), &votes(Vote::Agree), &Cheat::None, &mut rng(seed));
    let bodies = [cast(1), cast(2), cast(3)];
    let community = play.community.id();
    for body in &bodies {
        play.network.deliver(0, 5, Message::Submission(body.clone()).seal(community));
    }

    play.network.run_until(1_000, |_| false);

    assert_eq!(kept(&play, 0, &bodies), [true, false, false]);
    assert_eq!(play.network.tap.contradictions(&play.community.operator_keys()), []);
}

#[test]
fn an_operator_whose_key_comes_late_but_within_the_grace_is_waited_for() {
    let mut play = small(4).start();
    let late =
        |message: &Message| matches!(message, Message::Entry(entry) if matches!(entry.entry, Entry::RoundKey(_)));
    play.network.tamper(
        3,
        Box::new(move |_, message| match message {
            Message::Consensus(it) if it.bytes.first() == Some(&1) => Vec::new(),
            message => vec![(if late(&message) { 1_500 } else { 0 }, message)],
        }),
    );

    assert!(play.open());

    let manifest = play.round().and_then(|round| round.manifest.clone()).expect("open");
    assert!(manifest.keys.iter().all(Option::is_some), "{:?}", manifest.keys);
}

#[test]
fn an_erasure_that_a_crash_interrupts_is_finished_at_the_next_start() {
    let mut play = small(4).start();
    assert!(play.open());
    play.network.crash_at(1, Box::new(|effect| matches!(effect, Effect::EraseRound(_))));
    play.vote_and_finish().expect("a result");
    assert!(play.network.run_until(20_000, |network| !network.is_up(1)), "it dies before it erases");
    assert!(!play.network.disk(1).1.is_empty());

    play.network.start(1);

    let (records, private) = play.network.disk(1);
    assert!(private.is_empty() && !records.iter().any(|record| matches!(record, Record::RoundKey(_))));
}
