//! The chain module against a real EVM node, and against nodes that misbehave.

mod anchoring;
mod endpoints;
mod evidence;
mod node;
mod sending;
