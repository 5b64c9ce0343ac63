//! `chorus run`: the node.

mod stop;
mod systemd;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    log::consensus::Timeouts,
    message::MINOR,
    peer::{Checkpoints, Config, Notice},
};
use clap::{Args, ValueEnum as _};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

use self::stop::Signals;
use super::{Failure, Global, keys, output::Lines, reach::Ways, values};
use crate::{
    api::{OpenServer, Role, Server, Service, service::ONE_OPERATOR},
    config::{
        DataDir,
        profile::{Profile, Relaying},
        quantity::Bytes,
        settings::{Name, Settings},
    },
    driver::{Node, NodeError, NodeHandle, NodeOptions},
    network::{Caps, Limits},
    recording::Plan,
    store::files,
};

/// How long requests under way may take to end once the node is to stop.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How long the node may take to make durable what it has said and to close; with the requests' grace less than the ten
/// seconds after which service managers lose patience.
const CLOSE_GRACE: Duration = Duration::from_secs(6);

#[derive(Debug, Args)]
pub(super) struct Run {
    /// What this node does [default: operator if the key of this directory is a founding operator's, else participant]. A
    /// node whose key an amendment takes in, or will, runs as operator: it follows the log and begins at that height.
    #[arg(long, env = "CHORUS_ROLE")]
    role: Option<Role>,
    /// What kind of line and machine this is; what is set by itself goes before it [default: home].
    #[arg(long)]
    profile: Option<Profile>,
    /// A setting of the network, the store or the metrics for this run alone; may be repeated. See `chorus config list`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(Name, String)>,
    /// Where to listen; may be repeated [default: all interfaces, ports that the system chooses].
    #[arg(long, value_name = "MULTIADDRESS", value_parser = values::address)]
    listen: Vec<String>,
    /// A node to call, besides those in the invitation; may be repeated.
    #[arg(long, value_name = "MULTIADDRESS", value_parser = values::address)]
    dial: Vec<String>,
    #[command(flatten)]
    ways: Ways,
    /// Answer /livez, /readyz and /metrics at this address too. Whoever can reach it can read them.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Record what this node is told into a file, for `chorus replay`. For finding faults: the file holds all that the node
    /// receives, sealed contributions too, and when you contribute. Not for operators.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The size at which such a recording ends.
    #[arg(long, value_name = "BYTES", default_value = "256MiB", requires = "events")]
    events_limit: Bytes,
}

/// Parses `NAME=VALUE` of what is read when the node starts.
fn setting(text: &str) -> Result<(Name, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is written NAME=VALUE")?;
    let name = Name::from_str(name, false).map_err(|_| "there is no such setting: see `chorus config list`")?;
    if !name.is_of_node() {
        return Err(format!("{name} is read for each action: see `chorus config set {name}`"));
    }
    Settings::default().set(name, value).map_err(|error| error.to_string())?;
    Ok((name, value.to_owned()))
}

#[derive(Serialize)]
struct Ready {
    event: &'static str,
    community: String,
    role: Role,
    profile: Profile,
    node: String,
    addresses: Vec<String>,
    api: String,
    page: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    warning: Option<&'static str>,
}

