//! The service's one integration test binary: real Postgres, real EVM node, real sockets.

mod child;
mod local_stack;
mod support;
