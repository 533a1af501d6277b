//! Conditional requests (RFC 9110 §13): whether the client has the representation already.

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Whether `If-None-Match` names `tag`. Compared weakly, as the RFC wants it there.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    given.map(bare).any(|value| value == bare(tag) || value == "*")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let given = |text: &'static str| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(text))]);
        for (text, known) in
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("a", false), ("", false)]
        {
            assert_eq!(has(&given(text), "\"a\""), known, "{text}");
            assert_eq!(has(&given(text), "W/\"a\""), known, "{text}");
        }
        assert!(!has(&HeaderMap::new(), "\"a\""));
    }
}
