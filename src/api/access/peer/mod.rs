//! Where a request comes from.

mod forwarded;

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::FORWARDED;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use self::forwarded::Hop;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: that of the socket, or when the socket's peer is one of `trusted`, the right-most hop that is
/// none of them. `None` when that is not an address, when both fields are there and disagree, or when the socket is not
/// known: then nobody knows, and a list of allowed networks lets nobody in.
#[must_use]
pub fn address(parts: &Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    behind(peer.ip().to_canonical(), &parts.headers, trusted)
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    if !within(peer, trusted) {
        return Some(peer);
    }
    // A proxy that writes one of the fields passes the other on as the client sent it.
    match (joined(headers, &FORWARDED), joined(headers, &X_FORWARDED_FOR)) {
        (None, None) => Some(peer),
        (Some(one), None) => nearest(&forwarded::forwarded(&one?)?, trusted),
        (None, Some(other)) => nearest(&forwarded::x_forwarded_for(&other?), trusted),
        (Some(one), Some(other)) => {
            let one = nearest(&forwarded::forwarded(&one?)?, trusted)?;
            let other = nearest(&forwarded::x_forwarded_for(&other?), trusted)?;
            (one == other).then_some(one)
        }
    }
}

/// The last hop that is no proxy of ours; when all are, the first.
fn nearest(hops: &[Hop], trusted: &[IpNet]) -> Hop {
    let stranger = hops.iter().rev().find(|hop| hop.is_none_or(|address| !within(address, trusted)));
    *stranger.or(hops.first())?
}

/// All lines of a field as one (RFC 9110 §5.3); the inner `None` for bytes that are no text.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Option<String>> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.into_iter().collect::<Option<Vec<_>>>().map(|lines| lines.join(",")))
}

/// Whether `address` is in one of `networks`, with version 4 written as version 6 taken for version 4 on both sides.
#[must_use]
pub fn within(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Whether an account with this list may ask from `address`; without a list it may from anywhere, and from an address nobody
/// knows only then.
#[must_use]
pub fn lets_in(networks: Option<&[IpNet]>, address: Option<IpAddr>) -> bool {
    networks.is_none_or(|networks| address.is_some_and(|address| within(address, networks)))
}

/// Reads a network: an address, or an address with the length of its prefix. Bits behind the prefix must be zero, as a
/// typing error there would let others in; version 4 written as version 6 becomes version 4.
///
/// # Errors
/// One sentence.
pub fn network(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("{text:?} is no network: write 192.0.2.0/24, 2001:db8::/32, or one address");
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| wrong())?,
    };
    let network = match network {
        IpNet::V6(six) => match (six.addr().to_ipv4_mapped(), six.prefix_len().checked_sub(96)) {
            (Some(four), Some(length)) => IpNet::new(four.into(), length).map_err(|_| wrong())?,
            _ => network,
        },
        IpNet::V4(_) => network,
    };
    if network.trunc() != network {
        return Err(format!("{text} has bits behind its prefix; did you mean {}?", network.trunc()));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(peer: &str, fields: &[(&HeaderName, &str)], trusted: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|text| network(text).unwrap()).collect();
        behind(peer.parse::<IpAddr>().unwrap().to_canonical(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let (x, f) = (&X_FORWARDED_FOR, &FORWARDED);
        let ours = &["10.0.0.0/8", "fd00::/8"][..];
        for (peer, fields, address) in [
            ("192.0.2.1", vec![(x, "1.1.1.1"), (f, "for=1.1.1.1")], Some("192.0.2.1")),
            ("10.0.0.1", vec![], Some("10.0.0.1")),
            ("10.0.0.1", vec![(x, "192.0.2.7")], Some("192.0.2.7")),
            ("::ffff:10.0.0.1", vec![(x, "::ffff:192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "1.1.1.1, 192.0.2.7, 10.2.2.2")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "1.1.1.1"), (x, "192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "192.0.2.7, unknown, 10.2.2.2")], None),
            ("10.0.0.1", vec![(x, "nonsense, 192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "")], None),
            ("10.0.0.1", vec![(x, "10.3.3.3, 10.2.2.2")], Some("10.3.3.3")),
            ("fd00::1", vec![(f, "for=1.1.1.1, for=\"[2001:db8::1]:99\";by=_x")], Some("2001:db8::1")),
            ("10.0.0.1", vec![(f, "for=192.0.2.7"), (x, "192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(f, "for=1.1.1.1"), (x, "192.0.2.7")], None),
            ("10.0.0.1", vec![(f, "for=1.1.1.1;;;\""), (x, "192.0.2.7")], None),
        ] {
            assert_eq!(found(peer, &fields, ours).as_deref(), address, "{peer} {fields:?}");
        }
        assert_eq!(found("10.0.0.1", &[(x, "192.0.2.7")], &[]).as_deref(), Some("10.0.0.1"), "nobody is believed by default");
    }

    #[test]
    fn networks_are_read_strictly() {
        for (text, read) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        for text in
            ["", "192.0.2.0/33", "192.0.2.7/24", "2001:db8::1/32", "192.0.2", "example.org", "192.0.2.0/", "192.0.2.0-192.0.2.9"]
        {
            assert!(network(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// Whatever a client says, behind proxies of ours that each add their peer, it is found at its own address.
        #[test]
        fn a_client_cannot_move(lies in prop::collection::vec("[ -~]{0,30}", 0..3), client in any::<[u8; 4]>(), proxies in 0_u8..4) {
            let client = IpAddr::from(client);
            prop_assume!(!within(client, &[network("10.0.0.0/8").unwrap()]));
            let chain = (0..proxies).map(|number| format!("10.0.0.{number}"));
            let hops: Vec<String> = lies.into_iter().chain([client.to_string()]).chain(chain).collect();
            prop_assert_eq!(found("10.9.9.9", &[(&X_FORWARDED_FOR, &hops.join(", "))], &["10.0.0.0/8"]), Some(client.to_string()));
        }

        #[test]
        fn an_address_is_in_its_own_network(address in any::<IpAddr>()) {
            let own = network(&address.to_string()).unwrap();
            prop_assert!(within(address, &[own]));
            prop_assert!(within(address, &[IpNet::new(address.to_canonical(), 1).unwrap().trunc()]));
        }
    }
}
