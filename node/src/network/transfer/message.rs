//! The bytes of blob requests and their answers.
//!
//! ```text
//! request   0 · id (32)                          what is there of it?
//!           1 · id (32) · size (8) · pieces · piece (4)     a piece; these are here already
//!           2 · id (32) · size (8) · pieces      what is here of it now; answered by nothing
//! answer    absent: 0
//!           bytes · 1                            all of a small one
//!           slice · 2                            a piece, proved
//!           size (8) · pieces · proof · 3        what is there, and the proof of its length
//!           milliseconds (4) · 4                 busy for so long
//!           5                                    noted
//!           pieces · 6                           ask for one of these: that one others have, too
//! ```
//!
//! The mark of an answer is last, where it costs no copy.

use std::{io, sync::Arc, time::Duration};

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use chorus_protocol::id::BlobId;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response};
use tokio::time::timeout;

use super::super::{
    limit::{BULK, Limiter},
    wire::{read_length, write_frame},
};
use crate::store::blobs::{MAX_PIECES, MAX_PROOF_BYTES, MAX_SLICE_BYTES, Pieces};

/// Bytes of the longest request: a piece of the largest blob.
const MAX_REQUEST: usize = 1 + BlobId::LEN + 8 + 4 + (MAX_PIECES / 8) as usize + 4;
/// Bytes of the longest answer: a slice and its mark.
const MAX_ANSWER: usize = MAX_SLICE_BYTES + 1;
/// Bytes from which on an answer is bulk: shorter ones are control data like any other.
const BULK_FROM: usize = 2 * BULK;
/// How long the next portion of an answer may take, once the answer has begun.
const NO_PROGRESS: Duration = Duration::from_secs(5);

/// What is asked of a node that may have a blob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::network) enum Request {
    /// What is there of it? All of it is the answer, if it is small.
    Find(BlobId),
    /// A piece of it; of the blob of that length the asker has these.
    Piece(BlobId, u64, Pieces, u32),
    /// The asker has pieces of it.
    Has(BlobId, u64, Pieces),
}

impl Encode for Request {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Find(id) => {
                out.push(0);
                id.encode(out);
            }
            Self::Piece(id, size, here, piece) => {
                out.push(1);
                encode_holding(id, *size, here, out);
                piece.encode(out);
            }
            Self::Has(id, size, pieces) => {
                out.push(2);
                encode_holding(id, *size, pieces, out);
            }
        }
    }
}

impl Decode for Request {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(Self::Find(BlobId::decode(input)?)),
            1 => {
                let (id, size, here) = decode_holding(input)?;
                Ok(Self::Piece(id, size, here, u32::decode(input)?))
            }
            2 => {
                let (id, size, pieces) = decode_holding(input)?;
                Ok(Self::Has(id, size, pieces))
            }
            found => Err(DecodeError::UnknownTag { of: "blob request", found: found.into() }),
        }
    }
}

/// Writes what is there of a blob.
fn encode_holding(id: &BlobId, size: u64, pieces: &Pieces, out: &mut Vec<u8>) {
    id.encode(out);
    size.encode(out);
    pieces.encode(out);
}

fn decode_holding(input: &mut Reader<'_>) -> Result<(BlobId, u64, Pieces), DecodeError> {
    let (id, size, pieces) = (BlobId::decode(input)?, u64::decode(input)?, Pieces::decode(input)?);
    if pieces.count() == Pieces::of(size) {
        Ok((id, size, pieces))
    } else {
        Err(DecodeError::OutOfRange("number of pieces"))
    }
}

/// How a request is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::network) enum Answer {
    /// The node does not have it, or does not give it away here.
    Absent,
    /// All of it.
    Whole(Vec<u8>),
    /// The slice of the piece.
    Slice(Vec<u8>),
    /// What is there of it.
    Parts {
        /// Its length.
        size: u64,
        /// The pieces.
        pieces: Pieces,
        /// The proof of the length.
        proof: Vec<u8>,
    },
    /// The node gives away as much as it can: ask again later.
    Busy(Duration),
    /// It was heard.
    Noted,
    /// That piece was given to others already: one of these is given instead.
    Instead(Pieces),
}

impl Answer {
    pub(in crate::network) fn into_bytes(self) -> Vec<u8> {
        let (mut bytes, mark) = match self {
            Self::Absent => (Vec::new(), 0),
            Self::Whole(bytes) => (bytes, 1),
            Self::Slice(slice) => (slice, 2),
            Self::Parts { size, pieces, proof } => {
                let mut bytes = size.to_bytes();
                pieces.encode(&mut bytes);
                put_bytes(&mut bytes, &proof);
                (bytes, 3)
            }
            Self::Busy(pause) => (u32::try_from(pause.as_millis()).unwrap_or(u32::MAX).to_bytes(), 4),
            Self::Noted => (Vec::new(), 5),
            Self::Instead(pieces) => (pieces.to_bytes(), 6),
        };
        bytes.push(mark);
        bytes
    }

