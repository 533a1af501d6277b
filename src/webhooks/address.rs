//! Where messages may go: public addresses, and what the operator allows beside them.
//!
//! Names are judged by the addresses they resolve to, at the moment of connecting, and the connection goes to one of those
//! very addresses: a name that points elsewhere the next moment leads nowhere.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::public::is_public;

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
