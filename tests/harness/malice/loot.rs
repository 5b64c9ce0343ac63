//! What somebody holds who breaks into operators, or what operators who work together keep: keys, and every contribution
//! that travelled.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use chorus_crypto::{Scalar, mask::Seed, seal::SealSecret};
use chorus_protocol::{
    contribution::{CheckedForm, Format, Submission, split_seeds},
    id::BlobId,
    journal::Record,
    ledger::{Ledger, RoundRecord},
    opening::{OpenedStep, OpeningPlan},
};

use super::forge::box_context;
use crate::scenario::Play;

/// What was taken from operators.
#[derive(Clone, Debug, Default)]
pub struct Loot {
    /// Their keys of one round, by operator (1..=n).
    pub keys: BTreeMap<u8, [u8; 32]>,
    /// Contributions with their masked vectors and boxes.
    pub submissions: BTreeMap<BlobId, Submission>,
}

impl Loot {
    /// Takes what is on the disks of `hosts`, of the round that is under way, and whatever travelled.
    ///
    /// # Panics
    ///
    /// Panics if a host is down or no operator's.
    pub fn take(play: &Play, hosts: &[usize]) -> Self {
        let mut loot = Self { submissions: play.network.tap.submissions.clone(), ..Self::default() };
        for host in hosts {
            let (records, private) = play.network.disk(*host);
            let operator = play.network.peer(*host).operator().expect("an operator");
            for record in records {
                if let Record::RoundKey(record) = record
                    && record.round == play.round_id()
                {
                    loot.keys.insert(operator, record.secret);
                }
            }
            loot.submissions.extend(private.iter().map(|one| (BlobId::of(&one.body), one.as_ref().clone())));
        }
        loot
    }

    /// Puts together what several operators hold.
    #[must_use]
    pub fn pooled<'a>(loot: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut pooled = Self::default();
        for one in loot {
            pooled.keys.extend(&one.keys);
            pooled.submissions.extend(one.submissions.iter().map(|(body, submission)| (*body, submission.clone())));
        }
        pooled
    }

    /// Returns the seeds in the boxes of a contribution that open, by index of T.
    pub fn seeds(&self, ledger: &Ledger, form: &CheckedForm, submission: &Submission) -> BTreeMap<usize, Seed> {
        let mut seeds = BTreeMap::new();
        for (operator, secret) in &self.keys {
            let key = SealSecret::from_bytes(secret);
            let bound = box_context(&form.header.core, *operator, &key.public());
            let sealed = submission.boxes.get(usize::from(*operator) - 1).and_then(Option::as_ref);
            let held = ledger.charter().sharing().held_by(*operator);
            let opened = sealed.and_then(|sealed| key.open(&bound, &sealed.bytes).ok());
            let opened = opened.and_then(|plain| split_seeds(&plain, held.len())).unwrap_or_default();
            seeds.extend(held.into_iter().zip(opened));
        }
        seeds
    }

    /// Returns the keys, and the seeds in all boxes that open.
    pub fn secrets(&self, ledger: &Ledger) -> BTreeSet<[u8; 32]> {
        let forms = self.submissions.values().filter_map(|it| Some((CheckedForm::new(ledger, &it.body).ok()?, it)));
        let seeds = forms.flat_map(|(form, submission)| self.seeds(ledger, &form, submission).into_values());
        seeds.map(|seed| *seed.expose()).chain(self.keys.values().copied()).collect()
    }

    /// Takes off a masked vector every mask whose seed is at hand. Returns what is left, the link's mask row first, and
    /// whether these were all.
    ///
    /// # Panics
    ///
    /// Panics if the body does not fit its round.
    pub fn uncover(&self, ledger: &Ledger, submission: &Submission) -> (Vec<Scalar>, bool) {
        let form = CheckedForm::new(ledger, &submission.body).expect("an accepted body");
        let (seeds, packed) = (self.seeds(ledger, &form, submission), form.format().shape().packed());
        let mut left = submission.masked.clone();
        for (subset, seed) in &seeds {
            let mask = form.expand(ledger, *subset, seed).expect("no withdrawal");
            for (row, left) in left.chunks_mut(packed).enumerate() {
                left.iter_mut().zip(mask.values(row)).for_each(|(left, value)| *left += value);
            }
        }
        (left, seeds.len() == ledger.charter().sharing().subset_count())
    }

    /// Opens a step of a sealed round as its operators do.
    ///
    /// # Panics
    ///
    /// Panics if a seed is missing, or the values are out of range.
    pub fn open(&self, ledger: &Ledger, round: &RoundRecord, plan: &OpeningPlan) -> OpenedStep {
        let shape = Format::of(round).expect("contributions of some form").shape();
        let bodies: Vec<_> = round.sealed_bodies().map(|body| &self.submissions[body]).collect();
        let form = |submission: &&Submission| CheckedForm::new(ledger, &submission.body).expect("an accepted body");
        let forms: Vec<_> = bodies.iter().map(form).collect();
        let seeds: Vec<_> = iter::zip(&forms, &bodies).map(|(form, body)| self.seeds(ledger, form, body)).collect();
        let part = |subset| {
            let expand = |ballot: u32| {
                let (form, seeds) = (forms.get(ballot as usize)?, seeds.get(ballot as usize)?);
                form.expand(ledger, subset, seeds.get(&subset)?)
            };
            plan.mask_part(&shape, expand).expect("the seeds of every contribution")
        };
        let parts: Vec<_> = (0..ledger.charter().sharing().subset_count()).map(part).collect();
        let masked = |ballot: u32| bodies.get(ballot as usize).map(|body| body.masked.as_slice());
        plan.open(&shape, masked, &parts).expect("sums in range")
    }
}

/// Returns the first of the secrets that stands anywhere in `bytes`.
///
/// # Panics
///
/// Never: every window has the length of a secret.
pub fn find<'a>(secrets: &BTreeSet<[u8; 32]>, bytes: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<[u8; 32]> {
    let windows = bytes.into_iter().flat_map(|bytes| bytes.windows(32));
    let mut windows = windows.map(|window| window.try_into().expect("32 bytes"));
    windows.find(|window| secrets.contains(window))
}
