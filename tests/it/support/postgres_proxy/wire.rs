//! As much of Postgres' protocol 3.0 as tells which statement a message executes.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

const SSL_REQUEST: u32 = 80_877_103;
/// Longer messages are no messages.
const LONGEST: usize = 256 << 20;

/// Reads the first message of a connection, refusing TLS on the way.
pub async fn startup(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    loop {
        let mut bytes = vec![0; 8];
        client.read_exact(&mut bytes).await?;
        let length = length(&bytes[..4])?;
        if u32::from_be_bytes(bytes[4..8].try_into().expect("four bytes")) == SSL_REQUEST {
            client.write_all(b"N").await?;
            continue;
        }
        bytes.resize(length.max(8), 0);
        client.read_exact(&mut bytes[8..]).await?;
        return Ok(bytes);
    }
}

/// Reads until the other side is gone.
pub async fn drain(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while from.read(&mut bytes).await? > 0 {}
    Ok(())
}

pub async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

fn length(bytes: &[u8]) -> std::io::Result<usize> {
    let length = u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize;
    if (4..LONGEST).contains(&length) { Ok(length) } else { Err(std::io::Error::other("no message of Postgres")) }
}

/// Whole messages.
pub struct Reader(tokio::io::BufReader<OwnedReadHalf>);

impl Reader {
    pub fn new(half: OwnedReadHalf) -> Self {
        Self(tokio::io::BufReader::new(half))
    }

    /// The next message: its kind, and all its bytes.
    pub async fn message(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut bytes = vec![0; 5];
        self.0.read_exact(&mut bytes).await?;
        let length = length(&bytes[1..5])?;
        bytes.resize(1 + length, 0);
        self.0.read_exact(&mut bytes[5..]).await?;
        Ok((bytes[0], bytes))
    }

    pub async fn drain(&mut self) -> std::io::Result<()> {
        drain(&mut self.0).await
    }
}

/// The prepared statements and portals of a connection.
#[derive(Default)]
pub struct Heard {
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, String>,
}

impl Heard {
    /// Everything up to the next message that makes the server answer, and the statements it executes.
    pub async fn group(&mut self, reader: &mut Reader) -> std::io::Result<(Vec<u8>, Vec<String>)> {
        let (mut all, mut executed) = (Vec::new(), Vec::new());
        loop {
            let (kind, message) = reader.message().await?;
            let mut parts = message[5..].split(|byte| *byte == 0).map(<[u8]>::to_vec);
            let mut part = || parts.next().unwrap_or_default();
            match kind {
                b'P' => {
                    let (name, text) = (part(), part());
                    self.statements.insert(name, shown(&text));
                }
                b'B' => {
                    let (portal, statement) = (part(), part());
                    let text = self.statements.get(&statement).cloned().unwrap_or_default();
                    self.portals.insert(portal, text);
                }
                b'E' => executed.push(self.portals.get(&part()).cloned().unwrap_or_default()),
                b'Q' => executed.push(shown(&part())),
                _ => {}
            }
            all.extend_from_slice(&message);
            // Sync, query, flush, terminate, a password, and what belongs to COPY: each by itself.
            if matches!(kind, b'S' | b'Q' | b'H' | b'X' | b'p' | b'd' | b'c' | b'f') {
                return Ok((all, executed));
            }
        }
    }
}

/// A statement's text on one line, with its numbers left out: one of them is a batch's.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words = text.split_whitespace().map(|word| {
        if word.bytes().all(|byte| byte.is_ascii_digit())
            || word.ends_with(')') && word[..word.len() - 1].bytes().all(|b| b.is_ascii_digit()) && word.len() > 1
        {
            word.replace(|letter: char| letter.is_ascii_digit(), "")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