    pub(in crate::network) fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        match bytes.pop()? {
            0 if bytes.is_empty() => Some(Self::Absent),
            1 => Some(Self::Whole(bytes)),
            2 => Some(Self::Slice(bytes)),
            3 => {
                let mut input = Reader::new(&bytes);
                let (size, pieces) = (u64::decode(&mut input).ok()?, Pieces::decode(&mut input).ok()?);
                let proof = input.bytes(MAX_PROOF_BYTES).ok()?.to_vec();
                input.finish().ok()?;
                (pieces.count() == Pieces::of(size)).then_some(Self::Parts { size, pieces, proof })
            }
            4 => u32::from_bytes(&bytes).ok().map(|millis| Self::Busy(Duration::from_millis(millis.into()))),
            5 if bytes.is_empty() => Some(Self::Noted),
            6 => Pieces::from_bytes(&bytes).ok().map(Self::Instead),
            _ => None,
        }
    }
}

/// Reads and writes them, long answers at the pace that the limits allow.
#[derive(Clone, Debug)]
pub(in crate::network) struct Messages {
    pub(in crate::network) limiter: Arc<Limiter>,
}

impl request_response::Codec for Messages {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let length = read_length(io, MAX_REQUEST).await?;
        let mut bytes = vec![0; length];
        io.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let length = read_length(io, MAX_ANSWER).await?;
        let mut bytes = Vec::with_capacity(length.min(BULK_FROM));
        while bytes.len() < length {
            let (start, portion) = (bytes.len(), BULK.min(length - bytes.len()));
            if length >= BULK_FROM {
                self.limiter.down.bulk(portion).await;
            }
            bytes.resize(start + portion, 0);
            let rest = bytes.get_mut(start..).expect("it was made longer");
            timeout(NO_PROGRESS, io.read_exact(rest)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        Ok(bytes)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()> {
        write_frame(io, &request, MAX_REQUEST).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()> {
        if response.len() < BULK_FROM || !self.limiter.up.is_capped() {
            return write_frame(io, &response, MAX_ANSWER).await;
        }
        let _turn = self.limiter.up.turn().await;
        let length = u32::try_from(response.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        io.write_all(&length.to_be_bytes()).await?;
        for portion in response.chunks(BULK) {
            self.limiter.up.bulk(portion.len()).await;
            // A reader that takes nothing must not keep the turn.
            timeout(NO_PROGRESS, io.write_all(portion)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        timeout(NO_PROGRESS, io.flush()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_read_back() {
        let (id, pieces) = (BlobId::of(b"a"), Pieces::all(20));
        for request in
            [Request::Find(id), Request::Piece(id, 5_000_000, pieces, 7), Request::Has(id, 5_000_000, pieces)]
        {
            assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request.clone()));
            assert!(request.to_bytes().len() <= MAX_REQUEST);
            assert!(Request::from_bytes(&request.to_bytes()[1..]).is_err());
        }
        let parts = Answer::Parts { size: 5_000_000, pieces, proof: vec![1, 2, 3] };
        let busy = Answer::Busy(Duration::from_millis(250));
        for answer in [
            Answer::Absent,
            Answer::Whole(vec![]),
            Answer::Slice(vec![1]),
            parts,
            busy,
            Answer::Noted,
            Answer::Instead(pieces),
        ] {
            assert_eq!(Answer::from_bytes(answer.clone().into_bytes()), Some(answer));
        }
    }

    #[test]
    fn pieces_that_do_not_fit_the_size_are_refused() {
        let (id, pieces) = (BlobId::of(b"a"), Pieces::all(20));
        assert!(Request::from_bytes(&Request::Has(id, 1, pieces).to_bytes()).is_err());
        assert!(Request::from_bytes(&Request::Piece(id, 1, pieces, 0).to_bytes()).is_err());
        let parts = Answer::Parts { size: 1, pieces, proof: Vec::new() };
        assert_eq!(Answer::from_bytes(parts.into_bytes()), None);
        for bytes in [vec![], vec![7], vec![6], vec![0, 0], vec![1, 5], vec![3], vec![1, 4]] {
            assert_eq!(Answer::from_bytes(bytes), None);
        }
    }
}
