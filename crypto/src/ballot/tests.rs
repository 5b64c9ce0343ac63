use std::ops::Range;

use curve25519_dalek::scalar::Scalar;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    oracle::{OracleProof, agreement, verdicts},
    *,
};
use crate::{
    batch::Batch,
    codec::{Decode as _, DecodeError, Encode as _},
    domain,
    group::{Base, Generators, Point, PointError},
    transcript::{Item, Transcript},
};

const VOTES: [Vote; 4] = [Vote::Unseen, Vote::Agree, Vote::Disagree, Vote::Pass];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn random_votes(items: u16, seed: u64) -> Vec<Vote> {
    let mut stream = crate::hash::Stream::new(domain::NONCE, &seed.to_be_bytes());
    (0..items).map(|_| VOTES[(stream.next_u64() % 4) as usize]).collect()
}

/// A ballot on its way: commitments and proof, under a transcript that starts with `context`.
struct Cast {
    layout: Layout,
    context: u8,
    commitments: Vec<Point>,
    proof: Proof,
}

impl Cast {
    fn new(layout: Layout, votes: &[Vote], seed: u64) -> Self {
        let mut rng = rng(seed);
        let witness = Witness::new(&layout, votes, &mut rng).expect("one vote per item");
        let blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(&mut rng)).collect();
        let commitments = witness.commit(&blindings);
        let mut transcript = Self::transcript(0, &commitments);
        let proof = Proof::prove(&mut transcript, &layout, &witness, &blindings, &mut rng);
        Self { layout, context: 0, commitments, proof }
    }

    fn transcript(context: u8, commitments: &[Point]) -> Transcript {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        transcript.absorb(Item::Core, &context);
        transcript.absorb_seq(Item::Statement, commitments);
        transcript
    }

    fn add_to(&self, batch: &mut Batch) -> Result<(), BallotError> {
        let points = self.commitments.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
        let first = batch.insert(points);
        let mut transcript = Self::transcript(self.context, &self.commitments);
        self.proof.verify(&mut transcript, &self.layout, first, batch)
    }

    fn is_valid(&self) -> bool {
        let mut batch = Batch::new(&[9; 32]);
        self.add_to(&mut batch).is_ok() && batch.verify()
    }
}

fn layout(items: u16, map: bool) -> Layout {
    Layout::new(items, map).expect("in range")
}

#[test]
fn every_pattern_of_votes_on_up_to_four_items_is_provable() {
    for (items, map) in [(1, true), (2, true), (3, true), (4, true), (1, false), (2, false), (3, false), (4, false)] {
        for pattern in 0..1usize << (2 * items) {
            let votes: Vec<_> = (0..items).map(|item| VOTES[pattern >> (2 * item) & 3]).collect();
            let cast = Cast::new(layout(items, map), &votes, pattern as u64);

            assert!(cast.is_valid(), "{items} items, map {map}: {votes:?}");
        }
    }
}

#[test]
fn random_ballots_of_many_items_are_provable() {
    for (items, map) in [(7, true), (8, true), (16, true), (16, false), (50, true), (100, true), (100, false)] {
        for seed in 0..3 {
            assert!(Cast::new(layout(items, map), &random_votes(items, seed), seed).is_valid(), "{items} {map}");
        }
        for vote in VOTES {
            assert!(Cast::new(layout(items, map), &vec![vote; usize::from(items)], 1).is_valid(), "{items} {vote:?}");
        }
    }
    assert!(Cast::new(layout(MAX_ITEMS, true), &random_votes(MAX_ITEMS, 1), 1).is_valid());
}

#[test]
fn every_number_of_votes_has_a_provable_bucket() {
    for items in [1, 7, 8, 14, 15, 30] {
        for count in 0..=items {
            let votes: Vec<_> = (0..items).map(|item| if item < count { Vote::Pass } else { Vote::Unseen }).collect();
            let layout = layout(items, true);
            let witness = Witness::new(&layout, &votes, &mut rng(1)).expect("one vote per item");
            let chosen = (0..BUCKETS).position(|k| witness.data()[layout.bucket_row(k)] == Scalar::ONE);

            assert_eq!(witness.count(), count);
            assert_eq!(chosen, bucket_of(items, count));
            assert!(Cast::new(layout, &votes, 1).is_valid(), "{count} of {items}");
        }
    }
}

