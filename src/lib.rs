//! Sceau: a proof service anchored on EVM chains.
//!
//! Digests are accepted into a Postgres pool ([`ledger`]), sealed into Merkle batches and anchored in a contract
//! ([`pipeline`], [`chain`]), and handed out as receipts ([`api`]) that the package `sceau-verifier` checks without
//! this service. [`app`] is the only module that knows them all.

pub mod api;
pub mod app;
pub mod audit;
pub mod certificate;
pub mod chain;
pub mod cli;
pub mod config;
pub mod dev;
pub mod ledger;
pub mod metrics;
pub mod pipeline;
pub mod ports;
pub mod recover;
pub mod signing;
pub mod telemetry;
pub mod webhooks;
