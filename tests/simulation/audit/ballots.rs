//! Stuffed, altered and suppressed ballots, acknowledged and signed by all operators.

use chorus_crypto::{
    Scalar,
    ballot::{self, Vote, Witness},
    codec::Decode as _,
    credential::{Credential, Holder, Leaf, LeafSecret, OpenCredential, RingCredential, ShownLeaf, Statement, Tag},
    domain,
    group::Generators,
    link::Link,
    mask::{Masking, Shape, masked_digest},
    transcript::{Item, Transcript},
};
use chorus_protocol::{
    contribution::{BallotContent, Body, CheckedForm, Content, context, layout},
    ledger::{Ledger, SealedContribution},
    log::entry::{AcceptedContribution, ContributionHeader, SignedEntry},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;

/// Returns the header and the body of a counting ballot that shows whose it is.
fn open_ballot(log: &Corrupt) -> (ContributionHeader, Body) {
    find_ballot(log, |credential| matches!(credential, Credential::Open(_)))
}

/// Returns the header and the body of a counting ballot that does not.
pub(super) fn some_ballot(log: &Corrupt) -> (ContributionHeader, Body) {
    find_ballot(log, |credential| matches!(credential, Credential::Ring(_)))
}

fn find_ballot(log: &Corrupt, is_wanted: impl Fn(&Credential) -> bool) -> (ContributionHeader, Body) {
    let sealed = log.ledger().rounds()[&BASE.round].sealed.clone().expect("sealed");
    let ballot = |contribution: &SealedContribution| {
        let header = contribution.header.clone();
        let body = Body::from_bytes(&log.blobs[&header.body]).expect("a body");
        is_wanted(&body.credential).then_some((header, body))
    };
    sealed.contributions.iter().find_map(ballot).expect("a ballot of this kind")
}

/// Puts other bytes in the place of a ballot's body: the log names them, with as true a header as they admit.
pub(super) fn replace(log: &mut Corrupt, header: &ContributionHeader, bytes: Vec<u8>) {
    let mut named = CheckedForm::new(&log.ledger(), &bytes).map_or_else(|_| header.clone(), |form| form.header);
    // Where the body would not fit its place on the log, the header stays as it was.
    if (named.round, named.tag, named.sequence) != (header.round, header.tag, header.sequence) {
        named = header.clone();
    }
    named.body = log.keep(bytes);
    let accepted = log.acknowledge(named);
    let place = log.entries().find_map(|entry| match &mut entry.entry {
        Entry::Contribution(it) if it.header == *header => Some(it),
        _ => None,
    });
    *place.expect("on the log") = accepted;
}

fn refuse_body(what: &str, codes: &[u8], change: impl FnOnce(&mut Body)) {
    refuse_changed(what, codes, some_ballot, change);
}

fn refuse_changed(
    what: &str,
    codes: &[u8],
    ballot: fn(&Corrupt) -> (ContributionHeader, Body),
    change: impl FnOnce(&mut Body),
) {
    let mut log = corrupt();
    let (header, mut body) = ballot(&log);
    let before = body.clone();
    change(&mut body);
    assert_ne!(body, before, "{what} changes something");
    replace(&mut log, &header, body.to_bytes());
    assert_refused(what, &log.bundle(), codes);
}

fn refuse_content(what: &str, codes: &[u8], change: impl FnOnce(&mut BallotContent)) {
    refuse_body(what, codes, |body| match &mut body.content {
        Content::Ballot(content) => change(content),
        Content::Withdrawal | Content::Delta(_) => {}
    });
}

fn refuse_credential(what: &str, codes: &[u8], change: impl FnOnce(&mut OpenCredential)) {
    refuse_changed(what, codes, open_ballot, |body| {
        if let Credential::Open(credential) = &mut body.credential {
            change(credential);
        }
    });
}

fn refuse_ring(what: &str, codes: &[u8], change: impl FnOnce(&mut RingCredential)) {
    refuse_body(what, codes, |body| {
        if let Credential::Ring(credential) = &mut body.credential {
            change(credential);
        }
    });
}

#[test]
fn no_field_of_a_body_can_be_changed() {
    let generator = chorus_crypto::group::Point::from(chorus_crypto::group::Base::Blinding.point());
    refuse_body("round", &[23], |body| body.round = BASE.small);
    refuse_body("tag", &[23], |body| body.tag = Tag::from(generator));
    refuse_body("sequence", &[23], |body| body.sequence += 1);
    refuse_body("class", &[23], |body| body.class = 1);
    refuse_content("shape", &[23], |content| content.shape.data_rows -= 1);
    refuse_content("lanes", &[23], |content| content.shape.lane_bits -= 1);
    refuse_content("the mask row's commitment", &[23], |content| content.commitments[0] = generator);
    refuse_content("a vote's commitment", &[23], |content| content.commitments[1] = generator);
    refuse_content("two commitments", &[23], |content| content.commitments.swap(1, 2));
    refuse_content("a commitment that is no point", &[23], |content| content.commitments[1] = [255; 32].into());
    refuse_content("a commitment less", &[23], |content| shorten(&mut content.commitments));
    refuse_content("a seed", &[23], |content| content.seed_digests[0][0] ^= 1);
    refuse_content("a seed less", &[23], |content| shorten(&mut content.seed_digests));
    refuse_content("masked vector", &[23], |content| content.masked[0] ^= 1);
    refuse_content("boxes", &[23], |content| content.boxes[0] ^= 1);
    refuse_content("fold", &[23], |content| content.link.response[0] += Scalar::ONE);
    refuse_content("a fold more", &[23], |content| content.link.response.push(Scalar::ONE));
    refuse_content("blinding of the fold", &[23], |content| content.link.blinding += Scalar::ONE);
    refuse_content("fold of a mask", &[23], |content| content.link.folds[0].values[0] += Scalar::ONE);
    refuse_content("fold of blindings", &[23], |content| content.link.folds[0].blinding += Scalar::ONE);
    refuse_content("a mask's fold less", &[23], |content| shorten(&mut content.link.folds));
    refuse_content("auxiliary commitment", &[23], |content| content.proof.auxiliary[0] = generator);
    refuse_content("auxiliary commitment less", &[23], |content| shorten(&mut content.proof.auxiliary));
    refuse_body("consent", &[23], |body| body.on_map ^= true);
    refuse_ring("another cohort", &[22], |it| it.holder.cohort += 1);
    refuse_ring("another hidden leaf", &[23], |it| it.holder.leaf = Leaf::from(generator));
    refuse_ring("leaf's announcement", &[22], |it| it.leaf_announcement = generator);
    refuse_ring("tag's announcement", &[22], |it| it.tag_announcements[0] = generator);
    refuse_ring("response for the secret", &[22], |it| it.secret += Scalar::ONE);
    refuse_ring("response for an attribute", &[22], |it| it.attributes[3] += Scalar::ONE);
    refuse_ring("response for the blinding", &[22], |it| it.blinding += Scalar::ONE);
    refuse_credential("leaf of another", &[23], |it| it.leaf_index = (it.leaf_index + 1) % 24);
    refuse_credential("leaf of nobody", &[22], |it| it.leaf_index = 27);
    refuse_credential("leaf's announcement", &[22], |it| it.leaf_announcement = generator);
    refuse_credential("leaf's announcement is no point", &[22], |it| it.leaf_announcement = [255; 32].into());
    refuse_credential("tag's announcement", &[22], |it| it.tag_announcements[0] = generator);
    refuse_credential("tag's announcement missing", &[22], |it| it.tag_announcements.clear());
    refuse_credential("response for the secret", &[22], |it| it.secret += Scalar::ONE);
    refuse_credential("response for an attribute", &[22], |it| it.attributes[0] += Scalar::ONE);
    refuse_credential("an attribute less", &[22], |it| shorten(&mut it.attributes));
    refuse_credential("response for the blinding", &[22], |it| it.blinding += Scalar::ONE);
    refuse_body("a withdrawal in its place", &[21, 22, 23], |body| body.content = Content::Withdrawal);
}

#[test]
fn no_part_of_the_ballot_proof_can_be_changed() {
    let log = corrupt();
    let (header, body) = some_ballot(&log);
    let Content::Ballot(content) = &body.content else { panic!("a ballot") };
    let bytes = body.to_bytes();
    let end = bytes.len() - body.credential.to_bytes().len();
    let begin = end - content.proof.to_bytes().len() + 4 + 32 * content.proof.auxiliary.len();
    // Sumcheck and opening, every field: points and scalars of 32 bytes, and counts.
    for at in (begin..end).step_by(16) {
        let mut log = log.clone();
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        replace(&mut log, &header, bytes);
        assert_refused(&format!("byte {} of the proof", at - begin), &log.bundle(), &[20, 23]);
    }
    for (what, bytes) in
        [("cut", bytes[..bytes.len() - 1].to_vec()), ("longer", [&bytes[..], &[0]].concat()), ("nothing", Vec::new())]
    {
        let mut log = log.clone();
        replace(&mut log, &header, bytes);
        assert_refused(what, &log.bundle(), &[20]);
    }
}

/// What is needed to vote: a leaf of the snapshot to show, a secret, and a tag.
struct Stuffing<'a> {
    shown: &'a LeafSecret,
    secret: &'a LeafSecret,
    tag: Tag,
}

