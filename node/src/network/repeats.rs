//! What peers have said lately, to notice when one says the same again and again.
//!
//! One table for all of them, of a fixed size: a message takes the place that its hash names, from whatever was there. So
//! a repeat is missed now and then, and nothing else is ever taken for one.

use std::hash::{BuildHasher as _, RandomState};

use super::NodeId;

/// Messages that are remembered; half a mebibyte.
const MAX_REMEMBERED: usize = 64 * 1024;

/// The table. Its hashes are keyed with what nobody else knows, so that nobody can choose whom to displace.
#[derive(Debug)]
pub(super) struct Repeats {
    keys: RandomState,
    /// Zero where nothing is.
    said: Box<[u64]>,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self { keys: RandomState::new(), said: vec![0; MAX_REMEMBERED].into() }
    }

    /// Remembers that a peer says something; returns whether it has said it before.
    pub(super) fn is_repeat(&mut self, from: NodeId, bytes: &[u8]) -> bool {
        let hash = self.keys.hash_one((from.as_ref(), bytes)).max(1);
        let place = usize::try_from(hash % MAX_REMEMBERED as u64).expect("a place of the table");
        std::mem::replace(&mut self.said[place], hash) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_again_is_noticed_and_what_another_says_is_its_own() {
        let mut repeats = Repeats::new();
        let (one, other) = (NodeId::from([1; 32]), NodeId::from([2; 32]));

        assert!(!repeats.is_repeat(one, b"chorus"));
        assert!(!repeats.is_repeat(other, b"chorus"));
        assert!(!repeats.is_repeat(one, b"choir"));
        assert!(repeats.is_repeat(one, b"chorus"));
        assert!(repeats.is_repeat(other, b"chorus"));
    }

    #[test]
    fn of_a_thousand_messages_in_turn_nearly_all_are_noticed() {
        let mut repeats = Repeats::new();
        let from = NodeId::from([1; 32]);

        let mut say = || (0..1_000_u32).filter(|number| repeats.is_repeat(from, &number.to_be_bytes())).count();

        assert_eq!(say(), 0);
        assert!(say() > 900);
    }
}