/// Secret rows written by hand.
struct Forgery {
    layout: Layout,
    rows: Vec<Scalar>,
}

impl Forgery {
    /// Rows with the first `count` items agreed to and the given buckets and slacks.
    fn new(items: u16, count: u16, buckets: &[usize], slacks: [u64; 2]) -> Self {
        let layout = layout(items, true);
        let mut rows = vec![Scalar::ZERO; layout.data_rows() + layout.auxiliary_rows()];
        (0..count).for_each(|item| rows[layout.agree_row(item)] = Scalar::ONE);
        buckets.iter().for_each(|k| rows[layout.bucket_row(*k)] = Scalar::ONE);
        let mut forgery = Self { layout, rows };
        for (which, slack) in slacks.into_iter().enumerate() {
            let range = forgery.slack(which);
            assert!(slack >> range.len() == 0, "slack {slack} in {} bits", range.len());
            range.enumerate().for_each(|(bit, row)| forgery.rows[row] = Scalar::from(slack >> bit & 1));
        }
        forgery
    }

    fn slack(&self, which: usize) -> Range<usize> {
        let bits = self.layout.slack_bits();
        let first = self.layout.data_rows() + which * bits;
        first..first + bits
    }

    fn with(mut self, row: usize, value: Scalar) -> Self {
        self.rows[row] = value;
        self
    }

    fn verdicts(self) -> [bool; 2] {
        verdicts(&self.layout, &Witness::from_rows(&self.layout, self.rows), &mut rng(3))
    }
}

/// With 16 items the buckets are 7, 8, 9, 10, 11–12, 13, 14–15, 16; slacks have 3 bits.
fn honest() -> Forgery {
    Forgery::new(16, 14, &[6], [0, 1])
}

const ACCEPTED: [bool; 2] = [true; 2];
const REFUSED: [bool; 2] = [false; 2];

#[test]
fn an_honest_witness_written_by_hand_is_accepted() {
    assert_eq!(honest().verdicts(), ACCEPTED);
    assert_eq!(Forgery::new(16, 4, &[], [4, 2]).verdicts(), ACCEPTED);
}

#[test]
fn an_entry_that_is_no_bit_is_refused_in_any_row() {
    let layout = layout(16, true);
    let (agree, dither) = (layout.agree_row(15), layout.dither_row(1, 19));
    for value in [Scalar::from(2u8), -Scalar::ONE, Scalar::from(2u8).invert()] {
        // A dither row is in no other relation: only "every entry is a bit" can refuse it.
        assert_eq!(honest().with(dither, value).verdicts(), REFUSED);
        assert_eq!(honest().with(agree, value).verdicts(), REFUSED);
    }
    // The sum of the item is 1 and the count is right: again only the entries themselves are wrong.
    let pair = honest().with(layout.agree_row(0), Scalar::from(2u8)).with(layout.pass_row(0), -Scalar::ONE);
    assert_eq!(pair.verdicts(), REFUSED);
    // t = 0 written as 2 − 2·1, so that the linear relation holds.
    let slack = honest().slack(0);
    let forged = honest().with(slack.start, Scalar::from(2u8)).with(slack.start + 1, -Scalar::ONE);
    assert_eq!(forged.verdicts(), REFUSED);
}

#[test]
fn two_opinions_on_one_item_are_refused() {
    let layout = layout(16, true);
    // Count and bucket are those of 13 + 1 = 14 votes: only the sum of item 0 is wrong.
    let forged = Forgery::new(16, 13, &[6], [0, 1]).with(layout.disagree_row(0), Scalar::ONE);
    assert_eq!(forged.verdicts(), REFUSED);
    // The same votes on two items.
    assert_eq!(Forgery::new(16, 13, &[6], [0, 1]).with(layout.disagree_row(15), Scalar::ONE).verdicts(), ACCEPTED);
}

