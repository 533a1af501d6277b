//! The chain module against a real EVM node, and against nodes that misbehave.

mod anchoring;
mod endpoints;
mod evidence;
mod lies;
mod node;
mod scripted;
mod sending;
