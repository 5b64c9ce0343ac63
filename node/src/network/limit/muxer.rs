//! Connections whose streams are counted and held back.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use tokio::time::{Sleep, sleep};

use super::{Limiter, Meter};

/// A connection.
#[derive(Debug)]
pub(in crate::network) struct Limited {
    inner: StreamMuxerBox,
    limiter: Arc<Limiter>,
}

impl Limited {
    pub(in crate::network) const fn new(inner: StreamMuxerBox, limiter: Arc<Limiter>) -> Self {
        Self { inner, limiter }
    }

    fn stream(&self, inner: SubstreamBox) -> Stream {
        Stream { inner, limiter: Arc::clone(&self.limiter), reading: None, writing: None }
    }
}

impl StreamMuxer for Limited {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A stream.
pub(in crate::network) struct Stream {
    inner: SubstreamBox,
    limiter: Arc<Limiter>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

/// Waits until some of `wanted` bytes may pass, and says how many.
fn poll_pass(meter: &Meter, waiting: &mut Option<Pin<Box<Sleep>>>, wanted: usize, cx: &mut Context<'_>) -> Poll<usize> {
    loop {
        if let Some(pause) = waiting {
            ready!(pause.as_mut().poll(cx));
            *waiting = None;
        }
        match meter.pass(wanted) {
            Ok(bytes) => return Poll::Ready(bytes),
            Err(wait) => *waiting = Some(Box::pin(sleep(wait))),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let allowed = ready!(poll_pass(&this.limiter.down, &mut this.reading, buffer.len(), cx));
        let buffer = buffer.get_mut(..allowed).expect("no more passes than was wanted");
        let count = ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        this.limiter.down.passed(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let allowed = ready!(poll_pass(&this.limiter.up, &mut this.writing, buffer.len(), cx));
        let buffer = buffer.get(..allowed).expect("no more passes than was wanted");
        let count = ready!(Pin::new(&mut this.inner).poll_write(cx, buffer))?;
        this.limiter.up.passed(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
