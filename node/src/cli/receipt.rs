//! `chorus receipt`.

use std::{io::Write as _, path::PathBuf};

use chorus_protocol::id::{CommunityId, RoundId, SetId};
use clap::Args;
use serde::Serialize;

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, many},
    result::free,
    values,
};
use crate::{api::view, store::files};

/// The version of what `--out` writes.
pub(super) const VERSION: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct ShowReceipt {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll, default_value = "-")]
    poll: String,
    /// Write down what is on the log of you, to hold it against an audit bundle. Whoever reads the file learns which
    /// contribution is yours, and not what is in it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long, requires = "out")]
    force: bool,
}

/// What `--out` writes: which contribution it is, and the set that was sealed, if one was.
#[derive(Serialize)]
struct Kept<'a> {
    version: u8,
    community: CommunityId,
    round: RoundId,
    tag: &'a str,
    #[serde(flatten)]
    logged: view::Logged,
    set: Option<SetId>,
}

impl ShowReceipt {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let receipt: view::Receipt = Client::new(global)?.get(&format!("/receipt?poll={}", self.poll))?;
        if let Some(path) = &self.out {
            let (Some(tag), Some(logged)) = (&receipt.tag, receipt.logged) else {
                return Err(Failure::Closed("nothing of yours is on the log: there is nothing to write down").into());
            };
            if !self.force {
                free(path)?;
            }
            let set = receipt.sealed.as_ref().map(|sealed| sealed.set);
            let (community, round) = (receipt.community, receipt.round);
            let kept = Kept { version: VERSION, community, round, tag, logged, set };
            let refused = |source| Failure::File { path: path.clone(), source };
            let mut file = files::Unfinished::create(files::parent(path), "receipt").map_err(refused)?;
            file.file().write_all(&serde_json::to_vec_pretty(&kept)?).map_err(refused)?;
            file.rename(path).map_err(refused)?;
        }
        global.output().print(&receipt, text)?;
        match &receipt.sealed {
            None => Err(Failure::Unsealed.into()),
            Some(sealed) if sealed.included => Ok(()),
            Some(_) => Err(Failure::Uncounted.into()),
        }
    }
}

fn text(receipt: &view::Receipt) -> String {
    let mut lines = Lines::default();
    lines.line(&receipt.question).field("round", receipt.round);
    match (&receipt.sealed, &receipt.own, &receipt.logged) {
        (Some(sealed), _, Some(logged)) => {
            let others = many(sealed.contributions, "contribution");
            lines.field("you", format!("counted: yours is one of the {others} of the sealed set"));
            lines.field("attempt", u32::from(logged.sequence) + 1);
            let operators: Vec<String> = sealed.acknowledged_by.iter().map(ToString::to_string).collect();
            lines.field("operators", format!("{} hold its masks, by their word on the log", operators.join(", ")));
        }
        (Some(_), Some(own), None) if own.withdrawal => {
            lines.field("you", "not counted: you have taken your contribution back");
        }
        (Some(_), Some(_), None) => {
            lines.field("you", "not counted: your contribution came too late, or its masks were not acknowledged");
        }
        (Some(_), None, None) => {
            lines.field("you", "not counted: there is no contribution of yours");
        }
        (None, _, Some(logged)) if logged.withdrawal => {
            lines.field("you", "taken back; nothing is sealed yet");
        }
        (None, _, Some(logged)) => {
            lines.field("you", "on the log; nothing is sealed yet");
            lines.field("attempt", u32::from(logged.sequence) + 1);
        }
        (None, Some(_), None) => {
            lines.field("you", "on its way: your node sends it until it is on the log");
        }
        (None, None, None) => {
            lines.field("you", "there is no contribution of yours");
        }
    }
    if let Some(logged) = &receipt.logged {
        lines.field("body", logged.body);
    }
    if let Some(tag) = &receipt.tag {
        lines.field("tag", tag);
    }
    if let Some(sealed) = &receipt.sealed {
        lines.field("sealed set", sealed.set);
    }
    if let Some(result) = &receipt.result {
        lines.field("result", result);
    }
    lines.finish()
}

#[cfg(test)]
mod tests;
