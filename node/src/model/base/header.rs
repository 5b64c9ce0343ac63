//! The header of a GGUF file, versions 2 and 3: metadata and where the tensors are.
//!
//! candle has a reader too; this one is here because that one divides by an alignment of zero and lets a later entry
//! replace an earlier one of the same name. Every length is checked against what is left of the file before anything is
//! allocated.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use candle_core::quantized::GgmlDType;

/// The most entries of the metadata; files have some 40.
const MAX_ENTRIES: u64 = 4096;

/// The most tensors; a model of 128 layers has some 1,500.
const MAX_TENSORS: u64 = 1 << 16;

/// The most bytes of a string; chat templates have some 10 kB.
const MAX_STRING: u64 = 1 << 20;

/// The most elements of an array: the merges of a vocabulary.
const MAX_ARRAY: u64 = 1 << 22;

/// The most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;

/// The most elements of a tensor.
const MAX_ELEMENTS: usize = 1 << 34;

/// Where the data begin, if the metadata do not say: at the next multiple of this.
const ALIGNMENT: u64 = 32;

/// Why a file has no header that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file cannot be read, or ends within its header.
    #[error("the header cannot be read")]
    Io(#[from] io::Error),
    /// It is another kind of file.
    #[error("this is no GGUF file")]
    Magic,
    /// The version is another one than 2 and 3.
    #[error("GGUF version {0} is not supported")]
    Version(u32),
    /// A length is more than any model needs, or than the file has.
    #[error("{what}: {found}, where at most {bound} fit")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// The bound.
        bound: u64,
    },
    /// The header breaks the rules of the format.
    #[error("the header is damaged: {0}")]
    Damaged(&'static str),
    /// A tensor is quantised in a way that is not known here.
    #[error("tensor {tensor} has the unsupported type {found}")]
    Type {
        /// Its name.
        tensor: String,
        /// The number of the type.
        found: u32,
    },
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i128),
    Float(f64),
    Bool(bool),
    String(String),
    Integers(Vec<i64>),
    Strings(Vec<String>),
    /// An array of a kind that no model needs here, read and dropped.
    Other,
}

/// Where a tensor is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The type of its blocks.
    pub(super) kind: GgmlDType,
    /// The rows first, as everywhere but in the file.
    pub(super) shape: Vec<usize>,
    /// The first byte in the file.
    pub(super) start: u64,
    /// The number of bytes.
    pub(super) bytes: usize,
}

/// A header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Entry>,
}

impl Header {
    /// Reads the header of a file of `length` bytes.
    pub(super) fn read(reader: impl Read, length: u64) -> Result<Self, HeaderError> {
        let mut source = Source { reader, position: 0, length };
        if &source.array::<4>()? != b"GGUF" {
            return Err(HeaderError::Magic);
        }
        let version = source.u32()?;
        if !(2..=3).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        let tensors = source.count("tensors", MAX_TENSORS, 24)?;
        let entries = source.count("entries of metadata", MAX_ENTRIES, 13)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = source.string()?;
            let value = source.value()?;
            if metadata.insert(key, value).is_some() {
                return Err(HeaderError::Damaged("an entry is there twice"));
            }
        }
        let mut raw = BTreeMap::new();
        for _ in 0..tensors {
            let name = source.string()?;
            let entry = source.entry(&name)?;
            if raw.insert(name, entry).is_some() {
                return Err(HeaderError::Damaged("a tensor is there twice"));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Integer(value)) => {
                let value = u64::try_from(*value).ok().filter(|value| value.is_power_of_two() && *value <= 1 << 20);
                value.ok_or(HeaderError::Damaged("the alignment is no power of two"))?
            }
            Some(_) => return Err(HeaderError::Damaged("the alignment is no number")),
        };
        let data = source.position.next_multiple_of(alignment);
        for entry in raw.values_mut() {
            let start = data.checked_add(entry.start);
            let end = start.and_then(|start| start.checked_add(entry.bytes as u64));
            let outside = HeaderError::Damaged("a tensor lies outside the file");
            entry.start = start.filter(|_| end.is_some_and(|end| end <= length)).ok_or(outside)?;
        }
        Ok(Self { metadata, tensors: raw })
    }
}

