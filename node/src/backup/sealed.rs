//! A stream in sealed pieces, each bound to its place and to whether it is the last.

use std::io::{self, Read, Write};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use chorus_crypto::{domain, hash, sign::SecretKey};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of one piece, without its tag.
const PIECE: usize = 1024 * 1024;
const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 24;

struct Cipher {
    cipher: XChaCha20Poly1305,
    nonce: [u8; NONCE_LEN],
    pieces: u64,
}

impl Cipher {
    fn new(owner: &SecretKey, nonce: [u8; NONCE_LEN]) -> Self {
        let mut material = Zeroizing::new(owner.to_seed().to_vec());
        material.extend_from_slice(&nonce);
        let key = Zeroizing::new(hash::digest_bytes(domain::BACKUP, &material));
        Self { cipher: XChaCha20Poly1305::new((&*key).into()), nonce, pieces: 0 }
    }

    /// The nonce of the next piece: the key is fresh for this file, so that a counter suffices.
    fn next_nonce(&mut self) -> XNonce {
        let mut nonce = self.nonce;
        for (byte, count) in nonce.iter_mut().rev().zip(self.pieces.to_le_bytes()) {
            *byte ^= count;
        }
        self.pieces += 1;
        XNonce::from(nonce)
    }

    fn seal(&mut self, piece: &[u8], last: bool) -> Vec<u8> {
        let nonce = self.next_nonce();
        let payload = Payload { msg: piece, aad: &[u8::from(last)] };
        self.cipher.encrypt(&nonce, payload).expect("a piece is far shorter than what the cipher takes")
    }

    fn open(&mut self, sealed: &[u8], last: bool) -> Option<Vec<u8>> {
        let nonce = self.next_nonce();
        self.cipher.decrypt(&nonce, Payload { msg: sealed, aad: &[u8::from(last)] }).ok()
    }
}

/// Seals what is written.
pub(super) struct Sealer<W> {
    out: W,
    cipher: Cipher,
    piece: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the nonce.
    pub(super) fn start(mut out: W, owner: &SecretKey, rng: &mut impl CryptoRng) -> io::Result<Self> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        out.write_all(&nonce)?;
        Ok(Self { out, cipher: Cipher::new(owner, nonce), piece: Zeroizing::new(Vec::with_capacity(PIECE)) })
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.cipher.seal(&self.piece, last);
        let length = u32::try_from(sealed.len()).expect("a piece has at most a mebibyte");
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.piece.zeroize();
        Ok(())
    }

    /// Writes the last piece.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.put(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what is read. A piece that does not open is [`io::ErrorKind::InvalidData`].
pub(super) struct Opener<R> {
    input: R,
    cipher: Cipher,
    piece: Zeroizing<Vec<u8>>,
    read: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the nonce.
    pub(super) fn start(mut input: R, owner: &SecretKey) -> io::Result<Self> {
        let mut nonce = [0; NONCE_LEN];
        input.read_exact(&mut nonce)?;
        Ok(Self { input, cipher: Cipher::new(owner, nonce), piece: Zeroizing::default(), read: 0, ended: false })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > PIECE + TAG_LEN {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed)?;
        // Every piece but the last is full.
        let last = length < PIECE + TAG_LEN;
        let (opened, is_last) = match self.cipher.open(&sealed, last) {
            Some(opened) => (Some(opened), last),
            // One that is full may be the last all the same.
            None if !last => {
                self.cipher.pieces -= 1;
                (self.cipher.open(&sealed, true), true)
            }
            None => (None, last),
        };
        self.piece = Zeroizing::new(opened.ok_or(io::ErrorKind::InvalidData)?);
        (self.read, self.ended) = (0, is_last);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let left = self.piece.get(self.read..).unwrap_or_default();
        let count = left.len().min(out.len());
        for (to, from) in out.iter_mut().zip(left) {
            *to = *from;
        }
        self.read += count;
        Ok(count)
    }
}
