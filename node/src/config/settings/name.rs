//! The names of the settings, and their values as text.

use core::{fmt, str::FromStr};
use std::path::PathBuf;

use chorus_protocol::contribution::Level;
use clap::ValueEnum;

use super::{Keeping, LONGEST_HOOK_SECONDS, Settings};
use crate::{
    chat::{MAX_TOKENS, answer::Place, outside},
    network::check_address,
    participation::Participation,
};

/// The most addresses of one setting.
const MAX_ADDRESSES: usize = 64;

/// The most bytes of a model's name.
const MAX_MODEL_NAME: usize = 200;

/// Something that can be chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Name {
    /// `anonymous` (nobody learns who votes or proposes) or `open` (your key stands beside it; how you vote stays secret).
    Level,
    /// `basic` (votes and proposals) or `full` (adapters as well).
    Participation,
    /// `on` or `off`: whether the node keeps your own votes and value cards in a file that never leaves it, for training your
    /// adapter and for showing you how you voted. `off` deletes the file.
    Diary,
    /// Where the base model is that adapters are trained for: a folder in Hugging Face's layout, or a GGUF file.
    BaseModel,
    /// Attesters: a file of people who may be admitted, one on each line.
    #[value(name = "attester.allow-list")]
    AllowList,
    /// Attesters: a program, or an address beginning with http://, that is asked about each request.
    #[value(name = "attester.hook")]
    Hook,
    /// Attesters: how many seconds it may take.
    #[value(name = "attester.hook-timeout")]
    HookTimeout,
    /// `home`, `metered`, `server` or `lan`: what follows for the network and the store if nothing else is set.
    Profile,
    /// Multiaddresses to listen at, separated by commas.
    #[value(name = "network.listen")]
    Listen,
    /// Multiaddresses of nodes to call, besides those of the invitation, separated by commas.
    #[value(name = "network.dial")]
    Dial,
    /// Multiaddresses of this node that it cannot know itself, such as those of a forwarded port, separated by commas.
    #[value(name = "network.announce")]
    Announce,
    /// `on` or `off`: whether to look for nodes on the local network.
    #[value(name = "network.mdns")]
    Mdns,
    /// `on` or `off`: whether to ask the router to map a port.
    #[value(name = "network.upnp")]
    Upnp,
    /// `off`, `use` (be reached through others if nobody can call this node) or `serve` (it can be called, and carries the
    /// connections of others). Operators and relays always serve.
    #[value(name = "network.relay")]
    Relay,
    /// `on` or `off`: whether the bodies of contributions and adapters may pass through relays. At a relay: carry them;
    /// elsewhere: send them.
    #[value(name = "network.relay-blobs")]
    RelayBlobs,
    /// Connections in all.
    #[value(name = "network.connections")]
    Connections,
    /// Connections from one address.
    #[value(name = "network.connections-per-address")]
    ConnectionsPerAddress,
    /// Peers that gossip is passed on to, 2 to 16.
    #[value(name = "network.mesh")]
    Mesh,
    /// What may leave in a second: `2Mbit/s`, `250kB/s` or `unlimited`.
    #[value(name = "network.upload")]
    Upload,
    /// What may arrive in a second.
    #[value(name = "network.download")]
    Download,
    /// What may leave and arrive in a month: `5GB` or `unlimited`.
    #[value(name = "network.monthly")]
    Monthly,
    /// Memory of the process beyond which new connections are refused.
    #[value(name = "network.memory")]
    Memory,
    /// Bytes of public bodies that are kept.
    #[value(name = "storage.blobs")]
    Blobs,
    /// Where /livez, /readyz and /metrics are answered besides the local interface, such as `127.0.0.1:9464`.
    #[value(name = "metrics.address")]
    MetricsAddress,
    /// `local` (conversations stay on this machine) or `outside` (they go to the endpoint of model.url).
    #[value(name = "model.provider")]
    ModelProvider,
    /// Where the model for conversations is, if not the base model: a folder in Hugging Face's layout, or a GGUF file.
    #[value(name = "model.path")]
    ModelPath,
    /// An endpoint that speaks OpenAI's chat completions, such as `https://models.example.org/v1`.
    #[value(name = "model.url")]
    ModelUrl,
    /// What the endpoint calls its model.
    #[value(name = "model.name")]
    ModelName,
    /// A file whose first line is the endpoint's key; CHORUS_MODEL_KEY in the node's environment goes before.
    #[value(name = "model.key-file")]
    ModelKeyFile,
    /// How many tokens the endpoint's model reads and writes together.
    #[value(name = "model.context")]
    ModelContext,
    /// The most tokens of an answer if whoever asks does not say.
    #[value(name = "model.max-tokens")]
    ModelMaxTokens,
}

/// A value that a setting does not take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{value:?} is not possible here: {possible}")]
pub struct ValueError {
    value: String,
    possible: &'static str,
}

