//! `chorus community create`, `chorus invite` and `chorus join`.

use chorus_crypto::sign::{PublicKey, SecretKey};
use chorus_protocol::{
    config::{Genesis, Policy},
    limits,
    registry::policy::{Admission, Attester, Quorum},
};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Failure, Global,
    client::Client,
    keys,
    output::{Lines, short},
    values::{self, Key},
};
use crate::{
    api::{service::ONE_OPERATOR, view},
    config::{
        invite::{Address, Invite as Invitation, MAX_ADDRESS_BYTES, MAX_ADDRESSES},
        token::TextForm as _,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Community {
    /// Write the founding document. Whoever has the same document is in the same community.
    Create(Create),
}

impl Community {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let Self::Create(create) = self;
        create.carry_out(global)
    }
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The community's name.
    #[arg(long)]
    name: String,
    /// What its AI is for.
    #[arg(long)]
    purpose: String,
    /// An operator's public key, or `me`; 1 or 4 to 7 of them [default: me].
    #[arg(long = "operator", value_name = "KEY", value_parser = values::key)]
    operators: Vec<Key>,
    /// A public key of somebody who may attest that a person is one distinct person, or `me` [default: me].
    #[arg(long = "attester", value_name = "KEY", value_parser = values::key)]
    attesters: Vec<Key>,
    #[command(flatten)]
    policy: PolicyFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
struct PolicyFlags {
    /// Below this number of ballots nothing is opened.
    #[arg(long, value_name = "NUMBER", default_value_t = Policy::default().min_contributions)]
    min_contributions: u32,
    /// The smallest group whose sum is opened.
    #[arg(long, value_name = "NUMBER", default_value_t = Policy::default().floor)]
    floor: u32,
    /// Below this number of ballots there is no opinion map.
    #[arg(long, value_name = "NUMBER", default_value_t = Policy::default().group_floor)]
    group_floor: u32,
    /// The support that a statement needs in every group to become a principle.
    #[arg(long, value_name = "FRACTION", default_value = "7/10", value_parser = values::fraction)]
    bar: (u32, u32),
    /// How many of each group must have seen it.
    #[arg(long, value_name = "NUMBER", default_value_t = Policy::default().min_seen)]
    min_seen: u32,
}

#[derive(Serialize)]
struct Created {
    community: String,
    name: String,
    operators: usize,
    attesters: usize,
    invite: String,
    warning: Option<&'static str>,
}

impl Create {
    fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        if self.purpose.len() > limits::MAX_TEXT_BYTES || self.name.len() > limits::MAX_TEXT_BYTES {
            return Err(
                Failure::Usage(format!("name and purpose have at most {} bytes", limits::MAX_TEXT_BYTES)).into()
            );
        }
        let dir = global.data_dir()?;
        let own = SecretKey::from_seed(&keys::open(global, &dir)?.signing).public();
        let attester = |key: PublicKey| Attester { key, organisation: key.to_string() };
        let attesters: Vec<Attester> = sorted(own, &self.attesters).into_iter().map(attester).collect();
        let policy = Policy {
            admission: Admission::Quorum(Quorum::usual(attesters.len())),
            min_contributions: self.policy.min_contributions,
            floor: self.policy.floor,
            group_floor: self.policy.group_floor,
            bar_numerator: self.policy.bar.0,
            bar_denominator: self.policy.bar.1,
            min_seen: self.policy.min_seen,
            ..Policy::default()
        };
        let genesis = Genesis {
            name: self.name,
            purpose: self.purpose,
            operators: sorted(own, &self.operators),
            attesters,
            policy,
        };
        genesis.validate().map_err(|error| Failure::Usage(error.to_string()))?;
        let invite = Invitation { genesis, addresses: Vec::new() };
        dir.write_community(&invite)?;
        let genesis = &invite.genesis;
        let created = Created {
            community: genesis.id().to_string(),
            name: genesis.name.clone(),
            operators: genesis.operators.len(),
            attesters: genesis.attesters.len(),
            invite: invite.to_text(),
            warning: (genesis.operators.len() == 1).then_some(ONE_OPERATOR),
        };
        global.output().print(&created, |created| {
            let mut lines = Lines::default();
            lines.field("community", &created.name).field("id", &created.community);
            lines.field("operators", created.operators).field("attesters", created.attesters);
            if let Some(warning) = created.warning {
                lines.line("").line(format!("Note: {warning}."));
            }
            lines.line("").line("Next: `chorus run`; then `chorus invite` prints an invitation with your addresses.");
            lines.finish()
        })
    }
}

/// The keys named, in order and each once; the own key if none is.
fn sorted(own: PublicKey, named: &[Key]) -> Vec<PublicKey> {
    let key = |key: &Key| match key {
        Key::Me => own,
        Key::Of(key) => *key,
    };
    let mut keys: Vec<PublicKey> = if named.is_empty() { vec![own] } else { named.iter().map(key).collect() };
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// Put this address into the invitation instead of the node's own; may be repeated.
    #[arg(long = "address", value_name = "MULTIADDRESS")]
    addresses: Vec<String>,
}

impl Invite {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let foreign = |address: &&String| address.len() > MAX_ADDRESS_BYTES || !is_plain(address);
        if let Some(address) = self.addresses.iter().find(foreign) {
            return Err(Failure::Usage(format!("{address:?} is no multiaddress")).into());
        }
        if self.addresses.len() > MAX_ADDRESSES {
            return Err(Failure::Usage(format!("an invitation has at most {MAX_ADDRESSES} addresses")).into());
        }
        let invite = match Client::new(global) {
            Ok(client) => client.get(&format!("/invite?addresses={}", self.addresses.join(",")))?,
            Err(Failure::NotRunning) => self.on_disk(global)?,
            Err(error) => return Err(error.into()),
        };
        global.output().print(&invite, |invite: &view::InviteView| {
            if invite.addresses.is_empty() {
                eprintln!(
                    "note: no node runs here, so the invitation has no address: give --address, or start the node"
                );
            }
            invite.invite.clone()
        })
    }

    fn on_disk(&self, global: &Global) -> anyhow::Result<view::InviteView> {
        let mut invite = global.data_dir()?.read_community()?;
        if !self.addresses.is_empty() {
            invite.addresses = self.addresses.iter().map(|text| Address { text: text.clone() }).collect();
        }
        Ok(view::InviteView {
            invite: invite.to_text(),
            community: invite.genesis.id(),
            addresses: invite.addresses().collect(),
        })
    }
}