/// Makes a ballot as a contributor would, except that leaf, secret and tag need not belong together.
fn stuff(log: &Corrupt, ledger: &Ledger, stuffing: &Stuffing<'_>) -> (ContributionHeader, Vec<u8>) {
    let rng = &mut ChaCha20Rng::seed_from_u64(11);
    let round = &ledger.rounds()[&BASE.round];
    let manifest = round.manifest.as_ref().expect("open");
    let (_, template) = open_ballot(log);
    let Content::Ballot(template_content) = template.content else { panic!("a ballot") };
    let tag = stuffing.tag;
    let layout = layout(round).expect("items");
    let context = context(ledger.community(), round.id, &tag, 0);
    let shape: Shape = template_content.shape;
    let masking = Masking::new(&ledger.charter().sharing(), &shape, &context, rng);
    let witness = Witness::new(&layout, &[Vote::Agree; 16], rng).expect("votes");
    let data: Vec<Vec<Scalar>> = witness.data().iter().map(|bit| vec![*bit]).collect();
    let (commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
    let content = BallotContent {
        commitments,
        seed_digests: masking.seed_digests(),
        masked: masked_digest(&masked),
        ..*template_content
    };
    let mut body = Body { tag, sequence: 0, content: Content::Ballot(Box::new(content.clone())), ..template };
    let core = CheckedForm::new(ledger, &body.to_bytes()).expect("well-formed").header.core;

    let leaf = stuffing.shown.leaf();
    let index = manifest.snapshot.index(&leaf).expect("in the snapshot");
    let scopes = vec![(manifest.scope, tag)];
    let holder = Holder::Open(ShownLeaf { index, leaf });
    let (disclosed, snapshot_root) = (Vec::new(), manifest.root);
    let statement = Statement { scopes, holder, disclosed, group: None, snapshot_root };
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Manifest, &manifest.digest);
    transcript.absorb_seq(Item::Operators, &ledger.charter().operators);
    transcript.absorb(Item::Core, &(context, core));
    transcript.absorb(Item::Boxes, &content.boxes);
    transcript.absorb(Item::Eligibility, &statement);
    let link = Link::prove(&mut transcript, &masking, &shape, &data);
    let proof = ballot::Proof::prove(&mut transcript, &layout, &witness, &masking.blindings()[1..], rng);
    body.credential = Credential::prove_open(&mut transcript, &statement, stuffing.secret, rng);
    body.content = Content::Ballot(Box::new(BallotContent { link, proof, ..content }));
    let bytes = body.to_bytes();
    (CheckedForm::new(ledger, &bytes).expect("well-formed").header, bytes)
}

