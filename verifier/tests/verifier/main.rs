//! One binary for all integration tests: linking is most of the cost.

mod certificate;
mod command;
mod common;
mod evidence;
mod many;
mod node;
mod promise;
mod receipt;
mod support;
mod tree;
mod vectors;
