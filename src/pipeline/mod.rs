//! pipeline
pub mod schedule;