/// Logs a contribution before the round closes.
fn add(log: &mut Corrupt, accepted: AcceptedContribution) {
    let author = BASE.community.genesis.operators[0];
    let entry = SignedEntry {
        author,
        ..SignedEntry::sign(&BASE.community.operators[0], BASE.community.id(), Entry::Contribution(accepted))
    };
    let first = |entry: &SignedEntry| matches!(entry.entry, Entry::Contribution(_));
    let batch = log.log.iter_mut().find(|batch| batch.iter().any(first)).expect("a batch with votes");
    batch.push(entry);
}

fn stuffed(stuffing: &Stuffing<'_>) -> Vec<u8> {
    let mut log = corrupt();
    let (header, bytes) = stuff(&log, &log.ledger(), stuffing);
    log.keep(bytes);
    let accepted = log.acknowledge(header);
    add(&mut log, accepted);
    log.bundle()
}

fn scope() -> [u8; 32] {
    corrupt().ledger().rounds()[&BASE.round].manifest.as_ref().expect("open").scope
}

#[test]
fn a_ballot_of_somebody_who_is_no_member_is_refused() {
    let stranger = LeafSecret::random([0; 4], &mut ChaCha20Rng::seed_from_u64(3));
    let absent = &BASE.community.people[ABSENT].leaf;

    let bytes = stuffed(&Stuffing { shown: absent, secret: &stranger, tag: stranger.tag(&scope()) });
    assert_refused("a stranger shows the leaf of a member", &bytes, &[22]);
}

