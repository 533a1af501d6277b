//! A way to the database on which answers stop after so many bytes: whoever reads more than that waits, however fast or slow it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes connections on; ends with its runtime.
pub struct Held {
    /// Leads to the database.
    pub url: String,
    bytes: Arc<AtomicUsize>,
}

impl Held {
    /// In front of the database at `url`, with nothing held back yet.
    pub async fn start(url: &str) -> Self {
        let (rest, path) = url.rsplit_once('/').expect("a URL with a path");
        let (user, server) = rest.rsplit_once('@').expect("a URL with a user");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let own = listener.local_addr().expect("an address");
        let bytes = Arc::new(AtomicUsize::new(usize::MAX));
        let (server, limit) = (server.to_owned(), Arc::clone(&bytes));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, limit) = (server.clone(), Arc::clone(&limit));
                tokio::spawn(async move { pass(client, TcpStream::connect(server).await?, &limit).await });
            }
        });
        Self { url: format!("{user}@{own}/{path}"), bytes }
    }

    /// Lets through so many bytes of answers on each connection from now on, and then no more.
    pub fn hold_after(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::SeqCst);
    }
}

/// Ends with the client.
async fn pass(client: TcpStream, server: TcpStream, limit: &AtomicUsize) -> std::io::Result<()> {
    let ((mut asking, mut told), (mut answers, mut asked)) = (client.into_split(), server.into_split());
    let answering = async {
        let (mut passed, mut piece) = (0, [0; 8192]);
        while passed < limit.load(Ordering::SeqCst) {
            let read = answers.read(&mut piece).await?;
            if read == 0 {
                return told.shutdown().await;
            }
            told.write_all(&piece[..read]).await?;
            passed += read;
        }
        std::future::pending().await
    };
    tokio::select! {
        done = tokio::io::copy(&mut asking, &mut asked) => done.map(drop),
        done = answering => done,
    }
}
