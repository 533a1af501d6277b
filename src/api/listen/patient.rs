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

/// The first bytes must come within this time.
const FIRST: Duration = Duration::from_secs(5);
/// After them, something must move within this time. Longer than any answer takes.
const IDLE: Duration = Duration::from_secs(60);

/// Wraps accepted connections.
#[derive(Debug, Clone, Copy)]
pub struct PatientAcceptor;

impl<S: Send + 'static> Accept<TcpStream, S> for PatientAcceptor {
    type Stream = Patient;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Patient, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(stream.set_nodelay(true).map(|()| (Patient::new(stream), service)))
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
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        let deadline = Instant::now() + FIRST;
        Self { stream, deadline, alarm: Box::pin(sleep_until(deadline)) }
    }

    /// Passes on what the stream said, unless it has been silent for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, said: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.deadline = Instant::now() + IDLE;
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
        let said = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(context, said)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
