//! The frames of a recording: length, part, checksum.

use std::io::{self, Read};

use chorus_crypto::hash;

/// Bytes of a checksum.
const CHECKSUM: usize = 8;

/// Bytes of a part: the largest body, with what stands around it.
const MAX_PART: usize = chorus_protocol::limits::MAX_BLOB_BYTES + 1024 * 1024;

fn checksum(part: &[u8]) -> [u8; CHECKSUM] {
    *hash::content(part).first_chunk().expect("a hash has 32 bytes")
}

/// Frames a part.
pub(super) fn of(part: &[u8]) -> Vec<u8> {
    let length = u32::try_from(part.len()).expect("a part is at most some 65 MiB");
    [&length.to_be_bytes(), part, &checksum(part)].concat()
}

/// What was read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// A part, and the bytes of its frame.
    Part(Vec<u8>, u64),
    /// The end, between two frames.
    End,
    /// The end within a frame: the writer was interrupted.
    Torn,
    /// Something else than a frame.
    Damaged,
}

/// Reads the next frame.
pub(super) fn read(from: &mut impl Read) -> io::Result<Next> {
    let mut length = [0; 4];
    match fill(from, &mut length)? {
        0 => return Ok(Next::End),
        4 => {}
        _ => return Ok(Next::Torn),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_PART {
        return Ok(Next::Damaged);
    }
    // Grows with what is there, not with what is claimed.
    let mut part = Vec::new();
    from.take((length + CHECKSUM) as u64).read_to_end(&mut part)?;
    if part.len() < length + CHECKSUM {
        return Ok(Next::Torn);
    }
    let found = part.split_off(length);
    if found != checksum(&part) {
        return Ok(Next::Damaged);
    }
    Ok(Next::Part(part, (4 + length + CHECKSUM) as u64))
}

/// Reads until the buffer is full or there is no more, and returns how much there was.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