#[test]
fn two_buckets_are_refused_though_the_inequalities_hold() {
    let edges = bucket_edges(100);
    let (low, high) = (edges[0].0 + edges[7].0, edges[0].1 + edges[7].1 - 6);
    let count = low + 1;

    let forged = Forgery::new(100, count, &[0, 7], [1, u64::from(high - count)]);

    assert_eq!(forged.verdicts(), REFUSED);
}

#[test]
fn a_bucket_that_does_not_contain_the_count_is_refused() {
    for slacks in [[0, 0], [0, 1], [1, 0], [7, 7]] {
        // Below its bucket, above it, below the first bucket, and without the bucket it must have.
        assert_eq!(Forgery::new(16, 13, &[6], slacks).verdicts(), REFUSED);
        assert_eq!(Forgery::new(16, 16, &[6], slacks).verdicts(), REFUSED);
        assert_eq!(Forgery::new(16, 6, &[0], slacks).verdicts(), REFUSED);
        assert_eq!(Forgery::new(16, 7, &[], slacks).verdicts(), REFUSED);
    }
    // No bucket with 7 votes: t = 7 satisfies the lower relation, the upper one would need t′ = −1.
    assert_eq!(Forgery::new(16, 7, &[], [7, 0]).verdicts(), REFUSED);
    let slack = honest().slack(1);
    assert_eq!(Forgery::new(16, 7, &[], [7, 0]).with(slack.start, -Scalar::ONE).verdicts(), REFUSED);
    // Bucket 14–15 with 13 votes: t′ = 2 satisfies the upper relation, the lower one would need t = −1.
    assert_eq!(Forgery::new(16, 13, &[6], [0, 2]).verdicts(), REFUSED);
    // Bucket 14–15 with 16 votes: t = 2 satisfies the lower relation only.
    assert_eq!(Forgery::new(16, 16, &[6], [2, 0]).verdicts(), REFUSED);
}

#[test]
fn a_wrong_slack_is_refused() {
    assert_eq!(Forgery::new(16, 14, &[6], [1, 1]).verdicts(), REFUSED);
    assert_eq!(Forgery::new(16, 14, &[6], [0, 0]).verdicts(), REFUSED);
    // Errors of equal and opposite size in the two relations.
    assert_eq!(Forgery::new(16, 14, &[6], [1, 2]).verdicts(), REFUSED);
    assert_eq!(Forgery::new(16, 14, &[6], [1, 0]).verdicts(), REFUSED);
}

#[test]
fn an_unused_bucket_is_refused() {
    // 8 items have the buckets 7 and 8. With no votes, bucket 5 satisfies everything but "unused buckets are zero".
    assert_eq!(Forgery::new(8, 0, &[], [0, 6]).verdicts(), ACCEPTED);
    for k in 2..BUCKETS {
        assert_eq!(Forgery::new(8, 0, &[k], [0, 0]).verdicts(), REFUSED);
    }
}

#[test]
fn vector_proof_and_oracle_and_plain_relation_agree() {
    let found = agreement(&mut rng(5), 400);

    assert_eq!(found.disagreements, 0, "{found:?}");
    assert!((210..390).contains(&found.valid), "{found:?}");
}

#[test]
fn commitments_to_bits_are_the_general_ones() {
    let layout = layout(3, true);
    let witness = Witness::new(&layout, &random_votes(3, 1), &mut rng(1)).expect("one vote per item");
    let mut blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(&mut rng(2))).collect();
    blindings[2] = Scalar::ZERO;
    let generators = Generators::single();

    let expected: Vec<Point> = (witness.data().iter().zip(&blindings))
        .map(|(bit, blinding)| generators.commit(&[*bit], blinding).into())
        .collect();

    assert_eq!(witness.commit(&blindings), expected);
    let zeros = vec![Scalar::ZERO; layout.data_rows()];
    assert_eq!(witness.commit(&zeros)[0].as_bytes() == &[0; 32], witness.data()[0] == Scalar::ZERO);
}

/// A change of one point of a list.
#[derive(Clone, Copy, Debug)]
enum Change {
    Shift(usize),
    Erase(usize),
    Spoil(usize),
    SwapWithFirst(usize),
}

