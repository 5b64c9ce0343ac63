//! The textbook proof of the ballot relation, entry by entry: what [`Proof`] is tested against.
//!
//! Every real and virtual entry is shown to be a bit by an OR of two Schnorr proofs, `C = ρ·B'` or `C − G = ρ·B'`
//! (Cramer, Damgård, Schoenmakers, *Proofs of partial knowledge*, 1994); every linear relation is shown by a Schnorr
//! proof for its commitment to zero. 160 bytes per entry, and slow to verify. The relation is written down here a
//! second time, on points, and a third time, on integers, in [`agreement`]: a slip in one of them shows as a disagreement.
//!
//! For tests and figures; it is not constant time.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use rand_core::CryptoRng;

use super::{
    layout::{BUCKETS, Layout, bucket_edges, first_count},
    proof::{BallotError, Proof},
    witness::{Vote, Witness},
};
use crate::{
    batch::Batch,
    domain,
    group::{Base, Generators, Point},
    transcript::{Item, Nonces, Transcript},
};

/// Proof that a commitment is to 0 or to 1.
#[derive(Clone, Debug, Eq, PartialEq)]
struct BitProof {
    announcements: [Point; 2],
    /// The challenge of the first branch; the other one's is the rest.
    challenge: Scalar,
    responses: [Scalar; 2],
}

/// Proof that a commitment is to 0.
#[derive(Clone, Debug, Eq, PartialEq)]
struct ZeroProof {
    announcement: Point,
    response: Scalar,
}

/// The textbook proof that committed rows are a ballot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OracleProof {
    /// Commitments to the auxiliary rows.
    pub auxiliary: Vec<Point>,
    bits: Vec<BitProof>,
    zeros: Vec<ZeroProof>,
}

/// Commitments (or blindings, or values: anything that adds up) of all entries and relations of a ballot.
struct Terms<T> {
    /// What must be a bit.
    bits: Vec<T>,
    /// What must be zero.
    zeros: Vec<T>,
}

/// Writes the relation down for anything linear: `one` stands for the constant 1.
fn terms<T>(layout: &Layout, data: &[T], auxiliary: &[T], one: &T) -> Terms<T>
where
    T: Copy + Default + core::ops::Add<Output = T> + core::ops::Sub<Output = T> + core::ops::Mul<Scalar, Output = T>,
{
    let sums: Vec<T> = (0..layout.items())
        .map(|item| data[layout.agree_row(item)] + data[layout.disagree_row(item)] + data[layout.pass_row(item)])
        .collect();
    let mut bits = [data, auxiliary, &sums].concat();
    let mut zeros = Vec::new();
    if layout.map() {
        let edges = bucket_edges(layout.items());
        let below = *one * Scalar::from(first_count(layout.items()) - 1);
        let nothing = T::default();
        let count = sums.iter().fold(nothing, |sum, seen| sum + *seen);
        let (mut low, mut high, mut chosen) = (nothing, below, nothing);
        for k in 0..BUCKETS {
            let bucket = data[layout.bucket_row(k)];
            chosen = chosen + bucket;
            high = high - bucket * Scalar::from(first_count(layout.items()) - 1);
            match edges.get(k) {
                Some((edge_low, edge_high)) => {
                    low = low + bucket * Scalar::from(*edge_low);
                    high = high + bucket * Scalar::from(*edge_high);
                }
                None => zeros.push(bucket),
            }
        }
        bits.push(chosen);
        let binary = |bits: &[T]| bits.iter().rev().fold(nothing, |value, bit| value * Scalar::from(2u8) + *bit);
        let (lower, upper) = auxiliary.split_at(auxiliary.len() / 2);
        zeros.push(count - low - binary(lower));
        zeros.push(high - count - binary(upper));
    }
    Terms { bits, zeros }
}

impl OracleProof {
    /// Proves that `witness` is a ballot, for data rows committed to in `data` with `blindings`.
    pub fn prove(
        layout: &Layout,
        data: &[Point],
        witness: &Witness,
        blindings: &[Scalar],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let generators = Generators::single();
        let mut transcript = start(layout, data);
        let mut nonces = transcript.nonces(&[witness.rows(), blindings].concat(), rng);
        let auxiliary_blindings: Vec<_> = witness.auxiliary().iter().map(|_| nonces.next()).collect();
        let auxiliary: Vec<Point> = (witness.auxiliary().iter().zip(&auxiliary_blindings))
            .map(|(value, blinding)| generators.commit(&[*value], blinding).into())
            .collect();
        transcript.absorb_seq(Item::Auxiliary, &auxiliary);
        let values = terms(layout, witness.data(), witness.auxiliary(), &Scalar::ONE);
        // The constant 1 is committed to with blinding 0.
        let blindings = terms(layout, blindings, &auxiliary_blindings, &Scalar::ZERO);

        let mut bits: Vec<_> = (values.bits.iter().zip(&blindings.bits))
            .map(|(value, blinding)| BitProof::announce(value, blinding, &mut nonces))
            .collect();
        let zero_nonces: Vec<_> = values.zeros.iter().map(|_| nonces.next()).collect();
        let mut zeros: Vec<_> = (zero_nonces.iter())
            .map(|nonce| ZeroProof { announcement: generators.blind(nonce).into(), response: *nonce })
            .collect();
        let challenge = announce(&mut transcript, &bits, &zeros);
        for ((bit, value), blinding) in bits.iter_mut().zip(&values.bits).zip(&blindings.bits) {
            bit.respond(value, blinding, &challenge);
        }
        for (zero, blinding) in zeros.iter_mut().zip(&blindings.zeros) {
            zero.response += challenge * blinding;
        }
        Self { auxiliary, bits, zeros }
    }