/// Whether a text can stand in a URL as it is; multiaddresses can.
fn is_plain(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.:-_".contains(&byte))
}

#[derive(Debug, Args)]
pub(super) struct Join {
    /// The invitation; - reads it from standard input.
    invite: String,
}

#[derive(Serialize)]
struct Joined {
    community: String,
    name: String,
    purpose: String,
    operators: usize,
    addresses: Vec<String>,
    warning: Option<&'static str>,
}

impl Join {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let invite = Invitation::from_text(&values::text_or_stdin(&self.invite)?)?;
        invite.genesis.validate().map_err(|error| Failure::Usage(error.to_string()))?;
        dir.write_community(&invite)?;
        let genesis = &invite.genesis;
        let joined = Joined {
            community: genesis.id().to_string(),
            name: genesis.name.clone(),
            purpose: genesis.purpose.clone(),
            operators: genesis.operators.len(),
            addresses: invite.addresses().collect(),
            warning: (genesis.operators.len() == 1).then_some(ONE_OPERATOR),
        };
        global.output().print(&joined, |joined| {
            let mut lines = Lines::default();
            lines.field("community", &joined.name).field("purpose", &joined.purpose);
            lines.field("id", short(&joined.community)).field("operators", joined.operators);
            if let Some(warning) = joined.warning {
                lines.line("").line(format!("Note: {warning}."));
            }
            if joined.addresses.is_empty() {
                lines.line("").line("The invitation names no address: start with `chorus run --dial MULTIADDRESS`.");
            }
            lines.line("").line("Next: `chorus run`, and `chorus attest request` for an attester.");
            lines.finish()
        })
    }
}
