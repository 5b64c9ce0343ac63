//! `chorus community create`, `chorus invite` and `chorus join`.

use std::path::PathBuf;

use chorus_crypto::sign::{PublicKey, SecretKey};
use chorus_protocol::{
    config::{Attribute, Genesis, GenesisError, Policy},
    id::CommunityId,
    limits,
    registry::policy::{Admission, Attester, Quorum},
};
use clap::{Args, Subcommand};
use qrcode::{EcLevel, QrCode, render::unicode};
use serde::Serialize;

use super::{
    Failure, Global, amend,
    client::Client,
    keys,
    output::{Lines, short},
    values::{self, Key, NamedKey},
};
use crate::{
    api::{service::ONE_OPERATOR, view},
    config::{
        invite::{Address, Invite as Invitation, MAX_ADDRESS_BYTES, MAX_ADDRESSES, ShortInvite},
        token::{TextForm as _, TokenError},
    },
    driver::founding,
    network::{NetworkError, check_address},
};

#[derive(Debug, Subcommand)]
pub(super) enum Community {
    /// Write the founding document. Whoever has the same document is in the same community.
    Create(Create),
    /// Print rules in JSON, to be changed and given to `community create --rules`.
    Rules(Rules),
    /// Print the rules in force: operators, policy, amendments.
    Show,
    /// Change operators or rules: asks the members, then operators consent (`--approve`).
    Amend(amend::Amend),
}

impl Community {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.carry_out(global),
            Self::Rules(rules) => rules.carry_out(),
            Self::Show => amend::show(global),
            Self::Amend(amend) => amend.carry_out(global),
        }
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
    /// A public key of somebody who may attest that a person is one distinct person, or `me`, and whom they belong to, as
    /// in KEY=Library; may be repeated [default: me].
    #[arg(long = "attester", value_name = "KEY[=ORGANISATION]", value_parser = values::attester)]
    attesters: Vec<NamedKey>,
    #[command(flatten)]
    policy: PolicyFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct PolicyFlags {
    /// A file with all rules in JSON, as `chorus community rules` prints them; no other rule can be given then.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// How many attesters must attest somebody (k). With n attesters of whom f may be corrupt, 2k − n > f is needed, or one
    /// person could be admitted twice [default: the least that is safe].
    #[arg(long, value_name = "K", conflicts_with = "rules")]
    attestations_needed: Option<u8>,
    /// How many attesters may be corrupt (f) [default: fewer than a third of them: none of 3, one of 4].
    #[arg(long, value_name = "F", conflicts_with = "rules")]
    corrupt_attesters: Option<u8>,
    /// How many attestations of one organisation count [default: all].
    #[arg(long, value_name = "M", conflicts_with = "rules")]
    per_organisation: Option<u8>,
    /// An attribute that attesters may check, with its values, as in region=north,south; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE,VALUE,…", value_parser = values::attribute, conflicts_with = "rules")]
    attributes: Vec<Attribute>,
    /// From how many people on an attribute's value may be shown [default: 50].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    class_members: Option<u32>,
    /// The smallest class whose sum is opened [default: 20].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    class_floor: Option<u32>,
    /// Below this number of ballots nothing is opened [default: 10].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    min_contributions: Option<u32>,
    /// The smallest group whose sum is opened [default: 10].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    floor: Option<u32>,
    /// Below this number of ballots there is no opinion map [default: 40].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    group_floor: Option<u32>,
    /// The support that a statement needs in every group to become a principle [default: 7/10].
    #[arg(long, value_name = "FRACTION", value_parser = values::fraction, conflicts_with = "rules")]
    bar: Option<(u32, u32)>,
    /// How many of each group must have seen it [default: 5].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    min_seen: Option<u32>,
    /// How many items each member may propose anonymously for one poll [default: 3].
    #[arg(long, value_name = "NUMBER", conflicts_with = "rules")]
    anonymous_proposals: Option<u8>,
}

