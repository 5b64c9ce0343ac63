//! Frames of the control protocol as they come and go: bounded in size, in time by their progress, and in memory by a
//! budget that all of them share.
//!
//! A frame may have twelve megabytes and come over a slow uplink, so it is not held to a total time: it lives as long as
//! another [`STEP`] arrives within [`STEP_TIME`]. What has arrived of frames that are not whole counts against the budget; when
//! that is spent, frames of connections that hold more than their share are refused, so that whoever sends many slow
//! ones crowds out nobody else.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response};
use tokio::{sync::Notify, time::timeout};

use super::wire::MAX_CONTROL_FRAME;

/// Bytes that must pass in a [`STEP_TIME`]: next to nothing for the slowest link, even if dozens of frames share it.
pub(super) const STEP: usize = 16 * 1024;
/// The time for them.
pub(super) const STEP_TIME: Duration = Duration::from_secs(10);
/// How long the first byte of an answer may take, besides the time in which the question passes at [`SLOWEST`].
const ANSWER_TIME: Duration = super::REQUEST_TIMEOUT;
/// Bytes a second of the slowest uplink: 2 Mbit/s, a part of which is used otherwise.
const SLOWEST: u64 = 200_000;
/// What ends what nothing else ended: the largest frame at a tenth of that.
pub(super) const LONGEST: Duration = Duration::from_secs(660);
/// Bytes of one connection's frames under way: the largest frame and several ordinary ones.
const MAX_OF_CONNECTION: usize = MAX_CONTROL_FRAME + 8 * 1024 * 1024;

/// A request, as it arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Frame {
    /// All of it.
    Whole(Vec<u8>),
    /// It was announced to be over its bound, and not read.
    Oversized,
    /// It came to a halt.
    Stalled,
}

/// Bytes of frames under way that all connections share. Never more than the bound are held.
#[derive(Debug)]
struct Budget {
    bound: usize,
    uses: Mutex<Uses>,
    /// Told whenever somebody gives back.
    room: Notify,
}

/// Who holds how much.
#[derive(Debug, Default)]
struct Uses {
    next: u64,
    all: usize,
    /// Of frames that were told to make room and have not yet.
    leaving: usize,
    /// By connection; none holds nothing.
    connections: BTreeMap<u64, Use>,
}

/// What one connection holds.
#[derive(Debug, Default)]
struct Use {
    bytes: usize,
    /// Its frames that were not told to make room.
    frames: BTreeMap<u64, (usize, Arc<Notify>)>,
}

/// What follows from asking for more.
enum Asked {
    Given,
    /// There will be room: another frame is making it.
    Wait,
    Refused,
}

impl Uses {
    /// Gives a frame more. When all is spent, a connection that has less than its share gets it from the largest frame of
    /// the connection that holds most.
    fn ask(&mut self, bound: usize, held: &Held<'_>, bytes: usize) -> Asked {
        let known = self.connections.get(&held.share.connection);
        let own = known.map_or(0, |known| known.bytes) + bytes;
        let leaves = held.bytes > 0 && known.is_none_or(|known| !known.frames.contains_key(&held.frame));
        if leaves || own > MAX_OF_CONNECTION {
            return Asked::Refused;
        }
        if self.all + bytes <= bound {
            self.give(held, bytes);
            return Asked::Given;
        }
        let users = self.connections.len() + usize::from(own == bytes);
        if own > (bound / users.max(1)).max(STEP) {
            return Asked::Refused;
        }
        while self.all - self.leaving + bytes > bound {
            if !self.evict(held.share.connection) {
                return Asked::Refused;
            }
        }
        Asked::Wait
    }

    fn give(&mut self, held: &Held<'_>, bytes: usize) {
        self.all += bytes;
        let known = self.connections.entry(held.share.connection).or_default();
        known.bytes += bytes;
        known.frames.entry(held.frame).or_insert_with(|| (0, Arc::clone(&held.leave))).0 += bytes;
    }

