//! The service's one integration test binary: real Postgres, real EVM node, real sockets.

mod api;
mod audit;
mod certificate;
mod chain;
mod child;
mod cli;
mod endpoints;
mod kagesecur;
mod kill;
mod ledger;
mod local_stack;
mod main_job;
mod model;
mod pipeline;
mod publisher;
mod simulation;
mod support;
mod validations;
