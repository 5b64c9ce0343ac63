use super::*;
use crate::{
    codec::{Decode as _, Encode as _},
    domain,
    hash::Stream,
};
use curve25519_dalek::traits::MultiscalarMul as _;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// One claim: what is committed to, and what is proved from.
struct Claim {
    form: Vec<Field>,
    /// The opening of P.
    committed: Vec<Field>,
    /// The vector that the prover uses.
    vector: Vec<Field>,
    /// The opening of E.
    value: Scalar,
}

impl Claim {
    fn honest(length: usize) -> Self {
        let mut stream = Stream::new(domain::NONCE, &length.to_be_bytes());
        let mut vector = || (0..length).map(|_| Field::from(stream.next_scalar())).collect::<Vec<_>>();
        let (form, committed) = (vector(), vector());
        let value = inner_product(&form, &committed).into();
        Self { form, vector: committed.clone(), committed, value }
    }

    fn prove(&self) -> (VectorProof, Scalar) {
        let generators = Generators::new(u32::try_from(self.form.len()).expect("short"));
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        let mut nonces = transcript.nonces(&[], &mut ChaCha20Rng::seed_from_u64(1));
        let blindings = [&Scalar::from(5u8), &Scalar::from(6u8)];
        VectorProof::prove(&mut transcript, &generators, &self.form, &self.vector, blindings, &mut nonces)
    }

    /// Returns whether the equation of the batch holds, and whether the blinding opens `T + e·E − y·G₀` as zero.
    fn verify(&self, proof: &VectorProof, zero: &Scalar) -> (bool, bool) {
        let generators = Generators::new(u32::try_from(self.form.len()).expect("short"));
        let scalars: Vec<_> = self.committed.iter().copied().map(Scalar::from).collect();
        let commitment =
            RistrettoPoint::multiscalar_mul(scalars, generators.column_points()) + generators.blind(&Scalar::from(5u8));
        let evaluation = Generators::single().commit(&[self.value], &Scalar::from(6u8));
        let mut batch = Batch::new(&[2; 32]);
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        let points = proof.points().expect("valid points");
        let owed = proof.verify(&mut transcript, &self.form, &points, &mut batch);
        batch.add_point(owed.commitment, commitment, Scalar::ONE);
        let rest = owed.value + evaluation * owed.challenge - Base::Column(0).point() * owed.response;
        (batch.verify(), rest == Generators::single().blind(zero))
    }

    fn holds(&self) -> (bool, bool) {
        let (proof, zero) = self.prove();
        self.verify(&proof, &zero)
    }
}

const LENGTHS: [usize; 12] = [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, 100];

#[test]
fn linear_functions_of_vectors_of_every_length_are_provable() {
    for length in LENGTHS {
        let claim = Claim::honest(length);
        let (proof, zero) = claim.prove();

        assert_eq!(claim.verify(&proof, &zero), (true, true), "{length}");
        assert_eq!((proof.halvings.len(), proof.last.len()), VectorProof::lengths(length));
        assert_eq!(VectorProof::from_bytes(&proof.to_bytes()), Ok(proof));
    }
}

#[test]
fn another_vector_with_the_same_value_fails_against_the_commitment_alone() {
    for length in LENGTHS.into_iter().filter(|length| *length > 1) {
        for (first, second) in [(0, 1), (length - 2, length - 1)] {
            let mut claim = Claim::honest(length);
            let (a, b) = (claim.form[first], claim.form[second]);
            claim.vector[first] += b;
            claim.vector[second] -= a;

            assert_eq!(claim.holds(), (false, true), "{length}");
        }
    }
}

#[test]
fn another_value_fails_at_the_zero_alone() {
    for length in LENGTHS {
        let mut claim = Claim::honest(length);
        claim.value += Scalar::ONE;

        assert_eq!(claim.holds(), (true, false), "{length}");
    }
}

#[test]
fn a_response_that_is_not_the_value_of_the_vector_fails_at_the_folding_alone() {
    for length in LENGTHS {
        let claim = Claim::honest(length);
        let generators = Generators::new(u32::try_from(length).expect("short"));
        let zero = Scalar::from(7u8);
        // The prover with y + 1 in the place of y, and T that fits it: A commits to zeros, so that z = e·p.
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        let value = Point::from(Base::Column(0).point() + generators.blind(&zero));
        let announced = Point::from(RistrettoPoint::identity());
        let challenge = announce(&mut transcript, announced, value);
        let response: Vec<_> = claim.vector.iter().map(|entry| Field::from(challenge) * *entry).collect();
        let (y, blinding_response) = (challenge * claim.value + Scalar::ONE, challenge * Scalar::from(5u8));
        let scale = respond(&mut transcript, &y, &blinding_response);
        let (halvings, last) = Folding::new(&generators, &claim.form, &response, scale).run(&mut transcript);
        let forged = VectorProof { vector: announced, value, response: y, blinding_response, halvings, last };

        assert_eq!(claim.verify(&forged, &(zero + challenge * Scalar::from(6u8))), (false, true), "{length}");
    }
}

#[test]
fn every_part_of_the_proof_is_bound() {
    let changes: [fn(&mut VectorProof); 7] = [
        |proof| proof.vector = Base::Blinding.point().into(),
        |proof| proof.value = Base::Blinding.point().into(),
        |proof| proof.blinding_response += Scalar::ONE,
        |proof| proof.halvings[0].left = Base::Blinding.point().into(),
        |proof| proof.halvings[1].right = Base::Blinding.point().into(),
        |proof| proof.last[0] += Scalar::ONE,
        |proof| proof.last[3] += Scalar::ONE,
    ];
    for length in [9, 16] {
        for change in changes {
            let claim = Claim::honest(length);
            let (mut proof, zero) = claim.prove();
            change(&mut proof);

            assert!(!claim.verify(&proof, &zero).0);
        }
    }
}
