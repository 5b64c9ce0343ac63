//! Typed Fiat–Shamir transcript: what is absorbed, in which order, under which name.
//!
//! A thin layer over [Merlin](https://merlin.cool) (STROBE-128): every message carries its [`Item`] and length, so two
//! different sequences of messages never collide. The names of items are written nowhere else. Challenges are scalars
//! uniform up to 2^-256.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    codec::{Encode, put_seq},
    domain::{self, Domain},
    hash::Stream,
};

macro_rules! items {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// What a message of a transcript is.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Item {
            $($(#[$doc])* $name,)*
        }

        impl Item {
            const fn label(self) -> &'static [u8] {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

items! {
    /// The whole public statement of a proof that stands alone.
    Statement = b"statement",
    /// The digest of the round's manifest.
    Manifest = b"manifest",
    /// The operator set of the round.
    Operators = b"operators",
    /// The core of a contribution: context, commitments, seed digests, masked digest.
    Core = b"core",
    /// The digest of the sealed seeds.
    Boxes = b"boxes",
    /// The statement of the credential: tags, holder, disclosed slots, group, snapshot root.
    Eligibility = b"eligibility",
    /// The commitments of auxiliary rows.
    Auxiliary = b"auxiliary",
    /// Challenge γ of the link.
    LinkChallenge = b"link challenge",
    /// The folds a link publishes.
    Folds = b"folds",
    /// The layout of a ballot.
    Layout = b"layout",
    /// Challenge that picks the point of the zero check.
    ZeroCheckChallenge = b"zero-check challenge",
    /// One round of the sumcheck: commitments to its polynomial.
    Round = b"round",
    /// Challenge of one round of the sumcheck.
    RoundChallenge = b"round challenge",
    /// Challenge that combines linear relations.
    LinearChallenge = b"linear challenge",
    /// The dimensions and the bound of a delta.
    Delta = b"delta",
    /// Challenge that picks the rows and columns a delta is projected on.
    ProjectionChallenge = b"projection challenge",
    /// The masked projections of a delta.
    Projections = b"projections",
    /// Commitments to what a sumcheck ends in.
    Evaluations = b"evaluations",
    /// Challenge that combines two evaluations.
    EvaluationChallenge = b"evaluation challenge",
    /// One step of the folding of a vector.
    Folding = b"folding",
    /// Challenge of one step of the folding of a vector.
    FoldingChallenge = b"folding challenge",
    /// First messages of Σ-protocols.
    Announcement = b"announcement",
    /// Challenge of Σ-protocols.
    Challenge = b"challenge",
    /// Responses of Σ-protocols.
    Response = b"response",
    /// The id of a ring, all of whose points it determines.
    Ring = b"ring",
    /// The first message of a one-out-of-many proof.
    Membership = b"membership",
    /// Challenge of the credential, after everything else.
    CredentialChallenge = b"credential challenge",
}

/// The running hash of a proof.
#[derive(Clone)]
pub struct Transcript(merlin::Transcript);

impl Transcript {
    /// Starts the transcript of a protocol.
    pub fn new(domain: Domain) -> Self {
        Self(merlin::Transcript::new(domain.as_str().as_bytes()))
    }

    /// Absorbs one value.
    pub fn absorb(&mut self, item: Item, value: &(impl Encode + ?Sized)) {
        self.0.append_message(item.label(), &value.to_bytes());
    }

    /// Absorbs a sequence of values, with their count.
    pub fn absorb_seq<T: Encode>(&mut self, item: Item, values: &[T]) {
        let mut bytes = Vec::new();
        put_seq(&mut bytes, values);
        self.0.append_message(item.label(), &bytes);
    }

    /// Draws a challenge that depends on everything absorbed so far.
    pub fn challenge(&mut self, item: Item) -> Scalar {
        let mut wide = [0; 64];
        self.0.challenge_bytes(item.label(), &mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }

    /// Draws `count` independent challenges.
    pub fn challenges(&mut self, item: Item, count: usize) -> Vec<Scalar> {
        (0..count).map(|_| self.challenge(item)).collect()
    }

    /// Starts a prover's nonces: `H(witness ‖ transcript ‖ fresh randomness)`.
    ///
    /// Hedged: with a broken random generator they still differ for each witness and statement, with a repeated
    /// statement they still differ for each run (Bellare, Tackmann, *Nonce-based cryptography*, 2016).
    pub fn nonces(&self, witness: &[Scalar], rng: &mut (impl CryptoRng + ?Sized)) -> Nonces {
        let mut input = Zeroizing::new(Vec::with_capacity(64 + 32 * witness.len()));
        let mut bytes = Zeroizing::new([0; 32]);
        self.clone().0.challenge_bytes(b"nonces", bytes.as_mut());
        input.extend_from_slice(bytes.as_ref());
        rng.fill_bytes(bytes.as_mut());
        input.extend_from_slice(bytes.as_ref());
        for scalar in witness {
            input.extend_from_slice(scalar.as_bytes());
        }
        Nonces(Stream::new(domain::NONCE, &input))
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").finish_non_exhaustive()
    }
}

/// A prover's secret randomness.
#[derive(Debug)]
pub struct Nonces(Stream);

impl Nonces {
    /// Returns the next nonce.
    #[expect(clippy::should_implement_trait, reason = "never ends, and a nonce must not be collected lazily")]
    pub fn next(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.0.fill(&mut wide);
        let nonce = Scalar::from_bytes_mod_order_wide(&wide);
        wide.zeroize();
        nonce
    }

    /// Returns an integer uniform below `2^bits`.
    ///
    /// # Panics
    ///
    /// Panics if `bits` is over 127.
    pub fn next_integer(&mut self, bits: u32) -> i128 {
        assert!(bits < i128::BITS, "a positive integer");
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        let integer = i128::from_le_bytes(bytes) & ((1 << bits) - 1);
        bytes.zeroize();
        integer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    #[test]
    fn a_challenge_depends_on_item_order_and_value() {
        let challenge = |messages: &[(Item, u8)]| {
            let mut transcript = Transcript::new(domain::CONTRIBUTION);
            messages.iter().for_each(|(item, value)| transcript.absorb(*item, value));
            transcript.challenge(Item::Challenge)
        };
        let base = challenge(&[(Item::Core, 1), (Item::Folds, 2)]);

        assert_eq!(base, challenge(&[(Item::Core, 1), (Item::Folds, 2)]));
        assert_ne!(base, challenge(&[(Item::Folds, 2), (Item::Core, 1)]));
        assert_ne!(base, challenge(&[(Item::Core, 1), (Item::Folds, 3)]));
        assert_ne!(base, challenge(&[(Item::Core, 1), (Item::Round, 2)]));
    }

    #[test]
    fn nonces_differ_for_each_witness_statement_and_run() {
        let nonce = |statement: u8, witness: u8, seed: u8| {
            let mut transcript = Transcript::new(domain::CONTRIBUTION);
            transcript.absorb(Item::Statement, &statement);
            transcript.nonces(&[Scalar::from(witness)], &mut ChaCha20Rng::from_seed([seed; 32])).next()
        };

        assert_eq!(nonce(1, 1, 1), nonce(1, 1, 1));
        assert_ne!(nonce(1, 1, 1), nonce(2, 1, 1));
        assert_ne!(nonce(1, 1, 1), nonce(1, 2, 1));
        assert_ne!(nonce(1, 1, 1), nonce(1, 1, 2));
    }
}
