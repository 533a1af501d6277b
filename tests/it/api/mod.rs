//! The HTTP side over real sockets, against a real Postgres.

mod attacks;
mod bad_input;
mod batch;
mod certificate;
mod core;
mod evidence;
mod identity;
pub mod kit;
mod listener;
mod openapi;
mod promises;
mod proofs;
pub mod receipt;
mod status;
mod token;
