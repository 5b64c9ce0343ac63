//! The second lock: the key signs one statement per step, whatever the engine asks for.

use std::collections::BTreeMap;

use chorus_crypto::{
    hash::{self, Digest},
    sign::SecretKey,
    wire_enum,
};

use super::{
    Halt,
    evidence::At,
    message::{Signed, Statement},
    record::Pledged,
};
use crate::{id::CommunityId, log::batch::Height};

/// A step of a round, in which an operator signs at most one statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Step {
    /// The proposal.
    Propose,
    /// The prevote.
    Prevote,
    /// The precommit.
    Precommit,
}
wire_enum!(Step { 0 => Propose, 1 => Prevote, 2 => Precommit });

/// The key with everything it signed at the running height.
#[derive(Debug)]
pub(super) struct Signer {
    key: SecretKey,
    community: CommunityId,
    signed: BTreeMap<(Height, u32, Step), Digest>,
}

impl Signer {
    pub(super) const fn new(key: SecretKey, community: CommunityId) -> Self {
        Self { key, community, signed: BTreeMap::new() }
    }

    /// Takes over what the write-ahead log says was signed.
    pub(super) fn restore(&mut self, pledged: &Pledged) -> Result<(), Halt> {
        self.lock((pledged.height, pledged.round, pledged.step), pledged.digest)
    }

    /// Tells whether anything was signed at `height`.
    pub(super) fn has_signed_at(&self, height: Height) -> bool {
        self.signed.keys().any(|(signed, ..)| *signed == height)
    }

    /// Forgets heights that are decided: nothing is signed there any more.
    pub(super) fn forget_before(&mut self, height: Height) {
        self.signed.retain(|(signed, ..), _| *signed >= height);
    }

    /// Signs `statement`, and returns the record that has to be durable before the signature leaves this node.
    ///
    /// # Errors
    ///
    /// Returns [`Halt::Contradiction`] if a different statement was signed in this step.
    pub(super) fn sign<S: Statement + At>(&mut self, statement: S) -> Result<(Signed<S>, Pledged), Halt> {
        let (height, round, step) = statement.at();
        let digest = hash::content(&statement.preimage(self.community));
        self.lock((height, round, step), digest)?;
        Ok((Signed::new(statement, self.community, &self.key), Pledged { height, round, step, digest }))
    }

    fn lock(&mut self, at: (Height, u32, Step), digest: Digest) -> Result<(), Halt> {
        if *self.signed.entry(at).or_insert(digest) == digest {
            Ok(())
        } else {
            Err(Halt::Contradiction { height: at.0, round: at.1, step: at.2 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::BatchId, log::consensus::message::Vote};

    #[test]
    fn a_second_statement_in_one_step_is_never_signed_not_even_after_a_restart() {
        let key = SecretKey::from_seed(&[1; 32]);
        let vote = |round, value: u8| Vote::precommit(Height(1), round, BatchId::from([value; 32]), key.public());
        let contradiction = Err(Halt::Contradiction { height: Height(1), round: 0, step: Step::Precommit });
        let mut signer = Signer::new(key.clone(), CommunityId::default());

        let (signed, record) = signer.sign(vote(0, 1)).expect("nothing was signed before");
        assert_eq!(signer.sign(vote(0, 1)).map(|(again, _)| again), Ok(signed.clone()));
        assert_eq!(signer.sign(vote(0, 2)).map(|_| ()), contradiction);
        assert!(signer.sign(vote(1, 2)).is_ok());

        let mut restarted = Signer::new(key.clone(), CommunityId::default());
        restarted.restore(&record).expect("the first record");
        assert_eq!(restarted.sign(vote(0, 1)).map(|(again, _)| again), Ok(signed));
        assert_eq!(restarted.sign(vote(0, 2)).map(|_| ()), contradiction);
    }
}
