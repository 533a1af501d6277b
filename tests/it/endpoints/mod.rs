//! Endpoints that fail and lie, alone and among others, in front of a real node; and a real node that is not kind.

pub mod bench;
mod drills;
mod faults;
mod judged;
