use super::*;
use crate::{
    codec::{Decode as _, Encode as _},
    credential::{Leaf, ring::tests::leaves, tests::rng},
    domain,
    transcript::Transcript,
};

/// A ring of every shape, none of them full.
fn rings() -> impl Iterator<Item = Ring> {
    [9, 60, 200, 1000, 1500].into_iter().map(|count| Ring::of_leaves(&leaves(count)).expect("a ring"))
}

fn nonces(seed: u8) -> Nonces {
    Transcript::new(domain::CONTRIBUTION).nonces(&[], &mut rng(seed))
}

/// `P_position + r·H`.
fn target(ring: &Ring, position: usize, r: Scalar) -> RistrettoPoint {
    ring.points()[position] + Base::LeafBlinding.point() * r
}

fn prove(ring: &Ring, position: usize, challenge: Scalar, r: Scalar) -> OneOfMany {
    let (prover, commitments) = Prover::commit(ring, position, &mut nonces(1));
    prover.respond(commitments, &challenge, &r)
}

fn verify(proof: &OneOfMany, ring: &Ring, target: RistrettoPoint, challenge: Scalar) -> Result<bool, CredentialError> {
    let points = proof.decompress(ring)?;
    let mut batch = Batch::new(&[3; 32]);
    let target = batch.insert([target]);
    proof.verify(points, ring, target, &challenge, &mut batch);
    Ok(batch.verify())
}

const CHALLENGE: u64 = 0x0123_4567_89AB_CDEF;
const R: u64 = 77;

#[test]
fn every_position_kind_of_every_shape_is_proved() {
    let (challenge, r) = (Scalar::from(CHALLENGE), Scalar::from(R));
    for ring in rings() {
        for position in [0, ring.len() / 2, ring.len() - 1, ring.len(), ring.size() - 1] {
            let proof = prove(&ring, position, challenge, r);

            assert_eq!(verify(&proof, &ring, target(&ring, position, r), challenge), Ok(true), "{ring:?} {position}");
            let other = (position + 1) % ring.size();
            assert_eq!(verify(&proof, &ring, target(&ring, other, r), challenge), Ok(false));
            assert_eq!(OneOfMany::from_bytes(&proof.to_bytes()), Ok(proof));
        }
    }
}

#[test]
fn coefficients_are_those_of_the_products_of_linear_factors() {
    for ring in rings() {
        let (shape, position) = (ring.shape(), 0x5A5 % u32::try_from(ring.size()).expect("at most 4,096"));
        let (digits, masks) = (digits(shape, position), masks(shape, &mut nonces(2)));
        let coefficients = coefficients(shape, &digits, &masks);
        let factors: Vec<_> =
            digits.iter().zip(&masks).map(|(digit, mask)| digit * Scalar::from(CHALLENGE) + mask).collect();
        let mut products = vec![Scalar::ONE; ring.size()];
        add_products(shape, &factors, Scalar::from(R), &mut products);

        for (index, polynomial) in coefficients.chunks_exact(shape.digits() + 1).enumerate() {
            let entry = |j: usize| j * shape.base() + shape.digit(u32::try_from(index).expect("small"), j) as usize;
            // The textbook product, one position at a time.
            let mut expected = vec![Scalar::ONE];
            for j in 0..shape.digits() {
                let mut next = vec![Scalar::ZERO; expected.len() + 1];
                for (power, coefficient) in expected.iter().enumerate() {
                    next[power] += masks[entry(j)] * coefficient;
                    next[power + 1] += digits[entry(j)] * coefficient;
                }
                expected = next;
            }
            assert_eq!(polynomial, expected, "{ring:?} {index}");
            let leading = if index == position as usize { Scalar::ONE } else { Scalar::ZERO };
            assert_eq!(polynomial.last(), Some(&leading));
            let product: Scalar = (0..shape.digits()).map(|j| factors[entry(j)]).product();
            assert_eq!(products[index], Scalar::ONE + Scalar::from(R) * product);
        }
    }
}

