//! The OpenAPI document of the routes that are served, for programs and, as a page, for people. It is made from the list of
//! routes: what a route takes and gives is derived from the types that are read and written.

mod document;
mod nulls;
mod operation;
mod page;
pub mod schema;

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub use self::document::{About, document};
pub use self::operation::Operation;
use super::error::Code;
use super::{etag, routes};

const ABOUT: About = About {
    title: "Sceau",
    description: "Proofs of existence: SHA-256 digests are accepted, sealed in batches, and the roots anchored in registries on \
         blockchains.\n\nEvery error but the token routes' is a problem (RFC 9457); programs decide by `code`. A method that a \
         path does not have is answered 405 with `Allow`.",
    tags: &[
        ("proofs", "Submit digests, and get back what proves them."),
        ("validations", "Documents that others approve before they are sealed."),
        ("events", "Every change of status, read from one log or sent to you."),
        ("public", "What anybody may know: batches, tiles, how the service is doing."),
        ("tokens", "OAuth 2.0 client credentials."),
        ("service", "Health, and these pages."),
    ],
};

const CORE: About = About {
    title: "Sceau core",
    description: "What managers do to the accounts they administer: those they made, and clients that the operator let them \
         administer.\n\nAny other account is as unknown as one that nobody has. Every error but the token routes' is a problem \
         (RFC 9457); programs decide by `code`.",
    tags: &[
        ("accounts", "The accounts a manager administers."),
        ("validations", "Who decides about the documents of a manager and of its clients."),
        ("log", "What was done to them, and how they got in."),
        ("tokens", "OAuth 2.0 client credentials."),
        ("service", "Health, and these pages."),
    ],
};

static CORE_DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&CORE, routes::core()));
static CORE_JSON: LazyLock<String> = LazyLock::new(|| CORE_DOCUMENT.to_string());
static CORE_PAGE: LazyLock<String> = LazyLock::new(|| page::page(&CORE_DOCUMENT));
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&ABOUT, routes::all()));
static JSON: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| page::page(&DOCUMENT));

/// `GET /openapi.json`.
pub async fn json(headers: HeaderMap) -> Response {
    answer(&JSON, "application/json", &headers)
}

/// `GET /openapi.json` of the managers' listener.
pub async fn core_json(headers: HeaderMap) -> Response {
    answer(&CORE_JSON, "application/json", &headers)
}

/// `GET /docs`.
pub async fn page(headers: HeaderMap) -> Response {
    shown(&PAGE, &headers)
}

/// `GET /docs` of the managers' listener.
pub async fn core_page(headers: HeaderMap) -> Response {
    shown(&CORE_PAGE, &headers)
}

fn shown(page: &'static str, headers: &HeaderMap) -> Response {
    let head = [(CONTENT_SECURITY_POLICY, page::policy()), (REFERRER_POLICY, "no-referrer".to_owned())];
    (head, answer(page, "text/html; charset=utf-8", headers)).into_response()
}

fn answer(text: &'static str, media: &'static str, headers: &HeaderMap) -> Response {
    let (tag, same) = etag(text.as_bytes(), headers);
    let head = [(CACHE_CONTROL, "public, max-age=300".to_owned()), (ETAG, tag)];
    if same {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(CONTENT_TYPE, media)], text).into_response()
}

/// Codes by method and path, of both listeners.
static CODES: LazyLock<HashMap<(&'static str, &'static str), Vec<Code>>> = LazyLock::new(|| {
    let told = routes::all().chain(routes::core());
    told.filter_map(|route| Some(((route.method, route.path), operation::codes(route, &route.operation?())))).collect()
});

/// Whether the document says that this route may answer with this problem. Routes that are not in the list are not judged.
#[must_use]
pub fn tells(method: &str, path: &str, code: Code) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    CODES.get(&(method, path)).is_none_or(|codes| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_has_an_operation_with_its_parameters() {
        for (about, routes) in [(ABOUT, routes::all().collect::<Vec<_>>()), (CORE, routes::core().collect())] {
            let mut ids = BTreeSet::new();
            for route in routes {
                let told = route.operation.unwrap_or_else(|| panic!("{} {} has no operation", route.method, route.path))();
                assert!(ids.insert(told.id), "{} is there twice", told.id);
                let parts = route.path.split('{').skip(1).filter_map(|part| part.split('}').next());
                let named: Vec<&str> = parts.map(|name| name.trim_start_matches('*')).collect();
                let listed: Vec<&str> = told.path.iter().map(|parameter| parameter.name).collect();
                assert_eq!(listed, named, "{} {}", route.method, route.path);
                assert!(about.tags.iter().any(|(tag, _)| *tag == told.tag), "{}", told.tag);
                assert!(!told.answers.is_empty(), "{} answers nothing", told.id);
            }
        }
    }

    #[test]
    fn every_code_is_one_of_some_route() {
        // Answers of no route at all, of the KageSecur dialect, and of what lies below the routes.
        let elsewhere = [Code::MethodNotAllowed, Code::AuthenticationFailed, Code::LinkUnknown];
        let told: BTreeSet<&str> = routes::all()
            .chain(routes::core())
            .filter_map(|route| Some(operation::codes(route, &route.operation?())))
            .flatten()
            .chain(elsewhere)
            .map(Code::as_str)
            .collect();
        let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(told, all);
    }

    #[test]
    fn every_parameter_is_explained() {
        for document in [&*DOCUMENT, &*CORE_DOCUMENT] {
            let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
            for parameter in operations.filter_map(|operation| operation["parameters"].as_array()).flatten() {
                assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{parameter}");
            }
        }
    }

    #[test]
    fn references_lead_somewhere() {
        fn visit(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| visit(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| visit(value, found)),
                _ => {}
            }
        }
        for document in [&*DOCUMENT, &*CORE_DOCUMENT] {
            let mut found = BTreeSet::new();
            visit(document, &mut found);
            assert!(!found.is_empty());
            for reference in found {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        }
    }
}