#[test]
fn a_second_ballot_of_one_member_is_refused() {
    let voter = &BASE.community.people[1].leaf;
    let tag = LeafSecret::random([0; 4], &mut ChaCha20Rng::seed_from_u64(3)).tag(&scope());

    let bytes = stuffed(&Stuffing { shown: voter, secret: voter, tag });
    assert_refused("a voter with a second tag", &bytes, &[22]);
    let absent = &BASE.community.people[ABSENT].leaf;
    let bytes = stuffed(&Stuffing { shown: absent, secret: voter, tag: voter.tag(&[1; 32]) });
    assert_refused("a voter with another's leaf", &bytes, &[22]);
}

/// The control of the two tests above: with a true credential the ballot itself holds, and only the totals, which were
/// opened without it, do not.
#[test]
fn a_late_ballot_of_a_member_is_no_forgery_but_the_sums_do_not_hold_it() {
    let absent = &BASE.community.people[ABSENT].leaf;

    let bytes = stuffed(&Stuffing { shown: absent, secret: absent, tag: absent.tag(&scope()) });
    assert_refused("a true ballot that was not counted", &bytes, &[24]);
}

#[test]
fn a_copied_ballot_is_refused() {
    let copy = |what: &str, code, change: &dyn Fn(&mut ContributionHeader)| {
        let mut log = corrupt();
        let (mut header, _) = some_ballot(&log);
        change(&mut header);
        let accepted = log.acknowledge(header);
        add(&mut log, accepted);
        assert_refused(what, &log.bundle(), &[code]);
    };
    copy("the same again", 21, &|_| {});
    copy("with its seeds, as another attempt", 21, &|header| header.sequence = 1);
    let fresh = |header: &mut ContributionHeader| {
        for (byte, digest) in (1..).zip(&mut header.seed_digests) {
            *digest = [byte; 32];
        }
    };
    copy("as another attempt", 23, &|header| {
        fresh(header);
        header.sequence = 1;
    });
    copy("under another tag", 23, &|header| {
        fresh(header);
        header.tag = BASE.community.people[ABSENT].leaf.tag(&scope());
    });
}

#[test]
fn nobody_can_take_back_what_another_said() {
    let mut log = corrupt();
    let (_, body) = some_ballot(&log);
    let withdrawal = Body { sequence: 1, on_map: false, content: Content::Withdrawal, ..body };
    let bytes = withdrawal.to_bytes();
    let header = CheckedForm::new(&log.ledger(), &bytes).expect("well-formed").header;
    log.keep(bytes);
    let accepted = log.acknowledge(header);
    add(&mut log, accepted);

    assert_refused("a forged withdrawal", &log.bundle(), &[22]);
}

#[test]
fn a_ballot_cannot_be_left_out_of_totals_that_hold_it() {
    let mut log = corrupt();
    let (header, _) = some_ballot(&log);
    let is = |entry: &SignedEntry| matches!(&entry.entry, Entry::Contribution(it) if it.header == header);
    log.log.iter_mut().for_each(|batch| batch.retain(|entry| !is(entry)));
    log.log.retain(|batch| !batch.is_empty());

    assert_refused("a ballot left out", &log.bundle(), &[24]);
}

#[test]
fn the_withdrawal_and_the_second_vote_are_those_that_count() {
    let log = corrupt();
    let ledger = log.ledger();
    let round = &ledger.rounds()[&BASE.round];
    let attempts = |person: usize| &round.contributions[&BASE.community.people[person].leaf.tag(&scope())];

    let bodies: BTreeSet<BlobId> = BASE.bundle.blobs.iter().map(|(id, _)| *id).collect();
    for person in [CHANGED, WITHDREW] {
        assert_eq!(attempts(person).keys().last(), Some(&1));
        for (sequence, attempt) in attempts(person).iter() {
            assert_eq!(bodies.contains(&attempt.header.body), *sequence == 1, "what was superseded is not shown");
        }
    }
    assert!(attempts(WITHDREW)[&1].header.is_withdrawal());
}
