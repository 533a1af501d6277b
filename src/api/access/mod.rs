//! Who asks: from where, with which token or secret, as which account, and how often it may. Which routes ask for what is said in
//! [`routes`](super::routes).

pub mod caller;
pub mod journal;
pub mod limit;
pub mod peer;
pub mod secret;
pub mod token;
