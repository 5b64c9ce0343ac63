//! An operator's part in dealing the members of a divided round to its cohorts.

use super::*;
use crate::cohort::{Draw, DrawWord, commitment, lot};

impl Peer {
    /// Commits to a lot, and shows it once the others have committed to theirs.
    pub(super) fn draw(&mut self, round: &RoundRecord, operator: u8) {
        let (Some(divided), Some(key)) = (round.divided(), &self.config.operator) else { return };
        let own = lot(key, &divided.digest);
        let word = match divided.commitments.get(&operator) {
            _ if divided.dealt.is_some() || divided.lots.contains_key(&operator) => None,
            None if divided.lots.is_empty() => {
                Some((0, DrawWord::Committed(commitment(&divided.digest, key.public(), &own))))
            }
            Some(_) if round.admits_lots(self.ledger.time()) => Some((1, DrawWord::Lot(own))),
            None | Some(_) => None,
        };
        if let Some((which, word)) = word {
            self.say(round.id, "draw", which, Entry::Draw(Draw { round: round.id, word }));
        }
    }
}
