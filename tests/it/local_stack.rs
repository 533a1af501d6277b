//! Postgres, node, ports and certificate of the local stack.

mod anvil;
mod cert;
mod ports;
mod postgres;
mod tools;
