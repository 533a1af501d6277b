//! The listener: TLS or plain, HTTP/1.1 and HTTP/2, with a bound on everything a peer can make it wait for or keep.

mod crowd;
mod patient;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpSocket};

pub use self::crowd::Crowd;
use self::patient::PatientAcceptor;
use self::tls::Certificate;
use crate::config::Http;

/// Connections the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 1024;
/// A request's head must be there within this time.
const HEAD: Duration = Duration::from_secs(5);
/// A TLS handshake must be done within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests under way may go on so long after the stop.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of a head at most.
const HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;

/// A bound socket, not serving yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
    crowd: Crowd,
}

impl Listener {
    /// Reads the certificate and binds the address. Connections wait from here on.
    ///
    /// # Errors
    /// One sentence that names the address or the file.
    pub async fn bind(http: &Http) -> anyhow::Result<Self> {
        let certificate = http.tls.as_ref().map(Certificate::load).transpose()?;
        let socket = open(http.listen).with_context(|| format!("cannot listen on {}", http.listen))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, certificate, crowd: Crowd::default() })
    }

    /// Binds an address for plain HTTP.
    ///
    /// # Errors
    /// One sentence that names the address.
    pub fn plain(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = open(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, certificate: None, crowd: Crowd::default() })
    }

    /// Where it listens; with port 0 in the settings, the port that was found.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps at most as many connections as `crowd` says.
    #[must_use]
    pub fn bounded(self, crowd: Crowd) -> Self {
        Self { crowd, ..self }
    }

    /// Serves until `stop` completes, then lets requests under way finish for up to ten seconds.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let handle = Handle::<SocketAddr>::new();
        let mut server = Server::from_listener(self.socket).handle(handle.clone());
        bound(server.http_builder());
        // Handlers find the address of the socket's peer in the request.
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let acceptor = PatientAcceptor::new(self.crowd);
        let ended = async {
            stop.await;
            handle.graceful_shutdown(Some(GRACE));
            std::future::pending::<()>().await;
        };
        let served = async {
            match self.certificate {
                None => server.acceptor(acceptor).serve(service).await,
                Some(certificate) => {
                    let acceptor = RustlsAcceptor::new(certificate.config()).handshake_timeout(HANDSHAKE).acceptor(acceptor);
                    tokio::select! {
                        served = server.acceptor(acceptor).serve(service) => served,
                        () = certificate.follow() => Ok(()),
                    }
                }
            }
        };
        tokio::select! {
            served = served => served.with_context(|| format!("serving on {}", self.address)),
            () = ended => Ok(()),
        }
    }
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for the connections of the run before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bound(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
}
