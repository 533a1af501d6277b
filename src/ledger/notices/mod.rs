//! What became of proofs and documents, told: tables `changes`, `account_events`, `webhooks` and `webhook_deliveries`.
//!
//! A change is written by triggers in the transaction that makes it, so none is missed, not even one that was taken back
//! before anybody looked. One step of the pipeline then appends it to the log of every account it concerns. What is told of
//! a batch is one event an account, however many proofs it has there: a range of their running numbers.

mod changes;
mod deliveries;
mod log;
mod sending;
mod webhooks;

pub(super) use self::changes::forget_batches;
pub use self::deliveries::Delivery;
pub use self::log::{Digests, Event, Kind, Page, Subject};
pub use self::sending::{Claim, Outcome, Verdict};
pub use self::webhooks::{MOST_WEBHOOKS, NewWebhook, State, Webhook, WebhookError};