impl Run {
    pub(super) async fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let settings = self.settings(Settings::read(&dir.settings())?)?;
        let bearing = settings.bearing();
        let invite = dir.read_community()?;
        let keys = keys::open(global, &dir)?;
        let is_operator = invite.genesis.operator(&SecretKey::from_seed(&keys.signing).public()).is_some();
        let role = self.role.unwrap_or(if is_operator { Role::Operator } else { Role::Participant });
        if role == Role::Operator && !is_operator {
            eprintln!(
                "note: your key is none of the founding operators': this node orders the log from when an amendment says so"
            );
        }
        // Who is to carry others' connections stands where a relay does, whoever votes there.
        let place = match (role, bearing.relay) {
            (Role::Participant, Relaying::Serve) => Role::Relay,
            (role, Relaying::Off | Relaying::Use | Relaying::Serve) => role,
        };
        if !bearing.announce.is_empty() && !place.is_public() {
            eprintln!(
                "note: network.announce is told by nodes that can be called: `chorus config set network.relay serve` says that \
                 this one can"
            );
        }
        let signals = Signals::listen()?;
        if role == Role::Operator {
            check_journal(&dir)?;
        }
        let limits = Limits {
            memory: bearing.memory.limit().and_then(|bytes| usize::try_from(bytes).ok()),
            // Who stands at a public address has everybody's connections, unless a profile says how many.
            connections: if settings.profile.is_some() || settings.network.connections.is_some() {
                bearing.connections
            } else {
                bearing.connections.max(Limits::of(place).connections)
            },
            per_address: bearing.connections_per_address,
            mesh: bearing.mesh,
            ..Limits::of(place)
        };
        let options = NodeOptions {
            data_dir: dir.node(),
            genesis: invite.genesis.clone(),
            operator: (role == Role::Operator).then(|| SecretKey::from_seed(&keys.signing)),
            transport_seed: *keys.transport,
            reach: Ways::reach(&bearing),
            listen: bearing.listen,
            dial: invite.addresses().chain(bearing.dial).collect(),
            role: place,
            caps: Caps {
                upload: bearing.upload.limit(),
                download: bearing.download.limit(),
                monthly: bearing.monthly.limit(),
                ..Caps::default()
            },
            blob_quota: bearing.blobs.limit().unwrap_or(u64::MAX),
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            checkpoints: Checkpoints { begin_at: invite.checkpoint, ..Checkpoints::default() },
            rng_seed: global.seed,
        };
        let api = global.api.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        // The node first: it fails if another one runs here, whose token and address must stay.
        let node = match self.events {
            None => Node::start_as(options, MINOR, limits).await?,
            Some(path) => {
                tracing::warn!(
                    path = %path.display(),
                    "this node is recorded: the file holds all that it receives, and when its person contributes"
                );
                let bound = self.events_limit.limit().unwrap_or(u64::MAX);
                Node::start_recorded(options, limits, Plan { path, bound }).await?
            }
        };
        // After the node's lock, so that nobody else writes the leaves.
        let person = if role == Role::Relay { None } else { Some(keys::person(&keys, &dir)?) };
        let server = Server::bind(&dir, api).await?;
        let open = match settings.metrics.address {
            Some(address) => Some(OpenServer::bind(address).await?),
            None => None,
        };
        let service = Service::start(node.clone(), &dir, role, person, global.randomness())?;
        let ready = Ready {
            event: "ready",
            community: invite.genesis.id().to_string(),
            role,
            profile: settings.profile(),
            node: node.node_id().to_string(),
            addresses: node.addresses(),
            api: format!("http://{}", server.address()),
            page: server.page_link(),
            metrics: open.as_ref().map(|open| format!("http://{}/metrics", open.address())),
            warning: (invite.genesis.operators.len() == 1).then_some(ONE_OPERATOR),
        };
        tell(global, &ready, &invite.genesis.name)?;
        systemd::ready(&ready.node);
        Serving { server, open, service, node }.until_stopped(signals).await
    }

    /// Returns the settings of this run: flags go before the environment and the file.
    fn settings(&self, mut settings: Settings) -> anyhow::Result<Settings> {
        settings.profile = self.profile.or(settings.profile);
        for (name, value) in &self.set {
            settings.set(*name, value).map_err(|error| Failure::Usage(error.to_string()))?;
        }
        let network = &mut settings.network;
        if !self.listen.is_empty() {
            network.listen = Some(self.listen.clone());
        }
        if !self.dial.is_empty() {
            network.dial.get_or_insert_default().extend(self.dial.iter().cloned());
        }
        self.ways.settle(network);
        settings.metrics.address = self.metrics.or(settings.metrics.address);
        Ok(settings)
    }
}

/// Refuses to make a first journal for a key that has been used as an operator's, and notes that it is used now.
fn check_journal(dir: &DataDir) -> anyhow::Result<()> {
    let signed = dir.signed();
    if signed.try_exists()? {
        let has_journal = dir.node().join("journal").try_exists()?;
        return if has_journal { Ok(()) } else { Err(NodeError::JournalLost.into()) };
    }
    let note = b"The key of this directory signs as an operator's. Keep `node/journal` with it.\n";
    Ok(files::replace(&signed, "signed", note)?)
}

