//! The shape of a contribution, and how several small entries share one scalar.
//!
//! Each row is packed separately: lane l of a scalar counts in units of 2^(w·l). Packing is linear over ℤ_ℓ, so it
//! commutes with sums and folds even of entries that do not fit a lane; only *unpacking* needs every entry of a sum
//! below 2^(w−1) in absolute value, which the manifest guarantees by `contributors · bound < 2^(w−1)`.

use curve25519_dalek::scalar::Scalar;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    field::limbs,
};

/// Most bits of packed lanes in a scalar: the centred value of a full scalar stays below 2^250 < ℓ/2.
const USABLE_BITS: u16 = 250;

/// Most data rows: a square matrix of 2^24 entries has 4096; room for tall ones.
pub const MAX_DATA_ROWS: u32 = 1 << 14;

/// Most columns. See [`MAX_DATA_ROWS`].
pub const MAX_COLUMNS: u32 = 1 << 14;

/// Most scalars of a masked vector: 2^23 entries, eight to a scalar, and row 0 of as many columns as there may be. 32.5 MiB.
pub const MAX_SCALARS: usize = (1 << 20) + (1 << 14);

/// A shape that no contribution has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No rows or more than [`MAX_DATA_ROWS`].
    #[error("{0} data rows are not in 1..={MAX_DATA_ROWS}")]
    Rows(u32),
    /// No columns or more than [`MAX_COLUMNS`].
    #[error("{0} columns are not in 1..={MAX_COLUMNS}")]
    Columns(u32),
    /// A lane that holds no signed number, or is wider than a scalar.
    #[error("lanes of {0} bits are not in 2..={USABLE_BITS}")]
    LaneBits(u16),
    /// A masked vector longer than [`MAX_SCALARS`].
    #[error("{0} scalars are more than {MAX_SCALARS}")]
    Scalars(usize),
}

/// D data rows of C columns, in lanes of w bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub struct Shape {
    /// D: the rows of the matrix, without the mask row 0.
    pub data_rows: u32,
    /// C: the entries of a row.
    pub columns: u32,
    /// w: the bits of an entry of a sum, sign included.
    pub lane_bits: u16,
}

impl Shape {
    /// Returns the shape.
    ///
    /// # Errors
    ///
    /// Returns a [`ShapeError`] if one of the numbers, or the length of the masked vector, is out of bounds.
    pub fn new(data_rows: u32, columns: u32, lane_bits: u16) -> Result<Self, ShapeError> {
        let shape = Self { data_rows, columns, lane_bits };
        if !(1..=MAX_DATA_ROWS).contains(&data_rows) {
            return Err(ShapeError::Rows(data_rows));
        }
        if !(1..=MAX_COLUMNS).contains(&columns) {
            return Err(ShapeError::Columns(columns));
        }
        if !(2..=USABLE_BITS).contains(&lane_bits) {
            return Err(ShapeError::LaneBits(lane_bits));
        }
        if shape.scalars() > MAX_SCALARS {
            return Err(ShapeError::Scalars(shape.scalars()));
        }
        Ok(shape)
    }

    /// Returns the shape of a ballot: one column, one entry per scalar.
    ///
    /// # Panics
    ///
    /// Panics unless `data_rows` is in `1..=MAX_DATA_ROWS`; layouts of ballots are.
    pub fn ballot(data_rows: u32) -> Self {
        Self::new(data_rows, 1, USABLE_BITS).expect("a ballot's layout has a valid number of rows")
    }

    /// Returns D as a `usize`.
    pub fn rows(&self) -> usize {
        self.data_rows as usize
    }

    /// Returns C as a `usize`.
    pub fn width(&self) -> usize {
        self.columns as usize
    }

    /// Returns the entries that share a scalar: ⌊250/w⌋ ≥ 1.
    pub fn lanes(&self) -> usize {
        usize::from(USABLE_BITS / self.lane_bits)
    }

    /// Returns the scalars of one packed row: ⌈C/lanes⌉.
    pub fn packed(&self) -> usize {
        self.width().div_ceil(self.lanes())
    }

    /// Returns the length of the masked vector: (1+D)·packed, row 0 included.
    pub fn scalars(&self) -> usize {
        (1 + self.rows()) * self.packed()
    }

    /// Returns 2^w.
    pub(crate) fn lane_unit(&self) -> Scalar {
        let mut bytes = [0; 32];
        if let Some(byte) = bytes.get_mut(usize::from(self.lane_bits / 8)) {
            *byte = 1 << (self.lane_bits % 8);
        }
        Scalar::from_bytes_mod_order(bytes)
    }