    /// Verifies the proof for data rows committed to in `data`.
    ///
    /// # Errors
    ///
    /// Returns the first [`BallotError`] found.
    pub fn verify(&self, layout: &Layout, data: &[Point]) -> Result<(), BallotError> {
        BallotError::check_length("data rows", layout.data_rows(), data.len())?;
        BallotError::check_length("auxiliary rows", layout.auxiliary_rows(), self.auxiliary.len())?;
        let points = |points: &[Point]| points.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>();
        let terms = terms(layout, &points(data)?, &points(&self.auxiliary)?, &Base::Column(0).point());
        BallotError::check_length("bit proofs", terms.bits.len(), self.bits.len())?;
        BallotError::check_length("zero proofs", terms.zeros.len(), self.zeros.len())?;

        let mut transcript = start(layout, data);
        transcript.absorb_seq(Item::Auxiliary, &self.auxiliary);
        let challenge = announce(&mut transcript, &self.bits, &self.zeros);
        for (index, (bit, commitment)) in self.bits.iter().zip(&terms.bits).enumerate() {
            if !bit.holds(commitment, &challenge)? {
                return Err(BallotError::Equation { part: "bit", index });
            }
        }
        for (index, (zero, commitment)) in self.zeros.iter().zip(&terms.zeros).enumerate() {
            if !is_answer(&zero.announcement, commitment, &challenge, &zero.response)? {
                return Err(BallotError::Equation { part: "relation", index });
            }
        }
        Ok(())
    }
}

impl BitProof {
    /// Announces: the true branch honestly, the other one simulated. What is kept for
    /// [`respond`](Self::respond) lies in the fields: the true branch's nonce in its response.
    fn announce(value: &Scalar, blinding: &Scalar, nonces: &mut Nonces) -> Self {
        let generators = Generators::single();
        let truth = usize::from(*value == Scalar::ONE);
        let (nonce, fake_challenge, fake_response) = (nonces.next(), nonces.next(), nonces.next());
        // z·B' − e·(C − fake·G), with C = value·G + blinding·B'.
        let fake_value = value - if truth == 1 { Scalar::ZERO } else { Scalar::ONE };
        let fake: Point =
            generators.commit(&[-(fake_challenge * fake_value)], &(fake_response - fake_challenge * blinding)).into();
        let real: Point = generators.blind(&nonce).into();
        if truth == 0 {
            Self { announcements: [real, fake], challenge: fake_challenge, responses: [nonce, fake_response] }
        } else {
            Self { announcements: [fake, real], challenge: fake_challenge, responses: [fake_response, nonce] }
        }
    }

    fn respond(&mut self, value: &Scalar, blinding: &Scalar, challenge: &Scalar) {
        let real = challenge - self.challenge;
        if *value == Scalar::ONE {
            self.responses[1] += real * blinding;
        } else {
            self.responses[0] += real * blinding;
            self.challenge = real;
        }
    }

    fn holds(&self, commitment: &RistrettoPoint, challenge: &Scalar) -> Result<bool, BallotError> {
        let [first, second] = &self.announcements;
        let minus_one = commitment - Base::Column(0).point();
        Ok(is_answer(first, commitment, &self.challenge, &self.responses[0])?
            && is_answer(second, &minus_one, &(challenge - self.challenge), &self.responses[1])?)
    }
}

/// Returns whether `response·B' = announcement + challenge·commitment`.
fn is_answer(
    announcement: &Point,
    commitment: &RistrettoPoint,
    challenge: &Scalar,
    response: &Scalar,
) -> Result<bool, BallotError> {
    Ok(Generators::single().blind(response) == announcement.decompress()? + commitment * challenge)
}

fn start(layout: &Layout, data: &[Point]) -> Transcript {
    let mut transcript = Transcript::new(domain::ORACLE);
    transcript.absorb_seq(Item::Statement, data);
    transcript.absorb(Item::Layout, layout);
    transcript
}

fn announce(transcript: &mut Transcript, bits: &[BitProof], zeros: &[ZeroProof]) -> Scalar {
    let announcements: Vec<Point> =
        bits.iter().flat_map(|bit| bit.announcements).chain(zeros.iter().map(|zero| zero.announcement)).collect();
    transcript.absorb_seq(Item::Announcement, &announcements);
    transcript.challenge(Item::Challenge)
}

