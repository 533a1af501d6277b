//! The service's one integration test binary: real Postgres, real EVM node, real sockets.

mod api;
mod chain;
mod child;
mod cli;
mod ledger;
mod local_stack;
mod main_job;
mod pipeline;
mod support;
