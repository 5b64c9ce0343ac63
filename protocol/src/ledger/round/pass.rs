//! The passes of the secret PCA: shares, each after its hash, and the product that they lie around.

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{Scalar, hash::Digest, mask::reconstruct, sign::PublicKey};

use super::{RoundRecord, insert_once};
use crate::{
    fault::{Fault, bound},
    limits,
    log::entry::{EndPass, Share, ShareHash},
};

/// One attempt at a pass of the secret PCA.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pass {
    /// Share digests by operator, with the digest of Ω.
    pub hashes: BTreeMap<u8, (Digest, Digest)>,
    /// Shares by operator.
    pub shares: BTreeMap<u8, Vec<Scalar>>,
    /// Operators that gave it up.
    pub ended: BTreeSet<u8>,
    /// The opened product, once ≥ 3f+1 shares lie on one polynomial of degree 2f.
    pub product: Option<Vec<Scalar>>,
    /// Operators whose share does not lie on it.
    pub liars: BTreeSet<u8>,
}

impl RoundRecord {
    /// Returns how many shares for one Ω make a product: 3f + 1, of which f may be wrong.
    pub(crate) fn shares_of_product(&self) -> usize {
        3 * usize::from(self.charter.faulty()) + 1
    }

    pub(in crate::ledger) fn on_share_hash(&mut self, operator: u8, hash: &ShareHash) -> Result<(), Fault> {
        self.sealed_as(hash.set)?;
        bound("pass", limits::MAX_PASSES.into(), usize::from(hash.pass.pass) + 1)?;
        bound("attempt", limits::MAX_ATTEMPTS.into(), usize::from(hash.pass.attempt) + 1)?;
        let pass = self.passes.entry(hash.pass).or_default();
        if !pass.shares.is_empty() {
            return Err(Fault::Phase("a share's hash after the first share"));
        }
        insert_once(&mut pass.hashes, operator, (hash.inputs, hash.share), "a share's hash")
    }

    pub(in crate::ledger) fn on_share(&mut self, operator: u8, author: PublicKey, share: &Share) -> Result<(), Fault> {
        let needed = self.shares_of_product();
        let items = self.plan.items().len().max(1);
        let pass = self.passes.get_mut(&share.pass).ok_or(Fault::Phase("a share"))?;
        let (inputs, digest) = *pass.hashes.get(&operator).ok_or(Fault::Phase("a share without its hash"))?;
        if pass.hashes.len() < needed {
            return Err(Fault::Quorum { needed, found: pass.hashes.len() });
        }
        if share.digest(author) != digest {
            return Err(Fault::Mismatch("the share's hash"));
        }
        if share.values.is_empty() || !share.values.len().is_multiple_of(items) || share.values.len() > 4 * items {
            return Err(Fault::Mismatch("the share's size"));
        }
        insert_once(&mut pass.shares, operator, share.values.clone(), "a share")?;
        if pass.product.is_none() && !pass.is_ended(self.charter.faulty()) {
            pass.try_open(inputs, needed, self.charter.faulty());
        }
        Ok(())
    }

    pub(in crate::ledger) fn on_end_pass(&mut self, operator: u8, end: &EndPass) -> Result<(), Fault> {
        if self.sealed.is_none() || !self.division.is_whole() {
            return Err(Fault::Phase("the end of a pass"));
        }
        bound("pass", limits::MAX_PASSES.into(), usize::from(end.pass.pass) + 1)?;
        bound("attempt", limits::MAX_ATTEMPTS.into(), usize::from(end.pass.attempt) + 1)?;
        let pass = self.passes.entry(end.pass).or_default();
        if pass.product.is_some() {
            return Err(Fault::Phase("the end of a pass that has its product"));
        }
        if pass.ended.insert(operator) { Ok(()) } else { Err(Fault::Duplicate("the end of a pass")) }
    }
}

impl Pass {
    /// Returns whether f + 1 operators gave it up before it had a product.
    pub fn is_ended(&self, faulty: u8) -> bool {
        self.product.is_none() && self.ended.len() > usize::from(faulty)
    }

    /// Returns the shares for the Ω with this digest, by operator.
    pub(crate) fn shares_for(&self, inputs: Digest) -> impl Iterator<Item = (u8, &[Scalar])> {
        let of_inputs = move |operator: &u8| self.hashes.get(operator).is_some_and(|(of, _)| *of == inputs);
        self.shares
            .iter()
            .filter(move |(operator, _)| of_inputs(operator))
            .map(|(operator, values)| (*operator, values.as_slice()))
    }

    /// Opens the product if enough shares agree. Shares for another Ω or of another length take no part.
    fn try_open(&mut self, inputs: Digest, needed: usize, faulty: u8) {
        let Some(length) = self
            .shares
            .values()
            .map(Vec::len)
            .max_by_key(|length| self.shares.values().filter(|values| values.len() == *length).count())
        else {
            return;
        };
        let points: Vec<_> = self.shares_for(inputs).filter(|(_, values)| values.len() == length).collect();
        if points.len() < needed {
            return;
        }
        if let Ok(opened) = reconstruct(&points, 2 * usize::from(faulty), needed) {
            self.liars = opened.liars.iter().copied().collect();
            self.product = Some(opened.values_at_zero);
        }
    }
}
