//! Who may ask, from where, and how often.

mod crowd;
mod limits;
mod networks;
mod pages;
mod rotation;
mod samples;
mod table;