impl Change {
    /// Every change of a list of `count` points.
    fn all(count: usize) -> impl Iterator<Item = Self> {
        let single = (0..count).flat_map(|index| [Self::Shift(index), Self::Erase(index), Self::Spoil(index)]);
        single.chain((1..count).map(Self::SwapWithFirst))
    }

    fn apply(self, points: &mut [&mut Point]) {
        match self {
            Self::Shift(index) => {
                *points[index] = (points[index].decompress().expect("valid") + Base::Column(0).point()).into();
            }
            Self::Erase(index) => *points[index] = Point::from([0; 32]),
            Self::Spoil(index) => *points[index] = Point::from([0xFF; 32]),
            Self::SwapWithFirst(index) => {
                let (first, rest) = points.split_at_mut(1);
                core::mem::swap(&mut *first[0], &mut *rest[index - 1]);
            }
        }
    }
}

fn points_of(proof: &mut Proof) -> Vec<&mut Point> {
    let rounds = proof.sumcheck.rounds.iter_mut().flat_map(|round| [&mut round.linear, &mut round.quadratic]);
    let opening = &mut proof.opening;
    proof
        .auxiliary
        .iter_mut()
        .chain(rounds)
        .chain([&mut opening.value, &mut opening.square, &mut opening.zero])
        .collect()
}

fn scalars_of(proof: &mut Proof) -> [&mut Scalar; 4] {
    let opening = &mut proof.opening;
    [
        &mut opening.value_response,
        &mut opening.blinding_response,
        &mut opening.square_response,
        &mut opening.zero_response,
    ]
}

#[test]
fn every_change_of_a_point_of_the_proof_is_refused() {
    let mut cast = Cast::new(layout(9, true), &random_votes(9, 1), 1);
    let original = cast.proof.clone();
    let count = points_of(&mut cast.proof).len();

    for change in Change::all(count) {
        change.apply(&mut points_of(&mut cast.proof));
        assert!(!cast.is_valid(), "{change:?}");
        cast.proof = original.clone();
    }
    assert_eq!(count, cast.layout.auxiliary_rows() + 2 * original.sumcheck.round_count() + 3);
    assert!(cast.is_valid());
}

#[test]
fn every_change_of_a_scalar_of_the_proof_is_refused() {
    let mut cast = Cast::new(layout(9, true), &random_votes(9, 1), 1);
    let original = cast.proof.clone();

    for index in 0..4 {
        for change in [|scalar: &mut Scalar| *scalar += Scalar::ONE, |scalar: &mut Scalar| *scalar = Scalar::ZERO] {
            change(scalars_of(&mut cast.proof)[index]);
            assert!(!cast.is_valid(), "scalar {index}");
            cast.proof = original.clone();
        }
        let [first, ..] = scalars_of(&mut cast.proof);
        let first_value = *first;
        *first = *scalars_of(&mut original.clone())[index];
        *scalars_of(&mut cast.proof)[index] = first_value;
        assert_eq!(cast.is_valid(), index == 0, "swap with {index}");
        cast.proof = original.clone();
    }
}

#[test]
fn every_change_of_a_commitment_is_refused() {
    let mut cast = Cast::new(layout(2, true), &random_votes(2, 1), 1);
    let original = cast.commitments.clone();

    for change in Change::all(original.len()) {
        change.apply(&mut cast.commitments.iter_mut().collect::<Vec<_>>());
        assert!(!cast.is_valid(), "{change:?}");
        cast.commitments = original.clone();
    }
}

#[test]
fn commitments_that_the_transcript_did_not_absorb_are_refused_too() {
    // Relations between points alone, without the help of Fiat–Shamir: same transcript, one other point in the batch.
    let cast = Cast::new(layout(2, true), &random_votes(2, 1), 1);
    for row in 0..cast.layout.data_rows() {
        let mut points: Vec<_> = cast.commitments.iter().map(|point| point.decompress().expect("valid")).collect();
        points[row] += Base::Blinding.point();
        let mut batch = Batch::new(&[9; 32]);
        let first = batch.insert(points);
        let mut transcript = Cast::transcript(0, &cast.commitments);

        cast.proof.verify(&mut transcript, &cast.layout, first, &mut batch).expect("well-formed");

        assert!(!batch.verify(), "row {row}");
    }
}

