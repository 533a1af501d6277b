//! What the benches share: a Postgres of their own, the service and its peers on loopback, a load generator, a report.

pub mod load;
pub mod report;
pub mod server;
