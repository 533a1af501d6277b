//! The database as a server: whether it is there, durable, and of our schema; its connections; and what this process did to it.

pub mod events;
pub mod gate;
pub(super) mod guarded;

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::{Ledger, LedgerError, Result};

static MIGRATIONS: Migrator = sqlx::migrate!();

impl Ledger {
    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When the database cannot be reached or holds a schema this version does not know.
    pub async fn migrate(&self) -> Result<()> {
        Ok(MIGRATIONS.run(&self.pool).await?)
    }

    /// Fails unless the schema is exactly the one this version was built for.
    ///
    /// # Errors
    /// [`LedgerError::Schema`] says whether to migrate or to update the service.
    pub async fn check_schema(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        let applied = match connection.list_applied_migrations("_sqlx_migrations").await {
            Ok(applied) => applied.into_iter().map(|migration| migration.version).max(),
            // No table: no migration ever ran.
            Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.code().is_some_and(|code| code == "42P01") => None,
            Err(error) => return Err(error.into()),
        };
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        match applied.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(LedgerError::Schema("older than this version of sceau; run `sceau migrate`")),
            std::cmp::Ordering::Greater => Err(LedgerError::Schema("newer than this version of sceau; update the service")),
        }
    }

    /// Fails unless a commit on this server survives a crash of server and machine.
    ///
    /// # Errors
    /// [`LedgerError::NotDurable`] names the first setting that would lose acknowledged proofs.
    pub async fn check_durability(&self) -> Result<()> {
        let row = sqlx::query!(
            r#"select current_setting('fsync') as "fsync!", current_setting('full_page_writes') as "full_page_writes!",
               current_setting('synchronous_commit') as "synchronous_commit!", pg_is_in_recovery() as "standby!",
               current_setting('data_checksums') as "checksums!""#
        )
        .fetch_one(&self.pool)
        .await?;
        let not = |setting, value| Err(LedgerError::NotDurable { setting, value });
        if row.fsync != "on" {
            return not("fsync", row.fsync);
        }
        if row.full_page_writes != "on" {
            return not("full_page_writes", row.full_page_writes);
        }
        // "local" waits for this server's disk, the others for standbys as well.
        if !matches!(&*row.synchronous_commit, "on" | "local" | "remote_write" | "remote_apply") {
            return not("synchronous_commit", row.synchronous_commit);
        }
        if row.standby {
            return not("hot standby", "read-only".into());
        }
        if row.checksums != "on" {
            tracing::warn!("data checksums are off: damage on disk will be noticed late (initdb -k turns them on)");
        }
        Ok(())
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it does not within two seconds.
    pub async fn ping(&self) -> Result<()> {
        let ask = sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(&self.pool);
        tokio::time::timeout(Duration::from_secs(2), ask).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(())
    }

    /// Database time, the time all records carry.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn now(&self) -> Result<time::OffsetDateTime> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&self.pool).await?)
    }
}

/// What a statement ends with that was given up.
pub(super) fn no_answer(after: Duration) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("the database did not answer within {after:?}")))
}
