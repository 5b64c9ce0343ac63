use super::*;
use crate::group::{Generators, Point};
use chacha20::{ChaCha20, KeyIvInit as _, cipher::StreamCipher as _};
use curve25519_dalek::{RistrettoPoint, Scalar};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _, rand_core::SeedableRng as _};

use crate::{
    codec::{Decode as _, Encode as _},
    domain,
};

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

pub(crate) fn integer(value: i64) -> Scalar {
    sum::signed(value)
}

/// One column, eight columns in one scalar, and eleven in two of which the second is not full.
pub(crate) fn shapes() -> [Shape; 3] {
    [Shape::ballot(9), Shape::new(5, 8, 31).expect("valid"), Shape::new(4, 11, 31).expect("valid")]
}

/// One honest contribution.
pub(crate) struct Sample {
    pub(crate) committee: Committee,
    pub(crate) shape: Shape,
    pub(crate) context: Context,
    pub(crate) masking: Masking,
    pub(crate) entries: Vec<Vec<i64>>,
    pub(crate) data: Vec<Vec<Scalar>>,
    pub(crate) commitments: Vec<RistrettoPoint>,
    pub(crate) masked: Vec<Scalar>,
}

impl Sample {
    pub(crate) fn new(operators: u8, shape: Shape, seed: u8) -> Self {
        let mut rng = rng(seed);
        let committee = Committee::new(operators).expect("valid");
        let context = [seed; 32];
        let masking = Masking::new(&committee, &shape, &context, &mut rng);
        let mut row = |_| (0..shape.columns).map(|_| i64::from(rng.next_u32() % 2001) - 1000).collect::<Vec<_>>();
        let entries: Vec<_> = (0..shape.data_rows).map(&mut row).collect();
        let data: Vec<Vec<_>> = entries.iter().map(|row| row.iter().map(|entry| integer(*entry)).collect()).collect();
        let (points, masked) = masking.commit_and_mask(&Generators::new(shape.columns), &data);
        let commitments = points.iter().map(|point| point.decompress().expect("a commitment")).collect();
        Self { committee, shape, context, masking, entries, data, commitments, masked }
    }

    /// The masks as the holders expand them.
    pub(crate) fn expansions(&self) -> Vec<Expansion> {
        let expand = |(subset, seed): (Subset, &Seed)| Expansion::new(seed, &self.context, subset, &self.shape);
        self.committee.subsets().into_iter().zip(self.masking.seeds()).map(expand).collect()
    }
}

#[test]
fn committees_have_the_documented_sizes() {
    for (operators, faulty, subsets) in [(1, 0, 1), (4, 1, 4), (5, 1, 5), (6, 1, 6), (7, 2, 21)] {
        let committee = Committee::new(operators).expect("valid");

        assert_eq!((committee.operators(), committee.faulty()), (operators, faulty));
        assert_eq!(committee.subset_count(), subsets);
        assert_eq!(committee.subsets().len(), subsets);
    }
    for operators in [0, 2, 3, 8, 255] {
        assert_eq!(Committee::new(operators), Err(CommitteeError { found: operators }));
    }
}

#[test]
fn subsets_are_in_lexicographic_order_and_each_has_n_minus_f_holders() {
    let committee = Committee::new(7).expect("valid");
    let subsets = committee.subsets();
    let members: Vec<Vec<_>> = subsets.iter().map(|subset| subset.members().collect()).collect();

    assert!(members.is_sorted());
    assert_eq!(members.first(), Some(&vec![1, 2]));
    assert!(subsets.is_sorted());
    for (index, subset) in subsets.iter().enumerate() {
        let holders = (1..=7).filter(|operator| committee.held_by(*operator).contains(&index));
        assert!(holders.clone().all(|operator| !subset.contains(operator)));
        assert_eq!(holders.count(), 5);
    }
}

#[test]
fn any_f_operators_miss_a_seed_and_any_f_plus_one_hold_all() {
    for operators in [4, 5, 7] {
        let committee = Committee::new(operators).expect("valid");
        let missed = |set: u8| {
            let held =
                |index: &usize| (1..=operators).any(|j| set >> j & 1 == 1 && committee.held_by(j).contains(index));
            (0..committee.subset_count()).filter(|index| !held(index)).count()
        };
        for set in (0..1u8 << operators).map(|set| set << 1) {
            assert_eq!(missed(set) > 0, set.count_ones() <= committee.faulty().into(), "{set:b}");
        }
    }
}

