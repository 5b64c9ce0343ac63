//! A report for people.

use core::fmt;

use super::{Report, Sent};
use crate::simulation::{
    cohort::{ROOM, SHORTEST_MILLIS},
    table::{COHORT, LOTS, Row},
};

/// Returns bytes as people write them.
fn size(bytes: u64) -> String {
    match bytes {
        ..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// Returns a number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a moment, if it came to that.
fn moment(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".into(), |seconds| format!("{seconds:.1} s"))
}

/// Returns what a line carries.
fn rate(kilobits: u64) -> String {
    if kilobits < 10_000 { format!("{kilobits} kbit/s") } else { format!("{} Mbit/s", kilobits / 1_000) }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        writeln!(f)?;
        self.write_contributions(f)?;
        self.write_times(f)?;
        self.write_traffic(f)?;
        self.write_counts(f)?;
        writeln!(f)?;
        self.write_table(f)
    }
}

impl Report {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, costs, .. } = self;
        let how = if self.real { "all proofs real" } else { "proofs replaced by their measured cost" };
        writeln!(
            f,
            "simulated     participants: {}, operators of each cohort: {}, seed: {}; {how}",
            options.participants, options.operators, options.seed
        )?;
        writeln!(
            f,
            "rounds        {} of {} came to a result{}",
            self.cohorts - self.failed,
            self.cohorts,
            self.verdict()
        )?;
        writeln!(
            f,
            "one costs     {} µs made, {} verified ({} alone), {} checked, {} opened; ring of {}; {} sent, {} public",
            costs.make,
            costs.verify,
            costs.verify_alone,
            costs.check,
            costs.open,
            costs.ring,
            size(costs.bytes),
            size(costs.body_bytes)
        )
    }

    fn verdict(&self) -> &'static str {
        match (self.right, self.failed == self.cohorts) {
            (_, true) => "",
            (true, false) => ", and what they say is right",
            (false, false) => "; WHAT THEY SAY IS WRONG",
        }
    }

    fn write_contributions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contributions = &self.contributions;
        writeln!(
            f,
            "contributions {} counted, {} left and lost, {} late, {} in rounds without result",
            contributions.counted, contributions.left, contributions.late, contributions.missing
        )?;
        writeln!(
            f,
            "              on the log after {:.1} s on average, {:.1} s at most; {} ways lost, {} sent again",
            contributions.mean_millis as f64 / 1e3,
            contributions.longest_millis as f64 / 1e3,
            contributions.lost,
            contributions.again
        )?;
        writeln!(
            f,
            "              taken for {:.1} s, {ROOM} times what operators need and {} s; all come in its first half: few are late",
            self.seconds.taken,
            SHORTEST_MILLIS / 1_000
        )?;
        for (what, [people, logged]) in [
            ("bad proofs", contributions.bad_proofs),
            ("two for one", contributions.doubles),
            ("floods", contributions.floods),
        ] {
            if people > 0 {
                writeln!(f, "              {people} people with {what}: {logged} contributions counted")?;
            }
        }
        Ok(())
    }

    fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [open, sealed, result, added] =
            [self.seconds.open, self.seconds.sealed, self.seconds.result, self.seconds.added].map(moment);
        writeln!(
            f,
            "virtual time  open after {open}, sealed after {sealed}, result after {result}, added up after {added}"
        )?;
        match self.failed {
            0 => Ok(()),
            1 => writeln!(f, "              without the round that came to no result"),
            failed => writeln!(f, "              without the {failed} rounds that came to no result"),
        }
    }

    fn write_traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { participant, operator, following, .. } = self;
        writeln!(
            f,
            "participant   sends {}, receives {}; and reads {} to follow the log",
            size(participant.sent),
            size(participant.received),
            size(following.read)
        )?;
        writeln!(
            f,
            "operator      sends {}, receives {}; {} verified in {} batches; {:.1} s for proofs, {:.1} s for the rest",
            size(operator.traffic.sent),
            size(operator.traffic.received),
            operator.verified,
            operator.batches,
            operator.verifying_seconds,
            operator.working_seconds
        )?;
        writeln!(
            f,
            "              and sends participants {} of log: {:.1} s of its line; counted, not played",
            size(following.served),
            following.line_seconds
        )?;
        writeln!(f, "log           {} decisions, {} each cohort", operator.decisions, size(operator.log_bytes))
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Sent { messages, bytes }) in &self.messages {
            writeln!(f, "  {kind:<16} {messages:>10} messages {:>10}", size(*bytes))?;
        }
        for (reason, count) in &self.refused {
            writeln!(f, "refused       {count:>12} for {reason}")?;
        }
        for alarm in &self.alarms {
            writeln!(f, "ALARM         {alarm}")?;
        }
        for level in &self.tree {
            writeln!(
                f,
                "tree          {} parents of up to {}: {} for an operator, {} ms",
                level.parents,
                level.children,
                size(level.operator_bytes),
                level.millis
            )?;
        }
        Ok(())
    }

    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.extrapolation.is_empty() {
            return writeln!(f, "extrapolated  nothing: no round came to a result");
        }
        writeln!(
            f,
            "extrapolated  not played: the traffic of this run, and costs measured in rings of the sizes below"
        )?;
        writeln!(
            f,
            "{:>13} {:>7} {:>6} {:>5} {:>10} {:>9} {:>7} {:>11} {:>8} {:>9} {:>11}",
            "contributors",
            "cohorts",
            "levels",
            "ring",
            "each sends",
            "receives",
            "works",
            "an operator",
            "works",
            "its line",
            "seal→result"
        )?;
        self.extrapolation.iter().try_for_each(|row| write_row(f, row))?;
        writeln!(
            f,
            "assumed       cohorts of {}; all follow their log, which operators alone serve, each on a line of {}",
            grouped(COHORT),
            rate(self.options.links.operator_rate)
        )?;
        writeln!(
            f,
            "              where there are several, each fetches and checks {LOTS} contributions by lot: no node does so yet"
        )?;
        writeln!(f, "not in it     state machines, disks, downlinks; that bodies and relayed contributions share lines")
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    writeln!(
        f,
        "{:>13} {:>7} {:>6} {:>5} {:>10} {:>9} {:>5.2} s {:>11} {:>6.0} s {:>7.0} s {:>9.1} s",
        grouped(row.contributors),
        grouped(row.cohorts),
        row.levels,
        grouped(row.ring),
        size(row.participant_sent),
        size(row.participant_received),
        row.participant_seconds,
        size(row.operator_bytes),
        row.operator_seconds,
        row.line_seconds,
        row.result_seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 8_000_000_000].map(grouped), ["0", "999", "1,000", "8,000,000,000"]);
        assert_eq!([9_999, 10_000, 12_345_678, 12_345_678_901].map(size), ["9999 B", "10 kB", "12 MB", "12 GB"]);
        assert_eq!([2_000, 100_000].map(rate), ["2000 kbit/s", "100 Mbit/s"]);
        assert_eq!([None, Some(1.25)].map(moment), ["–", "1.2 s"]);
    }
}
