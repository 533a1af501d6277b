//! What tests share: one Postgres cluster for the whole run, a database and a node of its own for each test that asks.
//!
//! Nothing needs cleaning up: databases go with their handle, servers and folders with this process, however it ends.

// Each test module uses its part.
#![allow(dead_code, unused_imports)]

mod anvil;
mod database;
pub mod instance;
pub mod load;
pub mod metrics;
pub mod postgres_proxy;
pub mod process;
pub mod rpc;
pub mod service;

pub use anvil::{Anvil, anvil, anvil_with};
pub use database::{Database, bare_database, database};

/// Where long steps are told: cargo shows it when a test fails.
pub fn progress(line: &str) {
    eprintln!("{line}");
}

/// A rustls provider must be installed once before the first HTTPS client or server.
pub fn crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
