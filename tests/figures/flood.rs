//! A node that is flooded: what honest peers notice, what it costs the node, and how long an attacker lasts.
//!
//! The node is a process of its own, the only operator of a community; attackers and honest peers are in this process,
//! over loopback, so that they compete with the node for the same two cores: the ratios are upper bounds.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chorus_node::network::{NetworkEvent, NodeId, Topic};
use chorus_protocol::{
    id::CommunityId,
    log::batch::Height,
    message::{Message, Tip},
};
use chorus_tests::flood::{CutOff, Guest, RawAttacker, RawFrame, is_ended, silent, socket_of};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{figure::Figure, idle::Node};

/// For how long each flood goes on.
const MEASURED: Duration = Duration::from_secs(15);
/// Between two questions, and between two messages of gossip: fewer than a node passes on of one peer.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer or a message is waited for.
const LOST: Duration = Duration::from_secs(10);
/// Connections that are being opened at once.
const AT_ONCE: usize = 1_000;
/// Bytes that the node's process may have in memory under any flood.
const MOST_RESIDENT: f64 = 256e6;
/// Attackers at once: each comes back with another identity when it is cut off.
const ATTACKERS: u64 = 4;

/// What attackers do.
#[derive(Clone, Copy, Debug)]
enum Flood {
    Oversized,
    Malformed,
    Slow,
    Gossip,
    Messages,
}

impl Flood {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Oversized, "oversized frames"),
        (Self::Malformed, "malformed frames"),
        (Self::Slow, "slow frames"),
        (Self::Gossip, "rejected gossip"),
        (Self::Messages, "malformed messages"),
    ];

    /// Attacks once, until it is cut off.
    async fn attack(self, number: u64, site: &Site) -> Option<CutOff> {
        let (community, address) = (site.community, site.address.as_str());
        let frame = match self {
            Self::Oversized => RawFrame::oversized(),
            Self::Malformed => RawFrame::malformed(),
            Self::Slow => RawFrame::slow(100_000),
            Self::Gossip | Self::Messages => {
                let mut guest = Guest::meet(number, community, address).await;
                let message = |count: u64| [number.to_be_bytes(), count.to_be_bytes()].concat();
                let cut_off = match self {
                    Self::Gossip => guest.publish_until_cut_off(site.id, message).await,
                    _ => guest.send_until_cut_off(site.id, |count| Some(message(count))).await,
                };
                guest.handle.shutdown().await;
                return cut_off;
            }
        };
        let mut attacker = RawAttacker::connect(number, community, address).await;
        attacker.begin(&frame, if frame.drips { 32 } else { 4 });
        let again = (!frame.drips).then_some(&frame);
        attacker.attack(again, u64::MAX).await.filter(|(cut_off, _)| *cut_off).map(|(_, outcome)| outcome)
    }
}

/// The node that is flooded, as those outside know it.
#[derive(Clone, Debug)]
struct Site {
    community: CommunityId,
    address: String,
    id: NodeId,
}

/// Measures everything; so many connections come from one address.
pub(crate) fn figures(connections: usize) -> Vec<Figure> {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut node, key) = Node::new(folder.path(), "flooded");
    let create = ["community", "create", "--name", "Flooded", "--purpose", "To stay", "--attester", "me"];
    let created = node.ask(&[create.as_slice(), &["--operator", &key]].concat());
    let community = created["community"].as_str().and_then(|text| text.parse().ok()).expect("its id");
    let invite = node.ask(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    node.ask(&["join", &invite]);
    let address = node.run(&[]);
    let name = address.rsplit('/').next().unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(async {
        let id = Guest::name_of(&name);
        measure(&node, Site { community, address, id }, connections).await
    })
}

async fn measure(node: &Node, site: Site, connections: usize) -> Vec<Figure> {
    let mut honest = Honest::meet(&site).await;
    let mut quiet = honest.watch(MEASURED).await;
    let mut figures = vec![Figure::new("flood: resident memory before", node.resident(), "B").at_most(MOST_RESIDENT)];
    figures.extend(quiet.figures("quiet", None));
    for (index, (flood, name)) in Flood::ALL.into_iter().enumerate() {
        let going = Going::start(flood, 1_000_000 * (index as u64 + 1), &site);
        let mut watched = honest.watch(MEASURED).await;
        figures.extend(watched.figures(name, Some(&mut quiet)));
        figures.push(memory(name, node));
        figures.extend(going.end(name).await);
    }
    let flooding = tokio::spawn(silence(connections, site.address.clone()));
    let mut watched = honest.watch_while(|| !flooding.is_finished()).await;
    let name = format!("{connections} silent connections of one address");
    figures.extend(watched.figures(&name, Some(&mut quiet)));
    figures.push(memory(&name, node));
    let ended = flooding.await.unwrap_or_default();
    figures.push(Figure::new(format!("{name}: share ended by the node"), ended, "ratio").at_least(1.0));
    honest.stop().await;
    figures
}

fn memory(name: &str, node: &Node) -> Figure {
    Figure::new(format!("{name}: resident memory"), node.resident(), "B").at_most(MOST_RESIDENT)
}

/// Opens connections that say nothing; returns the share of those that were refused or ended.
async fn silence(connections: usize, address: String) -> f64 {
    let (socket, room) = (socket_of(&address), Arc::new(Semaphore::new(AT_ONCE)));
    let opening = (0..connections).map(|number| {
        let room = Arc::clone(&room);
        tokio::spawn(async move {
            let _place = room.acquire_owned().await;
            match silent(socket, number % 2 == 0).await {
                Ok(stream) => is_ended(stream, 3 * LOST).await,
                Err(_) => true,
            }
        })
    });
    let opening: Vec<_> = opening.collect();
    let mut ended = 0;
    for one in opening {
        ended += usize::from(one.await.unwrap_or(false));
    }
    ended as f64 / connections.max(1) as f64
}