impl PolicyFlags {
    /// Returns the rules, for this many attesters.
    fn policy(self, attesters: usize) -> anyhow::Result<Policy> {
        if let Some(path) = &self.rules {
            let text = values::read_file(path)?;
            let refused = |error| Failure::Usage(format!("{} holds no rules: {error}", path.display()));
            return Ok(serde_json::from_str(&text).map_err(refused)?);
        }
        let usual = Policy::default();
        let (bar_numerator, bar_denominator) = self.bar.unwrap_or((usual.bar_numerator, usual.bar_denominator));
        Ok(Policy {
            admission: Admission::Quorum(self.quorum(attesters)),
            min_contributions: self.min_contributions.unwrap_or(usual.min_contributions),
            floor: self.floor.unwrap_or(usual.floor),
            group_floor: self.group_floor.unwrap_or(usual.group_floor),
            bar_numerator,
            bar_denominator,
            min_seen: self.min_seen.unwrap_or(usual.min_seen),
            class_members: self.class_members.unwrap_or(usual.class_members),
            class_floor: self.class_floor.unwrap_or(usual.class_floor),
            anonymous_proposals: self.anonymous_proposals.unwrap_or(usual.anonymous_proposals),
            attributes: self.attributes,
            ..usual
        })
    }

    /// Returns the quorum: whatever is not said is the least that is safe.
    fn quorum(&self, attesters: usize) -> Quorum {
        let usual = Quorum::usual(attesters);
        let faulty = self.corrupt_attesters.unwrap_or(usual.faulty);
        let n = u8::try_from(attesters).unwrap_or(u8::MAX);
        Quorum {
            needed: self.attestations_needed.unwrap_or((n.saturating_add(faulty)) / 2 + 1),
            faulty,
            per_organisation: self.per_organisation.unwrap_or(usual.per_organisation),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Rules {
    /// For how many attesters.
    #[arg(long = "for-attesters", value_name = "NUMBER", default_value_t = 1)]
    attesters: usize,
    #[command(flatten)]
    policy: PolicyFlags,
}

impl Rules {
    fn carry_out(self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string_pretty(&self.policy.policy(self.attesters)?)?);
        Ok(())
    }
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
        let attesters = attesters(own, &self.attesters)?;
        let policy = self.policy.policy(attesters.len())?;
        let genesis = Genesis {
            name: self.name,
            purpose: self.purpose,
            operators: sorted(own, &self.operators),
            attesters,
            policy,
        };
        genesis.validate().map_err(|error| Failure::Usage(refusal(&error, &genesis.policy)))?;
        let invite = Invitation { genesis, addresses: Vec::new(), checkpoint: None };
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
            super::rules::describe(&mut lines, &genesis.policy, created.attesters);
            if let Some(warning) = created.warning {
                lines.line("").line(format!("Note: {warning}."));
            }
            lines
                .line("")
                .line("Next: `chorus run`; then `chorus invite` prints an invitation with your addresses, and");
            lines.line("`chorus attest request` asks for your own admission: founders are not members by themselves.");
            lines.finish()
        })
    }
}

/// Why there can be no such community; for numbers that do not go together, with the numbers.
fn refusal(error: &GenesisError, policy: &Policy) -> String {
    match error {
        GenesisError::Policy(rule) if rule.contains(['≤', '≥']) => format!(
            "these rules do not go together: {rule} is needed, and you have floor {}, min-contributions {}, group-floor {}, \
             class-floor {}, class-members {}",
            policy.floor, policy.min_contributions, policy.group_floor, policy.class_floor, policy.class_members
        ),
        _ => error.to_string(),
    }
}

/// The attesters named, in order; the own key if none is. Who is of no organisation is one of their own.
fn attesters(own: PublicKey, named: &[NamedKey]) -> anyhow::Result<Vec<Attester>> {
    let alone = [NamedKey { key: Key::Me, organisation: None }];
    let named = if named.is_empty() { &alone } else { named };
    let attester = |named: &NamedKey| {
        let key = match named.key {
            Key::Me => own,
            Key::Of(key) => key,
        };
        Attester { key, organisation: named.organisation.clone().unwrap_or_else(|| key.to_string()) }
    };
    let mut attesters: Vec<Attester> = named.iter().map(attester).collect();
    attesters.sort_unstable();
    attesters.dedup();
    let twice = attesters.windows(2).any(|pair| matches!(pair, [one, other] if one.key == other.key));
    if twice {
        Err(Failure::Usage("an attester stands twice, with two organisations".into()).into())
    } else {
        Ok(attesters)
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
    /// Put this address into the invitation instead of the node's own; may be repeated. Those of the operators and relays
    /// that the node has met follow.
    #[arg(long = "address", value_name = "MULTIADDRESS")]
    addresses: Vec<String>,
    /// Show a code for a camera as well. It holds the short invitation.
    #[arg(long)]
    qr: bool,
}

impl Invite {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        for address in &self.addresses {
            if address.len() > MAX_ADDRESS_BYTES || !is_plain(address) {
                return Err(Failure::Usage(NetworkError::Address(address.clone()).to_string()).into());
            }
            check_address(address).map_err(|error| Failure::Usage(error.to_string()))?;
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
            if self.qr { with_code(invite) } else { invite.invite.clone() }
        })
    }

    fn on_disk(&self, global: &Global) -> anyhow::Result<view::InviteView> {
        let mut invite = global.data_dir()?.read_community()?;
        if !self.addresses.is_empty() {
            invite.addresses = self.addresses.iter().map(|text| Address { text: text.clone() }).collect();
        }
        Ok(view::InviteView::of(&invite))
    }
}