    /// Tells the largest frame of the connection that holds most, and is not the one that asks, to make room.
    fn evict(&mut self, asking: u64) -> bool {
        let staying = |known: &Use| known.frames.values().map(|(bytes, _)| bytes).sum::<usize>();
        let others = self.connections.iter_mut().filter(|(connection, _)| **connection != asking);
        let Some((_, largest)) = others.max_by_key(|(_, known)| staying(known)) else { return false };
        let frame = largest.frames.iter().max_by_key(|(_, (bytes, _))| *bytes).map(|(frame, _)| *frame);
        let Some((bytes, leave)) = frame.and_then(|frame| largest.frames.remove(&frame)) else { return false };
        self.leaving += bytes;
        leave.notify_one();
        true
    }

    fn give_back(&mut self, held: &Held<'_>) {
        self.all -= held.bytes;
        let Some(known) = self.connections.get_mut(&held.share.connection) else { return };
        known.bytes -= held.bytes;
        if known.frames.remove(&held.frame).is_none() {
            self.leaving -= held.bytes;
        }
        if known.bytes == 0 {
            self.connections.remove(&held.share.connection);
        }
    }
}

impl Budget {
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().expect("nothing that holds the lock panics")
    }

    fn number(&self) -> u64 {
        let mut uses = self.uses();
        uses.next += 1;
        uses.next
    }
}

/// One connection's part in the budget.
#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    connection: u64,
}

impl Share {
    fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget: Arc::clone(budget), connection: budget.number() })
    }
}

/// What one frame holds, given back when it is whole or gone.
#[derive(Debug)]
struct Held<'a> {
    share: &'a Share,
    frame: u64,
    bytes: usize,
    /// Told when the frame has to make room.
    leave: Arc<Notify>,
}

impl<'a> Held<'a> {
    fn nothing(share: &'a Share) -> Self {
        Self { share, frame: share.budget.number(), bytes: 0, leave: Arc::default() }
    }

    /// Takes more as soon as there is room, or fails if the connection has its share.
    async fn grow(&mut self, bytes: usize) -> io::Result<()> {
        let budget = &self.share.budget;
        loop {
            let room = budget.room.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            let asked = budget.uses().ask(budget.bound, self, bytes);
            match asked {
                Asked::Given => {
                    self.bytes += bytes;
                    return Ok(());
                }
                Asked::Wait => tokio::select! {
                    () = room => {}
                    () = self.leave.notified() => return Err(crowded()),
                },
                Asked::Refused => return Err(crowded()),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.share.budget.uses().give_back(self);
            self.share.budget.room.notify_waiters();
        }
    }
}

fn crowded() -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, "too much is under way")
}

/// Reads and writes the frames of one connection. The first one, of which those of connections are cloned, has a share that
/// nobody uses.
#[derive(Debug)]
pub(super) struct ControlFrames {
    share: Arc<Share>,
    is_root: bool,
    /// Bytes of the question that was written.
    written: usize,
    step_time: Duration,
}

impl ControlFrames {
    /// Frames of which no more than so many bytes are held before they are whole.
    pub(super) fn new(bound: usize) -> Self {
        let budget = Arc::new(Budget { bound, uses: Mutex::default(), room: Notify::new() });
        Self { share: Share::new(&budget), is_root: true, written: 0, step_time: STEP_TIME }
    }
}

impl Clone for ControlFrames {
    /// The behaviour clones its codec for every connection, and a connection its own for every stream.
    fn clone(&self) -> Self {
        let share = if self.is_root { Share::new(&self.share.budget) } else { Arc::clone(&self.share) };
        Self { share, is_root: false, written: 0, step_time: self.step_time }
    }
}