/// Prints that the node is ready: in JSON on one line, so that a program can wait for it.
fn tell(global: &Global, ready: &Ready, name: &str) -> anyhow::Result<()> {
    if global.output().is_json() {
        println!("{}", serde_json::to_string(ready)?);
        return Ok(());
    }
    global.output().print(ready, |ready| {
        let mut lines = Lines::default();
        lines.field("community", name).field("node", &ready.node).field("profile", ready.profile);
        for address in &ready.addresses {
            lines.field("listening", address);
        }
        lines.field("interface", &ready.api).field("page", &ready.page);
        if let Some(metrics) = &ready.metrics {
            lines.field("metrics", metrics);
        }
        if let Some(warning) = ready.warning {
            lines.line("").line(format!("Note: {warning}."));
        }
        lines
            .line("")
            .line("Open the page's link in a browser on this machine; it works once, and `chorus open` gives another.");
        lines.line("Running; Ctrl-C stops. Other commands work in another window: try `chorus status`.");
        lines.finish()
    })
}

/// Everything that runs until the node is to stop.
struct Serving {
    server: Server,
    open: Option<OpenServer>,
    service: std::sync::Arc<Service>,
    node: NodeHandle,
}

impl Serving {
    async fn until_stopped(self, mut signals: Signals) -> anyhow::Result<()> {
        let Self { server, open, service, node } = self;
        let health = service.health();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let until = async {
            // A sender that is dropped stops the server as well.
            let _ = stopped.await;
        };
        let mut serving = tokio::spawn(server.serve(service, until));
        let mut others = vec![tokio::spawn(report(node.notices())), tokio::spawn(systemd::watch(health.clone()))];
        others.extend(open.map(|open| {
            tokio::spawn(async move {
                if let Err(error) = open.serve(health).await {
                    tracing::error!(%error, "metrics are no longer answered");
                }
            })
        }));
        let served = tokio::select! {
            () = signals.next() => None,
            served = &mut serving => Some(served),
        };
        systemd::stopping();
        signals.end_at_next();
        drop(stop);
        let served = match served {
            Some(served) => Some(served),
            None => tokio::time::timeout(STOP_GRACE, &mut serving).await.ok(),
        };
        serving.abort();
        others.iter().for_each(tokio::task::JoinHandle::abort);
        tokio::time::timeout(CLOSE_GRACE, node.shutdown()).await.map_err(|_| Failure::StillClosing)?;
        served.map_or(Ok(()), |served| Ok(served??))
    }
}

/// Logs what the people at this node should know.
async fn report(mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::Height(height)) => tracing::debug!(height = height.0, "the log grew"),
            Ok(Notice::Refused { from, fault }) => tracing::debug!(%from, %fault, "a peer was refused"),
            Ok(Notice::Ahead { from, fault }) => tracing::debug!(%from, %fault, "a peer is ahead"),
            Ok(Notice::NotKept { body, why }) => tracing::warn!(%body, why, "a public body is not kept"),
            Ok(Notice::NotPosted { why, .. }) => tracing::warn!(%why, "an entry was not posted"),
            Ok(Notice::Contradiction { round, what }) => tracing::error!(%round, what, "contradiction"),
            Ok(Notice::NotStated { number, why }) => {
                eprintln!("note: your consent to amendment {number} was not stated: {why}");
            }
            Ok(Notice::NotCarried { number, why }) => {
                eprintln!("warning: amendment {number} was adopted, but the members' vote does not carry it: {why}");
            }
            Ok(Notice::Arriving { landmark, why }) => {
                let height = landmark.height;
                eprintln!("warning: the log does not begin at the invitation's checkpoint, height {height}: {why}");
                let join = "into an empty --data-dir, `chorus join` another invitation, or this one with --whole-log";
                eprintln!("{}", if why.is_final() { join } else { "still asking" });
            }
            Ok(Notice::Halted(why)) => tracing::error!(why, "this node can no longer take part in ordering"),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
