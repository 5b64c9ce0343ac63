//! Ballots in the clear, as experiments and public data sets have them. No round ever holds one of these.

use super::{
    StageError, same_size,
    tally::{Tally, Totals, Vote},
};

/// One row per participant, one column per item.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VoteMatrix {
    items: usize,
    rows: Vec<Vec<Option<Vote>>>,
}

impl VoteMatrix {
    /// Builds a matrix of `items` columns.
    ///
    /// # Errors
    ///
    /// Returns [`StageError::Shape`] if a row has another number of columns.
    pub fn new(items: usize, rows: Vec<Vec<Option<Vote>>>) -> Result<Self, StageError> {
        for row in &rows {
            same_size("columns of a row", items, row.len())?;
        }
        Ok(Self { items, rows })
    }

    /// Returns the number of items.
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Returns the rows.
    pub fn rows(&self) -> &[Vec<Option<Vote>>] {
        &self.rows
    }

    /// Returns how many votes each row has.
    pub fn votes_cast(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.iter().flatten().count()).collect()
    }

    /// Returns the totals of all rows.
    pub fn totals(&self) -> Totals {
        self.totals_where(|_| true)
    }

    /// Returns the totals of the rows that `member` accepts.
    pub fn totals_where(&self, member: impl Fn(usize) -> bool) -> Totals {
        // Counted without a branch on the vote: whoever did not see an item is counted, too.
        let mut counts = vec![[0_u32; 4]; self.items];
        for (_, row) in self.rows.iter().enumerate().filter(|&(index, _)| member(index)) {
            for (counts, vote) in counts.iter_mut().zip(row) {
                counts[vote.map_or(3, |vote| vote as usize)] += 1;
            }
        }
        let tally = |counts: [u32; 4]| {
            let of = |vote: Vote| u64::from(counts[vote as usize]);
            Tally { agree: of(Vote::Agree), disagree: of(Vote::Disagree), pass: of(Vote::Pass) }
        };
        Totals { items: counts.into_iter().map(tally).collect() }
    }

    /// Returns the totals of each group: those of the rows whose entry of `labels` is 0, 1, … `groups` − 1.
    pub fn group_totals(&self, labels: &[Option<usize>], groups: usize) -> Vec<Totals> {
        let label = |row: usize| labels.get(row).copied().flatten();
        (0..groups).map(|group| self.totals_where(|row| label(row) == Some(group))).collect()
    }

    /// Returns `x̃` of one row: `32·vote − μ` where there is a vote, 0 elsewhere.
    pub fn centred(row: &[Option<Vote>], mu: &[i64]) -> Vec<i64> {
        row.iter().zip(mu).map(|(vote, &mu)| vote.map_or(0, |vote| vote.centred(mu))).collect()
    }
}
