//! Builds real batches and real chain state in memory.

pub mod batch;
pub mod cases;
pub mod chain;
pub mod decisions;
pub mod forgeries;
pub mod promises;
