//! The service's one integration test binary: real Postgres, real EVM node, real sockets.

mod api;
mod audit;
mod certificate;
mod chain;
mod child;
mod cli;
mod delay;
mod endpoints;
mod events;
mod faults;
mod kagesecur;
mod kill;
mod ledger;
mod local_stack;
mod main_job;
mod model;
mod modes;
mod outage;
mod pipeline;
mod publisher;
mod several;
mod simulation;
mod streams;
mod support;
mod validations;
