//! Why the ledger could not do what was asked.

use sqlx::postgres::PgDatabaseError;

use super::accounts::AccountId;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed or refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migrating the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row was not in the state the caller expected: somebody else moved it first. Nothing was changed.
    #[error("{what} is not in the expected state; somebody else moved it first")]
    Moved {
        /// What the row is.
        what: &'static str,
    },
    /// The lease was taken over by another instance. Nothing was changed.
    #[error("lease \"{name}\" was taken over by another instance")]
    LeaseLost {
        /// The lease's name.
        name: String,
    },
    /// The account has used up its digests of the day. Nothing was stored.
    #[error("the account has no digests left for today")]
    OverQuota(AccountId),
    /// Stored data that cannot be: changed behind our back or damaged.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The schema is not the one this version was built for.
    #[error("the database's schema is {0}")]
    Schema(&'static str),
    /// A digest waits for its validators, or was refused by one, and was submitted past them. Nothing was stored.
    #[error("a digest waits for its validators, or was refused by one")]
    Held,
    /// The account has fewer validators than it wants approvals. Nothing was stored.
    #[error("the account has fewer validators than approvals are needed")]
    TooFewValidators,
    /// The terms sent along are not for the time it is in the database, which is answered. Nothing was stored.
    #[error("what is promised now was asked of a clock that is not the database's, where it is {0}")]
    OtherTime(time::OffsetDateTime),
    /// The server would lose acknowledged proofs in a crash.
    #[error("the database would lose acknowledged proofs: {setting} is {value}; set it to \"on\" and restart Postgres")]
    NotDurable {
        /// Name of the server setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

impl LedgerError {
    /// Why a submission was not acknowledged, in one word for counting.
    pub(in crate::ledger) const fn reason(&self) -> &'static str {
        if matches!(self, Self::OverQuota(_)) { "quota" } else { "database" }
    }

    /// An error of the database, with the codes that our own functions raise told apart.
    pub(super) fn from_sql(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("SC001") => Self::Held,
            Some("SC002") => Self::TooFewValidators,
            Some("SC003") => {
                let now = detail(&error)
                    .and_then(|micros: i64| time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok());
                now.map_or_else(|| Self::Database(error), Self::OtherTime)
            }
            Some("SQ001") => {
                let account = detail(&error);
                account.map_or_else(|| Self::Database(error), |account| Self::OverQuota(AccountId(account)))
            }
            _ => Self::Database(error),
        }
    }

    /// Whether repeating the same call may help (connection lost, disk or memory full, serialization failure,
    /// deadlock, lock time-out).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed) => true,
            Self::OtherTime(_) => true,
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                code.starts_with("08")
                    || code.starts_with("53")
                    || code.starts_with("57P")
                    || matches!(&*code, "40001" | "40P01" | "55P03")
            }),
            _ => false,
        }
    }
}

/// The detail of an error that one of our own functions raised.
fn detail(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.detail()?.parse().ok()
}
