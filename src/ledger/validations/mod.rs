//! Tables `validators`, `validations` and `decisions`: documents that wait for somebody's word before they are sealed.
//!
//! A document that waits is durable but no proof and in no pool. The last approval it needs puts it into the pool; one
//! refusal ends the round. Each decision is a statement whose digest enters the pool with it, in the same transaction,
//! as a proof of the document's owner.

pub mod audit;
mod decide;
pub mod members;
mod together;
mod view;
mod wait;

use sceau_verifier::decision::Choice;
use sceau_verifier::{Digest, Salt};
use time::OffsetDateTime;
use uuid::Uuid;

pub use self::decide::Decided;
pub use self::wait::{Asked, Request, Rounds, Waiting};
use super::accounts::AccountId;
use super::intake::Detail;
use super::{LedgerError, Result};

/// How a document stands with its validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ValidationState")]
pub enum State {
    /// Decisions are missing.
    Awaiting,
    /// A validator refused it. It is in no pool; it may be submitted for another round.
    Refused,
    /// Approved, and a proof since.
    Accepted,
}

impl State {
    /// The word stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awaiting => "awaiting",
            Self::Refused => "refused",
            Self::Accepted => "accepted",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        [Self::Awaiting, Self::Refused, Self::Accepted]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| LedgerError::Damaged(format!("state of a validation {word:?}")))
    }
}

/// One round of validation of one document.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Names it outside.
    pub id: Uuid,
    /// Whose document it is.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// SHA-256 of the document.
    pub digest: Digest,
    /// The salt of its entry, for the owner alone.
    pub salt: Salt,
    /// What the submitter said about it.
    pub detail: Detail,
    /// How it stands.
    pub state: State,
    /// Approvals it needs.
    pub approvals_needed: u32,
    /// Database time of its submission.
    pub received_at: OffsetDateTime,
    /// When it was refused or accepted.
    pub settled_at: Option<OffsetDateTime>,
    /// What was decided, in order of time.
    pub decisions: Vec<Decision>,
}

impl Validation {
    /// Approvals there are.
    #[must_use]
    pub fn approvals(&self) -> u32 {
        self.decisions.iter().map(|decision| u32::from(decision.choice == Choice::Approved)).sum()
    }
}

/// What one validator decided.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Who.
    pub validator: AccountId,
    /// That account's name.
    pub validator_name: String,
    /// What.
    pub choice: Choice,
    /// What was said beside it; empty when nothing.
    pub comment: String,
    /// Database time of the decision.
    pub decided_at: OffsetDateTime,
    /// The exact statement that is sealed.
    pub statement: String,
    /// Its SHA-256: a proof of the document's owner.
    pub digest: Digest,
}

fn choice(word: &str) -> Result<Choice> {
    [Choice::Approved, Choice::Refused]
        .into_iter()
        .find(|choice| choice.as_str() == word)
        .ok_or_else(|| LedgerError::Damaged(format!("decision {word:?}")))
}

/// A count of approvals as stored; the schema keeps it small and positive.
fn few(count: i64) -> Result<u32> {
    u32::try_from(count).map_err(|_| LedgerError::Damaged(format!("{count} approvals")))
}
