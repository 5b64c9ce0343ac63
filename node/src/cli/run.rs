//! `chorus run`: the node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    log::consensus::Timeouts,
    peer::{Config, Notice},
};
use clap::Args;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Failure, Global, keys, output::Lines, reach::Ways};
use crate::{
    api::{Role, Server, Service, service::ONE_OPERATOR},
    driver::{Node, NodeHandle, NodeOptions},
};

/// How long requests under way may take to end once the node is to stop.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// Where a node listens if nobody says where: on all interfaces, ports that the system chooses.
const USUAL_LISTEN: [&str; 2] = ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"];

#[derive(Debug, Args)]
pub(super) struct Run {
    /// What this node does [default: operator if the key of this directory is an operator's, else participant].
    #[arg(long)]
    role: Option<Role>,
    /// Where to listen; may be repeated [default: all interfaces, ports that the system chooses].
    #[arg(long, value_name = "MULTIADDRESS")]
    listen: Vec<String>,
    /// A node to call, besides those in the invitation; may be repeated.
    #[arg(long, value_name = "MULTIADDRESS")]
    dial: Vec<String>,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Serialize)]
struct Ready {
    event: &'static str,
    community: String,
    role: Role,
    node: String,
    addresses: Vec<String>,
    api: String,
    warning: Option<&'static str>,
}

impl Run {
    pub(super) async fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let invite = dir.read_community()?;
        let keys = keys::open(global, &dir)?;
        let is_operator = invite.genesis.operator(&SecretKey::from_seed(&keys.signing).public()).is_some();
        let role = self.role.unwrap_or(if is_operator { Role::Operator } else { Role::Participant });
        if role == Role::Operator && !is_operator {
            return Err(Failure::NotOperator.into());
        }
        let listen = if self.listen.is_empty() { USUAL_LISTEN.map(str::to_owned).to_vec() } else { self.listen };
        let options = NodeOptions {
            data_dir: dir.node(),
            genesis: invite.genesis.clone(),
            operator: (role == Role::Operator).then(|| SecretKey::from_seed(&keys.signing)),
            transport_seed: *keys.transport,
            listen,
            dial: invite.addresses().chain(self.dial).collect(),
            role,
            reach: self.ways.reach(),
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            rng_seed: global.seed,
        };
        let api = global.api.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        // The node first: it fails if another one runs here, whose token and address must stay.
        let node = Node::start(options).await?;
        // After the node's lock, so that nobody else writes the leaves.
        let person = if role == Role::Relay { None } else { Some(keys::person(&keys, &dir)?) };
        let server = Server::bind(&dir, api).await?;
        let service = Service::start(node.clone(), &dir, role, person, global.randomness())?;
        let ready = Ready {
            event: "ready",
            community: invite.genesis.id().to_string(),
            role,
            node: node.node_id().to_string(),
            addresses: node.addresses(),
            api: format!("http://{}", server.address()),
            warning: (invite.genesis.operators.len() == 1).then_some(ONE_OPERATOR),
        };
        tell(global, &ready, &invite.genesis.name)?;
        serve(server, service, node).await
    }
}

/// Prints that the node is ready: in JSON on one line, so that a program can wait for it.
fn tell(global: &Global, ready: &Ready, name: &str) -> anyhow::Result<()> {
    if global.output().is_json() {
        println!("{}", serde_json::to_string(ready)?);
        return Ok(());
    }
    global.output().print(ready, |ready| {
        let mut lines = Lines::default();
        lines.field("community", name).field("node", &ready.node);
        for address in &ready.addresses {
            lines.field("listening", address);
        }
        lines.field("interface", &ready.api);
        if let Some(warning) = ready.warning {
            lines.line("").line(format!("Note: {warning}."));
        }
        lines.line("").line("Running; Ctrl-C stops. Other commands work in another window: try `chorus status`.");
        lines.finish()
    })
}

async fn serve(server: Server, service: std::sync::Arc<Service>, node: NodeHandle) -> anyhow::Result<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let until = async {
        // A sender that is dropped stops the server as well.
        let _ = stopped.await;
    };
    let mut serving = tokio::spawn(server.serve(service, until));
    let reporting = tokio::spawn(report(node.notices()));
    let served = tokio::select! {
        () = asked_to_stop() => None,
        served = &mut serving => Some(served),
    };
    drop(stop);
    let served = match served {
        Some(served) => Some(served),
        None => tokio::time::timeout(STOP_GRACE, &mut serving).await.ok(),
    };
    serving.abort();
    reporting.abort();
    node.shutdown().await;
    served.map_or(Ok(()), |served| Ok(served??))
}

/// Waits for Ctrl-C, or for the system to ask.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Logs what the people at this node should know.
async fn report(mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::Height(height)) => tracing::debug!(height = height.0, "the log grew"),
            Ok(Notice::Refused { from, fault }) => tracing::debug!(%from, %fault, "a peer was refused"),
            Ok(Notice::Contradiction { round, what }) => tracing::error!(%round, what, "contradiction"),
            Ok(Notice::Halted(why)) => tracing::error!(why, "this node can no longer take part in ordering"),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
