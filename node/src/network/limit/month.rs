//! What was used of the month, in a file of one line: `2026-11 123456789`.

use std::{
    fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::store::files;

/// Bytes after which the file is written again: what a crash forgets.
const STEP: u64 = 1024 * 1024;

/// A calendar month, UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::network) struct Month {
    year: u64,
    month: u64,
}

impl Month {
    /// Returns the month of a time.
    pub(in crate::network) fn of(time: SystemTime) -> Self {
        let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
        // Years from March on, so that the leap day is the last one; eras of 400 years have 146,097 days.
        let days = days + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self { year: 400 * era + year + u64::from(month <= 2), month }
    }
}

/// The file.
#[derive(Debug)]
pub(in crate::network) struct Ledger {
    path: Option<PathBuf>,
    month: Month,
    written: u64,
}

impl Ledger {
    /// Reads what was used of this month.
    pub(in crate::network) fn open(path: Option<PathBuf>, now: SystemTime) -> (Self, u64) {
        let month = Month::of(now);
        let text = path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let used = parse(&text).filter(|(of, _)| *of == month).map_or(0, |(_, used)| used);
        (Self { path, month, written: used }, used)
    }

    /// Returns whether another month has begun since this was last asked.
    pub(in crate::network) fn is_over(&mut self, now: SystemTime) -> bool {
        let is_over = self.month != Month::of(now);
        if is_over {
            self.month = Month::of(now);
            self.written = 0;
        }
        is_over
    }

    /// Returns what has to be written where, if enough was used since.
    pub(in crate::network) fn due(&mut self, used: u64, at_once: bool) -> Option<(PathBuf, String)> {
        let path = self.path.clone()?;
        if used == self.written || (!at_once && used.abs_diff(self.written) < STEP) {
            return None;
        }
        self.written = used;
        Some((path, format!("{:04}-{:02} {used}\n", self.month.year, self.month.month)))
    }
}

/// Writes what is due. Blocks.
pub(in crate::network) fn write((path, line): &(PathBuf, String)) -> io::Result<()> {
    files::replace(path, "traffic", line.as_bytes())
}

fn parse(text: &str) -> Option<(Month, u64)> {
    let (month, used) = text.trim_end().split_once(' ')?;
    let (year, month) = month.split_once('-')?;
    Some((Month { year: year.parse().ok()?, month: month.parse().ok()? }, used.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn months_begin_when_the_calendar_says() {
        for (seconds, year, month) in [
            (0, 1970, 1),
            (951_782_399, 2000, 2),
            (951_782_400, 2000, 2),
            (951_868_800, 2000, 3),
            (1_767_225_599, 2025, 12),
            (1_767_225_600, 2026, 1),
            (4_107_542_399, 2100, 2),
            (4_107_542_400, 2100, 3),
        ] {
            assert_eq!(Month::of(at(seconds)), Month { year, month }, "{seconds}");
        }
    }

    #[test]
    fn what_was_used_is_remembered_until_the_month_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Some(folder.path().join("traffic"));
        let (mut ledger, used) = Ledger::open(path.clone(), at(0));
        assert_eq!(used, 0);
        assert_eq!(ledger.due(STEP - 1, false), None);
        write(&ledger.due(STEP, false).expect("due")).expect("written");
        write(&ledger.due(STEP + 1, true).expect("due")).expect("written");
        assert_eq!(ledger.due(STEP + 1, true), None);

        let (mut ledger, used) = Ledger::open(path.clone(), at(86_400 * 30));
        assert_eq!(used, STEP + 1);
        assert!(!ledger.is_over(at(86_400 * 30)));
        assert!(ledger.is_over(at(86_400 * 31)));
        assert_eq!(Ledger::open(path, at(86_400 * 31)).1, 0);
    }
}
