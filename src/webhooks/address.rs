//! Where messages may go: public addresses, and what the operator allows beside them.
//!
//! Names are judged by the addresses they resolve to, at the moment of connecting, and the connection goes to one of those
//! very addresses: a name that points elsewhere the next moment leads nowhere.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Longest address of a webhook.
pub const MAX_URL: usize = 2048;

/// What is allowed beside public addresses over TLS.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Plain HTTP.
    pub plain: bool,
    /// Networks that are not public.
    pub networks: Vec<IpNet>,
}

/// Why nothing is sent to an address. The text is for its owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL of the web.
    #[error("not an absolute URL of at most {MAX_URL} characters that begins with https://")]
    Malformed,
    /// It is plain HTTP.
    #[error("webhooks need https://")]
    Plain,
    /// It has a user name or a password in it.
    #[error("put no user name and no password into the URL: messages are signed instead")]
    Credentials,
    /// It is an address that nobody can reach from outside.
    #[error("{0} is not a public address")]
    NotPublic(IpAddr),
    /// Every address of the name is one that nobody can reach from outside.
    #[error("the name has no public address")]
    NoPublic,
}

impl Allowed {
    /// Reads where a webhook is to go, and refuses what can be refused without asking for the name.
    ///
    /// # Errors
    /// [`Refused`]. All the ways to write an IPv4 address are known: URLs have one reading (WHATWG URL §3.5).
    pub fn url(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > MAX_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Refused::Malformed);
        }
        let url = Url::parse(text).map_err(|_| Refused::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if self.plain => {}
            "http" => return Err(Refused::Plain),
            _ => return Err(Refused::Malformed),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Refused::Malformed)?;
        match literal(host) {
            Some(address) if !self.lets_out(address) => Err(Refused::NotPublic(address)),
            _ => Ok(url),
        }
    }

    /// Whether messages may go to `address`.
    #[must_use]
    pub fn lets_out(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// A host that is an address, as a URL prints it.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether the address is one of the public Internet: by IANA's registries of special-purpose addresses, and for IPv6 only
/// what is global unicast and carries no IPv4 address that a gateway would unpack.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // 2000::/3, without protocol assignments with Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20) and 6to4
    // (2002::/16).
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x2002 && !(a == 0x3fff && b < 0x1000)
}

/// Asks for the addresses of a name.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// All of them.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's way.
#[derive(Debug)]
pub struct System;

impl Lookup for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// Resolves names to those of their addresses that are allowed.
#[derive(Debug)]
pub(super) struct Guarded {
    pub lookup: Arc<dyn Lookup>,
    pub allowed: Arc<Allowed>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allowed) = (self.lookup.addresses(name.as_str().to_owned()), Arc::clone(&self.allowed));
        Box::pin(async move {
            let found: Vec<SocketAddr> = found
                .await?
                .into_iter()
                .filter(|address| allowed.lets_out(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if found.is_empty() {
                return Err(Refused::NoPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "203.0.112.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "2003::1",
            "3ffe::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn urls_have_one_reading_however_they_are_written() {
        let strict = Allowed::default();
        let not_public = |text: &str| matches!(strict.url(text), Err(Refused::NotPublic(_)));
        for text in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://017700000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://0/",
            "https://0.0.0.0:8443/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://%31%32%37.0.0.1/",
            "https://１２７.0.0.1/",
            "https:127.0.0.1/",
            "https:\\\\10.0.0.1\\",
        ] {
            assert!(not_public(text), "{text}: {:?}", strict.url(text));
        }
        for text in [
            "",
            "x",
            "/a",
            "//a.example/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https://[::1",
            "https://a b.example/",
            "https://a.example/\n",
            "https://999.1.1.1.1/",
        ] {
            assert_eq!(strict.url(text), Err(Refused::Malformed), "{text}");
        }
        assert_eq!(strict.url(&format!("https://a.example/{}", "a".repeat(MAX_URL))), Err(Refused::Malformed));
        assert_eq!(strict.url("http://a.example/"), Err(Refused::Plain));
        assert_eq!(strict.url("https://me:secret@a.example/"), Err(Refused::Credentials));
        assert_eq!(strict.url("https://8.8.8.8@127.0.0.1/"), Err(Refused::Credentials));
        for text in ["https://a.example/hook?x=1", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/", "https://localhost/"] {
            assert!(strict.url(text).is_ok(), "{text}: names are judged when they are resolved");
        }
        let open = Allowed { plain: true, networks: vec!["127.0.0.0/8".parse().unwrap()] };
        assert!(open.url("http://127.0.0.1:8080/").is_ok() && open.url("http://[::ffff:127.0.0.1]/").is_ok());
        assert!(open.url("http://10.0.0.1/").is_err());
    }
}
