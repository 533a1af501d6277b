//! The numbered steps of SPEC.md §4 and what they answer.

pub mod common;
pub mod decisions;
mod passed;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod verdict;
pub mod verify;
