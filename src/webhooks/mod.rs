//! Events sent to where accounts want them, as Standard Webhooks (specification 1.0.0) has it: one message a request,
//! signed, at least once, in the order of the log.
//!
//! Runs beside the API, which is what speaks with partners, with a key that the API's pepper gives.

pub mod address;
pub mod post;
mod public;
pub mod secret;
pub mod sender;
