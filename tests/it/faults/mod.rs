//! Every statement may fail, in every way; instances and servers die; backups are restored.

mod backup;
mod crash_points;
mod disk;
mod instances;
mod job;
mod server;
mod table;
