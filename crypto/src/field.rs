//! Scalars mod ℓ in Montgomery form: what a sumcheck over a million entries is computed with.
//!
//! dalek's `Scalar` reduces by Barrett-like steps over 52-bit limbs and takes several times as long to multiply; here an
//! element x stands as x·2^256 mod ℓ in four 64-bit limbs, always below ℓ. With
//! `ℓ = 2^252 + 27742317777372353535851937790883648493` the third limb of ℓ is zero and the fourth a power of two, so that
//! a step of Montgomery's reduction (Montgomery, *Modular multiplication without trial division*, 1985) takes three
//! multiplications instead of five. `Products` and `SmallProducts` add up several products before they reduce.
//!
//! Constant time: no branch, index or division depends on a value.

use core::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign},
};

use curve25519_dalek::scalar::Scalar;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

/// ℓ, least significant limb first.
const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// `−ℓ^(−1) mod 2^64`.
const FACTOR: u64 = 0xd2b5_1da3_1254_7e1b;

/// `2^256 mod ℓ`: one.
const R1: [u64; 4] = [0xd6ec_3174_8d98_951d, 0xc6ef_5bf4_737d_cf70, 0xffff_ffff_ffff_fffe, 0x0fff_ffff_ffff_ffff];

/// `2^512 mod ℓ`: what an integer is multiplied by to enter the form.
const R2: [u64; 4] = [0xa406_11e3_449c_0f01, 0xd00e_1ba7_6885_9347, 0xceec_73d2_17f5_be65, 0x0399_411b_7c30_9a3d];

/// An element of the scalar field. Not printed: most are secret.
#[derive(Clone, Copy, Default)]
pub struct Field([u64; 4]);

impl DefaultIsZeroes for Field {}

impl Field {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 1.
    pub const ONE: Self = Self(R1);

    /// Returns `x²`.
    #[must_use]
    pub fn square(self) -> Self {
        self * self
    }

    /// Returns `2·x`.
    #[must_use]
    pub fn double(self) -> Self {
        self + self
    }

    /// Returns `1, x, x², …`.
    pub fn powers(&self) -> impl Iterator<Item = Self> + use<> {
        let base = *self;
        core::iter::successors(Some(Self::ONE), move |power| Some(*power * base))
    }

    /// Returns `eq(point, x)` for every x of the cube; see [`eq_table`](crate::sumcheck::eq_table).
    pub fn eq_table(point: &[Self]) -> Vec<Self> {
        let mut table = Vec::with_capacity(1 << point.len());
        table.push(Self::ONE);
        for coordinate in point.iter().rev() {
            for index in 0..table.len() {
                let high = table[index] * *coordinate;
                table[index] -= high;
                table.push(high);
            }
        }
        table
    }

    /// Converts dalek scalars.
    pub fn from_scalars(scalars: &[Scalar]) -> Vec<Self> {
        scalars.iter().map(Self::from).collect()
    }

    /// Reads the integer of a scalar as limbs: an element that stands for x/2^256.
    ///
    /// Sums of such elements, and their products with true ones, are again the limbs of what the same sums and products
    /// of scalars give: a linear function of many scalars needs no conversion at all.
    #[inline]
    pub(crate) fn unscaled(scalar: &Scalar) -> Self {
        Self(limbs(scalar.as_bytes()))
    }

    /// Reads the low 252 bits of a string as [`unscaled`](Self::unscaled) limbs: they are below ℓ as they stand.
    #[inline]
    pub(crate) fn unscaled_bits(bytes: &[u8; 32]) -> Self {
        let [a, b, c, d] = limbs(bytes);
        Self([a, b, c, d & (u64::MAX >> 4)])
    }

    /// Returns the scalar whose integer the limbs are.
    #[inline]
    pub(crate) fn into_unscaled(self) -> Scalar {
        Scalar::from_bytes_mod_order(self.unscaled_bytes())
    }

    /// Returns the canonical encoding of [`into_unscaled`](Self::into_unscaled).
    #[inline]
    pub(crate) fn unscaled_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// Returns the element of an integer below 2^256.
    fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs) * Self(R2)
    }

    /// Returns `−x` if `choice`, else x.
    fn negated_if(self, choice: Choice) -> Self {
        Self::conditional_select(&self, &-self, choice)
    }
}

