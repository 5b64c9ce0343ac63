use super::*;
use crate::{
    codec::{Decode as _, Encode as _},
    domain,
    mask::{
        Committee, Fold, MaskSum, check_sum, masked_digest, open, sum_masked,
        tests::{Sample, shapes},
    },
};
use curve25519_dalek::RistrettoPoint;

/// What is absorbed before γ, as short bytes each.
const BEFORE: [(Item, u8); 5] =
    [(Item::Manifest, 1), (Item::Operators, 2), (Item::Core, 3), (Item::Boxes, 4), (Item::Eligibility, 5)];

fn transcript(messages: &[(Item, u8)], sample: &Sample) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    messages.iter().for_each(|(item, value)| transcript.absorb(*item, value));
    transcript.absorb(Item::Core, &masked_digest(&sample.masked));
    transcript
}

fn prove(sample: &Sample) -> Link {
    Link::prove(&mut transcript(&BEFORE, sample), &sample.masking, &sample.shape, &sample.data)
}

/// The challenge of an honest verifier.
fn gamma(sample: &Sample) -> Scalar {
    transcript(&BEFORE, sample).challenge(Item::LinkChallenge)
}

/// Runs the public check including the equation between points.
fn check(sample: &Sample, link: &Link, commitments: &[RistrettoPoint], gamma: &Scalar) -> Result<bool, LinkError> {
    let mut batch = Batch::new(&[7; 32]);
    // The commitments need not stand first.
    batch.insert([Base::LeafSecret.point()]);
    let first = batch.insert(commitments.iter().copied());
    link.check(&sample.committee, &sample.shape, gamma, &mut batch, first)?;
    Ok(batch.verify())
}

/// Every check there is, in order; `Ok` if all hold.
fn check_all(sample: &Sample, link: &Link) -> Result<bool, LinkError> {
    let gamma = link.challenge_and_absorb(&mut transcript(&BEFORE, sample));
    link.check_masked(&sample.shape, &gamma, &sample.masked)?;
    for (index, expansion) in sample.expansions().iter().enumerate() {
        link.check_seed(index, &gamma, expansion)?;
    }
    check(sample, link, &sample.commitments, &gamma)
}

#[test]
fn honest_links_hold_for_every_committee_and_shape() {
    for operators in [1, 4, 5, 7] {
        for shape in shapes() {
            let sample = Sample::new(operators, shape, 1);

            let link = prove(&sample);

            assert_eq!(check_all(&sample, &link), Ok(true));
            assert_eq!(Link::from_bytes(&link.to_bytes()), Ok(link));
        }
    }
}

#[test]
fn prover_and_verifier_leave_the_same_transcript() {
    let sample = Sample::new(4, shapes()[1], 1);
    let (mut prover, mut verifier) = (transcript(&BEFORE, &sample), transcript(&BEFORE, &sample));

    let link = Link::prove(&mut prover, &sample.masking, &sample.shape, &sample.data);
    link.challenge_and_absorb(&mut verifier);

    assert_eq!(prover.challenge(Item::Challenge), verifier.challenge(Item::Challenge));
    let mut other = transcript(&BEFORE, &sample);
    let mut changed = link;
    changed.folds[3].values[0] += Scalar::ONE;
    changed.challenge_and_absorb(&mut other);
    assert_ne!(prover.challenge(Item::Challenge), other.challenge(Item::Challenge));
}

#[test]
fn a_link_holds_in_its_own_transcript_only() {
    let sample = Sample::new(4, shapes()[0], 1);
    let link = prove(&sample);
    for index in 0..BEFORE.len() {
        let mut messages = BEFORE;
        messages[index].1 ^= 1;
        let gamma = link.challenge_and_absorb(&mut transcript(&messages, &sample));

        assert_eq!(link.check_masked(&sample.shape, &gamma, &sample.masked), Err(LinkError::Masked));
        assert_eq!(link.check_seed(0, &gamma, &sample.expansions()[0]), Err(LinkError::SeedValues(0)));
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Ok(false));
    }
}

#[test]
fn a_response_that_folds_another_matrix_fails_against_the_commitments_alone() {
    for shape in shapes() {
        // The whole masked side agrees with the changed response; only the commitments do not.
        let mut sample = Sample::new(5, shape, 1);
        let gamma = gamma(&sample);
        let mut link = prove(&sample);
        link.response[0] += Scalar::ONE;
        sample.masked[0] += Scalar::ONE;

        assert_eq!(link.check_masked(&shape, &gamma, &sample.masked), Ok(()));
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Ok(false));
    }
}

#[test]
fn a_masked_vector_that_differs_from_the_committed_matrix_is_refused() {
    for shape in shapes() {
        let sample = Sample::new(5, shape, 1);
        let (link, gamma) = (prove(&sample), gamma(&sample));
        for at in 0..shape.scalars() {
            let mut masked = sample.masked.clone();
            masked[at] += Scalar::ONE;
            assert_eq!(link.check_masked(&shape, &gamma, &masked), Err(LinkError::Masked));
        }
    }
}

#[test]
fn a_commitment_to_another_entry_is_refused() {
    for shape in shapes() {
        let sample = Sample::new(5, shape, 1);
        let (link, gamma) = (prove(&sample), gamma(&sample));
        for row in 0..=sample.shape.rows() {
            let mut commitments = sample.commitments.clone();
            commitments[row] += Base::Column(shape.columns - 1).point();
            assert_eq!(check(&sample, &link, &commitments, &gamma), Ok(false));
        }
    }
}

