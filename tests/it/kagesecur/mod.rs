//! The KageSecur dialect, spoken by a client written from its published page alone.

mod kit;
mod limits;
mod listed;
mod outcomes;
mod privacy;
mod token;
mod validation;