/// Draws the short invitation as a code, above both texts.
fn with_code(invite: &view::InviteView) -> String {
    let code = QrCode::with_error_correction_level(invite.short.as_bytes(), EcLevel::L);
    // A short invitation has less than half of the bytes of the largest code.
    let code = code.expect("a short invitation is short");
    // Light on dark, as most terminals are: what is drawn shines.
    let drawn = code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build();
    format!("{}\n\n{}\n\n{}", drawn, invite.short, invite.invite)
}

/// Whether a text can stand in a URL as it is; multiaddresses can.
fn is_plain(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.:-_".contains(&byte))
}

#[derive(Debug, Args)]
pub(super) struct Join {
    /// The invitation; - reads it from standard input.
    invite: String,
    /// Check the whole log, from the founding document on, and not only what follows the invitation's checkpoint. It takes
    /// longer, and trusts nobody with what was before.
    #[arg(long)]
    whole_log: bool,
}

#[derive(Serialize)]
struct Joined {
    community: String,
    name: String,
    purpose: String,
    operators: usize,
    addresses: Vec<String>,
    checkpoint: Option<u64>,
    warning: Option<&'static str>,
}

/// Returns the community that an id or an invitation names.
///
/// # Errors
///
/// Returns why it names none.
pub(super) fn community_of(text: &str) -> Result<CommunityId, String> {
    if let Ok(community) = text.parse() {
        return Ok(community);
    }
    if let Ok(short) = ShortInvite::from_text(text) {
        return Ok(short.community);
    }
    Invitation::from_text(text)
        .map(|invite| invite.genesis.id())
        .map_err(|error| format!("no id, and no invitation: {error}"))
}

/// Reads an invitation; of a short one, the founding document is asked of the nodes at its addresses.
pub(super) async fn invitation(text: &str) -> anyhow::Result<Invitation> {
    let short = match ShortInvite::from_text(text) {
        Err(TokenError::Kind { .. }) => return Ok(Invitation::from_text(text)?),
        short => short?,
    };
    let genesis = founding::ask(short.community, short.addresses()).await?;
    Ok(short.with(genesis).expect("what is asked for is checked"))
}

impl Join {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let text = values::text_or_stdin(&self.invite)?;
        let mut invite = super::block_on(async { invitation(&text).await })?;
        if self.whole_log {
            invite.checkpoint = None;
        }
        invite.genesis.validate().map_err(|error| Failure::Usage(error.to_string()))?;
        dir.write_community(&invite)?;
        let has_keys = dir.keystore().exists();
        let genesis = &invite.genesis;
        let joined = Joined {
            community: genesis.id().to_string(),
            name: genesis.name.clone(),
            purpose: genesis.purpose.clone(),
            operators: genesis.operators.len(),
            addresses: invite.addresses().collect(),
            checkpoint: invite.checkpoint.map(|landmark| landmark.height.0),
            warning: (genesis.operators.len() == 1).then_some(ONE_OPERATOR),
        };
        global.output().print(&joined, |joined| {
            let mut lines = Lines::default();
            lines.field("community", &joined.name).field("purpose", &joined.purpose);
            lines.field("id", short(&joined.community)).field("operators", joined.operators);
            if let Some(height) = joined.checkpoint {
                lines.field("log", format!("from the checkpoint at height {height} on; all of it with --whole-log"));
            }
            if let Some(warning) = joined.warning {
                lines.line("").line(format!("Note: {warning}."));
            }
            if joined.addresses.is_empty() {
                lines.line("").line("The invitation names no address: start with `chorus run --dial MULTIADDRESS`.");
            }
            let keys = if has_keys { "" } else { "`chorus init` makes your keys; then " };
            lines.line("").line(format!("Next: {keys}`chorus run`, and `chorus attest request` for an attester."));
            lines.finish()
        })
    }
}
