//! The command `sceau` from outside: what it prints, how it ends, and what it sends to an API.

mod api;
pub mod command;
mod connect;
mod help;
mod identity;
mod lookup;
mod operate;
mod stack;
mod submit;