#[test]
fn the_share_polynomial_is_one_at_zero_and_zero_in_the_set() {
    let committee = Committee::new(7).expect("valid");
    for subset in committee.subsets() {
        assert_eq!(committee.share_coefficient(subset, 0), Scalar::ONE);
        for operator in 1..=7 {
            let coefficient = committee.share_coefficient(subset, operator);
            assert_eq!(coefficient == Scalar::ZERO, subset.contains(operator));
        }
        // Degree 2: third differences vanish.
        let at = |x| committee.share_coefficient(subset, x);
        let three = Scalar::from(3u8);
        assert_eq!(at(3) - three * at(2) + three * at(1) - at(0), Scalar::ZERO);
    }
    let alone = Committee::new(1).expect("valid");
    assert_eq!(alone.share_coefficient(alone.subsets()[0], 1), Scalar::ONE);
}

#[test]
fn bytes_that_name_no_subset_are_refused() {
    let subset = Committee::new(7).expect("valid").subsets()[4];

    assert_eq!(Subset::from_bytes(&subset.to_bytes()), Ok(subset));
    assert!(Subset::from_bytes(&[0b1000_0000]).is_err());
    assert!(Subset::from_bytes(&[0b111]).is_err());
}

#[test]
fn everything_derived_from_a_seed_depends_on_seed_context_and_set() {
    let shape = Shape::ballot(1);
    let subsets = Committee::new(4).expect("valid").subsets();
    let derive = |seed: u8, context: u8, subset: Subset| {
        let (seed, context) = (Seed::from_bytes(&[seed; 32]), [context; 32]);
        let expansion = Expansion::new(&seed, &context, subset, &shape);
        (seed_digest(&context, subset, &seed), expansion.values(1)[0], expansion.blinding(1))
    };
    let base = derive(1, 1, subsets[0]);

    assert_eq!(base, derive(1, 1, subsets[0]));
    for other in [derive(2, 1, subsets[0]), derive(1, 2, subsets[0]), derive(1, 1, subsets[1])] {
        assert!(base.0 != other.0 && base.1 != other.1 && base.2 != other.2);
    }
    assert_ne!(base.1, base.2);
}

#[test]
fn an_expansion_is_the_documented_key_stream() {
    let shape = Shape::new(99, 11, 31).expect("valid");
    let (seed, context) = (Seed::from_bytes(&[3; 32]), [4; 32]);
    let subset = Committee::new(5).expect("valid").subsets()[1];
    let expansion = Expansion::new(&seed, &context, subset, &shape);
    let input = [[3; 32].as_slice(), &context, &[0b10]].concat();
    let bytes = |label: domain::Domain, from: usize, count: usize| {
        let key = blake3::derive_key(label.as_str(), &input);
        let mut stream = vec![0; from + count];
        ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut stream);
        stream.split_off(from)
    };
    let value = |index: usize| {
        let mut bytes: [u8; 32] = bytes(domain::MASK_KEY, 32 * index, 32).try_into().expect("32 bytes");
        bytes[31] &= 0x0F;
        Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes)).expect("252 bits are canonical")
    };
    let blinding = |row: usize| {
        let bytes = bytes(domain::MASK_BLINDING_KEY, 64 * row, 64).try_into().expect("64 bytes");
        Scalar::from_bytes_mod_order_wide(&bytes)
    };

    // The pieces of an expansion are 128 values long.
    for row in [0, 1, 17, 50, 63, 64, 99] {
        assert_eq!(expansion.values(row)[0], value(2 * row));
        assert_eq!(expansion.values(row)[1], value(2 * row + 1));
        assert_eq!(expansion.blinding(row), blinding(row));
    }
}

#[test]
fn folds_and_functionals_are_the_combinations_they_claim() {
    let gamma = Scalar::from(7u8).invert();
    // More rows than fit one unreduced block, and a last block that is not full.
    let long = [Shape::ballot(300), Shape::new(70, 11, 31).expect("valid")];
    for shape in shapes().into_iter().chain(long) {
        let sample = Sample::new(4, shape, 1);
        let expansion = &sample.expansions()[2];
        let (mut fold, mut power) = (vec![Scalar::ZERO; shape.packed()], Scalar::ONE);
        let mut blinding = Scalar::ZERO;
        for row in 0..=shape.rows() {
            fold.iter_mut().zip(expansion.values(row)).for_each(|(sum, value)| *sum += power * value);
            blinding += power * expansion.blinding(row);
            power *= gamma;
        }

        assert_eq!(expansion.fold(&gamma), Fold { values: fold, blinding });

        let functional = expansion.functional(&[(0, gamma), (3, Scalar::ONE)]);
        assert_eq!(functional.values[0], gamma * expansion.values(1)[0] + expansion.values(4)[0]);
        assert_eq!(functional.blinding, gamma * expansion.blinding(1) + expansion.blinding(4));
    }
}

#[test]
fn the_masked_vector_is_the_packed_matrix_minus_all_masks() {
    for shape in shapes() {
        let sample = Sample::new(7, shape, 2);
        for (row, data) in sample.data.iter().enumerate() {
            let mut unmasked = sample.masked[(row + 1) * shape.packed()..(row + 2) * shape.packed()].to_vec();
            for expansion in sample.expansions() {
                unmasked.iter_mut().zip(expansion.values(row + 1)).for_each(|(sum, mask)| *sum += mask);
            }
            assert_eq!(unmasked, pack(&shape, data));
        }
    }
}

