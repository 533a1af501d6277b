//! Connections that end when nothing moves on them.
//!
//! hyper's timer for the head runs only once it knows which version of HTTP it is reading. A peer that connects and says
//! nothing, or that never reads its answer, would be kept for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::crowd::{Crowd, Place};

/// Bytes that tell the version of HTTP, for certain: the length of the preface of HTTP/2 (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// They must come within this time, or an answer begin.
const FIRST: Duration = Duration::from_secs(5);
/// After them, something must move within this time. Longer than any answer takes.
const IDLE: Duration = Duration::from_secs(60);

/// Wraps accepted connections, and drops those there is no place for.
#[derive(Debug, Clone)]
pub struct PatientAcceptor {
    crowd: Crowd,
}

impl PatientAcceptor {
    /// With places for as many as `crowd` says.
    pub fn new(crowd: Crowd) -> Self {
        Self { crowd }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for PatientAcceptor {
    type Stream = Patient;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Patient, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(stream.peer_addr().and_then(|peer| {
            let place = self.crowd.enter(peer.ip()).ok_or(io::ErrorKind::QuotaExceeded)?;
            stream.set_nodelay(true)?;
            Ok((Patient::new(stream, place), service))
        }))
    }
}

/// A connection with a limit on its silence.
#[derive(Debug)]
pub struct Patient {
    stream: TcpStream,
    /// When to give up if nothing moves until then.
    deadline: Instant,
    /// Fires at some deadline, perhaps an older one: moving it at every byte would cost more.
    alarm: Pin<Box<Sleep>>,
    /// Bytes that were read until something was written.
    read: usize,
    _place: Place,
}

impl Patient {
    fn new(stream: TcpStream, place: Place) -> Self {
        let deadline = Instant::now() + FIRST;
        Self { stream, deadline, alarm: Box::pin(sleep_until(deadline)), read: 0, _place: place }
    }

    /// Passes on what the stream said, unless it has been silent for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, said: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if said.is_ready() {
            // Until there is enough to tell the version of HTTP by, more bytes are no more time.
            if self.read >= PREFACE {
                self.deadline = Instant::now() + IDLE;
            }
            return said;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let deadline = self.deadline;
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let said = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read = self.read.saturating_add(buffer.filled().len() - before);
        self.watched(context, said)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.read = PREFACE;
        let said = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.read = PREFACE;
        let said = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watched(context, said)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
