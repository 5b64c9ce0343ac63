//! Group-aware consensus in exact rationals.
//!
//! `GAC = Π_g (A_g + 1)/(S_g + 2)` over the groups: the probability, by Laplace's rule, that one member drawn from each
//! group agrees. Products of such fractions hit round numbers exactly on real data, where floats on two machines may
//! fall on different sides; so nothing here is rounded before it is compared.

use core::{cmp::Ordering, num::NonZeroU32};

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader};
use num_bigint::BigUint;

use super::{
    linear::real,
    tally::{Totals, Vote},
};

/// The group-aware support of one item, as one fraction per group.
#[derive(Clone, Debug)]
pub struct Support {
    factors: Vec<(u64, u64)>,
}

impl Support {
    /// Returns the support from the counts of each group: how many cast the vote in question, and how many saw the
    /// item.
    pub fn new(counts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let factor = |(cast, seen): (u64, u64)| (cast.saturating_add(1), seen.saturating_add(2));
        Self { factors: counts.into_iter().map(factor).collect() }
    }

    /// Returns the product as a real number, for display.
    pub fn approximate(&self) -> f64 {
        self.factors.iter().map(|&(part, whole)| real(part.into()) / real(whole.into())).fold(1.0, |a, b| a * b)
    }

    fn numerator(&self) -> BigUint {
        self.factors.iter().map(|&(part, _)| BigUint::from(part)).product()
    }

    fn denominator(&self) -> BigUint {
        self.factors.iter().map(|&(_, whole)| BigUint::from(whole)).product()
    }
}

impl Ord for Support {
    /// Compares the k-th roots for k groups: for one number of groups, that is the order of the products.
    fn cmp(&self, other: &Self) -> Ordering {
        let power = |support: &Self, exponent: usize| {
            let exponent = u32::try_from(exponent).expect("groups are few");
            (support.numerator().pow(exponent), support.denominator().pow(exponent))
        };
        let (mine, theirs) = match (self.factors.len(), other.factors.len()) {
            (a, b) if a == b => (1, 1),
            (a, b) => (b, a),
        };
        let ((a, b), (c, d)) = (power(self, mine), power(other, theirs));
        (a * d).cmp(&(c * b))
    }
}

impl PartialOrd for Support {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Support {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Support {}

/// Returns the support of each item for `vote` among the groups.
pub fn support(groups: &[Totals], vote: Vote) -> Vec<Support> {
    let items = groups.iter().map(|group| group.items.len()).min().unwrap_or(0);
    let counts =
        |item: usize| groups.iter().map(move |group| (group.items[item].count(vote), group.items[item].seen()));
    (0..items).map(|item| Support::new(counts(item))).collect()
}

/// Returns the items in order of support, the highest first; of equals the earlier item.
pub fn ranking(support: &[Support]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..support.len()).collect();
    order.sort_by(|&a, &b| support[b].cmp(&support[a]));
    order
}

/// The support that a community asks of a principle: a fraction that the k-th root of its GAC must reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bar {
    numerator: u32,
    denominator: NonZeroU32,
}

impl Bar {
    /// Returns the bar `numerator/denominator`, unless it is above 1 or not a fraction.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let denominator = NonZeroU32::new(denominator)?;
        (numerator <= denominator.get()).then_some(Self { numerator, denominator })
    }

    /// Returns numerator and denominator.
    pub const fn parts(self) -> (u32, u32) {
        (self.numerator, self.denominator.get())
    }

    /// Returns whether the k-th root of the support reaches the bar: `Π(A+1)·b^k ≥ a^k·Π(S+2)`.
    pub fn is_met_by(self, support: &Support) -> bool {
        let groups = u32::try_from(support.factors.len()).expect("groups are few");
        let power = |base: u32| BigUint::from(base).pow(groups);
        support.numerator() * power(self.denominator.get()) >= power(self.numerator) * support.denominator()
    }
}

impl Encode for Bar {
    fn encode(&self, out: &mut Vec<u8>) {
        self.parts().encode(out);
    }
}

impl Decode for Bar {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (numerator, denominator) = Decode::decode(input)?;
        Self::new(numerator, denominator).ok_or(DecodeError::OutOfRange("bar"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supports_that_are_equal_as_rationals_are_equal() {
        // 6/7 · 7/10 = 3/5 = 2/5 · 3/2 (the last is no real tally, only arithmetic).
        let (a, b) = (Support::new([(5, 5), (6, 8)]), Support::new([(8, 13), (0, 0), (3, 3)]));

        assert_eq!(Support::new([(5, 5), (6, 8)]), Support::new([(6, 8), (5, 5)]));
        assert_ne!(a, b);
        assert!((a.approximate() - 0.6).abs() < 1e-15);
    }

    #[test]
    fn a_bar_that_is_met_exactly_is_met() {
        // One group: 6/10 agree by Laplace's rule; two such groups have product 9/25 and root 3/5.
        let one = Support::new([(5, 8)]);
        let two = Support::new([(5, 8), (5, 8)]);

        for support in [&one, &two] {
            assert!(Bar::new(3, 5).expect("a fraction").is_met_by(support));
            assert!(Bar::new(6_000, 10_000).expect("a fraction").is_met_by(support));
            assert!(!Bar::new(600_000_001, 1_000_000_000).expect("a fraction").is_met_by(support));
        }
        assert_eq!(one.cmp(&two), Ordering::Equal);
    }

    #[test]
    fn ranking_is_by_support_then_by_item() {
        let supports = [(1, 9), (8, 9), (1, 9), (5, 9)].map(|count| Support::new([count, (1, 1)]));

        assert_eq!(ranking(&supports), [1, 3, 0, 2]);
    }

    #[test]
    fn a_bar_reads_back_and_refuses_what_is_no_fraction() {
        let bar = Bar::new(2, 3).expect("a fraction");

        assert_eq!(Bar::from_bytes(&bar.to_bytes()), Ok(bar));
        assert_eq!(Bar::new(4, 3), None);
        assert!(Bar::from_bytes(&[0; 8]).is_err());
    }

    #[test]
    fn an_unseen_item_has_one_half_per_group() {
        assert!((Support::new([(0, 0), (0, 0)]).approximate() - 0.25).abs() < 1e-15);
    }
}