#[test]
fn commitments_open_to_the_rows_under_the_blindings() {
    for shape in shapes() {
        let sample = Sample::new(4, shape, 2);
        let generators = Generators::new(shape.columns);
        for (row, data) in sample.data.iter().enumerate() {
            let expected = generators.commit(data, &sample.masking.data_blindings()[row]);
            assert_eq!(sample.commitments[row + 1], expected);
        }
        // Row 0 is Y: what the response of a link folds at γ = 0.
        let y = sample.masking.fold_data(&Scalar::ZERO, &sample.data);
        assert_eq!(sample.commitments[0], generators.commit(&y, &sample.masking.blindings()[0]));
    }
}

#[test]
fn a_column_of_bits_is_committed_to_like_any_other() {
    let shape = Shape::ballot(4);
    let committee = Committee::new(4).expect("valid");
    let masking = Masking::new(&committee, &shape, &[1; 32], &mut rng(1));
    for entries in [[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 0], [0, 1, -1, 0]] {
        let data: Vec<_> = entries.iter().map(|entry| vec![integer(*entry)]).collect();
        let (commitments, _) = masking.commit_and_mask(Generators::single(), &data);
        for (row, data) in data.iter().enumerate() {
            let expected = Generators::single().commit(data, &masking.data_blindings()[row]);
            assert_eq!(commitments[row + 1], Point::from(expected));
        }
    }
}

#[test]
fn two_maskings_share_nothing() {
    let shape = Shape::ballot(3);
    let committee = Committee::new(4).expect("valid");
    let mut rng = rng(3);
    let mut masking = || Masking::new(&committee, &shape, &[0; 32], &mut rng);
    let (first, second) = (masking(), masking());

    assert!(first.seeds().iter().all(|seed| !second.seeds().contains(seed)));
    assert_ne!(first.blindings(), second.blindings());
    let data = vec![vec![Scalar::ONE]; 3];
    let (a, b) =
        (first.commit_and_mask(Generators::single(), &data), second.commit_and_mask(Generators::single(), &data));
    assert!(a.0.iter().zip(&b.0).all(|(a, b): (&Point, &Point)| a != b));
    assert!(a.1.iter().zip(&b.1).all(|(a, b)| a != b));
    assert_ne!(masked_digest(&a.1), masked_digest(&b.1));
}

#[test]
fn secrets_do_not_print() {
    let sample = Sample::new(1, Shape::ballot(1), 1);
    let key = SetKey::new(b"context", sample.masking.seeds());

    let text = format!("{:?}{:?}{:?}{:?}", sample.masking.seeds(), sample.masking, sample.expansions(), key);

    assert!(!text.contains(|c: char| c.is_ascii_digit() && c != '1' && c != '2' && c != '5' && c != '0'), "{text}");
}

#[test]
fn a_set_key_depends_on_context_seeds_and_their_order() {
    let seeds = [Seed::from_bytes(&[1; 32]), Seed::from_bytes(&[2; 32])];
    let first = |context: &[u8], seeds: &[&Seed], label: &[u8]| {
        SetKey::new(context, seeds.iter().copied()).scalars(label).next_scalar()
    };
    let base = first(b"c", &[&seeds[0], &seeds[1]], b"l");

    assert_eq!(base, first(b"c", &[&seeds[0], &seeds[1]], b"l"));
    assert_ne!(base, first(b"c", &[&seeds[1], &seeds[0]], b"l"));
    assert_ne!(base, first(b"c", &[&seeds[0]], b"l"));
    assert_ne!(base, first(b"d", &[&seeds[0], &seeds[1]], b"l"));
    assert_ne!(base, first(b"c", &[&seeds[0], &seeds[1]], b"m"));
}

#[test]
fn bounded_integers_reach_every_value_and_no_other() {
    let mut stream = SetKey::new(b"", &[Seed::from_bytes(&[1; 32])]).scalars(b"");
    for bound in [0, 1, 2, 3, 4, 7] {
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..4000 {
            *counts.entry(stream.next_within(bound)).or_insert(0u32) += 1;
        }
        let expected = 4000 / u32::try_from(2 * bound + 1).expect("small");
        let signed = i64::try_from(bound).expect("small");
        assert!(counts.keys().copied().eq(-signed..=signed), "{counts:?}");
        assert!(counts.values().all(|count| count.abs_diff(expected) < expected / 3 + 1), "{counts:?}");
    }
    assert!(stream.next_within(i64::MAX.unsigned_abs()).unsigned_abs() <= i64::MAX.unsigned_abs());
}
