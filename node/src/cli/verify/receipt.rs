//! A receipt held against a bundle.

use std::{fs::File, io::Read as _, path::Path};

use chorus_crypto::{codec::Decode as _, credential::Tag};
use chorus_protocol::{
    audit::{Receipt, Standing, Tree},
    id::{BlobId, CommunityId, RoundId, SetId},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::cli::{Failure, output::short, receipt::VERSION};

/// Bytes of a receipt: far more than one has.
const MAX_BYTES: u64 = 64 * 1024;

/// What `chorus receipt --out` writes, as far as it matters here.
#[derive(Deserialize)]
struct Written {
    version: u8,
    community: CommunityId,
    round: RoundId,
    tag: String,
    sequence: u8,
    body: BlobId,
    set: Option<SetId>,
}

/// A receipt, and the community that it is of.
#[derive(Debug)]
pub(super) struct Kept {
    community: CommunityId,
    pub(super) receipt: Receipt,
}

/// Reads a receipt.
pub(super) fn read(path: &Path) -> Result<Kept, Failure> {
    let refused = |source| Failure::File { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text)).map_err(refused)?;
    parse(&text).map_err(|why| Failure::Usage(format!("{} is no receipt: {why}", path.display())))
}

fn parse(text: &str) -> Result<Kept, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Written { version, community, round, tag, sequence, body, set } = written;
    if version != VERSION {
        return Err(format!("it has version {version}, this program reads version {VERSION}"));
    }
    let tag = HEXLOWER.decode(tag.as_bytes()).ok().and_then(|bytes| Tag::from_bytes(&bytes).ok());
    let receipt = Receipt { round, tag: tag.ok_or("its tag is none")?, sequence, body, set };
    Ok(Kept { community, receipt })
}

/// What a bundle says of a receipt.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    round: RoundId,
    body: BlobId,
    /// In one word.
    standing: &'static str,
    /// Whether it counts, or took an earlier one back as it should.
    holds: bool,
    /// In a sentence.
    pub(super) says: String,
    #[serde(skip)]
    end: End,
}

/// With what the command ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Well,
    Early,
    Uncounted,
    Elsewhere,
}

impl Verdict {
    /// Returns what the bundles say; nothing if they were not asked.
    pub(super) fn of(kept: &Kept, tree: &Tree) -> Option<Self> {
        let of_cohorts = tree.checked();
        let mut reports = core::iter::once(&tree.report).chain(of_cohorts.iter().map(|(_, report)| *report));
        if reports.any(|report| report.community == kept.community) {
            return tree.standing().map(|standing| Self::from_standing(&kept.receipt, standing));
        }
        let (theirs, own) = (short(&tree.report.community), short(&kept.community));
        let says = format!("It is of the community {own}, and this is the log of {theirs}.");
        let Receipt { round, body, .. } = kept.receipt;
        Some(Self { round, body, standing: "other_community", holds: false, says, end: End::Elsewhere })
    }

    fn from_standing(receipt: &Receipt, standing: Standing) -> Self {
        let (word, says) = match standing {
            Standing::Counts { index, of } => {
                ("counts", format!("It counts: it is contribution {index} of the {of} in the sealed set."))
            }
            Standing::TakenBack => {
                ("taken_back", "It took an earlier one back, which is not in the sealed set.".into())
            }
            Standing::Replaced { sequence, body, withdrawn } => {
                let how = if withdrawn { "taken back" } else { "replaced" };
                let attempt = u32::from(sequence) + 1;
                (
                    "replaced",
                    format!("It does not count: it was {how} by attempt {attempt}, with the body {}.", short(&body)),
                )
            }
            Standing::Other { body } => {
                let other = short(&body);
                ("other", format!("It does not count: the log has another body for this attempt, {other}."))
            }
            Standing::OtherSet { set } => (
                "other_set",
                format!(
                    "This log sealed another set than the one of the receipt, {set}: there are two logs. Show both to others."
                ),
            ),
            Standing::Accepted => ("accepted", "It is on the log, and nothing is sealed yet.".into()),
            Standing::Awaited => ("awaited", "It is not on this log, on which nothing is sealed yet.".into()),
            Standing::Absent => ("absent", "It does not count: it is not on the log.".into()),
            Standing::UnknownRound => ("unknown_round", "This log has no such round: it may end before it.".into()),
        };
        let end = match standing {
            standing if standing.holds() => End::Well,
            standing if standing.is_early() => End::Early,
            _ => End::Uncounted,
        };
        let Receipt { round, body, .. } = receipt;
        Self { round: *round, body: *body, standing: word, holds: standing.holds(), says, end }
    }

    /// Returns with what the command ends.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        match self.end {
            End::Well => Ok(()),
            End::Early => Err(Failure::Unsealed),
            End::Uncounted => Err(Failure::Uncounted),
            End::Elsewhere => Err(Failure::Usage(self.says.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

    fn text(version: u8, tag: &str) -> String {
        let (community, round, body) = (CommunityId::ZERO, RoundId::from([7; 32]), BlobId::of(b"body"));
        format!(
            r#"{{"version":{version},"community":"{community}","round":"{round}","tag":"{tag}","sequence":1,"body":"{body}","set":null}}"#
        )
    }

    #[test]
    fn a_receipt_is_read_and_what_is_none_is_told_from_it() {
        let receipt = parse(&text(1, TAG)).expect("a receipt").receipt;

        assert_eq!((receipt.round, receipt.sequence, receipt.body), (RoundId::from([7; 32]), 1, BlobId::of(b"body")));
        assert!(parse(&text(2, TAG)).expect_err("a later one").contains("version 2"));
        assert!(parse(&text(1, "12")).expect_err("no tag").contains("tag"));
        assert!(parse("{}").is_err());
    }

    #[test]
    fn only_what_counts_ends_well() {
        let receipt = parse(&text(1, TAG)).expect("a receipt").receipt;
        let outcome = |standing| Verdict::from_standing(&receipt, standing).outcome();
        let body = BlobId::of(b"other");

        assert!(outcome(Standing::Counts { index: 0, of: 3 }).is_ok());
        assert!(outcome(Standing::TakenBack).is_ok());
        let early = [Standing::Accepted, Standing::Awaited, Standing::UnknownRound];
        assert!(early.into_iter().all(|standing| matches!(outcome(standing), Err(Failure::Unsealed))));
        let bad = [
            Standing::Replaced { sequence: 2, body, withdrawn: false },
            Standing::Other { body },
            Standing::OtherSet { set: SetId::ZERO },
            Standing::Absent,
        ];
        assert!(bad.into_iter().all(|standing| matches!(outcome(standing), Err(Failure::Uncounted))));
    }
}