/// What [`agreement`] found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Agreement {
    /// Witnesses tried, valid and not.
    pub cases: u32,
    /// How many of them were ballots.
    pub valid: u32,
    /// How often one of the two proofs was accepted for what is no ballot, or refused for what is one.
    pub disagreements: u32,
}

/// Proves random ballots of 1 to 8 items in both ways, every second one after a random change of its secret rows, and
/// compares both verdicts with the relation evaluated in the clear.
pub fn agreement(rng: &mut (impl CryptoRng + ?Sized), cases: u32) -> Agreement {
    let mut found = Agreement { cases, ..Agreement::default() };
    for case in 0..cases {
        let layout = Layout::new(1 + below(rng, 8) as u16, below(rng, 4) != 0).expect("1 to 8 items");
        let mut witness = random_witness(&layout, rng);
        if case % 2 == 1 {
            witness = changed(&layout, &witness, rng);
        }
        let valid = is_ballot(&layout, &witness);
        let verdicts = verdicts(&layout, &witness, rng);
        found.valid += u32::from(valid);
        found.disagreements += u32::from(verdicts != [valid; 2]);
    }
    found
}

/// Returns whether the vector proof and the textbook proof are accepted for a witness, valid or not.
pub(super) fn verdicts(layout: &Layout, witness: &Witness, rng: &mut (impl CryptoRng + ?Sized)) -> [bool; 2] {
    let blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(rng)).collect();
    let commit = |(value, blinding)| Generators::single().commit(core::slice::from_ref(value), blinding).into();
    let data: Vec<Point> = witness.data().iter().zip(&blindings).map(commit).collect();
    let mut transcript = Transcript::new(domain::ORACLE);
    transcript.absorb_seq(Item::Statement, &data);
    let vector = Proof::prove(&mut transcript.clone(), layout, witness, &blindings, rng);
    let textbook = OracleProof::prove(layout, &data, witness, &blindings, rng);

    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let mut batch = Batch::new(&seed);
    let first = batch.insert(data.iter().map(|point| point.decompress().expect("just committed")));
    let accepted = vector.verify(&mut transcript, layout, first, &mut batch).is_ok() && batch.verify();
    [accepted, textbook.verify(layout, &data).is_ok()]
}

/// Evaluates the relation in the clear, over integers.
fn is_ballot(layout: &Layout, witness: &Witness) -> bool {
    let is_set = |entry: &Scalar| *entry == Scalar::ONE;
    if !witness.rows().iter().all(|entry| is_set(entry) || *entry == Scalar::ZERO) {
        return false;
    }
    let votes = witness.data()[layout.vote_rows()].chunks(3);
    let seen: Vec<usize> = votes.map(|votes| votes.iter().filter(|vote| is_set(vote)).count()).collect();
    if seen.iter().any(|votes| *votes > 1) {
        return false;
    }
    if !layout.map() {
        return true;
    }
    let buckets: Vec<_> = (0..BUCKETS).filter(|k| is_set(&witness.data()[layout.bucket_row(*k)])).collect();
    let (low, high) = match *buckets.as_slice() {
        [] => (0, first_count(layout.items()) - 1),
        [k] if k < bucket_edges(layout.items()).len() => bucket_edges(layout.items())[k],
        _ => return false,
    };
    let number = |bits: &[Scalar]| bits.iter().rev().fold(0, |value, bit| 2 * value + usize::from(is_set(bit)));
    let (lower, upper) = witness.auxiliary().split_at(layout.slack_bits());
    let count: usize = seen.iter().sum();
    usize::from(low) + number(lower) == count && count + number(upper) == usize::from(high)
}

fn random_witness(layout: &Layout, rng: &mut (impl CryptoRng + ?Sized)) -> Witness {
    let choices = [Vote::Unseen, Vote::Agree, Vote::Disagree, Vote::Pass];
    let votes: Vec<_> = (0..layout.items()).map(|_| choices[below(rng, 4)]).collect();
    Witness::new(layout, &votes, rng).expect("one vote per item")
}

/// Changes one or two random rows, or swaps two.
fn changed(layout: &Layout, witness: &Witness, rng: &mut (impl CryptoRng + ?Sized)) -> Witness {
    let mut rows = witness.rows().to_vec();
    for _ in 0..=below(rng, 2) {
        let (row, other) = (below(rng, rows.len()), below(rng, rows.len()));
        match below(rng, 6) {
            0 => rows.swap(row, other),
            1 => rows[row] = Scalar::from(2u8),
            2 => rows[row] = -Scalar::ONE,
            3 => rows[row] = Scalar::from(2u8).invert(),
            4 => rows[row] = Scalar::random(rng),
            _ => rows[row] = Scalar::ONE - rows[row],
        }
    }
    Witness::from_rows(layout, rows)
}

/// Returns a number below `bound`, nearly uniform.
fn below(rng: &mut (impl CryptoRng + ?Sized), bound: usize) -> usize {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    (u64::from_le_bytes(bytes) % bound as u64) as usize
}
