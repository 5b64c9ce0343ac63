//! Passes of the secret PCA: an operator's shares of the centred votes, and of each product.

use chorus_crypto::{Scalar, mask::SetKey};

use super::*;
use crate::{
    contribution::layout,
    deliberation::linear::IntMatrix,
    log::entry::{EndPass, Share, ShareHash},
    round::pca::{centred_share, omega_digest, pass_share},
};

/// How long shares' hashes of slow operators are waited for once enough are logged, in milliseconds.
const HASH_GRACE_MILLIS: u64 = 1_500;

/// When this operator first saw a pass, and when enough hashes were there.
#[derive(Clone, Copy)]
pub(super) struct PassTimes {
    began: Timestamp,
    enough: Option<Timestamp>,
}

/// This operator's shares of the centred votes, kept between the passes of one round.
pub(super) struct Shares {
    set: SetId,
    ballots: Vec<CentredShare>,
    keys: Vec<(usize, SetKey)>,
    /// The share of the pass under way.
    latest: Option<(PassId, Vec<Scalar>)>,
}

impl Peer {
    pub(super) fn multiply(&mut self, round: &RoundRecord, operator: u8, id: PassId, omega: &IntMatrix, mu: &[i64]) {
        let Some(set) = round.sealed.as_ref().map(|sealed| sealed.set) else { return };
        let (now, inputs) = (self.now, omega_digest(omega));
        let times = *self.duties.passes.entry((round.id, id)).or_insert(PassTimes { began: now, enough: None });
        let record = round.passes.get(&id);
        let number = u16::from(id.pass) << 8 | u16::from(id.attempt);
        if now >= times.began.plus_millis(self.config.pass_millis) {
            if record.is_none_or(|record| !record.ended.contains(&operator)) {
                self.say(round.id, "end", number, Entry::EndPass(EndPass { round: round.id, pass: id }));
            }
            return;
        }
        let hashed = record.is_some_and(|record| record.hashes.contains_key(&operator));
        let shared = record.is_some_and(|record| record.shares.contains_key(&operator));
        if shared || !self.has_all_seeds(round.id, operator) {
            return;
        }
        if !self.lock(round.id, set, Lock::Pass(id), inputs) {
            return;
        }
        let Some(values) = self.share(round, operator, id, omega, mu) else { return };
        let share = Share { round: round.id, pass: id, values };
        let Some(author) = self.config.operator.as_ref().map(SecretKey::public) else { return };
        if !hashed {
            let hash = ShareHash { round: round.id, set, pass: id, inputs, share: share.digest(author) };
            self.say(round.id, "hash", number, Entry::ShareHash(hash));
            return;
        }
        let logged = record.map_or(0, |record| record.hashes.len());
        let enough = 3 * usize::from(round.charter.faulty()) + 1;
        if logged < enough {
            return;
        }
        let since = times.enough.unwrap_or(now);
        self.duties.passes.insert((round.id, id), PassTimes { enough: Some(since), ..times });
        let begun = record.is_some_and(|record| !record.shares.is_empty());
        let everybody = logged == round.charter.operators.len();
        if everybody || begun || now >= since.plus_millis(HASH_GRACE_MILLIS) {
            self.say(round.id, "share", number, Entry::Share(share));
        }
    }

    /// This operator's share of one pass.
    fn share(
        &mut self,
        round: &RoundRecord,
        operator: u8,
        id: PassId,
        omega: &IntMatrix,
        mu: &[i64],
    ) -> Option<Vec<Scalar>> {
        let set = round.sealed.as_ref()?.set;
        if self.duties.shares.as_ref().is_none_or(|shares| shares.set != set) {
            let shares = self.make_shares(round, operator, mu)?;
            self.duties.shares = Some(shares);
        }
        let shares = self.duties.shares.as_mut()?;
        if let Some((_, values)) = shares.latest.as_ref().filter(|(pass, _)| *pass == id) {
            return Some(values.clone());
        }
        let keys: Vec<(usize, &SetKey)> = shares.keys.iter().map(|(subset, key)| (*subset, key)).collect();
        let values = pass_share(&round.charter.sharing(), operator, &shares.ballots, omega, &keys, &set, id).ok()?;
        shares.latest = Some((id, values.clone()));
        Some(values)
    }

    fn held_of(&self, sealed: &Sealed) -> Option<Vec<&collecting::Held>> {
        sealed.contributions.iter().map(|one| self.collected.held.get(&one.header.body)).collect()
    }

    /// Returns K_T of the sealed set for every T that the operator holds.
    pub(super) fn set_keys(&self, round: &RoundRecord, operator: u8) -> Option<Vec<(usize, SetKey)>> {
        let sealed = round.sealed.as_ref()?;
        let held = self.held_of(sealed)?;
        let mut context = self.community.to_bytes();
        round.id.encode(&mut context);
        sealed.set.encode(&mut context);
        let key = |subset: usize| {
            let seeds: Option<Vec<&Seed>> = held.iter().map(|held| held.seeds.get(&subset)).collect();
            Some((subset, SetKey::new(&context, seeds?)))
        };
        round.charter.sharing().held_by(operator).into_iter().map(key).collect()
    }

    /// Makes the shares of all ballots, or goes on with it.
    fn make_shares(&mut self, round: &RoundRecord, operator: u8, mu: &[i64]) -> Option<Shares> {
        let (layout, shape) = (layout(round).ok()?, Self::shape(round)?);
        let sealed = round.sealed.as_ref()?;
        let (sharing, subsets) = (round.charter.sharing(), round.charter.sharing().held_by(operator));
        let keys = self.set_keys(round, operator)?;
        let begun = self.duties.centring.take().filter(|(set, _)| *set == sealed.set);
        let mut ballots = begun.map(|(_, ballots)| ballots).unwrap_or_default();
        while ballots.len() < sealed.contributions.len() {
            let next = u32::try_from(ballots.len()).ok()?;
            let last = u32::try_from(sealed.contributions.len()).ok()?;
            let Some(submission) = self.recall(round, next..last) else {
                self.duties.centring = Some((sealed.set, ballots));
                return None;
            };
            let held = self.held_at(round, next)?;
            let expansions: Vec<_> = subsets
                .iter()
                .map(|subset| Some((*subset, held.form.expand(&self.ledger, *subset, held.seeds.get(subset)?)?)))
                .collect::<Option<_>>()?;
            let masks: Vec<_> = expansions.iter().map(|(subset, expansion)| (*subset, expansion)).collect();
            ballots.push(centred_share(&sharing, operator, &layout, &shape, &submission.masked, &masks, mu).ok()?);
        }
        Some(Shares { set: sealed.set, ballots, keys, latest: None })
    }
}
