//! Every statement may fail, in every way; instances and servers die; backups are restored.

mod backup;
mod disk;
mod instances;
mod job;
mod server;
mod table;
