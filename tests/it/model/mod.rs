//! A small EVM-like chain in memory: blocks, a transaction pool, reorgs, fees, finality, and the registry's rules.
//!
//! It makes no tries, so its evidence is a dummy that no verifier accepts; everything else answers as a node would,
//! kindly or not.

mod answers;
mod node;
mod peer;
mod rng;
mod world;

pub use node::{Crash, Model, Moods};
pub use peer::Peer;
pub use rng::Rng;
pub use world::{Fate, World};