/// A prover of anything: digits need not be bits, and r need not fit.
fn prove_digits(ring: &Ring, digits: &[Scalar], challenge: Scalar, r: Scalar) -> OneOfMany {
    let shape = ring.shape();
    let mut nonces = nonces(3);
    let masks = masks(shape, &mut nonces);
    let lower: Vec<_> = (0..shape.digits()).map(|_| nonces.next()).collect();
    let mut sums = vec![RistrettoPoint::default(); shape.digits()];
    for (index, point) in ring.points().iter().enumerate() {
        let entry = |j: usize| j * shape.base() + shape.digit(u32::try_from(index).expect("small"), j) as usize;
        let mut polynomial = vec![Scalar::ONE];
        for j in 0..shape.digits() {
            polynomial.push(Scalar::ZERO);
            for power in (0..polynomial.len()).rev() {
                let carried = power.checked_sub(1).map_or(Scalar::ZERO, |below| polynomial[below]);
                polynomial[power] = masks[entry(j)] * polynomial[power] + digits[entry(j)] * carried;
            }
        }
        sums.iter_mut().zip(&polynomial).for_each(|(sum, coefficient)| *sum += point * coefficient);
    }
    let prover = Prover {
        shape,
        digits: Zeroizing::new(digits.to_vec()),
        masks: Zeroizing::new(masks.clone()),
        blindings: Zeroizing::new(core::array::from_fn(|_| nonces.next())),
        lower: Zeroizing::new(lower.clone()),
    };
    let mut commitments = prover.commitments(ring);
    let blind = |(sum, r): (&RistrettoPoint, &Scalar)| Point::from(sum + Base::LeafBlinding.point() * r);
    commitments.lower = sums.iter().zip(&lower).map(blind).collect();
    prover.respond(commitments, &challenge, &r)
}

#[test]
fn a_combination_of_members_is_no_member() {
    let ring = Ring::of_leaves(&leaves(16)).expect("a ring");
    let (challenge, r) = (Scalar::from(CHALLENGE), Scalar::from(R));
    let honest = prove_digits(&ring, &digits(ring.shape(), 1), challenge, r);
    assert_eq!(verify(&honest, &ring, target(&ring, 1, r), challenge), Ok(true));

    // Digit 0 is "twice 1, less 2": the members' equation holds for 2·P_1 − P_2, and so does that of the digits.
    let mut cheating = digits(ring.shape(), 1);
    cheating[1] = Scalar::from(2u8);
    cheating[2] = -Scalar::ONE;
    let combined = ring.points()[1] + ring.points()[1] - ring.points()[2] + Base::LeafBlinding.point() * r;
    let proof = prove_digits(&ring, &cheating, challenge, r);
    assert_eq!(verify(&proof, &ring, combined, challenge), Ok(false));
    let mut batch = Batch::new(&[3; 32]);
    let index = batch.insert([combined]);
    // Only the products tell: with C and D chosen for this challenge the proof would pass.
    let mut repaired = proof.clone();
    let factors = proof.factors(ring.shape(), &challenge);
    let products: Vec<_> = factors.iter().map(|factor| factor * (challenge - factor)).collect();
    let right = commit(&products, &proof.product_blinding).decompress().expect("a point");
    let products = proof.commitments.products.decompress().expect("a point");
    repaired.commitments.squares = Point::from(right - products * challenge);
    repaired.verify(repaired.decompress(&ring).expect("well-formed"), &ring, index, &challenge, &mut batch);
    assert!(batch.verify());
}

#[test]
fn no_member_at_all_and_two_members_are_refused() {
    let ring = Ring::of_leaves(&leaves(16)).expect("a ring");
    let (challenge, r) = (Scalar::from(CHALLENGE), Scalar::from(R));
    let blinding = Base::LeafBlinding.point() * r;

    let none = vec![Scalar::ZERO; 8];
    let proof = prove_digits(&ring, &none, challenge, r);
    assert_eq!(verify(&proof, &ring, blinding, challenge), Ok(false));
    let mut both = digits(ring.shape(), 1);
    both[2] = Scalar::ONE;
    let proof = prove_digits(&ring, &both, challenge, r);
    assert_eq!(verify(&proof, &ring, ring.points()[1] + ring.points()[2] + blinding, challenge), Ok(false));
}

