//! The bytes of direct messages: a length, then that many bytes, on a stream for every request.
//!
//! ```text
//! control request    0 · epoch (8) · number (8) · count (4) · { length (4) · message }*    answered by nothing
//!                    1 · question                                                          answered by bytes
//! ```
//!
//! Those of blobs are in [`transfer::message`](super::transfer).

use std::io;

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_count};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::MAX_MESSAGE_BYTES;

/// Bytes of a control frame: a message of the greatest length, or many with their lengths.
pub(super) const MAX_CONTROL_FRAME: usize = MAX_MESSAGE_BYTES + 64 * 1024;

/// Messages in one frame: a small part of what may wait for an application, so that a frame is never kept out by a few
/// messages that do.
pub(super) const MAX_FRAME_MESSAGES: usize = 256;

/// Bytes that are sent together with the length.
const FIRST_WRITE: usize = 8 * 1024;

/// Reads the length of a frame.
pub(super) async fn read_length(io: &mut (impl AsyncRead + Unpin + Send), bound: usize) -> io::Result<usize> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > bound { Err(io::Error::new(io::ErrorKind::InvalidData, "frame over its bound")) } else { Ok(length) }
}

pub(super) async fn write_frame(
    io: &mut (impl AsyncWrite + Unpin + Send),
    bytes: &[u8],
    bound: usize,
) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= bound);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame over its bound"))?;
    // Together as far as they fit: each write is a packet.
    let (first, rest) = bytes.split_at(bytes.len().min(FIRST_WRITE));
    io.write_all(&[&length.to_be_bytes(), first].concat()).await?;
    io.write_all(rest).await?;
    io.flush().await
}

/// What is asked over the control protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Control {
    /// One-way messages, in order. Frames of one epoch are numbered upwards, so that a repeated one is recognised.
    Ordered {
        /// Drawn for every connection of two nodes.
        epoch: u64,
        /// The frame's number.
        number: u64,
        /// The messages.
        messages: Vec<Vec<u8>>,
    },
    /// A question that wants an answer.
    Ask(Vec<u8>),
}

impl Encode for Control {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ordered { epoch, number, messages } => {
                out.push(0);
                epoch.encode(out);
                number.encode(out);
                put_count(out, messages.len());
                messages.iter().for_each(|message| put_bytes(out, message));
            }
            Self::Ask(question) => {
                out.push(1);
                out.extend_from_slice(question);
            }
        }
    }
}

impl Decode for Control {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => {
                let (epoch, number) = (u64::decode(input)?, u64::decode(input)?);
                let count = input.count(MAX_FRAME_MESSAGES)?;
                let message = |_| Ok(input.bytes(MAX_MESSAGE_BYTES)?.to_vec());
                Ok(Self::Ordered { epoch, number, messages: (0..count).map(message).collect::<Result<_, _>>()? })
            }
            1 => Ok(Self::Ask(input.take(input.remaining())?.to_vec())),
            found => Err(DecodeError::UnknownTag { of: "control request", found: found.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn a_length_over_its_bound_is_refused_on_either_side() {
        let mut bytes = Vec::new();
        block_on(write_frame(&mut bytes, b"chorus", 6)).expect("in bounds");

        assert_eq!(block_on(read_length(&mut bytes.as_slice(), 6)).expect("in bounds"), 6);
        let refused = block_on(read_length(&mut bytes.as_slice(), 5)).expect_err("over the bound");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        assert!(block_on(write_frame(&mut Vec::new(), b"chorus", 5)).is_err());
    }

    #[test]
    fn control_requests_read_back() {
        let ordered = Control::Ordered { epoch: 1, number: 2, messages: vec![b"a".to_vec(), Vec::new()] };
        for control in [ordered, Control::Ask(Vec::new()), Control::Ask(b"why".to_vec())] {
            assert_eq!(Control::from_bytes(&control.to_bytes()), Ok(control));
        }
        assert!(Control::from_bytes(&[2]).is_err());
        assert!(Control::from_bytes(&[0; 20]).is_err());
    }
}