#[test]
fn a_proof_does_not_hold_in_another_context_or_layout() {
    let mut cast = Cast::new(layout(9, true), &random_votes(9, 1), 1);
    cast.context = 1;
    assert!(!cast.is_valid());
    cast.context = 0;
    assert!(cast.is_valid());

    // 25 items without a map have 75 rows, as 9 items with a map do.
    cast.layout = layout(25, false);
    assert_eq!(cast.layout.data_rows(), cast.commitments.len());
    assert!(!cast.is_valid());

    // 20 and 19 items without a map: the same number of rounds.
    let mut cast = Cast::new(layout(20, false), &random_votes(20, 1), 1);
    let mut batch = Batch::new(&[9; 32]);
    cast.layout = layout(19, false);
    assert_eq!(cast.add_to(&mut batch), Ok(()));
    assert!(!batch.verify());
}

#[test]
fn every_part_of_the_proof_and_the_layout_is_in_the_transcript() {
    // What is absorbed last, the credential's challenge, depends on everything before.
    let closing = |layout: Layout, proof: &Proof, commitments: &[Point]| {
        let mut transcript = Cast::transcript(0, commitments);
        let mut batch = Batch::new(&[9; 32]);
        batch.insert(vec![Base::Blinding.point(); layout.data_rows()]);
        proof.verify(&mut transcript, &layout, 0, &mut batch).expect("well-formed");
        transcript.challenge(Item::CredentialChallenge)
    };
    let cast = Cast::new(layout(20, false), &random_votes(20, 1), 1);
    let with_map = Cast::new(layout(9, true), &random_votes(9, 1), 1);
    // The same rounds and rows of proof for 20 and 19 items.
    assert_ne!(
        closing(layout(20, false), &cast.proof, &cast.commitments),
        closing(layout(19, false), &cast.proof, &cast.commitments)
    );
    let original = closing(with_map.layout, &with_map.proof, &with_map.commitments);
    let mut changed = with_map.proof.clone();
    for index in 0..points_of(&mut changed).len() {
        *points_of(&mut changed)[index] = Base::LeafSecret.point().into();
        assert_ne!(closing(with_map.layout, &changed, &with_map.commitments), original, "point {index}");
        changed = with_map.proof.clone();
    }
    for index in 0..4 {
        *scalars_of(&mut changed)[index] += Scalar::ONE;
        assert_ne!(closing(with_map.layout, &changed, &with_map.commitments), original, "scalar {index}");
        changed = with_map.proof.clone();
    }
}

#[test]
fn parts_of_the_wrong_length_are_refused_before_the_batch_is_touched() {
    let cast = Cast::new(layout(9, true), &random_votes(9, 1), 1);
    let check = |change: &dyn Fn(&mut Proof)| {
        let mut proof = cast.proof.clone();
        change(&mut proof);
        let mut batch = Batch::new(&[9; 32]);
        let mut transcript = Cast::transcript(0, &cast.commitments);
        let refusal = proof.verify(&mut transcript, &cast.layout, 0, &mut batch);
        assert!(batch.verify(), "nothing was added");
        refusal
    };
    let bits = cast.proof.auxiliary.len();

    assert_eq!(
        check(&|proof| proof.auxiliary.truncate(bits - 1)),
        Err(BallotError::Length { part: "auxiliary rows", expected: bits, found: bits - 1 })
    );
    assert_eq!(
        check(&|proof| proof.sumcheck.rounds.truncate(6)),
        Err(BallotError::Length { part: "rounds", expected: 7, found: 6 })
    );
    assert_eq!(
        check(&|proof| proof.sumcheck.rounds.push(proof.sumcheck.rounds[0].clone())),
        Err(BallotError::Length { part: "rounds", expected: 7, found: 8 })
    );
    assert_eq!(
        check(&|proof| proof.opening.zero = Point::from([0xFF; 32])),
        Err(BallotError::Point(PointError::Invalid))
    );
}

