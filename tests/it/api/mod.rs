//! The HTTP side over real sockets, against a real Postgres.

mod attacks;
mod bad_input;
mod batch;
mod bulk;
mod certificate;
mod core;
mod erasure;
mod evidence;
mod idempotency;
mod identity;
pub mod kit;
mod listener;
mod listing;
mod openapi;
mod promises;
mod proofs;
pub mod receipt;
mod remembered;
mod status;
mod token;
