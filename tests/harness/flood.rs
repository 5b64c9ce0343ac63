//! Who floods a node over real sockets, and who is honest meanwhile.
//!
//! Those who flood with what our own network sends use it; those who send what it never would have a swarm of their own
//! that speaks the control protocol by its name and puts any bytes on a stream.

pub mod target;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_node::{
    network::{Caps, Limits, Network, NetworkConfig, NetworkEvent, NetworkHandle, NodeId, Reach, Role, Topic, Verdict},
    store::blobs::BlobStore,
};
use chorus_protocol::{
    id::CommunityId,
    message::{MINOR, VERSION},
};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, identify, noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

/// What every node answers.
const QUESTION: &[u8] = b"founding document";

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a request of a raw attacker may be under way: longer than what it attacks waits.
const STUBBORN: Duration = Duration::from_secs(120);

/// Streams that a raw attacker may open at once.
const MAX_STREAMS: usize = 64;

fn seed_of(number: u64) -> [u8; 32] {
    let mut seed = [0xA5; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}

/// A node's network without the node: honest or not, as it is used.
pub struct Guest {
    /// Asks the network for things.
    pub handle: NetworkHandle,
    /// What the network says.
    pub events: mpsc::Receiver<NetworkEvent>,
    _folder: tempfile::TempDir,
}

impl Guest {
    /// Starts a participant and waits until it is connected with the node at an address.
    ///
    /// # Panics
    ///
    /// Panics if they do not meet in time.
    pub async fn meet(number: u64, community: CommunityId, address: &str) -> Self {
        Self::try_to_meet(number, community, address, PATIENCE).await.expect("they meet in time")
    }

    /// As [`meet`](Self::meet); returns none if that takes longer than given.
    pub async fn try_to_meet(number: u64, community: CommunityId, address: &str, patience: Duration) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(BlobStore::open(folder.path(), 1 << 20).expect("opens"));
        let config = NetworkConfig {
            identity: seed_of(number).into(),
            listen: Vec::new(),
            role: Role::Participant,
            reach: Reach { relays: false, ..Reach::quiet() },
            community,
            blobs: store,
            caps: Caps::default(),
            memory: None,
            minor: MINOR,
            limits: Limits::default(),
        };
        let (handle, events, _) = Network::spawn(config).await.expect("starts");
        let mut guest = Self { handle, events, _folder: folder };
        guest.handle.dial(address).await.expect("runs");
        let meeting = guest.until(|event| matches!(event, NetworkEvent::Connected(_)).then_some(()));
        if timeout(patience, meeting).await.ok().flatten().is_none() {
            guest.handle.shutdown().await;
            return None;
        }
        Some(guest)
    }

    /// Returns the node that a peer's name at the end of an address means.
    ///
    /// # Panics
    ///
    /// Panics if it is no name of a node.
    pub fn name_of(name: &str) -> NodeId {
        let bytes = name.parse::<PeerId>().expect("a peer's name").to_bytes();
        let key = bytes.last_chunk::<32>().expect("it holds the key");
        NodeId::from(*key)
    }

    /// Waits for an event; the ones before it are dropped, and gossip is passed on.
    pub async fn until<T>(&mut self, mut pick: impl FnMut(&NetworkEvent) -> Option<T>) -> Option<T> {
        let found = async {
            loop {
                let event = self.events.recv().await?;
                if let NetworkEvent::Gossip { message_id, .. } = event {
                    // An error says that it is shut down, which the next event says as well.
                    let _ = self.handle.report(message_id, Verdict::Accept).await;
                }
                if let Some(found) = pick(&event) {
                    return Some(found);
                }
            }
        };
        timeout(PATIENCE, found).await.ok().flatten()
    }

    /// Asks the node what every node answers, and returns how long that took, if it answered.
    pub async fn ask(&self, node: NodeId) -> Option<Duration> {
        let asked = Instant::now();
        let answer = self.handle.request(node, QUESTION.to_vec()).await.ok()?;
        (!answer.is_empty()).then(|| asked.elapsed())
    }

    /// Sends messages until the node ends the connection; returns how many were handed over, and how long it took. None if
    /// it was never cut off.
    pub async fn send_until_cut_off(
        &mut self,
        node: NodeId,
        mut message: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Option<CutOff> {
        let began = Instant::now();
        let mut sent = 0;
        while let Some(bytes) = message(sent) {
            if self.is_cut_off(node) {
                break;
            }
            self.handle.send(node, bytes).await.ok()?;
            sent += 1;
            sleep(Duration::from_millis(2)).await;
        }
        self.wait_until_cut_off(node, began, sent).await
    }

    /// As [`send_until_cut_off`](Self::send_until_cut_off), with gossip.
    pub async fn publish_until_cut_off(
        &mut self,
        node: NodeId,
        mut message: impl FnMut(u64) -> Vec<u8>,
    ) -> Option<CutOff> {
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < PATIENCE && !self.is_cut_off(node) {
            // Nobody takes part yet, or not any more.
            match self.handle.publish(Topic::Control, message(sent)).await {
                Ok(()) => sent += 1,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
            sleep(Duration::from_millis(2)).await;
        }
        self.wait_until_cut_off(node, began, sent).await
    }

    fn is_cut_off(&self, node: NodeId) -> bool {
        !self.handle.peers().contains(&node)
    }

    async fn wait_until_cut_off(&mut self, node: NodeId, began: Instant, sent: u64) -> Option<CutOff> {
        let gone = async {
            while !self.is_cut_off(node) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.ok().map(|()| CutOff { sent, refused: 0, after: began.elapsed() })
    }
}

/// How an attack ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CutOff {
    /// Messages or frames that were begun.
    pub sent: u64,
    /// Frames that ended without an answer.
    pub refused: u64,
    /// How long it lasted.
    pub after: Duration,
}

/// What is put on a stream instead of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawFrame {
    /// What is sent at once.
    pub bytes: Vec<u8>,
    /// Whether a byte per second follows, for ever.
    pub drips: bool,
}

impl RawFrame {
    /// A length over every bound.
    pub fn oversized() -> Self {
        Self { bytes: vec![0xFF; 4], drips: false }
    }

    /// A whole frame of a kind that there is not.
    pub fn malformed() -> Self {
        Self { bytes: vec![0, 0, 0, 2, 0xEE, 0xEE], drips: false }
    }

    /// A frame of eight mebibytes, of which so many come, and then one every second.
    pub fn slow(bytes: usize) -> Self {
        let mut frame = (8_u32 << 20).to_be_bytes().to_vec();
        frame.resize(4 + bytes, 0);
        Self { bytes: frame, drips: true }
    }
}

#[derive(Clone, Debug, Default)]
struct RawCodec;

impl request_response::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = RawFrame;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<RawFrame> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4];
        io.read_exact(&mut bytes).await.map(|()| bytes)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: RawFrame,
    ) -> io::Result<()> {
        io.write_all(&frame.bytes).await?;
        io.flush().await?;
        if frame.drips {
            loop {
                sleep(Duration::from_secs(1)).await;
                io.write_all(&[0]).await?;
                io.flush().await?;
            }
        }
        Ok(())
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(NetworkBehaviour)]
struct RawBehaviour {
    identify: identify::Behaviour,
    control: request_response::Behaviour<RawCodec>,
}