#[test]
fn a_batch_with_one_bad_ballot_is_refused_and_the_bad_one_is_found() {
    let mut casts: Vec<_> = (0..64).map(|seed| Cast::new(layout(3, true), &random_votes(3, seed), seed)).collect();
    let all = |casts: &[Cast]| {
        let mut batch = Batch::new(&[4; 32]);
        casts.iter().for_each(|cast| cast.add_to(&mut batch).expect("well-formed"));
        batch.verify()
    };
    assert!(all(&casts));

    casts[37].proof.opening.square_response += Scalar::ONE;

    assert!(!all(&casts));
    let bad: Vec<_> = (0..64).filter(|index| !casts[*index].is_valid()).collect();
    assert_eq!(bad, [37]);
}

#[test]
fn a_proof_has_one_encoding_of_the_documented_length() {
    for (items, map, length) in [(100, true, 1128), (100, false, 808), (1, false, 360), (500, true, 1512)] {
        let proof = Cast::new(layout(items, map), &random_votes(items, 1), 1).proof;
        let bytes = proof.to_bytes();

        assert_eq!(bytes.len(), length, "{items} {map}");
        assert_eq!(Proof::from_bytes(&bytes), Ok(proof));
        assert_eq!(Proof::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(DecodeError::Trailing(1)));
        for end in [0, 3, 4, 40, length - 1] {
            assert!(Proof::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let mut large = bytes.clone();
        large[..32].fill(0xFF);
        assert!(matches!(Proof::from_bytes(&large), Err(DecodeError::TooLong { bound: 16, .. })));
        let mut unreduced = bytes;
        unreduced[length - 32..].fill(0xFF);
        assert_eq!(Proof::from_bytes(&unreduced), Err(DecodeError::NonCanonical("scalar")));
    }
}

#[test]
fn a_proof_from_a_fixed_seed_has_known_bytes() {
    // Changes whenever the transcript, the order of nonces or the encoding does: then a new label is due.
    let proof = Cast::new(layout(9, true), &random_votes(9, 1), 1).proof;

    let digest = crate::hash::content(&proof.to_bytes());

    assert_eq!(u64::from_be_bytes(digest[..8].try_into().expect("8 bytes")), 0x72c4_6ed9_99cb_0e11, "{digest:02x?}");
}

#[test]
fn two_proofs_of_one_ballot_share_no_point_and_no_response() {
    let layout = layout(4, true);
    let witness = Witness::new(&layout, &[Vote::Agree; 4], &mut rng(1)).expect("one vote per item");
    let blindings = vec![Scalar::from(5u8); layout.data_rows()];
    let commitments = witness.commit(&blindings);
    let prove = |context, seed| {
        let mut transcript = Cast::transcript(context, &commitments);
        Proof::prove(&mut transcript, &layout, &witness, &blindings, &mut rng(seed))
    };
    let mut one = prove(0, 1);
    assert_eq!(one, prove(0, 1), "a proof is a function of transcript, witness and randomness");

    // In the same place with other randomness; in another place, from a generator that is broken and repeats itself.
    for (context, seed) in [(0, 2), (1, 1)] {
        let mut two = prove(context, seed);
        assert!(points_of(&mut one).iter().all(|point| !points_of(&mut two).contains(point)), "{context} {seed}");
        assert!(scalars_of(&mut one).iter().all(|scalar| !scalars_of(&mut two).contains(scalar)), "{context} {seed}");
    }
}

#[test]
fn the_oracle_refuses_other_commitments_and_layouts() {
    let layout = layout(3, true);
    let mut rng = rng(1);
    let witness = Witness::new(&layout, &[Vote::Agree; 3], &mut rng).expect("one vote per item");
    let blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(&mut rng)).collect();
    let mut data = witness.commit(&blindings);
    let proof = OracleProof::prove(&layout, &data, &witness, &blindings, &mut rng);
    assert_eq!(proof.verify(&layout, &data), Ok(()));

    data.swap(0, 3);

    assert_eq!(proof.verify(&layout, &data), Err(BallotError::Equation { part: "bit", index: 0 }));
    assert_eq!(
        proof.verify(&self::layout(4, true), &data),
        Err(BallotError::Length { part: "data rows", expected: 60, found: 57 })
    );
}
