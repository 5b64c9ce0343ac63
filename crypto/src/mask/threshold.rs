//! The operators of a round, how many may be faulty, and the sets T that seeds are replicated over.
//!
//! For every set T of f operators there is one seed, held by the n−f operators *not* in T. The polynomial `f_T` of
//! degree f with `f_T(0) = 1` and `f_T(i) = 0` for i ∈ T turns such seeds into Shamir shares: an operator in T, which
//! does not know the seed, has the share 0 of it (Cramer, Damgård, Ishai 2005, §3).

use core::{cmp::Ordering, fmt};

use curve25519_dalek::scalar::Scalar;

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Most operators of a round: there are C(n, f) seeds, 21 at n = 7 and growing steeply after that.
pub const MAX_OPERATORS: u8 = 7;

/// Most sets T: C(7, 2).
pub const MAX_SUBSETS: usize = 21;

/// No committee has this number of operators.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a committee has 1 or 4 to {MAX_OPERATORS} operators, not {found}")]
pub struct CommitteeError {
    /// The number asked for.
    pub found: u8,
}

/// The operators 1..=n of a round, of which at most f = ⌊(n−1)/3⌋ are faulty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committee {
    operators: u8,
}

impl Committee {
    /// Returns the committee of `operators` operators.
    ///
    /// One operator (n = 1, f = 0) is for trying things out: it can read every contribution. Two or three would
    /// tolerate no fault either, and would each be able to read everything, so they are refused.
    ///
    /// # Errors
    ///
    /// Returns [`CommitteeError`] unless there are 1 or 4 to [`MAX_OPERATORS`] of them.
    pub fn new(operators: u8) -> Result<Self, CommitteeError> {
        match operators {
            1 | 4..=MAX_OPERATORS => Ok(Self { operators }),
            found => Err(CommitteeError { found }),
        }
    }

    /// Returns n.
    pub fn operators(&self) -> u8 {
        self.operators
    }

    /// Returns f, the largest number with n ≥ 3f+1.
    pub fn faulty(&self) -> u8 {
        (self.operators - 1) / 3
    }

    /// Returns every T with |T| = f in lexicographic order; for n = 1 that is the empty set alone.
    pub fn subsets(&self) -> Vec<Subset> {
        let mut subsets: Vec<_> = (0..1u8 << self.operators)
            .filter(|members| members.count_ones() == u32::from(self.faulty()))
            .map(Subset)
            .collect();
        subsets.sort_unstable();
        subsets
    }

    /// Returns C(n, f), the number of sets T.
    pub fn subset_count(&self) -> usize {
        let (n, f) = (usize::from(self.operators), usize::from(self.faulty()));
        (0..f).fold(1, |count, i| count * (n - i) / (i + 1))
    }

    /// Returns the indices, in [`subsets`](Self::subsets), of the sets whose seed `operator` holds: those it is not in.
    pub fn held_by(&self, operator: u8) -> Vec<usize> {
        let subsets = self.subsets();
        (0..subsets.len()).filter(|&index| subsets.get(index).is_some_and(|t| !t.contains(operator))).collect()
    }

    /// Returns `f_T(operator) = Π_{i∈T} (1 − operator/i)`.
    pub fn share_coefficient(&self, subset: Subset, operator: u8) -> Scalar {
        let product = |factor: fn(Scalar, Scalar) -> Scalar| -> Scalar {
            subset.members().map(|i| factor(Scalar::from(i), Scalar::from(operator))).product()
        };
        product(|i, x| i - x) * product(|i, _| i).invert()
    }
}

/// A set T of operators.
///
/// Ordered lexicographically by members among sets of one size, which is the order of [`Committee::subsets`]. The
/// encoding is one byte, bit i−1 for operator i.
#[derive(Clone, Copy, Eq, PartialEq, Hash)]
pub struct Subset(u8);

impl Subset {
    /// Returns whether `operator` is in the set.
    pub fn contains(self, operator: u8) -> bool {
        (1..=MAX_OPERATORS).contains(&operator) && self.0 >> (operator - 1) & 1 == 1
    }

    /// Returns the members in ascending order.
    pub fn members(self) -> impl Iterator<Item = u8> {
        (1..=MAX_OPERATORS).filter(move |&operator| self.contains(operator))
    }
}

impl Ord for Subset {
    fn cmp(&self, other: &Self) -> Ordering {
        // Operator 1 is the most significant bit, and the set that has it comes first.
        other.0.reverse_bits().cmp(&self.0.reverse_bits())
    }
}

impl PartialOrd for Subset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members()).finish()
    }
}

impl Encode for Subset {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Subset {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let members = u8::decode(input)?;
        let largest = Committee { operators: MAX_OPERATORS };
        if members >> largest.operators != 0 || members.count_ones() > u32::from(largest.faulty()) {
            return Err(DecodeError::OutOfRange("subset of operators"));
        }
        Ok(Self(members))
    }
}