/// A flood that goes on.
struct Going {
    over: Arc<AtomicBool>,
    attackers: Vec<tokio::task::JoinHandle<Vec<Option<CutOff>>>>,
}

impl Going {
    fn start(flood: Flood, first: u64, site: &Site) -> Self {
        let (over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(first)));
        let attacker = |_| {
            let (over, next, site) = (Arc::clone(&over), Arc::clone(&next), site.clone());
            tokio::spawn(async move {
                let mut ends = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let attacking: Pin<Box<dyn Future<Output = _> + Send>> =
                        Box::pin(flood.attack(next.fetch_add(1, Ordering::Relaxed), &site));
                    ends.push(attacking.await);
                    // An address may call so often.
                    sleep(2 * PAUSE).await;
                }
                ends
            })
        };
        let attackers = (0..ATTACKERS).map(attacker).collect();
        Self { over, attackers }
    }

    async fn end(self, name: &str) -> Vec<Figure> {
        self.over.store(true, Ordering::Relaxed);
        let mut ends = Vec::new();
        for attacker in self.attackers {
            ends.extend(attacker.await.unwrap_or_default());
        }
        let cut_off: Vec<CutOff> = ends.iter().flatten().copied().collect();
        let mut after: Vec<f64> = cut_off.iter().map(|end| end.after.as_secs_f64()).collect();
        let mut sent: Vec<f64> = cut_off.iter().map(|end| end.sent as f64).collect();
        let share = cut_off.len() as f64 / ends.len() as f64;
        vec![
            Figure::new(format!("{name}: attackers that were cut off, of {}", ends.len()), share, "ratio")
                .at_least(1.0),
            Figure::new(format!("{name}: sent until cut off, median"), quantile(&mut sent, 0.5), "ratio"),
            Figure::new(format!("{name}: time until cut off, median"), quantile(&mut after, 0.5), "s"),
            Figure::new(format!("{name}: time until cut off, worst"), quantile(&mut after, 1.0), "s"),
        ]
    }
}

/// What honest peers notice.
#[derive(Debug, Default)]
struct Watched {
    answers: Vec<f64>,
    gossip: Vec<f64>,
}

impl Watched {
    fn figures(&mut self, name: &str, quiet: Option<&mut Self>) -> Vec<Figure> {
        let mut figures = Vec::new();
        let (none, mut empty) = (quiet.is_none(), Self::default());
        let quiet = quiet.unwrap_or(&mut empty);
        for (what, values, before) in
            [("answer", &mut self.answers, &mut quiet.answers), ("gossip", &mut self.gossip, &mut quiet.gossip)]
        {
            for (quantile_name, at) in [("p50", 0.5), ("p99", 0.99)] {
                let value = quantile(values, at);
                figures.push(Figure::new(format!("{name}: {what}, {quantile_name}"), value, "s"));
                if !none {
                    let ratio = value / quantile(before, at);
                    let name = format!("{name}: {what}, {quantile_name} ÷ quiet");
                    figures.push(Figure::new(name, ratio, "ratio").at_most(2.0));
                }
            }
        }
        figures
    }
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (at * (values.len().saturating_sub(1)) as f64).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Two peers that hear each other through the node only.
struct Honest {
    speaker: Guest,
    listener: Guest,
    site: Site,
    height: u64,
}

impl Honest {
    async fn meet(site: &Site) -> Self {
        let speaker = Guest::meet(1, site.community, &site.address).await;
        let listener = Guest::meet(2, site.community, &site.address).await;
        // Else the two might find each other.
        speaker.handle.ban(listener.handle.local()).await.expect("runs");
        let mut honest = Self { speaker, listener, site: site.clone(), height: 1 << 40 };
        // Meshes form with the heartbeat.
        sleep(Duration::from_secs(3)).await;
        honest.gossip().await;
        honest
    }

    async fn watch(&mut self, time: Duration) -> Watched {
        let began = Instant::now();
        self.watch_while(|| began.elapsed() < time).await
    }

    async fn watch_while(&mut self, goes_on: impl Fn() -> bool) -> Watched {
        let mut watched = Watched::default();
        while goes_on() {
            let answer = timeout(LOST, self.listener.ask(self.site.id)).await.ok().flatten();
            watched.answers.push(answer.unwrap_or(LOST).as_secs_f64());
            watched.gossip.push(self.gossip().await);
            sleep(PAUSE).await;
        }
        watched
    }

    /// Says something, and returns how long it took to the other.
    async fn gossip(&mut self) -> f64 {
        self.height += 1;
        let tip = Message::Tip(Tip { height: Height(self.height) }).seal(self.site.community);
        let said = Instant::now();
        if self.speaker.handle.publish(Topic::Control, tip.clone()).await.is_err() {
            return LOST.as_secs_f64();
        }
        let heard = self
            .listener
            .until(|event| matches!(event, NetworkEvent::Gossip { bytes, .. } if *bytes == tip).then_some(()));
        // What is lost counts as long.
        let _: Result<_, _> = timeout(LOST, heard).await;
        said.elapsed().as_secs_f64()
    }

    async fn stop(self) {
        self.speaker.handle.shutdown().await;
        self.listener.handle.shutdown().await;
    }
}