#[test]
fn every_equation_is_needed() {
    let ring = Ring::of_leaves(&leaves(50)).expect("a ring");
    let (challenge, r) = (Scalar::from(CHALLENGE), Scalar::from(R));
    let honest = prove(&ring, 33, challenge, r);
    let shifted = |point: Point| Point::from(point.decompress().expect("a point") + Base::LeafBlinding.point());
    // Each of these stands in one equation only, so that only this one fails: digits, products, members.
    let changes: [&dyn Fn(&mut OneOfMany); 10] = [
        &|proof| proof.commitments.masks = shifted(proof.commitments.masks),
        &|proof| proof.commitments.digits = shifted(proof.commitments.digits),
        &|proof| proof.digit_blinding += Scalar::ONE,
        &|proof| proof.commitments.products = shifted(proof.commitments.products),
        &|proof| proof.commitments.squares = shifted(proof.commitments.squares),
        &|proof| proof.product_blinding += Scalar::ONE,
        &|proof| proof.commitments.lower[0] = shifted(proof.commitments.lower[0]),
        &|proof| proof.commitments.lower[2] = shifted(proof.commitments.lower[2]),
        &|proof| proof.commitments.lower.swap(0, 1),
        &|proof| proof.blinding += Scalar::ONE,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert_eq!(verify(&changed, &ring, target(&ring, 33, r), challenge), Ok(false), "change {index}");
    }
    for index in 0..honest.digits.len() {
        let mut changed = honest.clone();
        changed.digits[index] += Scalar::ONE;
        assert_eq!(verify(&changed, &ring, target(&ring, 33, r), challenge), Ok(false), "digit {index}");
    }
    assert_eq!(verify(&honest, &ring, target(&ring, 33, r), challenge + Scalar::ONE), Ok(false));
    assert_eq!(verify(&honest, &ring, target(&ring, 33, r + Scalar::ONE), challenge), Ok(false));
}

#[test]
fn a_proof_of_another_shape_or_with_bytes_that_are_no_points_is_refused() {
    let (small, large) = (Ring::of_leaves(&leaves(10)).expect("a ring"), Ring::of_leaves(&leaves(20)).expect("a ring"));
    let honest = prove(&small, 3, Scalar::from(CHALLENGE), Scalar::from(R));
    assert!(matches!(honest.decompress(&large).err(), Some(CredentialError::Length { .. })));
    let invalid = Point::from([0xFF; 32]);
    let changes: [&dyn Fn(&mut OneOfMany); 9] = [
        &|proof| proof.commitments.masks = invalid,
        &|proof| proof.commitments.digits = invalid,
        &|proof| proof.commitments.products = invalid,
        &|proof| proof.commitments.squares = invalid,
        &|proof| proof.commitments.lower[1] = invalid,
        &|proof| proof.commitments.lower.truncate(1),
        &|proof| proof.commitments.lower.push(Point::from([0; 32])),
        &|proof| proof.digits.truncate(5),
        &|proof| proof.digits.push(Scalar::ZERO),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        assert!(changed.decompress(&small).is_err(), "change {index}");
    }
}

#[test]
fn commitments_do_not_repeat_and_depend_on_the_nonces() {
    let ring = Ring::of_leaves(&leaves(10)).expect("a ring");
    let commitments = |seed| Prover::commit(&ring, 4, &mut nonces(seed)).1;
    let points = |it: MembershipCommitments| {
        [it.masks, it.digits, it.products, it.squares].into_iter().chain(it.lower).collect::<Vec<_>>()
    };

    assert_eq!(commitments(1), commitments(1));
    let (first, second) = (points(commitments(1)), points(commitments(2)));
    assert!(first.iter().all(|point| !second.contains(point)));
    assert!(Leaf::from(first[0]).decompress().is_ok());
}
