//! The command `sceau` from outside: what it prints, how it ends, and what it sends to an API.

mod api;
mod command;
mod connect;
mod help;
mod lookup;
mod operate;
mod stack;
mod submit;

/// A real Postgres and a real node, as the service's own tests have them.
#[allow(unused_imports, reason = "each binary uses its part")]
#[path = "../it/support/mod.rs"]
mod support;
