//! Signatures that were verified before, for a process in which many peers verify the same ones.

use std::{cell::RefCell, collections::BTreeSet};

use super::{PublicKey, SecretKey, Signature};
use crate::hash::{self, Digest};

/// How many are remembered at most; then all are forgotten.
const MOST: usize = 1 << 17;

thread_local! {
    static VERIFIED: RefCell<Option<BTreeSet<Digest>>> = const { RefCell::new(None) };
}

/// Does some work during which this thread verifies no signature twice, and none that it made itself: the same bytes that it
/// found to hold hold.
///
/// For simulations, whose operators share a process: five of them verify each signature, and that is most of what they do. A
/// node has nothing to gain from it, and does not use it.
///
/// # Security
///
/// What is remembered is a collision-resistant digest of key, domain, message and signature, of signatures that hold, as
/// whatever a secret key signs does: the answers are those of [`PublicKey::verify`] without it.
pub fn remembering<T>(work: impl FnOnce() -> T) -> T {
    let outer = VERIFIED.with(|verified| verified.borrow_mut().replace(BTreeSet::new()));
    let done = work();
    VERIFIED.with(|verified| *verified.borrow_mut() = outer);
    done
}

/// Returns whether a signature was found to hold before, and else what to remember it by; neither outside of [`remembering`].
pub(super) fn is_known(key: &PublicKey, signed: &[u8], signature: &Signature) -> Result<(), Option<Digest>> {
    VERIFIED.with(|verified| {
        let verified = verified.borrow();
        let Some(verified) = verified.as_ref() else { return Err(None) };
        let digest = digest(key, signed, signature);
        if verified.contains(&digest) { Ok(()) } else { Err(Some(digest)) }
    })
}

fn digest(key: &PublicKey, signed: &[u8], signature: &Signature) -> Digest {
    let mut bytes = Vec::with_capacity(key.0.len() + signature.0.len() + signed.len());
    bytes.extend_from_slice(&key.0);
    bytes.extend_from_slice(&signature.0);
    bytes.extend_from_slice(signed);
    hash::content(&bytes)
}

/// Remembers a signature that was just made.
pub(super) fn remember_own(key: &SecretKey, signed: &[u8], signature: &Signature) {
    if VERIFIED.with(|verified| verified.borrow().is_some()) {
        remember(digest(&key.public(), signed, signature));
    }
}

/// Remembers a signature that holds.
pub(super) fn remember(digest: Digest) {
    VERIFIED.with(|verified| {
        if let Some(verified) = verified.borrow_mut().as_mut() {
            if verified.len() >= MOST {
                verified.clear();
            }
            verified.insert(digest);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain, sign::SecretKey};

    #[test]
    fn what_is_remembered_is_what_held_and_nothing_like_it() {
        let (key, other) = (SecretKey::from_seed(&[7; 32]), SecretKey::from_seed(&[8; 32]));
        let signature = key.sign(domain::ENTRY, b"message");
        let holds = |key: &SecretKey, domain, message: &[u8], signature: &Signature| {
            key.public().verify(domain, message, signature).is_ok()
        };

        remembering(|| {
            for _ in 0..2 {
                assert!(holds(&key, domain::ENTRY, b"message", &signature));
                assert!(!holds(&key, domain::VOTE, b"message", &signature));
                assert!(!holds(&key, domain::ENTRY, b"massage", &signature));
                assert!(!holds(&other, domain::ENTRY, b"message", &signature));
                assert!(!holds(&key, domain::ENTRY, b"message", &Signature::from([0; 64])));
            }
            VERIFIED.with(|verified| assert_eq!(verified.borrow().as_ref().map(BTreeSet::len), Some(1)));
            let own = other.sign(domain::ENTRY, b"message");
            VERIFIED.with(|verified| assert_eq!(verified.borrow().as_ref().map(BTreeSet::len), Some(2)));
            assert!(holds(&other, domain::ENTRY, b"message", &own));
            assert!(!holds(&key, domain::ENTRY, b"message", &own));
        });
        VERIFIED.with(|verified| assert!(verified.borrow().is_none()));
    }
}
