//! Canonical, bounded bytes for everything that is signed, hashed or sent.
//!
//! One value has exactly one encoding: integers are fixed-width big-endian, sequences carry a `u32` count that is
//! checked against a bound *before* anything is allocated, an `Option` is one byte `0` or `1`, and whatever is left
//! over after the last field is an error. So *if bytes decode, they re-encode to themselves*, and a digest or a
//! signature over an encoding is a digest or a signature over the value.
//!
//! serde is deliberately not used here: none of its formats promises canonical bytes.

#![deny(clippy::indexing_slicing)]

use curve25519_dalek::scalar::Scalar;

/// Why bytes were refused. Describes the bytes of a peer, never this node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended before the value did.
    #[error("input ended {missing} bytes early")]
    Truncated {
        /// How many bytes were still needed.
        missing: usize,
    },
    /// Bytes were left after the value.
    #[error("{0} bytes left over")]
    Trailing(usize),
    /// A sequence or byte string is longer than its bound.
    #[error("length {found} over the bound {bound}")]
    TooLong {
        /// The bound.
        bound: usize,
        /// The length announced.
        found: usize,
    },
    /// A tag byte names no variant, version or flag that is known.
    #[error("unknown tag {found} of {of}")]
    UnknownTag {
        /// What the tag belongs to.
        of: &'static str,
        /// The tag found.
        found: u32,
    },
    /// A value has another, shorter or reduced, encoding.
    #[error("{0} is not in canonical form")]
    NonCanonical(&'static str),
    /// A value is outside the range its type allows.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// A value with one canonical encoding.
pub trait Encode {
    /// Appends the encoding of `self`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Returns the encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A value that can be read back from its canonical encoding.
pub trait Decode: Sized {
    /// Reads one value.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] unless the input starts with a canonical encoding.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads exactly one value from the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`DecodeError::Trailing`] if bytes are left over.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// A cursor over bytes that came from somewhere else.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns how many bytes have not been read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let missing = count.saturating_sub(self.rest.len());
        let (head, tail) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated { missing })?;
        self.rest = tail;
        Ok(head)
    }

    /// Takes the next `N` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let missing = N.saturating_sub(self.rest.len());
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { missing })?;
        self.rest = tail;
        Ok(*head)
    }

    /// Reads a count of at most `bound`.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::TooLong`] if the count is over the bound.
    pub fn count(&mut self, bound: usize) -> Result<usize, DecodeError> {
        let found = usize::try_from(u32::decode(self)?).map_err(|_| DecodeError::OutOfRange("count"))?;
        if found > bound { Err(DecodeError::TooLong { bound, found }) } else { Ok(found) }
    }

    /// Reads a sequence of at most `bound` values.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::TooLong`] before reading any of them if there are more.
    pub fn seq<T: Decode>(&mut self, bound: usize) -> Result<Vec<T>, DecodeError> {
        let count = self.count(bound)?;
        // A value takes at least one byte, so a lying count cannot reserve more than what was received.
        let mut values = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            values.push(T::decode(self)?);
        }
        Ok(values)
    }

    /// Reads a byte string of at most `bound` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::TooLong`] if it is longer.
    pub fn bytes(&mut self, bound: usize) -> Result<&'a [u8], DecodeError> {
        let count = self.count(bound)?;
        self.take(count)
    }

    /// Reads a UTF-8 string of at most `bound` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::TooLong`] if it is longer and [`DecodeError::NonCanonical`] if it is not UTF-8.
    pub fn text(&mut self, bound: usize) -> Result<String, DecodeError> {
        let bytes = self.bytes(bound)?;
        Ok(core::str::from_utf8(bytes).map_err(|_| DecodeError::NonCanonical("text"))?.to_owned())
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Trailing`] if bytes are left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

/// Appends a count.
///
/// # Panics
///
/// Panics if `count` does not fit 32 bits; nothing that Chorus builds is that long.
pub fn put_count(out: &mut Vec<u8>, count: usize) {
    u32::try_from(count).expect("sequences of Chorus are shorter than 2^32").encode(out);
}

/// Appends a sequence: its count, then its values.
pub fn put_seq<T: Encode>(out: &mut Vec<u8>, values: &[T]) {
    put_count(out, values.len());
    for value in values {
        value.encode(out);
    }
}

/// Appends a byte string: its length, then its bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Decode for $int {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(input.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i32, i64, i128);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::UnknownTag { of: "bool", found: found.into() }),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array()
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(input)? { Some(T::decode(input)?) } else { None })
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(T::decode(input)?))
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl Encode for Scalar {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Decode for Scalar {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::from(Self::from_canonical_bytes(input.array()?)).ok_or(DecodeError::NonCanonical("scalar"))
    }
}

/// Implements [`Encode`] and [`Decode`] for a struct, field by field in the order given.
///
/// `field` is any codec type; `field[MAX]` a `Vec` of at most `MAX` values; `field{MAX}` a `Vec<u8>` of at most `MAX`
/// bytes; `field(MAX)` a `String` of at most `MAX` bytes.
#[macro_export]
macro_rules! wire_struct {
    ($type:ty { $($body:tt)* }) => {
        impl $crate::codec::Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::wire_struct!(@put self out $($body)*);
            }
        }
        impl $crate::codec::Decode for $type {
            fn decode(input: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                $crate::wire_struct!(@get input {} $($body)*)
            }
        }
    };
    (@put $self:ident $out:ident) => { let _ = $out; };
    (@put $self:ident $out:ident $field:ident [$max:expr] $(, $($rest:tt)*)?) => {
        $crate::codec::put_seq($out, &$self.$field);
        $crate::wire_struct!(@put $self $out $($($rest)*)?);
    };
    (@put $self:ident $out:ident $field:ident {$max:expr} $(, $($rest:tt)*)?) => {
        $crate::codec::put_bytes($out, &$self.$field);
        $crate::wire_struct!(@put $self $out $($($rest)*)?);
    };
    (@put $self:ident $out:ident $field:ident ($max:expr) $(, $($rest:tt)*)?) => {
        $crate::codec::put_bytes($out, $self.$field.as_bytes());
        $crate::wire_struct!(@put $self $out $($($rest)*)?);
    };
    (@put $self:ident $out:ident $field:ident $(, $($rest:tt)*)?) => {
        $crate::codec::Encode::encode(&$self.$field, $out);
        $crate::wire_struct!(@put $self $out $($($rest)*)?);
    };
    (@get $input:ident {$($done:tt)*}) => { Ok(Self { $($done)* }) };
    (@get $input:ident {$($done:tt)*} $field:ident [$max:expr] $(, $($rest:tt)*)?) => {
        $crate::wire_struct!(@get $input {$($done)* $field: $input.seq($max)?,} $($($rest)*)?)
    };
    (@get $input:ident {$($done:tt)*} $field:ident {$max:expr} $(, $($rest:tt)*)?) => {
        $crate::wire_struct!(@get $input {$($done)* $field: $input.bytes($max)?.to_vec(),} $($($rest)*)?)
    };
    (@get $input:ident {$($done:tt)*} $field:ident ($max:expr) $(, $($rest:tt)*)?) => {
        $crate::wire_struct!(@get $input {$($done)* $field: $input.text($max)?,} $($($rest)*)?)
    };
    (@get $input:ident {$($done:tt)*} $field:ident $(, $($rest:tt)*)?) => {
        $crate::wire_struct!(@get $input {$($done)* $field: $crate::codec::Decode::decode($input)?,} $($($rest)*)?)
    };
}

/// Implements [`Encode`] and [`Decode`] for an enum: a tag byte, then the variant's only field, if it has one.
#[macro_export]
macro_rules! wire_enum {
    ($type:ident { $($tag:literal => $variant:ident $(($inner:ident))?),* $(,)? }) => {
        impl $crate::codec::Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($inner))? => {
                        out.push($tag);
                        $($crate::codec::Encode::encode($inner, out);)?
                    })*
                }
            }
        }
        impl $crate::codec::Decode for $type {
            fn decode(input: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                match <u8 as $crate::codec::Decode>::decode(input)? {
                    $($tag => Ok(Self::$variant $(({ let $inner = $crate::codec::Decode::decode(input)?; $inner }))?),)*
                    found => Err($crate::codec::DecodeError::UnknownTag { of: stringify!($type), found: found.into() }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Eq, PartialEq)]
    struct Sample {
        number: u16,
        values: Vec<u32>,
        blob: Vec<u8>,
        name: String,
        maybe: Option<bool>,
    }
    wire_struct!(Sample { number, values[3], blob{4}, name(8), maybe });

    #[derive(Debug, Eq, PartialEq)]
    enum Choice {
        Empty,
        Full(u8),
    }
    wire_enum!(Choice { 0 => Empty, 7 => Full(value) });

    fn sample() -> Sample {
        Sample { number: 0x0102, values: vec![3], blob: vec![4, 5], name: "é".into(), maybe: Some(true) }
    }

    #[test]
    fn a_struct_has_the_documented_bytes() {
        let expected = [
            1, 2, // number
            0, 0, 0, 1, 0, 0, 0, 3, // one value
            0, 0, 0, 2, 4, 5, // two bytes
            0, 0, 0, 2, 0xC3, 0xA9, // text
            1, 1, // present, true
        ];

        assert_eq!(sample().to_bytes(), expected);
        assert_eq!(Sample::from_bytes(&expected), Ok(sample()));
    }

    #[test]
    fn a_pair_is_its_parts_and_a_box_what_is_in_it() {
        let nested = Box::new((0x0102u16, (true, sample())));
        let expected = [vec![1, 2, 1], sample().to_bytes()].concat();

        assert_eq!(nested.to_bytes(), expected);
        assert_eq!(Decode::from_bytes(&expected), Ok(nested));
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let bytes = sample().to_bytes();

        for end in 0..bytes.len() {
            let refused = Sample::from_bytes(bytes.get(..end).expect("in range"));
            assert!(matches!(refused, Err(DecodeError::Truncated { .. })), "{end}: {refused:?}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Sample::from_bytes(&longer), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn what_remains_is_what_was_not_read() {
        let mut input = Reader::new(&[1, 2, 3, 4, 5]);

        assert_eq!((input.take(2), input.remaining()), (Ok(&[1, 2][..]), 3));
        assert_eq!(input.take(4), Err(DecodeError::Truncated { missing: 1 }));
        assert_eq!((input.remaining(), input.array(), input.remaining()), (3, Ok([3, 4, 5]), 0));
    }

    #[test]
    fn bounds_hold_before_anything_is_allocated() {
        assert_eq!(
            Reader::new(&[0xFF; 4]).seq::<u64>(10),
            Err(DecodeError::TooLong { bound: 10, found: u32::MAX as usize })
        );
        assert_eq!(Choice::from_bytes(&[1]), Err(DecodeError::UnknownTag { of: "Choice", found: 1 }));
        assert_eq!(Choice::from_bytes(&[7, 9]), Ok(Choice::Full(9)));
        assert_eq!(Choice::from_bytes(&[0]), Ok(Choice::Empty));
        assert_eq!(bool::from_bytes(&[2]), Err(DecodeError::UnknownTag { of: "bool", found: 2 }));
        assert_eq!(Scalar::from_bytes(&[0xFF; 32]), Err(DecodeError::NonCanonical("scalar")));
    }

    proptest! {
        #[test]
        fn what_decodes_re_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Sample::from_bytes(&bytes) {
                prop_assert_eq!(value.to_bytes(), bytes);
            }
        }
    }
}