impl request_response::Codec for ControlFrames {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame> {
        match read(io, &self.share, self.step_time, self.step_time).await {
            Ok(bytes) => Ok(Frame::Whole(bytes)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Frame::Oversized),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Frame::Stalled),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let first = ANSWER_TIME + Duration::from_secs(self.written as u64 / SLOWEST);
        read(io, &self.share, first, self.step_time).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Frame,
    ) -> io::Result<()> {
        match request {
            Frame::Whole(bytes) => {
                self.written = bytes.len();
                write(io, &bytes).await
            }
            Frame::Oversized | Frame::Stalled => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()> {
        write(io, &response).await
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(time, work).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn read(
    io: &mut (impl AsyncRead + Unpin + Send),
    share: &Share,
    first: Duration,
    step_time: Duration,
) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    within(first, io.read_exact(&mut length)).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_CONTROL_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame over its bound"));
    }
    let mut held = Held::nothing(share);
    let mut bytes = Vec::new();
    while bytes.len() < length {
        if bytes.len() == held.bytes {
            // As vectors grow, but counted: nothing is reserved that is not held.
            let more = bytes.len().max(STEP).min(length - bytes.len());
            // That there is no room is nobody's fault who sends.
            timeout(step_time, held.grow(more)).await.map_err(|_| crowded())??;
            bytes.reserve_exact(more);
        }
        let start = bytes.len();
        bytes.resize(held.bytes.min(start + STEP), 0);
        let leave = Arc::clone(&held.leave);
        tokio::select! {
            read = within(step_time, io.read_exact(&mut bytes[start..])) => read?,
            () = leave.notified() => return Err(crowded()),
        }
    }
    Ok(bytes)
}

async fn write(io: &mut (impl AsyncWrite + Unpin + Send), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_CONTROL_FRAME);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame over its bound"))?;
    within(STEP_TIME, io.write_all(&length.to_be_bytes())).await?;
    for step in bytes.chunks(STEP) {
        within(STEP_TIME, io.write_all(step)).await?;
    }
    within(STEP_TIME, io.flush()).await
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use request_response::Codec as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    /// What is waited for in these tests, instead of seconds.
    const SHORT: Duration = Duration::from_millis(200);

    fn root(budget: usize) -> ControlFrames {
        ControlFrames { step_time: SHORT, ..ControlFrames::new(budget) }
    }

    fn connection(budget: usize) -> ControlFrames {
        root(budget).clone()
    }

    fn used(frames: &ControlFrames) -> usize {
        frames.share.budget.uses().all
    }

    /// The end of a pipe that a test writes to, and the one that frames are read from.
    fn pipe() -> (tokio::io::DuplexStream, impl AsyncRead + Unpin + Send) {
        let (here, there) = tokio::io::duplex(64 * 1024 * 1024);
        let there = futures::stream::unfold(there, |mut there| async move {
            let mut bytes = vec![0; STEP];
            let count = tokio::io::AsyncReadExt::read(&mut there, &mut bytes).await.ok().filter(|count| *count > 0)?;
            bytes.truncate(count);
            Some((Ok::<_, io::Error>(bytes), there))
        });
        (here, futures::TryStreamExt::into_async_read(Box::pin(there)))
    }

    #[tokio::test]
    async fn a_frame_reads_back_and_one_over_its_bound_is_refused_before_it_is_read() {
        let mut frames = connection(1 << 20);
        let mut bytes = Vec::new();
        frames.write_request(&PROTOCOL, &mut bytes, Frame::Whole(b"chorus".to_vec())).await.expect("in bounds");

        let read = frames.read_request(&PROTOCOL, &mut Cursor::new(&bytes)).await.expect("whole");
        let over = u32::try_from(MAX_CONTROL_FRAME + 1).expect("small").to_be_bytes();
        let oversized = frames.read_request(&PROTOCOL, &mut Cursor::new(over)).await.expect("a kind of frame");

        assert_eq!(read, Frame::Whole(b"chorus".to_vec()));
        assert_eq!(oversized, Frame::Oversized);
        for cut in 0..bytes.len() {
            assert!(frames.read_request(&PROTOCOL, &mut Cursor::new(&bytes[..cut])).await.is_err());
        }
        assert!(write(&mut Vec::new(), &vec![0; MAX_CONTROL_FRAME + 1]).await.is_err());
        assert_eq!(used(&frames), 0);
    }

    #[tokio::test]
    async fn a_frame_lives_as_long_as_it_goes_on_and_no_longer() {
        let mut frames = connection(1 << 20);
        let length = 5 * STEP;
        let (mut here, mut there) = pipe();
        let writer = tokio::spawn(async move {
            here.write_all(&u32::try_from(length).expect("small").to_be_bytes()).await.expect("open");
            for _ in 0..5 {
                tokio::time::sleep(SHORT / 2).await;
                here.write_all(&[7; STEP]).await.expect("open");
            }
            here.write_all(&100_u32.to_be_bytes()).await.expect("open");
            here
        });

        let slow = frames.read_request(&PROTOCOL, &mut there).await.expect("it goes on for longer than a step");
        let _open = writer.await.expect("no panic");
        let stalled = frames.read_request(&PROTOCOL, &mut there).await.expect("a kind of frame");

        assert_eq!(slow, Frame::Whole(vec![7; length]));
        assert_eq!(stalled, Frame::Stalled);
        assert_eq!(used(&frames), 0);
    }

    #[tokio::test]
    async fn whoever_holds_much_is_refused_when_all_is_spent_and_others_are_not() {
        let root = root(8 * STEP);
        let (greedy, mut modest) = (root.clone(), root.clone());
        let mut held = Vec::new();
        for _ in 0..4 {
            let (mut here, mut there) = pipe();
            here.write_all(&u32::try_from(8 * STEP).expect("small").to_be_bytes()).await.expect("open");
            here.write_all(&[0; STEP]).await.expect("open");
            let mut frames = greedy.clone();
            held.push(tokio::spawn(async move {
                let read = frames.read_request(&PROTOCOL, &mut there).await;
                drop(here);
                read
            }));
        }
        while used(&root) < 8 * STEP {
            tokio::task::yield_now().await;
        }

        let mut bytes = Vec::new();
        modest.write_request(&PROTOCOL, &mut bytes, Frame::Whole(vec![1; 2 * STEP])).await.expect("in bounds");
        let passed = modest.read_request(&PROTOCOL, &mut Cursor::new(bytes)).await.expect("passes");

        assert_eq!(passed, Frame::Whole(vec![1; 2 * STEP]));
        for greedy in held {
            assert!(!matches!(greedy.await.expect("no panic"), Ok(Frame::Whole(_))));
        }
        assert_eq!(used(&root), 0);
    }

    #[tokio::test]
    async fn however_many_connections_there_are_no_more_than_the_budget_is_held_and_a_newcomer_gets_its_part() {
        const CONNECTIONS: usize = 60;
        let bound = 2 * CONNECTIONS * STEP;
        let root = root(bound);
        let mut slow = Vec::new();
        for number in 1..=CONNECTIONS {
            // Each has its share when it comes, which is more than its share when all have come.
            let begun = bound / number;
            let (mut here, mut there) = pipe();
            here.write_all(&u32::try_from(MAX_CONTROL_FRAME).expect("small").to_be_bytes()).await.expect("open");
            here.write_all(&vec![0; begun.min(MAX_CONTROL_FRAME) - 1]).await.expect("open");
            let mut frames = root.clone();
            slow.push(tokio::spawn(async move {
                let read = frames.read_request(&PROTOCOL, &mut there).await;
                drop(here);
                read
            }));
            for _ in 0..64 {
                tokio::task::yield_now().await;
                assert!(used(&root) <= bound, "{} of {bound} with {number} connections", used(&root));
            }
        }

        let (mut modest, mut bytes) = (root.clone(), Vec::new());
        modest.write_request(&PROTOCOL, &mut bytes, Frame::Whole(vec![1; STEP])).await.expect("in bounds");
        let passed = modest.read_request(&PROTOCOL, &mut Cursor::new(bytes)).await.expect("passes");

        assert_eq!(passed, Frame::Whole(vec![1; STEP]));
        for slow in slow {
            assert!(!matches!(slow.await.expect("no panic"), Ok(Frame::Whole(_))));
        }
        assert_eq!((used(&root), root.share.budget.uses().leaving), (0, 0));
    }
}