#[test]
fn a_blinding_that_is_not_the_sum_of_its_parts_is_refused() {
    for shape in shapes() {
        let sample = Sample::new(5, shape, 1);
        let gamma = gamma(&sample);

        let mut link = prove(&sample);
        link.blinding += Scalar::ONE;
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Err(LinkError::BlindingSum));

        // Made to agree, it fails against the commitments.
        link.folds[0].blinding += Scalar::ONE;
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Ok(false));

        let mut link = prove(&sample);
        link.folds[4].blinding += Scalar::ONE;
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Err(LinkError::BlindingSum));
    }
}

#[test]
fn a_mask_that_is_not_its_seeds_is_refused_by_the_holders_alone() {
    for shape in shapes() {
        // E is shifted in row 1 and the fold of set 2 makes up for it: nobody else can tell.
        let mut sample = Sample::new(5, shape, 1);
        let gamma = gamma(&sample);
        let mut link = prove(&sample);
        sample.masked[shape.packed()] += Scalar::ONE;
        link.folds[2].values[0] -= gamma;

        assert_eq!(link.check_masked(&shape, &gamma, &sample.masked), Ok(()));
        assert_eq!(check(&sample, &link, &sample.commitments, &gamma), Ok(true));
        for (index, expansion) in sample.expansions().iter().enumerate() {
            let expected = if index == 2 { Err(LinkError::SeedValues(2)) } else { Ok(()) };
            assert_eq!(link.check_seed(index, &gamma, expansion), expected);
        }
    }
}

/// Regression: a contributor whose blindings are not `Σ_T PRG_ρ(σ_T)` passes every public check, and the sum of the
/// whole sealed round then fails. Only the holders' check of ζ_T refuses it.
#[test]
fn a_blinding_that_is_not_its_seeds_jams_the_sum_and_is_refused_by_the_holders_alone() {
    for shape in shapes() {
        let sample = Sample::new(5, shape, 1);
        let gamma = gamma(&sample);
        let mut link = prove(&sample);
        let mut commitments = sample.commitments.clone();
        commitments[1] += Base::Blinding.point();
        link.blinding += gamma;
        link.folds[3].blinding += gamma;

        assert_eq!(link.check_masked(&shape, &gamma, &sample.masked), Ok(()));
        assert_eq!(check(&sample, &link, &commitments, &gamma), Ok(true));
        for (index, expansion) in sample.expansions().iter().enumerate() {
            let expected = if index == 3 { Err(LinkError::SeedBlindings(3)) } else { Ok(()) };
            assert_eq!(link.check_seed(index, &gamma, expansion), expected);
        }

        // Unchecked, it jams.
        let sum_of = |mask: &Expansion| {
            let mut sum = MaskSum::new(&shape);
            sum.add(mask);
            sum
        };
        let sums: Vec<_> = sample.expansions().iter().map(sum_of).collect();
        let masked = sum_masked(&shape, [sample.masked.as_slice()]).expect("one shape");
        let opened = open(&shape, &masked, &sums).expect("values are right");
        let generators = crate::group::Generators::new(shape.columns);
        assert!(check_sum(&generators, &shape, &opened, &commitments[1..], &[0; 32]).is_err());
        assert!(check_sum(&generators, &shape, &opened, &sample.commitments[1..], &[0; 32]).is_ok());
    }
}

#[test]
fn another_seed_context_or_set_is_refused() {
    let sample = Sample::new(4, shapes()[0], 1);
    let (link, gamma) = (prove(&sample), gamma(&sample));
    let subsets = sample.committee.subsets();
    let (own, other) = (&sample.masking.seeds()[0], &sample.masking.seeds()[1]);
    let refused = |expansion| link.check_seed(0, &gamma, &expansion) == Err(LinkError::SeedValues(0));

    assert!(!refused(Expansion::new(own, &sample.context, subsets[0], &sample.shape)));
    assert!(refused(Expansion::new(other, &sample.context, subsets[0], &sample.shape)));
    assert!(refused(Expansion::new(own, &[0; 32], subsets[0], &sample.shape)));
    assert!(refused(Expansion::new(own, &sample.context, subsets[1], &sample.shape)));
    let none = link.check_seed(4, &gamma, &sample.expansions()[0]);
    assert_eq!(none, Err(LinkError::Subset(4)));
}

#[test]
fn parts_of_another_length_are_refused_before_the_batch_is_touched() {
    let sample = Sample::new(4, shapes()[2], 1);
    let gamma = gamma(&sample);
    let mutations: [fn(&mut Link); 5] = [
        |link| link.response.truncate(10),
        |link| link.response.push(Scalar::ZERO),
        |link| link.folds.truncate(3),
        |link| link.folds.push(Fold { values: vec![Scalar::ZERO; 2], blinding: Scalar::ZERO }),
        |link| link.folds[1].values.truncate(1),
    ];
    for mutate in mutations {
        let mut link = prove(&sample);
        mutate(&mut link);
        let mut batch = Batch::new(&[7; 32]);
        let result = link.check(&sample.committee, &sample.shape, &gamma, &mut batch, 0);
        assert!(matches!(result, Err(LinkError::Length { .. })));
        assert!(batch.verify());
    }
    let mut link = prove(&sample);
    link.folds[1].values.pop();
    assert!(matches!(link.check_masked(&sample.shape, &gamma, &sample.masked), Err(LinkError::Length { .. })));
    let short = &sample.masked[1..];
    assert!(matches!(prove(&sample).check_masked(&sample.shape, &gamma, short), Err(LinkError::Length { .. })));
    let committee = Committee::new(5).expect("valid");
    let mut batch = Batch::new(&[7; 32]);
    assert!(prove(&sample).check(&committee, &sample.shape, &gamma, &mut batch, 0).is_err());
}
