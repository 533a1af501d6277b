//! Every statement may fail, in every way; instances and servers die; backups are restored.

mod job;
mod table;