impl From<&Scalar> for Field {
    fn from(scalar: &Scalar) -> Self {
        Self::from_limbs(limbs(scalar.as_bytes()))
    }
}

impl From<Scalar> for Field {
    fn from(scalar: Scalar) -> Self {
        Self::from(&scalar)
    }
}

impl From<i64> for Field {
    fn from(value: i64) -> Self {
        Self::from_limbs([value.unsigned_abs(), 0, 0, 0]).negated_if(is_negative(i128::from(value)))
    }
}

impl From<i128> for Field {
    fn from(value: i128) -> Self {
        let magnitude = value.unsigned_abs();
        Self::from_limbs([low(magnitude), low(magnitude >> 64), 0, 0]).negated_if(is_negative(value))
    }
}

impl From<Field> for Scalar {
    fn from(element: Field) -> Self {
        let [a, b, c, d] = element.0;
        reduce([a, b, c, d, 0, 0, 0, 0]).into_unscaled()
    }
}

impl Add for Field {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        let mut carry = 0;
        let sum = core::array::from_fn(|index| {
            let sum = u128::from(self.0[index]) + u128::from(other.0[index]) + carry;
            carry = sum >> 64;
            low(sum)
        });
        // Both are below ℓ < 2^253, so that nothing is carried out of the top.
        less_order(sum)
    }
}

impl Sub for Field {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = subtract(self.0, other.0);
        add_order_if(difference, borrow)
    }
}

impl Neg for Field {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Field {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        let mut product = Products::default();
        product.add(self, other);
        product.reduce()
    }
}

impl AddAssign for Field {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Field {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Field {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::ZERO, Add::add)
    }
}

impl ConditionallySelectable for Field {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self(core::array::from_fn(|index| u64::conditional_select(&a.0[index], &b.0[index], choice)))
    }
}

impl ConstantTimeEq for Field {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Field {}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").finish_non_exhaustive()
    }
}

/// The unreduced sum of at most [`Products::MOST`] products.
#[derive(Clone, Copy, Default)]
pub(crate) struct Products([u64; 8]);

impl Products {
    /// Montgomery's reduction needs a sum below `ℓ·2^256`, and `2^256 > 15·ℓ`.
    pub(crate) const MOST: usize = 15;

    /// Adds `a·b`.
    #[inline]
    pub(crate) fn add(&mut self, a: Field, b: Field) {
        let mut over = 0;
        for (i, x) in a.0.into_iter().enumerate() {
            let mut carry = 0;
            for (j, y) in b.0.into_iter().enumerate() {
                // (2^64 − 1)² + 2·(2^64 − 1) = 2^128 − 1
                let sum = u128::from(x) * u128::from(y) + u128::from(self.0[i + j]) + carry;
                self.0[i + j] = low(sum);
                carry = sum >> 64;
            }
            // Limb i + 4 has not been touched by this product before, but for the carry of the row above.
            let sum = u128::from(self.0[i + 4]) + carry + over;
            self.0[i + 4] = low(sum);
            over = sum >> 64;
        }
    }

    /// Returns `Σ a·b`, which stands here as `Σ a·b·2^512`.
    #[inline]
    pub(crate) fn reduce(self) -> Field {
        reduce(self.0)
    }
}

impl DefaultIsZeroes for Products {}

/// Returns `Σ a·b` over pairs.
pub(crate) fn inner_product(left: &[Field], right: &[Field]) -> Field {
    (left.chunks(Products::MOST).zip(right.chunks(Products::MOST)))
        .map(|(left, right)| {
            let mut products = Products::default();
            left.iter().zip(right).for_each(|(a, b)| products.add(*a, *b));
            products.reduce()
        })
        .sum()
}

/// The unreduced sum of at most 2^16 products of an element and a small signed integer.
///
/// Each integer is raised by 2^31 so that it has no sign; the owner of the coefficients knows their sum.
#[derive(Clone, Copy, Default)]
pub(crate) struct SmallProducts([u64; 5]);

impl DefaultIsZeroes for SmallProducts {}

