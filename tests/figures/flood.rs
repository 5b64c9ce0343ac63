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

use chorus_node::network::{Limits, NetworkEvent, NodeId, Role, Topic};
use chorus_protocol::{
    contribution::Submission,
    id::CommunityId,
    log::batch::Height,
    message::{Message, Tip},
};
use chorus_tests::flood::{
    CutOff, Guest, RawAttacker, RawFrame, is_ended, silent, socket_of,
    target::{Target, with_a_bad_proof},
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{
    figure::Figure,
    idle::{Node, resident},
};

/// For how long each flood goes on.
const MEASURED: Duration = Duration::from_secs(15);
/// Between two questions, and between two messages of gossip: fewer than a node passes on of one peer.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer or a message is waited for.
const LOST: Duration = Duration::from_secs(10);
/// What is added to the slowest answers before it is longer than links within one country take.
const NOTICED: f64 = 0.05;
/// Connections that are being opened at once.
const AT_ONCE: usize = 1_000;
/// The cap of the node's memory that is set, and what it comes to.
const CAP: &str = "network.memory=256MB";
const MOST_RESIDENT: f64 = 256e6;
/// In which an address that called too often is let in again.
const FORGIVEN: Duration = Duration::from_secs(20);
/// How long votes are taken in the round that is flooded.
const VOTING_MILLIS: u64 = 60_000;
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
    Proofs,
    Replays,
}

/// How an attack went.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It was not let in.
    Refused,
    CutOff(CutOff),
    /// It was still connected when it gave up.
    Stayed,
}

