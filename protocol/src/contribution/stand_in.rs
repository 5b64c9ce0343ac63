//! Contributions without proofs of their own, for simulations of more people than can prove on one machine.
//!
//! Everything of such a contribution is real (commitments, masks, sealed seeds, link) but the proof of the content and the
//! credential, which are those of another contribution to a round with as many items: as long, and proving nothing here. No
//! node holds one: [`Verification::run`] refuses it. Whoever simulates answers [`Effect::Verify`](crate::peer::Effect::Verify)
//! by [`Verification::presume`], from what it knows of the people it plays.

use chorus_crypto::{
    Scalar,
    ballot::{Vote, Witness},
    codec::{Decode as _, Encode as _},
    credential::{Credential, Statement, Tag},
    group::Generators,
    link::Link,
    mask::{Data as _, Masking, masked_digest},
};
use rand_core::CryptoRng;

use super::{
    BallotContent, Body, Content, ContributeError, Equations, Format, Submission, Verdicts, Verification,
    absorb_content,
    assemble::{not_of_the_round, seal_seeds},
    begin, boxes_digest, context, core_digest, holder,
};
use crate::{
    contribution::CheckedForm,
    fault::Fault,
    ledger::{Ledger, RoundRecord},
};

/// What stands-in take from a contribution with proofs.
#[derive(Clone, Debug)]
pub struct Template {
    proof: chorus_crypto::ballot::Proof,
    credential: Credential,
}

impl Template {
    /// Takes proof and credential from a ballot; `None` if it is none.
    pub fn of(submission: &Submission) -> Option<Self> {
        let body = Body::from_bytes(&submission.body).ok()?;
        let Content::Ballot(ballot) = body.content else { return None };
        Some(Self { proof: ballot.proof, credential: body.credential })
    }

    /// Makes the ballot of somebody who is known by a tag only.
    ///
    /// # Errors
    ///
    /// Returns why the round does not admit it.
    pub fn cast(
        &self,
        (ledger, round): (&Ledger, &RoundRecord),
        tag: Tag,
        votes: &[Vote],
        rng: &mut impl CryptoRng,
    ) -> Result<Submission, ContributeError> {
        let manifest = round.manifest.as_ref().filter(|_| round.sealed.is_none()).ok_or(ContributeError::NotOpen)?;
        let format = Format::of(round).map_err(not_of_the_round)?;
        let Format::Ballots(layout) = format else { return Err(ContributeError::Kind("deltas")) };
        let shape = format.shape();
        let context = context(ledger.community(), round.id, &tag, 0);
        let witness =
            Witness::new(&layout, votes, rng).map_err(|_| ContributeError::Internal("votes do not encode"))?;
        let data: Vec<Vec<Scalar>> = witness.data().iter().map(|bit| vec![*bit]).collect();
        if !data.fits(&shape) {
            return Err(ContributeError::Votes { expected: round.plan.items().len(), found: votes.len() });
        }
        let masking = Masking::new(&round.charter.sharing(), &shape, &context, rng);
        let (commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
        let (seed_digests, hidden) = (masking.seed_digests(), masked_digest(&masked));
        let core = core_digest(&context, (false, 0), &shape, &commitments, &seed_digests, &hidden);
        let boxes = seal_seeds(round.charter.sharing(), manifest, &core, masking.seeds(), rng)?;
        let digest = boxes_digest(&boxes);
        let statement = Statement {
            scopes: vec![(manifest.scope, tag)],
            holder: holder(manifest, &self.credential).map_err(not_of_the_round)?,
            disclosed: Vec::new(),
            group: None,
            snapshot_root: manifest.root,
        };
        let mut transcript = begin(manifest, &round.charter.operators);
        absorb_content(&mut transcript, &context, &core, &digest, &statement);
        let link = Link::prove(&mut transcript, &masking, &shape, &data);
        let proof = self.proof.clone();
        let content = BallotContent { shape, commitments, seed_digests, masked: hidden, boxes: digest, link, proof };
        let content = Content::Ballot(Box::new(content));
        let credential = self.credential.clone();
        let body = Body { round: round.id, tag, sequence: 0, on_map: false, class: 0, content, credential };
        Ok(Submission { body: body.to_bytes(), masked, boxes })
    }
}

impl Verification {
    /// Returns what it would find if the proofs of exactly those contributions held that `holds` says hold.
    ///
    /// # Security
    ///
    /// Looks at no proof: for simulations alone. Whoever answers a node's verification by it has the node acknowledge and count
    /// whatever anybody makes up.
    pub fn presume(&self, holds: impl Fn(&CheckedForm) -> bool) -> Verdicts {
        let judge = |form: &CheckedForm| if holds(form) { form.presumed(&self.ledger) } else { Err(Fault::Proof) };
        let verdicts: Vec<Result<Equations, Fault>> = self.forms.iter().map(|form| judge(form)).collect();
        Verdicts { seed: self.seed, verdicts }
    }
}
