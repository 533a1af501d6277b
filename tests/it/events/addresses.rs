//! Where webhooks do not lead, whatever a name, a redirect or the environment says.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sceau::webhooks::address::{Allowed, Lookup};
use sceau::webhooks::post::{Message, Post};

use super::open;
use super::receiver::{Act, Receiver};

/// Answers what it is told to, one answer a question; the last one for ever.
#[derive(Debug)]
struct Names(Mutex<VecDeque<Vec<IpAddr>>>, Mutex<Vec<String>>);

impl Names {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
        Arc::new(Self(Mutex::new(answers.collect()), Mutex::default()))
    }
}

impl Lookup for Names {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.1.lock().unwrap().push(name);
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers.front().cloned().unwrap_or_default() };
        Box::pin(async move {
            if answer.is_empty() { Err(io::Error::other("failed to lookup address information")) } else { Ok(answer) }
        })
    }
}

async fn send(allowed: &Arc<Allowed>, names: &Arc<Names>, url: &str) -> (Option<u16>, Option<&'static str>) {
    let names: Arc<dyn Lookup> = Arc::<Names>::clone(names);
    let post = Post::new(Arc::clone(allowed), names, Duration::from_secs(2)).unwrap();
    let outcome = post.send(Message { url, id: "evt_1", timestamp: 1, signature: "v1,x", body: b"{}".to_vec() }).await;
    (outcome.status, outcome.error)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_private_addresses_lead_nowhere() {
    let receiver = Receiver::new([]).await;
    let port = receiver.address.port();
    // Plain, so that a connection that is made would be seen by the receiver.
    let strict = Arc::new(Allowed { plain: true, networks: Vec::new() });
    for private in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "fd00::1",
        "fe80::1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
        "::",
        "2002:7f00:1::",
        "224.0.0.1",
    ] {
        let names = Names::of(&[&[private]]);
        let url = format!("http://harmless.example:{port}/hook");
        assert_eq!(send(&strict, &names, &url).await, (None, Some("address_refused")), "{private}");
        assert_eq!(*names.1.lock().unwrap(), ["harmless.example"]);
    }
    let names = Names::of(&[&["127.0.0.1"]]);
    for literal in ["127.0.0.1", "0x7f000001", "2130706433", "127.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "0"] {
        let url = format!("http://{literal}:{port}/hook");
        assert_eq!(send(&strict, &names, &url).await, (None, Some("address_refused")), "{literal}");
    }
    assert!(names.1.lock().unwrap().is_empty(), "addresses are not asked for");
    assert_eq!(send(&strict, &names, &format!("http://localhost:{port}/hook")).await, (None, Some("address_refused")));
    assert_eq!(receiver.got().len(), 0, "nobody was connected to");
    // The same with leave to.
    assert_eq!(send(&open(), &names, &format!("http://harmless.example:{port}/hook")).await, (Some(204), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_connected_to_is_what_was_checked() {
    let receiver = Receiver::new([]).await;
    let port = receiver.address.port();
    let url = format!("http://rebinding.example:{port}/hook");
    // Public when it is looked at, private when it is connected to: there is one look only.
    let strict = Arc::new(Allowed { plain: true, networks: Vec::new() });
    let names = Names::of(&[&["192.0.2.1"], &["127.0.0.1"]]);
    for _ in 0..3 {
        assert_eq!(send(&strict, &names, &url).await, (None, Some("address_refused")));
    }
    // Of several the private ones are left out: a documentation network stands for the public one, and nobody answers there.
    let half = Arc::new(Allowed { plain: true, networks: vec!["192.0.2.0/24".parse().unwrap()] });
    let (status, error) = send(&half, &Names::of(&[&["127.0.0.1", "192.0.2.1"]]), &url).await;
    assert!(status.is_none() && matches!(error, Some("timeout" | "connect")), "{error:?}");
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_nowhere_and_plain_needs_leave() {
    let secret = Receiver::new([]).await;
    let receiver = Receiver::new([Act::Redirect(secret.url()), Act::Redirect("//127.0.0.1/".into())]).await;
    let names = Names::of(&[]);
    for _ in 0..2 {
        assert_eq!(send(&open(), &names, &receiver.url()).await, (Some(302), Some("redirect")));
    }
    assert_eq!(secret.got().len(), 0);
    let tls = Arc::new(Allowed { plain: false, networks: vec!["127.0.0.0/8".parse().unwrap()] });
    assert_eq!(send(&tls, &names, &receiver.url()).await, (None, Some("address_refused")));
    // Whoever speaks no TLS there is told so.
    let (status, error) = send(&tls, &names, &receiver.url().replace("http:", "https:")).await;
    assert!(status.is_none() && matches!(error, Some("tls" | "connect" | "closed" | "timeout")), "{error:?}");
    assert_eq!(send(&open(), &names, "http://nowhere.example/hook").await, (None, Some("dns")));
}