impl Flood {
    /// What any node can be flooded with.
    const BLUNT: [(Self, &'static str); 5] = [
        (Self::Oversized, "oversized frames"),
        (Self::Malformed, "malformed frames"),
        (Self::Slow, "slow frames"),
        (Self::Gossip, "rejected gossip"),
        (Self::Messages, "malformed messages"),
    ];

    /// Attacks once, until it is cut off.
    async fn attack(self, number: u64, site: &Site) -> End {
        let (community, address) = (site.community, site.address.as_str());
        let frame = match self {
            Self::Oversized => RawFrame::oversized(),
            Self::Malformed => RawFrame::malformed(),
            Self::Slow => RawFrame::slow(200_000),
            Self::Gossip | Self::Messages | Self::Proofs | Self::Replays => return self.say(number, site).await,
        };
        let connecting = timeout(LOST, RawAttacker::try_to_connect(number, community, address));
        let Some(mut attacker) = connecting.await.ok().flatten() else { return End::Refused };
        attacker.begin(&frame, if frame.drips { 24 } else { 4 });
        let again = (!frame.drips).then_some(&frame);
        match attacker.attack(again, u64::MAX).await {
            Some((true, outcome)) => End::CutOff(outcome),
            Some((false, _)) | None => End::Stayed,
        }
    }

    /// Says what the network itself passes.
    async fn say(self, number: u64, site: &Site) -> End {
        let guest = Guest::try_to_meet(number, site.community, &site.address, LOST).await;
        let Some(mut guest) = guest else { return End::Refused };
        let garbage = |count: u64| [number.to_be_bytes(), count.to_be_bytes()].concat();
        let of = |count: u64| &site.submissions[usize::try_from(count).unwrap_or(0) % site.submissions.len()];
        let seal = |submission: Submission| Message::Submission(submission).seal(site.community);
        let cut_off = match self {
            Self::Gossip => guest.publish_until_cut_off(site.id, garbage).await,
            Self::Proofs => {
                let bad = |count| seal(with_a_bad_proof(of(count), 100 * number + count));
                guest.send_until_cut_off(site.id, |count| Some(bad(count))).await
            }
            Self::Replays => guest.send_until_cut_off(site.id, |count| Some(seal(of(count).clone()))).await,
            _ => guest.send_until_cut_off(site.id, |count| Some(garbage(count))).await,
        };
        guest.handle.shutdown().await;
        cut_off.map_or(End::Stayed, End::CutOff)
    }
}

/// The node that is flooded, as those outside know it.
#[derive(Clone, Debug)]
struct Site {
    community: CommunityId,
    address: String,
    id: NodeId,
    /// Contributions to a round of it, for those who tamper with them or say them again.
    submissions: Arc<Vec<Submission>>,
}

/// Measures everything; so many connections come from one address.
pub(crate) fn figures(connections: usize, mut show: impl FnMut(Vec<Figure>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut node, key) = Node::new(folder.path(), "flooded");
    let create = ["community", "create", "--name", "Flooded", "--purpose", "To stay", "--attester", "me"];
    let created = node.ask(&[create.as_slice(), &["--operator", &key]].concat());
    let community = created["community"].as_str().and_then(|text| text.parse().ok()).expect("its id");
    let invite = node.ask(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    node.ask(&["join", &invite]);
    let address = node.run_with(&["--set", CAP]);
    let name = address.rsplit('/').next().unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(async {
        let id = Guest::name_of(&name);
        let site = Site { community, address, id, submissions: Arc::default() };
        measure(&node, site, connections, &mut show).await;
        drop(node);
        measure_rounds(&mut show).await;
    });
}

/// What every node can be flooded with.
async fn measure(node: &Node, site: Site, connections: usize, show: &mut impl FnMut(Vec<Figure>)) {
    let mut honest = Honest::meet(&site).await;
    let mut quiet = honest.watch(MEASURED).await;
    show(vec![Figure::new("flood: resident memory before", node.resident(), "B").at_most(MOST_RESIDENT)]);
    show(quiet.figures("quiet", None));
    for (index, (flood, name)) in Flood::BLUNT.into_iter().enumerate() {
        let going = Going::start(flood, 1_000_000 * (index as u64 + 1), &site);
        let mut watched = honest.watch(MEASURED).await;
        show(watched.figures(name, Some(&mut quiet)));
        show(vec![memory(name, node)]);
        show(going.end(name).await);
        // An address that called too often is let in again.
        sleep(FORGIVEN).await;
    }
    let flooding = tokio::spawn(silence(connections, site.address.clone()));
    let mut watched = honest.watch_while(|| !flooding.is_finished()).await;
    let name = format!("{connections} silent connections of one address");
    show(watched.figures(&name, Some(&mut quiet)));
    show(vec![memory(&name, node)]);
    let ended = flooding.await.unwrap_or_default();
    show(vec![Figure::new(format!("{name}: share ended by the node"), ended, "ratio").at_least(1.0)]);
    honest.stop().await;
}

/// What a node can be flooded with that has a round: it is in this process, with those who attack it.
async fn measure_rounds(show: &mut impl FnMut(Vec<Figure>)) {
    let mut target = Target::start(1, Limits::of(Role::Operator)).await;
    let poll = target.open(VOTING_MILLIS).await;
    let submissions = target.contributions(&poll).await;
    let site = Site {
        community: target.community(),
        address: target.address.clone(),
        id: target.id,
        submissions: Arc::new(submissions.clone()),
    };
    let mut honest = Honest::meet(&site).await;
    let mut quiet = honest.watch(MEASURED).await;
    show(quiet.figures("quiet, with a round", None));
    for (flood, first, name) in
        [(Flood::Proofs, 10_000_000, "proofs that do not hold"), (Flood::Replays, 20_000_000, "a finished round again")]
    {
        if matches!(flood, Flood::Replays) {
            target.finish(&poll, &submissions, &honest.speaker).await;
        }
        let going = Going::start(flood, first, &site);
        let mut watched = honest.watch(MEASURED).await;
        show(watched.figures(name, Some(&mut quiet)));
        show(vec![Figure::new(format!("{name}: resident memory, with the attackers"), resident("self"), "B")]);
        show(going.end(name).await);
        sleep(FORGIVEN).await;
    }
    let Honest { speaker, listener, .. } = honest;
    listener.handle.shutdown().await;
    target.stop(speaker).await;
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
    attackers: Vec<tokio::task::JoinHandle<Vec<End>>>,
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
                    sleep(PAUSE / 4).await;
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
        let cut_off = ends.iter().filter_map(|end| if let End::CutOff(it) = end { Some(*it) } else { None });
        let cut_off: Vec<CutOff> = cut_off.collect();
        let refused = ends.iter().filter(|end| matches!(end, End::Refused)).count();
        let let_in = ends.len() - refused;
        let mut after: Vec<f64> = cut_off.iter().map(|end| end.after.as_secs_f64()).collect();
        let mut sent: Vec<f64> = cut_off.iter().map(|end| end.sent as f64).collect();
        let share = cut_off.len() as f64 / let_in as f64;
        vec![
            Figure::new(format!("{name}: attackers that were not let in, of {}", ends.len()), refused as f64, "ratio"),
            Figure::new(format!("{name}: attackers that were cut off, of {let_in}"), share, "ratio").at_least(1.0),
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
                let figure = Figure::new(format!("{name}: {what}, {quantile_name}"), value, "s");
                let ratio = Figure::new(
                    format!("{name}: {what}, {quantile_name} ÷ quiet"),
                    value / quantile(before, at),
                    "ratio",
                );
                // Over loopback nearly nothing is quiet, and all share two cores: of the slowest, what matters is whether
                // anybody would notice over a link.
                let (figure, ratio) = match quantile_name {
                    "p50" => (figure, ratio.at_most(2.0)),
                    _ => (figure.at_most(NOTICED), ratio),
                };
                figures.push(figure);
                figures.extend((!none).then_some(ratio));
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
