//! Requests and refusals, counted. Labels have a bounded number of values: routes, not paths; known methods only.

use axum::http::{Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Histograms by one label.
type Times = Family<[(&'static str, String); 1], Histogram, fn() -> Histogram>;

/// Counters of one router. Cloning gives another hold on the same.
#[derive(Debug, Clone)]
pub struct Traffic {
    requests: Family<[(&'static str, String); 3], Counter>,
    seconds: Times,
    under_way: Gauge,
    problems: Family<[(&'static str, &'static str); 1], Counter>,
    tokens: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.5, 11))),
            under_way: Gauge::default(),
            problems: Family::default(),
            tokens: Family::default(),
        }
    }
}

/// Why no token was given, or one was not taken; rides on a response for whoever counts.
#[derive(Debug, Clone, Copy)]
pub struct TokenFailure(pub &'static str);

/// A request under way; counted as such until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Traffic {
    /// Names all of it in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register("http_requests_under_way", "Requests that are being answered", self.under_way.clone());
        registry.register("http_problems", "Answers that were problems, by code", self.problems.clone());
        let help = "Tokens not given, and tokens not taken, by reason";
        registry.register("token_failures", help, self.tokens.clone());
    }

    /// A request begins.
    #[must_use]
    pub fn begin(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, method: &Method, status: StatusCode, seconds: f64) {
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let labels = [("route", route.to_owned()), ("method", method.to_owned()), ("status", status.as_u16().to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&[("route", route.to_owned())]).observe(seconds);
    }

    /// An answer was this problem.
    pub fn problem(&self, code: &'static str) {
        self.problems.get_or_create(&[("code", code)]).inc();
    }

    /// A token was not given or not taken.
    pub fn token(&self, failure: TokenFailure) {
        self.tokens.get_or_create(&[("reason", failure.0)]).inc();
    }
}
