//! The frames of a bundle: read one at a time, each within its bound.

use std::io::{self, Read, Write};

use chorus_crypto::codec::{Decode, DecodeError, Encode};

use super::VerifyError;
use crate::{config::Genesis, id::BlobId, limits, log::consensus::Decision};

/// How a bundle begins.
pub const MAGIC: [u8; 8] = *b"CHORUSAB";

/// The version of the format.
pub const VERSION: u8 = 1;

const END: u8 = 0;
const DECISION: u8 = 1;
const BLOB: u8 = 2;

/// What follows the founding document.
#[derive(Debug)]
pub enum Frame {
    /// The decision of the next height.
    Decision(Box<Decision>),
    /// A blob whose bytes hash to its id.
    Blob(BlobId, Vec<u8>),
    /// The end of the bundle; nothing stands after it.
    End,
}

/// Reads frames, of which nothing is checked but that blobs hash to their ids: for whoever takes in the log of a bundle
/// and finds the results out again. Decisions come before blobs, and the end once.
#[derive(Debug)]
pub struct FrameReader<R> {
    input: R,
    offset: u64,
    in_blobs: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads magic, version and founding document.
    ///
    /// # Errors
    ///
    /// Returns a [`VerifyError`] if there is no bundle, or one of another version.
    pub fn new(input: R) -> Result<(Self, Genesis), VerifyError> {
        let mut reader = Self { input, offset: 0, in_blobs: false };
        if reader.array::<8>("the header")? != MAGIC {
            return Err(VerifyError::Magic);
        }
        match reader.array::<1>("the header")? {
            [VERSION] => {}
            [found] => return Err(VerifyError::Version { found }),
        }
        let genesis = reader.value("the founding document", limits::MAX_GENESIS_BYTES)?;
        Ok((reader, genesis))
    }

    /// Returns how many bytes have been read.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next frame.
    ///
    /// # Errors
    ///
    /// Returns a [`VerifyError`] if it is not in its one encoding.
    #[expect(clippy::should_implement_trait, reason = "what ends a bundle is a frame, and no absence of one")]
    pub fn next(&mut self) -> Result<Frame, VerifyError> {
        let begin = self.offset;
        let [tag] = self.array("a frame")?;
        match tag {
            DECISION if !self.in_blobs => {
                self.value("a decision", limits::MAX_DECISION_BYTES).map(|decision| Frame::Decision(Box::new(decision)))
            }
            BLOB => {
                self.in_blobs = true;
                let id = BlobId::from(self.array("a blob's id")?);
                let bytes = self.bytes("a blob", limits::MAX_BLOB_BYTES)?;
                if BlobId::of(&bytes) == id { Ok(Frame::Blob(id, bytes)) } else { Err(VerifyError::BlobHash(id)) }
            }
            END => {
                let mut rest = [0; 1];
                let what = "the end";
                match self.fill(&mut rest)? {
                    0 => Ok(Frame::End),
                    left => {
                        Err(VerifyError::Encoding { what, offset: self.offset, error: DecodeError::Trailing(left) })
                    }
                }
            }
            found => {
                let error = DecodeError::UnknownTag { of: "frame", found: found.into() };
                Err(VerifyError::Encoding { what: "a frame", offset: begin, error })
            }
        }
    }

    fn value<T: Decode>(&mut self, what: &'static str, bound: usize) -> Result<T, VerifyError> {
        let offset = self.offset;
        let bytes = self.bytes(what, bound)?;
        T::from_bytes(&bytes).map_err(|error| VerifyError::Encoding { what, offset, error })
    }

    fn bytes(&mut self, what: &'static str, bound: usize) -> Result<Vec<u8>, VerifyError> {
        let offset = self.offset;
        let encoding = |error| VerifyError::Encoding { what, offset, error };
        let found = u32::from_be_bytes(self.array(what)?);
        let length = usize::try_from(found).map_err(|_| encoding(DecodeError::OutOfRange("length")))?;
        if length > bound {
            return Err(encoding(DecodeError::TooLong { bound, found: length }));
        }
        // Grows with what is there: a lying length reserves nothing.
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(found.into()).read_to_end(&mut bytes)?;
        self.offset += read as u64;
        if read < length { Err(encoding(DecodeError::Truncated { missing: length - read })) } else { Ok(bytes) }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], VerifyError> {
        let offset = self.offset;
        let mut bytes = [0; N];
        let read = self.fill(&mut bytes)?;
        if read < N {
            let error = DecodeError::Truncated { missing: N - read };
            return Err(VerifyError::Encoding { what, offset, error });
        }
        Ok(bytes)
    }

    /// Reads until `bytes` is full or the input ends; returns how many bytes were read.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, VerifyError> {
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.offset += read as u64;
        Ok(read)
    }
}

/// Writes frames and counts their bytes.
#[derive(Debug)]
pub(super) struct FrameWriter<W> {
    out: W,
    written: u64,
}

impl<W: Write> FrameWriter<W> {
    /// Writes magic, version and founding document.
    pub(super) fn new(out: W, genesis: &Genesis) -> io::Result<Self> {
        let mut writer = Self { out, written: 0 };
        writer.put(&MAGIC)?;
        writer.put(&[VERSION])?;
        writer.bytes(&genesis.to_bytes())?;
        Ok(writer)
    }

    pub(super) fn decision(&mut self, decision: &Decision) -> io::Result<()> {
        self.put(&[DECISION])?;
        self.bytes(&decision.to_bytes())
    }

    pub(super) fn blob(&mut self, id: &BlobId, bytes: &[u8]) -> io::Result<()> {
        self.put(&[BLOB])?;
        self.put(id.as_ref())?;
        self.bytes(bytes)
    }

    /// Writes the end; returns the length of the whole.
    pub(super) fn end(mut self) -> io::Result<u64> {
        self.put(&[END])?;
        self.out.flush()?;
        Ok(self.written)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A bundle in memory: its parts, none of them checked except that blobs hash to their ids. For tools that look into
/// a bundle, and for tests; [`verify`](super::verify()) reads the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    /// The founding document.
    pub genesis: Genesis,
    /// The log.
    pub decisions: Vec<Decision>,
    /// The blobs, in the order of the file.
    pub blobs: Vec<(BlobId, Vec<u8>)>,
}

impl Bundle {
    /// Reads a bundle. If this succeeds, [`to_bytes`](Self::to_bytes) returns the same bytes.
    ///
    /// # Errors
    ///
    /// Returns the first part that is not in canonical form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerifyError> {
        let (mut reader, genesis) = FrameReader::new(bytes)?;
        let mut bundle = Self { genesis, decisions: Vec::new(), blobs: Vec::new() };
        loop {
            match reader.next()? {
                Frame::Decision(decision) => bundle.decisions.push(*decision),
                Frame::Blob(id, bytes) => bundle.blobs.push((id, bytes)),
                Frame::End => return Ok(bundle),
            }
        }
    }

    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out).expect("a vector takes all bytes, and parts of a bundle are shorter than 2^32");
        out
    }

    fn write(&self, out: &mut Vec<u8>) -> io::Result<u64> {
        let mut writer = FrameWriter::new(out, &self.genesis)?;
        self.decisions.iter().try_for_each(|decision| writer.decision(decision))?;
        self.blobs.iter().try_for_each(|(id, bytes)| writer.blob(id, bytes))?;
        writer.end()
    }
}
