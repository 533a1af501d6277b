//! What anybody may see: whether the service lives and how it does, what a problem means, how a certificate is checked.

pub(super) mod check;
pub mod health;
pub(super) mod operations;
pub mod overview;
pub(super) mod problems;
