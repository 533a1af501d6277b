//! What a batch is made of: digests, entries, the header and the one notation of time they use.

pub mod decision;
pub mod digest;
pub mod entry;
pub mod header;
pub mod utc;
