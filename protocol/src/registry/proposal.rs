//! Anonymous proposals: an item of some member, at most so many from each for a poll, and nobody learns from whom.
//!
//! Transcript: community ‖ poll ‖ text ‖ number ‖ the entry's author as [`Item::Statement`] · scope, tag, holder and root as
//! [`Item::Eligibility`] · the credential. The author is a key made for the one entry.

use chorus_crypto::{
    batch::Batch,
    codec::{Encode as _, put_bytes},
    credential::{
        Credential, CredentialError, CredentialHolder, HiddenLeaf, Hiding, Holder, LeafSecret, Rings, Statement, Tag,
    },
    domain, hash,
    sign::PublicKey,
    transcript::{Item, Transcript},
};
use rand_core::CryptoRng;

use crate::{
    contribution::ContributeError,
    fault::Fault,
    id::PollId,
    ledger::{Ledger, Poll},
    log::entry::AnonymousProposal,
};

impl AnonymousProposal {
    /// Proposes `text` as the `number`-th anonymous item of the person with this leaf, in an entry by `author`.
    ///
    /// # Errors
    ///
    /// Returns [`ContributeError::NotMember`] if the leaf was not a member's when the poll was opened, and
    /// [`ContributeError::NotOpen`] if there is no such poll.
    pub fn make(
        ledger: &Ledger,
        poll: PollId,
        text: &str,
        (leaf, number): (&LeafSecret, u8),
        author: PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ContributeError> {
        let record = ledger.polls().get(&poll).ok_or(ContributeError::NotOpen)?;
        let cohort = record.snapshot.cohort_of(&leaf.leaf()).ok_or(ContributeError::NotMember)?;
        let leaves = record.snapshot.ring(cohort);
        leaves.ok_or(ContributeError::Internal("the cohort makes no ring"))?;
        let hiding = Hiding::random(rng);
        let holder = HiddenLeaf { cohort, leaf: hiding.leaf(leaf) };
        let scope = ledger.proposal_scope(poll, number).ok_or(ContributeError::NotOpen)?;
        let tag = leaf.tag(&scope);
        let statement = statement(record, (scope, tag), holder);
        let mut transcript = transcript(ledger, (poll, text, number), author, &statement);
        let rings = Rings { leaves, group: None };
        let credential = Credential::prove_ring(&mut transcript, &statement, leaf, &hiding, rings, rng);
        Ok(Self { poll, text: text.to_owned(), number, tag, credential })
    }

    /// Verifies the credential, for an entry by `author`.
    pub(crate) fn verify(&self, ledger: &Ledger, poll: &Poll, author: PublicKey) -> Result<(), Fault> {
        let CredentialHolder::Ring(holder) = self.credential.holder() else {
            return Err(Fault::NotAllowed("an anonymous item that shows who proposes it"));
        };
        if self.credential.group().is_some() {
            return Err(Fault::Mismatch("the group of an anonymous item"));
        }
        let scope = ledger.proposal_scope(self.poll, self.number).ok_or(Fault::Unknown("poll"))?;
        let statement = statement(poll, (scope, self.tag), holder);
        let mut transcript = transcript(ledger, (self.poll, &self.text, self.number), author, &statement);
        let rings = Rings { leaves: poll.snapshot.ring(holder.cohort), group: None };
        // The weights follow from everything that is verified: the author's signature covers it, and is checked before.
        let mut batch =
            Batch::new(&hash::digest(domain::BATCH, &(*author.as_bytes(), hash::content(&self.to_bytes()))));
        self.credential.verify(&mut transcript, &statement, rings, &mut batch)?;
        if batch.verify() { Ok(()) } else { Err(CredentialError::Proof.into()) }
    }
}

fn statement(poll: &Poll, scope: (hash::Digest, Tag), holder: HiddenLeaf) -> Statement {
    Statement {
        scopes: vec![scope],
        holder: Holder::Ring(holder),
        disclosed: Vec::new(),
        group: None,
        snapshot_root: poll.snapshot.root(),
    }
}

fn transcript(
    ledger: &Ledger,
    (poll, text, number): (PollId, &str, u8),
    author: PublicKey,
    statement: &Statement,
) -> Transcript {
    let mut transcript = Transcript::new(domain::ANONYMOUS_PROPOSAL);
    let mut said = ledger.community().to_bytes();
    poll.encode(&mut said);
    put_bytes(&mut said, text.as_bytes());
    number.encode(&mut said);
    author.encode(&mut said);
    transcript.absorb_seq(Item::Statement, &said);
    transcript.absorb(Item::Eligibility, statement);
    transcript
}