    /// Returns the entries of a packed row, or `None` if one does not fit its lane or 64 bits.
    ///
    /// The centred representative of each scalar in (−ℓ/2, ℓ/2) is written in balanced base 2^w, digits in
    /// [−2^(w−1), 2^(w−1)): such a representation is unique, and what is left after the lanes must be zero.
    pub(crate) fn unpack(&self, packed: &[Scalar]) -> Option<Vec<i64>> {
        let mut entries = Vec::with_capacity(self.width());
        for scalar in packed {
            let mut rest = Centred::new(scalar);
            for _ in 0..self.lanes().min(self.width() - entries.len()) {
                entries.push(rest.balanced_digit(u32::from(self.lane_bits))?);
            }
            if !rest.is_zero() {
                return None;
            }
        }
        (entries.len() == self.width()).then_some(entries)
    }
}

impl Encode for Shape {
    fn encode(&self, out: &mut Vec<u8>) {
        self.data_rows.encode(out);
        self.columns.encode(out);
        self.lane_bits.encode(out);
    }
}

impl Decode for Shape {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (data_rows, columns, lane_bits) = (u32::decode(input)?, u32::decode(input)?, u16::decode(input)?);
        Self::new(data_rows, columns, lane_bits).map_err(|_| DecodeError::OutOfRange("shape"))
    }
}

/// Packs one row of C entries into `shape.packed()` scalars: `Σ_l entry_l · 2^(w·l)`. Constant time in the entries.
pub fn pack(shape: &Shape, row: &[Scalar]) -> Vec<Scalar> {
    let unit = shape.lane_unit();
    let lane = |chunk: &[Scalar]| match chunk {
        [entry] => *entry,
        _ => chunk.iter().rev().fold(Scalar::ZERO, |sum, entry| sum * unit + entry),
    };
    row.chunks(shape.lanes()).map(lane).collect()
}

/// The centred representative of a scalar, as 256-bit two's complement, least significant word first.
///
/// Sums are public, so nothing here is constant time.
struct Centred([u64; 4]);

impl Centred {
    fn new(scalar: &Scalar) -> Self {
        // x < ℓ/2 exactly if 2x mod ℓ is even as an integer: otherwise 2x wraps, and 2x − ℓ is odd.
        let negative = (scalar + scalar).as_bytes().first().is_some_and(|byte| byte & 1 == 1);
        let magnitude = Self(limbs((if negative { -scalar } else { *scalar }).as_bytes()));
        if negative { magnitude.negated() } else { magnitude }
    }

    fn is_zero(&self) -> bool {
        self.0 == [0; 4]
    }

    fn negated(self) -> Self {
        let mut carry = true;
        Self(self.0.map(|word| {
            let (sum, over) = (!word).overflowing_add(u64::from(carry));
            carry = over;
            sum
        }))
    }

    /// Splits off the lowest digit in [−2^(bits−1), 2^(bits−1)): `self = digit + 2^bits · self'`.
    fn balanced_digit(&mut self, bits: u32) -> Option<i64> {
        let top = bits - 1;
        let shifted = self.shifted(top);
        let borrow = shifted.0[0] & 1;
        // What fits 64 bits is the sign-extended low word; compare the other bits of the digit with its sign.
        let digit = self.digit_as_i64(bits)?;
        let mut rest = self.shifted(bits);
        rest.add(borrow);
        *self = rest;
        Some(digit)
    }

    /// Returns the low `bits` bits, read as two's complement, if the value fits 64 bits.
    fn digit_as_i64(&self, bits: u32) -> Option<i64> {
        // Shift the digit to the top of the 256 bits and arithmetically back: sign-extended to all words.
        let digit = self.raised(256 - bits).shifted(256 - bits);
        let low = digit.0[0].cast_signed();
        let sign = if low < 0 { u64::MAX } else { 0 };
        digit.0[1..].iter().all(|&word| word == sign).then_some(low)
    }

    /// Arithmetic shift right by `count` < 256.
    fn shifted(&self, count: u32) -> Self {
        let sign = if self.0[3].cast_signed() < 0 { u64::MAX } else { 0 };
        let (skip, bits) = ((count / 64) as usize, count % 64);
        let word = |index: usize| self.0.get(index).copied().unwrap_or(sign);
        Self(core::array::from_fn(|index| match bits {
            0 => word(index + skip),
            _ => word(index + skip) >> bits | word(index + skip + 1) << (64 - bits),
        }))
    }

    /// Shift left by `count` < 256.
    fn raised(&self, count: u32) -> Self {
        let (skip, bits) = ((count / 64) as usize, count % 64);
        let word = |index: usize, back: usize| index.checked_sub(back).map_or(0, |from| self.0[from]);
        Self(core::array::from_fn(|index| match bits {
            0 => word(index, skip),
            _ => word(index, skip) << bits | word(index, skip + 1) >> (64 - bits),
        }))
    }

    fn add(&mut self, value: u64) {
        let mut carry = value;
        for word in &mut self.0 {
            let (sum, over) = word.overflowing_add(carry);
            *word = sum;
            carry = u64::from(over);
        }
    }
}

#[cfg(test)]
mod tests;
