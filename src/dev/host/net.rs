//! Ports on the loopback interface.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

/// Refuses when somebody listens on `addr`, naming the address and, where `/proc` tells, the process that holds it.
///
/// # Errors
/// When the address is taken or is not this machine's.
pub fn ensure_free(addr: SocketAddr) -> Result<()> {
    match TcpListener::bind(addr) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match holder(addr.port()) {
            Some((pid, name)) => bail!("{addr} is taken by {name} (pid {pid}): end it or choose another port"),
            None => bail!("{addr} is taken by another process: end it or choose another port"),
        },
        Err(error) => Err(error).with_context(|| format!("cannot listen on {addr}")),
    }
}

/// A port of 127.0.0.1 nobody listens on at this moment. Another process may take it before it is used.
///
/// # Errors
/// When the system gives no port.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// The process that listens on `port`, through the socket's inode in `/proc/net/tcp` and `/proc/<pid>/fd`. Sees other
/// users' processes only as root.
fn holder(port: u16) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
            let listening = *fields.get(3)? == "0A";
            let ours = u16::from_str_radix(local_port, 16) == Ok(port);
            if listening && ours { fields.get(9).map(ToString::to_string) } else { None }
        })
    })?;
    let socket = format!("socket:[{inode}]");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    })
}