/// What is left of the file.
struct Source<R> {
    reader: R,
    position: u64,
    length: u64,
}

impl<R: Read> Source<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads a length of things that take at least `size` bytes each.
    fn count(&mut self, what: &'static str, bound: u64, size: u64) -> Result<u64, HeaderError> {
        let found = self.u64()?;
        let bound = bound.min(self.length.saturating_sub(self.position) / size);
        if found > bound { Err(HeaderError::TooMany { what, found, bound }) } else { Ok(found) }
    }

    fn string(&mut self) -> Result<String, HeaderError> {
        let length = self.count("bytes of a string", MAX_STRING, 1)?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(HeaderError::Damaged("a string is cut off"));
        }
        self.position += length;
        String::from_utf8(bytes).map_err(|_| HeaderError::Damaged("a string is no UTF-8"))
    }

    fn value(&mut self) -> Result<Value, HeaderError> {
        let kind = self.u32()?;
        if kind == 9 { self.values() } else { self.scalar(kind) }
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, HeaderError> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(widen(f32::from_le_bytes(self.array()?))),
            7 => match self.array()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(HeaderError::Damaged("a truth value is neither 0 nor 1")),
            },
            8 => Value::String(self.string()?),
            10 => Value::Integer(self.u64()?.into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(HeaderError::Damaged("a value of an unknown type")),
        })
    }

    /// Reads an array.
    fn values(&mut self) -> Result<Value, HeaderError> {
        let kind = self.u32()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            _ => return Err(HeaderError::Damaged("an array of arrays or of an unknown type")),
        };
        let count = self.count("elements of an array", MAX_ARRAY, size)?;
        let (mut integers, mut strings, mut other) = (Vec::new(), Vec::new(), kind == 6 || kind == 12);
        for _ in 0..count {
            match self.scalar(kind)? {
                Value::Integer(value) => match i64::try_from(value) {
                    Ok(value) => integers.push(value),
                    Err(_) => other = true,
                },
                Value::String(value) => strings.push(value),
                _ => other = true,
            }
        }
        Ok(match (other, kind) {
            (true, _) => Value::Other,
            (false, 8) => Value::Strings(strings),
            (false, _) => Value::Integers(integers),
        })
    }

    /// Reads where a tensor is, from the start of the data.
    fn entry(&mut self, name: &str) -> Result<Entry, HeaderError> {
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(HeaderError::Damaged("a tensor without dimensions or with more than four"));
        }
        let too_large = HeaderError::Damaged("a tensor has more elements than any");
        let (mut shape, mut elements) = (Vec::new(), Some(1usize));
        for _ in 0..dimensions {
            let dimension = usize::try_from(self.u64()?).ok();
            elements = elements.zip(dimension).and_then(|(elements, dimension)| elements.checked_mul(dimension));
            shape.push(dimension.unwrap_or(usize::MAX));
        }
        shape.reverse();
        let elements = elements.filter(|elements| *elements <= MAX_ELEMENTS).ok_or(too_large)?;
        let number = self.u32()?;
        let kind = kind(number).ok_or_else(|| HeaderError::Type { tensor: name.to_owned(), found: number })?;
        if shape.last().is_none_or(|columns| !columns.is_multiple_of(kind.block_size())) {
            return Err(HeaderError::Damaged("a tensor's rows are no whole blocks"));
        }
        let bytes = elements / kind.block_size() * kind.type_size();
        Ok(Entry { kind, shape, start: self.u64()?, bytes })
    }
}

/// Widens by way of the shortest decimal: 1e-5 stays 1e-5, as the original configuration has it.
fn widen(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// The types that candle can dequantise.
const fn kind(number: u32) -> Option<GgmlDType> {
    Some(match number {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}