impl Name {
    /// Returns the environment variable that goes before the file.
    pub fn variable(self) -> String {
        format!("CHORUS_{}", self.to_string().replace(['.', '-'], "_").to_ascii_uppercase())
    }

    /// Returns whether it is read when the node starts, and not for each action.
    pub const fn is_of_node(self) -> bool {
        !matches!(
            self,
            Self::Level
                | Self::Participation
                | Self::Diary
                | Self::BaseModel
                | Self::AllowList
                | Self::Hook
                | Self::HookTimeout
                | Self::ModelProvider
                | Self::ModelPath
                | Self::ModelUrl
                | Self::ModelName
                | Self::ModelKeyFile
                | Self::ModelContext
                | Self::ModelMaxTokens
        )
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no name is hidden").get_name())
    }
}

const LEVELS: [(&str, Level); 2] = [("anonymous", Level::Anonymous), ("open", Level::Open)];
const PARTICIPATIONS: [(&str, Participation); 2] = [("basic", Participation::Basic), ("full", Participation::Full)];
const PLACES: [(&str, Place); 2] = [("local", Place::Local), ("outside", Place::Outside)];
const SWITCH: &str = "on or off";
const RATE: &str = "a rate such as 2Mbit/s or 250kB/s, or unlimited";
const AMOUNT: &str = "an amount such as 500MB or 8GiB, or unlimited";

/// What is written for a value, or nothing.
fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn listed(addresses: &Option<Vec<String>>) -> String {
    addresses.as_ref().map(|addresses| addresses.join(",")).unwrap_or_default()
}

fn switched(value: Option<bool>) -> String {
    value.map(|on| if on { "on" } else { "off" }.to_owned()).unwrap_or_default()
}

/// A value that is being set.
#[derive(Clone, Copy)]
struct Given<'a>(&'a str);

impl Given<'_> {
    fn refuse(self, possible: &'static str) -> ValueError {
        ValueError { value: self.0.to_owned(), possible }
    }

    /// Nothing, if it is to be taken back.
    fn parse<T: FromStr>(self, possible: &'static str, holds: impl Fn(&T) -> bool) -> Result<Option<T>, ValueError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.0.parse().ok().filter(holds).map(Some).ok_or_else(|| self.refuse(possible))
    }

    /// One of these, which cannot be taken back.
    fn one_of<T: Copy>(self, values: &[(&str, T)], possible: &'static str) -> Result<T, ValueError> {
        values.iter().find(|(text, _)| *text == self.0).map(|(_, value)| *value).ok_or_else(|| self.refuse(possible))
    }

    fn path(self) -> Result<Option<PathBuf>, ValueError> {
        let absolute = || std::path::absolute(self.0).map_err(|_| self.refuse("a path"));
        if self.0.is_empty() { Ok(None) } else { absolute().map(Some) }
    }

    fn hook(self) -> Result<Option<String>, ValueError> {
        if self.0.starts_with("http://") {
            return Ok(Some(self.0.to_owned()));
        }
        if self.0.starts_with("https://") {
            return Err(self.refuse("http:// of this machine, or a program that speaks https"));
        }
        Ok(self.path()?.map(|path| path.display().to_string()))
    }

    fn choose<T: ValueEnum>(self, possible: &'static str) -> Result<Option<T>, ValueError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        T::from_str(self.0, false).map(Some).map_err(|_| self.refuse(possible))
    }

    fn switch(self) -> Result<Option<bool>, ValueError> {
        match self.0 {
            "" => Ok(None),
            "on" | "true" => Ok(Some(true)),
            "off" | "false" => Ok(Some(false)),
            _ => Err(self.refuse(SWITCH)),
        }
    }

    fn addresses(self) -> Result<Option<Vec<String>>, ValueError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let addresses: Vec<String> = self.0.split(',').map(|address| address.trim().to_owned()).collect();
        let leads_somewhere = |address: &String| check_address(address).is_ok();
        if addresses.len() > MAX_ADDRESSES || !addresses.iter().all(leads_somewhere) {
            return Err(self.refuse(
                "multiaddresses such as /ip4/192.0.2.1/tcp/4101 or /dns4/node.example.org/udp/4101/quic-v1, separated by commas",
            ));
        }
        Ok(Some(addresses))
    }
}

