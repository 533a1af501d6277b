//! The hops that proxies wrote down: `Forwarded` (RFC 7239) and `X-Forwarded-For`. Parsing only; whom to believe is
//! decided one level up.

use std::net::{IpAddr, SocketAddr};

/// One hop: an address, or something that is none (`unknown`, a hidden name, nonsense).
pub type Hop = Option<IpAddr>;

/// The hops of `X-Forwarded-For`, in the order they were written. Addresses may have a port.
#[must_use]
pub fn x_forwarded_for(value: &str) -> Vec<Hop> {
    value.split(',').map(|hop| node(hop.trim_matches([' ', '\t']))).collect()
}

/// The `for` of each element of `Forwarded`, in the order they were written; `None` when the field is malformed.
#[must_use]
pub fn forwarded(value: &str) -> Option<Vec<Hop>> {
    let mut rest = value;
    let mut hops = Vec::new();
    loop {
        let mut hop = None;
        let mut named = false;
        loop {
            rest = blank(rest);
            // RFC 7239 §4: pairs may be empty between semicolons.
            if !rest.is_empty() && !rest.starts_with([';', ',']) {
                let (name, after) = token(rest)?;
                let after = after.strip_prefix('=')?;
                let (value, after) = if after.starts_with('"') {
                    quoted(after)?
                } else {
                    token(after).map(|(value, after)| (value.to_owned(), after))?
                };
                if name.eq_ignore_ascii_case("for") {
                    if named {
                        return None;
                    }
                    (hop, named) = (node(&value), true);
                }
                rest = blank(after);
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        hops.push(hop);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(hops),
        }
    }
}

/// An address, alone or with a port; version 6 with or without brackets. Version 4 written as version 6 is version 4.
fn node(text: &str) -> Hop {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// RFC 9110 §5.6.2.
fn token(text: &str) -> Option<(&str, &str)> {
    let ends = |byte: u8| !(byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    // Not RFC 7239, but many proxies write ports and version 6 without the quotes it wants.
    let end = text.bytes().position(|byte| ends(byte) && !matches!(byte, b':' | b'[' | b']')).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// RFC 9110 §5.6.4.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('"')?.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Hop {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_examples_of_rfc_7239() {
        for (value, hops) in [
            ("for=\"_gazonk\"", vec![None]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![address("2001:db8:cafe::17")]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![address("192.0.2.60")]),
            ("for=192.0.2.43, for=198.51.100.17", vec![address("192.0.2.43"), address("198.51.100.17")]),
            ("for=_hidden, for=_SEVKISEK", vec![None, None]),
            ("for=unknown", vec![None]),
            ("by=1.2.3.4", vec![None]),
            ("for=\"192.0.2.1, 10.0.0.1\"", vec![None]),
            ("for=192.0.2.1:80;;proto=\"a\\\"b\"", vec![address("192.0.2.1")]),
            ("for=[::1]", vec![address("::1")]),
            ("", vec![None]),
        ] {
            assert_eq!(forwarded(value), Some(hops), "{value}");
        }
        for value in
            ["for", "for=", "for=\"1.2.3.4", "for=1.2.3.4 x", "=1", "for=1.2.3.4;for=4.3.2.1", "for =1.2.3.4", "for=\"a\\"]
        {
            assert_eq!(forwarded(value), None, "{value}");
        }
    }

    #[test]
    fn what_proxies_write_into_x_forwarded_for() {
        let hops = x_forwarded_for("192.0.2.1:4711,\t[2001:db8::1]:80 , 2001:db8::2, ::ffff:192.0.2.9, unknown,, 192.0.2.300");
        let expected = ["192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.9"].map(address);
        assert_eq!(hops[..4], expected);
        assert_eq!(hops[4..], [None, None, None]);
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(value in ".{0,80}") {
            let _ = (forwarded(&value), x_forwarded_for(&value));
        }

        #[test]
        fn nothing_near_the_grammar_makes_them_panic(value in "[for=\"\\\\;,:\\[\\]0-9a-f. _]{0,60}") {
            let _ = (forwarded(&value), x_forwarded_for(&value));
        }

        /// What is written by the rules is read back, whatever the case of `for` and whether quoted or not.
        #[test]
        fn what_is_written_is_read(hops in prop::collection::vec((any::<IpAddr>(), any::<Option<u16>>(), any::<bool>()), 1..6)) {
            let texts: Vec<String> = hops.iter().map(|(address, port, _)| match port {
                Some(port) => SocketAddr::new(*address, *port).to_string(),
                None if address.is_ipv6() => format!("[{address}]"),
                None => address.to_string(),
            }).collect();
            let expected: Vec<Hop> = hops.iter().map(|(address, ..)| Some(address.to_canonical())).collect();
            prop_assert_eq!(&x_forwarded_for(&texts.join(", ")), &expected);
            let elements: Vec<String> = texts.iter().zip(&hops).map(|(text, (.., loud))| {
                if *loud { format!("By=_x;FOR=\"{text}\"") } else { format!("for=\"{text}\";proto=https") }
            }).collect();
            prop_assert_eq!(forwarded(&elements.join(" , ")), Some(expected));
        }

        /// What a client wrote itself stands left of what the proxy adds, whatever it is: it never changes the last hop.
        #[test]
        fn a_client_cannot_reach_the_last_hop(lie in "[ -~]{0,60}", truth in any::<IpAddr>()) {
            let hops = x_forwarded_for(&format!("{lie}, {truth}"));
            prop_assert_eq!(hops.last().copied().flatten(), Some(truth.to_canonical()));
            // Of `Forwarded` an unfinished quote may swallow it: then the field is malformed, not another address.
            let node = SocketAddr::new(truth, 1);
            if let Some(hops) = forwarded(&format!("{lie}, for=\"{node}\"")) {
                prop_assert_eq!(hops.last().copied().flatten(), Some(truth.to_canonical()));
            }
        }
    }
}
