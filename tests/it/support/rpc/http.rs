//! Just enough HTTP/1.1 to misbehave in: a server that decides for each request whether and how often to answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What becomes of one request.
pub enum Reply {
    /// Status and body; written so many times.
    Body(u16, Vec<u8>, usize),
    /// The connection is closed without a word.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing, until the client gives up.
    Hang,
}

/// Serves one connection until either side is done with it.
pub async fn serve<F: Future<Output = Reply>>(mut stream: TcpStream, answer: impl Fn(Vec<u8>) -> F) {
    let mut buffer = Vec::new();
    while let Some(body) = request(&mut stream, &mut buffer).await {
        match answer(body).await {
            Reply::Body(status, body, times) => {
                let head = format!(
                    "HTTP/1.1 {status} Planned\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                for _ in 0..times {
                    if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
                        return;
                    }
                }
            }
            Reply::Close => return,
            Reply::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Reply::Hang => {
                while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
                return;
            }
        }
    }
}

/// The body of the next request.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let total = end + 4 + length.expect("a length");
            while buffer.len() < total {
                let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
                buffer.extend_from_slice(&chunk[..read]);
            }
            let body = buffer[end + 4..total].to_vec();
            buffer.drain(..total);
            return Some(body);
        }
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        buffer.extend_from_slice(&chunk[..read]);
    }
}