impl SmallProducts {
    /// Adds `coefficient·(value + 2^31)`.
    #[inline]
    pub(crate) fn add(&mut self, coefficient: Field, value: i32) {
        let raised = u128::from(value.cast_unsigned() ^ (1 << 31));
        let mut carry = 0;
        for (limb, part) in self.0.iter_mut().zip(coefficient.0) {
            let sum = u128::from(part) * raised + u128::from(*limb) + carry;
            *limb = low(sum);
            carry = sum >> 64;
        }
        self.0[4] += low(carry);
    }

    /// Returns `2^31·sum`: what [`reduce`](Self::reduce) takes off, for the sum of all coefficients.
    pub(crate) fn raise(sum: Field) -> Field {
        sum * Field::from(1i64 << 31)
    }

    /// Returns the sum less `raised`.
    ///
    /// The sum is below 2^301: with `x = h·2^252 + l`, `x = l − h·(ℓ − 2^252)` mod ℓ, where h < 2^49 and the product is
    /// below 2^174, so that adding ℓ once makes it positive.
    #[inline]
    pub(crate) fn reduce(self, raised: Field) -> Field {
        const TOP: u32 = 60;
        let [a, b, c, d, e] = self.0;
        let high = u128::from(e << 4 | d >> TOP);
        let first = high * u128::from(ORDER[0]);
        let second = high * u128::from(ORDER[1]) + (first >> 64);
        let (difference, borrow) =
            subtract([a, b, c, d & ((1 << TOP) - 1)], [low(first), low(second), low(second >> 64), 0]);
        add_order_if(difference, borrow) - raised
    }
}

/// Returns `x/2^256 mod ℓ` for `x < ℓ·2^256`.
#[inline]
fn reduce(mut x: [u64; 8]) -> Field {
    let mut over = 0u128;
    for i in 0..4 {
        let m = x[i].wrapping_mul(FACTOR);
        let sum = u128::from(m) * u128::from(ORDER[0]) + u128::from(x[i]);
        let sum = u128::from(m) * u128::from(ORDER[1]) + u128::from(x[i + 1]) + (sum >> 64);
        x[i + 1] = low(sum);
        let sum = u128::from(x[i + 2]) + (sum >> 64);
        x[i + 2] = low(sum);
        // The fourth limb of ℓ is 2^60.
        let sum = (u128::from(m) << 60) + u128::from(x[i + 3]) + (sum >> 64);
        x[i + 3] = low(sum);
        let sum = u128::from(x[i + 4]) + (sum >> 64) + over;
        x[i + 4] = low(sum);
        over = sum >> 64;
    }
    // (x + m·ℓ)/2^256 < 2ℓ: nothing is carried out of the top, and one subtraction is enough.
    less_order([x[4], x[5], x[6], x[7]])
}

/// Returns `x mod ℓ` for `x < 2ℓ`.
#[inline]
fn less_order(x: [u64; 4]) -> Field {
    let (difference, borrow) = subtract(x, ORDER);
    add_order_if(difference, borrow)
}

/// Returns `x − y mod 2^256`, and all ones if it is negative.
#[inline]
fn subtract(x: [u64; 4], y: [u64; 4]) -> ([u64; 4], u64) {
    let mut borrow = false;
    let difference = core::array::from_fn(|index| {
        let (difference, one) = x[index].overflowing_sub(y[index]);
        let (difference, two) = difference.overflowing_sub(u64::from(borrow));
        borrow = one | two;
        difference
    });
    (difference, u64::from(borrow).wrapping_neg())
}

/// Adds ℓ mod 2^256 where `mask` is all ones, and nothing where it is zero.
#[inline]
fn add_order_if(x: [u64; 4], mask: u64) -> Field {
    let mut carry = 0;
    Field(core::array::from_fn(|index| {
        let sum = u128::from(x[index]) + u128::from(ORDER[index] & mask) + carry;
        carry = sum >> 64;
        low(sum)
    }))
}

/// Returns the limbs of a string of 256 bits, least significant first.
#[inline]
pub(crate) fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    core::array::from_fn(|index| {
        let mut limb = [0; 8];
        limb.copy_from_slice(&bytes[8 * index..8 * index + 8]);
        u64::from_le_bytes(limb)
    })
}

fn is_negative(value: i128) -> Choice {
    Choice::from(u8::from(value < 0))
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
#[inline]
const fn low(sum: u128) -> u64 {
    sum as u64
}

#[cfg(test)]
mod tests;