/// Who sends bytes that no node of ours would send.
pub struct RawAttacker {
    swarm: Swarm<RawBehaviour>,
    target: PeerId,
    outcome: CutOff,
    began: Instant,
}

impl RawAttacker {
    /// Connects with the node at an address.
    ///
    /// # Panics
    ///
    /// Panics if it is not let in in time.
    pub async fn connect(number: u64, community: CommunityId, address: &str) -> Self {
        timeout(PATIENCE, Self::try_to_connect(number, community, address)).await.ok().flatten().expect("it is let in")
    }

    /// As [`connect`](Self::connect); returns none if it is refused.
    pub async fn try_to_connect(number: u64, community: CommunityId, address: &str) -> Option<Self> {
        let keys = libp2p::identity::Keypair::ed25519_from_bytes(seed_of(number)).expect("32 bytes are a seed");
        let control = format!("/chorus/{community}/control/1");
        let control = StreamProtocol::try_from_owned(control).expect("it begins with a slash");
        let version = format!("/chorus/{community}/{VERSION}.{MINOR}");
        let behaviour = RawBehaviour {
            identify: identify::Behaviour::new(identify::Config::new(version, keys.public())),
            control: request_response::Behaviour::new(
                [(control, ProtocolSupport::Outbound)],
                request_response::Config::default()
                    .with_request_timeout(STUBBORN)
                    .with_max_concurrent_streams(MAX_STREAMS),
            ),
        };
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(keys)
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .expect("a transport")
            .with_behaviour(|_| behaviour)
            .expect("making it does not fail")
            .with_swarm_config(|config| config.with_idle_connection_timeout(STUBBORN))
            .build();
        let address: Multiaddr = address.parse().expect("an address");
        swarm.dial(address).expect("a way");
        let target = loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
                SwarmEvent::OutgoingConnectionError { .. } => return None,
                _ => {}
            }
        };
        let outcome = CutOff { sent: 0, refused: 0, after: Duration::ZERO };
        Some(Self { swarm, target, outcome, began: Instant::now() })
    }

    /// Begins so many frames at once.
    pub fn begin(&mut self, frame: &RawFrame, count: usize) {
        for _ in 0..count {
            self.swarm.behaviour_mut().control.send_request(&self.target, frame.clone());
        }
        self.outcome.sent += count as u64;
    }

    /// Goes on, with another frame for each that ended if one is given, until the connection ends or so many were refused.
    /// Returns whether the connection ended, and what happened so far; none if neither came in time.
    pub async fn attack(&mut self, again: Option<&RawFrame>, until_refused: u64) -> Option<(bool, CutOff)> {
        let fighting = async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::ConnectionClosed { num_established: 0, .. } => return true,
                    SwarmEvent::Behaviour(RawBehaviourEvent::Control(
                        request_response::Event::OutboundFailure { .. } | request_response::Event::Message { .. },
                    )) => {
                        self.outcome.refused += 1;
                        if self.outcome.refused >= until_refused {
                            return false;
                        }
                        if let Some(frame) = again.filter(|_| self.swarm.is_connected(&self.target)) {
                            self.swarm.behaviour_mut().control.send_request(&self.target, frame.clone());
                            self.outcome.sent += 1;
                        }
                    }
                    _ => {}
                }
            }
        };
        let closed = timeout(PATIENCE, fighting).await.ok()?;
        self.outcome.after = self.began.elapsed();
        Some((closed, self.outcome))
    }

    /// Keeps the connection, and whatever drips, for so long.
    pub async fn linger(&mut self, time: Duration) {
        let lingering = async {
            loop {
                self.swarm.select_next_some().await;
            }
        };
        // It ends by its time only.
        let _: Result<(), _> = timeout(time, lingering).await;
    }
}

/// Returns the socket's address of a multiaddress of TCP over IPv4.
///
/// # Panics
///
/// Panics if it is another one.
pub fn socket_of(address: &str) -> SocketAddr {
    let mut parts = address.split('/').skip(1);
    let found = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("ip4"), Some(ip), Some("tcp"), Some(port)) => ip.parse::<IpAddr>().ok().zip(port.parse::<u16>().ok()),
        _ => None,
    };
    found.expect("TCP over IPv4").into()
}

/// Opens a TCP connection from another loopback address than those who are honest, and says nothing, or half of the first
/// line of a handshake.
///
/// # Errors
///
/// Returns what the system says.
pub async fn silent(target: SocketAddr, says_half: bool) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 66), 0).into())?;
    let mut stream = socket.connect(target).await?;
    if says_half {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"\x13/multistream/").await?;
    }
    Ok(stream)
}

/// Waits until the other side has ended a connection, and returns whether it did in time.
pub async fn is_ended(mut stream: TcpStream, patience: Duration) -> bool {
    let reading = async {
        let mut bytes = [0; 64];
        // An error is an end as well.
        while tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.is_ok_and(|count| count > 0) {}
    };
    timeout(patience, reading).await.is_ok()
}