impl Settings {
    /// Returns the value of a setting as text; empty if there is none.
    pub fn get(&self, name: Name) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        match name {
            Name::Level => match self.level {
                Level::Anonymous => "anonymous".into(),
                Level::Open => "open".into(),
            },
            Name::Participation => self.participation.to_string(),
            Name::Diary => if self.diary.is_on() { "on" } else { "off" }.into(),
            Name::BaseModel => path(&self.base_model).unwrap_or_default(),
            Name::AllowList => path(&self.attester.allow_list).unwrap_or_default(),
            Name::Hook => shown(&self.attester.hook),
            Name::HookTimeout => self.attester.hook_timeout().as_secs().to_string(),
            Name::Profile => shown(&self.profile),
            Name::Listen => listed(&self.network.listen),
            Name::Dial => listed(&self.network.dial),
            Name::Announce => listed(&self.network.announce),
            Name::Mdns => switched(self.network.mdns),
            Name::Upnp => switched(self.network.upnp),
            Name::Relay => shown(&self.network.relay),
            Name::RelayBlobs => switched(self.network.relay_blobs),
            Name::Connections => shown(&self.network.connections),
            Name::ConnectionsPerAddress => shown(&self.network.connections_per_address),
            Name::Mesh => shown(&self.network.mesh),
            Name::Upload => shown(&self.network.upload),
            Name::Download => shown(&self.network.download),
            Name::Monthly => shown(&self.network.monthly),
            Name::Memory => shown(&self.network.memory),
            Name::Blobs => shown(&self.storage.blobs),
            Name::MetricsAddress => shown(&self.metrics.address),
            Name::ModelProvider => match self.model.provider {
                None => String::new(),
                Some(Place::Local) => "local".into(),
                Some(Place::Outside) => "outside".into(),
            },
            Name::ModelPath => path(&self.model.path).unwrap_or_default(),
            Name::ModelUrl => shown(&self.model.url),
            Name::ModelName => shown(&self.model.name),
            Name::ModelKeyFile => path(&self.model.key_file).unwrap_or_default(),
            Name::ModelContext => shown(&self.model.context),
            Name::ModelMaxTokens => shown(&self.model.max_tokens),
        }
    }

    /// Sets a value; an empty one takes a setting back that need not be. Relative paths begin in the present directory.
    ///
    /// # Errors
    ///
    /// Returns a [`ValueError`], and changes nothing.
    pub fn set(&mut self, name: Name, value: &str) -> Result<(), ValueError> {
        let (value, network) = (Given(value), &mut self.network);
        match name {
            Name::Level => self.level = value.one_of(&LEVELS, "anonymous or open")?,
            Name::Participation => self.participation = value.one_of(&PARTICIPATIONS, "basic or full")?,
            Name::Diary => self.diary = value.one_of(&[("on", Keeping::On), ("off", Keeping::Off)], SWITCH)?,
            Name::BaseModel => self.base_model = value.path()?,
            Name::AllowList => self.attester.allow_list = value.path()?,
            Name::Hook => self.attester.hook = value.hook()?,
            Name::HookTimeout => {
                let seconds = |seconds: &u64| (1..=LONGEST_HOOK_SECONDS).contains(seconds);
                self.attester.hook_timeout_seconds = value.parse("1 to 300 seconds", seconds)?;
            }
            Name::Profile => self.profile = value.choose("home, metered, server or lan")?,
            Name::Listen => network.listen = value.addresses()?,
            Name::Dial => network.dial = value.addresses()?,
            Name::Announce => network.announce = value.addresses()?,
            Name::Mdns => network.mdns = value.switch()?,
            Name::Upnp => network.upnp = value.switch()?,
            Name::Relay => network.relay = value.choose("off, use or serve")?,
            Name::RelayBlobs => network.relay_blobs = value.switch()?,
            Name::Connections => {
                network.connections = value.parse("4 to 100000", |count| (4..=100_000).contains(count))?;
            }
            Name::ConnectionsPerAddress => {
                network.connections_per_address = value.parse("1 to 100000", |count| (1..=100_000).contains(count))?;
            }
            Name::Mesh => network.mesh = value.parse("2 to 16", |count| (2..=16).contains(count))?,
            Name::Upload => network.upload = value.parse(RATE, |_| true)?,
            Name::Download => network.download = value.parse(RATE, |_| true)?,
            Name::Monthly => network.monthly = value.parse(AMOUNT, |_| true)?,
            Name::Memory => network.memory = value.parse(AMOUNT, |_| true)?,
            Name::Blobs => self.storage.blobs = value.parse(AMOUNT, |_| true)?,
            Name::MetricsAddress => {
                self.metrics.address = value.parse("an address such as 127.0.0.1:9464", |_| true)?;
            }
            Name::ModelProvider => {
                self.model.provider = match value.0 {
                    "" => None,
                    _ => Some(value.one_of(&PLACES, "local or outside")?),
                };
            }
            Name::ModelPath => self.model.path = value.path()?,
            Name::ModelUrl => {
                let possible = "the address of an endpoint, such as https://models.example.org/v1";
                self.model.url = value.parse(possible, |url: &String| outside::host(url).is_some())?;
            }
            Name::ModelName => self.model.name = value.parse("a name", |name: &String| name.len() <= MAX_MODEL_NAME)?,
            Name::ModelKeyFile => self.model.key_file = value.path()?,
            Name::ModelContext => {
                self.model.context = value.parse("512 to 10000000", |tokens| (512..=10_000_000).contains(tokens))?;
            }
            Name::ModelMaxTokens => {
                self.model.max_tokens = value.parse("1 to 8192", |tokens| (1..=MAX_TOKENS).contains(tokens))?;
            }
        }
        Ok(())
    }
}
